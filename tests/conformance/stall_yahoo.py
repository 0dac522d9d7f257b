"""Yahoo: two shares with bid and ask, without sizes that mean anything."""

from __future__ import annotations

from connectors.events import Kind
from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.yahoo import YahooServer

TSLA = Instrument(venue="yahoo", symbol="TSLA", role=Role.SHARE, underlying="TSLA")
NVDA = Instrument(venue="yahoo", symbol="NVDA", role=Role.SHARE, underlying="NVDA")


async def show(server: YahooServer, instrument: Instrument, top: Top) -> None:
    """One message with price, bid and ask."""
    bid, ask = float(top.bid), float(top.ask)
    await server.price(instrument.symbol, (bid + ask) / 2, bid=bid, ask=ask)


async def follows(server: YahooServer, connection: int) -> None:
    """Both symbols are subscribed to on an open connection."""
    await server.until(
        lambda: server.connections >= connection and bool(server.sockets) and {"TSLA", "NVDA"} <= server.subscribed
    )


STALLS = (
    Stall(
        name="yahoo",
        feed="yahoo",
        server=YahooServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
        kind=Kind.REFERENCE,
        sizes=False,
        levels=False,
        snapshots=False,
        venue_kind="oracle",
        unlisted="NOPE",
    ),
)
