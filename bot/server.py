"""The read-only HTTP door on loopback: /metrics for Prometheus, /healthz for probes, / and /quote/TOKEN for people."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bot.arguments import positive
from bot.errors import UsageError
from connectors.errors import ConnectorError
from connectors.events import NS
from monitoring.closing import Closing
from monitoring.health import Health
from monitoring.page import POLICY, page
from monitoring.quote_lines import Quote
from monitoring.routed import Routed
from monitoring.snapshot import Snapshot
from monitoring.worst import worst

CLOSING_NS: Final = 10 * NS
"""The answer about the worst premium's paths stays on the page for so long."""


class Server:
    """Serves what the callbacks say at the moment of the request. GET and HEAD only; it changes nothing."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        picture: Callable[[], Snapshot],
        health: Callable[[Snapshot], Health],
        quote: Callable[[str, float | None], Quote] | None = None,
        paths: Callable[[str, float | None], Closing] | None = None,
        sell: Callable[[str, float | None], Routed] | None = None,
        buy: Callable[[str, float | None], Routed] | None = None,
        host: str = "127.0.0.1",
        port: int = 9464,
    ) -> None:
        """`port` 0 takes any free one; `url` says which, once started. `quote` answers about a token at a size in USD,
        or raises UsageError, `paths` about what closes its premia, `sell` and `buy` about so many units; without them
        there are no such paths."""
        self._registry, self._picture, self._health = registry, picture, health
        self._paths, self._host, self._port = paths, host, port
        self._asks = {"quote": quote, "paths": paths, "sell": sell, "buy": buy}
        self._runner: web.AppRunner | None = None
        self._closing: Closing | None = None
        self.url = ""
        """Where it answers, e.g. `http://127.0.0.1:9464/`; empty while it does not."""

    def app(self) -> web.Application:
        """The application with its paths."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        for what, ask in self._asks.items():
            if ask is not None:
                app.router.add_get(f"/{what}/{{name:.+}}.json", partial(self._answered, ask))
        return app

    async def start(self) -> None:
        """Begins to answer. Raises ConnectorError where the port is taken."""
        runner = web.AppRunner(self.app(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ConnectorError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}",
                where="[http]",
                hint="another program has the port: choose another one, or 0 for any",
            ) from error
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    async def stop(self) -> None:
        """Stops answering."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner, self.url = None, ""

    async def __aenter__(self) -> Self:
        """Started."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped."""
        await self.stop()

    async def _page(self, request: web.Request) -> web.Response:
        picture = self._picture()
        text = page(picture, self._health(picture), self._closing_of(picture))
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    def _closing_of(self, picture: Snapshot) -> Closing | None:
        """What closes the worst premium; looked for again when it is another one, or after CLOSING_NS: it takes time in
        which the loop does nothing else."""
        name, last = worst(picture), self._closing
        if not name or self._paths is None:
            return None
        if last is None or last.asked != name or picture.now_ns - last.at > CLOSING_NS:
            last = self._closing = self._paths(name, None)
        return last

    async def _healthz(self, request: web.Request) -> web.Response:
        answer = self._health(self._picture())
        body = msgspec.json.encode(answer)
        return web.Response(body=body, status=answer.code, content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": kind})

    async def _answered(self, ask: Callable[[str, float | None], msgspec.Struct], request: web.Request) -> web.Response:
        """The answer about a token, or an object with `error` and `hint`: 404 for a name that nothing has, 400 for a
        size that is none."""
        status, body = 200, b""
        try:
            size = positive(request.query["size"]) if "size" in request.query else None
            body = msgspec.json.encode(ask(request.match_info["name"], size))
        except ArgumentTypeError as error:
            status, body = 400, msgspec.json.encode({"error": f"size: {error}", "hint": "a number above zero"})
        except UsageError as error:
            status, body = 404, msgspec.json.encode({"error": error.what, "hint": error.hint})
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, status=status, content_type="application/json", headers=headers)
