"""Where an answer about a token may come from: a running daemon, a tape up to a moment, or feeds heard for seconds."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote as quoted
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

import msgspec

from bot.errors import UsageError
from connectors.errors import DataError, VenueUnreachable
from monitoring.quote_lines import SCHEMA, Quote

if TYPE_CHECKING:
    from bot.assembly import Assembly
    from bot.config import Config
    from monitoring.decisions import Tally

Answer = TypeVar("Answer", bound=msgspec.Struct)

ANSWER_S: Final = 10.0
"""A daemon answers within a second, unless its machine is busy."""
_LARGEST: Final = 32 * 2**20
_LOOK_S: Final = 0.1


class _Refusal(msgspec.Struct):
    """What a daemon answers to a question that cannot be answered."""

    error: str
    hint: str = ""


class _Version(msgspec.Struct):
    """Of an answer: read first, since the rest may be of another shape."""

    schema: int


def of_daemon(url: str, name: str, size_usd: float | None, *, timeout_s: float = ANSWER_S) -> Quote:
    """Asks the daemon that answers at `url` (of its page) about a token; raises as `asked` does."""
    return asked(url, "quote", Quote, SCHEMA, name, size_usd, timeout_s=timeout_s)


def asked(
    url: str, what: str, kind: type[Answer], schema: int, name: str, size_usd: float | None,
    *, timeout_s: float = ANSWER_S,
) -> Answer:  # fmt: skip
    """Asks the daemon that answers at `url` one of its questions about a token; `what` stands in the path.

    Raises UsageError for an address that is none and a name that the daemon does not know, VenueUnreachable where
    nobody answers, DataError where what answers is no pegline that knows this question.
    """
    try:
        known = urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname
    except ValueError:
        known = None
    if not known:
        raise UsageError(f"{url!r} is no address", where="--url", hint="write it as the daemon prints it: http://...")
    where = f"{url.rstrip('/')}/{what}/{quoted(name, safe='')}.json"
    if size_usd is not None:
        where += "?" + urlencode({"size": repr(size_usd)})
    try:
        # Loopback is never asked through a proxy.
        with build_opener(ProxyHandler({})).open(where, timeout=timeout_s) as answer:
            body, status = answer.read(_LARGEST), 200
    except HTTPError as error:
        body, status = error.read(_LARGEST), error.code
    except (URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise VenueUnreachable(f"no answer: {reason}", where=url, hint="does that pegline still run?") from error
    return _read(body, status, url, kind, schema)


def _read(body: bytes, status: int, url: str, kind: type[Answer], schema: int) -> Answer:
    """An answer's body as what it says."""
    other = DataError(
        f"what answers there (HTTP {status}) is no pegline that knows this question",
        where=url,
        hint="is it an older one?",
    )
    try:
        if status != 200:
            refusal = msgspec.json.decode(body, type=_Refusal)
            raise UsageError(refusal.error, hint=refusal.hint)
        if (theirs := msgspec.json.decode(body, type=_Version).schema) != schema:
            raise DataError(f"it answers in form {theirs}, this pegline reads {schema}", where=url)
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise other from error


def of_tape(path: Path, config: Config, name: str, size_usd: float | None, at_ns: int | None) -> Quote:
    """Replays a tape up to and with `at_ns` (None: its last row) through the engine, and asks there.

    Raises TapeError for a tape that cannot be read, DataError where it begins after the moment, UsageError for a name
    that it does not know. This brings in the compiled scan.
    """
    from bot.quotes import Quotes
    from monitoring.quote_lines import Origin

    parts, tally = replayed(path, config, name, at_ns)
    quotes = Quotes(config, parts, tally, lambda: Origin(how="tape", where=str(path)))
    return quotes.ask(name, size_usd)


