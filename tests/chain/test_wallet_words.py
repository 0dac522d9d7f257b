"""`pegline wallet settle` and `resume`: what an operator's word ends, on a real node, and what it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.journal import Journal
from bot.journal_reader import read, verify
from connectors.evm.custody import Standing, meant
from connectors.evm.tasks import kind_of
from connectors.orders import Outcome, Side
from tests.chain.parts import Parts
from tests.chain.trader import STOCK, Kept, price_oracle, trader
from tests.chain.wallets import BASE, Place, placed
from tests.servers.anvil import Anvil


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
