"""Pyth's prices from a local Hermes, streamed and polled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.equity.pyth import PythFeed, prices
from connectors.errors import BadMessage
from connectors.events import NS, Flag, Health, Kind, Row, Why
from connectors.instruments import Instrument, Role
from connectors.provenance import Source, unpack
from tests.servers.doors import Doors
from tests.servers.heard import Heard, setup_for
from tests.servers.pyth import PythServer

TSLA = Instrument(venue="pyth", symbol="TSLA", role=Role.SHARE, underlying="TSLA")
ODD = Instrument(venue="pyth", symbol="ODD", role=Role.SHARE, underlying="ODD")
TSLA_ID = "16dad506d7db8da01c87581c87ca897a012a153557d4d578c3b9c9e1bc0632f1"
ODD_ID = "ab" * 32
RETRY_S, POLL_S = 300.0, 5.0


@asynccontextmanager
async def listening(
    server: PythServer, heard: Heard, doors: Doors | None = None, *, key: str = "", **options: Any
) -> AsyncIterator[PythFeed]:
    """The feed running against a local Hermes."""
    sleep = (doors or Doors(RETRY_S, POLL_S)).sleep
    setup = setup_for(server, TSLA, ODD, sleep=sleep, key=lambda: {"key": key} if key else {},
                      options={"ODD": ODD_ID, **options})  # fmt: skip
    feed = PythFeed(setup)
    heard.against([0, 1], Why.NOT_HEARD)
    running = asyncio.create_task(feed.run(heard, {TSLA.name: 0, ODD.name: 1}))
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def rows(heard: Heard, number: int = 0) -> list[Row]:
    """Price rows of an instrument."""
    return [row for row in heard.rows if row.instrument == number and row.kind is Kind.REFERENCE]


@pytest.mark.parametrize("options", [{}, {"poll_s": POLL_S}])
async def test_a_price_and_its_confidence_are_bid_and_ask(options: dict[str, Any]) -> None:
    """Streamed or polled: 43380934 -/+ 12000 with expo -5 is 433.68934 to 433.92934, at its time of publishing."""
    heard, now = Heard(), int(time.time())
    async with PythServer() as server:
        await server.say(TSLA_ID, "43380934", "12000", at=now)
        async with listening(server, heard, **options):
            await heard.until(lambda: bool(rows(heard)))
    row = rows(heard)[0]
    assert (433.68934, 433.92934, now * NS) == (row.bid, row.ask, row.ts_venue)
    assert unpack(row.extra).source is Source.PYTH  # type: ignore[union-attr]


async def test_an_update_of_before_is_no_news() -> None:
    """Hermes repeats the last update while a market is closed: it is told once; a newer one is told."""
    heard, doors, now = Heard(), Doors(RETRY_S, POLL_S), int(time.time()) - 100
    async with PythServer() as server, listening(server, heard, doors):
        await server.until(lambda: bool(server.streams))
        for at, price in ((now, "43380934"), (now, "43380934"), (now - 5, "99980934"), (now + 1, "43390934")):
            await server.say(TSLA_ID, price, "0", at=at)
        await heard.until(lambda: len(rows(heard)) == 2)
    assert [433.80934, 433.90934] == [row.bid for row in rows(heard)]
    assert {Flag.ONE_PRICE} == {row.flags for row in rows(heard)}


async def test_a_stream_that_is_cut_is_back() -> None:
    """The instruments are down until the next life speaks."""
    heard = Heard()
    async with PythServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.streams))
        await server.say(TSLA_ID, "43380934", "12000", at=int(time.time()) - 9)
        await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
        server.end()
        await heard.until(lambda: heard.standing.state(0) == (Health.DOWN, Why.NOT_HEARD))
        await server.until(lambda: bool(server.streams))
        await server.say(TSLA_ID, "43390934", "12000")
        await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("options", [{}, {"poll_s": POLL_S}])
async def test_without_entitlement_it_is_down_for_that_and_heals(status: int, options: dict[str, Any]) -> None:
    """A refusal is told as ENTITLEMENT and asked about slowly; when it is lifted, prices come."""
    heard, doors = Heard(), Doors(RETRY_S, POLL_S)
    async with PythServer() as server:
        server.denied = status
        async with listening(server, heard, doors, **options):
            await heard.until(lambda: heard.standing.state(0) == (Health.DOWN, Why.ENTITLEMENT))
            server.denied = 0
            await server.say(TSLA_ID, "43380934", "12000")
            doors.let()
            await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
    assert RETRY_S in doors.waits


async def test_the_token_is_sent_and_never_told() -> None:
    """With the right token prices come; a wrong one is refused, and no text has it."""
    heard, bad = Heard(), Heard()
    async with PythServer() as server:
        server.token = "hermes-canary-token"
        await server.say(TSLA_ID, "43380934", "12000")
        async with listening(server, heard, key="hermes-canary-token"):
            await heard.until(lambda: bool(rows(heard)))
        async with listening(server, bad, key="other-canary-token"):
            await bad.until(lambda: bool(bad.rejected))
    assert "canary" not in repr(bad.details)


@pytest.mark.parametrize("options", [{}, {"poll_s": POLL_S}])
async def test_retry_after_is_kept(options: dict[str, Any]) -> None:
    """A 429 that asks for a minute gets a minute."""
    heard, doors = Heard(), Doors(RETRY_S, POLL_S)
    async with PythServer() as server:
        server.limited = "61"
        async with listening(server, heard, doors, **options):
            await doors.until(lambda waits: any(60.0 < wait <= 61.0 for wait in waits))
            server.limited = ""
            await server.say(TSLA_ID, "43380934", "12000")
            doors.let()
            await heard.until(lambda: bool(rows(heard)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('data:{"parsed": 5}\n\n', "bad_message"),
        ("data:<html>\n\n", "bad_message"),
        ('data:{"parsed":[{"id":"x"}]}\n\n', "wrong_type"),
        (
            'data:{"parsed":[{"id":"00","price":{"price":"1","conf":"0","expo":0,"publish_time":5}}]}\n\n',
            "unknown_symbol",
        ),
    ],
)
async def test_garbage_on_the_stream_is_counted_and_ends_nothing(text: str, why: str) -> None:
    """The next event is heard on the same connection; comments and unknown fields are passed over."""
    heard = Heard()
    async with PythServer() as server, listening(server, heard):
        await server.until(lambda: bool(server.streams))
        await server.raw(": comment\n\nevent: x\n\n" + text)
        await server.say(TSLA_ID, "43380934", "12000")
        await heard.until(lambda: bool(rows(heard)))
    assert 1 == heard.rejected["pyth", why]


@pytest.mark.parametrize(
    "value",
    [
        {"price": "NaN"}, {"price": 5}, {"price": "1" * 26}, {"conf": "-1"}, {"expo": 400}, {"expo": -400},
        {"expo": "x"}, {"publish_time": -1}, {"publish_time": 1 << 40}, {"price": "1e5"}, {"price": "\u0661"},
    ],
)  # fmt: skip
def test_numbers_that_no_price_has_are_refused(value: dict[str, Any]) -> None:
    """Each is told as text in the place of a price."""
    price = {"price": "43380934", "conf": "1", "expo": -5, "publish_time": 1_700_000_000, **value}
    (found,) = prices(json.dumps({"parsed": [{"id": TSLA_ID, "price": price}]}))
    assert isinstance(found, str)


def test_an_instrument_without_an_id_is_refused_with_what_to_write() -> None:
    """Neither registry nor options know it."""
    with pytest.raises(BadMessage, match="the id of ODD is not known"):
        PythFeed(setup_for(PythServer(), ODD))


async def test_an_id_that_hermes_does_not_know_is_named_and_the_others_go_on() -> None:
    """It is down as not listed until it has a price; it does not take the others with it."""
    heard = Heard()
    async with PythServer() as server:
        await server.say(TSLA_ID, "43380934", "12000", at=int(time.time()) - 9)
        async with listening(server, heard):
            await heard.until(lambda: Why.NOT_LISTED in heard.standing.reasons(1))
            await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
            await server.until(lambda: bool(server.streams))
            await server.say(ODD_ID, "43380934", "12000")
            await heard.until(lambda: heard.standing.state(1) == (Health.UP, Why.NOTHING))
    assert ODD_ID in heard.details["pyth", "symbol_unknown"]


async def test_a_stream_that_says_nothing_at_all_is_a_fault() -> None:
    """Without a first event in time the stream is opened anew."""
    heard = Heard()
    async with PythServer() as server:
        server.mute = True
        setup = setup_for(server, TSLA, first_message_s=0.05)
        running = asyncio.create_task(PythFeed(setup).run(heard, {TSLA.name: 0}))
        await server.until(lambda: server.connections >= 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert heard.rejected["pyth", "silent"] >= 1


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        (0, [("entitlement", "", True), ("symbol", "TSLA", True), ("symbol", "ODD", False), ("latency", "", True)]),
        (401, [("entitlement", "", False)]),
        (403, [("entitlement", "", False)]),
        (503, [("reachable", "", False)]),
    ],
)
async def test_a_probe_tells_rights_and_ids(denied: int, expected: list[tuple[str, str, bool]]) -> None:
    """An id with a price and one without; where we are refused or nobody is there, that alone."""
    async with PythServer() as server:
        server.denied = denied
        await server.say(TSLA_ID, "43380934", "12000")
        found = await PythFeed(setup_for(server, TSLA, ODD, options={"ODD": ODD_ID})).probe()
    assert expected == [(f.what, f.subject, f.ok) for f in found]
