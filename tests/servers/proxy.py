"""A proxy on loopback that stands in front of any local venue and does to the traffic what a bad network does.

`async with FaultProxy(server.url) as proxy:` and the client is given `proxy.url`. It knows TCP, HTTP/1.1 and websocket
frames, and no venue. Faults may be set and taken back at any time, for connections that are open and for new ones:

- TCP: `reset()`, `refusing`, and for each direction (`down` is venue to client, `up` client to venue) `hold()` and
  `release()` (a black hole: connected, nothing arrives; what was held arrives late, as TCP has it), `delay_s`,
  `bytes_per_s` (slow), `cut_after` (a reset after so many bytes, in mid-message).
- websocket messages: `down.edits` and `up.edits`, made by the functions below: drop, duplicate, late, swap, corrupt,
  flood.
- HTTP: `refusals` (tests/servers/refusals.py), `lost` (the venue acts, its answer never comes), `late_s`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

from tests.servers.listening import deaf
from tests.servers.refusals import Answer, Refusal, Request

PATIENCE_S = 60.0
_LIMIT = 64 << 20
_CHUNK = 1 << 16
_CONTINUATION, _TEXT, _CLOSE = 0, 1, 8
FIN, RST = b"fin", b"rst"
"""Ends of a stream, known by identity: polite and not."""


class Part(NamedTuple):
    """A message on its way out, and how much later than it came it leaves."""

    data: bytes
    late_s: float = 0.0


Edit = Callable[[bytes], Sequence[Part]]
"""What becomes of one websocket message: nothing, itself, something else, several."""
Pick = Callable[[bytes], bool]


def nth(*places: int, having: bytes = b"") -> Pick:
    """The `places`-th messages (1 is the first) of those that hold `having`, from when the edit is set."""
    seen = 0

    def pick(data: bytes) -> bool:
        nonlocal seen
        seen += having in data
        return having in data and seen in places

    return pick


def each(having: bytes = b"") -> Pick:
    """Every message that holds `having`."""
    return lambda data: having in data


def drop(pick: Pick) -> Edit:
    """The message never arrives."""
    return lambda data: () if pick(data) else (Part(data),)


def duplicate(pick: Pick) -> Edit:
    """The message arrives twice."""
    return flood(pick, 2)


def flood(pick: Pick, times: int) -> Edit:
    """The message arrives `times` times."""
    return lambda data: (Part(data),) * times if pick(data) else (Part(data),)


def late(pick: Pick, seconds: float) -> Edit:
    """The message arrives `seconds` later; what comes behind it overtakes it."""
    return lambda data: (Part(data, seconds if pick(data) else 0.0),)


def swap(pick: Pick) -> Edit:
    """The message changes places with the one after it."""
    kept: list[bytes] = []

    def edit(data: bytes) -> Sequence[Part]:
        if kept:
            return Part(data), Part(kept.pop())
        if pick(data):
            kept.append(data)
            return ()
        return (Part(data),)

    return edit


def corrupt(pick: Pick, old: bytes = rb"\d(?=\D*$)", new: bytes | None = None) -> Edit:
    """The first match of `old` (a pattern) becomes `new`; by default the last digit of the message becomes another."""

    def other(match: re.Match[bytes]) -> bytes:
        return new if new is not None else b"%d" % ((int(match[0]) + 1) % 10)

    return lambda data: (Part(re.sub(old, other, data, count=1)) if pick(data) else Part(data),)


class Way:
    """One direction of the traffic, and what is done to it."""

    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self.messages = 0
        """Websocket messages (text and binary) that came in."""
        self.passed = 0
        """Websocket messages that went out."""
        self._free = asyncio.Event()
        self.heal()

    def heal(self) -> None:
        """Nothing is done to it any more; what is held goes on its way."""
        self.delay_s = 0.0
        self.bytes_per_s = float("inf")
        self.cut_after: int | None = None
        """Bytes until every connection of which one more byte goes this way is reset."""
        self.edits.clear()
        self.release()

    def hold(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._free.clear()

    def release(self) -> None:
        """What was held arrives."""
        self._free.set()

    async def free(self) -> None:
        """Waits while the way is held."""
        await self._free.wait()


class _Pipe:
    """What goes one way on one connection: in order, late, slow, held or cut off."""

    def __init__(self, way: Way, writer: asyncio.StreamWriter, reset: Callable[[], None]) -> None:
        """`reset` ends the connection on both sides."""
        self.way, self._writer, self._reset = way, writer, reset
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run())

    async def put(self, data: bytes) -> None:
        """Bytes to send; FIN or RST ends the stream after what was put before."""
        if not self._task.done():
            await self._queue.put((self._loop.time() + self.way.delay_s, data))

    async def ended(self) -> None:
        """Waits until everything is sent."""
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Sends nothing any more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                due, data = await self._queue.get()
                if (wait_s := due - self._loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                await self.way.free()
                if data is FIN:
                    self._writer.close()
                    return
                if data is RST or not await self._send(data):
                    self._reset()
                    return
        except OSError:
            self._reset()
        finally:
            while not self._queue.empty():  # wakes who waits for room
                self._queue.get_nowait()

    async def _send(self, data: bytes) -> bool:
        """Whether the connection may go on."""
        way = self.way
        slow = way.bytes_per_s < float("inf")
        size = max(1, int(way.bytes_per_s / 20)) if slow else _CHUNK
        for at in range(0, len(data), size):
            chunk = data[at : at + size]
            if way.cut_after is not None:
                allowed = way.cut_after
                way.cut_after = max(0, allowed - len(chunk))
                if len(chunk) > allowed:
                    self._writer.write(chunk[:allowed])
                    await self._writer.drain()
                    return False
            self._writer.write(chunk)
            await self._writer.drain()
            if slow:
                await asyncio.sleep(len(chunk) / way.bytes_per_s)
        return True


class FaultProxy:
    """See the head of the file."""

    def __init__(self, target: str) -> None:
        """`target` is the `http://host:port` of a local server."""
        host, _, port = target.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))
        self.url = ""
        self.down, self.up = Way(), Way()
        self.refusing = False
        """New connections are reset at once."""
        self.connections = 0
        """Connections that were ever made."""
        self.requests: list[Request] = []
        """What was asked, handshakes too."""
        self.refusals: list[Refusal] = []
        """The first that answers, answers; the venue does not hear of the request."""
        self.lost: Callable[[Request], bool] = lambda _: False
        """The venue hears the request and answers, but the connection is reset before the answer."""
        self.late_s: Callable[[Request], float] = lambda _: 0.0
        """How much later than it was given an answer arrives."""
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_LIMIT)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await deaf(self._server)
        self._server.close()
        self.reset()
        tasks = [*self._tasks, *self._late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        """Connections of clients that are open now."""
        return len(self._tasks)

    def reset(self) -> None:
        """RST on every open connection, on both sides."""
        for writer in list(self._open):
            _reset(writer)

    def heal(self) -> None:
        """The fault is over: nothing is done to the traffic any more. Open connections stay open."""
        self.refusing = False
        self.refusals.clear()
        self.lost = lambda _: False
        self.late_s = lambda _: 0.0
        self.down.heal()
        self.up.heal()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something that passes the proxy. Raises TimeoutError when it does not."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # --- one connection

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._tasks.add(task)
        self._open.add(writer)
        await self._tell()
        try:
            if self.refusing:
                _reset(writer)
                return
            upstream, toward = await asyncio.open_connection(*self._target, limit=_LIMIT)
            self._open.add(toward)
            try:
                await self._traffic(reader, writer, upstream, toward)
            finally:
                self._open.discard(toward)
                toward.close()
        except (OSError, asyncio.IncompleteReadError):
            _reset(writer)
        except asyncio.CancelledError:
            _reset(writer)  # asyncio's own callback of a server's connection does not bear a cancelled task
        finally:
            self._open.discard(writer)
            writer.close()
            self._tasks.discard(task)
            await self._tell()

    async def _traffic(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: asyncio.StreamReader,
        toward: asyncio.StreamWriter,
    ) -> None:
        """Request by request, until one becomes a websocket or an end is reached."""

        def both() -> None:
            _reset(writer)
            _reset(toward)

        up, down = _Pipe(self.up, toward, both), _Pipe(self.down, writer, both)
        try:
            while (head := await _head(reader)) is not None:
                request = _request(head, asyncio.get_running_loop().time())
                self.requests.append(request)
                await self._tell()
                answer = next((a for refusal in list(self.refusals) if (a := refusal(request)) is not None), None)
                if answer is not None:
                    await _body(reader, head, None)
                    await down.put(_response(answer))
                    continue
                await up.put(_without_compression(head))
                await _body(reader, head, up)
                back = await _head(upstream)
                if back is None or self.lost(request):
                    both()
                    return
                if (late_s := self.late_s(request)) > 0:
                    await asyncio.sleep(late_s)
                await down.put(back)
                if back.split(b" ", 2)[1] == b"101":
                    await asyncio.gather(self._frames(upstream, down), self._frames(reader, up))
                    return
                if not await _body(upstream, back, down, answer_to=request.method):
                    break
            await down.put(FIN)
            await down.ended()
        finally:
            await up.stop()
            await down.stop()

    async def _frames(self, reader: asyncio.StreamReader, pipe: _Pipe) -> None:
        """Websocket frames one way; a message of several frames leaves as one."""
        way, parts, kind = pipe.way, bytearray(), _TEXT
        while True:
            try:
                raw, first, mask, payload = await _frame(reader)
            except (asyncio.IncompleteReadError, ConnectionError) as end:
                await pipe.put(RST if isinstance(end, ConnectionError) else FIN)
                return
            code = first & 0x0F
            if code >= _CLOSE:
                await pipe.put(raw)
                continue
            if code != _CONTINUATION:
                kind = code
            parts += _masked(payload, mask)
            if not first & 0x80:
                continue
            data = bytes(parts)
            parts.clear()
            way.messages += 1
            out = [Part(data)]
            for edit in list(way.edits):
                out = [Part(new.data, part.late_s + new.late_s) for part in out for new in edit(part.data)]
            for part in out:
                whole = _encoded(kind, part.data, masked=mask is not None)
                if part.late_s:
                    self._later(pipe, whole, part.late_s)
                else:
                    way.passed += 1
                    await pipe.put(whole)
            await self._tell()

    def _later(self, pipe: _Pipe, data: bytes, seconds: float) -> None:
        async def send() -> None:
            await asyncio.sleep(seconds)
            pipe.way.passed += 1
            await pipe.put(data)
            await self._tell()

        task = asyncio.create_task(send())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """Start line and headers, with the empty line; None at the end of the stream."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def _body(reader: asyncio.StreamReader, head: bytes, pipe: _Pipe | None, *, answer_to: str = "") -> bool:
    """Passes on the body that `head` announces; False where only the end of the stream ends it."""

    async def on(data: bytes) -> None:
        if pipe is not None:
            await pipe.put(data)

    if answer_to and (answer_to == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304")):
        return True
    if re.search(rb"(?i)\r\ntransfer-encoding:\s*chunked", head):
        while True:
            size = await reader.readuntil(b"\r\n")
            rest = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            await on(size + rest)
            if rest == b"\r\n":
                return True
    length = re.search(rb"(?i)\r\ncontent-length:\s*(\d+)", head)
    if length is None and answer_to:
        while data := await reader.read(_CHUNK):
            await on(data)
        return False
    left = int(length[1]) if length else 0
    while left:
        data = await reader.read(min(left, _CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        await on(data)
    return True


def _request(head: bytes, at_s: float) -> Request:
    method, path = head.decode("latin-1").split(" ", 2)[:2]
    websocket = re.search(rb"(?i)\r\nupgrade:\s*websocket", head) is not None
    return Request(method, path.partition("?")[0], websocket, at_s)


def _without_compression(head: bytes) -> bytes:
    """So that messages can be read and edited as they are."""
    return re.sub(rb"(?i)\r\nsec-websocket-extensions:[^\r]*", b"", head)


def _response(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} Refused", *(f"{name}: {value}" for name, value in answer.headers.items())]
    body = answer.body.encode()
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, int, bytes | None, bytes]:
    """One websocket frame: as it came, first byte, mask, payload as it came (RFC 6455, 5.2)."""
    raw = await reader.readexactly(2)
    size = raw[1] & 0x7F
    if size >= 126:
        more = await reader.readexactly(2 if size == 126 else 8)
        size = int.from_bytes(more, "big")
        raw += more
    mask = await reader.readexactly(4) if raw[1] & 0x80 else None
    payload = await reader.readexactly(size)
    return raw + (mask or b"") + payload, raw[0], mask, payload


def _masked(payload: bytes, mask: bytes | None) -> bytes:
    if mask is None:
        return payload
    whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return whole.to_bytes(len(payload), "big")


def _encoded(kind: int, data: bytes, *, masked: bool) -> bytes:
    """One whole message as one frame; a client's frame is masked with zeros, which changes nothing."""
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head = struct.pack("!BB", 0x80 | kind, bit | len(data))
    elif len(data) < 1 << 16:
        head = struct.pack("!BBH", 0x80 | kind, bit | 126, len(data))
    else:
        head = struct.pack("!BBQ", 0x80 | kind, bit | 127, len(data))
    return head + (b"\0\0\0\0" if masked else b"") + data


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes so that the other side gets RST, not FIN."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
