"""The primary market as a priced venue: what each issuer asks and pays now and by the hour, and by whose word."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import inf, isfinite, nan
from typing import Final, NamedTuple

from bot.config import Config
from bot.config_costs import IssuerTable
from bot.costs import capital_per_day, door_costs
from connectors.events import NEVER, NS
from connectors.instruments import Hours
from connectors.ports import Bounds, Soft
from monitoring.closing import DoorLine, HourLine
from strategies.base import View
from strategies.closing.situation import Door
from strategies.execution.habits import Habit
from strategies.market.session import HOURS, Session, SessionTable
from strategies.minting.case import Way, habit_of, usd_of
from strategies.pricing.carry import DAY_S
from strategies.pricing.doors import Pair, cost_of, pair_of

HOUR_NS: Final = 3600 * NS
HOURS_SHOWN: Final = 24


class _Price(NamedTuple):
    """What an issuer takes and by whose word; as in Door."""

    cost: float
    source: str
    told: bool = False
    told_s: float = nan
    holds_s: float = nan


class Doors:
    """Of all issuers of a config; every answer is of the view's moment."""

    def __init__(self, config: Config) -> None:
        """Fees, hours and limits are the config's, until an issuer says more."""
        self._config, self._capital = config, capital_per_day(config)

    def door(self, view: View, way: Way | None, issuer: str, *, mint: bool, shares: float, fair: float) -> Door:
        """One direction for about so many shares, which are worth `fair` USD each. `way`: the token that it is for;
        None where what the issuer takes cannot be had in this config."""
        table, (fees, closed) = self._config.issuers.get(issuer), door_costs(self._config, issuer, mint=mint)
        closed = closed or fees.why or ("" if table is None else _absent(table, issuer, mint=mint))
        if not closed and way is None:
            closed = f"{issuer} takes shares at a broker, and none is traded at in this config"
        share = fees.share(Decimal(shares * fair)) if shares > 0 and fair > 0 else None
        price = _Price(cost=nan if share is None else float(share), source=f"fees of [issuers.{issuer}]")
        bounds, least, most = None, 0.0, inf
        if table is not None:
            least, most = float(table.least_usd or 0), float(table.most_usd or inf)
        pair = None if way is None or closed else _pair(view, way, mint, shares, fair)
        if pair is not None and (desk := view.desks.get(issuer)) is not None:
            source, target, now = pair.source, pair.target, view.now
            bounds = desk.bounds(mint=mint, source=source, target=target, now=now)
            soft = desk.quote(mint=mint, source=source, target=target, quantity=pair.quantity, now=now)
            price = _told(price, soft, pair, now, mint, fair, issuer)
            if not bounds.closed:
                least, most = (float(units) * pair.per_source * fair for units in (bounds.least, bounds.most))
        wait = nan if table is None else self._wait(view, HOURS[Hours(table.hours)], view.now, bounds)
        if bounds is not None and bounds.closed and not isfinite(wait):
            closed = closed or f"{issuer}: {bounds.closed}"
        return Door(
            issuer=issuer,
            closed=closed,
            cost=price.cost,
            told=price.told,
            source=price.source,
            told_s=price.told_s,
            holds_s=price.holds_s,
            wait_s=wait,
            habit=None if way is None else habit_of(view, way, mint=mint),
            least_usd=least,
            most_usd=most,
        )

    def line(self, view: View, way: Way | None, door: Door, *, mint: bool, fair: float) -> DoorLine:
        """What is told of a door: the price all in now, and for requests of the hours to come."""
        habit, issuer = door.habit, door.issuer
        hours = [] if door.closed or way is None or habit is None else self._hours(view, way, door, mint, fair)
        return DoorLine(
            issuer=issuer,
            mint=mint,
            price_usd=None if habit is None or door.closed else self._price(door, mint, fair, door.wait_s, habit),
            told=door.told,
            source=door.source,
            told_s=_number(door.told_s),
            holds_s=_number(door.holds_s),
            wait_s=_number(door.wait_s),
            delay_s=None if habit is None else habit.delay_s,
            delay_from="" if habit is None else habit.source,
            rejects=None if habit is None else habit.rejects,
            closed=door.closed,
            hours=tuple(hours),
        )

    def _hours(self, view: View, way: Way, door: Door, mint: bool, fair: float) -> list[HourLine]:
        """The next hours, the present one first."""
        table, out = self._config.issuers[door.issuer], list[HourLine]()
        for number in range(HOURS_SHOWN):
            begins = view.now // HOUR_NS * HOUR_NS + number * HOUR_NS
            at = max(view.now, begins)
            wait = door.wait_s if number == 0 else until(view.columns.sessions, HOURS[Hours(table.hours)], at)
            habit = habit_of(view, way, mint=mint, at=at)
            price = None if habit is None else self._price(door, mint, fair, wait, habit)
            delay = None if habit is None else habit.delay_s
            out.append(HourLine(begins=begins, price_usd=price, wait_s=_number(wait), delay_s=delay))
        return out

    def _price(self, door: Door, mint: bool, fair: float, wait_s: float, habit: Habit) -> float | None:
        """USD per share all in: fees, spread, and what the money that waits would earn elsewhere."""
        cost = door.cost + self._capital * (wait_s + habit.delay_s) / DAY_S
        return _number(fair * (1 + cost if mint else 1 - cost))

    def _wait(self, view: View, hours: Sequence[Session], now: int, bounds: Bounds | None) -> float:
        """Seconds until requests are taken on, by what the issuer says, else by its hours."""
        wait = until(view.columns.sessions, hours, now)
        if bounds is None or not bounds.closed or wait > 0:
            return wait
        return (bounds.opens_ns - now) / NS if now < bounds.opens_ns < NEVER else inf


def _absent(table: IssuerTable, issuer: str, *, mint: bool) -> str:
    """What of an issuer's habits is not written, as what is to be done; empty where nothing lacks."""
    key, delay = ("mint_delay_s", table.mint_delay_s) if mint else ("redeem_delay_s", table.redeem_delay_s)
    absent = [name for name, value in ((key, delay), ("reject_share", table.reject_share)) if value is None]
    return f"write [issuers.{issuer}] {' and '.join(absent)}" if absent else ""


def _pair(view: View, way: Way, mint: bool, shares: float, fair: float) -> Pair | None:
    """What would be asked for; None where something of it has no known worth."""
    usd = usd_of(view, way.other)
    return pair_of(view, mint=mint, token=way.token, other=way.other, shares=shares, fair=fair, usd=usd)


def _told(price: _Price, soft: Soft | None, pair: Pair, now: int, mint: bool, fair: float, issuer: str) -> _Price:
    """The price that the issuer has told, where it holds; else the one by its fees, and since when that is."""
    if soft is None or not soft.expected > 0:
        return price
    left = (soft.until_ns - now) / NS
    if left < 0:
        return price._replace(source=f"{price.source}, for what it told ran out {-left:,.0f} s ago")
    age = (now - (soft.told_ns or now)) / NS
    return _Price(cost_of(pair, soft, mint=mint, fair=fair), f"told by {issuer}", told=True, told_s=age, holds_s=left)


def until(table: SessionTable, sessions: Sequence[Session], at: int) -> float:
    """Seconds from a moment (ns UTC) until one of these sessions; 0 in one, inf where the table ends before."""
    begin = at
    while table.at(at) not in sessions:
        at = table.next_change(at)
        if at >= NEVER or table.at(at) is Session.UNKNOWN:
            return inf
    return (at - begin) / NS


def _number(value: float) -> float | None:
    """A number for JSON; None where there is none."""
    return value if isfinite(value) else None
