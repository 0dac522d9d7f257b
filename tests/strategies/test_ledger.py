"""Positions and cash as a fold over fills, and a bridge that sums to them to the last digit."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Fill, Outcome, Report, Side
from strategies.execution.ledger import EXACT, Ledger

UNIVERSE = Universe(
    tuple(
        Instrument(venue=v, symbol="T", role=Role.TOKEN, underlying="S", quote=q)
        for v, q in (("a", "USD"), ("b", "USDT"))
    )
)
LONG = st.floats(0.01, 1000).map(lambda value: Decimal(repr(value)))
"""As venues print: up to 17 digits."""
MONEY = st.decimals("0.01", "1000", places=2) | LONG
RATE = st.decimals("0.8", "1.2", places=4) | st.floats(0.8, 1.2).map(lambda value: Decimal(repr(value)))


@st.composite
def fills(draw: st.DrawFn) -> list[tuple[Fill, Decimal]]:
    """Fills with the price that was seen, each of its own id."""
    return [
        (
            Fill(
                id=str(number), client_id=str(number // 2), instrument=draw(st.integers(0, 1)),
                side=draw(st.sampled_from(list(Side))), quantity=draw(MONEY), price=draw(MONEY),
                fee=draw(st.decimals("0", "5", places=4)), fx=draw(RATE), ts=number,
                gas_usd=draw(st.decimals("0", "1", places=2)),
            ),
            draw(MONEY),
        )
        for number in range(draw(st.integers(0, 12)))
    ]  # fmt: skip


@given(events=fills(), marks=st.tuples(MONEY, MONEY), usdt=RATE)
def test_the_bridge_sums_to_cash_and_positions_at_their_marks(
    events: list[tuple[Fill, Decimal]], marks: tuple[Decimal, Decimal], usdt: Decimal
) -> None:
    """
    Gross edge, slippage, fees, FX and inventory add up to the net to the last digit, also for who knows nothing of the
    ledger's precision; and the net is cash at today's FX plus positions at today's marks, to what the bridge tells.
    """
    ledger = Ledger(UNIVERSE)
    for fill, seen in events:
        assert ledger.fill(fill, seen=seen)
    rates = {"USD": Decimal(1), "USDT": usdt}
    # The FX of a USD fill is one in life; here it may be anything, so the coin's rate at the fill counts for both.
    bridge = ledger.bridge(lambda at: marks[at], rates.get)
    cash = sum((amount * rates[coin] for coin, amount in ledger.cash.items()), Decimal(0))
    held = sum((units * marks[at] for at, units in ledger.positions.items()), Decimal(0))
    assert abs(cash + held - bridge.net) <= Decimal("1e-11")
    parts = bridge.gross_edge + bridge.slippage + bridge.fees + bridge.gas + bridge.fx + bridge.inventory_mark
    assert parts == bridge.net


@given(events=fills())
def test_positions_are_the_fills(events: list[tuple[Fill, Decimal]]) -> None:
    """
    What was bought less what was sold, by instrument.
    """
    ledger = Ledger(UNIVERSE)
    for fill, seen in events:
        ledger.fill(fill, seen=seen)
    for at in range(2):
        held = sum(
            (f.quantity * (1 if f.side is Side.BUY else -1) for f, _ in events if f.instrument == at), Decimal(0)
        )
        assert held == ledger.position(at)
        assert float(held) == ledger.held.get(at, 0.0)


@given(events=fills())
def test_a_fill_that_comes_twice_counts_once(events: list[tuple[Fill, Decimal]]) -> None:
    """
    Every fill is told twice; two parts of one order, which share a client id, both count.
    """
    once, twice = Ledger(UNIVERSE), Ledger(UNIVERSE)
    for fill, seen in events:
        once.fill(fill, seen=seen)
        assert twice.fill(fill, seen=seen)
        assert not twice.fill(fill, seen=seen)
    assert (once.positions, once.cash, once.fees) == (twice.positions, twice.cash, twice.fees)


def test_what_has_no_price_is_named_and_left_out() -> None:
    """
    A position without a mark and a coin without a rate are no zero: they are told.
    """
    ledger = Ledger(UNIVERSE)
    bought = Fill(id="1", client_id="1", instrument=1, side=Side.BUY, quantity=Decimal(1), price=Decimal(100),
                  fee=Decimal(0), fx=Decimal(1), ts=0)  # fmt: skip
    ledger.fill(bought, seen=Decimal(100))
    assert ("USDT", "b:T") == ledger.bridge(lambda at: None, lambda coin: None).unmarked


@given(events=fills())
def test_the_order_of_fills_leaves_no_trace(events: list[tuple[Fill, Decimal]]) -> None:
    """
    Sums that round depend on their order; positions, cash and every part of the bridge do not.
    """
    forth, back = Ledger(UNIVERSE), Ledger(UNIVERSE)
    for fill, seen in events:
        forth.fill(fill, seen=seen)
    for fill, seen in reversed(events):
        back.fill(fill, seen=seen)
    assert (forth.positions, forth.cash, forth.flow_usd) == (back.positions, back.cash, back.flow_usd)
    assert (forth.gross_edge, forth.slippage, forth.fees) == (back.gross_edge, back.slippage, back.fees)


def test_a_mark_that_is_no_number_is_named_and_left_out() -> None:
    """
    A price so large that its worth is infinite is no mark; the largest that is a number still adds up.
    """
    ledger = Ledger(UNIVERSE)
    bought = Fill(id="1", client_id="1", instrument=0, side=Side.BUY, quantity=Decimal(1), price=Decimal(100),
                  fee=Decimal(0), fx=Decimal(1), ts=0)  # fmt: skip
    ledger.fill(bought, seen=Decimal(100))
    lost = ledger.bridge(lambda at: Decimal("Infinity"), lambda coin: Decimal(1))
    assert (("a:T",), Decimal(-100)) == (lost.unmarked, lost.net)
    assert Decimal("1e308") - 100 < ledger.bridge(lambda at: Decimal("1.7e308"), lambda coin: Decimal(1)).net


@given(events=fills(), data=st.data())
def test_a_fill_that_was_undone_leaves_nothing_behind(events: list[tuple[Fill, Decimal]], data: st.DataObject) -> None:
    """
    Whatever a reorg takes back is as if it had never been, in positions, cash and the bridge; and it may come again.
    """
    kept, back = Ledger(UNIVERSE), Ledger(UNIVERSE)
    undone = data.draw(st.sets(st.integers(0, len(events)), max_size=3))
    for number, (fill, seen) in enumerate(events):
        back.take(_report(str(number), fills=(fill,)), seen=seen)
        if number not in undone:
            kept.take(_report(str(number), fills=(fill,)), seen=seen)
    for number, (fill, seen) in enumerate(events):
        if number in undone:
            back.take(_report(f"{number} back", undone=(fill,)), seen=seen)
    assert _state(kept) == _state(back)
    for number, (fill, seen) in enumerate(events):
        if number in undone:
            assert (fill,) == back.take(_report(f"{number} again", fills=(fill,)), seen=seen).new
            kept.fill(fill, seen=seen)
    assert _state(kept) == _state(back)


def test_gas_without_a_fill_is_paid_once_and_may_come_back() -> None:
    """
    A swap that reverted costs its gas; the same news again costs nothing more; what was never undone cannot be again.
    """
    ledger = Ledger(UNIVERSE)
    for _ in range(2):
        ledger.take(_report("a", gas_usd=Decimal("0.30")), seen=Decimal(0))
    assert (Decimal("0.30"), Decimal("-0.30")) == (ledger.gas, ledger.cash["USD"])
    bridge = ledger.bridge(lambda at: None, lambda coin: Decimal(1))
    assert Decimal("-0.30") == bridge.net == bridge.gas
    ledger.take(_report("b", gas_usd=Decimal("-0.30")), seen=Decimal(0))
    assert (0, 0) == (ledger.gas, ledger.cash["USD"])
    never = Fill(
        id="x", client_id="x", instrument=0, side=Side.BUY, quantity=Decimal(1), price=Decimal(1), fee=Decimal(0),
        fx=Decimal(1), ts=0,
    )  # fmt: skip
    ledger.take(_report("c", undone=(never,)), seen=Decimal(1))
    assert 0 == ledger.position(0) == ledger.fills


def _report(
    id: str, *, fills: tuple[Fill, ...] = (), undone: tuple[Fill, ...] = (), gas_usd: Decimal = Decimal(0)
) -> Report:
    return Report(
        client_id="x-0", intent_id="x", leg=0, outcome=Outcome.ACCEPTED, id=id, fills=fills, undone=undone,
        gas_usd=gas_usd,
    )  # fmt: skip


def _state(ledger: Ledger) -> tuple[object, ...]:
    """All that a ledger holds, without zeros."""
    held = {at: units for at, units in ledger.positions.items() if units}
    cash = {coin: amount for coin, amount in ledger.cash.items() if amount}
    bridge = ledger.bridge(lambda at: Decimal(7), lambda coin: Decimal(2))
    return held, cash, ledger.fills, bridge


@given(
    events=fills(),
    changes=st.lists(st.tuples(st.sampled_from((0, 1, "USD", "USDT")), MONEY, st.booleans()), max_size=6),
    marks=st.tuples(MONEY, MONEY),
    usdt=RATE,
)
def test_an_adjustment_changes_the_books_and_not_the_result(
    events: list[tuple[Fill, Decimal]],
    changes: list[tuple[int | str, Decimal, bool]],
    marks: tuple[Decimal, Decimal],
    usdt: Decimal,
) -> None:
    """
    I14: units and coins that an operator corrects at today's marks are in the books, and net profit is what it was;
    what the books are worth has grown by what was brought in, and each venue's cash sums up to the whole.
    """
    ledger = Ledger(UNIVERSE)
    for fill, seen in events:
        ledger.fill(fill, seen=seen)
    rates = {"USD": Decimal(1), "USDT": usdt}

    def worth() -> Decimal:
        coins = sum((amount * rates[coin] for coin, amount in ledger.cash.items()), Decimal(0))
        return coins + sum((units * marks[at] for at, units in ledger.positions.items()), Decimal(0))

    before, value, brought = ledger.bridge(lambda at: marks[at], rates.get).net, worth(), Decimal(0)
    for what, size, out in changes:
        amount = -size if out else size
        if isinstance(what, int):
            ledger.adjust(what, amount, marks[what])
            brought += amount * marks[what]
        else:
            ledger.adjust_cash("a", what, amount, rates[what])
            brought += amount * rates[what]
    assert abs(ledger.bridge(lambda at: marks[at], rates.get).net - before) <= Decimal("1e-10")
    assert abs(worth() - value - brought) <= Decimal("1e-12")
    by_coin: dict[str, Decimal] = {}
    with localcontext(EXACT):
        for (_, coin), amount in ledger.cash_at.items():
            by_coin[coin] = by_coin.get(coin, Decimal(0)) + amount
    assert {c: a for c, a in ledger.cash.items() if a} == {c: a for c, a in by_coin.items() if a}
