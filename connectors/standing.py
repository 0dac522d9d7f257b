"""How each instrument's stream stands: what speaks against it, and the state that this makes.

Feeds, clocks and comparisons each name their own reasons; nobody needs to know the others'. An instrument of which
nothing was ever said has no state, and nothing is told about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from connectors.events import STANDING, Health, Why

_WORST_FIRST: Final = (Health.DOWN, Health.CLOSED, Health.DEGRADED, Health.UP)
_RANK: Final = {why: (_WORST_FIRST.index(STANDING[why]), -why) for why in Why}
"""Of reasons that make the same state the later one in Why says more: NOT_HEARD says least."""

EXPLAINED: Final = frozenset((Why.NOT_HEARD, Why.DISCONNECTED, Why.SILENT))
"""What does not count while a venue says that it is in maintenance: it is closed, not lost."""

State = tuple[Health, Why]
"""A state and the reason that makes it."""


class Standing:
    """The reasons that stand, by instrument."""

    def __init__(self) -> None:
        """Nothing is known of any instrument."""
        self._reasons: dict[int, set[Why]] = {}
        self._state: dict[int, State] = {}

    def against(self, instruments: Iterable[int], why: Why) -> Iterator[tuple[int, State]]:
        """Adds a reason; gives the instruments whose state or worst reason changed, in the order given."""
        for number in instruments:
            self._reasons.setdefault(number, set()).add(why)
            yield from self._changed(number)

    def cleared(self, instruments: Iterable[int], why: Why) -> Iterator[tuple[int, State]]:
        """Takes a reason away; gives what changed. An instrument that is mentioned for the first time is UP."""
        for number in instruments:
            self._reasons.setdefault(number, set()).discard(why)
            yield from self._changed(number)

    def state(self, number: int) -> State | None:
        """State and worst reason of an instrument; None where nothing was ever said."""
        return self._state.get(number)

    def reasons(self, number: int) -> tuple[Why, ...]:
        """Everything that speaks against an instrument, worst first."""
        return tuple(sorted(self._reasons.get(number, ()), key=_RANK.__getitem__))

    def _changed(self, number: int) -> Iterator[tuple[int, State]]:
        reasons = self._reasons[number]
        counted = reasons - EXPLAINED if Why.MAINTENANCE in reasons else reasons
        worst = min(counted, key=_RANK.__getitem__, default=Why.NOTHING)
        state = (STANDING[worst], worst)
        if self._state.get(number) != state:
            self._state[number] = state
            yield number, state
