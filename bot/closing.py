"""Puts together what paths are looked for in: the columns of a run, its book, its config's costs and issuers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf, isfinite, nan, sqrt
from typing import Final

from bot.assembly import Assembly, fitted, tables
from bot.config import Config
from bot.costs import door_costs, leg_costs
from bot.errors import UsageError
from bot.quotes import meant
from connectors.events import NEVER, NS
from connectors.exact import exact
from connectors.instruments import Hours, Instrument, Role
from monitoring.closing import Closing, DoorLine, PremiumLine
from monitoring.ladder import best
from monitoring.quote_lines import Origin
from strategies.closing.situation import DAY_S, Door, Offer, Situation, Usual
from strategies.closing.ways import paths
from strategies.market import kernel as K
from strategies.market.depth import for_value
from strategies.market.funding import EIGHT_HOURS_S
from strategies.market.session import HOURS, Session
from strategies.pricing.costs import Component, Cost, Costs, Missing

SIZE_USD: Final = 1000.0
HORIZON_S: Final = 5 * DAY_S
"""A hedged bet that is not back after five days is given up."""
_SHUT: Final = (Session.WEEKEND, Session.HOLIDAY)


class ClosingPaths:
    """`ask` at any time; every answer is of the moment."""

    def __init__(self, config: Config, parts: Assembly, origin: Callable[[], Origin]) -> None:
        """`parts` of the run that is asked; `config` gives costs, issuers and the room of positions."""
        self._config, self._parts, self._origin = config, parts, origin
        self._columns, self._params = parts.columns, fitted(config)

    def ask(self, name: str, size_usd: float | None = None) -> Closing:
        """All paths of a token, an instrument or a share at a size. Raises UsageError where nothing has the name, or
        the size is no number above zero."""
        size = SIZE_USD if size_usd is None else size_usd
        if not 0 < size < inf:
            raise UsageError("the size is a number of USD above zero")
        columns, now = self._columns, self._columns.now
        found = meant(columns.universe, name)
        lines, doors = [], dict[tuple[str, bool], DoorLine]()
        for at in found.venues:
            line, situation = self._premium(at, now, size)
            lines.append(line)
            for mint, side in ((True, situation.mints), (False, situation.redemptions)):
                for issuer, door in side.items():
                    if issuer == columns.universe[at].issuer:
                        doors.setdefault((issuer, mint), _line(door, mint))
        opens = self._until((Session.REGULAR,), now)
        return Closing(
            asked=name,
            at=now,
            origin=self._origin(),
            session=columns.session.label,
            opens_s=_number(opens),
            size_usd=size,
            premia=tuple(lines),
            doors=tuple(doors.values()),
        )

    def _premium(self, at: int, now: int, size: float) -> tuple[PremiumLine, Situation]:
        """One venue's premium, and what its paths were looked for in."""
        columns = self._columns
        instrument, unknown = columns.universe[at], columns.why_not_judged(at, now)
        fair = columns.fair_without(at, now)
        group = columns.group(at)
        numbers = [n for n, i in enumerate(columns.universe) if i.underlying == instrument.underlying]
        price = nan if fair is None else fair.price
        offers = {n: self._offer(n, now, size) for n in numbers if columns.universe[n].role is not Role.COIN}
        day = columns.clock.at(now + int(DAY_S * NS)) - columns.clock.at(now)
        issuers = {offer.issuer for offer in offers.values() if offer.issuer}
        situation = Situation(
            fair=price,
            size_usd=size,
            offers=tuple(offers.values()),
            mints={name: self._door(name, True, price, size, now) for name in issuers},
            redemptions={name: self._door(name, False, price, size, now) for name in issuers},
            daily_vol=sqrt(columns.g.item(group, K.VOL2) * day),
            open_s=self._until((Session.REGULAR,), now),
            horizon_s=HORIZON_S,
        )
        of = offers[at]
        line = PremiumLine(
            instrument=instrument.name,
            token=instrument.token,
            issuer=instrument.issuer,
            fair_usd=_number(price),
            premium_bps=None if unknown else _number((columns.f.item(at, K.MID_USD) / price - 1) * 1e4),
            usual_bps=of.usual.mean * 1e4,
            half_life_s=of.usual.half_life_s,
            half_life_from=of.usual.source,
            unknown=unknown,
            paths=() if unknown else paths(of, situation),
        )
        return line, situation

    def _offer(self, at: int, now: int, size: float) -> Offer:
        """One instrument at the size."""
        columns = self._columns
        instrument, f = columns.universe[at], columns.f.item
        usd, per_share = f(at, K.USD_PER_UNIT), f(at, K.USD_PER_SHARE)
        levels = self._parts.engine.depths.levels(at, now) or best(columns, at)[0]
        ask, bid = nan, nan
        if levels is not None and usd > 0:
            walks = (for_value(levels.asks, size / usd), for_value(levels.bids, size / usd))
            ask, bid = (walk.price * per_share if walk.enough else nan for walk in walks)
        venue, _ = tables(self._config, instrument)
        held = float(self._parts.ledger.position(at))
        mark = columns.mark_usd(at)
        worth = held * mark if held else 0.0
        cross = self._config.strategies.cross_venue
        may_buy = inf if cross is None else (float(cross.max_long_units) - held) * mark
        may_sell = worth if cross is None else (float(cross.max_short_units) + held) * mark
        facts = columns.facts[at]
        return Offer(
            name=instrument.name,
            role=instrument.role,
            token=instrument.token,
            issuer=instrument.issuer,
            ask=ask,
            bid=bid,
            costs=leg_costs(self._config, instrument) + self._funding(at, now),
            latency_s=(venue.latency_ms or 0.0) / 1e3,
            held_usd=worth,
            may_buy_usd=may_buy,
            may_sell_usd=may_sell,
            barred="it is only watched" if not facts.traded else columns.why_not_priced(at, now),
            usual=self._usual(at, instrument),
        )

    def _funding(self, at: int, now: int) -> Costs:
        """What being long of a perp pays, as its venue told last; nothing of anything else."""
        instrument = self._columns.universe[at]
        if instrument.role is not Role.PERP:
            return Costs()
        told = self._parts.engine.fundings.of.get(at)
        if told is None or not told.stands(now):
            hint = f"{instrument.venue} has not told it lately"
            return Costs(missing=(Missing(Component.FUNDING, hint),))
        daily = exact(told.per_eight_hours * DAY_S / EIGHT_HOURS_S * 1e4)
        return Costs((Cost(Component.FUNDING, f"{instrument.venue}'s funding", bps_per_day=daily),))

    def _usual(self, at: int, instrument: Instrument) -> Usual:
        """How its premium moves: as learned here, else as fitted, else as its kind usually does."""
        watch = self._parts.engine.health
        health = None if watch is None else watch.health.get(at)
        if health is not None and (process := health.back.process) is not None:
            half_life = process.half_life
            return Usual(
                mean=process.theta / 1e4, sd=process.sd / 1e4, half_life_s=half_life, source="learned from its prints"
            )
        params, told = self._params.premium(instrument), instrument.name in self._params.premia
        wide = params.shut if self._columns.session in _SHUT else 1.0
        return Usual(
            mean=params.mean,
            sd=(params.sd or 1e-4) * sqrt(wide),
            half_life_s=params.half_life_s,
            source="fitted" if told else "default of its kind",
        )

    def _door(self, issuer: str, mint: bool, fair: float, size: float, now: int) -> Door:
        """One direction of an issuer, as the config has it."""
        table, word = self._config.issuers.get(issuer), "mint" if mint else "redeem"
        costs, closed = door_costs(self._config, issuer, mint=mint)
        delay = None if table is None else table.mint_delay_s if mint else table.redeem_delay_s
        if not closed and table is not None:
            absent = [k for k, v in ((f"{word}_delay_s", delay), ("reject_share", table.reject_share)) if v is None]
            closed = f"write [issuers.{issuer}] {' and '.join(absent)}" if absent else ""
        paid = costs.share(Decimal(size))
        sign = 1 if mint else -1
        hours = () if table is None else HOURS[Hours(table.hours)]
        return Door(
            issuer=issuer,
            closed=closed,
            price=nan if paid is None or closed else fair * (1 + sign * float(paid)),
            costs=costs,
            wait_s=self._until(hours, now) if hours else nan,
            delay_s=nan if delay is None else delay,
            rejects=nan if table is None or table.reject_share is None else table.reject_share,
            least_usd=float((table.least_usd if table else None) or 0),
            most_usd=float((table.most_usd if table else None) or inf),
            source=f"fees and delay of [issuers.{issuer}]",
        )

    def _until(self, sessions: tuple[Session, ...], now: int) -> float:
        """Seconds until one of these sessions; 0 in one, inf where the table ends before."""
        table, at = self._columns.sessions, now
        while table.at(at) not in sessions:
            at = table.next_change(at)
            if at >= NEVER or table.at(at) is Session.UNKNOWN:
                return inf
        return (at - now) / NS


def _line(door: Door, mint: bool) -> DoorLine:
    return DoorLine(
        issuer=door.issuer,
        mint=mint,
        price_usd=_number(door.price),
        source=door.source,
        wait_s=_number(door.wait_s),
        delay_s=_number(door.delay_s),
        closed=door.closed,
    )


def _number(value: float) -> float | None:
    """A number for JSON; None where there is none."""
    return value if isfinite(value) else None
