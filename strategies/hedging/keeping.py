"""What is done with a position that is held: nothing, given back, its hedge moved, or hedged anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Leg, Purpose, Side
from strategies.hedging.bet import Bet, Quote, quote
from strategies.hedging.holding import Holding
from strategies.hedging.legs import leg, shown, whole
from strategies.hedging.margin import liquidation_usd
from strategies.hedging.sight import Sight
from strategies.pricing.carry import DAY_S

BPS = 1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done, and why."""

    action: str
    """hold, exit, move or rehedge."""
    why: str
    """One word: converged, lapsed, closing, carry, margin, drift, locked, unhedged; usual where it is just held."""
    detail: dict[str, float | str]
    legs: tuple[Leg, ...] = ()
    purpose: Purpose = Purpose.CLOSE
    carried: Decimal = Decimal(0)
    alert: str = ""
    """The kind of note that somebody must see: hold_cost or margin."""


def keep(sight: Sight, held: Holding, hedges: Iterable[int]) -> Verdict:
    """What is to be done with a holding now."""
    bought, sold = held.bought, held.sold
    if held.broken or bought is None or sold is None:
        return Verdict(action="hold", why="unhedged", detail={"shares": str(held.net)})
    hedge = bought if sight.view.columns.universe[bought].role is not Role.TOKEN else sold
    others = [number for number in hedges if number != hedge]
    buy, sell = quote(sight.view, bought), quote(sight.view, sold)
    short = _short_of_margin(sight, hedge)
    if isinstance(buy, Quote) and isinstance(sell, Quote):
        own = buy if hedge == bought else sell
        pair = _Pair(sight, held, sight.bet(buy, sell, held=True), own, others)
        return _drift(sight, held, own) or pair.judged(short)
    lost, why = (bought, buy) if isinstance(buy, str) else (sold, sell)
    detail: dict[str, float | str] = {"what": f"{sight.name(lost)}: {why}", **short}
    # The token cannot be given back: the hedge goes to where there is margin, or an operator adds some here.
    for old in _quoted(sight, [hedge] if short else []):
        for other in _quoted(sight, others):
            legs = _moved(sight, held, old, other, long=hedge == bought)
            if legs and not sight.lacks_margin(other.number):
                more = detail | {"to": sight.name(other.number)}
                return Verdict(
                    action="move", why="margin", detail=more, legs=legs, purpose=Purpose.OPEN, alert="margin"
                )
    return Verdict(action="hold", why="locked", detail=detail, alert="margin" if short else "")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A position that is whole and can be seen."""

    sight: Sight
    held: Holding
    bet: Bet
    own: Quote
    """Of its hedge."""
    others: list[int]
    """What could hedge it instead."""

    def judged(self, short: dict[str, float | str]) -> Verdict:
        """The first reason to end it, in the order of their urgency. `short`: what is told of a lack of margin."""
        rule, made, now = self.sight.rule, self.bet, self.sight.view.now
        leave = made.levels(rule.horizon_s).leave
        earns, days = made.still_earns(leave)
        detail: dict[str, float | str] = {
            "hedge": self.sight.name(self.own.number), "away_bps": made.away * BPS, "leave_bps": leave * BPS,
            "carry_bps_per_day": made.carry.per_day * BPS, "days": days, "value_bps": earns * BPS, **short,
        }  # fmt: skip
        if short:
            return self._moves("margin", detail, earns, "margin") or self._exit("margin", detail, alert="margin")
        if made.away <= leave:
            return self._exit("converged", detail)
        if now - self.held.since_ns > rule.horizon_s * NS:
            return self._exit("lapsed", detail)
        if closing := self._closing(earns, days, detail):
            return closing
        if made.why:
            detail["what"] = made.why
            hold = Verdict(action="hold", why="cost_unknown", detail=detail, alert="hold_cost")
            return self._moves("cost_unknown", detail, -inf, "hold_cost") or hold
        if earns <= 0:
            most = max(made.carry.parts, key=lambda one: made.carry.parts[one])
            detail["what"] = f"{most.value} of {made.carry.parts[most] * BPS:.2f} bps a day"
            return self._moves("carry", detail, earns, "hold_cost") or self._exit("carry", detail, alert="hold_cost")
        return Verdict(action="hold", why="usual", detail=detail)

    def _closing(self, earns: float, days: float, detail: dict[str, float | str]) -> Verdict | None:
        """Shortly before the hedge's venue closes: whether what is to come pays for the gap, and for what holding costs
        while it is closed."""
        rule, now = self.sight.rule, self.sight.view.now
        closure = self.sight.closure(self.own.number)
        if closure is None or not 0 < closure.begins - now <= rule.flatten_s * NS:
            return None
        gap = self.sight.gap(self.own.number, closure)
        shut = self.bet.carry.per_day * max(0.0, (closure.ends - now) / NS / DAY_S - days)
        if earns - gap - shut > 0:
            return None
        give = rule.slippage_bps
        if closure.long:
            first, last = rule.flatten_bps
            give = first + (last - first) * (1 - exact((closure.begins - now) / NS / rule.flatten_s))
        return self._exit("closing", {**detail, "gap_bps": gap * BPS}, give=give)

    def _exit(
        self, why: str, detail: dict[str, float | str], *, give: Decimal | None = None, alert: str = ""
    ) -> Verdict:
        """Both legs back, as much as both sides show."""
        sight, held, view = self.sight, self.held, self.sight.view
        buy, sell = self.bet.buy, self.bet.sell
        both = held.shares[buy.number], -held.shares[sell.number]
        most = min(
            sight.rule.most_usd / exact(max(buy.ask, sell.ask)),
            shown(view, buy, Side.SELL),
            shown(view, sell, Side.BUY),
        )
        if most >= max(both):
            units = held.units[buy.number], -held.units[sell.number]
        else:
            lots = sight.terms[buy.number].lot, sight.terms[sell.number].lot
            back, gone = whole((sell, lots[1]), (buy, lots[0]), min(*both, most))
            units = gone, back
        room, what = sight.room(buy.number), ""
        if room is not None and units[0] > room:
            what = f"{sight.name(buy.number)}: {room} units are there to sell, the rest is sold or others'"
        for number, side in ((buy.number, Side.SELL), (sell.number, Side.BUY)):
            what = what or sight.barred(number, side, closes=True)
        if what or not all(units):
            what = what or "no whole lot of it is shown on both sides"
            return Verdict(action="hold", why="locked", detail={**detail, "what": what, "wanted": why}, alert=alert)
        give = sight.rule.slippage_bps if give is None else give
        legs = leg(view, buy, Side.SELL, units[0], give), leg(view, sell, Side.BUY, units[1], give)
        return Verdict(action="exit", why=why, detail=detail, legs=legs, alert=alert)

    def _moves(self, why: str, detail: dict[str, float | str], earns: float, alert: str) -> Verdict | None:
        """The hedge moved to where the position pays, and better than here; None where there is no such place."""
        sight, long = self.sight, self.own.number == self.bet.buy.number
        for other in _quoted(sight, self.others):
            new = sight.bet(other, self.bet.sell, held=True) if long else sight.bet(self.bet.buy, other)
            if new.why or sight.lacks_margin(other.number):
                continue
            brings, days = new.still_earns(new.levels(sight.rule.horizon_s).leave)
            brings -= sight.fees[other.number].share + 2 * other.half + sight.gap_within(other.number, days)
            legs = _moved(sight, self.held, self.own, other, long=long) if brings > max(0.0, earns) else ()
            if legs:
                more: dict[str, float | str] = {"to": sight.name(other.number), "brings_bps": brings * BPS}
                return Verdict(
                    action="move", why=why, detail=detail | more, legs=legs, purpose=Purpose.OPEN, alert=alert
                )
        return None


def _quoted(sight: Sight, numbers: Iterable[int]) -> Iterator[Quote]:
    """Quotes of those that have one."""
    return (one for one in (quote(sight.view, number) for number in numbers) if isinstance(one, Quote))


def _short_of_margin(sight: Sight, hedge: int) -> dict[str, float | str]:
    """What is told where the equity at a perp's venue is below the reserve; nothing where it is not."""
    one, margin = sight.view.columns.universe[hedge], sight.terms[hedge].margin
    stands = sight.account(hedge) if one.role is Role.PERP else None
    if stands is None or margin is None or stands.share() >= sight.rule.margin_reserve:
        return {}
    return {
        "venue": one.venue, "equity_usd": stands.equity, "worth_usd": stands.worth,
        "top_up_usd": stands.lacks(sight.rule.margin_reserve),
        "liquidation_usd": liquidation_usd(sight.view, margin, stands, hedge),
    }  # fmt: skip


