"""What a chain takes besides gas for publishing a transaction on the chain below it, and whether it is as is believed.

What is known of a chain is a table; before a wallet sends anything there the chain itself is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from connectors.errors import BadMessage
from connectors.evm.abi import Call, Method
from connectors.evm.node import Node
from connectors.evm.rpc import Head

DATA_FEE: Final = Method("getL1Fee", ("bytes",))
"""Of the GasPriceOracle of OP stack chains: wei for publishing a transaction on the chain below."""
PRICE_ORACLE: Final = "0x420000000000000000000000000000000000000F"
"""Where OP stack chains have it (specs.optimism.io, Predeploys)."""
DATA_GAS: Final = Method("gasEstimateL1Component", ("address", "bool", "bytes"), ("uint64", "uint256", "uint256"))
"""Of the NodeInterface of Arbitrum chains: gas that publishing adds to a transaction, and the base fee."""
NODE_INTERFACE: Final = "0x00000000000000000000000000000000000000C8"
"""Where nodes of Arbitrum chains answer; there is no code (docs.arbitrum.io, NodeInterface reference)."""
_SIGNATURE_BYTES: Final = 160
"""What fees, nonce and signature add to a call's data where it is published."""


class Publishing(StrEnum):
    """Who says what publishing costs."""

    NONE = "none"
    """There is no chain below."""
    OP_STACK = "op_stack"
    """GasPriceOracle: a fee in wei besides the gas."""
    ARBITRUM = "arbitrum"
    """NodeInterface: more gas, which a rehearsal need not show."""


class Habit(NamedTuple):
    """How a chain charges for a transaction."""

    publishing: Publishing
    charges_limit: bool = False
    """The whole gas limit is paid, used or not."""


class Published(NamedTuple):
    """What publishing one transaction takes."""

    gas: int = 0
    wei: int = 0


HABITS: Final[Mapping[int, Habit]] = {
    1: Habit(Publishing.NONE),
    10: Habit(Publishing.OP_STACK),
    56: Habit(Publishing.NONE),
    143: Habit(Publishing.NONE, charges_limit=True),  # docs.monad.xyz, Gas Pricing
    999: Habit(Publishing.NONE),
    4663: Habit(Publishing.ARBITRUM),  # Robinhood Chain, of Arbitrum Orbit (docs.robinhood.com/chain)
    8453: Habit(Publishing.OP_STACK),
    42161: Habit(Publishing.ARBITRUM),
    57073: Habit(Publishing.OP_STACK),
}
"""By chain id. Of a chain that is not here that is not known, and nothing is swapped there."""


async def published(node: Node, head: Head, habit: Habit, call: Call) -> Published:
    """What publishing a call takes at a block. Raises as Rpc.ask; BadMessage where nobody says it."""
    data = call.data + b"\xff" * _SIGNATURE_BYTES
    match habit.publishing:
        case Publishing.OP_STACK:
            return Published(wei=int(DATA_FEE.one(await node.call(DATA_FEE.call(PRICE_ORACLE, data), head))))
        case Publishing.ARBITRUM:
            asked = DATA_GAS.call(NODE_INTERFACE, call.to, False, data)
            return Published(gas=int(DATA_GAS.one(await node.call(asked, head))))
        case Publishing.NONE:
            return Published()


async def mismatch(node: Node, head: Head, habit: Habit) -> str:
    """What speaks against a chain charging for publishing as is believed; empty where it does so.

    That the whole limit is charged shows in no answer of a node. Raises as Rpc.ask, except that a contract which does
    not answer as it should is what speaks against it.
    """
    oracle = bool(await node.code(PRICE_ORACLE, head)) and await _answers(
        node, head, DATA_FEE, DATA_FEE.call(PRICE_ORACLE, b"\xff" * _SIGNATURE_BYTES)
    )
    interface = await _answers(node, head, DATA_GAS, DATA_GAS.call(NODE_INTERFACE, PRICE_ORACLE, False, b""))
    match habit.publishing:
        case Publishing.OP_STACK if not oracle:
            return f"it is taken for a chain of the OP stack, and no GasPriceOracle answers at {PRICE_ORACLE}"
        case Publishing.ARBITRUM if not interface:
            return f"it is taken for a chain of Arbitrum, and no NodeInterface answers at {NODE_INTERFACE}"
        case Publishing.NONE if oracle or interface:
            who = PRICE_ORACLE if oracle else NODE_INTERFACE
            return f"it is taken for a chain without one below, and {who} says what publishing costs"
        case _:
            return ""


async def _answers(node: Node, head: Head, method: Method, call: Call) -> bool:
    """Whether a contract answers a call as it should."""
    try:
        method.read(await node.call(call, head))
    except BadMessage:
        return False
    return True
