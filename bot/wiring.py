"""The one place that opens the doors behind the connectors' face: venues, share prices, replay and paper."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.clock import Clock, chance, monotonic_s, sleep, wall_ns
from bot.keys import missing, reader
from connectors.errors import DataError
from connectors.events import Rows
from connectors.exact import exact
from connectors.instruments import Hours, Role, Token, Universe
from connectors.ports import Feed, FeedSetup, Option
from connectors.vitals import Vitals
from strategies.market.session import HOURS, SessionTable

if TYPE_CHECKING:
    from bot.comparing import AccountsOf
    from bot.config import Config
    from bot.config_costs import IssuerTable
    from bot.converting import IssuersOf
    from connectors.evm.tokens_verify import Verified as Verified
    from connectors.paper import PaperExecutor
    from connectors.registry import Registry
    from connectors.simulated.feed import SimulatedFeed
    from connectors.simulated.issuer_terms import IssuerTerms, Open, Ways
    from connectors.simulated.subsidised import SubsidisedWorld
    from connectors.simulated.world import World


BPS = Decimal(10_000)

NOWHERE: Final = "-"
"""The venue of an issuer's shares where it takes no shares."""

FEEDS: Final[Mapping[str, str]] = {
    "bybit": "connectors.cex.bybit",
    "ccxt": "connectors.cex.ccxt_feed",
    "kraken": "connectors.cex.kraken",
    "yahoo": "connectors.equity.yahoo",
    "alpaca": "connectors.equity.alpaca",
    "pyth": "connectors.equity.pyth",
    "chainlink": "connectors.equity.chainlink",
    "onchain": "connectors.evm.onchain",
    "pools": "connectors.evm.pools",
}
"""What `[venues.NAME] feed` may name, and the module whose `feed(setup)` makes it. A new one is one line."""


def feed_options(feed: str) -> Mapping[str, Option]:
    """What the options of a feed may be called, and of what kind each is."""
    options: Mapping[str, Option] = getattr(importlib.import_module(FEEDS[feed]), "OPTIONS", {})
    return options


def checksummed(address: str) -> str:
    """An address of an EVM chain with the capitals that are its checksum (EIP-55)."""
    from connectors.evm.abi import checksummed as made

    return made(address)


def fetch_history(
    source: str, symbol: str, *, start_ns: int, end_ns: int, interval: str, role: Role, url: str = ""
) -> tuple[Rows, dict[str, int]]:
    """Past prices from "yahoo" or an exchange of ccxt as rows of instrument 0; and how many were left out, by reason.

    Raises DataError where there is none, ConnectorError as connectors.cex.history and connectors.equity.history.
    """
    if source == "yahoo":
        from connectors.equity.history import bars

        return bars(symbol, start_ns=start_ns, end_ns=end_ns, interval=interval, clock=wall_ns, url=url)
    from connectors.cex.history import candles

    return candles(
        source, symbol, start_ns=start_ns, end_ns=end_ns, interval=interval, role=role, clock=wall_ns, url=url
    )


def live_feeds(
    config: Config,
    universe: Universe,
    folder: Path = Path(),
    *,
    clock: Clock = wall_ns,
    vitals: dict[str, Vitals] | None = None,
) -> tuple[Feed, ...]:
    """The feeds of the world outside that a config names, each with its instruments; venues without any have none.

    Key files, pins and the file of corporate actions are looked for from `folder`, that of the config. Raises
    CredentialsMissing where a feed needs a key that is not there, DataError where such a file is wrong. `vitals` gets
    what each venue's connections count. Takes the seconds that the libraries of the feeds take to load.
    """
    named = {instrument.venue for instrument in universe}
    counted = {} if vitals is None else vitals
    feeds = [
        live_feed(config, universe, name, folder, clock=clock, vitals=counted.setdefault(name, Vitals()))
        for name, venue in config.venues.items()
        if name in named and venue.feed in FEEDS
    ]
    for kind in sorted({config.venues[name].feed for name in named & set(config.venues)} & set(FEEDS)):
        for library in getattr(importlib.import_module(FEEDS[kind]), "LOADS", ()):
            importlib.import_module(library)
    if config.run.actions_file:
        from connectors.equity.actions_file import ActionsFile

        feeds.append(ActionsFile(folder / Path(config.run.actions_file).expanduser(), universe, sleep=sleep))
    return tuple(feeds)


