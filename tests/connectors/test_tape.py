"""The tape: what is written comes back, what is broken is named, what was flushed survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import TapeError
from connectors.events import FIELDS, NAN, ROW, Kind, Row, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.tape import GROUP_ROWS, TapeWriter, open_tape
from connectors.tape_format import SCHEMA, part_name

UNIVERSE = Universe(tuple(Instrument(venue="v", symbol=name, role=Role.TOKEN, underlying="A") for name in "abc"))
T0 = 1_700_000_000_000_000_000


def block(count: int, *, start: int = T0, step: int = 1_000_000_000) -> Rows:
    """Rows of three instruments, one a step."""
    ts = start + step * np.arange(count, dtype=np.int64)
    price = 100 + np.arange(count) % 7 / 8
    return Rows(
        ts_venue=ts - 5,
        ts_recv=ts,
        instrument=(np.arange(count) % 3).astype(np.int32),
        kind=np.zeros(count, np.int16),
        flags=np.zeros(count, np.int16),
        bid=price,
        ask=price + 0.125,
        bid_size=np.full(count, 2.0),
        ask_size=np.full(count, NAN),
        extra=np.full(count, NAN),
    )


def same(left: Rows, right: Rows) -> bool:
    """Whether two blocks are equal bit by bit (NaN is NaN)."""
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in FIELDS)


def written(path: Path, rows: Rows) -> Path:
    """A tape of these rows."""
    with TapeWriter(path, UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(rows)
    return path


def rewritten(path: Path, table: pa.Table, part: int = 0) -> None:
    """Replaces a part by any table, as another program would."""
    pq.write_table(table, path / part_name(part))


def table_of(rows: Rows) -> pa.Table:
    """The rows as Arrow, with the tape's schema."""
    return pa.table([pa.array(getattr(rows, name)) for name in FIELDS], schema=SCHEMA)


