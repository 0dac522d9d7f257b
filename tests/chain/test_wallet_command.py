"""`pegline wallet` shows and takes back on a real node, keys in files; and a run that opens none of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from eth_account import Account
from msgspec.msgpack import decode

from bot.journal_reader import read, verify
from connectors.amm.forks import Family
from connectors.evm.abi import checksummed
from connectors.evm.tasks import Record, Signing, kind_of
from tests.chain.parts import Parts
from tests.chain.trader import KEY, STOCK, price_oracle, waiting
from tests.chain.wallets import BASE, PASSWORD, Place, placed
from tests.servers.anvil import Anvil

WATCH = """
import os, sys
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes):
        with os.fdopen(os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", 0) as file:
            file.write(os.fsencode(arguments[0]) + b"\\n")
busy = False
def once(event, arguments):
    global busy
    if not busy:
        busy = True
        try:
            hook(event, arguments)
        finally:
            busy = False
sys.addaudithook(once)
"""


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain that says that it is Base."""
    async with Anvil(chain.anvil, chain_id=BASE) as node:
        await price_oracle(chain, node)
        yield node


@pytest.fixture
async def place(chain: Parts, node: Anvil, tmp_path: Path) -> Place:
    """The same with a v3 pool."""
    return await placed(chain, node, tmp_path)


# --- show


async def test_show_tells_what_a_wallet_holds_and_who_may_spend_it(place: Place) -> None:
    """
    Balances, allowances and nonces are the chain's, to the smallest unit, and people and machines are told the same.
    """
    await place.allow(5 * STOCK // 2)
    told = await place.shown()
    assert ("base", BASE, place.address, 1, 1) == tuple(
        told[key] for key in ("chain", "chain_id", "address", "nonce_latest", "nonce_pending")
    )
    wei = int(await place.here.node.rpc("eth_getBalance", place.address, "latest"), 16)
    assert (str(wei), "op_stack", None, []) == tuple(told[k] for k in ("native_wei", "publishing", "paused", "open"))
    assert [("TSLAx", "1000"), ("USDC", "0")] == [(one["symbol"], one["units"]) for one in told["tokens"]]
    assert [("TSLAx", "2.5"), ("USDC", "0")] == [(one["symbol"], one["units"]) for one in told["allowances"]]
    code, out, _ = await place.pegline("wallet", "show")
    assert 0 == code
    for word in (place.address, "TSLAx", "1000", "2.5", "no task is open", checksummed(place.here.router.address)):
        assert word in out


async def test_show_needs_no_key_and_opens_none(place: Place) -> None:
    """
    Where no signing is allowed and the key file is a trap, `show` works and does not touch it.
    """
    (place.folder / "wallet.key").unlink()
    place.write(sign=False)
    assert "1000" == (await place.shown())["tokens"][0]["units"]


async def test_a_chain_that_does_not_answer_does_not_hide_the_others(place: Place) -> None:
    """
    The wallet on a dead node is told with its error and exit code 7; the other one is shown all the same.
    """
    text = (place.folder / "config.toml").read_text()
    second = text[text.index("[wallet.chains.base]") :].replace("chains.base", "chains.optimism")
    place.write(more=second.replace('venue = "node"', 'venue = "dead"') + '[venues.dead]\nkind = "oracle"\n'
                'url = "http://127.0.0.1:9"\n')  # fmt: skip
    code, out, err = await place.pegline("wallet", "show", "--json")
    assert 7 == code, err
    good, bad = json.loads(out)["wallets"]
    assert ("base", None) == (good["chain"], good["error"])
    assert "optimism" == bad["chain"] and bad["error"]


# --- revoke


@pytest.mark.parametrize("family", [Family.V3, Family.V4])
async def test_revoke_takes_everything_back(chain: Parts, node: Anvil, tmp_path: Path, family: Family) -> None:
    """
    After a yes nothing may be spent any more, at Permit2 neither; what was signed is in the journal, whose chain holds;
    a second call finds nothing to do and sends nothing.
    """
    place = await placed(chain, node, tmp_path, family)
    await place.allow(7 * STOCK)
    code, out, err = await place.pegline("wallet", "revoke", "--yes")
    assert 0 == code, out + err
    steps = 2 if family is Family.V4 else 1
    assert steps == out.count("taken back, 0.0")
    assert all(one["raw"] == "0" and one["permit_raw"] in (None, "0") for one in (await place.shown())["allowances"])
    records = [decode(one.payload, type=Record) for one in read(place.journal, kind=kind_of(BASE, place.address))]
    assert (steps, True) == (sum(isinstance(one, Signing) for one in records), verify(place.journal).ok)
    count = await node.rpc("eth_getTransactionCount", place.address, "latest")
    code, out, _ = await place.pegline("wallet", "revoke", "--yes")
    assert (0, "base: nobody of the config's spenders may spend anything\n") == (code, out)
    assert count == await node.rpc("eth_getTransactionCount", place.address, "latest")


async def test_revoke_opens_a_keystore_with_a_password_from_the_environment(place: Place) -> None:
    """
    The right password takes back; a wrong or a missing one is refused with exit code 4, and nothing of it is told.
    """
    store = place.folder / "wallet.json"
    store.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=2)))
    store.chmod(0o600)
    place.write(key='keystore = "wallet.json"\npassword_env = "PEGLINE_TEST_PASSWORD"')
    await place.allow(STOCK)
    for environ in ({}, {"PEGLINE_TEST_PASSWORD": "wrong horse"}):
        code, out, err = await place.pegline("wallet", "revoke", "--yes", **environ)
        assert (4, "") == (code, out)
        assert "wrong horse" not in err and KEY.hex() not in err
    assert "1" == (await place.shown())["allowances"][0]["units"]
    code, out, err = await place.pegline("wallet", "revoke", "--yes", PEGLINE_TEST_PASSWORD=PASSWORD)
    assert (0, "0") == (code, (await place.shown())["allowances"][0]["units"]), err
    assert PASSWORD not in out + err


