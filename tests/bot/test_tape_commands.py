"""`pegline tape info`, `verify` and `fetch`, as a person or a script calls them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.commands.tape import duration, moment
from bot.tape_fetch import instrument_of
from connectors.events import NAN, NS, Flag, Kind, Row, Rows
from connectors.instruments import Hours, Role, UnitModel
from connectors.tape import GROUP_ROWS, open_tape
from connectors.tape_format import part_name
from tests.connectors.test_tape import T0, block, rewritten, table_of, written
from tests.servers.history import History, serving

OPEN = 1_777_555_800
"""2026-04-30 13:30 UTC, when New York opens."""


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, Any, str]:
    """Exit code, JSON of stdout (or its text), and stderr of `pegline tape`."""
    capsys.readouterr()
    code = main(["tape", *map(str, words)])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out.startswith("{") else out, err


def counts(verdict: dict[str, Any]) -> dict[str, int]:
    """Findings that were found, by check."""
    return {finding["check"]: finding["count"] for finding in verdict["findings"] if finding["count"]}


def test_info_tells_what_a_tape_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Rows, kinds, span, rate and silences of each instrument, also across two parts.
    """
    many = GROUP_ROWS + 2
    late = block(3, start=T0 + many * NS + 7200 * NS)
    path = written(tmp_path / "t", Rows.join([block(many), late]))
    code, found, _ = run(capsys, "info", path, "--json")
    assert (0, 1, many + 3, 2) == (code, found["schema"], found["rows"], found["parts"])
    assert (T0, int(late.ts_recv[-1])) == (found["first_ns"], found["last_ns"])
    first = found["instruments"][0]
    assert {"QUOTE": first["rows"]} == first["kinds"]
    assert 1 == first["gaps"]
    assert 7200 < first["longest_gap_s"] < 7210
    assert 1100 < first["per_hour"] < 1200
    assert "v:a" in run(capsys, "info", path)[1]


def test_time_that_passes_is_no_word_of_an_instrument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    TICK rows of a silent hour belong to no instrument: info does not count them, and verify still sees the gap.
    """
    minutes = [Row(ts_recv=T0 + n * 60 * NS, instrument=0, kind=Kind.TICK) for n in range(1, 60)]
    ends = [Row(ts_recv=T0 + s * NS, instrument=0, kind=Kind.QUOTE, bid=1, ask=2) for s in (0, 3600)]
    path = written(tmp_path / "t", Rows.of([ends[0], *minutes, ends[1]]))
    first = run(capsys, "info", path, "--json")[1]["instruments"][0]
    assert (2, {"QUOTE": 2}, 1, 3600.0) == tuple(first[key] for key in ("rows", "kinds", "gaps", "longest_gap_s"))
    assert {"gaps": 1} == counts(run(capsys, "verify", path, "--json")[1])


def test_info_of_an_instrument_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An instrument that never spoke has no span, rate or gap; null in JSON, never a number.
    """
    path = written(tmp_path / "t", Rows.of([Row(ts_recv=T0, instrument=1, kind=Kind.QUOTE, bid=1, ask=2)]))
    silent, once, _ = run(capsys, "info", path, "--json")[1]["instruments"]
    assert (0, None, None, None) == (silent["rows"], silent["first_ns"], silent["per_hour"], silent["longest_gap_s"])
    assert (1, T0, None) == (once["rows"], once["first_ns"], once["per_hour"])
    assert 0 == run(capsys, "info", path)[0]


def test_verify_finds_nothing_wrong_with_a_sound_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A sound tape ends with 0; gaps and one-price rows are notes with their first place.
    """
    rows = block(GROUP_ROWS + 2)
    rows.flags[5:7] = Flag.ONE_PRICE
    path = written(tmp_path / "t", Rows.join([rows, block(1, start=T0 + 10**15)]))
    code, found, _ = run(capsys, "verify", path, "--json")
    assert (0, "note", {"gaps": 1, "one_price": 2}) == (code, found["level"], counts(found))
    notes = {finding["check"]: finding for finding in found["findings"]}
    assert ("part-00000.parquet", 5, "v:c") == tuple(notes["one_price"][key] for key in ("part", "row", "instrument"))
    assert ("part-00001.parquet", 2) == (notes["gaps"]["part"], notes["gaps"]["row"])


def test_verify_counts_bad_rows_and_ends_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Crossed prices and repeated rows are found; the tape can be read, so the code is 5.
    """
    rows = block(8)
    rows.ask[1] = 1.0
    path = written(tmp_path / "t", Rows.join([rows, rows[7:], rows[7:]]))
    code, found, _ = run(capsys, "verify", path, "--json")
    expected = {"crossed": 1, "duplicates": 2}
    assert (5, "bad", expected) == (code, found["level"], counts(found))
    assert 5 == run(capsys, "verify", path)[0]


