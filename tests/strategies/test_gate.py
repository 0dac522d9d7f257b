"""The gate: holds, caps, pace, result, self-trade, settled funds, and what may pass where opening is refused."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from connectors.events import NEVER, NS, Flag
from connectors.orders import Conversion, ConversionState, Fill, Intent, Leg, Progress, Purpose, Reason, Side
from strategies.base import View
from strategies.execution.caps import Worst
from strategies.execution.funds import Funds, FundsRule
from strategies.execution.latch import Hold, Latch, Mode, scopes_of
from strategies.execution.limits import Limits
from strategies.execution.memory import DAY_NS, Memory, net_usd, new_day
from strategies.execution.reduces import OpenShares, reduces
from strategies.execution.risk import review
from strategies.execution.stops import heed_note, hold_note, naked_usd, resumed_note, told, watch
from strategies.market.session import Session
from tests.strategies.test_risk import LIMITS, NOW, USDT, A, B, Case, instruments, intent, quote

WIDE = replace(
    LIMITS, max_order_usd=Decimal(10**9), max_position_usd=Decimal(10**9), max_gross_usd=Decimal(10**9),
    max_orders_per_minute=1000, max_daily_loss_usd=Decimal(10**9),
)  # fmt: skip
TODAY = NOW // DAY_NS


def hold(scope: str = "all", mode: Mode = Mode.HALT, **more: object) -> Hold:
    """An operator's hold."""
    return Hold(**{"scope": scope, "mode": mode, "cause": "operator", "why": "test", "at": NOW, **more})  # type: ignore[arg-type]


def filled(view: View, at: int, units: str, price: str = "99.95", fee: str = "0") -> Fill:
    """Units that were bought (or, below zero, sold) before."""
    side = Side.BUY if Decimal(units) > 0 else Side.SELL
    fill = Fill(id=f"{at} {units} {price}", client_id="c", instrument=at, side=side, quantity=abs(Decimal(units)),
                price=Decimal(price), fee=Decimal(fee), fx=Decimal(1), ts=NOW)  # fmt: skip
    view.ledger.fill(fill, seen=Decimal(price))
    return fill


def holding(**units: str) -> View:
    """A view with positions at a and b."""
    view = Case().view()
    for name, amount in units.items():
        filled(view, {"a": A, "b": B}[name], amount)
    return view


def leg(at: int, side: Side, units: str = "5", limit: str | None = None, seen: str | None = None) -> Leg:
    """One leg near the quotes."""
    price = {A: "100", B: "101"}[at]
    bound = limit or ("110" if side is Side.BUY else "90")
    return Leg(instrument=at, side=side, quantity=Decimal(units), limit=Decimal(bound), seen=Decimal(seen or price))


def one_leg(at: int, side: Side, units: str = "5", **changes: object) -> Intent:
    """An intent of one leg."""
    return intent(legs=(leg(at, side, units),), notional_usd=Decimal(units) * 101, **changes)


def why(
    view: View,
    wish: Intent,
    limits: Limits = WIDE,
    memory: Memory | None = None,
    shares: OpenShares | None = None,
) -> Reason | None:
    """Why the wish is refused, or None where it passes."""
    memory = memory or Memory(day=TODAY)
    return next((one.reason for one in review((wish,), view, limits, memory, {"x": 1}, shares or {})[1]), None)


# --- holds


@pytest.mark.parametrize("scope", ["all", "underlying:S", "token:T", "venue:a", "venue:b", "strategy:x", "issuer:i"])
@pytest.mark.parametrize(
    ("mode", "expected"), [(Mode.HALT, Reason.KILLED), (Mode.REDUCE, Reason.REDUCE_ONLY), (Mode.RUN, None)]
)
def test_a_hold_stops_what_falls_under_its_scope(scope: str, mode: Mode, expected: Reason | None) -> None:
    """
    Each scope of the intent holds it; a halt refuses as killed, a pause as what does not reduce.
    """
    view = Case(universe=instruments(issuer="i")).view()
    assert expected is why(view, intent(), memory=Memory(latch=Latch((hold(scope, mode),))))


@pytest.mark.parametrize("scope", ["underlying:Z", "token:Z", "venue:z", "strategy:y", "issuer:z"])
def test_a_hold_on_another_scope_stops_nothing(scope: str) -> None:
    """
    What an intent does not touch does not hold it.
    """
    assert why(Case().view(), intent(), memory=Memory(latch=Latch((hold(scope),)))) is None


def test_a_halt_outranks_the_session_and_a_pause() -> None:
    """
    Where all of them speak against an intent, the halt is the reason, and its sentence says who and why.
    """
    memory = Memory(latch=Latch((hold("token:T", Mode.REDUCE), hold(why="fire", by="ann"))))
    closed = replace(WIDE, sessions=frozenset({Session.PRE}))
    refused = review((intent(),), Case().view(), closed, memory, {"x": 1})[1][0]
    assert (Reason.KILLED, "all HALT by operator ann: fire") == (refused.reason, refused.detail)


