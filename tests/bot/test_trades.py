"""Trades through the whole engine: a venue plays a script; what is sent, what is recorded, and how the trade ends."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from decimal import Decimal
from math import inf

import pytest
from msgspec.structs import replace

from bot.paths import prepare_kernel

prepare_kernel()

from bot.dealing import Scribe  # noqa: E402 - the kernel's cache must be chosen first
from bot.engine import Engine  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NEVER, NS, Health, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Approved, Fill, Intent, Leg, Outcome, Purpose, Reason, Report, Side  # noqa: E402
from connectors.ports import Books  # noqa: E402
from strategies.base import Decision, Every, Note, Step, View, Wake  # noqa: E402
from strategies.execution.exits import Lot  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.execution.saga import Rules  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.session import Session  # noqa: E402

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
A, B, C, S = range(4)
MS = NS // 1000


def token(venue: str) -> Instrument:
    """A token of S; a unit is a share."""
    return Instrument(
        venue=venue, symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i", unit_model=UnitModel.REBASING
    )


UNIVERSE = Universe((*map(token, "abc"), Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S")))
PRICES = {A: (99.9, 100.0), B: (101.0, 101.1), C: (100.4, 100.6), S: (99.99, 100.01)}
LIMITS = Limits(
    caps=Caps(token_usd=inf, venue_usd=inf, issuer_usd=inf, chain_usd=inf, stablecoin_usd=inf),
    hedge_orders_per_minute=20, max_wishes_per_minute=inf, max_turnover_usd_per_day=inf, trade_gap_ns=0,
    max_drawdown_usd=inf, max_naked_usd=inf, max_naked_ns=2**62, max_order_usd=Decimal(2000),
    max_position_usd=Decimal(50_000), max_gross_usd=Decimal(90_000), collar_bps=500.0, max_orders_per_minute=100,
    max_daily_loss_usd=Decimal(5000), sessions=frozenset({Session.REGULAR}), coin_band_bps=100.0, need_fair=True,
)  # fmt: skip
RULES = Rules(
    retries=2, give_bps=Decimal(10), wait_ns=NS, max_loss_usd=Decimal(30), naked_usd_s=1e9, answer_within_ns=5 * NS,
    page_after_ns=60 * NS, cooldown_ns=20 * NS, max_unwinds=2,
)  # fmt: skip


def plan(id: str = "t", *, units: int = 10, in_order: bool = False) -> Intent:
    """Buy at a, sell at b."""
    legs = tuple(
        Leg(instrument=at, side=side, quantity=Decimal(units), limit=Decimal(limit), seen=Decimal(seen))
        for at, side, limit, seen in ((A, Side.BUY, 110, "100"), (B, Side.SELL, 90, "101"))
    )
    return Intent(id=id, strategy="x", legs=legs, reason="", edge_bps=100.0, notional_usd=Decimal(1010),
                  deadline_ns=NEVER, underlying="S", in_order=in_order)  # fmt: skip


class Wisher:
    """A strategy that wishes what it was told, at the tick of each second."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "x", 0, 0, 3

    def __init__(self, wishes: dict[int, Intent]) -> None:
        """`wishes` by second."""
        self.wishes = wishes

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Always."""
        return True, True

    def decide(self, view: View) -> Decision:
        """What stands for this second."""
        wish = self.wishes.pop((view.now - BEGIN) // NS, None)
        return Decision() if wish is None else Decision((wish,))


class Script:
    """A venue that does with each order what its script says, 100 ms after it was sent; else it fills it.

    A script is a list of words, told at once: `fill`, `part UNITS`, `more UNITS`, `refuse`, `rate SECONDS` (429 with
    Retry-After), `unknown`, `end` and `silence`. Behind `later:` stands what is told when it is asked.
    """

    def __init__(self, scripts: dict[str, list[str]]) -> None:
        """`scripts` by client id; `sale` and `all` stand for what has none."""
        self.scripts = scripts
        self.sent: dict[str, tuple[Leg, Intent, int]] = {}
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.filled: dict[str, list[Fill]] = {}
        self.dues: dict[int, list[tuple[str, bool]]] = {}

    def _put(self, client_id: str, due: int, *, asked: bool) -> int:
        self.dues.setdefault(due, []).append((client_id, asked))
        return due

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Takes an order; a client id that it has had is a fault of ours."""
        dues = []
        for number, leg in enumerate(order.intent.legs):
            client_id = order.intent.client_id(number)
            assert client_id not in self.sent
            self.sent[client_id] = leg, order.intent, now
            dues.append(self._put(client_id, now + 100 * MS, asked=False))
        return tuple(dues)

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asked what became of an order."""
        self.asked.append(client_id)
        return (self._put(client_id, now + 100 * MS, asked=True),)

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Asked to cancel."""
        self.cancelled.append(client_id)
        return ()

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """What is told at a moment."""
        return tuple(
            report for client_id, asked in self.dues.pop(due, ()) for report in self._told(client_id, asked, due)
        )

    def _told(self, client_id: str, asked: bool, due: int) -> Iterable[Report]:
        if client_id not in self.sent:
            yield self._report(client_id, Outcome.REFUSED)
            return
        leg = self.sent[client_id][0]
        keys = (client_id, leg.side.value, "all")
        script = next((self.scripts[key] for key in keys if key in self.scripts), ["fill"])
        at = script.index("later:") if "later:" in script else len(script)
        for word in script[at + 1 :] if asked else script[:at]:
            what, _, units = word.partition(" ")
            if what in ("fill", "part", "more"):
                quantity = leg.quantity if what == "fill" else Decimal(units)
                yield self._report(client_id, Outcome.ACCEPTED, self._fill(client_id, quantity, due), what == "fill")
            elif what == "rate":
                yield replace(self._report(client_id, Outcome.REFUSED), retry_ns=due + int(units) * NS)
            elif what != "silence":
                outcome = {"refuse": Outcome.REFUSED, "unknown": Outcome.UNKNOWN}.get(what, Outcome.ACCEPTED)
                yield self._report(client_id, outcome, final=what in ("refuse", "end"))

    def _fill(self, client_id: str, quantity: Decimal, due: int) -> Fill:
        leg = self.sent[client_id][0]
        fills = self.filled.setdefault(client_id, [])
        fills.append(
            Fill(id=f"{client_id}.{len(fills)}", client_id=client_id, instrument=leg.instrument, side=leg.side,
                 quantity=quantity, price=leg.seen, fee=Decimal(0), fx=Decimal(1), ts=due)
        )  # fmt: skip
        return fills[-1]

    def _report(self, client_id: str, outcome: Outcome, fill: Fill | None = None, final: bool = True) -> Report:
        fills = () if fill is None else (fill,)
        return Report(client_id=client_id, intent_id="", leg=0, outcome=outcome, fills=fills, final=final)


