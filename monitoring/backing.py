"""Attested backing against supply: as metrics, as lines of the story, and as what is wrong now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitoring.facts import BackingState
from monitoring.tale import Tone
from strategies.base import Note

Sample = tuple[tuple[str, ...], float | None]


def samples(states: Sequence[BackingState]) -> dict[str, Iterable[Sample]]:
    """Label values and values by metric; where supply or attestation is not known there is no series."""
    return {
        "backing_ratio": [
            ((one.token, one.issuer), one.attested_units / one.supply_units)
            for one in states
            if one.attested_units is not None and one.supply_units
        ],
        "attestation_age_ratio": [((one.token, one.issuer), one.age_ratio) for one in states],
    }


def troubles(states: Sequence[BackingState]) -> list[str]:
    """A line for each token that is not known to be backed."""
    return [f"only given back: {one.why}" for one in states if one.why]


def told(note: Note) -> tuple[str, Tone]:
    """A line of the story about a token whose state has changed."""
    detail = note.detail
    if detail["state"] == "sound":
        return f"{detail['token']}: what {detail['issuer']} attests covers it again", "good"
    return f"{detail['why']}; it is only given back", "bad"