def test_a_hold_ends_with_its_time_and_not_before() -> None:
    """
    Its last moment still counts, a nanosecond later it is over.
    """
    assert Reason.KILLED is why(Case().view(), intent(), memory=Memory(latch=Latch((hold(until=NOW),))))
    assert why(Case().view(), intent(), memory=Memory(latch=Latch((hold(until=NOW - 1),)))) is None


def test_a_later_hold_replaces_one_of_its_own_cause_only() -> None:
    """
    A pause by hand that ends does not end the pause that the gate has set.
    """
    gate = hold("token:T", Mode.REDUCE, cause="naked")
    latch = Latch((gate,)).set(hold("token:T", Mode.REDUCE, until=NOW)).set(hold("token:T", Mode.REDUCE, until=NOW + 5))
    assert [gate, hold("token:T", Mode.REDUCE, until=NOW + 5)] == list(latch.holds)
    assert (gate,) == latch.without_past(NOW + 6).holds
    assert gate is latch.strictest(("token:T",), NOW + 6)
    assert () == latch.lifted("token:T", (Mode.REDUCE,)).holds
    assert latch == latch.lifted("token:T", (Mode.HALT,)) == latch.lifted("all", (Mode.REDUCE,))


def test_later_rounds_of_a_trade_are_not_their_strategy_s() -> None:
    """
    A strategy that is halted begins nothing; what it left open is closed.
    """
    universe = instruments()
    assert "strategy:x" in scopes_of(intent(), universe)
    assert "strategy:x" not in scopes_of(intent(purpose=Purpose.HEDGE), universe)
    assert ("strategy:x", "underlying:S", "token:T", "venue:a", "venue:b") == scopes_of(intent(), universe)


def test_a_record_of_a_hold_makes_the_same_hold_and_takes_it_back() -> None:
    """
    What stands in the journal is all that a restart needs.
    """
    one = hold("underlying:S", Mode.REDUCE, until=7, by="ann")
    note = hold_note(one)
    assert ("hold", "S") == (note.kind, note.underlying)
    memory = Memory()
    heed_note(memory, note)
    assert Latch((one,)) == memory.latch
    end = resumed_note("underlying:S", (Mode.REDUCE, Mode.HALT), number=3, why="over", by="bob")
    assert ("resumed", "S", "over", "bob") == (end.kind, end.underlying, end.detail["why"], end.detail["by"])
    heed_note(memory, end)
    assert (Latch(), 3) == (memory.latch, memory.resumed)
    assert ["", "A:B"] == [hold_note(hold(scope)).underlying for scope in ("token:S", "underlying:A:B")]


# --- what reduces


@pytest.mark.parametrize(
    ("units", "wish", "passes"),
    [
        ({"a": "5"}, one_leg(A, Side.SELL, "5"), True),  # the position to zero
        ({"a": "5"}, one_leg(A, Side.SELL, "5.1"), False),  # beyond zero
        ({"a": "5"}, one_leg(A, Side.BUY, "1"), False),
        ({"a": "-5"}, one_leg(A, Side.BUY, "5"), True),
        ({"a": "-5"}, one_leg(A, Side.BUY, "5.1"), False),
        ({"a": "-5"}, one_leg(A, Side.SELL, "1"), False),
        ({"a": "5"}, one_leg(B, Side.SELL, "5"), True),  # the net shares to zero, at another venue
        ({"a": "5"}, one_leg(B, Side.SELL, "5.1"), False),
        ({"a": "-5"}, one_leg(B, Side.BUY, "5"), True),
        ({"a": "5", "b": "-5"}, one_leg(B, Side.SELL, "1"), False),  # flat already
        ({"a": "5", "b": "-5"}, intent(buy=B, sell=A, quantity="5"), True),  # both positions to zero
        ({"a": "5", "b": "-5"}, intent(buy=B, sell=A, quantity="6"), False),
        ({"a": "5", "b": "-4"}, intent(buy=B, sell=A, quantity="5"), False),  # one of them beyond
        ({"a": "9", "b": "-9"}, one_leg(A, Side.SELL, "5"), False),  # a smaller position, and net shares of it
        ({"a": "9", "b": "-4"}, one_leg(A, Side.SELL, "5"), True),
        ({}, one_leg(A, Side.SELL, "1"), False),
    ],
)
def test_a_pause_lets_pass_what_brings_nearer_to_zero(units: dict[str, str], wish: Intent, passes: bool) -> None:
    """
    The books say whether an order reduces, whatever it calls itself; up to zero it does, beyond it does not.
    """
    for purpose in Purpose:
        other = intent(legs=wish.legs, purpose=purpose, notional_usd=wish.notional_usd)
        found = why(holding(**units), other, memory=Memory(day=TODAY, latch=Latch((hold(mode=Mode.REDUCE),))))
        assert (None if passes else Reason.REDUCE_ONLY) is found


