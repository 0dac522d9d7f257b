"""Alpaca's stream and REST from a local Alpaca, through our feed and through alpaca-py."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.sessions import load_sessions
from connectors.equity import alpaca_rest as rest
from connectors.equity.alpaca import AlpacaFeed
from connectors.events import NS, Flag, Health, Kind, Row, Why
from connectors.instruments import Instrument, Role
from connectors.provenance import Source, late_s, unpack
from strategies.market.session import Session
from tests.servers.alpaca import KEY, SECRET, AlpacaServer, latest, stamp, trading_days
from tests.servers.doors import Doors
from tests.servers.heard import Heard, setup_for
from tests.servers.venue import PATIENCE_S

# alpaca-py 0.44 uses the older half of websockets.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")

TSLA = Instrument(venue="alpaca", symbol="TSLA", role=Role.SHARE, underlying="TSLA")
NVDA = Instrument(venue="alpaca", symbol="NVDA", role=Role.SHARE, underlying="NVDA")
NUMBERS = {TSLA.name: 0, NVDA.name: 1}
RETRY_S, CLOCK_S, ACTIONS_S = 300.0, 30.0, 21600.0


@asynccontextmanager
async def listening(
    server: AlpacaServer, heard: Heard, doors: Doors | None = None, *, key: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[AlpacaFeed]:
    """The feed running against a local Alpaca."""
    secrets = {"key": KEY, "secret": SECRET} if key is None else key
    setup = setup_for(
        server,
        TSLA,
        NVDA,
        sleep=(doors or Doors(RETRY_S, CLOCK_S, ACTIONS_S)).sleep,
        key=lambda: secrets,
        options=options,
    )
    feed = AlpacaFeed(setup)
    heard.against([0, 1], Why.NOT_HEARD)
    running = asyncio.create_task(feed.run(heard, NUMBERS))
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def references(heard: Heard, number: int = 0) -> list[Row]:
    """The REFERENCE rows of an instrument."""
    return [row for row in heard.rows if row.instrument == number and row.kind is Kind.REFERENCE]


async def ready(server: AlpacaServer) -> None:
    """Waits until both symbols are subscribed."""
    await server.until(lambda: server.subscribed("TSLA") and server.subscribed("NVDA"))


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_quote_becomes_a_row_with_its_provenance(encoding: str) -> None:
    """In both codings: prices, sizes in shares, the venue's time, and feed, exchanges and condition in `extra`."""
    heard, ts = Heard(), 1_795_000_000_123_456_000
    async with AlpacaServer() as server, listening(server, heard, encoding=encoding, feed="iex"):
        await ready(server)
        await server.quote("TSLA", 433.8, 433.9, ts=ts)
        await heard.until(lambda: bool(references(heard)))
        assert {encoding == "msgpack"} == {client.packed for client in server.clients}
    row = references(heard)[0]
    assert (433.8, 433.9, 100.0, 200.0, ts) == (row.bid, row.ask, row.bid_size, row.ask_size, row.ts_venue)
    assert "iex V/Q R" == str(unpack(row.extra))
    assert Health.UP in heard.health(0)


