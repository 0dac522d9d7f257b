"""Buy a share where it is cheap and sell it where it is dear, at once: the same token, or several tokens of one share.

How much, and where, is the best trade over everything that is seen now (strategies/pricing/crossing.py). Tokens of one
issuer can be brought from venue to venue, which [costs] rebalancing_bps pays for. Tokens of two issuers cannot: such a
trade is hedged by the share and stays a bet that their premia meet, which only the opposite trade ends. It is wished by
the same rule as soon as it pays for itself, and until then the most units long and short bound the bet.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, nan
from typing import Final

from connectors.exact import exact
from connectors.instruments import Universe
from connectors.orders import Intent, Leg, Side, Sizing
from strategies.base import Decision, EdgeAbove, Note, View, Wake
from strategies.execution.limits import Limits
from strategies.execution.room import fits
from strategies.market import kernel as K
from strategies.market.columns import Facts
from strategies.pricing.crossing import Crossing, cross
from strategies.pricing.crossing import Leg as Part
from strategies.pricing.offers import ZERO, Offer, Terms, offer_of

_BPS = Decimal(10_000)
CLOSE: Final = 1e-9
"""Floats whose prices differ by less, as a share, are told apart by the exact sums only."""
HALVINGS: Final = 12
"""How closely the largest size is looked for that the operator's caps allow: to a part in so many powers of two."""


