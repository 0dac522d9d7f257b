"""Clocks that jump and drift (faults 17 and 18): rows stay in order, nothing is traded until the clocks agree again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.inbox import Inbox
from bot.steady import ClockGuard, SteadyClock
from connectors.events import NS, Kind, Why
from connectors.instruments import Instrument, Role, Universe

NOW = 1_788_000_000 * NS
HOUR_S = 3600.0
VENUES = {"a": (0, 1), "b": (2,)}
ALL = frozenset({0, 1, 2})


class Machine:
    """A machine whose wall clock may be set."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOW, 5 * NS

    def passes(self, seconds: float) -> None:
        self.wall += round(seconds * NS)
        self.monotonic += round(seconds * NS)

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(-1e5, 1e5)), max_size=30))
def test_fault_17_the_steady_clock_never_jumps(steps: list[tuple[float, float]]) -> None:
    """Fault 17. Whatever the wall does, the steady clock moves as the time that passes, give or take a second."""
    machine = Machine()
    clock = machine.steady()
    for passes, jump in steps:
        before = clock()
        machine.passes(passes)
        machine.wall += round(jump * NS)
        assert abs((clock() - before) / NS - passes) <= 1.0 + 1e-6


def test_the_steady_clock_is_the_wall_while_both_agree() -> None:
    """Small corrections of the wall are followed to the nanosecond, and add up."""
    machine = Machine()
    clock = machine.steady()
    for _ in range(100):
        machine.passes(1.0)
        machine.wall += NS // 2
        assert machine.wall == clock()
    assert 0.0 == clock.apart_s


def test_fault_17_a_jump_bars_all_until_the_wall_is_set_back() -> None:
    """Fault 17. +1 h and -1 h: no instrument may be traded until the clocks of the machine agree again."""
    for jump in (HOUR_S, -HOUR_S):
        machine, guard = Machine(), ClockGuard(VENUES)
        clock = machine.steady()
        assert frozenset() == guard.barred(clock.apart_s)
        machine.wall += round(jump * NS)
        assert NOW == clock()
        assert ALL == guard.barred(clock.apart_s)
        machine.wall -= round(jump * NS)
        assert frozenset() == guard.barred(clock.apart_s)
        assert NOW == clock()


def test_fault_17_the_venues_clocks_may_vouch_for_ours() -> None:
    """Fault 17. The wall stays wrong, but a venue that is asked after the jump says that the steady clock is right."""
    machine, guard = Machine(), ClockGuard(VENUES)
    clock = machine.steady()
    guard.offset("a", 0.01, 0.02)
    machine.wall += round(HOUR_S * NS)
    assert ALL == guard.barred(clock.apart_s), "what was said before the jump counts no more"
    guard.offset("a", 0.02, 0.02)
    assert not guard.wall_is_right(clock.apart_s)
    assert frozenset() == guard.barred(clock.apart_s)


def test_fault_17_a_jump_that_mends_the_clock_is_followed() -> None:
    """Fault 17. The wall was an hour late and is set right: the venues say so, the steady clock follows."""
    machine, guard = Machine(), ClockGuard(VENUES)
    clock = machine.steady()
    for venue in VENUES:
        guard.offset(venue, HOUR_S, 0.02)
    assert ALL == guard.barred(clock.apart_s)
    machine.wall += round(HOUR_S * NS)
    assert ALL == guard.barred(clock.apart_s)
    guard.offset("b", HOUR_S + 0.02, 0.05)
    assert guard.wall_is_right(clock.apart_s)
    guard.adopted(clock.apart_s)
    clock.adopt()
    assert machine.wall == clock()
    assert frozenset() == guard.barred(clock.apart_s)


def test_fault_17_after_a_step_back_nothing_is_traded_until_time_moves_again() -> None:
    """Fault 17. A clock that was an hour fast is set right: rows stand still for that hour, and so does trading."""
    guard = ClockGuard(VENUES)
    guard.offset("a", 0.0, 0.01)
    assert ALL == guard.barred(0.0, behind_s=HOUR_S)
    assert ALL == guard.barred(0.0, behind_s=1.1)
    assert frozenset() == guard.barred(0.0, behind_s=0.9)