async def test_alpaca_py_hears_the_same_from_the_same_server() -> None:
    """alpaca-py, which speaks MessagePack, ends with the quotes and trades that our feed ends with from one script."""
    from alpaca.data.live import StockDataStream

    heard, done = Heard(), asyncio.Event()
    theirs: list[tuple[Any, ...]] = []
    traded: list[tuple[Any, ...]] = []
    script = [("TSLA", 433.8, 433.9), ("NVDA", 180.0, 180.01), ("TSLA", 434.0, 434.25)]

    async def take(quote: Any) -> None:
        theirs.append((quote.symbol, quote.bid_price, quote.ask_price, quote.bid_size, quote.ask_size, quote.timestamp))

    async def print_(trade: Any) -> None:
        traded.append((trade.symbol, trade.price, trade.size))
        done.set()

    async with AlpacaServer() as server, listening(server, heard, feed="iex"):
        server.keys["OTHERKEY00000001"] = "other-secret-123"
        await ready(server)
        stream = StockDataStream("OTHERKEY00000001", "other-secret-123",
                                 url_override=server.url.replace("http", "ws") + "/v2/iex")  # fmt: skip
        stream.subscribe_quotes(take, "TSLA", "NVDA")
        stream.subscribe_trades(print_, "TSLA")
        running = asyncio.create_task(stream._run_forever())
        await server.until(
            lambda: len(server.clients) == 2 and all("NVDA" in c.channels["quotes"] for c in server.clients)
        )
        for at, (symbol, bid, ask) in enumerate(script):
            await server.quote(symbol, bid, ask, ts=1_795_000_000 * NS + at * 1_000_000)
        await server.trade("TSLA", 434.1, size=7)
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
        await heard.until(lambda: any(row.kind is Kind.TRADE for row in heard.rows))
        await stream.stop_ws()
        await asyncio.gather(running, return_exceptions=True)
    symbols = {0: "TSLA", 1: "NVDA"}
    ours = [
        (symbols[row.instrument], row.bid, row.ask, row.bid_size, row.ask_size, row.ts_venue)
        for row in heard.rows
        if row.kind is Kind.REFERENCE
    ]
    assert ours == [(*quote[:5], round(quote[5].timestamp() * 1e6) * 1000) for quote in theirs]
    trades = [("TSLA", row.bid, row.ask_size) for row in heard.rows if row.kind is Kind.TRADE]
    assert trades == traded == [("TSLA", 434.1, 7)]


@pytest.mark.parametrize(
    ("fault", "word"),
    [("entitlement", "insufficient subscription"), ("key", "auth failed"), ("limit", "connection limit exceeded")],
)
async def test_alpaca_py_gets_the_same_errors(fault: str, word: str) -> None:
    """A refusal of the server is understood by both: the word that alpaca-py logs is the one that we count."""

    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server:
        url = server.url.replace("http", "ws") + "/v2/iex"
        if fault == "entitlement":
            server.entitled.discard("iex")
            server.rest["/v2/stocks/quotes/latest"] = (503, {}, "maintenance")
        elif fault == "key":
            server.rest["/v2/stocks/quotes/latest"] = (503, {}, "maintenance")
            server.keys[KEY] = "another secret"
        else:
            async with listening(server, Heard(), feed="iex"):
                await ready(server)
                await _both(server, url, heard, doors, word)
                return
        await _both(server, url, heard, doors, word)


async def _both(server: AlpacaServer, url: str, heard: Heard, doors: Doors, word: str) -> None:
    from alpaca.data.live import StockDataStream

    stream = StockDataStream(KEY, SECRET, url_override=url)

    async def take(quote: Any) -> None:
        """No quote comes."""

    with pytest.raises(ValueError, match=word):
        stream.subscribe_quotes(take, "TSLA")
        await stream._start_ws()
    await stream.close()
    async with listening(server, heard, doors, feed="iex"):
        await heard.until(lambda: any(word in detail for detail in heard.details.values()))
    assert [] == references(heard)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"bp": 0, "ap": 433.9}, "one_sided"),
        ({"bp": 433.8, "ap": 0}, "one_sided"),
        ({"bp": 0, "ap": 0}, "no_quote"),
        ({"bp": 433.9, "ap": 433.9}, "locked"),
        ({"c": ["N"]}, "not_firm"),
        ({"c": ["R", "L"]}, "not_firm"),
        ({"S": "TSLQ"}, "unknown_symbol"),
        ({"bp": "433.8"}, "wrong_type"),
        ({"bp": True}, "wrong_type"),
        ({"bp": int("9" * 400)}, "wrong_type"),
        ({"t": 5}, "wrong_type"),
        ({"t": "2026-11-18T11:06:40"}, "wrong_type"),
        ({"c": "R"}, "wrong_type"),
        ({"T": "zz"}, "unknown_message"),
    ],
)
async def test_a_quote_that_is_none_is_counted_by_reason(fields: dict[str, Any], why: str) -> None:
    """One bad message among good ones in a frame is refused with its reason; the good ones are rows."""
    heard = Heard()
    good = {"T": "q", "S": "TSLA", "bx": "V", "bp": 433.8, "bs": 1, "ax": "V", "ap": 433.9, "as": 2, "c": ["R"],
            "z": "C", "t": stamp(time.time_ns())}  # fmt: skip
    async with AlpacaServer() as server, listening(server, heard, feed="iex"):
        await ready(server)
        await server.send(json.dumps([good, {**good, **fields}, {**good, "bp": 433.85}]))
        await heard.until(lambda: len(references(heard)) == 2)
        assert [433.8, 433.85] == [row.bid for row in references(heard)]
        assert 1 == server.connections
    assert 1 == heard.rejected["alpaca", why]


