"""Trades of several orders, and of tokens of two issuers, through the whole bot on paper."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.journal_orders import trades  # noqa: E402
from bot.journal_steps import Runs  # noqa: E402
from bot.journal_text import trade_row  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from connectors.events import NS, Kind, Row, Rows  # noqa: E402
from monitoring.trade import trade_told  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
ONE, OTHER, DEAR, SHARE = "one:Tx/USD", "other:Tx/USD", "dear:Ty/USD", "tape:T"
"""A token of issuer x at two venues, one of issuer y at a third, and the share."""


def config(*, most: int, **strategy: object) -> Config:
    """Free venues, positions of at most so many units, repairs of what falls short."""
    token = {"token": "Tx", "underlying": "T", "issuer": "x", "unit_model": "rebasing", "lot": "0.01"}
    venue = {"kind": "cex", "taker_fee_bps": 0, "latency_ms": 100}
    return Config.model_validate(
        {
            "venues": {"one": venue, "other": venue, "dear": venue, "tape": {"kind": "oracle"}},
            "instruments": {
                ONE: token, OTHER: token, DEAR: {**token, "token": "Ty", "issuer": "y"},
                SHARE: {"role": "share", "underlying": "T"},
            },
            "strategies": {
                "cross_venue": {
                    "min_edge_bps": 5, "size_usd": 1000, "max_short_units": most, "max_long_units": most,
                    "cooldown_s": 1, **strategy,
                }
            },
            "execution": {"max_loss_usd": 50, "retry_give_bps": 20, "naked_usd_s": 1e9},
            "risk": {
                "max_order_usd": 2000, "max_position_usd": 2000, "max_gross_usd": 5000, "collar_bps": 300,
                "max_orders_per_minute": 99, "max_daily_loss_usd": 99, "sessions": ["regular"], "coin_band_bps": 50,
                "hedge_orders_per_minute": 9, "max_wishes_per_minute": "inf", "max_turnover_usd_per_day": "inf",
                "trade_gap_s": 0, "max_drawdown_usd": "inf", "max_naked_usd": "inf", "max_naked_s": "inf",
                "caps": dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), "inf"),
            },
        }
    )  # fmt: skip


def ran(told: Config, *moments: tuple[int, dict[str, tuple[float, float, float]]]) -> Result:
    """Quotes (bid, ask, size) by instrument at moments (ms), after the share at 100."""
    universe = universe_of(told)
    number = {instrument.name: at for at, instrument in enumerate(universe)}
    rows = [Row(ts_recv=NOON, instrument=number[SHARE], kind=Kind.REFERENCE, bid=99.99, ask=100.01)]
    for ms, quotes in moments:
        for at, (name, (bid, ask, size)) in enumerate(quotes.items()):
            rows.append(
                Row(ts_recv=NOON + ms * 1_000_000 + at, instrument=number[name], kind=Kind.QUOTE, bid=bid, ask=ask,
                    bid_size=size, ask_size=size)
            )  # fmt: skip
    return run_over(told, universe, [Rows.of(rows)])


def units(result: Result) -> dict[str, Decimal]:
    """What is held at the end."""
    held: dict[str, Decimal] = {}
    for fill in result.fills:
        name = (ONE, OTHER, DEAR)[fill.instrument]
        held[name] = held.get(name, Decimal(0)) + (fill.quantity if fill.side == "buy" else -fill.quantity)
    return {name: amount for name, amount in held.items() if amount}


def ends(result: Result) -> list[str]:
    """How the trades have ended."""
    return [end for (_, end), count in result.told.ends.items() for _ in range(count)]


SPREAD = {ONE: (99.9, 100.0, 3.0), OTHER: (99.9, 100.05, 4.0), DEAR: (100.5, 100.6, 9.0)}
STILL = {ONE: (99.9, 100.0, 0.001), OTHER: (99.9, 100.05, 0.001), DEAR: (100.5, 100.6, 0.001)}
"""The same prices, and less than a lot to be had."""


def test_a_trade_buys_at_two_venues_what_it_sells_at_a_third() -> None:
    """
    Three units at 100 and four at 100.05 are bought, seven sold at 100.5, in one trade of three orders that ends
    hedged.
    """
    result = ran(config(most=20), (1, SPREAD), (300, STILL), (3000, STILL))
    assert {ONE: Decimal(3), OTHER: Decimal(4), DEAR: Decimal(-7)} == units(result)
    assert (1, 3, ["hedged"]) == (result.told.approved, len(result.fills), ends(result))
    assert Decimal("3.3") == result.bridge.gross_edge


def test_the_orders_of_a_trade_can_be_limited() -> None:
    """
    With two legs at most only the larger offer is bought, and what that gives up stands as the gap.
    """
    result = ran(config(most=20, max_legs=2), (1, SPREAD), (300, STILL), (3000, STILL))
    assert {OTHER: Decimal(4), DEAR: Decimal(-4)} == units(result)
    (wish,) = [one for step in result.records for one in step.wishes]
    assert wish.sizing is not None
    assert 0 < wish.sizing.gap_usd


def test_the_journal_and_the_story_tell_why_a_trade_had_its_size() -> None:
    """
    Seven shares were to bring 3.30 USD, the last one costs 100.05 and brings 100.50, and no other trade brings more.
    """
    result = ran(config(most=20), (1, SPREAD), (300, STILL), (3000, STILL))
    (trade,) = trades(result.records, Runs((1,), (tuple(result.universe),)))
    told = trade_row(trade)
    assert (7.0, 0.0) == (told["sizing"]["shares"], told["sizing"]["gap_usd"])
    assert (3.3, 100.05, 100.5) == pytest.approx(
        tuple(told["sizing"][key] for key in ("profit_usd", "marginal_buy_usd", "marginal_sell_usd"))
    )
    (line,) = [trade_told(one, result.universe)[0] for one in result.told.closed]
    assert line.endswith(
        "planned +3.30 for 7 shares, of which the last costs 100.05 and brings 100.50; no other brings more"
    )


def test_what_one_of_three_orders_lacks_is_hedged() -> None:
    """
    One of the two offers is gone when its order comes: what was sold too much is bought at the other venue, and the
    trade ends hedged, with as much bought as sold.
    """
    gone = {ONE: (99.0, 102.0, 9.0), OTHER: (99.9, 100.05, 9.0), DEAR: (100.5, 100.6, 9.0)}
    result = ran(config(most=20, slippage_bps=10), (1, SPREAD), (60, gone), (2000, gone), (4000, gone), (6000, STILL))
    first = next(one for step in result.records for one in step.wishes)
    assert 3 == len(first.legs)
    assert ONE not in units(result)
    assert 0 == sum(units(result).values())
    assert "hedged" in ends(result)


def test_tokens_of_two_issuers_are_held_against_each_other_within_limits_until_the_opposite_trade_pays() -> None:
    """
    Issuer y's token is dear: five units are sold short against issuer x's, the most that may be, and no more however
    long that lasts. While the gap is gone nothing happens; where it has turned, both are traded back to nothing.
    """
    dear = {ONE: (99.9, 100.0, 9.0), DEAR: (100.5, 100.6, 9.0)}
    even = {ONE: (99.9, 100.0, 9.0), DEAR: (99.9, 100.0, 9.0)}
    turned = {ONE: (100.5, 100.6, 9.0), DEAR: (99.9, 100.0, 9.0)}
    told = config(most=5)
    result = ran(told, (1, dear), (3000, dear), (6000, dear), (9000, even), (12_000, even))
    assert {ONE: Decimal(5), DEAR: Decimal(-5)} == units(result)
    assert ["hedged"] == ends(result)
    result = ran(told, (1, dear), (3000, dear), (6000, even), (9000, turned), (9500, turned), (9900, STILL))
    opened, closed = [one for step in result.records for one in step.wishes if one.id in step.approved][:2]
    assert [("buy", 0), ("sell", 2)] == [(leg.side.value, leg.instrument) for leg in opened.legs]
    assert [("buy", 2), ("sell", 0)] == sorted((leg.side.value, leg.instrument) for leg in closed.legs)
    assert closed.legs[0].quantity >= 5
