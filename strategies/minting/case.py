"""One token at one venue and its issuer's door, as it stands at a moment: prices, terms, and what a plan is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import inf, isfinite
from typing import Final, NamedTuple

from connectors.exact import exact
from connectors.instruments import Role
from strategies.base import View
from strategies.execution.habits import Habit, learned_at
from strategies.market import kernel as K
from strategies.pricing.carry import DAY_S, carried
from strategies.pricing.costs import Component, Costs
from strategies.pricing.mint_economics import Premium, Terms, inventory_first, mint_first, redeem_first
from strategies.pricing.renewal import best_entry

NAME: Final = "mint_redeem"
"""Of the strategy, under which it holds what it does."""
MINTS: Final = ("refill", "first")
"""Kinds of plans that mint; the others redeem."""
BARE: Final = -1
"""Instead of a hedge: nothing is sold until the token comes."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One token at one venue, and the door of its issuer."""

    token: int
    issuer: str
    other: int
    """What the issuer takes for a mint and gives for a redemption: a coin, or shares where we can trade them."""
    hedges: tuple[int, ...]
    """Perps and shares that stand for the share; the cheapest that may be traded is taken."""
    premium: Premium
    """How its premium moves; times in days."""
    mint: Habit | None
    """What the config says of the issuer; None: it does not mint for us."""
    redeem: Habit | None


class Look(NamedTuple):
    """A way at one moment. Prices are parts of the fair value above it; those of a side are after its costs."""

    fair: float
    """USD per share."""
    mid: float
    bid: float
    ask: float
    units: Decimal
    """Of the token that a trade of the full size has."""
    error: float = 0.0
    """One sigma of the fair value."""


class Refusal(NamedTuple):
    """Why nothing is done, and how far from it."""

    reason: str
    edge: float = -inf
    """Expected, as a part of the size; -inf where it is not known."""


class Case(NamedTuple):
    """A plan that is being thought of."""

    way: Way
    look: Look
    kind: str
    """refill, first or redeem; or out, for what was minted first and is redeemed."""
    first: int
    """The instrument of its first leg; BARE where a mint has none."""
    cost: float
    """What the issuer takes, a part of what is given: its fees, and against a coin its spread over the fair value."""
    habit: Habit


class Dues(NamedTuple):
    """What a plan pays besides what its own token's sides cost, as parts of the size."""

    issuer: float
    other: float
    """In kind: for the shares that are bought for a mint, or sold from a redemption."""
    hedge: float
    """For the hedge, in and out."""
    per_day: dict[Component, float]
    """For what is locked and held until the issuer is done, a day; below 0 it earns."""


def habit_of(view: View, way: Way, *, mint: bool, at: int | None = None) -> Habit | None:
    """How the issuer is with a request made at a moment (ns UTC; None: now), by the config and by our own requests;
    None where it does not do that for us."""
    told = way.mint if mint else way.redeem
    if told is None:
        return None
    ours = view.ledger.conversions.last.get((way.issuer, mint), ())
    return learned_at(told, ours, view.now, view.now if at is None else at)


def tempts(view: View, way: Way, least: float) -> bool:
    """Whether a side of the token is at least so far from its share's last value, believed or not, as a part of it."""
    fair = view.columns.g.item(view.columns.group(way.token), K.FAIR)
    sides = sides_of(view, way.token, fair) if fair > 0 else None
    return sides is not None and max(sides[0], -sides[1]) >= least


def look_at(view: View, way: Way, size_usd: Decimal) -> Look | None:
    """The token at its venue, where it may be traded; else as `look_of`."""
    return None if view.columns.hard_bars[way.token] else look_of(view, way, size_usd)


def look_of(view: View, way: Way, size_usd: Decimal) -> Look | None:
    """The token at its venue; None where it has no price, or its share has none."""
    columns = view.columns
    own = columns.own(columns.group(way.token), view.now)
    if own is None:
        return None
    sides = sides_of(view, way.token, own.price)
    usd = columns.mark_usd(way.token)
    if sides is None or not usd > 0:
        return None
    mid = columns.f_rows[way.token][K.MID_USD] / own.price - 1
    return Look(own.price, mid, *sides, size_usd / exact(usd), own.error / own.price)


