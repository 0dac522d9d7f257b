"""The registry of tokenized shares: which contract is which token, who says so, and what a unit is worth; and by which
contracts of coins and exchanges a pool of them is known to be real.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from connectors.amm.forks import FORKS
from connectors.errors import RegistryError
from connectors.instruments import Issuer, Token, Trust, UnitModel

SHIPPED: Final = Path(__file__).parent / "data" / "tokens.toml"
SOLANA: Final = "solana"
_EVM_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_UNKNOWN: Final = "unknown"
V = TypeVar("V", str, int)


class Pool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DEX pool of a token; `quote` is empty where the source did not record it."""

    token: str
    chain: str
    address: str
    source: str
    dex: str = ""
    quote: str = ""
    fee_bps: float | None = None
    low_fee_tier_liquidity_usd: float | None = None
    note: str = ""


class Coin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contracts of a coin by EVM chain."""

    symbol: str
    addresses: dict[str, str]
    source: str


class Factory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who makes the pools of a fork and lists them, by EVM chain: the factory, of v4 the PoolManager."""

    fork: str
    addresses: dict[str, str]
    views: dict[str, str] = {}
    """v4: the StateView of each."""
    source: str


class Market(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How ccxt spells a venue's symbols, with {T} for the ticker, and what the venue needs."""

    venue: str
    pattern: str
    needs: str = ""


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the file says, one Token for each (chain, contract)."""

    collected: str
    chains: dict[str, int]
    """EVM chain name to chain id."""
    issuers: dict[str, Issuer]
    facts: dict[str, dict[str, Any]]
    """Per issuer: names of its functions, factories and other facts, as written."""
    tokens: tuple[Token, ...]
    pools: tuple[Pool, ...]
    coins: dict[tuple[str, str], str]
    """Contract of a coin by (chain, symbol)."""
    factories: dict[tuple[str, str], str]
    """Factory by (chain, fork); of v4 the PoolManager."""
    views: dict[tuple[str, str], str]
    """StateView by (chain, fork)."""
    markets: tuple[Market, ...]
    pyth: dict[str, dict[str, str]]
    """Pyth feed ids (64 hex digits) per underlying or coin, by sort of feed."""

    def find(self, chain: str, contract: str) -> Token:
        """The token of a contract; an EVM address in any case. Raises RegistryError where it is not listed."""
        wanted = identity(chain, contract)
        for token in self.tokens:
            if identity(token.chain, token.contract) == wanted:
                return token
        raise RegistryError(f"contract {contract} is not in the registry", where=chain)

    def known(self, symbol: str) -> tuple[Token, ...]:
        """Every token of that display name, in any case: several chains, and several issuers where they share it."""
        return tuple(token for token in self.tokens if token.symbol.lower() == symbol.lower())

    def named(self, symbol: str) -> tuple[Token, ...]:
        """The same; raises RegistryError, with the nearest names, where there is none."""
        found = self.known(symbol)
        if not found:
            names = {token.symbol.lower(): token.symbol for token in self.tokens}
            near = [token.symbol for token in self.tokens if token.underlying.lower() == symbol.lower()]
            near = near or [names[name] for name in get_close_matches(symbol.lower(), names, n=5, cutoff=0.5)]
            hint = "nearest: " + ", ".join(dict.fromkeys(near)) if near else "`pegline tokens list` shows all"
            raise RegistryError(f"no token {symbol!r} in the registry", hint=hint)
        return found

    def select(self, *, underlying: str = "", issuer: str = "", chain: str = "") -> tuple[Token, ...]:
        """The tokens that match every filter given, compared without case; an empty filter matches all."""
        wanted = [
            (name, value.lower())
            for name, value in (("underlying", underlying), ("issuer", issuer), ("chain", chain))
            if value
        ]
        return tuple(t for t in self.tokens if all(getattr(t, name).lower() == value for name, value in wanted))


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A [[token]] table as written; a value may differ by family of chains (evm, solana)."""

    symbol: str
    issuer: str
    underlying: str
    unit_model: str | dict[str, str]
    addresses: dict[str, str]
    trust: str | dict[str, str]
    source: list[str]
    decimals: int | dict[str, int] | None = None
    code_hashes: dict[str, str] = {}
    """By chain: see Token.code_hash."""
    note: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file as written."""

    schema_version: int
    collected: str
    chains: dict[str, int]
    issuers: dict[str, dict[str, Any]]
    token: list[_Entry]
    pool: list[Pool] = []
    coin: list[Coin] = []
    factory: list[Factory] = []
    market: list[Market] = []
    pyth: dict[str, dict[str, str]] = {}


@lru_cache(maxsize=1)
def load_registry() -> Registry:
    """The registry that is shipped with the package. Raises RegistryError where it contradicts itself."""
    return read_registry(SHIPPED)


def read_registry(path: Path) -> Registry:
    """The registry of a file. Raises RegistryError, with file and place, where it cannot be read or is not sound."""
    try:
        return parse_registry(path.read_text(encoding="utf-8"), where=path.name)
    except OSError as error:
        raise RegistryError(f"cannot be read: {error.strerror}", where=str(path)) from error


def parse_registry(text: str, *, where: str) -> Registry:
    """The registry of a TOML text; `where` names it in errors. Raises RegistryError where it is not sound."""
    try:
        written = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RegistryError(str(error), where=where) from error
    if written.schema_version != 1:
        raise RegistryError(f"schema_version {written.schema_version} is not 1", where=where)
    issuers = {key: _issuer(key, facts, where) for key, facts in written.issuers.items()}
    tokens = tuple(token for at, entry in enumerate(written.token) for token in _tokens(entry, f"{where}: token[{at}]"))
    seen: dict[tuple[str, str], Token] = {}
    for token in tokens:
        place = f"{where}: {token.symbol} on {token.chain}"
        if token.issuer not in issuers:
            raise RegistryError(f"issuer {token.issuer!r} has no table", where=place)
        _check_address(token.chain, token.contract, written.chains, place)
        other = seen.setdefault(identity(token.chain, token.contract), token)
        if other is not token:
            raise RegistryError(f"{token.contract} is already {other.symbol}", where=place)
    known = {token.symbol for token in tokens}
    for at, pool in enumerate(written.pool):
        if pool.token not in known:
            raise RegistryError(f"no token {pool.token!r}", where=f"{where}: pool[{at}]")
        _check_address(pool.chain, pool.address, written.chains, f"{where}: pool[{at}]")
    chains = written.chains
    for at, maker in enumerate(written.factory):
        if maker.fork not in FORKS:
            raise RegistryError(f"no fork {maker.fork!r}", where=f"{where}: factory[{at}]")
    coins = [(c.symbol, c.addresses, f"{where}: coin[{at}]") for at, c in enumerate(written.coin)]
    makers = [(f.fork, f.addresses, f"{where}: factory[{at}]") for at, f in enumerate(written.factory)]
    views = [(f.fork, f.views, f"{where}: factory[{at}].views") for at, f in enumerate(written.factory)]
    return Registry(
        collected=written.collected,
        chains=written.chains,
        issuers=issuers,
        facts=written.issuers,
        tokens=tokens,
        pools=tuple(written.pool),
        coins=_by_chain(coins, chains),
        factories=_by_chain(makers, chains),
        views=_by_chain(views, chains),
        markets=tuple(written.market),
        pyth=written.pyth,
    )


def _by_chain(named: list[tuple[str, dict[str, str], str]], chains: Mapping[str, int]) -> dict[tuple[str, str], str]:
    """Addresses by (chain, name). Raises RegistryError for one that cannot be one, or two of one name on a chain."""
    found: dict[tuple[str, str], str] = {}
    for name, addresses, where in named:
        for chain, address in addresses.items():
            _check_address(chain, address, chains, where)
            if found.setdefault((chain, name), address) != address:
                raise RegistryError(f"{name} on {chain} is already {found[chain, name]}", where=where)
    return found


def identity(chain: str, contract: str) -> tuple[str, str]:
    """What makes two contracts the same: on EVM the case of an address carries a checksum, no meaning."""
    return (chain, contract if chain == SOLANA else contract.lower())


def _issuer(key: str, facts: Mapping[str, Any], where: str) -> Issuer:
    """The issuer of a table. Raises RegistryError without a name."""
    if not (isinstance(facts.get("name"), str) and isinstance(facts.get("source", ""), str)):
        raise RegistryError("needs a name, and texts for name and source", where=f"{where}: issuers.{key}")
    return Issuer(key=key, name=facts["name"], source=facts.get("source", ""))


def _tokens(entry: _Entry, where: str) -> list[Token]:
    """One Token for each chain of an entry. Raises RegistryError for a model or trust level that does not exist."""
    made = []
    for chain, contract in entry.addresses.items():
        family = SOLANA if chain == SOLANA else "evm"
        model, trust = _of_family(entry.unit_model, family), _of_family(entry.trust, family)
        if model is None or trust is None:
            raise RegistryError(f"{entry.symbol} lacks unit_model or trust for {family}", where=where)
        try:
            unit_model, level = (None if model == _UNKNOWN else UnitModel(model)), Trust(trust)
        except ValueError as error:
            raise RegistryError(f"{entry.symbol}: {error}", where=where) from error
        decimals = _of_family(entry.decimals, family)
        if decimals is not None and not 0 <= decimals <= 36:
            raise RegistryError(f"{entry.symbol} cannot have {decimals} decimals", where=where)
        code_hash = entry.code_hashes.get(chain, "")
        if code_hash and _HASH.fullmatch(code_hash) is None:
            raise RegistryError(f"{entry.symbol}: {code_hash!r} is not 0x and 64 hex digits", where=where)
        made.append(
            Token(
                symbol=entry.symbol,
                underlying=entry.underlying,
                issuer=entry.issuer,
                chain=chain,
                contract=contract,
                unit_model=unit_model,
                trust=level,
                decimals=decimals,
                code_hash=code_hash,
                source="; ".join(entry.source),
                note=entry.note,
            )
        )
    if not made:
        raise RegistryError(f"{entry.symbol} has no address", where=where)
    return made


def _of_family(value: V | dict[str, V] | None, family: str) -> V | None:
    """The value for a family of chains, where it may be one for all."""
    return value.get(family) if isinstance(value, dict) else value


def _check_address(chain: str, address: str, chains: Mapping[str, int], where: str) -> None:
    """Raises RegistryError where an address cannot be one of its chain."""
    if chain == SOLANA:
        if not (set(address) <= set(_BASE58) and _base58_length(address) == 32):
            raise RegistryError(f"{address!r} is not 32 bytes in base58", where=where)
    elif chain not in chains:
        raise RegistryError(f"chain {chain!r} has no id under [chains]", where=where)
    elif not _EVM_ADDRESS.fullmatch(address):
        raise RegistryError(f"{address!r} is not 0x and 40 hex digits", where=where)


def _base58_length(text: str) -> int:
    """How many bytes a base58 text stands for; each leading 1 is a zero byte."""
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    return (number.bit_length() + 7) // 8 + len(text) - len(text.lstrip("1"))
