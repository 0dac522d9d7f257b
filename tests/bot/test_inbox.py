"""The door: what it refuses and why, what overtakes what, how time goes through it, and that it stays small."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.clock import cpu_s, wall_ns
from bot.inbox import Inbox
from connectors.events import NAN, NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.provenance import Source, pack, unpack
from tests.servers.heard import no_wait

UNIVERSE = Universe(
    (
        Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN),
        Instrument(venue="bybit", symbol="TSLAX/USDT", role=Role.TOKEN),
        Instrument(venue="yahoo", symbol="TSLA", role=Role.SHARE),
    )
)
NOW = 1_786_720_800 * NS
HOUR = 3600 * NS
INF = float("inf")


class Watch:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def door(**options: Any) -> tuple[Inbox, Watch]:
    """An inbox and its clock."""
    watch = Watch()
    return Inbox(UNIVERSE, clock=watch, **options), watch


def quote(inbox: Inbox, instrument: int = 0, bid: Any = 400.0, ask: Any = 400.5, **fields: Any) -> None:
    """Puts a QUOTE."""
    inbox.put(fields.pop("kind", Kind.QUOTE), instrument, bid=bid, ask=ask, **fields)


def taken(inbox: Inbox) -> list[Row]:
    """What the inbox hands out now."""
    block = inbox.take()
    return [] if block is None else list(block)


def test_a_row_comes_out_as_it_went_in_with_its_receive_time() -> None:
    """All ten fields arrive; the receive time is the clock's."""
    inbox, _ = door()
    quote(inbox, 1, bid=1.5, ask=2.5, ts_venue=NOW - 7, bid_size=3.0, ask_size=4.0, extra=5.0, flags=Flag.HALTED)
    expected = Row(
        ts_recv=NOW, instrument=1, kind=Kind.QUOTE, ts_venue=NOW - 7, flags=Flag.HALTED,
        bid=1.5, ask=2.5, bid_size=3.0, ask_size=4.0, extra=5.0,
    )  # fmt: skip
    assert [expected] == taken(inbox)
    assert [] == taken(inbox)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("crossed", {"bid": 401.0}),
    ("crossed", {"bid": 400.5}),
    ("crossed", {"bid": 401.0, "flags": int(Flag.ONE_PRICE)}),
    ("not_positive", {"bid": 0.0}),
    ("not_positive", {"bid": -1.0}),
    ("not_finite", {"bid": NAN}),
    ("not_finite", {"ask": NAN}),
    ("not_finite", {"ask": INF}),
    ("not_finite", {"bid": -INF}),
    ("not_finite", {"bid_size": INF}),
    ("negative_size", {"bid_size": -1.0}),
    ("negative_size", {"ask_size": -0.5}),
    ("ancient", {"ts_venue": NOW - 25 * HOUR}),
    ("ancient", {"ts_venue": -1}),
    ("ancient", {"ts_venue": -(10**30)}),
    ("future", {"ts_venue": NOW + 6 * NS}),
    ("future", {"ts_venue": 10**30}),
    ("wrong_type", {"bid": "400"}),
    ("wrong_type", {"ask": None}),
    ("wrong_type", {"bid": True}),
    ("wrong_type", {"bid": Decimal(400)}),
    ("wrong_type", {"bid": {}}),
    ("wrong_type", {"ask": 10**400}),
    ("wrong_type", {"bid": 10**5000}),
    ("wrong_type", {"ask_size": "3"}),
    ("wrong_type", {"ts_venue": "yesterday"}),
    ("wrong_type", {"kind": 99}),
    ("crossed", {"kind": Kind.TRADE}),
    ("crossed", {"kind": Kind.FX, "bid": 500.0}),
]


@pytest.mark.parametrize(("reason", "fields"), REFUSED)
def test_what_cannot_be_true_is_counted_by_venue_and_reason(reason: str, fields: dict[str, Any]) -> None:
    """An implausible row is counted and goes no further; the row after it does."""
    inbox, _ = door()
    quote(inbox, **fields)
    assert {("kraken", reason): 1} == dict(inbox.rejected)
    quote(inbox)
    assert 1 == len(taken(inbox)) == inbox.taken


@pytest.mark.parametrize("instrument", [-1, 3, 2**40])
def test_an_unknown_instrument_is_refused(instrument: int) -> None:
    """A number that the universe does not hold never becomes a row."""
    inbox, _ = door()
    quote(inbox, instrument)
    assert {("", "unknown_instrument"): 1} == dict(inbox.rejected)
    assert [] == taken(inbox)


def test_one_price_may_have_no_spread() -> None:
    """bid = ask is a quote only with the flag ONE_PRICE."""
    inbox, _ = door()
    quote(inbox, 2, kind=Kind.REFERENCE, bid=400.0, ask=400.0, flags=int(Flag.ONE_PRICE))
    assert [400.0] == [row.ask for row in taken(inbox)]


