"""A tape that is being recorded: its log, its levels, its days, and a disk that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import TapeError
from connectors.events import NAN, NS, Kind, Row, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import Book
from connectors.tape import GROUP_ROWS, DayWriter, TapeWriter, open_tape
from connectors.tape_format import part_name
from connectors.tape_levels import PART_RECORDS, Ragged
from connectors.tape_log import LOG_FILE, ROWS, TapeLog, read
from connectors.tape_write import PART_EVERY
from tests.connectors.test_tape import T0, UNIVERSE, block, same

BOOK = Book(bids=((400.1, 3.0), (400.0, 5.5)), asks=((400.3, 2.0), (400.4, 1.0), (401.0, 9.0)))
MIDNIGHT = 1_786_752_000 * NS
"""2026-08-15T00:00Z."""


def depth(ts: int, key: float, instrument: int = 0) -> Row:
    """A DEPTH row of BOOK's best bid and ask."""
    return Row(ts_recv=ts, instrument=instrument, kind=Kind.DEPTH, bid=400.1, ask=400.3, extra=key)


def rows_of(path: Path) -> Rows:
    """All rows of a tape or recording."""
    return Rows.join(list(open_tape(path).blocks()))


def test_a_flush_writes_what_is_new_and_not_the_part_again(tmp_path: Path) -> None:
    """
    A second row costs its 64 bytes and a head, whatever stands before it; a part is written once in sixty flushes.
    """
    writer = TapeWriter(tmp_path / "t", UNIVERSE)
    writer.append(block(10_000))
    writer.flush()
    before = (tmp_path / "t" / LOG_FILE).stat().st_size
    for at in range(1, PART_EVERY - 1):
        writer.append(block(1, start=T0 + 10**15 + at))
        writer.flush()
    assert (PART_EVERY - 2) * (64 + 28) == (tmp_path / "t" / LOG_FILE).stat().st_size - before
    assert not (tmp_path / "t" / part_name(0)).exists()
    writer.append(block(1, start=T0 + 10**15 + PART_EVERY))
    writer.flush()
    assert (0, True) == ((tmp_path / "t" / LOG_FILE).stat().st_size, (tmp_path / "t" / part_name(0)).exists())
    assert 10_000 + PART_EVERY - 1 == open_tape(tmp_path / "t").rows()
    writer.close()
    assert not (tmp_path / "t" / LOG_FILE).exists()


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.sampled_from(["append", "flush", "part", "reopen", "stale log"]), min_size=1, max_size=12),
    sizes=st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
def test_every_flushed_row_and_book_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], sizes: list[int]
) -> None:
    """
    Whatever is flushed, made a part, killed or taken up again: what was flushed is read once and in order, and each
    DEPTH row finds the book that it came with. A log whose rows became a part before a crash adds nothing.
    """
    path = tmp_path_factory.mktemp("log") / "t"
    writer, durable, taken, stale = TapeWriter(path, UNIVERSE), 0, 0, b""
    for step, size in zip(steps, sizes, strict=False):
        log = path / LOG_FILE
        if step == "append":
            books = {n: Book(((float(n), 1.0),), ((n + 0.5, 2.0), (n + 1.0, 3.0))) for n in range(taken + 1, taken + 9)}
            writer.append(Rows.of([depth(T0 + n, float(n)) for n in range(taken + 1, taken + size + 1)]), books)
            taken += size
        elif step == "flush":
            writer.flush()
            stale, durable = log.read_bytes() if log.exists() else b"", taken
        elif step == "part":
            writer._settle()
            durable = taken
        else:
            if step == "stale log" and stale and log.exists():
                log.write_bytes(stale if not log.stat().st_size else log.read_bytes() + b"torn")
            writer, taken = TapeWriter(path, UNIVERSE, resume=True), durable  # the old one is left as a crash leaves it
        if durable:
            tape = open_tape(path)
            rows = Rows.join(list(tape.blocks()))
            assert [T0 + n for n in range(1, durable + 1)] == rows.ts_recv.tolist()
            assert [((float(n), 1.0),) for n in range(1, durable + 1)] == [tape.depth[int(e)].bids for e in rows.extra]


def test_a_flipped_bit_in_the_log_ends_it_there(tmp_path: Path) -> None:
    """
    Pieces before the damage are read, none after it, and nothing is made up.
    """
    log = TapeLog(tmp_path)
    log.append([(ROWS, at, bytes([at]) * 64) for at in range(5)])
    whole = (tmp_path / LOG_FILE).read_bytes()
    assert 5 == len(list(read(tmp_path / LOG_FILE)))
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 4
        (tmp_path / LOG_FILE).write_bytes(bytes(broken))
        found = list(read(tmp_path / LOG_FILE))
        assert [(ROWS, n, bytes([n]) * 64) for n in range(at // (len(whole) // 5))] == found


LEVELS = st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), max_size=12).map(tuple)