def test_verify_of_prices_that_cannot_be_ends_with_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An absent, zero or negative price and a negative size stand on no tape of ours: each is counted with its place.
    """
    rows = block(8)
    rows.bid[2] = 0.0
    rows.bid[3] = -1.0
    rows.ask[4] = NAN
    rows.ask_size[5] = -3.0
    path = written(tmp_path / "t", rows)
    code, found, _ = run(capsys, "verify", path, "--json")
    assert (8, "corrupt") == (code, found["level"])
    assert {"no_price": 1, "not_positive": 2, "negative_size": 1} == counts(found)
    places = {finding["check"]: finding["row"] for finding in found["findings"] if finding["count"]}
    assert {"no_price": 4, "not_positive": 2, "negative_size": 5} == places


def test_verify_sees_a_duplicate_across_two_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A row that repeats the last one of the part before is a duplicate all the same.
    """
    rows = block(GROUP_ROWS)
    path = written(tmp_path / "t", Rows.join([rows, rows[-1:]]))
    _, found, _ = run(capsys, "verify", path, "--json")
    (one,) = [finding for finding in found["findings"] if finding["check"] == "duplicates"]
    assert (1, "part-00001.parquet", 0) == (one["count"], one["part"], one["row"])


def test_verify_of_a_corrupt_tape_ends_with_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What the engine would refuse is counted whole, with the first place, and ends with 8; so does a torn part.
    """
    path = written(tmp_path / "t", block(50))
    broken = replace(
        block(50),
        ask=np.where(np.arange(50) == 9, np.inf, 200.0),
        instrument=np.where(np.arange(50) >= 40, 77, 0).astype(np.int32),
        kind=np.where(np.arange(50) == 3, 99, 0).astype(np.int16),
    )
    broken.ts_recv[20] = 5
    rewritten(path, table_of(broken))
    code, found, _ = run(capsys, "verify", path, "--json")
    expected = {"order": 1, "unknown_instrument": 10, "unknown_kind": 1, "time_outside": 1, "not_finite": 1}
    assert (8, "corrupt") == (code, found["level"])
    assert expected.items() <= counts(found).items()
    assert [20, 40, 3, 20, 9] == [finding["row"] for finding in found["findings"][:5]]
    part = path / part_name(0)
    part.write_bytes(part.read_bytes()[:200])
    code, _, err = run(capsys, "verify", path)
    assert 8 == code
    assert "part-00000.parquet" in err


def test_a_tape_that_is_none_ends_with_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    info and verify of what is no tape say so in one line.
    """
    for verb in ("info", "verify"):
        code, out, err = run(capsys, verb, tmp_path)
        assert (8, "", 1) == (code, out, len(err.splitlines()))


