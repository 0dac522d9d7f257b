"""The venues of the table that have no local server: frames as ccxt documents them, through the production tap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.cex.ccxt_feed import CcxtFeed
from connectors.errors import EntitlementLost
from connectors.events import Kind
from connectors.instruments import Instrument, Role
from tests.connectors.ccxt_offline import Line
from tests.servers.binance import BinanceServer
from tests.servers.heard import Heard, setup_for

AT = 1_723_161_255_208


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


@pytest.fixture
def line(pro: Any) -> Iterator[Any]:
    """Makes lines, and ends them."""
    made: list[Line] = []

    def make(venue: str, market_id: str, *more: Any) -> Line:
        made.append(Line(pro, venue, market_id, *more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_okx_tells_a_gap_by_the_id_before(line: Any) -> None:
    """
    A whole book, a change that follows, a word that is no JSON, and one that does not follow: then a new book is due.
    """
    okx = line("okx", "TSLAX-USDT")

    def book(action: str, bids: Any, before: int, sequence: int) -> dict[str, Any]:
        data = {"asks": [["400.3", "2", "0", "1"]], "bids": bids, "ts": str(AT), "checksum": 0}
        ids = {"prevSeqId": before, "seqId": sequence}
        return {"arg": {"channel": "books", "instId": "TSLAX-USDT"}, "action": action, "data": [{**data, **ids}]}

    okx.frame(book("snapshot", [["400.1", "3", "0", "1"]], -1, 100))
    okx.frame("pong")
    okx.frame(book("update", [["400.2", "1", "0", "1"]], 100, 107))
    assert [(400.1, 400.3, 3.0, 2.0, AT * 10**6), (400.2, 400.3, 1.0, 2.0, AT * 10**6)] == okx.quotes()
    assert not okx.tap.ended.is_set()
    okx.frame(book("update", [["400.25", "1", "0", "1"]], 111, 112))
    assert ("book_refused", 2) == (okx.tap.why, len(okx.quotes()))
    assert not okx.heard.rejected


@pytest.mark.parametrize(
    ("venue", "market_id", "frame"),
    [
        (
            "kucoin",
            "TSLAX-USDT",
            {
                "type": "message",
                "topic": "/spotMarket/level2Depth50:TSLAX-USDT",
                "subject": "level2",
                "data": {"asks": [["400.3", "2"]], "bids": [["400.1", "3"], ["400.0", "1"]], "timestamp": AT},
            },
        ),
        (
            "bitget",
            "TSLAXUSDT",
            {
                "action": "snapshot",
                "arg": {"instType": "SPOT", "channel": "books15", "instId": "TSLAXUSDT"},
                "data": [{"asks": [["400.3", "2"]], "bids": [["400.1", "3"]], "ts": str(AT), "checksum": 0}],
                "ts": AT,
            },
        ),
    ],
)
def test_whole_books_heal_themselves(line: Any, venue: str, market_id: str, frame: dict[str, Any]) -> None:
    """
    Each frame is the whole book: a crossed one between two good ones costs nothing but itself.
    """
    one = line(venue, market_id)
    one.frame(frame)
    for _ in range(3):
        one.frame(json.loads(json.dumps(frame).replace('"400.1"', '"401"')))
    one.frame(frame)
    assert [(400.1, 400.3, 3.0, 2.0)] * 2 == [quote[:4] for quote in one.quotes()]
    assert 3 == one.heard.rejected[venue, "crossed"]
    assert not one.tap.ended.is_set()


def test_bitgets_pong_is_a_word_and_no_rubbish(line: Any) -> None:
    """
    A heartbeat that is no JSON is let through to ccxt, which knows it.
    """
    one = line("bitget", "TSLAXUSDT")
    one.frame("pong")
    assert (1, {}) == (one.tap.frames, dict(one.heard.rejected))


def test_mexc_is_read_from_protobuf_and_its_gaps_are_seen(line: Any) -> None:
    """
    Versions that follow are states; one that is missing ends the life, though ccxt itself would go on.
    """
    from ccxt.protobuf.mexc import PushDataV3ApiWrapper_pb2 as wrapper

    mexc = line("mexc", "TSLAXUSDT")

    def push(version: int, bid: str, size: str) -> bytes:
        said = wrapper.PushDataV3ApiWrapper(
            channel="spot@public.aggre.depth.v3.api.pb@100ms@TSLAXUSDT", symbol="TSLAXUSDT", sendTime=AT
        )
        said.publicAggreDepths.fromVersion = said.publicAggreDepths.toVersion = str(version)
        said.publicAggreDepths.bids.add(price=bid, quantity=size)
        return bytes(said.SerializeToString())

    book = mexc.exchange.order_book({"bids": [[400.0, 1.0]], "asks": [[400.3, 2.0]], "nonce": 99, "timestamp": AT})
    book["symbol"] = "TSLAX/USDT"
    mexc.exchange.orderbooks["TSLAX/USDT"] = book
    mexc.frame(push(100, "400.1", "3"), binary=True)
    mexc.frame(push(101, "400.2", "1"), binary=True)
    assert [(400.1, 400.3, 3.0, 2.0), (400.2, 400.3, 1.0, 2.0)] == [quote[:4] for quote in mexc.quotes()]
    mexc.frame(push(101, "400.25", "9"), binary=True)
    assert (1, 2) == (mexc.tap.repeated, len(mexc.quotes()))
    mexc.frame(push(104, "400.26", "1"), binary=True)
    assert ("sequence_gap", 2) == (mexc.tap.why, len(mexc.quotes()))
    assert 1 == mexc.heard.rejected["mexc", "sequence_gap"]


def test_binances_share_quotes_are_references_without_a_book(line: Any) -> None:
    """
    The share itself (`AAPL/USDC`) has a best bid and ask, which is evidence of its price; a crossed one is refused.
    """
    binance = line("binance", "AAPL", "AAPL/USDC", Role.SHARE)
    quote = {"e": "quote", "s": "AAPL", "bp": "230.10", "ap": "230.12", "bs": "3", "as": "1", "E": AT}
    binance.frame({"stream": "AAPL@quote", "data": quote})
    binance.frame({"stream": "AAPL@quote", "data": {**quote, "bp": "231"}})
    assert [(230.1, 230.12, 3.0, 1.0, AT * 10**6)] == binance.quotes()
    assert [Kind.REFERENCE] == [row.kind for row in binance.heard.rows if row.kind is not Kind.HEALTH]
    assert 1 == binance.heard.rejected["binance", "crossed"]


async def test_a_class_behind_a_key_says_so_without_one(pro: Any) -> None:
    """
    Binance lists shares only to who has a key: the feed stops this venue with what to write.
    """
    share = Instrument(venue="binance", symbol="AAPL/USDC", role=Role.SHARE, underlying="AAPL", quote="USDC")
    async with BinanceServer() as server:
        with pytest.raises(EntitlementLost, match="key_file"):
            await CcxtFeed(setup_for(server, share)).run(Heard(), {share.name: 0})
    assert not server.asked


async def test_a_stream_without_need_of_a_key_reads_none(pro: Any) -> None:
    """
    What everybody may hear is heard with a key file that cannot even be read.
    """

    def unreadable() -> dict[str, str]:
        raise EntitlementLost("the key file holds no key")

    token = Instrument(venue="binance", symbol="TSLAB/USDT", role=Role.TOKEN, token="TSLAB", quote="USDT")
    heard = Heard()
    async with BinanceServer() as server:
        await server.whole("TSLABUSDT", bids=[("400.1", "3")], asks=[("400.3", "2")])
        feed = CcxtFeed(setup_for(server, token, key=unreadable))
        running = asyncio.create_task(feed.run(heard, {token.name: 0}))
        await heard.until(lambda: bool(heard.quotes(0)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        findings = await feed.probe()
    assert [False] == [f.ok for f in findings if f.subject == "key file"]
