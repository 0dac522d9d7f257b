"""A contract that is not, or no longer, what the registry means tells nothing; on a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from eth_utils.crypto import keccak

from connectors.events import Health, Kind, Why
from connectors.evm.rpc import MULTICALL3
from connectors.evm.rpcs import nodes
from connectors.evm.tokens_identity import BEACON_SLOT, IMPLEMENTATION_SLOT, OLD_SLOT, code_of
from tests.chain.looks import Looks, eight056, looking, said
from tests.chain.models import ONE
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3 at its usual address."""
    async with Anvil(chain.anvil) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


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
