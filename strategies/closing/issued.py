"""A path at an issuer, for one plan of the strategy mint_redeem: what it brings is that plan's own expectation.

Before costs is what it would bring if nothing were paid and nothing refused. All is linear in what is paid, so that the
parts sum up to the edge.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, log

from strategies.closing.path import LEAST_HOURS, WORST, Path, Way, score, together
from strategies.closing.situation import Door
from strategies.closing.ways import PARTS
from strategies.minting.case import BARE, Case, Dues, expected
from strategies.minting.risk import risks
from strategies.pricing.costs import Component
from strategies.pricing.mint_economics import Premium

WAYS = {"refill": Way.REFILL, "first": Way.MINT, "redeem": Way.REDEEM}


def costs_of(case: Case, dues: Dues) -> tuple[float, dict[str, float]]:
    """(what it brings before costs, costs by what they are for), parts of the size."""
    look = case.look
    sure = case._replace(habit=replace(case.habit, rejects=0.0))
    free = sure._replace(look=look._replace(bid=look.mid, ask=look.mid))
    whole = expected(sure, dues)
    paid = {
        "issuer": expected(sure, dues._replace(issuer=0.0)) - whole,
        "spread and fees": expected(free, dues) - whole,
        "hedge": expected(sure, dues._replace(hedge=0.0)) - whole,
        "other leg": expected(sure, dues._replace(other=0.0)) - whole,
    }
    for component in dues.per_day:
        left = {one: daily for one, daily in dues.per_day.items() if one is not component}
        paid[component.value] = expected(sure, dues._replace(per_day=left)) - whole
    paid["rejection"] = whole - expected(case, dues)
    gross = expected(free, Dues(0.0, 0.0, 0.0, {Component.CAPITAL: 0.0}))
    return gross, {name: usd for name, usd in paid.items() if usd}


def issued(
    case: Case,
    dues: Dues,
    door: Door,
    *,
    legs: tuple[str, ...],
    size_usd: float,
    daily_vol: float,
    told: bool,
    by: str = "",
    hedge: Premium | None = None,
    refused: tuple[str, ...] = (),
) -> Path:
    """The path of a plan; `case.habit` is the door's, without what is waited until it opens.

    `told`: an error of the fair value does not move the issuer's price. `hedge` says how the premium of what hedges
    moves.
    """
    wait, delay = door.wait_s, case.habit.delay_s
    if not isfinite(wait):
        said = tuple(dict.fromkeys((*refused, f"nobody knows when {door.issuer} takes requests on again")))
        return Path(way=WAYS[case.kind], legs=legs, size_usd=size_usd, others=(door.issuer,), refused=said)
    late = case._replace(habit=replace(case.habit, delay_s=wait + delay))
    gross, paid = costs_of(late, dues)
    found = risks(late, dues, daily_vol=daily_vol, told=told, hedge=hedge, wait_s=wait)
    edge, sd, total = expected(late, dues) * size_usd, together(found) * size_usd, sum(paid.values()) * size_usd
    locks = 2 if case.kind == "first" and case.first != BARE else 1
    locked = locks * size_usd * max((wait + delay) / 3600, LEAST_HOURS)
    why = [*refused] + [f"it brings {gross * size_usd:,.2f} USD and costs {total:,.2f}"] * (edge <= 0)
    low, middle, high = (wait - delay * log(1 - part) for part in PARTS)
    return Path(
        way=WAYS[case.kind],
        legs=legs,
        size_usd=size_usd,
        others=(door.issuer,),
        by="" if why else by,
        gross_usd=gross * size_usd,
        costs_usd={name: part * size_usd for name, part in paid.items()},
        edge_usd=edge,
        edge_bps=edge / size_usd * 1e4,
        sd_usd=sd,
        risks_usd={name: part * size_usd for name, part in found.items()},
        close_s=(low, middle, high),
        fails=case.habit.rejects,
        locked_usd_h=locked,
        worst_usd=edge - WORST * sd,
        score_bps_per_h=score(edge, sd, locked),
        refused=tuple(dict.fromkeys(why)),
    )
