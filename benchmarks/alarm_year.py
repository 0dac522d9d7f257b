"""False alarms of the depeg rule on a year that never was: two tokens, a pool each, polled every five minutes.

The market is not the one that the detector assumes: the pool's premium has fat tails, memory, a level and a width that
change from day to day, and now and then one to three prints in a row are 150 to 250 bps off; the issuer's quote stands
still over weekends; polls come in bursts with gaps. None of it is a depeg, so every alarm is false.

    python -m benchmarks.alarm_year --months 12 --seed 1
"""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from bot.paths import prepare_kernel

prepare_kernel()

from bot.alarms.watch import Run, watch  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.peg_rules import rule_of, starting_table  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import F8, I8, NAN, NS, ROW, Flag, Kind, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market.fair import variance_clock  # noqa: E402
from strategies.market.session import Session  # noqa: E402

BEGIN_NS = 1_754_006_400 * NS
"""1 August 2025, 00:00 UTC."""
MONTH_S = 30 * 86_400
DAILY_VOL = {"TSLA": 0.0266, "AAPL": 0.0121}
CONFIG = Config(gates={"max_quote_age_s": 900.0, "max_source_lag_s": float("inf")})
"""For polls every five minutes; sources of one poll cannot follow each other."""


def universe() -> Universe:
    """The issuer, a perp venue's mark and a pool of each share."""
    found = []
    for name in DAILY_VOL:
        found += [
            Instrument(venue="issuer", symbol=name, role=Role.SHARE, underlying=name, witness="issuer"),
            Instrument(venue="perp", symbol=f"{name}-mark", role=Role.SHARE, underlying=name, one_price=True),
            Instrument(venue="pool", symbol=f"{name}B/USD", role=Role.TOKEN, underlying=name, token=f"{name}B",
                       unit_model=UnitModel.REBASING, one_price=True),
        ]  # fmt: skip
    return Universe(tuple(found))


def polls(months: float, rng: np.random.Generator) -> I8:
    """Moments of the polls: 328 s apart, after every fourth or so a gap of twenty to fifty minutes."""
    count = int(months * MONTH_S / 328)
    gaps = np.where(rng.random(count) < 0.25, rng.uniform(1100, 3000, count), 328 + rng.normal(0, 1, count))
    at = np.cumsum(gaps)
    return BEGIN_NS + (at[at < months * MONTH_S] * NS).astype(np.int64)


def premium_bps(ts: I8, rng: np.random.Generator) -> F8:
    """The pool's premium at each poll."""
    count = len(ts)
    day = ((ts - ts[0]) // (86_400 * NS)).astype(np.int64)
    days = int(day[-1]) + 1
    level = rng.normal(-12, 8, days)[day]
    width = np.exp(rng.normal(0, 0.15, days))[day]
    shocks = rng.standard_t(6, count) / np.sqrt(1.5)
    noise = np.empty(count)
    last = 0.0
    for at, shock in enumerate(shocks.tolist()):
        last = 0.3 * last + 0.954 * shock
        noise[at] = last
    x = level + 35 * width * noise
    for at in np.flatnonzero(rng.random(count) < 1 / 1500).tolist():
        x[at : at + int(rng.integers(1, 4))] += rng.choice((-1, 1)) * rng.uniform(150, 250)
    return x


def market(months: float, seed: int) -> Rows:
    """All rows, in order."""
    rng = np.random.default_rng(seed)
    ts, sessions = polls(months, rng), load_sessions()
    clock, codes = variance_clock(sessions).many(ts), sessions.codes_at(ts)
    shut = (codes == Session.WEEKEND) | (codes == Session.HOLIDAY)
    records = []
    for place, (_name, vol) in enumerate(DAILY_VOL.items()):
        steps = np.sqrt(np.maximum(np.diff(clock, prepend=clock[0]), 0.0))
        log = np.log(300.0) + np.cumsum(vol * steps * rng.standard_t(5, len(ts)) / np.sqrt(5 / 3))
        open_at = np.maximum.accumulate(np.where(shut, -1, np.arange(len(ts))))
        issuer = np.exp(np.where(open_at >= 0, log[np.maximum(open_at, 0)], log[0]))
        mark = np.exp(log + 2e-4 * rng.standard_normal(len(ts)))
        pool = np.exp(log) * (1 + premium_bps(ts, rng) / 1e4)
        for number, kind, price, half in (
            (3 * place, Kind.REFERENCE, issuer, 2e-4),
            (3 * place + 1, Kind.REFERENCE, mark, 0.0),
            (3 * place + 2, Kind.QUOTE, pool, 0.0),
        ):
            part = np.zeros(len(ts), dtype=ROW)
            part["ts_recv"] = part["ts_venue"] = ts
            part["instrument"], part["kind"] = number, kind
            part["flags"] = 0 if half else Flag.ONE_PRICE
            # A live quote moves in its last digit; one over a weekend does not.
            part["bid"], part["ask"] = price * (1 - half), price * (1 + half)
            part["bid_size"] = part["ask_size"] = part["extra"] = NAN
            records.append(part)
    whole = np.concatenate(records)
    return Rows.from_records(whole[np.lexsort((whole["instrument"], whole["ts_recv"]))])


def run(months: float, seed: int) -> Run:
    """The rule over such months."""
    return watch(CONFIG, market(months, seed).blocks(50_000), universe(), rule_of(starting_table()))


def main() -> None:
    """Prints the alarms by token and month, and what the rule expects of itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begin = perf_counter()
    names, found = universe(), run(args.months, args.seed)
    for at, line in sorted(found.active.venues.items()):
        alarms = [ts for ts, _ in line.alarms(0, 2**62)]
        by_month = Counter(int((ts - BEGIN_NS) // (MONTH_S * NS)) for ts in alarms)
        strains = sum(1 for state, _ in line.states if state.name == "STRAINED")
        month = found.active.false_alarms_month.get(at, 0.0)
        most = max(by_month.values(), default=0)
        print(f"{names[at].name}: {len(alarms)} depegs in {args.months:g} months, at most {most} in one")
        print(f"  {strains} strains; expected by the rule: {month:.3g} depegs a month")
        for ts in alarms:
            print(f"  {datetime.fromtimestamp(ts / 1e9, UTC):%Y-%m-%d %H:%M}")
    print(f"tokens as a whole: {sum(len(line.alarms(0, 2**62)) for line in found.active.tokens.values())}")
    print(f"{perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