FLOAT = st.one_of(st.just(NAN), st.floats(allow_nan=False, allow_infinity=False))
ROWS = st.lists(
    st.tuples(
        st.integers(-(2**62), 2**62),
        st.integers(0, 2**40),
        st.integers(0, 2),
        st.integers(0, len(Kind) - 1),
        st.integers(0, 31),
        *[FLOAT] * 5,
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(raw=ROWS, cuts=st.lists(st.integers(1, 20), max_size=5), flushes=st.booleans())
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, raw: list[tuple[float, ...]], cuts: list[int], flushes: bool
) -> None:
    """
    Any rows, written in any pieces and flushed or not, come back bit by bit in their order.
    """
    records = np.array(raw, dtype=ROW)
    records["ts_recv"] = np.sort(records["ts_recv"])
    rows = Rows.from_records(records)
    path = tmp_path_factory.mktemp("tape") / "t"
    with TapeWriter(path, UNIVERSE, {}) as writer:
        at = 0
        for size in [*cuts, len(rows)]:
            writer.append(rows[at : at + size])
            at += size
            if flushes:
                writer.flush()
    assert same(rows, Rows.join([located.rows for located in open_tape(path).located(checked=False)]))


def test_rows_without_prices_need_none(tmp_path: Path) -> None:
    """
    A TICK row has no bid and ask, and a trade no ask: such a tape is read.
    """
    rows = replace(block(3), kind=np.array([Kind.TICK, Kind.TRADE, Kind.QUOTE], np.int16))
    rows.bid[0] = rows.ask[0] = rows.ask[1] = np.nan
    assert same(rows, Rows.join(list(open_tape(written(tmp_path / "t", rows)).blocks())))


def test_a_tape_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """
    Where the disk refuses the folder, that is TapeError with the folder's name.
    """
    (tmp_path / "file").write_text("x")
    with pytest.raises(TapeError, match="disk refuses") as caught:
        TapeWriter(tmp_path / "file" / "t", UNIVERSE, {})
    assert str(tmp_path / "file" / "t") in str(caught.value)


def test_a_block_has_at_most_a_row_group(tmp_path: Path) -> None:
    """
    A tape longer than a row group is handed out row group by row group, in files of one row group each.
    """
    rows = block(GROUP_ROWS + 10)
    tape = open_tape(written(tmp_path / "t", rows))
    assert [GROUP_ROWS, 10] == [len(b) for b in tape.blocks(["bid"])]
    assert 2 == len(tape.parts)
    assert (len(rows), (T0, int(rows.ts_recv[-1]))) == (tape.rows(), tape.span())
    assert same(rows, Rows.join(list(tape.blocks())))


def test_columns_not_asked_for_cost_nothing(tmp_path: Path) -> None:
    """
    Columns that were not asked for are one repeated value; the others are contiguous and may be written to.
    """
    tape = open_tape(written(tmp_path / "t", block(50)))
    (rows,) = tape.blocks(["bid", "kind"])
    assert (0,) == rows.ask.strides == rows.ts_venue.strides
    assert np.isnan(rows.ask).all()
    assert not rows.ts_venue.any()
    for name in ("ts_recv", "bid", "kind"):
        assert getattr(rows, name).flags.c_contiguous
        assert getattr(rows, name).flags.writeable


def test_a_span_of_time_is_half_open(tmp_path: Path) -> None:
    """
    blocks(start_ns, end_ns) holds the rows at start_ns and leaves out those at end_ns.
    """
    tape = open_tape(written(tmp_path / "t", block(10, step=10)))
    (rows,) = tape.blocks(["bid"], T0 + 20, T0 + 50)
    assert [T0 + 20, T0 + 30, T0 + 40] == rows.ts_recv.tolist()
    assert [] == list(tape.blocks(["bid"], T0 + 1000))


def test_parts_outside_a_span_are_not_read(tmp_path: Path) -> None:
    """
    A part whose footer says that it lies outside the span is not decoded, so damage there does not matter.
    """
    tape = open_tape(written(tmp_path / "t", block(GROUP_ROWS + 5)))
    data = bytearray(tape.parts[0].path.read_bytes())
    data[100:2000] = bytes(1900)
    tape.parts[0].path.write_bytes(bytes(data))
    last = T0 + GROUP_ROWS * 1_000_000_000
    assert 5 == sum(len(rows) for rows in tape.blocks(["bid"], last))


def test_columns_are_stored_as_the_design_says(tmp_path: Path) -> None:
    """
    Times are delta-coded, quiet floats are dictionary-coded with zstd, busy floats are plain and uncompressed.
    """
    rows = replace(block(20_000), bid=np.random.default_rng(1).normal(400, 1, 20_000))
    tape = open_tape(written(tmp_path / "t", rows))
    group = tape.parts[0].footer.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["ts_recv"].encodings
    assert ("ZSTD", True) == (columns["ask"].compression, columns["ask"].has_dictionary_page)
    assert ("UNCOMPRESSED", False) == (columns["bid"].compression, columns["bid"].has_dictionary_page)
    assert all(not field.nullable for field in pq.read_schema(tape.parts[0].path))


def test_side_tables_keep_exact_records(tmp_path: Path) -> None:
    """
    A record of a side table has the index that was given for it, and stands in the tape when its row does.
    """
    with TapeWriter(tmp_path / "t", UNIVERSE, {}) as writer:
        indexes = [writer.side("levels", {"price": "400.25"}), writer.side("levels", [1, 2])]
        writer.append(Rows.of([Row(ts_recv=T0, instrument=0, kind=Kind.DEPTH, bid=1.0, ask=2.0, extra=1.0)]))
        writer.flush()
        assert [{"price": "400.25"}, [1, 2]] == open_tape(tmp_path / "t").side("levels")
    assert [0, 1] == indexes
    with pytest.raises(TapeError, match=r"no side table 'pools'.*levels"):
        open_tape(tmp_path / "t").side("pools")


def test_universe_and_provenance_come_back(tmp_path: Path) -> None:
    """
    Instruments, also those added later, and the provenance are read back as they were.
    """
    extra = Instrument(venue="w", symbol="d", role=Role.COIN, coin="USDC", multiplier=None)
    with TapeWriter(tmp_path / "t", UNIVERSE, {"source": "here"}) as writer:
        writer.add_instruments((extra,))
        writer.append(Rows.of([Row(ts_recv=T0, instrument=3, kind=Kind.FX, bid=1.0, ask=1.0)]))
    tape = open_tape(tmp_path / "t")
    assert (*UNIVERSE.instruments, extra) == tape.universe.instruments
    assert {"source": "here"} == tape.provenance


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (replace(block(3), ts_recv=np.array([T0, T0 - 1, T0], np.int64)), "goes back at row 1"),
        (replace(block(3), instrument=np.array([0, 1, 9], np.int32)), "instrument 9 at row 2"),
        (replace(block(3), ask=np.array([1.0, np.inf, 1.0])), "ask is infinite at row 1"),
        (block(2, start=T0 - 10**12), "goes back at row 0"),
    ],
)
def test_the_writer_refuses_rows_that_break_the_tape(tmp_path: Path, rows: Rows, said: str) -> None:
    """
    A block that is out of order, strange or infinite is refused whole, and the writer goes on.
    """
    with TapeWriter(tmp_path / "t", UNIVERSE, {}) as writer:
        writer.append(block(4, start=T0 - 4 * 10**9))
        with pytest.raises(TapeError, match=said):
            writer.append(rows)
        writer.append(block(2))
    assert 6 == open_tape(tmp_path / "t").rows()