def sides_of(view: View, number: int, fair: float) -> tuple[float, float] | None:
    """What selling a share's worth of an instrument brings and what buying it takes, after costs, as parts of the
    fair value above it; None where there is no quote in force."""
    columns, f, k = view.columns, view.columns.f_rows[number], view.columns.k_rows[number]
    cost, per_share = columns.facts[number].cost, f[K.USD_PER_SHARE]
    if cost is None or k[K.REFUSAL] != K.OK or view.now > k[K.EXPIRES] or columns.universe[number].one_price:
        return None
    bid, ask = f[K.BID] * per_share / fair * (1 - cost) - 1, f[K.ASK] * per_share / fair * (1 + cost) - 1
    return (bid, ask) if isfinite(bid) and isfinite(ask) else None


def dues_of(view: View, case: Case, capital_per_day: float, costs: Sequence[Costs]) -> Dues | str:
    """What issuer and venues ask; a word where a price for it or a cost is missing. `costs` are those of one leg at
    each instrument, what holding it costs too."""
    other = hedge = 0.0
    per_day = {Component.CAPITAL: capital_per_day}
    if view.columns.universe[case.way.other].role is not Role.COIN:
        sides = sides_of(view, case.way.other, case.look.fair)
        if sides is None:
            return "no_price"
        other = sides[1] if case.kind in MINTS else -sides[0]
    if case.kind == "first" and case.first != BARE:
        sides = sides_of(view, case.first, case.look.fair)
        if sides is None:
            return "no_price"
        hedge = sides[1] - sides[0]
        lent = view.ledger.position(case.first) <= 0
        held = carried(view, case.first, costs[case.first], sold=True, lent=lent)
        if held.why:
            return "cost_unknown"
        for component, daily in held.parts.items():
            per_day[component] = per_day.get(component, 0.0) + daily
    return Dues(case.cost, other, hedge, per_day)


def terms_of(case: Case, dues: Dues) -> Terms:
    """The same for strategies/pricing/mint_economics.py."""
    look = case.look
    return Terms(
        mint=dues.issuer + dues.other + dues.hedge,
        sell=look.mid - look.bid,
        buy=look.ask - look.mid,
        redeem=dues.issuer + dues.other,
        capital_rate=sum(dues.per_day.values()),
        rejection=case.habit.rejects,
        unwind=dues.hedge,
    )


def usd_of(view: View, number: int) -> float:
    """USD per unit of an instrument, of a coin per coin."""
    columns = view.columns
    one = columns.universe[number]
    if one.role is Role.COIN:
        return float(columns.fx[columns.coins.index(one.coin)])
    return columns.mark_usd(number)


def expected(case: Case, dues: Dues) -> float:
    """What a plan is expected to bring after all, as a part of its size.

    The issuer is taken to need its mean delay. A delay that varies leaves more of a premium on average, for
    e^(-kappa T) is convex, so that this errs on the safe side.
    """
    premium, terms, days = case.way.premium, terms_of(case, dues), case.habit.delay_s / DAY_S
    if case.kind == "refill":
        return inventory_first(premium, case.look.mid, terms, days)
    if case.kind == "redeem":
        return redeem_first(premium, case.look.mid, terms, days)
    if case.kind == "first":
        return mint_first(premium, case.look.mid, terms, days).profit
    return -terms.redeem


def entry(case: Case, dues: Dues) -> float:
    """From which premium on minting again and again pays best."""
    days, terms = case.habit.delay_s / DAY_S, terms_of(case, dues)
    lost = (terms.rejection * terms.unwind + terms.capital_rate * days) / (1 - terms.rejection)
    return _best_entry(case.way.premium, round(days, 4), round(terms.mint + terms.sell + lost, 5))


@lru_cache(maxsize=512)
def _best_entry(premium: Premium, days: float, cost: float) -> float:
    return best_entry(premium, delay=days, cost=cost).premium if days > 0 else -inf