class Ran:
    """An engine on the script; `until` lets seconds pass with fresh quotes."""

    def __init__(
        self,
        scripts: dict[str, list[str]] | None = None,
        *,
        wishes: dict[int, Intent] | None = None,
        rules: Rules | None = RULES,
        lot: str = "0.5",
        least_usd: str = "0",
        venue: Script | None = None,
        earlier: list[Step] | None = None,
        fence: str = "",
        scribe: Scribe | None = None,
    ) -> None:
        """Wishes for the plan in the first second."""
        self.steps: list[Step] = []
        self.venue = venue or Script(scripts or {})
        wisher = Wisher({1: plan()} if wishes is None else wishes)
        facts = [Facts(cost=0.0, traded=one.role is Role.TOKEN, max_age_ns=2 * NS) for one in UNIVERSE]
        self.columns = Columns(UNIVERSE, facts, Beliefs(max_error=1.0), load_sessions())
        self.engine = Engine(
            columns=self.columns, strategies=[wisher], triggers=[], timed=[wisher], limits=LIMITS, executor=self.venue,
            ledger=Ledger(UNIVERSE), scribe=scribe or Journal(None), timer_ns=NS, on_step=[self.steps.append],
            lots=[Lot(units=Decimal(lot), usd=Decimal(least_usd))] * len(UNIVERSE), trade_rules=rules, fence=fence,
        )  # fmt: skip
        self.silent: set[int] = set()
        self.at = 0
        if earlier is not None:
            self.unfinished = self.engine.restore(earlier)
            self.at = (earlier[-1].ts - BEGIN) * 10 // NS + 1

    def until(self, seconds: float, prices: dict[int, tuple[float, float]] = PRICES) -> Ran:
        """Every tenth of a second each instrument that is not silent prints."""
        rows = []
        while self.at <= seconds * 10:
            ts = BEGIN + self.at * 100 * MS + 1
            for number, (bid, ask) in prices.items():
                if number not in self.silent:
                    kind = Kind.REFERENCE if number == S else Kind.QUOTE
                    rows.append(Row(ts_recv=ts, instrument=number, kind=kind, bid=bid, ask=ask, bid_size=50.0,
                                    ask_size=50.0))  # fmt: skip
            self.at += 1
        self.engine.advance(Rows.of(rows))
        return self

    def notes(self, kind: str = "trade") -> list[Note]:
        """What was noted, in order."""
        return [note for step in self.steps for note in step.notes if note.kind == kind]

    def stages(self, trade: str = "") -> list[str]:
        """Stages that trades, or one, came to, in order."""
        told = [note.detail for note in self.notes() if "stage" in note.detail]
        return [str(detail["stage"]) for detail in told if trade in ("", detail["trade"])]

    def orders(self) -> list[tuple[str, int, str, Decimal]]:
        """Client id, instrument, side and quantity of everything that was sent, in order."""
        return [(id, leg.instrument, leg.side.value, leg.quantity) for id, (leg, *_) in self.venue.sent.items()]

    def reasons(self) -> list[Reason]:
        """Why wishes were refused."""
        return [refused.reason for step in self.steps for refused in step.refused]

    @property
    def positions(self) -> dict[int, Decimal]:
        """What is held."""
        return {number: units for number, units in self.engine.ledger.positions.items() if units}

    def over(self) -> bool:
        """Nothing is open or reserved."""
        return not self.engine.trades.open and not self.engine.ledger.under_way()