def live_feed(
    config: Config,
    universe: Universe,
    name: str,
    folder: Path = Path(),
    *,
    clock: Clock = wall_ns,
    vitals: Vitals | None = None,
) -> Feed:
    """The feed of one venue of a config, with its instruments. Raises CredentialsMissing and DataError as
    `live_feeds`."""
    venue, at = config.venues[name], list(config.venues).index(name)
    setup = FeedSetup(
        venue=name,
        exchange=venue.exchange or name,
        instruments=tuple(i for i in universe if i.venue == name),
        clock=clock,
        monotonic=monotonic_s,
        sleep=sleep,
        vitals=vitals or Vitals(),
        # Each feed draws its jitter from a stream of its own, so that one feed's failures do not move another's.
        rng=chance(config.run.seed + 7919 * (at + 1)),
        url=venue.url,
        depth_every_s=venue.depth_every_s,
        depth_levels=venue.depth_levels,
        compare_s=venue.compare_s,
        taker_fee_bps=venue.taker_bps,
        options=venue.options,
        pins=_pins(folder, config.run.pins_file, universe),
        key=reader(folder / Path(venue.key_file).expanduser(), venue=name) if venue.key_file else dict,
    )
    module = importlib.import_module(FEEDS[venue.feed])
    needed: tuple[str, ...] = getattr(module, "KEYS", ())
    if needed and not all(setup.key().get(key) for key in needed):
        raise missing(name, needed, key_file=venue.key_file)
    made: Feed = module.feed(setup)
    return made


def _pins(folder: Path, name: str, universe: Universe) -> Mapping[tuple[str, str], str]:
    """What a file of pins says; nothing where none is named. Raises DataError, also for a pin on a chain that nobody
    knows: it would guard nothing."""
    if not name:
        return {}
    from connectors.evm.pins import read_pins
    from connectors.registry import load_registry

    path = folder / Path(name).expanduser()
    pins = read_pins(path)
    known = load_registry().chains.keys() | {instrument.chain for instrument in universe}
    for chain, contract in pins:
        if chain not in known:
            hint = "write it as `pegline tokens list` has it"
            raise DataError(f"{contract} is pinned on {chain!a}, a chain that is not known", where=str(path), hint=hint)
    return pins


async def verify_tokens(
    chain: str,
    tokens: Sequence[Token],
    registry: Registry,
    *,
    url: str,
    key: Callable[[], Mapping[str, str]],
    options: Mapping[str, str],
    pin: Path | None = None,
) -> tuple[int, tuple[Verified, ...], int]:
    """Asks a node of a chain about its tokens; gives the block that it was asked at, what was found, and how many were
    pinned. In a file of pins the code must be what it says, and what is right and not in it yet is added.

    Raises ConnectorError where the node does not answer, DataError where the file is wrong.
    """
    from connectors.evm.tokens_verify import verify, verify_and_pin

    setup = FeedSetup(
        venue=chain, instruments=(), clock=wall_ns, monotonic=monotonic_s, sleep=sleep, rng=chance(0), url=url,
        key=key, options=options,
    )  # fmt: skip
    if pin is None:
        head, found = await verify(setup, tokens, registry)
        return head.number, found, 0
    head, found, new = await verify_and_pin(setup, tokens, registry, pin)
    return head.number, found, new


def exchanges() -> dict[str, tuple[str, ...]]:
    """Every exchange whose peculiarities are known, and those in words; any other that ccxt knows works plainly."""
    from connectors.cex.quirks import QUIRKS

    return {name: quirk.words() for name, quirk in QUIRKS.items()}


def simulated_market(
    seed: int, *, off: Sequence[str] = (), sessions: SessionTable, seconds: float = 0.0, speed: float = 0.0
) -> tuple[World, SimulatedFeed]:
    """A seeded world of four days without the faults named in `off`, and the feed that tells it.

    It is told in `seconds`, or at `speed` market seconds per second; with neither, as fast as it goes. Raises
    RegistryError for a name that is no fault.
    """
    from connectors.simulated.faults import Faults
    from connectors.simulated.feed import SimulatedFeed
    from connectors.simulated.world import SECONDS, START_NS, simulate

    world = simulate(seed, START_NS, SECONDS, Faults().without(off), sessions=sessions.codes_at)
    pace = speed or (SECONDS / seconds if seconds else math.inf)
    return world, SimulatedFeed(world, speed=pace, monotonic=monotonic_s, sleep=sleep)


def simulated_tape(path: Path, seed: int, *, off: Sequence[str] = (), sessions: SessionTable) -> World:
    """The world that `demo --seed` shows, as a tape at `path`. Raises TapeError where it cannot be written."""
    from connectors.simulated.faults import Faults
    from connectors.simulated.recording import write_tape

    return write_tape(path, seed, faults=Faults().without(off), sessions=sessions.codes_at)


