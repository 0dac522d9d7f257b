"""What an exchange is asked over REST: one patience for all instances of a venue, and errors of ours.

ccxt asks by itself too (lists of markets, snapshots of books, and those up to three times in a row), so the patience
stands where ccxt makes its requests: after an answer that asks to slow down nothing goes out before Retry-After.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from connectors.cex.foreseen import UNFORESEEN, refusal
from connectors.cex.quirks import Quirk
from connectors.errors import BadMessage, ConnectorError, EntitlementLost, RateLimited, SymbolUnknown, VenueUnreachable
from connectors.events import Why
from connectors.poll import MAX_RETRY_AFTER_S, Poll, retry_after_s
from connectors.ports import FeedSetup, Sink

T = TypeVar("T")

ANSWER_S: Final = 30.0
"""Time for one answer; the longest list of markets takes a few seconds."""

UNNAMED_S: Final = 10.0
"""How long to keep still where a venue asks to slow down and does not say for how long."""

BUDGET_HEADERS: Final = (
    "X-MBX-USED-WEIGHT-1M", "X-Bapi-Limit-Status", "X-Gate-RateLimit-Requests-Remain", "gw-ratelimit-remaining",
)  # fmt: skip
"""Headers in which venues tell how much of the budget is used or left: Binance, Bybit, Gate, KuCoin."""


class Rest:
    """The REST side of one venue."""

    def __init__(self, setup: FeedSetup, quirk: Quirk) -> None:
        """Nothing is asked yet."""
        self.budget: dict[str, str] = {}
        """The newest of BUDGET_HEADERS."""
        self.limited = 0
        """Answers that asked us to slow down."""
        self.calls = 0
        """Requests that went out, those of ccxt included."""
        self._venue = setup.venue
        self._clock, self._monotonic, self._sleep = setup.clock, setup.monotonic, setup.sleep
        self._refused = frozenset({401} if quirk.forbidden_is_limit else {401, 403})
        self._slow_down = frozenset({418, 429, 403} if quirk.forbidden_is_limit else {418, 429})
        self._vitals = setup.vitals
        self._told: tuple[Sink, tuple[int, ...]] | None = None
        self._limit_stands = False
        self._poll = Poll(
            setup.venue, clock=setup.clock, rng=setup.rng, sleep=setup.sleep, per_period=10, period_s=1.0,
            monotonic=setup.monotonic, vitals=setup.vitals,
        )  # fmt: skip

    def patient(self, exchange: Any) -> Any:
        """A subclass of a ccxt exchange whose every request waits for its time, and whose refusals are ours."""
        rest = self

        class Patient(exchange):  # type: ignore[misc]  # ccxt has no types
            """The exchange as it is, with its requests seen; once closed it opens nothing any more."""

            gone = False

            async def close(self) -> None:
                self.gone = True
                await super().close()

            def open(self, *args: Any) -> None:
                # What ccxt left under way when another call failed would make a session that nobody closes.
                if self.gone:
                    raise VenueUnreachable("closed", where=rest._venue)
                super().open(*args)

            async def fetch(self, *args: Any, **kwargs: Any) -> Any:
                await rest.wait()
                rest.calls += 1
                answer = await super().fetch(*args, **kwargs)
                rest.limit(False)
                return answer

            def on_rest_response(self, code: int, *rest_of_it: Any) -> Any:
                rest.answered(code, rest_of_it[3])
                return super().on_rest_response(code, *rest_of_it)

        return Patient

    def tell(self, sink: Sink, numbers: Iterable[int]) -> None:
        """From now on `sink` is told when the venue asks to slow down, against these instruments."""
        self._told = sink, tuple(numbers)

    def limit(self, stands: bool) -> None:
        """RATE_LIMITED stands from the word that says so, over REST or in a stream, until the venue may be asked again
        and gives what it is asked for. Nobody else says it of these instruments.
        """
        if stands is self._limit_stands or (not stands and self._monotonic() < self._vitals.not_before):
            return
        self._limit_stands = stands
        if self._told is not None:
            sink, numbers = self._told
            (sink.against if stands else sink.cleared)(numbers, Why.RATE_LIMITED)

    async def wait(self) -> None:
        """Until the venue may be asked again."""
        left_s = self._vitals.not_before - self._monotonic()
        if left_s > 0.0:
            await self._sleep(left_s)

    def answered(self, code: int, headers: Mapping[str, str]) -> None:
        """One answer came. Raises RateLimited or EntitlementLost for those that say so by their status alone."""
        lower = {name.lower(): value for name, value in headers.items()}
        for name in BUDGET_HEADERS:
            if name.lower() in lower:
                self.budget[name] = lower[name.lower()]
        if code in self._slow_down:
            self.limited += 1
            named_s = retry_after_s(lower.get("retry-after", ""), self._clock())
            wait_s = min(UNNAMED_S if named_s is None else named_s, MAX_RETRY_AFTER_S)
            self._vitals.not_before = max(self._vitals.not_before, self._monotonic() + wait_s)
            self.limit(True)
            raise RateLimited(f"the venue answers {code}", where=self._venue, retry_after_s=named_s)
        if code in self._refused:
            raise EntitlementLost(f"the venue answers {code}", where=self._venue)

    async def call(self, module: Any, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answers, asked again where that may help. Raises a ConnectorError."""

        async def once() -> T:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await ask()
            except TimeoutError as error:
                raise VenueUnreachable("no answer in time", where=self._venue) from error
            except Exception as error:
                ours = translated(module, error, self._venue)
                if isinstance(ours, RateLimited):
                    self.limit(True)
                raise ours from error

        return await self._poll.call(once)


async def close(exchange: Any) -> None:
    """Closes a ccxt exchange to the end, whoever is cancelled meanwhile: half closed it leaves its sockets open."""
    closing = asyncio.ensure_future(exchange.close())
    try:
        await asyncio.shield(closing)
    finally:
        await closing


def translated(module: Any, error: BaseException, venue: str) -> ConnectorError:
    """An error of ccxt as one of ours, with what to do about it; its text cut short, since it may hold an address.

    An answer that its parsers break over is a BadMessage, counted as unforeseen where no rubbish accounts for the type.
    """
    if isinstance(error, ConnectorError):
        return error
    words = f"{type(error).__name__}: {str(error)[:200]}"
    if isinstance(error, (module.BadSymbol,)):
        return SymbolUnknown(words, where=venue)
    if isinstance(error, (module.AuthenticationError, module.PermissionDenied)):
        return EntitlementLost(words, where=venue)
    if isinstance(error, (module.DDoSProtection, module.RateLimitExceeded)):
        return RateLimited(words, where=venue)
    word = refusal(error)
    if word in ("venue_error", "disconnected"):
        return VenueUnreachable(words, where=venue)
    bad = BadMessage(words, where=venue)
    bad.word = UNFORESEEN if word == UNFORESEEN else BadMessage.word
    return bad
