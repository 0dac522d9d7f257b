"""`pegline wallet` with its operator's words against a real node, keys in files; and a run that opens none of them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from msgspec.msgpack import decode

from bot.cli import main
from bot.journal import Journal
from bot.journal_reader import read, verify
from connectors.amm.forks import Family
from connectors.evm.abi import checksummed
from connectors.evm.custody import Standing, meant
from connectors.evm.keys import APPROVE, PERMIT
from connectors.evm.tasks import Record, Signing, kind_of
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import KEY, STOCK, Kept, Pit, pit, price_oracle, trader, waiting
from tests.servers.anvil import Anvil

BASE = 8453
PASSWORD = "correct horse battery"
CONFIG = """
[run]
state_dir = "{state}"
[venues.node]
kind = "oracle"
url = "{url}"
[wallet]
sign = {sign}
[wallet.chains.base]
address = "{address}"
venue = "node"
agree = 1
{key}
tokens = [{tokens}]
spenders = ["{spender}"]
{permit}
confirmations = 2
max_head_age_s = 3600
max_fee_gwei = 100
max_priority_gwei = 3
max_cost_usd = 5
"""
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


@dataclass
class Place:
    """A folder with a config and a key, and a wallet on a node."""

    folder: Path
    here: Pit
    address: str

    def write(self, *, sign: bool = True, key: str = 'key_file = "wallet.key"', more: str = "", **other: str) -> None:
        """The config."""
        route = self.here.route
        text = CONFIG.format(
            state=self.folder / "state",
            url=other.get("url", self.here.node.url),
            sign=str(sign).lower(),
            address=other.get("address", self.address),
            key=key,
            tokens=f'"{self.here.token.address}", "{self.here.coin.address}"',
            spender=route.router.address,
            permit=f'permit = "{route.permit.address}"' if route.permit else "",
        )
        (self.folder / "config.toml").write_text(text + more)

    async def pegline(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """Runs a command in a thread; its exit code, and what it said on stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in environ.items():
                patch.setenv(name, value)
            code = await asyncio.to_thread(main, [*words, "--config", str(self.folder / "config.toml")])
        return code, out.getvalue(), err.getvalue()

    async def process(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """The same in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words, "--config", str(self.folder / "config.toml"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environ},
        )  # fmt: skip
        async with asyncio.timeout(90):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def shown(self) -> dict[str, Any]:
        """What `wallet show --json` says of the one wallet."""
        code, out, err = await self.pegline("wallet", "show", "--json")
        assert 0 == code, err
        told = json.loads(out)
        assert 1 == told["schema"]
        (wallet,) = told["wallets"]
        return dict(wallet)

    async def allow(self, units: int) -> None:
        """The router may spend so many stocks, at Permit2 too."""
        node, route = self.here.node, self.here.route
        await node.become(self.address)
        calls = [APPROVE.call(route.token.address, route.spender, units)]
        if route.permit:
            calls.append(PERMIT.call(route.permit.address, route.token.address, route.router.address, units, 2**47))
        for call in calls:
            await node.send(call.to, call.data, sender=self.address)
        await node.rpc("anvil_stopImpersonatingAccount", self.address)

    @property
    def journal(self) -> Path:
        """Where it is."""
        return self.folder / "state" / "journal.sqlite"


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain that says that it is Base."""
    async with Anvil(chain.anvil, chain_id=BASE) as node:
        await price_oracle(chain, node)
        yield node


async def placed(chain: Parts, node: Anvil, folder: Path, family: Family = Family.V3) -> Place:
    """A wallet with ten coins and 1,000 stocks."""
    here = await pit(chain, node, family)
    place = Place(folder, here, Account.from_key(KEY).address)
    await node.fund(place.address, 10**19)
    await here.token.write("mint", place.address, 1_000 * STOCK)
    (folder / "wallet.key").write_text(KEY.hex())
    (folder / "wallet.key").chmod(0o600)
    place.write()
    return place


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


# --- settle and resume


async def unknown(place: Place) -> None:
    """A journal with a swap whose nonce something used that is no transaction of the wallet, as an authorisation of
    EIP-7702 does.
    """
    kept, node = Kept(), place.here.node
    async with trader(place.here, records=kept, chain_id=BASE, habit=None, confirmations=2) as one:
        one.order(Side.SELL, "4", "240", id="lost")
        await one.ticks()
        await node.rpc("evm_setAutomine", False)
        await one.ticks()
        (slot,) = [slot for slot in one.wallet.nonces.open() if slot.waiting]
        await node.rpc("anvil_dropTransaction", slot.hashes[-1])
        await node.rpc("anvil_setNonce", place.address, hex(slot.nonce + 1))
        await node.rpc("evm_setAutomine", True)
        await node.mine(6)
    place.journal.parent.mkdir(exist_ok=True)
    with Journal(place.journal) as journal:
        for payload in kept.payloads:
            journal.append(kind_of(BASE, place.address), one.at_ns, payload)


def test_a_task_is_named_by_its_transaction_its_intent_its_leg_or_itself() -> None:
    """
    Each of the four finds the task and no other; a part of one finds nothing.
    """
    tasks = [
        Standing(key=key, nonce=at, hashes=(f"0xab{at}",), state="unknown", detail="")
        for at, key in enumerate(("one.2-0.swap", "one.2-1.swap", "operator.revoke-7"))
    ]
    for name, found in (("0xAB0", [0]), ("one.2", [0, 1]), ("one.2-1", [1]), ("operator.revoke-7", [2]), ("one", [])):
        assert found == [one.nonce for one in meant(tasks, name)]


async def test_settle_ends_what_no_node_can_tell_and_the_next_run_hears_it(place: Place) -> None:
    """
    A swap whose nonce was used without any transaction is unknown for ever; the operator's word ends it, with the
    reason in the journal. Whoever ordered it is told that it is refused, once; then what it left is taken back.
    """
    await unknown(place)
    (task,) = [one for one in (await place.shown())["open"] if one["state"] != "mined"]
    assert ("lost-0.swap", "unknown") == (task["task"], task["state"])
    code, out, err = await place.pegline("wallet", "settle", "lost", "--reason", "authorised by hand", "--yes")
    assert 0 == code, err
    assert "lost-0.swap is ended by your word" in out
    assert verify(place.journal).ok
    (task,) = [one for one in (await place.shown())["open"] if one["state"] != "mined"]
    assert ("given_up", "authorised by hand") == (task["state"], task["detail"])
    code, _, err = await place.pegline("wallet", "settle", "lost", "--reason", "again", "--yes")
    assert 6 == code, err
    # It is in nobody's way: what it left can be taken back by hand, before any run hears of it.
    code, out, err = await place.pegline("wallet", "revoke", "--yes")
    assert (0, 1) == (code, out.count("taken back, 0.0")), out + err
    kept = Kept()
    kept.payloads = [record.payload for record in read(place.journal, kind=kind_of(BASE, place.address))]
    async with trader(place.here, records=kept, chain_id=BASE, habit=None, confirmations=2, funded=False) as one:
        for _ in range(5):
            await one.ticks()
            await place.here.node.mine()
        refused = [report for report in one.reports if report.outcome is Outcome.REFUSED and report.reason]
        assert ["an operator gave it up: authorised by hand"] == [report.detail for report in refused]
        assert (0, "", 1) == (one.booked()[0], one.wallet.nonces.paused, sum(one.told("final")))
        assert 0 == await place.here.token.read("allowance", place.address, place.here.route.spender)


async def test_settle_does_not_end_what_the_chain_can_tell(place: Place) -> None:
    """
    A swap that a block has, and one that may still be mined, are not ended by anybody's word: exit code 6, and why.
    """
    kept, node = Kept(), place.here.node
    async with trader(place.here, records=kept, chain_id=BASE, habit=None, confirmations=2) as one:
        one.order(Side.SELL, "4", "240", id="mined")
        await one.ticks(2)
        await node.mine(5)
        await node.rpc("evm_setAutomine", False)
        one.order(Side.SELL, "4", "240", id="waits")
        await one.ticks(2)
        assert 1 == sum(slot.waiting for slot in one.wallet.nonces.open())
    place.journal.parent.mkdir(exist_ok=True)
    with Journal(place.journal) as journal:
        for payload in kept.payloads:
            journal.append(kind_of(BASE, place.address), one.at_ns, payload)
    states = {one["task"].partition("-")[0]: one["state"] for one in (await place.shown())["open"]}
    for name, words in (("mined", "a block has its transaction"), ("waits", "it may still happen")):
        if name in states:  # the first may have settled by then
            code, out, err = await place.pegline("wallet", "settle", name, "--reason", "I think so", "--yes")
            assert (6, "") == (code, out), err
            assert words in err
    assert "waits" in states
    assert len(kept.payloads) == len(list(read(place.journal, kind=kind_of(BASE, place.address))))


async def test_resume_goes_on_behind_foreign_transactions(place: Place) -> None:
    """
    After a transaction that is not ours nothing is signed until an operator says that the key is ours alone again.
    """
    node = place.here.node
    await place.allow(STOCK)
    assert 0 == (await place.pegline("wallet", "revoke", "--yes"))[0]
    await place.allow(2 * STOCK)
    assert "not ours" in (await place.shown())["paused"]
    code, _, err = await place.pegline("wallet", "revoke", "--yes")
    assert 6 == code and "not ours" in err
    code, out, err = await place.pegline("wallet", "resume", "--reason", "it was me", "--yes")
    assert 0 == code and "goes on with nonce 3" in out, err
    code, out, err = await place.pegline("wallet", "revoke", "--yes")
    assert (0, "0") == (code, (await place.shown())["allowances"][0]["units"]), err
    assert 4 == int(await node.rpc("eth_getTransactionCount", place.address, "latest"), 16)


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