def test_fault_18_a_venue_whose_clock_is_off_is_barred_alone() -> None:
    """Fault 18. 5 s of drift bars the venue's instruments and no other's; back within a second it may be traded."""
    for offset_s in (5.0, -5.0):
        guard = ClockGuard(VENUES)
        guard.offset("b", 0.3, 0.1)
        guard.offset("a", offset_s, 0.05)
        assert frozenset({0, 1}) == guard.barred(0.0)
        guard.offset("a", offset_s / 10, 0.05)
        assert frozenset() == guard.barred(0.0)


def test_fault_18_what_may_be_the_network_is_no_drift() -> None:
    """Fault 18. An offset of 1.2 s that is known to half a second only says nothing."""
    guard = ClockGuard(VENUES)
    guard.offset("a", 1.2, 0.5)
    assert frozenset() == guard.barred(0.0)


def inbox_of(clock: SteadyClock) -> Inbox:
    """An inbox for two tokens."""
    tokens = (Instrument(venue=v, symbol="T", role=Role.TOKEN, token="T", underlying="T") for v in "ab")
    return Inbox(Universe(tuple(tokens)), clock=clock)


def test_fault_17_rows_stay_in_order_and_keep_their_true_ages() -> None:
    """Fault 17. Rows around a jump of an hour either way: times rise by what passed, none is raised or refused."""
    for jump in (HOUR_S, -HOUR_S):
        machine = Machine()
        inbox = inbox_of(machine.steady())
        for at in range(4):
            if at == 2:
                machine.wall += round(jump * NS)
            inbox.put(Kind.QUOTE, 0, bid=1.0, ask=2.0, ts_venue=NOW + at * NS)
            machine.passes(1.0)
        rows = inbox.take()
        assert rows is not None
        assert [NOW + at * NS for at in range(4)] == rows.ts_recv.tolist()
        assert (0, 0) == (inbox.raised, inbox.rejected.total())


def test_fault_16_what_waited_while_we_were_held_up_is_barred_before_it_is_seen() -> None:
    """
    Fault 16. After 2 s without a beat the first row that is read comes behind LOOP_LAG of every instrument, and is as
    old as the last beat; two punctual beats later all is well, and rows have their own time again.
    """
    machine = Machine()
    inbox = inbox_of(machine.steady())
    inbox.cleared((0, 1), Why.NOT_HEARD)
    inbox.take()
    inbox.beat(0.0)
    machine.passes(2.0)
    inbox.put(Kind.QUOTE, 1, bid=1.0, ask=2.0)
    rows = inbox.take()
    assert rows is not None
    assert [Kind.HEALTH, Kind.HEALTH, Kind.QUOTE] == rows.kind.tolist()
    assert [Why.LOOP_LAG, Why.LOOP_LAG] == rows.ask[:2].tolist()
    assert [NOW] * 3 == rows.ts_recv.tolist()
    inbox.beat(1.75)
    inbox.beat(0.01)
    assert inbox.held_up
    machine.passes(0.25)
    inbox.beat(0.01)
    assert not inbox.held_up
    inbox.put(Kind.QUOTE, 1, bid=1.0, ask=2.0)
    rows = inbox.take()
    assert rows is not None
    assert [Why.NOTHING, Why.NOTHING] == rows.ask[:2].tolist()
    assert machine.wall == rows.ts_recv[-1]
    assert 0 == inbox.raised


def test_fault_16_a_loop_that_lives_is_never_held_up() -> None:
    """Beats in time, rows or none: nothing is said. Nor where nobody beats at all, as in a replay."""
    machine = Machine()
    inbox = inbox_of(machine.steady())
    for beats in (False, True):
        for _ in range(20):
            machine.passes(0.25 if beats else 60.0)
            inbox.put(Kind.QUOTE, 0, bid=1.0, ask=2.0)
            if beats:
                inbox.beat(0.02)
    assert not inbox.held_up
    assert None is inbox.standing.state(0)
