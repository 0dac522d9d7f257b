"""Every path that closes the premium of one offer, at its size: expected edge, time, failures, lock and worst case.

All in USD for the size N; x is the premium at the price that can be had, as a fraction. Formulas of what an issuer's
delay leaves: strategies/closing/issued.py; of the way back of a hedged premium: strategies/closing/passage.py. What is
traded at once between venues is worked out to the lot (strategies/pricing/crossing.py), as `cross_venue` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import exp, sqrt

from msgspec import structs

from connectors.exact import exact
from connectors.instruments import Role
from strategies.closing.passage import farthest, held, quantile
from strategies.closing.path import LEAST_HOURS, WORST, Path, Way, loses, ranked, score, together
from strategies.closing.situation import Offer, Situation
from strategies.pricing.carry import DAY_S
from strategies.pricing.costs import TAKEN, ZERO, Component, Costs
from strategies.pricing.crossing import Crossing, cross

_HOLD = TAKEN | {Component.CAPITAL}
PARTS = (0.1, 0.5, 0.9)
"""Of all that close, whose times Path.close_s tells."""
ALL = 0.99
"""Where no horizon is written, a bet is given up when so many of all such are back."""
_USUAL = "the difference is not larger than usual"


def paths(of: Offer, situation: Situation, issued: Sequence[Path] = ()) -> tuple[Path, ...]:
    """All paths for one offer of a token, best first, the refused ones last; `issued` are those at its issuer."""
    dear = of.mid > situation.fair
    same = [other for other in situation.offers if _same(of, other)]
    found = [*(_pair(of, other, dear, situation) for other in same), *_several(of, same, dear, situation)]
    found += [_hedged(of, other, dear, situation) for other in situation.offers if _hedges(of, other)]
    if situation.open_s > 0:
        found.append(_to_the_open(of, dear, situation))
    return ranked([*issued, *(_claimed(path, of, situation) for path in found)])


def _claimed(path: Path, of: Offer, situation: Situation) -> Path:
    """A path with the strategy that would do so now, or what it would rather do: of all trades between venues in a
    share it makes one at a time."""
    by = situation.by.get(path.way, "")
    expects = [situation.hedges[of.name, other] for other in path.others if (of.name, other) in situation.hedges]
    if expects:
        words = f"{by} expects {expects[0]:.1f} bps, for it waits for the far side of the mean"
        path = structs.replace(path, rather=words)
    if not by or path.refused:
        return path
    if path.way in (Way.VENUE, Way.ISSUER) and {of.name, *path.others} != situation.crosses:
        return structs.replace(path, rather=situation.rather)
    return structs.replace(path, by=by)


def _same(of: Offer, other: Offer) -> bool:
    """The same token elsewhere."""
    return other is not of and other.role is Role.TOKEN and (other.token, other.issuer) == (of.token, of.issuer)


def _hedges(of: Offer, other: Offer) -> bool:
    """Something else that stands for the share."""
    return other is not of and not _same(of, other)


def _pair(of: Offer, other: Offer, dear: bool, situation: Situation) -> Path:
    """Buy where it is cheap and sell where it is dear, at once, as much as pays up to the size."""
    buy, sell = (other, of) if dear else (of, other)
    legs = f"buy at {buy.name}", f"sell at {sell.name}"
    if barred := _barred(buy, sell):
        return Path(way=Way.VENUE, legs=legs, size_usd=situation.size_usd, others=(other.name,), refused=barred)
    made = "" if buy.no_buying or sell.no_selling else _crossed([buy], [sell], situation)
    if isinstance(made, Crossing):
        return _exact(made, [of, other], situation)
    return _told(
        Way.VENUE,
        (other.name,),
        legs,
        situation,
        gross=(sell.bid - buy.ask) / situation.fair,
        costs=[(buy.costs.only(TAKEN), 1.0), (sell.costs.only(TAKEN), 1.0)],
        risks={"between the legs": situation.drift_sd(_late(buy, sell)[0])},
        close_s=_late(buy, sell),
        held_s=_late(buy, sell)[0],
        locks=2.0,
        refused=(*((made,) if made else ()), *_no_room(buy, sell, situation)),
    )


def _several(of: Offer, same: list[Offer], dear: bool, situation: Situation) -> list[Path]:
    """The best trade of more than two orders in which this offer is one side, where there is one."""
    free = [one for one in same if not (one.barred or (one.no_buying if dear else one.no_selling))]
    if len(free) < 2 or of.barred or (of.no_selling if dear else of.no_buying):
        return []
    made = _crossed(free, [of], situation) if dear else _crossed([of], free, situation)
    return [_exact(made, [of, *free], situation)] if isinstance(made, Crossing) and len(made.legs) > 2 else []


def _crossed(buys: Sequence[Offer], sells: Sequence[Offer], situation: Situation) -> Crossing | str:
    """The best trade of at most the size that the strategy would make; else why there is none, in words, and no words
    where it would lose."""
    bought = [one.buying for one in buys if one.buying and one.buying.levels]
    sold = [one.selling for one in sells if one.selling and one.selling.levels]
    if not (bought and sold):
        return "no size is shown there, or there is no room for it"
    size, least = exact(situation.size_usd), exact(situation.fair) * exact(situation.cross_bps) / 10_000
    for edge in (least, ZERO):
        made = cross([*bought, *sold], size_usd=size, size_units=None, edge_usd=edge, max_legs=situation.max_legs)
        if isinstance(made, Crossing) and edge == least:
            return made
    if isinstance(made, Crossing):
        bps = float(made.profit_usd / made.shares) / situation.fair * 1e4
        return f"it brings {bps:.1f} bps after costs, and {situation.cross_bps:g} are asked for"
    pays = min(one.levels[0][0] * one.factor for one in bought) < max(one.levels[0][0] * one.factor for one in sold)
    return "it is too small for what is fixed, for its lots or its least orders" if pays else ""


def _exact(made: Crossing, offers: Sequence[Offer], situation: Situation) -> Path:
    """A trade that was worked out to the lot, as a path of the first of the offers."""
    by_number = {leg.instrument: one for one in offers for leg in (one.buying, one.selling) if leg is not None}
    paid: dict[str, float] = {}
    for leg in made.legs:
        for component, usd in (
            by_number[leg.offer.instrument].costs.only(TAKEN).parts(leg.value * leg.offer.usd).items()
        ):
            paid[component.value] = paid.get(component.value, 0.0) + float(usd)
    edge, size = float(made.profit_usd), float(max(made.bought_usd, made.sold_usd))
    late = _late(*(by_number[leg.offer.instrument] for leg in made.legs))
    # The share may move between two legs, and so may each of them by itself.
    sd = situation.drift_sd(late[0]) * size
    locked = 2 * size * max(late[0] / 3600, LEAST_HOURS)
    return Path(
        way=Way.VENUE,
        legs=tuple(
            f"{'buy' if leg.offer.buy else 'sell'} {leg.units:f} at {by_number[leg.offer.instrument].name}"
            for leg in made.legs
        ),
        size_usd=size,
        others=tuple(
            by_number[leg.offer.instrument].name
            for leg in made.legs
            if by_number[leg.offer.instrument] is not offers[0]
        ),
        gross_usd=edge + sum(paid.values()),
        costs_usd=paid,
        edge_usd=edge,
        edge_bps=edge / size * 1e4,
        sd_usd=sd,
        risks_usd={"between the legs": sd},
        close_s=late,
        fails=loses(edge, sd),
        locked_usd_h=locked,
        worst_usd=edge - WORST * sd,
        score_bps_per_h=score(edge, sd, locked),
    )


def _late(*offers: Offer) -> tuple[float, float, float]:
    """When the last of them has filled, seconds; as Path.close_s."""
    late = max(one.latency_s for one in offers)
    return late, late, late


def _hedged(of: Offer, other: Offer, dear: bool, situation: Situation) -> Path:
    """Sell the dear one and buy the cheap one, and back when the difference of their premia is usual again."""
    way = {Role.PERP: Way.PERP, Role.SHARE: Way.SHARE}.get(other.role, Way.ISSUER)
    buy, sell = (other, of) if dear else (of, other)
    legs = (f"buy at {buy.name}", f"sell at {sell.name}", "both back when the difference is usual")
    usual = sell.usual.against(buy.usual)
    z = ((sell.mid - buy.mid) / situation.fair - usual.mean) / usual.sd
    if barred := _barred(buy, sell):
        return Path(way=way, legs=legs, size_usd=situation.size_usd, others=(other.name,), refused=barred)
    refused = _no_room(buy, sell, situation)
    if not z > 0:
        return Path(way=way, legs=legs, size_usd=situation.size_usd, others=(other.name,), refused=(*refused, _USUAL))
    costs = [(buy.costs.only(_kept(buy, short=False)), 2.0), (sell.costs.only(_kept(sell, short=True)), 2.0)]
    why = situation.objections.get((of.name, other.name), "")
    if why and all(why != one.why for one, _ in costs):
        refused = (*refused, f"{situation.by[way]}: {why}")
    if way is Way.ISSUER and way in situation.by and not refused:
        made = _crossed([buy], [sell], situation)
        refused = (made or "what can be had now does not pay for both legs",) if isinstance(made, str) else ()
    bet = held(z, usual.kappa, situation.horizon_s or quantile(z, usual.kappa, ALL))
    spreads = 2 * (buy.half + sell.half) / situation.fair
    low, middle, high = (quantile(z, usual.kappa, part) for part in PARTS)
    return _told(
        way,
        (other.name,),
        legs,
        situation,
        gross=usual.sd * bet.gain - spreads,
        costs=costs,
        risks={"premium": usual.sd * bet.sd},
        close_s=(low, middle, high),
        held_s=bet.time,
        locks=2.0,
        fails=bet.open,
        worst=-usual.sd * (farthest(z, 0.01) - z) - spreads,
        refused=refused,
    )


def _to_the_open(of: Offer, dear: bool, situation: Situation) -> Path:
    """Hold the token without a hedge until the share's market opens; what is left of the premium then is lost."""
    mean, kappa, wait = of.usual.mean, of.usual.kappa, situation.open_s
    away = of.mid / situation.fair - 1 - mean
    gain = (away if dear else -away) * -(exp(-kappa * wait) - 1)
    refused = _no_room(None, of, situation) if dear else _no_room(of, None, situation)
    if abs(of.mid / situation.fair - 1) * 1e4 > situation.most_bps:
        refused = (*refused, f"a premium beyond {situation.most_bps:g} bps is a broken peg or a wrong number")
    return _told(
        Way.OPEN,
        (),
        (f"{'sell' if dear else 'buy'} at {of.name}", "back when the share's market opens; nothing hedges"),
        situation,
        gross=gain - 2 * of.half / situation.fair,
        costs=[(of.costs.only(_kept(of, short=dear)), 2.0)],
        risks={
            "premium": of.usual.sd * sqrt(1 - exp(-2 * kappa * wait)),
            "share": situation.drift_sd(wait),
            "fair value": situation.error * (1 - exp(-kappa * wait)),
        },
        close_s=(wait, wait, wait),
        held_s=wait,
        locks=1.0,
        refused=refused,
    )


