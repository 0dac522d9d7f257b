"""Where the real parts of the chain tests are, and our own Solidity compiled: once for each content, then kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import re
import subprocess
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from tests.chain.artifact import Artifact

HERE: Final = Path(__file__).resolve().parent
MODULES: Final = HERE / "node_modules"
CACHE: Final = HERE.parents[1] / ".cache" / "chain"

SHELVES: Final = {
    "UniswapV2Factory": "@uniswap/v2-core/build/{name}.json",
    "UniswapV2Pair": "@uniswap/v2-core/build/{name}.json",
    "UniswapV2Router02": "@uniswap/v2-periphery/build/{name}.json",
    "WETH9": "@uniswap/v2-periphery/build/{name}.json",
    "UniswapV3Factory": "@uniswap/v3-core/artifacts/contracts/{name}.sol/{name}.json",
    "UniswapV3Pool": "@uniswap/v3-core/artifacts/contracts/{name}.sol/{name}.json",
    "NonfungiblePositionManager": "@uniswap/v3-periphery/artifacts/contracts/{name}.sol/{name}.json",
    "SwapRouter": "@uniswap/v3-periphery/artifacts/contracts/{name}.sol/{name}.json",
    "QuoterV2": "@uniswap/v3-periphery/artifacts/contracts/lens/{name}.sol/{name}.json",
    "TickLens": "@uniswap/v3-periphery/artifacts/contracts/lens/{name}.sol/{name}.json",
    "PancakeV3Factory": "@pancakeswap/v3-core/artifacts/contracts/{name}.sol/{name}.json",
    "PancakeV3Pool": "@pancakeswap/v3-core/artifacts/contracts/{name}.sol/{name}.json",
    "PoolManager": "@uniswap/v4-core/out/{name}.sol/{name}.json",
    "PoolSwapTest": "@uniswap/v4-core/out/{name}.sol/{name}.json",
    "PoolModifyLiquidityTest": "@uniswap/v4-core/out/{name}.sol/{name}.json",
    "StateView": "@uniswap/v4-periphery/foundry-out/{name}.sol/{name}.json",
    "V4Quoter": "@uniswap/v4-periphery/foundry-out/{name}.sol/{name}.json",
    "DeployPermit2": "@uniswap/v4-periphery/foundry-out/{name}.sol/{name}.json",
    "UniversalRouter": "@uniswap/universal-router/artifacts/contracts/{name}.sol/{name}.json",
    "PositionManager": "@uniswap/v4-periphery/foundry-out/{name}.sol/{name}.json",
}
"""In which file of which package a contract's bytecode is."""

SETTINGS: Final = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": "cancun",
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
}


class Parts:
    """The parts of one clone. Made by the fixture `chain`, which skips where they are absent."""

    @property
    def lacking(self) -> str:
        """What is absent, for a person; empty when all is there."""
        if not (MODULES / ".installed").is_file():
            return "tests/chain/node_modules (scripts/chain makes it, where node 20 and npm are)"
        return "" if self.anvil.is_file() else f"anvil for this machine ({self.anvil.parents[1].name})"

    @cached_property
    def anvil(self) -> Path:
        """The program itself, not its node wrapper: its process id is the node's."""
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return MODULES / "@foundry-rs" / f"anvil-{platform.system().lower()}-{machine}" / "bin" / "anvil"

    def artifact(self, name: str) -> Artifact:
        """A contract by name: one of the exchanges' packages, else one of contracts/. Raises KeyError."""
        return _packaged(name) if name in SHELVES else self._own[name]

    @cached_property
    def _own(self) -> dict[str, Artifact]:
        return compiled(HERE / "contracts")


@cache
def _packaged(name: str) -> Artifact:
    raw = json.loads((MODULES / SHELVES[name].format(name=name)).read_bytes())
    code = raw["bytecode"]["object"] if isinstance(raw["bytecode"], dict) else raw["bytecode"]
    return Artifact(name, raw["abi"], bytes.fromhex(code.removeprefix("0x")))


def compiled(folder: Path) -> dict[str, Artifact]:
    """All contracts of a folder by name. Raises AssertionError with the compiler's words where one does not compile.

    The result is kept by the content of the sources and of the compiler's settings; several test processes wait for
    the first one.
    """
    sources = {path.name: {"content": path.read_text()} for path in sorted(folder.glob("*.sol"))}
    pending = [text["content"] for text in sources.values()]
    while pending:
        for name in re.findall(r'from "(@[^"]+)"|import "(@[^"]+)"', pending.pop()):
            wanted = name[0] or name[1]
            if wanted not in sources:
                sources[wanted] = {"content": (MODULES / wanted).read_text()}
                pending.append(_absolute(sources[wanted], wanted))
    asked = json.dumps({"language": "Solidity", "sources": sources, "settings": SETTINGS}, sort_keys=True)
    version = json.loads((MODULES / "solc" / "package.json").read_bytes())["version"]
    kept = CACHE / f"{hashlib.sha256(f'{version} {asked}'.encode()).hexdigest()}.json"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            _compile(asked, kept)
    return {name: Artifact(name, *_parts(raw)) for name, raw in json.loads(kept.read_bytes()).items()}


def _absolute(source: dict[str, str], name: str) -> str:
    """A package's source with its relative imports written out from the package, also for the compiler."""

    def written(found: re.Match[str]) -> str:
        path = (MODULES / name).parent / found[1]
        return f'"{path.resolve().relative_to(MODULES.resolve())}"'

    source["content"] = re.sub(r'"(\.\.?/[^"]+\.sol)"', written, source["content"])
    return source["content"]


def _compile(asked: str, kept: Path) -> None:
    done = subprocess.run(["node", HERE / "compile.cjs"], input=asked, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", ()) if e["severity"] == "error"]
    assert not errors, "\n".join(errors)
    contracts = {
        name: {"abi": raw["abi"], "bytecode": raw["evm"]["bytecode"]["object"]}
        for file, found in answer["contracts"].items()
        if not file.startswith("@")
        for name, raw in found.items()
    }
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(contracts))
    part.replace(kept)


def _parts(raw: dict[str, Any]) -> tuple[list[dict[str, Any]], bytes]:
    return raw["abi"], bytes.fromhex(raw["bytecode"])
