"""The review: every reason is reached by a case that differs in one thing from an approved one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Fill, Intent, Leg, Reason, Side  # noqa: E402
from strategies.base import View  # noqa: E402
from strategies.execution.latch import Hold, Latch, Mode  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.limits import Caps, Limits  # noqa: E402
from strategies.execution.memory import DAY_NS, Memory, new_day  # noqa: E402
from strategies.execution.risk import review  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.session import Session  # noqa: E402

NOW = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York: a regular session."""
A, B, S, USDT, P = range(5)

LIMITS = Limits(
    caps=Caps(token_usd=inf, venue_usd=inf, issuer_usd=inf, chain_usd=inf, stablecoin_usd=inf),
    hedge_orders_per_minute=0,
    max_wishes_per_minute=inf,
    max_turnover_usd_per_day=inf,
    trade_gap_ns=0,
    max_drawdown_usd=inf,
    max_naked_usd=inf,
    max_naked_ns=2**62,
    max_order_usd=Decimal(1000),
    max_position_usd=Decimal(5000),
    max_gross_usd=Decimal(9000),
    collar_bps=300.0,
    max_orders_per_minute=4,
    max_daily_loss_usd=Decimal(50),
    sessions=frozenset({Session.REGULAR}),
    coin_band_bps=100.0,
    need_fair=True,
)


def instruments(**changes: object) -> Universe:
    """Two tokens, one of them in USDT, the share, the coin, and a series with one price."""
    token = {
        "role": Role.TOKEN,
        "underlying": "S",
        "token": "T",
        "unit_model": UnitModel.TOTAL_RETURN,
        "multiplier": 1.0,
    }
    first = Instrument(venue="a", symbol="T/USD", **{**token, **changes})  # type: ignore[arg-type]
    return Universe(
        (
            first,
            Instrument(venue="b", symbol="T/USDT", quote="USDT", **token),  # type: ignore[arg-type]
            Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
            Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
            Instrument(venue="p", symbol="T", one_price=True, **token),  # type: ignore[arg-type]
        )
    )


@dataclass
class Case:
    """A view in which the usual intent passes."""

    universe: Universe = field(default_factory=instruments)
    rows: tuple[Row, ...] = ()
    facts: dict[int, Facts] = field(default_factory=dict)
    max_error: float = 0.05
    at: int = NOW

    def view(self) -> View:
        """Columns after the rows, seen at `at`."""
        plain = Facts(cost=0.001, traded=True, max_age_ns=60 * NS)
        facts = [self.facts.get(number, plain) for number in range(len(self.universe))]
        beliefs = Beliefs(max_error=self.max_error, default_daily_vol=0.03, max_reference_spread=0.02)
        columns = Columns(self.universe, facts, beliefs, load_sessions())
        columns.enter_session(self.at)
        for number in (A, B, P):
            columns.permit(number, buy_from=0, sell_from=0)
        start = [
            Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9999, ask=1.0001),
            Row(ts_recv=NOW, instrument=S, kind=Kind.REFERENCE, bid=99.99, ask=100.01),
            quote(A, 99.9, 100.0),
            quote(B, 101.0, 101.1),
            Row(ts_recv=NOW, instrument=P, kind=Kind.QUOTE, flags=Flag.ONE_PRICE, bid=100.0, ask=100.0),
        ]
        columns.scan(Rows.of([*start, *self.rows]), 0, NEVER)
        return View(columns, Ledger(self.universe), self.at, ("S",))


def quote(number: int, bid: float, ask: float, *, at: int = NOW, flags: Flag = Flag(0)) -> Row:  # noqa: B008 - a value
    """A two-sided quote with size."""
    return Row(
        ts_recv=at, instrument=number, kind=Kind.QUOTE, flags=flags, bid=bid, ask=ask, bid_size=9.0, ask_size=9.0
    )


def intent(buy: int = A, sell: int = B, quantity: str = "5", seen: str = "100", **changes: object) -> Intent:
    """Buy on A, sell on B."""
    legs = (
        Leg(instrument=buy, side=Side.BUY, quantity=Decimal(quantity), limit=Decimal(110), seen=Decimal(seen)),
        Leg(instrument=sell, side=Side.SELL, quantity=Decimal(quantity), limit=Decimal(90), seen=Decimal("101")),
    )
    usual = {
        "id": "x-1", "strategy": "x", "legs": legs, "reason": "test", "edge_bps": 80.0,
        "notional_usd": Decimal(quantity) * 101, "deadline_ns": NOW + NS, "underlying": "S",
    }  # fmt: skip
    return Intent(**{**usual, **changes})  # type: ignore[arg-type]


