"""Config and universe become the thinking parts: columns, strategies, limits, engine; the same in every mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import nan
from pathlib import Path

from bot import attestations_file
from bot.backing import Backing
from bot.config import Config, InstrumentTable
from bot.config_costs import VenueTable
from bot.converting import IssuersOf
from bot.costs import borrow_per_day, reference_usd, taken_costs
from bot.dealing import Scribe
from bot.engine import Engine
from bot.errors import UsageError
from bot.health_watch import HealthWatch
from bot.hedging import hedge_of
from bot.judges import Rules
from bot.limits import funds_of, limits_of, ns, trade_rules_of
from bot.minting import mint_redeem_of
from bot.params_file import read_params
from bot.peg_rules import rule_of, shadow_of
from bot.triggers import Trigger
from bot.units import needs_basis
from connectors.events import I8
from connectors.exact import exact
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import Executor, Levels
from strategies.base import EdgeAbove, Every, PremiumBeyond, SignificanceBeyond, Step, Strategy
from strategies.cross_venue import CrossVenue
from strategies.execution.exits import Lot
from strategies.execution.ledger import Ledger
from strategies.liquidity import Liquidity
from strategies.market import kernel as K
from strategies.market.basis import Basis
from strategies.market.columns import FOREVER_NS, Beliefs, Columns, Facts, Slot
from strategies.market.evidence import Evidence
from strategies.market.filter import Premium
from strategies.market.health import DEFAULT_WEIGHTS
from strategies.market.health import Rules as PegRules
from strategies.market.params import Params, is_evidence
from strategies.market.pools import Pools, PoolTerms
from strategies.market.session import SessionTable
from strategies.peg_watch import PegWatch
from strategies.pricing.offers import Terms

_NO_VENUE = VenueTable(kind="cex")
_PLAIN = InstrumentTable()


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one run."""

    engine: Engine
    columns: Columns
    ledger: Ledger
    strategies: tuple[Strategy, ...]
    peg_watch: PegWatch | None
    liquidity: Liquidity | None = None

    def least(self, underlying: str) -> Decimal:
        """Fewest shares of an underlying that can be traded now: less is dust."""
        return self.engine.trades.exits.least_of(self.columns, underlying)


