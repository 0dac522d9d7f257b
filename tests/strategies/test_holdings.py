"""Whose units an operator's correction brings or takes."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Leg, Side
from strategies.execution.ledger import Ledger

UNIVERSE = Universe((Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i"),))
NAMES = ("cross_venue", "hedge", "mint_redeem")
UNITS = st.integers(-1000, 1000).map(lambda cents: D(cents) / 100)


def ledger_of(nobodys: D, held: dict[str, D]) -> Ledger:
    """A position of which each strategy holds a part, and nobody the rest."""
    ledger = Ledger(UNIVERSE)
    ledger.positions[0] = nobodys + sum(held.values(), D(0))
    for name, units in held.items():
        if units:
            ledger.holdings.move(name, 0, units, 5)
    return ledger


def left(ledger: Ledger) -> tuple[D, ...]:
    """What each strategy holds, and nobody."""
    units = [ledger.holdings.units(name, 0) for name in NAMES]
    return (*units, ledger.position(0) - sum(units, D(0)))


@pytest.mark.parametrize(
    ("nobodys", "held", "units", "then"),
    [
        # What nobody holds goes first: four of nine, no strategy loses any.
        (D(9), (D(0), D(5), D(0)), D(-4), (D(0), D(5), D(0), D(5))),
        # Beyond that the strategy that holds most, and then the next one.
        (D(1), (D(0), D(5), D(2)), D(-4), (D(0), D(2), D(2), D(0))),
        (D(0), (D(0), D(5), D(2)), D(-6), (D(0), D(0), D(1), D(0))),
        # More than all hold is a short position of nobody's.
        (D(0), (D(0), D(5), D(2)), D(-8), (D(0), D(0), D(0), D(-1))),
        # What is sold short is not what is gone.
        (D(0), (D(-3), D(5), D(2)), D(-3), (D(-3), D(2), D(2), D(0))),
        # What comes to a short position closes it, and is nobody's beyond that.
        (D(0), (D(0), D(-4), D(0)), D(4), (D(0), D(0), D(0), D(0))),
        (D(0), (D(0), D(-4), D(3)), D(6), (D(0), D(-3), D(3), D(5))),
        (D(-1), (D(0), D(-4), D(0)), D(3), (D(0), D(-2), D(0), D(0))),
        # What comes to a long one is nobody's, also where a strategy has sold of it, and so is what goes from a short.
        (D(9), (D(0), D(-4), D(0)), D(3), (D(0), D(-4), D(0), D(12))),
        (D(0), (D(0), D(-4), D(0)), D(-3), (D(0), D(-4), D(0), D(-3))),
        # Of two that hold as much, the first by name.
        (D(0), (D(5), D(5), D(0)), D(-2), (D(3), D(5), D(0), D(0))),
    ],
)
def test_what_an_operator_corrects_is_taken_from_nobody_first(
    nobodys: D, held: tuple[D, D, D], units: D, then: tuple[D, ...]
) -> None:
    """
    Then from the strategy that holds most; what remains has been held since when it was.
    """
    ledger = ledger_of(nobodys, dict(zip(NAMES, held, strict=True)))
    ledger.adjust(0, units, D(100))
    assert then == left(ledger)
    assert all(5 == one.since_ns for name in NAMES for _, one in ledger.holdings.of(name))


@given(nobodys=UNITS, held=st.tuples(UNITS, UNITS, UNITS), changes=st.lists(UNITS, max_size=4))
def test_no_strategy_gains_by_a_correction_and_none_loses_what_was_nobodys(
    nobodys: D, held: tuple[D, D, D], changes: list[D]
) -> None:
    """
    The parts sum up to the position, each strategy's is nearer to zero or as it was and on its own side, and strategies
    lose no more together than the position did beyond what was nobody's.
    """
    ledger = ledger_of(nobodys, dict(zip(NAMES, held, strict=True)))
    for units in changes:
        before, position = left(ledger), ledger.position(0)
        ledger.adjust(0, units, D(100))
        after = left(ledger)
        assert sum(before) + units == sum(after) == ledger.position(0)
        lost = [abs(was) - abs(now) for was, now in zip(before[:3], after[:3], strict=True)]
        assert all(one >= 0 for one in lost) and all(a * b >= 0 for a, b in zip(before[:3], after[:3], strict=True))
        nearer = abs(position) - abs(ledger.position(0)) if position * ledger.position(0) > 0 else abs(position)
        spare = abs(before[3]) if before[3] * position > 0 else D(0)
        assert sum(lost) == (max(nearer - spare, D(0)) if position * units < 0 else 0)


def test_what_a_strategy_may_sell_is_what_nobody_else_holds_or_sells() -> None:
    """
    Of twelve units hedge holds four and an order is selling three: five are there for the others, nine for hedge; what
    mint_redeem is short of takes nothing away.
    """
    ledger = ledger_of(D(10), {"hedge": D(4), "mint_redeem": D(-2)})
    ledger.reserve(Leg(instrument=0, side=Side.SELL, quantity=D(3), limit=D(1), seen=D(1)))
    assert (D(5), D(9), D(5)) == tuple(ledger.free(name, 0) for name in NAMES)
