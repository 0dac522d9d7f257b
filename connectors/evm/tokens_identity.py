"""Whether a contract is the token that the registry means: its chain, its code, its decimals and its symbol.

The code that counts is all that runs: of a proxy (EIP-1967: an implementation, or a beacon that names one; or one from
before that, as those of USDC are) its own, the beacon's and the implementation's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from eth_utils.crypto import keccak

from connectors.errors import BadMessage, Reverted
from connectors.evm.abi import Method, text_of
from connectors.evm.node import Node
from connectors.evm.pins import Place, pinned
from connectors.evm.rpc import Head, Rpc
from connectors.evm.tokens import ASSET, DECIMALS, SYMBOL, Reader, Standard
from connectors.instruments import Instrument, Token
from connectors.ports import FeedSetup
from connectors.registry import Registry, load_registry

IMPLEMENTATION_SLOT: Final = int.from_bytes(keccak(text="eip1967.proxy.implementation"), "big") - 1
BEACON_SLOT: Final = int.from_bytes(keccak(text="eip1967.proxy.beacon"), "big") - 1
OLD_SLOT: Final = int.from_bytes(keccak(text="org.zeppelinos.proxy.implementation"), "big")
"""Where proxies from before EIP-1967 have their implementation (circlefin/stablecoin-evm, UpgradeabilityProxy)."""
_IMPLEMENTATION: Final = Method("implementation", gives=("address",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a contract must be; None and empty are not known, and are not held against it."""

    contract: str
    chain_id: int | None = None
    decimals: int | None = None
    symbol: str = ""
    code_hash: str = ""

    @staticmethod
    def of(token: Token, registry: Registry) -> Expected:
        """A token of the registry."""
        return Expected(
            contract=token.contract,
            chain_id=registry.chains.get(token.chain),
            decimals=token.decimals,
            symbol=token.symbol,
            code_hash=token.code_hash,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a contract is at one block."""

    chain_id: int
    code_hash: str
    """As `code_of` gives it."""
    implementation: str = ""
    """The contract that it is a proxy of."""
    decimals: int | None
    symbol: str | None

    def problems(self, expected: Expected) -> Iterator[str]:
        """What is not as it must be, in words."""
        if expected.chain_id not in (None, self.chain_id):
            yield f"chain id {self.chain_id}, not {expected.chain_id}"
        if not self.code_hash:
            yield "no code at this address"
            return
        if expected.code_hash and expected.code_hash.lower() != self.code_hash:
            yield f"code hash {self.code_hash}, not {expected.code_hash.lower()}"
        if self.decimals is None or expected.decimals not in (None, self.decimals):
            yield f"{_told(self.decimals)} decimals, not {_told(expected.decimals)}"
        if self.symbol is None or expected.symbol not in ("", self.symbol):
            yield f"symbol {_told(self.symbol)!a}, not {expected.symbol!a}"


async def identify(rpc: Rpc, contract: str, head: Head, chain_id: int) -> Identity:
    """What stands at an address at a block. Raises as Rpc.ask."""
    code_hash, implementation = await code_of(rpc, contract, head)
    decimals: int | None = None
    symbol: str | None = None
    if code_hash:
        answers = await rpc.calls((DECIMALS.call(contract), SYMBOL.call(contract)), head)
        decimals = DECIMALS.known(answers[0])
        try:
            symbol = text_of(answers[1])
        except BadMessage:
            symbol = None
    return Identity(
        chain_id=chain_id,
        code_hash=code_hash,
        implementation=implementation,
        decimals=decimals,
        symbol=symbol,
    )


async def code_of(node: Node, contract: str, head: Head) -> tuple[str, str]:
    """A hash of all the code that runs at an address, as 0x and hex (empty where there is none, or a part lacks), and
    the contract that it is a proxy of. Raises as Rpc.ask.

    keccak-256 of the code; of a proxy keccak-256 of the byte ef and the hashes of its own code, of its beacon's if it
    has one, and of the implementation's. No code begins with ef (EIP-3541), so that none has the hash of a proxy.
    """
    beacon, implementation = await _behind(node, contract, head)
    codes = [await node.code(part, head) for part in (contract, beacon, implementation) if part]
    if not all(codes):
        return "", implementation
    hashes = [keccak(code) for code in codes]
    whole = hashes[0] if len(hashes) == 1 else keccak(b"\xef" + b"".join(hashes))
    return "0x" + whole.hex(), implementation


async def _behind(node: Node, contract: str, head: Head) -> tuple[str, str]:
    """The beacon and the implementation of a proxy; empty is none."""
    named = _address(await node.slot(contract, IMPLEMENTATION_SLOT, head))
    if named:
        return "", named
    beacon = _address(await node.slot(contract, BEACON_SLOT, head))
    if not beacon:
        return "", _address(await node.slot(contract, OLD_SLOT, head))
    try:
        return beacon, str(_IMPLEMENTATION.one(await node.call(_IMPLEMENTATION.call(beacon), head)))
    except Reverted:
        return beacon, ""


def _address(word: bytes) -> str:
    return "0x" + word[-20:].hex() if any(word[-20:]) else ""


def _told(value: object) -> str:
    return "unknown" if value is None else str(value)


def expected_of(instrument: Instrument, pins: Mapping[Place, str]) -> Expected:
    """What the registry knows of an instrument's contract, else what the instrument itself says; its code as an
    operator pinned it, else as the registry has it."""
    registry = load_registry()
    chain_id = registry.chains.get(instrument.chain)
    known = Expected(contract=instrument.contract, chain_id=chain_id, symbol=instrument.token)
    for token in registry.tokens:
        if token.chain == instrument.chain and token.contract.lower() == instrument.contract.lower():
            known = Expected.of(token, registry)
    return replace(known, code_hash=pinned(pins, instrument.chain, instrument.contract) or known.code_hash)


def shares_oracle(registry: Registry, issuer: str, chain: str, setup: FeedSetup) -> str:
    """The contract that keeps what an issuer's tokens are worth: as an option says, else the registry; may be none."""
    named = registry.facts.get(issuer, {}).get("shares_oracle", {})
    return str(setup.options.get("shares_oracle", "") or named.get(chain, ""))


async def reader_for(
    rpc: Rpc, head: Head, contract: str, standard: Standard, oracle: str, decimals: int | None
) -> Reader:
    """How a token is asked; a vault names its asset. Raises as Rpc.ask."""
    helper = oracle if standard is Standard.SVALUE else ""
    if standard is Standard.VAULT:
        helper = str(ASSET.one(await rpc.call(ASSET.call(contract), head)))
    return Reader(contract=contract, standard=standard, helper=helper, decimals=18 if decimals is None else decimals)
