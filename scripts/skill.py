"""Off-hours skill on real data: how near the filter comes to the open, beside the last close and a pool's own price.

`python scripts/skill.py [FOLDER]`, where FOLDER holds the shared market data (default: ../shared). Forecast times were
frozen before anybody looked: 20:00 of the evening before (Sunday 20:00 before a Monday), 00:00, 04:00 and 09:25 New
York. Nothing is fitted on the nights that are judged: parameters are the defaults of strategies/market/params.py, the
volatility that of strategies/market/fair.py (TSLA: the year to November 2023; AAPL the same).

- May 2026: TSLAx on two Solana pools, hourly candles (a close is known at the END of its hour, so 09:25 knows 09:00).
  Each pool is judged by a fair value that has not heard it: the last prices of the share and the other pool. Truth is
  the OPEN of the share's five-minute bar of 09:30; the last close is the close of the bar that ends at 16:00.
- August 2026: TSLA and AAPL, polls every five minutes. The pool is judged by what the issuer's quotes and the perp say.
  Truth is the issuer's mid at the first poll after 09:30 whose spread is under 50 bps; nights on which that is over
  five minutes late are shown and not judged, nor is the one whole weekend. Last close: the issuer's last mid by 16:00.

An interval is 95 % by drawing whole nights with replacement; where it holds 1, or there are fewer than six nights, it
cannot tell.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.config import Config  # noqa: E402 - a script starts in its own folder
from bot.forecast import forecasts  # noqa: E402
from bot.paths import prepare_kernel  # noqa: E402

prepare_kernel()

from bot.prints import Prints, read_prints  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.tables import print_table  # noqa: E402
from bot.tape_import import import_tape  # noqa: E402
from connectors.tape import open_tape  # noqa: E402
from strategies.market.fair import variance_clock  # noqa: E402
from strategies.market.params import Params  # noqa: E402
from strategies.market.scores import Interval, covered, crps, mean_ratio, pit, rms, rms_ratio, share_interval  # noqa: E402
from strategies.market.session import Session  # noqa: E402

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = 60 * 10**9
TIMES = ("20:00", "00:00", "04:00", "09:25")
MAX_LAG_S = 300.0
MAX_TRUTH_SPREAD_BPS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One forecast of one instrument; prices are logs."""

    night: date
    """Of the open that is forecast."""
    weekend: bool
    """The share was shut on the day before."""
    at: str
    name: str
    fair: float
    sd: float
    """One sigma of the truth: of the fair value now, and of what the share will move until the truth is known."""
    close: float
    close_sd: float
    pool: float
    """The price that stands against the fair value: the sister's in May, the pool's own in August."""
    truth: float
    lag_s: float = 0.0

    @property
    def judged(self) -> bool:
        """Whether the truth came in time."""
        return self.lag_s <= MAX_LAG_S


def nanoseconds(day: date, clock: str) -> int:
    """A moment of New York as ns UTC."""
    moment = datetime.combine(day, time.fromisoformat(clock), NEW_YORK)
    return int(moment.timestamp()) * 10**9


def regular_before(ns: int) -> tuple[int, int]:
    """Start and end (ns) of the last regular session that ended before a moment."""
    table = load_sessions()
    for at in range(int(np.searchsorted(table.starts, ns, side="right")) - 1, -1, -1):
        if table.codes[at] == Session.REGULAR and table.starts[at + 1] <= ns:
            return int(table.starts[at]), int(table.starts[at + 1])
    raise ValueError("no regular session before that")


def moments_of(day: date) -> dict[str, int]:
    """The forecast times of a night by name."""
    return {at: nanoseconds(day - timedelta(days=at == "20:00"), at) for at in TIMES}


