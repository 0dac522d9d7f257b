"""What the operator has written down for the strategy `hedge`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from strategies.closing.situation import Usual
from strategies.hedging.margin import Margin
from strategies.pricing.costs import Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is known of an instrument beforehand."""

    lot: Decimal
    """Smallest step of the quantity, in units."""
    least_usd: Decimal
    """Smallest order."""
    costs: Costs
    """Of one leg, those of holding it too."""
    usual: Usual
    """How its premium moves, until its own prints say so."""
    margin: Margin | None = None
    """Of a perp's venue; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The numbers of [strategies.hedge]."""

    min_edge_bps: float
    """What an entry must bring after everything, of the size."""
    most_bps: float
    """A deviation beyond this is no premium but a broken peg, and nothing is entered on it."""
    size_usd: Decimal
    """Of an entry, each leg."""
    most_usd: Decimal
    """Of any order."""
    max_short_units: Decimal
    """How far below zero the position in a token may go at one venue."""
    slippage_bps: Decimal
    """Worst price against the price seen."""
    horizon_s: float
    """What has not come back by then is given up."""
    gap_sigmas: float
    """What carrying a hedge over its closure is taken to cost: so many standard deviations of the share over it."""
    flatten_s: float
    """So long before a closure it is decided what is carried over it."""
    flatten_bps: tuple[Decimal, Decimal]
    """Worst price of what is not carried over one of days: from, to, over that time."""
    margin_reserve: float
    """Equity at a perp's venue, a part of what is held there; below it what is held there is reduced."""
    latency_ns: int
    """Longest time that a leg needs, and what recording it may take; an intent's deadline."""
    rest_ns: int
    """From a wish to the next in the same share."""