def test_what_is_not_backed_is_only_given_back() -> None:
    """
    Five units are held at a: they may be sold, by whatever purpose; more may not be bought there, nor a pair be opened
    of which one leg is there. At b, which is sound, everything passes.
    """
    memory = Memory(day=TODAY, unbacked={A: "T: short"})
    for purpose in (Purpose.OPEN, Purpose.CLOSE, Purpose.HEDGE):
        view = holding(a="5")
        assert why(view, one_leg(A, Side.SELL, purpose=purpose), memory=memory) is None
        assert Reason.BACKING is why(view, one_leg(A, Side.BUY, purpose=purpose), memory=memory)
    assert Reason.BACKING is why(Case().view(), intent(), memory=memory)
    assert why(Case().view(), one_leg(B, Side.BUY), memory=Memory(day=TODAY, unbacked={A: "T: short"})) is None
    (refused,) = review((intent(),), Case().view(), WIDE, memory, {"x": 1}, {})[1]
    assert "T: short" == refused.detail


def test_orders_under_way_count_as_filled_in_what_reduces() -> None:
    """
    Five are held and three are being sold, here or elsewhere: two more may be, three may not.
    """
    for at in (A, B):
        view = holding(a="5")
        view.ledger.reserve(leg(at, Side.SELL, "3"))
        for units, expected in (("2.1", Reason.REDUCE_ONLY), ("2", None)):
            memory = Memory(day=TODAY, latch=Latch((hold(mode=Mode.REDUCE),)))
            assert expected is why(view, one_leg(B, Side.SELL, units), memory=memory)


def test_two_wishes_of_one_moment_do_not_both_reduce_the_same() -> None:
    """
    Each alone would bring the position to zero; the second is refused.
    """
    memory = Memory(day=TODAY, latch=Latch((hold(mode=Mode.REDUCE),)))
    for second in (A, B):
        wishes = (one_leg(A, Side.SELL, "5", id="x-1"), one_leg(second, Side.SELL, "5", id="x-2"))
        approved, refused = review(wishes, holding(a="5"), WIDE, memory, {"x": 9})
        assert ["x-1"] == [order.intent.id for order in approved]
        assert [Reason.REDUCE_ONLY] == [one.reason for one in refused]


def test_a_trade_s_own_shares_are_a_proof_too() -> None:
    """
    With an inventory that grows by it, buying back what a trade has sold passes for that trade, and no more than that.
    """
    shares = {("t", "S"): Decimal(-5)}
    latch = Latch((hold(mode=Mode.REDUCE),))
    for units, passes in (("5", True), ("5.1", False)):
        wish = one_leg(A, Side.BUY, units, trade="t", purpose=Purpose.UNWIND)
        found = why(holding(a="20"), wish, memory=Memory(day=TODAY, latch=latch), shares=shares)
        assert (None if passes else Reason.REDUCE_ONLY) is found
    sale = one_leg(B, Side.SELL, "30", trade="t", purpose=Purpose.HEDGE)
    assert Reason.REDUCE_ONLY is why(holding(a="20"), sale, memory=Memory(day=TODAY, latch=latch), shares=shares)


def test_a_trade_s_shares_prove_nothing_about_another_share() -> None:
    """
    A trade lacks five shares of S: buying five of R brings that no nearer to zero, whatever the order calls itself.
    """
    view = Case(universe=instruments(underlying="R")).view()
    wish = one_leg(A, Side.BUY, trade="t", purpose=Purpose.HEDGE, underlying="R")
    assert not reduces(wish, (), view, {("t", "S"): Decimal(-5)})
    assert reduces(wish, (), view, {("t", "R"): Decimal(-5)})


def test_nothing_reduces_while_a_unit_s_worth_is_unknown() -> None:
    """
    Net shares that cannot be counted prove nothing; the instrument's own position still does.
    """
    view = holding(a="5")
    view.columns.set_shares_per_unit(A, nan)
    memory = Memory(day=TODAY, latch=Latch((hold(mode=Mode.REDUCE),)))
    assert Reason.REDUCE_ONLY is why(view, one_leg(B, Side.SELL, "1"), memory=memory)


# --- what closes is eased


