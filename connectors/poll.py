"""One REST life: weights around asyncio-throttle, a share kept for urgent calls, the venue's own word on its budget,
jittered back-off, and nothing before Retry-After.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
import numpy as np
from asyncio_throttle.throttler import Throttler

from connectors.backoff import Backoff, Sleep
from connectors.errors import BadMessage, ConnectorError, Maintenance, RateLimited, VenueUnreachable
from connectors.refusal import MAX_RETRY_AFTER_S, refused, retry_after_s, unreachable
from connectors.vitals import Vitals

T = TypeVar("T")

MAX_BODY_BYTES: Final = 32 << 20
"""An answer of more than 32 MiB is refused: the longest list of markets that we know has 6 MB."""

ANSWER_S: Final = 15.0
"""Time for one answer; who must find out sooner that nothing comes any more gives less."""

__all__ = ["MAX_BODY_BYTES", "MAX_RETRY_AFTER_S", "Budget", "Poll", "retry_after_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The headers in which a venue tells how much of its rate budget is gone; a venue's file gives them as data."""

    used: str = ""
    """Header with what is used of `limit`."""
    left: str = ""
    """Header with what is left of `limit`."""
    limit: str | float
    """Header with the whole, or the whole."""
    window_s: float = 60.0
    """After so long the budget is whole again."""

    def used_ratio(self, headers: Mapping[str, str]) -> float | None:
        """Share that is used; None where the headers do not say."""
        try:
            limit = float(headers[self.limit]) if isinstance(self.limit, str) else self.limit
            used = float(headers[self.used]) if self.used else limit - float(headers[self.left])
        except (KeyError, ValueError):
            return None
        return used / limit if limit > 0 and used >= 0 else None


