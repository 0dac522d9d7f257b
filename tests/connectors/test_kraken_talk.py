"""Kraken's messages, recorded and drawn: checksums, order, statuses, and what is none of these."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from connectors.cex.kraken import Listed, ServerTime, Snapshot, SystemStatus, answered
from connectors.cex.kraken_book import KrakenBook, Quoted
from connectors.cex.kraken_talk import KrakenTalk
from connectors.cex.stream import Stream
from connectors.errors import BadMessage
from connectors.instruments import Instrument, Role
from tests.fuzz import BATCH, fuzzed, mutate, spaced
from tests.servers.kraken import Pair
from tests.servers.told import Remembering

TSLA = Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
REST = {
    "http_asset_pairs.json": dict[str, Listed],
    "http_asset_pairs_tokenized.json": dict[str, Listed],
    "http_order_book.json": dict[str, Snapshot],
    "http_server_time.json": ServerTime,
    "http_system_status.json": SystemStatus,
}
"""REST answers that the feed asks for."""


def talk(*symbols: str, depth: int = 10) -> tuple[KrakenTalk, list[Stream]]:
    """A talk and its streams, none of which has heard anything."""
    made = [
        Stream(Instrument(venue="kraken", symbol=symbol, role=Role.TOKEN), at, symbol, KrakenBook(depth))
        for at, symbol in enumerate(symbols or ("TSLAx/USD",))
    ]
    return KrakenTalk(made, depth), made


def raw(levels: list[list[str]]) -> list[Quoted]:
    """Levels of websocket v1, texts, as the book takes those of v2."""
    return [Quoted(msgspec.Raw(price.encode()), msgspec.Raw(size.encode())) for price, size, *_ in levels]


def frames(count: int = 40, seed: int = 3) -> list[str]:
    """A snapshot and updates of a book of three to six levels a side, with true checksums."""
    rng = Random(seed)
    pair = Pair("TSLAx/USD", "TSLAx", "ZUSD", "tokenized_asset", 2, 8)
    made = []
    for number in range(count):
        news: dict[str, list[Any]] = {"bids": [], "asks": []}
        for _ in range(6 if not number else rng.randint(1, 2)):
            side = rng.choice(("bids", "asks"))
            cents = rng.randrange(39_990, 40_000) if side == "bids" else rng.randrange(40_001, 40_011)
            size = Decimal(rng.choice(("0", "0.00000304", "1.5", "12", "7.00000001")) if number else "3")
            getattr(pair, side)[Decimal(cents) / 100] = size
            if not size:
                del getattr(pair, side)[Decimal(cents) / 100]
            news[side].append((Decimal(cents) / 100, size))
        kind = "update" if number else "snapshot"
        bids, asks = (pair.wire(pair.side(s) if not number else news[s]) for s in ("bids", "asks"))
        made.append(
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"TSLAx/USD","bids":{bids},"asks":{asks},'
            f'"checksum":{pair.checksum()},"timestamp":"2026-08-14T15:00:00.{number:06d}Z"}}]}}'
        )
    return made


FRAMES = frames()
OTHERS = [
    '{"channel":"heartbeat"}',
    '{"channel":"status","type":"update","data":[{"system":"online","api_version":"v2","version":"2.0.4"}]}',
    '{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"TSLAx/USD","status":"online"}]}}',
    '{"method":"pong","req_id":42,"time_in":"2023-09-25T09:05:00.123456Z","time_out":"2023-09-25T09:05:00.123500Z"}',
    '{"error":"Currency pair not supported X/USD","method":"subscribe","success":false,"symbol":"X/USD"}',
    '{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"TSLAx/USD"},"success":true}',
]


def test_every_checksum_of_the_capture_verifies(shared: Path) -> None:
    """All 2,134 checksums of the v1 capture of 2021, five pairs at depth 1,000, are those of the book code."""
    books: dict[str, KrakenBook] = {}
    checked, wrong = 0, []
    with gzip.open(shared / "data/ws_captures_2021/KRAKEN.ws.50.0.book1000.txt.gz", "rt") as lines:
        for line in lines:
            text = line.partition(": ")[2]
            if not text.startswith("["):
                continue
            _, *parts, _, pair = json.loads(text)
            book = books.setdefault(pair, KrakenBook(1000))
            said = None
            for part in parts:
                asks, bids = part.get("as", part.get("a", [])), part.get("bs", part.get("b", []))
                assert "" == book.take(raw(asks), raw(bids))
                said = part.get("c", said)
            if said is not None:
                checked += 1
                if int(said) != book.checksum():
                    wrong.append(text)
    assert (2134, []) == (checked, wrong)
    assert 5 == len(books)


def test_every_recorded_message_is_read_or_refused_with_a_reason(shared: Path) -> None:
    """Each of the 43 messages, over the side that it came from, becomes something or is counted under a word."""
    unread = []
    reasons = {}
    with gzip.open(shared / "data/venue_message_fixtures/kraken.jsonl.gz", "rt") as lines:
        messages = [json.loads(line) for line in lines]
    for message in messages:
        name, text = message["fixture"], json.dumps(message["payload"])
        if name in REST:
            assert answered(text.encode(), REST[name], "kraken")
            continue
        speaker, _ = talk("BTC/USD")
        told = Remembering()
        speaker.read(text, told)
        reasons[name] = next(iter(told.refused), "")
        if not (told.refused or told.books or told.pongs or name == "ws_subscribe_response.json"):
            unread.append(name)
    assert (43, []) == (len(messages), unread)
    # The recorded book was trimmed by hand, so that its checksum cannot be that of three levels a side.
    assert "checksum" == reasons["ws_book_snapshot.json"]
    assert "before_snapshot" == reasons["ws_book_update.json"]
    assert {"unknown_channel"} == {reasons[name] for name in reasons if name.startswith(("ws_l3", "ws_ticker"))}
    assert "" == reasons["ws_pong.json"] == reasons["ws_subscribe_response.json"]


def test_the_guides_example_of_a_checksum() -> None:
    """0.05000 at 0.00000500 counts as 5000500: the book of the venue's guide has the checksum 974947235."""
    asks = [[f"0.0{5005 + at * 5}", "0.00000500"] for at in range(10)]
    bids = [[f"0.0{at}", "0.00000500"] for at in (5000, 4995, 4990, 4980, 4975, 4970, 4965, 4960, 4955, 4950)]
    book = KrakenBook(1000)
    assert "" == book.take(raw(asks), raw(bids))
    assert 974947235 == book.checksum()


