"""kill -9 around the sending of a swap: after a restart it is found by its hash, and booked once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from bot.journal_reader import verify
from connectors.errors import DataError
from connectors.orders import Side
from tests.chain.parts import Parts
from tests.chain.swap_child import Ended, What, run
from tests.chain.trader import DOLLAR, STOCK, Kept, Pit, pit, sent, trader
from tests.servers.anvil import Anvil
from tests.servers.node import Call, NodeServer

FORKS = multiprocessing.get_context("forkserver")
"""Children are forked from a process that has read all modules and nothing else."""
FORKS.set_forkserver_preload(["tests.chain.swap_child"])


class Killer(NodeServer):
    """A node that has its asker killed at a call: before it does what was asked, or when it has and has not said so."""

    def __init__(self, behind: str, at: Callable[[Killer, Call], bool], *, done: bool) -> None:
        """`at` picks the call."""
        super().__init__(behind)
        self.at, self.done = at, done
        self.sends = 0
        self.victim: Any = None

    async def _asked(self, request: web.Request) -> web.Response:
        call = await request.json()
        self.sends += call["method"] == "eth_sendRawTransaction"
        if self.victim is not None and self.at(self, call):
            if self.done:
                await super()._asked(request)
            os.kill(self.victim.pid, signal.SIGKILL)
            self.victim = None
        return await super()._asked(request)


def nth_send(count: int) -> Callable[[Killer, Call], bool]:
    """The call that sends the `count`-th transaction: the approval is the first one, the swap the second."""
    return lambda server, call: call["method"] == "eth_sendRawTransaction" and server.sends == count


def after_swap(method: str) -> Callable[[Killer, Call], bool]:
    """The first call of a method after the swap was sent."""
    return lambda server, call: call["method"] == method and server.sends >= 2


@pytest.fixture
async def here(chain: Parts) -> AsyncIterator[Pit]:
    """A pool on a chain of its own."""
    async with Anvil(chain.anvil) as node:
        yield await pit(chain, node)


async def child(what: What, server: Killer | None = None) -> Ended | None:
    """A run of the process; None where it was killed."""
    ours, its = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=run, args=(msgspec.json.encode(what), its))
    process.start()
    its.close()
    if server is not None:
        server.victim = process
    await asyncio.to_thread(process.join, 60)
    if process.exitcode == -signal.SIGKILL:
        return None
    ended = msgspec.json.decode(ours.recv_bytes(), type=Ended | str)
    assert isinstance(ended, Ended), ended
    return ended


@pytest.mark.parametrize(
    ("at", "done"),
    [
        pytest.param(nth_send(2), False, id="before it is sent"),
        pytest.param(nth_send(2), True, id="between send and receipt"),
        pytest.param(after_swap("eth_getTransactionReceipt"), False, id="before the receipt is read"),
        pytest.param(after_swap("eth_getTransactionReceipt"), True, id="with the receipt on its way"),
    ],
)
async def test_after_kill_9_the_swap_is_found_and_booked_once(
    here: Pit, tmp_path: Path, at: Callable[[Killer, Call], bool], done: bool
) -> None:
    """
    Killed anywhere between its signature and its booking, a swap happens once: the next run finds it by the hash that
    was stored before it was sent, books what it moved, and the run after that books nothing more.
    """
    node = here.node
    async with trader(here) as one:
        before = await one.balances()
        async with Killer(node.url, at, done=done) as server:
            what = What(server.url, str(tmp_path / "journal.sqlite"), here.route)
            assert await child(what, server) is None
            signed = [call["params"][0] for call in server.calls if call["method"] == "eth_sendRawTransaction"]
            ended = await child(what)
            again = await child(what)
            sent = {call["params"][0] for call in server.calls if call["method"] == "eth_sendRawTransaction"}
        after = await one.balances()
        assert ended is not None and again is not None
        assert (Decimal(-4), 1) == (ended.position, ended.fills)
        moved = Decimal(after[0] - before[0]) / STOCK, Decimal(after[1] - before[1]) / DOLLAR
        assert moved == (ended.position, ended.cash) == (again.position, again.cash)
        assert (ended.gas, 1, 0) == (again.gas, again.fills, again.reports)
        assert 2 == await one.count()
        assert len(sent) == 2 and sent >= set(signed)
        assert verify(tmp_path / "journal.sqlite").ok


async def test_after_kill_9_nothing_that_was_not_decided_again_is_sent(here: Pit, tmp_path: Path) -> None:
    """
    Killed after the approval, before the swap was decided on: the approval is found and its gas booked, no swap
    follows, and nothing may be spent any more.
    """
    async with trader(here) as one:
        before = await one.balances()
        async with Killer(here.node.url, nth_send(1), done=True) as server:
            what = What(server.url, str(tmp_path / "journal.sqlite"), here.route)
            assert await child(what, server) is None
            ended = await child(what)
        assert ended is not None
        assert (0, 0) == (ended.position, ended.fills)
        assert ended.gas > 0
        assert (before, 2) == (await one.balances(), await one.count())
        assert 0 == await here.token.read("allowance", one.address, here.router.address)


async def test_a_restart_with_another_config_books_the_swap_to_its_instrument(here: Pit) -> None:
    """
    A run ends between send and receipt, and the instrument has another number in the next config: what the swap moved
    is booked there, a reorg undoes it there, and with a config that no longer has it no run begins, and says why.
    """
    node, kept = here.node, Kept()
    async with trader(here, records=kept) as one:
        await sent(one)
    await node.mine()
    async with trader(here, records=kept, funded=False, at=1) as one:
        await one.ticks()
        assert [(1, 4)] == [(fill.instrument, fill.quantity) for fill in one.reports[-1].fills]
    await node.reorg(1)
    async with trader(here, records=kept, funded=False, at=0) as one:
        await one.ticks()
        assert [(0, 4)] == [(fill.instrument, fill.quantity) for fill in one.reports[0].undone]
    with pytest.raises(DataError, match="no longer has"):
        async with trader(here, records=kept, funded=False, at=None):
            pass


async def test_what_an_instrument_left_that_the_config_no_longer_has_is_taken_back(here: Pit) -> None:
    """
    A run ends behind the approval; the next one has no such instrument: nobody may spend anything all the same.
    """
    kept = Kept()
    async with trader(here, records=kept) as one:
        one.order(Side.SELL, "4", "240")
        await one.ticks()
        assert 4 * STOCK == await here.token.read("allowance", one.address, here.router.address)
    async with trader(here, records=kept, funded=False, at=None) as one:
        await one.ticks(3)
        assert 0 == await here.token.read("allowance", one.address, here.router.address)
