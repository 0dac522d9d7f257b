"""`pegline peg --against fair`: premia on our own fair value, as the engine sees it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bot.commands import peg as command
from bot.config import Config
from bot.errors import UsageError
from bot.peg_fair import fair_samples
from bot.tape_import import import_tape
from connectors.events import NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.tape import Tape, TapeWriter, open_tape

MAPS = Path(__file__).resolve().parents[1] / "maps"
NOON = 1_787_245_200  # 2026-08-20 13:00 New York, a Thursday
UNIVERSE = Universe(
    (
        Instrument(
            venue="pool",
            symbol="TSLAx/USDC",
            role=Role.TOKEN,
            underlying="TSLA",
            token="TSLAx",
            unit_model=UnitModel.SCALED_UI,
            quote="USDC",
            multiplier=2.0,
        ),
        Instrument(venue="share", symbol="TSLA", role=Role.SHARE, underlying="TSLA"),
        Instrument(venue="fx", symbol="USDC/USD", role=Role.COIN, coin="USDC"),
    )
)


def price(second: int, number: int, kind: Kind, value: float, flags: Flag = Flag.ONE_PRICE) -> Row:
    """A row with one price, some seconds after noon."""
    return Row(ts_recv=(NOON + second) * NS, instrument=number, kind=kind, bid=value, ask=value, flags=flags)


START = [price(0, 2, Kind.FX, 1.0), price(0, 1, Kind.REFERENCE, 100.0)]


def made(tmp_path: Path, rows: list[Row]) -> Tape:
    """A tape of made-up rows."""
    with TapeWriter(tmp_path / "t.tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    return open_tape(tmp_path / "t.tape")


def premia(tape: Tape, **span: int) -> list[tuple[int, float]]:
    """(second after noon, premium in bps to 1e-6) of each sample."""
    found = fair_samples(tape, Config(), **span)
    return [(int(ts) // NS - NOON, round(float(p), 6)) for ts, p in zip(found.ts, found.premium_bps, strict=True)]


def test_a_print_is_judged_by_the_fair_value_of_its_share(tmp_path):
    """
    Two shares a unit at 100: a print of 202 is 100 bps dear.
    """
    assert [(1, 100.0)] == premia(made(tmp_path, [*START, price(1, 0, Kind.QUOTE, 202.0)]))


def test_a_sample_sees_every_row_of_its_own_instant(tmp_path):
    """
    A reference behind the print, but of its very time, already counts; both prints of that time are samples.
    """
    rows = [*START, price(1, 0, Kind.QUOTE, 202.0), price(1, 1, Kind.REFERENCE, 101.0), price(1, 0, Kind.QUOTE, 202.0)]
    assert [(1, 0.0), (1, 0.0)] == premia(made(tmp_path, rows))


def test_a_refused_outlier_is_no_sample(tmp_path):
    """
    One print at thrice the price is refused at the gate; the next sound one is a sample again.
    """
    rows = [*START, price(1, 0, Kind.QUOTE, 200.0), price(2, 0, Kind.QUOTE, 600.0), price(3, 0, Kind.QUOTE, 200.0)]
    assert [(1, 0.0), (3, 0.0)] == premia(made(tmp_path, rows))


def test_without_a_fair_value_there_is_no_sample(tmp_path):
    """
    Before the first reference the fair value is unknown, and a superseded print was never seen.
    """
    rows = [price(0, 2, Kind.FX, 1.0), price(1, 0, Kind.QUOTE, 200.0), price(2, 1, Kind.REFERENCE, 100.0)]
    rows += [price(3, 0, Kind.QUOTE, 300.0, Flag.SUPERSEDED | Flag.ONE_PRICE), price(4, 0, Kind.QUOTE, 200.0)]
    assert [(4, 0.0)] == premia(made(tmp_path, rows))


def test_from_and_to_cut_the_samples_but_not_the_memory(tmp_path):
    """
    Samples lie in [from, to); the reference from before is still believed.
    """
    rows = [*START, *(price(at, 0, Kind.QUOTE, 200.0) for at in (1, 2, 3, 4))]
    span = {"start_ns": (NOON + 2) * NS, "end_ns": (NOON + 4) * NS}
    assert [(2, 0.0), (3, 0.0)] == premia(made(tmp_path, rows), **span)


def test_a_source_that_stands_still_leaves_no_fair_value(tmp_path):
    """
    The share repeats one price for over half an hour: it is frozen, and prints after that are no samples.
    """
    rows = [*START, *(price(at, 1, Kind.REFERENCE, 100.0) for at in range(300, 2400, 300))]
    rows += [price(at, 0, Kind.QUOTE, 200.0) for at in (60, 2399)]
    assert [(60, 0.0)] == premia(made(tmp_path, sorted(rows, key=lambda row: row.ts_recv)))


def test_august_keeps_its_peg_against_fair_while_the_issuer_stood_still(shared, tmp_path, capsys):
    """
    From 22 August the pool is within 150 bps of our fair value at p95, though the issuer's quote is 17 % off.
    """
    file = shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"
    import_tape([file], MAPS / "multivenue_2026_08.toml", tmp_path / "august.tape")
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    command.run(parser.parse_args([str(tmp_path / "august.tape"), "--from", "2026-08-22T00:00Z", "--json"]))
    said = {(line["token"], line["session"]): line for line in json.loads(capsys.readouterr().out)}
    assert said["TSLAB", "all"]["n"] >= 80
    assert said["TSLAB", "all"]["p95_abs_bps"] < 150
    assert "fair" == said["TSLAB", "all"]["against"]


def test_august_on_a_page(shared, tmp_path, capsys):
    """
    Both pools have their pictures and tables; their health is known at the end, but for what no row tells.
    """
    file = shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"
    import_tape([file], MAPS / "multivenue_2026_08.toml", tmp_path / "august.tape")
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    page = tmp_path / "page.html"
    command.run(parser.parse_args([str(tmp_path / "august.tape"), "--json", "--band", "60", "--html", str(page)]))
    said = {(line["token"], line["session"]): line for line in json.loads(capsys.readouterr().out)}
    text = page.read_text()
    assert (4, 2, 2) == (
        text.count("<svg"),
        text.count("TSLAB on ") + text.count("AAPLB on "),
        text.count("By session"),
    )
    assert f"Health: {said['TSLAB', 'all']['score']:.0f} of 100" in text
    parts = said["TSLAB", "all"]["parts"]
    assert {"premium", "spell", "reversion"} <= set(parts)
    assert not {"depth", "spread", "supply", "multiplier", "wash"} & set(parts)
    for line in said.values():
        assert line["mad_bps"] > 0
        assert line["variance_ratio"] is None or 0 < line["variance_ratio"] < 1
    whole = said["TSLAB", "all"]
    assert 0.5 < whole["ordinary_share_outside"] / whole["share_outside"] < 2
    assert (None, None) == (whole["executable_mint_bps"], whole["executable_redeem_bps"])  # nobody told a fee


def test_a_page_that_cannot_be_written_is_a_mistake_of_usage(tmp_path):
    """
    Its folder does not exist: the address is named.
    """
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    tape = made(tmp_path, [*START, price(1, 0, Kind.QUOTE, 202.0)])
    with pytest.raises(UsageError, match="cannot be written"):
        command.run(parser.parse_args([str(tape.path), "--html", str(tmp_path / "no" / "page.html")]))


@pytest.mark.parametrize("start", [1, 2, 3])
def test_what_was_before_the_span_does_not_depend_on_where_it_begins(tmp_path, start):
    """
    A sample is the same whether or not earlier ones were asked for.
    """
    rows = [*START, *(price(at, 0, Kind.QUOTE, 200.0 + at) for at in (1, 2, 3))]
    tape = made(tmp_path, rows)
    assert [sample for sample in premia(tape) if sample[0] >= start] == premia(tape, start_ns=(NOON + start) * NS)
