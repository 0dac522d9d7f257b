"""Caps: how large positions, and what hangs on one name, could become if the worst part of all orders filled.

An order under way counts as done where that makes a position larger, and as not done where it makes it smaller. What
makes nothing larger is never refused by a cap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite, nan

from connectors.instruments import USD
from connectors.orders import Intent, Leg, Reason, Side
from strategies.base import View
from strategies.execution.legs import Problem
from strategies.execution.limits import Caps, Limits


@dataclass(slots=True)
class Worst:
    """Units that may still be bought and sold by instrument; floats, since they only decide whether to refuse."""

    bought: dict[int, float]
    sold: dict[int, float]

    @classmethod
    def of(cls, view: View, earlier: Iterable[Leg]) -> Worst:
        """Of all orders under way, and of what was approved earlier at this moment."""
        found = cls({}, {})
        for (instrument, side), quantity in view.ledger.under_way().items():
            found.add(instrument, side, float(quantity))
        for leg in earlier:
            found.add(leg.instrument, leg.side, float(leg.quantity))
        return found

    def add(self, instrument: int, side: Side, units: float) -> None:
        """So much more."""
        moved = self.bought if side is Side.BUY else self.sold
        moved[instrument] = moved.get(instrument, 0.0) + units

    def with_legs(self, legs: Iterable[Leg]) -> Worst:
        """The same and these legs."""
        more = Worst(dict(self.bought), dict(self.sold))
        for leg in legs:
            more.add(leg.instrument, leg.side, float(leg.quantity))
        return more

    def usd(self, view: View, instrument: int) -> float:
        """The largest absolute position that may come of it, what is in flight with it, in USD; nan while one has no
        price."""
        units = view.ledger.held.get(instrument, 0.0) + view.ledger.away.get(instrument, 0.0)
        most = max(abs(units + self.bought.get(instrument, 0.0)), abs(units - self.sold.get(instrument, 0.0)))
        return most * view.columns.mark_usd(instrument) if most else 0.0

    def coin_usd(self, view: View, coin: str) -> float:
        """The most cash in a coin, or debt of it, that may come of it, in USD; nan while there is no price for it."""
        cash, came, went = view.ledger.cash.get(coin), 0.0, 0.0
        rate = 0.0 if not cash else nan
        for number, one in enumerate(view.columns.universe):
            if one.quote == coin:
                rate = view.columns.known_fx(number) if cash else rate
                came += self.sold.get(number, 0.0) * view.columns.mark_usd(number) if number in self.sold else 0.0
                went += self.bought.get(number, 0.0) * view.columns.mark_usd(number) if number in self.bought else 0.0
        has = float(cash) * rate if cash else 0.0
        low, high = abs(has - went), abs(has + came)
        return max(low, high) if isfinite(low) and isfinite(high) else nan


def book_problem(intent: Intent, earlier: Iterable[Leg], view: View, limits: Limits) -> Problem | None:
    """What speaks against the positions that all orders under way could leave behind."""
    before = Worst.of(view, earlier)
    after = before.with_legs(intent.legs)
    touched = dict.fromkeys(leg.instrument for leg in intent.legs)
    universe = view.columns.universe
    usd = {at: after.usd(view, at) for at in touched}
    grown = {at: usd[at] - before.usd(view, at) for at in touched}
    for at in touched:
        if _breaks(usd[at], float(limits.max_position_usd), grown[at]):
            said = f"{universe[at].name}: up to {usd[at]:.2f} USD after the trade, allowed {limits.max_position_usd}"
            return Reason.POSITION, said
    # Every position once, those that are not touched as they are: other names are capped by what is in their own.
    all_usd = {at: after.usd(view, at) for at in {*view.ledger.held, *view.ledger.away, *after.bought, *after.sold}}
    gross = sum(all_usd.values())
    if _breaks(gross, float(limits.max_gross_usd), sum(grown.values())):
        unknown = "" if isfinite(gross) else ": a position has no price now"
        said = f"up to {gross:.2f} USD in all after the trade, allowed {limits.max_gross_usd}{unknown}"
        return Reason.POSITION, said
    for reason, cap, kind in _kinds(limits.caps):
        for name in dict.fromkeys(getattr(universe[at], kind) for at in touched):
            kin = [at for at in all_usd if name and getattr(universe[at], kind) == name]
            total = sum(all_usd[at] for at in kin)
            if _breaks(total, cap, sum(grown.get(at, 0.0) for at in kin)):
                return reason, f"{name}: up to {total:.2f} USD after the trade, allowed {cap:g}"
    for coin in dict.fromkeys(
        universe[at].quote for at in touched if universe[at].quote != USD and limits.caps.stablecoin_usd < inf
    ):
        cash, was = after.coin_usd(view, coin), before.coin_usd(view, coin)
        if _breaks(cash, limits.caps.stablecoin_usd, cash - was):
            said = f"{coin}: up to {cash:.2f} USD of cash after the trade, allowed {limits.caps.stablecoin_usd:g}"
            return Reason.STABLECOIN_CAP, said
    return None


def _breaks(value: float, cap: float, grown: float) -> bool:
    """Whether a value that grew is above its cap; what is not known breaks it unless it did not grow."""
    return cap < inf and not (value <= cap or grown <= 0)


def _kinds(caps: Caps) -> tuple[tuple[Reason, float, str], ...]:
    """Each kind of name: the word for its refusal, its cap, and the field of an instrument that holds it."""
    return (
        (Reason.TOKEN_CAP, caps.token_usd, "token"),
        (Reason.VENUE_CAP, caps.venue_usd, "venue"),
        (Reason.ISSUER_CAP, caps.issuer_usd, "issuer"),
        (Reason.CHAIN_CAP, caps.chain_usd, "chain"),
    )