def reason(view: View, wish: Intent, limits: Limits = LIMITS, memory: Memory | None = None) -> Reason | None:
    """Why the wish is refused, or None where it passes."""
    approved, refused = review((wish,), view, limits, memory or Memory(), {"x": 1})
    assert 1 == len(approved) + len(refused)
    return refused[0].reason if refused else None


def test_the_usual_intent_passes() -> None:
    """
    The case from which every other one differs in one thing is approved.
    """
    assert reason(Case().view(), intent()) is None


def test_a_killed_review_refuses_everything() -> None:
    """
    A kill reason stands above every other check.
    """
    kill = Hold(scope="all", mode=Mode.HALT, cause="operator", why="test", at=NOW)
    assert Reason.KILLED is reason(Case().view(), intent(), memory=Memory(latch=Latch((kill,))))


def test_a_session_that_is_not_allowed_refuses() -> None:
    """
    Only the sessions that the operator wrote down are traded in.
    """
    assert Reason.SESSION is reason(Case().view(), intent(), replace(LIMITS, sessions=frozenset({Session.PRE})))


def test_a_moment_outside_the_session_table_refuses() -> None:
    """
    In the year 2040 the session is unknown, which is never an allowed one.
    """
    late = Case(at=2_208_988_800 * NS).view()
    assert Reason.SESSION is reason(
        late, intent(deadline_ns=2**62), replace(LIMITS, sessions=frozenset(Session) - {Session.UNKNOWN})
    )


def test_an_intent_past_its_deadline_is_refused() -> None:
    """
    The deadline itself still passes; one nanosecond later does not.
    """
    assert reason(Case().view(), intent(deadline_ns=NOW)) is None
    assert Reason.DEADLINE is reason(Case().view(), intent(deadline_ns=NOW - 1))


def test_a_strategy_with_enough_under_way_is_refused() -> None:
    """
    One open intent of the same strategy fills the place; one of another strategy does not.
    """
    assert Reason.OPEN_PAIRS is reason(Case().view(), intent(), memory=Memory(open_intents={"x-0": "x"}))
    assert reason(Case().view(), intent(), memory=Memory(open_intents={"y-0": "y"})) is None


def test_an_order_above_the_notional_limit_is_refused() -> None:
    """
    The limit itself passes, a cent more does not.
    """
    assert reason(Case().view(), intent(notional_usd=Decimal("1000.00"))) is None
    assert Reason.NOTIONAL is reason(Case().view(), intent(notional_usd=Decimal("1000.01")))


def test_too_many_orders_in_a_minute_are_refused_and_a_minute_later_not() -> None:
    """
    Four orders a minute are two intents of two legs; the third waits until the first are a minute old.
    """
    view, memory = Case().view(), Memory()
    for number in range(2):
        assert reason(view, intent(id=f"x-{number}"), memory=memory) is None
        memory.open_intents.clear()
    assert Reason.ORDER_RATE is reason(view, intent(id="x-2"), memory=memory)
    almost = Case(at=NOW + 60 * NS - 1).view()
    assert Reason.ORDER_RATE is reason(almost, intent(id="x-2", deadline_ns=2**62), memory=memory)
    later = Case(
        rows=(quote(A, 99.9, 100.0, at=NOW + 60 * NS), quote(B, 101.0, 101.1, at=NOW + 60 * NS)), at=NOW + 60 * NS
    )
    assert reason(later.view(), intent(id="x-3", deadline_ns=2**62), memory=memory) is None


def test_an_unknown_fair_value_is_refused_only_where_it_is_needed() -> None:
    """
    An error above the limit makes the fair value unknown; without need_fair cross-venue trades may go on.
    """
    view = Case(max_error=1e-9).view()
    assert Reason.FAIR_UNKNOWN is reason(view, intent())
    assert reason(view, intent(), replace(LIMITS, need_fair=False)) is None


