"""How far what a plan brings may fall short of what is expected: one sigma of each thing that nothing hedges."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from strategies.minting.case import BARE, MINTS, Case, Dues, expected
from strategies.pricing.carry import DAY_S
from strategies.pricing.mint_economics import Premium


def risks(
    case: Case, dues: Dues, *, daily_vol: float, told: bool, hedge: Premium | None = None, wait_s: float = 0.0
) -> dict[str, float]:
    """Parts of the size, by what they come from; what has none is left out.

    premium     of a token that is sold when it comes: what it does until then
    hedge       the perp's or share's own premium over that time
    share       of what nothing hedges: a mint without a hedge, what is done before the issuer takes requests on, and a
                rejection, after which what was done is undone at the price of then
    rejection   what is lost by one, against what is had without
    fair value  its error, where the issuer's price is reckoned from it; one that the issuer has `told` is what it is

    `daily_vol` is one sigma of the share in a day of 24 h, `wait_s` how much of the delay goes by before the issuer
    takes the request on.
    """
    days, rejects = case.habit.delay_s / DAY_S, case.habit.rejects
    taken = sqrt(1 - rejects)
    moved = daily_vol * sqrt(days)
    after = case.way.premium.ahead(0.0, days)[1]
    sure = case._replace(habit=replace(case.habit, rejects=0.0))
    lost = (expected(sure, dues) - expected(case, dues)) / rejects if rejects else 0.0
    share = rejects * moved**2 + daily_vol**2 * wait_s / DAY_S
    found = {"rejection": sqrt(rejects * (1 - rejects)) * abs(lost), "fair value": _shifted(case, dues, told)}
    if case.kind == "first":
        found["premium"] = taken * after
        if case.first == BARE:
            share = (1 - rejects) * moved**2
        elif hedge is not None:
            found["hedge"] = hedge.ahead(0.0, days)[1]
    elif rejects:
        found["premium"] = sqrt(rejects) * after
    found["share"] = sqrt(share)
    return {name: sd for name, sd in found.items() if sd > 0}


def _shifted(case: Case, dues: Dues, told: bool) -> float:
    """What an error of one sigma of the fair value makes of what is expected; all is linear in it. A price that was
    told moves against the fair value as the token's own does."""
    error, look = case.look.error, case.look
    moved = case._replace(look=look._replace(mid=look.mid - error, bid=look.bid - error, ask=look.ask - error))
    issuer = dues.issuer + (-error if case.kind in MINTS else error) * told
    return abs(expected(moved, dues._replace(issuer=issuer)) - expected(case, dues))