def test_import_says_what_it_took_and_what_it_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The summary goes to stderr, with --json also to stdout as an object with its version.
    """
    (tmp_path / "a.csv").write_text("t,p\n1780000000,1\n1780000001,-1\n1779999999,2\n")
    (tmp_path / "m.toml").write_text(
        '[[source]]\nfiles = "a.csv"\ntime = { column = "t", format = "unix_s" }\n[[source.series]]\n'
        'instrument = "v:A"\nkind = "REFERENCE"\nunderlying = "A"\nprice = "p"\n'
    )
    words = ("import", tmp_path / "a.csv", "--map", tmp_path / "m.toml", "--out", tmp_path / "t")
    code, out, err = run(capsys, *words)
    assert (0, "") == (code, out)
    for said in (
        "time goes back 1 times (first at line 4)",
        "v:A REFERENCE: 2 rows (1 rejected)",
        "rejected 1: a price",
    ):
        assert said in err
    code, found, _ = run(capsys, *words, "--force", "--json")
    assert (0, 1, 2, {"negative": 1}) == (code, found["schema"], found["rows"], found["rejected"])


def test_times_and_durations_of_the_command_line() -> None:
    """
    A time without a zone is UTC; a duration has a unit, or is in seconds.
    """
    assert OPEN * NS == moment("2026-04-30T13:30") == moment("2026-04-30T09:30-04:00")
    assert [90.0, 1800.0, 7200.0, 5.0] == [duration(text) for text in ("90s", "30m", "2h", "5")]
    assert 2 == main(["tape", "info", "x", "--gap", "soon"])
    assert 2 == main(["tape", "fetch", "TSLA", "--source", "yahoo", "--from", "x", "--to", "y", "--out", "z"])


def test_what_a_fetched_symbol_stands_for() -> None:
    """
    Yahoo has shares; an exchange has coins, tokens of the registry, and tokens that the caller explains.
    """
    share = instrument_of("TSLA", "yahoo")
    assert (Role.SHARE, "TSLA", Hours.REGULAR, True) == (share.role, share.underlying, share.hours, share.one_price)
    token = instrument_of("TSLAx/USD", "kraken")
    assert (Role.TOKEN, "TSLAx", "TSLA", None) == (token.role, token.token, token.underlying, token.multiplier)
    mine = instrument_of("FOOx/USDT", "gate", underlying="FOO", multiplier=1.5)
    assert ("FOO", 1.5, "USDT") == (mine.underlying, mine.multiplier, mine.quote)
    stable = instrument_of("TSLAB/USDT", "binance")
    assert UnitModel.TOTAL_RETURN is stable.unit_model
    assert "USDC" == instrument_of("USDC/USDT", "kraken").coin
    words = "tape fetch FOOx/USD --source kraken --from 2026-01-01 --to 2026-01-02 --out nowhere"
    assert 2 == main(words.split())


BARS = [(OPEN + 300 * n, 400 + n / 4, 0.0 if n % 5 == 4 else 10.0) for n in range(20)]


def fetch(capsys: pytest.CaptureFixture[str], history: History, symbol: str, source: str, out: Path, *more: str) -> Any:
    """Runs `tape fetch` against the local source, for the session of 2026-04-30 unless `more` says otherwise."""
    span = () if "--from" in more else ("--from", "2026-04-30T13:30", "--to", "2026-04-30T20:30")
    return run(capsys, "fetch", symbol, "--source", source, *span, "--out", out, "--url", history.url, *more)


@pytest.fixture
def yahoo_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """yfinance keeps time zones and cookies under the user's cache; here that is a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("yahoo_cache")
def test_fetch_from_yahoo_makes_references_known_at_the_end_of_a_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    yfinance reads the local Yahoo; each bar with a trade becomes a REFERENCE row five minutes after its open.
    """
    with serving(History(bars=BARS)) as history:
        code, _, err = fetch(capsys, history, "TSLA", "yahoo", tmp_path / "t")
    assert 0 == code, err
    assert "left out 4 bars: no trade" in err
    tape = open_tape(tmp_path / "t")
    rows = Rows.join(list(tape.blocks()))
    traded = [bar for bar in BARS if bar[2]]
    assert [(at + 300) * NS for at, _, _ in traded] == rows.ts_recv.tolist()
    assert [price for _, price, _ in traded] == rows.bid.tolist() == rows.ask.tolist()
    assert {Kind.REFERENCE} == set(rows.kind.tolist())
    assert {Flag.ONE_PRICE} == set(rows.flags.tolist())
    assert "yahoo:TSLA" == tape.universe[0].name


@pytest.mark.usefixtures("yahoo_cache")
def test_a_daily_bar_of_yahoo_is_known_at_the_close(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A day's bar becomes a row at 16:00 New York, which in April is 20:00 UTC.
    """
    days = [(OPEN, 400.0, 5.0), (OPEN + 86400, 401.0, 5.0)]
    with serving(History(bars=days)) as history:
        more = ("--interval", "1d", "--from", "2026-04-29", "--to", "2026-05-02")
        code, _, err = fetch(capsys, history, "AAPL", "yahoo", tmp_path / "t", *more)
    assert 0 == code, err
    (rows,) = open_tape(tmp_path / "t").blocks()
    assert [moment("2026-04-30T20:00"), moment("2026-05-01T20:00")] == rows.ts_recv.tolist()


