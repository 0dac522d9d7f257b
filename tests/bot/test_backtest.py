"""`pegline backtest`: every fill explained by rows of the tape, a bridge that sums, assumptions that are said."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bot.cli import main
from bot.journal_reader import read, verify
from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from bot.tape_import import import_tape  # noqa: E402
from connectors.events import NS, Rows  # noqa: E402
from connectors.instruments import Role  # noqa: E402
from connectors.simulated.recording import write_tape  # noqa: E402
from connectors.tape import Tape, open_tape  # noqa: E402
from strategies.base import Step  # noqa: E402
from tests.bot.trading import demo_without  # noqa: E402

HERE = Path(__file__).resolve()
DEMO = demo_without("peg_watch")
HOURS = "2026-09-05T00:00:00Z"
"""The end of the first eleven hours."""
XSTOCKS = HERE.parents[1] / "maps" / "xstocks_2026_06.toml"

POOLS = """
[venues.{first}]
kind = "dex"
taker_fee_bps = 25
fixed_cost_usd = 0
latency_ms = 1000
[venues.{second}]
kind = "dex"
taker_fee_bps = 25
fixed_cost_usd = 0
latency_ms = 1000
[venues.yahoo]
kind = "oracle"
{instruments}
[gates]
max_quote_age_s = 4000
[strategies.cross_venue]
min_edge_bps = {edge}
size_usd = 100
max_short_units = 100
max_long_units = 100
[risk]
max_order_usd = 1000
max_position_usd = 100000
max_gross_usd = 100000
collar_bps = 1000
max_orders_per_minute = 60
max_daily_loss_usd = 1000
sessions = ["pre", "regular", "post", "overnight", "weekend", "holiday"]
coin_band_bps = 100
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""


STEPS = msgspec.msgpack.Decoder(Step)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """Forty hours of the demo's market of seed 1 as a tape."""
    path = tmp_path_factory.mktemp("simulated") / "tape"
    write_tape(path, 1, seconds=40 * 3600.0, sessions=load_sessions().codes_at)
    return open_tape(path)


def ran(*words: str, out: Path) -> dict[str, Any]:
    """The command's JSON answer."""
    assert 0 == main(["backtest", *words, "--json", str(out)])
    answer: dict[str, Any] = json.loads(out.read_text())
    return answer


