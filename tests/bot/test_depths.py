"""Levels of books from the door to the metrics: no second print, the same in blocks of any size, never too old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import Assembly, assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.backtest import backtest  # noqa: E402
from bot.config import Config  # noqa: E402
from bot.inbox import Inbox  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.tape_verify import BAD, CORRUPT, verify  # noqa: E402
from connectors.events import NAN, NS, Health, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.ports import Book, Levels  # noqa: E402
from connectors.tape import TapeWriter, open_tape  # noqa: E402
from connectors.tape_levels import Ragged, write_part  # noqa: E402
from monitoring.desk import Desk  # noqa: E402
from monitoring.facts import Facts, Recording  # noqa: E402
from monitoring.page import page  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN, SHARE, COIN = range(3)
UNIVERSE = Universe(
    (
        Instrument(venue="k", symbol="T", role=Role.TOKEN, token="T", underlying="S", unit_model=UnitModel.REBASING),
        Instrument(venue="y", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="k", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)
BIDS = ((100.0, 1.0), (99.5, 2.0), (98.0, 50.0))
ASKS = ((100.2, 1.0), (100.4, 4.0), (103.0, 60.0))
INF = float("inf")


class Watch:
    """A clock that is set by hand."""

    now = NOON

    def __call__(self) -> int:
        return self.now


def config(**gates: float) -> Config:
    """Fees on the token's venue, quotes that live for a minute."""
    return Config.model_validate(
        {
            "venues": {"k": {"kind": "cex", "taker_fee_bps": 10.0, "latency_ms": 1}, "y": {"kind": "oracle"}},
            "instruments": {"k:T": {"token": "T", "underlying": "S", "unit_model": "rebasing"}},
            "gates": {"max_quote_age_s": 60.0, **gates},
        }
    )


class Run:
    """An inbox and an engine behind it."""

    def __init__(self, **gates: float) -> None:
        self.clock = Watch()
        self.inbox = Inbox(UNIVERSE, clock=self.clock)
        self.parts: Assembly = assemble(
            config(**gates), UNIVERSE, load_sessions(), Journal(None), executor=None, levels=self.inbox.levels
        )
        self.blocks: list[Rows] = []

    def look(self) -> None:
        """The engine takes in what has arrived."""
        rows = self.inbox.take()
        if rows is not None:
            self.blocks.append(rows)
            self.parts.engine.advance(rows)

    def quote(self, bid: float = 100.0, ask: float = 100.2, kind: Kind = Kind.QUOTE, number: int = TOKEN, **more: Any):
        """Puts the quote that BIDS and ASKS begin with."""
        self.inbox.put(kind, number, bid=bid, ask=ask, bid_size=1.0, ask_size=1.0, **more)

    def depth(self, number: int = TOKEN, bids: Any = BIDS, asks: Any = ASKS, **more: Any) -> None:
        """Puts levels."""
        self.inbox.depth(number, bids, asks, **more)

    def levels(self, number: int = TOKEN, later_ns: int = 0) -> Levels | None:
        """What the engine would show."""
        return self.parts.engine.depths.levels(number, self.parts.columns.now + later_ns)


def test_the_levels_of_a_print_are_no_second_print() -> None:
    """
    QUOTE and DEPTH of one frame, in either order and also when the DEPTH comes later without a time, are one print:
    what was taken of it stays taken, and the quote grows old by itself. The next quote is a print.
    """
    for first in ("quote", "depth"):
        run = Run()
        run.quote(ts_venue=NOON) if first == "quote" else run.depth(ts_venue=NOON)
        run.depth(ts_venue=NOON) if first == "quote" else run.quote(ts_venue=NOON)
        run.look()
        columns = run.parts.columns
        assert 1 == columns.prints[TOKEN]
        columns.take(TOKEN, 0.75, bid=False)
        expires = int(columns.expires[TOKEN])
        run.clock.now += NS
        run.depth(asks=(*ASKS, (104.0, 1.0)))
        run.look()
        assert (1, 0.75, expires) == (columns.prints[TOKEN], columns.taken(TOKEN, bid=False), columns.expires[TOKEN])
        levels = run.levels()
        assert levels is not None and 4 == len(levels.asks)
        run.quote(ts_venue=NOON + NS)
        run.look()
        assert (2, 0.0) == (columns.prints[TOKEN], columns.taken(TOKEN, bid=False))


