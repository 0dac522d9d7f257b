"""The feed of contracts on a real node: every unit model, identity, one block for all, a node that errs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from eth_utils.crypto import keccak

from connectors.events import NS, Health, Kind, Row, Why
from connectors.evm.onchain import OnchainFeed
from connectors.evm.rpc import MULTICALL3
from connectors.evm.rpcs import nodes
from connectors.evm.tokens_identity import BEACON_SLOT, IMPLEMENTATION_SLOT, OLD_SLOT, code_of
from connectors.evm.tokens_tell import MAX_RECOUNTS
from connectors.instruments import Instrument, Role, UnitModel
from tests.chain.looks import POLL_S, Looks, looking, options_of
from tests.chain.models import MODELS, ONE, coinbase, ondo, robinhood, xstock
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed
from tests.servers.node import NodeServer, error


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3 at its usual address."""
    async with Anvil(chain.anvil) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


def said(rows: list[Row], kind: Kind) -> list[tuple[float, float]]:
    """Bid and ask of the rows of a kind; absent is -1."""
    return [(row.bid, -1.0 if row.ask != row.ask else row.ask) for row in rows if row.kind is kind]


@pytest.mark.parametrize("model", MODELS)
async def test_every_unit_model_tells_its_multiplier_ahead_and_at_its_moment(
    model: str, chain: Parts, node: Anvil
) -> None:
    """
    One share per unit at first; a split is told with its moment (by those who announce), and holds from then on. What
    the holder has agrees: balances move where the token is rebasing, and stand still where it is not.
    """
    stock = await MODELS[model](chain, node)
    at = await node.now() + 3600
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        rows = await looks.look()
        assert [(1.0, -1.0)] == said(rows, Kind.MULTIPLIER)
        assert [(100.0, -1.0)] == said(rows, Kind.SUPPLY)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert [] == [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        await stock.change(10.0, at)
        assert ([(10.0, float(at))] if stock.announces else [(10.0, -1.0)]) == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at)
        rows = await looks.look()
        if stock.needs_end:
            assert (Health.CLOSED, Why.PAUSED) == looks.state
            await stock.end()
            rows = await looks.look()
        assert ([(10.0, -1.0)] if stock.announces else []) == said(rows, Kind.MULTIPLIER)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert (1000.0 if stock.rebasing else 100.0) == await stock.balance()
        assert at * NS <= max(row.ts_venue for row in rows) if rows else not stock.announces


@pytest.mark.parametrize("model", MODELS)
async def test_a_paused_token_is_closed_until_it_is_not(model: str, chain: Parts, node: Anvil) -> None:
    """
    While the issuer has stopped a token its instrument is closed, with that reason; then it is up again.
    """
    stock = await MODELS[model](chain, node)
    states = []
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        for paused in (False, True, True, False):
            await stock.pause(paused)
            await looks.look()
            states.append(looks.state)
    up, closed = (Health.UP, Why.NOTHING), (Health.CLOSED, Why.PAUSED)
    assert [up, closed, closed, up] == states