def _drift(sight: Sight, held: Holding, hedge: Quote) -> Verdict | None:
    """What is held is worth net shares of a lot or more: a multiplier has changed. The hedge follows."""
    lot = sight.terms[hedge.number].lot
    units = abs(held.net) / exact(hedge.shares_per_unit) // lot * lot
    if not units:
        return None
    side = Side.SELL if held.net > 0 else Side.BUY
    detail: dict[str, float | str] = {"shares": str(held.net), "hedge": sight.name(hedge.number)}
    if why := sight.barred(hedge.number, side, closes=True):
        return Verdict(action="hold", why="locked", detail=detail | {"what": why})
    one = leg(sight.view, hedge, side, units, sight.rule.slippage_bps)
    return Verdict(action="rehedge", why="drift", detail=detail, legs=(one,), carried=held.net)


def _moved(sight: Sight, held: Holding, old: Quote, new: Quote, *, long: bool) -> tuple[Leg, ...]:
    """The old hedge back and the new one in its place; nothing where no whole lot of both may be traded."""
    view, give = sight.view, sight.rule.slippage_bps
    back, side = (Side.SELL, Side.BUY) if long else (Side.BUY, Side.SELL)
    if sight.barred(old.number, back, closes=True) or sight.barred(new.number, side):
        return ()
    shares = min(
        abs(held.shares[old.number]), sight.rule.most_usd / exact(max(old.ask, new.ask)),
        shown(view, old, back), shown(view, new, side),
    )  # fmt: skip
    lots = sight.terms[old.number].lot, sight.terms[new.number].lot
    first, second = whole((old, lots[0]), (new, lots[1]), shares)
    return (leg(view, old, back, first, give), leg(view, new, side, second, give)) if first and second else ()
