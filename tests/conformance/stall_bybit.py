"""Bybit: two xStocks in USDT."""

from __future__ import annotations

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.bybit import BybitServer

TSLA = Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", underlying="TSLA", quote="USDT")
NVDA = Instrument(venue="bybit", symbol="NVDAX/USDT", role=Role.TOKEN, token="NVDAx", underlying="NVDA", quote="USDT")


async def show(server: BybitServer, instrument: Instrument, top: Top) -> None:
    """A whole new book of one level a side."""
    symbol = instrument.symbol.replace("/", "")
    await server.book(symbol, bids=[(top.bid, top.bid_size)], asks=[(top.ask, top.ask_size)])


async def follows(server: BybitServer, connection: int) -> None:
    """Both books are followed, at whatever depth."""
    for symbol in ("TSLAXUSDT", "NVDAXUSDT"):
        await server.until(
            lambda s=symbol: (
                server.connections >= connection  # type: ignore[misc]
                and any(not w.closed for topic, ws in server.topics.items() if topic.endswith(s) for w in ws)
            )
        )


STALLS = tuple(
    Stall(
        name=name,
        feed=feed,
        exchange="bybit",
        server=BybitServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
    )
    for name, feed in (("bybit", "bybit"), ("bybit by ccxt", "ccxt"))
)
