"""How long an issuer takes and how often it refuses, as learned from our own requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from connectors.events import NS
from connectors.orders import ConversionState
from strategies.execution.conversions import Running

TRUST: Final = 5.0
"""What the config says counts as so many requests."""
_HOUR_NS: Final = 3600 * NS
_DAY_HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One direction of an issuer."""

    delay_s: float
    """Mean time from the request to its end."""
    rejects: float
    """Probability that a request comes to nothing."""
    seen: int = 0
    """Requests that this was learned from."""

    @property
    def source(self) -> str:
        """Whence it is known, in words."""
        if not self.seen:
            return "the config's"
        requests = f"{self.seen} request{'s' if self.seen > 1 else ''} of ours"
        return f"learned from {requests}" if self.seen >= TRUST else f"the config's, corrected by {requests}"


def learned(told: Habit, requests: Iterable[Running], now: int) -> Habit:
    """What was `told`, corrected by requests of that direction.

    Times are taken as exponential: their mean is all time that requests took or have been waiting, by the number that
    ended, so that one that never ends counts the more the longer it hangs. What was told enters as TRUST requests.
    """
    time, ended, refused, seen = TRUST * told.delay_s, TRUST, TRUST * told.rejects, 0
    for one in requests:
        seen += 1
        ends = one.closed and one.word is not None
        time += ((one.word.ts if ends and one.word is not None else now) - one.since) / NS
        ended += ends
        refused += one.state is ConversionState.REJECTED
    return Habit(delay_s=time / ended, rejects=min(refused / (TRUST + seen), 0.99), seen=seen)


def learned_at(told: Habit, requests: Iterable[Running], now: int, at: int) -> Habit:
    """The same for a request made at a moment (ns UTC): what those of its hour of the day took corrects what all others
    did, for issuers do not work alike at all hours. Rejections are too few for that; those of all hours count."""
    ours = list(requests)
    same = [_hour(one.since) == _hour(at) for one in ours]
    others = learned(told, [one for one, here in zip(ours, same, strict=True) if not here], now)
    here = learned(others, [one for one, here in zip(ours, same, strict=True) if here], now)
    whole = learned(told, ours, now)
    return Habit(delay_s=here.delay_s, rejects=whole.rejects, seen=whole.seen)


def _hour(ns: int) -> int:
    """Hour of the day, UTC."""
    return ns // _HOUR_NS % _DAY_HOURS
