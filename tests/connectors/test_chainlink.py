"""Chainlink's reports: the words, the market's status, and the poll of a local Data Streams API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.equity.chainlink import ChainlinkFeed, signature
from connectors.equity.reports import Advanced, Tokenized, decode
from connectors.errors import BadMessage
from connectors.events import NS, Flag, Health, Kind, Row, Why
from connectors.instruments import Hours, Instrument, Role, UnitModel
from connectors.provenance import unpack
from tests.servers.chainlink import KEY, SECRET, ChainlinkServer, full, v10, v11, word
from tests.servers.doors import Doors
from tests.servers.heard import Heard, setup_for

ID, TOKEN_ID, PLAIN_ID = "0x000b" + "11" * 30, "0x000a" + "22" * 30, "0x000b" + "33" * 30
TSLA = Instrument(venue="chainlink", symbol="TSLA", role=Role.SHARE, underlying="TSLA", hours=Hours.WEEKDAYS)
TOKEN = Instrument(venue="chainlink", symbol="TSLAx", role=Role.TOKEN, underlying="TSLA", token="TSLAx",
                   unit_model=UnitModel.SCALED_UI)  # fmt: skip
PLAIN = Instrument(venue="chainlink", symbol="DE", role=Role.SHARE, underlying="DE", hours=Hours.REGULAR)
POLL_S, RETRY_S = 1.0, 300.0


@asynccontextmanager
async def listening(server: ChainlinkServer, heard: Heard, doors: Doors, secret: str = SECRET) -> AsyncIterator[None]:
    """The feed running against a local API."""
    setup = setup_for(server, TSLA, TOKEN, PLAIN, sleep=doors.sleep, key=lambda: {"key": KEY, "secret": secret},
                      options={"TSLA": ID, "TSLAx": TOKEN_ID, "DE": PLAIN_ID})  # fmt: skip
    heard.against([0, 1, 2], Why.NOT_HEARD)
    numbers = {TSLA.name: 0, TOKEN.name: 1, PLAIN.name: 2}
    running = asyncio.create_task(ChainlinkFeed(setup).run(heard, numbers))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def rounds(heard: Heard, doors: Doors, server: ChainlinkServer, *reports: bytes) -> list[Row]:
    """Lets the feed read each report in turn; the rows of the share."""
    for report in reports:
        server.reports[ID] = full(report)
        before = len(doors.waits)
        doors.let(*doors.waits[-1:])
        await doors.until(lambda waits, before=before: len(waits) > before)  # type: ignore[misc]
    return [row for row in heard.rows if row.instrument == 0 and row.kind is Kind.REFERENCE]


def test_the_words_of_both_schemas() -> None:
    """Every field has the value that was written, negative prices and the widest numbers included."""
    blob = v11(ID, at=1_795_000_000, bid=433.8, ask=433.9, mid=433.85, seen_ns=2**63, status=4)
    expected = Advanced(ID, 1_795_000_000, 433.85, 2**63, 433.8, 300.0, 433.9, 400.0, 433.85, 4)
    assert expected == decode(full(blob)) == decode(full(blob)[2:].upper())
    token = v10(TOKEN_ID, at=5, price=-1.5, tokenized=402.5, status=1, multiplier=1.01, new=10.1, activates=99)
    assert Tokenized(TOKEN_ID, 5, 5 * NS, -1.5, 1, 1.01, 10.1, 99, 402.5) == decode(full(token))


REPORT = v11(ID, at=1, bid=1, ask=2)


@pytest.mark.parametrize(
    "text",
    [
        "", "0x", "zz", "0x12", full(b""), full(b"\x00\x0b" + b"\x01" * 30),
        full(bytes.fromhex("0009" + "11" * 30) * 9), full(REPORT)[:-130], "0x" + (word(1) * 3 + word(31)).hex(),
        "0x" + (word(1) * 3 + word(2**200)).hex(), full(REPORT[:-32] + word(2**40)),
        full(REPORT[: 6 * 32] + word(2**200) + REPORT[7 * 32 :]), "0x" + "00" * 200_000,
    ],
)  # fmt: skip
def test_what_is_no_report_is_said_to_be_none(text: str) -> None:
    """Cut short, of another schema, out of range or too long: BadMessage, never another error."""
    with pytest.raises(BadMessage):
        decode(text)


@given(st.binary(max_size=700))
def test_any_bytes_are_a_report_or_said_to_be_none(data: bytes) -> None:
    """Whatever the bytes, in a frame or without one."""
    for text in (data.hex(), full(data), full(bytes.fromhex("000b") + data)):
        try:
            decode(text)
        except BadMessage:
            continue


def test_the_signature_is_the_documented_one() -> None:
    """HMAC-SHA256 over method, path, hash of no body, key and milliseconds; the expected one is made by openssl."""
    expected = "5a43f689566721a31c80d2c6d3e24054f4c46f1a282cff682625fbca571ac412"
    assert expected == signature("s", "k", "/api/v1/reports/latest?feedID=0x1", 1_716_211_845_123)


async def test_a_report_is_a_quote_in_the_session_that_it_names() -> None:
    """Open sessions give a REFERENCE with that provenance and a SESSION row; closed and unknown give no price."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server, listening(server, heard, doors):
        reports = [v11(ID, at=now + status, bid=433.8, ask=433.9, status=status) for status in range(6)]
        found = await rounds(heard, doors, server, *reports)
    assert ["pre", "regular", "post", "overnight"] == [unpack(row.extra).session for row in found]  # type: ignore[union-attr]
    assert [0.0, 1.0, 2.0, 3.0, 5.0] == [
        row.bid for row in heard.rows if row.kind is Kind.SESSION and row.instrument == 0
    ]
    assert (433.8, 433.9, 300.0, 400.0, (now + 1) * NS) == (
        found[0].bid, found[0].ask, found[0].bid_size, found[0].ask_size, found[0].ts_venue)  # fmt: skip
    assert (1, 1) == (heard.rejected["chainlink", "market_unknown"], heard.rejected["chainlink", "market_closed"])


