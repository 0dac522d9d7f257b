"""What our own judgement has against an instrument: an implausible price, an unknown basis, a late or outvoted source.

Judged at every tick of the clock, and before a strategy is asked about what woke it; so it is the same however rows are
cut into blocks, and the scan pays nothing for it. What it finds is told by notes of kind `doubt` and `doubt_cleared`,
bars the instrument from trading, and stands in the columns, where strategies and windows see it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Final

import numpy as np

from bot.units import Units
from connectors.events import NS, Health, Why
from connectors.instruments import Role
from strategies.base import Note
from strategies.market import kernel as K
from strategies.market.basis import KEPT_SAMPLES, Basis, Verdict, calibrate
from strategies.market.columns import Columns
from strategies.market.lag import Said, Witnesses
from strategies.market.plausible import Quoted, implausible

LOOK_NS: Final = 5 * NS
"""How often share sources are held against each other."""

_LEVEL: Final = (K.FROZEN, K.STUB)
"""Refusals that speak against the level of a source, so that it must agree with the others when it comes back."""

_FAR: Final = 1 << Why.IMPLAUSIBLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the judges go by."""

    bands: tuple[float, ...]
    """By instrument: farthest from the fair value that a price can be, as a share of it; inf is any."""
    basis: tuple[Basis | None, ...]
    """By instrument: what the config says of its price; UNKNOWN is to be calibrated, None needs none."""
    max_lag_s: float = inf
    """A share source that is later than this is not believed; inf holds no source against another."""
    own_word: bool = True
    """Whether a share source whose own feed says that it is late is in doubt."""


def everything_believed(count: int) -> Rules:
    """Rules for `count` instruments under which nothing is ever in doubt."""
    return Rules(bands=(inf,) * count, basis=(None,) * count, own_word=False)


