"""Pain 19: paper that is far from the real thing, and nobody notices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.journal_orders import Order
from bot.journal_venues import conduct
from connectors.events import NS, Kind, Row, Rows
from connectors.orders import Side
from tests.bot.test_trades import BEGIN
from tests.pains.test_prices import Config, config, row, run_over, universe_of

REAL = {"kind": "cex", "taker_fee_bps": 0, "latency_ms": 400, "reject_share": 0.3, "fill_share": 0.1}
"""How the venues are, and nobody has told the config."""
KEYS = ("latency_ms", "reject_share")


def believed(**venue: float) -> Config:
    """A config that takes its venues for such ones."""
    one = {"kind": "cex", "taker_fee_bps": 0, **venue}
    return config({"a": one, "b": one})


def to_and_fro() -> list[Row]:
    """Five minutes in which now a and now b is 1 % dearer, and the book of both moves a little each second."""
    rows = []
    for second in range(300):
        ts, off = BEGIN + second * NS, second % 3 * 0.01
        low, high = (99.4 + off, 99.5 + off), (100.5 + off, 100.6 + off)
        rows.append(row(ts, 2, Kind.REFERENCE, 99.99, 100.01))
        sides = (low, high) if second // 10 % 2 else (high, low)
        rows += [row(ts, number, Kind.QUOTE, *pair) for number, pair in enumerate(sides)]
    return rows


def journal(path: Path, believes: Config, world: Config) -> Path:
    """Of a run that believes one thing, in a world that is another."""
    universe = universe_of(believes)
    run_over(believes, universe, [Rows.of(to_and_fro())], world=world, journal_path=path)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `pegline journal venues` answers."""
    capsys.readouterr()
    assert 0 == main(["journal", "venues", *words, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_pain_19_paper_is_compared_with_the_real_run_and_fitted_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Paper fills all at once; the venues refuse three of ten orders, fill a part of the others, and take 400 ms. The
    report says so by venue, and a config with its numbers makes a paper run that the report finds alike.
    """
    paper = journal(tmp_path / "paper.sqlite", believed(latency_ms=5), believed(latency_ms=5))
    real = journal(tmp_path / "real.sqlite", believed(latency_ms=5), config({"a": REAL, "b": REAL}))
    answer = told(capsys, "--file", str(paper), "--against", str(real))
    for mine, seen in zip(answer["venues"], answer["against"], strict=True):
        assert mine["orders"] > 20 and seen["orders"] > 20
        assert (5.0, 0.0, 1.0) == tuple(mine[key] for key in (*KEYS, "fill_ratio"))
        assert 400.0 == seen["latency_ms"]
        assert 0.1 < seen["reject_share"] < 0.5
        assert 0.2 < seen["fill_ratio"] < 0.9
    fitted = {one["venue"]: {key: one[key] for key in KEYS} for one in answer["against"]}
    assert 0 == main(["journal", "venues", "--file", str(paper), "--against", str(real)])
    assert "to be like it on paper: [venues.a] latency_ms = 400" in capsys.readouterr().out
    like = config({name: {"kind": "cex", "taker_fee_bps": 0, **keys} for name, keys in fitted.items()})
    again = journal(tmp_path / "again.sqlite", like, like)
    for mine, seen in zip(told(capsys, "--file", str(again))["venues"], answer["against"], strict=True):
        assert 400.0 == mine["latency_ms"]
        assert pytest.approx(seen["reject_share"], abs=0.15) == mine["reject_share"]


def test_pain_19_slippage_counts_against_us_on_either_side() -> None:
    """
    Bought at 101 instead of 100 and sold at 198 instead of 200: 100 bps each; what was refused or has no answer yet
    says nothing of prices.
    """

    def order(side: Side, seen: int, paid: int, **more: Any) -> Order:
        """Two units sent and one filled, after half a second."""
        return Order(
            order="o", trade="t", intent="t", purpose="open", strategy="x", underlying="T", instrument="v:T",
            side=side.value, quantity=2, limit=1, seen=seen, sent_ns=1, ended_ns=1 + NS // 2, outcome="accepted",
            fills=1, filled=1, value=paid, **more,
        )  # fmt: skip

    orders = [order(Side.BUY, 100, 101), order(Side.SELL, 200, 198)]
    refused, open_ = order(Side.BUY, 1, 9), order(Side.BUY, 1, 9)
    refused.outcome, open_.ended_ns = "refused", 0
    assert [
        {"venue": "v", "orders": 3, "latency_ms": 500.0, "reject_share": pytest.approx(1 / 3), "fill_ratio": 0.5,
         "slippage_bps": pytest.approx(100.0)}
    ] == conduct([*orders, refused, open_])  # fmt: skip
