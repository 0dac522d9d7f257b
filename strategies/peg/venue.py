"""The detector of one venue: prints go in, and a state with its evidence comes out.

Two sums hear each sample's innovation over what is usual there: the fast one finds jumps, the slow one the drift of
averages over `span_ns`. A jump counts once `prints` samples have said it and are far enough on average; a band (bps and
sigmas) counts once so many prints have been beyond it for `persist_ns`. A state is left when the last `prints` samples
are on average within `clear_share` of what it was entered by, for `persist_ns`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from strategies.market.cusum import Cusum, Spans, mean_variance
from strategies.peg.ordinary import NORMAL_MAD, Ordinary
from strategies.peg.rule import Rule
from strategies.peg.state import Judged, PegState
from strategies.peg.tail import Tail

SPANS_KEPT: Final = 90
LEAST_SPANS: Final = 9
"""Spans that must be known before a drift can be."""
FORGET_NS: Final = 6 * 3600 * 10**9
"""What was summed before so long a silence says nothing any more."""


@dataclass(slots=True)
class Band:
    """Since when, and for how many prints, a premium has been beyond one band on one side."""

    since: int = 0
    prints: int = 0
    side: int = 0

    def hear(self, beyond: int, ts: int) -> None:
        """Takes one print: +1 or -1 where it is beyond the band, 0 where it is not."""
        if beyond == 0 or beyond != self.side:
            self.since, self.prints = ts, 0
        self.side = beyond
        self.prints += beyond != 0


@dataclass(slots=True)
class VenueWatch:
    """The memory of one instrument under one rule."""

    rule: Rule
    state: PegState = PegState.UNKNOWN
    """What it was when it was last known."""
    since: int = 0
    """When what made the state began; ns UTC."""
    entered_bps: float = 0.0
    """The threshold that it was entered by."""
    side: int = 0
    """+1 where it was entered over the usual premium, -1 under it."""
    by: str = ""
    """What found it: `jump`, `drift` or `band`."""
    ordinary: Ordinary = field(default_factory=Ordinary)
    fast: Cusum = field(init=False)
    slow: Cusum = field(init=False)
    spans: Spans = field(init=False)
    tail: Tail = field(init=False)
    """Of what the newest samples bear out together, over what a depeg needs, while there was none."""
    last: deque[tuple[int, float, float]] = field(init=False)
    """(ts, bps over the usual premium, z) of the newest samples."""
    bands: dict[PegState, Band] = field(
        default_factory=lambda: {s: Band() for s in (PegState.DEPEGGED, PegState.STRAINED)}
    )
    better_since: int = 0
    """Since when the state has not been borne out any more; 0 while it is."""
    premium_bps: float = 0.0
    heard: int = -1
    """Number of the newest print."""
    lost: bool = False
    """Whether the fair value was unknown since the newest print."""
    doubt: str = ""
    """Why its deviation cannot be told from the share's sources; looked at with each print."""
    averages: deque[float] = field(default_factory=lambda: deque(maxlen=SPANS_KEPT))
    """Average premia of the spans in which the peg held, bps."""
    _slow_bps: float = 0.0
    """That of the last span, over the middle one of those."""
    _slow_centre: float = 0.0

    def __post_init__(self) -> None:
        """Sums of the rule's thresholds."""
        rule = self.rule
        self.fast = Cusum(k=rule.k, h=rule.fast_h(1.0), cap=max(rule.cap_sigmas, rule.k + 0.5))
        self.slow = Cusum(k=rule.slow_sigmas / 2, h=rule.slow_h, cap=4.0)
        self.spans = Spans(rule.span_ns)
        self.tail = Tail(rule.prints)
        self.last = deque(maxlen=rule.prints)

    @property
    def warm(self) -> bool:
        """Whether it is known what is usual here."""
        return self.ordinary.count >= self.rule.warm_prints

    @property
    def bps(self) -> float:
        """Mean of the newest samples over the usual premium."""
        return sum([bps for _, bps, _ in self.last]) / len(self.last) if self.last else 0.0

    @property
    def drift_bps(self) -> float:
        """Mean of the newest samples over what was usual in the weeks before."""
        return self.bps + self.ordinary.centre_bps - self._slow_centre

    @property
    def size_bps(self) -> float:
        """How far the newest samples are on average from what the state is held against."""
        return self.premium_bps if self.by == "band" else self.drift_bps if self.by == "drift" else self.bps

    @property
    def usual_bps(self) -> float:
        """What the state is held against: nothing for a band, else what is usual, or was in the weeks before."""
        return {"band": 0.0, "drift": self._slow_centre}.get(self.by, self.ordinary.centre_bps)

    @property
    def z(self) -> float:
        """Mean of the newest samples in sd of what is usual."""
        return sum([z for _, _, z in self.last]) / len(self.last) if self.last else 0.0

    def least_bps(self, level: PegState) -> float:
        """How far the newest samples must be on average for a state, by a jump or a drift."""
        usual = self.ordinary
        sure = self.rule.mean_sigmas * usual.spread_bps * usual.longrun / sqrt(self.rule.prints)
        return max(self.rule.least_bps, sure) / (1 if level is PegState.DEPEGGED else 2)

    def false_alarms_per_month(self, level: PegState) -> float:
        """Of that level, expected at this venue: by the run lengths of the rule, as if its samples were normal, or by
        the tail of its own samples where that says more. One sample a minute while their rate is unknown."""
        strains, gap = level is PegState.STRAINED, self.ordinary.gap_ns
        chance = self.tail.beyond(0.5 if strains else 1.0)
        return self.rule.false_alarms_per_month(gap, strains=strains, chance=chance)

    def _borne_bps(self, side: int) -> float:
        """What the newest samples bear out together on one side: their mean, each by its share of that."""
        least = min([bps * side for _, bps, _ in self.last])
        return min(self.bps * side, least / self.rule.each_share)

    def hear(self, judged: Judged) -> None:
        """Takes a new print."""
        # Without its stretch: a token that slides off makes the witnesses of each venue contradict each other itself.
        premium, error = judged.premium_bps, judged.fair.error_bps / judged.fair.stretch
        self.heard, self.premium_bps = judged.prints, premium
        self._beyond(judged, error)
        newest = self.last[-1][0] if self.last else 0
        if judged.ts - newest < self.rule.sample_ns:
            return
        if judged.ts - newest > FORGET_NS:
            self.fast.reset()
            self.last.clear()
        z = self.ordinary.innovation(premium, error)
        self.last.append((judged.ts, premium - self.ordinary.centre_bps, z))
        self.ordinary.hear(premium, error, judged.ts, calm=self.state <= PegState.PEGGED)
        if self.warm:
            # Where neighbours are alike the threshold is far up; the prints that must agree are enough to reach it.
            self.fast.h = self.rule.fast_h(self.ordinary.longrun)
            self.fast.cap = max(self.rule.cap_sigmas, self.rule.k + self.fast.h / max(1, self.rule.prints - 1))
            self.fast.hear(z, judged.ts)
            if self.state < PegState.DEPEGGED and len(self.last) == self.rule.prints:
                borne = max(self._borne_bps(1 if self.bps > 0 else -1), 0.0) / self.least_bps(PegState.DEPEGGED)
                self.tail.hear(borne, calm=self.state <= PegState.PEGGED)
            self._drift(premium, judged.ts)

    def _beyond(self, judged: Judged, error_bps: float) -> None:
        """Holds a print against both bands; one that the state was entered by is left further in."""
        premium, rule = judged.premium_bps, self.rule
        sure = abs(premium) >= rule.min_sigmas * error_bps
        side = 1 if premium > 0 else -1
        for level, limits in ((PegState.DEPEGGED, rule.depeg_bps), (PegState.STRAINED, rule.warn_bps)):
            limit = limits[judged.session]
            self.bands[level].hear(side if abs(premium) > limit and sure else 0, judged.ts)

    def _drift(self, premium_bps: float, ts: int) -> None:
        """The slow sum, once a span is over: its average against those of the weeks before it."""
        done = self.spans.hear(premium_bps, ts)
        if done is None:
            return
        mean, count = done
        if len(self.averages) >= LEAST_SPANS:
            before = sorted(self.averages)
            centre = before[len(before) // 2]
            scatter = NORMAL_MAD * sorted(abs(one - centre) for one in before)[len(before) // 2]
            usual = self.ordinary
            share = mean_variance(self.rule.span_ns / 1e9, usual.half_life_s, count)
            self.slow.hear((mean - centre) / max(scatter, usual.spread_bps * sqrt(share)), ts)
            self._slow_bps, self._slow_centre = mean - centre, centre
        if self.state <= PegState.PEGGED:
            self.averages.append(mean)

    @property
    def off(self) -> bool:
        """Whether the newest sample bears out the state, and not only those before it."""
        return bool(self.last) and self.last[-1][1] * self.side >= 0.5 * abs(self.bps)

    @property
    def borne_out(self) -> bool:
        """Whether the newest sample alone still bears out the state."""
        more = self.size_bps - self.bps
        return bool(self.last) and (self.last[-1][1] + more) * self.side > self.rule.clear_share * self.entered_bps

    def restart(self, known: PegState) -> None:
        """What was heard so far was held against a price that is not believed: it counts no more, and the state is no
        worse than what it was `known` as."""
        self.fast.reset()
        self.slow.reset()
        self.last.clear()
        for band in self.bands.values():
            band.hear(0, 0)
        self.better_since = 0
        if self.state > max(known, PegState.PEGGED):
            self._enter(max(known, PegState.PEGGED), "", self.since, self.entered_bps)

    def verdict(self, judged: Judged, now: int) -> tuple[PegState, str, int, float]:
        """(state, what finds it, since when, by what threshold in bps) that the newest print and its memory come to.

        The state itself is only changed by `settle`.
        """
        rule = self.rule
        if self._calm():
            return PegState.PEGGED, "", 0, 0.0
        for level, limits in ((PegState.DEPEGGED, rule.depeg_bps), (PegState.STRAINED, rule.warn_bps)):
            least = self.least_bps(level)
            band = self.bands[level]
            found = (
                ("jump", self._jumped(level, least), least),
                ("drift", self._drifted(least), least),
                ("band", band.since if band.side and band.prints >= rule.prints else 0, limits[judged.session]),
            )
            for by, since, limit in found:
                if since and now - since >= rule.persist_ns:
                    return level, by, since, limit
        return PegState.PEGGED, "", 0, 0.0

    def _calm(self) -> bool:
        """Whether nothing can have been found: no band is passed, no drift told, and the fast sum warns of nothing."""
        largest = max(self.fast.up, self.fast.down)
        quiet = largest == 0.0 or not self.warm or largest < self.rule.warn_h(self.ordinary.longrun)
        return quiet and not self.slow.alarm and not any([band.side for band in self.bands.values()])

    def _jumped(self, level: PegState, least: float) -> int:
        """When a jump began that the fast sum has found and enough prints bear out; 0 where there is none."""
        if not self.warm or len(self.last) < self.rule.prints:
            return 0
        side = 1 if self.fast.up >= self.fast.down else -1
        h = self.fast.h if level is PegState.DEPEGGED else self.rule.warn_h(self.ordinary.longrun)
        total, since = (self.fast.up, self.fast.up_since) if side > 0 else (self.fast.down, self.fast.down_since)
        return since if total >= h and self.last[0][0] >= since and self._borne_bps(side) >= least else 0

    def _drifted(self, least: float) -> int:
        """When a drift began that the slow sum has found and the newest prints bear out; 0 where there is none."""
        side = self.slow.alarm
        if side == 0 or self._slow_bps * side < least or self.drift_bps * side < least:
            return 0
        return self.slow.since

    def settle(self, judged: Judged, now: int) -> bool:
        """Makes the state what the verdict says, where it has stood long enough; True where it changed."""
        found, by, since, limit = self.verdict(judged, now)
        if found >= max(self.state, PegState.STRAINED):
            self.better_since = 0
            crossed = self.size_bps * self.side < 0  # the same state on the other side is another event
            return (found is not self.state or crossed) and self._enter(found, by, since, limit)
        if self.state is PegState.UNKNOWN:
            # Out of the unknown straight into doubt: wait and see which it is.
            unsure = any(band.side for band in self.bands.values())
            return not unsure and self._enter(PegState.PEGGED, "", now, 0.0)
        if self.state is PegState.PEGGED:
            return False
        if self._holds():
            self.better_since = 0
            return False
        if self.better_since == 0:
            self.better_since = now
        if now - self.better_since < self.rule.persist_ns:
            return False
        self.fast.reset()
        if found is PegState.PEGGED:
            self.slow.reset()
        return self._enter(found, by, since or self.better_since, limit)

    def _enter(self, state: PegState, by: str, since: int, limit: float) -> bool:
        """Makes this the state; True, as that is a change."""
        self.state, self.by, self.since, self.entered_bps = state, by, since, limit
        if state is PegState.DEPEGGED:
            self.tail.refuse()
        self.side = 0 if state is PegState.PEGGED else 1 if self.size_bps > 0 else -1
        self.better_since = 0
        return True

    def _holds(self) -> bool:
        """Whether the newest samples still bear out the state: on average beyond `clear_share` of its threshold, on the
        side on which it was entered."""
        if len(self.last) < self.rule.prints:
            return True  # after a restart: not enough was heard to take it back
        return self.size_bps * self.side > self.rule.clear_share * self.entered_bps

    def resume(self, state: PegState, since: int, entered_bps: float, by: str, side: int) -> None:
        """Goes on in the state that an earlier run had left."""
        self.state, self.since, self.entered_bps, self.by = state, since, entered_bps, by
        self.side = side