class Poll:
    """Calls one venue at most `per_period` times in `period_s` seconds, and slower when it asks for it."""

    def __init__(
        self,
        venue: str,
        *,
        clock: Callable[[], int],
        rng: np.random.Generator,
        sleep: Sleep,
        per_period: int = 1,
        period_s: float = 1.0,
        tries: int = 4,
        reserve: float = 0.0,
        budgets: Iterable[Budget] = (),
        max_wait_s: float = float("inf"),
        answer_s: float = ANSWER_S,
        monotonic: Callable[[], float] | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        """`tries` calls at most before the last error is raised; a 429 is none of them. `reserve` is the share of every
        budget that only urgent calls (those that reduce risk) may use. Where the venue asks for more than `max_wait_s`
        seconds, RateLimited is raised instead; an answer may take `answer_s`. `clock` gives ns UTC, `monotonic`
        seconds, `sleep` is the door to wait.
        """
        self.venue = venue
        self.calls = 0
        """Calls that were made, failed ones included."""
        self.limited = 0
        """Answers that asked us to slow down."""
        self._clock, self._sleep, self._rng = clock, sleep, rng
        self._monotonic = monotonic or (lambda: asyncio.get_running_loop().time())
        self._tries, self._max_wait_s, self._answer_s = tries, max_wait_s, answer_s
        self._reserve = reserve
        self._budgets = tuple(budgets)
        self._vitals = vitals or Vitals()
        self._whole = _Window(rate_limit=per_period, period=period_s)
        self._common = _Window(rate_limit=max(1, int(per_period * (1.0 - reserve))), period=period_s)
        self._common_not_before = float("-inf")
        self._limits = Backoff(rng, first_s=1.0)
        self._told: float | None = None

    @property
    def used_ratio(self) -> float:
        """Share of the rate budget in use: by the venue's last word, and by our own count where that is more."""
        return max(self._whole.used_ratio, self._told or 0.0)

    async def call(
        self, ask: Callable[[], Awaitable[T]], *, cost: int = 1, endpoint: str = "rest", urgent: bool = False
    ) -> T:
        """What `ask` answers, tried again after RateLimited and VenueUnreachable. Raises the last error.

        `cost` is the call's weight in the budget; `endpoint` the word under which it is counted.
        """
        backoff = Backoff(self._rng, first_s=1.0)
        while True:
            await self._turn(cost, urgent)
            self.calls += 1
            self._vitals.calls[endpoint] += 1
            self._vitals.used_ratio = self.used_ratio
            try:
                answer = await ask()
            except ConnectorError as error:
                self._vitals.failures[error.word] += 1
                if isinstance(error, RateLimited):
                    self._slow_down(error)
                    continue
                if not isinstance(error, VenueUnreachable) or backoff.tries + 1 >= self._tries:
                    raise
            else:
                self._limits.reset()
                return answer
            await self._sleep(backoff.next_s())

    async def get(self, session: aiohttp.ClientSession, url: str, **params: str) -> bytes:
        """The body behind `url`, as `fetch`."""
        return await self.fetch(session, url, params)

    async def fetch(
        self,
        session: aiohttp.ClientSession,
        url: str,
        params: Mapping[str, str],
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        cost: int = 1,
        endpoint: str = "rest",
        urgent: bool = False,
    ) -> bytes:
        """The body behind `url`; `headers` are made anew for each try, because a signature carries its time.

        Raises EntitlementLost (401, 403), VenueUnreachable (5xx, no connection, time-out; Maintenance for 503 or a page
        of HTML), BadMessage (another status, a body that is too long), and RateLimited only as `max_wait_s` says.
        """
        return await self.call(
            lambda: self._get(session, url, headers(), params), cost=cost, endpoint=endpoint, urgent=urgent
        )

    def heard(self, headers: Mapping[str, str]) -> None:
        """Takes note of what an answer's headers say of the budget; `get` does so by itself."""
        for budget in self._budgets:
            ratio = budget.used_ratio(headers)
            if ratio is not None:
                self._told = ratio
                self._vitals.used_ratio = self.used_ratio
                if ratio >= 1.0 - self._reserve:
                    self._common_not_before = self._monotonic() + budget.window_s

    async def _turn(self, cost: int, urgent: bool) -> None:
        """Waits until a call may go out. Raises RateLimited where that is too long to wait."""
        if not urgent:
            await self._until(lambda: self._common_not_before)
            await self._common.take(cost)
        await self._until(lambda: self._vitals.not_before)
        await self._whole.take(cost)

    async def _until(self, moment: Callable[[], float]) -> None:
        """Waits for a moment, and on where it was put off meanwhile."""
        while (wait_s := (until := moment()) - self._monotonic()) > 0.0:
            if wait_s > self._max_wait_s:
                raise RateLimited("the venue asks for patience", where=self.venue, retry_after_s=wait_s)
            await self._sleep(wait_s)
            if moment() <= until:
                return

    def _slow_down(self, error: RateLimited) -> None:
        """Nothing goes out before the venue allows it again, and what it does not say is doubled each time."""
        self.limited += 1
        wait_s = self._limits.next_s() if error.retry_after_s is None else error.retry_after_s
        until = self._monotonic() + min(wait_s, MAX_RETRY_AFTER_S)
        self._vitals.not_before = max(self._vitals.not_before, until)
        if wait_s > self._max_wait_s:
            raise error

    async def _get(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> bytes:
        where = self.venue
        patience = aiohttp.ClientTimeout(total=self._answer_s)
        # A redirect would carry the headers, and what is secret in them, to another host.
        onward = not headers
        try:
            async with session.get(
                url, params=params, headers=headers, allow_redirects=onward, timeout=patience
            ) as answer:
                self.heard(answer.headers)
                if answer.status != 200:
                    raise refused(where, answer.status, answer.headers, self._clock())
                if answer.content_type == "text/html":
                    raise Maintenance("a page for people instead of data", where=where)
                body = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise BadMessage(f"an answer of more than {MAX_BODY_BYTES} bytes", where=where)
                return bytes(body)
        except TimeoutError as error:
            raise VenueUnreachable(f"no answer in {self._answer_s:g} s", where=where) from error
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(where, "no answer", error) from None


class _Window(Throttler):
    """asyncio-throttle's sliding window, with weights and a count of what is used."""

    async def take(self, cost: int) -> None:
        """Waits until `cost` more fit into the window."""
        for _ in range(cost):
            await self.acquire()  # type: ignore[no-untyped-call]  # the library has no types

    @property
    def used_ratio(self) -> float:
        """Share of the window that is used."""
        self.flush()  # type: ignore[no-untyped-call]  # as above
        return len(self._task_logs) / self.rate_limit
