"""Importing: the map, exact times and prices, the order of one instant, bad lines set aside, broken files named."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import main
from bot.tape_cells import numbers, times
from bot.tape_import import Imported, import_tape
from connectors.errors import ImportFailed
from connectors.events import NS, Flag, Kind, Rows
from connectors.instruments import Hours, Instrument, Role, UnitModel
from connectors.tape import open_tape

MAPS = Path(__file__).parents[1] / "maps"
T = 1_780_000_000
"""A second in May 2026."""


def a_map(tmp_path: Path, series: str, *, time: str = 'column = "t", format = "unix_s"', files: str = "*.csv") -> Path:
    """A map of one source."""
    path = tmp_path / "map.toml"
    path.write_text(f'[[source]]\nfiles = "{files}"\ntime = {{ {time} }}\n\n{series}')
    return path


def series(**facts: str) -> str:
    """A series; by default quotes of a token with one price in column p."""
    base = {"instrument": '"v:AX/USD"', "kind": '"QUOTE"', "token": '"AX"', "underlying": '"A"', "price": '"p"'}
    lines = {**base, **facts}
    return "[[source.series]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


def run_import(tmp_path: Path, text: str, the_map: str, **options: str) -> tuple[Imported, Rows]:
    """Imports one CSV; gives the summary and all rows."""
    source = tmp_path / "in.csv"
    source.write_text(text)
    done = import_tape([source], a_map(tmp_path, the_map, **options), tmp_path / "t.tape")
    return done, Rows.join(list(open_tape(tmp_path / "t.tape").blocks()))


def rejects(tmp_path: Path) -> list[list[str]]:
    """Lines of rejects.csv below its header."""
    with (tmp_path / "t.tape" / "rejects.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize(
    ("form", "cell", "ns"),
    [
        ("iso8601", "2026-08-12T04:16:25Z", 1786508185 * NS),
        ("iso8601", "2026-08-12 04:16:25.123456789+00:00", 1786508185 * NS + 123456789),
        ("iso8601", "2026-08-12T00:16:25.5-0400", 1786508185 * NS + NS // 2),
        ("iso8601", "2026-08-12", 1786492800 * NS),
        ("unix_s", "1786508185", 1786508185 * NS),
        ("unix_s", "1786508185.123456789", 1786508185 * NS + 123456789),
        ("unix_ms", "1786508185001", 1786508185 * NS + 1_000_000),
        ("unix_ms", "1786508185001.000001", 1786508185 * NS + 1_000_001),
        ("unix_ns", "1786508185000000001", 1786508185 * NS + 1),
    ],
)
def test_times_are_exact(form: str, cell: str, ns: int) -> None:
    """
    Every format gives whole nanoseconds without a float in between, alone and beside a cell that cannot be read.
    """
    assert [ns] == times(pa.array([cell]), form, 0).values.tolist()
    beside = times(pa.array([cell, "soon", " "]), form, 7)
    assert ns + 7 == beside.values[0]
    assert ([False, True, False], [False, False, True]) == (beside.unreadable.tolist(), beside.empty.tolist())


@given(moment=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), digits=st.text("0123456789", max_size=9))
def test_slow_and_fast_reading_of_times_agree(moment: datetime, digits: str) -> None:
    """
    A time means the same whether its column is clean (read by Arrow) or has a cell that is not (read one by one).
    """
    moment = moment.replace(microsecond=0)
    cell = moment.isoformat() + (f".{digits}" if digits else "") + "Z"
    clean = times(pa.array([cell]), "iso8601", 0)
    dirty = times(pa.array([cell, "x"]), "iso8601", 0)
    assert clean.values[0] == dirty.values[0]
    assert int(digits.ljust(9, "0")) == clean.values[0] % NS


@given(value=st.decimals(-(10**9), 10**9, allow_nan=False))
def test_slow_and_fast_reading_of_numbers_agree(value: Decimal) -> None:
    """
    A number is the nearest float64 whether its column is clean or not.
    """
    text = format(value, "f")
    assert float(text) == numbers(pa.array([text])).values[0] == numbers(pa.array([text, "x"])).values[0]


def test_rows_of_one_instant_stand_in_the_order_of_the_design(tmp_path: Path) -> None:
    """
    Equal times: MULTIPLIER, FX, REFERENCE and FUNDING, then quotes; within a kind by series, then by line.
    """
    text = f"t,p,m\n{T},2,1.5\n{T},1,1.25\n{T - 1},3,\n"
    kinds = (
        series()
        + series(instrument='"w:AX/USD"')
        + series(instrument='"y:A"', kind='"REFERENCE"', token="")
        + series(instrument='"z:A"', kind='"FUNDING"', token="", price="", rate='"p"', per_s="3600")
        + series(instrument='"k:USDC/USD"', kind='"FX"', token="", underlying="", coin='"USDC"')
        + series(kind='"MULTIPLIER"', price="", value='"m"')
    )
    _, rows = run_import(tmp_path, text, kinds)
    assert [T - 1] * 5 + [T] * 12 == (rows.ts_recv // NS).tolist()
    Q, R, F = Kind.QUOTE, Kind.REFERENCE, Kind.FUNDING
    assert [Kind.MULTIPLIER] * 2 + [Kind.FX] * 2 + [R, R, F, F] + [Q] * 4 == rows.kind[5:].tolist()
    assert [1.5, 1.25, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1] == rows.bid[5:].tolist()
    assert [0, 0, 1, 1] == rows.instrument[-4:].tolist()


def test_every_kind_fills_its_fields(tmp_path: Path) -> None:
    """
    Each kind of the map puts its columns where connectors/events.py says.
    """
    text = "t,a,b,c,d,h\n" + f"{T},10,11,5,6,True\n"
    kinds = (
        series(price="", bid='"a"', ask='"b"', bid_size='"c"', ask_size='"d"', halted='"h"')
        + series(kind='"TRADE"', price='"a"', ask_size='"c"')
        + series(kind='"MULTIPLIER"', price="", value='"a"')
        + series(kind='"REWARD"', price="", usd_per_day='"a"', ends='"t"')
        + series(kind='"SUPPLY"', price="", tokens='"a"', backing_shares='"b"')
        + series(instrument='"p:A"', kind='"FUNDING"', token="", price="", rate='"c"', per_s="28800")
    )
    _, rows = run_import(tmp_path, text, kinds)
    found = {Kind(row.kind): row for row in rows}
    quote, trade, multiplier = found[Kind.QUOTE], found[Kind.TRADE], found[Kind.MULTIPLIER]
    assert (10, 11, 5, 6, Flag.HALTED) == (quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.flags)
    assert (10, 10, 5, Flag(0)) == (trade.bid, trade.ask, trade.ask_size, trade.flags)
    assert (10, T, 0) == (multiplier.bid, multiplier.ask, multiplier.extra)
    assert (10, T) == (found[Kind.REWARD].bid, found[Kind.REWARD].ask)
    assert (10, 11) == (found[Kind.SUPPLY].bid, found[Kind.SUPPLY].ask)
    assert (5, 28800) == (found[Kind.FUNDING].bid, found[Kind.FUNDING].ask)
    (record,) = open_tape(tmp_path / "t.tape").side("multipliers")
    assert ("10.0", T * NS) == (record["multiplier"], record["activates_ns"])


def test_a_multiplier_may_be_announced_before_it_activates(tmp_path: Path) -> None:
    """
    With an `activates` column the row's time is the announcement, and the offset does not move the activation.
    """
    _, rows = run_import(
        tmp_path,
        f"t,m,x\n{T},1.02,{T + 86400}\n",
        series(kind='"MULTIPLIER"', price="", value='"m"', activates='"x"'),
        time='column = "t", format = "unix_s", offset_s = 60',
    )
    assert ((T + 60) * NS, 1.02, T + 86400) == (rows.ts_recv[0], rows.bid[0], rows.ask[0])


def test_bad_lines_are_counted_named_and_set_aside(tmp_path: Path) -> None:
    """
    Each bad line stands in rejects.csv with its line, reason and text; good ones around it are taken, none is repaired.
    """
    lines = [
        "t,b,a",
        f"{T},1,2",
        f"{T},-1,2",
        f"{T},0,2",
        f"{T},nan,2",
        f"{T},inf,2",
        f"{T},3,2",
        f"{T},,2",
        f"{T},1.0.0,2",
        "soon,1,2",
        ",1,2",
        f"{T * 1000},1,2",
        "5,1,2",
        f"{T},1",
        f"{T},1,2,3",
        "",
        f"{T},,",
        f"{T + 1}, 2 ,2",
    ]
    done, rows = run_import(tmp_path, "\n".join(lines) + "\n", series(price="", bid='"b"', ask='"a"'))
    expected = {
        3: "negative",
        4: "zero",
        5: "not_finite",
        6: "not_finite",
        7: "crossed",
        8: "half_quote",
        9: "unreadable",
        10: "time_unreadable",
        11: "time_empty",
        12: "time_outside",
        13: "time_outside",
        14: "cells",
        15: "cells",
    }
    found = rejects(tmp_path)
    assert expected == {int(line): reason for _, line, reason, _, _ in found}
    assert all(lines[int(line) - 1] == text for _, line, _, _, text in found)
    assert {"v:AX/USD", ""} == {instrument for *_, instrument, _ in found}
    assert [1.0, 2.0] == rows.bid.tolist()
    assert (13, 2, 17) == (sum(done.rejected.values()), done.series[0].absent, done.files[0].lines)


def test_bad_sizes_and_flags_are_rejected(tmp_path: Path) -> None:
    """
    A size that cannot be, or a halt column that says neither yes nor no, sets the line aside; an empty size is absent.
    """
    text = f"t,p,s,h\n{T},1,-1,no\n{T},1,x,no\n{T},1,2,maybe\n{T},1,,yes\n"
    _, rows = run_import(tmp_path, text, series(ask_size='"s"', halted='"h"'))
    assert ["bad_size", "bad_size", "bad_flag"] == [reason for _, _, reason, _, _ in rejects(tmp_path)]
    assert [Flag.ONE_PRICE | Flag.HALTED] == rows.flags.tolist()
    assert np.isnan(rows.ask_size).all()


def test_filters_compare_numbers_by_value_and_text_by_letter(tmp_path: Path) -> None:
    """
    `where` and `drop_where`: 0 finds 0.0, true finds True, and text must be equal.
    """
    text = f"t,p,s,v,k\n{T},1,A,0.0,True\n{T},2,A,3,True\n{T},3,a,3,True\n{T},4,A,3,False\n"
    done, rows = run_import(tmp_path, text, series(where='{ s = "A", k = true }', drop_where="{ v = 0 }"))
    assert [2.0] == rows.bid.tolist()
    assert 1 == done.series[0].dropped


def test_a_file_whose_time_goes_back_is_reported_and_sorted(tmp_path: Path) -> None:
    """
    Order in a file does not matter to the tape, but the summary says where it goes back.
    """
    done, rows = run_import(tmp_path, f"t,p\n{T + 2},1\n{T},2\n{T + 1},3\n", series())
    assert [2.0, 3.0, 1.0] == rows.bid.tolist()
    assert (1, 3) == (done.files[0].backwards, done.files[0].backwards_line)


def test_parquet_and_gzip_give_the_same_rows_as_csv(tmp_path: Path) -> None:
    """
    The same table as CSV, as gzip without the ending, and as Parquet with typed columns gives the same tape.
    """
    _, plain = run_import(tmp_path, f"t,p,s\n{T},1.5,A\n{T + 1},,A\n{T + 2},2.5,A\n", series(where='{ s = "A" }'))
    packed = tmp_path / "x.csv"
    packed.write_bytes(gzip.compress((tmp_path / "in.csv").read_bytes()))
    typed = tmp_path / "y.csv"
    at = pa.array([T * NS, (T + 1) * NS, (T + 2) * NS], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"t": at, "p": [1.5, None, 2.5], "s": ["A", "A", "A"]}), typed)
    for n, path in enumerate((packed, typed)):
        import_tape([path], tmp_path / "map.toml", tmp_path / f"{n}.tape")
        other = Rows.join(list(open_tape(tmp_path / f"{n}.tape").blocks()))
        assert (plain.ts_recv.tolist(), plain.bid.tolist()) == (other.ts_recv.tolist(), other.bid.tolist())


def test_the_registry_fills_in_what_the_map_leaves_out(tmp_path: Path) -> None:
    """
    A registered token brings share, issuer, contract and unit model; the multiplier is 1 only where a unit is a share.
    """
    text = f"t,p\n{T},1\n"
    tokens = (
        series(instrument='"uni:TSLAx"', token='"TSLAx"', chain='"ethereum"', underlying="")
        + series(instrument='"ray:TSLAx"', token='"TSLAx"', chain='"solana"', underlying="")
        + series(instrument='"bsc:TSLAB"', token='"TSLAB"', underlying="", multiplier="1.0")
    )
    run_import(tmp_path, text, tokens)
    evm, solana, bstock = open_tape(tmp_path / "t.tape").universe
    assert ("TSLA", "xstocks", UnitModel.REBASING, 1.0) == (evm.underlying, evm.issuer, evm.unit_model, evm.multiplier)
    assert (UnitModel.SCALED_UI, None) == (solana.unit_model, solana.multiplier)
    assert ("binance", "bsc", 1.0) == (bstock.issuer, bstock.chain, bstock.multiplier)
    assert bstock.contract.startswith("0x")


def test_one_import_is_the_same_bytes_as_another(tmp_path: Path) -> None:
    """
    The same files and map give the same tape, byte by byte: no clock and no path in it.
    """
    run_import(tmp_path, f"t,p\n{T},1\n{T + 1},2\n", series())
    import_tape([tmp_path / "in.csv"], tmp_path / "map.toml", tmp_path / "again.tape")
    for name in ("universe.json", "part-00000.parquet"):
        assert (tmp_path / "t.tape" / name).read_bytes() == (tmp_path / "again.tape" / name).read_bytes()


GOOD = f"t,p,s\n{T},1,A\n{T + 1},2,A\n"
MISTAKES: dict[str, tuple[str, str]] = {
    "unknown key": (series(prize='"p"'), r"map.toml:11 .*prize: unknown key \(did you mean 'price'\?\)"),
    "wrong column": (series(price='"q"'), r"map.toml:10 \[source 1 series 1\] price: no column 'q' in in.csv.*t, p, s"),
    "did you mean": (series(price='"P"'), r"did you mean 'p'\?"),
    "where column": (series(where='{ symbol = "A" }'), r"where.symbol: no column 'symbol'"),
    "kind": (series(kind='"QOUTE"'), r"map.toml:7 .*kind: 'QOUTE' is none of .*did you mean 'QUOTE'\?"),
    "instrument": (series(instrument='"AX"'), r"instrument: 'AX' is not venue:symbol"),
    "hours": (series(hours='"always"'), r"hours: 'always' is none of '24/7'"),
    "both prices": (series(bid='"p"'), r"price: one price and bid or ask exclude each other"),
    "no ask": (series(price="", bid='"p"'), r"ask|missing \(write price, or bid and ask\)"),
    "multiplier": (series(multiplier="-1.0"), r"multiplier: input should be greater than 0, not -1.0"),
    "fx without coin": (series(kind='"FX"', token="", underlying=""), r"coin: missing"),
    "funding": (series(kind='"FUNDING"'), r"FUNDING has no such column"),
    "unregistered": (series(underlying=""), r"token: 'AX' is not in the registry"),
    "contradiction": (series() + series(underlying='"B"'), r"underlying: 'B', but an earlier series .* says 'A'"),
    "no series": ("", r"series: missing"),
    "not toml": ("[[source.series]\n", r"map.toml:5: not TOML"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_map_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """
    Each mistake gives file:line, key and what to write, exit code 8, and leaves nothing behind.
    """
    the_map, said = MISTAKES[name]
    (tmp_path / "in.csv").write_text(GOOD)
    with pytest.raises(ImportFailed, match=said):
        import_tape([tmp_path / "in.csv"], a_map(tmp_path, the_map), tmp_path / "t.tape")
    words = ["tape", "import", str(tmp_path / "in.csv"), "--map", str(tmp_path / "map.toml")]
    assert 8 == main([*words, "--out", str(tmp_path / "t.tape")])
    assert "map.toml:" in capsys.readouterr().err
    assert {"in.csv", "map.toml"} == {path.name for path in tmp_path.iterdir()}


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """
    Two mistakes of form come together, and so do two wrong columns of two series.
    """
    (tmp_path / "in.csv").write_text(GOOD)
    for the_map in (series(kind='"X"', hours='"Y"'), series(price='"q"') + series(instrument='"w:B"', price='"r"')):
        with pytest.raises(ImportFailed) as caught:
            import_tape([tmp_path / "in.csv"], a_map(tmp_path, the_map), tmp_path / "t.tape")
        assert 2 == len(str(caught.value).splitlines())


def packed(lines: int) -> bytes:
    """A gzip of many lines that do not compress well."""
    draw = np.random.default_rng(1).normal(400, 1, lines)
    return gzip.compress(("t,p,s\n" + "".join(f"{T + i},{p!r},A\n" for i, p in enumerate(draw.tolist()))).encode())


def parquet(tmp_path: Path) -> bytes:
    """A Parquet file of many rows."""
    path = tmp_path / "p"
    pq.write_table(pa.table({"t": np.arange(T, T + 5000), "p": np.arange(1.0, 5001.0)}), path, row_group_size=1000)
    data = path.read_bytes()
    path.unlink()
    return data


def scrambled(data: bytes) -> bytes:
    """The same with its third row group overwritten."""
    middle = len(data) // 2
    return data[: middle - 2000] + bytes(4000) + data[middle + 2000 :]


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "truncated gzip": (lambda _: packed(200_000)[:900_000], r"row \d{5}: the file breaks off here"),
    "gzip header only": (lambda _: packed(100)[:30], r"row 0: "),
    "gzip with a bad sum": (lambda _: packed(100)[:-8] + bytes(8), r"row [1-9]\d*: the file breaks off here"),
    "truncated parquet": (lambda folder: parquet(folder)[:-300], r"row 0: the columns cannot be read"),
    "scrambled parquet": (lambda folder: scrambled(parquet(folder)), r"row \d+: cannot be decoded from here"),
    "empty": (lambda _: b"", r"row 0: the file is empty"),
    "blank header": (lambda _: b"\n\n", r"row 0: the file is empty"),
    "no header": (lambda _: f"{T},1\n".encode(), r"no column 't'"),
    "header only": (lambda _: b"t,p,s\n", r"no row could be taken"),
    "column twice": (lambda _: b"t,p,p\n1,2,3\n", r"line 1: column 'p' is there twice"),
    "all negative": (
        lambda _: f"t,p,s\n{T},-1,A\n".encode(),
        r"no row could be taken \(negative 1, first: in.csv:2\)",
    ),
    "all NaN": (
        lambda _: f"t,p,s\n{T},nan,A\n".encode(),
        r"no row could be taken \(not_finite 1, first: in.csv:2\)",
    ),
    "wrong unit of time": (
        lambda _: f"t,p,s\n{T}000,1,A\n".encode(),
        r"no row could be taken \(time_outside 1, first: in.csv:2\)",
    ),
    "other separator": (lambda _: f"t;p;s\n{T};1;A\n".encode(), r"no column 't'"),
    "an image": (lambda _: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", r"no column 't'"),
    "utf-16": (lambda _: "t,p,s\n1,2,A\n".encode("utf-16"), r"no column 't'"),
}
"""Files that cannot be imported, made in a folder, and what is said of them."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """
    A file that cannot be imported gives its name and the row reached, exit code 8, and leaves nothing behind.
    """
    made, said = BROKEN[name]
    (tmp_path / "in.csv").write_bytes(made(tmp_path))
    out = tmp_path / "t.tape"
    with pytest.raises(ImportFailed, match=said) as caught:
        import_tape([tmp_path / "in.csv"], a_map(tmp_path, series()), out)
    assert "in.csv" in str(caught.value)
    words = ["tape", "import", str(tmp_path / "in.csv"), "--map", str(tmp_path / "map.toml"), "--out", str(out)]
    assert 8 == main(words)
    assert "in.csv" in capsys.readouterr().err
    assert {"in.csv", "map.toml"} == {path.name for path in tmp_path.iterdir()}


def test_a_file_given_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The same file under two names of its path would double every row: exit 8, nothing is written.
    """
    (tmp_path / "in.csv").write_text(GOOD)
    files = [str(tmp_path / "in.csv"), str(tmp_path / ".." / tmp_path.name / "in.csv")]
    words = ["--map", str(a_map(tmp_path, series())), "--out", str(tmp_path / "t.tape")]
    assert 8 == main(["tape", "import", *files, *words])
    assert "in.csv: this file is given twice" in capsys.readouterr().err
    assert not (tmp_path / "t.tape").exists()


