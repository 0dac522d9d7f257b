"""Words to a running daemon: left, taken once, answered, taken back where nobody hears them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.control import FOLDER, Answer, Word, ask, leave, sweep, taken, tell
from connectors.errors import DataError, VenueUnreachable

WORD = Word(verb="recheck", at=7, by="ann", about=({"id": "m1"},))


class Waiting:
    """A clock that moves only while somebody waits, and what happens meanwhile."""

    def __init__(self, *happens: object) -> None:
        """One callable for each pause."""
        self.now, self.happens = 0.0, list(happens)

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.happens:
            self.happens.pop(0)()  # type: ignore[operator]


def answered(state: Path) -> None:
    """A daemon that says yes to everything."""
    for id in taken(state):
        tell(state, id, Answer(rows=({"said": "yes"},)))


def names(state: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(path.suffix for path in (state / FOLDER).iterdir())


def test_a_word_is_heard_and_its_answer_comes_back(tmp_path: Path) -> None:
    """
    The daemon reads what was said; who asked gets the answer, and nothing is left.
    """
    heard: list[object] = []
    waiting = Waiting(lambda: heard.extend(taken(tmp_path).values()), lambda: answered(tmp_path))
    answer = ask(tmp_path, WORD, wait_s=5, monotonic=waiting.monotonic, pause=waiting.pause)
    assert [WORD] == heard
    assert ({"said": "yes"},) == answer.rows
    assert [] == names(tmp_path)


def test_a_word_that_nobody_takes_is_taken_back(tmp_path: Path) -> None:
    """
    Without a daemon nothing is changed, also not by one that starts later.
    """
    waiting = Waiting()
    with pytest.raises(VenueUnreachable, match="nothing was changed"):
        ask(tmp_path, WORD, wait_s=5, monotonic=waiting.monotonic, pause=waiting.pause)
    assert {} == taken(tmp_path)


def test_a_word_that_was_taken_is_never_said_to_be_undone(tmp_path: Path) -> None:
    """
    A daemon that took it and does not answer may do it yet: that is what is said.
    """
    waiting = Waiting(lambda: taken(tmp_path))
    with pytest.raises(DataError, match="has taken the word"):
        ask(tmp_path, WORD, wait_s=5, monotonic=waiting.monotonic, pause=waiting.pause)
    assert [WORD] == list(taken(tmp_path).values())


def test_what_was_taken_and_not_answered_comes_again(tmp_path: Path) -> None:
    """
    A daemon that dies in between finds it at its next start, after it in order what came later; answered it is gone.
    """
    first = leave(tmp_path, WORD)
    taken(tmp_path)
    second = leave(tmp_path, Word(verb="fail", at=8, by="ann"))
    assert [first, second] == list(taken(tmp_path))
    tell(tmp_path, first, Answer())
    assert [second] == list(taken(tmp_path))
    sweep(tmp_path)
    assert [".taken"] == names(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b'{"verb": 3}', b"[]", b'{"verb": "\xff"}', b'{"x": ' + b"[" * 100_000])
def test_a_word_that_cannot_be_read_is_no_word(tmp_path: Path, text: bytes) -> None:
    """
    It is told as such, and the daemon goes on.
    """
    leave(tmp_path, WORD)
    (tmp_path / FOLDER / "0.word").write_bytes(text)
    assert [None, WORD] == list(taken(tmp_path).values())


def test_a_folder_that_is_none_takes_no_word(tmp_path: Path) -> None:
    """
    The error names it.
    """
    with pytest.raises(DataError, match="no word can be left"):
        leave(tmp_path / "gone", WORD)
