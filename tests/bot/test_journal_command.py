"""`pegline journal` as its user calls it, on the journal of a backtest of the demo's market and on damaged ones."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.journal import Journal
from bot.journal_orders import orders, trades
from bot.journal_steps import Runs
from connectors.instruments import Instrument, Role
from connectors.orders import Fill, Intent, Leg, Outcome, Purpose, Report, Side
from strategies.base import Note, Step
from tests.bot.test_journal import change
from tests.bot.trading import demo_without

TO = "2026-09-06T00:00Z"
"""Two days of the demo's market: trades on both."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A journal, and what the backtest that made it reported."""
    folder = tmp_path_factory.mktemp("ran")
    journal, out = folder / "journal.sqlite", folder / "out.json"
    words = [
        "--config",
        str(demo_without("peg_watch", "hedge")),
        "--simulated",
        "1",
        "--to",
        TO,
        "--journal",
        str(journal),
    ]
    assert 0 == main(["backtest", *words, "--json", str(out)])
    return journal, json.loads(out.read_text())


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON that a verb prints."""
    capsys.readouterr()
    assert 0 == main(["journal", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_orders_are_those_that_the_backtest_filled(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Each order with its units, price and fee to the last digit, and when it was sent; refused ones too.
    """
    orders = told(capsys, "orders", "--file", str(ran[0]))["orders"]
    fills = {fill["order"]: fill for fill in ran[1]["fills"]}
    assert len(fills) > 5 and fills.keys() == {one["order"] for one in orders if one["fills"]}
    for one in orders:
        if one["fills"]:
            fill = fills[one["order"]]
            assert fill["instrument"] == one["instrument"] and fill["side"] == one["side"]
            assert Decimal(fill["quantity"]) == Decimal(one["filled"]) and Decimal(fill["fee"]) == Decimal(one["fee"])
            assert one["sent_ns"] <= fill["at_ns"] <= one["ended_ns"]
        else:
            assert "refused" == one["outcome"] and one["detail"]


