"""A wallet's key: kept where only its owner reads it, told to nobody, and good for nothing but this wallet's swaps."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from connectors.errors import KeyRefused, NotSigned
from connectors.evm.abi import Method
from connectors.evm.keys import APPROVE, PERMIT, KeySigner, KeySource, Policy, Transaction, load

KEY = "5a" * 32
WRONG = "zz" + "5a" * 31
ADDRESS = Account.from_key(KEY).address
PASSWORD = "correct horse battery"
ROUTER, TOKEN, OTHER, PERMIT2 = ("0x" + digit * 40 for digit in "1234")
SWAP = Method("swapExactTokensForTokens", ("uint256",))
POLICY = Policy(
    chain_id=8453,
    calls=frozenset({(ROUTER, SWAP.selector)}),
    tokens=frozenset({TOKEN}),
    spenders=frozenset({ROUTER}),
    permits=frozenset({PERMIT2}),
    max_fee_wei=100,
)


def put(path: Path, text: str, mode: int = 0o600) -> str:
    """A file; gives its name."""
    path.write_text(text)
    path.chmod(mode)
    return path.name


def keystore(path: Path, mode: int = 0o600) -> str:
    """An encrypted keystore with few rounds."""
    return put(path, json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=2)), mode)


def test_a_key_comes_from_a_keystore_or_a_file(tmp_path: Path) -> None:
    """
    The same address signs, be the key in a keystore with its password in a file or in the environment, or in a file.
    """
    store = keystore(tmp_path / "store.json")
    sources = [
        KeySource(keystore=store, password_file=put(tmp_path / "password", PASSWORD + "\n")),
        KeySource(keystore=store, password_env="WALLET_PASSWORD"),
        KeySource(key_file=put(tmp_path / "key", f"0x{KEY}\n")),
    ]
    environ = {"WALLET_PASSWORD": PASSWORD}
    found = [load(source, POLICY, folder=tmp_path, environ=environ).address for source in sources]
    assert 3 * [ADDRESS] == found


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o700 | 0o070])
@pytest.mark.parametrize("which", ["key", "store", "password"])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, which: str, mode: int) -> None:
    """
    Neither key nor keystore nor password is read from a file that anybody but its owner may read; the hint says chmod.
    """
    modes = {which: mode}
    store = keystore(tmp_path / "store", modes.get("store", 0o600))
    password = put(tmp_path / "password", PASSWORD, modes.get("password", 0o600))
    key = put(tmp_path / "key", KEY, modes.get("key", 0o600))
    source = KeySource(key_file=key) if which == "key" else KeySource(keystore=store, password_file=password)
    with pytest.raises(KeyRefused, match=rf"{which}: others may read it .*chmod 600"):
        load(source, POLICY, folder=tmp_path, environ={})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (KeySource(), "either a keystore or a key_file"),
        (KeySource(keystore="store", key_file="key"), "either a keystore or a key_file"),
        (KeySource(keystore="store"), "either a password_file or a password_env"),
        (KeySource(keystore="store", password_env="NOT_SET"), "NOT_SET: this environment variable is not set"),
        (KeySource(keystore="store", password_env="WRONG"), "store: this keystore does not open"),
        (KeySource(keystore="key", password_env="RIGHT"), "key: this keystore does not open"),
        (KeySource(key_file="absent"), "absent: No such file"),
        (KeySource(key_file="folder"), "folder: "),
        (KeySource(key_file="short"), "a key has 32 bytes"),
        (KeySource(key_file="not_hex"), "it does not hold a key in hex"),
        (KeySource(key_file="zero"), "this is not a private key"),
        (KeySource(key_file="bytes"), "it is not a text"),
    ],
)
def test_what_is_no_key_is_refused_in_words_that_hold_nothing_of_it(
    tmp_path: Path, source: KeySource, said: str
) -> None:
    """
    Every way in which a key cannot be had is said, and neither the error nor its causes hold the key or the password.
    """
    keystore(tmp_path / "store")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes").chmod(0o600)
    for name, text in {"key": KEY, "short": KEY[2:], "not_hex": WRONG, "zero": "00" * 32}.items():
        put(tmp_path / name, text)
    with pytest.raises(KeyRefused) as caught:
        load(source, POLICY, folder=tmp_path, environ={"WRONG": PASSWORD + "!", "RIGHT": PASSWORD})
    assert said in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        words = "".join(traceback.format_exception_only(error)) + repr(error.args)
        assert not any(secret in words for secret in (KEY[:20], WRONG[:20], PASSWORD))
        error = error.__context__


def test_a_signer_shows_nothing_of_its_key(tmp_path: Path) -> None:
    """
    Neither repr nor str nor formatting shows it, and it can be neither pickled nor copied.
    """
    signer = KeySigner(bytes.fromhex(KEY), POLICY)
    assert f"KeySigner({ADDRESS})" == repr(signer) == str(signer) == f"{signer}"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            take(signer)


def transaction(**more: Any) -> Transaction:
    """A swap that may be signed, with other fields where they are said."""
    given = {
        "chain_id": 8453, "nonce": 7, "to": ROUTER, "data": SWAP.call(ROUTER, 1).data, "gas": 100_000,
        "max_fee_wei": 100, "max_priority_wei": 2,
    }  # fmt: skip
    return Transaction(**given | more)


def test_what_is_signed_is_the_wallets_and_nothing_else_is_signed() -> None:
    """
    The signature is of this address, for this chain, and its hash is that of the raw transaction.
    """
    signed = KeySigner(bytes.fromhex(KEY), POLICY).sign(transaction())
    assert ADDRESS == Account.recover_transaction(signed.raw)
    assert "0x" + keccak(signed.raw).hex() == signed.hash


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (transaction(chain_id=1), "for chain 1, this wallet signs for 8453"),
        (transaction(to=OTHER), "not on the list"),
        (transaction(data=APPROVE.call(TOKEN, ROUTER, 1).data), "not on the list"),
        (transaction(data=b""), "not on the list"),
        (transaction(max_fee_wei=101), "up to 101 wei per gas, 100 is allowed"),
        (transaction(max_priority_wei=101), "wei per gas"),
        (transaction(to=TOKEN, data=Method("transfer", ("address", "uint256")).call(TOKEN, OTHER, 1).data), "not on"),
        (transaction(to=OTHER, data=APPROVE.call(OTHER, ROUTER, 1).data), "not on the list"),
        (transaction(to=TOKEN, data=APPROVE.call(TOKEN, OTHER, 1).data), "who is not on the list"),
        (transaction(to=TOKEN, data=APPROVE.call(TOKEN, ROUTER, 2**256 - 1).data), "without a limit"),
        (transaction(to=ADDRESS, data=b"\1"), "not on the list"),
        (transaction(to=PERMIT2, data=PERMIT.call(PERMIT2, TOKEN, OTHER, 1, 9).data), "who is not on the list"),
        (transaction(to=PERMIT2, data=PERMIT.call(PERMIT2, OTHER, ROUTER, 1, 9).data), "what is not on the list"),
        (transaction(to=PERMIT2, data=PERMIT.call(PERMIT2, TOKEN, ROUTER, 2**160 - 1, 9).data), "without a limit"),
        (transaction(to=OTHER, data=PERMIT.call(PERMIT2, TOKEN, ROUTER, 1, 9).data), "not on the list"),
    ],
)
def test_a_transaction_that_is_not_on_the_list_is_not_signed(asked: Transaction, said: str) -> None:
    """
    Another chain, contract, function, spender, an approval without limit, or a fee above the cap: refused, and why.
    """
    with pytest.raises(NotSigned, match=said):
        KeySigner(bytes.fromhex(KEY), POLICY).sign(asked)


@pytest.mark.parametrize(
    "asked",
    [
        transaction(to=ROUTER.upper().replace("X", "x")),
        transaction(to=TOKEN, data=APPROVE.call(TOKEN, ROUTER, 1).data),
        transaction(to=TOKEN, data=APPROVE.call(TOKEN, ROUTER, 0).data),
        transaction(to=TOKEN, data=APPROVE.call(TOKEN, PERMIT2, 1).data),
        transaction(to=PERMIT2, data=PERMIT.call(PERMIT2, TOKEN, ROUTER, 1, 9).data),
        transaction(to=ADDRESS, data=b"", gas=21_000),
    ],
)
def test_what_a_swap_needs_is_signed(asked: Transaction) -> None:
    """
    The router's call, an exact approval of it, its withdrawal, and nothing at all to the wallet itself.
    """
    assert ADDRESS == Account.recover_transaction(KeySigner(bytes.fromhex(KEY), POLICY).sign(asked).raw)
