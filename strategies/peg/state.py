"""The words of peg alarms: states, causes, and what a detector may look at."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Protocol

from strategies.market.fair import FairValue
from strategies.market.session import Session


class PegState(IntEnum):
    """How a token stands to its fair value, on one venue or as a whole."""

    UNKNOWN = 0
    PEGGED = 1
    STRAINED = 2
    DEPEGGED = 3


class Cause(StrEnum):
    """What a state that is not PEGGED comes from."""

    NONE = ""
    TOKEN = "token"
    """The token: two venues that know nothing of each other say the same."""
    VENUE = "venue"
    """One venue, alone."""
    STABLECOIN = "stablecoin"
    """The coin that the token is quoted in has left its own peg."""
    REFERENCE = "reference"
    """The share's price cannot be believed: it repeats itself, is halted, or its sources disagree."""
    MULTIPLIER = "multiplier"
    """The price is right for another number of shares per unit."""
    ISSUER = "issuer"
    """The issuer has paused the token, or has issued more than it holds."""


class Judged(Protocol):
    """What a detector reads of the last print of a token on a venue; strategies/market/judgement.py makes it."""

    @property
    def ts(self) -> int:
        """When it was printed, `ts_recv`, ns UTC."""

    @property
    def prints(self) -> int:
        """Its number: tells a new print from the one before."""

    @property
    def session(self) -> Session:
        """What the share market was doing."""

    @property
    def premium_bps(self) -> float:
        """Over the fair value of all other witnesses."""

    @property
    def fair(self) -> FairValue:
        """That fair value."""
