"""Yahoo: two shares with bid and ask, without sizes that mean anything."""

from __future__ import annotations

from connectors.instruments import Instrument
from tests.conformance.stall import Top, oracle, shares
from tests.servers.yahoo import YahooServer


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
    oracle(
        name="yahoo",
        feed="yahoo",
        server=YahooServer,
        instruments=shares("yahoo", "TSLA", "NVDA"),
        show=show,
        follows=follows,
        sizes=False,
        snapshots=False,
        unlisted="NOPE",
    ),
)