def test_a_trade_that_fills_ends_hedged_in_the_record_of_its_last_answer() -> None:
    """
    Both legs fill: two orders, one end, and the strategy's place is free again.
    """
    ran = Ran().until(3)
    assert [("t-0", A, "buy", 10), ("t-1", B, "sell", 10)] == ran.orders()
    (step,) = (step for step in ran.steps if step.reports)
    assert ["hedged"] == [note.detail["stage"] for note in step.notes]
    assert ran.over() and not ran.engine.memory.open_intents


def test_pain_1_a_second_leg_that_is_refused_is_hedged_at_its_own_venue_first() -> None:
    """
    The sale is refused: at once it is tried again at b, at a price 10 bps under the fresh bid, under an id of its own.
    """
    ran = Ran({"t-1": ["refuse"]}).until(3)
    assert [("t.h1-0", B, "sell", 10)] == ran.orders()[2:]
    leg, intent, _ = ran.venue.sent["t.h1-0"]
    assert (Decimal("101.0") * Decimal("0.999"), Decimal("101.0")) == (leg.limit, leg.seen)
    assert (Purpose.HEDGE, "t", "x") == (intent.purpose, intent.trade, intent.strategy)
    assert ["hedge", "hedged"] == ran.stages() and ran.over()
    assert {A: 10, B: -10} == ran.positions


