"""What a swap needs next, looked at in one block: is everything what it should be, and what would happen?

The contracts are those that are meant, exactly enough may be spent, a rehearsal of the whole moves what it must. A
failure is looked into: where a plain transfer fails or delivers less than it says, the token is to blame.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from connectors.errors import Reverted
from connectors.evm.abi import Call, Method
from connectors.evm.allowances import ALLOWANCE, PERMITTED
from connectors.evm.data_fees import Habit, published
from connectors.evm.keys import APPROVE, PERMIT
from connectors.evm.node import Node
from connectors.evm.rehearsal import blame, rehearse, revert_reason
from connectors.evm.rpc import Head
from connectors.evm.swap import Amounts, Route, paid_with
from connectors.evm.tokens_identity import code_of

_BALANCE: Final = Method("balanceOf", ("address",))
_SPARE_GAS: Final = 50_000
"""On top of twice what the rehearsal took: other ticks may be crossed by then, and the first swap of a later second
writes a pool's price history, which the rehearsal in the second of the last one did not."""


def limit_of(gas: int) -> int:
    """The gas limit of a call that took so much in its rehearsal. On most chains what is not used is not paid."""
    return 2 * gas + _SPARE_GAS


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The next task of a swap, or why there is none."""

    step: str = ""
    """reset: an old allowance is taken back; approve: the exact one is given; permit: the same at Permit2; swap."""
    to: str = ""
    data: bytes = b""
    gas: int = 0
    """That this task is given: it may take no more."""
    gas_all: int = 0
    """That it is expected to be charged for with those that follow it."""
    limit_all: int = 0
    """That they may take together."""
    data_fee_wei: int = 0
    """For publishing this task on the chain below."""
    data_fee_all_wei: int = 0
    """For publishing it and those that follow it."""
    refused: str = ""
    """One word where there is no next task: identity, balance, token, simulation."""
    detail: str = ""
    stuck: str = ""
    """The contract (lower-case address) that cannot be moved as it should, where `refused` is token."""


async def plan(
    node: Node, head: Head, route: Route, wanted: Amounts, swap: Call, wallet: str, deadline_s: int, habit: Habit,
    *, given: bool = False,
) -> Plan:  # fmt: skip
    """What a swap of a wallet needs next at a block; `habit` is how the chain charges. `given`: its allowance was given
    already, and is not given again where the token made another one of it by rounding.

    A contract that refuses to be asked is a reason against this swap alone. Raises as Rpc.ask otherwise.
    """
    try:
        return await _plan(node, head, route, wanted, swap, wallet, deadline_s, habit, given=given)
    except Reverted as error:
        return Plan(refused="simulation", detail=f"a contract does not answer: {revert_reason(error.data)}")


async def _plan(
    node: Node, head: Head, route: Route, wanted: Amounts, swap: Call, wallet: str, deadline_s: int, habit: Habit,
    *, given: bool = False,
) -> Plan:  # fmt: skip
    """The same. Raises Reverted too."""
    wrong = await _identity(node, head, route)
    if wrong:
        return Plan(refused="identity", detail=wrong)
    pays, spender = paid_with(route, wanted).address, route.spender
    look = ALLOWANCE.call(pays, wallet, spender)
    try:
        held = int(_BALANCE.one(await node.call(_BALANCE.call(pays, wallet), head)))
        allowed = int(ALLOWANCE.one(await node.call(look, head)))
    except Reverted as error:
        said = f"{pays} does not answer: {revert_reason(error.data)}"
        return Plan(refused="token", detail=said, stuck=pays.lower())
    if held < wanted.pay:
        return Plan(refused="balance", detail=f"the wallet holds {held} of {pays}, {wanted.pay} are needed")
    steps: dict[str, Call] = {}
    if allowed < wanted.pay and given:
        return _rounded(pays, wanted.pay, allowed)
    if allowed != wanted.pay and not given:
        # Some coins refuse a new allowance before the old one is taken back.
        if allowed:
            steps["reset"] = APPROVE.call(pays, spender, 0)
        steps["approve"] = APPROVE.call(pays, spender, wanted.pay)
    if route.permit is not None:
        permit, router = route.permit.address, route.router.address
        permitted = PERMITTED.read(await node.call(PERMITTED.call(permit, wallet, pays, router), head))
        if permitted[0] != wanted.pay or permitted[1] < deadline_s:
            steps["permit"] = PERMIT.call(permit, pays, router, wanted.pay, deadline_s)
    steps["swap"] = swap
    after: list[Call] = []
    if wanted.buys:  # a purchase pays less than it may: the rest is taken back behind it
        after += [APPROVE.call(pays, spender, 0)]
        after += [] if route.permit is None else [PERMIT.call(route.permit.address, pays, route.router.address, 0, 0)]
    calls = [*steps.values(), *after]
    ran = await rehearse(node, [(wallet, call) for call in calls], wallet, head)
    done = ran[: len(steps)]
    said = next((one.why for one in done if not one.ok), "") or _shortfall(done[-1].moved, route, wanted)
    if said and "approve" in steps:
        upto = [steps[step] for step in ("reset", "approve") if step in steps]
        asked = await rehearse(node, [(wallet, one) for one in (*upto, look)], wallet, head)
        if asked[-1].ok and (there := int(ALLOWANCE.one(asked[-1].gave))) < wanted.pay:
            return _rounded(pays, wanted.pay, there)
    if said:
        return await _refusal(node, head, route, wanted, wallet, said)
    step, call = next(iter(steps.items()))
    fees = [await published(node, head, habit, one) for one in calls]
    gas = [one.gas + fee.gas for one, fee in zip(ran, fees, strict=True)]
    limit_all = sum(limit_of(one) for one in gas)
    return Plan(
        step=step, to=call.to, data=call.data, gas=limit_of(gas[0]),
        gas_all=limit_all if habit.charges_limit else sum(gas), limit_all=limit_all,
        data_fee_wei=fees[0].wei, data_fee_all_wei=sum(fee.wei for fee in fees),
    )  # fmt: skip


def _rounded(token: str, given: int, there: int) -> Plan:
    """A token that makes less of an allowance than is given."""
    said = f"of an allowance of {given} that is given, {there} is there"
    return Plan(refused="token", detail=f"{token}: {said}", stuck=token.lower())


async def _identity(node: Node, head: Head, route: Route) -> str:
    """What is wrong with the contracts that a swap touches; empty where each runs the code that is meant."""

    async def code_hash(address: str) -> str:
        return (await code_of(node, address, head))[0] or "no code"

    found = await asyncio.gather(*(code_hash(contract.address) for contract in route.contracts))
    for contract, code in zip(route.contracts, found, strict=True):
        if code != contract.code_hash.lower():
            return f"{contract.address} runs {code}, not {contract.code_hash or 'known code'}"
    return ""


def _shortfall(moved: dict[str, int], route: Route, wanted: Amounts) -> str:
    """What is wrong with what a swap would move; empty where that is within its bounds."""
    got, paid = (route.token, route.coin) if wanted.buys else (route.coin, route.token)
    come, gone = moved.get(got.address.lower(), 0), -moved.get(paid.address.lower(), 0)
    if come < wanted.get or not 0 < gone <= wanted.pay:
        return f"it would pay {gone} and bring {come}, allowed are {wanted.pay} and {wanted.get}"
    return ""


async def _refusal(node: Node, head: Head, route: Route, wanted: Amounts, wallet: str, said: str) -> Plan:
    """Why a swap would fail: one of its two sides cannot be moved, or else the price is no longer there."""
    pool = route.pool.address
    gives, gets = (route.coin, route.token) if wanted.buys else (route.token, route.coin)
    for contract, holder, to, amount in ((gives, wallet, pool, wanted.pay), (gets, pool, wallet, wanted.get)):
        if int(_BALANCE.one(await node.call(_BALANCE.call(contract.address, holder), head))) >= amount:
            words = await blame(node, contract.address, holder, to, amount, head)
            if words:
                stuck = contract.address.lower()
                return Plan(refused="token", detail=f"{contract.address}: {words}", stuck=stuck)
    return Plan(refused="simulation", detail=said)