async def test_callable_is_not_fresh() -> None:
    """A report again is no news, one of before is out of order, a price not seen for six minutes is stale."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server, listening(server, heard, doors):
        found = await rounds(
            heard, doors, server,
            v11(ID, at=now, bid=433.8, ask=433.9), v11(ID, at=now, bid=433.8, ask=433.9),
            v11(ID, at=now - 9, bid=99.0, ask=99.1),
            v11(ID, at=now + 1, bid=433.8, ask=433.9, seen_ns=(now - 360) * NS),
            v11(ID, at=now + 2, bid=433.8, ask=433.9, seen_ns=(now - 360) * NS, status=4),
        )  # fmt: skip
    assert [now * NS, (now + 2) * NS] == [row.ts_venue for row in found]
    assert (1, 1) == (heard.rejected["chainlink", "stale"], heard.rejected["chainlink", "out_of_order"])


async def test_overnight_mid_may_be_zero_and_a_report_without_a_book_is_one_price() -> None:
    """Bid and ask count where they are; else mid, as old as it was last seen; else nothing."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server, listening(server, heard, doors):
        found = await rounds(
            heard, doors, server,
            v11(ID, at=now, bid=433.8, ask=433.9, mid=0.0, status=4),
            v11(ID, at=now + 1, bid=0.0, ask=0.0, mid=433.0, seen_ns=(now - 20) * NS),
            v11(ID, at=now + 2, bid=0.0, ask=0.0, mid=0.0, status=4),
        )  # fmt: skip
    assert [(433.8, now * NS), (433.0, (now - 20) * NS)] == [(row.bid, row.ts_venue) for row in found]
    assert Flag.ONE_PRICE == found[1].flags
    assert 1 == heard.rejected["chainlink", "no_quote"]