async def test_a_change_that_is_put_off_or_called_off_is_taken_back(chain: Parts, node: Anvil) -> None:
    """
    Another moment: at the old one nothing will change, at the new one it will. Called off: the same, without a new one.
    """
    stock = await robinhood(chain, node)
    at = await node.now() + 3600
    await stock.change(2.0, at)
    async with looking(stock.instrument(), url=node.url) as looks:
        assert [(1.0, -1.0), (2.0, float(at))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(2.0, at + 600)
        assert [(1.0, float(at)), (2.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(3.0, at + 600)
        assert [(3.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.change(1.0, 0)
        assert [(1.0, float(at + 600))] == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at + 700)
        assert [] == said(await looks.look(), Kind.MULTIPLIER)


async def test_a_change_that_did_not_come_is_taken_back_when_the_pause_ends(chain: Parts, node: Anvil) -> None:
    """
    58. Ondo pauses at the moment of a split and goes on without it: what was to hold from then on is taken back when
    the pause ends, not before; nothing more is told then.
    """
    stock = await ondo(chain, node)
    at = await node.now() + 3600
    async with looking(stock.instrument(), url=node.url, **options_of(stock)) as looks:
        await looks.look()
        await stock.change(10.0, at)
        assert [(10.0, float(at))] == said(await looks.look(), Kind.MULTIPLIER)
        await node.at(at)
        assert [] == said(await looks.look(), Kind.MULTIPLIER)
        await stock.helper.write("set", stock.token.address, ONE)
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        assert (Health.UP, Why.NOTHING) == looks.state
        assert [] == said(await looks.look(), Kind.MULTIPLIER)


async def test_mints_and_burns_are_told_with_the_supply(chain: Parts, node: Anvil) -> None:
    """
    Between two looks 5 units were minted and 2 burnt: the supply is 103, and both are told; nothing, and nothing is.
    """
    stock = await coinbase(chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        await stock.token.write("burn", node.accounts[1], 2 * 10**8)
        await stock.token.write("transfer", node.accounts[1], 10**8)
        (row,) = [row for row in await looks.look() if row.kind is Kind.SUPPLY]
        assert (103.0, 5.0, 2.0) == (row.bid, row.bid_size, row.ask_size)
        await node.mine()
        assert [] == said(await looks.look(), Kind.SUPPLY)


def supplies(rows: list[Row]) -> list[tuple[float | None, ...]]:
    """Supply, minted and burnt of the SUPPLY rows; None is unknown."""
    found = [(row.bid, row.bid_size, row.ask_size) for row in rows if row.kind is Kind.SUPPLY]
    return [tuple(None if value != value else value for value in row) for row in found]


NO_LOGS = {
    "empty": lambda _: [],
    "refused": error(-32000, "no logs today"),
    "asked too much": error(-32602, "too wide"),
}


@pytest.mark.parametrize("fault", NO_LOGS)
async def test_mints_that_a_node_does_not_tell_are_unknown_until_it_does(chain: Parts, node: Anvil, fault: str) -> None:
    """
    46. The supply rises by 5 and no log tells why, or logs are refused: the supply is told and minted is unknown, the
    multiplier beside it is told all the same; once the logs are there, they are counted from where they lacked.
    """
    stock = await coinbase(chain, node)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        await stock.change(10.0, 0)
        server.instead["eth_getLogs"] = NO_LOGS[fault]
        rows = await looks.look()
        assert ([(105.0, None, None)], [(10.0, -1.0)]) == (supplies(rows), said(rows, Kind.MULTIPLIER))
        assert (Health.UP, Why.NOTHING) == looks.state
        server.instead.clear()
        await stock.token.write("burn", node.accounts[1], 2 * 10**8)
        assert [(103.0, 5.0, 2.0)] == supplies(await looks.look())
        await stock.token.write("mint", node.accounts[1], 10**8)
        assert [(104.0, 1.0, 0.0)] == supplies(await looks.look())


async def test_mints_that_are_never_told_stay_unknown_and_later_ones_are_counted(chain: Parts, node: Anvil) -> None:
    """
    46. Logs that lack for long are given up: what comes after them is counted from there.
    """
    stock = await coinbase(chain, node)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        await stock.token.write("mint", node.accounts[1], 5 * 10**8)
        server.instead["eth_getLogs"] = lambda _: []
        told = []
        for _ in range(MAX_RECOUNTS):
            told += supplies(await looks.look())
            await node.mine()
        assert [(105.0, None, None)] == told
        server.instead.clear()
        await stock.token.write("mint", node.accounts[1], 10**8)
        assert [(106.0, 1.0, 0.0)] == supplies(await looks.look())


@pytest.mark.parametrize("model", ["xstock", "dinari"])
async def test_a_rebase_is_no_mint_that_lacks(model: str, chain: Parts, node: Anvil) -> None:
    """
    46. Balances are multiplied by ten: the supply is 1000, and nothing was minted; a mint after it is counted.
    """
    stock = await MODELS[model](chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        at = await node.now() + 10
        await stock.change(10.0, at)
        await node.at(at)
        assert [(1000.0, 0.0, 0.0)] == supplies(await looks.look())
        await stock.token.write("mint", node.accounts[0], 5 * ONE)
        assert [(1005.0, 5.0, 0.0)] == supplies(await looks.look())


def eight056(address: str, name: str = "TSLA") -> Instrument:
    """An instrument of an ERC-8056 token."""
    return Instrument(
        venue="chain", symbol=address, role=Role.TOKEN, underlying="TSLA", token=name, issuer="robinhood",
        chain="test", contract=address, unit_model=UnitModel.TOTAL_RETURN,
    )  # fmt: skip


@pytest.mark.parametrize(("symbol", "decimals"), [("TSLA", 18), ("TSLAx", 6)])
async def test_a_token_that_is_mapped_anew_is_refused(chain: Parts, node: Anvil, symbol: str, decimals: int) -> None:
    """
    14. Decimals go from 6 to 18, or the symbol becomes another one, while the feed runs: the instrument is down for its
    identity and tells nothing; when it is again what it was, it is believed again.
    """
    token = await node.deploy(chain.artifact("HostileStock"), "Tesla", "TSLA", 6)
    async with looking(eight056(token.address), url=node.url) as looks:
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        await token.write("remap", symbol, decimals)
        rows = await looks.look()
        assert ((Health.DOWN, Why.IDENTITY), []) == (looks.state, [row for row in rows if row.kind is not Kind.HEALTH])
        await token.write("remap", "TSLA", 6)
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        assert (Health.UP, Why.NOTHING) == looks.state


async def test_between_two_looks_at_the_code_a_changed_token_is_seen_all_the_same(chain: Parts, node: Anvil) -> None:
    """
    14. Decimals and symbol come with every look, even where the code is looked at once an hour.
    """
    token = await node.deploy(chain.artifact("HostileStock"), "Tesla", "TSLA", 6)
    async with looking(eight056(token.address), url=node.url, verify_s=3600.0) as looks:
        await looks.look()
        await token.write("remap", "TSLA", 18)
        assert [] == [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        assert (Health.DOWN, Why.IDENTITY) == looks.state


async def test_code_that_is_exchanged_behind_a_proxy_is_refused(chain: Parts, node: Anvil) -> None:
    """
    51. The implementation behind the token's address becomes another one: refused, by the hash of the code that runs.
    So is another code at the address itself that names the same implementation.
    """
    made = [await node.deploy(chain.artifact(name), "Tesla", "", 6) for name in ("ScaledStock", "HostileStock")]
    proxy = await node.deploy(chain.artifact("UpgradeableProxy"), made[0].address)
    token = Deployed(node, chain.artifact("ScaledStock"), proxy.address)
    await token.write("schedule", ONE, 0)
    async with looking(eight056(proxy.address, ""), url=node.url) as looks:
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        await proxy.write("upgrade", made[1].address)
        assert [] == [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        assert (Health.DOWN, Why.IDENTITY) == looks.state
        assert "code hash" in looks.heard.details["chain", "identity"]
        await proxy.write("upgrade", made[0].address)
        await looks.look()
        assert (Health.UP, Why.NOTHING) == looks.state
        own = await node.rpc("eth_getCode", proxy.address, "latest")
        await node.rpc("anvil_setCode", proxy.address, own + "00")
        assert [] == [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        assert (Health.DOWN, Why.IDENTITY) == looks.state


@pytest.mark.parametrize("changed", [False, True])
async def test_code_that_is_not_what_was_pinned_is_refused_at_the_start(
    chain: Parts, node: Anvil, changed: bool
) -> None:
    """
    51. While nobody looked the implementation became another one, which says the same of itself: by the pin nothing is
    told from the first look on, with the reason; where the code is what was pinned, all is told.
    """
    made = [await node.deploy(chain.artifact("ScaledStock"), "", "", 18) for _ in range(2)]
    code = await node.rpc("eth_getCode", made[1].address, "latest")
    await node.rpc("anvil_setCode", made[1].address, code + "00")
    proxy = await node.deploy(chain.artifact("UpgradeableProxy"), made[0].address)
    await Deployed(node, made[0].artifact, proxy.address).write("schedule", ONE, 0)
    instrument = eight056(proxy.address, "")
    async with aiohttp.ClientSession() as session:
        (rpc,) = nodes(Looks(instrument, url=node.url).setup, session).rpcs
        pin, _ = await code_of(rpc, proxy.address, await rpc.head())
    if changed:
        await proxy.write("upgrade", made[1].address)
    pins = {(instrument.chain, proxy.address.lower()): pin}
    async with looking(instrument, url=node.url, pins=pins) as looks:
        rows = await looks.look()
        if changed:
            assert [] == said(rows, Kind.MULTIPLIER)
            assert (Health.DOWN, Why.IDENTITY) == looks.state
            assert f", not {pin}" in looks.heard.details["chain", "identity"]
        else:
            assert [(1.0, -1.0)] == said(rows, Kind.MULTIPLIER)


async def test_the_hash_of_a_proxy_is_of_all_the_code_that_runs(chain: Parts, node: Anvil) -> None:
    """
    51. A plain contract has the hash of its code. Two proxies of it have one hash, of their own code and of its; a few
    other bytes that name it as their implementation have another, and so have proxies through two different beacons.
    """
    plain = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLA", 18)
    proxies = [await node.deploy(chain.artifact("UpgradeableProxy"), plain.address) for _ in range(3)]
    own = await node.rpc("eth_getCode", proxies[0].address, "latest")
    await node.rpc("anvil_setCode", proxies[2].address, "0x60006000fd")
    answer = "0x73" + plain.address[2:].lower() + "60005260206000f3"
    through, beacons = [["0x" + digit * 40 for digit in digits] for digits in ("67", "89")]
    for address, beacon, code in zip(through, beacons, (answer, answer + "00"), strict=True):
        await node.rpc("anvil_setCode", beacon, code)
        await node.rpc("anvil_setCode", address, own)
        await node.rpc("anvil_setStorageAt", address, hex(BEACON_SLOT), "0x" + beacon[2:].rjust(64, "0"))
    places = [plain.address, *(proxy.address for proxy in proxies), *through]
    async with aiohttp.ClientSession() as session:
        (rpc,) = nodes(Looks(eight056(plain.address), url=node.url).setup, session).rpcs
        head = await rpc.head()
        code = await rpc.code(plain.address, head)
        found = [await code_of(rpc, place, head) for place in places]
    assert ["", *[plain.address.lower()] * 5] == [implementation for _, implementation in found]
    hashes = [one for one, _ in found]
    both = keccak(b"\xef" + keccak(hexstr=own) + keccak(code))
    assert ["0x" + keccak(code).hex(), *["0x" + both.hex()] * 2] == hashes[:3]
    assert 5 == len(set(hashes))


async def test_the_hash_of_a_proxy_of_before_eip_1967_changes_with_its_implementation(
    chain: Parts, node: Anvil
) -> None:
    """
    51. USDC is a proxy that has its implementation where ZeppelinOS had it: another one there is another hash.
    """
    made = [await node.deploy(chain.artifact("ScaledStock"), "Dollar", "USDC", 18) for _ in range(2)]
    await node.rpc("anvil_setCode", made[1].address, await node.rpc("eth_getCode", made[1].address, "latest") + "00")
    proxy, found = await node.deploy(chain.artifact("UpgradeableProxy"), made[0].address), []
    await node.rpc("anvil_setStorageAt", proxy.address, hex(IMPLEMENTATION_SLOT), "0x" + "0" * 64)
    async with aiohttp.ClientSession() as session:
        (rpc,) = nodes(Looks(eight056(proxy.address), url=node.url).setup, session).rpcs
        for one in made:
            await node.rpc("anvil_setStorageAt", proxy.address, hex(OLD_SLOT), "0x" + one.address[2:].rjust(64, "0"))
            found.append(await code_of(rpc, proxy.address, await rpc.head()))
    assert [one.address.lower() for one in made] == [implementation for _, implementation in found]
    assert 2 == len({code for code, _ in found})


async def test_a_look_alike_and_an_empty_address_are_refused(chain: Parts, node: Anvil) -> None:
    """
    51. A contract with another symbol than the token's, one without the issuer's functions, and no contract at all:
    none of them tells anything, and the token beside them does.
    """
    other = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLAQ", 18)
    plain = await node.deploy(chain.artifact("Coin"), "Tesla", "TSLA", 18)
    right = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLA", 18)
    four = [eight056(address) for address in (other.address, plain.address, "0x" + "5a" * 20, right.address)]
    async with looking(*four, url=node.url) as looks:
        rows = await looks.look()
        assert {3} == {row.instrument for row in rows if row.kind is not Kind.HEALTH}
        assert 3 * [(Health.DOWN, Why.IDENTITY)] == [looks.heard.standing.state(at) for at in range(3)]


async def test_everything_is_read_at_one_block(chain: Parts, node: Anvil) -> None:
    """
    All rows of one look carry the time of one block, and a node that answers from another block than it named tells
    nothing until it agrees with itself.
    """
    stock = await xstock(chain, node)
    other = await robinhood(chain, node)
    async with looking(stock.instrument(), other.instrument(), url=node.url) as looks:
        rows = [row for row in await looks.look() if row.kind is not Kind.HEALTH]
        assert {await node.now() * NS} == {row.ts_venue for row in rows}
        assert {0, 1} == {row.instrument for row in rows}


async def test_a_node_whose_newest_block_is_old_is_late(chain: Parts, node: Anvil) -> None:
    """
    45. Callable is not fresh: the chain stands still while our clock goes on, and its instruments are late.
    """
    stock = await robinhood(chain, node)
    async with looking(stock.instrument(), url=node.url, max_block_age_s=120.0) as looks:
        await looks.look()
        assert (Health.UP, Why.NOTHING) == looks.state
        looks.ahead_s = 300.0
        await looks.look()
        assert (Health.DEGRADED, Why.LAGS) == looks.state
        await node.at(await node.now() + 300)
        await looks.look()
        assert (Health.UP, Why.NOTHING) == looks.state


@pytest.mark.parametrize("older", [True, False])
async def test_a_multiplier_never_goes_back_to_an_older_block(chain: Parts, node: Anvil, older: bool) -> None:
    """
    45. After a new multiplier a node behind the same address names the block before it, or another block of the same
    height: the token is down and the old value is not told again; it is up again with the next newest block.
    """
    stock = await robinhood(chain, node)
    at = await node.now() + 3600
    await stock.change(10.0, at)
    async with NodeServer(node.url) as server, looking(stock.instrument(), url=server.url) as looks:
        await looks.look()
        old = await node.rpc("eth_getBlockByNumber", "latest", False)
        await node.at(at)
        assert [(10.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        new = await node.rpc("eth_getBlockByNumber", "latest", False)
        server.instead["eth_getBlockByNumber"] = lambda _: old if older else {**new, "hash": "0x" + "5a" * 32}
        looks.doors.let(POLL_S)
        await looks.heard.until(lambda: looks.state == (Health.DOWN, Why.DISCONNECTED))
        server.instead.clear()
        await looks.heard.until(lambda: looks.state == (Health.UP, Why.NOTHING))
    assert [] == said(looks.heard.rows[looks.told :], Kind.MULTIPLIER)


async def test_a_reorg_counts_once_it_is_longer(chain: Parts, node: Anvil) -> None:
    """
    The block in which the multiplier rose is replaced by one without it: told when the new chain is longer.
    """
    stock = await robinhood(chain, node)
    async with looking(stock.instrument(), url=node.url) as looks:
        await looks.look()
        before = await node.rpc("evm_snapshot")
        await stock.change(10.0, 0)
        assert [(10.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)
        await node.rpc("evm_revert", before)
        await node.mine()
        await node.mine()
        assert [(1.0, -1.0)] == said(await looks.look(), Kind.MULTIPLIER)


async def test_a_probe_names_what_is_wrong(chain: Parts, node: Anvil) -> None:
    """
    The node's chain and block, and by token whether it is what it must be, in words.
    """
    stock = await robinhood(chain, node)
    looks = Looks(stock.instrument(), eight056("0x" + "5a" * 20), url=node.url)
    found = await OnchainFeed(looks.setup).probe()
    assert [True, True, True, False] == [one.ok for one in found]
    assert "no code at this address" == found[-1].detail
    away = await OnchainFeed(Looks(stock.instrument(), url="http://127.0.0.1:1").setup).probe()
    assert [("reachable", False)] == [(one.what, one.ok) for one in away]
