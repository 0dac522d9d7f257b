"""What a config and a tape know of one another: who is only watched, who is missing, and where the two disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.config import Config
from connectors.instruments import Instrument, Role, Universe

COUNTED: Final = ("role", "underlying", "unit_model", "multiplier", "quote", "coin", "hours", "witness")
"""Facts of an instrument that enter the numbers. Over a tape those of the tape count, not those of the config."""


@dataclass(frozen=True, slots=True)
class Match:
    """Names are `venue:symbol`, in order of the tape or of the config."""

    unnamed: tuple[str, ...]
    """On the tape and not in the config: watched, never traded."""
    believed: tuple[str, ...]
    """Share sources among the unnamed: evidence with the config's default error."""
    absent: tuple[str, ...]
    """In the config and not on the tape."""
    differ: tuple[str, ...]
    """`name: fact is X on the tape, Y in the config`."""


def match(config: Config, universe: Universe) -> Match:
    """Compares the instruments of a tape with those of a config."""
    on_tape = {instrument.name: instrument for instrument in universe}
    unnamed = tuple(name for name in on_tape if name not in config.instruments)
    differ = tuple(
        f"{name}: {fact} is {said} on the tape, {written} in the config"
        for name, table in config.instruments.items()
        if name in on_tape
        for fact in COUNTED
        if fact in table.model_fields_set
        and (written := str(getattr(table, fact))) != (said := _said(on_tape[name], fact))
    )
    return Match(
        unnamed=unnamed,
        believed=tuple(name for name in unnamed if on_tape[name].role is Role.SHARE),
        absent=tuple(name for name in config.instruments if name not in on_tape),
        differ=differ,
    )


def _said(instrument: Instrument, fact: str) -> str:
    """A fact in the words of a config."""
    value = getattr(instrument, fact)
    return instrument.role.name.lower() if fact == "role" else str(value)