def test_fault_34_where_the_legs_venue_is_down_the_hedge_goes_to_another_one() -> None:
    """
    The sale at b is refused and b falls silent: the next venue of the share with a quote that counts is c.
    """
    ran = Ran({"t-1": ["refuse"], "t.h1-0": ["refuse"]}).until(0.9)
    ran.silent.add(B)
    ran.until(6)
    assert ("t.h2-0", C, "sell", Decimal(10)) == ran.orders()[-1]
    assert {A: 10, C: -10} == ran.positions and ran.over()


def test_pain_2_what_cannot_be_hedged_is_given_back_and_its_share_rests() -> None:
    """
    No sale at b or c: two tries, then what was bought at a is sold there; the share rests for 20 s.
    """
    scripts = {"t-1": ["refuse"], "t.h1-0": ["refuse"], "t.h2-0": ["refuse"]}
    ran = Ran(scripts, wishes={1: plan(), 8: plan("again"), 40: plan("later")}).until(45)
    assert ["hedge", "unwind", "flat"] == ran.stages()[:3]
    assert ("t.u3-0", A, "sell", Decimal(10)) == ran.orders()[4]
    assert [Reason.COOLDOWN] == ran.reasons()
    assert {"later-0", "later-1"} <= ran.venue.sent.keys()


def test_what_can_be_neither_hedged_nor_given_back_is_told_and_its_share_only_reduced() -> None:
    """
    Nothing is ever sold: two tries each, a rest, one more, then an operator is told, the share is held back, and no
    new trade is opened until he resumes it.
    """
    ran = Ran({"sell": ["refuse"]}, wishes={1: plan(), 60: plan("again")}).until(65)
    assert ["hedge", "unwind", "cool", "paged"] == ran.stages()
    assert 5 == len(ran.orders()) - 2
    (hold,) = ran.notes("hold")
    assert ("underlying:S", "REDUCE", "trade") == tuple(hold.detail[key] for key in ("scope", "mode", "cause"))
    assert [Reason.REDUCE_ONLY] == ran.reasons()
    assert "10" == ran.notes()[-1].detail["shares"] and ran.over()


def test_two_unwinds_in_a_row_are_told_too() -> None:
    """
    Each was given back; two in a row are as many as are allowed.
    """
    bad = {f"{t}{leg}": ["refuse"] for t in ("t", "again") for leg in ("-1", ".h1-0", ".h2-0")}
    ran = Ran(bad, wishes={1: plan(), 40: plan("again"), 90: plan("third")}).until(95)
    assert 2 == ran.stages().count("flat")
    assert ["underlying:S"] == [note.detail["scope"] for note in ran.notes("hold")]
    assert [Reason.REDUCE_ONLY] == ran.reasons()


def test_no_try_costs_more_than_a_trade_may_lose() -> None:
    """
    Ten bought at 100, and all bids at 96.9: selling loses 31 USD, allowed are 30. Nothing is sent, an operator is told.
    """
    ran = Ran({"t-1": ["refuse"]}).until(1.05)
    ran.until(60, {A: (96.9, 97.0), B: (96.9, 97.0), C: (96.9, 97.0), S: (96.9, 97.1)})
    assert 2 == len(ran.orders())
    assert {"no_offer"} == {note.detail.get("event") for note in ran.notes() if "event" in note.detail}
    assert "would lose more than 30 USD" in str(next(n for n in ran.notes() if "event" in n.detail).detail["why"])
    assert "paged" == ran.stages()[-1]


def test_the_limit_of_a_try_holds_the_loss_that_is_allowed() -> None:
    """
    At a bid of 97.05 the loss allowed binds before the 10 bps: no price below 97 is taken.
    """
    ran = Ran({"t-1": ["refuse"]}).until(1.05)
    ran.until(2, {A: (97.05, 97.2), B: (97.05, 97.2), C: (97.05, 97.2), S: (97.0, 97.2)})
    leg = ran.venue.sent["t.h1-0"][0]
    assert Decimal(97) == leg.limit


