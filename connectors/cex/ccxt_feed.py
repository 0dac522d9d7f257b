"""Order books of any exchange that ccxt.pro speaks to, as rows; what is peculiar about one stands in quirks.py."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.backoff import REFUSED_S, STEADY_S, of_stream
from connectors.cex.instance import build
from connectors.cex.probe import probed
from connectors.cex.quirks import NONE, QUIRKS, Lane
from connectors.cex.rest import Rest, close, translated
from connectors.cex.rounds import Rounds
from connectors.cex.said import Said
from connectors.cex.states import States
from connectors.cex.tap import Tap
from connectors.cex.terms import perp_of, units_per_contract
from connectors.errors import (
    Action,
    BadMessage,
    ConnectorError,
    EntitlementLost,
    RateLimited,
    SymbolUnknown,
    VenueUnreachable,
)
from connectors.events import PRICE_OF, Why
from connectors.instruments import Instrument, Role
from connectors.ports import Feed, FeedSetup, Finding, Option, Sink

LOADS: Final = ("ccxt.pro",)
"""Imported before any feed runs: it takes 6 to 10 s of CPU, and even in a thread it would hold up the loop."""


OPTIONS: Final[Mapping[str, Option]] = {"trades": bool, "funding_s": float, "status_s": float}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of the exchange that `setup` names."""
    return CcxtFeed(setup)


