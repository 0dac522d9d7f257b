"""Chainlink: two shares of 24/5 streams, asked for again and again; volumes in a report are not those of a book."""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.events import NS, Kind
from connectors.instruments import Hours, Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.chainlink import KEY, SECRET, ChainlinkServer, full, v11

TSLA, NVDA = (
    Instrument(venue="chainlink", symbol=f"0x000b{byte * 30}", role=Role.SHARE, underlying=name, hours=Hours.WEEKDAYS)
    for byte, name in (("11", "TSLA"), ("22", "NVDA"))
)


async def show(server: ChainlinkServer, instrument: Instrument, top: Top) -> None:
    """A report, a second younger than the one before: one of the same second is no news."""
    at = server.observed[instrument.symbol] = server.observed.get(instrument.symbol, wall_ns() // NS - 100) + 1
    report = v11(instrument.symbol, at=at, bid=float(top.bid), ask=float(top.ask))
    server.reports[instrument.symbol] = full(report)


async def follows(server: ChainlinkServer, connection: int) -> None:
    """Both feeds are asked for from now on."""
    begun = len(server.asked)
    asked = {TSLA.symbol, NVDA.symbol}
    await server.until(lambda: asked <= {query.get("feedID") for _, query in server.asked[begun:]})


STALLS = (
    Stall(
        name="chainlink",
        feed="chainlink",
        server=ChainlinkServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
        kind=Kind.REFERENCE,
        sizes=False,
        levels=False,
        socket=False,
        venue_kind="oracle",
        key={"key": KEY, "secret": SECRET},
        unlisted="0x000b" + "99" * 30,
    ),
)
