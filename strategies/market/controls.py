"""What a share follows besides its own prices: controls, as the filter hears them (strategies/market/kalman.py)."""

from __future__ import annotations

from typing import NamedTuple


class Control(NamedTuple):
    """One control of a share."""

    name: str
    """The underlying that is followed."""
    group: int
    """Its number; -1 where it is not here."""
    beta: float
    moved: float
    """Change of its log fair value since `since`; nan where it has not been heard."""
    since: int
    """The last close of the share's market, or when the control was first heard after it; ns UTC."""
    barred: str
    """Why it can be no control, in words; empty where it can."""


class Following(NamedTuple):
    """What a share follows. Its controls are heard together or not at all."""

    explained: float
    """The part of the share's variance that they explain together, by fit."""
    controls: tuple[Control, ...]
