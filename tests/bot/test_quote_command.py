"""`pegline quote` as its user meets it: on a tape, and with words that do not fit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.cli import main
from bot.paths import prepare_kernel
from bot.sessions import load_sessions
from bot.wiring import simulated_tape
from connectors.events import NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.simulated.recording import write_tape
from connectors.simulated.world import World
from connectors.tape import TapeWriter
from tests.bot.trading import demo_without

prepare_kernel()

NOON = 1_788_537_600
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN = {"role": Role.TOKEN, "underlying": "TSLA"}
UNIVERSE = Universe(
    (
        Instrument(venue="pool", symbol="TSLAx/USDT", token="TSLAx", issuer="one", quote="USDT", multiplier=2.0,
                   unit_model=UnitModel.SCALED_UI, **TOKEN),
        Instrument(venue="desk", symbol="TSLAb", token="TSLAb", issuer="two", unit_model=UnitModel.REBASING, **TOKEN),
        Instrument(venue="share", symbol="TSLA", role=Role.SHARE, underlying="TSLA"),
        Instrument(venue="fx", symbol="USDT/USD", role=Role.COIN, coin="USDT"),
        Instrument(venue="share", symbol="AMD", role=Role.SHARE, underlying="AMD"),
    )
)  # fmt: skip
POOL, DESK, SHARE, COIN, AMD = range(5)
CONFIG = """
[venues.pool]
kind = "dex"
taker_fee_bps = 10
latency_ms = 20
fixed_cost_usd = 0.5
[venues.desk]
kind = "cex"
[instruments."pool:TSLAx/USDT"]
token = "TSLAx"
underlying = "TSLA"
unit_model = "scaled_ui"
[fair]
daily_vol_bps = { TSLA = 200 }
"""


def row(second: float, number: int, kind: Kind, bid: float, ask: float, size: float = 100.0) -> Row:
    """A quote with the same size on both sides."""
    flags = Flag.ONE_PRICE if bid == ask else Flag(0)
    return Row(
        ts_recv=round((NOON + second) * NS), instrument=number, kind=kind, bid=bid, ask=ask, bid_size=size,
        ask_size=size, flags=flags,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tape of two seconds: the share at 100, then at 101; a pool, a desk, another share. Beside it config.toml."""
    folder = tmp_path_factory.mktemp("quote")
    rows = [
        row(0, COIN, Kind.FX, 0.998, 0.998),
        row(0, SHARE, Kind.REFERENCE, 99.95, 100.05),
        row(0, POOL, Kind.QUOTE, 200.4, 200.8),
        row(0, DESK, Kind.QUOTE, 100.4, 100.6),
        row(2, SHARE, Kind.REFERENCE, 100.95, 101.05),
    ]
    with TapeWriter(folder / "tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    return folder


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """What the command answers as JSON."""
    assert code == main(["quote", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_tape_is_told_as_of_a_moment(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    At noon the pool is 200.6 x 0.998 / 2 against 100, two seconds later against 101; costs are those of the config.
    """
    words = ("TSLAx", "--tape", str(tape / "tape"), "--config", str(tape / "config.toml"), "--size", "500")
    early = asked(capsys, *words, "--at", "2026-09-04T16:00:00Z")
    late = asked(capsys, *words)
    price = 200.6 * 0.998 / 2
    for answer, share in ((early, 100.0), (late, 101.0)):
        (venue,) = answer["venues"]
        assert "pool:TSLAx/USDT" == venue["instrument"]
        assert pytest.approx((price / share - 1) * 1e4, abs=0.01) == venue["premium_bps"]
        assert pytest.approx((100.3 / share - 1) * 1e4, abs=0.01) == venue["premium_at_par_bps"]
        assert pytest.approx(2 * share, rel=1e-6) == venue["fair_usd"]
        assert pytest.approx(venue["premium_bps"] / venue["fair"]["error_bps"]) == venue["sigmas"]
        bought = 200.8 * 0.998 / 2 * (1 + 0.001 + 0.5 / 500)
        assert pytest.approx((bought / share - 1) * 1e4, abs=0.01) == venue["executable"][0]["buy_bps"]
    half_spread = 5.0 / 1.5
    assert pytest.approx((3.0**2 + half_spread**2) ** 0.5, rel=0.01) == early["shares"][0]["fair"]["error_bps"]
    assert (1, "tape", "regular") == (early["schema"], early["origin"]["how"], early["session"])
    assert (NOON * NS, (NOON + 2) * NS) == (early["now_ns"], late["now_ns"])
    assert ("config", 200.0) == (late["shares"][0]["params"], pytest.approx(late["shares"][0]["daily_vol_bps"]))


def test_a_moment_between_and_after_rows_is_a_moment(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A second after noon nothing new was said and the error has grown; on Saturday, in another session, a good deal.
    """
    words = ("TSLA", "--tape", str(tape / "tape"))
    noon, second, saturday = (
        asked(capsys, *words, "--at", at, code=code)
        for at, code in (("2026-09-04T16:00:00Z", 0), ("2026-09-04T16:00:01Z", 0), ("2026-09-05T16:00:00Z", 8))
    )
    assert (NOON + 1) * NS == second["now_ns"]
    fair = [answer["shares"][0]["fair"] for answer in (noon, second, saturday)]
    assert [0.0, 1.0] == [one["age_s"] for one in fair[:2]]
    assert fair[0]["error_bps"] < fair[1]["error_bps"] < fair[2]["error_bps"] / 5
    assert "weekend" == saturday["session"]
    assert {"its last print is too old, or halted"} == {venue["unknown"] for venue in saturday["venues"]}


@pytest.mark.parametrize(
    ("word", "venues"),
    [
        ("TSLAx", ["pool:TSLAx/USDT"]),
        ("tslaX", ["pool:TSLAx/USDT"]),
        ("desk:TSLAb", ["desk:TSLAb"]),
        ("TSLA", ["pool:TSLAx/USDT", "desk:TSLAb"]),
        ("share:TSLA", ["pool:TSLAx/USDT", "desk:TSLAb"]),
    ],
)
def test_a_token_an_instrument_or_a_share_may_be_asked_for(
    tape: Path, word: str, venues: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A share has all its tokens, of every issuer; the rest what it names.
    """
    answer = asked(capsys, word, "--tape", str(tape / "tape"))
    assert venues == [venue["instrument"] for venue in answer["venues"]]
    assert ["TSLA"] == [share["underlying"] for share in answer["shares"]]


def test_a_share_that_never_spoke_is_unknown_and_exit_8(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    AMD has a source that said nothing: no fair value, the reason, and 8 for a script.
    """
    answer = asked(capsys, "AMD", "--tape", str(tape / "tape"), code=8)
    (share,) = answer["shares"]
    assert (None, "no source is left to believe") == (share["fair"], share["unknown"])
    assert [("share:AMD", "it has not been heard yet")] == [(t["source"], t["why"]) for t in share["terms"]]
    assert 8 == main(["quote", "AMD", "--tape", str(tape / "tape")])
    assert "AMD: its fair value is unknown: no source is left to believe" in capsys.readouterr().out


def test_a_person_reads_tables_of_a_hundred_columns(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    All venues, sizes, terms and parts of the error stand there, no line is wider, and no number is invented for AMD.
    """
    words = ["quote", "TSLA", "--tape", str(tape / "tape"), "--config", str(tape / "config.toml"), "--explain"]
    assert 0 == main([*words, "--size", "2500"])
    said = capsys.readouterr().out
    assert 100 >= max(len(line) for line in said.splitlines())
    for word in (
        "TSLAx",
        "TSLAb",
        "101.00",
        "share:TSLA",
        "buy 2.5k",
        "sell 50k",
        "0.99800",
        "regular session",
        "100.0%",
    ):
        assert word in said
    assert "(before costs): taker fee is not known: write [venues.desk] taker_fee_bps (desk:TSLAb)" in said
    assert "nan" not in said and "None" not in said
    short = said
    assert 0 == main([word for word in words if word != "--explain"])
    short = capsys.readouterr().out
    assert "who says what" in said and "who says what" not in short


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["TSLAxx", "--tape", "TAPE"], 2, "did you mean TSLAx?"),
        (["", "--tape", "TAPE"], 2, "known: TSLAx, TSLA"),
        (["\x1b[2J", "--tape", "TAPE"], 2, "no token, instrument or share"),
        (["x" * 5000, "--tape", "TAPE"], 2, "no token, instrument or share"),
        (["fx:USDT/USD", "--tape", "TAPE"], 2, "no token, instrument or share"),
        (["TSLA", "--tape", "TAPE", "--at", "2026-09-01"], 8, "no row is that old"),
        (["TSLA", "--tape", "TAPE", "--at", "noon"], 2, "no ISO 8601 time"),
        (["TSLA", "--tape", "NOWHERE"], 8, "NOWHERE"),
        (["TSLA", "--at", "2026-09-04"], 2, "give --tape too"),
        (["TSLA", "--tape", "TAPE", "--url", "http://127.0.0.1:1/"], 2, "two sources"),
        (["TSLA", "--tape", "TAPE", "--size", "0"], 2, "not a number above zero"),
        (["TSLA", "--tape", "TAPE", "--size", "nan"], 2, "not a number above zero"),
        (["TSLA", "--url", "http://127.0.0.1:1/"], 7, "no answer"),
        (["TSLA", "--url", "nowhere"], 2, "no address"),
        (["TSLA", "--url", "file:///etc/passwd"], 2, "no address"),
        (["TSLA", "--url", "http://[/"], 2, "no address"),
        (["TSLA", "--url", "http://127.0.0.1:port/"], 7, "no answer"),
        ([], 2, "required: TOKEN"),
        (["TSLA", "--config", "nowhere.toml"], 3, "nowhere.toml"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(
    tape: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Misspelt names, moments, sizes and addresses end with their code, one line, nothing on stdout, no control character.
    """
    assert code == main(["quote", *(str(tape / "tape") if word == "TAPE" else word for word in words)])
    out, err = capsys.readouterr()
    assert "" == out
    assert said in err and "\x1b" not in err and "Traceback" not in err


def test_without_anything_to_ask_every_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No config here, no address, no tape: exit 8, and what to write instead.
    """
    monkeypatch.chdir(tmp_path)
    assert 8 == main(["quote", "TSLA"])
    said = capsys.readouterr().err
    assert "--url" in said and "--tape" in said and "--config" in said


def test_a_config_without_feeds_and_daemon_points_to_a_tape(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Nobody runs and nobody can be heard: a mistake of usage that names the tape.
    """
    assert 2 == main(["quote", "TSLAx", "--config", str(tape / "config.toml")])
    assert "--tape" in capsys.readouterr().err


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    """The market of `pegline demo` as a tape."""
    path = tmp_path_factory.mktemp("demo") / "tape"
    return path, simulated_tape(path, 1, sessions=load_sessions())


def last(world: World, name: str, moment_ns: int) -> float:
    """The last mid of an instrument, at or before a moment."""
    rows, number = world.rows, world.universe.number(name)
    kinds = (Kind.QUOTE, Kind.REFERENCE, Kind.FX)
    at = np.flatnonzero((rows.instrument == number) & (rows.ts_recv <= moment_ns) & np.isin(rows.kind, kinds))[-1]
    return float(rows.bid[at] + rows.ask[at]) / 2


def moment_of(ns: int) -> str:
    """A moment as --at takes it, to the microsecond."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)).isoformat()


TRADING = ("cross_venue", "hedge", "mint_redeem")


@pytest.mark.parametrize("at", ["2026-09-04T15:00:00Z", "2026-09-05T12:00:00Z", "2026-09-07T23:30:00Z"])
def test_the_demo_in_session_weekend_and_overnight(
    demo: tuple[Path, World], at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Of every venue that is judged the premium is that of its last print, through coin and multiplier, on the fair value
    that is named; the fair value is near the share's last price, and its terms make up the whole.
    """
    tape, world = demo
    answer = asked(
        capsys, "TSLA", "--tape", str(tape), "--config", str(demo_without(*TRADING, "peg_watch")), "--at", at
    )
    judged = [venue for venue in answer["venues"] if venue["premium_bps"] is not None]
    assert len(judged) >= 3
    assert {"sim-one", "sim-two"} == {venue["issuer"] for venue in judged}
    coin = last(world, "sim-fx:USDT/USD", answer["now_ns"])
    for venue in judged:
        price = last(world, venue["instrument"], answer["now_ns"])
        price /= {"simTSLA": 1.0, "altTSLA": 1.0137}[venue["token"]]
        fair = venue["fair"]["price_usd"]
        usd = price * (coin if venue["quote"] == "USDT" else 1.0)
        assert pytest.approx((usd / fair - 1) * 1e4, abs=1e-6) == venue["premium_bps"]
        assert pytest.approx((price / fair - 1) * 1e4, abs=1e-6) == venue["premium_at_par_bps"]
        assert pytest.approx(venue["premium_bps"] / venue["fair"]["error_bps"]) == venue["sigmas"]
    (share,) = answer["shares"]
    assert pytest.approx(last(world, "sim-perp:TSLA-mark", answer["now_ns"]), rel=0.01) == share["fair"]["price_usd"]
    assert 1.0 == pytest.approx(sum(term["part"] for term in share["terms"]))
    assert share["fair"]["error_bps"] ** 2 == pytest.approx(sum(line["sigma_bps"] ** 2 for line in share["errors"]))
    assert 8 == len(share["terms"])


def test_a_mistyped_price_is_refused_and_moves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    At the moment of a day's outlier its venue is unknown with the reason, and the share is worth what it was.
    """
    tape = tmp_path / "tape"
    world = write_tape(tape, 1, seconds=86_400.0, sessions=load_sessions().codes_at)
    fault = next(one for one in world.injected if one.kind == "outlier")
    number = world.universe.number(fault.instruments[0])
    rows = world.rows
    at = int(rows.ts_recv[np.flatnonzero((rows.instrument == number) & (rows.ts_recv >= fault.start_ns))[0]])
    words = (fault.instruments[0], "--tape", str(tape), "--config", str(demo_without(*TRADING, "peg_watch")), "--at")
    before = asked(capsys, *words, moment_of(at - 1_000_000))
    after = asked(capsys, *words, moment_of(at + 1_000_000), code=8)
    assert "its last row was refused: far from the fair value" == after["venues"][0]["unknown"]
    assert after["venues"][0]["premium_bps"] is None
    assert "" == before["venues"][0]["unknown"]
    prices = [answer["shares"][0]["fair"]["price_usd"] for answer in (before, after)]
    assert abs(prices[1] / prices[0] - 1) < 1e-4


@pytest.mark.parametrize(
    ("word", "at", "told"),
    [
        ("simMSTR", "2026-09-07T12:00:00Z", ["sim-alpha:simMSTR/USD is depegged, cause: ", " depegged"]),
        ("simTSLA", "2026-09-04T22:20:00Z", ["sim-alpha:simTSLA/USD: its feed is down"]),
        ("TSLA", "2026-09-04T19:00:00Z", ["refused: the same price again and again: sim-tape:TSLA"]),
    ],
)
def test_what_goes_wrong_in_the_demo_is_told_by_name(
    demo: tuple[Path, World], word: str, at: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Its depeg with the cause, its dropped feed, its frozen reference; in a hundred columns, with every term.
    """
    words = ["quote", word, "--tape", str(demo[0]), "--config", str(demo_without(*TRADING)), "--at", at, "--explain"]
    assert 0 == main(words)
    said = capsys.readouterr().out
    assert [] == [one for one in told if one not in said]
    assert 100 >= max(len(line) for line in said.splitlines())