def test_kill_loses_only_what_was_not_flushed(tmp_path: Path) -> None:
    """
    A recorder that is killed with SIGKILL leaves everything up to its last flush, readable, and can go on from there.
    """
    script = (
        "import sys, pathlib; from tests.connectors.test_tape import *\n"
        "w = TapeWriter(pathlib.Path(sys.argv[1]), UNIVERSE, {})\n"
        "w.side('s', 1); w.append(block(100)); w.flush()\n"
        "w.append(block(100, start=T0 + 10**12)); w.flush()\n"
        "w.side('s', 2); w.append(block(100, start=T0 + 10**13))\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    path = tmp_path / "t"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    (path / (part_name(1) + ".tmp")).write_bytes(b"PAR1 torn")
    with (path / "side" / "s.jsonl").open("ab") as side:
        side.write(b'{"torn')
    assert 200 == open_tape(path).rows()
    assert [1] == open_tape(path).side("s")
    with TapeWriter(path, UNIVERSE, {}, resume=True) as writer:
        assert 1 == writer.side("s", "after")
        writer.append(block(5, start=T0 + 10**14))
    tape = open_tape(path)
    assert (205, 1, [1, "after"]) == (tape.rows(), len(tape.parts), tape.side("s"))
    assert 205 == sum(len(rows) for rows in tape.blocks())


def test_a_tape_is_not_overwritten(tmp_path: Path) -> None:
    """
    A writer starts only in an empty place, unless it is told to go on with a tape of the same instruments.
    """
    written(tmp_path / "t", block(3))
    with pytest.raises(TapeError, match="something here already"):
        TapeWriter(tmp_path / "t", UNIVERSE, {})
    with pytest.raises(TapeError, match="instruments differ"):
        TapeWriter(tmp_path / "t", Universe(UNIVERSE.instruments[1:]), {}, resume=True)


def break_folder(path: Path, how: str) -> None:
    """Breaks a tape of two parts in one way."""
    part = path / part_name(0)
    table = table_of(block(100))
    if how == "truncated":
        part.write_bytes(part.read_bytes()[:-40])
    elif how == "no parquet":
        part.write_bytes(b"hello")
    elif how == "flipped":
        data = bytearray(part.read_bytes())
        data[200:220] = bytes(20)
        part.write_bytes(bytes(data))
    elif how == "missing column":
        rewritten(path, table.drop_columns(["flags"]))
    elif how == "dtype":
        rewritten(
            path, table.set_column(5, pa.field("bid", pa.float32(), nullable=False), table["bid"].cast("float32"))
        )
    elif how == "nullable":
        rewritten(path, table.cast(pa.schema([field.with_nullable(True) for field in SCHEMA])))
    elif how == "extra column":
        rewritten(path, table.append_column("more", table["bid"]))
    elif how == "unordered":
        rewritten(path, table.take(pa.array([*range(60), 61, 60, *range(62, 100)])))
    elif how == "between parts":
        rewritten(path, table_of(block(3, start=T0 - 10**15)), part=1)
    elif how == "infinite":
        rewritten(path, table_of(replace(block(3), ask=np.array([1.0, 2.0, np.inf]))))
    elif how == "negative":
        rewritten(path, table_of(replace(block(3), bid=np.array([1.0, 2.0, -3.0]))))
    elif how == "no price":
        rewritten(path, table_of(replace(block(3), ask=np.array([1.0, np.nan, 3.0]))))
    elif how == "stray instrument":
        rewritten(path, table_of(replace(block(3), instrument=np.array([0, 7, 0], np.int32))))
    elif how == "part gone":
        part.unlink()
    elif how == "no header":
        (path / "universe.json").unlink()
    elif how == "header":
        (path / "universe.json").write_text('{"schema": 1')
    elif how == "schema":
        text = json.loads((path / "universe.json").read_text())
        (path / "universe.json").write_text(json.dumps({**text, "schema": 99}))
    elif how == "twice":
        text = json.loads((path / "universe.json").read_text())
        (path / "universe.json").write_text(json.dumps({**text, "instruments": text["instruments"] * 2}))
    elif how == "empty":
        for file in path.glob("part-*"):
            file.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", r"part-00000.parquet: row 0: not a whole Parquet file"),
        ("no parquet", r"part-00000.parquet: row 0: not a whole Parquet file \(5 bytes\)"),
        ("flipped", r"part-00000.parquet, row 0: rows 0 to 262143 cannot be decoded"),
        ("missing column", r"part-00000.parquet: row 0: column flags is missing"),
        ("dtype", r"column bid is .*float not null.*, must be .*double not null"),
        ("nullable", r"column ts_venue is .*must be .*not null"),
        ("extra column", r"columns .*more; must be"),
        ("unordered", r"part-00000.parquet, row 61: time goes back"),
        ("between parts", r"part-00001.parquet, row 0: time goes back"),
        ("infinite", r"part-00000.parquet, row 2: ask is inf"),
        ("negative", r"part-00000.parquet, row 2: bid is -3.0, which cannot be"),
        ("no price", r"part-00000.parquet, row 1: ask is nan, which cannot be"),
        ("stray instrument", r"part-00000.parquet, row 1: instrument is 7"),
        ("part gone", r"part-00000.parquet is missing, but part-00001.parquet is there"),
        ("no header", r"not a tape: it has no universe.json"),
        ("header", r"universe.json: not the description of a tape"),
        ("schema", r"schema 99.*this version reads schema 1"),
        ("twice", r"universe.json.*stands for two instruments"),
        ("empty", r"the tape is empty"),
    ],
)
def test_a_broken_tape_is_named(tmp_path: Path, how: str, said: str) -> None:
    """
    Whatever is wrong with a tape raises TapeError with the file, the row where there is one, and a hint.
    """
    path = written(tmp_path / "t", block(GROUP_ROWS + 3))
    break_folder(path, how)
    with pytest.raises(TapeError, match=said) as caught:
        for _ in open_tape(path).blocks():
            pass
    assert str(tmp_path) in str(caught.value)
    assert how == "twice" or caught.value.hint


def test_what_is_no_tape_is_named(tmp_path: Path) -> None:
    """
    An absent folder, a file, and a column that does not exist are told apart.
    """
    with pytest.raises(TapeError, match="no such folder"):
        open_tape(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(TapeError, match="this is a file"):
        open_tape(tmp_path / "file")
    with pytest.raises(TapeError, match=r"no column 'price'.*ts_recv"):
        list(open_tape(written(tmp_path / "t", block(1))).blocks(["price"]))
