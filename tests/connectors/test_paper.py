"""The executor on paper: it fills from what is in force when an order arrives, and never more than was seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NAN
from connectors.orders import Approved, Fill, Intent, Leg, Outcome, Report, Side, Statement
from connectors.paper import PaperAccount, PaperExecutor, PaperTerms

TERMS = PaperTerms(latency_ns=5_000_000, fee=Decimal("0.001"), lot=Decimal("0.1"))


@dataclass
class Book:
    """A book of one instrument, as the executor may see it."""

    b: float = 99.0
    a: float = 101.0
    b_size: float = 2.0
    a_size: float = 3.0
    usd: float = 1.0
    before: float = 0.0
    deeper: tuple[tuple[float, float], ...] = ()

    def bid(self, _: int) -> float:
        return self.b

    def ask(self, _: int) -> float:
        return self.a

    def bid_size(self, _: int) -> float:
        return self.b_size

    def ask_size(self, _: int) -> float:
        return self.a_size

    def behind(self, _: int, *, bid: bool) -> tuple[tuple[float, float], ...]:
        return self.deeper

    def taken(self, _: int, *, bid: bool) -> float:
        return self.before

    def prints(self, _: int) -> int:
        return 1

    def fx(self, _: int) -> float:
        return self.usd


def order(side: Side = Side.BUY, quantity: str = "1", limit: str = "1000", legs: int = 1, name: str = "i") -> Approved:
    """An approved order of equal legs at instrument 0."""
    limit = limit if side is Side.BUY else "0" if limit == "1000" else limit
    leg = Leg(instrument=0, side=side, quantity=Decimal(quantity), limit=Decimal(limit), seen=Decimal(100))
    return Approved(
        Intent(
            id=name, strategy="x", legs=(leg,) * legs, reason="", edge_bps=0.0, notional_usd=Decimal(1), deadline_ns=1
        )
    )


def answer(what: Approved, book: Book, terms: PaperTerms = TERMS, seed: int = 1) -> tuple[Report, ...]:
    """What comes back for an order sent at time 0."""
    executor = PaperExecutor({0: terms}, seed)
    (due,) = executor.submit(what, 0)
    assert terms.latency_ns == due
    return executor.answer(due, book)


def test_a_buy_is_filled_at_the_ask_and_a_sale_at_the_bid_with_the_fee() -> None:
    """
    One unit at 101 or 99, ten basis points of the notional as fee.
    """
    (bought,) = answer(order(), Book())[0].fills
    (sold,) = answer(order(Side.SELL), Book())[0].fills
    assert (Decimal(101), Decimal("0.101")) == (bought.price, bought.fee)
    assert (Decimal(99), Decimal("0.099")) == (sold.price, sold.fee)
    assert 5_000_000 == bought.ts


def test_no_more_is_filled_than_was_seen() -> None:
    """
    Ten are wanted, three stand at the ask: three are filled, and the report says that it is a part.
    """
    (report,) = answer(order(quantity="10"), Book())
    assert Decimal(3) == report.fills[0].quantity
    assert "partial" in report.detail


def test_two_orders_of_one_moment_share_what_was_seen() -> None:
    """
    The first takes two of three, the second finds one.
    """
    reports = answer(order(quantity="2", legs=2), Book())
    assert [Decimal(2), Decimal(1)] == [report.fills[0].quantity for report in reports]


@pytest.mark.parametrize(("limit", "units"), [("1000", ["3", "1", "0.7"]), ("102", ["3", "1"]), ("101.5", ["3"])])
def test_an_order_goes_on_to_the_levels_behind_the_best_one_as_far_as_its_limit(limit: str, units: list[str]) -> None:
    """
    Of 4.7 wanted three stand at 101, one and a bit at 102 and more at 103: each level is a fill of whole lots at its
    price, and gas is paid once.
    """
    book = Book(deeper=((102.0, 1.05), (103.0, 9.0)))
    terms = replace(TERMS, fixed_usd=Decimal("0.2"))
    (report,) = answer(order(quantity="4.7", limit=limit), book, terms)
    assert [Decimal(one) for one in units] == [fill.quantity for fill in report.fills]
    assert [Decimal(101), Decimal(102), Decimal(103)][: len(units)] == [fill.price for fill in report.fills]
    assert Decimal("0.2") == sum(fill.gas_usd for fill in report.fills)
    assert len(units) == len({fill.id for fill in report.fills})
    assert ("partial" in report.detail) is (len(units) < 3)


@pytest.mark.parametrize(
    ("book", "words"),
    [
        (Book(a=NAN), "no quote"),
        (Book(a_size=NAN), "no size"),
        (Book(a_size=0.0), "no size"),
        (Book(a_size=0.05), "no size"),
        (Book(usd=NAN), "no quote"),
        (Book(a=102.0), "limit"),
    ],
)
def test_what_was_not_seen_is_not_filled(book: Book, words: str) -> None:
    """
    No quote, no size, less than a lot, no FX, or a price beyond the limit: the venue refuses.
    """
    (report,) = answer(order(limit="101.5"), book)
    assert Outcome.REFUSED is report.outcome
    assert words in report.detail
    assert () == report.fills


def test_a_venue_refuses_its_share_of_orders_by_the_seed_alone() -> None:
    """
    Of 400 orders at a share of 25 % about 100 are refused; the same seed refuses the same ones, another one others.
    """
    terms = replace(TERMS, reject_share=0.25)

    def refused(seed: int) -> list[int]:
        return [n for n in range(400) if not answer(order(name=f"i{n}"), Book(), terms, seed)[0].fills]

    assert 70 < len(refused(1)) < 130
    assert refused(1) == refused(1)
    assert refused(1) != refused(2)


def test_only_a_share_of_the_size_may_be_taken() -> None:
    """
    Half of three is one and a half.
    """
    (report,) = answer(order(quantity="3"), Book(), replace(TERMS, fill_share=0.5))
    assert Decimal("1.5") == report.fills[0].quantity


def test_a_share_of_the_size_is_one_share_however_often_it_is_asked_for() -> None:
    """
    Half of ten is five: after four were taken, of the six that are left one more may be.
    """
    (report,) = answer(order(quantity="3"), Book(a_size=6.0, before=4.0), replace(TERMS, fill_share=0.5))
    assert Decimal(1) == report.fills[0].quantity


def test_a_fixed_cost_is_paid_by_every_order_that_fills() -> None:
    """
    Five cents of gas on top of the fee.
    """
    assert Decimal("0.05") == answer(order(), Book(), replace(TERMS, fixed_usd=Decimal("0.05")))[0].fills[0].gas_usd


def test_an_assumed_spread_is_paid_on_the_wrong_side() -> None:
    """
    One price of 100 and an assumed half-spread of 50 bps: bought at 100.5, sold at 99.5.
    """
    terms, book = replace(TERMS, assumed_half_spread=Decimal("0.005")), Book(b=100.0, a=100.0)
    assert Decimal("100.5") == answer(order(), book, terms)[0].fills[0].price
    assert Decimal("99.5") == answer(order(Side.SELL), book, terms)[0].fills[0].price


def test_an_instrument_without_a_venue_on_paper_is_refused() -> None:
    """
    No fee or no latency in the config: no paper venue, no fill.
    """
    executor = PaperExecutor({}, 1)
    (due,) = executor.submit(order(), 7)
    assert Outcome.REFUSED is executor.answer(due, Book())[0].outcome


@given(
    wanted=st.decimals("0.1", "50", places=1),
    size=st.floats(0, 20),
    share=st.floats(0.01, 1.0),
    lot=st.sampled_from(["0.1", "1", "0.25"]),
)
def test_a_fill_is_whole_lots_within_the_order_and_the_share_of_the_size(
    wanted: Decimal, size: float, share: float, lot: str
) -> None:
    """
    Whatever is asked and seen, a fill is a positive number of lots, within the order and within its share of the size.
    """
    (report,) = answer(
        order(quantity=str(wanted)), Book(a_size=size), replace(TERMS, fill_share=share, lot=Decimal(lot))
    )
    for fill in report.fills:
        assert 0 < fill.quantity <= wanted
        assert fill.quantity <= Decimal(repr(size * share))
        assert 0 == fill.quantity % Decimal(lot)


def test_chance_knows_nothing_of_the_start_that_sends() -> None:
    """
    The same orders under two fences, and under none, are rejected alike; so a replay rejects what the run did.
    """
    terms = replace(TERMS, reject_share=0.5)
    said = []
    for fence in ("", "3f09ab00001", "3f09ab00002"):
        paper, outcomes = PaperExecutor({0: terms}, 7), []
        for name in "abcdefgh":
            intent = msgspec.structs.replace(order(name=name).intent, fence=fence)
            (due,) = paper.submit(Approved(intent), 0)
            outcomes += [report.outcome for report in paper.answer(due, Book())]
        said.append(outcomes)
    assert said[0] == said[1] == said[2]
    assert {Outcome.ACCEPTED, Outcome.REFUSED} == set(said[0])


def test_an_account_on_paper_tells_its_orders_and_fills_and_takes_the_books_word_for_the_rest() -> None:
    """
    An order that waits stands, what filled is told with its own id beside what the books know of earlier runs, and
    other venues' are not its business.
    """
    paper = PaperExecutor({0: TERMS, 1: TERMS}, 1)
    (due,) = paper.submit(order(), 100)
    early = Fill(id="early", client_id="e-0", instrument=0, side=Side.BUY, quantity=Decimal(5), price=Decimal(1),
                 fee=Decimal(0), fx=Decimal(1), ts=50)  # fmt: skip
    here = PaperAccount("v", (0,), paper, lambda: ({"T": Decimal(5)}, [early]))
    there = PaperAccount("w", (1,), paper, lambda: ({}, []))

    def told(account: PaperAccount, since: int, now: int) -> Statement:
        (moment,) = account.read(since, now)
        (one,) = account.statements(moment)
        return one

    assert ["i-0"] == [one.client_id for one in told(here, 0, 100).orders or ()]
    (report,) = paper.answer(due, Book())
    after = told(here, 0, due)
    assert ((), {"T": Decimal(5)}) == (after.orders, after.balances)
    assert {"early", report.fills[0].id} == {fill.id for fill in after.fills or ()}
    assert [report.fills[0].id] == [fill.id for fill in told(here, 51, due).fills or ()]
    assert ((), ()) == (told(there, 0, due).orders, told(there, 0, due).fills)