def test_what_is_old_by_its_venues_time_is_no_news() -> None:
    """A share's price may be ten minutes old by its source's time, a token's quote and Friday's close may not."""
    inbox, _ = door()
    quote(inbox, 2, kind=Kind.REFERENCE, ts_venue=NOW - 600 * NS)
    quote(inbox, 0, ts_venue=NOW - 600 * NS)
    quote(inbox, 2, kind=Kind.REFERENCE, ts_venue=NOW - 60 * HOUR)
    assert [Kind.REFERENCE] == [row.kind for row in taken(inbox)]
    assert 2 == sum(count for (_, reason), count in inbox.rejected.items() if reason == "ancient")


def test_a_source_that_says_how_late_it_is_may_be_so_much_older() -> None:
    """The delayed tape is a quarter of an hour late: a price of 25 minutes ago passes, one of 31 does not, and from a
    source that says nothing of the kind neither does.
    """
    inbox, _ = door()
    for minutes, source in ((25, Source.DELAYED_SIP), (31, Source.DELAYED_SIP), (25, Source.SIP), (14, Source.SIP)):
        quote(inbox, 2, kind=Kind.REFERENCE, ts_venue=NOW - minutes * 60 * NS, extra=pack(source, "regular"))
    assert [Source.DELAYED_SIP, Source.SIP] == [unpack(row.extra).source for row in taken(inbox)]  # type: ignore[union-attr]
    assert {("yahoo", "ancient"): 2} == dict(inbox.rejected)


def test_numbers_of_other_libraries_are_numbers() -> None:
    """Integers and numpy scalars are taken as floats."""
    inbox, _ = door()
    quote(inbox, bid=np.float32(400.0), ask=401, bid_size=np.int64(3))
    row = taken(inbox)[0]
    assert (400.0, 401.0, 3.0) == (row.bid, row.ask, row.bid_size)


def test_a_newer_quote_overtakes_the_unread_older_one() -> None:
    """Both are handed out in order, the older one flagged; another instrument is not touched."""
    inbox, _ = door()
    quote(inbox, 0, bid=1.0)
    quote(inbox, 1, bid=2.0)
    quote(inbox, 0, bid=3.0)
    quote(inbox, 0, bid=4.0)
    rows = taken(inbox)
    assert [(1.0, Flag.SUPERSEDED), (2.0, Flag(0)), (3.0, Flag.SUPERSEDED), (4.0, Flag(0))] == [
        (row.bid, row.flags) for row in rows
    ]
    assert 2 == inbox.superseded


def test_what_was_read_is_not_overtaken() -> None:
    """A quote in a later block flags nothing in the block before it, nor anything of its own."""
    inbox, _ = door()
    quote(inbox, bid=1.0)
    first = taken(inbox)
    quote(inbox, bid=2.0)
    assert [Flag(0), Flag(0)] == [row.flags for row in first + taken(inbox)]


def test_trades_fills_and_health_are_never_overtaken() -> None:
    """Only a book has a newer state; what happened, happened."""
    inbox, _ = door()
    for kind in (Kind.TRADE, Kind.FILL, Kind.CONVERSION, Kind.HEALTH):
        for _ in range(2):
            quote(inbox, kind=kind, bid=1.0, ask=1.0)
    assert [Flag(0)] * 8 == [row.flags for row in taken(inbox)]


def test_receive_time_never_runs_backwards() -> None:
    """A clock that jumps back gives rows of the last time, flagged and counted, until it has caught up."""
    inbox, watch = door()
    for offset in (0, -HOUR, -1, 1):
        watch.now = NOW + offset
        quote(inbox, kind=Kind.TRADE, bid=1.0, ask=1.0)
    rows = taken(inbox)
    assert [NOW, NOW, NOW, NOW + 1] == [row.ts_recv for row in rows]
    assert [Flag(0), Flag.RAISED, Flag.RAISED, Flag(0)] == [row.flags for row in rows]
    assert 2 == inbox.raised


def test_the_inbox_stays_within_its_capacity() -> None:
    """Under a flood the newest quotes stay, overtaken ones are let go and counted, and fills are all there."""
    inbox, _ = door(capacity=100)
    for n in range(10_000):
        quote(inbox, n % 3, bid=1.0 + n / 1e6)
        if n % 1000 == 0:
            quote(inbox, 0, kind=Kind.FILL, bid=float(n), ask=0.0)
        assert len(inbox) <= 110
    rows = taken(inbox)
    assert 10 == sum(row.kind is Kind.FILL for row in rows)
    newest = {row.instrument: row.bid for row in rows if row.kind is Kind.QUOTE and not row.flags & Flag.SUPERSEDED}
    assert {0: 1.009999, 1: 1.009997, 2: 1.009998} == newest
    assert 10_010 == inbox.taken == len(rows) + inbox.let_go