def tape_of(files: list[Path], name: str) -> Prints:
    """The files as a tape through the map of that name, and its prints by the minute."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape"
        import_tape(files, ROOT / "tests" / "maps" / f"{name}.toml", path)
        return read_prints(open_tape(path), Config(), every_ns=MINUTE)


def last_by(prints: Prints, number: int, moment: int) -> float:
    """The last print (log) of an instrument by a moment; NaN without one."""
    upto = int(np.searchsorted(prints.moments, moment, side="right"))
    said = prints.z[:upto, number]
    said = said[np.isfinite(said)]
    return float(said[-1]) if len(said) else float("nan")


def cases(
    prints: Prints,
    params: Params,
    truths: dict[tuple[date, str], tuple[float, float]],
    pairs: dict[str, tuple[str, str]],
) -> list[Case]:
    """Every forecast. `truths`: (log price, lag in s) by night and underlying; `pairs`: by judged instrument the source
    of its last close and the instrument that it is held against."""
    nights = sorted({day for day, _ in truths})
    wanted = sorted({ns for day in nights for ns in moments_of(day).values()})
    said = forecasts(prints, params, wanted)
    clock = variance_clock(load_sessions())
    found = []
    for name, (source, rival) in pairs.items():
        number = prints.universe.number(name)
        underlying = prints.universe[number].underlying
        for day in nights:
            if (day, underlying) not in truths:
                continue
            truth, lag = truths[day, underlying]
            opened = nanoseconds(day, "09:30")
            begun, ended = regular_before(opened - 1)
            close = last_by(prints, prints.universe.number(source), ended)
            for at, ns in moments_of(day).items():
                row = wanted.index(ns)
                came = opened + round(lag * 1e9)
                ahead = params.vol(underlying) ** 2 * float(clock.at(came) - clock.at(ns))
                case = Case(
                    night=day,
                    weekend=opened - begun > 25 * 60 * MINUTE,
                    at=at,
                    name=name,
                    fair=float(said.value[row, number]),
                    sd=float(said.sd[row, number] ** 2 + ahead) ** 0.5,
                    close=close,
                    close_sd=params.vol(underlying) * float(clock.at(came) - clock.at(ended)) ** 0.5,
                    pool=last_by(prints, prints.universe.number(rival), ns),
                    truth=truth,
                    lag_s=lag,
                )
                if np.isfinite([case.fair, case.close, case.pool]).all():
                    found.append(case)
    return found


def may(shared: Path) -> list[Case]:
    """May 2026: each pool against the open of the share, by the other pool."""
    data = shared / "data"
    bars = data / "us_equity_2025_2026" / "yahoo_5m.csv.gz"
    prints = tape_of([data / "xstocks_solana_2026-06" / "ohlcv.csv.gz", bars], "xstocks_2026_06")
    frame = pd.read_csv(bars)
    frame = frame[(frame["symbol"] == "TSLA") & (frame["volume"] > 0)]
    opened = pd.to_datetime(frame["ts_utc_open"], utc=True).dt.tz_convert(NEW_YORK)
    first = opened.dt.strftime("%H:%M") == "09:30"
    truths = {
        (at.date(), "TSLA"): (float(np.log(price)), 0.0)
        for at, price in zip(opened[first], frame["open"][first], strict=True)
    }
    raydium, orca = "raydium:TSLAX/USD", "orca:TSLAX/USD"
    return cases(prints, Params(), truths, {raydium: ("yahoo:TSLA", orca), orca: ("yahoo:TSLA", raydium)})


def august(shared: Path) -> list[Case]:
    """August 2026: the pools of TSLA and AAPL against the issuer's first narrow quote after the open."""
    file = shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"
    prints = tape_of([file], "multivenue_2026_08")
    frame = pd.read_csv(file)
    frame["at"] = pd.to_datetime(frame["ts"], utc=True, format="ISO8601").dt.tz_convert(NEW_YORK)
    truths = {}
    for symbol in ("TSLA", "AAPL"):
        mine = frame[frame["symbol"] == symbol].sort_values("at")
        mid = (mine["rh_bid"] + mine["rh_ask"]) / 2
        narrow = (mine["rh_ask"] - mine["rh_bid"]) / mid * 1e4 < MAX_TRUTH_SPREAD_BPS
        for day in sorted(set(mine["at"].dt.date)):
            opened = datetime.combine(day, time(9, 30), NEW_YORK)
            if load_sessions().at(nanoseconds(day, "09:30")) is not Session.REGULAR:
                continue
            after = (mine["at"] > opened) & (mine["at"] < opened + timedelta(hours=6.5)) & narrow
            if after.any():
                at = int(np.argmax(after.to_numpy()))
                lag = (mine["at"].iloc[at] - opened).total_seconds()
                truths[day, symbol] = (float(np.log(mid.iloc[at])), lag)
    pairs = {f"bsc-pool:{s}B/USD": (f"rh:{s}", f"bsc-pool:{s}B/USD") for s in ("TSLA", "AAPL")}
    return cases(prints, Params(), truths, pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Skill at one forecast time."""

    at: str
    fair_bps: float
    close_bps: float
    pool_bps: float
    to_close: Interval
    to_pool: Interval
    crps_to_close: Interval
    coverage: Interval
    pit: list[int]
    """How many PITs fall in each quarter; even where the error bar is honest."""


def skill(some: list[Case], at: str) -> Line:
    """RMSEs at one forecast time, their ratios, and how honest the error was."""
    chance = np.random.default_rng(20260511)
    fair, sd, close, close_sd, pool, truth = (
        np.array([getattr(case, name) for case in some])
        for name in ("fair", "sd", "close", "close_sd", "pool", "truth")
    )
    night = np.array([case.night.toordinal() for case in some])
    return Line(
        at=at,
        fair_bps=rms(fair - truth) * 1e4,
        close_bps=rms(close - truth) * 1e4,
        pool_bps=rms(pool - truth) * 1e4,
        to_close=rms_ratio(fair - truth, close - truth, night, chance),
        to_pool=rms_ratio(fair - truth, pool - truth, night, chance),
        crps_to_close=mean_ratio(crps(fair, sd, truth), crps(close, close_sd, truth), night, chance),
        coverage=share_interval(covered(fair, sd, truth), night),
        pit=np.histogram(pit(fair, sd, truth), 4, (0, 1))[0].tolist(),
    )


def lines(some: list[Case]) -> list[Line]:
    """By forecast time, nights and weekends together and at 20:00 also apart."""
    found = []
    for at in TIMES:
        mine = [case for case in some if case.at == at]
        found.append(skill(mine, at))
        if at == "20:00":
            shut = [case for case in mine if case.weekend]
            week = [case for case in mine if not case.weekend]
            found += [skill(part, name) for part, name in ((week, "20:00 nights"), (shut, "Sunday 20:00")) if shut]
    return found


def told(ratio: Interval) -> str:
    """A ratio with its interval, and whether that says anything."""
    words = {"below": "better", "above": "worse"}.get(ratio.against(1.0), "cannot tell")
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] {words}"


def show(title: str, some: list[Case]) -> None:
    """Prints what the forecasts were worth, and how honest their error was."""
    found = lines(some)
    columns = ("at", "n", "nights", "fair", "close", "pool", "fair / close", "PIT by quarters")
    rows: list[tuple[str, ...]] = []
    for line in found:
        sizes = (str(line.to_close.n), str(line.to_close.clusters))
        errors = tuple(f"{bps:.1f}" for bps in (line.fair_bps, line.close_bps, line.pool_bps))
        rows.append((line.at, *sizes, *errors, told(line.to_close), " ".join(str(count) for count in line.pit)))
    print_table(columns, rows, title=f"{title}: RMSE, bps", numbers=columns[1:6], whole=columns)
    if found[0].to_close.against(1.0) != "below":
        print("at 20:00 there is next to no skill to have: what moves the open has not happened yet")
    columns = ("at", "fair / pool", "CRPS fair / close", "in the 95 % band")
    rows = []
    for line in found:
        cover = f"{line.coverage.value:.0%} [{line.coverage.low:.0%}, {line.coverage.high:.0%}]"
        rows.append((line.at, told(line.to_pool), told(line.crps_to_close), cover))
    print_table(columns, rows, whole=columns)
    print()


def main() -> None:
    """Prints both tables."""
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared")
    if not (shared / "data").is_dir():
        sys.exit(f"skill: {shared} holds no market data (usage: python scripts/skill.py [FOLDER])")
    show("May 2026, TSLAx, each pool without itself", may(shared))
    found = august(shared)
    for day, lag in sorted({(case.night, case.lag_s) for case in found}):
        print(f"{day}: truth {lag / 60:.1f} min after 09:30{'' if lag <= MAX_LAG_S else ', not judged'}")
    show("August 2026, TSLA and AAPL pooled", [c for c in found if c.judged and not c.weekend])
    show("August 2026, not judged (late truth, weekend)", [c for c in found if not c.judged or c.weekend])


if __name__ == "__main__":
    main()
