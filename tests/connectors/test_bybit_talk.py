"""Bybit's messages: numbering, whole books and changes, and what is neither."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from connectors.cex.bybit import Infos, Snapshot, answered
from connectors.cex.bybit_talk import BybitTalk
from connectors.cex.ladder import Ladder
from connectors.cex.stream import Stream
from connectors.errors import BadMessage, RateLimited, SymbolUnknown, VenueUnreachable
from connectors.instruments import Instrument, Role
from tests.fuzz import BATCH, fuzzed, mutate, spaced
from tests.servers.told import Remembering

TOPIC = "orderbook.50.TSLAXUSDT"


def talk(depth: int = 50) -> tuple[BybitTalk, Stream]:
    """A talk about one book, of which nothing has been heard."""
    instrument = Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN, quote="USDT")
    stream = Stream(instrument, 0, "TSLAXUSDT", Ladder())
    return BybitTalk((stream,), depth), stream


def book(kind: str, u: int, bids: Any = (), asks: Any = (), *, ts: int = 0, depth: int = 50, **rest: Any) -> str:
    """A message of the venue; its time is 1,000 ms a message where none is said."""
    at = ts or 1_000 * u
    data = {"s": "TSLAXUSDT", "b": bids, "a": asks, "u": u, "seq": u}
    message = {"topic": f"orderbook.{depth}.TSLAXUSDT", "ts": at + 5, "type": kind, "data": data, "cts": at, **rest}
    return json.dumps(message)


WHOLE = book("snapshot", 10, [["400.1", "3"], ["400.0", "9"]], [["400.3", "2"]])
FRAMES = [
    WHOLE,
    book("delta", 11, [["400.2", "1.5"]], []),
    book("delta", 12, [["400.2", "0"]], [["400.25", "4"], ["400.3", "0"]]),
    book("delta", 13, [["399", "1e1"]], []),
    book("snapshot", 1, [["401", "3"]], [["402", "2"]], ts=14_000),
    book("delta", 2, [["401", "4"]], [], ts=15_000),
]
OTHERS = [
    '{"success":true,"ret_msg":"","conn_id":"b2f6","req_id":"x","op":"subscribe"}',
    '{"success":true,"ret_msg":"pong","conn_id":"b2f6","op":"ping"}',
    '{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.XUSDT","op":"subscribe"}',
]


def read(speaker: BybitTalk, *texts: str | bytes) -> Remembering:
    """What a talk makes of messages."""
    told = Remembering()
    for text in texts:
        speaker.read(text, told)
    return told


def test_a_snapshot_changes_and_a_restart_of_the_service() -> None:
    """Each message is one state: a change with the engine's time, a whole book with that of its sending. Number 1 is a
    whole book, from which it is counted on.
    """
    speaker, _ = talk()
    told = read(speaker, *FRAMES)
    assert [
        ("TSLAXUSDT", 10_005_000_000, (400.1, 3.0), (400.3, 2.0)),
        ("TSLAXUSDT", 11_000_000_000, (400.2, 1.5), (400.3, 2.0)),
        ("TSLAXUSDT", 12_000_000_000, (400.1, 3.0), (400.25, 4.0)),
        ("TSLAXUSDT", 13_000_000_000, (400.1, 3.0), (400.25, 4.0)),
        ("TSLAXUSDT", 14_005_000_000, (401.0, 3.0), (402.0, 2.0)),
        ("TSLAXUSDT", 15_000_000_000, (401.0, 4.0), (402.0, 2.0)),
    ] == told.books
    assert {} == dict(told.refused)


def test_a_gap_loses_the_book_until_a_snapshot() -> None:
    """A number that was left out makes it lost; changes are not applied before the next whole book."""
    speaker, stream = talk()
    told = read(speaker, WHOLE, book("delta", 12, [["400.2", "1"]]), book("delta", 13, [["400.2", "2"]]))
    assert {"sequence_gap": 1, "before_snapshot": 1} == dict(told.refused)
    assert (1, False) == (len(told.books), stream.synced)
    told = read(speaker, book("snapshot", 14, [["400.2", "2"]], [["400.3", "2"]]), book("delta", 15, [["400.2", "7"]]))
    assert [(400.2, 2.0), (400.2, 7.0)] == [bid for _, _, bid, _ in told.books]


def test_what_comes_twice_or_late_changes_nothing() -> None:
    """A repeated or overtaken message is counted and left out, so that the state is that of the order of numbers."""
    speaker, stream = talk()
    told = read(speaker, *FRAMES[:3], FRAMES[2], FRAMES[1], WHOLE, FRAMES[3])
    assert {"duplicate": 1, "out_of_order": 2} == dict(told.refused)
    assert (4, 13) == (len(told.books), stream.update)
    assert (400.1, 400.25) == (stream.book.bids.levels[0][0], stream.book.asks.levels[0][0])


def test_numbers_that_begin_anew_unseen_are_a_gap() -> None:
    """Where the message with number 1 was lost, a small number with a later time is no late message."""
    speaker, stream = talk()
    told = read(speaker, WHOLE, book("delta", 3, [["400.2", "1"]], ts=60_000))
    assert {"sequence_gap": 1} == dict(told.refused)
    assert not stream.synced


def test_level_one_said_again_is_true_at_the_time_of_sending() -> None:
    """The same number with a later `ts` is a state of that moment, although the engine made it long ago."""
    speaker, _ = talk(1)
    again = book("snapshot", 10, [["400.1", "3"]], [["400.3", "2"]], depth=1)
    told = read(speaker, again, again.replace('"ts": 10005', '"ts": 13005'))
    assert [10_005_000_000, 13_005_000_000] == [ns for _, ns, _, _ in told.books]


@pytest.mark.parametrize("depth", [1, 50, 200])
def test_the_first_book_of_a_quiet_market_is_true_when_it_is_sent(depth: int) -> None:
    """The engine last changed it an hour ago: it is not an hour old, while a change has the engine's time. So is a book
    after a gap, and one after a restart of the service.
    """
    hour = 3_600_000
    speaker, _ = talk(depth)
    levels = [["400.1", "3"]], [["400.3", "2"]]
    first = book("snapshot", 10, *levels, ts=1_000, depth=depth).replace('"ts": 1005', f'"ts": {hour}')
    change = book("snapshot" if depth == 1 else "delta", 11, *levels, ts=hour + 1_000, depth=depth)
    restart = book("snapshot", 1, *levels, ts=hour + 1_000, depth=depth)
    restart = restart.replace(f'"ts": {hour + 1_005}', f'"ts": {2 * hour}')
    told = read(speaker, first, change, restart)
    assert [hour, hour + 1_000, 2 * hour] == [ns // 1_000_000 for _, ns, _, _ in told.books]
    assert {} == dict(told.refused)


def test_a_message_without_the_engines_time_has_that_of_sending() -> None:
    """`cts` is younger than the protocol; without it `ts` counts."""
    speaker, _ = talk()
    message = json.loads(WHOLE)
    del message["cts"]
    assert 10_005_000_000 == read(speaker, json.dumps(message)).books[0][1]


def test_deeper_than_subscribed_is_forgotten() -> None:
    """A book of 50 levels keeps 50, whether or not the venue takes the others away."""
    speaker, stream = talk()
    bids = [[f"{400 - at}", "1"] for at in range(50)]
    read(speaker, book("snapshot", 10, bids, [["401", "1"]]), book("delta", 11, [["400.5", "1"]]))
    assert (50, 400.5, 352.0) == (len(stream.book.bids), stream.book.bids.levels[0][0], stream.book.bids.levels[-1][0])


@pytest.mark.parametrize(
    ("bids", "reason"),
    [
        ([["abc", "1"]], "wrong_type"),
        ([[{}, "1"]], "wrong_type"),
        ([[True, "1"]], "wrong_type"),
        ([7], "wrong_type"),
        ([["400"]], "wrong_type"),
        ([["1_0", "1"]], "wrong_type"),
        ([[" 400", "1"]], "wrong_type"),
        ([["NaN", "1"]], "not_finite"),
        ([["inf", "1"]], "not_finite"),
        ([["400", "NaN"]], "not_finite"),
        ([["9" * 400, "1"]], "wrong_type"),
        ([["-400", "1"]], "not_positive"),
        ([["0", "1"]], "not_positive"),
        ([["400", "-1"]], "negative_size"),
    ],
)
def test_a_level_that_is_none_has_a_reason(bids: Any, reason: str) -> None:
    """The word for it is counted once, and the book is lost; the snapshot after it is a book again."""
    speaker, stream = talk()
    told = read(speaker, WHOLE, book("delta", 11, bids))
    assert ({reason: 1}, 1) == (dict(told.refused), len(told.books))
    assert not stream.synced
    assert 1 == len(read(speaker, WHOLE).books)


def test_answers_are_told_apart() -> None:
    """Granted subscriptions and pongs say nothing; an unknown topic is told, and whatever else is counted."""
    speaker, _ = talk()
    told = read(speaker, *OTHERS, OTHERS[2].replace("XUSDT", "TSLAXUSDT"), "{}", "7", "{", "[" * 100_000)
    assert ["TSLAXUSDT"] == told.unknown
    assert {"subscription_refused": 1, "wrong_type": 3, "not_json": 1} == dict(told.refused)


def test_an_answer_of_rest_is_read_or_refused_by_its_code() -> None:
    """retCode 10001 is a symbol, 10006 a limit, 10016 their server; what is no answer is a bad message."""
    good = b'{"retCode":0,"retMsg":"OK","result":{"s":"X","b":[["1.5","2"]],"a":[["1.6","3"]],"ts":1,"u":7}}'
    assert [(1.5, 2.0)] == answered(good, Snapshot, "bybit").b
    for code, error in ((10001, SymbolUnknown), (10006, RateLimited), (10016, VenueUnreachable), (7, BadMessage)):
        with pytest.raises(error):
            answered(b'{"retCode":%d,"retMsg":"no","result":{}}' % code, Infos, "bybit")
    for body in (b"", b"<html>", b'{"retCode":0,"result":[]}', b"\xff", b"[" * 100_000):
        with pytest.raises(BadMessage):
            answered(body, Infos, "bybit")


@fuzzed
def test_mutated_frames_never_break_the_book(rng: Random) -> None:
    """
    Whatever comes, nothing but a counted reason comes of it: no exception, no price that is none.
    """
    speaker, _ = talk()
    told = read(speaker, WHOLE)
    for at in range(BATCH):
        if at % 10 == 0:
            speaker, _ = talk()
            speaker.read(WHOLE, told)
        good = rng.choice(FRAMES) if rng.random() < 0.8 else rng.choice(OTHERS)
        bent = mutate(rng, good.encode())
        speaker.read(bent if rng.random() < 0.5 else bent.decode("utf-8", "replace"), told)
    for _, _, bid, ask in told.books:
        for level in (bid, ask):
            assert not level or (0.0 < level[0] < float("inf") and 0.0 < level[1] < float("inf"))
    assert BATCH / 4 < told.refused.total()


@fuzzed
def test_frames_with_other_whitespace_give_every_state(rng: Random) -> None:
    """Whitespace between tokens changes nothing: every frame is a state, none is refused."""
    speaker, _ = talk()
    told = read(speaker, *(spaced(rng, frame.encode()) for frame in FRAMES))
    assert (len(FRAMES), {}) == (len(told.books), dict(told.refused))