def test_a_flood_of_trades_is_refused_but_a_fill_still_enters() -> None:
    """What cannot be overtaken is refused when the inbox is full, counted; a fill is never dropped."""
    inbox, _ = door(capacity=10)
    for _ in range(15):
        quote(inbox, kind=Kind.TRADE, bid=1.0, ask=1.0)
    quote(inbox, kind=Kind.FILL, bid=2.0, ask=0.0)
    assert 5 == inbox.rejected["kraken", "inbox_full"]
    assert [Kind.TRADE] * 10 + [Kind.FILL] == [row.kind for row in taken(inbox)]


def test_messages_of_feeds_are_counted_beside_refused_rows() -> None:
    """`reject` counts by venue and reason and keeps the last words, cut short."""
    inbox, _ = door()
    inbox.reject("kraken", "not_json", "x" * 10_000)
    inbox.reject("kraken", "not_json", "last")
    assert 2 == inbox.rejected["kraken", "not_json"]
    assert "last" == inbox.details["kraken", "not_json"]


def test_taps_see_every_block_first() -> None:
    """What the engine gets, the recorder got before it, overtaken rows included."""
    inbox, _ = door()
    seen: list[Rows] = []
    inbox.taps.append(seen.append)
    quote(inbox, bid=1.0)
    quote(inbox, bid=2.0)
    block = inbox.take()
    assert [block] == seen
    assert [Flag.SUPERSEDED, Flag(0)] == [row.flags for row in seen[0]]


async def test_a_reader_is_handed_what_has_arrived_since_its_last_look() -> None:
    """Rows put while the reader is busy come as one block, and the end comes after the last of them."""
    inbox, _ = door()
    sizes: list[int] = []

    async def read() -> None:
        async for rows in inbox:
            sizes.append(len(rows))
            if len(sizes) == 1:
                for n in range(5):
                    quote(inbox, bid=1.0 + n)
                inbox.close()

    reading = asyncio.create_task(read())
    await no_wait(0)
    quote(inbox)
    await reading
    assert [1, 5] == sizes


async def test_silence_makes_a_tick_and_rows_make_none() -> None:
    """A TICK with the clock's time comes only when the inbox was empty for the timer."""
    inbox, watch = door(timer_s=0.01)
    first = await anext(inbox)
    watch.now += NS
    quote(inbox)
    second = await anext(inbox)
    third = await anext(inbox)
    assert [[Kind.TICK], [Kind.QUOTE], [Kind.TICK]] == [[row.kind for row in block] for block in (first, second, third)]
    assert [NOW, NOW + NS, NOW + NS] == [int(block.ts_recv[0]) for block in (first, second, third)]
    assert 2 == inbox.ticks


async def test_a_tick_is_nobodys_word() -> None:
    """Time that passes makes no instrument heard: a venue that never spoke is not taken for alive."""
    inbox, watch = door(timer_s=0.01)
    await anext(inbox)
    assert (1, 0) == (inbox.ticks, sum(inbox.heard))
    watch.now += NS
    quote(inbox)
    assert 1 == sum(inbox.heard)


def _numbers() -> st.SearchStrategy[Any]:
    wild = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans(), st.decimals())
    return st.one_of(st.floats(min_value=0.1, max_value=1e6), wild)


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"kind": st.sampled_from([k for k in Kind if k not in (Kind.FILL, Kind.CONVERSION)])},
            optional={n: _numbers() for n in ("bid", "ask", "bid_size", "ask_size", "extra", "ts_venue")},
        ),
        max_size=30,
    )
)
def test_whatever_a_feed_puts_the_door_never_raises_and_hands_out_only_true_books(rows: list[dict[str, Any]]) -> None:
    """Anything at all: every row is handed out or counted, every book that comes out is one, times never fall."""
    inbox, _ = door()
    for at, fields in enumerate(rows):
        inbox.put(fields.pop("kind"), at % 3, **fields)
    out = taken(inbox)
    assert len(rows) == len(out) + sum(inbox.rejected.values())
    books = (Kind.QUOTE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE, Kind.FX)
    for row in out:
        if row.kind in books:
            assert 0.0 < row.bid < row.ask < INF
            assert not row.bid_size < 0.0 and not row.ask_size < 0.0
    assert sorted(row.ts_recv for row in out) == [row.ts_recv for row in out]


def _runs() -> Iterator[float]:
    """Microseconds per put, over runs of 10,000."""
    for _ in range(5):
        inbox = Inbox(UNIVERSE, clock=wall_ns)
        start = cpu_s()
        for n in range(10_000):
            inbox.put(Kind.QUOTE, n % 3, bid=400.0, ask=400.5, bid_size=1.0, ask_size=1.0)
        yield (cpu_s() - start) * 1e6 / 10_000


def test_putting_a_row_is_cheap() -> None:
    """The best of five runs puts a row in less than 3 us of CPU (measured: 0.7 us)."""
    assert min(_runs()) < 3.0
