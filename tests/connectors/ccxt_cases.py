"""The venues that ccxt is tried on, each with its local server, one instrument, and the ways to say something there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.cex.ccxt_feed import CcxtFeed
from connectors.cex.instance import redirected
from connectors.instruments import Instrument, Role
from tests.servers import binance, gate
from tests.servers.binance import BinanceServer
from tests.servers.gate import GateServer
from tests.servers.heard import Heard, no_wait, setup_for
from tests.servers.hyperliquid import HyperliquidServer

Level = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One book of one venue."""

    name: str
    server: Callable[[], Any]
    instrument: Instrument
    at: tuple[str, ...]
    """How the server's methods are told the book: its name, and its market where there are several."""
    book: tuple[str, str]
    """Key of the server's followers of the book."""
    prints: tuple[str, str]
    """Key of the server's followers of the prints."""
    plainly: Mapping[str, Any] = field(default_factory=dict)
    """What ccxt itself must be told so that it loads the same markets."""
    unit: float = 1.0
    """Units that a size of one stands for."""
    gaps: bool = True
    """Its frames have update ids, so a lost one can be found out."""

    @property
    def where(self) -> dict[str, str]:
        """The market, as a keyword."""
        return {"market": self.at[1]} if len(self.at) > 1 else {}

    async def whole(self, server: Any, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """The venue's book becomes this one, and who follows it is told."""
        await server.whole(self.at[0], bids=bids, asks=asks, **self.where)

    async def change(self, server: Any, *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), **more: Any) -> None:
        """Levels of the venue's book change; size 0 removes."""
        await server.book(self.at[0], bids=bids, asks=asks, **self.where, **more)

    async def trade(self, server: Any, price: str, size: str, *, sold: bool = False) -> None:
        """One print."""
        await server.trade(self.at[0], price, size, sold=sold, **self.where)

    async def followed(self, server: Any, key: tuple[str, str], count: int = 1) -> None:
        """Waits until so many open connections follow something."""
        await server.until(lambda: sum(not s.closed for s in server.followers.get(key, ())) >= count)

    @asynccontextmanager
    async def feeding(
        self,
        server: Any,
        heard: Any,
        *more: Instrument,
        sleep: Callable[[float], Awaitable[None]] = no_wait,
        **setup: Any,
    ) -> AsyncIterator[CcxtFeed]:
        """The production feed against the server; `more` instruments are numbered after the case's own."""
        instruments = (self.instrument, *more)
        given = {"compare_s": float("inf"), **setup}
        feed = CcxtFeed(setup_for(server, *instruments, sleep=sleep, **given))
        running = asyncio.create_task(feed.run(heard, {i.name: at for at, i in enumerate(instruments)}))
        try:
            yield feed
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    @asynccontextmanager
    async def plain(self, pro: Any, server: Any) -> AsyncIterator[Any]:
        """A client that we did not write: ccxt.pro as its manual has it, only its addresses replaced."""
        exchange = getattr(pro, self.instrument.venue)({"timeout_on_exit": 0, "options": dict(self.plainly)})
        exchange.urls["api"] = redirected(exchange.urls["api"], server.url)
        try:
            yield exchange
        finally:
            await exchange.close()


def token(venue: str, symbol: str, name: str) -> Instrument:
    """A token on TSLA in USDT."""
    return Instrument(venue=venue, symbol=symbol, role=Role.TOKEN, token=name, underlying="TSLA", quote="USDT")


def perp(venue: str, symbol: str, quote: str = "USDT") -> Instrument:
    """A perp on TSLA."""
    return Instrument(venue=venue, symbol=symbol, role=Role.PERP, underlying="TSLA", quote=quote)


CASES = (
    Case(
        name="binance spot",
        server=BinanceServer,
        instrument=token("binance", "TSLAB/USDT", "TSLAB"),
        at=("TSLABUSDT", binance.SPOT),
        book=(binance.SPOT, "tslabusdt@depth@100ms"),
        prints=(binance.SPOT, "tslabusdt@trade"),
        plainly={"fetchMarkets": {"types": ["spot"]}},
    ),
    Case(
        name="binance futures",
        server=BinanceServer,
        instrument=perp("binance", "TSLA/USDT:USDT"),
        at=("TSLAUSDT", binance.FUTURES),
        book=(binance.FUTURES, "tslausdt@depth@100ms"),
        prints=(binance.FUTURES, "tslausdt@trade"),
        plainly={"fetchMarkets": {"types": ["linear"]}},
    ),
    Case(
        name="gate spot",
        server=GateServer,
        instrument=token("gate", "TSLAX/USDT", "TSLAx"),
        at=("TSLAX_USDT", gate.SPOT),
        book=("spot.obu", "ob.TSLAX_USDT.50"),
        prints=("spot.trades", "TSLAX_USDT"),
        plainly={"fetchMarkets": {"types": ["spot"]}},
    ),
    Case(
        name="gate contracts",
        server=GateServer,
        instrument=perp("gate", "TSLAX/USDT:USDT"),
        at=("TSLAX_USDT", gate.FUTURES),
        book=("futures.order_book_update", "TSLAX_USDT"),
        prints=("futures.trades", "TSLAX_USDT"),
        plainly={
            "fetchMarkets": {"types": ["swap"]},
            "swap": {"fetchMarkets": {"settlementCurrencies": ["usdt"]}},
        },
        unit=0.01,
    ),
    Case(
        name="hyperliquid",
        server=HyperliquidServer,
        instrument=perp("hyperliquid", "XYZ-TSLA/USDC:USDC", "USDC"),
        at=("xyz:TSLA",),
        book=("l2Book", "xyz:TSLA"),
        prints=("trades", "xyz:TSLA"),
        plainly={"fetchMarkets": {"types": ["swap", "hip3"], "hip3": {"dexes": ["xyz"]}}},
        gaps=False,
    ),
)


def tops(heard: Heard, number: int = 0) -> list[tuple[float, float]]:
    """Best bid and ask of each quote of an instrument."""
    return [(row.bid, row.ask) for row in heard.rows if row.instrument == number and row.kind.name == "QUOTE"]
