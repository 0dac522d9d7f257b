"""A node of an EVM chain that errs: it hands calls on to a real one, and lies, lags, refuses or breaks off as told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from tests.servers.venue import VenueServer

Call = dict[str, Any]


class NodeServer(VenueServer):
    """`async with NodeServer(node.url) as server:` answers as the real node does, until it is told otherwise."""

    def __init__(self, behind: str) -> None:
        """`behind` is the address of the real node."""
        super().__init__()
        self.behind = behind
        self.calls: list[Call] = []
        """JSON-RPC calls as they came."""
        self.lag = 0
        """Reads at a block are answered from so many blocks before it."""
        self.instead: dict[str, Callable[[Call], Any]] = {}
        """By method: the result that is given instead, or {"error": ...}, or bytes that are the whole body."""
        self.edits: dict[str, Callable[[str], str]] = {}
        """By method: what becomes of the text of a true answer."""

    def routes(self, app: web.Application) -> None:
        """One path for all."""
        app.router.add_post("/", self._asked)

    async def _asked(self, request: web.Request) -> web.Response:
        call = await request.json()
        self.calls.append(call)
        instead = self.instead.get(call["method"])
        if instead is not None:
            answer = instead(call)
            if isinstance(answer, bytes):
                return web.Response(body=answer, content_type="application/json")
            error = answer if isinstance(answer, dict) and "error" in answer else {"result": answer}
            return web.json_response({"jsonrpc": "2.0", "id": call["id"], **error})
        if self.lag and call["method"] in ("eth_call", "eth_getCode", "eth_getStorageAt"):
            call["params"][-1] = hex(int(call["params"][-1], 16) - self.lag)
        async with aiohttp.ClientSession() as session, session.post(self.behind, json=call) as answer:
            edit = self.edits.get(call["method"], str)
            return web.Response(text=edit(await answer.text()), content_type="application/json")


def error(code: int, message: str, data: str | None = None) -> Callable[[Call], Any]:
    """An answer that is an error."""
    said = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return lambda _: {"error": said}


def body(text: str) -> Callable[[Call], Any]:
    """An answer that is this text, whatever it is."""
    return lambda _: text.encode()
