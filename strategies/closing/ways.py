"""Every path that closes the premium of one offer, at its size: expected edge, time, failures, lock and worst case.

All in USD for the size N; x is the premium at the price that can be had, as a fraction. Formulas of what an issuer's
delay leaves: strategies/pricing/mint_economics.py; of the way back of a hedged premium: strategies/closing/passage.py.
"""

from __future__ import annotations

from decimal import Decimal
from math import exp, log, sqrt

from connectors.instruments import Role
from strategies.closing.passage import farthest, held, quantile
from strategies.closing.path import LEAST_HOURS, WORST, Path, Way, ranked, score
from strategies.closing.situation import DAY_S, Door, Offer, Situation
from strategies.market.excursions import above
from strategies.pricing.costs import TAKEN, Component, Costs

_HOLD = TAKEN | {Component.CAPITAL}
_PARTS = (0.1, 0.5, 0.9)


def paths(of: Offer, situation: Situation) -> tuple[Path, ...]:
    """All paths for one offer of a token, best first, the refused ones behind them."""
    dear = of.mid > situation.fair
    found = [_pair(of, other, dear, situation) for other in situation.offers if _same(of, other)]
    found += [_hedged(of, other, dear, situation) for other in situation.offers if _hedges(of, other)]
    doors = situation.mints if dear else situation.redemptions
    if (door := doors.get(of.issuer)) is not None:
        found.append(_mint(of, door, situation) if dear else _redeem(of, door, situation))
        if dear and of.held_usd > 0:
            found.append(_refill(of, door, situation))
    if situation.open_s > 0:
        found.append(_to_the_open(of, dear, situation))
    return ranked(found)


def _same(of: Offer, other: Offer) -> bool:
    """The same token elsewhere."""
    return other is not of and other.role is Role.TOKEN and (other.token, other.issuer) == (of.token, of.issuer)


def _hedges(of: Offer, other: Offer) -> bool:
    """Something else that stands for the share."""
    return other is not of and not _same(of, other)


def _pair(of: Offer, other: Offer, dear: bool, situation: Situation) -> Path:
    """Buy where it is cheap and sell where it is dear, at once; the share may move between the two legs."""
    buy, sell = (other, of) if dear else (of, other)
    late = max(buy.latency_s, sell.latency_s)
    return _told(
        Way.VENUE,
        (f"buy at {buy.name}", f"sell at {sell.name}"),
        situation,
        gross=(sell.bid - buy.ask) / situation.fair,
        costs=[(buy.costs.only(TAKEN), 1.0), (sell.costs.only(TAKEN), 1.0)],
        sd=situation.drift_sd(late),
        close_s=(late, late, late),
        held_s=late,
        locks=2.0,
        refused=_no_room(buy, sell, situation),
    )


def _hedged(of: Offer, other: Offer, dear: bool, situation: Situation) -> Path:
    """Sell the dear one and buy the cheap one, and back when the difference of their premia is usual again."""
    way = {Role.PERP: Way.PERP, Role.SHARE: Way.SHARE}.get(other.role, Way.ISSUER)
    buy, sell = (other, of) if dear else (of, other)
    legs = (f"buy at {buy.name}", f"sell at {sell.name}", "both back when the difference is usual")
    usual = sell.usual.against(buy.usual)
    z = ((sell.mid - buy.mid) / situation.fair - usual.mean) / usual.sd
    refused = _no_room(buy, sell, situation)
    if not z > 0:
        said = "the difference is not larger than usual"
        return Path(way=way, legs=legs, size_usd=situation.size_usd, refused=(*refused, said))
    bet = held(z, usual.kappa, situation.horizon_s)
    spreads = 2 * (buy.half + sell.half) / situation.fair
    low, middle, high = (quantile(z, usual.kappa, part) for part in _PARTS)
    return _told(
        way,
        legs,
        situation,
        gross=usual.sd * bet.gain - spreads,
        costs=[(buy.costs.only(_kept(buy, short=False)), 2.0), (sell.costs.only(_kept(sell, short=True)), 2.0)],
        sd=usual.sd * bet.sd,
        close_s=(low, middle, high),
        held_s=bet.time,
        locks=2.0,
        fails=bet.open,
        worst=-usual.sd * (farthest(z, 0.01) - z) - spreads,
        refused=refused,
    )


