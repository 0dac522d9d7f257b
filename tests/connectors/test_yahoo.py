"""Yahoo's stream and charts from a local Yahoo, through our feed and through yfinance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from connectors.equity.corporate import ex_date_of, ex_moment_s
from connectors.equity.pricing import Pricing, decode
from connectors.equity.yahoo import FIRST_POLL_S, YahooFeed
from connectors.equity.yahoo_poll import last_bar
from connectors.errors import BadMessage, RateLimited, VenueUnreachable
from connectors.events import Flag, Health, Kind, Why
from connectors.instruments import Instrument, Role
from connectors.provenance import unpack
from tests.servers.heard import Heard, no_wait, setup_for
from tests.servers.venue import PATIENCE_S
from tests.servers.yahoo import YahooServer

# yfinance 1.7.0 calls pandas in ways that pandas 3 announces to remove.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")

TSLA = Instrument(venue="yahoo", symbol="TSLA", role=Role.SHARE, underlying="TSLA")
NVDA = Instrument(venue="yahoo", symbol="NVDA", role=Role.SHARE, underlying="NVDA")
NUMBERS = {TSLA.name: 0, NVDA.name: 1}


@pytest.fixture(scope="module", autouse=True)
def _yfinance(tmp_path_factory: pytest.TempPathFactory) -> None:
    """yfinance keeps its cache of time zones and cookies in a folder of this run."""
    import yfinance

    folder: Path = tmp_path_factory.mktemp("yfinance")
    yfinance.set_tz_cache_location(str(folder))


class Doors:
    """A door to wait through: back-off is no wait, polling waits until it is let."""

    def __init__(self) -> None:
        self.poll = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Long waits are those between polls."""
        if seconds >= FIRST_POLL_S:
            await self.poll.wait()
            self.poll.clear()
        else:
            await no_wait(seconds)


@asynccontextmanager
async def listening(
    server: YahooServer, heard: Heard, sleep: Callable[[float], Awaitable[None]] | None = None
) -> AsyncIterator[YahooFeed]:
    """The feed running against a local Yahoo."""
    feed = YahooFeed(setup_for(server, TSLA, NVDA, sleep=sleep or Doors().sleep))
    task = asyncio.create_task(feed.run(heard, NUMBERS))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_price_without_a_book_is_a_one_price_reference() -> None:
    """A message without bid and ask becomes a REFERENCE row with bid = ask, flagged, with the venue's time."""
    heard = Heard()
    async with YahooServer() as server, listening(server, heard):
        await server.until(lambda: server.subscribed == {"TSLA", "NVDA"})
        await server.price("TSLA", 433.81, time=1_786_720_800_123)
        await heard.until(lambda: bool(heard.quotes(0)))
    row = heard.quotes(0)[0]
    assert (Kind.REFERENCE, 433.81, 433.81) == (row.kind, row.bid, row.ask)
    assert Flag.ONE_PRICE == row.flags
    assert 1_786_720_800_123_000_000 == row.ts_venue


async def test_bid_and_ask_make_a_two_sided_reference() -> None:
    """Where Yahoo sends both sides they are the row, not the last price; sizes of unknown unit stay absent."""
    heard = Heard()
    async with YahooServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.subscribed))
        await server.price("TSLA", 433.9, bid=433.7, ask=434.1, bid_size=3, ask_size=4)
        await heard.until(lambda: bool(heard.quotes(0)))
    row = heard.quotes(0)[0]
    assert (433.7, 434.1, Flag(0)) == (row.bid, row.ask, row.flags)
    assert np.isnan(row.bid_size)


@pytest.mark.parametrize("polite", [True, False])
async def test_a_lost_stream_comes_back_with_its_subscriptions(polite: bool) -> None:
    """After a clean close as after a reset, the feed says down, connects again, subscribes again, and says up."""
    heard = Heard()
    async with YahooServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.subscribed))
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
        server.subscribed.clear()
        await server.close() if polite else server.drop()
        await server.until(lambda: server.connections == 2 and bool(server.subscribed))
        await server.price("TSLA", 434.0)
        await heard.until(lambda: len(heard.quotes(0)) == 2)
    assert [Health.UP, Health.DOWN, Health.UP] == heard.health(0)[:3]
    assert 1 == heard.rejected["yahoo", "disconnected"]


