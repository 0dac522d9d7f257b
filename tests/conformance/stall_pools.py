"""Pools of a chain: two v3 pools kept from their logs; a price is set by a swap, and both sides follow from it."""

from __future__ import annotations

import asyncio
from math import sqrt

from connectors.amm import v3
from connectors.amm.curve import Pool
from connectors.amm.forks import FORKS
from connectors.amm.ticks import Q96, tick_at
from connectors.events import Kind
from connectors.evm.logs import Swapped
from connectors.evm.pools import WATCH_S
from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.chain import PROOF, TOKEN, ChainServer
from tests.servers.heard import no_wait

FEE, LIQUIDITY, MOVE = 100, 10**24, 0.001
"""In pips; raw; by how much of itself the price is moved by the sizes that a row tells."""
FORK = {"0x" + "a" * 40: "uniswap_v3", "0x" + "b" * 40: "pancakeswap_v3"}
TSLA, OTHER = (
    Instrument(
        venue="dex", symbol=pool, role=Role.TOKEN, token="TSLAx", underlying="TSLA", chain="nowhere", contract=TOKEN,
        quote="USDC",
    )
    for pool in FORK
)  # fmt: skip
NOPE = "0x" + "9" * 40


def venue() -> ChainServer:
    """A chain with both pools at a price of one."""
    pools: dict[str, Pool] = {
        pool: v3.after_mint(
            v3.initialized(Q96, 0, fee_pips=FEE, spacing=200, fork=FORKS[fork]), -887_200, 887_200, LIQUIDITY
        )
        for pool, fork in FORK.items()
    }
    return ChainServer(pools)


def middle(top: Top) -> float:
    """The marginal price of a top, fees aside."""
    return (float(top.bid) + float(top.ask)) / 2


async def show(server: ChainServer, instrument: Instrument, top: Top) -> None:
    """A block with a swap that leaves the pool at the top's middle."""
    price = int(sqrt(middle(top)) * Q96)
    await server.mine((instrument.symbol, Swapped(1, -1, price, LIQUIDITY, tick_at(price), None)))


async def follows(server: ChainServer, connection: int) -> None:
    """Heads and logs are subscribed to."""
    await server.until(lambda: server.followers >= connection)


def shown(top: Top) -> Top:
    """At one liquidity L a move of the price p by m takes or gives L |1/sqrt(p (1 +- m)) - 1/sqrt(p)| stocks, and on
    average a stock costs the geometric mean of both prices; the fee is on what is paid."""
    price, kept = middle(top), 1 - FEE / 1e6
    down, up = price * (1 - MOVE), price * (1 + MOVE)
    sold = LIQUIDITY / 1e18 * (1 / sqrt(down) - 1 / sqrt(price)) / kept
    bought = LIQUIDITY / 1e18 * (1 / sqrt(price) - 1 / sqrt(up))
    prices = sqrt(price * down) * kept, sqrt(price * up) / kept
    return Top(*(repr(number) for number in (*prices, sold, bought)))


async def patient(seconds: float) -> None:
    """The nodes are looked at once; back-off takes no time."""
    await (asyncio.Event().wait() if seconds == WATCH_S else no_wait(seconds))


STALLS = (
    Stall(
        name="pools",
        feed="pools",
        server=venue,
        instruments=(TSLA, OTHER),
        show=show,
        follows=follows,
        shown=shown,
        digits=6,
        sleep=patient,
        kind=Kind.POOL,
        venue_kind="dex",
        options={**FORK, **PROOF, NOPE: "uniswap_v3", "calls_per_s": 1e4, "max_block_age_s": 1e9},
        unlisted=NOPE,
        never={"C06": "bid and ask are made of one price and a fee: they cannot cross"},
    ),
)
