"""What judging pegs adds to the scan, and what the evidence timer costs: 500 tokens on 8 venues each, in one process.

python -m benchmarks.witnesses                      1 million rows, 7 rounds; JSON as the last line
python -m benchmarks.witnesses --rows 200000

The scan is driven over the same rows bare and with every token weighed as a witness: the difference, per row, is what
leave-one-out fair values, premia and their sigmas cost. Both are timed round by round. Rows come in one block, as in
the benchmark of the bare scan, and, as `_live`, in blocks of 2,000: what a run at 2,000 rows/s looks at between two
ticks of the strategies' clock, each of which ends with all 4,000 premia made anew. The share of a core is CPU time of
the scan in such blocks, of the timer with its filter, and of a judgement of every token that printed, over the seconds
that the rows take at 2,000 a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any, Final

import numpy as np

from bot.paths import prepare_kernel
from connectors.events import NEVER, NS, Kind, Rows
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe

TOKENS: Final = 500
VENUES: Final = 8
RATE: Final = 2000
"""Rows a second."""
BLOCK: Final = 2000
TIMER_S: Final = 5
START_NS: Final = 1_772_461_800 * NS
"""Monday, 2 March 2026, 14:30 UTC: the share market opens."""


def universe() -> Universe:
    """Each token of its own share on eight venues, and a source of each share."""
    tokens = [
        Instrument(venue=f"v{v}", symbol=f"T{t}", role=Role.TOKEN, underlying=f"S{t}", token=f"T{t}", issuer="i",
                   unit_model=UnitModel.REBASING)
        for t in range(TOKENS) for v in range(VENUES)
    ]  # fmt: skip
    shares = [
        Instrument(venue="tape", symbol=f"S{t}", role=Role.SHARE, underlying=f"S{t}", hours=Hours.EXTENDED)
        for t in range(TOKENS)
    ]
    return Universe((*tokens, *shares))


def rows_of(count: int, seed: int) -> Rows:
    """Every instrument in turn at random, prices within some bps of 100, a row every half millisecond."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, TOKENS * (VENUES + 1), count).astype(np.int32)
    mid = 100.0 * np.exp(rng.normal(0, 8e-4, count))
    half = np.where(number < TOKENS * VENUES, 2e-4, 5e-5) * mid
    sizes = np.full(count, 10.0)
    kinds = np.where(number < TOKENS * VENUES, int(Kind.QUOTE), int(Kind.REFERENCE)).astype(np.int16)
    ts = START_NS + np.arange(count, dtype=np.int64) * (NS // RATE)
    return Rows(
        ts_venue=ts, ts_recv=ts, instrument=number, kind=kinds, flags=np.zeros(count, np.int16), bid=mid - half,
        ask=mid + half, bid_size=sizes, ask_size=sizes, extra=np.full(count, np.nan),
    )  # fmt: skip


def measure(count: int, rounds: int, seed: int) -> dict[str, Any]:
    """Nanoseconds per row without and with witnesses, and the CPU that a second of rows takes."""
    from bot.sessions import load_sessions
    from strategies.market.columns import Beliefs, Columns, Facts
    from strategies.market.evidence import Evidence
    from strategies.market.params import Params

    who, rows = universe(), rows_of(count, seed)
    facts = [Facts(cost=0.001, traded=one.role is Role.TOKEN, max_age_ns=600 * NS, source_error=3e-4) for one in who]
    beliefs = Beliefs(max_error=0.1, default_daily_vol=0.02)
    cuts = {"": [rows], "_live": list(rows.blocks(BLOCK))}
    blocks = cuts["_live"]

    def made() -> Columns:
        columns = Columns(who, facts, beliefs, load_sessions())
        columns.enter_session(START_NS)
        return columns

    def scanned(columns: Columns, parts: list[Rows]) -> float:
        start = time.process_time()
        for block in parts:
            at = 0
            while at < len(block):
                at, _ = columns.scan(block, at, NEVER)
        return time.process_time() - start

    bare, weighed = made(), made()
    for number in range(TOKENS * VENUES):
        weighed.weigh(number, 1e6 * (1 + number % VENUES), 0.0)
    report: dict[str, Any] = {"schema": 1, "rows": count, "instruments": len(who)}
    for name, parts in cuts.items():
        pairs = [(scanned(bare, parts), scanned(weighed, parts)) for _ in range(rounds + 1)][1:]
        for what, value in (
            ("scan", statistics.median(one for one, _ in pairs)),
            ("scan_with_witnesses", statistics.median(other for _, other in pairs)),
            ("added", statistics.median(other - one for one, other in pairs)),
        ):
            report[f"{what}_ns_per_row{name}"] = round(value / count * 1e9, 1)
    columns = made()
    evidence = Evidence(columns, Params())
    tick_s: list[float] = []
    judge_s: list[float] = []
    seen = np.zeros(TOKENS * VENUES, np.int64)
    start = time.process_time()
    for number, block in enumerate(blocks):
        at = 0
        while at < len(block):
            at, _ = columns.scan(block, at, NEVER)
        now = int(block.ts_recv[-1])
        begun = time.process_time()
        prints = columns.prints[: TOKENS * VENUES]
        for token in np.flatnonzero(prints != seen).tolist():
            columns.judge(token, now)
        seen = prints.copy()
        judge_s.append(time.process_time() - begun)
        if number % (TIMER_S * RATE // BLOCK) == 0:
            begun = time.process_time()
            evidence.tick(now, lambda number: True)
            tick_s.append(time.process_time() - begun)
    used = time.process_time() - start
    return report | {
        "timer_ms": round(statistics.median(tick_s) * 1e3, 1),
        "judge_us": round(sum(judge_s) / count * 1e6, 2),
        "core_share": round(used / (count / RATE), 3),
        "core_share_judging": round(sum(judge_s) / (count / RATE), 3),
        "core_share_timer": round(statistics.median(tick_s) / TIMER_S, 3),
    }


def main() -> int:
    """Prints what was measured; exit code 5 above 15 ns a row, in one block or live, or 30 % of a core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    prepare_kernel()
    report = measure(asked.rows, asked.rounds, asked.seed)
    print(json.dumps(report))
    added = max(report["added_ns_per_row"], report["added_ns_per_row_live"])
    return 0 if added <= 15 and report["core_share"] <= 0.3 else 5


if __name__ == "__main__":
    sys.exit(main())
