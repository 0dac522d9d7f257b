"""The strategy `hedge` as a config has it."""

from __future__ import annotations

from bot.config import Config
from bot.config_hedge import Hedge as HedgeTable
from bot.config_risk import Risk
from bot.costs import leg_costs
from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Instrument, Role, Universe
from strategies.closing.situation import Usual
from strategies.hedge import Hedge
from strategies.hedging.margin import Margin
from strategies.hedging.rule import Rule, Terms
from strategies.market.params import Params


def hedge_of(config: Config, table: HedgeTable, risk: Risk, universe: Universe, params: Params) -> Hedge:
    """The strategy with the numbers of its table, and what is known beforehand of every instrument."""
    latencies = [venue.latency_ms or 0.0 for venue in config.venues.values()]
    rule = Rule(
        min_edge_bps=table.min_edge_bps,
        most_bps=table.most_bps,
        size_usd=table.size_usd,
        most_usd=risk.max_order_usd,
        max_short_units=table.max_short_units,
        slippage_bps=exact(table.slippage_bps),
        horizon_s=table.horizon_s,
        gap_sigmas=table.gap_sigmas,
        flatten_s=table.flatten_s,
        flatten_bps=(exact(table.flatten_bps[0]), exact(table.flatten_bps[1])),
        margin_reserve=table.margin_reserve_share,
        latency_ns=round(max(latencies, default=0.0) * 1e6) + NS,
        rest_ns=round(table.cooldown_s * NS),
    )
    terms = tuple(_terms(config, instrument, params) for instrument in universe)
    return Hedge(terms=terms, rule=rule, max_open=table.max_open_trades)


def _terms(config: Config, instrument: Instrument, params: Params) -> Terms:
    """What is known of one instrument."""
    venue, table = config.venues.get(instrument.venue), config.instruments.get(instrument.name)
    premium = params.premium(instrument)
    margin = None
    if instrument.role is Role.PERP and venue is not None and venue.margin_usd is not None:
        margin = Margin(usd=float(venue.margin_usd), maintenance=venue.maintenance_share or 0.0)
    return Terms(
        lot=table.lot if table is not None else exact(1e-6),
        least_usd=table.min_notional_usd if table is not None else exact(0.0),
        costs=leg_costs(config, instrument),
        usual=Usual(
            mean=premium.mean,
            sd=premium.sd or premium.noise,
            half_life_s=premium.half_life_s,
            source="fitted" if instrument.name in params.premia else "default of its kind",
        ),
        margin=margin,
    )