def assemble(
    config: Config,
    universe: Universe,
    sessions: SessionTable,
    scribe: Scribe,
    *,
    executor: Executor | None,
    issuers: IssuersOf | None = None,
    seed: int = 0,
    judge: bool = True,
    doubt: bool = True,
    health: bool = False,
    witnesses: bool = True,
    on_step: Sequence[Callable[[Step], None]] = (),
    levels: Mapping[int, Levels] | None = None,
    more: Sequence[Strategy] = (),
    fence: str = "",
    charged: Config | None = None,
) -> Assembly:
    """Everything that thinks, for the instruments of `universe` and the numbers of `config`; `more` strategies think
    beside those of the config.

    Without `doubt` every believed quote counts: nothing is held against another source, and prices are per unit.
    With `health` the engine keeps the peg health of every token.
    `issuers` makes the doors of issuers, given what a unit of each instrument is worth; without it nothing is minted.
    `charged` says what holding costs, where that is not what `config` believes.
    Without `witnesses` a share is worth what its best source says. So it is where strategies trade and none of them
    judges pegs: who trades goes by that alone.
    Raises UsageError where a strategy is enabled that needs what the config does not say.
    """
    facts = [_facts(config, instrument) for instrument in universe]
    strategies, peg_watch = _strategies(config, universe)
    liquidity = _liquidity(config, universe)
    if liquidity is not None:
        strategies.append(liquidity)
    strategies += more
    wakes = [strategy.wakes(universe) for strategy in strategies]
    slots: list[Slot] = []
    triggers: list[Trigger] = []
    timed: list[Strategy] = []
    names = universe.underlyings()
    for strategy, declared in zip(strategies, wakes, strict=True):
        for wake in declared:
            if isinstance(wake, Every):
                timed.append(strategy)
                continue
            triggers.append(Trigger(strategy, wake.underlying if isinstance(wake, EdgeAbove) else ""))
            if isinstance(wake, EdgeAbove):
                slots.append(Slot(K.SLOT_EDGE, names.index(wake.underlying), wake.bps))
            elif isinstance(wake, PremiumBeyond):
                slots.append(Slot(K.SLOT_PREMIUM, wake.instrument, wake.bps))
            elif isinstance(wake, SignificanceBeyond):
                slots.append(Slot(K.SLOT_SIGNIFICANCE, wake.instrument, wake.sigmas))
    columns = Columns(universe, facts, _beliefs(config, judge), sessions, slots)
    ledger, every = Ledger(universe), ns(config.fair.evidence_s)
    witnesses = witnesses and (peg_watch is not None or not any(strategy.max_open for strategy in strategies))
    engine = Engine(
        columns=columns,
        strategies=strategies,
        triggers=triggers,
        timed=timed,
        limits=limits_of(config),
        executor=executor,
        ledger=ledger,
        scribe=scribe,
        timer_ns=ns(config.run.timer_s),
        maintenance_ns=ns(config.gates.maintenance_s),
        rules=_rules(config, universe) if doubt else None,
        seed=seed,
        on_step=on_step,
        levels=levels,
        pools=None if liquidity is None else liquidity.pools,
        evidence=Evidence(columns, _params(config, universe)) if witnesses and every < FOREVER_NS else None,
        evidence_ns=every,
        lots=[Lot(units=table.lot, usd=table.min_notional_usd) for table in (tables(config, i)[1] for i in universe)],
        trade_rules=trade_rules_of(config),
        fence=fence,
        borrow_per_day=borrow_per_day(charged or config, universe),
    )
    engine.memory.funds = funds_of(config, sessions)
    engine.backing = backing_of(config, universe)
    if issuers is not None:
        engine.dealer.converter.primaries = issuers(_usd_of(columns), engine.judges.units.shares)
    if health:
        rules = peg_rules(config)
        engine.health = HealthWatch(columns, lambda number: rules, engine.depths.levels)
    return Assembly(engine, columns, ledger, tuple(strategies), peg_watch, liquidity)


def backing_of(config: Config, universe: Universe) -> Backing | None:
    """What judges the backing of tokens; None without a file. Raises DataError where it cannot be read."""
    if not config.run.attestations_file:
        return None
    max_age_ns = ns(config.gates.max_attestation_age_days * 86_400)
    return Backing(universe, attestations_file.read(Path(config.run.attestations_file)), max_age_ns)


def peg_rules(config: Config) -> PegRules:
    """What pegs are held against. A weight that the config does not name is the default."""
    table = config.health
    return PegRules(
        weights={**DEFAULT_WEIGHTS, **{name: float(weight) for name, weight in table.weights.items()}},
        window_ns=ns(table.window_s),
        history=table.history,
        least_prints=table.least_prints,
        band_sigmas=table.band_sigmas,
        gap_ns=ns(table.silence_s),
    )


def refused_rows(columns: Columns, since: I8 | None = None) -> dict[str, dict[str, int]]:
    """How many rows of each instrument were not believed so far, by reason; `since`: an earlier copy of the counts."""
    out: dict[str, dict[str, int]] = {}
    for number, instrument in enumerate(columns.universe):
        counts = columns.refused[number] - (0 if since is None else since[number])
        reasons = {K.REFUSALS[code]: int(counts[code]) for code in range(1, len(K.REFUSALS)) if counts[code]}
        if reasons:
            out[instrument.name] = reasons
    return out


