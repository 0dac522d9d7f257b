"""Prometheus and Alertmanager as they are, on loopback, and a webhook that keeps what they deliver."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, web

from tests.servers.listening import cleaned


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody holds now."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Webhook:
    """What was delivered: (time, alert) in order, alerts as Alertmanager sends them."""

    def __init__(self, port: int) -> None:
        """It listens once entered."""
        self.port = port
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self._news = asyncio.Event()
        app = web.Application()
        app.router.add_post("/", self._post)
        self._runner = web.AppRunner(app)

    async def _post(self, request: web.Request) -> web.Response:
        self.heard += [(time.time(), alert) for alert in (await request.json())["alerts"]]
        self._news.set()
        return web.Response()

    async def until(self, wanted: Callable[[dict[str, Any]], bool], within_s: float) -> tuple[float, dict[str, Any]]:
        """The first alert of this kind. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                for found in self.heard:
                    if wanted(found[1]):
                        return found
                self._news.clear()
                await self._news.wait()

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ):
        await cleaned(self._runner)


class Program:
    """A program that is ended, and waited for, when the block ends; its words are kept in a file."""

    def __init__(self, words: list[str], log: Path) -> None:
        """It starts once entered."""
        self._words, self._log = words, log
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._words, stdout=log, stderr=log, cwd=self._log.parent
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ):
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(10):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    @property
    def said(self) -> str:
        """All of its words so far."""
        return self._log.read_text(errors="replace")


def prometheus(program: str, folder: Path, port: int) -> Program:
    """Prometheus with the config of a folder."""
    words = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    return Program([*words, f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")


def alertmanager(program: str, folder: Path, port: int) -> Program:
    """Alertmanager with the config of a folder, alone."""
    words = [program, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alerts'}"]
    alone = ["--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}"]
    return Program([*words, *alone], folder / "alertmanager.log")


def alertmanager_name() -> str:
    """Debian calls it otherwise than its makers."""
    return "alertmanager" if shutil.which("alertmanager") else "prometheus-alertmanager"


class Asked:
    """The HTTP interface of a Prometheus or Alertmanager."""

    def __init__(self, port: int, session: ClientSession) -> None:
        """At this port of loopback."""
        self._base, self._session = f"http://127.0.0.1:{port}", session

    async def ready(self, within_s: float = 30.0) -> None:
        """Waits until it answers. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    async with self._session.get(f"{self._base}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except ClientError:
                    pass
                await asyncio.sleep(0.1)

    async def spans(self, expr: str, start: float, end: float, step: float = 1.0) -> list[dict[str, Any]]:
        """All series that an expression has between two moments."""
        words = {"query": expr, "start": str(start), "end": str(end), "step": str(step)}
        async with self._session.get(f"{self._base}/api/v1/query_range", params=words) as answer:
            said = json.loads(await answer.text())
        assert "success" == said["status"], (expr, said)
        found: list[dict[str, Any]] = said["data"]["result"]
        return found