def closing(**changes: object) -> Intent:
    """Sells at b the five that are held at a."""
    usual = {"legs": (leg(B, Side.SELL),), "purpose": Purpose.HEDGE, "trade": "t"}
    return intent(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "memory", "expected"),
    [
        (replace(WIDE, sessions=frozenset({Session.PRE})), {}, Reason.SESSION),
        (WIDE, {"open_intents": {"t": "x"}}, Reason.OPEN_PAIRS),
        (replace(WIDE, max_order_usd=Decimal(1)), {}, Reason.NOTIONAL),
        (replace(WIDE, max_orders_per_minute=1, hedge_orders_per_minute=1), {"sent": [NOW]}, Reason.ORDER_RATE),
        (replace(WIDE, trade_gap_ns=NS), {"opened": {"S": NOW}}, Reason.COOLDOWN),
        (replace(WIDE, max_turnover_usd_per_day=1.0), {}, Reason.TURNOVER),
        (replace(WIDE, max_naked_usd=1.0), {}, Reason.NAKED),
        (replace(WIDE, max_daily_loss_usd=Decimal(1)), {"day_start_net": 100.0}, Reason.DAILY_LOSS),
        (replace(WIDE, max_drawdown_usd=1.0), {"peak_usd": 100.0}, Reason.DRAWDOWN),
    ],
)
def test_what_closes_passes_where_opening_is_refused(
    limits: Limits, memory: dict[str, object], expected: Reason
) -> None:
    """
    The same order is refused as an opening, and as a later round that the books do not bear out.
    """

    def kept() -> Memory:
        more = {key: deque(value) if key == "sent" else value for key, value in memory.items()}  # type: ignore[call-overload]
        return Memory(day=TODAY, **more)

    view = holding(a="5")
    assert why(view, closing(), limits, kept()) is None
    assert expected is why(view, closing(purpose=Purpose.OPEN), limits, kept())
    assert expected is why(view, one_leg(B, Side.SELL, "6", purpose=Purpose.HEDGE, trade="t"), limits, kept())


def test_the_budget_for_hedges_has_an_end_too() -> None:
    """
    Beyond the orders of a minute and those kept for hedges nothing leaves.
    """
    limits = replace(WIDE, max_orders_per_minute=1, hedge_orders_per_minute=1)
    memory = Memory(day=TODAY)
    memory.sent.extend([NOW, NOW])
    assert Reason.ORDER_RATE is why(holding(a="5"), closing(), limits, memory)


def test_what_closes_is_not_barred_by_session_or_room_and_is_by_all_else() -> None:
    """
    A permit that only a session or a strategy withholds does not count; a hard bar does.
    """
    view = holding(a="5")
    view.columns.permit(B, buy_from=NEVER, sell_from=NEVER, why="not in the session")
    assert why(view, closing()) is None
    assert Reason.MAINTENANCE is why(view, closing(purpose=Purpose.OPEN))
    view.columns.permit(B, buy_from=0, sell_from=0, hard="in doubt")
    assert Reason.MAINTENANCE is why(view, closing())


def test_what_closes_never_goes_without_a_price_or_a_collar() -> None:
    """
    Without a fair value the collar lies around the quote in force; a limit at any price passes only where it bounds it.
    """
    view = Case(max_error=1e-9).view()
    filled(view, A, "5")
    at_any_price = (leg(B, Side.SELL, "5", limit="0"),)
    approved = review((closing(legs=at_any_price),), view, WIDE, Memory(day=TODAY), {"x": 1})[0]
    assert pytest.approx(101.05 * 0.97) == float(approved[0].intent.legs[0].limit)
    far = (leg(B, Side.SELL, "5", seen="97"),)
    assert Reason.COLLAR is why(view, closing(legs=far))
    assert Reason.COLLAR is why(view, closing(legs=at_any_price), replace(WIDE, collar_bps=inf))
    assert why(view, closing(), replace(WIDE, collar_bps=inf)) is None


def test_a_halt_stops_what_closes() -> None:
    """
    Nothing leaves under a halt.
    """
    assert Reason.KILLED is why(holding(a="5"), closing(), memory=Memory(latch=Latch((hold(),))))


# --- caps


@pytest.mark.parametrize(
    ("name", "reason", "just"),
    [
        ("token_usd", Reason.TOKEN_CAP, 1005.0),  # 5 x 99.95 + 5 x 101.05
        ("venue_usd", Reason.VENUE_CAP, 505.25),
        ("issuer_usd", Reason.ISSUER_CAP, 499.75),
        ("chain_usd", Reason.CHAIN_CAP, 499.75),
        ("stablecoin_usd", Reason.STABLECOIN_CAP, 505.25),
    ],
)
def test_a_cap_refuses_above_it_and_not_at_it(name: str, reason: Reason, just: float) -> None:
    """
    A hundredth of a dollar to either side of what would hang on the name.
    """
    view = Case(universe=instruments(issuer="i", chain="c")).view()
    for cap, expected in ((just + 0.01, None), (just - 0.01, reason)):
        assert expected is why(view, intent(), replace(WIDE, caps=replace(WIDE.caps, **{name: cap})))