@pytest.mark.usefixtures("yahoo_cache")
@pytest.mark.parametrize(
    ("symbol", "history", "code", "said"),
    [
        ("NONE", History(), 8, "no data"),
        ("GONE", History(error="No data found, symbol may be delisted"), 8, "no data"),
        ("CALM", History(bars=[(OPEN, 400.0, 0.0)]), 8, "no data: not one bar with a trade"),
        ("LATE", History(status=429), 7, "yahoo"),
    ],
)
def test_an_empty_answer_of_yahoo_is_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], symbol: str, history: History, code: int, said: str
) -> None:
    """
    Nothing, or the words that there is nothing, is exit code 8; being turned away is 7; and no tape is left.
    """
    with serving(history):
        found, _, err = fetch(capsys, history, symbol, "yahoo", tmp_path / "t")
    assert (code, True) == (found, said in err), err
    assert not (tmp_path / "t").exists()


@pytest.mark.usefixtures("yahoo_cache")
def test_a_share_that_yahoo_did_not_know_is_asked_for_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    After an answer that there is no such share the next question is a new one.
    """
    with serving(History(error="No data found, symbol may be delisted")) as history:
        assert 8 == fetch(capsys, history, "BACK", "yahoo", tmp_path / "t")[0]
    with serving(History(bars=BARS)) as history:
        code, _, err = fetch(capsys, history, "BACK", "yahoo", tmp_path / "t")
    assert 0 == code, err


def test_fetch_from_an_exchange_pages_through_candles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    ccxt reads the local Kraken, seven candles at a time, asking for tokenized pairs; a candle is known at its end.
    """
    with serving(History(bars=BARS, page=7)) as history:
        code, _, err = fetch(capsys, history, "TSLAx/USD", "kraken", tmp_path / "t")
    assert 0 == code, err
    asked = [query for path, query in history.asked if path == "/0/public/OHLC"]
    assert 3 <= len(asked) <= 4
    assert {"tokenized_asset"} == {query["asset_class"] for query in asked}
    tape = open_tape(tmp_path / "t")
    rows = Rows.join(list(tape.blocks()))
    assert [(at + 300) * NS for at, _, volume in BARS if volume] == rows.ts_recv.tolist()
    assert {Kind.QUOTE} == set(rows.kind.tolist())
    assert ("TSLAx", "TSLA") == (tape.universe[0].token, tape.universe[0].underlying)


def test_what_an_exchange_does_not_have_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An unknown exchange or pair and a server that is down end with 7, a span without trades with 8, and leave nothing.
    """
    with serving(History()) as history:
        answers = [
            fetch(capsys, history, "TSLAx/USD", "krakken", tmp_path / "t"),
            fetch(capsys, history, "NVDAx/USD", "kraken", tmp_path / "t"),
            fetch(capsys, history, "TSLAx/USD", "kraken", tmp_path / "t"),
        ]
        history.status = 503
        answers.append(fetch(capsys, history, "TSLAx/USD", "kraken", tmp_path / "t"))
    assert [7, 7, 8, 7] == [code for code, _, _ in answers]
    for said, (_, _, err) in zip(("no such exchange", "does not list", "no data", "kraken"), answers, strict=True):
        assert said in err
    assert [] == list(tmp_path.iterdir())


def test_a_fetched_tape_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What fetch writes has the columns of a tape and passes verify.
    """
    with serving(History(bars=BARS)) as history:
        fetch(capsys, history, "USDC/USD", "kraken", tmp_path / "t")
    assert 0 == run(capsys, "verify", tmp_path / "t")[0]
    assert 16 == pq.read_metadata(tmp_path / "t" / part_name(0)).num_rows
    assert Role.COIN is open_tape(tmp_path / "t").universe[0].role
