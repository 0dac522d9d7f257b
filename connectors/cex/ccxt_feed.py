"""Order books of any exchange that ccxt.pro speaks to, as rows; what is peculiar about one stands in quirks.py."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.backoff import STEADY_S, Backoff
from connectors.cex.quirks import NONE, QUIRKS, Lane, Quirk
from connectors.cex.tap import Tap
from connectors.errors import Action, ConnectorError, EntitlementLost, RateLimited, SymbolUnknown, VenueUnreachable
from connectors.events import Kind
from connectors.instruments import Instrument, Role
from connectors.ports import Feed, FeedSetup, Sink

KINDS: Final[Mapping[Role, Kind]] = {
    Role.TOKEN: Kind.QUOTE,
    Role.PERP: Kind.QUOTE,
    Role.SHARE: Kind.REFERENCE,
    Role.COIN: Kind.FX,
}
"""What a book of an instrument is called."""

MARKETS_S: Final = 30.0
"""Time for the list of markets; the longest takes a few seconds."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of the exchange that `setup` names."""
    return CcxtFeed(setup)


class CcxtFeed:
    """A Feed over one exchange: one ccxt instance for each class of instruments, reconnected for ever."""

    def __init__(self, setup: FeedSetup) -> None:
        """`setup.exchange` is the id in ccxt."""
        self.taps: list[Tap] = []
        """One for each ccxt instance, once it runs; they hold the counts."""
        self._venue, self._exchange = setup.venue, setup.exchange or setup.venue
        self._instruments = setup.instruments
        self._rng, self._sleep = setup.rng, setup.sleep
        self._url, self._first_message_s = setup.url, setup.first_message_s
        self._quirk = QUIRKS.get(self._exchange, NONE)

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._instruments

    def count(self, name: str) -> int:
        """Sum over the instances of a count of Tap: frames, book_frames, states, emitted, rejected, broken, merged."""
        return sum(int(getattr(tap, name)) for tap in self.taps)

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams until cancelled. Raises a ConnectorError that says STOP_VENUE when no instance is left."""
        # The import takes 6 to 10 s of CPU: in a thread, so that the loop goes on.
        module = await asyncio.to_thread(importlib.import_module, "ccxt.pro")
        if not hasattr(module, self._exchange):
            raise SymbolUnknown(f"ccxt has no exchange {self._exchange!r}", where=self._venue)
        lanes: list[tuple[Lane, list[Instrument]]] = []
        for instrument in self._instruments:
            lane = self._quirk.lane(instrument.role)
            for known, members in lanes:
                if known == lane:
                    members.append(instrument)
                    break
            else:
                lanes.append((lane, [instrument]))
        runs = []
        for lane, members in lanes:
            targets = {i.symbol: (numbers[i.name], KINDS[i.role]) for i in members}
            tap = Tap(self._venue, self._quirk, sink, targets)
            self.taps.append(tap)
            runs.append(self._instance(module, lane, tap, sink, targets))
        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(run) for run in runs]
        raise ends[0].result()

    async def _instance(
        self, module: Any, lane: Lane, tap: Tap, sink: Sink, targets: Mapping[str, tuple[int, Kind]]
    ) -> ConnectorError:
        """The lives of one ccxt instance, until an error that does not say RETRY: then that; the others live on."""
        backoff = Backoff(self._rng)
        exchange = build(tap.watch(getattr(module, self._exchange)), lane, self._quirk, tuple(targets), self._url)
        try:
            while True:
                started = asyncio.get_running_loop().time()
                tap.begin()
                try:
                    await self._life(module, exchange, lane, tap, sink, tuple(targets))
                    sink.reject(self._venue, tap.why, "the connection ended")
                except ConnectorError as error:
                    tap.end("failed")
                    word = "entitlement_lost" if isinstance(error, EntitlementLost) else "disconnected"
                    sink.reject(self._venue, "symbol_unknown" if isinstance(error, SymbolUnknown) else word, str(error))
                    if error.action is not Action.RETRY:
                        return error
                    if isinstance(error, RateLimited) and error.retry_after_s:
                        await self._sleep(error.retry_after_s)
                finally:
                    tap.silent()
                    await exchange.close_ws_clients()
                    exchange.orderbooks.clear()
                    # ccxt keeps a back-off of its own per address; ours is the one that counts.
                    exchange.ws_dial_backoff = {}
                if asyncio.get_running_loop().time() - started > STEADY_S:
                    backoff.reset()
                await self._sleep(backoff.next_s())
        finally:
            await exchange.close()

    async def _life(
        self, module: Any, exchange: Any, lane: Lane, tap: Tap, sink: Sink, symbols: tuple[str, ...]
    ) -> None:
        """Markets, subscriptions, a first message in time, then until the tap says that it is over."""
        try:
            if not exchange.markets:
                async with asyncio.timeout(MARKETS_S):
                    await exchange.load_markets(True, dict(lane.params))
        except TimeoutError as error:
            raise VenueUnreachable("no list of markets in time", where=self._venue) from error
        except Exception as error:
            raise translated(module, error, self._venue) from error
        known = [symbol for symbol in symbols if symbol in exchange.markets]
        for symbol in symbols:
            if symbol not in known:
                sink.reject(self._venue, "symbol_unknown", symbol)
        if not known:
            raise SymbolUnknown(f"none of {', '.join(symbols)} is listed", where=self._venue)
        asks = {asyncio.ensure_future(exchange.watch_order_book(symbol, self._quirk.depth)): symbol for symbol in known}
        heard = asyncio.gather(*asks, return_exceptions=True)
        over = asyncio.ensure_future(tap.ended.wait())
        either: set[asyncio.Future[Any]] = {heard, over}
        try:
            await asyncio.wait(either, timeout=self._first_message_s, return_when=asyncio.FIRST_COMPLETED)
            if not tap.ended.is_set():
                self._judge_start(module, asks, sink)
            await self._until_over(tap)
        finally:
            over.cancel()
            heard.cancel()
            await asyncio.gather(heard, over, return_exceptions=True)

    def _judge_start(self, module: Any, asks: Mapping[asyncio.Future[Any], str], sink: Sink) -> None:
        """Counts the subscriptions that were not answered in time. Raises the first refusal, or that none was."""
        for ask in asks:
            refusal = ask.exception() if ask.done() else None
            if refusal is not None:
                raise translated(module, refusal, self._venue) from refusal
        late = [symbol for ask, symbol in asks.items() if not ask.done()]
        if len(late) == len(asks):
            raise VenueUnreachable("no book in time after subscribing", where=self._venue)
        for symbol in late:
            sink.reject(self._venue, "no_first_message", symbol)

    async def _until_over(self, tap: Tap) -> None:
        """Waits for the end of a life: closed, broken, or nothing heard for too long."""
        while not tap.ended.is_set():
            before = tap.frames
            try:
                async with asyncio.timeout(self._quirk.idle_s):
                    await tap.ended.wait()
            except TimeoutError:
                if tap.frames == before:
                    tap.end("idle")


def build(
    exchange: Callable[[dict[str, Any]], Any], lane: Lane, quirk: Quirk, symbols: tuple[str, ...], url: str
) -> Any:
    """A ccxt instance of a lane, without keys, its addresses replaced where `url` is given."""
    config: dict[str, Any] = {"options": dict(lane.options), "timeout_on_exit": 0}
    if quirk.ping_s is not None:
        config["streaming"] = {"keepAlive": int(quirk.ping_s * 1000)}
    if quirk.keep_case:
        bases = {symbol.partition("/")[0] for symbol in symbols}
        mixed = {base for base in bases if base != base.upper()}
        config["commonCurrencies"] = {name: base for base in mixed for name in (base, base.upper())}
    instance = exchange(config)
    if url:
        instance.urls["api"] = redirected(instance.urls["api"], url)
    return instance


def redirected(urls: Any, base: str) -> Any:
    """The same tree of addresses with the scheme and host of `base`: http(s) stays http, ws(s) becomes ws."""
    if isinstance(urls, dict):
        return {name: redirected(value, base) for name, value in urls.items()}
    if isinstance(urls, list):
        return [redirected(value, base) for value in urls]
    if not isinstance(urls, str):
        return urls
    socket = re.sub(r"^http", "ws", base.rstrip("/"))
    return re.sub(r"^wss?://[^/]+", socket, re.sub(r"^https?://[^/]+", base.rstrip("/"), urls))


def translated(module: Any, error: BaseException, venue: str) -> ConnectorError:
    """An error of ccxt as one of ours, with what to do about it; its text without addresses that might hold keys."""
    words = f"{type(error).__name__}: {str(error)[:200]}"
    if isinstance(error, (module.BadSymbol,)):
        return SymbolUnknown(words, where=venue)
    if isinstance(error, (module.AuthenticationError, module.PermissionDenied)):
        return EntitlementLost(words, where=venue)
    if isinstance(error, (module.DDoSProtection, module.RateLimitExceeded)):
        return RateLimited(words, where=venue)
    return VenueUnreachable(words, where=venue)