def _kept(offer: Offer, *, short: bool) -> frozenset[Component]:
    """What a leg costs that is held: a perp its funding, what is sold and not held its borrow."""
    if offer.role is Role.PERP:
        return _HOLD | {Component.FUNDING}
    return _HOLD | {Component.BORROW} if short and offer.held_usd <= 0 else _HOLD


def _barred(*offers: Offer | None) -> tuple[str, ...]:
    """Who cannot be traded with: then nothing else counts."""
    return tuple(f"{offer.name}: {offer.barred}" for offer in offers if offer is not None and offer.barred)


def _no_room(buy: Offer | None, sell: Offer | None, situation: Situation) -> tuple[str, ...]:
    """Who cannot be traded with, who shows too little, and where a position may not grow so much."""
    if barred := _barred(buy, sell):
        return barred
    out = [f"{one.name}: it does not show so much" for one in (buy, sell) if one and not one.bid <= one.ask]
    if buy is not None and buy.no_buying:
        out.append(f"{buy.name}: {buy.no_buying}")
    elif buy is not None and buy.may_buy_usd < situation.size_usd:
        out.append(f"{buy.name}: room to buy {max(0.0, buy.may_buy_usd):,.0f} USD only")
    if sell is not None and sell.no_selling:
        out.append(f"{sell.name}: {sell.no_selling}")
    elif sell is not None and sell.may_sell_usd < situation.size_usd:
        out.append(f"{sell.name}: {max(0.0, sell.may_sell_usd):,.0f} USD to sell there only")
    return tuple(out)


