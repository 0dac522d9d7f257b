"""What is done with a position that is held: nothing, given back, its hedge moved, or hedged anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Role
from connectors.orders import Leg, Side
from strategies.hedging.bet import Bet, Quote, quote
from strategies.hedging.holding import Holding
from strategies.hedging.legs import leg, shown, whole
from strategies.hedging.margin import Account, liquidation_usd
from strategies.hedging.sight import Sight
from strategies.pricing.costs import TAKEN

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
    carried: Decimal = Decimal(0)
    alert: str = ""
    """The kind of note that somebody must see: hold_cost or margin."""


def keep(sight: Sight, held: Holding, hedges: Iterable[int]) -> Verdict:
    """What is to be done with a holding now."""
    bought, sold = held.bought, held.sold
    if held.broken or bought is None or sold is None:
        return Verdict(action="hold", why="unhedged", detail={"shares": str(held.net)})
    quotes = quote(sight.view, bought), quote(sight.view, sold)
    hedge = bought if sight.view.columns.universe[bought].role is not Role.TOKEN else sold
    short = _short_of_margin(sight, hedge)
    for number, one in zip((bought, sold), quotes, strict=True):
        if isinstance(one, str):
            detail: dict[str, float | str] = {"what": f"{sight.name(number)}: {one}"}
            return Verdict(action="hold", why="locked", detail=detail | short, alert="margin" if short else "")
    buy, sell = quotes
    assert isinstance(buy, Quote)
    assert isinstance(sell, Quote)
    if drift := _drift(sight, held, buy if hedge == bought else sell):
        return drift
    made = sight.bet(buy, sell, held=True)
    return _judged(sight, held, made, hedge, short, [at for at in hedges if at != hedge])


def _judged(
    sight: Sight, held: Holding, made: Bet, hedge: int, short: dict[str, float | str], others: list[int]
) -> Verdict:
    """A pair that is whole and can be seen: the first reason to end it, in the order of their urgency."""
    rule, now = sight.rule, sight.view.now
    leave = made.levels(rule.horizon_s).leave
    earns, days = made.still_earns(leave)
    closure = sight.closure(hedge)
    left_s = (closure.begins - now) / NS if closure is not None else float("inf")
    detail: dict[str, float | str] = {
        "hedge": sight.name(hedge), "away_bps": made.away * BPS, "leave_bps": leave * BPS,
        "carry_bps_per_day": made.carry.per_day * BPS, "days": days, "value_bps": earns * BPS,
    }  # fmt: skip
    give = rule.slippage_bps
    if short:
        return _end(sight, held, made, hedge, others, "margin", detail | short, give, earns, alert="margin")
    if made.away <= leave:
        return _exit(sight, held, made, "converged", detail, give)
    if now - held.since_ns > rule.horizon_s * NS:
        return _exit(sight, held, made, "lapsed", detail, give)
    if closure is not None and 0 < left_s <= rule.flatten_s:
        gap = sight.gap(hedge, closure)
        shut = made.carry.per_day * max(0.0, (closure.ends - now) / NS / 86_400 - days)
        detail["gap_bps"] = gap * BPS
        if earns - gap - shut <= 0:
            if closure.long:
                first, last = rule.flatten_bps
                give = first + (last - first) * (1 - exact(left_s / rule.flatten_s))
            return _exit(sight, held, made, "closing", detail, give)
    if made.why:
        detail["what"] = made.why
        return Verdict(action="hold", why="cost_unknown", detail=detail, alert="hold_cost")
    if earns <= 0:
        most = max(made.carry.parts, key=lambda one: made.carry.parts[one])
        detail["what"] = f"{most.value} of {made.carry.parts[most] * BPS:.2f} bps a day"
        return _end(sight, held, made, hedge, others, "carry", detail, give, earns, alert="hold_cost")
    return Verdict(action="hold", why="usual", detail=detail)


def _short_of_margin(sight: Sight, hedge: int) -> dict[str, float | str]:
    """What is told where the equity at a perp's venue is below the reserve; nothing where it is not."""
    stands = sight.account(hedge) if sight.view.columns.universe[hedge].role is Role.PERP else None
    margin = sight.terms[hedge].margin
    if stands is None or margin is None or stands.share() >= sight.rule.margin_reserve:
        return {}
    return _margin_numbers(sight, hedge, stands)


