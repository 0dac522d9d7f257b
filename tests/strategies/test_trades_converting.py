"""Trades that end in a mint or redemption: what they ask for, and what of it counts as theirs."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec import structs

from connectors.orders import Conversion, ConversionState, Intent, Progress, Side
from strategies.base import View
from strategies.execution.conversions import Conversions
from strategies.execution.saga import Stage
from strategies.execution.trades import Trades
from tests.strategies.test_all_trades import LOT, RULES, fill, noted, said
from tests.strategies.test_requests import Issuer, order
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, intent
from tests.strategies.test_risk import S as SHARE

MINT = order(id="x-1.c1", mint=True, source=USDT, target=A, quantity=D(500), expected=D(5), fx=D(1), trade="x-1")
IN_KIND = order(id="x-1.c1", mint=True, source=SHARE, target=A, trade="x-1")


def plan(then: Conversion = MINT) -> Intent:
    """Sells five of what a mint is to bring."""
    return intent(legs=(intent(buy=P, sell=then.target).legs[1],), then=then)


def selling(requests: Conversions, then: Conversion = MINT, *, worth: dict[int, float] | None = None) -> Trades:
    """The sale filled, and the mint is due."""
    known = worth or {}
    universe = Case().universe
    units = [known.get(at, 1.0) for at in range(len(universe))]
    kept = Trades(universe, worth=units.__getitem__, lots=[LOT] * len(universe), rules=RULES, requests=requests.all)
    kept.approved(plan(then), NOW)
    kept.heard(said("x-1-0", fill("x-1-0", "5", at=then.target, side=Side.SELL)), NOW)
    kept.noted(noted(stage="convert"), NOW)
    return kept


def waiting(then: Conversion = MINT, *, got: str = "0", state: ConversionState = ConversionState.ACCEPTED,
            worth: dict[int, float] | None = None) -> Trades:  # fmt: skip
    """The same, asked for, after a word of the issuer."""
    requests = Conversions()
    kept = selling(requests, then, worth=worth)
    requests.ask(then, NOW)
    kept.asked_for(then, NOW)
    requests.hear(Progress(id=then.id, state=state, ts=NOW, given=then.quantity if D(got) else D(0), got=D(got)))
    return kept


def at_door(*, rate: str = "0.01") -> View:
    """A moment at which the issuer gives a quote."""
    view = Case().view()
    return View(view.columns, view.ledger, NOW, ("S",), desks={"i": Issuer(rate=rate)})


def test_a_trade_asks_for_what_its_leg_sold() -> None:
    """
    Five were sold: five are to be minted, for the coins of today's quote, as the request of that trade.
    """
    (made,) = selling(Conversions()).think(at_door()).conversions
    assert ("x-1.c1", "x-1", D(500), D(5)) == (made.id, made.trade, made.quantity, made.expected)


def test_a_deadline_of_a_request_is_as_far_away_as_when_it_was_planned() -> None:
    """
    Between plan and request two nanoseconds passed.
    """
    kept = selling(Conversions())
    view = at_door()
    (made,) = kept.think(View(view.columns, view.ledger, NOW + 2, ("S",), desks=view.desks)).conversions
    assert MINT.sla_ns + 2 == made.sla_ns


def test_a_request_that_cannot_be_made_costs_a_try_and_is_told() -> None:
    """
    The issuer gives no quote: the note names trade, share and cause.
    """
    thought = selling(Conversions()).think(at_door(rate="0"))
    assert ((), [noted(event="no_offer", why="i gives no quote")]) == (thought.conversions, list(thought.notes))


def test_a_trade_that_cannot_ask_keeps_no_other_from_what_it_needs() -> None:
    """
    Its note and the stage of the next trade come in one look.
    """
    kept = selling(Conversions())
    kept.approved(intent(id="x-2", legs=intent().legs[1:]), NOW)
    kept.heard(said("x-2-0", fill("x-2-0", "5", at=B, side=Side.SELL)), NOW)
    assert ["x-1", "x-2"] == [note.detail["trade"] for note in kept.think(at_door(rate="0")).notes]


def test_the_request_of_a_trade_is_kept_with_its_moment_and_one_of_nobody_is_not() -> None:
    """
    What it sold stood alone for two nanoseconds until the request; a mint of no trade is no trade's.
    """
    requests = Conversions()
    kept = selling(requests)
    kept.asked_for(order(id="alone"), NOW)
    assert "" == kept.open["x-1"].asked
    kept.asked_for(MINT, NOW + 2)
    saga = kept.open["x-1"]
    assert ("x-1.c1", NOW + 2, pytest.approx(1e-6)) == (saga.asked, saga.told_ns, saga.naked_usd_s)


@pytest.mark.parametrize(
    ("state", "got", "net"),
    [(ConversionState.ACCEPTED, "0", "0"), (ConversionState.SETTLED, "4", "-1"), (ConversionState.REJECTED, "0", "-5")],
)
def test_what_a_mint_will_bring_counts_until_its_end_and_then_what_it_brought(
    state: ConversionState, got: str, net: str
) -> None:
    """
    Five are sold: a mint under way covers them, one that settled with four leaves one short, a rejected one all.
    """
    for then in (MINT, structs.replace(MINT, target=B)):
        kept = waiting(then, state=state, got=got)
        assert D(net) == kept.standing(kept.open["x-1"], Case().view()).net
        assert {("x-1", "S"): D(net)} == kept.open_shares()


def test_what_is_decided_by_is_the_request_of_the_trade_itself() -> None:
    """
    Beside others that nobody asked for it.
    """
    kept = waiting()
    request = kept.standing(kept.open["x-1"], Case().view()).request
    assert request is not None
    assert MINT == request.order


def test_a_coin_that_is_given_is_no_share_and_a_share_is() -> None:
    """
    In kind five shares go for the five tokens that were sold: what is held then is short by them.
    """
    assert D(-5) == waiting(IN_KIND).standing(waiting(IN_KIND).open["x-1"], Case().view()).net
    assert {("x-1", "S"): D(0)} == waiting().open_shares()


def test_what_is_held_goes_by_the_worth_of_each_instrument() -> None:
    """
    A unit at A is two shares: ten were sold, and ten come.
    """
    kept = waiting(IN_KIND, worth={A: 2.0})
    stands = kept.standing(kept.open["x-1"], Case().view())
    assert (D(-5), D(5)) == (stands.net, stands.held)
    sold = selling(Conversions(), worth={A: 2.0})
    assert (D(-10), D(10)) == sold.standing(sold.open["x-1"], Case().view())[:2]


def test_how_little_can_be_traded_is_asked_where_something_is_left() -> None:
    """
    Half a unit is the smallest order; of what is covered, or of nothing at all, it is not asked.
    """
    nothing = Trades(Case().universe, worth=lambda _: 1.0)
    nothing.approved(intent(), NOW)
    assert (D(0), D(0), D(0), None) == nothing.standing(nothing.open["x-1"], Case().view())
    sold, covered = selling(Conversions()), waiting()
    assert D("0.5") == sold.standing(sold.open["x-1"], Case().view()).least
    assert D(0) == covered.standing(covered.open["x-1"], Case().view()).least


def test_a_restored_trade_that_waits_for_its_issuer_bars_no_new_one() -> None:
    """
    After a restart a trade that waits for its issuer only is no reason against another one in the share.
    """
    kept = waiting()
    kept.taken_up()
    assert None is kept.objection(intent(id="x-2"), NOW)
    assert Stage.CONVERT is kept.open["x-1"].stage