def test_a_folder_among_the_files_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A folder is no file: exit 8, and what to do instead.
    """
    (tmp_path / "in.csv").mkdir()
    words = ["--map", str(a_map(tmp_path, series())), "--out", str(tmp_path / "t.tape")]
    assert 8 == main(["tape", "import", str(tmp_path / "in.csv"), *words])
    assert "in.csv: this is a folder, not a file (name the files in it)" in capsys.readouterr().err


def test_an_out_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Where the disk refuses the tape, that is exit 8 with the tape's name, no unexpected error.
    """
    (tmp_path / "in.csv").write_text(GOOD)
    out = tmp_path / "in.csv" / "t.tape"
    words = ["--map", str(a_map(tmp_path, series())), "--out", str(out)]
    assert 8 == main(["tape", "import", str(tmp_path / "in.csv"), *words])
    assert f"pegline: {out}: cannot be written: " in capsys.readouterr().err


def test_a_name_that_a_terminal_would_obey_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An escape sequence in an instrument's name is no name: exit 8, and the message shows it harmlessly.
    """
    (tmp_path / "in.csv").write_text(GOOD)
    the_map = a_map(tmp_path, series(instrument=r'"v:A\u001b[31mX/USD"'))
    assert 8 == main(["tape", "import", str(tmp_path / "in.csv"), "--map", str(the_map), "--out", str(tmp_path / "t")])
    said = capsys.readouterr().err
    assert "a name holds a character that cannot be shown" in said and "\x1b" not in said


def test_an_existing_tape_is_replaced_only_by_force(tmp_path: Path) -> None:
    """
    Without --force a tape stays; with it the new one takes its place; a folder that is no tape is never touched.
    """
    run_import(tmp_path, GOOD, series())
    again = ([tmp_path / "in.csv"], tmp_path / "map.toml")
    with pytest.raises(ImportFailed, match="there is a tape here already"):
        import_tape(*again, tmp_path / "t.tape")
    (tmp_path / "in.csv").write_text(GOOD + f"{T + 2},3,A\n")
    assert 3 == import_tape(*again, tmp_path / "t.tape", force=True).rows
    assert 3 == open_tape(tmp_path / "t.tape").rows()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ImportFailed, match="not a tape"):
        import_tape(*again, tmp_path / "mine", force=True)
    assert {"in.csv", "map.toml", "t.tape", "mine"} == {path.name for path in tmp_path.iterdir()}


def test_a_failed_replacement_leaves_the_old_tape(tmp_path: Path) -> None:
    """
    With --force and a file that breaks off, the tape that was there is still there, whole.
    """
    run_import(tmp_path, GOOD, series())
    (tmp_path / "in.csv").write_bytes(packed(200_000)[:900_000])
    with pytest.raises(ImportFailed):
        import_tape([tmp_path / "in.csv"], tmp_path / "map.toml", tmp_path / "t.tape", force=True)
    assert 2 == open_tape(tmp_path / "t.tape").rows()


def test_files_that_no_source_takes_are_named(tmp_path: Path) -> None:
    """
    A glob without a file and a file without a source are both mistakes, told together.
    """
    (tmp_path / "in.txt").write_text(GOOD)
    with pytest.raises(ImportFailed) as caught:
        import_tape([tmp_path / "in.txt"], a_map(tmp_path, series()), tmp_path / "t.tape")
    assert "'*.csv' matches none of the files given (in.txt)" in str(caught.value)
    assert "no source takes in.txt" in str(caught.value)
    with pytest.raises(ImportFailed, match="there is no such file"):
        import_tape([tmp_path / "gone.csv"], tmp_path / "map.toml", tmp_path / "t.tape")


def test_the_august_map_reads_the_shared_file(shared: Path, tmp_path: Path) -> None:
    """
    Every filled cell of the map's columns becomes one row, at its own time and price, and none is refused.
    """
    source = shared / "data/multivenue_rh_hl_bsc_2026-08/snapshots.csv.gz"
    done = import_tape([source], MAPS / "multivenue_2026_08.toml", tmp_path / "t")
    with gzip.open(source, "rt", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["symbol"] == "TSLA"]
    expected = [(line["ts"], float(line["dex_usd"])) for line in lines if line["dex_usd"]]
    tape = open_tape(tmp_path / "t")
    pool = tape.universe.number("bsc-pool:TSLAB/USD")
    rows = Rows.join(list(tape.blocks()))
    mine = rows.instrument == pool
    stamps = [int(datetime.fromisoformat(ts).timestamp()) * NS for ts, _ in expected]
    assert stamps == rows.ts_recv[mine].tolist()
    assert [price for _, price in expected] == rows.bid[mine].tolist() == rows.ask[mine].tolist()
    assert ({}, 18) == (done.rejected, len(tape.universe))
    oracle, mark = (tape.universe[tape.universe.number(f"hl:TSLA-{name}")] for name in ("oracle", "mark"))
    assert ("hl", "hl") == (oracle.witness, mark.witness)
    assert (
        Instrument(venue="rh", symbol="TSLA", role=Role.SHARE, underlying="TSLA", witness="issuer") == tape.universe[0]
    )


def test_the_xstocks_map_reads_the_shared_files(shared: Path, tmp_path: Path) -> None:
    """
    Hourly candles are known an hour after their open, five-minute bars five minutes after; no-trade bars are dropped.
    """
    files = [shared / "data/xstocks_solana_2026-06/ohlcv.csv.gz", shared / "data/us_equity_2025_2026/yahoo_5m.csv.gz"]
    done = import_tape(files, MAPS / "xstocks_2026_06.toml", tmp_path / "t")
    assert [1000, 1000, 1635] == [one.rows for one in done.series]
    assert [0, 0, 4] == [one.dropped for one in done.series]
    tape = open_tape(tmp_path / "t")
    rows = Rows.join(list(tape.blocks()))
    assert {0} == set((rows.ts_recv[rows.instrument < 2] // NS % 3600).tolist())
    share = tape.universe.number("yahoo:TSLA")
    assert 1777556100 == rows.ts_recv[rows.instrument == share][0] // NS
    assert Hours.EXTENDED is tape.universe[share].hours


def test_the_usdc_map_reads_the_shared_files(shared: Path, tmp_path: Path) -> None:
    """
    USDC in March 2023 becomes FX of the coin USDC in USDT, from traded minutes only, down to the break below 0.9.
    """
    folder = shared / "data/depeg_usdc_2023-03"
    files = [folder / "binance_usdcusdt.csv.gz", folder / "kraken_usdcusdt_1min.csv.gz"]
    done = import_tape(files, MAPS / "usdc_2023_03.toml", tmp_path / "t")
    assert [30_240 - 25_056, 20_317] == [one.rows for one in done.series]
    tape = open_tape(tmp_path / "t")
    rows = Rows.join(list(tape.blocks(["kind", "bid"])))
    assert {Kind.FX} == set(rows.kind.tolist())
    assert rows.bid.min() < 0.9
    assert {("USDC", "USDT")} == {(one.coin, one.quote) for one in tape.universe}