def test_pain_8_unknown_is_not_failed() -> None:
    """
    Nothing is known of the sale: it is asked about, nothing is sold again, what it reserves stays; then the venue says
    that it filled, and the trade is hedged.
    """
    ran = Ran({"t-1": ["unknown", "later:", "fill"]}).until(1.2)
    assert ["t-1"] == ran.venue.asked
    assert Decimal(10) == ran.engine.ledger.reserved(B, Side.SELL)
    ran.until(3)
    assert 2 == len(ran.orders())
    assert ["hedged"] == ran.stages() and ran.over()


def test_unknown_that_never_was_is_hedged() -> None:
    """
    The venue has never had the sale: only then is it sent again, under another id.
    """
    ran = Ran({"t-1": ["unknown", "later:", "refuse"]}).until(3)
    assert ["t-0", "t-1", "t.h1-0"] == list(ran.venue.sent)
    assert ["hedge", "hedged"] == ran.stages()


def test_questions_become_rarer_and_an_operator_is_told() -> None:
    """
    A venue that never answers is asked at 1, 6, 16, 36 s and so on; after 60 s an operator is told, and when it answers
    at last that is noted and the reservation ends. Nothing else was sent.
    """
    ran = Ran({"t-1": ["unknown", "later:", "silence"]}).until(61)
    assert 4 == len(ran.venue.asked)
    assert [] == ran.stages()
    ran.until(62)
    assert ["paged"] == ran.stages() and "t" in ran.engine.trades.open
    ran.venue.scripts["t-1"] = ["unknown", "later:", "fill"]
    ran.until(130)
    assert "answered" == ran.notes()[-1].detail["event"]
    assert 2 == len(ran.orders()) and ran.over()
    assert {A: 10, B: -10} == ran.positions


def test_fault_25_a_part_and_then_silence() -> None:
    """
    Four of ten bought and no more is heard, the sale refused: the four are sold at once; after 5 s the rest is
    cancelled and asked about, and what filled meanwhile is sold too.
    """
    ran = Ran({"t-0": ["part 4", "later:", "more 1", "end"], "t-1": ["refuse"]}).until(3)
    assert ("t.h1-0", B, "sell", Decimal(4)) == ran.orders()[-1]
    ran.until(9)
    assert (["t-0"], ["t-0"]) == (ran.venue.cancelled, ran.venue.asked)
    assert {"cancel"} == {note.detail["event"] for note in ran.notes() if "event" in note.detail}
    assert ("t.h2-0", B, "sell", Decimal(1)) == ran.orders()[-1]
    assert {A: 5, B: -5} == ran.positions and ran.over()


def test_pain_3_a_fill_that_comes_after_the_end_is_hedged() -> None:
    """
    Both orders were refused and the trade was flat; then a fill of the purchase turns up: it is sold.
    """
    ran = Ran({"t-0": ["refuse"], "t-1": ["refuse"]}).until(3)
    assert ["flat"] == ran.stages()
    late = ran.venue._report("t-0", Outcome.ACCEPTED, ran.venue._fill("t-0", Decimal(3), BEGIN + 3 * NS))
    ran.engine.dealer.heard((late, late), BEGIN + 3 * NS + 2)
    ran.until(5)
    assert ("t.h1-0", B, "sell", Decimal(3)) == ran.orders()[-1]
    assert {A: 3, B: -3} == ran.positions and ran.over()


def test_fault_28_what_was_filled_beyond_the_order_is_hedged_and_told() -> None:
    """
    Twelve of ten bought: two more are sold.
    """
    ran = Ran({"t-0": ["part 12", "end"]}).until(3)
    assert ("t.h1-0", B, "sell", Decimal(2)) == ran.orders()[-1]
    assert ["t-0 filled 12 of 10"] == [n.detail["why"] for n in ran.notes() if n.detail.get("event") == "overfill"]
    assert ran.over()