def test_a_cap_does_not_stop_what_makes_nothing_larger() -> None:
    """
    Above every cap already, what sells from the position passes, and what buys to it does not.
    """
    caps = replace(WIDE.caps, token_usd=1.0, venue_usd=1.0)
    limits = replace(WIDE, caps=caps, max_position_usd=Decimal(1), max_gross_usd=Decimal(1))
    assert why(holding(a="5"), one_leg(A, Side.SELL, "5"), limits) is None
    assert Reason.POSITION is why(holding(a="5"), one_leg(A, Side.BUY, "1"), limits)


def test_orders_under_way_count_in_a_cap() -> None:
    """
    Three are under way at the venue: two more fit into a cap of five, three do not.
    """
    limits = replace(WIDE, caps=replace(WIDE.caps, venue_usd=5 * 99.95 + 0.01))
    for units, expected in (("2", None), ("3", Reason.VENUE_CAP)):
        view = Case().view()
        view.ledger.reserve(leg(A, Side.BUY, "3"))
        assert expected is why(view, one_leg(A, Side.BUY, units), limits)


def test_cash_that_is_held_counts_in_the_cap_of_its_coin() -> None:
    """
    Ten were sold for coins: five more would bring 1,515 USD of them; to buy five back takes 505 away.
    """
    limits = replace(WIDE, caps=replace(WIDE.caps, stablecoin_usd=1200.0))
    view = holding(b="-10")
    assert Reason.STABLECOIN_CAP is why(view, one_leg(B, Side.SELL, "5"), limits)
    assert why(view, one_leg(B, Side.BUY, "5"), limits) is None


AMOUNTS = st.decimals("0.01", "40", places=2).map(str)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(list(Side)), AMOUNTS, st.sampled_from(list(Purpose))),
             max_size=12),
    st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(["-9", "3", "12"])), max_size=3),
)  # fmt: skip
def test_what_is_approved_breaches_no_cap_whatever_the_order(
    wishes: list[tuple[int, Side, str, Purpose]], held_before: list[tuple[int, str]]
) -> None:
    """
    However much of the approved orders fills, nothing that they touch ends above its limit and above where it was.
    """
    caps = replace(WIDE.caps, token_usd=3000.0, venue_usd=2500.0)
    limits = replace(WIDE, caps=caps, max_position_usd=Decimal(2000), max_gross_usd=Decimal(3500))
    view = Case().view()
    for at, units in held_before:
        filled(view, at, units)
    asked = tuple(
        one_leg(at, side, units, id=f"x-{number}", purpose=purpose, trade="t")
        for number, (at, side, units, purpose) in enumerate(wishes)
    )
    approved, refused = review(asked, view, limits, Memory(day=TODAY), {"x": 99})
    assert len(asked) == len(approved) + len(refused)
    legs = [one for order in approved for one in order.intent.legs]
    assert not {one.instrument for one in legs if one.side is Side.BUY} & {
        one.instrument for one in legs if one.side is Side.SELL
    }
    marks = {A: 99.95, B: 101.05}
    was = {at: abs(view.ledger.held.get(at, 0.0)) * marks[at] for at in marks}
    for at, mark in marks.items():
        units = view.ledger.held.get(at, 0.0)
        moved = sum(float(one.quantity) * (1 if one.side is Side.BUY else -1) for one in legs if one.instrument == at)
        most = max(abs(units), abs(units + moved)) * mark
        assert most <= max(2000.0, was[at]) + 1e-6
        was[at] = max(was[at], most)
    if legs:
        start = sum(abs(view.ledger.held.get(at, 0.0)) * marks[at] for at in marks)
        assert sum(was.values()) <= max(3000.0, start) + 1e-6


# --- pace


def test_a_share_rests_between_two_trades() -> None:
    """
    A nanosecond before the gap has passed the next trade in the share is refused, after it it passes.
    """
    limits = replace(WIDE, trade_gap_ns=NS)
    assert Reason.COOLDOWN is why(Case().view(), intent(), limits, Memory(opened={"S": NOW - NS + 1}))
    assert why(Case().view(), intent(), limits, Memory(opened={"S": NOW - NS})) is None
    assert why(Case().view(), intent(), limits, Memory(opened={"Z": NOW})) is None