def test_a_frame_is_a_state_with_the_venues_time() -> None:
    """Each good frame is told once, in order, to the microsecond; both sides are what a plain book would be."""
    speaker, _ = talk()
    told = Remembering()
    for frame in FRAMES:
        speaker.read(frame, told)
    assert [1_786_719_600_000_000_000 + at * 1_000 for at in range(len(FRAMES))] == [ns for _, ns, _, _ in told.books]
    assert {} == dict(told.refused)


def test_a_wrong_digit_is_a_lost_book_until_the_next_snapshot() -> None:
    """A quantity that was changed on the way fails the checksum; what follows is discarded and counted."""
    speaker, (stream,) = talk()
    told = Remembering()
    speaker.read(FRAMES[0], told)
    speaker.read(FRAMES[1].replace('"qty":', '"qty":1', 1), told)
    speaker.read(FRAMES[2], told)
    assert {"checksum": 1, "before_snapshot": 1} == dict(told.refused)
    assert not stream.synced
    speaker.read(FRAMES[0], told)
    assert (2, True) == (len(told.books), stream.synced)


def test_what_falls_out_of_the_depth_is_forgotten() -> None:
    """The venue does not say that the eleventh level is gone: a book of ten is cut to ten."""
    book = KrakenBook(10)
    book.take(raw([[f"{100 + at}.0", "1.0"] for at in range(10)]), raw([["99.0", "1.0"]]))
    book.take(raw([["99.5", "1.0"]]), [])
    assert [99.5, *(100.0 + at for at in range(9))] == [price for price, _ in book.asks.levels]


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ('{"price":"400","qty":1}', "wrong_type"),
        ('{"price":{},"qty":1}', "wrong_type"),
        ('{"price":null,"qty":1}', "wrong_type"),
        ('{"price":400,"qty":true}', "wrong_type"),
        ('{"price":1e400,"qty":1}', "not_finite"),
        ('{"price":' + "9" * 400 + ',"qty":1}', "not_finite"),
        ('{"price":400,"qty":1e999}', "not_finite"),
        ('{"price":-400,"qty":1}', "not_positive"),
        ('{"price":0,"qty":1}', "not_positive"),
        ('{"price":-0,"qty":0}', "not_positive"),
        ('{"price":400,"qty":-1}', "negative_size"),
        ('{"price":NaN,"qty":1}', "not_json"),
        ('{"price":400}', "wrong_type"),
        ("[400,1]", "wrong_type"),
    ],
)
def test_a_level_that_is_none_has_a_reason(level: str, reason: str) -> None:
    """The word for it is counted once, and the book waits for a snapshot; what is no JSON changes nothing."""
    speaker, (stream,) = talk()
    told = Remembering()
    speaker.read(FRAMES[0], told)
    text = '{"channel":"book","type":"update","data":[{"symbol":"TSLAx/USD","bids":[%s],"asks":[],"checksum":1}]}'
    speaker.read(text % level, told)
    assert {reason: 1} == dict(told.refused)
    assert (reason == "not_json") == stream.synced


