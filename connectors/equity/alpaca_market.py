"""What Alpaca says about the market as a whole: its session and clock, and the corporate actions of the days ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import aiohttp

from connectors.equity import alpaca_rest as rest
from connectors.equity.alpaca_ask import Ask
from connectors.equity.corporate import put
from connectors.errors import ConnectorError, EntitlementLost
from connectors.events import NS, Kind
from connectors.poll import Poll
from connectors.ports import Sink

CALENDAR_EVERY_S: Final = 6 * 3600.0
AHEAD_DAYS: Final = 60
"""Corporate actions are asked for so far ahead."""

BEHIND_DAYS: Final = 7
"""And so far back, so that an event of these days is known after a restart."""


class Market:
    """Two tasks that ask until cancelled; whatever the venue answers ends neither."""

    def __init__(
        self, ask: Ask, sink: Sink, numbers: Mapping[str, int], *, clock_s: float, actions_s: float, retry_s: float
    ) -> None:
        """`numbers` by symbol; `retry_s` is the pace after a refusal."""
        self._ask, self._sink, self._numbers = ask, sink, numbers
        self._clock_s, self._actions_s, self._retry_s = clock_s, actions_s, retry_s
        self._days: Mapping[date, tuple[datetime, datetime]] = {}
        self._calendar_in = 0.0

    async def clocks(self, session: aiohttp.ClientSession) -> None:
        """The market's own status as SESSION rows, and how far its clock is from ours."""
        poll = self._ask.new_poll()
        while True:
            pause_s = self._clock_s
            try:
                await self._look_at_the_clock(session, poll)
            except ConnectorError as error:
                pause_s = self._failed("clock", error)
            self._calendar_in -= pause_s
            await self._ask.setup.sleep(pause_s)

    async def actions(self, session: aiohttp.ClientSession) -> None:
        """Splits and dividends of the days ahead as ACTION rows."""
        poll = self._ask.new_poll()
        while True:
            pause_s = self._actions_s
            try:
                await self._look_at_actions(session, poll)
            except ConnectorError as error:
                self._failed("corporate actions", error)
                pause_s = self._retry_s
            await self._ask.setup.sleep(pause_s)

    async def _look_at_the_clock(self, session: aiohttp.ClientSession, poll: Poll) -> None:
        ask = self._ask
        if self._calendar_in <= 0:
            body = await ask.get(session, ask.trading + "/v2/calendar", poll=poll, **self._span(7))
            self._days = rest.calendar(body)
            self._calendar_in = CALENDAR_EVERY_S
        asked = ask.setup.clock()
        answer = rest.clock(await ask.get(session, ask.trading + "/v2/clock", poll=poll))
        answered = ask.setup.clock()
        ts = round(answer.timestamp.timestamp() * 1e6) * 1000
        self._sink.clock(ask.setup.venue, (ts - (asked + answered) / 2) / NS, abs(answered - asked) / 2 / NS)
        code = float(rest.session_code(answer, self._days))
        for number in self._numbers.values():
            self._sink.put(Kind.SESSION, number, ts_venue=ts, bid=code)

    async def _look_at_actions(self, session: aiohttp.ClientSession, poll: Poll) -> None:
        """One round over all pages."""
        ask, page = self._ask, ""
        symbols, span = ",".join(self._numbers), self._span(AHEAD_DAYS)
        for _ in range(100):
            more = {"page_token": page} if page else {}
            body = await ask.get(
                session,
                ask.data + "/v1/corporate-actions",
                poll=poll,
                symbols=symbols,
                types=rest.ACTION_TYPES,
                **span,
                **more,
            )
            found, page = rest.actions(body)
            for action in found:
                if action.symbol in self._numbers:
                    put(self._sink, ask.setup.venue, self._numbers[action.symbol], action)
            if not page:
                return
        ask.reject("poll_failed", "corporate actions: the pages do not end")

    def _failed(self, what: str, error: ConnectorError) -> float:
        """Counts a failure; returns the pause after it."""
        lost = isinstance(error, EntitlementLost)
        self._ask.reject(error.word if lost else "poll_failed", f"{what}: {error}")
        return self._retry_s if lost else self._clock_s

    def _span(self, ahead_days: int) -> dict[str, str]:
        today = datetime.fromtimestamp(self._ask.setup.clock() / NS, UTC).date()
        return {"start": str(today - timedelta(days=BEHIND_DAYS)), "end": str(today + timedelta(days=ahead_days))}