def test_a_share_is_turned_over_only_so_much_a_day() -> None:
    """
    Two legs of 505 USD are 1,010; with 1,000 before, 2,010 are needed, and nothing of yesterday counts.
    """
    before = {"S": (TODAY, Decimal(1000))}
    for most, expected in ((2010.0, None), (2009.99, Reason.TURNOVER)):
        memory = Memory(turnover=dict(before))
        assert expected is why(Case().view(), intent(), replace(WIDE, max_turnover_usd_per_day=most), memory)
    memory = Memory(turnover={"S": (TODAY - 1, Decimal(10**6))})
    assert why(Case().view(), intent(), replace(WIDE, max_turnover_usd_per_day=1010.0), memory) is None
    assert {"S": (TODAY, Decimal(1010))} == memory.turnover
    assert {"S": NOW} == memory.opened


def test_a_clock_that_goes_back_gives_no_loss_and_no_turnover_back() -> None:
    """
    A day before the one that began: it begins no day, and what was turned over counts on.
    """
    memory = Memory(day=TODAY + 1, day_start_net=500.0, turnover={"S": (TODAY + 1, Decimal(1000))})
    assert not new_day(Case().view(), memory)
    assert (TODAY + 1, 500.0) == (memory.day, memory.day_start_net)
    limits = replace(WIDE, max_turnover_usd_per_day=2009.99)
    assert Reason.TURNOVER is why(Case().view(), intent(), limits, memory)
    assert why(Case().view(), intent(), replace(limits, max_turnover_usd_per_day=2010.0), memory) is None
    assert {"S": (TODAY + 1, Decimal(2010))} == memory.turnover


def test_a_strategy_that_runs_away_is_halted_and_told_once() -> None:
    """
    Three wishes a minute are allowed; the fourth halts the strategy, and a later one is no second halt.
    """
    memory, limits = Memory(), replace(WIDE, max_wishes_per_minute=3.0, max_order_usd=Decimal(1))
    reasons = [why(Case().view(), intent(id=f"x-{n}"), limits, memory) for n in range(6)]
    assert [Reason.NOTIONAL] * 3 + [Reason.KILLED] * 3 == reasons
    notes = told(memory)
    assert [("hold", "strategy:x", "HALT", "runaway")] == [
        (note.kind, note.detail["scope"], note.detail["mode"], note.detail["cause"]) for note in notes
    ]
    assert "4 wishes in a minute, allowed 3" == notes[0].detail["why"]
    assert [] == told(memory)


def test_wishes_of_a_minute_ago_and_of_others_do_not_run_away() -> None:
    """
    The count is of one strategy's last minute, and later rounds of trades are not its wishes.
    """
    limits = replace(WIDE, max_wishes_per_minute=1.0)
    memory = Memory(wished={"x": deque([NOW - 60 * NS]), "y": deque([NOW])})
    assert why(Case().view(), intent(), limits, memory) is None
    assert why(holding(a="5"), closing(), limits, memory) is None
    assert 1 == len(memory.wished["x"])


# --- self-trade and settled funds


def test_an_order_against_one_of_ours_is_refused() -> None:
    """
    An order of the other side under way at the same instrument, by whichever strategy, or earlier at this moment.
    """
    view = Case().view()
    view.ledger.reserve(leg(A, Side.SELL, "1"))
    assert Reason.SELF_TRADE is why(view, intent())
    assert why(view, intent(buy=B, sell=A, seen="101")) is None
    view = Case().view()
    view.ledger.reserve(leg(A, Side.BUY, "1"))
    assert why(view, intent()) is None
    both = (intent(id="x-1"), intent(id="x-2", buy=B, sell=A, strategy="y"))
    refused = review(both, Case().view(), WIDE, Memory(), {"x": 1, "y": 1})[1]
    assert [("x-2", Reason.SELF_TRADE)] == [(one.intent.id, one.reason) for one in refused]
    within = intent(legs=(leg(A, Side.BUY), leg(A, Side.SELL)))
    assert Reason.SELF_TRADE is why(Case().view(), within)


def test_only_what_has_settled_is_spent() -> None:
    """
    515.52 USD cover five at 103, the collar's end, and a fee of 0.1 %; a cent less does not, and an order under way
    takes its part, at most the collar above the ask of 100.
    """
    for usd, expected in (("515.52", None), ("515.51", Reason.UNSETTLED)):
        memory = Memory(funds=Funds(rules={"a": FundsRule(usd=Decimal(usd))}))
        assert expected is why(Case().view(), one_leg(A, Side.BUY), memory=memory)
    view = Case().view()
    view.ledger.reserve(leg(A, Side.BUY, "1"))
    for usd, expected in (("618.6181", None), ("618.6179", Reason.UNSETTLED)):
        memory = Memory(funds=Funds(rules={"a": FundsRule(usd=Decimal(usd))}))
        assert expected is why(view, one_leg(A, Side.BUY), memory=memory)
    assert why(view, one_leg(B, Side.SELL), memory=memory) is None


