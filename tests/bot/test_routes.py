"""`pegline route` as its user meets it: what a size brings over venues and coins, and what is left out."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bot.cli import main
from bot.config_file import load
from bot.paths import prepare_kernel
from bot.quote_sources import replayed
from bot.quotes import Quotes
from bot.routes import Routes
from bot.server import Server
from connectors.events import NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.tape import TapeWriter
from monitoring.quote_lines import Origin

prepare_kernel()

NOON = 1_788_537_600
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN = {"role": Role.TOKEN, "underlying": "TSLA", "token": "TSLAx", "issuer": "one", "unit_model": UnitModel.REBASING}
UNIVERSE = Universe(
    (
        Instrument(venue="desk", symbol="TSLAx/USD", **TOKEN),
        Instrument(venue="beta", symbol="TSLAx/USDT", quote="USDT", **TOKEN),
        Instrument(venue="pool", symbol="TSLAx/USD", **TOKEN),
        Instrument(venue="late", symbol="TSLAx/USD", **TOKEN),
        Instrument(venue="free", symbol="TSLAx/USD", **TOKEN),
        Instrument(venue="bank", symbol="USDT/USD", role=Role.COIN, coin="USDT"),
        Instrument(venue="share", symbol="TSLA", role=Role.SHARE, underlying="TSLA"),
        Instrument(venue="desk", symbol="TSLAb/USD", **{**TOKEN, "token": "TSLAb", "issuer": "two"}),
    )
)
DESK, BETA, POOL, LATE, FREE, BANK, SHARE, OTHER = range(8)
CONFIG = """
[venues.desk]
kind = "cex"
taker_fee_bps = 0
latency_ms = 20
[venues.beta]
kind = "cex"
taker_fee_bps = 10
latency_ms = 20
[venues.pool]
kind = "dex"
taker_fee_bps = 0
latency_ms = 20
fixed_cost_usd = 5
[venues.late]
kind = "cex"
taker_fee_bps = 0
latency_ms = 20
[venues.free]
kind = "cex"
[venues.bank]
kind = "cex"
taker_fee_bps = 0
latency_ms = 20
[costs]
slippage_bps = 0
rebalancing_bps = 0
fx_bps = { USDT = 20 }
capital_bps_per_year = 0
"""


def row(number: int, kind: Kind, bid: float, ask: float, size: float = 10.0, *, second: float = 0.0) -> Row:
    """A quote with the same size on both sides."""
    return Row(
        ts_recv=round((NOON + second) * NS), instrument=number, kind=kind, bid=bid, ask=ask, bid_size=size,
        ask_size=size, flags=Flag.ONE_PRICE if bid == ask else Flag(0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name a tape: three venues that buy, one of yesterday, one whose fee nobody knows."""
    folder = tmp_path_factory.mktemp("route")
    rows = [
        row(LATE, Kind.QUOTE, 110.0, 110.2, second=-86_400),
        row(SHARE, Kind.REFERENCE, 100.0, 100.02),
        row(BANK, Kind.FX, 0.999, 1.001, 500.0),
        row(DESK, Kind.QUOTE, 100.0, 100.9),
        row(BETA, Kind.QUOTE, 101.0, 101.2),
        row(POOL, Kind.QUOTE, 100.3, 100.8),
        row(FREE, Kind.QUOTE, 102.0, 102.2),
        row(OTHER, Kind.QUOTE, 100.0, 100.9),
    ]
    with TapeWriter(folder / "tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    return ["--tape", str(folder / "tape"), "--config", str(folder / "config.toml")]


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """What the command answers as JSON."""
    assert code == main(["route", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


BETA_USD = 500 * 0.999 + (10 * 101 * 0.999 - 500) * 0.998
"""Ten units at beta, whose coins are changed: 500 at the bank, the rest at the coin's price of 1, less 20 bps."""


@pytest.mark.parametrize(
    ("units", "filled", "usd", "venues"),
    [
        (4, 4, 4 * 101 * 0.999 * 0.999, ["beta"]),
        (15, 15, BETA_USD + 5 * 100, ["beta", "desk"]),
        (30, 30, BETA_USD + 10 * 100.3 - 5 + 10 * 100, ["beta", "desk", "pool"]),
        (200, 30, BETA_USD + 10 * 100.3 - 5 + 10 * 100, ["beta", "desk", "pool"]),
    ],
)
def test_a_sale_goes_where_most_is_left_after_fees_changing_and_gas(
    words: list[str], units: float, filled: float, usd: float, venues: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Best prices first, coins changed at the bank before at their price; the pool's better price is left while it does
    not pay for its gas; what nobody buys stays.
    """
    answer = asked(capsys, "TSLAx", "--sell", str(units), *words)
    assert (pytest.approx(filled), pytest.approx(usd)) == (answer["filled"], answer["usd"])
    assert venues == sorted(line["instrument"].partition(":")[0] for line in answer["lines"])
    assert pytest.approx(usd) == sum(line["usd"] - line["fixed_usd"] for line in answer["lines"])
    assert usd <= answer["bound_usd"] + 1e-9 <= usd + 5.1
    assert pytest.approx((1 - usd / filled / 100.01) * 1e4, abs=0.5) == answer["worse_bps"]
    assert (filled < units) == (answer["marginal_usd"] is None)


def test_a_tiny_order_is_bought_whatever_its_gas_but_not_sold_for_less(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    At the pool alone an order costs 5 USD: a hundredth of a unit would bring 1.003, and is bought for 6.008.
    """
    assert 0 == asked(capsys, "pool:TSLAx/USD", "--sell", "0.01", *words, code=8)["filled"]
    bought = asked(capsys, "pool:TSLAx/USD", "--buy", "0.01", *words)
    assert (pytest.approx(0.01), pytest.approx(1.008 + 5)) == (bought["filled"], bought["usd"])
    assert pytest.approx(1.008) == bought["bound_usd"]


def test_a_purchase_costs_least_and_is_mirrored(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    Twelve units: ten at the desk and two at beta, whose 202.6 coins are bought at the bank; the pool's gas is too dear.
    """
    answer = asked(capsys, "TSLAx", "--buy", "12", *words)
    coins = 2 * 101.2 * 1.001
    assert pytest.approx(10 * 100.9 + coins * 1.001) == answer["usd"]
    assert {"desk:TSLAx/USD": 10, "beta:TSLAx/USDT": 2} == {
        line["instrument"]: pytest.approx(line["units"]) for line in answer["lines"]
    }
    (change,) = answer["changes"]
    assert ("USDT", "bank:USDT/USD", pytest.approx(coins)) == (change["coin"], change["at"], change["coins"])
    assert pytest.approx(101.2 * 1.001 * 1.001) == answer["marginal_usd"]
    assert 0 <= answer["usd"] - answer["bound_usd"] <= 5


def test_what_may_not_be_used_is_left_out_and_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    Yesterday's quote and one whose fee nobody knows would be the best ones; a person reads why they are not.
    """
    answer = asked(capsys, "TSLAx", "--sell", "30", *words)
    left_out = {one["instrument"]: one["why"] for one in answer["left_out"]}
    assert "its last print is too old, or halted" == left_out["late:TSLAx/USD"]
    assert "[venues.free] taker_fee_bps" in left_out["free:TSLAx/USD"]
    assert 0 == main(["route", "TSLAx", "--sell", "200", *words])
    said = capsys.readouterr().out
    assert 100 >= max(len(line) for line in said.splitlines())
    assert "nan" not in said and "None" not in said
    for word in ("only 30 of them", "left out: late:TSLAx/USD", "500.00 USDT for 499.50 USD at bank:USDT/USD"):
        assert word in said


@pytest.mark.parametrize(
    ("asks", "code", "said"),
    [
        (["TSLAx"], 2, "--sell --buy is required"),
        (["TSLAx", "--sell", "0"], 2, "not a number above zero"),
        (["TSLAx", "--sell", "1", "--buy", "1"], 2, "not allowed with"),
        (["NOBODY", "--sell", "1"], 2, "no token, instrument or share"),
        (["TSLA", "--sell", "1"], 2, "name one of TSLAx, TSLAb"),
    ],
)
def test_what_is_not_one_token_and_one_size_is_refused(
    words: list[str], asks: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A share stands for all its tokens, which are not each other.
    """
    assert code == main(["route", *asks, *words])
    assert said in capsys.readouterr().err


def test_where_nothing_may_be_used_the_answer_is_nothing_and_8(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One venue alone, whose quote is of yesterday; and none of them on Saturday.
    """
    answer = asked(capsys, "late:TSLAx/USD", "--sell", "1", *words, code=8)
    assert (0, None, []) == (answer["filled"], answer["usd"], answer["lines"])
    saturday = asked(capsys, "TSLAx", "--buy", "1", *words, "--at", "2026-09-05T16:00:00Z", code=8)
    assert {one["instrument"].partition(":")[0] for one in saturday["left_out"]} >= {"desk", "beta", "pool"}
    assert 8 == main(["route", "late:TSLAx/USD", "--sell", "1", *words])
    assert "nothing: no venue may be used now" in capsys.readouterr().out


async def test_a_running_pegline_is_asked_at_its_address(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    What it answers over the socket is what the tape says, sold and bought; a name that it does not know is 2.
    """
    config = load(Path(words[3]), credentials=False)
    parts, tally = replayed(Path(words[1]), config, "TSLAx", None)
    routes = Routes(config, parts, Quotes(config, parts, tally, lambda: Origin(how="daemon")))
    asks = {"sell": partial(routes.ask, buy=False), "buy": partial(routes.ask, buy=True)}
    facts = {"registry": CollectorRegistry(), "picture": lambda: None, "health": lambda _: None}
    async with Server(**facts, **asks, port=0) as page:
        for side in ("--sell", "--buy"):
            assert 0 == await asyncio.to_thread(main, ["route", "TSLAx", side, "12", "--url", page.url, "--json"])
            told = json.loads(capsys.readouterr().out)
            here = asked(capsys, "TSLAx", side, "12", *words)
            assert "daemon" == told["origin"]["how"]
            assert {**here, "origin": None} == {**told, "origin": None}
        assert 2 == await asyncio.to_thread(main, ["route", "NOBODY", "--sell", "1", "--url", page.url])
    assert "no token, instrument or share" in capsys.readouterr().err
