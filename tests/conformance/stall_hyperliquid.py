"""Hyperliquid: two perps on shares of the dex `xyz`."""

from __future__ import annotations

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.hyperliquid import HyperliquidServer

PERPS = tuple(
    Instrument(venue="hyperliquid", symbol=f"XYZ-{name}/USDC:USDC", role=Role.PERP, underlying=name, quote="USDC")
    for name in ("TSLA", "NVDA")
)


async def show(server: HyperliquidServer, instrument: Instrument, top: Top) -> None:
    """A whole new book of one level a side."""
    coin = "xyz:" + instrument.underlying
    await server.whole(coin, bids=[(top.bid, top.bid_size)], asks=[(top.ask, top.ask_size)])


async def follows(server: HyperliquidServer, connection: int) -> None:
    """Both books are followed."""
    for coin in ("xyz:TSLA", "xyz:NVDA"):
        await server.follower(coin, connection)


STALLS = (
    Stall(
        name="hyperliquid by ccxt",
        feed="ccxt",
        server=HyperliquidServer,
        instruments=PERPS,
        show=show,
        follows=follows,
        options={"funding_s": float("inf")},
    ),
)
