"""Pains 14 to 16: what looks like a profit and is none, and that what is one is taken."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from connectors.events import NS, Kind, Row, Rows  # noqa: E402
from connectors.orders import Side  # noqa: E402
from tests.bot.test_trades import BEGIN  # noqa: E402

FREE = {"taker_fee_bps": 0, "latency_ms": 5}
OFF = dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), "inf")


def config(
    venues: Mapping[str, Mapping[str, Any]], *, token: Mapping[str, Any] | None = None, size_usd: float = 1000,
    **own: Mapping[str, Any],
) -> Config:  # fmt: skip
    """Token Tx of share T at these venues; `token` says more of it, `own` of it at one venue."""
    known = {"token": "Tx", "underlying": "T", "unit_model": "rebasing", "lot": "0.0001", **(token or {})}
    return Config.model_validate(
        {
            "run": {"timer_s": 1.0},
            "venues": {**venues, "tape": {"kind": "oracle"}},
            "instruments": {
                **{f"{venue}:Tx": {**known, **own.get(venue, {})} for venue in venues},
                "tape:T": {"role": "share", "underlying": "T"},
            },
            "fair": {"default_daily_vol_bps": 100},
            "gates": {"max_quote_age_s": 30},
            "strategies": {
                "cross_venue": {"min_edge_bps": 20, "size_usd": size_usd, "max_short_units": 20, "max_long_units": 20}
            },
            "execution": {
                "retry_give_bps": 5, "max_loss_usd": 20, "naked_usd_s": 1e6, "cooldown_s": 5, "max_unwinds": 99
            },
            "risk": {
                "max_order_usd": 2000, "max_position_usd": 5000, "max_gross_usd": 9000, "collar_bps": 500,
                "max_orders_per_minute": 60, "max_daily_loss_usd": 99, "sessions": ["regular"], "coin_band_bps": 50,
                "hedge_orders_per_minute": 9, "max_wishes_per_minute": "inf", "max_turnover_usd_per_day": "inf",
                "trade_gap_s": 0, "max_drawdown_usd": "inf", "max_naked_usd": "inf", "max_naked_s": "inf", "caps": OFF,
            },
        }
    )  # fmt: skip


def ran(told: Config, prices: Mapping[str, tuple[float, float]], *more: Row, seconds: int = 30) -> Result:
    """A time in which every venue prints its bid and ask each second, and the share 100."""
    universe = universe_of(told)
    number = {instrument.name: at for at, instrument in enumerate(universe)}
    rows = list(more)
    for second in range(seconds):
        ts = BEGIN + second * NS
        rows.append(row(ts, number["tape:T"], Kind.REFERENCE, 99.99, 100.01))
        rows += [row(ts, number[f"{venue}:Tx"], Kind.QUOTE, *pair) for venue, pair in prices.items()]
    return run_over(told, universe, [Rows.of(sorted(rows, key=lambda one: one.ts_recv))])


def row(ts: int, number: int, kind: Kind, bid: float, ask: float) -> Row:
    """Fifty units on each side."""
    return Row(ts_recv=ts, instrument=number, kind=kind, bid=bid, ask=ask, bid_size=50.0, ask_size=50.0)


# --- 14


def gas(usd: float | None) -> Config:
    """A trade of 5 USD between an exchange and a pool whose orders cost that much each."""
    pool = {"kind": "dex", **FREE} | ({} if usd is None else {"fixed_cost_usd": usd})
    return config({"a": {"kind": "cex", **FREE}, "pool": pool}, size_usd=5)


GAP = {"a": (99.43, 99.44), "pool": (100.56, 100.57)}
"""1.12 % apart."""


def test_pain_14_a_gap_that_gas_eats_is_not_traded() -> None:
    """
    1.12 % of 5 USD are 6 cents, and gas is 1.45 USD: no trade. At a tenth of a cent the same gap is traded.
    """
    assert [] == ran(gas(1.45), GAP).fills
    assert ran(gas(0.001), GAP).fills


def test_pain_14_where_gas_is_not_known_nothing_is_traded() -> None:
    """
    Nobody wrote what an order in the pool costs: it is not taken for nothing, and the run says what is lacking.
    """
    result = ran(gas(None), GAP)
    assert [] == result.fills
    assert "pool" in " ".join(result.watched_only)


def test_pain_14_what_was_predicted_is_what_came() -> None:
    """
    Fees and gas are in the edge that the trade was made for, and the books show that edge to the hundredth of a cent.
    """
    paid = {"taker_fee_bps": 10, "latency_ms": 5}
    told = config({"a": {"kind": "cex", **paid}, "pool": {"kind": "dex", **paid, "fixed_cost_usd": 0.5}})
    result = ran(told, GAP)
    trades = [wish for step in result.records for wish in step.wishes if wish.id in step.approved]
    assert trades
    fair = sum(float(leg.quantity) for trade in trades for leg in trade.legs) / 2 * 100.0
    predicted = sum(trade.edge_bps for trade in trades) / len(trades) / 1e4 * fair
    earned = sum((1 if f.side is Side.SELL else -1) * f.quantity * f.price - f.fee - f.gas_usd for f in result.fills)
    assert 0 < predicted
    assert pytest.approx(predicted, rel=1e-3) == float(earned)


# --- 15


CEX = {"kind": "cex", **FREE}
ALIKE = {"a": (99.4, 99.5), "b": (100.5, 100.6)}


@pytest.mark.parametrize("other", [2.7e10, 1000.0, 0.0004])
def test_pain_15_another_coin_under_the_same_ticker_is_never_traded(other: float) -> None:
    """
    A third venue lists a coin of the same name at another price by orders of magnitude, tight and steady: it is in
    doubt and no leg goes there, while the gap of 1 % between the two that sell the token is traded.
    """
    result = ran(config({"a": CEX, "b": CEX, "c": CEX}), {**ALIKE, "c": (other, other * 1.0001)}, seconds=600)
    assert {"a:Tx", "b:Tx"} == {result.names[fill.instrument] for fill in result.fills}
    doubts = {(result.names[note.instrument], note.detail["why"]) for note in noted(result, "doubt")}
    assert {("c:Tx", "implausible")} == doubts


def noted(result: Result, kind: str) -> list[Any]:
    """What was noted of a kind."""
    return [note for step in result.records for note in step.notes if note.kind == kind]


# --- 16


VAULT = {"unit_model": "total_return", "basis": "unit"}
FOURFOLD = {"a": (397.6, 398.0), "b": (402.0, 402.4)}
"""A unit is four shares of 100, and the venues are 1 % apart."""


@pytest.mark.parametrize("multiplier", [4.0, None])
def test_pain_16_a_unit_of_four_shares_is_bought_as_four_shares(multiplier: float | None) -> None:
    """
    1,000 USD are two and a half units, not ten; where nobody said what a unit is worth there is no trade.
    """
    token = VAULT if multiplier is None else {**VAULT, "multiplier": multiplier}
    result = ran(config({"a": CEX, "b": CEX}, token=token), FOURFOLD)
    if multiplier is None:
        assert [] == result.fills
        return
    assert 2.5 == round(float(max(fill.quantity for fill in result.fills)), 1)
    assert 0 == sum(result.positions.values())
    assert {} == result.naked


def test_pain_16_a_venue_that_prices_shares_is_not_three_quarters_cheaper() -> None:
    """
    One venue quotes a share where the others quote a unit of four: nothing is bought there for that, and its gap of 1 %
    is traded once the config says what its price is of.
    """
    prices = {**FOURFOLD, "c": (99.4, 99.5)}
    venues = {"a": CEX, "b": CEX, "c": CEX}
    token = {**VAULT, "multiplier": 4.0}
    wrong = ran(config(venues, token=token), prices)
    assert {"a:Tx", "b:Tx"} == {wrong.names[fill.instrument] for fill in wrong.fills}


def test_pain_16_around_a_new_multiplier_nothing_is_traded() -> None:
    """
    From the moment that the multiplier goes from 4 to 8 until prices follow, a unit of 400 for eight shares of 100 is
    no bargain; before it the 1 % are traded.
    """
    told = config({"a": CEX, "b": CEX}, token={**VAULT, "multiplier": 4.0})
    change = BEGIN + 15 * NS
    news = [Row(ts_recv=change, instrument=number, kind=Kind.MULTIPLIER, bid=8.0, ask=nan) for number in (0, 1)]
    result = ran(told, FOURFOLD, *news)
    assert result.fills
    assert max(fill.ts for fill in result.fills) < change + NS
    assert {"maintenance"} <= {str(note.detail["why"]) for note in noted(result, "doubt")}