@dataclass(frozen=True, kw_only=True)
class CrossVenue:
    """The strategy. Exactly one of `size_usd` and `size_units` is set; no trade buys more."""

    terms: tuple[Terms, ...]
    """One an instrument."""
    min_edge_bps: float
    """At least 0. Each share that is traded must bring more, and so must all of them after what is fixed."""
    size_usd: Decimal | None
    """At the cheapest price."""
    size_units: Decimal | None
    """Of the cheapest instrument."""
    max_short_units: Decimal
    max_long_units: Decimal
    slippage_bps: Decimal | None
    latency_ns: int
    """Longest time that a leg needs; the intent's deadline."""
    cooldown_ns: int
    refusal_backoff_ns: int
    max_open: int
    max_legs: int = 4
    limits: Limits | None = None
    """What the operator allows: no more is wished. None: whatever the size, the review judges it."""
    name: str = "cross_venue"

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """On the best edge of every underlying, which counts fixed costs at the largest size: where no pair has one, no
        trade of several legs can pay either."""
        return tuple(EdgeAbove(name, self.min_edge_bps) for name in universe.underlyings())

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """(buy, sell): a position may grow to `max_long_units`, and shrink to what other strategies hold of it less
        `max_short_units`."""
        lot = self.terms[instrument].lot
        return self._room(view, instrument, buy=True) >= lot, self._room(view, instrument, buy=False) >= lot

    def decide(self, view: View) -> Decision:
        """One trade per underlying that woke it."""
        wishes: list[Intent] = []
        notes: list[Note] = []
        for underlying in view.woken:
            outcome = self.trade(view, underlying)
            if isinstance(outcome, Intent):
                wishes.append(outcome)
            else:
                notes.append(Note(kind="no_trade", underlying=underlying, detail=outcome))
        return Decision(tuple(wishes), tuple(notes))

    def trade(self, view: View, underlying: str) -> Intent | dict[str, float | str]:
        """The trade that it wishes in one underlying now, or the reason why there is none."""
        columns = view.columns
        group = columns.underlyings.index(underlying)
        fair = columns.g.item(group, K.FAIR)
        numbers, best_bps = self._worth_a_look(view, group, fair)
        if not numbers:
            seen = {"best_bps": best_bps} if isfinite(best_bps) else {}
            return {"reason": "edge_gone", "least_bps": self.min_edge_bps, **seen}
        offers = [self.offer(view, at, buy=buy) for at, buy in numbers]
        made = self._crossed(offers, fair, self.size_usd, self.size_units)
        if isinstance(made, str):
            return {"reason": made, "best_bps": best_bps}
        intent = self._intent(view, group, made, fair)
        if self.limits is None or fits(intent, view, self.limits):
            return intent
        least, most = ZERO, made.bought_usd
        for _ in range(HALVINGS):
            half = (least + most) / 2
            made = self._crossed(offers, fair, half, None)
            smaller = None if isinstance(made, str) else self._intent(view, group, made, fair)
            if smaller is not None and fits(smaller, view, self.limits):
                least, intent = half, smaller
            else:
                most = half
        return intent

    def offer(self, view: View, number: int, *, buy: bool) -> Offer:
        """What can be bought or sold of an instrument now, up to what there is room for."""
        room = self._room(view, number, buy=buy)
        return offer_of(view, number, buy=buy, terms=self.terms[number], room=room)

    def _crossed(
        self, offers: list[Offer], fair: float, size_usd: Decimal | None, size_units: Decimal | None
    ) -> Crossing | str:
        """The best trade of at most this size."""
        edge = exact(fair) * exact(self.min_edge_bps) / _BPS
        return cross(offers, size_usd=size_usd, size_units=size_units, edge_usd=edge, max_legs=self.max_legs)

    def _worth_a_look(self, view: View, group: int, fair: float) -> tuple[list[tuple[int, bool]], float]:
        """(instrument, buy) of everything that can be part of a trade by its best price and the costs that grow with
        size, and the best edge (bps; nan where there is none)."""
        columns, now = view.columns, view.now
        asks: list[tuple[float, int]] = []
        bids: list[tuple[float, int]] = []
        for at in columns.members_of[group]:
            f, k = columns.f_rows[at], columns.k_rows[at]
            if now > k[K.EXPIRES]:
                continue
            ask, bid = f[K.NET_ASK], f[K.NET_BID]
            costs = columns.facts[at].costs
            if costs is not None and costs.fixed_usd and ask == ask:
                ask, bid = _without_fixed(columns.facts[at], ask, bid)
            if now >= k[K.BUY_FROM] and ask == ask:
                asks.append((ask, at))
            if now >= k[K.SELL_FROM] and bid == bid:
                bids.append((bid, at))
        if not (asks and bids):
            return [], nan
        lowest, highest = min(asks)[0], max(bids)[0]
        least = fair * self.min_edge_bps / 1e4 - highest * CLOSE
        found = [(at, True) for ask, at in asks if ask + least < highest]
        found += [(at, False) for bid, at in bids if bid - least > lowest]
        return found, (highest - lowest) / fair * 1e4

    def _room(self, view: View, number: int, *, buy: bool) -> Decimal:
        """Units of an instrument that may still be bought, or sold."""
        ledger = view.ledger
        if buy:
            return self.max_long_units - (ledger.position(number) + ledger.reserved(number, Side.BUY))
        return self.max_short_units + ledger.free(self.name, number)

    def _intent(self, view: View, group: int, made: Crossing, fair: float) -> Intent:
        """The trade as it is wished."""
        edge_bps = float(made.profit_usd / made.shares) / fair * 1e4
        sizing = Sizing(
            shares=float(made.shares),
            profit_usd=float(made.profit_usd),
            fixed_usd=float(made.fixed_usd),
            marginal_buy_usd=float(made.marginal_buy),
            marginal_sell_usd=float(made.marginal_sell),
            gap_usd=float(made.gap_usd),
        )
        return Intent(
            id=f"{self.name}-{view.now}-{view.seq}-{group}",
            strategy=self.name,
            legs=tuple([self._leg(part) for part in made.legs]),
            reason=f"{sizing.profit_usd:.2f} USD, {edge_bps:.2f} bps after all costs",
            edge_bps=edge_bps,
            notional_usd=max(made.bought_usd, made.sold_usd),
            deadline_ns=view.now + self.latency_ns,
            underlying=view.columns.underlyings[group],
            sizing=sizing,
        )

    def _leg(self, part: Part) -> Leg:
        """One order with its worst price; without a slippage limit it takes the quotes in force."""
        buy, worst = part.offer.buy, part.worst
        if self.slippage_bps is None:
            limit = Decimal("Infinity") if buy else ZERO
        else:
            give = worst * self.slippage_bps / _BPS
            limit = worst + give if buy else worst - give
        one_level = part.worst == part.offer.levels[0][0]
        return Leg(
            instrument=part.offer.instrument,
            side=Side.BUY if buy else Side.SELL,
            quantity=part.units,
            limit=limit,
            seen=worst if one_level else part.value / part.units,
        )


def _without_fixed(facts: Facts, ask: float, bid: float) -> tuple[float, float]:
    """Prices with all costs at the reference size, without what does not depend on the size."""
    assert facts.costs is not None and facts.cost is not None
    rate = float(facts.costs.rate)
    return ask * (1 + rate) / (1 + facts.cost), bid * (1 - rate) / (1 - facts.cost)
