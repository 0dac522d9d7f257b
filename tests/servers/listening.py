"""How a local server ends: first nobody is let in any more, then whoever was let in last is there, then all go.

A connection that asyncio has accepted and not yet handed over when its server closes is forgotten with its socket open
(Python 3.11: Server._attach), and some later test, in which it is collected, fails for it.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

STEPS = 4
"""Turns of the loop from a connection that is accepted to one that its server knows; more than it takes."""


async def deaf(server: asyncio.Server) -> None:
    """Accepts nobody more, and waits for those that it has accepted; to be closed after that."""
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(STEPS):
        await asyncio.sleep(0)


async def cleaned(runner: web.AppRunner) -> None:
    """The same of an aiohttp server, and ends it."""
    for site in runner.sites:
        await deaf(site._server)  # type: ignore[attr-defined]
    await runner.cleanup()
