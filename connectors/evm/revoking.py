"""Takes back by hand all that may be spent of a wallet: an operator's own tasks, of which no leg is told anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from connectors.errors import BadMessage, NoncePaused
from connectors.evm.abi import Call
from connectors.evm.allowances import Grant, allowed, taking_back
from connectors.evm.data_fees import Published, published
from connectors.evm.node import Node
from connectors.evm.nonces import State
from connectors.evm.plan import limit_of
from connectors.evm.rehearsal import rehearse
from connectors.evm.rpc import Head
from connectors.evm.takeback import NEVER_S
from connectors.evm.tasks import Task, What
from connectors.evm.wallet import Wallet
from connectors.ports import Sleep

LOOK_S: Final = 1.0
"""How often it is looked whether a transaction is in a block."""
_OPERATOR: Final = "operator."
"""What the keys of these tasks begin with."""


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """One allowance, and what came of taking it back."""

    token: str
    spender: str
    permit: str
    step: str
    """revoke at the token, unpermit at Permit2."""
    hash: str = ""
    cost_wei: int = 0
    """Gas and publishing."""
    why: str = ""
    """Why it is not gone; empty where it is."""


async def revoke(wallet: Wallet, grants: Sequence[Grant], sleep: Sleep, wait_s: float) -> tuple[TakenBack, ...]:
    """Takes back all that may be spent, one transaction after the other; waits at most `wait_s` for the block of each.

    Raises NoncePaused where something else is under way or the key was used by others, and as Wallet.begin and
    Rpc.ask: what was sent by then was sent.
    """
    await wallet.habit()
    await _own_first(wallet, sleep, wait_s)
    done = []
    for grant in grants:
        for step in ("revoke", "unpermit"):
            one = await _one(wallet, grant, step, sleep, wait_s)
            if one is not None:
                done.append(one)
    return tuple(done)


async def _own_first(wallet: Wallet, sleep: Sleep, wait_s: float) -> None:
    """What an earlier call has sent comes to its end; a run's task is left alone. Raises NoncePaused."""
    waiting = wallet.nonces.waiting()
    if waiting is not None:
        if not waiting.key.startswith(_OPERATOR):
            raise NoncePaused(f"task {waiting.key} is under way", hint="let a run finish it, or settle it")
        await _mined(wallet, waiting.key, sleep, wait_s)


async def _one(wallet: Wallet, grant: Grant, step: str, sleep: Sleep, wait_s: float) -> TakenBack | None:
    """Takes one allowance back; None where there is none."""
    habit = await wallet.habit()

    async def asked(node: Node, head: Head) -> tuple[int, Call | None, int, Published, str]:
        counted, _ = await wallet.at(node, head)
        try:
            call = taking_back(grant, await allowed(node, head, wallet.address, grant)).get(step)
        except BadMessage as error:
            return counted, None, 0, Published(), f"it does not answer: {error.what}"
        if call is None:
            return counted, None, 0, Published(), ""
        (ran,) = await rehearse(node, [(wallet.address, call)], wallet.address, head)
        return counted, call, ran.gas, await published(node, head, habit, call), "" if ran.ok else ran.why

    head, (counted, call, gas, fee, why) = await wallet.agreed(asked)
    found = TakenBack(token=grant.token, spender=grant.spender, permit=grant.permit, step=step, why=why)
    if why or call is None:
        return found if why else None
    await wallet.ready(head, counted)
    task = Task(
        key=f"{_OPERATOR}{step}-{wallet.nonces.next}", to=call.to, data=call.data, gas=limit_of(gas + fee.gas),
        deadline_s=NEVER_S, max_fee_wei=wallet.terms.caps.max_fee_wei,
    )  # fmt: skip
    await wallet.begin(task, head, await wallet.market())
    what = await _mined(wallet, task.key, sleep, wait_s)
    if what is None:
        hash = wallet.nonces.slots[task.key].hashes[-1]
        return msgspec.structs.replace(
            found, hash=hash, why="no block has it yet; the next `wallet revoke` looks again"
        )
    if what.receipt is None:
        return msgspec.structs.replace(found, why="its nonce was used by a transaction that is not ours")
    paid = what.limit if habit.charges_limit else what.receipt.gas
    data_fee = fee.wei if what.receipt.data_fee_wei is None else what.receipt.data_fee_wei
    _, left = await wallet.agreed(lambda node, head: allowed(node, head, wallet.address, grant))
    why = "" if step not in taking_back(grant, left) else "the token keeps it"
    return msgspec.structs.replace(
        found, hash=what.hash, cost_wei=paid * what.receipt.price_wei + data_fee,
        why=why if what.receipt.worked else "it was reverted",
    )  # fmt: skip


async def _mined(wallet: Wallet, key: str, sleep: Sleep, wait_s: float) -> What | None:
    """Looks until a block has a task, or so long; what came of it. News of other tasks are left for a run."""
    for _ in range(max(1, round(wait_s / LOOK_S))):
        for what in await wallet.look():
            if what.task.key.startswith(_OPERATOR):
                wallet.noted(what)
                if what.task.key == key and what.what in (State.MINED, State.GONE):
                    return what
        await sleep(LOOK_S)
    return None