class CcxtFeed:
    """A Feed over one exchange: one ccxt instance for each class of instruments, reconnected for ever.

    `setup.options`: `trades` (false) streams prints too; `funding_s` (60) how often funding is read, 5 where an
    instrument ends in `@mark` or `@oracle`; `status_s` (60) how often clock and trading status are.
    """

    def __init__(self, setup: FeedSetup) -> None:
        """`setup.exchange` is the id in ccxt."""
        self.taps: dict[int, Tap] = {}
        """The newest of each class of instruments, once it runs, by its first number; they hold the counts."""
        self._setup = setup
        self._venue, self._exchange = setup.venue, setup.exchange or setup.venue
        self._quirk = QUIRKS.get(self._exchange, NONE)
        self.rest = Rest(setup, self._quirk)
        """What the venue is asked over REST."""

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    def count(self, name: str) -> int:
        """Sum over the instances of a count of Tap: frames, book_frames, states, emitted, rejected, broken, merged."""
        return sum(int(getattr(tap, name)) for tap in self.taps.values())

    async def probe(self) -> tuple[Finding, ...]:
        """Asks the venue once about everything that it can say. Errors of the world become findings."""
        return await probed(self._setup, self._quirk, self.rest, self._lanes(), self._module)

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams until cancelled. Raises a ConnectorError that says STOP_VENUE when no instance is left."""
        module = await self._module()
        lanes = self._lanes()
        living = set(range(len(lanes)))
        mine = [numbers[i.name] for i in self.instruments]
        said = Said(sink)
        self.rest.tell(sink, mine)
        async with asyncio.TaskGroup() as group:
            ends = [
                group.create_task(self._lane(module, lane, members, sink, said, numbers, at, living))
                for at, (lane, members) in enumerate(lanes)
            ]
        errors = [end.result() for end in ends]
        for error in errors:
            if isinstance(error, EntitlementLost):
                said.take_back(mine)  # whoever runs the feed runs it again, and it asks anew
                raise error
        raise errors[0]

    async def _module(self) -> Any:
        """ccxt.pro. Raises SymbolUnknown where it has no such exchange."""
        # The import takes 6 to 10 s of CPU: in a thread, so that the loop goes on.
        module = await asyncio.to_thread(importlib.import_module, "ccxt.pro")
        if not hasattr(module, self._exchange):
            raise SymbolUnknown(f"ccxt has no exchange {self._exchange!r}", where=self._venue)
        return module

    def _lanes(self) -> list[tuple[Lane, list[Instrument]]]:
        """The instruments of each ccxt instance; a perp's mark and oracle are asked for where the perp is."""
        lanes: list[tuple[Lane, list[Instrument]]] = []
        for instrument in self.instruments:
            lane = self._quirk.lane(Role.PERP if perp_of(instrument.symbol) else instrument.role)
            for known, members in lanes:
                if known == lane:
                    members.append(instrument)
                    break
            else:
                lanes.append((lane, [instrument]))
        return lanes

    async def _lane(
        self,
        module: Any,
        lane: Lane,
        members: Sequence[Instrument],
        sink: Sink,
        said: Said,
        numbers: Mapping[str, int],
        at: int,
        living: set[int],
    ) -> ConnectorError:
        """One ccxt instance after another, while others live: a class that lost its right, or of which nothing is
        listed, is asked for again after REFUSED_S, and heals by itself.

        Where no other lives, its error ends the feed, and whoever runs that begins it anew or tells the operator.
        `living` has the places of the lanes that stream, this one's is `at`.
        """
        mine = [numbers[i.name] for i in members]
        while True:
            error = await self._instance(module, lane, members, sink, said, numbers)
            living.discard(at)
            sink.against(mine, Why.NOT_HEARD)
            if not isinstance(error, (EntitlementLost, SymbolUnknown)) or not living:
                return error
            await self._setup.sleep(REFUSED_S)
            living.add(at)
            sink.cleared(mine, Why.ENTITLEMENT)
            said.take_back(mine)

    async def _instance(
        self,
        module: Any,
        lane: Lane,
        members: Sequence[Instrument],
        sink: Sink,
        said: Said,
        numbers: Mapping[str, int],
    ) -> ConnectorError:
        """The lives of one ccxt instance, until an error that does not say RETRY: then that; the others live on."""
        setup = self._setup
        targets = {i.symbol: (numbers[i.name], PRICE_OF[i.role]) for i in members if not perp_of(i.symbol)}
        states = States(
            sink,
            setup.monotonic,
            depth_every_s=setup.depth_every_s,
            depth_levels=setup.depth_levels,
            in_order=self._quirk.self_healing,
        )
        tap = Tap(self._venue, self._quirk, lane, sink, targets, states)
        self.taps[numbers[members[0].name]] = tap
        known = tuple(dict.fromkeys(perp_of(i.symbol) or i.symbol for i in members))
        exchange = build(
            self.rest.patient(tap.watch(getattr(module, self._exchange))), lane, self._quirk, known, setup.url,
            setup.key() if lane.needs_key else {},
        )  # fmt: skip
        rounds = Rounds(setup, self._quirk, lane, self.rest, module, exchange, tap, sink, said, members, numbers)
        try:
            # One group: a fault of whoever compares the books ends the feed, and no book is believed unwatched.
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(rounds.run())
                error = await self._lives(module, exchange, lane, tap, sink, said, tuple(targets))
                asked.cancel()
            return error
        finally:
            await close(exchange)

    async def _lives(
        self, module: Any, exchange: Any, lane: Lane, tap: Tap, sink: Sink, said: Said, symbols: tuple[str, ...]
    ) -> ConnectorError:
        """One life after another, with a rest between them that grows. A fault of ours under ccxt's hands is raised."""
        backoff, vitals = of_stream(self._setup.rng), self._setup.vitals
        everything = [number for number, _ in tap.targets.values()]
        while True:
            await self.rest.wait()
            started = asyncio.get_running_loop().time()
            tap.begin()
            try:
                await self._life(module, exchange, lane, tap, sink, said, symbols)
                sink.reject(self._venue, tap.why, tap.detail)
                if tap.error is not None and _says_why(translated(module, tap.error, self._venue)):
                    raise translated(module, tap.error, self._venue)
            except ConnectorError as error:
                tap.end("failed")
                sink.reject(self._venue, error.word, str(error))
                if isinstance(error, RateLimited):
                    self.rest.limit(True)
                if error.action is not Action.RETRY:
                    if isinstance(error, EntitlementLost):
                        sink.against(everything, Why.ENTITLEMENT)
                    return error
            finally:
                tap.silent()
                await exchange.close_ws_clients()
                exchange.orderbooks.clear()
                # ccxt keeps a back-off of its own per address; ours is the one that counts.
                exchange.ws_dial_backoff = {}
            if tap.fault is not None:
                raise tap.fault
            if asyncio.get_running_loop().time() - started > STEADY_S:
                backoff.reset()
            await self._setup.sleep(backoff.next_s())
            vitals.reconnects += 1

    async def _life(
        self, module: Any, exchange: Any, lane: Lane, tap: Tap, sink: Sink, said: Said, symbols: tuple[str, ...]
    ) -> None:
        """Markets, subscriptions, a first message in time, then until the tap says that it is over."""
        if lane.needs_key and not exchange.apiKey:
            hint = "key_file of the venue in the config"
            raise EntitlementLost("the venue shows this only to who has a key", where=self._venue, hint=hint)
        if not exchange.markets:
            await self.rest.call(module, lambda: exchange.load_markets(True, dict(lane.params)))
        tap.listed.set()
        known = [symbol for symbol in symbols if symbol in exchange.markets]
        for symbol in symbols:
            said.stand([tap.targets[symbol][0]], Why.NOT_LISTED, symbol not in known)
            if symbol not in known:
                sink.reject(self._venue, "symbol_unknown", symbol)
        if not known and symbols:
            raise SymbolUnknown(f"none of {', '.join(symbols)} is listed", where=self._venue)
        tap.kept.units = {symbol: units_per_contract(exchange.markets[symbol]) for symbol in known}
        asks = {asyncio.ensure_future(ask): symbol for ask, symbol in self._asks(exchange, lane, known)}
        heard = asyncio.gather(*asks, return_exceptions=True)
        over = asyncio.ensure_future(tap.ended.wait())
        either: set[asyncio.Future[Any]] = {heard, over}
        try:
            await asyncio.wait(
                either if asks else {over}, timeout=self._setup.first_message_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not tap.ended.is_set():
                self._judge_start(module, asks, sink, patient=lane.starts_with_a_change and tap.answered)
                self.rest.limit(False)
            await self._until_over(tap)
        finally:
            over.cancel()
            heard.cancel()
            await asyncio.gather(heard, over, return_exceptions=True)

    def _asks(self, exchange: Any, lane: Lane, symbols: Sequence[str]) -> list[tuple[Any, str]]:
        """What to watch: books, or best bid and ask where a class has no book; prints where they are wanted."""
        if lane.quotes:
            watch = getattr(exchange, lane.quotes)
            return [(watch([symbol], dict(lane.watch)), symbol) for symbol in symbols]
        asks = [(exchange.watch_order_book(symbol, self._quirk.depth, dict(lane.watch)), symbol) for symbol in symbols]
        if self._setup.options.get("trades"):
            for symbol in symbols:
                # Subscribes; the prints themselves are seen by the tap, and a quiet market has none for hours.
                asyncio.ensure_future(exchange.watch_trades(symbol)).add_done_callback(_heeded)
        return asks

    def _judge_start(self, module: Any, asks: Mapping[asyncio.Future[Any], str], sink: Sink, *, patient: bool) -> None:
        """Counts the subscriptions that brought no book in time. Raises the first refusal, or that none did."""
        for ask in asks:
            refusal = ask.exception() if ask.done() and not ask.cancelled() else None
            if refusal is not None:
                raise translated(module, refusal, self._venue) from refusal
        late = [symbol for ask, symbol in asks.items() if not ask.done()]
        if asks and len(late) == len(asks) and not patient:
            raise VenueUnreachable("no book in time after subscribing", where=self._venue)
        for symbol in late:
            sink.reject(self._venue, "no_first_message", symbol)

    async def _until_over(self, tap: Tap) -> None:
        """Waits for the end of a life: closed, broken, or nothing heard on some connection for too long."""
        tap.quiet()
        while not tap.ended.is_set():
            try:
                async with asyncio.timeout(self._quirk.idle_s):
                    await tap.ended.wait()
            except TimeoutError:
                if tap.quiet():
                    tap.end("idle", "nothing was heard on a connection")


def _says_why(error: ConnectorError) -> bool:
    """Whether a refusal is more than a book that must be begun anew."""
    return not isinstance(error, (VenueUnreachable, BadMessage))


def _heeded(done: asyncio.Future[Any]) -> None:
    """Takes note of how a subscription ended; the tap knows more."""
    if not done.cancelled():
        done.exception()
