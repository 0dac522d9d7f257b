"""Kraken: an xStock and the price of USDT."""

from __future__ import annotations

from decimal import Decimal

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.kraken import KrakenServer

TSLA = Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
USDT = Instrument(venue="kraken", symbol="USDT/USD", role=Role.COIN, coin="USDT")


async def show(server: KrakenServer, instrument: Instrument, top: Top) -> None:
    """Takes every other level of the pair away."""
    pair = server.pairs[instrument.symbol]
    gone = {
        side: [(str(price), "0") for price in getattr(pair, side) if price != Decimal(best)]
        for side, best in (("bids", top.bid), ("asks", top.ask))
    }
    await server.book(
        instrument.symbol,
        bids=[*gone["bids"], (top.bid, top.bid_size)],
        asks=[*gone["asks"], (top.ask, top.ask_size)],
    )


async def follows(server: KrakenServer, connection: int) -> None:
    """Both books are followed."""
    for symbol in (TSLA.symbol, USDT.symbol):
        await server.follower(symbol, connection)


STALLS = tuple(
    Stall(
        name=name,
        feed=feed,
        exchange="kraken",
        server=KrakenServer,
        instruments=(TSLA, USDT),
        show=show,
        follows=follows,
    )
    for name, feed in (("kraken", "kraken"), ("kraken by ccxt", "ccxt"))
)
