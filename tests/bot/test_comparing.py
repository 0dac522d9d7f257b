"""Books and venues compared inside the engine, over simulated exchanges: what differs is reduced, told and mended."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from bot.invariants import Breach, Invariants
from connectors.client_ids import client_id
from connectors.events import NS
from connectors.instruments import USD
from connectors.orders import Intent, Reason, Side
from connectors.simulated.exchange import Exchange, Exchanges
from connectors.simulated.order_faults import (
    Event,
    Foreign,
    NewRights,
    OrderFault,
    OrderFaults,
    Spell,
    Trouble,
    Withdrawal,
)
from connectors.simulated.venue import Terms, Venue
from strategies.base import Note, Step
from strategies.execution.latch import ALL, Hold, Mode
from tests.bot.test_trades import BEGIN, PRICES, UNIVERSE, A, B, C, Ran, plan

FENCE = "3f09ab00002"
FIRST = client_id("t", 0, FENCE)
"""The purchase of the plan at a."""
FIVE = BEGIN + 5 * NS
TAKEN = Withdrawal(FIVE, "T", D(4))


def at_five(*events: Event) -> OrderFaults:
    """These happen at a in the fifth second."""
    return OrderFaults(events=events)


class Compared(Ran):
    """An engine with an account of 90 tokens and 100,000 USD at each of a, b and c, read every ten seconds."""

    def __init__(
        self,
        at_a: OrderFaults | None = None,
        *,
        earlier: list[Step] | None = None,
        venues: dict[str, Venue] | None = None,
        wishes: dict[int, Intent] | None = None,
        fence: str = FENCE,
    ) -> None:
        """The plan is wished in the third second; `at_a` goes wrong at a."""
        balances = {"T": D(90), USD: D(100_000)}
        self.venues = venues or {
            name: Venue(name, UNIVERSE, {at: Terms()}, balances, at_a if name == "a" else None)
            for at, name in enumerate("abc")
        }
        self.exchanges = {name: Exchange(venue) for name, venue in self.venues.items()}
        wished = {3: plan()} if wishes is None else wishes
        super().__init__(venue=Exchanges(self.exchanges), wishes=wished, earlier=earlier, fence=fence)  # type: ignore[arg-type]
        for at, name in enumerate("abc"):
            self.engine.ledger.adjust(at, D(90), D(100))
            self.engine.ledger.adjust_cash(name, USD, D(100_000), D(1))
        self.comparer = self.engine.dealer.comparer
        self.comparer.connect(self.exchanges, every_ns=10 * NS, patience_ns=2 * NS)

    def until(self, seconds: float, prices: dict[int, tuple[float, float]] = PRICES) -> Compared:
        """As of any engine; and the venues' time passes, second by second, whether anybody asks them or not."""
        while self.at <= seconds * 10:
            super().until(min(self.at / 10 + 1, seconds), prices)
            for venue in self.venues.values():
                venue.pass_to(BEGIN + self.at * NS // 10, self.engine.dealer.books)
        return self

    def whats(self) -> list[tuple[str, str]]:
        """Kinds and subjects of the differences that were told."""
        return [(str(note.detail["what"]), str(note.detail["subject"])) for note in self.notes("difference")]

    def states(self, venue: str = "a") -> list[str]:
        """How a venue stood, each time that it was told."""
        return [str(note.detail["state"]) for note in self.notes("books") if note.detail["venue"] == venue]

    @property
    def barred(self) -> set[int]:
        """Instruments that may only be reduced."""
        return set(self.engine.memory.differs)


def adjusted(ran: Compared) -> list[Note]:
    """Adjustments in the records."""
    return ran.notes("adjust")


def test_nothing_is_opened_before_the_first_statement_is_equal() -> None:
    """
    The first instant bars every venue with an account, and the first statement frees it: the trade of later is sent.
    """
    ran = Compared(wishes={0: plan("early"), 3: plan()})
    ran.until(0)
    assert {A, B, C} == ran.barred
    ran.until(6)
    assert set() == ran.barred
    assert ["equal"] == ran.states()
    assert FIRST in ran.venues["a"].orders
    assert [] == ran.whats()


def test_a_first_start_on_an_account_with_money_waits_for_an_operator() -> None:
    """
    Books that begin empty differ from an account that holds 90 tokens and 100,000 USD: no trade until it is agreed.
    """
    ran = Compared()
    for at, name in enumerate("abc"):
        ran.engine.ledger.adjust(at, D(-90), D(100))
        ran.engine.ledger.adjust_cash(name, USD, D(-100_000), D(1))
    ran.until(6)
    assert {A, B, C} == ran.barred
    assert not ran.venues["a"].orders
    for one in list(ran.comparer.told["a"].differences):
        assert "" == ran.comparer.agree(
            "a", one.kind, one.subject, f"{one.amount:f}", reason="opening", by="ann", now=BEGIN + 6 * NS
        )
    ran.until(12)
    assert {B, C} == ran.barred
    assert (D(90), D(100_000)) == (ran.positions[A], ran.engine.ledger.cash_at["a", USD])


def test_row_35_a_withdrawal_by_hand_pauses_the_venue_and_no_other() -> None:
    """
    Four tokens were taken out at a: told once with both words, a is only reduced, b and c trade on.
    """
    ran = Compared(at_five(TAKEN), wishes={})
    ran.until(25)
    assert {A} == ran.barred
    (note,) = ran.notes("difference")
    assert ("balance", "T", "-4") == (note.detail["what"], note.detail["subject"], note.detail["amount"])
    assert "holds 86 T" in str(note.detail["evidence"]) and "the books 90" in str(note.detail["evidence"])
    assert ["equal", "differ"] == ran.states()
    assert ["equal"] == ran.states("b")


def test_what_may_only_be_reduced_refuses_what_opens() -> None:
    """
    The plan buys at a, which differs: refused by name, and nothing is sent.
    """
    ran = Compared(at_five(TAKEN), wishes={25: plan()})
    ran.until(28)
    assert ["reduce_only"] == ran.reasons()
    assert not ran.venues["a"].orders and not ran.venues["b"].orders


def test_an_operators_word_mends_it_and_is_neither_profit_nor_loss() -> None:
    """
    The adjustment is recorded with evidence and reason, the books are the venue's, the result is what it was, and the
    next statement frees the venue. A restart folds it, and asks for nothing again.
    """
    ran = Compared(at_five(TAKEN), wishes={})
    ran.until(25)
    mark = ran.columns.mark_usd
    before = ran.engine.ledger.bridge(lambda at: D(repr(mark(at))), lambda coin: D(1))
    assert "" == ran.comparer.agree("a", "balance", "T", "-4", reason="sold by hand", by="ann", now=BEGIN + 25 * NS)
    after = ran.engine.ledger.bridge(lambda at: D(repr(mark(at))), lambda coin: D(1))
    assert before.net == after.net
    assert -4 * D(repr(mark(A))) == -(after.adjusted - before.adjusted)
    (note,) = adjusted(ran)
    assert ("a", "-4", "sold by hand", "ann") == tuple(note.detail[key] for key in ("venue", "amount", "reason", "by"))
    assert "holds 86 T" in str(note.detail["evidence"])
    ran.until(28)
    assert set() == ran.barred
    assert D(86) == ran.positions[A]
    again = Compared(wishes={}, earlier=ran.steps, venues=ran.venues)
    again.until(40)
    assert (D(86), set()) == (again.positions[A], again.barred)
    assert [] == again.whats()


def test_what_an_operator_corrects_is_taken_from_a_strategy_too_and_stays_taken() -> None:
    """
    Ten tokens of the 100 at a are the strategy's own, and 94 are taken out: 90 were nobody's, so four are its. A
    restart knows that too, and nothing that must always hold is broken.
    """
    ran, breaches = Compared(at_five(Withdrawal(BEGIN + 35 * NS, "T", D(94))), wishes={20: plan()}), list[Breach]()
    for at, name in enumerate("abc"):
        ran.engine.ledger.adjust(at, D(-90), D(100))
        ran.engine.ledger.adjust_cash(name, USD, D(-100_000), D(1))

    def agreed(now: int) -> None:
        for told in ran.comparer.told.values():
            for one in list(told.differences):
                seen = (told.venue, one.kind, one.subject, f"{one.amount:f}")
                assert "" == ran.comparer.agree(*seen, reason="so it is", by="ann", now=now)

    ran.until(6)
    agreed(BEGIN + 6 * NS)
    invariants = Invariants(breaches.append)
    invariants.watch(ran.engine)
    ran.engine.dealer.on_step += (invariants.hear,)
    ran.until(50)
    held = ran.engine.ledger.holdings.units
    assert (D(10), D(100), D(-10)) == (held("x", A), ran.positions[A], held("x", B))
    agreed(BEGIN + 50 * NS)
    assert (D(6), D(6), D(-10)) == (held("x", A), ran.positions[A], held("x", B))
    assert [] == breaches
    again = Ran(wishes={}, earlier=ran.steps).engine.ledger
    assert (D(6), D(6)) == (again.holdings.units("x", A), again.position(A))


def test_what_must_always_hold_knows_adjustments() -> None:
    """
    Tokens and coins are corrected, and then a trade fills: its books are summed up again without a breach.
    """
    taken = Withdrawal(FIVE, USD, D(7))
    ran, breaches = Compared(at_five(TAKEN, taken), wishes={40: plan()}).until(25), list[Breach]()
    invariants = Invariants(breaches.append)
    invariants.watch(ran.engine)
    ran.engine.dealer.on_step += (invariants.hear,)
    for what, amount in (("T", "-4"), (USD, "-7")):
        assert "" == ran.comparer.agree("a", "balance", what, amount, reason="x", by="ann", now=BEGIN + 25 * NS)
    ran.until(50)
    assert FIRST in ran.venues["a"].orders and D(96) == ran.positions[A]
    assert [] == breaches


@pytest.mark.parametrize("amount", ["-3", "4", ""])
def test_only_what_was_seen_is_adjusted(amount: str) -> None:
    """
    A word about another amount than what stands changes nothing, and says so.
    """
    ran = Compared(at_five(TAKEN), wishes={})
    ran.until(25)
    assert "as it was seen" in ran.comparer.agree(
        "a", "balance", "T", amount, reason="x", by="ann", now=BEGIN + 25 * NS
    )
    assert [] == adjusted(ran)
    assert D(90) == ran.positions[A]


def test_a_fill_that_nobody_told_us_comes_in_with_the_venues_id_and_is_hedged() -> None:
    """
    The answer of the purchase and the answers to all questions are lost: the statement tells the fill, the trade knows
    it as its own, and the books hold it once.
    """
    spells = (Spell(Trouble.DOWN, BEGIN + 3 * NS + NS // 10, BEGIN + 9 * NS),)
    ran = Compared(OrderFaults(scripted={0: OrderFault.ACK_LOST}, spells=spells))
    ran.until(40)
    (fill,) = ran.venues["a"].fills
    assert fill.id in {one.id for one in ran.engine.ledger.recent}
    assert 1 == [one.id for one in ran.engine.ledger.recent].count(fill.id)
    assert (D(100), D(80)) == (ran.positions[A], ran.positions[B])
    assert set() == ran.barred
    assert ["hedged"] == ran.stages("t")[-1:]


def test_pain_9_an_order_of_an_earlier_start_that_nobody_waits_for_is_cancelled_and_told() -> None:
    """
    It stands at a under our mark and the books know nothing of it: cancelled, and the venue is free again.
    """
    lost = client_id("lost", 0, "3f09ab00001")
    ran = Compared(at_five(Foreign(FIVE, lost, A, Side.BUY, D(1), D(50), trades=False)), wishes={})
    ran.until(30)
    assert [("unknown_order", lost)] == ran.whats()
    assert not ran.venues["a"].orders[lost].stands
    assert set() == ran.barred
    assert ["equal", "differ", "equal"] == ran.states()


def test_a_fill_of_ours_that_no_trade_knows_is_booked_and_its_share_only_reduced() -> None:
    """
    An order of an earlier start, of which no record is left, has bought two tokens: they are in the books, nobody's,
    and since no trade hedges them the share is held back until an operator says so; what opens in it is refused.
    """
    lost, breaches = client_id("lost", 0, "3f09ab00001"), list[Breach]()
    ran = Compared(at_five(Foreign(FIVE, lost, A, Side.BUY, D(2), D(100), trades=True)), wishes={20: plan()})
    invariants = Invariants(breaches.append)
    invariants.watch(ran.engine)
    ran.engine.dealer.on_step += (invariants.hear,)
    ran.until(30)
    assert (D(92), D(0)) == (ran.positions[A], ran.engine.ledger.holdings.units("x", A))
    (hold,) = ran.engine.memory.latch.holds
    assert ("underlying:S", Mode.REDUCE, "trade") == (hold.scope, hold.mode, hold.cause)
    assert lost in hold.why and "buy 2" in hold.why
    assert [hold.why] == [str(note.detail["why"]) for note in ran.notes("hold")]
    assert [Reason.REDUCE_ONLY] == [one.reason for step in ran.steps for one in step.refused][:1]
    assert [] == breaches
    again = Compared(wishes={}, earlier=ran.steps, venues=ran.venues)
    assert ("underlying:S",) == tuple(hold.scope for hold in again.engine.memory.latch.holds)


@pytest.mark.parametrize("foreign", ["hand-1", client_id("x", 0, "77777700001")])
def test_row_36_somebody_elses_order_is_told_and_left_alone(foreign: str) -> None:
    """
    By hand, or by a pegline of another folder: told once, neither cancelled nor counted, and trading goes on.
    """
    ran = Compared(at_five(Foreign(FIVE, foreign, A, Side.BUY, D(1), D(50), trades=False)), wishes={})
    ran.until(30)
    assert [("foreign_order", foreign)] == ran.whats()
    assert ran.venues["a"].orders[foreign].stands
    assert set() == ran.barred


def test_somebody_elses_trade_is_never_booked() -> None:
    """
    Two tokens were bought by hand: tokens and coins differ, with the trade's id as evidence, and the books stay.
    """
    ran = Compared(at_five(Foreign(FIVE, "hand-1", A, Side.BUY, D(2), D(100), trades=True)), wishes={})
    ran.until(30)
    assert {("balance", "T"), ("balance", USD)} == set(ran.whats())
    assert all("trades of others: a.1" in str(note.detail["evidence"]) for note in ran.notes("difference"))
    assert (D(90), {A}) == (ran.positions[A], ran.barred)


def test_a_later_start_on_a_copy_of_the_folder_halts_everything() -> None:
    """
    An order under our mark with a newer fence: two of us trade one account. Nothing is cancelled, and nothing leaves.
    """
    newer = client_id("x", 0, "3f09ab00003")
    ran = Compared(at_five(Foreign(FIVE, newer, A, Side.BUY, D(1), D(50), trades=False)), wishes={15: plan()})
    ran.until(18)
    (hold,) = ran.engine.memory.latch.holds
    assert (ALL, Mode.HALT, "fence") == hold.key
    assert ran.venues["a"].orders[newer].stands
    assert ["killed"] == ran.reasons()


def test_a_key_that_gains_the_right_to_withdraw_takes_its_venue_off() -> None:
    """
    Row 37: from the fifth second on it may withdraw. Nothing is opened at a any more, and the plan is refused.
    """
    ran = Compared(at_five(NewRights(FIVE, ("read", "trade", "withdraw"))), wishes={25: plan()}).until(28)
    assert [("key", "rights")] == ran.whats()
    assert {A} == ran.barred
    assert ["reduce_only"] == ran.reasons()


def test_a_difference_is_told_once_while_it_stands() -> None:
    """
    Four tokens are gone, and orders of ours at other times make it seem theirs: it is known, and told no second time.
    """
    ran = Compared(at_five(TAKEN), wishes={second: plan(f"p{second}") for second in (1, 30, 45)}).until(80)
    assert 1 == ran.whats().count(("balance", "T"))
    assert ["equal", "differ"] == ran.states()


def test_a_venue_that_is_no_longer_there_is_not_compared() -> None:
    """
    An earlier run had an account at c, this one has none: nobody waits for it, and nothing of it is told.
    """
    ran = Compared(wishes={}).until(5)
    again = Compared(wishes={}, earlier=ran.steps, venues={name: ran.venues[name] for name in "ab"}).until(15)
    assert ["a", "b"] == sorted(state.venue for state in again.comparer.states())
    assert {"a", "b"} == set(again.comparer.told)


def test_a_copy_of_the_folder_halts_also_what_is_already_held_back() -> None:
    """
    Everything is reduced already, for another reason: that is not enough.
    """
    newer = client_id("x", 0, "3f09ab00003")
    ran = Compared(at_five(Foreign(FIVE, newer, A, Side.BUY, D(1), D(50), trades=False)), wishes={}).until(1)
    ran.engine.memory.trip(Hold(scope=ALL, mode=Mode.REDUCE, cause="drawdown", why="x", at=BEGIN))
    ran.until(18)
    assert [(ALL, Mode.REDUCE, "drawdown"), (ALL, Mode.HALT, "fence")] == [h.key for h in ran.engine.memory.latch.holds]


def test_a_venue_that_says_nothing_is_only_reduced_until_it_does() -> None:
    """
    Down from the fifth second to the twentieth: unread is not equal, and once it answers it is free again.
    """
    ran = Compared(OrderFaults(spells=(Spell(Trouble.DOWN, BEGIN + 5 * NS, BEGIN + 20 * NS),)), wishes={})
    ran.until(15)
    assert {A} == ran.barred
    ran.until(35)
    assert set() == ran.barred
    assert ["equal", "differ", "equal"] == ran.states()


def test_a_fill_told_at_a_wrong_price_bars_its_instrument_until_it_is_agreed() -> None:
    """
    Row 29: booked as told, and the venue's own list says another price. The operator accepts the fill and adjusts the
    coins that differ by it; then it counts no more, also after a restart.
    """
    ran = Compared(OrderFaults(scripted={0: OrderFault.WRONG_PRICE}))
    ran.until(30)
    assert {("fill_differs", "a.1"), ("balance", USD)} == set(ran.whats())
    assert {A} == ran.barred
    for one in list(ran.comparer.told["a"].differences):
        assert "" == ran.comparer.agree(
            "a", one.kind, one.subject, f"{one.amount:f}", reason="seen", by="ann", now=BEGIN + 30 * NS
        )
    ran.until(45)
    assert set() == ran.barred
    again = Compared(wishes={}, earlier=ran.steps, venues=ran.venues)
    again.until(60)
    assert (set(), []) == (again.barred, again.whats())


def test_a_restart_waits_for_the_first_statement_too() -> None:
    """
    The next start bars again, is equal with its first statement, and trades.
    """
    ran = Compared()
    ran.until(12)
    again = Compared(earlier=ran.steps, venues=ran.venues, wishes={15: plan("later")}, fence="3f09ab00003")
    again.until(12.5)
    again.until(20)
    assert set() == again.barred
    assert client_id("later", 0, "3f09ab00003") in again.venues["a"].orders


def test_without_accounts_nothing_is_compared() -> None:
    """
    A replay has none: no record more, and nothing barred.
    """
    ran = Ran().until(3)
    assert [] == ran.notes("books")
    assert {} == ran.engine.memory.differs