def test_pain_4_many_small_fills_are_hedged_by_their_sum() -> None:
    """
    0.25 + 0.75 + 3 of the purchase, 1 of the sale: 3 more are sold, in one order.
    """
    ran = Ran({"t-0": ["part 0.25", "part 0.75", "part 3", "end"], "t-1": ["part 1", "end"]}).until(3)
    assert [("t.h1-0", B, "sell", Decimal(3))] == ran.orders()[2:]


def test_dust_is_kept_told_and_swept_up_when_it_can_be_traded() -> None:
    """
    0.25 shares are left of a trade, and 0.25 of the next one: half a unit can be sold, once nothing else is open.
    """
    scripts = {"t-1": ["part 9.75", "end"], "u-1": ["part 9.75", "end"]}
    ran = Ran(scripts, wishes={1: plan(), 4: plan("u")}).until(3)
    assert {"S": Decimal("0.25")} == ran.engine.trades.dust
    assert "0.25" == ran.notes()[-1].detail["dust"]
    assert 2 == len(ran.orders())
    ran.until(8)
    assert ("dust-S-1-0", B, "sell", Decimal("0.5")) == ran.orders()[-1]
    assert {} == ran.engine.trades.dust and ran.over()
    assert Decimal(0) == sum(ran.positions.values())


def test_legs_in_order_follow_what_is_filled() -> None:
    """
    The purchase leaves alone and fills seven: seven are sold, at the plan's own venue.
    """
    ran = Ran({"t-0": ["part 7", "end"]}, wishes={1: plan(in_order=True)}).until(3)
    assert [("t-0", A, "buy", 10), ("t.h1-0", B, "sell", 7)] == ran.orders()
    assert ["hedge", "hedged"] == ran.stages() and ran.over()


def test_without_execution_nothing_is_sent_beyond_a_plan() -> None:
    """
    A half trade is told at once; a plan whose second leg would follow is refused.
    """
    ran = Ran({"t-1": ["refuse"]}, rules=None).until(3)
    assert ["paged"] == ran.stages() and 2 == len(ran.orders())
    ran = Ran(rules=None, wishes={1: plan(in_order=True)}).until(3)
    assert [Reason.MODE] == ran.reasons() and [] == ran.orders()


def test_pain_5_one_order_for_each_share_venue_and_side_at_a_time() -> None:
    """
    While the sale at b has no answer no other sale at b is opened; another one after it is.
    """
    slow = {"t-1": ["silence", "later:", "fill"]}
    ran = Ran(slow, wishes={1: plan(), 3: plan("u"), 9: plan("v")}).until(12)
    assert [Reason.IN_FLIGHT] == ran.reasons()
    assert {"v-0", "v-1"} <= ran.venue.sent.keys()


def test_nothing_is_opened_in_a_share_whose_trade_is_being_repaired() -> None:
    """
    Between the first try and the second a new trade must wait.
    """
    ran = Ran({"t-1": ["refuse"], "t.h1-0": ["refuse"]}, wishes={1: plan(), 2: plan("u")}).until(5)
    assert [Reason.IN_FLIGHT] == ran.reasons()
    assert "u-0" not in ran.venue.sent


@pytest.mark.parametrize("forgotten", [False, True])
def test_fault_66_a_crash_between_two_legs(forgotten: bool) -> None:
    """
    The process dies when the purchase has filled and the sale has no answer. The next one asks about the sale before
    anything else; where the venue never had it, it is hedged, else the trade is over. No id is used twice.
    """
    scripts = {"t-1": ["silence", "later:", "refuse" if forgotten else "fill"]}
    first = Ran(scripts).until(1.2)
    again = Ran(wishes={3: plan("u")}, venue=first.venue, earlier=first.steps).until(1.5)
    assert ("t",) == again.unfinished
    assert ["t-1"] == again.venue.asked
    again.until(5)
    assert (["hedge", "hedged"] if forgotten else ["hedged"]) == again.stages("t")
    assert {A: 20, B: -20} == again.positions
    assert again.over()