async def test_what_has_not_been_mined_is_found_by_the_next_call(place: Place) -> None:
    """
    A transaction that no block takes in time is told as not taken back, with exit code 5, and is open; the next call
    waits for that one and signs no other.
    """
    await place.allow(STOCK)
    node = place.here.node
    await node.rpc("evm_setAutomine", False)
    code, out, _ = await place.pegline("wallet", "revoke", "--yes", "--wait", "1")
    assert 5 == code and "NOT taken back: no block has it yet" in out
    (task,) = (await place.shown())["open"]
    assert ("waits", 1) == (task["state"], task["nonce"])
    assert 0 <= task["age_s"] < 90
    await node.rpc("evm_setAutomine", True)
    await node.mine()
    code, out, _ = await place.pegline("wallet", "revoke", "--yes")
    assert (0, "0") == (code, (await place.shown())["allowances"][0]["units"]), out
    assert 2 == int(await node.rpc("eth_getTransactionCount", place.address, "latest"), 16)


async def test_a_nonce_that_a_stranger_took_from_under_a_revoke_is_told_as_that(place: Place) -> None:
    """
    While the transaction waits somebody else's takes its nonce: it is not taken back, exit code 5, and told why.
    """
    await place.allow(STOCK)
    node = place.here.node
    await node.rpc("evm_setAutomine", False)
    await node.become(place.address)
    running = asyncio.create_task(place.pegline("wallet", "revoke", "--yes", "--wait", "60"))
    while not await waiting(node):
        assert not running.done()
    wish = {"from": place.address, "to": place.address, "gas": hex(21_000), "maxFeePerGas": hex(90 * 10**9)}
    await node.rpc("eth_sendTransaction", wish | {"maxPriorityFeePerGas": hex(9 * 10**9), "nonce": "0x1"})
    await node.mine(4)
    code, out, err = await running
    assert 5 == code and "NOT taken back: its nonce was used by a transaction that is not ours" in out, out + err


async def test_a_dead_node_does_not_keep_the_operator_from_taking_back(place: Place) -> None:
    """
    Of three nodes the first is not there: the others are asked and given the transaction; one is enough to agree.
    """
    url = place.here.node.url
    place.write(url=f"http://127.0.0.1:9 {url} {url}")
    await place.allow(STOCK)
    assert "1" == (await place.shown())["allowances"][0]["units"]
    code, out, err = await place.pegline("wallet", "revoke", "--yes")
    assert (0, "0") == (code, (await place.shown())["allowances"][0]["units"]), out + err


async def test_a_run_on_the_same_state_keeps_the_operator_out(place: Place) -> None:
    """
    While another process holds the state, nothing is changed by hand: exit code 9; looking is allowed.
    """
    from bot.lock import StateLock

    await place.allow(STOCK)
    with StateLock(place.folder / "state"):
        code, _, err = await place.pegline("wallet", "revoke", "--yes")
        assert (9, "1") == (code, (await place.shown())["allowances"][0]["units"]), err


# --- a run opens no key


RUN = """
[http]
port = 0
[venues.chain]
kind = "oracle"
feed = "onchain"
url = "{url}"
[instruments."chain:0x1111111111111111111111111111111111111111"]
role = "share"
underlying = "TSLA"
"""


async def test_a_dry_run_never_opens_a_key(place: Place) -> None:
    """
    With a wallet in its config whose key, keystore and password cannot be read, a run does not care, and of all files
    that it opens none is one of them; `wallet revoke`, watched the same way, opens the key.
    """
    (place.folder / "watch").mkdir()
    (place.folder / "watch" / "sitecustomize.py").write_text(WATCH)
    opened = place.folder / "opened"
    watched = {"PYTHONPATH": str(place.folder / "watch"), "OPENED": str(opened)}
    os.mkfifo(place.folder / "wallet.pipe", 0o600)  # whoever opens it waits for ever
    traps = 'keystore = "wallet.pipe"\npassword_file = "wallet.pipe"\nrelay_file = "wallet.pipe"'
    place.write(key=traps, more=RUN.format(url=place.here.node.url))
    code, _, err = await place.process("run", "--seconds", "1", **watched)
    assert 0 == code and "dry run" in err, err
    names = opened.read_text().splitlines()
    assert [name for name in names if name.endswith("config.toml")]
    assert not [name for name in names if "wallet." in Path(name).name and place.folder.name in name]
    opened.unlink()
    place.write()
    await place.allow(STOCK)
    code, _, err = await place.process("wallet", "revoke", "--yes", **watched)
    assert 0 == code, err
    assert [name for name in opened.read_text().splitlines() if name.endswith("wallet.key")]
