"""The strategy mint_redeem as a config has it: which tokens can be closed at which issuer, and on what terms."""

from __future__ import annotations

from math import log, sqrt

from bot.config import Config, InstrumentTable
from bot.config_costs import IssuerTable
from bot.config_mint import MintRedeemTable
from bot.costs import capital_per_day, leg_costs
from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Instrument, Role, Universe
from strategies.execution.habits import Habit
from strategies.market.params import Params
from strategies.mint_redeem import MintRedeem
from strategies.minting.case import Way
from strategies.pricing.carry import DAY_S
from strategies.pricing.mint_economics import Premium

_PLAIN = InstrumentTable()


def mint_redeem_of(config: Config, table: MintRedeemTable, universe: Universe, params: Params) -> MintRedeem:
    """The strategy, for every token whose issuer has a table; `params` say how premia move."""
    latencies = [venue.latency_ms or 0.0 for venue in config.venues.values()]
    tables = [config.instruments.get(instrument.name, _PLAIN) for instrument in universe]
    return MintRedeem(
        ways=ways_of(config, universe, params),
        lots=tuple(one.lot for one in tables),
        costs=tuple(leg_costs(config, instrument) for instrument in universe),
        size_usd=table.size_usd,
        min_edge_bps=table.min_edge_bps,
        most_bps=table.most_bps,
        capital_per_day=capital_per_day(config),
        slippage_bps=None if table.slippage_bps is None else exact(table.slippage_bps),
        late_after=table.late_after_delays,
        latency_ns=round(max(latencies, default=0.0) * 1e6),
        cooldown_ns=round(table.cooldown_s * NS),
        refusal_backoff_ns=round(table.refusal_backoff_s * NS),
        max_open=table.max_open_trades,
    )


def ways_of(config: Config, universe: Universe, params: Params) -> tuple[Way, ...]:
    """Every token of the config whose issuer has a table and takes what can be had here."""
    return tuple(
        way
        for number, instrument in enumerate(universe)
        if instrument.role is Role.TOKEN
        and instrument.name in config.instruments
        and (issuer := config.issuers.get(instrument.issuer)) is not None
        and (way := _way(config, universe, number, issuer, params)) is not None
    )


def _way(config: Config, universe: Universe, token: int, issuer: IssuerTable, params: Params) -> Way | None:
    """A token at its venue and its issuer's door; None where what the issuer takes cannot be had in this config."""
    instrument = universe[token]
    shares = [
        number
        for number, one in enumerate(universe)
        if one.underlying == instrument.underlying
        and one.role in (Role.SHARE, Role.PERP)
        and config.instruments.get(one.name, _PLAIN).trade
    ]
    if issuer.takes == "cash":
        others = [number for number, one in enumerate(universe) if one.role is Role.COIN]
        others.sort(key=lambda number: universe[number].coin != instrument.quote)
    else:
        others = [n for n in shares if universe[n].role is Role.SHARE and issuer.shares_at in ("", universe[n].venue)]
    if not others:
        return None
    return Way(
        token=token,
        issuer=instrument.issuer,
        other=others[0],
        hedges=tuple(number for number in shares if number != others[0]),
        premium=premium_of(params, instrument),
        mint=_habit(issuer.mint_fee_bps, issuer.mint_delay_s, issuer.reject_share),
        redeem=_habit(issuer.redeem_fee_bps, issuer.redeem_delay_s, issuer.reject_share),
    )


def premium_of(params: Params, instrument: Instrument) -> Premium:
    """How an instrument's premium moves, with times in days."""
    known = params.premium(instrument)
    kappa = log(2) / known.half_life_s * DAY_S
    return Premium(theta=known.mean, kappa=kappa, sigma=(known.sd or 1e-4) * sqrt(2 * kappa))


def _habit(fee_bps: float | None, delay_s: float | None, rejects: float | None) -> Habit | None:
    """One direction of an issuer; None where something of it is not written."""
    if fee_bps is None or delay_s is None or rejects is None:
        return None
    return Habit(delay_s=delay_s, rejects=rejects)
