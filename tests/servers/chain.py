"""A node of a chain that a test makes up, block by block: heads and logs by websocket, calls by HTTP.

Its pools are states of connectors/amm, which the logs of each block move on. Unlike a real node it can be told to send
`removed` logs, to send logs late, twice or never, and to answer eth_getLogs with too little.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web
from eth_abi.abi import decode, encode

from connectors.amm.forks import FORKS
from connectors.amm.tickmap import words
from connectors.amm.v2 import V2Pool
from connectors.amm.v3 import V3Pool
from connectors.evm.abi import Method, topic
from connectors.evm.logs import Event, Moved, Pool, Swapped, Synced, Traded, applied
from tests.servers.venue import VenueServer

TOKEN: Final = "0x" + "11" * 20
OTHER: Final = "0x" + "22" * 20
"""The tokens of every pool, in this order, with 18 decimals."""
FACTORIES: Final = {"uniswap_v2": "0x" + "f2" * 20, "uniswap_v3": "0x" + "f3" * 20, "pancakeswap_v2": "0x" + "c2" * 20,
                    "pancakeswap_v3": "0x" + "c3" * 20}  # fmt: skip
"""Who made the pools of each fork. A v3 factory knows one pool for each fee, a v2 factory one in all."""
PROOF: Final[dict[str, Any]] = {
    "coins": f"USDC {OTHER}", "factories": " ".join(f"{fork} {at}" for fork, at in FACTORIES.items()),
}  # fmt: skip
"""Options of a feed by which it knows that these pools are real."""

_AGGREGATE: Final = Method("aggregate3", ("(address,bool,bytes)[]",), ("(bool,bytes)[]",))
_NAMES: Final = {
    Method(name, takes).selector: name
    for name, takes in {
        "getCurrentBlockTimestamp": (), "token0": (), "token1": (), "decimals": (), "tickSpacing": (), "fee": (),
        "getReserves": (), "slot0": (), "liquidity": (), "tickBitmap": ("int16",), "ticks": ("int24",), "factory": (),
        "getPair": ("address", "address"), "getPool": ("address", "address", "uint24"), "symbol": (),
    }.items()
}  # fmt: skip

Say = tuple[str, Event]
"""A pool and what happens to it."""


@dataclass
class Block:
    """One block, and the states of all pools after it."""

    number: int
    hash: str
    parent: str
    timestamp_s: int
    states: dict[str, Pool]
    logs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def head(self) -> dict[str, str]:
        """As newHeads tells it."""
        return {
            "number": hex(self.number), "hash": self.hash, "parentHash": self.parent,
            "timestamp": hex(self.timestamp_s),
        }  # fmt: skip


class ChainServer(VenueServer):
    """`async with ChainServer({"0x...": pool}) as server:` has one block; `mine` makes the next."""

    def __init__(self, pools: Mapping[str, Pool], *, start: int = 100) -> None:
        """Pools by contract, as they are at block `start`."""
        super().__init__()
        self._numbers = itertools.count(1)
        self.blocks = [Block(start, self._hash(), self._hash(), int(time.time()), dict(pools))]
        """The chain as it is now."""
        self.every = {self.blocks[0].hash: self.blocks[0]}
        """All blocks that ever were, by hash."""
        self.calls: list[dict[str, Any]] = []
        """JSON-RPC calls as they came."""
        self.instead: dict[str, Callable[[Any], Any]] = {}
        """By method: what becomes of the result."""
        self.limit: Callable[[int, int], tuple[int, dict[str, Any]] | None] = lambda blocks, logs: None
        """Status and error with which eth_getLogs over so many blocks with so many logs is refused; None answers it."""
        self.sends: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any]]] = list
        """What is sent of the logs of a block, and in which order."""
        self.facts: dict[tuple[str, str], int] = {}
        """What a function without arguments answers instead, by contract and name."""
        self.heads_first = False
        self._subscribed: dict[web.WebSocketResponse, list[Any]] = {}

    @property
    def tip(self) -> Block:
        """The newest block."""
        return self.blocks[-1]

    @property
    def followers(self) -> int:
        """Websockets that have subscribed to heads and logs."""
        return sum(len(wishes) > 1 for wishes in self._subscribed.values())

    def routes(self, app: web.Application) -> None:
        """One path for all."""
        app.router.add_post("/", self._asked)
        app.router.add_get("/", self.socket)

    async def said(self, socket: web.WebSocketResponse, text: str) -> None:
        """Subscriptions."""
        call = msgspec.json.decode(text)
        self._subscribed.setdefault(socket, []).append(call["params"])
        await socket.send_str(msgspec.json.encode({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"}).decode())

    def next_block(self, happens: Sequence[Say] = (), parent: Block | None = None) -> Block:
        """A block on `parent` (the tip) in which this happens; it is not told yet. Raises PoolStateError."""
        below = parent or self.tip
        block = Block(below.number + 1, self._hash(), below.hash, below.timestamp_s + 1, dict(below.states))
        for index, (pool, event) in enumerate(happens):
            state = applied(block.states[pool], event)
            assert isinstance(state, (V2Pool, V3Pool))
            block.states[pool] = state
            block.logs.append(raw_log(block, pool, event, index))
        self.every[block.hash] = block
        return block

    async def mine(self, *happens: Say) -> Block:
        """One block more, and everybody is told."""
        block = self.next_block(happens)
        self.blocks.append(block)
        await self.tell(block)
        return block

    async def tell(self, block: Block) -> None:
        """Sends a block's logs and head."""
        logs = [("logs", log) for log in self.sends(block.logs)]
        heads = [("newHeads", block.head)]
        for what, said in heads + logs if self.heads_first else logs + heads:
            await self.notify(what, said)

    async def reorg(self, depth: int, *blocks: Sequence[Say], removed: bool) -> None:
        """Replaces the last `depth` blocks by these; `removed` tells their logs again as removed, newest first."""
        gone = [self.blocks.pop() for _ in range(depth)]
        if removed:
            for block in gone:
                for log in reversed(block.logs):
                    await self.notify("logs", {**log, "removed": True})
        for happens in blocks:
            await self.mine(*happens)

    async def notify(self, what: str, said: dict[str, Any]) -> None:
        """Sends something to everybody who has subscribed to such."""
        message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": said}}
        text = msgspec.json.encode(message).decode()
        for socket, wishes in list(self._subscribed.items()):
            if not socket.closed and any(wish[0] == what for wish in wishes):
                with suppress(ConnectionResetError):
                    await socket.send_str(text)

    async def _asked(self, request: web.Request) -> web.Response:
        call = await request.json()
        self.calls.append(call)
        method, params = call["method"], call["params"]
        result, status = getattr(self, "_" + method)(*params), 200
        if method in self.instead:
            result = self.instead[method](result)
        if method == "eth_getLogs" and "fromBlock" in params[0]:
            blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            status, result = self.limit(blocks, len(result)) or (status, result)
        error = {"error": result} if isinstance(result, dict) and "code" in result else {"result": result}
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], **error}, status=status)

    def _hash(self) -> str:
        return f"0x{next(self._numbers):064x}"

    def _answer(self, block: Block, to: str, data: bytes) -> bytes:
        """What a contract answers after a block."""
        name, argument = _NAMES.get(data[:4], ""), data[4:]
        fixed = {
            "getCurrentBlockTimestamp": block.timestamp_s, "token0": int(TOKEN, 16), "token1": int(OTHER, 16),
            "decimals": 18,
        }  # fmt: skip
        if (to, name) in self.facts or name in fixed:
            return bytes.fromhex(word(self.facts.get((to, name), fixed.get(name, 0))))
        if name in ("getPair", "getPool"):
            fee = int.from_bytes(data[-32:], "big") if name == "getPool" else None
            known = (pool for pool, state in block.states.items() if (_factory(state), _fee(state)) == (to, fee))
            return bytes.fromhex(word(int(next(known, "0x0"), 16)))
        pool = block.states.get(to)
        if name == "factory" and pool is not None:
            return bytes.fromhex(word(int(_factory(pool), 16)))
        if isinstance(pool, V2Pool):
            return bytes.fromhex(word(pool.reserve0, pool.reserve1, 0)) if name == "getReserves" else b""
        if not isinstance(pool, V3Pool):
            return b""
        at = int.from_bytes(argument, "big", signed=True)
        if name == "tickBitmap":
            return bytes.fromhex(word(words(pool.ticks.order, pool.ticks.spacing).get(at, 0)))
        if name == "ticks":
            held = pool.ticks[at] if at in pool.ticks else (0, 0)  # noqa: SIM401 - not a mapping
            return bytes.fromhex(word(*held, 0, 0))
        numbers = {
            "slot0": (pool.sqrt_price, pool.tick, 0, 0, 0, 0, 1), "liquidity": (pool.liquidity,),
            "fee": (pool.fee_pips,), "tickSpacing": (pool.ticks.spacing,),
        }.get(name)  # fmt: skip
        return bytes.fromhex(word(*numbers)) if numbers else b""

    def _eth_chainId(self) -> str:
        return "0x1"

    def _eth_getBlockByNumber(self, at: str, _: bool) -> dict[str, str] | None:
        number = self.tip.number if at == "latest" else int(at, 16)
        return next((block.head for block in self.blocks if block.number == number), None)

    def _eth_getBlockByHash(self, hash_: str, _: bool) -> dict[str, str] | None:
        return self.every[hash_].head if hash_ in self.every else None

    def _eth_getLogs(self, wish: dict[str, Any]) -> Any:
        if "blockHash" in wish:
            block = self.every.get(wish["blockHash"])
            return block.logs if block else {"code": -32000, "message": "unknown block"}
        first, last = int(wish["fromBlock"], 16), int(wish["toBlock"], 16)
        return [log for block in self.blocks if first <= block.number <= last for log in block.logs]

    def _eth_call(self, wish: dict[str, str], at: dict[str, str]) -> Any:
        block = self.every.get(at["blockHash"])
        if block is None:
            return {"code": -32000, "message": "unknown block"}
        (calls,) = decode(_AGGREGATE.takes, bytes.fromhex(wish["data"][10:]))
        answers = [(True, self._answer(block, to, data)) for to, _, data in calls]
        return "0x" + encode(_AGGREGATE.gives, [answers]).hex()


