"""200 pools kept live from one websocket: what part of a core that takes.

    python -m benchmarks.chain                 a minute of one block a second with 5 swaps in each of 200 v3 pools

The node is another process on loopback, which makes up blocks and tells their logs one by one, then the head. The feed
is the one that `pegline run` starts, with its defaults: every swap applied, a POOL row for each change, DEPTH rows at
most every second, logs asked for again every 10 blocks, states held against the chain every 50. At the end all states
are compared with the node's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import numpy as np

from benchmarks.measure import machine
from bot.clock import chance, monotonic_s, sleep, wall_ns
from bot.inbox import Inbox
from connectors.amm import v3
from connectors.amm.curve import Pool
from connectors.amm.ticks import Q96
from connectors.events import Kind
from connectors.evm.logs import Swapped
from connectors.evm.pools import PoolsFeed
from connectors.instruments import Instrument, Role, Universe
from connectors.ports import FeedSetup
from tests.servers.chain import PROOF, TOKEN, ChainServer, Say

POSITIONS: Final = 20


def pools(count: int) -> dict[str, Pool]:
    """Pools with 20 positions of different size around a price of one, each of another fee, as a factory has them."""
    random, made = Random(1), dict[str, Pool]()
    for number in range(count):
        pool = v3.initialized(Q96, 0, fee_pips=3_000 + number, spacing=200)
        for _ in range(POSITIONS):
            lower = random.randrange(-30, 1) * 200
            pool = v3.after_mint(pool, lower, lower + random.randrange(31, 60) * 200, random.randrange(10**23, 10**25))
        made[f"0x{number + 1:040x}"] = pool
    return made


def swaps(server: ChainServer, each: int, random: Random) -> Iterator[Say]:
    """What happens in one block: swaps of all pools in turns, as the contracts would do them."""
    states = dict(server.tip.states)
    for _ in range(each):
        for name, pool in states.items():
            assert isinstance(pool, v3.V3Pool)
            # The one who swaps pushes the price towards one, so that it stays where the liquidity is.
            down = random.random() < (0.6 if pool.sqrt_price > Q96 else 0.4)
            quote = pool.exact_in(random.randrange(10**19, 10**22), zero_for_one=down)
            states[name] = pool.swapped(quote)
            zero, one = quote.pool_deltas
            yield name, Swapped(zero, one, quote.sqrt_price_after, quote.liquidity_after, quote.tick_after, None)


async def measure(count: int, each: int, seconds: int) -> dict[str, Any]:
    """The feed on a node of another process."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.chain", "serve", "--pools", str(count), "--swaps", str(each),
        "--seconds", str(seconds), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    assert server.stdout is not None and server.stdin is not None
    url = (await server.stdout.readline()).decode().strip()
    names = list(pools(count))
    instruments = tuple(
        Instrument(
            venue="dex", symbol=name, role=Role.TOKEN, token="TSLAx", underlying="TSLA", chain="nowhere",
            contract=TOKEN, quote="USDC",
        )
        for name in names
    )  # fmt: skip
    inbox = Inbox(Universe(instruments), clock=wall_ns)
    feed = PoolsFeed(
        FeedSetup(
            venue="dex", instruments=instruments, clock=wall_ns, monotonic=monotonic_s, sleep=sleep, rng=chance(1),
            url=url, depth_every_s=1.0, options={**PROOF, **dict.fromkeys(names, "uniswap_v3")},
        )
    )  # fmt: skip
    running = asyncio.create_task(feed.run(inbox, {i.name: at for at, i in enumerate(instruments)}))
    running.add_done_callback(lambda _: inbox.close())
    rows = {Kind.POOL: 0, Kind.DEPTH: 0}
    begun = asyncio.get_running_loop().time()
    async for _ in inbox:
        if feed.keeper is not None and feed.keeper.whole and all(inbox.heard):
            break
    read_s = asyncio.get_running_loop().time() - begun
    gc.collect()
    gc.freeze()
    server.stdin.write(b"go\n")
    taken = asyncio.create_task(_count(inbox, rows))
    await asyncio.sleep(1.0)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    told = json.loads(await server.stdout.readline())
    await asyncio.sleep(1.0)
    assert feed.keeper is not None and feed.keeper.blocks is not None
    kept = feed.keeper.blocks.now
    equal = sum([state.sqrt_price, state.liquidity, len(state.ticks)] == told["states"][name]
                for name, state in kept.items() if isinstance(state, v3.V3Pool))  # fmt: skip
    for task in (running, taken):
        task.cancel()
    await asyncio.gather(running, taken, return_exceptions=True)
    server.stdin.close()
    await server.wait()
    return {
        "pools": count, "swaps_per_pool_and_block": each, "blocks": told["blocks"], "logs": told["logs"],
        "share_of_a_core": round(cpu / wall, 4), "cpu_us_per_log": round(cpu / (wall * count * each) * 1e6, 1),
        "states_equal": equal, "reorgs": feed.keeper.blocks.reorgs,
        "rows": {kind.name: number for kind, number in rows.items()},
        "rejected": {reason: number for (_, reason), number in inbox.rejected.items()},
        "reading_all_s": round(read_s, 2),
        "machine": machine(),
    }  # fmt: skip


async def _count(inbox: Inbox, rows: dict[Kind, int]) -> None:
    async for block in inbox:
        for kind in rows:
            rows[kind] += int(np.count_nonzero(block.kind == kind))


async def serve(count: int, each: int, seconds: int) -> None:
    """The other process: prints its address, makes a block a second from the first line of its input on."""
    random, logs = Random(2), 0
    async with ChainServer(pools(count)) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        due = time.monotonic()
        blocks = seconds + 2
        for _ in range(blocks):
            # Made ready first, so that the logs of a block come in one go.
            block = server.next_block(tuple(swaps(server, each, random)))
            block.timestamp_s = int(time.time())
            due += 1.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            server.blocks.append(block)
            await server.tell(block)
            logs += len(block.logs)
        states = {
            name: [pool.sqrt_price, pool.liquidity, len(pool.ticks)]
            for name, pool in server.tip.states.items()
            if isinstance(pool, v3.V3Pool)
        }
        print(json.dumps({"blocks": blocks, "logs": logs, "states": states}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Prints a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="measure", choices=("measure", "serve"))
    parser.add_argument("--pools", type=int, default=200)
    parser.add_argument("--swaps", type=int, default=5, help="per pool and block")
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    if args.part == "serve":
        asyncio.run(serve(args.pools, args.swaps, args.seconds))
    else:
        print(json.dumps(asyncio.run(measure(args.pools, args.swaps, args.seconds)), indent=2))


if __name__ == "__main__":
    main()
