"""Words to a running daemon, left in its state folder, and its answers: `settle` and `reconcile` speak this way.

A word is a file `control/ID.word`. The daemon takes it (`.taken`), does what it says, and answers (`.told`) once the
record of it is durable. One that died in between finds the word again at its next start: every word is about something
as it was seen, so that to hear it twice changes nothing. Who gets no answer takes the word back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import DataError, VenueUnreachable

FOLDER: Final = "control"
LOOK_S: Final = 0.1
"""How often who asks looks for the answer."""


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator wants."""

    verb: str
    at: int
    """ns UTC."""
    by: str
    reason: str = ""
    about: tuple[dict[str, str], ...] = ()
    """What it is about, as the operator has seen it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says to it."""

    refused: str = ""
    """Why nothing was done; empty where something was, or was told."""
    rows: tuple[dict[str, str], ...] = ()


def leave(state: Path, word: Word) -> str:
    """Leaves a word and gives its id. Raises DataError where the folder takes no file."""
    folder = state / FOLDER
    id = f"{word.at:019d}-{os.getpid()}"
    try:
        folder.mkdir(exist_ok=True)
        _write(folder / f"{id}.word", msgspec.json.encode(word))
    except OSError as error:
        raise DataError(f"no word can be left: {error.strerror}", where=str(folder)) from error
    return id


def ask(
    state: Path, word: Word, *, wait_s: float, monotonic: Callable[[], float], pause: Callable[[float], None]
) -> Answer:
    """Leaves a word and waits for its answer, for `wait_s` until it is taken and for as long again until it is done.

    Raises VenueUnreachable where nobody takes it (it is taken back, nothing was changed), DataError where who took it
    does not answer.
    """
    id = leave(state, word)
    given_up = monotonic() + wait_s
    taken = False
    while True:
        with suppress(FileNotFoundError):
            answer = msgspec.json.decode((state / FOLDER / f"{id}.told").read_bytes(), type=Answer)
            (state / FOLDER / f"{id}.told").unlink()
            return answer
        if monotonic() < given_up:
            pause(LOOK_S)
        elif taken:
            hint = "it will be done when its record is durable, at the latest with the next start"
            raise DataError("the daemon has taken the word and does not answer", where=str(state), hint=hint)
        else:
            with suppress(FileNotFoundError):
                (state / FOLDER / f"{id}.word").unlink()
                raise VenueUnreachable(
                    "no daemon takes a word there; nothing was changed",
                    where=str(state),
                    hint="does it run on this folder, and has it heard a venue yet? pegline doctor",
                )
            taken, given_up = True, monotonic() + wait_s


def taken(state: Path) -> Mapping[str, Word | None]:
    """Words by id, oldest first; each is taken, and one that was taken before and not answered comes again. None: it
    is none. What cannot be opened now is looked at with the next call."""
    folder = state / FOLDER
    found: dict[str, Word | None] = {}
    with suppress(OSError):
        for name in sorted(path.name for path in folder.iterdir() if path.suffix in (".word", ".taken")):
            id = name.partition(".")[0]
            mine = folder / f"{id}.taken"
            try:
                (folder / name).replace(mine)
                found[id] = msgspec.json.decode(mine.read_bytes(), type=Word)
            except OSError:  # taken back in this moment, or no file can be opened
                continue
            except (ValueError, RecursionError):
                found[id] = None
    return found


def tell(state: Path, id: str, answer: Answer) -> None:
    """Answers a word that was taken, and is done with it. Raises DataError where the folder takes no file."""
    folder = state / FOLDER
    try:
        _write(folder / f"{id}.told", msgspec.json.encode(answer))
        (folder / f"{id}.taken").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"no answer can be left: {error.strerror}", where=str(folder)) from error


def sweep(state: Path) -> None:
    """Takes away answers that nobody waits for any more; at a start."""
    for path in (state / FOLDER).glob("*.told"):
        path.unlink(missing_ok=True)


def _write(path: Path, body: bytes) -> None:
    """As a whole, and durable."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(body + b"\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