@pytest.mark.parametrize("frame", ["<html>", "{}", '{"T":"q"}', "[[1]]", b"\xc1", b"\x00", "[" * 5000])
async def test_a_frame_that_is_none_ends_nothing(frame: str | bytes) -> None:
    """Garbage is counted and the next quote is heard on the same connection."""
    heard = Heard()
    async with AlpacaServer() as server, listening(server, heard, feed="iex"):
        await ready(server)
        await server.send(frame)
        await server.quote("TSLA", 433.8, 433.9)
        await heard.until(lambda: bool(references(heard)))
        assert 1 == server.connections
    assert 1 == heard.rejected["alpaca", "bad_message"] + heard.rejected["alpaca", "wrong_type"]


async def test_the_best_feed_that_the_key_may_have_is_taken_and_the_others_told() -> None:
    """The order is sip, iex; the key has only iex: REST says 403 for sip, the stream is iex, and rows say so."""
    heard = Heard()
    async with AlpacaServer() as server:
        server.entitled = {"iex"}
        now = time.time_ns()
        server.quotes["iex"] = {"TSLA": latest(432.0, 432.1, now - NS)}
        async with listening(server, heard, feed="sip,iex") as feed:
            await ready(server)
            await server.quote("TSLA", 433.8, 433.9)
            await heard.until(lambda: len(references(heard)) == 2)
            assert "iex" == feed.using
    assert [432.0, 433.8] == [row.bid for row in references(heard)]
    assert {Source.IEX} == {unpack(row.extra).source for row in references(heard)}  # type: ignore[union-attr]
    assert 1 == heard.rejected["alpaca", "entitlement_lost"]
    assert "sip" in heard.details["alpaca", "entitlement_lost"]


async def test_an_entitlement_that_is_lost_in_the_session_leaves_the_next_feed_and_comes_back() -> None:
    """
    sip is taken away: iex is heard at once. sip is given back: at the next look it is listened to again, and nothing
    else was ever touched.
    """
    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server, listening(server, heard, doors, feed="sip,iex") as feed:
        await ready(server)
        await server.lose("sip")
        await server.until(lambda: any(c.feed == "iex" and "NVDA" in c.channels["quotes"] for c in server.clients))
        await server.quote("TSLA", 433.8, 433.9)
        await heard.until(lambda: bool(references(heard)))
        assert "iex" == feed.using
        server.entitled.add("sip")
        doors.let(RETRY_S)
        await server.until(lambda: any(c.feed == "sip" and "NVDA" in c.channels["quotes"] for c in server.clients))
        await server.quote("TSLA", 434.0, 434.1, feed="sip")
        await heard.until(lambda: len(references(heard)) == 2)
    assert [Source.IEX, Source.SIP] == [unpack(row.extra).source for row in references(heard)]  # type: ignore[union-attr]
    assert Why.ENTITLEMENT not in heard.why(0)