def test_levels_alone_are_quotes() -> None:
    """
    Where a feed tells only levels, each row is a print, also when nothing changed; a coin and a share get their price.
    """
    run = Run()
    for at in range(3):
        run.clock.now = NOON + at
        run.depth()
        run.depth(SHARE)
        run.depth(COIN, ((0.99, 1.0),), ((1.01, 1.0),))
        run.look()
    columns = run.parts.columns
    assert [3, 3, 3] == columns.prints.tolist()
    assert (1.0, 100.1) == (columns.fx[0], columns.fair(0, columns.now).price)  # type: ignore[union-attr]
    run.depth(bids=((100.1, 1.0),))
    run.quote()
    run.look()
    assert (4, 100.0) == (columns.prints[TOKEN], columns.bid[TOKEN])


def test_the_levels_of_a_reference_do_not_freeze_it() -> None:
    """
    A share that repeats itself is frozen after as many rows as without levels.
    """
    counts = []
    for levels in (False, True):
        run = Run(frozen_rows=3, frozen_after_s=1.0)
        for at in range(8):
            run.clock.now = NOON + at * NS
            run.quote(kind=Kind.REFERENCE, number=SHARE, ts_venue=run.clock.now)
            if levels:
                run.depth(SHARE, ts_venue=run.clock.now)
            run.look()
        counts.append(int(run.parts.columns.prints[SHARE]))
    assert counts[0] == counts[1] < 8


REFUSED: list[tuple[str, Any, Any]] = [
    ("empty_side", (), ASKS),
    ("empty_side", BIDS, ()),
    ("levels_out_of_order", BIDS[::-1], ASKS),
    ("levels_out_of_order", BIDS, (*ASKS, ASKS[-1])),
    ("levels_out_of_order", (*BIDS, (NAN, 1.0)), ASKS),
    ("not_finite", BIDS, (*ASKS, (INF, 1.0))),
    ("not_positive", (*BIDS, (-1.0, 1.0)), ASKS),
    ("negative_size", (*BIDS, (97.0, -1.0)), ASKS),
    ("not_finite", (*BIDS, (97.0, NAN)), ASKS),
    ("crossed", ((100.3, 1.0),), ASKS),
    ("wrong_type", (("100", "1"),), ASKS),
    ("wrong_type", BIDS, 7),
    ("wrong_type", ((100.0,),), ASKS),
    ("not_finite", ((10**400, 1.0),), ASKS),
]


@pytest.mark.parametrize(("reason", "bids", "asks"), REFUSED)
def test_levels_that_cannot_be_are_refused_by_reason(reason: str, bids: Any, asks: Any) -> None:
    """
    Every level is judged; nothing of a refused book is kept or handed out.
    """
    run = Run()
    run.depth(bids=bids, asks=asks)
    reasons = {why for _, why in run.inbox.rejected}
    assert reasons <= {reason, "wrong_type"} and len(reasons) == 1
    assert ({}, None) == (run.inbox.levels, run.inbox.take())


def test_levels_are_those_of_the_moment_they_were_told() -> None:
    """
    A feed goes on changing its own lists; what was told does not change with them.
    """
    run = Run()
    bids = [(100.0, 1.0)]
    run.depth(bids=bids)
    bids[0] = (50.0, 9.0)
    run.look()
    levels = run.levels()
    assert levels is not None and ((100.0, 1.0),) == levels.bids


def test_the_inbox_keeps_few_levels() -> None:
    """
    Those of the block before the last one are gone, whoever did not look.
    """
    run = Run()
    for at in range(50):
        run.clock.now = NOON + at
        run.depth()
        run.look()
    assert 2 >= len(run.inbox.levels)
    assert run.levels() is not None


def test_levels_go_with_the_stream_the_quote_and_their_age() -> None:
    """
    Not up: none, also after it is up again; too old: none; a refused quote or another unit: none. New ones return.
    """
    run = Run()
    run.inbox.cleared([TOKEN], Why.NOT_HEARD)

    def told() -> bool:
        run.quote(ts_venue=run.clock.now)
        run.depth(ts_venue=run.clock.now)
        run.look()
        return run.levels() is not None

    assert told()
    assert run.levels(later_ns=60 * NS) is not None
    assert run.levels(later_ns=60 * NS + 1) is None
    for why in (Why.DISCONNECTED, Why.LAGS):
        run.inbox.against([TOKEN], why)
        run.look()
        assert run.levels() is None
        run.inbox.cleared([TOKEN], why)
        run.look()
        assert run.levels() is None
        assert told()
    run.parts.columns.set_shares_per_unit(TOKEN, 2.0)
    run.quote(bid=200.0, ask=200.4)
    run.look()
    assert run.levels() is None
    assert told()
    assert run.levels(SHARE) is None


