"""What a feed asks its venue for beside the stream, again and again: clock, status, funding, the book compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from connectors.backoff import REFUSED_S
from connectors.cex.book import read_book
from connectors.cex.compare import pause
from connectors.cex.quirks import Lane, Quirk
from connectors.cex.rest import Rest
from connectors.cex.said import Said
from connectors.cex.tap import Tap
from connectors.cex.terms import MARK, Funding, halted, number, perp_of, read_funding
from connectors.errors import BadMessage, ConnectorError, EntitlementLost
from connectors.events import NS, Flag, Kind, Why
from connectors.instruments import Instrument, Role
from connectors.offset import measured
from connectors.ports import FeedSetup, Sink

FUNDING_S: Final = 60.0
STATUS_S: Final = 60.0
REFERENCE_S: Final = 5.0
"""How often a mark or an oracle is read, where one is an instrument."""

SLACK: Final = 1e-3
"""A book that is off by less of its price misleads nobody much, and is found out as soon as the market moves on."""

SETTLE_S: Final = 2.0
"""So long a stream may lag behind the venue's snapshot; venues batch updates by 10 to 250 ms."""

STRIKES: Final = 2
"""Disagreements in a row, each with a snapshot of its own, after which the stream is not believed."""

LAST_MS: Final = 1e13
"""A time of a venue that is later than this, unix ms, is none: it is in the year 2286."""

AGAIN_S: Final = 1.0
"""How soon a book that disagreed is compared again."""