def test_a_quote_that_is_too_old_is_refused() -> None:
    """
    A minute old is allowed, a nanosecond more is not.
    """
    fresh = {"deadline_ns": 2**62}
    limits = replace(LIMITS, need_fair=False, coin_band_bps=inf)
    long_fx = {USDT: Facts(cost=0.001)}
    assert reason(Case(at=NOW + 60 * NS, facts=long_fx).view(), intent(**fresh), limits) is None
    assert Reason.STALE is reason(Case(at=NOW + 60 * NS + 1, facts=long_fx).view(), intent(**fresh), limits)


def test_a_halted_quote_is_refused() -> None:
    """
    The last row of the instrument said that trading is halted.
    """
    assert Reason.STALE is reason(Case(rows=(quote(A, 99.9, 100.0, flags=Flag.HALTED),)).view(), intent())


def test_an_instrument_that_may_not_be_traded_now_is_refused() -> None:
    """
    The engine has barred one side of the instrument; the other side is free.
    """
    view = Case().view()
    view.columns.permit(A, buy_from=NEVER, sell_from=0)
    assert Reason.MAINTENANCE is reason(view, intent())
    view.columns.permit(A, buy_from=0, sell_from=NEVER)
    assert reason(view, intent()) is None


def test_an_unknown_multiplier_is_refused_and_never_taken_for_one() -> None:
    """
    Nothing says how many shares a unit is worth, so nothing is traded in it.
    """
    assert Reason.MULTIPLIER_UNKNOWN is reason(Case(universe=instruments(multiplier=None)).view(), intent())


def test_a_coin_without_a_price_is_refused() -> None:
    """
    A token in a coin that nobody priced has no USD value.
    """
    view = Case(universe=instruments(quote="USDC")).view()
    assert Reason.FX_UNKNOWN is reason(view, intent(), replace(LIMITS, need_fair=False))


def test_a_coin_with_an_old_price_is_refused() -> None:
    """
    The coin's price is a nanosecond too old, the quotes are young.
    """
    late = NOW + 61 * NS
    case = Case(rows=(quote(A, 99.9, 100.0, at=late), quote(B, 101.0, 101.1, at=late)), at=late)
    assert Reason.FX_UNKNOWN is reason(case.view(), intent(deadline_ns=2**62))


def test_a_coin_outside_its_band_is_refused() -> None:
    """
    USDT at 0.98 is 200 bps from a dollar, the band is 100.
    """
    fallen = Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9799, ask=0.9801)
    assert Reason.COIN_BAND is reason(Case(rows=(fallen,)).view(), intent())
    assert reason(Case(rows=(fallen,)).view(), intent(), replace(LIMITS, coin_band_bps=201.0)) is None


def test_a_venue_without_a_fee_is_refused() -> None:
    """
    A missing fee is missing, not zero.
    """
    assert Reason.COST_UNKNOWN is reason(Case(facts={A: Facts(traded=True)}).view(), intent())


def test_a_series_with_one_price_is_refused_unless_spread_and_size_are_assumed() -> None:
    """
    One price is no book; with an assumption that the config names it may be traded.
    """
    assumed = Facts(cost=0.001, traded=True, assumed_half_spread=0.001, assumed_size=5.0)
    assert Reason.ONE_PRICE is reason(Case().view(), intent(buy=P))
    assert reason(Case(facts={P: assumed}).view(), intent(buy=P)) is None


@pytest.mark.parametrize(
    ("seen", "expected"), [("102.9", None), ("97.1", None), ("103.1", Reason.COLLAR), ("96.9", Reason.COLLAR)]
)
def test_a_price_beyond_the_collar_is_refused(seen: str, expected: Reason | None) -> None:
    """
    The collar is 300 bps around a fair value of 100.
    """
    assert expected is reason(Case().view(), intent(seen=seen))


def test_a_quantity_of_nothing_is_refused() -> None:
    """
    An order for zero units is no order.
    """
    assert Reason.NO_SIZE is reason(Case().view(), intent(quantity="0"))


def test_a_position_above_its_limit_is_refused() -> None:
    """
    49 units at 99.95 are below 5,000 USD, 51 are above; the limit holds for what would be left after the trade.
    """
    wide = replace(LIMITS, max_order_usd=Decimal(10**9), max_gross_usd=Decimal(10**9))
    assert reason(Case().view(), intent(quantity="49"), wide) is None
    assert Reason.POSITION is reason(Case().view(), intent(quantity="51"), wide)


