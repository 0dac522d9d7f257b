"""A local Data Streams API: the latest report of a feed, signed requests, reports in ABI words.

Shapes after the public documentation (report schemas v10 and v11, authentication); the words are written here with
`int.to_bytes`, not with our reader.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

from aiohttp import web

from tests.servers.venue import VenueServer

KEY, SECRET = "11111111-2222-3333-4444-555555555555", "chainlink-local-secret"
E18 = 10**18


def word(value: int) -> bytes:
    """One ABI word."""
    return value.to_bytes(32, "big", signed=value < 0)


def full(blob: bytes) -> str:
    """A report in its frame: three words of context, offsets, the report, no signatures."""
    head = [word(1), word(2), word(3), word(7 * 32), word(0), word(0), word(9)]
    return "0x" + (b"".join(head) + word(len(blob)) + blob + word(0)).hex()


def v11(feed: str, *, at: int, bid: float, ask: float, mid: float = 0.0, seen_ns: int = 0, status: int = 2) -> bytes:
    """A report of an equity stream."""
    prices = [round(price * 10_000) * (E18 // 10_000) for price in (mid, bid, ask)]
    return b"".join(
        [bytes.fromhex(feed[2:]), word(at), word(at), word(1), word(1), word(at + 100), word(prices[0]),
         word(seen_ns or at * 10**9), word(prices[1]), word(300 * E18), word(prices[2]), word(400 * E18),
         word(prices[0]), word(status)]
    )  # fmt: skip


def v10(
    feed: str, *, at: int, price: float, tokenized: float, status: int = 2, multiplier: float = 1.0,
    new: float = 0.0, activates: int = 0,
) -> bytes:  # fmt: skip
    """A report of a tokenized asset."""
    numbers = [round(x * 10_000) * (E18 // 10_000) for x in (price, multiplier, new, tokenized)]
    return b"".join(
        [bytes.fromhex(feed[2:]), word(at), word(at), word(1), word(1), word(at + 100), word(at * 10**9),
         word(numbers[0]), word(status), word(numbers[1]), word(numbers[2]), word(activates), word(numbers[3])]
    )  # fmt: skip


class ChainlinkServer(VenueServer):
    """See VenueServer; `reports` holds the full report of each feed id."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: dict[str, str] = {}
        self.observed: dict[str, int] = {}
        """When a test last had a feed observed, unix s."""
        self.denied: set[str] = set()
        """Feed ids that the key may not have."""
        self.bodies: dict[str, str] = {}
        """Feed id to a body instead of a report."""
        self.texts: list[str] = []
        """Bodies instead of the next answers."""
        self.unsigned = 0
        """Calls whose signature was wrong."""

    def routes(self, app: web.Application) -> None:
        """REST."""
        app.router.add_get("/api/v1/reports/latest", self._latest)

    async def send(self, text: str | bytes) -> None:
        """Anything as the body of the next answer: there is no stream."""
        self.texts.append(text if isinstance(text, str) else text.decode())

    async def _latest(self, request: web.Request) -> web.Response:
        feed = request.query.get("feedID", "")
        ms = request.headers.get("X-Authorization-Timestamp", "0")
        text = f"GET {request.path_qs} {hashlib.sha256().hexdigest()} {KEY} {ms}"
        expected = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        late = abs(int(ms) - time.time() * 1000) > 5000
        if late or request.headers.get("X-Authorization-Signature-SHA256") != expected:
            self.unsigned += 1
            return web.json_response({"error": "unauthorized"}, status=401)
        if self.texts:
            return web.Response(text=self.texts.pop(0))
        if feed in self.denied:
            return web.json_response({"error": "forbidden"}, status=403)
        if feed in self.bodies:
            return web.Response(text=self.bodies[feed])
        if feed not in self.reports:
            return web.json_response({"error": "not found"}, status=404)
        report: dict[str, Any] = {"feedID": feed, "fullReport": self.reports[feed]}
        return web.json_response({"report": report})
