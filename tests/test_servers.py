"""The local servers of the tests themselves: what they leave behind would fail some other test."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from urllib.parse import urlsplit

import pytest

from tests.servers.kraken import KrakenServer
from tests.servers.proxy import FaultProxy


@pytest.mark.parametrize("what", [KrakenServer, lambda: FaultProxy("http://127.0.0.1:9")], ids=["venue", "proxy"])
def test_who_connects_while_a_server_ends_leaves_no_socket_open(
    what: type[KrakenServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A connection is made and the server ends so many turns of the loop later: nothing is collected that is still open.
    """
    found: list[str] = []

    async def end(turns: int) -> None:
        """The server is open for that long."""
        async with what() as server:
            at = urlsplit(server.url)
            line = socket.create_connection((at.hostname, at.port))
            for _ in range(turns):
                await asyncio.sleep(0)  # noqa: TID251 - turns of the loop are what this is about
        line.close()

    gc.collect()
    gc.freeze()  # what is there already is not looked at again
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: found.append(repr(unraisable.exc_value)))
    for turns in range(6):
        asyncio.run(end(turns))
        gc.collect()
    gc.unfreeze()
    assert [] == found
