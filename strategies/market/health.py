"""How healthy one token's peg is on one venue: parts, each held against the token's own history, and one score.

A part is a tail probability: how often this token looked at least as bad in its own past, in the same kind of session
where sessions differ (50 is ordinary, 1 is what one reading in a hundred shows). The newest hour is in no history. The
score puts the parts together by the weighted Cauchy combination (Liu and Xie 2020),

    T = sum w tan(pi (1/2 - p)) / sum w,   score = 100 (1/2 - arctan(T) / pi)

which is again a tail probability, however the parts hang together: a single rare part makes it small, many ordinary
ones do not hide it, and in ordinary times it is below 5 in about one reading of twenty. What is unknown has no part;
without a premium there is no score. A silent venue is unknown, not healthy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import atan, isfinite, log, pi, tan
from typing import Final

import numpy as np

from connectors.events import F8, NAN, NS
from strategies.market.history import History, Ring, Trend
from strategies.market.lead import Lead, lead, tracking_beta
from strategies.market.ou import HalfLife, half_life
from strategies.market.peg_stats import Baseline
from strategies.market.session import Session
from strategies.market.wash import FLAGGED, Wash

BY_SESSION: Final = ("premium", "spell", "spread", "depth")
"""Parts that are ordinary at other levels in other sessions."""
EITHER_WAY: Final = ("premium", "lead")
"""Parts of which both sides of the ordinary are worse; of the others more is."""
PARTS: Final = (*BY_SESSION, "drift", "reversion", "lead", "beta", "supply", "multiplier", "wash")
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "premium": 3.0, "spell": 2.0, "drift": 2.0, "reversion": 1.0, "spread": 1.0, "depth": 2.0, "lead": 1.0,
    "beta": 1.0, "supply": 3.0, "multiplier": 3.0, "wash": 1.0,
}  # fmt: skip
GOOD: Final = 0.9
"""A part counts for at most this much: what is better than ordinary must not hide what is rare."""
FACT: Final = 0.001
"""The tail of what is wrong whatever the history: supply beyond its backing, a split that a venue missed."""
BACKED: Final = 1.001
"""Supply over disclosed backing up to which both are the same number, told at different moments."""
_ASKED: Final = [Ring.COLUMNS.index(name) for name in ("premium_bps", "spread_bps", "depth_usd")]
DAY: Final = 24
"""Hourly readings of the premium that a drift is averaged over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a token is held against. Raises ValueError for weights that are negative, unknown or all zero."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    window_ns: int = 3600 * NS
    """A reading looks back so far; one such window is one value of the history."""
    history: int = 120
    """Readings that are kept of each part, in each kind of session where they differ."""
    least_prints: int = 5
    """Prints that a reading needs."""
    band_sigmas: float = 3.0
    """Robust standard deviations from the session's own median at which a print is outside."""
    gap_ns: int = 1800 * NS
    """A longer silence ends a spell, and is unknown."""

    def __post_init__(self) -> None:
        """Refuses weights without a meaning."""
        unknown = sorted(set(self.weights) - set(PARTS))
        if unknown or not all(0 <= w < float("inf") for w in self.weights.values()) or not any(self.weights.values()):
            raise ValueError(f"weights are 0 or more, one of them above 0, for {', '.join(PARTS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What is known at one moment. Tails by part, 0 to 1; a part that is unknown is absent."""

    ts: int
    score: float
    """0 to 100."""
    tails: Mapping[str, float]
    readings: Mapping[str, float]
    """The values that the tails are of: bps, seconds, USD, ratios, by part; and what is shown beside them."""


def combined(tails: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The score of parts, 0 to 100; NaN where no part with a weight is known."""
    total = sums = 0.0
    for name, tail in tails.items():
        weight = weights.get(name, 0.0)
        total += weight
        sums += weight * tan(pi * (0.5 - min(tail, GOOD)))
    return 100 * (0.5 - atan(sums / total) / pi) if total > 0 else NAN


def missed_split(price: float, others: float, before: float, after: float, noise: float = 0.002) -> bool | None:
    """Whether a venue still trades in the old unit: its price over the others' is old over new multiplier, or inverse.

    `price` and `others` in USD per share by the new multiplier. None where the step is too small beside `noise` (one
    sigma of the log ratio of two venues) to tell, or a number is absent.
    """
    if not (0 < price < float("inf") and 0 < others < float("inf") and before > 0 and after > 0):
        return None
    step, apart = abs(log(after / before)), abs(log(price / others))
    return abs(apart - step) < step / 3 if step > 6 * noise else None


class PegHealth:
    """The memory of one token instrument; bounded, whatever happens. Times are ns UTC."""

    def __init__(self, rules: Rules) -> None:
        """Nothing is known."""
        self.rules = rules
        self.ring = Ring(400, rules.window_ns // 360)
        self._session = Session.UNKNOWN
        self._session_from = 0
        self._past: dict[Session, dict[str, History]] = {}
        """By session and part; parts that are the same in every session have one history."""
        self._premia: dict[Session, History] = {}
        """Some prints of each window, by session: what the premium's baseline and band are made of."""
        self._ordinary: dict[Session, Baseline] = {}
        self._pending: tuple[Session, dict[str, float], list[float]] | None = None
        self._closed = 0
        self._spell_from = 0
        self._longest = 0
        self._deviations: list[float] = []
        self._slow: dict[str, float] = {}
        self.back = HalfLife()
        """The interval of the half-life of the prints that are kept, at the last full look."""
        self.leads = Lead(NAN, NAN, NAN)
        """How it stood to the other venue then."""
        self.beta = NAN
        """How much of a move of the fair value it made then."""
        self.spread_trend, self.depth_trend = Trend(), Trend()
        self.latest: Score | None = None
        """What the last look found; None: unknown."""

    # --- what is heard

    def hear(
        self,
        ts: int,
        session: Session,
        premium_bps: float,
        price: float,
        fair: float,
        spread_bps: float = NAN,
        depth_usd: float = NAN,
    ) -> None:
        """One believed print with its premium; prices in USD per share. Prints that follow too soon are passed over."""
        if session is not self._session:
            self._session, self._session_from = session, ts
            self._spell_from = 0
        before = self.ring.last
        if not self.ring.add(ts, premium_bps, price, fair, spread_bps, depth_usd):
            return
        if before and ts - before > self.rules.gap_ns:
            self._spell_from = 0
        outside = abs(self.ordinary(session).z(premium_bps)) > self.rules.band_sigmas
        if outside or self._spell_from:
            self._spell_from = self._spell_from or ts
            self._longest = max(self._longest, ts - self._spell_from)
            self._spell_from = self._spell_from if outside else 0

    def backing(self, supply_over_backing: float) -> None:
        """Tokens that exist, in shares, over the shares that the issuer discloses; NaN where either is unknown."""
        self._slow["supply"] = supply_over_backing

    def split(self, missed: bool | None) -> None:
        """Whether this venue missed the last change of the multiplier (`missed_split`)."""
        self._slow["multiplier"] = NAN if missed is None else float(missed)

    def traded(self, wash: Wash) -> None:
        """The wash screen of its newest trades."""
        self._slow["wash"] = wash.score

    # --- what is ordinary

    def ordinary(self, session: Session) -> Baseline:
        """Median and MAD of the premium in this kind of session, the newest hour left out; NaN while too little."""
        return self._ordinary.get(session, Baseline(NAN, NAN))

    def _histories(self, session: Session) -> dict[str, History]:
        """What every part was like before, in this kind of session where they differ."""
        found = self._past.get(session)
        if found is None:
            found = {name: History(self.rules.history) for name in PARTS}
            for known in [*self._past.values()][:1]:
                found |= {name: past for name, past in known.items() if name not in BY_SESSION}
            self._past[session] = found
        return found

    # --- looking

    def look(self, now: int, other: Ring | None = None) -> Score | None:
        """Reads the newest window; once in a window what is an hour old becomes history. None: unknown.

        `other` is the ring of the venue that this one is compared with, a different one of the same token or share.
        """
        self.latest = None
        due = now - self._closed >= self.rules.window_ns
        ts, values = self.ring.since(max(now - self.rules.window_ns + 1, self._session_from))
        if len(ts) < self.rules.least_prints or now - self.ring.last > self.rules.gap_ns:
            if self._slow.get("multiplier") == 1:  # its prices in the wrong unit are no prints, and yet it is known
                tails = {"multiplier": FACT}
                self.latest = Score(ts=now, score=combined(tails, {"multiplier": 1.0}), tails=tails, readings={})
            if due:
                self._close(now, None)
            return self.latest
        if due:
            self._slowly(other)
        readings = self._readings(values)
        tails = self._tails(readings)
        if due:
            self._close(now, (self._session, readings, values[:: max(1, len(values) // 4), 0].tolist()))
            self.spread_trend.add(now, readings["spread"])
            self.depth_trend.add(now, -readings["depth"])
        score = combined(tails, self.rules.weights) if "premium" in tails else NAN
        if score == score:
            self.latest = Score(ts=now, score=score, tails=tails, readings=readings)
        return self.latest

    def score(self, now: int) -> Score | None:
        """What the last look found, unless it is old or the venue has been silent since; None: unknown."""
        found = self.latest
        if found is None or now - found.ts > self.rules.gap_ns:
            return None
        silent = now - self.ring.last > self.rules.gap_ns and found.readings
        return None if silent else found

    def _tails(self, readings: Mapping[str, float]) -> dict[str, float]:
        """How rare each reading is that is known; what is wrong by itself is rare whatever the history."""
        found = {}
        for name, past in self._histories(self._session).items():
            value = readings.get(name, NAN)
            if value != value:
                continue
            if name == "multiplier":
                tail = FACT if value else 0.5
            elif (name == "supply" and value > BACKED) or (name == "wash" and value >= FLAGGED):
                tail = FACT
            else:
                tail = past.tail_of_distance(value) if name in EITHER_WAY else past.tail(value)
            if tail == tail:
                found[name] = tail
        return found

    def _readings(self, values: F8) -> dict[str, float]:
        """The values of all parts, NaN where unknown."""
        ordinary = self.ordinary(self._session)
        band = self.rules.band_sigmas * ordinary.scale
        middle, spread, depth = _medians(values[:, _ASKED])
        recent = [*self._deviations[1 - DAY :], middle - ordinary.median]
        return {
            "premium": middle,
            "z": ordinary.z(middle),
            "outside": np.count_nonzero(abs(values[:, 0] - ordinary.median) > band) / len(values) if band > 0 else NAN,
            "spell": self._longest / NS if band > 0 else NAN,
            "spread": spread,
            "depth": -depth,
            "drift": abs(float(np.sum(recent))) / DAY if len(recent) == DAY else NAN,
            **self._slow,
        }

    def _slowly(self, other: Ring | None) -> None:
        """What is worked out once in a window, from all prints that are kept."""
        ts, values = self.ring.since(self._session_from)
        self.back = half_life(ts, values[:, 0], self.rules.gap_ns, point=False)
        # The interval's lower end: it is known also where the premium may not come back at all.
        self._slow["reversion"] = self.back.low
        ts, values = self.ring.since(0)
        self.beta = tracking_beta(ts, values[:, 1], values[:, 2])
        self._slow["beta"] = abs(self.beta - 1)
        if other is not None:
            their_ts, theirs = other.since(0)
            self.leads = lead(ts, values[:, 1], their_ts, theirs[:, 1])
            self._slow["lead"] = self.leads.side

    def _close(self, now: int, window: tuple[Session, dict[str, float], list[float]] | None) -> None:
        """The window before the one that ends now becomes history."""
        if self._pending is not None:
            session, readings, premia = self._pending
            for name, past in self._histories(session).items():
                past.add(readings.get(name, NAN))
            away = readings["premium"] - self.ordinary(session).median
            if isfinite(away):
                self._deviations = [*self._deviations[1 - DAY :], away]
            # Four prints of each window: as many windows as of every other part.
            kept = self._premia.setdefault(session, History(4 * self.rules.history))
            for premium in premia:
                kept.add(premium)
            self._ordinary[session] = kept.baseline()
        self._pending, self._closed = window, now
        if not self._spell_from:
            self._longest = 0


def _medians(values: F8) -> list[float]:
    """Of each column, of what is finite; NaN where nothing is."""
    ranked, found = np.sort(values.T), []
    for one in ranked.tolist():
        if not (one and isfinite(one[0]) and isfinite(one[-1])):
            one = [value for value in one if isfinite(value)]
        half = len(one) // 2
        found.append(NAN if not one else one[half] if len(one) % 2 else (one[half - 1] + one[half]) / 2)
    return found
