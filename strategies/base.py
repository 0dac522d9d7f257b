"""What a strategy is: it says when to be woken, reads a view, returns wishes and remarks, and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from connectors.instruments import Universe
from connectors.orders import Charge, Conversion, Intent, Progress, Refused, Report, Side
from connectors.ports import Desk, Levels

if TYPE_CHECKING:
    from strategies.execution.ledger import Ledger
    from strategies.market.columns import Columns
    from strategies.market.funding import Funding


@dataclass(frozen=True, slots=True)
class EdgeAbove:
    """Wake when the best net edge of an underlying is above `bps` of the fair value."""

    underlying: str
    bps: float


@dataclass(frozen=True, slots=True)
class PremiumBeyond:
    """Wake when an instrument's premium is beyond +/- `bps`."""

    instrument: int
    bps: float


@dataclass(frozen=True, slots=True)
class SignificanceBeyond:
    """Wake when an instrument's premium is beyond `sigmas` of the fair value's error."""

    instrument: int
    sigmas: float


@dataclass(frozen=True, slots=True)
class Every:
    """Wake at the strategy clock's ticks (tape time)."""


Wake = EdgeAbove | PremiumBeyond | SignificanceBeyond | Every


class Note(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A remark worth keeping: something was refused, changed state or was decided against, and on what numbers."""

    kind: str
    instrument: int = -1
    underlying: str = ""
    detail: dict[str, float | str] = {}


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What a strategy wants and what it remarks."""

    wishes: tuple[Intent, ...] = ()
    notes: tuple[Note, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    """Mints and redemptions that it wishes."""


class Step(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The record of one decision: what was seen, wished, refused, approved and answered."""

    seq: int
    ts: int
    """Tape time, ns UTC."""
    cause: str
    """What woke Python: start, row, edge, premium, timer, due, session."""
    notes: tuple[Note, ...] = ()
    wishes: tuple[Intent, ...] = ()
    refused: tuple[Refused, ...] = ()
    approved: tuple[str, ...] = ()
    """Ids of the wishes that passed."""
    reports: tuple[Report, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    """Those that were let pass; each is asked for once this stands. A refused one is a note."""
    progress: tuple[Progress, ...] = ()
    """What issuers told."""
    charges: tuple[Charge, ...] = ()
    """What holding something has cost."""


def no_levels(number: int, now: int) -> Levels | None:
    """For whoever has none."""
    return None


def nothing_under_way(underlying: str) -> bool:
    """For whoever has no trades."""
    return False


class View(msgspec.Struct, frozen=True):
    """What a strategy may read at one moment; it must not write to any of it."""

    columns: Columns
    ledger: Ledger
    now: int
    """Tape time, ns UTC."""
    woken: tuple[str, ...] = ()
    """Underlyings whose trigger fired; empty at a tick of the clock."""
    seq: int = 0
    """Number of the record that this decision will have; unique in a journal."""
    levels: Callable[[int, int], Levels | None] = no_levels
    """Levels in force of an instrument at a moment (ns); None where there are none."""
    desks: Mapping[str, Desk] = {}
    """Issuers that may be asked what a mint or redemption would bring, by name."""
    fundings: Mapping[int, Funding] = {}
    """What venues told last of the funding of perps, by number of the instrument."""
    under_way: Callable[[str], bool] = nothing_under_way
    """Whether a trade of a share has no end yet."""

    def left(self, instrument: int, side: Side) -> float:
        """Units that an order may still find at the best price: what was seen less what we took of it, and less what
        our orders under way may take; NaN where unknown."""
        seen = self.columns.left(instrument, bid=side is Side.SELL)
        return seen - float(self.ledger.reserved(instrument, side))


class Strategy(Protocol):
    """A rule that thinks. Deterministic: the same views in the same order give the same decisions."""

    @property
    def name(self) -> str:
        """One word; it stands in records and metrics."""

    @property
    def cooldown_ns(self) -> int:
        """From a decision to the next on the same trigger."""

    @property
    def refusal_backoff_ns(self) -> int:
        """After a wake that ended without a trade, the trigger rests this long."""

    @property
    def max_open(self) -> int:
        """Intents under way at once."""

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """When it wants to be asked; called once."""

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Whether it could (buy, sell) an instrument with what it holds; Python is not woken for what it could not."""

    def decide(self, view: View) -> Decision:
        """Wishes and remarks for this moment."""


@runtime_checkable
class Resumes(Protocol):
    """A strategy that goes on from what earlier records told of the peg."""

    def resume(self, told: Iterable[Note]) -> None:
        """Takes the last notes of each instrument and token, with today's numbers of the instruments."""
