"""How a venue says no over HTTP: maintenance, a limit that becomes a ban, a lost right; for servers and proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MAINTENANCE = "<!DOCTYPE html><html><head><title>503</title></head><body><h1>We'll be back soon</h1></body></html>"


class Request(NamedTuple):
    """One HTTP request: a REST call or the handshake of a websocket."""

    method: str
    path: str
    """Without the query."""
    websocket: bool
    at_s: float
    """Seconds of the server's loop."""


class Answer(NamedTuple):
    """What is answered instead of what the venue would say."""

    status: int
    headers: Mapping[str, str]
    body: str


Where = Callable[[Request], bool]
Refusal = Callable[[Request], Answer | None]
"""Judges each request; None lets it pass."""


def everything(_: Request) -> bool:
    """Every request, handshakes too."""
    return True


def calls(request: Request) -> bool:
    """REST calls, no handshakes."""
    return not request.websocket


def maintenance(where: Where = everything) -> Refusal:
    """503 with a page of HTML, also where JSON was asked for."""
    answer = Answer(503, {"Content-Type": "text/html"}, MAINTENANCE)
    return lambda request: answer if where(request) else None


def forbidden(status: int = 403, where: Where = everything) -> Refusal:
    """The right is gone: 401 or 403."""
    answer = Answer(status, {"Content-Type": "application/json"}, '{"message":"forbidden."}')
    return lambda request: answer if where(request) else None


@dataclass
class Limit:
    """429 with Retry-After; who calls before that moment is banned (418, `ban_s`), and longer with each such call.

    `until_s` begins with the first call; from then on calls pass again.
    """

    retry_after_s: float
    ban_s: float
    where: Where = calls
    clock: Callable[[], float] | None = None
    """Seconds by which the wait is judged; the server's loop where it is absent."""
    until_s: float | None = None
    early: int = 0
    """Calls that came before they might."""
    answered: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer | None:
        """The refusal of one request, or None."""
        if not self.where(request):
            return None
        now = self.clock() if self.clock else request.at_s
        if self.until_s is None:
            return self._say(429, now, self.retry_after_s)
        if now >= self.until_s:
            return None
        self.early += 1
        return self._say(418, now, max(self.ban_s, self.until_s - now))

    def _say(self, status: int, now: float, wait_s: float) -> Answer:
        self.until_s = now + wait_s
        self.answered.append(status)
        return Answer(status, {"Retry-After": f"{wait_s:g}"}, '{"code":-1003,"msg":"Too many requests"}')
