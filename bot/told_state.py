"""What the journal of a state folder said last: how each venue stands, and what each price is the price of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from bot.journal_reader import read
from connectors.errors import DataError
from strategies.base import Note, Step

JOURNAL: Final = "journal.sqlite"
_WORDS: Final = (b"feed_", b"basis", b"instruments")
"""A record whose bytes hold none of these says nothing of interest, and is not decoded."""


@dataclass(slots=True)
class LastStates:
    """The last word on each."""

    venues: dict[str, str] = field(default_factory=dict)
    """By venue: `up`, or the state and its reason."""
    basis: dict[str, Note] = field(default_factory=dict)
    """By instrument's name: the note that told it."""
    fault: str = ""
    """Why the journal cannot be read; empty where it can, or where there is none."""


def last_states(folder: Path) -> LastStates:
    """Reads the journal of a state folder from its beginning; also while a daemon writes it."""
    told = LastStates()
    path = folder / JOURNAL
    if not path.exists():
        return told
    known: Sequence[str] = ()
    decoder = msgspec.msgpack.Decoder(Step)
    try:
        for record in read(path, kind="step"):
            if not any(word in record.payload for word in _WORDS):
                continue
            for note in decoder.decode(record.payload).notes:
                if note.kind == "start":
                    known = str(note.detail.get("instruments", "")).split("\n")
                elif note.kind.startswith("feed_") and note.detail.get("venue"):
                    why = str(note.detail.get("why", "")).replace("_", " ")
                    state = note.kind.removeprefix("feed_")
                    told.venues[str(note.detail["venue"])] = f"{state} ({why})" if why and state != "up" else state
                elif note.kind == "basis" and 0 <= note.instrument < len(known):
                    told.basis[known[note.instrument]] = note
    except (DataError, msgspec.MsgspecError) as error:
        told.fault = str(error)
    return told
