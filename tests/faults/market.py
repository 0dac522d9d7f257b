"""The whole market on loopback: a stall of every venue, a fault proxy before each, and the production daemon on them.

    async with open_market(STALLS) as market:
        await market.agrees()

The oracle is what the servers themselves were last told to show; what is compared are the daemon's columns.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bot.paths import prepare_kernel

prepare_kernel()

from bot.clock import monotonic_ns, monotonic_s, sleep, wall_ns  # noqa: E402 - the kernel's cache must be chosen first
from bot.config_file import load  # noqa: E402
from bot.daemon import Daemon, Doors  # noqa: E402
from bot.facts import facts_of  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.steady import SteadyClock  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from bot.wiring import live_feeds, paper  # noqa: E402
from connectors.events import Health, Kind  # noqa: E402
from connectors.instruments import Instrument, Role  # noqa: E402
from connectors.vitals import Vitals  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from tests.conformance.stall import Stall, Top  # noqa: E402
from tests.servers.proxy import FaultProxy  # noqa: E402

PATIENCE_S = 30.0

HEAD = """
[run]
state_dir = "{state}"
record = false
timer_s = 0.1
[http]
port = 0
[gates]
max_quote_age_s = 5.0
[fair]
default_daily_vol_bps = 300.0
[strategies.cross_venue]
min_edge_bps = 99999
size_units = 1
max_short_units = 10
max_long_units = 10
[risk]
max_order_usd = 100000
max_position_usd = 100000
max_gross_usd = 200000
collar_bps = inf
max_orders_per_minute = 60
max_daily_loss_usd = 1000
sessions = ["pre", "regular", "post", "overnight", "weekend", "holiday"]
coin_band_bps = 500
need_fair = false
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""


class Market:
    """Servers, proxies, one daemon."""

    def __init__(self, stalls: tuple[Stall, ...], servers: dict[str, Any], proxies: dict[str, FaultProxy]) -> None:
        """Use `open_market`."""
        self.stalls = {stall.venue: stall for stall in stalls}
        self.servers, self.proxies = servers, proxies
        self.shown: dict[str, Top] = {}
        """What each instrument's venue shows, by name: the oracle."""
        self.notes: list[Note] = []
        """Every note of the decision records, in order."""
        self.daemon: Daemon
        self.said: list[str] = []
        """What the daemon warned of."""

    async def show(self, instrument: Instrument, top: Top) -> None:
        """The venue's book of an instrument has this top from now on."""
        self.shown[instrument.name] = top
        stall = self.stalls[instrument.venue]
        await stall.show(self.servers[instrument.venue], instrument, top)

    async def show_all(self, step: int = 0, *, but: Iterable[str] = ()) -> None:
        """Every venue, except those named in `but`, shows new books; each `step` other ones."""
        for venue, stall in self.stalls.items():
            if venue not in but:
                for instrument in stall.instruments:
                    await self.show(instrument, book_of(instrument, step))

    def seen(self, name: str) -> Top | None:
        """What the columns say of an instrument; None where nothing was ever seen."""
        number = self.daemon.universe.number(name)
        columns, stall = self.daemon.parts.columns, self.stalls[name.partition(":")[0]]
        bid, ask = float(columns.bid[number]), float(columns.ask[number])
        if bid != bid:
            return None
        sizes = (float(columns.bid_size[number]), float(columns.ask_size[number]))
        return stall.says(bid, ask, *sizes)

    def differs(self, but: Iterable[str] = ()) -> dict[str, tuple[Top, Top | None]]:
        """Instruments whose columns are not what their venue shows: name to (shown, seen)."""
        found = {}
        for name, shown in self.shown.items():
            venue = name.partition(":")[0]
            shown = self.stalls[venue].expects(shown)
            if venue not in but and (seen := self.seen(name)) != shown:
                found[name] = (shown, seen)
        return found

    def state(self, name: str) -> Health | None:
        """How an instrument's stream stands."""
        state = self.daemon.inbox.standing.state(self.daemon.universe.number(name))
        return None if state is None else state[0]

    def not_up(self) -> set[str]:
        """Names of the instruments that may not be traded because of their stream."""
        return {i.name for i in self.daemon.universe if self.state(i.name) is not Health.UP}

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
        """Waits until something is so; gives the seconds that it took. Raises AssertionError with what differs."""
        begun = monotonic_s()
        while not condition():
            if monotonic_s() - begun > patience_s:
                raise AssertionError(f"still after {patience_s} s: {self.differs()}, not up: {self.not_up()}")
            await sleep(0.01)
        return monotonic_s() - begun

    async def agrees(self, but: Iterable[str] = (), patience_s: float = PATIENCE_S) -> float:
        """Waits until the columns are the venues' books and every stream is up; gives the seconds that it took."""
        left_out = tuple(but)
        return await self.until(
            lambda: not self.differs(left_out) and all(n.partition(":")[0] in left_out for n in self.not_up()),
            patience_s,
        )

    def eligible(self, name: str) -> bool:
        """Whether an instrument may be bought or sold now, as the scan sees it."""
        columns, number = self.daemon.parts.columns, self.daemon.universe.number(name)
        from strategies.market import kernel as K

        now = self.daemon.engine.now
        return bool(columns.k[number, K.BUY_FROM] <= now <= columns.k[number, K.EXPIRES])


