"""Pictures of a premium as inline SVG: over time with its band, and by hour of the week. What is unknown is a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from bot.sessions import load_sessions
from connectors.events import F8, I8, NS
from monitoring.narrate import utc
from strategies.market.peg_stats import baseline
from strategies.market.session import Session

NEW_YORK: Final = ZoneInfo("America/New_York")
WIDTH: Final = 960
LEFT: Final = 64
RIGHT: Final = 8
TOP: Final = 8
PLOT: Final = 220
"""Height of the premium's field."""
STRIP: Final = 10
SCORES: Final = 60
BINS: Final = 480
"""More prints than this are drawn as the span and the median of those that share a column."""
SIGMAS: Final = 2.0
"""Half the width of the fair value's band."""
OWN: Final = 4.0
"""Where no band is given, outside is so many robust deviations off the session's median."""
LEAST_CELL: Final = 3
"""A cell of the heat map with fewer prints is empty."""
Place = Callable[[float], float]
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is drawn of one token on one venue; arrays of one length, in order of time."""

    ts: I8
    premium_bps: F8
    error_bps: F8 | None
    """One sigma of the fair value; None against a last price, which has none."""
    band_bps: Mapping[str, float] | None
    """What counts as outside, by session; None takes the premium's own band."""
    gap_ns: int
    unknown_ts: Sequence[int] = ()
    """Prints whose fair value was unknown."""
    scores: Sequence[tuple[int, float | None]] = ()

    @property
    def silence_ns(self) -> int:
        """A longer time between two prints is drawn as a gap, unless that is how they usually are."""
        usual = int(np.median(np.diff(self.ts))) if len(self.ts) > 1 else 0
        return max(self.gap_ns, 4 * usual)


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of prints outside the band, and its largest premium."""

    start: int
    end: int
    worst_bps: float


def spells(track: Track) -> list[Spell]:
    """Stretches outside the band, each until the first print inside or the last one before a silence."""
    codes = load_sessions().codes_at(track.ts)
    middle, width = np.zeros(len(track.ts)), np.full(len(track.ts), np.inf)
    for session in Session:
        its = codes == session
        if track.band_bps is not None:
            width[its] = track.band_bps.get(session.label, np.inf)
        elif its.any():
            ordinary = baseline(track.premium_bps[its])
            middle[its], width[its] = ordinary.median, OWN * ordinary.scale if ordinary.mad > 0 else np.inf
    outside = np.abs(track.premium_bps - middle) > width
    found: list[Spell] = []
    start, silence_ns = -1, track.silence_ns
    for at, (out, ts) in enumerate(zip(outside.tolist(), track.ts.tolist(), strict=True)):
        silent = at > 0 and ts - int(track.ts[at - 1]) > silence_ns
        if start >= 0 and (silent or not out):
            end = int(track.ts[at - 1]) if silent else ts
            inside = track.premium_bps[start:at]
            found.append(Spell(int(track.ts[start]), end, float(inside[np.argmax(np.abs(inside))])))
            start = -1
        if out and start < 0:
            start = at
    if start >= 0:
        inside = track.premium_bps[start:]
        found.append(Spell(int(track.ts[start]), int(track.ts[-1]), float(inside[np.argmax(np.abs(inside))])))
    return found


def over_time(track: Track, start: int, end: int) -> str:
    """The premium with the band of the fair value, sessions shaded, spells and unknown stretches marked, and below it
    the score where there is one."""
    low, high = _range(track)
    height = TOP + PLOT + 3 * STRIP + (SCORES + 18 if track.scores else 0) + 22

    def x(ts: float) -> float:
        return LEFT + (ts - start) / max(1, end - start) * (WIDTH - LEFT - RIGHT)

    def y(bps: float) -> float:
        return TOP + (high - min(max(bps, low), high)) / (high - low) * PLOT

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="premium over time">']
    parts += _shades(start, end, x, height - 22) + _dates(start, end, x, height)
    parts += [
        f'<line class="{"zero" if value == 0 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
        f'y2="{y(value):.1f}"/><text class="tick end" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{signed(value)}</text>'
        for value in _ticks(low, high)
    ]
    parts += _error(track, x, y) + _thresholds(track, start, end, x, y, low, high) + _line(track, x, y, low, high)
    base = TOP + PLOT + 4
    parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{base + 8}">out</text>')
    parts += [
        f'<rect class="spell" x="{x(one.start):.1f}" y="{base}" width="{max(1.5, x(one.end) - x(one.start)):.1f}" '
        f'height="{STRIP - 2}"><title>{escape(utc(one.start))} to {escape(utc(one.end))}: up to {one.worst_bps:+.0f} '
        "bps</title></rect>"
        for one in spells(track)
    ]
    base += STRIP
    if len(track.unknown_ts):
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{base + 9}">unknown</text>')
        parts += [
            f'<rect class="unknown" x="{x(first):.1f}" y="{base + 1}" width="{max(1.5, x(last) - x(first)):.1f}" '
            f'height="{STRIP - 2}"><title>the fair value is unknown</title></rect>'
            for first, last in _stretches(track.unknown_ts, track.silence_ns)
        ]
    base += 2 * STRIP
    if track.scores:
        parts += _scores(track, x, base)
    return "".join(parts) + "</svg>"


def by_hour(track: Track) -> str:
    """Median premium by hour of the week, New York; hours with too few prints are empty."""
    when = [datetime.fromtimestamp(ts / NS, tz=UTC).astimezone(NEW_YORK) for ts in track.ts.tolist()]
    place = np.array([moment.weekday() * 24 + moment.hour for moment in when], np.int64)
    medians = np.full(168, np.nan)
    for cell in np.unique(place).tolist():
        its = track.premium_bps[place == cell]
        if len(its) >= LEAST_CELL:
            medians[cell] = float(np.median(its))
    known = np.abs(medians[np.isfinite(medians)])
    most = max(float(np.quantile(known, 0.95)), 1.0) if len(known) else 1.0
    across, down = (WIDTH - LEFT - RIGHT) / 24, 22
    parts = [f'<svg viewBox="0 0 {WIDTH} {7 * down + 22}" role="img" aria-label="premium by hour of the week">']
    for day, name in enumerate(DAYS):
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{day * down + 15}">{name}</text>')
        for hour in range(24):
            value = medians[day * 24 + hour]
            left = LEFT + hour * across
            box = f'x="{left:.1f}" y="{day * down}" width="{across - 1.5:.1f}" height="{down - 1.5}"'
            if np.isnan(value):
                parts.append(f'<rect class="empty" {box}><title>too few prints</title></rect>')
                continue
            shade = min(1.0, abs(value) / most) * 0.75
            tone = "above" if value > 0 else "below"
            parts.append(f'<rect class="{tone}" fill-opacity="{shade:.2f}" {box}/>')
            parts.append(f'<text class="cell" x="{left + across / 2:.1f}" y="{day * down + 15}">{signed(value)}</text>')
    parts += [
        f'<text class="tick mid" x="{LEFT + (hour + 0.5) * across:.1f}" y="{7 * down + 14}">{hour:02d}:00</text>'
        for hour in range(0, 24, 3)
    ]
    return "".join(parts) + "</svg>"


# --- parts of a picture


def _range(track: Track) -> tuple[float, float]:
    """The field's lower and upper end, bps: all prints but those far beyond the others, zero, and the thresholds unless
    they are far away."""
    if not len(track.premium_bps):
        return -10.0, 10.0
    rare, middle, many = (float(q) for q in np.quantile(track.premium_bps, (0.003, 0.5, 0.997)))
    low = max(float(track.premium_bps.min()), middle - 2 * (middle - rare))
    high = min(float(track.premium_bps.max()), middle + 2 * (many - middle))
    reach = max(abs(low), abs(high), 5.0)
    limits = [limit for limit in (track.band_bps or {}).values() if limit < 2 * reach]
    low, high = min(low, 0.0, *(-limit for limit in limits)), max(high, 0.0, *limits)
    pad = 0.08 * (high - low) or 5.0
    return low - pad, high + pad


def _ticks(low: float, high: float) -> list[float]:
    """Round values within a range, about six."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(s * power) for s in (1, 2, 5, 10) if s * power >= rough)
    first = int(np.ceil(low / step))
    return [round(at * step, 6) for at in range(first, int(high // step) + 1)]


def signed(bps: float) -> str:
    """Whole bps with their sign; 0 has none."""
    return f"{bps:+.0f}" if round(bps) else "0"


def _shades(start: int, end: int, x: Place, height: float) -> list[str]:
    """A stripe for each session but the regular one."""
    return [
        f'<rect class="s-{session.label}" x="{x(max(a, start)):.1f}" y="{TOP}" '
        f'width="{x(min(b, end)) - x(max(a, start)):.1f}" height="{height - TOP}"><title>{session.label}</title></rect>'
        for a, b, session in _spans(start, end)
        if session is not Session.REGULAR
    ]


def _spans(start: int, end: int) -> Iterator[tuple[int, int, Session]]:
    """The sessions that touch a span of time."""
    table = load_sessions()
    at = start
    while at < end:
        change = min(table.next_change(at), end)
        yield at, change, table.at(at)
        at = change


def _error(track: Track, x: Place, y: Place) -> list[str]:
    """The area of SIGMAS errors of the fair value around zero."""
    if track.error_bps is None:
        return []
    found = []
    for piece in _pieces(track):
        every = np.arange(len(track.ts))[piece]
        if len(every) > BINS:
            every = every[:: -(-len(every) // BINS)]
        points = [(x(int(track.ts[at])), SIGMAS * float(track.error_bps[at])) for at in every.tolist()]
        if len(points) == 1:
            points = [(points[0][0] - 0.7, points[0][1]), (points[0][0] + 0.7, points[0][1])]
        upper = " ".join(f"{px:.1f},{y(width):.1f}" for px, width in points)
        lower = " ".join(f"{px:.1f},{y(-width):.1f}" for px, width in reversed(points))
        found.append(f'<polygon class="error" points="{upper} {lower}"/>')
    return found


def _thresholds(track: Track, start: int, end: int, x: Place, y: Place, low: float, high: float) -> list[str]:
    """Steps of the given band, session by session."""
    return [
        f'<line class="limit" x1="{x(a):.1f}" x2="{x(b):.1f}" y1="{y(level):.1f}" y2="{y(level):.1f}"/>'
        for a, b, session in _spans(start, end)
        if track.band_bps is not None and session.label in track.band_bps
        for level in (track.band_bps[session.label], -track.band_bps[session.label])
        if low < level < high
    ]


def _pieces(track: Track) -> list[slice]:
    """Stretches of prints without a silence between them."""
    breaks = [0, *(np.flatnonzero(np.diff(track.ts) > track.silence_ns) + 1).tolist(), len(track.ts)]
    return [slice(a, b) for a, b in pairwise(breaks) if b > a]


def _line(track: Track, x: Place, y: Place, low: float, high: float) -> list[str]:
    """The premium: a line through its prints, or the span and median of each column where they are many."""
    found: list[str] = []
    many = len(track.ts) > 4 * BINS
    for piece in _pieces(track):
        ts, bps = track.ts[piece], track.premium_bps[piece]
        if many:
            column = np.array([round(x(int(t)) / (WIDTH / BINS)) for t in ts.tolist()])
            edges = np.flatnonzero(np.diff(column)) + 1
            groups = list(zip(np.split(ts, edges), np.split(bps, edges), strict=True))
            spans = [f"M{x(int(np.median(t))):.1f},{y(float(v.min())):.1f}V{y(float(v.max())):.1f}" for t, v in groups]
            found.append(f'<path class="span" d="{"".join(spans)}"/>')
            ts = np.array([int(np.median(t)) for t, _ in groups])
            bps = np.array([float(np.median(v)) for _, v in groups])
        if len(ts) == 1:
            found.append(f'<circle class="dot" cx="{x(int(ts[0])):.1f}" cy="{y(float(bps[0])):.1f}" r="1.5"/>')
            continue
        points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(ts.tolist(), bps.tolist(), strict=True))
        found.append(f'<polyline class="premium" points="{points}"/>')
    for t, v in zip(track.ts.tolist(), track.premium_bps.tolist(), strict=True):
        if not low <= v <= high:
            tip = y(v)
            turn = 6 if v > high else -6
            found.append(
                f'<path class="beyond" d="M{x(t) - 4:.1f},{tip + turn:.1f}h8l-4,{-turn}z"><title>{escape(utc(t))}: '
                f"{v:+.0f} bps</title></path>"
            )
    return found


def _stretches(moments: Sequence[int], silence_ns: int) -> list[tuple[int, int]]:
    """First and last moment of each run of moments without a silence between them."""
    ts = np.array(moments, np.int64)
    breaks = [0, *(np.flatnonzero(np.diff(ts) > silence_ns) + 1).tolist(), len(ts)]
    return [(int(ts[a]), int(ts[b - 1])) for a, b in pairwise(breaks) if b > a]


def _scores(track: Track, x: Place, base: float) -> list[str]:
    """The score over time; where it was unknown the line is broken."""
    found = [
        f'<line class="{"zero" if level == 50 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
        f'y1="{base + (100 - level) / 100 * SCORES:.1f}" y2="{base + (100 - level) / 100 * SCORES:.1f}"/>'
        f'<text class="tick end" x="{LEFT - 6}" y="{base + (100 - level) / 100 * SCORES + 4:.1f}">{level}</text>'
        for level in (0, 50, 100)
    ]
    run: list[str] = []
    for ts, score in [*track.scores, (0, None)]:
        if score is not None:
            run.append(f"{x(ts):.1f},{base + (100 - score) / 100 * SCORES:.1f}")
            continue
        if len(run) == 1:
            px, py = run[0].split(",")
            found.append(f'<circle class="scored" cx="{px}" cy="{py}" r="1.5"/>')
        elif run:
            found.append(f'<polyline class="score" points="{" ".join(run)}"/>')
        run = []
    return found


def _dates(start: int, end: int, x: Place, height: float) -> list[str]:
    """Midnights of New York below the picture, at most about ten of them."""
    first = datetime.fromtimestamp(start / NS, tz=UTC).astimezone(NEW_YORK).date()
    days = max(1, round((end - start) / NS / 86_400))
    found = []
    for day in range(0, days + 2, -(-days // 10)):
        moment = datetime.combine(first + timedelta(days=day), datetime.min.time(), NEW_YORK)
        ts = int(moment.timestamp()) * NS
        if start <= ts <= end:
            found.append(f'<line class="day" x1="{x(ts):.1f}" x2="{x(ts):.1f}" y1="{TOP}" y2="{height - 20}"/>')
            if x(ts) < WIDTH - 72:
                named = f"{moment:%a} {moment.day} {moment:%b}"
                found.append(f'<text class="tick" x="{x(ts) + 3:.1f}" y="{height - 6}">{named}</text>')
    return found