def test_proceeds_of_a_sale_may_be_spent_when_they_have_settled() -> None:
    """
    T+1: what is sold on a Friday settles with the open after the long weekend, and at once where the venue says so.
    """
    sessions = Case().view().columns.sessions
    fill = Fill(id="1", client_id="1", instrument=A, side=Side.SELL, quantity=Decimal(10), price=Decimal(100),
                fee=Decimal(1), fx=Decimal(1), ts=NOW)  # fmt: skip
    at_once = Funds(rules={"a": FundsRule(usd=Decimal(5))}, sessions=sessions)
    later = Funds(rules={"a": FundsRule(usd=Decimal(5), settle_days=1)}, sessions=sessions)
    for funds in (at_once, later):
        funds.hear(fill, "a")
        funds.hear(fill, "elsewhere")
    assert Decimal(1004) == at_once.spendable("a", NOW)
    assert Decimal(5) == later.spendable("a", NOW)
    tuesday = 1_788_874_200 * NS  # 8 September 2026, 09:30 in New York, after Labor Day
    assert Decimal(5) == later.spendable("a", tuesday - 1)
    assert Decimal(1004) == later.spendable("a", tuesday)
    assert later.spendable("elsewhere", NOW) is None


# --- result


def test_without_a_fill_no_result_stops_anything() -> None:
    """
    Whatever the memory holds of peaks and days, nothing was traded: nothing is refused and nothing is held.
    """
    memory = Memory(day=TODAY, day_start_net=1e6, peak_usd=1e6)
    limits = replace(WIDE, max_drawdown_usd=1.0, max_daily_loss_usd=Decimal(1))
    assert why(Case().view(), intent(), limits, memory) is None
    watch(Case().view(), limits, memory)
    assert Latch() == memory.latch


def lost(fee: str) -> View:
    """One unit was bought at the mid, and a fee paid."""
    view = Case().view()
    filled(view, A, "1", fee=fee)
    return view


@pytest.mark.parametrize(("fee", "stops"), [("30.00", False), ("30.02", True)])
def test_a_fall_from_the_peak_beyond_the_limit_holds_everything_back(fee: str, stops: bool) -> None:
    """
    The peak was 20: a result of -30 is the limit of 50 below it, two cents less is beyond.
    """
    memory, limits = Memory(day=TODAY, peak_usd=20.0, told_peak_usd=20.0), replace(WIDE, max_drawdown_usd=50.01)
    notes = watch(lost(fee), limits, memory)
    assert [hold.cause for hold in memory.latch.holds] == (["drawdown"] if stops else [])
    assert (["hold"] if stops else []) == [note.kind for note in notes]
    assert (Reason.REDUCE_ONLY if stops else None) is why(lost(fee), intent(), limits, memory)
    assert [] == watch(lost(fee), limits, memory)


def test_a_price_that_is_not_believed_makes_no_drawdown() -> None:
    """
    What is held is halted at its venue: the fall is not judged, and nothing is opened by a result that is not known.
    """
    memory, limits = Memory(day=TODAY, peak_usd=20.0), replace(WIDE, max_drawdown_usd=1.0)
    view = Case(rows=(quote(A, 99.9, 100.0, flags=Flag.HALTED),)).view()
    filled(view, A, "1", fee="60")
    watch(view, limits, memory)
    assert Latch() == memory.latch


def test_the_peak_rises_is_told_and_begins_anew_after_a_drawdown_was_taken_back() -> None:
    """
    A result of 40 is a new peak that the journal holds; once the hold is lifted the peak is what is then seen.
    """
    memory, limits = Memory(day=TODAY), replace(WIDE, max_drawdown_usd=50.0)
    notes = watch(lost("-40"), limits, memory)
    assert [("peak", 40.0)] == [(note.kind, pytest.approx(note.detail["net_usd"])) for note in notes]
    watch(lost("20"), limits, memory)
    assert ["drawdown"] == [hold.cause for hold in memory.latch.holds]
    memory.heed(Latch())
    assert Reason.DRAWDOWN is why(lost("20"), intent(), limits, memory)
    watch(lost("20"), limits, memory)
    assert pytest.approx(-20.0) == memory.peak_usd
    assert why(lost("20"), intent(), limits, memory) is None


# --- naked exposure


def test_shares_without_a_hedge_stop_new_trades_at_once_and_the_share_after_a_time() -> None:
    """
    100 USD may be naked: 101 are not traded into, and held back once they have stood for more than a second.
    """
    limits, memory = replace(WIDE, max_naked_usd=100.5, max_naked_ns=NS), Memory(day=TODAY)
    assert why(holding(a="1"), intent(), limits, memory) is None
    memory.open_intents.clear()
    assert Reason.NAKED is why(holding(a="1.01"), intent(), limits, memory)
    view = holding(a="1.01")
    watch(view, limits, memory)
    later = View(view.columns, view.ledger, NOW + NS)
    watch(later, limits, memory)
    assert Latch() == memory.latch
    watch(View(view.columns, view.ledger, NOW + NS + 1), limits, memory)
    assert [("underlying:S", Mode.REDUCE, "naked")] == [hold.key for hold in memory.latch.holds]


