"""One websocket life: connect, subscribe, hear a first message in time, stay heard, end with a reason; and back-off.

A life ends always with an error of connectors/errors.py. `live` strings lives together: it waits a jittered back-off
between them and starts again with a new connection and the same subscriptions. Only an error that says "stop this
venue" leaves it, and a refusal (401, 403) where nobody wants to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import numpy as np

from connectors.backoff import REFUSED_S, STEADY_S, Sleep, of_stream
from connectors.errors import (
    Action,
    BadMessage,
    ConnectorError,
    EntitlementLost,
    FrameTooLarge,
    RateLimited,
    Silent,
    VenueUnreachable,
)
from connectors.refusal import refused, unreachable
from connectors.vitals import Vitals

Hear = Callable[[str | bytes], Iterable[str | bytes] | None]
"""Takes one message; what it gives back is sent as the answer."""

MAX_FRAME_BYTES: Final = 1 << 20
"""A frame of more than 1 MiB is refused before it is read: the largest book snapshot that we know has 150 kB."""

GOODBYE_S: Final = 0.5
"""How long a closing line is waited for; aiohttp's own 10 s would be added to every detection of a dead one."""

_DATA: Final = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

__all__ = ["FrameTooLarge", "Hear", "Line", "Socket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where to connect and what to say there."""

    venue: str
    url: str
    hello: tuple[str, ...] = ()
    """Text messages that subscribe, sent after each connect."""
    repeat: tuple[str, ...] = ()
    """Text messages sent every `repeat_s`: a venue's own ping, or what it wants to be asked again."""
    repeat_s: float = 10.0
    first_message_s: float = 15.0
    heartbeat_s: float = 9.0
    """A protocol ping goes out after so many seconds of silence (aiohttp rounds up to a whole one); without a pong
    within half of it the line is dead: found out in at most 14.5 s."""
    idle_s: float = float("inf")
    """A life in which no message comes for so long is over, pongs or not; for venues that always have something to say.
    """
    max_bytes: int = MAX_FRAME_BYTES
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the handshake; no secret among them."""
    refused_s: float | None = REFUSED_S
    """Pause after 401 or 403; None: that error leaves `live`."""


class Socket:
    """The lives of one line, and what they have counted."""

    def __init__(
        self,
        line: Line,
        *,
        rng: np.random.Generator,
        sleep: Sleep,
        vitals: Vitals | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """`rng` jitters the back-off, `sleep` is the door through which it waits, `vitals` are those of the venue,
        `monotonic` gives seconds.
        """
        self.line = line
        self.frames = 0
        """Messages read."""
        self.lives = 0
        """Connections that were made."""
        self.up = False
        """Whether the present life has heard a message."""
        self._vitals = vitals or Vitals()
        self._monotonic = monotonic or (lambda: asyncio.get_running_loop().time())
        self._backoff = of_stream(rng)
        self._sleep = sleep
        self._patience: asyncio.Timeout | None = None
        self._ending: ConnectorError | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._saying: set[asyncio.Task[None]] = set()

    def say(self, text: str) -> None:
        """Sends a text on the present life, in answer to nothing; where there is none, nothing."""
        if self._ws is not None:
            task = asyncio.create_task(_said(self._ws, text))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)

    def end(self, error: ConnectorError) -> None:
        """Ends the present life with this error, whether or not anything more is heard; where there is none, nothing.

        For those who learn outside of `hear` that this life is no good.
        """
        if self._patience is not None:
            self._ending = error
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def live(self, hear: Hear, ended: Callable[[ConnectorError], None], up: Callable[[], None]) -> None:
        """Life after life, until cancelled: `hear` gets each message, `up` the first of a life, `ended` why it ended.

        What `hear` gives back is sent. It may raise a ConnectorError to end the life: BadMessage where a state cannot
        be trusted and needs a new snapshot, EntitlementLost where the venue says so in a message. Raises only a
        ConnectorError that does not say RETRY; EntitlementLost only where the line says so.
        """
        async with aiohttp.ClientSession() as session:
            while True:
                started = asyncio.get_running_loop().time()
                try:
                    await self._life(session, hear, up)
                except ConnectorError as error:
                    self.up = False
                    if asyncio.get_running_loop().time() - started > STEADY_S:
                        self._backoff.reset()
                    ended(error)
                    await self._sleep(self._pause_s(error))
                while (wait_s := (until := self._vitals.not_before) - self._monotonic()) > 0.0:
                    await self._sleep(wait_s)
                    if self._vitals.not_before <= until:
                        break

    def _pause_s(self, error: ConnectorError) -> float:
        """Seconds until the next life. Raises the error after which there is none."""
        if isinstance(error, EntitlementLost) and self.line.refused_s is not None:
            return self.line.refused_s
        if error.action is not Action.RETRY:
            raise error
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            until = self._monotonic() + error.retry_after_s
            self._vitals.not_before = max(self._vitals.not_before, until)
        return self._backoff.next_s()

    async def _life(self, session: aiohttp.ClientSession, hear: Hear, up: Callable[[], None]) -> None:
        """From connect to the end, which is always a ConnectorError."""
        line = self.line
        self._ending = None
        try:
            async with (
                asyncio.timeout(line.first_message_s) as patience,
                session.ws_connect(
                    line.url,
                    heartbeat=line.heartbeat_s,
                    max_msg_size=line.max_bytes,
                    headers=line.headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE_S),
                ) as ws,
            ):
                self.lives += 1
                self._vitals.lives += 1
                self._vitals.reconnects += self.lives > 1
                for text in line.hello:
                    await ws.send_str(text)
                repeating = asyncio.create_task(self._repeat(ws))
                idle = _Idle(patience, line.idle_s)
                self._patience, self._ws = patience, ws
                try:
                    while True:
                        message = await ws.receive()
                        if message.type not in _DATA:
                            raise _ending(line.venue, message, ws)
                        self.frames += 1
                        idle.quiet = False
                        if not self.up:
                            self.up = True
                            idle.begin()
                            up()
                        for answer in hear(message.data) or ():
                            await (ws.send_str(answer) if isinstance(answer, str) else ws.send_bytes(answer))
                finally:
                    self._patience = self._ws = None
                    repeating.cancel()
                    idle.end()
        except TimeoutError as error:
            if self._ending is not None:
                raise self._ending from error
            raise Silent("no message in time", where=line.venue, hint="silence is not a quote") from error
        except aiohttp.WSServerHandshakeError as error:
            refusal = refused(line.venue, error.status, error.headers or {})
            # A handshake that is not understood may be understood later: 404 while a venue restarts.
            if isinstance(refusal, BadMessage):
                refusal = VenueUnreachable(refusal.what, where=line.venue)
            raise refusal from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(line.venue, "no connection", error) from None

    async def _repeat(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Says again what the venue wants to hear again; a closed line ends it quietly, the reader tells why."""
        while self.line.repeat and not ws.closed:
            await self._sleep(self.line.repeat_s)
            for text in self.line.repeat:
                await _said(ws, text)


async def _said(ws: aiohttp.ClientWebSocketResponse, text: str) -> None:
    """Sends a text; over a line that has just gone, quietly not: the reader tells why."""
    with suppress(aiohttp.ClientError, OSError):
        await ws.send_str(text)


class _Idle:
    """Ends a life in which nothing is heard for too long: looked at twice in that time, so that a message costs nothing
    but a flag. It is found out in at most one and a half times `idle_s`.
    """

    def __init__(self, patience: asyncio.Timeout, idle_s: float) -> None:
        """`patience` is what expires."""
        self.quiet = False
        """Set false by each message."""
        self._patience, self._every_s = patience, idle_s / 2
        self._looks = 0
        self._next: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The first message of the life is there."""
        self._patience.reschedule(None)
        if self._every_s < float("inf"):
            self._wait()

    def end(self) -> None:
        """The life is over."""
        if self._next is not None:
            self._next.cancel()

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        self._looks = self._looks + 1 if self.quiet else 0
        self.quiet = True
        if self._looks < 2:
            self._wait()
        else:
            self._patience.reschedule(asyncio.get_running_loop().time())


def _ending(venue: str, message: aiohttp.WSMessage, ws: aiohttp.ClientWebSocketResponse) -> ConnectorError:
    """Why no further message will come."""
    if isinstance(message.data, aiohttp.WebSocketError):
        if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            return FrameTooLarge(str(message.data), where=venue)
        return BadMessage(str(message.data), where=venue)
    if isinstance(ws.exception(), aiohttp.ServerTimeoutError):
        return Silent("the line does not answer pings", where=venue)
    return VenueUnreachable(f"the venue closed the connection (code {ws.close_code})", where=venue)
