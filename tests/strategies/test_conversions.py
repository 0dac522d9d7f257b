"""Mints and redemptions in the books: units move and are never lost, whatever order the news comes in."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Carry, Charge, Conversion, Fill, Outcome, Progress, Report, Side
from connectors.orders import ConversionState as S
from strategies.execution.conversions import LAST, Conversions, Why
from strategies.execution.ledger import Bridge, Ledger

SHARE, TOKEN, COIN, PERP = range(4)
UNIVERSE = Universe(
    (
        Instrument(venue="b", symbol="X", role=Role.SHARE, underlying="X"),
        Instrument(venue="v", symbol="Xt/USD", role=Role.TOKEN, underlying="X", token="Xt", issuer="i"),
        Instrument(venue="f", symbol="USDC/USD", role=Role.COIN, coin="USDC"),
        Instrument(venue="p", symbol="X-PERP", role=Role.PERP, underlying="X", quote="USDC"),
    )
)
MARKS = {SHARE: D(100), TOKEN: D(126), PERP: D(100)}


def mint(id: str = "c", sla_ns: int = 100, least: str = "79", kept_usd: str = "20", **more: object) -> Conversion:
    """100 shares that shall become 79.84 tokens."""
    return Conversion(
        id=id, issuer="i", mint=True, source=SHARE, target=TOKEN, quantity=D(100), expected=D("79.84"), least=D(least),
        sla_ns=sla_ns, underlying="X", reason="", kept_usd=D(kept_usd), **more,
    )  # type: ignore[arg-type]  # fmt: skip


def word(state: S, ts: int, given: str = "0", got: str = "0", fee: str = "0", id: str = "c") -> Progress:
    """An issuer's word."""
    return Progress(id=id, state=state, ts=ts, given=D(given), got=D(got), fee_usd=D(fee))


LIFE = (
    word(S.ACCEPTED, 1), word(S.JOURNALED, 2, "100"), word(S.DELIVERED, 3, "100", "40"),
    word(S.SETTLED, 4, "100", "79.84", "3"),
)  # fmt: skip


def bridge(ledger: Ledger) -> Bridge:
    """The bridge at `MARKS`, a coin at one dollar."""
    return ledger.bridge(MARKS.get, lambda coin: D(1))


def bought() -> Ledger:
    """100 shares at 100 dollars, and a mint of them that is asked for."""
    ledger = Ledger(UNIVERSE)
    fill = Fill(id="f", client_id="o-0", instrument=SHARE, side=Side.BUY, quantity=D(100), price=D(100), fee=D(0),
                fx=D(1), ts=0)  # fmt: skip
    report = Report(client_id="o-0", intent_id="o", leg=0, outcome=Outcome.ACCEPTED, fills=(fill,))
    ledger.take(report, seen=D(100))
    assert ledger.convert(mint(), 0)
    return ledger


def told(*words: Progress) -> Ledger:
    """The books after these words."""
    ledger = bought()
    for one in words:
        ledger.progress(one)
    return ledger


def test_what_is_only_asked_for_moves_nothing() -> None:
    """
    Asked for and accepted, the shares are still ours; asked for again it is the same one.
    """
    ledger = told(LIFE[0])
    assert (D(100), D(0), {}) == (ledger.position(SHARE), ledger.position(TOKEN), ledger.in_flight())
    assert not ledger.convert(mint(), 5)


def test_what_has_left_is_in_flight_until_the_other_side_has_come() -> None:
    """
    Journaled: no shares, no tokens, 100 in flight. With half of the tokens about half. Settled: none.
    """
    ledger = told(*LIFE[:2])
    assert (D(0), D(0), {SHARE: D(100)}) == (ledger.position(SHARE), ledger.position(TOKEN), ledger.in_flight())
    ledger.progress(LIFE[2])
    assert D(40) == ledger.position(TOKEN)
    assert {SHARE: pytest.approx(49.9, abs=0.01)} == ledger.away
    ledger.progress(LIFE[3])
    assert (D("79.84"), {}, {}) == (ledger.position(TOKEN), ledger.in_flight(), ledger.away)


def test_what_is_in_flight_is_worth_what_was_given() -> None:
    """
    While shares are in flight the net is as if they were still here; the edge is there with the tokens.
    """
    assert D(0) == bridge(told(*LIFE[:2])).net
    assert D("79.84") * 126 - 10_000 - 3 == bridge(told(*LIFE)).net


def test_what_an_issuer_keeps_is_its_fee_in_the_bridge() -> None:
    """
    Three dollars in cash and twenty in kind are issuer fees; the parts still sum to the net.
    """
    made = bridge(told(*LIFE))
    assert D(-23) == made.issuer_fees
    assert made.net == made.gross_edge + made.issuer_fees + made.inventory_mark
    assert D(-3) == told(*LIFE).cash["USD"] + 10_000


