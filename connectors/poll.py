"""One REST life: a throttle of our own around asyncio-throttle, jittered back-off, and respect for Retry-After."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import aiohttp
import numpy as np
from asyncio_throttle.throttler import Throttler

from connectors.backoff import Backoff, Sleep
from connectors.errors import BadMessage, EntitlementLost, RateLimited, VenueUnreachable
from connectors.events import NS

T = TypeVar("T")

MAX_BODY_BYTES: Final = 32 << 20
"""An answer of more than 32 MiB is refused: the longest list of markets that we know has 6 MB."""

MAX_RETRY_AFTER_S: Final = 3600.0
"""A venue that asks for more patience than an hour gets an hour; it will say so again."""


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
    ) -> None:
        """`tries` calls at most before the last error is raised; `clock` gives ns UTC, `sleep` is the door to wait."""
        self.venue = venue
        self.calls = 0
        """Calls that were made, failed ones included."""
        self.limited = 0
        """Answers that asked us to slow down."""
        self._clock = clock
        self._sleep = sleep
        self._backoff = Backoff(rng, first_s=1.0)
        self._tries = tries
        self._throttle = Throttler(rate_limit=per_period, period=period_s)

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answers, tried again after RateLimited and VenueUnreachable. Raises the last error."""
        self._backoff.reset()
        while True:
            async with self._throttle:
                self.calls += 1
                try:
                    return await ask()
                except RateLimited as error:
                    self.limited += 1
                    if self._backoff.tries + 1 >= self._tries:
                        raise
                    wait_s = max(self._backoff.next_s(), min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
                except VenueUnreachable:
                    if self._backoff.tries + 1 >= self._tries:
                        raise
                    wait_s = self._backoff.next_s()
            await self._sleep(wait_s)

    async def get(self, session: aiohttp.ClientSession, url: str, **params: str) -> bytes:
        """The body behind `url`.

        Raises RateLimited (429, or 418 as some exchanges say it), EntitlementLost (401, 403), VenueUnreachable
        (5xx, no connection, time-out) and BadMessage (another status, a body that is too long).
        """
        return await self.call(lambda: self._get(session, url, params))

    async def _get(self, session: aiohttp.ClientSession, url: str, params: dict[str, str]) -> bytes:
        where = self.venue
        try:
            async with session.get(url, params=params) as answer:
                if answer.status in (418, 429):
                    wait_s = retry_after_s(answer.headers.get("Retry-After", ""), self._clock())
                    raise RateLimited(f"the venue answers {answer.status}", where=where, retry_after_s=wait_s)
                if answer.status in (401, 403):
                    raise EntitlementLost(f"the venue answers {answer.status}", where=where)
                if answer.status >= 500:
                    raise VenueUnreachable(f"the venue answers {answer.status}", where=where)
                if answer.status != 200:
                    raise BadMessage(f"the venue answers {answer.status}", where=where)
                body = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise BadMessage(f"an answer of more than {MAX_BODY_BYTES} bytes", where=where)
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VenueUnreachable(f"no answer: {error}", where=where) from error


def retry_after_s(header: str, now_ns: int) -> float | None:
    """Seconds to wait by a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3); None where it has none."""
    try:
        wait_s = float(header)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(header).timestamp() - now_ns / NS
        except (ValueError, TypeError):
            return None
    return max(0.0, wait_s) if wait_s == wait_s else None