@settings(deadline=None)
@given(books=st.lists(st.builds(Book, LEVELS, LEVELS), max_size=20), cut=st.integers(0, 20))
def test_books_become_arrays_and_bytes_and_come_back(books: list[Book], cut: int) -> None:
    """
    Any books, also with an empty side, come back from the arrays, from the log's bytes, from a cut and from a join.
    """
    ragged = Ragged.of(books)
    for found in (
        ragged,
        Ragged.unpacked(ragged.packed()),
        Ragged.join([ragged[:cut], ragged[cut:]]),
    ):
        assert books == [Book(found.side(n, bids=True), found.side(n, bids=False)) for n in range(len(found))]


def test_levels_of_a_full_part_and_more_are_found(tmp_path: Path) -> None:
    """
    The table goes on in a second part; every row finds its book, read when somebody looks, and only those have one.
    """
    count = PART_RECORDS + 7
    with TapeWriter(tmp_path / "t", UNIVERSE) as writer:
        for start in range(0, count, 5000):
            numbers = range(start, min(count, start + 5000))
            books = {n: Book(((n + 1.0, 1.0),), ((n + 2.0, 1.0),)) for n in numbers}
            writer.append(Rows.of([depth(T0 + n, float(n)) for n in numbers]), books)
        writer.append(
            Rows.of([Row(ts_recv=T0 + count, instrument=0, kind=Kind.TRADE, bid=1.0, ask=1.0, extra=1.0)]), {}
        )
    tape = open_tape(tmp_path / "t")
    assert (count, 2) == (len(tape.depth), len(list((tmp_path / "t" / "side").glob("*.parquet"))))
    for at in (0, 1, PART_RECORDS - 1, PART_RECORDS, count - 1):
        assert (((at + 1.0, 1.0),), ((at + 2.0, 1.0),)) == (tape.depth[at].bids, tape.depth[at].asks)
    with pytest.raises(KeyError):
        tape.depth[count]
    assert 1.0 == rows_of(tmp_path / "t").extra[-1]


def test_a_row_whose_levels_are_not_at_hand_points_nowhere(tmp_path: Path) -> None:
    """
    A DEPTH row without a book keeps its best prices and has no place in the table.
    """
    with TapeWriter(tmp_path / "t", UNIVERSE) as writer:
        writer.append(Rows.of([depth(T0, 4.0), depth(T0 + 1, 5.0)]), {5: BOOK})
    rows = rows_of(tmp_path / "t")
    assert (True, 0.0) == (bool(np.isnan(rows.extra[0])), float(rows.extra[1]))
    assert BOOK.asks == open_tape(tmp_path / "t").depth[0].asks


def test_a_broken_part_of_levels_is_named_when_somebody_looks(tmp_path: Path) -> None:
    """
    The rows can be read all the same; the levels raise TapeError with their file.
    """
    with TapeWriter(tmp_path / "t", UNIVERSE) as writer:
        writer.append(Rows.of([depth(T0, 5.0)]), {5: BOOK})
    (tmp_path / "t" / "side" / "depth-00000.parquet").write_bytes(b"PAR1")
    tape = open_tape(tmp_path / "t")
    assert 1 == len(rows_of(tmp_path / "t"))
    with pytest.raises(TapeError, match=r"depth-00000.parquet: row 0: not a part of the levels"):
        _ = tape.depth[0].bids


