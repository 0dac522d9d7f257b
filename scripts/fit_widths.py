"""Fits how fast the error of a fair value grows in each session, and prints the numbers for strategies/market/fair.py.

`python scripts/fit_widths.py [FOLDER]`, where FOLDER holds the shared market data (default: ../shared). What it does:

1. Cuts each file of daily bars in two halves in time. Everything is fitted on the first half.
2. Daily volatility of a share: 68.27 % of its absolute open-to-close log returns of the last 252 days of that half are
   below it. A quantile, not a standard deviation, since one sigma shall cover 68 % and returns have fat tails.
3. Shape of a night: realised variance per hour of post, overnight and pre against regular, from the oracle prices of
   share perps (August 2026, steps of 15 minutes to 3 hours within one session; robust: median of squared moves; median
   over the shares). Close-to-open returns cannot tell the three apart. Lean's minute quotes check pre and post.
4. Level: the 68.27 % quantiles (squared, in daily variances of the same half) of the close-to-open returns of the
   three classes of span (night, weekend, holiday) give the three unknowns: level of the night, weekend, holiday.
5. Prints coverage on the second half by class of span, next to that of a constant width and of closed markets at rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bot.sessions import load_sessions
from connectors.events import NEVER
from strategies.market.fair import DEFAULT_DAILY_VOL_BPS, RATE_PER_NS, SESSION_DAYS_PER_HOUR, variance_clock
from strategies.market.session import Session, SessionTable

HOUR = 3600 * 10**9
ONE_SIGMA = 0.6827
YEAR = 252
DAILY = {"AAPL": "yahoo_1d", "AMZN": "yahoo_1d", "TSLA": "yahoo_1d", "SPY": "sds_1d"}
NIGHT = (Session.POST, Session.OVERNIGHT, Session.PRE)
INTRADAY = ("yahoo_5m", "yahoo_1h", "sds_5m")
AGES_S = (300, 1800, 7200)
SPANS = ("regular day", "night", "weekend", "holiday")


@dataclass(frozen=True)
class Spans:
    """Log returns in bps of one share over [start, end) ns, each with the name of its class."""

    symbol: str
    kind: np.ndarray
    start: np.ndarray
    end: np.ndarray
    bps: np.ndarray

    def half(self, first: bool) -> Spans:
        """The spans that end in the first half of the time covered, or the others."""
        middle = (self.start.min() + self.end.max()) // 2
        part = (self.end <= middle) == first
        return Spans(self.symbol, self.kind[part], self.start[part], self.end[part], self.bps[part])


def daily_spans(folder: Path, symbol: str, table: SessionTable) -> Spans:
    """Open-to-close and close-to-open returns of a share; dividends are adjusted where the file has them."""
    bars = pd.read_csv(folder / "data" / "us_equity_2025_2026" / f"{DAILY[symbol]}.csv.gz")
    bars = bars[(bars["symbol"] == symbol) & (bars["volume"] > 0)]
    day = pd.to_datetime(bars["ts_utc_open"], utc=True).dt.date.to_numpy()
    opens, closes = (bars[f"adj{c}" if f"adj{c}" in bars else c].to_numpy() for c in ("open", "close"))
    regular = np.flatnonzero(table.codes == Session.REGULAR)
    hours = {
        at.date(): (int(table.starts[i]), int(table.starts[i + 1]))
        for i, at in zip(regular, pd.to_datetime(table.starts[regular]), strict=True)
    }
    begin, end = np.array([hours[d] for d in day]).T
    kinds = []
    for before, after in zip(end[:-1], begin[1:], strict=True):
        seen = set(table.codes[np.searchsorted(table.starts, before) : np.searchsorted(table.starts, after)].tolist())
        kinds.append("holiday" if Session.HOLIDAY in seen else "weekend" if Session.WEEKEND in seen else "night")
    night = np.log(opens[1:] / closes[:-1]) * 1e4
    return Spans(
        symbol,
        np.array(["regular day"] * len(day) + kinds),
        np.concatenate((begin, end[:-1])),
        np.concatenate((end, begin[1:])),
        np.concatenate((np.log(closes / opens) * 1e4, night)),
    )


def intraday_spans(folder: Path, name: str, table: SessionTable) -> Iterator[Spans]:
    """Returns within a regular session over the ages of AGES_S that the file's bars allow, from bar end to bar end."""
    bars = pd.read_csv(folder / "data" / "us_equity_2025_2026" / f"{name}.csv.gz")
    bars = bars[(bars["volume"] > 0) & ~bars["symbol"].str.contains("-")]
    step = int(name.split("_")[1][:-1]) * (60 if name.endswith("m") else 3600) * 10**9
    for symbol, group in bars.groupby("symbol"):
        at = pd.to_datetime(group["ts_utc_open"], utc=True).astype("datetime64[ns, UTC]").astype("int64").to_numpy()
        at, price = at + step, group["close"].to_numpy()
        regular = table.codes_at(at - 1) == Session.REGULAR
        at, price = at[regular], price[regular]
        for age in (age for age in AGES_S if age * 10**9 >= step):
            later = np.minimum(np.searchsorted(at, at + age * 10**9), len(at) - 1)
            good = (at[later] - at == age * 10**9) & (at[later] // (24 * HOUR) == at // (24 * HOUR))
            kind = np.full(good.sum(), f"regular {age // 60} min")
            moved = np.log(price[later] / price)[good] * 1e4
            yield Spans(str(symbol), kind, at[good], at[later][good], moved)


def width(values: np.ndarray) -> float:
    """The width that covers ONE_SIGMA of the absolute values."""
    return float(np.quantile(np.abs(values), ONE_SIGMA))


def night_shape(folder: Path, table: SessionTable) -> dict[Session, float]:
    """Variance per hour of post, overnight and pre in units of the regular one, from the oracles of share perps."""
    polls = pd.read_csv(folder / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz")
    polls = polls.dropna(subset=["hl_oracle"])
    found = []
    for _, group in polls[polls["symbol"] != "GOLD"].groupby("symbol"):
        at = pd.to_datetime(group["ts"], utc=True, format="ISO8601").astype("datetime64[ns, UTC]").astype("int64")
        at, price = at.to_numpy(), np.log(group["hl_oracle"].to_numpy())
        kept = [0]
        for n in range(1, len(at)):
            if at[n] - at[kept[-1]] >= HOUR // 4:
                kept.append(n)
        at, price = at[kept], price[kept]
        code, hours = table.codes_at(at), np.diff(at) / HOUR
        together = (code[1:] == code[:-1]) & (hours < 3)
        rate = {
            s: np.median(np.diff(price)[m] ** 2 / hours[m]) for s in Session if any(m := together & (code[1:] == s))
        }
        found.append([rate[s] / rate[Session.REGULAR] for s in NIGHT])
    return dict(zip(NIGHT, np.median(found, axis=0).tolist(), strict=True))


def fit(spans: list[Spans], shape: dict[Session, float], table: SessionTable) -> dict[Session, float]:
    """Regular days of variance per hour, by session, from the close-to-open spans of the first half."""
    pull, wanted = [], []
    for kind in ("night", "weekend", "holiday"):
        chosen = [(s, s.kind == kind) for s in spans]
        scaled = np.concatenate([s.bps[of] / width(s.bps[s.kind == "regular day"]) for s, of in chosen])
        edges = [pair for s, of in chosen for pair in zip(s.start[of], s.end[of], strict=True)]
        hours = np.mean([hours_by_session(table, start, end) for start, end in edges], axis=0)
        night = sum(hours[session] * shape[session] for session in NIGHT) / 6.5
        pull.append([night, hours[Session.WEEKEND], hours[Session.HOLIDAY]])
        wanted.append(width(scaled) ** 2)
        print(f"  {kind:8} {len(scaled):5} spans, {width(scaled) ** 2:.3f} daily variances")
    level, weekend, holiday = np.linalg.solve(np.array(pull), np.array(wanted)).tolist()
    night_rates = {session: level * shape[session] / 6.5 for session in NIGHT}
    return {**night_rates, Session.REGULAR: 1 / 6.5, Session.WEEKEND: weekend, Session.HOLIDAY: holiday}


def hours_by_session(table: SessionTable, start: int, end: int) -> list[float]:
    """How many hours of each session lie in [start, end)."""
    inner = table.starts[np.searchsorted(table.starts, start, side="right") : np.searchsorted(table.starts, end)]
    edges = np.concatenate(([start], inner, [end]))
    codes = table.codes_at(edges[:-1])
    return [float(np.diff(edges)[codes == session].sum() / HOUR) for session in Session]


def daily_vol(spans: Spans, before: int = NEVER) -> float:
    """Daily volatility in bps: the width of the last YEAR open-to-close returns that end by `before` (ns)."""
    return width(spans.bps[(spans.kind == "regular day") & (spans.end <= before)][-YEAR:])


def coverage(folder: Path, table: SessionTable, rates: np.ndarray) -> dict[str, list[np.ndarray]]:
    """By class of span of the second half: absolute return, this model's sigma, and daily volatility, all in bps.

    The days, nights and weekends use the shipped volatilities; spans within a day use that of the year before them.
    """
    clock = variance_clock(table, rates)
    daily = {symbol: daily_spans(folder, symbol, table) for symbol in DAILY}
    parts = [(spans.half(first=False), DEFAULT_DAILY_VOL_BPS[symbol]) for symbol, spans in daily.items()]
    for name in INTRADAY:
        halves = [spans.half(first=False) for spans in intraday_spans(folder, name, table)]
        parts += [(half, daily_vol(daily[half.symbol], int(half.start.min()))) for half in halves]
    found: dict[str, list[np.ndarray]] = {}
    for half, vol in parts:
        days = clock.many(half.end) - clock.many(half.start)
        for kind in np.unique(half.kind).tolist():
            of = half.kind == kind
            block = np.array([np.abs(half.bps[of]), vol * np.sqrt(days[of]), np.full(of.sum(), vol)])
            found.setdefault(kind, []).append(block)
    return found


def main() -> None:
    """Prints the fit and its coverage."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared")
    table = load_sessions()
    first = [daily_spans(folder, symbol, table).half(first=True) for symbol in DAILY]
    shape = night_shape(folder, table)
    print("daily volatility, bps:", {s.symbol: round(daily_vol(s)) for s in first})
    print("shape of a night against regular:", {s.label: round(value, 3) for s, value in shape.items()})
    rates = fit(first, shape, table)
    for session in sorted(rates):
        shipped = SESSION_DAYS_PER_HOUR[session]
        print(f"  {session.label:10} {rates[session]:.4f} days per hour (shipped {shipped:.4f})")
    found = {kind: np.concatenate(blocks, axis=1) for kind, blocks in coverage(folder, table, RATE_PER_NS).items()}
    at_rest = np.where(np.arange(len(RATE_PER_NS)) == Session.REGULAR, RATE_PER_NS, 0.0)
    resting = {kind: np.concatenate(blocks, axis=1) for kind, blocks in coverage(folder, table, at_rest).items()}
    scaled = [s.bps[np.isin(s.kind, SPANS)] / DEFAULT_DAILY_VOL_BPS[s.symbol] for s in first]
    constant = width(np.concatenate(scaled))
    found["all of these"] = np.concatenate([found[kind] for kind in SPANS], axis=1)
    resting["all of these"] = np.concatenate([resting[kind] for kind in SPANS], axis=1)
    print(f"coverage on the second half: this model, constant width of {constant:.2f} daily sigmas, closed at rest")
    for kind, (moved, sigma, vol) in found.items():
        shares = (moved <= sigma, moved <= constant * vol, resting[kind][0] <= resting[kind][1])
        print(f"  {kind:16} {len(moved):6}" + "".join(f"{share.mean():8.1%}" for share in shares))


if __name__ == "__main__":
    main()
