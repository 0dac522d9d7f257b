"""Oracles on a chain: two feeds of Pyth's contract, read at each block; price and confidence are bid and ask."""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.events import NS
from connectors.instruments import Instrument
from tests.conformance.stall import POLLED, Top, oracle, shares
from tests.servers.evm import EvmServer

TSLA, NVDA = shares("chain", "0x" + "11" * 32, "0x" + "22" * 32)


async def show(server: EvmServer, instrument: Instrument, top: Top) -> None:
    """A price a second younger than the one before; an interval cannot be crossed, so a price below zero stands for
    that."""
    bid, ask = (round(float(price) * 1e5) for price in (top.bid, top.ask))
    before = server.prices.get(instrument.symbol, (0, 0, 0, wall_ns() // NS - 40))[3]
    middle, half = ((bid + ask) // 2, (ask - bid) // 2) if bid <= ask else (-1, 0)
    server.prices[instrument.symbol] = (middle, half, -5, before + 1)


async def follows(server: EvmServer, connection: int) -> None:
    """Both feeds are read from now on."""
    begun = len(server.read)
    await server.until(lambda: {TSLA.symbol, NVDA.symbol} <= set(server.read[begun:]))


STALLS = (
    oracle(
        name="onchain",
        feed="onchain",
        server=EvmServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
        sizes=False,
        never=POLLED,
        options={"pyth": "0x" + "ab" * 20, "poll_s": 0.2, "pyth_max_age_s": 3600.0},
        unlisted="0x" + "99" * 32,
        crossed="bad_message",
    ),
)
