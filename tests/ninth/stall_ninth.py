"""Ninth: an xStock and the price of USDT."""

from __future__ import annotations

from decimal import Decimal

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.ninth.server import NinthServer

TSLA = Instrument(venue="ninth", symbol="tslax_usd", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
USDT = Instrument(venue="ninth", symbol="usdt_usd", role=Role.COIN, coin="USDT")


async def show(server: NinthServer, instrument: Instrument, top: Top) -> None:
    """Takes every other level away."""
    sides = server.books[instrument.symbol]
    best = {"b": (top.bid, top.bid_size), "s": (top.ask, top.ask_size)}
    gone = [(side, str(p), "0") for side in sides for p in sides[side] if p != Decimal(best[side][0])]
    await server.book(instrument.symbol, [*gone, *((side, *level) for side, level in best.items())])


async def follows(server: NinthServer, connection: int) -> None:
    """Both books are followed, and the greeting was answered."""
    await server.until(
        lambda: (
            server.connections >= connection
            and bool(server.counted)
            and all(any(not s.closed for s in found) for found in server.followers.values())
        )
    )


STALLS = (Stall(name="ninth", feed="ninth", server=NinthServer, instruments=(TSLA, USDT), show=show, follows=follows),)
