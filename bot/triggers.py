"""The wake conditions that strategies declared, which of them fired, and when each may fire again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.events import NEVER
from strategies.base import Strategy
from strategies.market import kernel as K
from strategies.market.columns import Columns


@dataclass(slots=True)
class Trigger:
    """One declared wake condition and who declared it."""

    strategy: Strategy
    underlying: str
    resume_at: int = 0


class Triggers:
    """All of a run, in the order of the slots that its columns were built with."""

    def __init__(self, columns: Columns, triggers: Sequence[Trigger]) -> None:
        """All of them are awake."""
        self._columns, self._triggers = columns, tuple(triggers)
        self._fired = columns.slots[:, K.SLOT_FIRED]
        self._owner = {place: number for number, place in columns.slot_of.items()}

    def fired(self) -> tuple[list[list[int]], list[int]]:
        """Takes down what fired: the numbers of its triggers by strategy, and the underlyings, in order."""
        asked: dict[int, list[int]] = {}
        groups: set[int] = set()
        for place in self._fired.nonzero()[0].tolist():
            self._fired[place] = 0
            number = self._owner[place]
            asked.setdefault(id(self._triggers[number].strategy), []).append(number)
            groups.add(self._columns.slot_group[place])
        return list(asked.values()), sorted(groups)

    def strategy(self, numbers: Sequence[int]) -> Strategy:
        """Who declared them."""
        return self._triggers[numbers[0]].strategy

    def underlyings(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """What they are about, each once; a trigger of one instrument names none."""
        return tuple(dict.fromkeys([name for n in numbers if (name := self._triggers[n].underlying)]))

    def rest(self, numbers: Sequence[int], until: int) -> None:
        """They do not fire before `until`."""
        for number in numbers:
            self._triggers[number].resume_at = until
            self._columns.slots[self._columns.slot_of[number], K.SLOT_NOT_BEFORE] = until

    def hold(self, strategy: Strategy, open_intents: Iterable[str]) -> None:
        """While a strategy has as many intents under way as it may, none of its triggers can lead to a trade.
        `open_intents` names the strategy of each that is under way."""
        if list(open_intents).count(strategy.name) >= strategy.max_open:
            for number, trigger in enumerate(self._triggers):
                if trigger.strategy is strategy:
                    self._columns.slots[self._columns.slot_of[number], K.SLOT_NOT_BEFORE] = NEVER

    def free(self, strategy: str) -> None:
        """One of its intents is over: its triggers fire again, once they have rested."""
        for number, trigger in enumerate(self._triggers):
            if trigger.strategy.name == strategy:
                self._columns.slots[self._columns.slot_of[number], K.SLOT_NOT_BEFORE] = trigger.resume_at