def _mint(of: Offer, door: Door, situation: Situation) -> Path:
    """Ask for new tokens and sell them when they come: the premium goes on reverting until then, and nothing hedges."""
    left = exp(-of.usual.kappa * door.wait_s)
    x0, speed, accepted = of.bid / situation.fair - 1, of.usual.kappa * door.delay_s, 1 - door.rejects
    away = (x0 - of.usual.mean) * left
    mean = of.usual.mean + away / (1 + speed)
    square = of.usual.sd**2 + (away**2 - of.usual.sd**2) / (1 + 2 * speed)
    spread_out = max(0.0, square - (away / (1 + speed)) ** 2)
    return _issued(
        Way.MINT,
        (f"mint at {door.issuer}", f"sell at {of.name} when they come"),
        of,
        door,
        situation,
        gross=accepted * mean,
        leg=accepted,
        sd=sqrt(spread_out + situation.drift_sd(door.delay_s) ** 2),
        refused=_barred(of),
    )


def _refill(of: Offer, door: Door, situation: Situation) -> Path:
    """Sell what is held now and mint it anew: the premium is had, only a rejection makes us buy it back."""
    x0, speed = of.bid / situation.fair - 1, of.usual.kappa * door.delay_s
    then = of.usual.mean + (x0 - of.usual.mean) * exp(-of.usual.kappa * door.wait_s) / (1 + speed)
    back = door.rejects * (then + 2 * of.half / situation.fair)
    refused = _barred(of)
    if of.held_usd < situation.size_usd:
        refused = (*refused, f"only {of.held_usd:,.0f} USD are held at {of.name}")
    return _issued(
        Way.REFILL,
        (f"sell at {of.name} what is held", f"mint it anew at {door.issuer}"),
        of,
        door,
        situation,
        gross=x0 - back,
        leg=1 + door.rejects,
        sd=situation.drift_sd(door.wait_s) + sqrt(door.rejects) * of.usual.sd,
        refused=refused,
    )


def _redeem(of: Offer, door: Door, situation: Situation) -> Path:
    """Buy the token and give it back: worth the share when it is settled; a rejection makes us sell it again."""
    gain, accepted = 1 - of.ask / situation.fair, 1 - door.rejects
    return _issued(
        Way.REDEEM,
        (f"buy at {of.name}", f"redeem at {door.issuer}"),
        of,
        door,
        situation,
        gross=accepted * gain - door.rejects * 2 * of.half / situation.fair,
        leg=1 + door.rejects,
        sd=situation.drift_sd(door.wait_s + door.delay_s),
        refused=_no_room(of, None, situation),
    )


def _issued(
    way: Way,
    legs: tuple[str, ...],
    of: Offer,
    door: Door,
    situation: Situation,
    *,
    gross: float,
    leg: float,
    sd: float,
    refused: tuple[str, ...],
) -> Path:
    """What mints and redemptions share: the issuer's fees, its hours and delay, its minimum; nothing hedges."""
    size, why = situation.size_usd, list(refused)
    if door.closed:
        return Path(way=way, legs=legs, size_usd=size, refused=(*why, door.closed))
    if size < door.least_usd:
        why.append(f"{door.issuer} takes at least {door.least_usd:,.0f} USD")
    if size > door.most_usd:
        why.append(f"{door.issuer} takes at most {door.most_usd:,.0f} USD")
    low, middle, high = (door.wait_s - door.delay_s * log(1 - part) for part in _PARTS)
    return _told(
        way,
        legs,
        situation,
        gross=gross,
        costs=[(of.costs.only(TAKEN), leg), (of.costs.only({Component.CAPITAL}), 1.0), (door.costs, 1 - door.rejects)],
        sd=sd,
        close_s=(low, middle, high),
        held_s=door.wait_s + door.delay_s,
        locks=1.0,
        fails=door.rejects,
        refused=tuple(why),
    )