@pytest.fixture(scope="module")
def answer(simulated: Tape, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A backtest of the demo's config over it, with a journal."""
    folder = tmp_path_factory.mktemp("answer")
    words = ("--config", str(DEMO), "--tape", str(simulated.path), "--journal", str(folder / "journal.sqlite"))
    with redirect_stdout(StringIO()) as said:
        found = ran(*words, "--trades", out=folder / "out.json")
    found["journal"], found["said"] = folder / "journal.sqlite", said.getvalue()
    return found


def test_the_simulated_market_is_traded(answer: dict[str, Any]) -> None:
    """
    The demo's gaps pay: trades, most legs filled, a gain on what was bought and sold again.
    """
    assert 10 <= answer["trades"]
    assert 0.9 < answer["fill_ratio"] <= 1.0
    assert 0 < float(answer["edge_captured_usd"]) < float(answer["edge_seen_usd"])


def test_every_fill_is_explained_by_rows_of_the_tape(answer: dict[str, Any], simulated: Tape) -> None:
    """
    Found by looking at the tape alone: the last quote at or before the due time has that price, and size enough for all
    that was filled from it.
    """
    rows = Rows.join(list(simulated.blocks()))
    taken: dict[tuple[int, str], Decimal] = {}
    for fill in answer["fills"]:
        number = simulated.universe.number(fill["instrument"])
        book = (rows.instrument == number) & np.isin(rows.kind, (0, 2, 3)) & (rows.ts_recv <= fill["at_ns"])
        last = int(np.flatnonzero(book)[-1])
        price, size = (rows.ask, rows.ask_size) if fill["side"] == "buy" else (rows.bid, rows.bid_size)
        assert Decimal(repr(float(price[last]))) == Decimal(fill["price"])
        key = (last, fill["side"])
        taken[key] = taken.get(key, Decimal(0)) + Decimal(fill["quantity"])
        assert taken[key] <= Decimal(repr(float(size[last])))


def test_a_fill_comes_its_venues_latency_after_the_decision(answer: dict[str, Any]) -> None:
    """
    sim-alpha answers after 250 ms, sim-perp after 300, sim-beta after 400, sim-pool after 2,000; an order's id holds
    its decision's time.
    """
    latency = {"sim-alpha": 250, "sim-perp": 300, "sim-beta": 400, "sim-pool": 2000}
    for fill in answer["fills"]:
        decided = fill["order"].split("-")[1]
        if "." in fill["order"] or not decided.isdecimal():
            continue  # a follow-up, decided when its trade needed it
        decided = int(decided)
        assert latency[fill["instrument"].split(":")[0]] * 1_000_000 == fill["at_ns"] - decided


def test_the_bridge_sums_to_the_ledger_and_to_an_independent_count(answer: dict[str, Any], simulated: Tape) -> None:
    """
    The parts sum to net; net equals cash from fills, funding, mints and redemptions plus positions at the last mids and
    the last FX, to the cent.
    """
    parts = sum(Decimal(value) for value in answer["bridge_usd"].values())
    assert abs(parts - Decimal(answer["net_usd"])) < Decimal("0.000001")
    rows = Rows.join(list(simulated.blocks()))

    def last_mid(number: int) -> Decimal:
        at = int(np.flatnonzero((rows.instrument == number) & np.isin(rows.kind, (0, 2, 3, 5)))[-1])
        return Decimal(repr(float(rows.bid[at] + rows.ask[at]))) / 2

    universe = simulated.universe
    coin = {"USD": Decimal(1), "USDT": last_mid(universe.number("sim-fx:USDT/USD"))}
    total, held = Decimal(0), dict.fromkeys(range(len(universe)), Decimal(0))
    for fill in answer["fills"]:
        number = universe.number(fill["instrument"])
        sign = 1 if fill["side"] == "buy" else -1
        quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
        total -= (sign * quantity * price + Decimal(fill["fee"])) * coin[universe[number].quote]
        total -= Decimal("0.05") if universe[number].venue == "sim-pool" else 0
        held[number] += sign * quantity
    steps = [STEPS.decode(record.payload) for record in read(answer["journal"])]
    for cost in (cost for step in steps for cost in step.charges):
        total -= cost.amount * coin[universe[cost.instrument].quote]
    asked = {order.id: order for step in steps for order in step.conversions}
    words = {word.id: word for step in steps for word in step.progress}
    assert asked.keys() == words.keys()
    assert asked
    for word in words.values():
        order = asked[word.id]
        total -= word.fee_usd
        for number, units in ((order.source, -word.given), (order.target, word.got)):
            if universe[number].role is Role.COIN:
                total += units * coin[universe[number].coin]
            else:
                held[number] += units
    total += sum((units * last_mid(at) * coin[universe[at].quote] for at, units in held.items() if units), Decimal(0))
    assert abs(total - Decimal(answer["net_usd"])) < Decimal("0.01")


def test_the_journal_holds_and_is_the_one_of_the_answer(answer: dict[str, Any]) -> None:
    """
    The chain verifies, its hash is the printed one, and its records are as many as the answer says.
    """
    verdict = verify(answer["journal"])
    assert verdict.ok
    assert answer["journal_hash"] == verdict.hash
    assert answer["records"] == sum(1 for _ in read(answer["journal"]))


def test_twice_is_the_same_and_another_seed_another(simulated: Tape, tmp_path: Path) -> None:
    """
    Same tape, config and seed: same hash. Another seed of the paper venues, or another world: another hash.
    """
    words = ("--config", str(DEMO), "--to", HOURS)
    tape = (*words, "--tape", str(simulated.path))
    first = ran(*tape, out=tmp_path / "first")
    assert 0 < first["trades"]
    assert first["journal_hash"] == ran(*tape, out=tmp_path / "again")["journal_hash"]
    assert first["journal_hash"] != ran(*tape, "--seed", "2", out=tmp_path / "seed")["journal_hash"]
    assert first["journal_hash"] != ran(*words, "--simulated", "2", out=tmp_path / "world")["journal_hash"]


@pytest.fixture(scope="module")
def xstocks(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """TSLAx on its two Solana pools, hourly, with the share."""
    out = tmp_path_factory.mktemp("xstocks") / "tape"
    data = shared / "data"
    files = [data / "xstocks_solana_2026-06" / "ohlcv.csv.gz", data / "us_equity_2025_2026" / "yahoo_5m.csv.gz"]
    import_tape(files, XSTOCKS, out)
    return open_tape(out)


def pools(tape: Tape, folder: Path, *, assumed: bool, edge: float) -> Path:
    """A config for the two pools, with or without an assumed spread and size."""
    names = [i.name for i in tape.universe if i.token]
    lines = ["assumed_half_spread_bps = 5", "assumed_size_units = 1"] if assumed else []
    tables = [
        f'[instruments."{name}"]\ntoken = "TSLAx"\nchain = "solana"\nmultiplier = 1.0\n' + "\n".join(lines)
        for name in names
    ]
    venues = [name.split(":")[0] for name in names]
    text = POOLS.format(first=venues[0], second=venues[1], instruments="\n".join(tables), edge=edge)
    path = folder / "pools.toml"
    path.write_text(text)
    return path


def test_one_price_series_are_never_filled_without_an_assumption(
    xstocks: Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The candles have one price: without a spread and a size in the config nothing is filled, and the output says why.
    """
    config = pools(xstocks, tmp_path, assumed=False, edge=10)
    found = ran("--config", str(config), "--tape", str(xstocks.path), out=tmp_path / "out")
    assert [] == found["fills"]
    assert 2 == len(found["watched_only"])
    assert "watched only" in capsys.readouterr().out


def test_an_assumption_is_traded_and_said(xstocks: Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    With 5 bps and one unit assumed the two pools trade where they are far apart, and every output says ASSUMED.
    """
    config = pools(xstocks, tmp_path, assumed=True, edge=10)
    found = ran("--config", str(config), "--tape", str(xstocks.path), out=tmp_path / "out")
    assert 5 < found["trades"]
    assert 2 * found["trades"] == len(found["fills"]) + sum(
        n for why, n in found["refused"].items() if why.startswith("venue")
    )
    assert 2 == len(found["assumed"])
    assert "ASSUMED" in capsys.readouterr().out
    parts = sum(Decimal(value) for value in found["bridge_usd"].values())
    assert abs(parts - Decimal(found["net_usd"])) < Decimal("0.000001")
    for fill in found["fills"]:
        assert Decimal(fill["quantity"]) <= 1


def test_from_and_to_cut_the_tape(simulated: Tape, tmp_path: Path) -> None:
    """
    Only rows of the span are read; the first and last times say so.
    """
    words = (
        "--config",
        str(DEMO),
        "--tape",
        str(simulated.path),
        "--from",
        "2026-09-05T00:00Z",
        "--to",
        "2026-09-05T01:00Z",
    )
    found = ran(*words, out=tmp_path / "out")
    assert 0 < found["rows"] < simulated.rows()
    assert "2026-09-05T00:00" <= found["from"] <= found["to"] < "2026-09-05T01:00"


def test_what_a_person_reads(answer: dict[str, Any]) -> None:
    """
    The bridge, the trades with their fills, what is left without a hedge, what was not believed, and the hash.
    """
    said = answer["said"]
    for words in (
        "gross edge",
        "net",
        "trades",
        "naked at the end",
        "outlier",
        "journal hash",
        "sim-alpha:simNVDA/USD",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--tape", "{tmp}/none"], 8),
        (["--tape", "{tmp}/none", "--simulated", "1"], 2),
        ([], 2),
        (["--simulated", "1", "--from", "yesterday"], 2),
    ],
)
def test_what_cannot_be_run_is_refused(words: list[str], code: int, tmp_path: Path) -> None:
    """
    No tape, two sources, none, and a time that is none.
    """
    filled = [word.format(tmp=tmp_path) for word in words]
    try:
        found = main(["backtest", "--config", str(DEMO), *filled])
    except SystemExit as ended:
        found = int(ended.code or 0)
    assert code == found


def test_a_broken_config_is_exit_3(tmp_path: Path) -> None:
    """
    The config's mistakes are told before anything is read.
    """
    path = tmp_path / "broken.toml"
    path.write_text("[risk]\nmax_order_usd = -1\n")
    assert 3 == main(["backtest", "--config", str(path), "--simulated", "1"])


def test_the_span_of_the_answer_is_that_of_the_tape(answer: dict[str, Any], simulated: Tape) -> None:
    """
    Rows, first and last time are those of the tape.
    """
    assert simulated.rows() == answer["rows"]
    assert 1 == answer["schema"]
    assert answer["rows_per_s"] > 0
    assert answer["worst_naked_usd_s"] > 0
    assert "TSLA" in answer["naked_at_end"]
    assert simulated.span()[0] // NS * NS <= simulated.span()[0]
    assert answer["from"].startswith("2026-09-04T13:00")


def test_a_backtest_loads_nothing_heavy(simulated: Tape) -> None:
    """
    In a process of its own, from Parquet to P&L: neither ccxt, web3 nor pandas is imported.
    """
    code = (
        "import sys; from bot.cli import main;"
        f"code = main(['backtest', '--config', {str(DEMO)!r}, '--tape', {str(simulated.path)!r}, '--to', {HOURS!r}]);"
        "found = [n for n in ('ccxt', 'web3', 'pandas', 'yfinance') if n in sys.modules];"
        "print(found, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert 0 == done.returncode, done.stderr
    assert "[]" == done.stderr.splitlines()[-1]
