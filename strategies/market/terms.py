"""The terms of a fair value: who says what of a share, how much of the whole that makes, and what each adds to the
error.

With w0 = 1 / variance of the share's own evidence (0 without) and w those of the witnesses, P = w0 + sum w, a term's
part is w / P. The parts add up to one, parts x what is said to the fair value, and since each term's variance is 1 / w,
part^2 x variance adds up to 1 / P, the variance of the fair value; where terms contradict each other it is stretched.
(Summed by the scan: strategies/market/kernel.py.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from strategies.market import kernel as K
from strategies.market.readings import DOUBTED_VAR, Readings

_ROUNDING: Final = 1e-13
"""Of variances, which are differences of what the clock has counted over years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one source or witness says."""

    instrument: int
    own: bool
    """The share's own evidence, and not a witness."""
    price: float
    """As it says, USD per share."""
    offset: float
    """What is taken off it, as a share of it."""
    variance: float
    """Of the logarithm of what is left, as a word on the share now."""
    part: float
    """How much of the fair value it makes, from 0 to 1."""

    @property
    def says(self) -> float:
        """USD per share, without the offset."""
        return self.price * (1 - self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTerm:
    """One part of the variance of a fair value."""

    instrument: int
    """-1 of a contradiction."""
    what: str
    """`source` (how far it may be off when fresh), `spread` (of its quote), `doubt`, `fused` (its own sources together,
    when they were fresh), `clock` (what the share may have moved since), `witness`, `contradiction` (what all
    those do not explain of how far they are apart)."""
    variance: float
    """Of the logarithm of the fair value; all together are the whole."""


def terms(columns: Readings, group: int, now: int, without: int = -1) -> tuple[Term, ...]:
    """The terms of `columns.fair(group, now)`, or of `fair_without` an instrument; own evidence first; () for none."""
    anchor, own, source = columns.evidence(group, now)
    kin = columns.k.item(without, K.KIN) if without >= 0 else -1
    heard = [
        number
        for number in columns.witnesses_of[group]
        if number != without and (kin < 0 or columns.k.item(number, K.KIN) != kin) and columns.counts(number, now)
    ]
    weights = [columns.f.item(number, K.WEIGHT) for number in heard]
    # Written so that own evidence without any error is all of it.
    whole = 1 + own * sum(weights) if own < inf else sum(weights)
    found = []
    if own < inf:
        found.append(Term(instrument=source, own=True, price=anchor, offset=0.0, variance=own, part=1 / whole))
    for number, weight in zip(heard, weights, strict=True):
        part = (own * weight if own < inf else weight) / whole
        price, lean = columns.f.item(number, K.MID_USD), columns.f.item(number, K.LEAN)
        found.append(Term(instrument=number, own=False, price=price, offset=1 - lean, variance=1 / weight, part=part))
    return tuple(found)


def error_terms(
    columns: Readings, group: int, now: int, of: Sequence[Term], stretch: float = 1.0
) -> tuple[ErrorTerm, ...]:
    """The variance of a fair value by where it comes from; that of its own evidence in parts, those of nothing left
    out. `stretch`: that of the fair value."""
    found = []
    for term in of:
        share = term.part**2
        split = _own(columns, group, now, term) if term.own else {"witness": term.variance}
        for what, variance in split.items():
            if variance > 0:
                found.append(ErrorTerm(instrument=term.instrument, what=what, variance=share * variance))
    if stretch > 1:
        whole = sum(one.variance for one in found)
        found.append(ErrorTerm(instrument=-1, what="contradiction", variance=whole * (stretch**2 - 1)))
    return tuple(found)


def _own(columns: Readings, group: int, now: int, term: Term) -> dict[str, float]:
    """The variance of a share's own evidence: fresh, and what the clock has added."""
    number, f = term.instrument, columns.f.item
    fresh = f(number, K.REF_VAR)
    grown = max(f(number, K.REF_KEY) + columns.clock_variance(group, now) - fresh, 0.0)
    if abs(fresh + grown - term.variance) > 1e-9 * term.variance + _ROUNDING:  # one word of several sources
        grown = min(grown, term.variance)
        return {"fused": term.variance - grown, "clock": grown}
    grown = max(term.variance - fresh, 0.0)
    doubt = DOUBTED_VAR if columns.doubts.item(number) else 0.0
    source = min(columns.facts[number].source_error ** 2, fresh)
    return {"source": source, "spread": max(fresh - source - doubt, 0.0), "doubt": doubt, "clock": grown}


def why_unheard(columns: Readings, group: int, number: int, now: int) -> str:
    """Why an instrument of a share's underlying is no term of its fair value, in words; empty where it is one."""
    _, _, source = columns.evidence(group, now)
    if number == source or columns.counts(number, now):
        return ""
    weight = columns.f.item(number, K.WEIGHT)
    if columns.k.item(number, K.ROLE) & K.EVIDENCE and weight < 0:
        return _why_no_source(columns, group, number, source, now)
    if why := columns.why_not_priced(number, now):
        return why
    kin = columns.k.item(number, K.KIN)
    for other in columns.witnesses_of[group]:
        if kin >= 0 and other != number and columns.k.item(other, K.KIN) == kin and columns.counts(other, now):
            return f"{columns.universe[other].name} speaks for the same witness"
    return "it is not weighed as a witness"


def _why_no_source(columns: Readings, group: int, number: int, source: int, now: int) -> str:
    """Why a source of the share is not its own evidence."""
    k = columns.k.item
    if k(number, K.REFUSAL) != K.OK or not k(number, K.PRINTS) or columns.doubts.item(number):
        return columns.why_not_priced(number, now)
    if source >= 0:
        return f"{columns.universe[source].name} is surer"
    return columns.why_unknown(group, now) or "it has been silent for too long"
