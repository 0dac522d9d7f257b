"""One token at one venue and its issuer's door, as it stands at a moment: prices, terms, and what a plan is worth."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import inf, isfinite
from typing import Final, NamedTuple

from connectors.exact import exact
from connectors.instruments import Role
from strategies.base import View
from strategies.execution.habits import Habit
from strategies.market import kernel as K
from strategies.pricing.doors import Door
from strategies.pricing.mint_economics import Premium, Terms, inventory_first, mint_first, redeem_first
from strategies.pricing.renewal import best_entry

DAY_S: Final = 86_400.0


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
    """The instrument of its first leg."""
    door: Door
    habit: Habit


def tempts(view: View, way: Way, least: float) -> bool:
    """Whether a side of the token is at least so far from its share's last value, believed or not, as a part of it."""
    fair = view.columns.g.item(view.columns.group(way.token), K.FAIR)
    sides = sides_of(view, way.token, fair) if fair > 0 else None
    return sides is not None and max(sides[0], -sides[1]) >= least


def look_at(view: View, way: Way, size_usd: Decimal) -> Look | None:
    """The token at its venue; None where it has no price or may not be traded, or its share has no price."""
    columns = view.columns
    if columns.hard_bars[way.token]:
        return None
    own = columns.own(columns.group(way.token), view.now)
    if own is None:
        return None
    sides = sides_of(view, way.token, own.price)
    usd = columns.mark_usd(way.token)
    if sides is None or not usd > 0:
        return None
    mid = columns.f_rows[way.token][K.MID_USD] / own.price - 1
    return Look(own.price, mid, *sides, size_usd / exact(usd))


def sides_of(view: View, number: int, fair: float) -> tuple[float, float] | None:
    """What selling a share's worth of an instrument brings and what buying it takes, after costs, as parts of the
    fair value above it; None where there is no quote in force."""
    columns, f, k = view.columns, view.columns.f_rows[number], view.columns.k_rows[number]
    cost, per_share = columns.facts[number].cost, f[K.USD_PER_SHARE]
    if cost is None or k[K.REFUSAL] != K.OK or view.now > k[K.EXPIRES] or columns.universe[number].one_price:
        return None
    bid, ask = f[K.BID] * per_share / fair * (1 - cost) - 1, f[K.ASK] * per_share / fair * (1 + cost) - 1
    return (bid, ask) if isfinite(bid) and isfinite(ask) else None


def terms_of(view: View, case: Case, capital_per_day: float) -> Terms | None:
    """What issuer and venues ask, as parts of the fair value; None where a price for it is missing."""
    look, door = case.look, case.door
    other = hedged = 0.0
    if view.columns.universe[case.way.other].role is not Role.COIN:
        sides = sides_of(view, case.way.other, look.fair)
        if sides is None:
            return None
        other = sides[1] if door.mint else -sides[0]
    if case.kind == "first":
        sides = sides_of(view, case.first, look.fair)
        if sides is None:
            return None
        hedged = sides[1] - sides[0]
    return Terms(
        mint=door.cost + other + hedged,
        sell=look.mid - look.bid,
        buy=look.ask - look.mid,
        redeem=door.cost + other,
        capital_rate=capital_per_day,
        rejection=case.habit.rejects,
        unwind=hedged,
    )


def usd_of(view: View, number: int) -> float:
    """USD per unit of an instrument, of a coin per coin."""
    columns = view.columns
    one = columns.universe[number]
    if one.role is Role.COIN:
        return float(columns.fx[columns.coins.index(one.coin)])
    return columns.mark_usd(number)


def expected(case: Case, terms: Terms) -> float:
    """What a plan is expected to bring after all, as a part of its size."""
    premium, days = case.way.premium, case.habit.delay_s / DAY_S
    if case.kind == "refill":
        return inventory_first(premium, case.look.mid, terms, days)
    if case.kind == "redeem":
        return redeem_first(premium, case.look.mid, terms, days)
    return mint_first(premium, case.look.mid, terms, days).profit


def entry(case: Case, terms: Terms) -> float:
    """From which premium on minting again and again pays best."""
    days = case.habit.delay_s / DAY_S
    lost = (terms.rejection * terms.unwind + terms.capital_rate * days) / (1 - terms.rejection)
    return _best_entry(case.way.premium, round(days, 4), round(terms.mint + terms.sell + lost, 5))


@lru_cache(maxsize=512)
def _best_entry(premium: Premium, days: float, cost: float) -> float:
    return best_entry(premium, delay=days, cost=cost).premium if days > 0 else -inf
