"""Asks nodes of a chain whether contracts are the tokens that the registry means, and what each is worth in shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from connectors.errors import BadMessage, NodesDisagree
from connectors.evm.agreement import Agreement
from connectors.evm.pins import Pin, add_pins, pinned, read_pins
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import nodes
from connectors.evm.tokens import Reading, Standard, standard_of
from connectors.evm.tokens_identity import Expected, Identity, identify, reader_for, shares_oracle
from connectors.instruments import Token
from connectors.ports import FeedSetup
from connectors.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found at one contract."""

    token: Token
    identity: Identity
    problems: tuple[str, ...]
    """What is not as it must be; empty where all is."""
    reading: Reading | None = None
    """What it says it is worth; None where it is not the token, or nobody knows how it speaks."""


async def verify(setup: FeedSetup, tokens: Sequence[Token], registry: Registry) -> tuple[Head, tuple[Verified, ...]]:
    """Looks at tokens of one chain at the newest block. Raises as Rpc.ask where no node answers, NodesDisagree where
    several do not find the same."""
    async with aiohttp.ClientSession() as session:
        agreement = Agreement(nodes(setup, session), 1, lambda *_: None)
        head = await agreement.block()

        async def find(rpc: Rpc) -> list[Verified]:
            chain_id = await rpc.chain_id()
            return [await _one(rpc, head, chain_id, token, registry, setup) for token in tokens]

        found = await agreement.said(find)
    sure = tuple(one for one in found if one is not None)
    if len(sure) < len(tokens):
        raise NodesDisagree(f"the nodes do not say the same of {len(tokens) - len(sure)} tokens", where=setup.venue)
    return head, sure


async def verify_and_pin(
    setup: FeedSetup, tokens: Sequence[Token], registry: Registry, path: Path
) -> tuple[Head, tuple[Verified, ...], int]:
    """Holds the code of tokens against a file of pins, and adds those that are not in it and are right otherwise; gives
    how many. Raises as `verify`, and DataError where the file is wrong or cannot be written."""
    known = read_pins(path, may_lack=True)
    asked = [
        msgspec.structs.replace(token, code_hash=pinned(known, token.chain, token.contract) or token.code_hash)
        for token in tokens
    ]
    head, found = await verify(setup, asked, registry)
    date = datetime.fromtimestamp(head.timestamp_s, UTC).date().isoformat()
    new = [
        Pin(
            chain=one.token.chain, contract=one.token.contract, symbol=one.token.symbol,
            code_hash=one.identity.code_hash, block=head.number, date=date,
        )
        for one in found
        if not one.problems and not pinned(known, one.token.chain, one.token.contract)
    ]  # fmt: skip
    if new:
        add_pins(path, new)
    return head, found, len(new)


async def _one(rpc: Rpc, head: Head, chain_id: int, token: Token, registry: Registry, setup: FeedSetup) -> Verified:
    identity = await identify(rpc, token.contract, head, chain_id)
    problems = tuple(identity.problems(Expected.of(token, registry)))
    standard = standard_of(token.issuer, token.unit_model)
    if problems or standard is None:
        return Verified(token=token, identity=identity, problems=problems)
    oracle = shares_oracle(registry, token.issuer, token.chain, setup)
    if standard is Standard.SVALUE and not oracle:
        return Verified(token=token, identity=identity, problems=())
    try:
        reader = await reader_for(rpc, head, token.contract, standard, oracle, identity.decimals)
        reading = reader.read(await rpc.calls(reader.calls(), head), head.timestamp_s)
    except BadMessage as error:
        return Verified(token=token, identity=identity, problems=(f"it does not say what it is worth: {error}",))
    return Verified(token=token, identity=identity, problems=(), reading=reading)
