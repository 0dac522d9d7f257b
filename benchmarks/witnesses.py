"""What judging pegs adds to the scan, and what all that watches them costs: 500 tokens on 8 venues each, one process.

python -m benchmarks.witnesses                      1 million rows, 7 rounds; JSON as the last line
python -m benchmarks.witnesses --rows 200000

The scan is driven over the same rows bare and with every token weighed as a witness: the difference, per row, is what
leave-one-out fair values, premia and their sigmas cost. Both are timed round by round. Rows come in one block, as in
the benchmark of the bare scan, and, as `_live`, in blocks of 2,000: what a run at 2,000 rows/s looks at between two
ticks of the strategies' clock, each of which ends with all 4,000 premia made anew. The share of a core is CPU time
of an engine over the seconds that the rows take at 2,000 a second: scan, evidence timer with its filter, peg health
that has an hour behind it, and peg watch, each told beside it.
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
WINDOW_PRINTS: Final = 240
"""Of each token, in the hour before: what peg health looks back on is full."""
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

    who, rows = universe(), rows_of(count, seed)
    facts = [Facts(cost=0.001, traded=one.role is Role.TOKEN, max_age_ns=600 * NS, source_error=3e-4) for one in who]
    beliefs = Beliefs(max_error=0.1, default_daily_vol=0.02)
    cuts = {"": [rows], "_live": list(rows.blocks(BLOCK))}

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
    return report | shares(rows, seed)


class Clocked:
    """A part of the engine that knows what CPU time its calls have taken."""

    def __init__(self, inner: Any, *names: str) -> None:
        """`names` are those methods."""
        self._inner, self._names, self.used = inner, names, 0.0

    def __getattr__(self, name: str) -> Any:
        """The part's own, clocked or not."""
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def clocked(*args: Any) -> Any:
            begun = time.process_time()
            try:
                return found(*args)
            finally:
                self.used += time.process_time() - begun

        return clocked


def shares(rows: Rows, seed: int) -> dict[str, Any]:
    """What part of a core an engine takes that watches pegs and their health, and which part of it is whose."""
    from bot.assembly import assemble
    from bot.config import Config, PegWatch, Strategies
    from bot.journal import Journal
    from bot.sessions import load_sessions
    from strategies.market.health import PegHealth, Rules
    from strategies.market.session import Session

    each = ("pre", "regular", "post", "overnight", "weekend", "holiday")
    watch = PegWatch(warn_bps=dict.fromkeys(each, 100.0), depeg_bps=dict.fromkeys(each, 300.0))
    config = Config(strategies=Strategies(peg_watch=watch))
    parts = assemble(config, universe(), load_sessions(), Journal(None), executor=None, health=True)
    engine, rules, rng = parts.engine, Rules(), np.random.default_rng(seed)
    assert engine.health is not None and engine.evidence is not None
    for number in range(TOKENS * VENUES):
        health = engine.health.health[number] = PegHealth(rules)
        prints = rng.normal(0, 8, WINDOW_PRINTS).tolist()
        for n, bps in enumerate(prints):
            ts = START_NS - (WINDOW_PRINTS - n) * rules.window_ns // WINDOW_PRINTS
            health.hear(ts, Session.REGULAR, bps, 100 * (1 + bps / 1e4), 100.0, 4.0, 2000.0)
    clocked = {
        "health": Clocked(engine.health, "begin", "pass_to", "tick"),
        "peg_watch": Clocked(engine.timed[0], "decide"),
        "timer": Clocked(engine.evidence, "tick"),
    }
    engine.health, engine.evidence = clocked["health"], clocked["timer"]  # type: ignore[assignment]
    engine.timed = (clocked["peg_watch"],)  # type: ignore[assignment]
    seconds = len(rows) / RATE
    start = time.process_time()
    for block in rows.blocks(BLOCK):
        engine.advance(block)
    used = time.process_time() - start
    told = {f"core_share_{name}": round(one.used / seconds, 3) for name, one in clocked.items()}
    return {"core_share": round(used / seconds, 3)} | told


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