@pytest.mark.parametrize("status", [401, 403])
async def test_without_any_entitlement_the_feed_is_down_for_that_and_heals(status: int) -> None:
    """The last feed is lost, by 401 or 403: its instruments are down for ENTITLEMENT, told, and up when it is back."""
    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server, listening(server, heard, doors, feed="iex"):
        await ready(server)
        await server.quote("TSLA", 433.8, 433.9)
        await heard.until(lambda: Health.UP in heard.health(0))
        server.rest["/v2/stocks/quotes/latest"] = (status, {}, "no")
        await server.lose("iex", 402 if status == 401 else 409, "auth failed" if status == 401 else "insufficient")
        await heard.until(lambda: Why.ENTITLEMENT in (heard.standing.reasons(0)))
        assert Health.DOWN is heard.standing.state(0)[0]  # type: ignore[index]
        await heard.until(lambda: RETRY_S in doors.waits)
        server.entitled.add("iex")
        del server.rest["/v2/stocks/quotes/latest"]
        doors.let(RETRY_S)
        await ready(server)
        await server.quote("TSLA", 434.0, 434.1)
        await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
    assert heard.rejected["alpaca", "entitlement_lost"] >= 1


async def test_a_symbol_limit_leaves_the_symbols_that_have_room() -> None:
    """A key for one symbol hears one; the other is down for ENTITLEMENT and named."""
    heard = Heard()
    async with AlpacaServer() as server:
        server.symbol_limit = 1
        async with listening(server, heard, feed="iex"):
            await heard.until(lambda: ("alpaca", "symbol_limit") in heard.rejected)
            await server.quote("TSLA", 433.8, 433.9)
            await heard.until(lambda: bool(references(heard)))
    assert "no room for NVDA" == heard.details["alpaca", "symbol_limit"]
    assert Why.ENTITLEMENT in heard.standing.reasons(1)
    assert (Health.UP, Why.NOTHING) == heard.standing.state(0)


async def test_a_feed_without_statuses_is_heard_for_its_quotes() -> None:
    """A feed that refuses the channels of halts and bands (410) is asked for quotes and trades only."""
    heard = Heard()
    async with AlpacaServer() as server:
        server.no_statuses = True
        async with listening(server, heard, feed="boats"):
            await ready(server)
            await server.quote("TSLA", 433.8, 433.9)
            await heard.until(lambda: bool(references(heard)))
            assert not server.subscribed("TSLA", "statuses")


@pytest.mark.parametrize(("halt", "resume"), [("H", "T"), ("P", "T"), ("2", "3")])
async def test_a_halt_is_told_until_trading_resumes(halt: str, resume: str) -> None:
    """Halt codes of both tapes close the instrument and flag its quotes; quotes that resume alone do not end it."""
    heard = Heard()
    async with AlpacaServer() as server, listening(server, heard, feed="sip"):
        await ready(server)
        await server.quote("TSLA", 433.8, 433.9)
        await server.status("TSLA", halt, "T1")
        await server.quote("TSLA", 433.7, 433.9)
        await server.status("TSLA", "Q")
        await heard.until(lambda: len(references(heard)) == 2)
        await server.quote("NVDA", 180.0, 180.1)
        await heard.until(lambda: bool(references(heard, 1)))
        assert (Health.CLOSED, Why.HALTED) == heard.standing.state(0)
        await server.status("TSLA", resume)
        await server.quote("TSLA", 420.0, 420.2)
        await heard.until(lambda: len(references(heard)) == 3)
        assert (Health.UP, Why.NOTHING) == heard.standing.state(0)
    assert [False, True, False] == [bool(row.flags & Flag.HALTED) for row in references(heard)]
    assert (Health.UP, Why.NOTHING) == heard.standing.state(1)


async def test_a_halt_outlives_the_connection_until_a_trade_shows_its_end() -> None:
    """The line drops during a halt, whose end is missed: quotes stay flagged until a trade after the halt is heard."""
    heard, now = Heard(), time.time_ns()
    async with AlpacaServer() as server, listening(server, heard, feed="sip"):
        await ready(server)
        await server.status("TSLA", "H", "T1", ts=now)
        await heard.until(lambda: ("alpaca", "halted") in heard.rejected)
        server.drop()
        await server.until(lambda: server.connections == 2)
        await ready(server)
        await server.quote("TSLA", 433.8, 433.9, ts=now + 2 * NS)
        await heard.until(lambda: len(references(heard)) == 1)
        await server.trade("TSLA", 433.8, ts=now + 3 * NS)
        await server.quote("TSLA", 433.8, 434.0, ts=now + 4 * NS)
        await heard.until(lambda: len(references(heard)) == 2)
    assert [True, False] == [bool(row.flags & Flag.HALTED) for row in references(heard)]


