"""Pain 22: tokens gather at one venue and money at the other, and bringing them back eats what was earned."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import main
from bot.rebalancing import balances, plan
from connectors.events import NS, Kind, Rows
from connectors.instruments import Instrument, Role, Universe
from strategies.execution.ledger import Ledger
from strategies.pricing.costs import Component
from tests.bot.test_trades import BEGIN
from tests.pains.test_prices import CEX, Config, Result, config, row, run_over, universe_of


def drifts(told: Config, *, turn_s: int = 10**6, journal: Path | None = None) -> Result:
    """Two minutes in which b is 1 % dearer than a, and after `turn_s` a than b; at the end both cost 100."""
    rows = []
    for second in range(120):
        ts, sides = BEGIN + second * NS, [(99.4, 99.5), (100.5, 100.6)]
        rows.append(row(ts, 2, Kind.REFERENCE, 99.99, 100.01))
        pairs = sides if second < turn_s else sides[::-1]
        rows += [row(ts, number, Kind.QUOTE, *pair) for number, pair in enumerate(pairs)]
    rows += [row(BEGIN + 130 * NS, number, Kind.QUOTE, 99.9, 100.1) for number in (0, 1)]
    return run_over(told, universe_of(told), [Rows.of(rows)], journal_path=journal)


def test_pain_22_inventory_stops_at_its_limit_and_the_way_back_stays_open() -> None:
    """
    The gap points one way: tokens gather at a until 20 stand there, and no more. When it turns they come back.
    """
    one_way = drifts(config({"a": CEX, "b": CEX}))
    assert 15 < one_way.positions["a:Tx"] <= 20
    assert 0 == sum(one_way.positions.values())
    turned = drifts(config({"a": CEX, "b": CEX}), turn_s=60)
    assert -20 <= turned.positions["a:Tx"] < 0
    assert len(turned.fills) > len(one_way.fills)


@pytest.mark.parametrize(("bps", "trades"), [(10, True), (60, False)])
def test_pain_22_bringing_it_back_is_in_the_edge_and_in_the_report(bps: float, trades: bool) -> None:
    """
    A gap of 110 bps is traded where moving back costs 10 bps a leg, and told as due; at 60 bps a leg it is not.
    """
    told = config({"a": {**CEX, "rebalancing_bps": bps}, "b": {**CEX, "rebalancing_bps": bps}})
    costs = {"slippage_bps": 0, "rebalancing_bps": bps, "capital_bps_per_year": 0}
    told = Config.model_validate({**told.model_dump(exclude_unset=True), "costs": costs})
    result = drifts(told)
    assert trades == bool(result.fills)
    value = sum(fill.quantity * fill.price for fill in result.fills)
    due = result.due.get(Component.REBALANCING, Decimal(0))
    assert pytest.approx(float(value) * bps / 1e4) == float(due)
    assert result.after_usd == result.net_usd - due
    assert trades == (result.after_usd > 0)


def test_pain_22_the_way_back_is_proposed_and_nothing_is_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    After the drift the books propose half of the tokens' difference from a to b, and of the money's from b to a, with
    what they are worth; the journal is what it was.
    """
    journal = tmp_path / "journal.sqlite"
    result = drifts(config({"a": CEX, "b": CEX}), journal=journal)
    before = journal.read_bytes()
    capsys.readouterr()
    assert 0 == main(["journal", "rebalance", "--file", str(journal), "--json"])
    moves = {one["asset"]: one for one in json.loads(capsys.readouterr().out)["moves"]}
    assert ("a", "b", result.positions["a:Tx"]) == (
        moves["Tx"]["from"], moves["Tx"]["to"], Decimal(moves["Tx"]["amount"])
    )  # fmt: skip
    assert ("b", "a") == (moves["USD"]["from"], moves["USD"]["to"])
    assert 1500 < float(moves["Tx"]["usd"]) < 2100
    assert 0 == main(["journal", "rebalance", "--file", str(journal)])
    assert "nothing is moved" in capsys.readouterr().out
    assert before == journal.read_bytes()


def test_pain_22_only_what_lies_where_one_trades_is_to_be_moved() -> None:
    """
    Cash and tokens of a venue count; cash at an issuer or at a mere price of a coin, and a perp, do not.
    """
    token = Instrument(venue="a", symbol="Tx", role=Role.TOKEN, token="Tx", underlying="T")
    perp = Instrument(venue="p", symbol="T-PERP", role=Role.PERP, underlying="T")
    coin = Instrument(venue="fx", symbol="USDT/USD", role=Role.COIN, coin="USDT")
    ledger = Ledger(Universe((token, perp, coin)))
    ledger.adjust(0, Decimal(3), Decimal(100))
    ledger.adjust(1, Decimal(5), Decimal(100))
    for venue, coin_name in (("a", "USD"), ("p", "USD"), ("fx", "USDT"), ("", "USD")):
        ledger.adjust_cash(venue, coin_name, Decimal(7), Decimal(1))
    assert {"Tx": {"a": 3}, "USD": {"a": 7, "p": 7}} == balances(ledger)


amounts = st.decimals(-1000, 1000, places=6)


@given(held=st.dictionaries(st.sampled_from("abcdef"), amounts, min_size=1))
def test_pain_22_a_plan_evens_out_in_fewer_moves_than_venues(held: dict[str, Decimal]) -> None:
    """
    Whatever lies where: after the plan no venue is more than a few millionths a venue from the even part, nothing is
    made or lost, and there are fewer moves than venues.
    """
    after = dict(held)
    moves = plan({"T": held}, lambda asset: Decimal(2))
    for move in moves:
        after[move.source] -= move.amount
        after[move.target] += move.amount
        assert 2 * move.amount == move.usd and move.amount > 0
    assert len(moves) < len(held)
    assert sum(held.values()) == sum(after.values())
    assert max(after.values()) - min(after.values()) <= Decimal("0.00001")