def test_a_rejected_one_that_gives_back_leaves_the_books_as_they_were() -> None:
    """
    What was sent and came back is where it was, and nothing is owed.
    """
    ledger = told(*LIFE[:2], word(S.REJECTED, 5))
    assert (D(100), {}, ()) == (ledger.position(SHARE), ledger.in_flight(), ledger.claims())


def test_a_short_delivery_is_booked_as_it_came_and_what_lacks_is_a_claim() -> None:
    """
    78 of 79.84 with a least of 79: 1.84 are owed. 79 or more are within what was agreed.
    """
    ledger = told(*LIFE[:2], word(S.SETTLED, 5, "100", "78"))
    (claim,) = ledger.claims()
    assert (D(78), D("1.84"), TOKEN, Why.SHORT) == (ledger.position(TOKEN), claim.units, claim.instrument, claim.why)
    assert () == told(*LIFE[:2], word(S.SETTLED, 5, "100", "79")).claims()


def test_a_failed_one_is_a_claim_stays_in_flight_and_may_un_fail() -> None:
    """
    All tokens are owed and the shares still count as exposure; settled later, they have come and nothing is owed.
    """
    ledger = told(*LIFE[:2], word(S.FAILED, 5, "100"))
    assert [(D("79.84"), Why.FAILED)] == [(claim.units, claim.why) for claim in ledger.claims()]
    assert {SHARE: D(100)} == ledger.in_flight()
    ledger.progress(word(S.SETTLED, 9, "100", "79.84"))
    assert (D("79.84"), (), {}) == (ledger.position(TOKEN), ledger.claims(), ledger.in_flight())


def test_an_operator_closes_a_failed_one_with_what_came() -> None:
    """
    Settled with nothing got: no longer in flight, and the claim stands with its whole.
    """
    ledger = told(*LIFE[:2], word(S.FAILED, 5, "100"), word(S.SETTLED, 9, "100"))
    assert ({}, [D("79.84")]) == (ledger.in_flight(), [claim.units for claim in ledger.claims()])


def test_unknown_says_nothing_of_amounts_and_reopens_nothing() -> None:
    """
    After the journal it stands unknown with the shares in flight; after the end it is over all the same.
    """
    ledger = told(*LIFE[:2], word(S.UNKNOWN, 9))
    assert (S.UNKNOWN, {SHARE: D(100)}) == (ledger.conversions.all["c"].state, ledger.in_flight())
    assert S.SETTLED is told(*LIFE, word(S.UNKNOWN, 9)).conversions.all["c"].state


def test_a_word_about_somebody_elses_request_moves_nothing() -> None:
    """
    It is no conversion of ours.
    """
    ledger = bought()
    assert ledger.progress(word(S.SETTLED, 1, "100", "80", id="other")) is None
    assert D(100) == ledger.position(SHARE)


def test_a_word_moves_what_it_tells_beyond_the_last_one() -> None:
    """
    A fee of one dollar was told before, and three in all now: two more. What is told again, or late, moves nothing.
    """
    all_ = Conversions()
    assert all_.ask(mint(), 7)
    assert 7 == all_.all["c"].since
    first, second = word(S.JOURNALED, 2, "100", fee="1"), word(S.DELIVERED, 3, "100", "40", "3")
    moved = [all_.hear(one) for one in (first, second, second, first)]
    none = (D(0), D(0), D(0))
    assert [(D(100), D(0), D(1)), (D(0), D(40), D(2)), none, none] == [one[:3] for one in moved if one is not None]
    assert 2 == all_.all["c"].news


def test_of_each_issuer_and_direction_the_last_ones_are_remembered() -> None:
    """
    One more than is kept was asked for: the first is gone, and a redemption, or another issuer, is beside them.
    """
    all_ = Conversions()
    for number in range(LAST + 1):
        all_.ask(mint(f"c{number}"), number)
    all_.ask(structs.replace(mint("r"), mint=False), 0)
    all_.ask(structs.replace(mint("j"), issuer="j"), 0)
    assert {("i", True): LAST, ("i", False): 1, ("j", True): 1} == {key: len(one) for key, one in all_.last.items()}
    assert ("c1", "r") == (all_.last["i", True][0].order.id, all_.last["i", False][0].order.id)


def test_a_second_word_of_an_end_is_news_and_opens_nothing() -> None:
    """
    Settled, and a moment later settled with more.
    """
    all_ = Conversions()
    all_.ask(mint(), 0)
    for ts, got in ((5, "78"), (6, "79.84")):
        all_.hear(word(S.SETTLED, ts, "100", got))
    assert (D("79.84"), []) == (all_.all["c"].got, list(all_.open()))