def _usd_of(columns: Columns) -> Callable[[int], float]:
    """What an issuer reckons with: USD per unit of an instrument by what its shares are worth, whatever it is traded
    at, and of a coin per coin; NaN where unknown."""

    def usd(number: int) -> float:
        instrument = columns.universe[number]
        if instrument.role is Role.COIN:
            return float(columns.fx[columns.coins.index(instrument.coin)])
        fair = columns.own(columns.underlyings.index(instrument.underlying), columns.now)
        return nan if fair is None else fair.price * columns.f_rows[number][K.SHARES_PER_UNIT]

    return usd


def tables(config: Config, instrument: Instrument) -> tuple[VenueTable, InstrumentTable]:
    """What the config says about an instrument and its venue; plain defaults where it says nothing."""
    return config.venues.get(instrument.venue, _NO_VENUE), config.instruments.get(instrument.name, _PLAIN)


def _facts(config: Config, instrument: Instrument) -> Facts:
    """Slow facts of one instrument. What the config does not name, or whose venue has no fee, is only watched."""
    table = tables(config, instrument)[1]
    costs = taken_costs(config, instrument)
    share = costs.share(reference_usd(config))
    error = config.fair.source_error_bps if table.error_bps is None else table.error_bps
    half_spread = table.assumed_half_spread_bps if table.assumed_size_units is not None else None
    age = config.gates.max_fx_age_s if instrument.role is Role.COIN else config.gates.max_quote_age_s
    return Facts(
        cost=None if share is None else float(share),
        costs=costs,
        traded=instrument.name in config.instruments and (table.trade or instrument.role is Role.TOKEN),
        max_age_ns=ns(age if table.max_age_s is None else table.max_age_s),
        source_error=error / 1e4,
        assumed_half_spread=None if half_spread is None else half_spread / 1e4,
        assumed_size=nan if table.assumed_size_units is None else float(table.assumed_size_units),
    )


def _rules(config: Config, universe: Universe) -> Rules:
    """What prices are held against."""
    bands, basis = [], []
    for instrument in universe:
        table = tables(config, instrument)[1]
        band = config.gates.plausible_bps if table.plausible_bps is None else table.plausible_bps
        bands.append(band / 1e4)
        basis.append(basis_of(config, instrument))
    return Rules(bands=tuple(bands), basis=tuple(basis), max_lag_s=config.gates.max_source_lag_s)


def basis_of(config: Config, instrument: Instrument) -> Basis | None:
    """What an instrument's price is the price of: UNKNOWN is to be calibrated, None where the two cannot differ.

    A pool's price is per unit by its own maths; of what the config does not name, the tape says what a unit is worth.
    """
    venue, table = tables(config, instrument)
    if instrument.role is not Role.TOKEN or not needs_basis(instrument.unit_model):
        return None
    if table.basis in ("unit", "share"):
        return Basis(table.basis)
    known = venue.kind == "dex" or instrument.name not in config.instruments
    return Basis.UNIT if known and table.basis is None else Basis.UNKNOWN


def fitted(config: Config) -> Params:
    """What `[fair] params_file` says; defaults without one. Raises DataError where it cannot be read."""
    return read_params(Path(config.fair.params_file)) if config.fair.params_file else Params()


def _params(config: Config, universe: Universe) -> Params:
    """What the filter goes by: what was fitted, above it what the config says, and how far sources err."""
    fair, told = config.fair, fitted(config)
    sources = {i.name: tables(config, i)[1].error_bps for i in universe if is_evidence(i)}
    return replace(
        told,
        daily_vol_bps={**told.daily_vol_bps, **fair.daily_vol_bps},
        default_vol_bps=fair.default_daily_vol_bps,
        premia={
            **told.premia,
            **{
                name: Premium(noise=(fair.source_error_bps if error is None else error) / 1e4)
                for name, error in sources.items()
            },
        },
    )