async def test_a_quote_at_its_price_band_is_no_evidence() -> None:
    """In a limit state (the bid stands at the upper band) quotes are flagged, and free again inside the bands."""
    heard = Heard()
    async with AlpacaServer() as server, listening(server, heard, feed="sip"):
        await ready(server)
        await server.bands("TSLA", 400.0, 440.0)
        for bid, ask in ((433.8, 433.9), (440.0, 440.1), (433.8, 433.9)):
            await server.quote("TSLA", bid, ask)
        await heard.until(lambda: len(references(heard)) == 3)
        assert (Health.UP, Why.NOTHING) == heard.standing.state(0)
    assert [False, True, False] == [bool(row.flags & Flag.HALTED) for row in references(heard)]


async def test_a_delayed_feed_is_told_to_be_one() -> None:
    """The tape with a quarter of an hour's delay is shown, and never UP. Its trades are no rows: they would be news of
    then.
    """
    heard = Heard()
    async with AlpacaServer() as server, listening(server, heard, feed="delayed_sip"):
        await ready(server)
        await server.quote("TSLA", 433.8, 433.9)
        await heard.until(lambda: heard.standing.state(0) == (Health.DEGRADED, Why.DELAYED))
        await server.trade("TSLA", 433.85)
        await server.quote("TSLA", 433.9, 434.0)
        await heard.until(lambda: 433.9 in [row.bid for row in references(heard)])
    assert [] == [row for row in heard.rows if row.kind is Kind.TRADE]
    assert {900.0} == {late_s(row.extra) for row in references(heard)}


async def test_the_second_connection_is_refused_and_tried_again() -> None:
    """406 is counted by its name; when the other session is gone, the feed is heard."""
    heard, other = Heard(), Heard()
    async with AlpacaServer() as server, listening(server, other, feed="iex"):
        await ready(server)
        async with listening(server, heard, feed="iex"):
            await heard.until(lambda: heard.rejected["alpaca", "connection_limit"] >= 1)
            server.one_connection = False
            await server.until(lambda: sum("NVDA" in c.channels["quotes"] for c in server.clients) == 2)
            await server.quote("TSLA", 433.8, 433.9)
            await heard.until(lambda: bool(references(heard)))


async def test_the_market_s_own_status_is_a_row_and_its_clock_is_compared() -> None:
    """An open market is REGULAR; shut between open and close of the calendar it is a HOLIDAY; the offset is told."""
    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server:
        server.days = [{"date": "2026-11-25", "open": "09:30", "close": "16:00"}]
        server.now_ns = 1_795_631_400 * NS  # 2026-11-25 13:30 New York
        server.is_open = True
        async with listening(server, heard, doors, feed="iex"):
            await heard.until(lambda: sum(row.kind is Kind.SESSION for row in heard.rows) == 2)
            server.is_open = False
            doors.let(CLOCK_S)
            await heard.until(lambda: sum(row.kind is Kind.SESSION for row in heard.rows) == 4)
    rows = [row for row in heard.rows if row.kind is Kind.SESSION]
    assert [1.0, 1.0, 5.0, 5.0] == [row.bid for row in rows]
    assert {server.now_ns} == {row.ts_venue for row in rows}
    offset_s, error_s = heard.offsets["alpaca"]
    assert abs(offset_s - (server.now_ns - time.time_ns()) / NS) < PATIENCE_S
    assert error_s >= 0


