"""The ccxt feed against a local Kraken and a local Bybit over real sockets, beside ccxt.pro used plainly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.cex.book import read_book, venue_time
from connectors.cex.ccxt_feed import CcxtFeed
from connectors.cex.instance import build, redirected
from connectors.cex.quirks import PLAIN, QUIRKS
from connectors.errors import SymbolUnknown
from connectors.events import NAN, Health, Kind
from connectors.instruments import Instrument, Role
from tests.servers.bybit import BybitServer
from tests.servers.heard import Heard, no_wait, setup_for
from tests.servers.kraken import KrakenServer
from tests.servers.venue import PATIENCE_S, VenueServer

TSLA = Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
USDT = Instrument(venue="kraken", symbol="USDT/USD", role=Role.COIN, coin="USDT")
BYBIT = Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", underlying="TSLA", quote="USDT")
NUMBERS = {TSLA.name: 0, USDT.name: 1, BYBIT.name: 2}
TOPIC = "orderbook.1.TSLAXUSDT"


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


@asynccontextmanager
async def feeding(
    server: VenueServer,
    heard: Heard,
    *instruments: Instrument,
    first_message_s: float = 15.0,
    sleep: Callable[[float], Awaitable[None]] = no_wait,
) -> AsyncIterator[CcxtFeed]:
    """The production feed, running against a local venue."""
    feed = CcxtFeed(setup_for(server, *instruments, first_message_s=first_message_s, sleep=sleep))
    task = asyncio.create_task(feed.run(heard, NUMBERS))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def plain(pro: Any, name: str, server: VenueServer, **config: Any) -> AsyncIterator[Any]:
    """A client that we did not write: ccxt.pro as its manual has it, only its addresses replaced."""
    exchange = getattr(pro, name)({"timeout_on_exit": 0, **config})
    exchange.urls["api"] = redirected(exchange.urls["api"], server.url)
    try:
        yield exchange
    finally:
        await exchange.close()


async def test_kraken_lists_tokenized_shares_and_keeps_their_case(pro: Any) -> None:
    """The xStock is asked for as a tokenized asset and subscribed as `TSLAx/USD`; USDT/USD comes as an FX row."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3"), ("400.00", "9")], asks=[("400.30", "2")])
        await server.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        async with feeding(server, heard, TSLA, USDT):
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
        assert ("/0/public/AssetPairs", {"aclass_base": "tokenized_asset"}) in server.asked
    token, coin = heard.quotes(0)[0], heard.quotes(1)[0]
    assert (Kind.QUOTE, 400.10, 400.30, 3.0, 2.0) == (token.kind, token.bid, token.ask, token.bid_size, token.ask_size)
    assert (Kind.FX, 0.9998, 0.9999) == (coin.kind, coin.bid, coin.ask)


async def test_every_state_of_a_burst_is_a_row(pro: Any) -> None:
    """500 updates sent without a pause are 500 rows in order with the venue's times: nothing is merged."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        async with feeding(server, heard, TSLA) as feed:
            await heard.until(lambda: bool(heard.quotes(0)))
            for size in range(1, 501):
                stamp = f"2026-08-14T15:00:00.{size:03d}000Z"
                await server.book("TSLAx/USD", bids=[("400.10", str(size))], time=stamp)
            await heard.until(lambda: len(heard.quotes(0)) == 501)
            assert [501, 501, 501, 0] == [feed.count(n) for n in ("book_frames", "states", "emitted", "merged")]
    assert [float(size) for size in range(1, 501)] == [row.bid_size for row in heard.quotes(0)[1:]]
    assert 1_786_719_600_500_000_000 == heard.quotes(0)[-1].ts_venue


async def test_the_same_script_gives_ccxt_itself_the_same_kraken_book(pro: Any) -> None:
    """Plain ccxt.pro, told the case, is served by the same server and ends with our best bid and ask."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        case = {"TSLAX": "TSLAx", "TSLAx": "TSLAx"}
        async with feeding(server, heard, TSLA), plain(pro, "kraken", server, commonCurrencies=case) as exchange:
            await exchange.load_markets(True, {"aclass_base": "tokenized_asset"})
            book = await exchange.watch_order_book("TSLAx/USD")
            await server.until(lambda: len(server.subscribed["TSLAx/USD"]) == 2)
            await server.book("TSLAx/USD", bids=[("400.20", "1")], asks=[("400.30", "0"), ("400.25", "4")])
            async with asyncio.timeout(PATIENCE_S):
                while book["asks"][0][0] != 400.25:
                    book = await exchange.watch_order_book("TSLAx/USD")
            await heard.until(lambda: len(heard.quotes(0)) == 2)
    ours = heard.quotes(0)[-1]
    assert [[ours.bid, ours.bid_size], [ours.ask, ours.ask_size]] == [book["bids"][0], book["asks"][0]]