def _beliefs(config: Config, judge: bool) -> Beliefs:
    """The gates and widths. The config's volatilities stand above the fitted ones of fair.py."""
    gates, fair = config.gates, config.fair
    volatility = {**fitted(config).daily_vol_bps, **fair.daily_vol_bps}
    return Beliefs(
        max_reference_spread=gates.max_reference_spread_bps / 1e4,
        stub_move=gates.stub_move,
        frozen_ns=ns(gates.frozen_after_s),
        frozen_rows=gates.frozen_rows,
        outlier_bps=gates.outlier_bps,
        confirm_ns=ns(gates.confirm_s),
        confirm_rows=gates.confirm_rows,
        max_error=fair.max_error_bps / 1e4,
        max_silence_days=fair.max_silence_days,
        daily_vol={name: bps / 1e4 for name, bps in volatility.items()},
        default_daily_vol=fair.default_daily_vol_bps / 1e4,
        judge=judge,
    )


def _strategies(config: Config, universe: Universe) -> tuple[list[Strategy], PegWatch | None]:
    """The strategies that are switched on."""
    strategies: list[Strategy] = []
    cross, peg = config.strategies.cross_venue, config.strategies.peg_watch
    peg_watch: PegWatch | None = None
    if peg is not None and peg.enabled:
        peg_watch = PegWatch(rule=rule_of(peg), shadow=shadow_of(peg))
        strategies.append(peg_watch)
    if cross is not None and cross.enabled:
        if config.risk is None:
            raise _no_limits()
        latencies = [venue.latency_ms or 0.0 for venue in config.venues.values()]
        strategies.append(
            CrossVenue(
                terms=tuple(
                    Terms(lot=table.lot, least_usd=table.min_notional_usd)
                    for table in (tables(config, instrument)[1] for instrument in universe)
                ),
                min_edge_bps=cross.min_edge_bps,
                size_usd=cross.size_usd,
                size_units=cross.size_units,
                max_short_units=cross.max_short_units,
                max_long_units=cross.max_long_units,
                slippage_bps=None if cross.slippage_bps is None else exact(cross.slippage_bps),
                latency_ns=round(max(latencies, default=0.0) * 1e6),
                cooldown_ns=ns(cross.cooldown_s),
                refusal_backoff_ns=ns(cross.refusal_backoff_s),
                max_open=cross.max_open_pairs,
                max_legs=cross.max_legs,
                limits=limits_of(config),
            )
        )
    table = config.strategies.hedge
    if table is not None and table.enabled:
        if config.risk is None:
            raise _no_limits()
        strategies.append(hedge_of(config, table, config.risk, universe, fitted(config)))
    mint = config.strategies.mint_redeem
    if mint is not None and mint.enabled:
        if config.risk is None:
            raise _no_limits()
        strategies.append(mint_redeem_of(config, mint, universe, fitted(config)))
    return strategies, peg_watch


def _no_limits() -> UsageError:
    return UsageError("[risk] is missing", where="config", hint="a strategy that trades needs its limits written")


def _liquidity(config: Config, universe: Universe) -> Liquidity | None:
    """The watch over pools with incentives, where it is switched on."""
    table = config.strategies.liquidity
    if table is None or not table.enabled:
        return None
    terms = {
        number: PoolTerms(
            usd_per_day=_known(pool.incentive_usd_per_day),
            ends_ns=pool.ends_ns,
            fee=_known(pool.fee_bps) / 1e4,
            volume_usd_per_day=_known(pool.volume_usd_per_day),
            tvl_usd=_known(pool.tvl_usd),
            concentration=_known(pool.concentration),
            top_lp_share=_known(pool.top_lp_share),
            required_return=_known(pool.required_return_share),
        )
        for number, instrument in enumerate(universe)
        if (pool := config.pools.get(instrument.name)) is not None
    }
    return Liquidity(
        pools=Pools(universe, terms, days=table.volume_days),
        warn_share=table.warn_share,
        warn_days=table.warn_days,
        clear_share=table.clear_share,
        hold_days=table.hold_days,
    )


def _known(value: float | None) -> float:
    """A number of the config; NaN where it is left out."""
    return nan if value is None else value
