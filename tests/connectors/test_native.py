"""The native lanes of Kraken and Bybit over real sockets, beside ccxt's lane and beside ccxt.pro used plainly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Any

import pytest

from connectors.cex import bybit, kraken
from connectors.cex.ccxt_feed import CcxtFeed
from connectors.cex.instance import redirected
from connectors.cex.native import NativeFeed
from connectors.cex.quirks import QUIRKS
from connectors.errors import SymbolUnknown
from connectors.events import Health, Kind, Row, Why
from connectors.instruments import Instrument, Role
from connectors.ports import Feed
from tests.servers.bybit import BybitServer
from tests.servers.heard import Heard, setup_for
from tests.servers.kraken import KrakenServer
from tests.servers.venue import PATIENCE_S, VenueServer

TSLA = Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
AAPL = Instrument(venue="kraken", symbol="AAPLx/USD", role=Role.TOKEN, token="AAPLx", underlying="AAPL")
USDT = Instrument(venue="kraken", symbol="USDT/USD", role=Role.COIN, coin="USDT")
SPOT = Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", underlying="TSLA", quote="USDT")
PERP = Instrument(venue="bybit", symbol="TSLA/USDT:USDT", role=Role.PERP, underlying="TSLA", quote="USDT")

BIDS, ASKS = [("400.10", "3"), ("400.00", "9")], [("400.30", "2"), ("400.40", "5")]


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so that it is done before anybody waits."""
    import ccxt.pro

    return ccxt.pro


@asynccontextmanager
async def running(feed: Feed, heard: Heard) -> AsyncIterator[Any]:
    """A feed, its instruments numbered in their order."""
    task = asyncio.create_task(feed.run(heard, {i.name: at for at, i in enumerate(feed.instruments)}))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def native(server: VenueServer, *instruments: Instrument, **more: Any) -> NativeFeed:
    """The production lane of the instruments' venue; nothing is compared where a test does not say so."""
    module = kraken if instruments[0].venue == "kraken" else bybit
    made = module.feed(setup_for(server, *instruments, **{"compare_s": float("inf"), **more}))
    assert isinstance(made, NativeFeed)
    return made


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints how long something took; nothing is asserted about it."""
    begun = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begun:.3f} s")


def tops(rows: list[Row]) -> list[tuple[float, float, float, float]]:
    """Best prices and sizes of rows; a state that was said again counts once."""
    said = [(row.bid, row.ask, row.bid_size, row.ask_size) for row in rows if row.kind is not Kind.DEPTH]
    return [top for at, top in enumerate(said) if not at or said[at - 1] != top]


def changes(rng: Random, mid: int = 400) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A few levels near the price that come, change and go; bids below it, asks above."""
    found: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for _ in range(rng.randint(1, 3)):
        side = rng.randint(0, 1)
        ticks = min(29, int(rng.expovariate(0.2)))
        price = mid - 1 - ticks / 10 if side == 0 else mid + 1 + ticks / 10
        found[side].append((f"{price:.2f}", rng.choice(("0", "0", "1.5", "2.25", "0.001", "7"))))
    return found


def known(levels: list[tuple[str, str]], there: set[str]) -> list[tuple[str, str]]:
    """Without the removal of what is not there, which no venue says; `there` is kept up to date."""
    kept = []
    for price, size in levels:
        if size == "0" and (price not in there or len(there) == 1):
            continue
        (there.discard if size == "0" else there.add)(price)
        kept.append((price, size))
    return kept


class Script:
    """The same drawn changes for a Kraken and for a Bybit."""

    def __init__(self, server: Any, symbol: str, seed: int) -> None:
        self.server, self.symbol, self.rng = server, symbol, Random(seed)
        self.there: tuple[set[str], set[str]] = ({"399.00"}, {"401.00"})
        self.change: Callable[..., Any] = server.book if isinstance(server, KrakenServer) else server.delta

    async def begin(self) -> None:
        """A book of one level a side."""
        await self.server.book(self.symbol, bids=[("399.00", "1")], asks=[("401.00", "1")])

    async def play(self, steps: int) -> None:
        """So many changes."""
        for _ in range(steps):
            bids, asks = changes(self.rng)
            await self.change(self.symbol, bids=known(bids, self.there[0]), asks=known(asks, self.there[1]))