async def test_rubbish_is_counted_and_never_a_row() -> None:
    """Each kind of rubbish on the stream has its own count, and the next good price still arrives."""
    heard = Heard()
    async with YahooServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.subscribed))
        await server.send("not json")
        await server.send("[1, 2]")
        await server.send('{"type": "pricing", "message": 7}')
        await server.send('{"type": "pricing", "message": "@@@"}')
        await server.pricing(b"\x0d")
        await server.pricing(b"\x10\x05")
        await server.price("FAKE", 1.0)
        await server.send('{"type": "heartbeat"}')
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
    expected = {"not_json": 1, "wrong_type": 2, "bad_message": 3, "unknown_symbol": 1}
    assert expected == {reason: n for (_, reason), n in heard.rejected.items()}
    assert 1 == len(heard.quotes(0))


async def test_a_frame_of_a_hundred_megabytes_is_refused() -> None:
    """A frame over the limit ends the connection, is counted, and the feed is back on a new one."""
    heard = Heard()
    async with YahooServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.subscribed))
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
        await server.flood(100_000_000)
        await server.until(lambda: server.connections == 2)
    assert 1 == heard.rejected["yahoo", "frame_too_large"]


async def test_a_silent_stream_is_polled_and_an_old_bar_is_no_news() -> None:
    """While the stream says nothing the last bar of yfinance is the price, once; a bar seen before is not repeated."""
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep) as feed:
        server.mute = True
        minute = int(time.time()) // 60 * 60
        server.bars = {"TSLA": [(minute - 120, 432.0), (minute - 60, 433.25)], "NVDA": []}
        doors.poll.set()
        await heard.until(lambda: bool(heard.quotes(0)) and ("yahoo", "no_quote") in heard.rejected)
        row = heard.quotes(0)[0]
        assert (433.25, 433.25, (minute - 60) * 10**9) == (row.bid, row.ask, row.ts_venue)
        doors.poll.set()
        await heard.until(lambda: heard.rejected["yahoo", "no_quote"] == 2)
        assert 1 == feed.polled
    assert [] == heard.quotes(1)