def _margin_numbers(sight: Sight, hedge: int, stands: Account) -> dict[str, float | str]:
    margin = sight.terms[hedge].margin
    assert margin is not None
    return {
        "venue": sight.view.columns.universe[hedge].venue, "equity_usd": stands.equity, "worth_usd": stands.worth,
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
    one = leg(sight.view, hedge, side, units, sight.rule.slippage_bps)
    detail: dict[str, float | str] = {"shares": str(held.net), "hedge": sight.name(hedge.number)}
    if why := sight.barred(hedge.number, side):
        return Verdict(action="hold", why="locked", detail=detail | {"what": why})
    return Verdict(action="rehedge", why="drift", detail=detail, legs=(one,), carried=held.net)


def _exit(
    sight: Sight, held: Holding, made: Bet, why: str, detail: dict[str, float | str], give: Decimal, alert: str = ""
) -> Verdict:
    """Both legs back, as much as both sides show."""
    view, rule = sight.view, sight.rule
    buy, sell = made.buy, made.sell
    both = held.shares[buy.number], -held.shares[sell.number]
    most = min(rule.most_usd / exact(max(buy.ask, sell.ask)), shown(view, buy, Side.SELL), shown(view, sell, Side.BUY))
    if most >= max(both):
        units = held.units[buy.number], -held.units[sell.number]
    else:
        lots = sight.terms[buy.number].lot, sight.terms[sell.number].lot
        back, gone = whole((sell, lots[1]), (buy, lots[0]), min(*both, most))
        units = gone, back
    room = sight.room(buy.number)
    barred = sight.barred(buy.number, Side.SELL) or sight.barred(sell.number, Side.BUY)
    if room is not None and units[0] > room:
        barred = f"{sight.name(buy.number)}: {room} units are left to sell, others have sold the rest"
    if barred or not all(units):
        what = barred or "no whole lot of it is shown on both sides"
        return Verdict(action="hold", why="locked", detail=detail | {"what": what, "wanted": why}, alert=alert)
    legs = leg(view, buy, Side.SELL, units[0], give), leg(view, sell, Side.BUY, units[1], give)
    return Verdict(action="exit", why=why, detail=detail, legs=legs, alert=alert)


def _end(
    sight: Sight,
    held: Holding,
    made: Bet,
    hedge: int,
    others: list[int],
    why: str,
    detail: dict[str, float | str],
    give: Decimal,
    earns: float,
    *,
    alert: str,
) -> Verdict:
    """It does not pay to hold it so: the hedge is moved to where it does, else the position is given back."""
    for number in others:
        other = quote(sight.view, number)
        if isinstance(other, str):
            continue
        long = hedge == made.buy.number
        new = sight.bet(other, made.sell) if long else sight.bet(made.buy, other)
        taken = sight.terms[number].costs.only(TAKEN).share(sight.rule.size_usd)
        if new.why or taken is None:
            continue
        levels = new.levels(sight.rule.horizon_s)
        brings, days = new.still_earns(levels.leave)
        brings -= 2 * (float(taken) + other.half) + sight.gap_within(number, days)
        side = Side.BUY if long else Side.SELL
        if brings <= max(0.0, earns) or sight.barred(number, side) or sight.lacks_margin(number):
            continue
        legs = _moved(sight, held, made.buy if long else made.sell, other, side, give)
        if legs:
            more: dict[str, float | str] = {"to": sight.name(number), "brings_bps": brings * BPS}
            return Verdict(action="move", why=why, detail=detail | more, legs=legs, alert=alert)
    return _exit(sight, held, made, why, detail, give, alert)


def _moved(sight: Sight, held: Holding, old: Quote, new: Quote, side: Side, give: Decimal) -> tuple[Leg, ...]:
    """The old hedge back and the new one in its place; nothing where no whole lot of both is shown."""
    view, back = sight.view, Side.SELL if side is Side.BUY else Side.BUY
    shares = min(
        abs(held.shares[old.number]), sight.rule.most_usd / exact(max(old.ask, new.ask)),
        shown(view, old, back), shown(view, new, side),
    )  # fmt: skip
    lots = sight.terms[old.number].lot, sight.terms[new.number].lot
    first, second = whole((old, lots[0]), (new, lots[1]), shares)
    if not (first and second) or sight.barred(old.number, back):
        return ()
    return leg(view, old, back, first, give), leg(view, new, side, second, give)