def recorded(path: Path) -> Path:
    """A tape of two instruments' quotes, levels, streams that go and come, funding and a corporate action."""
    run = Run()
    run.inbox.cleared([TOKEN, SHARE], Why.NOT_HEARD)
    rng = np.random.default_rng(3)
    with TapeWriter(path, UNIVERSE) as writer:
        for at in range(400):
            run.clock.now = NOON + at * NS // 4
            mid = 100.0 + round(float(rng.normal()), 2)
            levels = (((mid, 1.0), (mid - 1.0, 2.0)), ((mid + 0.1, 1.0), (mid + 1.0, 2.0)))
            if rng.random() < 0.6:
                run.quote(mid, mid + 0.1, ts_venue=run.clock.now)
            if rng.random() < 0.5:
                run.depth(bids=levels[0], asks=levels[1], ts_venue=run.clock.now)
            if rng.random() < 0.3:
                run.quote(mid, mid + 0.02, Kind.REFERENCE, SHARE)
                run.depth(SHARE, *levels)
            if rng.random() < 0.05:
                run.inbox.against([TOKEN], Why.SILENT)
            if rng.random() < 0.1:
                run.inbox.cleared([TOKEN], Why.SILENT)
            if at % 100 == 0:
                run.inbox.put(Kind.FUNDING, TOKEN, bid=0.0001, ask=28_800.0, ask_size=100.0)
                run.inbox.put(Kind.ACTION, SHARE, bid=1.0, ask=NOON / NS, bid_size=0.25)
            if rng.random() < 0.7:
                rows = run.inbox.take()
                if rows is not None:
                    writer.append(rows, run.inbox.levels)
    return path


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_levels_are_the_same_in_blocks_of_any_size(tmp_path: Path, block: int) -> None:
    """
    After every row of a tape the levels in force are those of the last DEPTH row, in blocks of one, seven or all; and
    the journal is the same, with levels or without.
    """
    tape = open_tape(recorded(tmp_path / "t"))
    rows = Rows.join(list(tape.blocks()))
    assert {Kind.DEPTH, Kind.HEALTH, Kind.FUNDING, Kind.ACTION} <= {Kind(kind) for kind in rows.kind.tolist()}
    journal, bare = Journal(None), Journal(None)
    parts = assemble(config(), UNIVERSE, load_sessions(), journal, executor=None, levels=tape.depth)
    newest: dict[int, float] = {}
    told = 0
    for part in rows.blocks(block):
        parts.engine.advance(part)
        for row in part:
            if row.kind is Kind.DEPTH:
                newest[row.instrument] = row.extra
            elif row.kind is Kind.HEALTH:
                newest.pop(row.instrument, None)
        for number in (TOKEN, SHARE):
            found = parts.engine.depths.levels(number, parts.columns.now)
            if found is not None:
                told += 1
                assert tape.depth[int(newest[number])].bids == found.bids
            else:
                assert number not in newest or not parts.engine.notices.up(number)
    assert told
    other = assemble(config(), UNIVERSE, load_sessions(), bare, executor=None)
    other.engine.advance(rows)
    assert journal.hash() == bare.hash()


def test_a_tape_with_every_new_kind_plays_and_verifies(tmp_path: Path) -> None:
    """
    The backtest over the tape has the hash of the rows alone, and verify finds nothing that is not worth its note.
    """
    tape = open_tape(recorded(tmp_path / "t"))
    assert backtest(config(), tape).journal_hash == backtest(config(), tape, block=1).journal_hash
    verdict = verify(tape, 1800.0)
    assert verdict.level == "note", [finding for finding in verdict.findings if finding.count]


@pytest.mark.parametrize(
    ("check", "level", "book"),
    [
        ("levels_crossed", BAD, Book(((100.3, 1.0),), ((100.2, 1.0),))),
        ("levels_unordered", BAD, Book(BIDS[::-1], ASKS)),
        ("levels_unordered", BAD, Book(BIDS, (*ASKS, ASKS[-1]))),
        ("levels_not_finite", BAD, Book(BIDS, (*ASKS[:2], (NAN, 1.0)))),
        ("levels_not_finite", BAD, Book((*BIDS, (97.0, -1.0)), ASKS)),
        ("levels_differ", BAD, Book(((99.0, 1.0),), ASKS)),
        ("no_levels", CORRUPT, None),
    ],
)
def test_verify_names_the_file_and_row_of_levels_that_cannot_be(
    tmp_path: Path, check: str, level: str, book: Book | None
) -> None:
    """
    One broken record among three whole ones is counted once, with its file and its row; and where it is missing, the
    row that points to it is named.
    """
    whole = Book(BIDS, ASKS)
    with TapeWriter(tmp_path / "t", UNIVERSE) as writer:
        rows = [Row(ts_recv=NOON + n, instrument=0, kind=Kind.DEPTH, bid=100.0, ask=100.2, extra=n) for n in range(4)]
        writer.append(Rows.of(rows), dict.fromkeys(range(4), whole))
    books = [whole, whole, *([book, whole] if book is not None else [])]
    write_part(tmp_path / "t", 0, Ragged.of(books))
    verdict = verify(open_tape(tmp_path / "t"), 1800.0)
    (finding,) = [finding for finding in verdict.findings if finding.check == check]
    place = ("part-00000.parquet", 2) if check in ("levels_differ", "no_levels") else ("side/depth-00000.parquet", 2)
    assert (level, place) == (finding.level, (finding.part, finding.row))
    assert (2 if book is None else 1) == finding.count
    assert level == verdict.level


