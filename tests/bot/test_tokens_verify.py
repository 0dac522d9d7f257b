"""`pegline tokens verify` against a real node: what is well, what is wrong, and what never stands on a command line."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.commands import tokens
from bot.errors import UsageError
from connectors.errors import RegistryError, VenueUnreachable
from connectors.evm.pins import read_pins
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
ENTRY = """
[[token]]
symbol = "{symbol}"
issuer = "robinhood"
underlying = "TSLA"
decimals = {{ evm = {decimals} }}
unit_model = "total_return"
addresses = {{ robinhood = "{address}" }}
trust = "issuer"
source = ["made here"]
code_hashes = {{ {pin} }}
"""


def call(*words: str) -> int:
    """Runs the command as the command line does."""
    parser = argparse.ArgumentParser()
    tokens.arguments(parser)
    return tokens.run(parser.parse_args(["verify", *words]))


@dataclass
class World:
    """A chain with one token, and a registry that names it."""

    node: Anvil
    token: Deployed
    folder: Path

    def registry(self, **changes: Any) -> str:
        """A registry file in which the token's entry says other things."""
        entry = {"symbol": "TSLA", "decimals": 18, "address": self.token.address, "pin": "", **changes}
        path = self.folder / "tokens.toml"
        head = 'schema_version = 1\ncollected = "now"\n[chains]\nrobinhood = 4663\nbsc = 56\n'
        path.write_text(f'{head}[issuers.robinhood]\nname = "R"\n{ENTRY.format(**entry)}', encoding="utf-8")
        return str(path)

    async def verify(self, *words: str, chain: str = "robinhood", node: str = "") -> int:
        """The command's exit code; it has a loop of its own."""
        return await asyncio.to_thread(call, "--chain", chain, "--node", node or self.node.url, *words)


@pytest.fixture
async def world(chain: Parts, tmp_path: Path) -> AsyncIterator[World]:
    """A chain with Robinhood's id."""
    async with Anvil(chain.anvil, chain_id=4663) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        token = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLA", 18)
        await token.write("schedule", 1_000_566_080_061_092_436, 0)
        await token.write("mint", node.accounts[0], 5 * 10**18)
        yield World(node, token, tmp_path)


