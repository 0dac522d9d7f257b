"""The daemon's ear for an operator's words: done between two blocks of rows, answered when the record is durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bot import control
from bot.comparing import Comparer
from bot.control import Answer, Word
from bot.engine import Engine
from bot.outbox import Disk
from connectors.errors import DataError


class Obeying:
    """Hears the words that are left in a state folder."""

    def __init__(self, state: Path, engine: Engine, disk: Disk, warn: Callable[[str], None]) -> None:
        """`disk` says what is durable."""
        self.state, self.engine, self._disk, self._warn = state, engine, disk, warn
        self._under_way: set[str] = set()
        control.sweep(state)

    def look(self) -> None:
        """Does what new words say. Before its first row an engine has no time, and words wait."""
        if not self.engine.dealer.steps:
            return
        for id, word in control.taken(self.state).items():
            if id not in self._under_way:
                self._under_way.add(id)
                answer = Answer(refused="it cannot be read") if word is None else self._obey(word)
                self._answer(id, answer)

    def _obey(self, word: Word) -> Answer:
        verb = VERBS.get(word.verb)
        return Answer(refused=f"nothing is known of {word.verb!r}") if verb is None else verb(self.engine, word)

    def _answer(self, id: str, answer: Answer) -> None:
        """Now, or as soon as what was done is durable; not at all where it never will be."""
        seq = self._disk.seq

        def tell() -> None:
            if self._disk.durable(seq):
                self._under_way.discard(id)
                try:
                    control.tell(self.state, id, answer)
                except DataError as error:
                    self._warn(f"an operator gets no answer: {error}")

        if self._disk.durable(seq):
            tell()
        else:
            self._disk.when(seq, tell)


def differences(engine: Engine, word: Word) -> Answer:
    """How every account stands, and each difference."""
    comparer: Comparer = engine.dealer.comparer
    rows: list[dict[str, str]] = []
    for told in comparer.told.values():
        state = told.state or "not known yet"
        rows.append({"venue": told.venue, "state": state, "as_of": str(told.as_of), "equal_at": str(told.equal_at)})
        for one in told.differences:
            rows.append(
                {
                    "venue": one.venue, "what": one.kind.value, "subject": one.subject, "amount": f"{one.amount:f}",
                    "evidence": one.evidence, "adjustable": "yes" if comparer.adjustable(one) else "",
                    "bars": "yes" if one.kind.bars else "",
                }
            )  # fmt: skip
    return Answer(rows=tuple(rows))


def adjust(engine: Engine, word: Word) -> Answer:
    """Corrects the books by what the operator has seen; each row comes back with why not, empty where it was done."""
    rows = []
    for row in word.about:
        seen = [row.get(key, "") for key in ("venue", "what", "subject", "amount")]
        refused = engine.dealer.comparer.agree(*seen, reason=word.reason, by=word.by, now=engine.now)
        rows.append({**row, "refused": refused})
    return Answer(rows=tuple(rows))


def recheck(engine: Engine, word: Word) -> Answer:
    """Asks the issuer once more; what it says comes as a record."""
    refused = engine.dealer.converter.recheck(_id(word), engine.now)
    return Answer(refused=refused)


def fail(engine: Engine, word: Word) -> Answer:
    """Writes a request off."""
    refused = engine.dealer.converter.write_off(_id(word), word.reason, word.by, engine.now)
    engine.dealer.follow(engine.now)
    return Answer(refused=refused)


def _id(word: Word) -> str:
    return word.about[0].get("id", "") if word.about else ""


VERBS: Final[Mapping[str, Callable[[Engine, Word], Answer]]] = {
    "differences": differences,
    "adjust": adjust,
    "recheck": recheck,
    "fail": fail,
}