def subsidised_pool(seed: int, ending: str) -> tuple[Config, SubsidisedWorld]:
    """A made-up pool whose incentive `ends` or is `renewed`, or whose depth `stays`; and a config that knows it."""
    from bot.config import Config
    from connectors.simulated.subsidised import STEP_S, UNIVERSE, Ending, simulate_subsidised

    world = simulate_subsidised(seed, Ending(ending))
    (pool,) = UNIVERSE
    instrument = {
        "token": pool.token, "underlying": pool.underlying, "issuer": pool.issuer, "unit_model": "rebasing",
        "max_age_s": 3.0 * STEP_S,
    }  # fmt: skip
    terms = {"fee_bps": world.fee * 1e4, "concentration": world.concentration, "top_lp_share": world.top_share}
    terms["required_return_share"] = world.required_return
    document = {
        "venues": {pool.venue: {"kind": "dex"}},
        "instruments": {pool.name: instrument},
        "pools": {pool.name: terms},
        "fair": {
            "default_daily_vol_bps": world.daily_vol * 1e4,
            "daily_vol_bps": {pool.underlying: world.daily_vol * 1e4},
        },
    }
    return Config.model_validate(document), world


def paper(config: Config, universe: Universe, seed: int) -> PaperExecutor:
    """An executor on paper for every instrument whose venue has a fee and a latency."""
    from bot.assembly import tables
    from bot.costs import leg_costs
    from connectors.paper import PaperExecutor, PaperTerms
    from strategies.pricing.costs import Component

    terms: dict[int, PaperTerms] = {}
    for number, instrument in enumerate(universe):
        venue, table = tables(config, instrument)
        if venue.taker_bps is None or venue.latency_ms is None:
            continue
        costs = leg_costs(config, instrument)
        spread = table.assumed_half_spread_bps if instrument.one_price else None
        terms[number] = PaperTerms(
            latency_ns=round(venue.latency_ms * 1e6),
            fee=costs.only({Component.TAKER_FEE}).share(None) or Decimal(0),
            lot=table.lot,
            fixed_usd=costs.fixed_usd,
            reject_share=venue.reject_share,
            fill_share=venue.fill_share,
            assumed_half_spread=None if spread is None else exact(spread) / BPS,
        )
    return PaperExecutor(terms, seed)


def paper_accounts(universe: Universe, executor: PaperExecutor) -> AccountsOf:
    """The account of every venue on paper, for a ledger."""
    from connectors.paper import PaperAccount
    from strategies.execution.own_books import believed

    venues = {universe[at].venue: universe.at(universe[at].venue) for at in executor.terms}
    return lambda ledger: {
        venue: PaperAccount(venue, here, executor, partial(believed, ledger, venue)) for venue, here in venues.items()
    }


def paper_issuers(config: Config, universe: Universe, sessions: SessionTable, seed: int) -> IssuersOf:
    """An issuer on paper for every `[issuers.NAME]` whose fee, cost and delay of a way are written; a way of which one
    is not is closed."""
    from connectors.simulated.issuer import SimulatedIssuer

    terms = issuer_terms(config, sessions, seed)
    return lambda usd, shares: {name: SimulatedIssuer(name, universe, one, usd, shares) for name, one in terms.items()}


def issuer_terms(config: Config, sessions: SessionTable, seed: int) -> dict[str, IssuerTerms]:
    """How each `[issuers.NAME]` works on paper, by name."""
    from connectors.simulated.issuer_terms import IssuerFault, IssuerTerms

    return {
        name: IssuerTerms(
            mint=_way(table, table.mint_fee_bps, table.mint_delay_s),
            redeem=_way(table, table.redeem_fee_bps, table.redeem_delay_s),
            hours=_hours(sessions, Hours(table.hours)),
            shares_at=table.shares_at if table.takes == "share" else NOWHERE,
            cash=table.takes == "cash",
            shares={IssuerFault.REJECTED: table.reject_share or 0.0},
            seed=seed,
        )
        for name, table in config.issuers.items()
    }


def _hours(sessions: SessionTable, hours: Hours) -> Callable[[int], Open]:
    """Whether an issuer on paper takes requests on at a moment (ns UTC)."""
    from connectors.simulated.issuer_terms import Open

    def at(now: int) -> Open:
        session = sessions.at(now)
        return Open("" if session in HOURS[hours] else f"closed in session {session.label}", 0)

    return at


def _way(table: IssuerTable, fee_bps: float | None, delay_s: float | None) -> Ways | None:
    """One direction of an issuer on paper; None where something of it is not known."""
    from connectors.simulated.issuer_terms import Delay
    from connectors.simulated.issuer_terms import Ways as Way

    if fee_bps is None or delay_s is None or table.request_usd is None or table.least_usd is None:
        return None
    spread = Decimal(0)
    if table.takes == "cash":
        if table.spread_bps is None:
            return None
        spread = exact(table.spread_bps) / BPS
    return Way(
        fee=1 - (1 - exact(fee_bps) / BPS) / (1 + spread),
        fee_usd=table.request_usd,
        delay=Delay(delay_s),
        least_usd=table.least_usd,
        most_usd=table.most_usd,
        most_open_usd=table.most_open_usd,
    )
