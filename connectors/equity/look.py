"""One look at a source of share prices, for `venues test` and `doctor`: each error of the world becomes a finding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from connectors.errors import BadMessage, ConnectorError, EntitlementLost, PeglineError, RateLimited, VenueUnreachable
from connectors.offset import Offset
from connectors.ports import FeedSetup, Finding

T = TypeVar("T")

SLOW_S: Final = 2.0
"""An answer that takes longer makes prices old before they are read."""

CLOCK_OK_S: Final = 1.0
"""A clock that is further off than this needs a look."""


def masked(setup: FeedSetup, text: str) -> str:
    """A text without the venue's key in it, in case that it quotes what we sent."""
    with suppress(PeglineError):
        for secret in setup.key().values():
            text = text.replace(secret, "***") if len(secret) >= 4 else text
    return text


class Look:
    """What was found so far; the key of the source is in none of it."""

    def __init__(self, setup: FeedSetup) -> None:
        """Nothing is asked yet."""
        self.found: list[Finding] = []
        self.reached = True
        """Whether the source was there whenever it was asked."""
        self._setup = setup
        self._trips_s: list[float] = []

    async def ask(
        self, call: Callable[[], Awaitable[T]], *, subject: str = "", entitled: str = "", unreadable: str = "status"
    ) -> T | None:
        """What a call answers, or None where it fails, which is said.

        `subject` is what it is about, `entitled` the hint where a right is refused, `unreadable` what is not well where
        the answer is none.
        """
        begun_s = self._setup.monotonic()
        try:
            answer = await call()
        except EntitlementLost as error:
            hint = "check the key file" if "401" in error.what or not entitled else entitled
            self.say("entitlement", subject, ok=False, detail=error.what, hint=hint)
        except RateLimited as error:
            self.say("rate_budget", subject, ok=False, detail=error.what, hint="wait before asking again")
        except VenueUnreachable as error:
            self.reached = False
            self.say("reachable", subject, ok=False, detail=error.what)
        except BadMessage as error:
            self.say(unreadable, subject, ok=False, detail=error.what)
        except ConnectorError as error:
            self.say("status", subject, ok=None, detail=str(error))
        except PeglineError as error:
            self.say("entitlement", "key file", ok=False, detail=error.what, hint=error.hint)
        else:
            self._trips_s.append(self._setup.monotonic() - begun_s)
            return answer
        return None

    def latency(self) -> None:
        """Says how long the quickest answer took, where there was one."""
        if self._trips_s:
            trip_s = min(self._trips_s)
            self.say("latency", ok=trip_s <= SLOW_S, value=trip_s, unit="s")

    def clock(self, measured: Offset | None) -> None:
        """Says how far the source's clock is off; None where it could not be told."""
        if measured is None:
            self.say("clock", ok=None, detail="it was not told")
            return
        well = abs(measured.offset_s) <= CLOCK_OK_S + measured.error_s
        detail = f"known to within {measured.error_s:.3f} s"
        self.say("clock", ok=well, detail=detail, value=measured.offset_s, unit="s")

    def symbol(self, symbol: str, detail: str, *, missing: str = "") -> None:
        """Says that an instrument is there; with `missing`, what to write, that it is not."""
        self.say("symbol", symbol, ok=not missing, detail=detail, hint=missing)

    def say(
        self, what: str, subject: str = "", *, ok: bool | None, detail: str = "", hint: str = "",
        value: float | None = None, unit: str = "",
    ) -> None:  # fmt: skip
        """One finding."""
        detail = masked(self._setup, detail)[:200]
        self.found.append(Finding(what=what, subject=subject, ok=ok, detail=detail, hint=hint, value=value, unit=unit))
