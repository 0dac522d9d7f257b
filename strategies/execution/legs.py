"""What speaks against one leg: its quote, units, coin, cost, size, permit and distance from the fair value."""

from __future__ import annotations

from math import inf, isfinite, nan

from msgspec import structs

from connectors.exact import exact
from connectors.instruments import USD
from connectors.orders import Intent, Leg, Reason, Side
from strategies.base import View
from strategies.execution.limits import Limits
from strategies.market import kernel as K

Problem = tuple[Reason, str]


def leg_problem(leg: Leg, view: View, limits: Limits, fair: float, *, eased: bool) -> Problem | None:
    """The first thing that speaks against a leg. `fair` in USD per share; nan is unknown.

    `eased` is for what provably closes: then neither the session nor a strategy's want of room bars it, and it must
    have a worst price.
    """
    columns, now, at = view.columns, view.now, leg.instrument
    f, k, instrument = columns.f_rows[at], columns.k_rows[at], columns.universe[at]
    if not leg.quantity > 0:
        return Reason.NO_SIZE, f"{instrument.name}: quantity {leg.quantity}"
    if k[K.REFUSAL] != K.OK or now > k[K.EXPIRES]:
        return Reason.STALE, f"{instrument.name}: last quote is refused, halted or too old"
    if eased:
        if why := columns.hard_bars[at]:
            return Reason.MAINTENANCE, f"{instrument.name}: {why}"
    elif now < k[K.BUY_FROM if leg.side is Side.BUY else K.SELL_FROM]:
        why = f"no {leg.side.value} orders now: stream down, new multiplier or no room"
        return Reason.MAINTENANCE, f"{instrument.name}: {why}"
    if not isfinite(f[K.SHARES_PER_UNIT]):
        return Reason.MULTIPLIER_UNKNOWN, f"{instrument.name}: shares per unit unknown"
    usd_per_unit = f[K.USD_PER_UNIT]
    if not isfinite(usd_per_unit):
        return Reason.FX_UNKNOWN, f"{instrument.name}: no price for {instrument.quote}"
    if not columns.fx_is_fresh(at, now):
        return Reason.FX_UNKNOWN, f"{instrument.name}: the price of {instrument.quote} is too old or refused"
    if instrument.quote != USD and abs(usd_per_unit - 1) * 1e4 > limits.coin_band_bps:
        return Reason.COIN_BAND, f"{instrument.quote} at {usd_per_unit:.4f} USD, allowed {limits.coin_band_bps:g} bps"
    facts = columns.facts[at]
    if facts.cost is None:
        why = "no fee is configured" if facts.costs is None else facts.costs.why
        return Reason.COST_UNKNOWN, f"{instrument.name}: {why}"
    if instrument.one_price and facts.assumed_half_spread is None:
        return Reason.ONE_PRICE, f"{instrument.name}: one price, no book, and no spread and size assumed"
    centre = _centre(leg, view, fair, eased=eased)
    if isfinite(centre):
        away = abs(float(leg.seen) / centre - 1) * 1e4
        if not away <= limits.collar_bps:
            what = "fair value" if isfinite(fair) else "quote in force"
            return Reason.COLLAR, f"{instrument.name}: {away:.0f} bps from the {what}, allowed {limits.collar_bps:g}"
    if eased and not 0 < _bounded(leg, limits, centre).limit < inf:
        return Reason.COLLAR, f"{instrument.name}: no worst price, and no collar to give it one"
    return None


def within_collar(intent: Intent, view: View, limits: Limits, fair: float, *, eased: bool) -> Intent:
    """The intent with no leg's limit beyond the collar, so that what is sent cannot trade where it may not."""
    if limits.collar_bps == inf:
        return intent
    legs = tuple(_bounded(leg, limits, _centre(leg, view, fair, eased=eased)) for leg in intent.legs)
    return structs.replace(intent, legs=legs)


def _centre(leg: Leg, view: View, fair: float, *, eased: bool) -> float:
    """What the collar lies around, in quote currency per unit: the fair value, or, for what closes while that is
    unknown, the mid of the quote in force."""
    f = view.columns.f_rows[leg.instrument]
    if isfinite(fair):
        return fair / f[K.USD_PER_SHARE]
    return 0.5 * (f[K.BID] + f[K.ASK]) if eased else nan


def _bounded(leg: Leg, limits: Limits, centre: float) -> Leg:
    """The leg with its limit within the collar."""
    if limits.collar_bps == inf or not isfinite(centre):
        return leg
    buying, share = leg.side is Side.BUY, limits.collar_bps / 1e4
    bound = exact(centre * (1 + share if buying else 1 - share))
    return structs.replace(leg, limit=min(leg.limit, bound) if buying else max(leg.limit, bound))
