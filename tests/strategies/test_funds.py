"""Settled funds: when a sale settles, and what of it may be spent until then."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.events import NS
from connectors.orders import Fill, Side
from strategies.execution.funds import Funds, FundsRule, settles_at
from tests.strategies.test_risk import NOW, A, Case

SESSIONS = Case().view().columns.sessions
NEVER_SETTLES = 2**62


def utc(text: str) -> int:
    """ns of a moment."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


FRIDAY, TUESDAY, WEDNESDAY = utc("2026-09-04 13:30"), utc("2026-09-08 13:30"), utc("2026-09-09 13:30")
"""Opens around Labor Day, 09:30 in New York."""


def fill(side: Side, price: str = "100", **more: object) -> Fill:
    """Ten units, for a fee of two in a coin of 0.5 USD and a quarter of a dollar of gas."""
    usual = {
        "id": "f", "client_id": "c", "instrument": A, "quantity": Decimal(10), "fee": Decimal(2),
        "fx": Decimal("0.5"), "ts": NOW, "gas_usd": Decimal("0.25"),
    }  # fmt: skip
    return Fill(side=side, price=Decimal(price), **{**usual, **more})  # type: ignore[arg-type]


def funds(days: int = 0) -> Funds:
    """A thousand dollars at a venue."""
    return Funds(rules={"a": FundsRule(usd=Decimal(1000), settle_days=days)}, sessions=SESSIONS)


@pytest.mark.parametrize(
    ("sold", "days", "settles"),
    [
        (NOW, 0, NOW),
        (NOW, 1, TUESDAY),
        (NOW, 2, WEDNESDAY),
        (FRIDAY, 1, TUESDAY),  # at the open itself
        (FRIDAY - 1, 1, TUESDAY),  # before the open: of the same day
        (utc("2026-09-04 21:00"), 1, TUESDAY),  # after the close, in post hours: of the same day
        (utc("2026-09-05 16:00"), 1, WEDNESDAY),  # on a Saturday: of the next trading day
        (utc("2026-09-08 12:00"), 1, WEDNESDAY),
        (utc("2040-01-03 16:00"), 1, NEVER_SETTLES),  # beyond the table
    ],
)
def test_a_sale_settles_at_the_open_so_many_trading_days_after_its_own(sold: int, days: int, settles: int) -> None:
    """
    Weekend and holiday are no trading days; what is sold outside regular and post hours is of the next one.
    """
    assert settles == settles_at(sold, days, SESSIONS)


def test_the_last_open_of_the_table_is_the_last_at_which_anything_settles() -> None:
    """
    Sold on the trading day before it, it settles then; sold on that day itself, it never does as far as is known.
    """
    opens = [int(ns) for ns, code in zip(SESSIONS.starts, SESSIONS.codes, strict=True) if code == SESSIONS.at(FRIDAY)]
    assert opens[-1] == settles_at(opens[-2], 1, SESSIONS)
    assert NEVER_SETTLES == settles_at(opens[-1], 1, SESSIONS)


def test_a_sale_brings_and_a_purchase_takes_with_fee_and_gas_in_usd() -> None:
    """
    Ten at 100 less a fee of 2, at 0.5 USD a coin: 499 less 0.25 come; a purchase takes 501 and 0.25; what is undone is
    as if it had not been.
    """
    for side, left in ((Side.SELL, "1498.75"), (Side.BUY, "498.75")):
        one = funds()
        one.hear(fill(side), "a")
        assert Decimal(left) == one.spendable("a", NOW)
        one.hear(fill(side), "a")
        one.hear(fill(side), "a", undone=True)
        assert Decimal(left) == one.spendable("a", NOW)
        one.hear(fill(side), "a", undone=True)
        assert Decimal(1000) == one.spendable("a", NOW)


def test_what_a_purchase_takes_is_gone_at_once_where_sales_settle_later() -> None:
    """
    T+1: a purchase counts now, two sales each count from Tuesday's open on, and one that is undone never.
    """
    one = funds(days=1)
    one.hear(fill(Side.BUY), "a")
    assert Decimal("498.75") == one.spendable("a", NOW)
    for price in ("100", "110"):
        one.hear(fill(Side.SELL, price), "a")
    assert Decimal("498.75") == one.spendable("a", TUESDAY - 1)
    assert Decimal("498.75") + Decimal("498.75") + Decimal("548.75") == one.spendable("a", TUESDAY)
    other = funds(days=1)
    other.hear(fill(Side.SELL), "a")
    other.hear(fill(Side.SELL), "a", undone=True)
    assert [Decimal(1000)] * 2 == [other.spendable("a", now) for now in (NOW, TUESDAY)]


def test_what_has_settled_is_forgotten_one_by_one() -> None:
    """
    Of two sales the first settles on Tuesday and the second on Wednesday.
    """
    one = funds(days=1)
    one.hear(fill(Side.SELL), "a")
    one.hear(fill(Side.SELL, ts=TUESDAY), "a")
    found = [one.spendable("a", now) for now in (NOW, TUESDAY, WEDNESDAY - 1, WEDNESDAY)]
    assert [Decimal(1000), Decimal("1498.75"), Decimal("1498.75"), Decimal("1997.5")] == found
    assert [] == one.due["a"]


def test_a_venue_without_a_rule_limits_nothing_and_keeps_nothing() -> None:
    """
    What happens there is of no interest; where there is a rule and no fill yet, what lay there may be spent.
    """
    one = funds()
    assert Decimal(1000) == one.spendable("a", NOW)
    one.hear(fill(Side.SELL), "b")
    assert (None, {}) == (one.spendable("b", NOW), one.flow)


def test_nothing_is_rounded_on_the_way() -> None:
    """
    Numbers of 17 digits each multiply to more than the 28 that a Decimal keeps by itself.
    """
    one = funds()
    exact = fill(Side.BUY, "1", fx=Decimal("1.0000000000000001"), fee=Decimal(0), gas_usd=Decimal(0),
                 quantity=Decimal("1.0000000000000001"))  # fmt: skip
    one.hear(exact, "a")
    assert Decimal("998.99999999999999979999999999999999") == one.spendable("a", NOW)