async def test_a_token_that_is_what_the_registry_means(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exit code 0, with the multiplier, the supply and the hash of the code; with that hash pinned it is still right.
    """
    at = await world.node.now() + 3600
    await world.token.write("schedule", 2 * 10**18, at)
    assert 0 == await world.verify("--registry", world.registry(), "--json")
    (found,) = json.loads(capsys.readouterr().out)["tokens"]
    assert (True, [], False) == (found["ok"], found["problems"], found["pinned"])
    assert (1.000566080061092436, 2.0, at, 5.0) == (
        found["multiplier"], found["pending"], found["activates_s"], found["supply"]
    )  # fmt: skip
    pinned = world.registry(pin=f'robinhood = "{found["code_hash"].upper().replace("0X", "0x")}"')
    assert 0 == await world.verify("TSLA", "--registry", pinned)
    out = capsys.readouterr().out
    assert [True, True, True] == [part in out for part in ("1.00056608,", "then 2", "pinned")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"decimals": 6}, "18 decimals, not 6"),
        ({"symbol": "TSLAx"}, "symbol 'TSLA', not 'TSLAx'"),
        ({"address": "0x" + "5a" * 20}, "no code at this address"),
        ({"pin": f'robinhood = "0x{"ab" * 32}"'}, "code hash 0x"),
    ],
)
async def test_what_is_wrong_is_said_and_fails_the_check(
    world: World, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], problem: str
) -> None:
    """
    14, 51. Other decimals, another symbol, no contract, other code: exit code 5, and the problem in words.
    """
    assert 5 == await world.verify("--registry", world.registry(**changes))
    assert problem in capsys.readouterr().out


async def test_what_runs_now_is_pinned_and_another_code_is_wrong(
    chain: Parts, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    51. Of a proxy: --pin writes contract, hash, block and its day into a file, once. Then another implementation, which
    says the same of itself, is wrong and changes nothing in the file; with the entry taken away it may be pinned.
    """
    made = [await world.node.deploy(chain.artifact("ScaledStock"), "", "", 18) for _ in range(2)]
    code = await world.node.rpc("eth_getCode", made[1].address, "latest")
    await world.node.rpc("anvil_setCode", made[1].address, code + "00")
    proxy = await world.node.deploy(chain.artifact("UpgradeableProxy"), made[0].address)
    token = Deployed(world.node, made[0].artifact, proxy.address)
    await token.write("schedule", 10**18, 0)
    registry, file = world.registry(address=proxy.address, symbol=""), world.folder / "pins.toml"
    await world.node.at(4_102_444_800)  # 2100-01-01T00:00:00Z
    words = ("--registry", registry, "--pin", str(file))
    assert 0 == await world.verify(*words)
    assert "1 pinned now" in capsys.readouterr().err
    first, ((place, hash_),) = file.read_text(encoding="utf-8"), read_pins(file).items()
    assert ("robinhood", proxy.address.lower()) == place
    assert f'block = {await world.node.block()}\ndate = "2100-01-01"' in first
    assert 0 == await world.verify(*words)
    said = capsys.readouterr()
    assert "0 pinned now" in said.err and f"{hash_[:10]}… pinned" in said.out
    await proxy.write("upgrade", made[1].address)
    assert 5 == await world.verify(*words)
    assert f"not {hash_}" in capsys.readouterr().out
    assert first == file.read_text(encoding="utf-8")
    file.write_text(first.partition("[[pin]]")[0], encoding="utf-8")
    assert 0 == await world.verify(*words)
    assert [hash_] != list(read_pins(file).values())


async def test_what_is_wrong_is_not_pinned(world: World) -> None:
    """
    A contract with other decimals than the registry's, or without code, is no token to pin: no file is made.
    """
    file = world.folder / "pins.toml"
    for changes in ({"decimals": 6}, {"address": "0x" + "5a" * 20}):
        assert 5 == await world.verify("--registry", world.registry(**changes), "--pin", str(file))
    assert not file.exists()


async def test_a_node_of_another_chain_is_wrong(chain: Parts, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """
    53. The same contract on a node with another chain id: exit code 5.
    """
    async with Anvil(chain.anvil, chain_id=1) as other:
        assert 5 == await world.verify("--registry", world.registry(), node=other.url)
    assert "chain id 1, not 4663" in capsys.readouterr().out


async def test_a_node_that_is_not_there_is_an_error(world: World) -> None:
    """
    Nothing listens: the venue cannot be reached.
    """
    with pytest.raises(VenueUnreachable):
        await world.verify("--registry", world.registry(), node="http://127.0.0.1:1")


async def test_an_address_with_a_key_comes_from_a_file(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What looks like a key on the command line is refused without being repeated; from a file it is used.
    """
    for url in ("https://user:pass@node.example", "https://node.example/v3/0123456789abcdef0123"):
        with pytest.raises(UsageError) as caught:
            await world.verify("--registry", world.registry(), node=url)
        assert url not in str(caught.value)
    key = world.folder / "node.key"
    key.write_text(f'url = "{world.node.url}/"\n', encoding="utf-8")
    words = ("--chain", "robinhood", "--key-file", str(key), "--registry", world.registry())
    assert 0 == await asyncio.to_thread(call, *words)


def test_what_is_no_evm_chain_or_not_there_is_told() -> None:
    """
    Solana has no such node; a token that is not on the chain is named.
    """
    with pytest.raises(RegistryError, match="known: arbitrum"):
        call("--chain", "solana", "--node", "http://127.0.0.1:1")
    with pytest.raises(RegistryError, match="none of them is on base"):
        call("TSLAx", "--chain", "base", "--node", "http://127.0.0.1:1")