async def test_the_same_script_gives_ccxt_itself_the_same_bybit_book(pro: Any) -> None:
    """Plain ccxt.pro follows level 50 with snapshot and deltas on the same server and agrees with our level 1."""
    heard = Heard()
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=[("400.2", "3")], asks=[("400.5", "2")])
        async with feeding(server, heard, BYBIT), plain(pro, "bybit", server) as exchange:
            exchange.options["fetchMarkets"]["types"] = ["spot"]
            book = await exchange.watch_order_book("TSLAX/USDT")
            await server.delta("TSLAXUSDT", bids=[("400.3", "7")])
            async with asyncio.timeout(PATIENCE_S):
                while book["bids"][0][0] != 400.3:
                    book = await exchange.watch_order_book("TSLAX/USDT")
            await server.book("TSLAXUSDT", bids=[("400.3", "7")], asks=[("400.5", "2")])
            await heard.until(lambda: len(heard.quotes(2)) == 2)
    ours = heard.quotes(2)[-1]
    assert [[ours.bid, ours.bid_size], [ours.ask, ours.ask_size]] == [list(book["bids"][0]), list(book["asks"][0])]


async def test_a_dropped_connection_is_down_then_up_with_a_fresh_snapshot(pro: Any) -> None:
    """After a reset both classes of instruments go down, are subscribed again, and start from a snapshot."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        await server.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        async with feeding(server, heard, TSLA, USDT):
            await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
            server.drop()
            await server.book("TSLAx/USD", bids=[("400.10", "0"), ("399.00", "1")])
            await heard.until(lambda: heard.health(0) == heard.health(1) == [Health.UP, Health.DOWN, Health.UP])
            await heard.until(lambda: heard.quotes(0)[-1].bid == 399.0)
    assert 2 == heard.rejected["kraken", "disconnected"]


def _bybit(bids: Any, asks: Any, **rest: Any) -> dict[str, Any]:
    data = {"s": "TSLAXUSDT", "b": bids, "a": asks, "u": 1, "seq": 1}
    return {"topic": TOPIC, "ts": time.time_ns() // 10**6, "type": "snapshot", "data": data, **rest}


GOOD_ASK = [["400.5", "2"]]
RUBBISH: dict[str, tuple[Any, str]] = {
    "no json": ('{"topic": "orderbook.1.TSLAXUSDT", ', "not_json"),
    "NaN literal": ('{"topic": "orderbook.1.TSLAXUSDT", "ts": NaN}', "not_json"),
    "a list": ([1, 2, 3], "wrong_type"),
    "price is a word": (_bybit([["abc", "1"]], GOOD_ASK), "wrong_type"),
    "price is a dict": (_bybit([[{}, "1"]], GOOD_ASK), "wrong_type"),
    "levels are a number": (_bybit([7], GOOD_ASK), "wrong_type"),
    "price NaN": (_bybit([["NaN", "1"]], GOOD_ASK), "not_finite"),
    "price inf": (_bybit([["inf", "1"]], GOOD_ASK), "not_finite"),
    "size NaN": (_bybit([["400", "NaN"]], GOOD_ASK), "not_finite"),
    "400 digits": (_bybit([["9" * 400, "1"]], GOOD_ASK), "not_finite"),
    "negative price": (_bybit([["-400", "1"]], GOOD_ASK), "not_positive"),
    "zero price": (_bybit([["0", "1"]], GOOD_ASK), "not_positive"),
    "negative size": (_bybit([["400", "-1"]], GOOD_ASK), "negative_size"),
    "crossed": (_bybit([["401", "1"]], GOOD_ASK), "crossed"),
    "locked": (_bybit([["400.5", "1"]], GOOD_ASK), "crossed"),
    "nobody buys": (_bybit([], GOOD_ASK), "empty_side"),
}


async def test_rubbish_is_counted_by_reason_and_the_feed_goes_on(pro: Any) -> None:
    """Each kind of rubbish is counted under its reason, puts no quote, and the good book after it arrives."""
    heard = Heard()
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=[("400.2", "3")], asks=[("400.5", "2")])
        async with feeding(server, heard, BYBIT) as feed:
            await heard.until(lambda: bool(heard.quotes(2)))
            for name, (message, reason) in RUBBISH.items():
                before, quotes = heard.rejected["bybit", reason], len(heard.quotes(2))
                await server.push(TOPIC, message)
                await server.book("TSLAXUSDT", bids=[("400.2", "3")], asks=[("400.5", "2")])
                await heard.until(lambda n=quotes: len(heard.quotes(2)) > n)  # type: ignore[misc]
                assert (before + 1, quotes + 1) == (heard.rejected["bybit", reason], len(heard.quotes(2))), name
            assert 0 == feed.count("merged")
    assert {(400.2, 400.5)} == {(row.bid, row.ask) for row in heard.quotes(2)}
    assert 1 == server.connections


async def test_a_broken_delta_book_is_begun_anew(pro: Any) -> None:
    """On a venue of deltas a frame that ccxt breaks over ends the connection; no state is used before a snapshot."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        async with feeding(server, heard, TSLA):
            await heard.until(lambda: bool(heard.quotes(0)))
            bad = {"symbol": "TSLAx/USD", "bids": [{"price": {}, "qty": 1.0}], "asks": []}
            await server.push("TSLAx/USD", {"channel": "book", "type": "update", "data": [bad]})
            await heard.until(lambda: heard.health(0) == [Health.UP, Health.DOWN, Health.UP])
    assert 1 == heard.rejected["kraken", "book_broken"] == heard.rejected["kraken", "wrong_type"]