class Judges:
    """The memory of all judgements of one run."""

    def __init__(self, columns: Columns, rules: Rules) -> None:
        """Nothing was seen yet; what needs a basis and has none is in doubt from the start."""
        self.columns, self.rules = columns, rules
        self.units = Units(columns, rules.basis)
        self.changed = False
        """Whether the last look changed what may be traded."""
        universe = columns.universe
        banded = [at for at, i in enumerate(universe) if i.role in (Role.TOKEN, Role.PERP)]
        self._members = [[at for at in banded if columns.group(at) == g] for g in range(len(columns.underlyings))]
        self._edges = [(1 / (1 + band), 1 + band) for band in rules.bands]
        self._sources = [universe.where(role=Role.SHARE, underlying=name) for name in columns.underlyings]
        self._witnesses = [Witnesses(rules.max_lag_s) for _ in columns.underlyings]
        self._names = [{universe[at].witness or universe[at].venue for at in sources} for sources in self._sources]
        """Independent witnesses of each underlying."""
        self._alone: list[bool | None] = [None] * len(columns.underlyings)
        self._delayed: set[int] = set()
        """Share sources whose own feed says that they are late."""
        self._ratios: dict[int, deque[tuple[float, float]]] = {}
        """(price x FX / share, one sigma of the share) of the instruments whose basis is being told."""
        self._verdicts: dict[int, Basis] = {}
        self._before: dict[int, Basis] = {}
        """The basis before the multiplier changed."""
        self._prints = [0] * len(universe)
        self._accepted = self._looked = -1
        self._led: tuple[bool, ...] = (False,) * len(columns.fair_source)
        """By underlying: whether the source of its fair value was in doubt at the last tick."""
        for number in range(len(universe)):
            if self.units.open(number):
                columns.doubt(number, Why.BASIS)

    # --- when they look

    def start(self) -> list[Note]:
        """What is in doubt before the first row, and which venues quote shares because the config says so."""
        notes = []
        for number, said in enumerate(self.rules.basis):
            if said is Basis.SHARE:
                notes.append(Note(kind="basis", instrument=number, detail={"basis": "share", "by": "config"}))
            elif self.columns.doubted(number):
                notes.append(Note(kind="doubt", instrument=number, detail={"why": Why.BASIS.name.lower()}))
        return notes

    def tick(self, now: int) -> list[Note]:
        """Looks at everything that spoke since the last tick."""
        self.changed = False
        accepted = int(self.columns.q[K.ACCEPTED])
        if accepted == self._accepted:
            return []
        self._accepted = accepted
        notes = self._references(now)
        # The scan takes another source by itself; who may be traded follows from whether that one is in doubt.
        led = tuple(source >= 0 and self.columns.doubted(source) for source in self.columns.fair_source.tolist())
        self.changed = self.changed or led != self._led
        self._led = led
        notes += self._bases(now)
        for group in self._suspects():
            notes += self._prices(group, now)
        return notes

    def before(self, group: int, now: int) -> list[Note]:
        """Looks at the prices of one underlying, before a strategy decides on it."""
        self.changed = False
        return self._prices(group, now) if self._suspect(group) else []

    def barred(self, number: int) -> bool:
        """Whether an instrument may not be traded: it is in doubt, or the source of its fair value is."""
        columns = self.columns
        if columns.doubted(number):
            return True
        if not columns.universe[number].underlying:
            return False
        source = int(columns.fair_source[columns.group(number)])
        return source >= 0 and columns.doubted(source)

    # --- what they look at

    def _suspects(self) -> list[int]:
        """Underlyings with a price beyond its band, or with one that was."""
        return [group for group in range(len(self._members)) if self._suspect(group)]

    def _suspect(self, group: int) -> bool:
        """Whether an underlying has a price beyond its band, or one that was: asked at each wake, so it is cheap."""
        f, doubts, edges = self.columns.f_rows, self.columns.doubts.item, self._edges
        fair = self.columns.g.item(group, K.FAIR)
        for number in self._members[group]:
            low, high = edges[number]
            price = f[number][K.MID_USD]
            if price < low * fair or price > high * fair or doubts(number) & _FAR:
                return True
        return False

    def _prices(self, group: int, now: int) -> list[Note]:
        """Implausible prices of one underlying."""
        columns, f, k = self.columns, self.columns.f.item, self.columns.k.item
        fair = columns.own(group, now)
        if fair is None:
            return []
        members = self._members[group]
        quotes = []
        for number in members:
            instrument = columns.universe[number]
            fresh = now <= k(number, K.EXPIRES) and k(number, K.REFUSAL) == K.OK
            thing: Hashable = (instrument.issuer, instrument.token) if instrument.role is Role.TOKEN else "perp"
            quotes.append(
                Quoted(
                    thing=thing,
                    witness=instrument.witness or instrument.venue,
                    price=f(number, K.MID_USD) if fresh else np.nan,
                    band=self.rules.bands[number],
                    doubted=columns.doubted(number, Why.IMPLAUSIBLE),
                )
            )
        notes = []
        for number, quote, bad in zip(
            members, quotes, implausible(quotes, fair.price, fair.error / fair.price), strict=True
        ):
            if bad != quote.doubted:
                detail: dict[str, float | str] = {}
                if quote.price == quote.price:
                    detail = {
                        "price": quote.price,
                        "fair": fair.price,
                        "away_bps": (quote.price / fair.price - 1) * 1e4,
                    }
                notes.append(self._doubt(number, Why.IMPLAUSIBLE, bad, detail))
        return notes

    def _bases(self, now: int) -> list[Note]:
        """Samples of the instruments whose basis is not known, and what they tell."""
        columns, units, notes = self.columns, self.units, list[Note]()
        for number in range(len(columns.universe)):
            if not units.calibrates(number):
                continue
            if not units.open(number):
                if columns.doubted(number, Why.BASIS):
                    notes.append(self._doubt(number, Why.BASIS, False, {"basis": str(units.basis[number])}))
                continue
            if not columns.doubted(number, Why.BASIS):
                self._ratios.pop(number, None)
                self._verdicts.pop(number, None)
                notes.append(self._doubt(number, Why.BASIS, True, {"multiplier": units.multiplier[number]}))
            if self._sample(number, now):
                notes += self._decide(number)
        return notes

    def _sample(self, number: int, now: int) -> bool:
        """Takes one sample of price x FX / share where the instrument printed since the last; True where it did."""
        columns, f, k = self.columns, self.columns.f.item, self.columns.k.item
        prints, group = k(number, K.PRINTS), columns.group(number)
        fair = columns.own(group, now)
        fresh = now <= k(number, K.EXPIRES) and k(number, K.REFUSAL) == K.OK
        if (
            prints == self._prints[number]
            or fair is None
            or not fresh
            or fair.source < 0
            or columns.doubted(fair.source)
        ):
            return False
        ratio = columns.mark_usd(number) / fair.price
        if not (isfinite(ratio) and columns.fx_is_fresh(number, now)):
            return False
        self._prints[number] = prints
        self._ratios.setdefault(number, deque(maxlen=KEPT_SAMPLES)).append((ratio, fair.error / fair.price))
        return f(number, K.BID) > 0

    def _decide(self, number: int) -> list[Note]:
        """What the samples of one instrument say by now; told where it is something new."""
        samples, multiplier = self._ratios[number], self.units.multiplier[number]
        error = float(np.median([sigma for _, sigma in samples]))
        before = self._before.get(number, Basis.UNKNOWN)
        verdict = calibrate([ratio for ratio, _ in samples], multiplier, fair_error=error, before=before)
        if verdict.basis in (Basis.UNKNOWN, self._verdicts.get(number)):
            return []
        self._verdicts[number] = verdict.basis
        notes = [self._told(number, verdict)]
        if verdict.basis.known:
            self.units.decided(number, verdict.basis)
            del self._ratios[number]
            notes.append(self._doubt(number, Why.BASIS, False, {"basis": str(verdict.basis)}))
        return notes

    def _told(self, number: int, verdict: Verdict) -> Note:
        detail: dict[str, float | str] = {
            "basis": str(verdict.basis),
            "multiplier": self.units.multiplier[number],
            # Logarithms differ in their last digit between machines, and this goes into the journal's hash.
            "ratio": float(f"{verdict.ratio:.6g}"),
            "noise_bps": float(f"{verdict.noise * 1e4:.4g}"),
            "samples": verdict.samples,
        }
        return Note(kind="basis", instrument=number, detail=detail)

    def _references(self, now: int) -> list[Note]:
        """Share sources held against each other."""
        if self.rules.max_lag_s == inf or now // LOOK_NS == self._looked:
            return []
        self._looked = now // LOOK_NS
        notes: list[Note] = []
        columns = self.columns
        for group, sources in enumerate(self._sources):
            if len(self._names[group]) < 2 and self._alone[group]:
                continue  # said once: there is nothing to hold it against
            said, refused = [], []
            for number in sources:
                price, k = columns.f_rows[number][K.REF_MID], columns.k_rows[number]
                ts, refusal, instrument = k[K.REF_TS], k[K.REFUSAL], columns.universe[number]
                if ts and price > 0 and refusal == K.OK:
                    error = sqrt(max(columns.source_variance(number, now), 0.0))
                    said.append(Said(number, instrument.witness or instrument.venue, ts, price, error))
                elif refusal in _LEVEL:
                    refused.append(number)
            if not said:
                continue
            alone = len({one.witness for one in said}) == 1
            if alone and self._alone[group] is None:
                detail: dict[str, float | str] = {"source": columns.universe[said[0].number].name}
                notes.append(Note(kind="one_witness", underlying=columns.underlyings[group], detail=detail))
            self._alone[group] = alone
            witnesses = self._witnesses[group]
            witnesses.look(now, said, refused)
            for number in (*(one.number for one in said), *refused):
                late_s, outvoted = witnesses.late_s(number), witnesses.outvoted(number)
                late = late_s > 0 or number in self._delayed
                if late != columns.doubted(number, Why.DELAYED):
                    notes.append(self._doubt(number, Why.DELAYED, late, {"late_s": float(late_s)}))
                if outvoted != columns.doubted(number, Why.IMPLAUSIBLE):
                    detail = {"price": columns.f_rows[number][K.REF_MID]}
                    if number in refused:
                        detail = {"reason": K.REFUSALS[columns.k_rows[number][K.REFUSAL]]}
                    notes.append(self._doubt(number, Why.IMPLAUSIBLE, outvoted, detail))
        return notes

    # --- what they say

    def admitted(self, number: int, state: float, reason: float) -> list[Note]:
        """A stream stands differently. A share source whose own feed says that it is late is doubted like one that was
        found out; a stream that is down or closed has not taken that back."""
        if self.columns.universe[number].role is not Role.SHARE or not self.rules.own_word:
            return []
        if state == Health.DEGRADED and reason == Why.DELAYED:
            self._delayed.add(number)
        elif state in (Health.UP, Health.DEGRADED):
            self._delayed.discard(number)
        late_s = self._witnesses[self.columns.group(number)].late_s(number)
        late = late_s > 0 or number in self._delayed
        if late == self.columns.doubted(number, Why.DELAYED):
            return []
        return [self._doubt(number, Why.DELAYED, late, {"late_s": float(late_s)})]

    def multiplied(self, number: int, multiplier: float) -> None:
        """A token's multiplier changed; a basis that was told from prices is told anew."""
        if self.units.basis[number].known:
            self._before[number] = self.units.basis[number]
        self.units.multiplied(number, multiplier)
        self._ratios.pop(number, None)
        self._verdicts.pop(number, None)

    def remember(self, number: int, basis: Basis, multiplier: float) -> None:
        """An earlier run told a basis under a multiplier; where that one is still in force, it needs no telling."""
        if not self.units.calibrates(number) or not basis.known:
            return
        self._before[number] = basis
        if self.units.multiplier[number] == multiplier:
            self.units.decided(number, basis)
            self.columns.doubt(number, Why.BASIS, stands=False)

    def _doubt(self, number: int, why: Why, stands: bool, detail: dict[str, float | str]) -> Note:
        """Writes a doubt into the columns, or takes it out, and tells it."""
        self.columns.doubt(number, why, stands=stands)
        self.changed = True
        kind = "doubt" if stands else "doubt_cleared"
        underlying = self.columns.universe[number].underlying
        return Note(kind=kind, instrument=number, underlying=underlying, detail={"why": why.name.lower(), **detail})
