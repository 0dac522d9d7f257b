"""How a stream stands: of several reasons the worst counts, and only a change is told."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.events import STANDING, Health, Why
from connectors.standing import Standing

ROOT = Path(__file__).resolve().parents[2]
_BAD = [why for why in Why if why is not Why.NOTHING]
_SEVERITY = (Health.UP, Health.DEGRADED, Health.CLOSED, Health.DOWN)


def test_every_reason_makes_a_state_and_only_nothing_makes_up() -> None:
    """
    Each reason has its state; a reason that left an instrument UP would be none.
    """
    assert set(Why) == set(STANDING)
    assert [Why.NOTHING] == [why for why in Why if STANDING[why] is Health.UP]


def test_every_reason_is_given_by_somebody() -> None:
    """
    A reason that no code ever gives is a promise to whoever reads the states that nobody keeps.
    """
    files = [
        file for floor in ("connectors", "bot") for file in (ROOT / floor).rglob("*.py") if file.name != "events.py"
    ]
    given = {name for file in files for name in re.findall(r"Why\.([A-Z_]+)", file.read_text())}
    assert {why.name for why in _BAD} == given - {Why.NOTHING.name}


def test_the_worst_reason_counts_and_what_is_left_counts_after_it() -> None:
    """
    Down beats closed beats degraded; when the worst reason goes, the next one makes the state.
    """
    standing = Standing()
    told = [
        *standing.against([3], Why.CLOCK),
        *standing.against([3], Why.DISCONNECTED),
        *standing.against([3], Why.HALTED),
        *standing.cleared([3], Why.DISCONNECTED),
        *standing.cleared([3], Why.HALTED),
        *standing.cleared([3], Why.CLOCK),
    ]
    assert [
        (3, (Health.DEGRADED, Why.CLOCK)),
        (3, (Health.DOWN, Why.DISCONNECTED)),
        (3, (Health.CLOSED, Why.HALTED)),
        (3, (Health.DEGRADED, Why.CLOCK)),
        (3, (Health.UP, Why.NOTHING)),
    ] == told


def test_what_nobody_mentioned_has_no_state() -> None:
    """
    Silence about an instrument is no statement; the first word about it is told, also when it is good.
    """
    standing = Standing()
    assert None is standing.state(0)
    assert [(0, (Health.UP, Why.NOTHING))] == list(standing.cleared([0], Why.NOT_HEARD))
    assert [] == list(standing.cleared([0], Why.NOT_HEARD))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from(_BAD)), max_size=40))
def test_states_follow_from_the_set_of_reasons_whatever_the_order(said: list[tuple[bool, int, Why]]) -> None:
    """
    After any history the state is that of the worst reason that stands, and each telling differs from the last one.
    A venue in maintenance is closed, not silent.
    """
    standing, reasons = Standing(), dict[int, set[Why]]()
    last: dict[int, object] = {}
    for bad, number, why in said:
        group = reasons.setdefault(number, set())
        (group.add if bad else group.discard)(why)
        for told, state in (standing.against if bad else standing.cleared)([number], why):
            assert last.get(told) != state
            last[told] = state
    for number, group in reasons.items():
        if Why.MAINTENANCE in group:
            group = group - {Why.NOT_HEARD, Why.DISCONNECTED, Why.SILENT}
        worst = max((STANDING[why] for why in group), key=_SEVERITY.index, default=Health.UP)
        state = standing.state(number)
        assert state is not None
        assert worst is state[0]
        assert state == last[number]