async def test_a_book_that_stays_crossed_is_begun_anew(pro: Any) -> None:
    """Three crossed states in a row mean that a removal was missed: a new snapshot is taken."""
    heard = Heard()
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        async with feeding(server, heard, TSLA):
            await heard.until(lambda: bool(heard.quotes(0)))
            for size in range(3):
                bad = {"symbol": "TSLAx/USD", "bids": [{"price": 500.0, "qty": 1.0 + size}], "asks": []}
                await server.push("TSLAx/USD", {"channel": "book", "type": "update", "data": [bad]})
            await heard.until(lambda: len(heard.quotes(0)) == 2)
    assert (3, 1) == (heard.rejected["kraken", "crossed"], heard.rejected["kraken", "book_unreadable"])
    assert [400.10, 400.10] == [row.bid for row in heard.quotes(0)]


async def test_a_frame_of_a_hundred_megabytes_is_refused(pro: Any) -> None:
    """The frame is counted and not held, and the feed is back on a new connection."""
    heard = Heard()
    async with BybitServer() as server:
        await server.book("TSLAXUSDT", bids=[("400.2", "3")], asks=[("400.5", "2")])
        async with feeding(server, heard, BYBIT):
            await heard.until(lambda: bool(heard.quotes(2)))
            await server.flood(100_000_000)
            await heard.until(lambda: heard.health(2) == [Health.UP, Health.DOWN, Health.UP])
    assert 1 == heard.rejected["bybit", "frame_too_large"]


async def test_an_unknown_symbol_is_counted_and_the_others_go_on(pro: Any) -> None:
    """A symbol that the venue does not list is reported; its neighbours are streamed."""
    heard = Heard()
    wrong = Instrument(venue="kraken", symbol="TSLAX/USD", role=Role.TOKEN)
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        NUMBERS[wrong.name] = 3
        async with feeding(server, heard, TSLA, wrong):
            await heard.until(lambda: bool(heard.quotes(0)))
    assert {("kraken", "symbol_unknown"): 1} == dict(heard.rejected)