def test_trades_hold_their_orders_and_their_end(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    As many as were approved; none is open at the end; their cash is that of their orders.
    """
    trades = told(capsys, "trades", "--file", str(ran[0]))["trades"]
    assert ran[1]["trades"] == sum(trade["strategy"] != "dust" for trade in trades) > 5
    assert "open" not in {one["end"] for one in trades}
    for trade in trades:
        assert float(trade["flow_usd"]) == pytest.approx(sum(float(one["flow_usd"]) for one in trade["orders"]))


def test_positions_are_those_at_the_end_or_at_a_moment(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    At the end as the backtest reports them; before the first fill nothing is held; shares net out over instruments.
    """
    found = told(capsys, "positions", "--file", str(ran[0]))
    reported = {name: Decimal(units) for name, units in ran[1]["positions"].items()}
    assert reported == {one["instrument"]: Decimal(one["units"]) for one in found["positions"]}
    net = Counter[str]()
    for one in found["positions"]:
        net[one["underlying"]] += Decimal(one["shares"])  # type: ignore[assignment]
    assert net == {name: Decimal(shares) for name, shares in found["net_shares"].items()}
    assert [] == told(capsys, "positions", "--file", str(ran[0]), "--to", "2026-09-04T12:00Z")["positions"]


def test_profit_is_that_of_the_backtest_to_the_last_digit(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Days add up to the total, parts to their net, and the total is what the engine itself reported.
    """
    found = told(capsys, "pnl", "--file", str(ran[0]))
    assert Decimal(ran[1]["net_usd"]) == Decimal(found["net_usd"]) != 0
    for name, usd in ran[1]["bridge_usd"].items():
        assert Decimal(usd) == Decimal(found["bridge_usd"][name])
        assert Decimal(usd) == sum(Decimal(day["bridge_usd"][name]) for day in found["days"])
    assert ["2026-09-04", "2026-09-05"] == [day["day"] for day in found["days"]]
    assert all(sum(map(Decimal, day["bridge_usd"].values())) == Decimal(day["net_usd"]) for day in found["days"])
    assert {*ran[1]["positions"]} <= {*found["marks"]} and [] == found["unmarked"]


def test_another_strategy_has_no_orders_and_one_share_only_its_own(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    --strategy and --underlying choose.
    """
    words = ("orders", "--file", str(ran[0]))
    assert [] == told(capsys, *words, "--strategy", "other")["orders"]
    every, some = told(capsys, *words)["orders"], told(capsys, *words, "--underlying", "NVDA")["orders"]
    assert [one for one in every if one["underlying"] == "NVDA"] == some != every
    late = told(capsys, *words, "--from", "2026-09-05T00:00Z")["orders"]
    assert [one for one in every if one["sent"] >= "2026-09-05"] == late != []


@pytest.mark.parametrize("option", ["underlying", "strategy"])
def test_what_each_share_or_strategy_made_adds_up_to_the_whole(
    ran: tuple[Path, dict[str, Any]], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Fills and each part of the profit; trades, mints and redemptions of others are left out. What did nothing has none.
    """
    file = ("--file", str(ran[0]))
    names = sorted({one[option] for one in told(capsys, "orders", *file)["orders"]})
    whole, parts = told(capsys, "pnl", *file), [told(capsys, "pnl", *file, f"--{option}", name) for name in names]
    assert len(names) > 1 and all(one["fills"] for one in parts)
    assert whole["fills"] == sum(one["fills"] for one in parts)
    for name, usd in whole["bridge_usd"].items():
        assert float(usd) == pytest.approx(sum(float(one["bridge_usd"][name]) for one in parts), abs=1e-9)
    assert [] == told(capsys, "positions", *file, "--strategy", "other")["positions"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_holds_every_fill(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    In each format the same fills, exact, and no half file beside it.
    """
    out = tmp_path / f"fills{suffix}"
    assert 0 == main(["journal", "export", "fills", "--file", str(ran[0]), "--out", str(out)])
    if suffix == ".csv":
        rows = list(csv.DictReader(out.read_text().splitlines()))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        rows = pq.read_table(out).to_pylist()
    expected = [(fill["order"], Decimal(fill["quantity"]), Decimal(fill["price"])) for fill in ran[1]["fills"]]
    assert expected == [(row["order"], Decimal(row["quantity"]), Decimal(row["price"])) for row in rows]
    assert [out] == list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_what_was_there(ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """
    A record that cannot be read ends it with exit 8; the old file stands.
    """
    path, out = tmp_path / "journal.sqlite", tmp_path / "steps.jsonl"
    shutil.copy(ran[0], path)
    out.write_text("old\n")
    change(path, "UPDATE records SET payload = x'c1' WHERE seq = 20")
    assert 8 == main(["journal", "export", "steps", "--file", str(path), "--out", str(out)])
    assert "old\n" == out.read_text()
    assert {path.name, out.name} == {one.name for one in tmp_path.iterdir() if "-" not in one.name}


def test_verify_says_how_many_are_valid_and_which_is_not(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Exit 0 with the hash that the backtest printed; with record 20 changed exit 5, 19 valid, and the record named.
    """
    assert ran[1]["journal_hash"] == told(capsys, "verify", "--file", str(ran[0]))["hash"]
    path = tmp_path / "journal.sqlite"
    shutil.copy(ran[0], path)
    change(path, "UPDATE records SET ts = ts + 1 WHERE seq = 20")
    assert 5 == main(["journal", "verify", "--state", str(tmp_path)])
    said = capsys.readouterr().out
    assert "19 records are valid" in said and "record 20 is not what was written" in said


def test_a_journal_that_is_being_written_can_be_read(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    While another part has it open and appends, the verbs see what is on disk.
    """
    path = tmp_path / "journal.sqlite"
    shutil.copy(ran[0], path)
    with Journal(path) as journal:
        before = told(capsys, "verify", "--file", str(path))["valid"]
        journal.append("other", 1, b"x")
        journal.flush()
        assert before + 1 == told(capsys, "verify", "--file", str(path))["valid"]
        trades = told(capsys, "trades", "--file", str(path))["trades"]
        assert ran[1]["trades"] == sum(trade["strategy"] != "dust" for trade in trades)


@pytest.mark.parametrize("verb", ["orders", "trades", "positions", "pnl", "verify"])
def test_tables_are_for_people(ran: tuple[Path, dict[str, Any]], verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every verb prints something within 100 columns, and exits with 0.
    """
    capsys.readouterr()
    assert 0 == main(["journal", verb, "--file", str(ran[0])])
    lines = capsys.readouterr().out.splitlines()
    assert 0 < len(lines) and max(map(len, lines)) <= 120


def test_where_there_is_no_journal_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exit 8, and no file is made; without a config and a state folder exit 2.
    """
    assert 8 == main(["journal", "pnl", "--state", str(tmp_path)])
    assert [] == list(tmp_path.iterdir())
    assert 2 == main(["journal", "pnl", "--config", str(tmp_path / "none.toml")])
    assert "--state DIR" in capsys.readouterr().err


def test_a_trade_ends_by_its_sagas_word_after_all_rounds() -> None:
    """
    With a stage told it stays open through the answers of its first round, and ends hedged with the second.
    """
    start = Note(kind="start", detail={"instruments": "a:T\nb:T"})
    plan = intent("x-1", 0)
    hedge = msgspec.structs.replace(intent("x-1.h1", 1), trade="x-1", purpose=Purpose.HEDGE)
    staged = {stage: Note(kind="trade", detail={"trade": "x-1", "stage": stage}) for stage in ("hedge", "hedged")}
    told = [
        Step(seq=1, ts=1, cause="start", notes=(start,)),
        Step(seq=2, ts=2, cause="x", wishes=(plan,), approved=("x-1",)),
        Step(seq=3, ts=3, cause="due", reports=(answer("x-1"),), notes=(staged["hedge"],)),
        Step(seq=4, ts=4, cause="due", wishes=(hedge,), approved=("x-1.h1",)),
        Step(seq=5, ts=5, cause="due", reports=(answer("x-1.h1"),), notes=(staged["hedged"],)),
    ]
    runs = Runs((1,), ((instrument("a"), instrument("b")),))
    (open_one,) = trades(told[:4], runs)
    assert ("open", 2, ["hedge"]) == (open_one.end, open_one.rounds, open_one.stages)
    (ended,) = trades(told, runs)
    assert ("hedged", 5, 2, 2) == (ended.end, ended.ended_ns, ended.rounds, len(ended.orders))
    assert ["open", "hedge"] == [order.purpose for order in ended.orders]


def test_an_order_ends_by_its_last_answer_or_not_at_all() -> None:
    """
    A fill told twice counts once; without a last answer it is open; a restart that gives it up says so; what comes
    after the end is late.
    """
    runs = Runs((1,), ((instrument("a"),),))
    sent = Step(seq=2, ts=2, cause="x", wishes=(intent("x-1", 0),), approved=("x-1",))
    part = Step(seq=3, ts=3, cause="due", reports=(answer("x-1", "f1", final=False),))
    last = Step(seq=4, ts=4, cause="due", reports=(answer("x-1", "f1", "f2"),))
    (half,) = orders([sent, part], runs)
    assert ("accepted", 0, 1) == (half.outcome, half.ended_ns, half.fills)
    (whole,) = orders([sent, part, last], runs)
    assert ("accepted", 4, 2, Decimal(2)) == (whole.outcome, whole.ended_ns, whole.fills, whole.filled)
    again = Step(seq=5, ts=5, cause="start", notes=(Note(kind="start", detail={"abandoned": "x-1"}),))
    (gone,) = orders([sent, again], runs)
    assert ("abandoned", 5) == (gone.outcome, gone.ended_ns)
    after = Step(seq=6, ts=6, cause="due", reports=(answer("x-1", "f3"),))
    assert ["accepted", "late"] == [one.outcome for one in orders([sent, last, after], runs)]


def instrument(venue: str) -> Instrument:
    """A token at a venue."""
    return Instrument(venue=venue, symbol="T", role=Role.TOKEN, underlying="S", token="T")


def intent(id: str, at: int) -> Intent:
    """One leg: two units of an instrument."""
    leg = Leg(instrument=at, side=Side.BUY, quantity=Decimal(2), limit=Decimal(10), seen=Decimal(9))
    return Intent(id=id, strategy="x", legs=(leg,), reason="", edge_bps=1.0, notional_usd=Decimal(18), deadline_ns=9)


def answer(id: str, *fills: str, final: bool = True) -> Report:
    """What a venue says of its one leg: a unit a fill."""
    told = tuple(
        Fill(id=name, client_id=f"{id}-0", instrument=0, side=Side.BUY, quantity=Decimal(1), price=Decimal(9),
             fee=Decimal(0), fx=Decimal(1), ts=3)
        for name in fills
    )  # fmt: skip
    return Report(
        client_id=f"{id}-0", intent_id=id, leg=0, outcome=Outcome.ACCEPTED, fills=told, final=final
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "hint"),
    [("simTSLA", "it is a token of TSLA: --underlying TSLA"), ("TSAL", "--underlying TSLA"), ("zzz", "known: ")],
)
def test_a_share_that_the_journal_does_not_have_is_told_with_what_was_meant(
    ran: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str], name: str, hint: str
) -> None:
    """
    The name of a token, a slip and nonsense are exit 2 with a hint; the share's own name is answered.
    """
    capsys.readouterr()
    assert 2 == main(["journal", "trades", "--file", str(ran[0]), "--underlying", name])
    assert hint in capsys.readouterr().err
    assert told(capsys, "trades", "--file", str(ran[0]), "--underlying", "TSLA")["trades"]