def _told(
    way: Way,
    others: tuple[str, ...],
    legs: tuple[str, ...],
    situation: Situation,
    *,
    gross: float,
    costs: list[tuple[Costs, float]],
    risks: Mapping[str, float],
    close_s: tuple[float, float, float],
    held_s: float,
    locks: float,
    refused: tuple[str, ...],
    fails: float | None = None,
    worst: float | None = None,
) -> Path:
    """The path in USD: `gross`, `risks` and `worst` are parts of the size, each of `costs` is paid so many times, and
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
        said = tuple(dict.fromkeys(why)) or ("no price is known",)
        return Path(way=way, legs=legs, size_usd=size, others=others, refused=said)
    total = sum(paid.values())
    sd_usd = together(risks) * size
    edge, locked = gross * size - total, locks * size * max(held_s / 3600, LEAST_HOURS)
    if edge <= 0:
        why.append(f"it brings {gross * size:,.2f} USD and costs {total:,.2f}")
    return Path(
        way=way,
        legs=legs,
        size_usd=size,
        others=others,
        gross_usd=gross * size,
        costs_usd=paid,
        edge_usd=edge,
        edge_bps=edge / size * 1e4,
        sd_usd=sd_usd,
        risks_usd={name: sd * size for name, sd in risks.items() if sd > 0},
        close_s=close_s,
        fails=loses(edge, sd_usd) if fails is None else fails,
        locked_usd_h=locked,
        worst_usd=edge - WORST * sd_usd if worst is None else min(worst * size - total, edge - WORST * sd_usd),
        score_bps_per_h=score(edge, sd_usd, locked),
        refused=tuple(dict.fromkeys(why)),
    )


def _missing(costs: list[tuple[Costs, float]]) -> bool:
    """Whether any component is missing."""
    return any(one.missing for one, _ in costs)
