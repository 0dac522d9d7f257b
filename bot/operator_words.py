"""What `reconcile` and `settle` share: a word to the daemon on the state folder that is meant, and its answer."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Final

from bot import control, hold_words
from bot.clock import monotonic_s, pause, wall_ns
from bot.lock import holder
from connectors.errors import VenueUnreachable

WAIT_S: Final = 10.0
"""How long a daemon that runs may take to hear a word."""


def told(args: argparse.Namespace, verb: str, *about: dict[str, str]) -> control.Answer:
    """What the daemon says to a word. Raises VenueUnreachable where there is none, DataError.

    A daemon names itself in the lock and is taken out at its end: only one that was killed is waited for in vain.
    """
    state = hold_words.holds_of(args).state
    if holder(state) is None:
        raise VenueUnreachable(
            "no daemon runs there; nothing was changed", where=str(state), hint="pegline run; or name another --state"
        )
    word = control.Word(verb=verb, at=wall_ns(), by=hold_words.speaker(), reason=args.reason, about=about)
    return control.ask(state, word, wait_s=WAIT_S, monotonic=monotonic_s, pause=pause)


def moment(ns: str) -> str:
    """Nanoseconds UTC for a person."""
    at = int(ns)
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "never"
