"""Puts together what paths are looked for in: the columns of a run, its book, its config's costs and issuers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf, isfinite, nan, sqrt
from typing import Final, TypeVar

from bot.assembly import Assembly, fitted, tables
from bot.closing_doors import Doors, until
from bot.closing_plans import Plans
from bot.config import Config
from bot.costs import capital_per_day, leg_costs
from bot.errors import UsageError
from bot.minting import premium_of, ways_of
from bot.quotes import meant
from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Instrument, Role
from connectors.orders import Intent
from monitoring.closing import Closing, DoorLine, PremiumLine
from monitoring.ladder import best
from monitoring.quote_lines import Origin
from strategies.base import View
from strategies.closing.path import Path as ClosingPath
from strategies.closing.path import Way
from strategies.closing.situation import Offer, Situation, Usual
from strategies.closing.ways import paths
from strategies.cross_venue import CrossVenue
from strategies.hedge import Hedge
from strategies.market import kernel as K
from strategies.market.depth import for_value
from strategies.market.funding import EIGHT_HOURS_S
from strategies.market.session import Session
from strategies.mint_redeem import MintRedeem
from strategies.pricing import offers as priced
from strategies.pricing.carry import DAY_S
from strategies.pricing.costs import Component, Cost, Costs, Missing

SIZE_USD: Final = 1000.0
_SHUT: Final = (Session.WEEKEND, Session.HOLIDAY)
_ALL: Final = Decimal("Infinity")
Pair = tuple[str, str]
"""Names of a token's instrument and of what hedges it."""
Kind = TypeVar("Kind", CrossVenue, Hedge, MintRedeem)