async def test_a_feed_without_any_known_symbol_stops_this_venue(pro: Any) -> None:
    """Where nothing is listed the feed ends with SymbolUnknown instead of asking for ever."""
    nothing = Instrument(venue="kraken", symbol="NOPE/USD", role=Role.COIN)
    async with KrakenServer() as server:
        feed = CcxtFeed(setup_for(server, nothing))
        with pytest.raises(SymbolUnknown):
            await feed.run(Heard(), {nothing.name: 0})


async def test_a_venue_that_answers_no_subscription_is_tried_again(pro: Any) -> None:
    """Connected but silent: the first message has a time-out, and a new connection is made."""
    heard = Heard()
    async with BybitServer() as server:
        server.mute = True
        async with feeding(server, heard, BYBIT, first_message_s=0.05):
            await server.until(lambda: server.connections >= 2)
    assert heard.rejected["bybit", "disconnected"] >= 1


async def test_a_maintenance_page_is_survived(pro: Any) -> None:
    """503 with HTML instead of markets is counted and tried again until the venue is back."""
    heard = Heard()
    async with BybitServer() as server:
        server.refuse = (503, {})
        await server.book("TSLAXUSDT", bids=[("400.2", "3")], asks=[("400.5", "2")])
        async with feeding(server, heard, BYBIT):
            await heard.until(lambda: heard.rejected["bybit", "disconnected"] >= 2)
            server.refuse = None
            await heard.until(lambda: bool(heard.quotes(2)))


def test_addresses_are_redirected_as_deep_as_they_lie() -> None:
    """http(s) becomes the base, ws(s) its websocket twin; paths stay, and what is no address too."""
    urls = {"a": "https://api.kraken.com", "ws": {"b": "wss://ws.{hostname}/v2", "c": ["http://x/y"]}, "n": None}
    expected = {"a": "http://h:1", "ws": {"b": "ws://h:1/v2", "c": ["http://h:1/y"]}, "n": None}
    assert expected == redirected(urls, "http://h:1/")


def test_the_case_of_a_symbol_is_told_only_where_the_venue_cares(pro: Any) -> None:
    """Kraken's lane maps both spellings to the mixed one; a plain base is left alone."""
    told = build(pro.kraken, PLAIN, QUIRKS["kraken"], ("TSLAx/USD", "USDT/USD"), "").commonCurrencies
    assert ["TSLAx", "TSLAx", "USDT"] == [told.get(base, base) for base in ("TSLAX", "TSLAx", "USDT")]


@pytest.mark.parametrize(
    ("book", "expected"),
    [
        ({"bids": [[1.0, 2.0]], "asks": [[3, 4]]}, (1.0, 3.0, 2.0, 4.0)),
        ({"bids": [[1.0, 2.0, 7]], "asks": [[3.0, 0.0]]}, (1.0, 3.0, 2.0, 0.0)),
        ({"bids": [[1.0, 2.0]], "asks": []}, "empty_side"),
        ({"bids": [[1.0, 2.0]]}, "wrong_type"),
        ({"bids": [[1.0]], "asks": [[3.0, 4.0]]}, "wrong_type"),
        ({"bids": [[True, 2.0]], "asks": [[3.0, 4.0]]}, "wrong_type"),
        ({"bids": [[1.0, None]], "asks": [[3.0, 4.0]]}, "wrong_type"),
        ({"bids": [[1.0, 2.0], [NAN, 2.0]], "asks": [[3.0, 4.0]]}, "not_finite"),
        ({"bids": [[10**400, 2.0]], "asks": [[3.0, 4.0]]}, "not_finite"),
        ("book", "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_a_book_is_its_best_levels_or_a_reason(book: object, expected: object) -> None:
    """read_book never raises: four numbers, or the word for what is wrong."""
    assert expected == read_book(book)


def test_the_time_of_a_book_is_nanoseconds_or_absent() -> None:
    """Milliseconds become nanoseconds, no time is zero, and what is no number is refused."""
    assert 1_500_000_000 == venue_time({"timestamp": 1500})
    assert 0 == venue_time({"timestamp": None})
    with pytest.raises(TypeError):
        venue_time({"timestamp": "1500"})