AMOUNT = st.sampled_from(["0", "40", "79.84", "100"])
WORDS = st.lists(
    st.builds(word, st.sampled_from(list(S)), st.integers(1, 4), AMOUNT, AMOUNT, st.sampled_from(["0", "1", "3"])),
    max_size=6,
)


def books(ledger: Ledger) -> tuple[object, ...]:
    """All that could differ."""
    cash = {coin: amount for coin, amount in ledger.cash.items() if amount}
    held = {number: units for number, units in ledger.positions.items() if units}
    one = ledger.conversions.all["c"]
    return cash, held, ledger.in_flight(), ledger.claims(), one.state, ledger.issuer_fees, bridge(ledger)


@given(words=WORDS, again=st.data())
def test_any_order_and_repetition_of_the_news_gives_the_same_books(words: list[Progress], again: st.DataObject) -> None:
    """
    Shuffled and with any of it told twice, the books are those of the news in order.
    """
    mixed = again.draw(
        st.permutations([*words, *again.draw(st.lists(st.sampled_from(words)) if words else st.just([]))])
    )
    assert books(told(*words)) == books(told(*mixed))


@given(words=WORDS)
def test_no_unit_is_lost_or_made(words: list[Progress]) -> None:
    """
    Positions are what was bought, less what the newest word says is given, plus what it says has come, to the digit;
    and cash pays exactly the fee that it tells.
    """
    ledger = told(*words)
    last = ledger.conversions.all["c"].word
    given_, got, fee = (D(0), D(0), D(0)) if last is None else (last.given, last.got, last.fee_usd)
    assert (D(100) - given_, got) == (ledger.position(SHARE), ledger.position(TOKEN))
    assert D(-10_000) - fee == ledger.cash["USD"]


@given(words=WORDS)
def test_the_bridge_sums_to_cash_positions_and_what_is_in_flight(words: list[Progress]) -> None:
    """
    Net = cash + positions at their marks + what is in flight at the mark of what was given.
    """
    ledger = told(*words)
    worth = sum((units * MARKS[number] for number, units in ledger.positions.items()), ledger.cash["USD"])
    worth += sum((units * MARKS[number] for number, units in ledger.in_flight().items()), D(0))
    made = bridge(ledger)
    assert abs(made.net - worth) < D("1e-9")
    assert made.net == made.gross_edge + made.issuer_fees + made.inventory_mark


def test_a_coin_is_spent_and_had_at_its_price_of_the_decision() -> None:
    """
    10,000 coins at 0.99 for 80 tokens at 126: the net is what the tokens are worth less what the coins were; a coin
    whose price was not told does not move.
    """
    ledger = Ledger(UNIVERSE)
    order = Conversion(
        id="c", issuer="i", mint=True, source=COIN, target=TOKEN, quantity=D(10_000), expected=D(80), least=D(80),
        sla_ns=0, underlying="X", reason="", fx=D("0.99"),
    )  # fmt: skip
    ledger.convert(order, 0)
    ledger.progress(word(S.SETTLED, 1, "10000", "80"))
    assert D(80) * 126 - 10_000 == bridge(ledger).net
    assert D(-9900) == bridge(ledger).gross_edge
    other = Ledger(UNIVERSE)
    other.convert(Conversion(**{name: getattr(order, name) for name in order.__struct_fields__ if name != "fx"}), 0)
    with pytest.raises(ValueError, match="not told"):
        other.progress(word(S.SETTLED, 1, "10000", "80"))


def test_one_that_is_late_is_told_once_and_stays_in_flight() -> None:
    """
    Row 54: not at its moment, once after it, and never again; its capital is still away.
    """
    ledger = told(*LIFE[:2])
    assert () == ledger.conversions.overdue(100)
    assert (100, 100, None) == tuple(ledger.conversions.next_sla(now) for now in (50, 100, 101))
    assert ["c"] == [late.order.id for late in ledger.conversions.overdue(101)]
    assert () == ledger.conversions.overdue(102)
    assert {SHARE: 100.0} == ledger.away
    assert () == told(*LIFE).conversions.overdue(101)


@pytest.mark.parametrize(("kind", "part"), [(Carry.FUNDING, "funding"), (Carry.BORROW, "borrow")])
def test_what_holding_costs_is_a_part_of_the_bridge(kind: Carry, part: str) -> None:
    """
    Two coins at 0.5 dollars cost one dollar, once; an income is a gain.
    """
    ledger = Ledger(UNIVERSE)
    cost = Charge(id="1", instrument=PERP, kind=kind, amount=D(2), fx=D("0.5"), ts=0)
    assert ledger.charge(cost) and not ledger.charge(cost)
    assert D(-1) == getattr(bridge(ledger), part)
    assert D(-2) == bridge(ledger).net
    assert ledger.charge(Charge(id="2", instrument=PERP, kind=kind, amount=D(-4), fx=D("0.5"), ts=1))
    assert D(1) == getattr(bridge(ledger), part)