async def test_corporate_actions_of_all_pages_are_rows() -> None:
    """A 10:1 split and a dividend, on two pages, with the evening before the ex-date; another share's is no row."""
    heard = Heard()
    async with AlpacaServer() as server:
        server.pages = 2
        server.actions = {
            "forward_splits": [
                {"symbol": "TSLA", "new_rate": 10, "old_rate": 1, "ex_date": "2026-12-07", "process_date": "2026-12-07"}
            ],
            "cash_dividends": [
                {"symbol": "NVDA", "rate": 0.01, "special": False, "foreign": False, "ex_date": "2026-12-04"},
            ],
        }
        async with listening(server, heard, feed="iex"):
            await heard.until(lambda: sum(row.kind is Kind.ACTION for row in heard.rows) == 2)
    rows = {row.instrument: row for row in heard.rows if row.kind is Kind.ACTION}
    assert (10.0, 1_796_605_200.0) == (rows[0].bid, rows[0].ask)  # 2026-12-06 20:00 in New York
    assert (1.0, 0.01) == (rows[1].bid, rows[1].bid_size)


async def test_alpaca_py_reads_the_same_corporate_actions_and_clock() -> None:
    """alpaca-py's own clients understand the local REST: same split, same clock, and the same refusal of a feed."""
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.requests import CorporateActionsRequest, StockLatestQuoteRequest
    from alpaca.trading.client import TradingClient

    async with AlpacaServer() as server:
        server.entitled = {"iex"}
        server.now_ns, server.is_open = 1_795_631_400 * NS, True
        server.quotes["iex"] = {"TSLA": latest(432.0, 432.1, server.now_ns)}
        server.days = [{"date": "2026-11-25", "open": "09:30", "close": "16:00"}]
        server.actions = {"forward_splits": [{
            "id": "7d1d1a8e-6f3a-4b6a-9b0e-1f0a3f9a1c11", "symbol": "TSLA", "cusip": "88160R101", "new_rate": 10,
            "old_rate": 1, "ex_date": "2026-12-07", "process_date": "2026-12-07"}]}  # fmt: skip
        url = server.url

        def ask() -> tuple[Any, ...]:
            data = StockHistoricalDataClient(KEY, SECRET, url_override=url)
            quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="TSLA", feed="iex"))["TSLA"]
            with pytest.raises(APIError, match="subscription does not permit"):
                data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="TSLA", feed="sip"))
            trading = TradingClient(KEY, SECRET, url_override=url)
            actions = CorporateActionsClient(KEY, SECRET, url_override=url)
            split = actions.get_corporate_actions(CorporateActionsRequest(symbols=["TSLA"])).data["forward_splits"][0]
            return quote, trading.get_clock(), trading.get_calendar()[0], split

        quote, clock, day, split = await asyncio.to_thread(ask)
    assert (432.0, 432.1) == (quote.bid_price, quote.ask_price)
    assert clock.is_open and clock.timestamp.timestamp() == server.now_ns / NS
    assert ("2026-11-25", 16) == (str(day.date), day.close.hour)
    assert ("TSLA", 10.0, 1.0, "2026-12-07") == (split.symbol, split.new_rate, split.old_rate, str(split.ex_date))


async def test_a_rest_that_asks_for_patience_gets_it_and_a_page_is_no_answer() -> None:
    """429 with Retry-After: the next call waits that long; a maintenance page is counted; the stream goes on."""
    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server:
        server.rest["/v2/clock"] = (429, {"Retry-After": "77"}, "slow down")
        server.rest["/v1/corporate-actions"] = (200, {}, "<html>maintenance</html>")
        async with listening(server, heard, doors, feed="iex"):
            await heard.until(lambda: heard.rejected["alpaca", "poll_failed"] >= 1 and max(doors.waits) > 70.0)
            await ready(server)
            await server.quote("TSLA", 433.8, 433.9)
            await heard.until(lambda: bool(references(heard)))
    assert any(76.0 < wait <= 77.0 for wait in doors.waits)
    assert not any(row.kind in (Kind.SESSION, Kind.ACTION) for row in heard.rows)