def _to_the_open(of: Offer, dear: bool, situation: Situation) -> Path:
    """Hold the token without a hedge until the share's market opens; what is left of the premium then is lost."""
    mean, kappa, wait = of.usual.mean, of.usual.kappa, situation.open_s
    away = of.mid / situation.fair - 1 - mean
    gain = (away if dear else -away) * -(exp(-kappa * wait) - 1)
    return _told(
        Way.OPEN,
        (f"{'sell' if dear else 'buy'} at {of.name}", "back when the share's market opens; nothing hedges"),
        situation,
        gross=gain - 2 * of.half / situation.fair,
        costs=[(of.costs.only(_kept(of, short=dear)), 2.0)],
        sd=sqrt(of.usual.sd**2 * (1 - exp(-2 * kappa * wait)) + situation.drift_sd(wait) ** 2),
        close_s=(wait, wait, wait),
        held_s=wait,
        locks=1.0,
        refused=_no_room(None, of, situation) if dear else _no_room(of, None, situation),
    )


def _kept(offer: Offer, *, short: bool) -> frozenset[Component]:
    """What a leg costs that is held: a perp its funding, what is sold and not held its borrow."""
    if offer.role is Role.PERP:
        return _HOLD | {Component.FUNDING}
    return _HOLD | {Component.BORROW} if short and offer.held_usd <= 0 else _HOLD


def _barred(*offers: Offer | None) -> tuple[str, ...]:
    """Who cannot be traded with, or shows too little."""
    out = []
    for offer in offers:
        if offer is None:
            continue
        if offer.barred:
            out.append(f"{offer.name}: {offer.barred}")
        elif not offer.bid <= offer.ask:
            out.append(f"{offer.name}: it does not show so much")
    return tuple(out)


def _no_room(buy: Offer | None, sell: Offer | None, situation: Situation) -> tuple[str, ...]:
    """Who cannot be traded with, and where a position may not grow so much."""
    out = list(_barred(buy, sell))
    if buy is not None and not buy.barred and buy.may_buy_usd < situation.size_usd:
        out.append(f"{buy.name}: room to buy {max(0.0, buy.may_buy_usd):,.0f} USD only")
    if sell is not None and not sell.barred and sell.may_sell_usd < situation.size_usd:
        out.append(f"{sell.name}: {max(0.0, sell.may_sell_usd):,.0f} USD to sell there only")
    return tuple(out)


def _told(
    way: Way,
    legs: tuple[str, ...],
    situation: Situation,
    *,
    gross: float,
    costs: list[tuple[Costs, float]],
    sd: float,
    close_s: tuple[float, float, float],
    held_s: float,
    locks: float,
    refused: tuple[str, ...],
    fails: float | None = None,
    worst: float | None = None,
) -> Path:
    """The path in USD: `gross`, `sd` and `worst` are parts of the size, each of `costs` is paid so many times, and
    `locks` sizes are locked. What is held costs for `held_s`, once."""
    size, days = situation.size_usd, Decimal(held_s / DAY_S)
    paid: dict[str, float] = {}
    why = list(refused)
    for one, times in costs:
        why += [text for text in (one.why,) if text]
        for cost in one.known:
            once = float(cost.of(Decimal(size))) * times + float(Decimal(size) * cost.bps_per_day * days) / 1e4
            paid[cost.component.value] = paid.get(cost.component.value, 0.0) + once
    if gross != gross or _missing(costs):
        return Path(way=way, legs=legs, size_usd=size, refused=tuple(dict.fromkeys(why)) or ("no price is known",))
    total = sum(paid.values())
    edge, sd_usd, locked = gross * size - total, sd * size, locks * size * max(held_s / 3600, LEAST_HOURS)
    if edge <= 0:
        why.append(f"it brings {gross * size:,.2f} USD and costs {total:,.2f}")
    return Path(
        way=way,
        legs=legs,
        size_usd=size,
        gross_usd=gross * size,
        costs_usd=paid,
        edge_usd=edge,
        edge_bps=edge / size * 1e4,
        sd_usd=sd_usd,
        close_s=close_s,
        fails=_loses(edge, sd_usd) if fails is None else fails,
        locked_usd_h=locked,
        worst_usd=edge - WORST * sd_usd if worst is None else min(worst * size - total, edge - WORST * sd_usd),
        score_bps_per_h=score(edge, sd_usd, locked),
        refused=tuple(dict.fromkeys(why)),
    )


def _missing(costs: list[tuple[Costs, float]]) -> bool:
    """Whether any component is missing."""
    return any(one.missing for one, _ in costs)


def _loses(edge_usd: float, sd_usd: float) -> float:
    """Probability of a loss, of a normal law."""
    return above(edge_usd / sd_usd) if sd_usd > 0 else float(edge_usd <= 0)
