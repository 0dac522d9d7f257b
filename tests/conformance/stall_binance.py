"""Binance: two bStocks in USDT."""

from __future__ import annotations

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.binance import BinanceServer

TSLA = Instrument(venue="binance", symbol="TSLAB/USDT", role=Role.TOKEN, token="TSLAB", underlying="TSLA", quote="USDT")
NVDA = Instrument(venue="binance", symbol="NVDAB/USDT", role=Role.TOKEN, token="NVDAB", underlying="NVDA", quote="USDT")


async def show(server: BinanceServer, instrument: Instrument, top: Top) -> None:
    """The diff that leads to a book of one level a side."""
    symbol = instrument.symbol.replace("/", "")
    await server.whole(symbol, bids=[(top.bid, top.bid_size)], asks=[(top.ask, top.ask_size)])


async def follows(server: BinanceServer, connection: int) -> None:
    """The diffs of both books are followed."""
    for symbol in ("TSLABUSDT", "NVDABUSDT"):
        await server.follower(symbol, connection)


STALLS = (
    Stall(
        name="binance by ccxt",
        feed="ccxt",
        server=BinanceServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
    ),
)
