"""One websocket life: connect, subscribe, hear a first message in time, stay heard, end with a reason; and back-off.

A life ends always with an error of connectors/errors.py. `live` strings lives together: it waits a jittered back-off
between them and starts again with a new connection and the same subscriptions. Only an error that says "stop this
venue" leaves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import numpy as np

from connectors.backoff import STEADY_S, Backoff, Sleep
from connectors.errors import Action, BadMessage, ConnectorError, EntitlementLost, VenueUnreachable

MAX_FRAME_BYTES: Final = 1 << 20
"""A frame of more than 1 MiB is refused before it is read: the largest book snapshot that we know has 150 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where to connect and what to say there."""

    venue: str
    url: str
    hello: tuple[str, ...] = ()
    """Text messages that subscribe, sent after each connect."""
    repeat: tuple[str, ...] = ()
    """Text messages sent every `heartbeat_s`, for venues that want to be asked again."""
    first_message_s: float = 15.0
    heartbeat_s: float = 10.0
    """A protocol ping goes out after so many seconds of silence; without a pong within half of it the line is dead."""
    max_bytes: int = MAX_FRAME_BYTES


Hear = Callable[[str | bytes], Sequence[str] | None]
"""Takes one message; gives the texts to answer it with."""


class Socket:
    """The lives of one line, and what they have counted."""

    def __init__(self, line: Line, *, rng: np.random.Generator, sleep: Sleep) -> None:
        """`rng` jitters the back-off, `sleep` is the door through which it waits."""
        self.line = line
        self.frames = 0
        """Messages read."""
        self.lives = 0
        """Connections that were made."""
        self.up = False
        """Whether the present life has heard a message."""
        self._backoff = Backoff(rng)
        self._sleep = sleep
        self._patience: asyncio.Timeout | None = None
        self._ending: ConnectorError | None = None

    def end(self, error: ConnectorError) -> None:
        """Ends the present life with this error, whether or not anything more is heard; where there is none, nothing.

        For those who learn outside of `hear` that this life is no good.
        """
        if self._patience is not None:
            self._ending = error
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def live(self, hear: Hear, ended: Callable[[ConnectorError], None], up: Callable[[], None]) -> None:
        """Life after life, until cancelled: `hear` gets each message, `up` the first of a life, `ended` why it ended.

        `hear` may raise BadMessage to end the life (a state that cannot be trusted needs a new snapshot). Raises only
        a ConnectorError that does not say RETRY.
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
                    if error.action is not Action.RETRY:
                        raise
                await self._sleep(self._backoff.next_s())

    async def _life(self, session: aiohttp.ClientSession, hear: Hear, up: Callable[[], None]) -> None:
        """From connect to the end, which is always a ConnectorError."""
        line = self.line
        self._ending = None
        try:
            async with (
                asyncio.timeout(line.first_message_s) as patience,
                session.ws_connect(line.url, heartbeat=line.heartbeat_s, max_msg_size=line.max_bytes) as ws,
            ):
                self.lives += 1
                for text in line.hello:
                    await ws.send_str(text)
                repeating = asyncio.create_task(self._repeat(ws))
                try:
                    self._patience = patience
                    while True:
                        message = await ws.receive()
                        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                            raise _ending(line.venue, message, ws.close_code)
                        self.frames += 1
                        if not self.up:
                            self.up = True
                            patience.reschedule(None)
                            up()
                        for text in hear(message.data) or ():
                            await ws.send_str(text)
                finally:
                    self._patience = None
                    repeating.cancel()
        except TimeoutError as error:
            if self._ending is not None:
                raise self._ending from error
            raise VenueUnreachable("no message in time", where=line.venue, hint="silence is not a quote") from error
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise EntitlementLost(f"the venue answers {error.status}", where=line.venue) from error
            raise VenueUnreachable(f"the venue answers {error.status}", where=line.venue) from error
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnreachable(f"no connection: {error}", where=line.venue) from error

    async def _repeat(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Says again what the venue wants to hear again; a closed line ends it quietly, the reader tells why."""
        while self.line.repeat and not ws.closed:
            await self._sleep(self.line.heartbeat_s)
            for text in self.line.repeat:
                try:
                    await ws.send_str(text)
                except (aiohttp.ClientError, OSError):
                    return


class FrameTooLarge(BadMessage):
    """A frame was longer than the line allows; it was not read."""


def reason(error: ConnectorError) -> str:
    """The word under which the end of a life is counted."""
    if isinstance(error, FrameTooLarge):
        return "frame_too_large"
    if isinstance(error, BadMessage):
        return "bad_message"
    if isinstance(error, EntitlementLost):
        return "entitlement_lost"
    return "disconnected"


def _ending(venue: str, message: aiohttp.WSMessage, close_code: int | None) -> ConnectorError:
    """Why no further message will come."""
    if isinstance(message.data, aiohttp.WebSocketError):
        if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            return FrameTooLarge(str(message.data), where=venue)
        return BadMessage(str(message.data), where=venue)
    return VenueUnreachable(f"the venue closed the connection (code {close_code})", where=venue)