def replayed(
    path: Path, config: Config, name: str, at_ns: int | None, *, health: bool = False
) -> tuple[Assembly, Tally]:
    """A tape replayed as `of_tape` says, watching only; with `health` every token's peg is followed."""
    from bot.assembly import assemble
    from bot.backtest import columns_of
    from bot.journal import Journal
    from bot.quotes import meant
    from bot.sessions import load_sessions
    from connectors.events import Kind, Row, Rows
    from connectors.tape import open_tape
    from monitoring.decisions import Tally

    tape = open_tape(path)
    meant(tape.universe, name)  # a misspelt name is told before the tape is read
    tally = Tally(tape.universe)
    parts = assemble(
        watching(config),
        tape.universe,
        load_sessions(),
        Journal(None),
        executor=None,
        health=health,
        on_step=(tally.fold,),
        levels=tape.depth,
    )
    for rows in tape.blocks(columns_of(tape), None, None if at_ns is None else at_ns + 1):
        parts.engine.advance(rows)
    if not parts.engine.counts.rows:
        raise DataError("no row is that old", where=str(path), hint=f"pegline tape info {path} says when it begins")
    if at_ns is not None and at_ns > parts.engine.now:
        parts.engine.advance(Rows.of([Row(ts_recv=at_ns, instrument=0, kind=Kind.TICK)]))
    return parts, tally


def watching(config: Config) -> Config:
    """The same, but nothing is traded and no state is kept. The tables of what trades stay, switched off: the size that
    they name says what share of a trade its fixed costs are."""
    from bot.config_limits import TRADES

    told = {name: getattr(config.strategies, name) for name in TRADES}
    off = {name: table.model_copy(update={"enabled": False}) for name, table in told.items() if table is not None}
    watch = config.strategies.model_copy(update={**off, "liquidity": None})
    run = config.run.model_copy(update={"record": False})
    http = config.http.model_copy(update={"host": "127.0.0.1", "port": 0})
    return config.model_copy(update={"strategies": watch, "risk": None, "run": run, "http": http})


async def of_feeds(
    config: Config, folder: Path, name: str, size_usd: float | None, *, wait_s: float, warn: Callable[[str], None]
) -> Quote:
    """Hears the live feeds of a config until all that is asked for has spoken, at most `wait_s`, and asks then.

    What only time tells (who disagrees, a basis that is calibrated, how certain each witness is) such a short look does
    not know; what it does not know it says. Raises UsageError where the config has no live feed or not that name,
    ConnectorError where none of them can be heard.
    """
    from bot.clock import monotonic_ns, monotonic_s, sleep, wall_ns
    from bot.daemon import Daemon, Doors
    from bot.facts import facts_of
    from bot.quotes import Quotes, meant
    from bot.sessions import load_sessions
    from bot.steady import SteadyClock
    from bot.universe import universe_of
    from bot.wiring import live_feeds
    from connectors.instruments import Role
    from connectors.vitals import Vitals
    from monitoring.quote_lines import Origin

    config, universe = watching(config), universe_of(config)
    asked = meant(universe, name)
    clock, vitals = SteadyClock(wall_ns, monotonic_ns), dict[str, Vitals]()
    feeds = live_feeds(config, universe, folder, clock=clock, vitals=vitals)
    if not feeds:
        raise UsageError("no venue of this config has a live feed", hint="--tape TAPE answers from a recording")
    doors = Doors(
        feeds=feeds,
        executor=None,
        clock=clock,
        steady=clock,
        monotonic=monotonic_s,
        sleep=sleep,
        vitals=vitals,
        state=None,
    )
    daemon = Daemon(config, universe, load_sessions(), facts_of(config, mode="monitor", file=""), doors, warn=warn)
    shares = [daemon.parts.columns.underlyings[group] for group in asked.groups]
    coins = {universe[at].quote for at in asked.venues}
    needed = [
        at for at, i in enumerate(universe) if i.underlying in shares or (i.role is Role.COIN and i.coin in coins)
    ]
    stop, prints = asyncio.Event(), daemon.parts.columns.prints
    running = asyncio.create_task(daemon.run(stop))
    until = monotonic_s() + wait_s
    try:
        while not running.done() and monotonic_s() < until and not all(prints[at] for at in needed):
            await sleep(_LOOK_S)
        quotes = Quotes(config, daemon.parts, daemon.desk.tally, lambda: Origin(how="feeds"), daemon.feed_states)
        return quotes.ask(name, size_usd)
    finally:
        stop.set()
        await running