class ClosingPaths:
    """`ask` at any time; every answer is of the moment."""

    def __init__(self, config: Config, parts: Assembly, origin: Callable[[], Origin]) -> None:
        """`parts` of the run that is asked; `config` gives costs, issuers and the room of positions."""
        self._config, self._parts, self._origin = config, parts, origin
        self._columns, self._params = parts.columns, fitted(config)
        universe, engine = parts.columns.universe, parts.engine
        self._trades = engine.limits is not None and engine.executor is not None
        """Where nothing is traded, no strategy has anything to say of a path."""
        self._cross, self._hedge = self._strategy(CrossVenue), self._strategy(Hedge)
        self._doors = Doors(config)
        self._terms = [
            priced.Terms(lot=table.lot, least_usd=table.min_notional_usd)
            for _, table in (tables(config, i) for i in universe)
        ]
        self._plans = Plans(
            ways=ways_of(config, universe, self._params),
            lots=tuple(terms.lot for terms in self._terms),
            costs=tuple(leg_costs(config, instrument) for instrument in universe),
            premia=tuple(None if i.role is Role.COIN else premium_of(self._params, i) for i in universe),
            capital_per_day=capital_per_day(config),
            doors=self._doors,
            strategy=self._strategy(MintRedeem),
        )

    def _strategy(self, kind: type[Kind]) -> Kind | None:
        """The one of this kind that may trade in this run."""
        found = (one for one in self._parts.strategies if isinstance(one, kind))
        return next(found, None) if self._trades else None

    def ask(self, name: str, size_usd: float | None = None) -> Closing:
        """All paths of a token, an instrument or a share at a size. Raises UsageError where nothing has the name, or
        the size is no number above zero."""
        size = SIZE_USD if size_usd is None else size_usd
        if not 0 < size < inf:
            raise UsageError("the size is a number of USD above zero")
        columns, now = self._columns, self._columns.now
        view = self._parts.engine.dealer.view(now)
        numbers = meant(columns.universe, name).venues
        opens = until(columns.sessions, (Session.REGULAR,), now)
        lines, doors = [], dict[tuple[str, bool], DoorLine]()
        for at in numbers:
            line = self._premium(view, at, size, opens)
            lines.append(line)
            issuer, fair = columns.universe[at].issuer, line.fair_usd
            for mint in (True, False) if issuer else ():
                if fair is not None and (issuer, mint) not in doors:
                    way = self._plans.way(at)
                    door = self._doors.door(view, way, issuer, mint=mint, shares=size / fair, fair=fair)
                    doors[issuer, mint] = self._doors.line(view, way, door, mint=mint, fair=fair)
        return Closing(
            asked=name,
            at=now,
            origin=self._origin(),
            session=columns.session.label,
            opens_s=_number(opens),
            size_usd=size,
            horizon_s=self._horizon(),
            premia=tuple(lines),
            doors=tuple(doors.values()),
        )

    def _horizon(self) -> float | None:
        """When a hedged bet is given up, as the strategy hedge does; None where its table is not written."""
        table = self._config.strategies.hedge
        return None if table is None else table.horizon_s

    def _most_bps(self) -> float:
        """Beyond which premium no strategy of the config begins anything; inf where none says so."""
        strategies = self._config.strategies
        return max((one.most_bps for one in (strategies.hedge, strategies.mint_redeem) if one is not None), default=inf)

    def _premium(self, view: View, at: int, size: float, opens_s: float) -> PremiumLine:
        """One venue's premium and its paths."""
        columns, now = self._columns, view.now
        instrument, unknown = columns.universe[at], columns.why_not_judged(at, now)
        fair = columns.fair_without(at, now)
        price = nan if fair is None else fair.price
        numbers = [
            n
            for n, i in enumerate(columns.universe)
            if i.underlying == instrument.underlying and i.role is not Role.COIN
        ]
        offers = {number: self._offer(view, number, size) for number in numbers}
        of, found = offers[at], tuple[ClosingPath, ...]()
        if fair is not None and not unknown:
            day = columns.clock.at(now + int(DAY_S * NS)) - columns.clock.at(now)
            crosses, rather = self._crossing(view, instrument.underlying)
            objections, hedges = self._hedging(view, at, numbers)
            situation = Situation(
                fair=price,
                size_usd=size,
                offers=tuple(offers.values()),
                daily_vol=sqrt(columns.g.item(columns.group(at), K.VOL2) * day),
                open_s=opens_s,
                horizon_s=self._horizon(),
                error=fair.error / price,
                most_bps=self._most_bps(),
                cross_bps=0.0 if self._cross is None else self._cross.min_edge_bps,
                max_legs=4 if self._cross is None else self._cross.max_legs,
                objections=objections,
                hedges=hedges,
                by=self._by(),
                crosses=crosses,
                rather=rather,
            )
            issued = []
            if of.issuer:
                issued = self._plans.paths(
                    view, of, at, dear=of.mid > price, size_usd=size, daily_vol=situation.daily_vol
                )
            found = paths(of, situation, issued)
        return PremiumLine(
            instrument=instrument.name,
            token=instrument.token,
            issuer=instrument.issuer,
            fair_usd=_number(price),
            premium_bps=None if unknown else _number((columns.f.item(at, K.MID_USD) / price - 1) * 1e4),
            usual_bps=of.usual.mean * 1e4,
            half_life_s=of.usual.half_life_s,
            half_life_from=of.usual.source,
            unknown=unknown,
            paths=found,
        )

    def _by(self) -> dict[Way, str]:
        """Which strategy trades in which way."""
        by = {} if self._cross is None else dict.fromkeys((Way.VENUE, Way.ISSUER), self._cross.name)
        return by if self._hedge is None else by | dict.fromkeys((Way.PERP, Way.SHARE), self._hedge.name)

    def _crossing(self, view: View, underlying: str) -> tuple[frozenset[str], str]:
        """What cross_venue would trade in a share now, by name and in words; or why it would not."""
        if self._cross is None:
            return frozenset(), ""
        made, universe = self._cross.trade(view, underlying), self._columns.universe
        if not isinstance(made, Intent):
            return frozenset(), f"{self._cross.name} makes no trade now: {str(made['reason']).replace('_', ' ')}"
        names = [universe[leg.instrument].name for leg in made.legs]
        legs = [f"{leg.side.value}s at {name}" for leg, name in zip(made.legs, names, strict=True)]
        return frozenset(names), f"{self._cross.name} rather {', '.join(legs)}"

    def _hedging(self, view: View, at: int, numbers: list[int]) -> tuple[dict[Pair, str], dict[Pair, float]]:
        """What the strategy hedge has against each pair of this token and a perp or the share; and what it expects of
        those that it would enter now, bps."""
        universe, hedge = self._columns.universe, self._hedge
        against, expects = dict[Pair, str](), dict[Pair, float]()
        for other in numbers if universe[at].role is Role.TOKEN else ():
            if hedge is not None and universe[other].role is not Role.TOKEN:
                pair, verdict = (universe[at].name, universe[other].name), hedge.verdict(view, at, other)
                if isinstance(verdict, str):
                    against[pair] = verdict
                else:
                    expects[pair] = verdict.edge * 1e4
        return against, expects

    def _offer(self, view: View, at: int, size: float) -> Offer:
        """One instrument at the size."""
        columns, now = self._columns, view.now
        instrument, f, k = columns.universe[at], columns.f.item, columns.k.item
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
        barred = "it is only watched" if not columns.facts[at].traded else columns.why_not_priced(at, now)
        why = columns.why_barred[at]
        return Offer(
            name=instrument.name,
            role=instrument.role,
            token=instrument.token,
            issuer=instrument.issuer,
            ask=ask,
            bid=bid,
            buying=None if barred else self._side(view, at, buy=True),
            selling=None if barred else self._side(view, at, buy=False),
            costs=leg_costs(self._config, instrument) + self._funding(at, now),
            latency_s=(venue.latency_ms or 0.0) / 1e3,
            held_usd=worth,
            may_buy_usd=may_buy,
            may_sell_usd=may_sell,
            barred=barred,
            no_buying=why if self._trades and now < k(at, K.BUY_FROM) else "",
            no_selling=why if self._trades and now < k(at, K.SELL_FROM) else "",
            usual=self._usual(at, instrument),
        )

    def _side(self, view: View, at: int, *, buy: bool) -> priced.Offer:
        """What can be bought or sold of an instrument now, as the strategy sees it."""
        if self._cross is not None:
            return self._cross.offer(view, at, buy=buy)
        return priced.offer_of(view, at, buy=buy, terms=self._terms[at], room=_ALL)

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


def _number(value: float) -> float | None:
    """A number for JSON; None where there is none."""
    return value if isfinite(value) else None