def test_a_recording_has_a_tape_for_each_day_and_is_read_as_one(tmp_path: Path) -> None:
    """
    Rows of a block that crosses midnight go to two tapes; the folder reads like one tape, each day like its own, and
    each DEPTH row finds its book in both.
    """
    rows = Rows.of([depth(MIDNIGHT - 1, 7.0), depth(MIDNIGHT, 8.0, 1), depth(MIDNIGHT + 1, 9.0, 2)])
    books = {n: Book(((float(n), 1.0),), ((n + 1.0, 1.0),)) for n in (7, 8, 9)}
    with DayWriter(tmp_path / "out", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(rows, books)
        writer.flush()
        assert 3 == open_tape(tmp_path / "out").rows()
    assert ["2026-08-14", "2026-08-15"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    tape = open_tape(tmp_path / "out")
    found = Rows.join(list(tape.blocks()))
    assert [0, 1, 2] == found.instrument.tolist()
    assert [7.0, 8.0, 9.0] == [tape.depth[int(place)].bids[0][0] for place in found.extra]
    second = open_tape(tmp_path / "out" / "2026-08-15")
    assert [8.0, 9.0] == [second.depth[int(e)].bids[0][0] for b in second.blocks() for e in b.extra]
    assert [1] == [len(b) for b in tape.blocks(["bid"], MIDNIGHT, MIDNIGHT + 1)]


def test_a_recording_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """
    The same instruments continue the day's tape; others begin a second one of that day, and the folder is still read
    as one, each instrument under its own name.
    """
    for universe, at in ((UNIVERSE, 0), (UNIVERSE, 1), (Universe(UNIVERSE.instruments[::-1]), 2)):
        with DayWriter(tmp_path / "out", universe) as writer:
            writer.append(Rows.of([Row(ts_recv=MIDNIGHT + at, instrument=0, kind=Kind.QUOTE, bid=1.0, ask=2.0)]))
    assert ["2026-08-15", "2026-08-15.2"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    tape = open_tape(tmp_path / "out")
    names = [tape.universe[n].symbol for block in tape.blocks() for n in block.instrument]
    assert (["a", "a", "c"], UNIVERSE.instruments) == (names, tape.universe.instruments)


def test_days_in_which_a_name_means_two_things_are_not_mixed(tmp_path: Path) -> None:
    """
    The days are read one by one; the folder says which instrument changed, and how.
    """
    other = Universe((Instrument(venue="v", symbol="a", role=Role.TOKEN, underlying="B"),))
    for universe, at in ((UNIVERSE, 0), (other, 86_400 * NS)):
        with DayWriter(tmp_path / "out", universe) as writer:
            writer.append(Rows.of([Row(ts_recv=MIDNIGHT + at, instrument=0, kind=Kind.QUOTE, bid=1.0, ask=2.0)]))
    with pytest.raises(TapeError, match=r"2026-08-16: v:a is not what it was in 2026-08-15: underlying was 'A'"):
        open_tape(tmp_path / "out")
    assert 1 == open_tape(tmp_path / "out" / "2026-08-16").rows()


@pytest.mark.parametrize("name", ["mine.txt", "universe.json"])
def test_a_folder_of_something_else_is_no_place_for_a_recording(tmp_path: Path, name: str) -> None:
    """
    Nothing is written into it.
    """
    (tmp_path / name).write_text("mine")
    with pytest.raises(TapeError, match="choose another folder"):
        DayWriter(tmp_path, UNIVERSE)
    assert [name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("when", ["log", "part"])
def test_a_full_disk_is_one_error_and_leaves_a_whole_tape(tmp_path: Path, when: str) -> None:
    """
    At the limit of a file's size the writer raises TapeError once, half files are gone, and what was flushed is read.
    """
    script = (
        "import sys, pathlib; from tests.connectors.test_tape_recording import *\n"
        "w = TapeWriter(pathlib.Path(sys.argv[1]), UNIVERSE)\n"
        "w.append(block(1000)); w.flush()\n"
        "rng = np.random.default_rng(1)\n"
        "try:\n"
        "    for n in range(1, 100):\n"
        "        rows = block(1000, start=T0 + n * 10**13)\n"
        "        w.append(Rows(**{**{f: getattr(rows, f) for f in FIELDS}, 'bid': rng.random(1000)}))\n"
        "        w.flush() if sys.argv[2] == 'log' else w._settle()\n"
        "        print(n, flush=True)\n"
        "except TapeError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "w.close()\n"
    ).replace("from tests", "from connectors.events import FIELDS; from tests")
    limit = 512 if when == "log" else 128
    command = f'ulimit -f {limit}; export PYTHONDONTWRITEBYTECODE=1; exec "$0" -c "$1" "$2" "$3"'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, script, str(tmp_path / "t"), when],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True, env={**os.environ},
    )  # fmt: skip
    flushed = int(done.stdout.split()[-1])
    assert 1 == done.stderr.count("the disk refuses: File too large"), done.stderr
    assert [] == list((tmp_path / "t").rglob("*.tmp"))
    assert (flushed + 1) * 1000 == open_tape(tmp_path / "t").rows() == len(rows_of(tmp_path / "t"))
    assert 2 < flushed < 99


def test_a_crash_while_a_full_part_is_taken_up_loses_nothing(tmp_path: Path) -> None:
    """
    The log of a tape that is taken up stays until all of it stands in parts.
    """
    writer = TapeWriter(tmp_path / "t", UNIVERSE)
    writer.append(block(GROUP_ROWS - 1, step=1))
    writer.flush()
    for at in range(4):
        writer._log.append([(ROWS, GROUP_ROWS - 1 + at, _record(T0 + GROUP_ROWS + at))])
    TapeWriter(tmp_path / "t", UNIVERSE, resume=True)
    rows = rows_of(tmp_path / "t")
    assert GROUP_ROWS + 3 == len(rows)
    with TapeWriter(tmp_path / "t", UNIVERSE, resume=True):
        pass
    assert same(rows, rows_of(tmp_path / "t"))


def _record(ts: int) -> bytes:
    """One row as the log holds it."""
    from connectors.events import ROW

    return np.array([(0, ts, 0, 0, 0, 1.0, 2.0, NAN, NAN, NAN)], ROW).tobytes()
