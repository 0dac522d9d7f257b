"""Frames bent out of shape, through ccxt's parsers of every venue of the table and the production tap behind them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from connectors.cex.foreseen import UNFORESEEN
from connectors.events import Kind, Row
from connectors.instruments import Role
from tests.connectors.ccxt_cases import CASES
from tests.connectors.ccxt_offline import Line, Offline, Parsers
from tests.fuzz import BATCH, LONG, fuzzed, mutate, spaced

AT = 1_723_161_255_208
BOOK: dict[str, Any] = {"bids": [[400.0, 9.0]], "asks": [[400.3, 2.0]], "nonce": 100, "timestamp": 1_700_000_000_000}
GATE_WHOLE = {"t": AT, "full": True, "s": "ob.TSLAX_USDT.50", "u": 100, "b": [["400", "9"]], "a": [["400.3", "2"]]}
OKX = {"bids": [["400.1", "3", "0", "1"]], "asks": [["400.3", "2", "0", "1"]], "ts": str(AT), "checksum": 0}
OKX_BOOKS = {"channel": "books", "instId": "TSLAX-USDT"}
KRAKEN = {"symbol": "TSLAx/USD", "bids": [{"price": 400.1, "qty": 3.0}], "asks": [{"price": 400.3, "qty": 2.0}]}


@dataclass(frozen=True, kw_only=True)
class Good:
    """A frame that makes one row with a bid of 400.1, and what must be there before it."""

    name: str
    venue: str = ""
    market_id: str = "TSLAXUSDT"
    symbol: str = "TSLAX/USDT"
    role: Role = Role.TOKEN
    book: dict[str, Any] | None = None
    """What is in ccxt's memory."""
    before: tuple[Any, ...] = ()
    """Frames that come before it."""
    frame: Any
    at: int = AT
    """The venue's time in the frame, ms."""

    def made(self, pro: Any) -> Parsers:
        """The venue's parsers, where it has a local server with the markets of this."""
        if self.venue:
            return Line(pro, self.venue, self.market_id, self.symbol, self.role)
        return Offline(pro, next(case for case in CASES if case.name == self.name))


def mexc() -> bytes:
    """A change of MEXC's book, which is protobuf."""
    from ccxt.protobuf.mexc import PushDataV3ApiWrapper_pb2 as wrapper

    channel = "spot@public.aggre.depth.v3.api.pb@100ms@TSLAXUSDT"
    said = wrapper.PushDataV3ApiWrapper(channel=channel, symbol="TSLAXUSDT", sendTime=AT)
    said.publicAggreDepths.fromVersion = said.publicAggreDepths.toVersion = "101"
    said.publicAggreDepths.bids.add(price="400.1", quantity="3")
    return bytes(said.SerializeToString())


GOOD = (
    Good(
        name="binance spot",
        book=BOOK,
        frame={"e": "depthUpdate", "E": AT, "s": "TSLABUSDT", "U": 101, "u": 102, "b": [["400.10", "3"]], "a": []},
    ),
    Good(
        name="binance futures",
        book=BOOK,
        frame={
            "e": "depthUpdate", "E": AT, "T": AT, "s": "TSLAUSDT", "U": 101, "u": 102, "pu": 100,
            "b": [["400.10", "3"]], "a": [["400.20", "1"], ["400.30", "0"]],
        },
    ),
    Good(
        name="binance shares",
        venue="binance",
        market_id="AAPL",
        symbol="AAPL/USDC",
        role=Role.SHARE,
        frame={
            "stream": "AAPL@quote",
            "data": {"e": "quote", "s": "AAPL", "bp": "400.10", "ap": "400.12", "bs": "3", "as": "1", "E": AT},
        },
    ),
    Good(
        name="gate spot",
        before=({"channel": "spot.obu", "result": GATE_WHOLE, "time_ms": AT, "event": "update"},),
        frame={
            "channel": "spot.obu", "time_ms": AT, "event": "update",
            "result": {"t": AT, "s": "ob.TSLAX_USDT.50", "U": 101, "u": 103, "b": [["400.1", "3"]], "a": []},
        },
    ),
    Good(
        name="gate contracts",
        book=BOOK,
        frame={
            "time": 1723161255, "time_ms": AT, "channel": "futures.order_book_update", "event": "update",
            "result": {
                "t": AT, "s": "TSLAX_USDT", "U": 101, "u": 102, "b": [{"p": "400.1", "s": 3}],
                "a": [{"p": "400.4", "s": "7"}],
            },
        },
    ),
    Good(
        name="hyperliquid",
        frame={
            "channel": "l2Book",
            "data": {
                "coin": "xyz:TSLA", "time": AT,
                "levels": [[{"px": "400.1", "sz": "3", "n": 1}], [{"px": "400.3", "sz": "2", "n": 4}]],
            },
        },
    ),
    Good(
        name="kraken",
        venue="kraken",
        market_id="TSLAxUSD",
        symbol="TSLAx/USD",
        before=({"channel": "book", "type": "snapshot", "data": [{**KRAKEN, "bids": [{"price": 400.0, "qty": 9}]}]},),
        frame={
            "channel": "book", "type": "update",
            "data": [{**KRAKEN, "asks": [], "checksum": 1, "timestamp": "2024-08-08T23:54:15.208000Z"}],
        },
    ),
    Good(
        name="bybit",
        venue="bybit",
        frame={
            "topic": "orderbook.1.TSLAXUSDT", "ts": AT, "type": "snapshot",
            "data": {"s": "TSLAXUSDT", "b": [["400.1", "3"]], "a": [["400.3", "2"]], "u": 1, "seq": 1},
        },
    ),
    Good(
        name="kucoin",
        venue="kucoin",
        market_id="TSLAX-USDT",
        frame={
            "type": "message", "topic": "/spotMarket/level2Depth50:TSLAX-USDT", "subject": "level2",
            "data": {"asks": [["400.3", "2"]], "bids": [["400.1", "3"], ["400.0", "1"]], "timestamp": AT},
        },
    ),
    Good(
        name="okx",
        venue="okx",
        market_id="TSLAX-USDT",
        before=(
            {
                "arg": OKX_BOOKS, "action": "snapshot",
                "data": [{**OKX, "bids": [["400", "9", "0", "1"]], "prevSeqId": -1, "seqId": 100}],
            },
        ),
        frame={"arg": OKX_BOOKS, "action": "update", "data": [{**OKX, "asks": [], "prevSeqId": 100, "seqId": 107}]},
    ),
    Good(
        name="bitget",
        venue="bitget",
        frame={
            "action": "snapshot", "arg": {"instType": "SPOT", "channel": "books15", "instId": "TSLAXUSDT"},
            "data": [{"asks": [["400.3", "2"]], "bids": [["400.1", "3"]], "ts": str(AT), "checksum": 0}], "ts": AT,
        },
    ),
    Good(name="mexc", venue="mexc", book=BOOK, frame=mexc),
)  # fmt: skip