def raw_log(block: Block, pool: str, event: Event, index: int) -> dict[str, Any]:
    """A log as a node tells it."""
    who = "0x" + "33" * 32
    if isinstance(event, Synced):
        topics, data = [topic("Sync(uint112,uint112)")], word(*event)
    elif isinstance(event, Traded):
        topics = [topic("Swap(address,uint256,uint256,uint256,uint256,address)"), who, who]
        data = word(*(max(amount, 0) for amount in event), *(max(-amount, 0) for amount in event))
    elif isinstance(event, Swapped):
        state = block.states[pool]
        fork = state.fork if isinstance(state, V3Pool) else FORKS["uniswap_v3"]
        topics, data = [topic(fork.swap_log), who, who], word(*event[:5])
    else:
        assert isinstance(event, Moved)
        ticks = ["0x" + word(tick) for tick in (event.lower, event.upper)]
        come = event.amount >= 0
        name = "Mint(address,address,int24,int24,uint128,uint256,uint256)" if come else (
            "Burn(address,int24,int24,uint128,uint256,uint256)"
        )  # fmt: skip
        topics, data = [topic(name), who, *ticks], word(*([0] if come else []), abs(event.amount), 0, 0)
    return {
        "address": pool, "topics": topics, "data": "0x" + data, "blockNumber": hex(block.number),
        "blockHash": block.hash, "transactionHash": f"0x{int(block.hash, 16):060x}{index:04x}",
        "transactionIndex": hex(index), "logIndex": hex(index), "removed": False,
    }  # fmt: skip


def word(*values: int) -> str:
    """Numbers as words, in hexadecimal."""
    return "".join((value % (1 << 256)).to_bytes(32, "big").hex() for value in values)


def _fee(pool: Pool) -> int | None:
    return pool.fee_pips if isinstance(pool, V3Pool) else None


def _factory(pool: Pool) -> str:
    return FACTORIES[pool.fork.key] if isinstance(pool, (V2Pool, V3Pool)) else ""