class Rounds:
    """The rounds of one ccxt instance; each goes on when another one fails, and only a fault of ours is raised."""

    def __init__(
        self,
        setup: FeedSetup,
        quirk: Quirk,
        lane: Lane,
        rest: Rest,
        module: Any,
        exchange: Any,
        tap: Tap,
        sink: Sink,
        said: Said,
        members: Sequence[Instrument],
        numbers: Mapping[str, int],
    ) -> None:
        """`members` are the instruments of the instance, those without a market of their own included; `said` keeps
        what was said against them.
        """
        self._setup, self._quirk, self._lane, self._rest = setup, quirk, lane, rest
        self._module, self._exchange, self._tap, self._sink = module, exchange, tap, sink
        self._said = said
        self._numbers = {i.symbol: numbers[i.name] for i in members}
        self._prices = {i.symbol: perp_of(i.symbol) for i in members if perp_of(i.symbol)}
        self._perps = list(dict.fromkeys([i.symbol for i in members if i.role is Role.PERP] + [*self._prices.values()]))
        self._markets = [i.symbol for i in members if not perp_of(i.symbol)]
        self._strikes: dict[str, int] = {}
        self._listed: dict[str, str] | None = None

    async def run(self) -> None:
        """Goes the rounds until cancelled; they begin when the markets are known."""
        await self._tap.listed.wait()
        options, setup = self._setup.options, self._setup
        funding_s = float(options.get("funding_s", REFERENCE_S if self._prices else FUNDING_S))
        status_s = float(options.get("status_s", STATUS_S))
        has = self._exchange.has
        rounds = [self._every(status_s, "status_unknown", self._status)]
        if has.get("fetchTime"):
            rounds.append(self._every(status_s, "clock_unknown", self._clock))
        if self._perps and has.get("fetchFundingRate"):
            rounds.append(self._every(funding_s, "funding_unknown", self._funding))
        if has.get("fetchOrderBook") and self._markets and not self._lane.quotes:
            rounds.append(self._every(setup.compare_s, "not_compared", self._compare))
        if setup.depth_every_s < float("inf"):
            rounds.append(self._every(setup.depth_every_s, "", self._flush))
        await asyncio.gather(*rounds)

    async def _every(self, period_s: float, word: str, ask: Callable[[], Awaitable[None]]) -> None:
        """One round after another; what the venue refuses is asked again at a slow pace: a right may be restored."""
        if not period_s < float("inf"):
            return
        while True:
            try:
                await ask()
            except EntitlementLost as error:
                self._sink.reject(self._setup.venue, "entitlement_lost", f"{word}: {error}")
                await self._setup.sleep(max(period_s, REFUSED_S))
                continue
            except ConnectorError as error:
                self._sink.reject(self._setup.venue, word, str(error))
            doubted = ask == self._compare and self._said.stands(self._numbers.values(), Why.DISAGREES)
            await pause(min(period_s, AGAIN_S) if doubted else period_s)

    async def _ask(self, method: str, *args: Any) -> Any:
        """One answer of the venue. Raises a ConnectorError."""
        return await self._rest.call(self._module, lambda: getattr(self._exchange, method)(*args))

    async def _record(self, method: str, *args: Any) -> Mapping[str, Any]:
        """One answer that is a record. Raises a ConnectorError."""
        answer = await self._ask(method, *args)
        if not isinstance(answer, Mapping):
            raise BadMessage(f"{method} gives a {type(answer).__name__}", where=self._setup.venue)
        return answer

    async def _flush(self) -> None:
        self._tap.kept.flush()

    async def _clock(self) -> None:
        """The venue's clock against ours."""
        found = await measured(
            lambda: time_of(self._ask), self._setup.clock, grain_ns=round(self._quirk.clock_step_s * NS)
        )
        if found is not None:
            self._sink.clock(self._setup.venue, *found)

    async def _status(self) -> None:
        """Maintenance of the venue, and halts of single instruments, as the venue says them now."""
        if self._quirk.status and self._exchange.has.get("fetchStatus"):
            with suppress(EntitlementLost):
                state = await self._record("fetch_status")
                self._said.stand(self._numbers.values(), Why.MAINTENANCE, state.get("status") not in ("ok", None))
        markets = await self._ask("fetch_markets", dict(self._lane.params))
        if not isinstance(markets, list) or not all(isinstance(market, Mapping) for market in markets):
            raise BadMessage("the list of markets is none", where=self._setup.venue)
        listed = {market.get("symbol"): market for market in markets}
        for symbol in self._markets:
            market = listed.get(symbol)
            number = [self._numbers[symbol]]
            self._said.stand(number, Why.NOT_LISTED, market is None)
            stopped = halted(market) if market is not None else None
            if stopped is not None:
                self._said.stand(number, Why.HALTED, stopped)
        if any(symbol in listed and symbol not in self._exchange.markets for symbol in self._markets):
            # The life that runs began without it: the next one subscribes to it too.
            await self._rest.call(self._module, lambda: self._exchange.load_markets(True, dict(self._lane.params)))
            self._tap.end("newly_listed")

    async def _funding(self) -> None:
        """One FUNDING row for each perp, and its mark and oracle where those are instruments."""
        if self._listed is None:
            self._listed = await self._periods()
        for symbol in self._perps:
            rate = await self._record("fetch_funding_rate", symbol)
            interest = None
            if not self._quirk.interest and self._exchange.has.get("fetchOpenInterest"):
                interest = await self._ask("fetch_open_interest", symbol)
            market = self._exchange.markets.get(symbol, {})
            terms = read_funding(rate, market, self._quirk, listed=self._listed.get(symbol, ""), interest=interest)
            self._put(symbol, terms)

    async def _periods(self) -> dict[str, str]:
        """The venue's list of funding periods, where it has one; read once."""
        if self._exchange.has.get("fetchFundingIntervals") is not True:
            return {}
        found = await self._record("fetch_funding_intervals", list(self._perps))
        return {
            symbol: str(record.get("interval") or "") for symbol, record in found.items() if isinstance(record, Mapping)
        }

    def _put(self, symbol: str, terms: Funding) -> None:
        venue, number = self._setup.venue, self._numbers.get(symbol)
        if number is not None and terms.rate == terms.rate:
            if not terms.period_s > 0.0:
                self._sink.reject(venue, "funding_period_unknown", symbol)
            self._sink.put(
                Kind.FUNDING, number, bid=terms.rate, ask=terms.period_s, bid_size=terms.open_interest,
                ask_size=terms.mark, extra=terms.next_s,
            )  # fmt: skip
        for name, perp in self._prices.items():
            if perp != symbol:
                continue
            price = terms.mark if name.endswith(MARK) else terms.oracle
            if not price > 0.0:
                self._sink.reject(venue, "no_price", name)
                self._sink.against([self._numbers[name]], Why.NOT_HEARD)
                continue
            self._sink.cleared([self._numbers[name]], Why.NOT_HEARD)
            self._sink.put(Kind.REFERENCE, self._numbers[name], bid=price, ask=price, flags=int(Flag.ONE_PRICE))

    async def _compare(self) -> None:
        """Each book against the venue's own snapshot; one that stays apart from it ends this life of the stream."""
        for symbol in self._markets:
            number = self._numbers[symbol]
            while number in self._tap.kept.best and not self._tap.ended.is_set():
                if await self._near(symbol, number):
                    self._strikes[symbol] = 0
                    self._said.stand([number], Why.DISAGREES, False)
                    break
                self._strikes[symbol] = self._strikes.get(symbol, 0) + 1
                if self._strikes[symbol] >= STRIKES:
                    self._strikes[symbol] = 0
                    self._said.stand([number], Why.DISAGREES, True)
                    self._tap.end("disagrees", f"{symbol}: the stream is not the venue's book")

    async def _near(self, symbol: str, number: int) -> bool:
        """Whether the stream comes near one snapshot of the venue; a snapshot that is no book says nothing."""
        states = self._tap.kept
        window = states.open(number)
        try:
            book = await self._ask("fetch_order_book", symbol, self._quirk.rest_depth, dict(self._lane.about))
            snapshot = read_book(book)
            if isinstance(snapshot, str):
                self._sink.reject(self._setup.venue, "not_compared", f"{symbol}: the snapshot is {snapshot}")
                return True
            bid, ask = snapshot[:2]
            if not window.holds(bid, ask, slack=SLACK):
                await pause(min(SETTLE_S, self._setup.compare_s))
            return window.holds(bid, ask, slack=SLACK)
        finally:
            states.close(number)


async def time_of(ask: Callable[..., Awaitable[Any]]) -> int:
    """The venue's time, ns UTC. Raises a ConnectorError."""
    milliseconds = number(await ask("fetch_time"))
    if not 0.0 < milliseconds < LAST_MS:
        raise BadMessage("the venue's time is no time")
    return round(milliseconds) * (NS // 1000)