VENUES = [(KrakenServer, TSLA, "TSLAx/USD", 10), (BybitServer, SPOT, "TSLAXUSDT", 50)]


@pytest.mark.parametrize(("make", "instrument", "symbol", "depth"), VENUES, ids=["kraken", "bybit"])
async def test_both_lanes_make_the_same_rows_of_the_same_frames(
    pro: Any, make: Any, instrument: Instrument, symbol: str, depth: int
) -> None:
    """Side by side on one server: best prices and sizes of the native lane and of ccxt's, state by state."""
    ours, theirs = Heard(), Heard()
    async with make() as server:
        script = Script(server, symbol, 5)
        await script.begin()
        await script.play(20)
        other = CcxtFeed(setup_for(server, instrument, compare_s=float("inf"), options={"status_s": float("inf")}))
        quirk_depth = QUIRKS[instrument.venue].depth
        lane = native(server, instrument, options={"depth": quirk_depth or depth})
        async with running(lane, ours), running(other, theirs):
            await ours.until(lambda: bool(ours.quotes(0)))
            await theirs.until(lambda: bool(theirs.quotes(0)))
            await script.play(300)
            await server.settled()
            last = tops(ours.quotes(0))[-1]
            await theirs.until(lambda: tops(theirs.quotes(0))[-1] == last)
    assert tops(ours.quotes(0)) == tops(theirs.quotes(0))
    assert len(tops(ours.quotes(0))) > 100
    assert not ours.rejected


@pytest.mark.parametrize(("make", "instrument", "symbol", "depth"), VENUES, ids=["kraken", "bybit"])
async def test_the_same_script_gives_ccxt_itself_the_same_book(
    pro: Any, make: Any, instrument: Instrument, symbol: str, depth: int
) -> None:
    """After 300 changes with levels that fall out of the depth, plain ccxt.pro has every level that we have."""
    heard = Heard()
    case = {"kraken": {"TSLAX": "TSLAx", "TSLAx": "TSLAx"}}.get(instrument.venue, {})
    exchange = getattr(pro, instrument.venue)({"timeout_on_exit": 0, "commonCurrencies": case})
    exchange.options["fetchMarkets"] = {**exchange.options.get("fetchMarkets", {}), "types": ["spot"]}
    async with make() as server:
        exchange.urls["api"] = redirected(exchange.urls["api"], server.url)
        script = Script(server, symbol, 11)
        await script.begin()
        await script.play(60)
        try:
            await exchange.load_markets(True, {"aclass_base": "tokenized_asset"})
            book = await exchange.watch_order_book(instrument.symbol, depth)
            async with running(native(server, instrument, options={"depth": depth}), heard) as feed:
                await heard.until(lambda: bool(heard.quotes(0)))
                await script.play(300)
                await script.change(symbol, bids=[("399.95", "42")], asks=[("400.05", "43")])
                await heard.until(lambda: heard.quotes(0)[-1].ask_size == 43)
                async with asyncio.timeout(PATIENCE_S):
                    while book["asks"][0][1] != 43:
                        book = await exchange.watch_order_book(instrument.symbol, depth)
                ladder = feed.listeners[0].streams[0].book
                levels = [[list(level) for level in side.levels] for side in (ladder.bids, ladder.asks)]
            with pytest.raises(pro.BadSymbol):
                await exchange.watch_order_book("NOPE/USD")
        finally:
            await exchange.close()
        with pytest.raises(SymbolUnknown):
            nothing = Instrument(venue=instrument.venue, symbol="NOPE/USD", role=Role.COIN, coin="NOPE")
            await native(server, nothing).run(Heard(), {nothing.name: 0})
    theirs = [[[float(price), float(size)] for price, size, *_ in book[side][:depth]] for side in ("bids", "asks")]
    assert theirs == levels
    assert 10 <= len(levels[0])