async def test_no_secret_leaves_the_feed() -> None:
    """A venue that repeats our key and secret in its errors does not get them into what we tell."""
    heard, doors = Heard(), Doors(RETRY_S, CLOCK_S, ACTIONS_S)
    async with AlpacaServer() as server:
        server.rest["/v2/stocks/quotes/latest"] = (403, {}, f"key {KEY} secret {SECRET}")
        async with listening(server, heard, doors, feed="iex,sip"):
            await heard.until(lambda: RETRY_S in doors.waits)
            del server.rest["/v2/stocks/quotes/latest"]
            doors.let(RETRY_S)
            await ready(server)
            await server.say({"T": "error", "code": 499, "msg": f"{KEY}:{SECRET}"}, asked=False)
            await server.say({"T": "success", "msg": f"{KEY}:{SECRET}"}, asked=False)
            await server.say({"T": SECRET, "S": KEY}, asked=False)
            await server.lose("iex", 402, f"auth failed for {KEY} {SECRET}")
            await heard.until(lambda: heard.rejected["alpaca", "entitlement_lost"] >= 3)
    told = repr(heard.details) + repr(heard.rejected)
    assert "***" in told
    assert KEY not in told and SECRET not in told


async def test_a_probe_tells_what_the_key_may_have() -> None:
    """`probe` names allowed and refused feeds, each symbol with or without a quote, the market's status and clock."""
    async with AlpacaServer() as server:
        server.entitled = {"iex"}
        server.quotes["iex"] = {"TSLA": latest(432.0, 432.1, time.time_ns())}
        setup = setup_for(server, TSLA, NVDA, key=lambda: {"key": KEY, "secret": SECRET}, options={"feed": "sip,iex"})
        found = await AlpacaFeed(setup).probe()
    assert [("entitlement", "sip", False), ("entitlement", "iex", True), ("symbol", "TSLA", True),
            ("symbol", "NVDA", False), ("status", "", True), ("clock", "", True),
            ("latency", "", True)] == [(f.what, f.subject, f.ok) for f in found]  # fmt: skip


@pytest.mark.parametrize(("ahead_s", "ok"), [(0, True), (-40, False), (40, False)])
async def test_a_probe_tells_how_far_the_clocks_are_apart(ahead_s: int, ok: bool) -> None:
    """The venue's clock is asked: what is off by more than a second is not well, and by how much is said."""
    async with AlpacaServer() as server:
        server.now_ns = time.time_ns() + ahead_s * NS
        setup = setup_for(server, TSLA, key=lambda: {"key": KEY, "secret": SECRET}, options={"feed": "iex"})
        (found,) = [f for f in await AlpacaFeed(setup).probe() if f.what == "clock"]
    assert ok is found.ok
    assert abs(ahead_s - (found.value or 0.0)) < 30.0


async def test_a_probe_of_nobody_is_one_finding() -> None:
    """A venue that is not there is not asked about each symbol, and no exception leaves."""
    async with AlpacaServer() as server:
        setup = setup_for(server, TSLA, NVDA, key=lambda: {"key": KEY, "secret": SECRET}, options={"feed": "sip,iex"})
    assert [("reachable", False)] == [(f.what, f.ok) for f in await AlpacaFeed(setup).probe()]


def test_the_venue_s_calendar_and_our_table_mean_the_same_sessions() -> None:
    """
    Every half hour from November 2026 to July 2027, early closes, holidays and a change of clocks among them: from the
    calendar's days and "open" the code is the one of our own table (a weekend and a holiday are both shut).
    """
    table = load_sessions()
    days = rest.calendar(json.dumps(trading_days("2026-10-25", "2027-07-31")).encode())
    shut = {Session.WEEKEND, Session.HOLIDAY}
    for ts in range(1_793_491_200 + 7, 1_814_400_000, 1800):
        ours = table.at(ts * NS)
        answer = rest.Clock(datetime.fromtimestamp(ts, UTC), ours is Session.REGULAR)
        code = Session(rest.session_code(answer, days))
        assert code is ours or {code, ours} <= shut, datetime.fromtimestamp(ts, UTC)