def test_a_crash_before_anything_was_sent() -> None:
    """
    The plan is recorded and the process dies: the venue never had its orders, and the trade is flat.
    """
    first = Ran().until(3)
    cut = next(at for at, step in enumerate(first.steps) if step.approved) + 1
    again = Ran(wishes={}, earlier=first.steps[:cut]).until(3)
    assert sorted(["t-0", "t-1"]) == sorted(again.venue.asked)
    assert ["flat"] == again.stages() and again.over() and not again.positions


SCRIPTS: dict[str, dict[str, list[str]]] = {
    "hedged": {"t-1": ["refuse"]},
    "unwound": {"t-1": ["refuse"], "t.h1-0": ["refuse"], "t.h2-0": ["part 3", "end"]},
    "paged": {"sell": ["refuse"]},
    "unknown": {"t-1": ["unknown", "later:", "part 4", "end"]},
    "dust": {"t-1": ["part 9.75", "end"], "u-1": ["part 9.75", "end"]},
    "overfilled": {"t-0": ["part 12", "end"]},
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_restart_after_any_record_goes_on_where_it_was(name: str) -> None:
    """
    The records up to each one in turn, folded anew, leave the trades, the books and the dust that the run itself had
    when it wrote the next.
    """

    def state(engine: Engine) -> tuple[object, ...]:
        trades = engine.trades
        parts = (trades.open, trades.over, trades.dust, trades.unwinds, trades.swept, trades.cooling)
        return copy.deepcopy((*parts, engine.ledger.positions, engine.ledger.under_way()))

    ran, states = Ran(SCRIPTS[name], wishes={1: plan(), 40: plan("u")}), dict[int, tuple[object, ...]]()
    for tenth in range(600):
        ran.until(tenth / 10)
        states[len(ran.steps)] = state(ran.engine)
    assert 5 < len(states)
    for count, expected in states.items():
        again = Ran(wishes={}, earlier=ran.steps[:count])
        assert expected == state(again.engine)


def test_where_a_venue_is_down_nothing_is_sent_to_it() -> None:
    """
    a's stream goes down after the purchase, b and c refuse every sale: nothing goes to a, and an operator is told.
    """
    ran = Ran({"sell": ["refuse"]}).until(1.05)
    down = Row(ts_recv=BEGIN + 1150 * MS, instrument=A, kind=Kind.HEALTH, bid=Health.DOWN, ask=Why.SILENT)
    ran.engine.advance(Rows.of([down]))
    ran.silent.add(A)
    ran.until(60)
    assert {B, C} == {instrument for _, instrument, *_ in ran.orders()[2:]}
    assert "paged" == ran.stages()[-1]


def test_where_nothing_may_be_traded_what_is_held_there_may_be_given_back() -> None:
    """
    The session ends right after the purchase: no sale at b, where nothing is held, but at a, where it was bought.
    """
    ran = Ran({"t-1": ["refuse"]}).until(1.15)
    ran.columns.session = Session.POST
    ran.engine.permits.all(ran.engine.now)
    ran.until(10)
    assert {A} == {instrument for _, instrument, *_ in ran.orders()[2:]}
    assert "flat" == ran.stages()[-1] and not ran.positions


def test_fault_30_a_venue_that_was_asked_too_much_hears_nothing_until_its_moment() -> None:
    """
    b answers the sale with 429 and Retry-After 10 s: the hedge goes to c at once, a new trade with a leg at b is
    refused, and one after those 10 s is not.
    """
    ran = Ran({"t-1": ["rate 10"]}, wishes={1: plan(), 5: plan("u"), 12: plan("v")}).until(15)
    assert ("t.h1-0", C, "sell", Decimal(10)) == ran.orders()[2]
    assert [Reason.ORDER_RATE] == ran.reasons()
    assert ["v-0", "v-1"] == list(ran.venue.sent)[3:]
    assert {A: 20, B: -10, C: -10} == ran.positions and ran.over()
