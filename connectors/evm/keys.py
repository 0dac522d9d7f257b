"""The key of a wallet: where it is kept, and a signer that signs what this wallet may do and nothing else.

The key comes from an encrypted keystore or from a file that only its owner may read. It stands in no text of ours: not
in a config, a repr, a log or an error.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import msgspec
from eth_account import Account
from eth_utils.address import to_checksum_address

from connectors.errors import KeyRefused, NotSigned
from connectors.evm.abi import Method

APPROVE: Final = Method("approve", ("address", "uint256"), ("bool",))
PERMIT: Final = Method("approve", ("address", "address", "uint160", "uint48"), ())
"""Of Permit2: lets a spender take so much of a token until a moment."""
_KEY_BYTES: Final = 32


class KeySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the key is: an encrypted keystore (Web3 Secret Storage, version 3) with its password in a file or an
    environment variable, or a file with the key in hex. Paths and names, never the key itself.
    """

    keystore: str = ""
    password_file: str = ""
    password_env: str = ""
    key_file: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet may sign. Addresses in lower case."""

    chain_id: int
    calls: frozenset[tuple[str, bytes]] = frozenset()
    """(contract, selector) that may be called."""
    tokens: frozenset[str] = frozenset()
    """What may be approved."""
    spenders: frozenset[str] = frozenset()
    """To whom."""
    permits: frozenset[str] = frozenset()
    """Permit2, where it may let those spenders spend."""
    max_fee_wei: int
    """Per unit of gas."""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """An EIP-1559 transaction that is not signed yet; it carries no coin of the chain."""

    chain_id: int
    nonce: int
    to: str
    data: bytes
    gas: int
    max_fee_wei: int
    max_priority_wei: int


class Signed(NamedTuple):
    """What may be sent."""

    raw: bytes
    hash: str


class Signer(Protocol):
    """Who signs for a wallet; in a run on paper there is none."""

    @property
    def address(self) -> str:
        """Of the wallet, with its checksum."""

    def sign(self, transaction: Transaction) -> Signed:
        """Signs. Raises NotSigned for what this wallet must not do."""


class NoSigner:
    """Stands where a signer does, of a wallet that is only looked at; no key was opened."""

    def __init__(self, address: str) -> None:
        """Of the wallet."""
        self.address = to_checksum_address(address)

    def sign(self, transaction: Transaction) -> Signed:
        """Raises NotSigned."""
        raise NotSigned("no key was opened")


class KeySigner:
    """A signer with the key in this process."""

    __slots__ = ("_account", "_policy")

    def __init__(self, key: bytes, policy: Policy) -> None:
        """Raises KeyRefused for what is not a key."""
        account: Any = None
        with suppress(Exception):  # what the library says may hold the key: not even as a cause
            account = Account.from_key(key)
        if account is None:
            raise KeyRefused("this is not a private key")
        self._account, self._policy = account, policy

    def __repr__(self) -> str:
        """Whose signer it is."""
        return f"KeySigner({self.address})"

    def __reduce__(self) -> NoReturn:
        """A key is not copied out of its process."""
        raise TypeError("a signer cannot be pickled")

    @property
    def address(self) -> str:
        """Of the wallet, with its checksum."""
        return str(self._account.address)

    def sign(self, transaction: Transaction) -> Signed:
        """Signs. Raises NotSigned for what this wallet must not do."""
        check(transaction, self._policy, self.address)
        made: Any = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": transaction.chain_id,
                "nonce": transaction.nonce,
                "to": to_checksum_address(transaction.to),
                "value": 0,
                "data": transaction.data,
                "gas": transaction.gas,
                "maxFeePerGas": transaction.max_fee_wei,
                "maxPriorityFeePerGas": transaction.max_priority_wei,
            }
        )
        return Signed(bytes(made.raw_transaction), "0x" + bytes(made.hash).hex())


def check(transaction: Transaction, policy: Policy, wallet: str) -> None:
    """Whether a wallet may sign this: its chain, its fee, and a call that is allowed, an exact approval of a spender
    that is allowed, or nothing at all to itself. Raises NotSigned.
    """
    to, selector = transaction.to.lower(), transaction.data[:4]
    if transaction.chain_id != policy.chain_id:
        raise NotSigned(f"it is for chain {transaction.chain_id}, this wallet signs for {policy.chain_id}")
    if not 0 <= transaction.max_priority_wei <= transaction.max_fee_wei <= policy.max_fee_wei:
        raise NotSigned(f"it pays up to {transaction.max_fee_wei} wei per gas, {policy.max_fee_wei} is allowed")
    if to == wallet.lower() and not transaction.data:
        return
    if selector == APPROVE.selector and to in policy.tokens:
        spender, amount = APPROVE.arguments(transaction.data)
        return _check_approval(spender, amount, 1 << 255, policy.spenders | policy.permits)
    if selector == PERMIT.selector and to in policy.permits:
        token, spender, amount, _ = PERMIT.arguments(transaction.data)
        if token.lower() not in policy.tokens:
            raise NotSigned("it lets somebody spend what is not on the list", where=token)
        return _check_approval(spender, amount, 1 << 159, policy.spenders)
    if (to, selector) not in policy.calls:
        raise NotSigned(f"this contract or its function 0x{selector.hex()} is not on the list", where=transaction.to)


def _check_approval(spender: str, amount: int, limit: int, allowed: frozenset[str]) -> None:
    """Raises NotSigned where this one may not spend, or too much."""
    if spender.lower() not in allowed:
        raise NotSigned("it lets somebody spend who is not on the list", where=spender)
    if amount >= limit:
        raise NotSigned("it lets a contract spend without a limit", where=spender)


def load(source: KeySource, policy: Policy, *, folder: Path, environ: Mapping[str, str]) -> KeySigner:
    """The signer of a key that is kept as `source` says; paths are looked for from `folder`.

    Raises KeyRefused where it cannot be had or is not kept safely; the error holds no part of any of it.
    """
    if bool(source.keystore) == bool(source.key_file):
        raise KeyRefused("a wallet has either a keystore or a key_file")
    if source.key_file:
        text = _private(folder / Path(source.key_file).expanduser())
        try:
            key = bytes.fromhex(text.strip().removeprefix("0x"))
        except ValueError:
            raise KeyRefused("it does not hold a key in hex", where=source.key_file) from None
        if len(key) != _KEY_BYTES:
            raise KeyRefused(f"a key has {_KEY_BYTES} bytes in hex", where=source.key_file)
        return KeySigner(key, policy)
    password = _password(source, folder, environ)
    text = _private(folder / Path(source.keystore).expanduser())
    key = b""
    with suppress(Exception):  # as above
        key = bytes(Account.decrypt(json.loads(text), password))
    if not key:
        raise KeyRefused("this keystore does not open", where=source.keystore, hint="is the password the right one?")
    return KeySigner(key, policy)


def _password(source: KeySource, folder: Path, environ: Mapping[str, str]) -> str:
    """The password of a keystore. Raises KeyRefused."""
    if bool(source.password_file) == bool(source.password_env):
        raise KeyRefused("a keystore has either a password_file or a password_env", where=source.keystore)
    if source.password_file:
        return _private(folder / Path(source.password_file).expanduser()).rstrip("\r\n")
    if source.password_env not in environ:
        raise KeyRefused("this environment variable is not set", where=source.password_env)
    return environ[source.password_env]


def _private(path: Path) -> str:
    """A file that its owner alone can read, and that is ours. Raises KeyRefused."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                what = f"others may read it (mode {mode:03o})"
                raise KeyRefused(what, where=path.name, hint=f"chmod 600 {path.name}")
            if found.st_uid != os.geteuid():
                raise KeyRefused("it belongs to another user", where=path.name)
            return file.read(1 << 16).decode()
    except OSError as error:
        raise KeyRefused(str(error.strerror), where=path.name) from None
    except UnicodeDecodeError:
        raise KeyRefused("it is not a text", where=path.name) from None
