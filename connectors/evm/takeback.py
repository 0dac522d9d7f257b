"""Takes back what a leg let somebody spend and did not need, once the leg is over: after a purchase, a swap that was
reverted, a refusal, and after a restart. At rest nobody may spend anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from connectors.errors import BadMessage, WalletError
from connectors.evm.abi import Call
from connectors.evm.allowances import Grant, allowed, taking_back
from connectors.evm.data_fees import Published, published
from connectors.evm.fees import WEI
from connectors.evm.node import Node
from connectors.evm.plan import limit_of
from connectors.evm.rehearsal import rehearse
from connectors.evm.rpc import Head
from connectors.evm.swap_leg import Booked, Order, grant_of, leg_of
from connectors.evm.tasks import Noted, Record, Signing, Task
from connectors.evm.wallet import Wallet
from connectors.orders import Outcome

GIVES: Final = ("approve", "permit")
"""Steps of a leg after which somebody may spend."""
TAKES: Final = ("revoke", "unpermit")
"""Steps that end it."""
NEVER_S: Final = 1 << 40
"""Taking back has no deadline."""


@dataclass(slots=True)
class Owed:
    """A leg that is over, and may have left something."""

    order: Order
    tried: set[str] = field(default_factory=set)
    """Steps that were sent: each is sent once, whatever a token makes of it."""


class Takeback:
    """The allowances of legs that are over, one after the other."""

    def __init__(self, wallet: Wallet) -> None:
        """Nothing is owed."""
        self._wallet = wallet
        self.owed: dict[str, Owed] = {}
        """By the leg's client id."""
        self.left: dict[str, str] = {}
        """What could not be taken back, by the contract's lower-case address, and why."""

    def restore(self, payloads: Iterable[bytes]) -> dict[str, Outcome]:
        """Goes on from the wallet's records: the last leg that let somebody spend something may have left some of it,
        also where the config no longer has its instrument. Gives the outcomes of those legs, where they are known.
        """
        last: dict[Grant, Order] = {}
        outcomes: dict[str, Outcome] = {}
        swapped = set[str]()
        for payload in payloads:
            record = msgspec.msgpack.decode(payload, type=Record)
            if isinstance(record, Signing) and record.task.note:
                swapped.add(leg_of(record.task.key) if record.task.key.endswith(".swap") else "")
                order = msgspec.msgpack.decode(record.task.note, type=Order)
                if order.step in GIVES:
                    last[grant_of(order)] = order
            elif isinstance(record, Noted) and record.kept and record.key.endswith(".swap"):
                outcomes[leg_of(record.key)] = msgspec.msgpack.decode(record.kept, type=Booked).outcome
        self.owed = {order.client_id: Owed(order) for order in last.values()}
        # What was not swapped by then never will be.
        refused = {leg: Outcome.REFUSED for leg in self.owed if leg not in swapped}
        return refused | {leg: outcome for leg, outcome in outcomes.items() if leg in self.owed}

    async def begin(self, native_usd: Decimal | None, outcomes: Mapping[str, Outcome]) -> tuple[bool, list[Order]]:
        """Begins the next task that takes something back: whether there is one, and the legs that left nothing more.

        What must wait, since gas is too dear, nonces are paused or a node cannot tell what it would take, waits and is
        in nobody's way. Raises as Rpc.ask and Wallet.begin's JournalError.
        """
        over: list[Order] = []
        for client_id, owed in list(self.owed.items()):
            try:
                begun = await self._begin(owed, native_usd, outcomes.get(client_id, owed.order.outcome))
            except (WalletError, BadMessage) as error:
                self.left[self._token(owed)] = str(error)
                continue
            if begun:
                return True, over
            del self.owed[client_id]
            over.append(owed.order)
        return False, over

    def failed(self, order: Order, why: str) -> None:
        """A task that should take something back was mined and did not."""
        self.left[grant_of(order).token.lower()] = why

    def _token(self, owed: Owed) -> str:
        return grant_of(owed.order).token.lower()

    async def _begin(self, owed: Owed, native_usd: Decimal | None, outcome: Outcome) -> bool:
        """Whether a task of one leg was begun; False where there is nothing more that can be done for it."""
        order, wallet = owed.order, self._wallet
        grant = grant_of(order)
        habit = await wallet.habit()

        async def asked(node: Node, head: Head) -> tuple[int, str, Call | None, int, Published, str]:
            counted, _ = await wallet.at(node, head)
            nothing = counted, "", None, 0, Published()
            try:
                steps = taking_back(grant, await allowed(node, head, wallet.address, grant))
            except BadMessage as error:
                return *nothing, f"it does not answer: {error.what}"
            for step, call in steps.items():
                if step not in owed.tried:
                    (ran,) = await rehearse(node, [(wallet.address, call)], wallet.address, head)
                    if not ran.ok:
                        return *nothing, f"it cannot be taken back: {ran.why}"
                    return counted, step, call, ran.gas, await published(node, head, habit, call), ""
            return *nothing, "it was taken back, and is still there" if steps else ""

        head, (counted, step, call, ran, fee, why) = await wallet.agreed(asked)
        await wallet.ready(head, counted)
        if call is None:
            self.left.pop(self._token(owed), None)
            if why:
                self.left[self._token(owed)] = why
            return False
        gas, usd = limit_of(ran + fee.gas), native_usd or order.native_usd
        note = msgspec.structs.replace(
            order, step=step, native_usd=usd, data_fee_wei=fee.wei, charges_limit=habit.charges_limit, outcome=outcome
        )
        caps = wallet.terms.caps
        most = int((caps.max_cost_usd / usd * WEI - fee.wei) / gas) if usd else caps.max_fee_wei
        task = Task(
            # The same leg may leave something again, where a reorg or a stranger has a say.
            key=f"{order.client_id}.{step}-{head.number}", to=call.to, data=call.data, gas=gas, deadline_s=NEVER_S,
            max_fee_wei=most, note=msgspec.msgpack.encode(note),
        )  # fmt: skip
        await wallet.begin(task, head, await wallet.market())
        owed.tried.add(step)
        self.left.pop(self._token(owed), None)
        return True