async def test_a_token_has_its_exchange_price_and_its_multipliers() -> None:
    """The multiplier in force and the coming one are rows once; a change of them is told again."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server:
        for at in range(3):
            server.reports[TOKEN_ID] = full(v10(TOKEN_ID, at=now + at, price=400, tokenized=404, multiplier=1.01,
                                                new=10.1 if at else 0.0, activates=now + 500 if at else 0))  # fmt: skip
            if not at:
                running = listening(server, heard, doors)
                await running.__aenter__()
            else:
                doors.let()
            await heard.until(lambda at=at: sum(row.kind is Kind.QUOTE for row in heard.rows) == at + 1)  # type: ignore[misc]
        await running.__aexit__(None, None, None)
    multipliers = [(row.bid, row.ask) for row in heard.rows if row.kind is Kind.MULTIPLIER]
    assert [1.01, 1.01, 10.1] == [value for value, _ in multipliers]
    assert float(now + 500) == multipliers[2][1]
    assert [404.0] * 3 == [row.bid for row in heard.rows if row.kind is Kind.QUOTE]


async def test_one_feed_that_the_key_may_not_have_leaves_the_others() -> None:
    """403 on one id is ENTITLEMENT of that instrument; the other is up; when it is allowed again it heals."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server:
        server.denied = {TOKEN_ID}
        server.reports[ID] = full(v11(ID, at=now, bid=433.8, ask=433.9))
        server.bodies[PLAIN_ID] = "<html>maintenance</html>"
        async with listening(server, heard, doors):
            await heard.until(lambda: heard.standing.state(1) == (Health.DOWN, Why.ENTITLEMENT))
            await heard.until(lambda: heard.standing.state(0) == (Health.UP, Why.NOTHING))
            server.denied = set()
            server.reports[TOKEN_ID] = full(v10(TOKEN_ID, at=now, price=400, tokenized=404))
            doors.let()
            await heard.until(lambda: heard.standing.state(1) == (Health.UP, Why.NOTHING))
    assert RETRY_S in doors.waits
    assert 0 == server.unsigned


async def test_a_wrong_secret_is_refused_and_not_told() -> None:
    """401 on every id; nothing that is told has the secret."""
    heard, doors = Heard(), Doors(POLL_S, RETRY_S)
    async with ChainlinkServer() as server, listening(server, heard, doors, secret="canary-secret-1"):
        await heard.until(lambda: heard.standing.state(2) == (Health.DOWN, Why.ENTITLEMENT))
        assert server.unsigned >= 3
    assert "canary" not in repr(heard.details)


async def test_a_report_of_another_feed_is_refused() -> None:
    """11. The wrong symbol under the right address: no row."""
    heard, doors, now = Heard(), Doors(POLL_S, RETRY_S), int(time.time()) - 50
    async with ChainlinkServer() as server:
        server.reports[ID] = full(v11(PLAIN_ID, at=now, bid=99.0, ask=99.1))
        async with listening(server, heard, doors):
            await heard.until(lambda: ("chainlink", "bad_message") in heard.rejected)
    assert not any(row.kind is Kind.REFERENCE for row in heard.rows)


async def probed(server: ChainlinkServer, secret: str = SECRET) -> list[tuple[str, str, bool | None]]:
    """What a probe finds."""
    setup = setup_for(server, TSLA, TOKEN, PLAIN, key=lambda: {"key": KEY, "secret": secret},
                      options={"TSLA": ID, "TSLAx": TOKEN_ID, "DE": PLAIN_ID})  # fmt: skip
    found = await ChainlinkFeed(setup).probe()
    assert secret not in repr(found)
    return [(f.what, f.subject, f.ok) for f in found]


async def test_a_probe_tells_rights_and_feeds_one_by_one() -> None:
    """A feed that is there, one that the key may not have, one that there is not."""
    async with ChainlinkServer() as server:
        server.reports[ID] = full(v11(ID, at=int(time.time()), bid=433.0, ask=434.0))
        server.denied = {TOKEN_ID}
        found = await probed(server)
    assert [("symbol", "TSLA", True), ("entitlement", "TSLA", True), ("entitlement", "TSLAx", False),
            ("symbol", "DE", False), ("latency", "", True)] == found  # fmt: skip


async def test_a_probe_with_a_wrong_secret_is_refused() -> None:
    """Each feed says that it is, and no symbol is said to be missing."""
    async with ChainlinkServer() as server:
        found = await probed(server, "wrong-canary-secret")
    assert {("entitlement", False)} == {(what, ok) for what, _, ok in found}


async def test_a_probe_of_nobody_is_one_finding() -> None:
    """A venue that is not there is not asked about each feed."""
    async with ChainlinkServer() as server:
        server.refuse = (503, {})
        found = await probed(server)
    assert [("reachable", "TSLA", False)] == found
