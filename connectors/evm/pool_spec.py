"""Which pool an instrument is, by config and registry: contract or v4 pool id, fork, key, who must have made it, and
which two contracts it must hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from connectors.amm.forks import FORKS, Family, Fork
from connectors.amm.v4 import PoolKey
from connectors.errors import BadMessage, PoolStateError
from connectors.evm.pins import Place, pinned
from connectors.evm.tokens_identity import expected_of
from connectors.instruments import Instrument, Role
from connectors.registry import load_registry

Options = Mapping[str, str | float | bool]

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_POOL_ID: Final = re.compile(r"0x[0-9a-fA-F]{64}")

HINT: Final = (
    'write the fork in options: "0x<pool>" = "uniswap_v3", or '
    '"0x<pool id>" = "uniswap_v4 CURRENCY0 CURRENCY1 FEE SPACING HOOKS"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """One pool that is followed."""

    instrument: Instrument
    pool: str
    """Contract or pool id, in lower case: what logs are known by."""
    token: str
    """Contract of the token that a price is for one of, in lower case."""
    fork: Fork
    key: PoolKey | None = None
    """v4 only."""
    decimals: int | None = None
    """Of the token, as the registry has it."""
    coin: str = ""
    """Contract of the coin that a price is in, in lower case; empty where nobody said."""
    factory: str = ""
    """The contract that must know the pool (of v4 the PoolManager), in lower case; empty where nobody said."""
    view: str = ""
    """v4: the StateView that tells its state, in lower case; empty where nobody said."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the code that must run, by contract, of those of its contracts that are pinned."""


def pool_id(key: PoolKey) -> str:
    """What a v4 pool is known by: keccak-256 of its key."""
    values = (key.currency0, key.currency1, key.fee, key.spacing, key.hooks)
    return "0x" + keccak(encode(["address", "address", "uint24", "int24", "address"], values)).hex()


def pool_of(instrument: Instrument, options: Options, pins: Mapping[Place, str]) -> PoolSpec:
    """The pool of an instrument whose symbol is its contract or its v4 pool id.

    Coin, factory and StateView are those of the options `coins` ("USDC 0x... USDG 0x..."), `factories` ("uniswap_v3
    0x..."), `manager` (the factory of v4) and `state_view`, else the registry's; its contracts must run the code that
    `pins` say. Raises BadMessage where the config does not say what is needed, or contradicts itself.
    """
    name = instrument.name
    if instrument.role is not Role.TOKEN or not _ADDRESS.fullmatch(instrument.contract):
        hint = "write token and chain as `pegline tokens list` has them"
        raise BadMessage("the contract of the token that this pool prices is not known", where=name, hint=hint)
    said = str(options.get(instrument.symbol, "")).split()
    fork = FORKS.get(said[0]) if said else None
    if fork is None:
        raise BadMessage(f"no fork of {', '.join(FORKS)}", where=name, hint=HINT)
    key = None
    if fork.family is Family.V4:
        key = _key(said[1:], name)
        if pool_id(key) != instrument.symbol.lower():
            raise BadMessage(f"a pool with this key has the id {pool_id(key)}", where=name, hint=HINT)
    elif len(said) != 1 or not _ADDRESS.fullmatch(instrument.symbol):
        raise BadMessage("a pool of v2 and v3 is known by its contract", where=name, hint=HINT)
    registry, chain = load_registry(), instrument.chain
    manager = {"uniswap_v4": str(options["manager"])} if options.get("manager") else {}
    coins, factories = _named(options, "coins"), {**_named(options, "factories"), **manager}
    pool, token, expected = instrument.symbol.lower(), instrument.contract.lower(), expected_of(instrument, pins)
    coin = coins.get(instrument.quote, registry.coins.get((chain, instrument.quote), "")).lower()
    factory = factories.get(fork.key, registry.factories.get((chain, fork.key), "")).lower()
    view = str(options.get("state_view", registry.views.get((chain, fork.key), ""))).lower()
    code = {contract: pinned(pins, chain, contract) for contract in (pool, coin, factory, view)}
    code[token] = expected.code_hash.lower()
    return PoolSpec(
        instrument=instrument, pool=pool, token=token, fork=fork, key=key, decimals=expected.decimals, coin=coin,
        factory=factory, view=view, code={contract: hash_ for contract, hash_ in code.items() if hash_},
    )  # fmt: skip


def _named(options: Options, option: str) -> dict[str, str]:
    """Addresses by name, as an option has them in turns. Raises BadMessage."""
    said = str(options.get(option, "")).split()
    if len(said) % 2 or not all(_ADDRESS.fullmatch(address) for address in said[1::2]):
        raise BadMessage(f"options.{option} is not NAME ADDRESS NAME ADDRESS ...", hint=f'{option} = "NAME 0x..."')
    return dict(zip(said[::2], said[1::2], strict=True))


def _key(said: list[str], name: str) -> PoolKey:
    try:
        currency0, currency1, fee, spacing, hooks = said
        if not all(_ADDRESS.fullmatch(address) for address in (currency0, currency1, hooks)):
            raise ValueError("not an address")
        return PoolKey(
            currency0=currency0.lower(), currency1=currency1.lower(), fee=int(fee, 0), spacing=int(spacing),
            hooks=hooks.lower(),
        )  # fmt: skip
    except (ValueError, PoolStateError) as error:
        raise BadMessage(f"not the key of a v4 pool: {error}", where=name, hint=HINT) from error
