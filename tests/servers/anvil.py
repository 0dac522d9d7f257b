"""A real EVM node of its own for a test: anvil on a free port of loopback, and what a test does to a chain."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.chain.artifact import Artifact
from tests.servers.venue import PATIENCE_S

GAS = 900_000_000
"""What a transaction may use at most: a block holds it."""

FEES = {"maxFeePerGas": hex(10 * 10**9), "maxPriorityFeePerGas": "0x1"}

MINED_AT_ONCE = ("--gas-limit", "1000000000", "--disable-min-priority-fee")


class Reverted(AssertionError):
    """A call or transaction was reverted; `data` holds the contract's reason."""

    def __init__(self, what: str, data: bytes = b"") -> None:
        """With the node's words."""
        super().__init__(what)
        self.data = data


class Anvil:
    """`async with Anvil(chain.anvil) as node:` starts a chain of its own, and ends it.

    Every transaction is a block; with `--no-mining` or `--block-time` among the options `mine` and time make them.
    """

    def __init__(self, program: Path, *options: str, chain_id: int = 31337) -> None:
        """`options` are those of the program."""
        self._arguments = [
            str(program), "--host", "127.0.0.1", "--port", "0", "--chain-id", str(chain_id), *MINED_AT_ONCE, *options,
        ]  # fmt: skip
        self.chain_id = chain_id
        self.address = ""
        """`127.0.0.1:port`."""
        self.accounts: list[str] = []
        """Ten accounts with 10,000 coins each, whose keys the node has; the first one sends where none is named."""
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """For JSON-RPC over HTTP."""
        return f"http://{self.address}"

    @property
    def ws_url(self) -> str:
        """For JSON-RPC over a websocket."""
        return f"ws://{self.address}"

    async def __aenter__(self) -> Self:
        """Starts the node; it is ready when it names its port."""
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told = []
        async with asyncio.timeout(PATIENCE_S):
            while not self.address:
                line = (await self._process.stdout.readline()).decode()
                assert line, "anvil ended: " + "".join(told)
                told.append(line)
                if line.startswith("Listening on "):
                    self.address = line.split()[-1]
        self._drain = asyncio.create_task(self._process.stdout.read())
        self._session = aiohttp.ClientSession()
        self.accounts = await self.rpc("eth_accounts")
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Ends it; SIGINT, so that `--state` writes its file."""
        await self._session.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(2)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._drain

    async def rpc(self, method: str, *params: Any) -> Any:
        """The node's answer. Raises Reverted where it is an error."""
        call = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        async with self._session.post(self.url, json=call) as response:
            answer = await response.json()
        if error := answer.get("error"):
            data = error.get("data")
            raise Reverted(f"{method}: {error['message']}", bytes.fromhex(data[2:]) if isinstance(data, str) else b"")
        return answer["result"]

    async def send(
        self, to: str | None, data: bytes = b"", *, value: int = 0, sender: str | None = None, gas: int = GAS
    ) -> dict[str, Any]:
        """Sends from an account of the node (or one that is impersonated), and gives the receipt.

        Raises Reverted where it failed. Needs a node that mines at once.
        """
        wish = {
            "from": sender or self.accounts[0],
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(gas),
        } | FEES
        receipt = await self.rpc("eth_sendTransactionSync", wish | ({"to": to} if to else {}))
        if receipt["status"] != "0x1":
            raise Reverted(f"transaction {receipt['transactionHash']} failed")
        return receipt

    async def call(self, to: str, data: bytes, *, block: int | str = "latest", sender: str | None = None) -> bytes:
        """What a contract answers. Raises Reverted."""
        at = hex(block) if isinstance(block, int) else block
        wish = {"from": sender or self.accounts[0], "to": to, "data": "0x" + data.hex()}
        return bytes.fromhex((await self.rpc("eth_call", wish, at))[2:])

    async def deploy(self, artifact: Artifact, *args: Any, sender: str | None = None) -> Deployed:
        """Puts a contract on the chain."""
        receipt = await self.send(None, artifact.creation(*args), sender=sender)
        return Deployed(self, artifact, receipt["contractAddress"])

    async def put(self, address: str, artifact: Artifact) -> None:
        """Puts a contract's code at an address that it has on real chains; its constructor's storage stays behind."""
        made = await self.deploy(artifact)
        await self.rpc("anvil_setCode", address, await self.rpc("eth_getCode", made.address, "latest"))

    async def block(self) -> int:
        """Number of the newest block."""
        return int(await self.rpc("eth_blockNumber"), 16)

    async def now(self) -> int:
        """Unix seconds of the newest block."""
        return int((await self.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)

    async def mine(self, blocks: int = 1, *, every_s: int = 1) -> None:
        """Makes blocks, `every_s` seconds of chain time apart."""
        await self.rpc("anvil_mine", hex(blocks), hex(every_s))

    async def at(self, unix_s: int) -> None:
        """Makes one block with this time; the chain's clock goes on from there."""
        await self.rpc("evm_setNextBlockTimestamp", hex(unix_s))
        await self.rpc("anvil_mine", "0x1")

    async def snapshot(self) -> str:
        """Remembers the whole chain; `revert` goes back there, once."""
        return await self.rpc("evm_snapshot")

    async def revert(self, snapshot: str) -> None:
        """Goes back to a snapshot."""
        assert await self.rpc("evm_revert", snapshot)

    async def reorg(self, depth: int) -> None:
        """Replaces the last `depth` blocks by empty ones; their transactions are gone.

        This node tells nobody by `removed` logs, only by new heads.
        """
        await self.rpc("anvil_reorg", depth, [])

    async def fund(self, account: str, wei: int) -> None:
        """Sets an account's balance of the chain's own coin."""
        await self.rpc("anvil_setBalance", account, hex(wei))

    async def become(self, account: str) -> None:
        """Lets the node send for an account whose key it does not have."""
        await self.rpc("anvil_impersonateAccount", account)


class Deployed:
    """A contract on the chain of a node: `await pool.read("slot0")`, `await pool.write("mint", who, 10)`."""

    def __init__(self, node: Anvil, artifact: Artifact, address: str) -> None:
        """`address` as hex."""
        self.node, self.artifact, self.address = node, artifact, address

    async def read(self, function: str, *args: Any, block: int | str = "latest", sender: str | None = None) -> Any:
        """What a function answers: one value, or a tuple. Raises Reverted."""
        answer = await self.node.call(self.address, self.artifact.data(function, *args), block=block, sender=sender)
        return self.artifact.result(function, answer, len(args))

    async def write(self, function: str, *args: Any, value: int = 0, sender: str | None = None) -> dict[str, Any]:
        """Sends a transaction; gives its receipt, its logs in `logs`. Raises Reverted."""
        return await self.node.send(self.address, self.artifact.data(function, *args), value=value, sender=sender)
