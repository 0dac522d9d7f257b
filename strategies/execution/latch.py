"""The latch: what is held back, by whom and why, as a value; until it is taken back or its time ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

import msgspec

from connectors.instruments import Universe
from connectors.orders import PLANS, Intent

ALL: Final = "all"
KINDS: Final = ("underlying", "token", "venue", "issuer", "strategy")
"""Of scopes beside `all`; a scope is written `kind:name`."""
OPERATOR: Final = "operator"
FLAG: Final = "flag"
WATCHDOG: Final = "watchdog"
DRAWDOWN: Final = "drawdown"
NAKED: Final = "naked"
RUNAWAY: Final = "runaway"
TRADE: Final = "trade"
JOURNAL: Final = "journal"
"""Nothing can be recorded. It ends with the process: what cannot be written cannot be kept either."""
INVARIANT: Final = "invariant"
FENCE: Final = "fence"


class Mode(IntEnum):
    """What a scope may still do."""

    RUN = 0
    """Everything."""
    REDUCE = 1
    """Only what provably brings net shares or a position nearer to zero."""
    HALT = 2
    """Nothing leaves but questions and cancels."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reason to hold a scope back."""

    scope: str
    mode: Mode
    cause: str
    """operator, flag, watchdog, drawdown, naked, runaway, trade, journal, invariant or fence."""
    why: str
    at: int
    """ns UTC."""
    until: int = 0
    """ns UTC, the last moment at which it holds; 0 is until it is taken back."""
    by: str = ""
    """Who said so, where it was a person."""

    @property
    def key(self) -> tuple[str, Mode, str]:
        """What a later hold replaces: the same scope, mode and cause."""
        return self.scope, self.mode, self.cause

    def holds(self, now: int) -> bool:
        """Whether its time has not ended."""
        return not self.until or now <= self.until

    def __str__(self) -> str:
        """`all HALT by operator: reason`."""
        who = f"{self.cause} {self.by}".rstrip()
        return f"{self.scope} {self.mode.name} by {who}{f': {self.why}' if self.why else ''}"


class Latch(msgspec.Struct, frozen=True):
    """All holds, oldest first."""

    holds: tuple[Hold, ...] = ()

    def strictest(self, scopes: Iterable[str], now: int) -> Hold | None:
        """The hold of the strictest mode on any of the scopes; of several the oldest. None: they run."""
        asked = {ALL, *scopes}
        found = [hold for hold in self.holds if hold.scope in asked and hold.holds(now)]
        return max(found, key=lambda hold: hold.mode, default=None)

    def set(self, hold: Hold) -> Latch:
        """With this hold, in place of one of the same scope, mode and cause."""
        return Latch((*(one for one in self.holds if one.key != hold.key), hold))

    def lifted(self, scope: str, modes: Iterable[Mode]) -> Latch:
        """Without the holds of these modes on one scope, whatever caused them."""
        gone = set(modes)
        return Latch(tuple(hold for hold in self.holds if hold.scope != scope or hold.mode not in gone))

    def without_past(self, now: int) -> Latch:
        """Without the holds whose time has ended."""
        return Latch(tuple(hold for hold in self.holds if hold.holds(now)))


def hold_of(detail: Mapping[str, float | str]) -> Hold:
    """The hold that the note of a record tells of."""
    return Hold(
        scope=str(detail["scope"]), mode=Mode[str(detail["mode"])], cause=str(detail["cause"]), why=str(detail["why"]),
        by=str(detail["by"]), at=int(detail["at"]), until=int(detail["until"]),
    )  # fmt: skip


def scopes_of(intent: Intent, universe: Universe) -> tuple[str, ...]:
    """Every scope beside `all` that an intent falls under.

    A strategy's scope covers what it begins. The later rounds of a trade are the house's: they close what is open
    although the strategy that began it is held.
    """
    found = [f"strategy:{intent.strategy}"] if intent.purpose in PLANS else []
    if intent.underlying:
        found.append(f"underlying:{intent.underlying}")
    for leg in intent.legs:
        one = universe[leg.instrument]
        named = (("underlying", one.underlying), ("token", one.token), ("venue", one.venue), ("issuer", one.issuer))
        found += [f"{kind}:{name}" for kind, name in named if name]
    return tuple(dict.fromkeys(found))