async def test_a_coin_is_an_fx_row_and_a_share_a_quote() -> None:
    """USDT/USD comes as FX with the venue's time, TSLAx/USD as QUOTE."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=BIDS, asks=ASKS, time="2026-08-14T15:00:00.500001Z")
        await server.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        async with running(native(server, TSLA, USDT), heard):
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
    token, coin = heard.quotes(0)[0], heard.quotes(1)[0]
    assert (Kind.QUOTE, 400.1, 400.3, 3.0, 2.0) == (token.kind, token.bid, token.ask, token.bid_size, token.ask_size)
    assert 1_786_719_600_500_001_000 == token.ts_venue
    assert (Kind.FX, 0.9998, 0.9999) == (coin.kind, coin.bid, coin.ask)


async def test_every_frame_of_a_burst_is_a_row() -> None:
    """2,000 updates without a pause are 2,000 rows in their order."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=BIDS, asks=ASKS)
        async with running(native(server, TSLA), heard):
            await heard.until(lambda: bool(heard.quotes(0)))
            for size in range(10, 2_010):
                await server.book("TSLAx/USD", bids=[("400.10", str(size))])
            await heard.until(lambda: len(heard.quotes(0)) == 2_001)
    assert [float(size) for size in range(10, 2_010)] == [row.bid_size for row in heard.quotes(0)[1:]]


async def test_fault_3_a_stream_that_repeats_old_data_is_found_and_begun_anew() -> None:
    """
    3. Old data in new envelopes: numbers, times and checksums are right, only the venue's own snapshot differs. The
    instrument is degraded, the connection made anew, and it is well again when a comparison says so.
    """
    for server, instrument, symbol, depth in (
        (KrakenServer(), TSLA, "TSLAx/USD", 10),
        (BybitServer(), SPOT, "TSLAXUSDT", 50),
    ):
        heard = Heard()
        async with server:
            assert isinstance(server, (KrakenServer, BybitServer))
            await server.book(symbol, bids=BIDS, asks=ASKS)
            async with running(native(server, instrument, compare_s=0.2, options={"depth": depth}), heard):
                await heard.until(lambda h=heard: bool(h.quotes(0)))  # type: ignore[misc]
                server.frozen = True
                await server.book(symbol, bids=[("300.10", "1")], asks=[("300.30", "1")])
                with timed(f"fault 3 {instrument.venue} detected"):
                    await heard.until(lambda h=heard: Why.DISAGREES in h.why(0))  # type: ignore[misc]
                server.frozen = False
                change = server.book if isinstance(server, KrakenServer) else server.delta
                gone = [(price, "0") for price, _ in BIDS], [(price, "0") for price, _ in ASKS]
                await change(symbol, bids=[*gone[0], ("410.10", "1")], asks=[*gone[1], ("410.30", "1")])
                await change(symbol, bids=[("300.10", "0")], asks=[("300.30", "0")])
                with timed(f"fault 3 {instrument.venue} recovered"):
                    await heard.until(lambda h=heard: h.health(0)[-1] is Health.UP)  # type: ignore[misc]
                    await heard.until(lambda h=heard: h.quotes(0)[-1].bid == 410.1)  # type: ignore[misc]
            assert server.connections >= 2
        assert heard.rejected[instrument.venue, "book_disagrees"] >= 1


async def test_a_book_that_agrees_is_left_alone() -> None:
    """While a stream moves and is compared again and again, nothing is said against it."""
    heard = Heard()
    async with BybitServer() as server:
        script = Script(server, "TSLAXUSDT", 3)
        await script.begin()
        async with running(native(server, SPOT, compare_s=0.05, options={"depth": 50}), heard) as feed:
            await heard.until(lambda: bool(heard.quotes(0)))
            asked = lambda: sum(path.endswith("/orderbook") for path, _ in server.asked)  # noqa: E731
            while asked() < 6:
                await script.play(5)
                await asyncio.sleep(0)
            assert feed.count("lives") == 1
    assert [Health.UP] == heard.health(0)
    assert not heard.rejected