class Fuzzed:
    """The parsers of one venue, and its good frame."""

    def __init__(self, pro: Any, good: Good) -> None:
        self.good, self.parsers = good, good.made(pro)
        self.binary = callable(good.frame)
        self.frame: bytes = good.frame() if callable(good.frame) else json.dumps(good.frame).encode()

    def hears(self, frame: bytes) -> list[Row]:
        """The rows of one frame, in a new life."""
        parsers = self.parsers
        parsers.fresh(self.good.book)
        for earlier in self.good.before:
            parsers.frame(earlier)
        parsers.heard.rows.clear()
        parsers.frame(frame, binary=self.binary)
        return [row for row in parsers.heard.rows if row.kind in (Kind.QUOTE, Kind.REFERENCE)]

    def reasons(self) -> list[str]:
        """The words under which that frame, or what ccxt made of it, was refused."""
        words = [word for _, word in self.parsers.heard.rejected]
        return words or [self.parsers.tap.why] * self.parsers.tap.ended.is_set()


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


@pytest.fixture(scope="module", params=GOOD, ids=lambda good: good.name)
def venue(request: pytest.FixtureRequest, pro: Any) -> Iterator[Fuzzed]:
    """Each venue in turn."""
    made = Fuzzed(pro, request.param)
    yield made
    made.parsers.close()


def sane(row: Row) -> bool:
    """Whether a row holds prices and sizes that a market can have."""
    return 0.0 < row.bid < row.ask < math.inf and 0.0 <= row.bid_size < math.inf and 0.0 <= row.ask_size < math.inf


@LONG
def test_bent_frames_crash_nothing_and_become_no_impossible_row(venue: Fuzzed) -> None:
    """
    Whatever comes, nothing escapes, each row is sane, each refusal has a word, and no code of ours is broken over.
    """
    outcomes, tap = Counter[str](), venue.parsers.tap

    @fuzzed
    def bent(rng: Random) -> None:
        for _ in range(BATCH):
            frame = mutate(rng, venue.frame)
            rows, reasons = venue.hears(frame), venue.reasons()
            assert all(sane(row) for row in rows)
            assert tap.fault is None, frame
            assert UNFORESEEN not in reasons, (frame, venue.parsers.heard.details, tap.detail)
            outcomes.update(reasons or (["a row"] if rows else ["nothing of ours"]))

    bent()
    print(f"{venue.good.name}: {dict(outcomes.most_common())}")
    assert min(outcomes["a row"], outcomes["nothing of ours"], sum(outcomes.values()) / 20) > 0
    assert not outcomes[""]


def test_good_frames_make_all_their_rows(venue: Fuzzed) -> None:
    """
    As it is, and with other whitespace, a frame makes its one row with the venue's time.
    """
    rng = Random(3)
    for at in range(500):
        (row,) = venue.hears(spaced(rng, venue.frame) if at and not venue.binary else venue.frame)
        assert (400.1, venue.good.at * 1_000_000) == (row.bid, row.ts_venue)
        assert not venue.reasons()


FAULTS: dict[str, Callable[[], Exception]] = {
    kind.__name__: lambda kind=kind: kind("a fault")  # type: ignore[misc]  # mypy cannot tell a default's type
    for kind in (KeyError, ValueError, TypeError, AssertionError)
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_ours_is_told_from_a_frame_that_ccxt_breaks_over(venue: Fuzzed, fault: str) -> None:
    """
    What our own code raises under ccxt's hands is a fault with its type, also where it is a type that ccxt raises over
    rubbish; the same type out of ccxt's code is a refusal, and one that no rubbish accounts for is unforeseen.
    """
    tap, heard = venue.parsers.tap, venue.parsers.heard
    broken = FAULTS[fault]()

    def put(*_: Any, **__: Any) -> None:
        raise broken

    def handle(_: Any) -> None:
        raise broken

    kept, heard.put = heard.put, put  # type: ignore[method-assign]  # a sink that is broken
    try:
        venue.hears(venue.frame)
    finally:
        heard.put = kept  # type: ignore[method-assign]
    assert broken is tap.fault
    assert [UNFORESEEN] == venue.reasons()
    assert fault in tap.detail
    tap.fault = None
    venue.parsers.fresh()
    tap.frame(handle, None)
    assert tap.fault is None
    assert [UNFORESEEN if fault == "AssertionError" else "wrong_type"] == venue.reasons()
