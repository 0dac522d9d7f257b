"""What the config says that a leg costs, as the one model that everybody asks (strategies/pricing/costs.py)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from bot.config import Config, InstrumentTable
from bot.config_costs import VenueTable
from connectors.exact import exact
from connectors.instruments import USD, Instrument, Universe
from connectors.orders import Fill, Side
from strategies.execution.memory import DAY_NS
from strategies.pricing.costs import TAKEN, ZERO, Component, Cost, Costs, Missing

YEAR_DAYS: Final = Decimal(365)
_NO_VENUE: Final = VenueTable(kind="oracle")
_PLAIN: Final = InstrumentTable()


def leg_costs(config: Config, instrument: Instrument) -> Costs:
    """Everything that a leg at an instrument may cost: TAKEN at once, CAPITAL and BORROW while it is held.

    What the ledger is charged for certain (fee, gas) is missing wherever it is not written. What is our own estimate
    (slippage, rebalancing, changing coins, capital) counts as soon as there is a table [costs].
    """
    venue = config.venues.get(instrument.venue, _NO_VENUE)
    table = config.instruments.get(instrument.name, _PLAIN)
    at, found = f"[venues.{instrument.venue}]", _Found()
    tier = " by its tier" if venue.fee_tiers else ""
    taker, maker = venue.fees_bps
    found.bps(Component.TAKER_FEE, taker, f"{at} taker_fee_bps{tier}")
    if maker is not None:
        found.bps(Component.MAKER_FEE, maker, f"{at} maker_fee_bps{tier}")
    if venue.kind == "dex" or venue.fixed_cost_usd is not None:
        found.usd(Component.GAS, venue.fixed_cost_usd, f"{at} fixed_cost_usd")
    if venue.data_fee_usd is not None:
        found.usd(Component.DATA_FEE, venue.data_fee_usd, f"{at} data_fee_usd")
    costs = config.costs
    if costs is not None:
        for component, own, common in (
            (Component.SLIPPAGE, venue.slippage_bps, costs.slippage_bps),
            (Component.REBALANCING, venue.rebalancing_bps, costs.rebalancing_bps),
        ):
            key = f"{component.value}_bps"
            found.bps(component, common if own is None else own, f"[costs] {key}" if own is None else f"{at} {key}")
        if instrument.quote != USD:
            found.bps(Component.FX, costs.fx_bps.get(instrument.quote), f"[costs] fx_bps.{instrument.quote}")
        found.per_year(Component.CAPITAL, costs.capital_bps_per_year, "[costs] capital_bps_per_year")
    found.per_year(
        Component.BORROW, table.borrow_bps_per_year, f'[instruments."{instrument.name}"] borrow_bps_per_year'
    )
    return found.costs()


def taken_costs(config: Config, instrument: Instrument) -> Costs:
    """What a leg costs that is taken at once: what signal, review and paper count.

    Where something is paid for each order, its size must be known for the signal to say what share that is.
    """
    costs = leg_costs(config, instrument).only(TAKEN)
    if costs.fixed_usd and reference_usd(config) is None:
        hint = "it is paid for each order, so write [strategies.cross_venue] size_usd"
        return Costs(costs.known, (*costs.missing, Missing(Component.GAS, hint)))
    return costs


def borrow_per_day(config: Config, universe: Universe) -> dict[int, Decimal]:
    """What being short of an instrument costs a day, a part of its worth; of those whose rate is written."""
    return {
        number: exact(table.borrow_bps_per_year) / 10_000 / YEAR_DAYS
        for number, instrument in enumerate(universe)
        if (table := config.instruments.get(instrument.name, _PLAIN)).borrow_bps_per_year is not None
    }


def capital_per_day(config: Config) -> float:
    """What locked money would earn elsewhere in a day, as a part of it; 0 where nothing is written."""
    yearly = config.costs.capital_bps_per_year if config.costs is not None else None
    return (yearly or 0.0) / 1e4 / 365


def reference_usd(config: Config) -> Decimal | None:
    """Size of an order that the signal counts with; None where the config names none in USD."""
    cross, hedge = config.strategies.cross_venue, config.strategies.hedge
    if cross is not None:
        return cross.size_usd
    return hedge.size_usd if hedge is not None else None


def door_costs(config: Config, issuer: str, *, mint: bool) -> tuple[Costs, str]:
    """What an issuer takes for a mint or a redemption; and why there is none for us, where there is none."""
    table, word = config.issuers.get(issuer), "mint" if mint else "redeem"
    if table is None:
        return Costs(), f"nothing is known of issuer {issuer}: write [issuers.{issuer}]"
    fee, at, found = table.mint_fee_bps if mint else table.redeem_fee_bps, f"[issuers.{issuer}]", _Found()
    if fee is None:
        return Costs(), f"{issuer} does not {word} for us: {at} {word}_fee_bps is not written"
    found.bps(Component.ISSUER_FEE, fee, f"{at} {word}_fee_bps")
    found.usd(Component.ISSUER_FEE, table.request_usd, f"{at} request_usd")
    if table.takes == "cash":
        found.bps(Component.ISSUER_SPREAD, table.spread_bps, f"{at} spread_bps")
    return found.costs(), ""


def to_pay(config: Config, universe: Universe, fills: Iterable[Fill], until: int) -> dict[Component, Decimal]:
    """USD that fills have made due by `until` (ns UTC) and no venue charges: changing coins, bringing back what was
    moved, and what the money in positions would have earned elsewhere."""
    due = dict.fromkeys((Component.FX, Component.REBALANCING, Component.CAPITAL), ZERO)
    models: dict[int, Costs] = {}
    locked: dict[int, tuple[Decimal, Decimal, int]] = {}
    """By instrument: units, USD a unit at the last fill, and since when."""
    for fill in fills:
        at, usd = fill.instrument, fill.price * fill.fx
        costs = models.get(at) or models.setdefault(at, leg_costs(config, universe[at]).only(due))
        units, each, since = locked.get(at, (ZERO, ZERO, fill.ts))
        due[Component.CAPITAL] += _capital(costs, abs(units) * each, fill.ts - since)
        locked[at] = units + (fill.quantity if fill.side is Side.BUY else -fill.quantity), usd, fill.ts
        for component, paid in costs.parts(fill.quantity * usd).items():
            due[component] += paid
    for at, (units, each, since) in locked.items():
        due[Component.CAPITAL] += _capital(models[at], abs(units) * each, until - since)
    return {component: usd for component, usd in due.items() if usd}


def _capital(costs: Costs, usd: Decimal, ns: int) -> Decimal:
    """What so much money would have earned elsewhere in a time."""
    known = [one for one in costs.known if one.component is Component.CAPITAL] if usd else []
    return sum((one.of(usd, Decimal(ns) / DAY_NS) for one in known), ZERO)


class _Found:
    """Components as they are gathered: a value that is None is missing, and its key is what to write."""

    def __init__(self) -> None:
        self._known: list[Cost] = []
        self._missing: list[Missing] = []

    def bps(self, component: Component, value: float | None, key: str) -> None:
        self._add(component, key, None if value is None else Cost(component, key, bps=exact(value)))

    def usd(self, component: Component, value: Decimal | None, key: str) -> None:
        self._add(component, key, None if value is None else Cost(component, key, usd=value))

    def per_year(self, component: Component, value: float | None, key: str) -> None:
        one = None if value is None else Cost(component, key, bps_per_day=exact(value) / YEAR_DAYS)
        self._add(component, key, one)

    def _add(self, component: Component, key: str, cost: Cost | None) -> None:
        if cost is None:
            self._missing.append(Missing(component, f"write {key}"))
        else:
            self._known.append(cost)

    def costs(self) -> Costs:
        return Costs(tuple(self._known), tuple(self._missing))
