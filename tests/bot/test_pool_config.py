"""A pool as its operator configures it, on a real node with the registry's own addresses: proved, refused, pinned."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.evm.rpc import MULTICALL3
from connectors.registry import load_registry
from tests.bot.test_venues_command import ask, write
from tests.chain.exchanges import PLENTY, V2, coins, deploy_v2
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed

TSLAX = load_registry().named("TSLAx")[0]
USDC = load_registry().coins["ethereum", "USDC"]


@dataclass
class World:
    """Ethereum's chain id, TSLAx and USDC where they really are, a pair of them, and a folder."""

    node: Anvil
    v2: V2
    pair: Deployed
    folder: Path

    def config(self, pool: str, *, pins: str = "", **options: str) -> Path:
        """With this pool; the factory is named, the coin is the registry's."""
        said = {pool: "uniswap_v2", "factories": f"uniswap_v2 {self.v2.factory.address}", **options}
        table = ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in said.items())
        return write(
            self.folder,
            f'pins_file = "{pins}"',
            f'[venues.dex]\nkind = "dex"\nfeed = "pools"\nurl = "{self.node.url}"\noptions = {{ {table} }}',
            f'[instruments."dex:{pool}"]\ntoken = "TSLAx"\nchain = "ethereum"\nquote = "USDC"',
        )


@pytest.fixture
async def there(chain: Parts, tmp_path: Path) -> AsyncIterator[World]:
    """It runs."""
    async with Anvil(chain.anvil, chain_id=1) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        (made,) = await coins(chain, node, "TSLAx")
        sides = []
        for address in (TSLAX.contract, USDC):
            await node.rpc("anvil_setCode", address, await node.rpc("eth_getCode", made.address, "latest"))
            sides.append(Deployed(node, made.artifact, address))
            await sides[-1].write("mint", node.accounts[0], PLENTY)
        v2 = await deploy_v2(chain, node)
        pair = await v2.pair(*sorted(sides, key=lambda one: int(one.address, 16)), 10**24, 10**24)
        yield World(node, v2, pair, tmp_path)


async def test_a_pool_of_the_registrys_token_and_coin_is_well(there: World, capsys: pytest.CaptureFixture[str]) -> None:
    """
    `venues test` finds the pool, and ends with 0.
    """
    said = await ask(capsys, "venues", "test", "--json", "--config", str(there.config(there.pair.address)))
    assert 0 == said.code
    assert ["ok"] == said.states("dex", "symbol")


async def test_an_impostor_is_refused_with_what_to_do(
    chain: Parts, there: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    51. A contract that answers like a pair of both, a pair of another coin than is meant, and one of another factory
    than the registry's: each ends with 5 and one reason.
    """
    pair0, pair1 = sorted((TSLAX.contract, USDC), key=lambda one: int(one, 16))
    liar = await there.node.deploy(chain.artifact("LyingPair"), there.v2.factory.address, pair0, pair1)
    for pool, options, reason in (
        (liar.address, {}, f"the factory of uniswap_v2 has {there.pair.address}"),
        (there.pair.address, {"coins": f"USDC {liar.address}"}, f"its other side is {USDC.lower()}, USDC is"),
        (there.pair.address, {"factories": ""}, "as its factory, uniswap_v2 has 0x5c69bee701ef"),
    ):
        config = there.config(pool, **options)
        said = await ask(capsys, "venues", "test", "--json", "--config", str(config))
        assert 5 == said.code
        (found,) = said.found("dex", "symbol")
        assert "fail" == found["state"] and reason in found["detail"]


async def test_a_pin_of_the_config_refuses_other_code(there: World, capsys: pytest.CaptureFixture[str]) -> None:
    """
    51. `tokens verify --pin` writes what TSLAx runs; with that file in [run] the pool is well, until the token runs
    other code. A file that is not there is an error, and so is a pin on a chain that nobody knows.
    """
    file = there.folder / "pins.toml"
    words = ("tokens", "verify", "TSLAx", "--chain", "ethereum", "--node", there.node.url, "--pin", str(file))
    await ask(capsys, *words)
    assert not file.exists()  # the contract says nothing of a multiplier, so it is no xStock
    code = await there.node.rpc("eth_getCode", TSLAX.contract, "latest")
    hash_ = await there.node.rpc("web3_sha3", code)
    file.write_text(
        f'[[pin]]\nchain = "ethereum"\ncontract = "{TSLAX.contract}"\ncode_hash = "{hash_}"\nblock = 1\ndate = "x"\n'
    )
    config = ("venues", "test", "--json", "--config", str(there.config(there.pair.address, pins="pins.toml")))
    assert ["ok"] == (await ask(capsys, *config)).states("dex", "symbol")
    await there.node.rpc("anvil_setCode", TSLAX.contract, code + "00")
    (found,) = (await ask(capsys, *config)).found("dex", "symbol")
    assert "fail" == found["state"] and f"pinned is {hash_}" in found["detail"]
    file.write_text(file.read_text().replace("ethereum", "etherium"))
    said = await ask(capsys, *config)
    assert 0 != said.code and "pinned on 'etherium', a chain that is not known" in said.out + said.err
    file.unlink()
    said = await ask(capsys, *config)
    assert 0 != said.code and "pins.toml: cannot be read" in said.out + said.err
