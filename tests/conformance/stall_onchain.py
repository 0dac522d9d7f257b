"""Contracts of a chain, read at each block: two feeds of Pyth's, whose price and confidence are bid and ask; and two
tokens, whose multiplier stands for the bid, while a top's ask and sizes are nothing that they could say.
"""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.events import NS, Kind
from connectors.instruments import Instrument, Role, UnitModel
from tests.conformance.stall import POLLED, Stall, Top, oracle, shares
from tests.servers.evm import EvmServer, TokenServer

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


TOKENS = tuple(
    Instrument(
        venue="chain", symbol=contract, role=Role.TOKEN, token=name, underlying=name, issuer="robinhood",
        chain="nowhere", contract=contract, unit_model=UnitModel.TOTAL_RETURN,
    )
    for contract, name in (("0x" + "a1" * 20, "TSLA"), ("0x" + "a2" * 20, "NVDA"))
)  # fmt: skip


async def show_multiplier(server: TokenServer, instrument: Instrument, top: Top) -> None:
    """A unit is worth so many shares from now on."""
    server.tokens[instrument.contract] = (instrument.token, round(float(top.bid) * 1e18))


async def follows_tokens(server: TokenServer, connection: int) -> None:
    """Both tokens are read from now on."""
    begun = len(server.asked_tokens)
    await server.until(lambda: {one.contract for one in TOKENS} <= set(server.asked_tokens[begun:]))


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
    Stall(
        name="onchain tokens",
        feed="onchain",
        server=TokenServer,
        instruments=TOKENS,
        show=show_multiplier,
        follows=follows_tokens,
        shown=lambda top: Top(top.bid, "nan", "nan", "nan"),
        kind=Kind.MULTIPLIER,
        levels=False,
        venue_kind="issuer",
        options={"poll_s": 0.2},
        unlisted="0x" + "99" * 20,
        never={**POLLED, "C06": "a multiplier has no other side that it could cross"},
    ),
)
