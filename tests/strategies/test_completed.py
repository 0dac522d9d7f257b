"""What a plan's own mint or redemption becomes once its legs have filled."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec import structs

from connectors.events import NS
from connectors.orders import Conversion, Intent
from connectors.ports import Soft
from strategies.base import View
from strategies.execution.completing import completed
from tests.strategies.test_requests import Issuer, order
from tests.strategies.test_risk import NOW, USDT, A, Case, intent
from tests.strategies.test_risk import S as SHARE


def plan(**more: object) -> Intent:
    """Ten tokens were sold; 1,000 coins mint ten at the quote of the plan."""
    then = order(**{
        "mint": True, "source": USDT, "target": A, "quantity": D(1000), "expected": D(10), "least": D("9.9"),
        "kept_usd": D(20), "fx": D(1), "sla_ns": NOW + 60 * NS, **more,
    })  # fmt: skip
    return intent(id="t", then=then)


def made(wish: Intent, shares: str, *, issuer: Issuer | None = None, worth: dict[int, D] | None = None,
         now: int = NOW + 7) -> Conversion | str:  # fmt: skip
    """The request for so many shares; a token is two shares."""
    known = {A: D(2), SHARE: D(1)} if worth is None else worth
    view = Case().view()
    later = View(view.columns, view.ledger, now, desks={"i": Issuer(rate="0.01") if issuer is None else issuer})
    return completed(wish, D(shares), later, lambda units, at: units * known[at] if at in known else None, since=NOW)


def test_a_mint_for_coins_costs_what_the_tokens_of_the_shares_cost_now() -> None:
    """
    Ten of twenty shares fell short: five tokens, half the coins of the plan at the same quote; fee, least and deadline
    go with it; it is the plan's own.
    """
    found = made(plan(), "10")
    assert isinstance(found, Conversion)
    assert ("t.c1", "t", "x", D(500), D(5), D("4.95"), D(10), NOW + 7 + 60 * NS) == (
        found.id, found.trade, found.strategy, found.quantity, found.expected, found.least, found.kept_usd,
        found.sla_ns,
    )  # fmt: skip
    dearer = made(plan(), "10", issuer=Issuer(rate="0.008"))
    assert isinstance(dearer, Conversion)
    assert (D(625), D(5), D("4.95"), D("12.5")) == (
        dearer.quantity, dearer.expected, dearer.least, dearer.kept_usd,
    )  # fmt: skip


def test_a_request_that_leaves_has_an_id_that_issuers_take() -> None:
    """
    32 digits with the start that sent its plan, whatever the plan's own id; without a fence nothing leaves.
    """
    wish = structs.replace(plan(), id="mint_redeem-refill-1788537902116583699-54-9", fence="3f09ab00007")
    first, again = made(wish, "10"), made(wish, "4")
    assert isinstance(first, Conversion) and isinstance(again, Conversion)
    assert ("9e93f09ab00007c1", 32, wish.id) == (first.id[:16], len(first.id), first.trade)
    assert first.id == again.id


def test_a_mint_in_kind_gives_what_is_worth_the_shares() -> None:
    """
    Ten shares for tokens of two: ten shares are given.
    """
    found = made(plan(source=SHARE, quantity=D(20)), "10", issuer=Issuer(rate="0.5"))
    assert isinstance(found, Conversion)
    assert (D(10), D(5), D(10)) == (found.quantity, found.expected, found.kept_usd)


def test_a_redemption_gives_the_tokens_that_are_the_shares() -> None:
    """
    Ten shares are five tokens; what no digit of the issuer holds is left out.
    """
    redeem = plan(mint=False, source=A, target=USDT, quantity=D(10), expected=D(1000), least=D(990))
    found = made(redeem, "10", issuer=Issuer(rate="100"))
    assert isinstance(found, Conversion)
    assert (D(5), D(500), D(495), D(10)) == (found.quantity, found.expected, found.least, found.kept_usd)
    third = made(redeem, "1", issuer=Issuer(rate="100"), worth={A: D(3)})
    assert isinstance(third, Conversion)
    assert (D("0.333333333"), D("32.999999967")) == (third.quantity, third.least)


@pytest.mark.parametrize(
    ("wish", "issuer", "worth", "why"),
    [
        (plan(issuer="z"), None, None, "no door of z"),
        (plan(), None, {}, "what a unit is worth in shares is not known"),
        (plan(), Issuer(rate="0"), None, "i gives no quote"),
        (plan(source=SHARE), None, {A: D(2)}, "i gives no quote"),
        (plan(mint=False, source=A, target=USDT), Issuer(rate="0"), None, "i gives no quote"),
    ],
)
def test_a_request_that_cannot_be_made_says_why(
    wish: Intent, issuer: Issuer | None, worth: dict[int, D] | None, why: str
) -> None:
    """
    Without a door, a worth or a quote there is none.
    """
    assert why == made(wish, "10", issuer=issuer, worth=worth)


def test_the_issuer_is_asked_for_quotes_of_this_request_now() -> None:
    """
    Way, both instruments and moment are those of the request: first for the plan's coins, then for those it needs.
    """
    issuer = Issuer(rate="0.01")
    assert isinstance(made(plan(), "10", issuer=issuer), Conversion)
    assert [(True, USDT, A, D(units), NOW + 7) for units in (1000, 500)] == issuer.quoted


def test_nothing_is_never_quoted() -> None:
    """
    What a share that is to be given is worth is not known: there is no quantity, and nobody is asked about none.
    """
    issuer = Issuer()
    assert "i gives no quote" == made(plan(source=SHARE), "10", issuer=issuer, worth={A: D(2)})
    assert [] == issuer.quoted


def test_an_issuer_that_quotes_no_more_for_the_plan_is_asked_for_nothing_else() -> None:
    """
    It would quote a single coin, and not the plan's thousand, by which the tokens of today are counted.
    """

    class Small(Issuer):
        def quote(self, *, mint: bool, source: int, target: int, quantity: D, now: int) -> Soft | None:
            """What it would bring, of at most one."""
            found = super().quote(mint=mint, source=source, target=target, quantity=quantity, now=now)
            return found if quantity <= 1 else None

    assert "i gives no quote" == made(plan(), "10", issuer=Small(rate="0.01"))


def test_a_mint_in_kind_gives_units_by_their_own_worth() -> None:
    """
    A unit of what is given is four shares: ten shares are two and a half.
    """
    found = made(plan(source=SHARE, quantity=D(20)), "10", worth={A: D(2), SHARE: D(4)})
    assert isinstance(found, Conversion)
    assert D("2.5") == found.quantity


def test_what_no_digit_holds_is_left_out_and_a_quote_is_kept_to_its_last_one() -> None:
    """
    Two thirds of a token, and the least of them, are cut, not rounded, at nine digits; an amount of thirty-one digits
    stays as it was quoted.
    """
    redeem = plan(mint=False, source=A, target=USDT, quantity=D(10), expected=D(1000), least=D("999.5"))
    cut = made(redeem, "2", issuer=Issuer(rate="100"), worth={A: D(3)})
    assert isinstance(cut, Conversion)
    assert (D("0.666666666"), D("66.633333266")) == (cut.quantity, cut.least)
    long = made(redeem, "10", issuer=Issuer(rate="100.0000000000000000000000000001"))
    assert isinstance(long, Conversion)
    assert D("500.0000000000000000000000000005") == long.expected
