"""Reads the session table that is shipped with the package."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np

from connectors.errors import DataError
from connectors.events import NS
from strategies.market.session import Session, SessionTable

LETTERS = {"P": Session.PRE, "R": Session.REGULAR, "T": Session.POST, "O": Session.OVERNIGHT}
LETTERS |= {"W": Session.WEEKEND, "H": Session.HOLIDAY}
"""How the data file writes a session: post is T, since P is taken."""


@lru_cache(maxsize=1)
def load_sessions() -> SessionTable:
    """The table of `bot/data/sessions.json`, made by scripts/make_sessions.py. Raises DataError where it is damaged."""
    try:
        data = json.loads(files("bot").joinpath("data", "sessions.json").read_text(encoding="ascii"))
        if data["schema"] != 1:
            raise DataError(f"schema {data['schema']!r} is not 1", where="bot/data/sessions.json")
        minutes = np.array(data["minutes"], dtype=np.int64)
        codes = np.array([LETTERS[letter] for letter in "".join(data["sessions"])], dtype=np.int64)
        edges = data["start_unix_s"] * NS + np.concatenate(([0], np.cumsum(minutes))) * (60 * NS)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"the session table cannot be read: {error!r}", where="bot/data/sessions.json") from error
    return SessionTable(edges[:-1], codes, int(edges[-1]))