def test_the_sum_of_positions_is_limited() -> None:
    """
    46 units on each side are 9,245 USD in all, above 9,000.
    """
    wide = replace(LIMITS, max_order_usd=Decimal(10**9))
    assert reason(Case().view(), intent(quantity="44"), wide) is None
    assert Reason.POSITION is reason(Case().view(), intent(quantity="46"), wide)


def test_a_loss_above_the_daily_limit_is_refused_until_the_next_day() -> None:
    """
    40 USD of fees today pass, 60 do not; the next day begins at what is left.
    """

    def after_fee(fee: str) -> View:
        view = Case().view()
        bought = Fill(id="t", client_id="f", instrument=A, side=Side.BUY, quantity=Decimal(1), price=Decimal("99.95"),
                      fee=Decimal(fee), fx=Decimal(1), ts=NOW)  # fmt: skip
        view.ledger.fill(bought, seen=Decimal("99.95"))
        return view

    assert reason(after_fee("40"), intent(), memory=Memory(day=NOW // DAY_NS)) is None
    assert Reason.DAILY_LOSS is reason(after_fee("60"), intent(), memory=Memory(day=NOW // DAY_NS))
    memory = Memory(day=NOW // DAY_NS - 1)
    new_day(after_fee("60"), memory)
    assert reason(after_fee("60"), intent(), memory=memory) is None


def test_a_position_without_a_beginning_of_the_day_is_refused() -> None:
    """
    What is held from an earlier run makes today's result unknown until the day has begun; with nothing held it is none.
    """
    view = Case().view()
    assert reason(view, intent(), memory=Memory()) is None
    held = Fill(id="1", client_id="1", instrument=A, side=Side.BUY, quantity=Decimal(1), price=Decimal("99.95"),
                fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    view.ledger.fill(held, seen=Decimal("99.95"))
    assert Reason.DAILY_LOSS is reason(view, intent(), memory=Memory())


def test_an_approved_intent_counts_against_the_next_of_the_same_call() -> None:
    """
    Two wishes at once, one place: the first passes, the second is told why not.
    """
    approved, refused = review((intent(id="x-1"), intent(id="x-2")), Case().view(), LIMITS, Memory(), {"x": 1})
    assert ["x-1"] == [order.intent.id for order in approved]
    assert [Reason.OPEN_PAIRS] == [one.reason for one in refused]


def test_orders_under_way_count_against_the_limits() -> None:
    """
    40 units are under way on each side: with 20 more the sum of positions could reach 12,000 USD, above 9,000.
    """
    view = Case().view()
    wide = replace(LIMITS, max_order_usd=Decimal(10**9), max_position_usd=Decimal(10**9))
    assert reason(view, intent(quantity="20"), wide) is None
    for leg in intent(quantity="40").legs:
        view.ledger.reserve(leg)
    assert Reason.POSITION is reason(view, intent(quantity="20"), wide)


def test_two_wishes_of_one_moment_share_the_limits() -> None:
    """
    Each alone is within the sum of positions, both together are not: the second is refused.
    """
    wide = replace(LIMITS, max_order_usd=Decimal(10**9))
    wishes = (intent(quantity="30", id="x-1"), intent(quantity="30", id="x-2"))
    approved, refused = review(wishes, Case().view(), wide, Memory(), {"x": 2})
    assert ["x-1"] == [order.intent.id for order in approved]
    assert [Reason.POSITION] == [one.reason for one in refused]


def test_what_is_sent_cannot_trade_beyond_the_collar() -> None:
    """
    The wish would buy up to 110; approved, it buys up to 103, 300 bps above the fair value.
    """
    approved, _ = review((intent(),), Case().view(), LIMITS, Memory(), {"x": 1})
    assert pytest.approx(103.0) == float(approved[0].intent.legs[0].limit)
    assert pytest.approx(97.0) == float(approved[0].intent.legs[1].limit)


def test_a_day_does_not_begin_while_a_position_has_no_price() -> None:
    """
    After a restart there is a position and no quote yet: today's result is not known, so no day begins.
    """
    view, memory = Case().view(), Memory()
    held = Fill(id="1", client_id="1", instrument=A, side=Side.BUY, quantity=Decimal(1), price=Decimal(100),
                fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    view.ledger.fill(held, seen=Decimal(100))
    view.columns.set_shares_per_unit(A, 1.0)
    assert not new_day(view, memory)
