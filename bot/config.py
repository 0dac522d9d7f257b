"""What the operator writes down: the shape of `config.toml`, value by value, with units in the names.

Reading it, and saying what is wrong with it, is the work of bot/config_file.py. No financial value has a silent
default: fees, limits and sizes must be written. Only technical values have defaults here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from bot.config_costs import CostsTable, IssuerTable, VenueTable
from bot.config_execution import Execution
from bot.config_hedge import Hedge
from bot.config_mint import MintRedeemTable
from bot.config_risk import Risk
from bot.config_types import (
    Bps,
    Limit,
    NotNegative,
    NotNegativeFloat,
    Positive,
    PositiveFloat,
    Seconds,
    SessionName,
    Share,
    Table,
)
from connectors.events import NS

PartName = Literal[
    "premium", "spell", "spread", "depth", "drift", "reversion", "lead", "beta", "supply", "multiplier", "wash"
]

NO_FEED: Final = ("simulated", "tape", "none")
"""What `feed` may say of a venue that nothing outside speaks for."""


class Run(Table):
    """[run]: where state lives and what is kept."""

    state_dir: str = "state"
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    """Of the paper venues' chance."""
    record: bool = True
    """Keep every accepted row as a tape under state_dir/tape."""
    timer_s: Seconds = 1.0
    """How often the strategies' clock ticks in tape time."""
    reconcile_s: Seconds = 60.0
    """How often the account at each venue is compared with the books."""
    watchdog_s: Limit = 60.0
    """A loop that has not beaten for so long is hung, and everything is halted; `inf` never."""
    actions_file: str = ""
    """Path of a file with splits and dividends, kept by hand; relative to the folder of the config file."""
    pins_file: str = ""
    """Path of a file with the code that contracts must run, as `tokens verify --pin` writes it; likewise relative."""
    attestations_file: str = ""
    """Path of a file with what issuers attest of their tokens' backing, kept by hand; likewise relative."""


class Http(Table):
    """[http]: the read-only page, /metrics and /healthz."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """0 takes any free port and prints it."""


class InstrumentTable(Table):
    """[instruments."venue:SYMBOL"]: one token, perp or share that is watched and perhaps traded."""

    role: Literal["token", "share", "coin", "perp"] = "token"
    token: str = ""
    underlying: str = ""
    issuer: str = ""
    chain: str = ""
    unit_model: Literal["rebasing", "scaled_ui", "total_return", "vault"] | None = None
    multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    basis: Literal["unit", "share", "calibrate"] | None = None
    """What the venue's price is the price of. None: units in pools, else calibrated where the two can differ."""
    plausible_bps: Limit | None = None
    """None takes [gates].plausible_bps."""
    quote: str = "USD"
    coin: str = ""
    witness: str = ""
    hours: Literal["24/7", "24/5", "extended", "regular"] = "24/7"
    trade: bool = False
    """A share or perp that may be a leg too; a token always may unless its venue has no fee."""
    error_bps: Bps | None = None
    """For a share source: how far it may be off when fresh, one sigma. None takes [fair].source_error_bps."""
    max_age_s: Seconds | None = None
    """None takes [gates].max_quote_age_s."""
    lot: Positive = Decimal("0.000001")
    """Smallest step of the quantity, in units."""
    min_notional_usd: NotNegative = Decimal(0)
    assumed_half_spread_bps: Bps | None = None
    """For a series with one price: fill at price -/+ this. None: watched, never filled."""
    assumed_size_units: Positive | None = None
    """For a series with one price: units that may be taken per print."""
    borrow_bps_per_year: Bps | None = None
    """What being short of it costs. None is unknown, and then nobody counts on being short."""


