"""What may be spent of a wallet and by whom, read at one block, and the calls that take it back."""

from __future__ import annotations

from typing import Final, NamedTuple

from connectors.evm.abi import Call, Method
from connectors.evm.keys import APPROVE, PERMIT
from connectors.evm.node import Node
from connectors.evm.rpc import Head

ALLOWANCE: Final = Method("allowance", ("address", "address"))
PERMITTED: Final = Method("allowance", ("address", "address", "address"), ("uint160", "uint48", "uint48"))
"""Of Permit2, by owner, token and spender: amount, until when (unix seconds), nonce."""


class Grant(NamedTuple):
    """Who may spend what."""

    token: str
    spender: str
    permit: str = ""
    """Permit2, where the spender takes the token through it; then the token's own allowance is Permit2's."""


class Allowed(NamedTuple):
    """How much that is at a block, in the token's smallest unit."""

    direct: int
    """What the token lets the spender have, or Permit2."""
    permitted: int = 0
    """What Permit2 lets the spender have."""


async def allowed(node: Node, head: Head, wallet: str, grant: Grant) -> Allowed:
    """What may be spent. Raises as Rpc.ask, Reverted where a contract does not answer."""
    by = grant.permit or grant.spender
    direct = int(ALLOWANCE.one(await node.call(ALLOWANCE.call(grant.token, wallet, by), head)))
    if not grant.permit:
        return Allowed(direct)
    asked = PERMITTED.call(grant.permit, wallet, grant.token, grant.spender)
    amount, until_s, _ = PERMITTED.read(await node.call(asked, head))
    return Allowed(direct, int(amount) if until_s >= head.timestamp_s else 0)


def taking_back(grant: Grant, found: Allowed) -> dict[str, Call]:
    """The calls after which nothing may be spent, by step: `revoke` at the token, `unpermit` at Permit2."""
    calls = {}
    if found.direct:
        calls["revoke"] = APPROVE.call(grant.token, grant.permit or grant.spender, 0)
    if found.permitted:
        calls["unpermit"] = PERMIT.call(grant.permit, grant.token, grant.spender, 0, 0)
    return calls
