"""Share sources under frames bent out of shape: a row is finite and positive, everything else has a reason."""

from __future__ import annotations

import base64
import json
from collections import Counter
from math import isfinite
from random import Random

import msgpack
import numpy as np

from bot.inbox import Inbox
from connectors.equity import alpaca_messages as wire
from connectors.equity import alpaca_rest as rest
from connectors.equity.alpaca_ask import Ask
from connectors.equity.alpaca_stream import Stream
from connectors.equity.corporate import ex_moment_s, flaw
from connectors.equity.pricing import decode
from connectors.equity.pyth import prices
from connectors.equity.reports import decode as decode_report
from connectors.errors import BadMessage, ConnectorError
from connectors.events import Kind, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import FeedSetup
from connectors.provenance import Source
from tests.fuzz import BATCH, fuzzed, mutate, spaced
from tests.servers.alpaca import KEY, SECRET, latest, stamp
from tests.servers.chainlink import full, v10, v11

NOW = 1_795_000_000 * 10**9
UNIVERSE = Universe(
    tuple(Instrument(venue="alpaca", symbol=s, role=Role.SHARE, underlying=s) for s in ("TSLA", "NVDA"))
)
QUOTE = {"T": "q", "S": "TSLA", "bx": "V", "bp": 433.8, "bs": 100, "ax": "Q", "ap": 433.9, "as": 200, "c": ["R"],
         "z": "C"}  # fmt: skip
TRADE = {"T": "t", "S": "NVDA", "i": 96921, "x": "D", "p": 180.5, "s": 10, "c": ["@"], "z": "C"}
FRAMES = [
    [QUOTE], [TRADE], [QUOTE, TRADE, {**QUOTE, "S": "NVDA", "bp": 180.0, "ap": 180.1}],
    [{"T": "s", "S": "TSLA", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "", "z": "C"}],
    [{"T": "l", "S": "TSLA", "u": 440.0, "d": 420.0, "i": "B", "z": "C"}],
]  # fmt: skip
CONTROL = [
    [{"T": "success", "msg": "connected"}], [{"T": "success", "msg": "authenticated"}],
    [{"T": "subscription", "trades": ["TSLA"], "quotes": ["TSLA"], "bars": []}],
    [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}],
]  # fmt: skip
JSON = [json.dumps([{**m, "t": stamp(NOW)} for m in frame]).encode() for frame in FRAMES]
JSON += [json.dumps(frame).encode() for frame in CONTROL]
PACKED = [msgpack.packb([{**m, "t": msgpack.Timestamp.from_unix_nano(NOW)} for m in frame]) for frame in FRAMES]
PACKED += [msgpack.packb(frame) for frame in CONTROL]


def listening() -> tuple[Stream, Inbox]:
    """A stream of Alpaca before the production door."""
    inbox = Inbox(UNIVERSE, clock=lambda: NOW)
    setup = FeedSetup(
        venue="alpaca", instruments=tuple(UNIVERSE), clock=lambda: NOW, monotonic=lambda: 0.0, sleep=None,  # type: ignore[arg-type]
        rng=np.random.default_rng(1), key=lambda: {"key": KEY, "secret": SECRET},
    )  # fmt: skip
    stream = Stream(Ask(setup, inbox), inbox, {"TSLA": 0, "NVDA": 1}, packed=False)
    stream.source = Source.SIP
    stream.begun()
    return stream, inbox


def sound(rows: Rows | None) -> int:
    """How many rows carry a price; each of them must be one."""
    if rows is None:
        return 0
    priced = np.isin(rows.kind, (Kind.REFERENCE, Kind.TRADE))
    for side in (rows.bid[priced], rows.ask[priced]):
        assert np.all(np.isfinite(side)) and np.all(side > 0)
    return int(priced.sum())


@fuzzed
def test_alpaca_s_stream_survives_any_frame(rng: Random) -> None:
    """Mutated JSON and MessagePack: only the errors of our tree, only sound rows, each refusal counted."""
    stream, inbox = listening()
    for _ in range(BATCH):
        packed = rng.random() < 0.4
        data = mutate(rng, rng.choice(PACKED if packed else JSON))
        try:
            frame: str | bytes = data if packed else data.decode()
        except UnicodeDecodeError:
            frame = data
        try:
            stream.hear(frame)
        except ConnectorError:
            stream.begun()
        sound(inbox.take())


@fuzzed
def test_alpaca_s_good_frames_give_all_of_their_rows(rng: Random) -> None:
    """Unmutated in both codings, and with other whitespace: every quote and trade is a row."""
    for frame, packed, expected in zip(JSON, PACKED, (1, 1, 3, 0, 0), strict=False):
        for said in (frame.decode(), spaced(rng, frame).decode(), packed):
            stream, inbox = listening()
            stream.hear(said)
            assert expected == sound(inbox.take())
            assert {} == {key: n for key, n in inbox.rejected.items() if key[1] != "halted"}


ADVANCED = full(v11("0x000b" + "11" * 30, at=5, bid=1.0, ask=2.0)).encode()
TOKENIZED = full(v10("0x000a" + "11" * 30, at=5, price=1, tokenized=2)).encode()
BODIES = [
    (rest.latest, json.dumps({"quotes": {"TSLA": latest(433.8, 433.9, NOW)}}).encode()),
    (rest.clock, json.dumps({"timestamp": stamp(NOW), "is_open": True}).encode()),
    (rest.calendar, b'[{"date":"2026-11-27","open":"09:30","close":"13:00","session_open":"0400"}]'),
    (rest.actions, b'{"corporate_actions":{"forward_splits":[{"symbol":"TSLA","new_rate":10,"old_rate":1,'
                   b'"ex_date":"2026-12-07"}],"cash_dividends":[{"symbol":"A","rate":0.1,"ex_date":"2026-12-07"}]},'
                   b'"next_page_token":null}'),
    (lambda body: list(prices(body)), b'{"binary":{"data":["50"]},"parsed":[{"id":"16da","price":{"price":"43380934",'
                                      b'"conf":"12000","expo":-5,"publish_time":1700000000},"metadata":{"slot":1}}]}'),
    (lambda body: decode_report(body.decode("latin-1")), ADVANCED),
    (lambda body: decode_report(body.decode("latin-1")), TOKENIZED),
    (lambda body: decode(base64.b64decode(body)), base64.b64encode(b"\x0a\x04TSLA\x15\x00\x00\xd8\x43\x18\x80\x01")),
]  # fmt: skip


@fuzzed
def test_every_other_reader_answers_or_says_bad_message(rng: Random) -> None:
    """REST answers of Alpaca, updates of Pyth, reports of Chainlink, messages of Yahoo: no other error leaves them."""
    said: Counter[str] = Counter()
    for _ in range(BATCH):
        read, body = rng.choice(BODIES)
        try:
            found = read(mutate(rng, body))
        except (BadMessage, ValueError) as error:
            assert isinstance(error, BadMessage) or type(error).__name__ == "Error", repr(error)  # base64's own
            said["refused"] += 1
            continue
        said["read"] += 1
        for one in found if isinstance(found, list) else ():
            assert isinstance(one, str) or (isfinite(one.low) and isfinite(one.high))
        for action in found[0] if isinstance(found, tuple) and read is rest.actions else ():
            assert flaw(action) or ex_moment_s(action.ex_date) > 0


def test_every_good_body_is_read() -> None:
    """The control: unmutated, none is refused."""
    for read, body in BODIES:
        assert read(body)
    assert [433.8] == [q.bid for q in [wire.quote(m, Source.SIP) for m in wire.messages(JSON[0].decode())]]  # type: ignore[union-attr, arg-type]
