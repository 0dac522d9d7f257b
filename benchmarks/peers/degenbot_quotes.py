"""degenbot and ours on the same quotes: python -m benchmarks.peers.degenbot_quotes STATES AMOUNTS ROUNDS SEED; JSON.

degenbot's pool wants a chain for its making, so it is made without; its swap then runs on the state handed to it. Its
maths alone, driven along the stops of our map, is a subject of its own, since the pool sorts its ticks at every quote.
Its caches and ours are emptied before every turn.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
import time
from collections.abc import Sequence
from operator import eq
from types import SimpleNamespace
from typing import Any

from degenbot.uniswap.v3_libraries import full_math, sqrt_price_math, swap_math, tick_bitmap, tick_math
from degenbot.uniswap.v3_liquidity_pool import UniswapV3Pool

from benchmarks import measure
from benchmarks.amm import Ask, crowded, many_ticks, quote_all, states
from connectors.amm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from connectors.amm.v3 import V3Pool

Amounts = tuple[int, int]
CHUNK = 10
"""States that one takes before the next one has its turn; a busy moment then hits all alike."""


def forget() -> None:
    """Empties every cache of its maths."""
    for module in (full_math, sqrt_price_math, swap_math, tick_bitmap, tick_math):
        for thing in vars(module).values():
            if isinstance(thing, functools._lru_cache_wrapper):
                thing.cache_clear()


def its_pool(pools: Sequence[V3Pool], asks: Sequence[Sequence[Ask]]) -> list[Amounts]:
    """Each ask through the swap of its pool."""
    forget()
    data = {tick: SimpleNamespace(liquidity_net=pools[0].ticks.net(tick)) for tick in pools[0].ticks.order}
    pool: Any = object.__new__(UniswapV3Pool)
    pool.fee, pool.tick_spacing, pool.sparse_liquidity_map = 3000, pools[0].ticks.spacing, False
    results = []
    for kept, wanted in zip(pools, asks, strict=True):
        state = SimpleNamespace(
            liquidity=kept.liquidity, sqrt_price_x96=kept.sqrt_price, tick=kept.tick, tick_bitmap={}, tick_data=data
        )
        for amount, exact_in, zero_for_one in wanted:
            zero, one, *_ = pool._calculate_swap(
                zero_for_one=zero_for_one,
                amount_specified=amount if exact_in else -amount,
                sqrt_price_limit_x96=MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1,
                override_state=state,
            )
            results.append((zero, -one) if zero_for_one else (one, -zero))
    return results


def its_maths(pools: Sequence[V3Pool], asks: Sequence[Sequence[Ask]]) -> list[Amounts]:
    """Each ask as a walk of its steps from stop to stop of our map."""
    forget()
    step, price_of = swap_math.compute_swap_step, tick_math.get_sqrt_ratio_at_tick
    results = []
    for pool, wanted in zip(pools, asks, strict=True):
        ticks, fee = pool.ticks, pool.fee_pips
        for amount, exact_in, zero_for_one in wanted:
            price, tick, liquidity = pool.sqrt_price, pool.tick, pool.liquidity
            rest, paid, got = amount if exact_in else -amount, 0, 0
            while rest:
                stop = ticks.stop_below(tick) if zero_for_one else ticks.stop_above(tick)
                target = price_of(stop)
                price, taken, given, cost = step(price, target, liquidity, rest, fee)
                paid, got = paid + taken + cost, got + given
                rest += -(taken + cost) if exact_in else given
                if price == target:
                    net = ticks.net(stop)
                    liquidity += -net if zero_for_one else net
                    tick = stop - 1 if zero_for_one else stop
            results.append((paid, got))
    return results


def main(count: int, amounts: int, rounds: int, seed: int) -> None:
    """Prints seconds of each for every ten states in turns, and how many of the amounts are ours."""
    pools = states(crowded(seed), count, seed)
    asks = [many_ticks(pool, amounts, seed + n) for n, pool in enumerate(pools)]
    subjects = {"ours": quote_all, "degenbot's maths": its_maths, "degenbot's pool": its_pool}
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    agree = dict.fromkeys(subjects, 0)
    for turn in range(rounds):
        for at in range(0, count, CHUNK):
            part = pools[at : at + CHUNK], asks[at : at + CHUNK]
            answers = {}
            for name, run in subjects.items():
                gc.collect()
                start = time.perf_counter()
                answers[name] = run(*part)
                seconds[name].append(time.perf_counter() - start)
            for name, told in answers.items():
                agree[name] += turn == 0 and sum(map(eq, told, answers["ours"]))
    total = sum(map(len, asks))
    told = {name: measure.summary(taken, total * CHUNK // count) for name, taken in seconds.items()}
    shares = {name: same / total for name, same in agree.items()}
    print(json.dumps({"quotes": total, "subjects": told, "seconds": seconds, "agree": shares}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
