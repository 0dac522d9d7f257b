"""How Alpaca is asked over REST and told of: addresses, the key's headers, and nothing of the key in what we say."""

from __future__ import annotations

from typing import Final

import aiohttp

from connectors.equity.look import masked
from connectors.poll import Budget, Poll
from connectors.ports import FeedSetup, Sink

DATA: Final = "https://data.alpaca.markets"
TRADING: Final = {"live": "https://api.alpaca.markets", "paper": "https://paper-api.alpaca.markets"}


class Ask:
    """The REST side of one venue of Alpaca. Its calls raise as Poll.fetch does."""

    def __init__(self, setup: FeedSetup, sink: Sink | None = None) -> None:
        """Options: `account` (live or paper) chooses the trading host."""
        self.setup = setup
        self.sink = sink
        self.data = setup.url or DATA
        self.trading = setup.url or TRADING.get(str(setup.options.get("account", "live")), TRADING["live"])
        self.poll = self.new_poll()

    def new_poll(self) -> Poll:
        """A throttle with a back-off of its own; the free plan has 200 calls a minute."""
        setup = self.setup
        return Poll(
            setup.venue,
            clock=setup.clock,
            monotonic=setup.monotonic,
            rng=setup.rng,
            sleep=setup.sleep,
            per_period=3,
            period_s=1.0,
            tries=2,
            budgets=(Budget(left="X-RateLimit-Remaining", limit="X-RateLimit-Limit"),),
            vitals=setup.vitals,
        )

    async def get(self, session: aiohttp.ClientSession, url: str, *, poll: Poll | None = None, **params: str) -> bytes:
        """The body behind an address, asked with the key."""
        return await (poll or self.poll).fetch(session, url, params, headers=self._headers)

    async def latest(self, session: aiohttp.ClientSession, feed: str) -> bytes:
        """The latest quotes of all symbols on a feed; EntitlementLost where the key may not have it."""
        symbols = ",".join(instrument.symbol for instrument in self.setup.instruments)
        return await self.get(session, self.data + "/v2/stocks/quotes/latest", symbols=symbols, feed=feed)

    def reject(self, why: str, detail: str = "") -> None:
        """Counts a message or an answer that was none."""
        if self.sink is not None:
            self.sink.reject(self.setup.venue, why, self.masked(detail))

    def masked(self, text: str) -> str:
        """A text of the venue without our key in it, in case that it quotes what we sent."""
        return masked(self.setup, text)

    def _headers(self) -> dict[str, str]:
        key = self.setup.key()
        return {"APCA-API-KEY-ID": key.get("key", ""), "APCA-API-SECRET-KEY": key.get("secret", "")}