def test_a_broken_frame_of_one_book_leaves_the_others_alone() -> None:
    """The symbol is read where it can be; where it cannot, all books may have missed something."""
    speaker, (first, second) = talk("TSLAx/USD", "AAPLx/USD")
    first.synced = second.synced = True
    told = Remembering()
    speaker.read('{"channel":"book","type":"update","data":[{"symbol":"TSLAx/USD","bids":7}]}', told)
    assert (False, True) == (first.synced, second.synced)
    first.synced = True
    speaker.read('{"channel":"book","type":"update","data":[{"symbol":7}]}', told)
    assert (False, False) == (first.synced, second.synced)
    assert {"wrong_type": 3} == dict(told.refused)


def test_statuses_and_refusals_are_told() -> None:
    """The venue's state, a pair's status, a symbol that is not known, a subscription that was refused, a pong."""
    speaker, _ = talk("TSLAx/USD", "X/USD")
    told = Remembering()
    for text in OTHERS:
        speaker.read(text, told)
    speaker.read(OTHERS[1].replace("online", "maintenance"), told)
    speaker.read(OTHERS[2].replace("online", "cancel_only"), told)
    speaker.read('{"method":"subscribe","success":false,"error":"Exceeded msg rate"}', told)
    assert [(True, "online"), (False, "maintenance")] == told.venue
    assert [("TSLAx/USD", True, "online"), ("TSLAx/USD", False, "cancel_only")] == told.statuses
    assert ["X/USD"] == told.unknown
    assert [1_695_632_700_123_478_000] == told.pongs
    assert {"subscription_refused": 1} == dict(told.refused)


def test_a_rest_answer_that_is_none_has_a_reason() -> None:
    """An answer that cannot be read is a BadMessage, whatever is wrong with it."""
    for body in (b"", b"<html>", b'{"error":[],"result":7}', b'{"error":7}', b"[" * 100_000, b"\xff"):
        with pytest.raises(BadMessage):
            answered(body, dict[str, Snapshot], "kraken")


@fuzzed
def test_mutated_frames_never_break_the_book(rng: Random) -> None:
    """
    Whatever comes, nothing but a counted reason comes of it: no exception, no price that is none, and every frame is
    accounted for.
    """
    speaker, (stream,) = talk()
    told = Remembering()
    speaker.read(FRAMES[0], told)
    for at in range(BATCH):
        good = FRAMES[1 + at % (len(FRAMES) - 1)] if rng.random() < 0.8 else rng.choice(OTHERS)
        bent = mutate(rng, good.encode())
        speaker.read(bent if rng.random() < 0.5 else bent.decode("utf-8", "replace"), told)
        if not stream.synced:
            speaker.read(FRAMES[0], told)
            assert stream.synced
    for _, _, bid, ask in told.books:
        for level in (bid, ask):
            assert not level or (0.0 < level[0] < float("inf") and 0.0 < level[1] < float("inf"))
    assert BATCH / 4 < told.refused.total()


@fuzzed
def test_frames_with_other_whitespace_give_every_state(rng: Random) -> None:
    """Whitespace between tokens changes nothing: every frame is a state, none is refused."""
    speaker, _ = talk()
    plain, told = Remembering(), Remembering()
    for frame in FRAMES:
        speaker.read(spaced(rng, frame.encode()), told)
    other, _ = talk()
    for frame in FRAMES:
        other.read(frame, plain)
    assert (plain.books, {}) == (told.books, dict(told.refused))