async def test_fault_5_a_wrong_checksum_means_a_new_snapshot_on_the_same_connection() -> None:
    """
    5. The book is not used from the wrong checksum on until the snapshot; the neighbour goes on; a checksum that
    stays wrong makes the connection anew.
    """
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=BIDS, asks=ASKS)
        await server.book("AAPLx/USD", bids=BIDS, asks=ASKS)
        async with running(native(server, TSLA, AAPL), heard):
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
            before = len(heard.quotes(0))
            with timed("fault 5 detected and recovered"):
                server.corrupt_checksum = True
                await server.book("TSLAx/USD", bids=[("400.20", "1")])
                server.corrupt_checksum = False
                await heard.until(lambda: len(heard.quotes(0)) > before)
            assert (1, 1) == (server.connections, heard.rejected["kraken", "checksum"])
            assert [Health.UP, Health.DOWN, Health.UP] == heard.health(0)
            assert [Health.UP] == heard.health(1)
            assert [400.1, 400.2] == [row.bid for row in heard.quotes(0)]
            server.corrupt_checksum = True
            await server.book("TSLAx/USD", bids=[("400.20", "2")])
            await server.until(lambda: server.connections >= 2)
            server.corrupt_checksum = False
            await heard.until(lambda: heard.health(0)[-1] is Health.UP)
    assert heard.rejected["kraken", "bad_message"] >= 1


async def test_a_halt_and_the_venues_works_close_what_they_are_about() -> None:
    """A pair's status closes that pair, the venue's state all; each comes back by itself, and books go on meanwhile."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=BIDS, asks=ASKS)
        await server.book("AAPLx/USD", bids=BIDS, asks=ASKS)
        async with running(native(server, TSLA, AAPL), heard):
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
            for status in ("cancel_only", "online"):
                await server.trading("TSLAx/USD", status)
            for state in ("maintenance", "online"):
                await server.state(state)
            await heard.until(lambda: len(heard.health(0)) == 5)
            await server.book("TSLAx/USD", bids=[("400.20", "1")])
            await heard.until(lambda: len(heard.quotes(0)) == 2)
    assert [Why.NOTHING, Why.HALTED, Why.NOTHING, Why.MAINTENANCE, Why.NOTHING] == heard.why(0)
    assert [Why.NOTHING, Why.MAINTENANCE, Why.NOTHING] == heard.why(1)


async def test_bybits_statuses_come_from_its_lists() -> None:
    """An instrument that is not Trading is halted, works at the venue close all; spot and perpetual have own lines."""
    heard = Heard()
    async with BybitServer() as server:
        server.status["TSLAXUSDT"] = "PreLaunch"
        await server.book("TSLAXUSDT", bids=BIDS, asks=ASKS)
        await server.book("TSLAUSDT", bids=[("401", "3")], asks=[("402", "2")])
        async with running(native(server, SPOT, PERP, compare_s=0.1), heard) as feed:
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
            await heard.until(lambda: Why.HALTED in heard.why(0))
            server.status.clear()
            await heard.until(lambda: heard.health(0)[-1] is Health.UP)
            server.maintenance = True
            await heard.until(lambda: heard.why(0)[-1] is heard.why(1)[-1] is Why.MAINTENANCE)
            server.maintenance = False
            await heard.until(lambda: heard.health(0)[-1] is heard.health(1)[-1] is Health.UP)
            assert 2 == feed.count("lives") == server.connections
    assert (401.0, 402.0) == (heard.quotes(1)[0].bid, heard.quotes(1)[0].ask)


async def test_depth_comes_when_it_is_due_and_only_if_it_changed() -> None:
    """The first levels come at once, what changes meanwhile as one row when the time is up, the unchanged never."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=BIDS, asks=ASKS)
        async with running(native(server, TSLA, depth_every_s=0.2, depth_levels=2), heard):
            await heard.until(lambda: len(heard.levels) == 1)
            for size in range(1, 50):
                await server.book("TSLAx/USD", asks=[("400.40", str(size))])
            await heard.until(lambda: len(heard.levels) == 2)
            await server.book("TSLAx/USD", bids=[("399.00", "8")])
            await heard.until(lambda: len(heard.quotes(0)) - len(heard.levels) == 51)
            await asyncio.sleep(0.3)
    assert ([(400.1, 3.0), (400.0, 9.0)], [(400.3, 2.0), (400.4, 5.0)]) == heard.levels[0]
    assert ([(400.1, 3.0), (400.0, 9.0)], [(400.3, 2.0), (400.4, 49.0)]) == heard.levels[-1]
    assert len(heard.levels) <= 4


