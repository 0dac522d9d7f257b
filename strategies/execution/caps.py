"""Caps: how large positions, and what hangs on one name, could become if the worst part of all orders filled.

An order under way counts as done where that makes a position larger, and as not done where it makes it smaller. What
makes nothing larger is never refused by a cap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import inf, isfinite, nan
from typing import Final

from connectors.instruments import USD
from connectors.orders import Intent, Leg, Reason, Side
from strategies.base import View
from strategies.execution.legs import Problem
from strategies.execution.limits import Limits

_KINDS: Final = (
    (Reason.TOKEN_CAP, "token_usd", "token"),
    (Reason.VENUE_CAP, "venue_usd", "venue"),
    (Reason.ISSUER_CAP, "issuer_usd", "issuer"),
    (Reason.CHAIN_CAP, "chain_usd", "chain"),
)
"""Each kind of name: the word for its refusal, the field of its cap, and the field of an instrument that holds it."""


class Worst:
    """What orders under way and these legs could make of positions; floats, since they only decide about a refusal."""

    def __init__(self, view: View, legs: Iterable[Leg]) -> None:
        """`legs` are not under way yet."""
        self.view = view
        self.bought: dict[int, float] = {}
        """Units that may still be bought, by instrument."""
        self.sold: dict[int, float] = {}
        for (instrument, side), quantity in view.ledger.under_way().items():
            self._add(instrument, side, quantity)
        for leg in legs:
            self._add(leg.instrument, leg.side, leg.quantity)

    def _add(self, instrument: int, side: Side, units: Decimal) -> None:
        moved = self.bought if side is Side.BUY else self.sold
        moved[instrument] = moved.get(instrument, 0.0) + float(units)

    def usd(self, instrument: int) -> float:
        """The largest absolute position that may come of it, what is in flight with it, in USD; nan while one has no
        price."""
        ledger = self.view.ledger
        units = ledger.held.get(instrument, 0.0)
        if ledger.away:
            units += ledger.away.get(instrument, 0.0)
        bought, sold = self.bought.get(instrument, 0.0), self.sold.get(instrument, 0.0)
        most = max(abs(units + bought), abs(units - sold))
        return most * self.view.columns.mark_usd(instrument) if most else 0.0

    def coin_usd(self, coin: str) -> float:
        """The most cash in a coin, or debt of it, that may come of it, in USD; nan while there is no price for it."""
        view = self.view
        cash, rate, came, went = view.ledger.cash.get(coin), nan, 0.0, 0.0
        for number, one in enumerate(view.columns.universe):
            if one.quote == coin:
                rate = view.columns.known_fx(number)
                came += self.sold[number] * view.columns.mark_usd(number) if number in self.sold else 0.0
                went += self.bought[number] * view.columns.mark_usd(number) if number in self.bought else 0.0
        has = float(cash) * rate if cash else 0.0
        low, high = abs(has - went), abs(has + came)
        return max(low, high) if isfinite(low) and isfinite(high) else nan


def book_problem(intent: Intent, earlier: Sequence[Leg], view: View, limits: Limits) -> Problem | None:
    """What speaks against the positions that all orders under way could leave behind."""
    if _all_usd((*earlier, *intent.legs), view) < limits.harmless_usd:
        return None
    universe, ledger, caps = view.columns.universe, view.ledger, limits.caps
    touched = list(dict.fromkeys([leg.instrument for leg in intent.legs]))
    after = Worst(view, (*earlier, *intent.legs))
    # Every position once, those that are not touched as they are: other names are capped by what is in their own.
    usd = {at: after.usd(at) for at in {*ledger.held, *ledger.away, *after.bought, *after.sold}}

    def grew(kin: Iterable[int]) -> bool:
        """Whether positions are larger than without the intent; one that has no price is."""
        before = Worst(view, earlier)
        return not sum(usd[at] - before.usd(at) for at in kin if at in touched) <= 0

    most = float(limits.max_position_usd)
    for at in touched:
        if not usd[at] <= most and grew([at]):
            said = f"{universe[at].name}: up to {usd[at]:.2f} USD after the trade, allowed {limits.max_position_usd}"
            return Reason.POSITION, said
    gross = sum(usd.values())
    if not gross <= float(limits.max_gross_usd) and grew(touched):
        unknown = "" if isfinite(gross) else ": a position has no price now"
        said = f"up to {gross:.2f} USD in all after the trade, allowed {limits.max_gross_usd}{unknown}"
        return Reason.POSITION, said
    for reason, capped, kind in _KINDS:
        if (cap := getattr(caps, capped)) == inf:
            continue
        for name in dict.fromkeys([getattr(universe[at], kind) for at in touched]):
            kin = [at for at in usd if name and getattr(universe[at], kind) == name]
            total = sum(usd[at] for at in kin)
            if not total <= cap and grew(kin):
                return reason, f"{name}: up to {total:.2f} USD after the trade, allowed {cap:g}"
    if caps.stablecoin_usd < inf:
        for coin in dict.fromkeys([universe[at].quote for at in touched if universe[at].quote != USD]):
            cash = after.coin_usd(coin)
            if not (cash <= caps.stablecoin_usd or cash <= Worst(view, earlier).coin_usd(coin)):
                said = f"{coin}: up to {cash:.2f} USD of cash after the trade, allowed {caps.stablecoin_usd:g}"
                return Reason.STABLECOIN_CAP, said
    return None


def _all_usd(legs: Iterable[Leg], view: View) -> float:
    """At least what all positions together could become with these legs, in USD: nothing is set off against anything;
    nan while one has no price."""
    ledger, mark, usd = view.ledger, view.columns.mark_usd, 0.0
    for owned in (ledger.held, ledger.away):
        for at, units in owned.items():
            if units:
                usd += abs(units) * mark(at)
    for (at, _), quantity in ledger.under_way().items():
        usd += float(quantity) * mark(at)
    for leg in legs:
        usd += float(leg.quantity) * mark(leg.instrument)
    return usd


def positions_usd(view: View, limits: Limits) -> dict[str, tuple[float, float]]:
    """The largest position, all of them, and what hangs most on one name, each with its limit, in USD; orders under way
    count as above."""
    universe, ledger = view.columns.universe, view.ledger
    worst = Worst(view, ())
    usd = {at: worst.usd(at) for at in {*ledger.held, *ledger.away, *worst.bought, *worst.sold}}
    found = {
        "position": (max(usd.values(), default=0.0), float(limits.max_position_usd)),
        "gross": (sum(usd.values()), float(limits.max_gross_usd)),
    }
    for _, capped, kind in _KINDS:
        names: dict[str, float] = {}
        for at, worth in usd.items():
            name = getattr(universe[at], kind)
            names[name] = names.get(name, 0.0) + (worth if name else 0.0)
        found[kind] = max(names.values(), default=0.0), getattr(limits.caps, capped)
    return found
