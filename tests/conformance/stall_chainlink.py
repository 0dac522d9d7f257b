"""Chainlink: two shares of 24/5 streams, asked for again and again; volumes in a report are not those of a book."""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.events import NS
from connectors.instruments import Hours, Instrument
from tests.conformance.stall import POLLED, Top, oracle, shares
from tests.servers.chainlink import KEY, SECRET, ChainlinkServer, full, v11

TSLA, NVDA = shares("chainlink", "0x000b" + "11" * 30, "0x000b" + "22" * 30, hours=Hours.WEEKDAYS)


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
    oracle(
        name="chainlink",
        feed="chainlink",
        server=ChainlinkServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
        sizes=False,
        never=POLLED,
        key={"key": KEY, "secret": SECRET},
        unlisted="0x000b" + "99" * 30,
    ),
)