async def test_a_symbol_that_the_stream_speaks_of_is_not_polled() -> None:
    """Polling asks only for the symbols that the stream was silent about."""
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep):
        await server.until(lambda: bool(server.subscribed))
        server.bars = {"NVDA": [(int(time.time()) // 60 * 60 - 60, 180.0)]}
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
        doors.poll.set()
        await heard.until(lambda: bool(heard.quotes(1)))
        charts = [path for path, _ in server.asked if "chart" in path]
    assert ["/v8/finance/chart/NVDA"] == sorted(set(charts))


async def test_what_is_only_polled_stands_by_its_polls() -> None:
    """The stream speaks of TSLA, polls bring NVDA. A lost stream takes down TSLA alone; polls that fail take down NVDA
    alone, while the stream lives; an answered poll brings it back, even where its bar is no news.
    """
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep):
        await server.until(lambda: bool(server.subscribed))
        server.bars = {"NVDA": [(int(time.time()) // 60 * 60 - 60, 180.0)]}
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
        doors.poll.set()
        await heard.until(lambda: bool(heard.quotes(1)))
        server.subscribed.clear()
        server.drop()
        await server.until(lambda: server.connections == 2 and bool(server.subscribed))
        await server.price("TSLA", 434.0)
        await heard.until(lambda: len(heard.quotes(0)) == 2)
        assert ([Health.UP, Health.DOWN, Health.UP], [Health.UP]) == (heard.health(0), heard.health(1))
        server.broken = True
        await server.price("TSLA", 435.0)
        doors.poll.set()
        await heard.until(lambda: Health.DOWN in heard.health(1))
        server.broken = False
        doors.poll.set()
        await heard.until(lambda: heard.health(1)[-1] is Health.UP)
    assert [Health.UP, Health.DOWN, Health.UP] == heard.health(1)
    assert [Health.UP, Health.DOWN, Health.UP] == heard.health(0)
    assert 1 == len(heard.quotes(1))


async def test_an_unknown_symbol_has_no_quote() -> None:
    """A symbol that Yahoo does not know is None from a poll, not a price and not an error."""
    async with YahooServer() as server:
        assert await asyncio.to_thread(last_bar, "NOPE", server.url) is None


async def test_a_rate_limit_is_said_to_be_one() -> None:
    """429 from Yahoo is RateLimited, so that the poll slows down."""
    async with YahooServer() as server:
        server.limited = True
        with pytest.raises(RateLimited):
            await asyncio.to_thread(last_bar, "TSLA", server.url)


async def test_an_unreachable_yahoo_is_an_error_not_an_empty_answer() -> None:
    """yfinance would answer with an empty table; the poll says that nobody answered."""
    async with YahooServer() as server:
        url = server.url
    with pytest.raises(VenueUnreachable):
        await asyncio.to_thread(last_bar, "TSLA", url)


async def test_yfinance_itself_is_served_by_the_same_stream() -> None:
    """yfinance's own reader ends with the same price as ours from the same message."""
    import yfinance

    heard = Heard()
    prices: list[dict[str, object]] = []
    got = asyncio.Event()

    def take(message: dict[str, object]) -> None:
        prices.append(message)
        got.set()

    async with YahooServer() as server, listening(server, heard):
        client = yfinance.AsyncWebSocket(url=server.url.replace("http", "ws") + "/?version=2", verbose=False)
        await client.subscribe(["TSLA"])
        reading = asyncio.create_task(client.listen(take))
        await server.until(lambda: server.connections == 2 and len(server.heard) >= 2)
        await server.price("TSLA", 433.81, bid=433.75, ask=433.9, time=1_786_720_800_123)
        async with asyncio.timeout(PATIENCE_S):
            await got.wait()
        await heard.until(lambda: bool(heard.quotes(0)))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await client.close()
    ours = heard.quotes(0)[0]
    assert "1786720800123" == prices[0]["time"]
    assert ours.ts_venue == int(str(prices[0]["time"])) * 1_000_000
    assert (ours.bid, ours.ask) == pytest.approx((prices[0]["bid"], prices[0]["ask"]), rel=1e-7)


async def test_yfinance_itself_is_served_by_the_same_charts() -> None:
    """A plain yfinance ticker reads the bars that our poll reads, and its last close is our price."""
    import curl_cffi.requests
    import yfinance

    async with YahooServer() as server:
        minute = int(time.time()) // 60 * 60
        server.bars = {"TSLA": [(minute - 120, 432.0), (minute - 60, 433.25)]}

        class Local(curl_cffi.requests.Session):
            """Everything goes to the local Yahoo."""

            def request(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]
                return super().request(method, server.url + "/" + url.split("/", 3)[-1], *args, **kwargs)

        table = await asyncio.to_thread(
            lambda: yfinance.Ticker("TSLA", session=Local()).history(period="1d", interval="1m", prepost=True)
        )
        bar = await asyncio.to_thread(last_bar, "TSLA", server.url)
    assert bar is not None
    assert bar.price == table["Close"].iloc[-1]
    assert bar.ts == int(table.index[-1].timestamp()) * 10**9


def test_our_reader_agrees_with_the_protobuf_library() -> None:
    """Every field that we read has the value that the protobuf library wrote, negative and large ones included."""
    from yfinance.pricing_pb2 import PricingData

    written = PricingData(
        id="TSLA", price=433.81, time=1_786_720_800_123, currency="USD", exchange="NMS", quote_type=8, market_hours=2,
        bid=-1.5, bid_size=-(2**40), ask=1e30, ask_size=7, price_hint=2, short_name="é" * 300, market_cap=1.4e12,
    )  # fmt: skip
    expected = Pricing(
        id="TSLA", price=433.81, time_ms=1_786_720_800_123, currency="USD", exchange="NMS", quote_type=8,
        market_hours=2, bid=-1.5, bid_size=-(2**40), ask=1e30, ask_size=7, price_hint=2,
    )  # fmt: skip
    assert expected == decode(written.SerializeToString())


@pytest.mark.parametrize("data", [b"\x0d\x00", b"\x0a\xff", b"\x0b", b"\x10\x05", b"\xff" * 11, b"\x0a\x01\xff"])
def test_bytes_that_are_no_message_are_said_to_be_none(data: bytes) -> None:
    """Cut short, too long, of another type or not UTF-8: BadMessage, never another error."""
    with pytest.raises(BadMessage):
        decode(data)


async def test_a_delayed_exchange_is_told_to_be_one() -> None:
    """Where Yahoo says that an exchange's prices are a quarter of an hour late, the instrument is shown, never UP."""
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep):
        await server.until(lambda: bool(server.subscribed))
        server.delayed = {"TSLA": 15}
        doors.poll.set()
        await heard.until(lambda: ("yahoo", "delayed") in heard.rejected)
        await server.price("TSLA", 433.0)
        await server.price("NVDA", 180.0)
        await heard.until(lambda: bool(heard.quotes(0)) and bool(heard.quotes(1)))
        assert (Health.DEGRADED, Why.DELAYED) == heard.standing.state(0)
        assert (Health.UP, Why.NOTHING) == heard.standing.state(1)


async def test_a_quote_says_its_session() -> None:
    """The session that Yahoo names is in the row; a price that was polled names none."""
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep):
        await server.until(lambda: bool(server.subscribed))
        await server.price("TSLA", 433.0)
        await heard.until(lambda: bool(heard.quotes(0)))
        server.bars = {"NVDA": [(int(time.time()) // 60 * 60 - 60, 180.0)]}
        doors.poll.set()
        await heard.until(lambda: bool(heard.quotes(1)))
    assert ["yahoo regular", "yahoo"] == [str(unpack(heard.quotes(at)[0].extra)) for at in (0, 1)]


async def test_a_split_and_a_dividend_of_the_day_are_rows() -> None:
    """The events of a chart become ACTION rows of its trading day, in New York."""
    heard, doors = Heard(), Doors()
    async with YahooServer() as server, listening(server, heard, doors.sleep):
        at = int(time.time()) // 60 * 60 - 60
        server.mute = True
        server.bars = {"TSLA": [(at, 43.3)], "NVDA": [(at, 180.0)]}
        server.events = {
            "TSLA": {"splits": {str(at): {"date": at, "numerator": 10.0, "denominator": 1.0}}},
            "NVDA": {"dividends": {str(at): {"date": at, "amount": 0.25}}},
        }
        doors.poll.set()
        await heard.until(lambda: sum(row.kind is Kind.ACTION for row in heard.rows) == 2)
    rows = {row.instrument: row for row in heard.rows if row.kind is Kind.ACTION}
    ex = float(ex_moment_s(ex_date_of(datetime.fromtimestamp(at, UTC))))
    assert (10.0, ex) == (rows[0].bid, rows[0].ask)
    assert (1.0, 0.25, ex) == (rows[1].bid, rows[1].bid_size, rows[1].ask)


async def test_a_probe_tells_symbols_delays_and_how_quick_yahoo_is() -> None:
    """A symbol that Yahoo knows, one that it does not, and the delay of an exchange; nobody subscribes."""
    async with YahooServer() as server:
        server.delayed = {"TSLA": 15}
        found = await YahooFeed(setup_for(server, TSLA, NVDA)).probe()
        assert 0 == server.connections
    assert [("symbol", "TSLA", True), ("delay", "TSLA", False), ("symbol", "NVDA", False), ("latency", "", True)] == [
        (f.what, f.subject, f.ok) for f in found
    ]
    assert 900.0 == found[1].value


@pytest.mark.parametrize(("status", "what"), [(401, "entitlement"), (403, "entitlement"), (503, "reachable")])
async def test_a_probe_that_is_refused_says_so(status: int, what: str) -> None:
    """401 and 403 are a right that is missing, 503 a venue that is not there; no symbol is said to be missing."""
    async with YahooServer() as server:
        server.refuse = (status, {})
        found = await YahooFeed(setup_for(server, TSLA)).probe()
    assert [(what, False)] == [(f.what, f.ok) for f in found]