def book_of(instrument: Instrument, step: int) -> Top:
    """A plausible book of an instrument that differs in each step."""
    if instrument.role is Role.COIN:
        return Top(f"{0.999 + step * 0.0001:.10g}", f"{0.9995 + step * 0.0001:.10g}", "5000", f"{7000 + step}")
    return Top(f"{400 + step * 0.25:.10g}", f"{400.5 + step * 0.25:.10g}", f"{3 + step}", f"{2 + step}")


def config_of(stalls: tuple[Stall, ...], urls: dict[str, str], state: Path, compare_s: float = 60.0) -> str:
    """A config of these venues, whose books are compared with their own snapshots every `compare_s`."""
    text = HEAD.format(state=state)
    for stall in stalls:
        text += f'[venues.{stall.venue}]\nkind = "{stall.venue_kind}"\nfeed = "{stall.feed}"\n'
        text += f'exchange = "{stall.exchange or stall.venue}"\nurl = "{urls[stall.venue]}"\n'
        text += f"compare_s = {compare_s}\n"
        if stall.kind is Kind.QUOTE:
            text += "taker_fee_bps = 10\nlatency_ms = 5\n"
        if stall.key:
            key = state / f"{stall.venue}.key"
            key.write_text("".join(f'{name} = "{value}"\n' for name, value in stall.key.items()))
            key.chmod(0o600)
            text += f'key_file = "{key}"\n'
        if stall.options:
            text += "options = { " + ", ".join(f"{k} = {_toml(v)}" for k, v in stall.options.items()) + " }\n"
        for i in stall.instruments:
            text += f'[instruments."{i.name}"]\nrole = "{i.role.name.lower()}"\nquote = "{i.quote}"\n'
            text += "".join(f'{key} = "{value}"\n' for key, value in (("token", i.token), ("coin", i.coin)) if value)
            if i.underlying:
                text += f'underlying = "{i.underlying}"\n'
            if i.role is Role.TOKEN:
                text += 'unit_model = "rebasing"\n'
    return text


def _toml(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


@asynccontextmanager
async def open_market(
    stalls: tuple[Stall, ...], *, wall: Callable[[], int] = wall_ns, extra: str = "", compare_s: float = 60.0
) -> AsyncIterator[Market]:
    """Opens every stall, shows books, starts the daemon, closes all at the end; `wall` is the machine's clock."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: dict[str, Any] = {}
        proxies: dict[str, FaultProxy] = {}
        for stall in stalls:
            servers[stall.venue] = await stack.enter_async_context(stall.server())
            proxies[stall.venue] = await stack.enter_async_context(FaultProxy(servers[stall.venue].url))
        market = Market(stalls, servers, proxies)
        await market.show_all()
        path = state / "config.toml"
        urls = {name: proxy.url for name, proxy in proxies.items()}
        path.write_text(config_of(stalls, urls, state, compare_s) + extra)
        config = load(path)
        universe = universe_of(config)
        clock, vitals = SteadyClock(wall, monotonic_ns), dict[str, Vitals]()
        doors = Doors(
            feeds=live_feeds(config, universe, clock=clock, vitals=vitals),
            executor=paper(config, universe, config.run.seed),
            on_paper=True,
            clock=clock,
            steady=clock,
            vitals=vitals,
            monotonic=monotonic_s,
            sleep=sleep,
            state=state / "state",
        )
        facts = facts_of(config, mode="dry_run", file=path.name)
        market.daemon = Daemon(config, universe, load_sessions(), facts, doors, warn=market.said.append)
        told = market.daemon.watch

        def keep(step: Step) -> None:
            market.notes.extend(step.notes)
            told(step)

        market.daemon.watch = keep
        stop = asyncio.Event()
        running = asyncio.create_task(market.daemon.run(stop))
        try:
            for stall in stalls:
                if not stall.snapshots:
                    await stall.follows(servers[stall.venue], 1)
                    for instrument in stall.instruments:
                        await market.show(instrument, book_of(instrument, 0))
            yield market
        finally:
            stop.set()
            await running