@pytest.mark.parametrize("make", [KrakenServer, BybitServer])
async def test_a_venues_clock_is_measured(make: Any) -> None:
    """A venue whose clock is 5 s ahead of ours is known to be, within the error that is told."""
    heard = Heard()
    async with make(clock=lambda: time.time_ns() + 5_000_000_000) as server:
        instrument, symbol = (TSLA, "TSLAx/USD") if make is KrakenServer else (SPOT, "TSLAXUSDT")
        await server.book(symbol, bids=BIDS, asks=ASKS)
        async with running(native(server, instrument), heard):
            await heard.until(lambda: instrument.venue in heard.offsets)
    offset_s, error_s = heard.offsets[instrument.venue]
    assert abs(offset_s - 5.0) <= error_s + 0.001


async def test_a_probe_says_what_the_venue_says() -> None:
    """State, clock, latency, symbols found and missing, statuses, fees against the config, the rate budget."""
    wrong = Instrument(venue="kraken", symbol="TSLAX/USD", role=Role.TOKEN)
    async with KrakenServer() as server:
        server.pairs["TSLAx/USD"].status = "post_only"
        found = await native(server, TSLA, wrong, taker_fee_bps=26.0).probe()
        said = {(f.what, f.subject): f for f in found}
        assert said["status", ""].ok and said["clock", ""].ok and said["latency", ""].ok and said["rate_budget", ""].ok
        assert said["symbol", "TSLAx/USD"].ok and not said["symbol", "TSLAX/USD"].ok
        assert (False, "post_only") == (said["status", "TSLAx/USD"].ok, said["status", "TSLAx/USD"].detail)
        assert (False, 40.0, "bps") == (
            said["fees", "TSLAx/USD"].ok, said["fees", "TSLAx/USD"].value, said["fees", "TSLAx/USD"].unit
        )  # fmt: skip
        server.refuse = (403, {})
        assert [("reachable", False)] == [(f.what, f.ok) for f in await native(server, TSLA).probe()]
    nothing = Instrument(venue="bybit", symbol="NOPE/USDT", role=Role.TOKEN)
    async with BybitServer() as venue:
        said = {(f.what, f.subject): f for f in await native(venue, SPOT, PERP, nothing).probe()}
        assert said["symbol", SPOT.symbol].ok and said["symbol", PERP.symbol].ok and said["clock", ""].ok
        assert (False, None) == (said["symbol", nothing.symbol].ok, said["fees", ""].ok)


async def test_a_restart_of_bybits_service_is_a_new_book() -> None:
    """Numbers that begin again at 1 with a whole book are followed without a new connection."""
    heard = Heard()
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=BIDS, asks=ASKS)
        await server.delta("TSLAXUSDT", bids=[("400.15", "1")])
        async with running(native(server, SPOT, options={"depth": 50}), heard):
            await heard.until(lambda: bool(heard.quotes(0)))
            await server.restart("TSLAXUSDT")
            await server.delta("TSLAXUSDT", bids=[("400.20", "1")])
            await heard.until(lambda: heard.quotes(0)[-1].bid == 400.2)
            assert 1 == server.connections
    assert not heard.rejected


async def test_a_book_that_never_comes_is_asked_for_again() -> None:
    """A subscription that is not answered is counted and repeated, while its neighbour is heard."""
    heard = Heard()
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=BIDS, asks=ASKS)
        other = Instrument(venue="bybit", symbol="NVDAX/USDT", role=Role.TOKEN)
        async with running(native(server, SPOT, other, first_message_s=0.1, options={"depth": 50}), heard):
            await heard.until(lambda: heard.rejected["bybit", "no_first_message"] >= 1)
            await server.book("NVDAXUSDT", bids=BIDS, asks=ASKS)
            await heard.until(lambda: bool(heard.quotes(1)))
            assert 1 == server.connections


class Broken:
    """A REST side with a fault that nobody foresaw."""

    async def now(self, session: Any) -> int:
        """The fault."""
        raise RuntimeError("a fault")


async def test_a_book_is_not_believed_when_nobody_can_compare_it() -> None:
    """
    Whoever compares the books falls over a fault of its own: the feed ends with it, instead of going on unwatched.
    """
    async with KrakenServer() as server:
        feed = NativeFeed(setup_for(server, TSLA), Broken(), kraken.wires, 10)  # type: ignore[arg-type]
        with pytest.raises(ExceptionGroup):
            async with asyncio.timeout(10):
                await feed.run(Heard(), {TSLA.name: 0})