class PoolTable(Table):
    """[pools."venue:SYMBOL"]: what is known by hand of a pool with an incentive. What is left out is unknown."""

    incentive_usd_per_day: NotNegativeFloat | None = None
    """What is paid to its liquidity, all programs together, until a feed or tape says otherwise."""
    incentive_ends: str = ""
    """Until when, ISO 8601; UTC where no zone stands."""
    fee_bps: Bps | None = None
    """What its liquidity gets of a swap."""
    volume_usd_per_day: NotNegativeFloat | None = None
    """Counts until trades of a day were heard."""
    tvl_usd: PositiveFloat | None = None
    """Counts where no levels are told."""
    concentration: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """How many times as deep its liquidity is as the same value over all prices; a v2 pool has 1."""
    top_lp_share: Share | None = None
    """Part of its liquidity that those own who would leave together."""
    required_return_share: NotNegativeFloat | None = None
    """What its owners ask for, per year, as a part of one."""

    @property
    def ends_ns(self) -> int:
        """`incentive_ends` as ns UTC; 0 where it is not written. Raises ValueError where it is no time."""
        if not self.incentive_ends:
            return 0
        found = datetime.fromisoformat(self.incentive_ends)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return (found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * NS


class Gates(Table):
    """[gates]: what a quote must be like to be believed. `inf` switches a gate off."""

    max_quote_age_s: Limit = 60.0
    max_fx_age_s: Limit = 900.0
    """A quote coin whose price is older than this is not traded in."""
    max_reference_spread_bps: Limit = 200.0
    stub_move: Limit = 0.5
    """A reference that moves by more than this share of itself at once is a stub until it has stood."""
    frozen_after_s: Limit = 1800.0
    frozen_rows: Annotated[int, Field(ge=2)] = 4
    outlier_bps: Limit = 2000.0
    """A token print further than this from the fair value is refused until it has stood."""
    confirm_s: Limit = 120.0
    confirm_rows: Annotated[int, Field(ge=1)] = 5
    plausible_bps: Limit = 5000.0
    """A token or perp further than this from the fair value is another asset, unless a second venue says the same."""
    max_source_lag_s: Limit = 120.0
    """A share source that follows the others by more than this is not believed."""
    max_attestation_age_days: Limit = 40.0
    """A token whose backing was attested longer ago is only given back."""
    maintenance_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 600.0
    """After a multiplier activates, at most this long without trading while waiting for the first print."""


class Fair(Table):
    """[fair]: fair value and the growth of its error."""

    daily_vol_bps: dict[str, Bps] = {}
    """One-sigma move of a share over a full trading day; key = underlying."""
    default_daily_vol_bps: Bps = 300.0
    source_error_bps: Bps = 3.0
    params_file: str = ""
    """Path of a file as `pegline fit --out` writes it, relative to the folder of the config file; what is written in
    this table stands above it."""
    max_error_bps: Limit = 1000.0
    """A wider fair value is unknown."""
    evidence_s: Limit = 5.0
    """How often prints become evidence of the share. `inf`: only the share's own sources say what it is worth."""
    max_silence_days: Limit = 2.0
    """Regular trading days of variance since the source spoke; after more the fair value is unknown. Why two:
    strategies/market/fair.py."""


class Health(Table):
    """[health]: what each token's peg is held against, its own history (strategies/market/health.py)."""

    window_s: Annotated[float, Field(ge=60, allow_inf_nan=False)] = 3600.0
    """A reading looks back so far, and becomes history one window later."""
    history: Annotated[int, Field(ge=12, le=10_000)] = 120
    """Readings that are kept of each part, for each session where sessions differ."""
    least_prints: Annotated[int, Field(ge=3, le=300)] = 5
    """A window with fewer prints says nothing."""
    band_sigmas: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """A print is outside from so many robust standard deviations off the session's own median."""
    silence_s: Seconds = 1800.0
    """After so long without a print a spell has ended and the health is unknown."""
    weights: dict[PartName, NotNegative] = {}
    """By part; a part that is not named keeps its default, 0 leaves it out."""


class CrossVenue(Table):
    """[strategies.cross_venue]: buy where it is cheap, sell where it is dear, at once."""

    enabled: bool = True
    min_edge_bps: Annotated[float, Field(ge=0, lt=100_000)]
    """Net of all costs, over the fair value: of each share that is traded, and of the whole trade."""
    size_usd: Positive | None = None
    """No trade buys more, at the cheapest price. Exactly one of size_usd and size_units."""
    size_units: Positive | None = None
    max_legs: Annotated[int, Field(ge=2, le=16)] = 4
    """Orders in one trade."""
    cooldown_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """From a decision to the next on the same underlying."""
    refusal_backoff_s: Annotated[float, Field(ge=0.001, allow_inf_nan=False)] = 5.0
    """After a wake that ended without a trade. Never nothing: then an edge that is refused would be asked every row."""
    max_open_pairs: Annotated[int, Field(ge=1)] = 1
    max_short_units: NotNegative
    """How far a position in one instrument may go below zero (inventory or borrow)."""
    max_long_units: Positive
    slippage_bps: Bps | None = None
    """Worst price against the price seen. None: at the quotes in force when the order arrives, whatever they are."""


class PegShadow(Table):
    """[strategies.peg_watch.shadow]: a candidate rule beside the active one; what it leaves out is as there."""

    enabled: bool = True
    warn_bps: dict[SessionName, Bps] | None = None
    depeg_bps: dict[SessionName, Bps] | None = None
    clear_share: Share | None = None
    persist_s: Seconds | None = None
    min_sigmas: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    run_length: Annotated[float, Field(ge=100, le=1e9)] | None = None
    fast_sigmas: Annotated[float, Field(ge=0.5, le=20)] | None = None
    prints: Annotated[int, Field(ge=1, le=100)] | None = None
    least_bps: Bps | None = None
    sample_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    slow_run_length: Annotated[float, Field(ge=50, le=1e9)] | None = None
    coin_bps: Bps | None = None
    depth_usd: NotNegative | None = None


class PegWatch(Table):
    """[strategies.peg_watch]: depeg states, decided on what is usual at each venue; strategies/peg/rule.py."""

    enabled: bool = True
    warn_bps: dict[SessionName, Bps]
    depeg_bps: dict[SessionName, Bps]
    """Beyond these a premium is strained or depegged whatever is usual at a venue."""
    clear_share: Share = 0.7
    """A state is left when the premium is below this share of its threshold."""
    persist_s: Seconds = 60.0
    min_sigmas: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3.0
    run_length: Annotated[float, Field(ge=100, le=1e9)] = 100_000.0
    """Samples of a venue from one false alarm to the next."""
    fast_sigmas: Annotated[float, Field(ge=0.5, le=20)] = 3.0
    """The jump that is found soonest, in sd of a venue's prints."""
    prints: Annotated[int, Field(ge=1, le=100)] = 5
    """So many prints must say it."""
    least_bps: Bps = 75.0
    """A smaller deviation is no depeg, however sure; half of it is no strain."""
    sample_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Prints that follow each other faster count as one."""
    slow_run_length: Annotated[float, Field(ge=50, le=1e9)] = 2_000.0
    """Spans of eight hours from one false alarm of a drift to the next."""
    coin_bps: Bps = 75.0
    """A coin whose ten-minute median is further from one dollar has left its peg."""
    depth_usd: NotNegative = Decimal(25_000)
    """What must rest at a single venue for it to speak for its token, where the issuer fails too."""
    shadow: PegShadow | None = None


class Liquidity(Table):
    """[strategies.liquidity]: warns before the depth of a pool leaves with its incentive."""

    enabled: bool = True
    warn_share: Share = 0.5
    """Of what the pool's liquidity is paid: more subsidy than this is a cliff at its end."""
    warn_days: PositiveFloat = 7.0
    """How near the end must be."""
    clear_share: Share = 0.8
    """A warning is taken back when the subsidy's share is below this share of its threshold."""
    volume_days: Annotated[int, Field(ge=1, le=90)] = 7
    """Fees are those of the volume of so many days; a week has every session once."""
    hold_days: NotNegativeFloat = 3.0
    """How long after the end a warning stays."""


class Strategies(Table):
    """[strategies]: which rules think, and with what numbers."""

    cross_venue: CrossVenue | None = None
    peg_watch: PegWatch | None = None
    liquidity: Liquidity | None = None
    hedge: Hedge | None = None
    mint_redeem: MintRedeemTable | None = None


class WalletChain(Table):
    """[wallet.chains.CHAIN]: one wallet on one EVM chain, by the chain's name in the registry. Keys and passwords are
    named by path or by variable; nothing here is secret."""

    address: str
    """Of the wallet; a key of another one is refused."""
    venue: str
    """Of this config: whose nodes are asked."""
    agree: Annotated[int, Field(ge=1, le=20)]
    """So many nodes must say the same before anything is sent."""
    relay: str = ""
    """URL that takes what is sent, where it must not be seen before it is in a block; empty is the node."""
    relay_file: str = ""
    """Path of a file with url = "...", where the relay's address holds a key."""
    keystore: str = ""
    """Path of an encrypted keystore (Web3 Secret Storage, version 3)."""
    password_file: str = ""
    password_env: str = ""
    """Name of an environment variable."""
    key_file: str = ""
    """Path of a file with the key in hex, instead of a keystore."""
    tokens: tuple[str, ...] = ()
    """Contracts that are shown, and of which somebody may spend."""
    spenders: tuple[str, ...] = ()
    """Routers that may be allowed to."""
    permit: str = ""
    """Permit2, where those spend through it."""
    confirmations: Annotated[int, Field(ge=1, le=10_000)]
    """Blocks, the transaction's own included, after which it is taken to stay."""
    stuck_blocks: Annotated[int, Field(ge=1, le=10_000)] = 3
    """A transaction that waits longer is replaced."""
    max_head_age_s: Seconds = 60.0
    """A node whose newest block is older is not believed."""
    max_fee_gwei: Positive
    """Per unit of gas, all in."""
    max_priority_gwei: NotNegative
    """Of it, for whoever makes the block."""
    max_cost_usd: Positive
    """Gas of one swap with its allowances."""


class WalletTable(Table):
    """[wallet]: wallets on EVM chains, for `pegline wallet`; a run is on paper and opens no key."""

    sign: bool = False
    """Whether `pegline wallet` may open keys and write down what an operator says."""
    chains: dict[str, WalletChain] = {}


class Config(Table):
    """The whole file."""

    schema_version: Literal[1] = 1
    run: Run = Run()
    http: Http = Http()
    venues: dict[str, VenueTable] = {}
    instruments: dict[str, InstrumentTable] = {}
    pools: dict[str, PoolTable] = {}
    costs: CostsTable | None = None
    issuers: dict[str, IssuerTable] = {}
    gates: Gates = Gates()
    fair: Fair = Fair()
    health: Health = Health()
    strategies: Strategies = Strategies()
    risk: Risk | None = None
    execution: Execution | None = None
    wallet: WalletTable = WalletTable()
