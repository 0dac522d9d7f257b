"""How many exact v3 quotes a second, inside one tick and over many, and against degenbot in one process.

python -m benchmarks.amm                       100 states of a pool, 1,000 amounts each, both ways; JSON at the end
python -m benchmarks.amm --states 10           a shorter look
python -m benchmarks.amm --alone               without degenbot

A state is what a swap's log leaves; whatever is summed up for quotes is made anew at each. degenbot lives in an
environment of its own under .cache/peers, made on first use; there both run in turns.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from random import Random
from statistics import mean, median
from typing import Any, Final

from benchmarks import measure
from connectors.amm import v3
from connectors.amm.ticks import sqrt_at
from connectors.amm.v3 import V3Pool

TICKS: Final = 20_000
"""Positions lie within so many ticks of a price of one."""
MOST_STOPS: Final = 40

Ask = tuple[int, bool, bool]
"""Amount, whether it is an input, whether token 0 goes in."""


def crowded(seed: int) -> V3Pool:
    """A 0.3 % pool with 300 positions of very different size around a price of one."""
    random = Random(seed)
    pool = v3.after_mint(v3.initialized(1 << 96, 0, fee_pips=3000, spacing=60), -887220, 887220, 10**18)
    for _ in range(300):
        lower, upper = sorted(random.sample(range(-TICKS // 60, TICKS // 60), 2))
        pool = v3.after_mint(pool, lower * 60, upper * 60, int(10 ** random.uniform(15, 20)))
    return pool


def states(pool: V3Pool, count: int, seed: int) -> list[V3Pool]:
    """The pool after one swap after the other that moved its price."""
    random, tick, found = Random(seed), 0, []
    for _ in range(count):
        tick = max(-TICKS // 4, min(tick + random.randint(-200, 200), TICKS // 4))
        price = random.randrange(sqrt_at(tick), sqrt_at(tick + 1))
        found.append(v3.after_swap(pool, price, tick, pool.ticks.active(tick)))
    return found


def many_ticks(pool: V3Pool, count: int, seed: int) -> list[Ask]:
    """Distinct amounts that go over 2 to 40 stops, in and out, as many in each direction."""
    random, asks = Random(seed), []
    pool = fresh(pool)
    for zero_for_one in (True, False):
        path = pool.path(zero_for_one)
        path.grow(MOST_STOPS + 1)
        seen: set[int] = set()
        while len(seen) < count:
            exact_in = len(seen) % 2 == 0
            stop, sums = random.randint(2, MOST_STOPS), path.spent if exact_in else path.given
            amount = random.randrange(sums[stop] + 1, sums[stop + 1])
            if amount not in seen:
                seen.add(amount)
                asks.append((amount, exact_in, zero_for_one))
    random.shuffle(asks)
    return asks


def one_tick(pool: V3Pool, count: int, seed: int) -> list[Ask]:
    """Distinct amounts that end before the first stop."""
    random, pool, asks = Random(seed), fresh(pool), []
    for zero_for_one in (True, False):
        path = pool.path(zero_for_one)
        path.grow(2)
        first = next(at for at, spent in enumerate(path.spent) if spent)
        amounts = random.sample(range(1, min(path.spent[first], 1 << 62)), count)
        asks += [(amount, True, zero_for_one) for amount in amounts]
    random.shuffle(asks)
    return asks


def fresh(pool: V3Pool) -> V3Pool:
    """The same state without anything summed up."""
    return v3.after_swap(pool, pool.sqrt_price, pool.tick, pool.liquidity)


def quote_all(pools: Sequence[V3Pool], asks: Sequence[Sequence[Ask]]) -> list[tuple[int, int]]:
    """Input and output of each ask, each state's sums made anew."""
    sqrt_at.cache_clear()
    results = []
    for kept, wanted in zip(pools, asks, strict=True):
        pool = fresh(kept)
        for amount, exact_in, zero_for_one in wanted:
            quote = (pool.exact_in if exact_in else pool.exact_out)(amount, zero_for_one=zero_for_one)
            results.append((quote.amount_in, quote.amount_out))
    return results


def alone(states_: int, amounts: int, rounds: int, seed: int) -> dict[str, Any]:
    """Quotes a second of ours in this process."""
    pools = states(crowded(seed), states_, seed)
    inside = [one_tick(pool, amounts, seed + n) for n, pool in enumerate(pools)]
    over = [many_ticks(pool, amounts, seed + n) for n, pool in enumerate(pools)]
    count = sum(map(len, over))
    seconds = measure.interleaved(
        {"inside one tick": lambda: quote_all(pools, inside), "over many ticks": lambda: quote_all(pools, over)}, rounds
    )
    crossed = mean(_stops(pool, ask) for pool, asks in zip(pools, over, strict=True) for ask in asks[:20])
    return {
        "quotes": count,
        "stops": crossed,
        "subjects": {name: measure.summary(taken, count) for name, taken in seconds.items()},
    }


def _stops(pool: V3Pool, ask: Ask) -> int:
    path = pool.path(ask[2])
    path.grow(MOST_STOPS + 1)
    return sum(reached < ask[0] for reached in (path.spent if ask[1] else path.given)) - 1


def against(states_: int, amounts: int, rounds: int, seed: int) -> dict[str, Any]:
    """Ours and degenbot's in one process, in degenbot's environment."""
    from benchmarks.peers.run import QUOTES, environment

    arguments = ["-m", QUOTES.module, *map(str, (states_, amounts, rounds, seed))]
    return measure.in_process_of_its_own(environment(QUOTES), arguments) | {"packages": QUOTES.packages}


def show(report: dict[str, Any]) -> str:
    """The report as two tables."""
    lines = [[name, f"{told['rows_per_s']:,.0f}"] for name, told in report["alone"]["subjects"].items()]
    text = measure.table(["ours alone", "quotes/s"], lines)
    if "peer" in report:
        peer = report["peer"]
        lines = [
            [
                name,
                f"{told['rows_per_s']:,.0f}",
                f"{median(ratios):.1f} ({min(ratios):.1f}, {max(ratios):.1f})",
                f"{peer['agree'][name]:.1%}",
            ]
            for name, told in peer["subjects"].items()
            for ratios in [[a / b for a, b in zip(peer["seconds"][name], peer["seconds"]["ours"], strict=True)]]
        ]
        head = ["over many ticks, in turns", "quotes/s", "times slower than ours (least, most)", "same amounts"]
        text += "\n\n" + measure.table(head, lines)
    return text


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=100)
    parser.add_argument("--amounts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without degenbot")
    asked = parser.parse_args()
    size = (asked.states, asked.amounts, asked.rounds, asked.seed)
    report: dict[str, Any] = {"schema": 1, "machine": measure.machine(), "alone": alone(*size)}
    if not asked.alone:
        report["peer"] = against(*size)
    print(show(report), file=sys.stderr)
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