def test_what_is_in_flight_to_an_issuer_is_ours_still() -> None:
    """
    One of two units leaves for an issuer: no loss, still as naked, and as large a position as before.
    """
    view = holding(a="2")
    before = net_usd(view), naked_usd("S", view), Worst(view, ()).usd(A)
    order = Conversion(id="c", issuer="i", mint=False, source=A, target=B, quantity=Decimal(1), expected=Decimal(1),
                       least=Decimal(1), sla_ns=NOW + NS, underlying="S", reason="test")  # fmt: skip
    view.ledger.convert(order, NOW)
    view.ledger.progress(Progress(id="c", state=ConversionState.JOURNALED, ts=NOW, given=Decimal(1)))
    assert Decimal(1) == view.ledger.position(A)
    assert before == (net_usd(view), naked_usd("S", view), Worst(view, ()).usd(A))


def test_what_a_mint_under_way_will_bring_needs_no_purchase() -> None:
    """
    Five are sold at a and a mint of five is asked for: buying one would leave one too many once it has come. Once it is
    refused, five may be bought.
    """
    view = holding(a="-5")
    order = Conversion(id="c", issuer="i", mint=True, source=USDT, target=A, quantity=Decimal(500), expected=Decimal(5),
                       least=Decimal(5), sla_ns=NOW + NS, underlying="S", reason="test", fx=Decimal(1))  # fmt: skip
    assert reduces(one_leg(B, Side.BUY, "5"), (), view, {})
    view.ledger.convert(order, NOW)
    assert not reduces(one_leg(B, Side.BUY, "1"), (), view, {})
    view.ledger.progress(Progress(id="c", state=ConversionState.REJECTED, ts=NOW))
    assert reduces(one_leg(B, Side.BUY, "5"), (), view, {})


def test_a_hedge_in_between_begins_the_time_anew() -> None:
    """
    Flat for a moment, the share has its time again.
    """
    limits, memory = replace(WIDE, max_naked_usd=100.0, max_naked_ns=NS), Memory(day=TODAY)
    naked = holding(a="2")
    watch(naked, limits, memory)
    watch(holding(a="2", b="-2"), limits, memory)
    watch(View(naked.columns, naked.ledger, NOW + 2 * NS), limits, memory)
    assert Latch() == memory.latch
    assert {"S": NOW + 2 * NS} == memory.naked_since


def test_shares_that_cannot_be_counted_are_naked() -> None:
    """
    Without shares per unit nobody knows what is without a hedge.
    """
    view = holding(a="1")
    view.columns.set_shares_per_unit(A, nan)
    memory = Memory(day=TODAY)
    watch(view, replace(WIDE, max_naked_usd=1e9), memory)
    assert {"S": NOW} == memory.naked_since


# --- wishes that are not what they say


@pytest.mark.parametrize(
    "changes",
    [
        {"legs": ()},
        {"underlying": ""},
        {"underlying": "Z"},
        {"notional_usd": Decimal("1")},
        {"notional_usd": Decimal("nan")},
        {"notional_usd": Decimal("inf")},
        *(
            {"legs": (replaced(leg(A, Side.BUY), **wrong), leg(B, Side.SELL))}
            for wrong in (
                {"instrument": 99}, {"instrument": -1}, {"quantity": Decimal("nan")}, {"quantity": Decimal("inf")},
                {"limit": Decimal("nan")}, {"seen": Decimal("nan")}, {"seen": Decimal("inf")},
            )
        ),
    ],
)  # fmt: skip
def test_a_wish_that_is_not_what_it_says_is_refused(changes: dict[str, object]) -> None:
    """
    No leg, an instrument that is none or of another share, a size below that of a leg, and numbers that are none are
    refused, whatever the limits are and whatever it is for.
    """
    off = replace(WIDE, collar_bps=inf, need_fair=False)
    for purpose in (Purpose.OPEN, Purpose.HEDGE):
        assert Reason.MALFORMED is why(Case().view(), intent(purpose=purpose, **changes), off)


def test_a_wish_of_its_own_size_without_a_worst_price_passes() -> None:
    """
    The size may be exactly that of the larger leg, and a limit may be infinite.
    """
    legs = (leg(A, Side.BUY, limit="inf"), leg(B, Side.SELL, limit="0"))
    assert why(Case().view(), intent(legs=legs, notional_usd=Decimal(505))) is None
