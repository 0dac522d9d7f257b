"""A node of a chain that holds one contract, Pyth's, or some tokens, read through Multicall3; in other tests chains are
real.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from tests.servers.venue import VenueServer

NOW = keccak(text="getCurrentBlockTimestamp()")[:4]
PRICE = keccak(text="getPriceUnsafe(bytes32)")[:4]
CALLS, RESULTS = ["(address,bool,bytes)[]"], ["(bool,bytes)[]"]


class EvmServer(VenueServer):
    """`server.prices[feed_id] = (price, conf, expo, published)`; a feed that has none reverts."""

    def __init__(self) -> None:
        super().__init__()
        self.prices: dict[str, tuple[int, int, int, int]] = {}
        self.read: list[str] = []
        """Ids of the feeds that were read, in order."""
        self.blocks: list[int] = []
        """Time of each block; every look at the newest makes one."""
        self._instead: list[str] = []

    def routes(self, app: web.Application) -> None:
        """One path for all."""
        app.router.add_post("/", self._asked)

    async def send(self, text: str | bytes) -> None:
        """The next answer is this text, whatever was asked."""
        self._instead.append(text if isinstance(text, str) else text.decode())

    async def _asked(self, request: web.Request) -> web.Response:
        call = await request.json()
        if self._instead:
            return web.Response(text=self._instead.pop(0), content_type="application/json")
        answer = self.answers()[call["method"]](call["params"])
        await self._tell()
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": answer})

    def answers(self) -> dict[str, Callable[[Any], Any]]:
        """By method: what its parameters are answered with."""
        return {"eth_chainId": self._chain_id, "eth_getBlockByNumber": self._block, "eth_call": self._call}

    def _chain_id(self, _: Any) -> str:
        return "0x1"

    def _block(self, _: Any) -> dict[str, str]:
        self.blocks.append(round(time.time()))
        number = len(self.blocks) - 1
        name = {key: f"0x{at:064x}" for key, at in (("hash", number + 1), ("parentHash", number))}
        return {"number": hex(number), "timestamp": hex(self.blocks[-1]), **name}

    def _call(self, params: Any) -> str:
        block = int(params[1], 16)
        (calls,) = decode(CALLS, bytes.fromhex(params[0]["data"][10:]))
        return "0x" + encode(RESULTS, [[self.one(to, data, block) for to, _, data in calls]]).hex()

    def one(self, to: str, data: bytes, block: int) -> tuple[bool, bytes]:
        """What one call is answered with, and whether it was."""
        if data[:4] == NOW:
            return True, encode(["uint256"], [self.blocks[block]])
        name = "0x" + data[4:36].hex()
        self.read.append(name)
        known = data[:4] == PRICE and name in self.prices
        return (True, encode(["int64", "uint64", "int32", "uint256"], self.prices[name])) if known else (False, b"")


class TokenServer(EvmServer):
    """`server.tokens[contract] = (symbol, multiplier times 1e18)`: tokens after ERC-8056, with one unit of each."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, tuple[str, int]] = {}
        self.asked_tokens: list[str] = []
        """Contracts whose multiplier was read, in order."""

    def answers(self) -> dict[str, Callable[[Any], Any]]:
        """Code and storage too."""
        return {
            **super().answers(),
            "eth_getCode": lambda params: "0x60" if params[0] in self.tokens else "0x",
            "eth_getStorageAt": lambda _: "0x" + "00" * 32,
            "eth_getLogs": lambda _: [],
        }

    def one(self, to: str, data: bytes, block: int) -> tuple[bool, bytes]:
        """What a token answers."""
        if to not in self.tokens:
            return super().one(to, data, block)
        symbol, multiplier = self.tokens[to]
        said = {"totalSupply()": 10**18, "decimals()": 18, "uiMultiplier()": multiplier, "effectiveAt()": 0}
        if data == keccak(text="symbol()")[:4]:
            return True, encode(["string"], [symbol])
        name = next((name for name in said if data == keccak(text=name)[:4]), "")
        if name == "uiMultiplier()":
            self.asked_tokens.append(to)
        return (True, encode(["uint256"], [said[name]])) if name else (False, b"")