def test_verify_names_a_state_that_does_not_exist(tmp_path: Path) -> None:
    """
    A HEALTH row of state 9 is bad; those of all states and reasons that exist are not.
    """
    rows = [Row(ts_recv=NOON, instrument=0, kind=Kind.HEALTH, bid=float(h), ask=float(w)) for h in Health for w in Why]
    with TapeWriter(tmp_path / "t", UNIVERSE) as writer:
        writer.append(Rows.of([*rows, Row(ts_recv=NOON, instrument=0, kind=Kind.HEALTH, bid=9.0, ask=0.0)]))
    found = {f.check: (f.count, f.row) for f in verify(open_tape(tmp_path / "t"), 1800.0).findings if f.count}
    assert {"unknown_code": (1, len(rows))} == found


def shown(run: Run, *, recording: Recording | None = None) -> tuple[str, str]:
    """Metrics and page."""
    columns = run.parts.columns
    desk = Desk(
        columns,
        facts=Facts(version="1", mode="dry_run"),
        levels=lambda number: run.parts.engine.depths.levels(number, columns.now),
        recording=lambda: recording,
    )
    picture = desk.picture()
    return generate_latest(desk.registry).decode(), page(picture, desk.health(picture))


def test_metrics_tell_what_a_size_costs_and_what_rests() -> None:
    """
    Against a fair value of 100: 100 USD buy from the first level, 1,000 USD need three of them, and 10,000 USD are not
    there, which is no series. Depth counts the levels inside each band about 100.1; the page shows that of 1 %.
    """
    run = Run()
    run.quote(99.99, 100.01, Kind.REFERENCE, SHARE)
    run.quote()
    run.depth(bids=BIDS, asks=ASKS)
    run.look()
    text, html = shown(run)

    def value(name: str, *labels: str) -> float | None:
        for line in text.splitlines():
            if line.startswith(name + "{") and all(label in line for label in labels):
                return float(line.rpartition(" ")[2])
        return None

    name = "pegline_executable_premium_ratio"
    thousand = 1000.0 / (1.0 + 4.0 + (1000.0 - 100.2 - 401.6) / 103.0)
    for size, price in (("best", 100.2), ("100", 100.2), ("1000", thousand)):
        found = value(name, 'side="buy"', f'size="{size}"')
        assert found is not None and abs(price * 1.001 / 100.0 - 1.0 - found) < 1e-9
    assert value(name, 'side="buy"', 'size="10000"') is None
    assert value(name, 'side="sell"', 'size="1000"') is not None
    depth = [value("pegline_depth_usd", f'side="{side}"', f'band="{band}"') for side in ("bid", "ask")
             for band in (0.005, 0.01, 0.02)]  # fmt: skip
    assert [100.0, 100.0 + 199.0, 100.0 + 199.0, 100.2 + 401.6, 100.2 + 401.6, 100.2 + 401.6] == pytest.approx(depth)
    assert "299 / 502" in html and "at least" not in html
    run.inbox.against([TOKEN], Why.DISCONNECTED)
    run.look()
    text, html = shown(run)
    assert "pegline_depth_usd{" not in text and 'size="100"' not in text
    assert "299" not in html


def test_a_recording_that_has_stopped_is_seen() -> None:
    """
    Metrics say how many rows are on disk, what was lost and that it stopped; the page and its health say why.
    """
    run = Run()
    run.quote()
    run.look()
    text, html = shown(run, recording=Recording(rows=7, dropped={("k", "disk_refused"): 3}, free_bytes=9, error="full"))
    assert (
        "pegline_tape_up 0.0" in text
        and "pegline_tape_rows_total 7.0" in text
        and "pegline_tape_free_bytes 9.0" in text
    )
    assert 'pegline_tape_dropped_rows_total{reason="disk_refused",venue="k"} 3.0' in text
    assert "recording stopped: full" in html
    text, html = shown(run, recording=Recording(rows=7))
    assert "pegline_tape_up 1.0" in text and "recording stopped" not in html
    assert "pegline_tape_up" not in "".join(line for line in shown(run)[0].splitlines() if not line.startswith("#"))
