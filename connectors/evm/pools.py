"""A Feed of the pools of one EVM chain: read once through Multicall3, then kept from the logs of one websocket."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import aiohttp

from connectors.amm.forks import Family
from connectors.ends import Ends
from connectors.errors import BadMessage, ConnectorError, ForkUnverified
from connectors.events import NS, Why
from connectors.evm.keeper import Habits, Keeper
from connectors.evm.pool_facts import Identities
from connectors.evm.pool_spec import PoolSpec, pool_of
from connectors.evm.quoter import quoting
from connectors.evm.rpcs import CALLS_PER_S, LAG_BLOCKS, Rpcs, disagreement, nodes
from connectors.evm.subscription import filters, hello, read_message
from connectors.evm.teller import MOVE_BPS, Teller
from connectors.instruments import Instrument
from connectors.ports import ANY_SYMBOL, Feed, FeedSetup, Finding, Option, Sink
from connectors.registry import load_registry
from connectors.socket import Line, Socket

FRESH_S: Final = 15.0
WATCH_S: Final = 12.0
MAX_BLOCK_AGE_S: Final = 60.0
RECONCILE_BLOCKS: Final = 50
CHECK_BLOCKS: Final = 10

OPTIONS: Final[Mapping[str, Option]] = {
    ANY_SYMBOL: str,
    "ws": str,
    "coins": str,
    "factories": str,
    "state_view": str,
    "manager": str,
    "quoter": str,
    "move_bps": float,
    "trades": bool,
    "fresh_s": float,
    "watch_s": float,
    "max_block_age_s": float,
    "reconcile_blocks": float,
    "check_blocks": float,
    "lag_blocks": float,
    "calls_per_s": float,
}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of pools."""
    return PoolsFeed(setup)


class PoolsFeed:
    """A Feed of POOL and DEPTH rows, and of TRADE rows where these are asked for."""

    def __init__(self, setup: FeedSetup) -> None:
        """The symbol of an instrument is the pool's contract or v4 pool id, and the option of that name its fork.

        Addresses of nodes: `url` (of the config or, where they hold keys, of the key file; several with spaces between
        them) for calls, `ws` (of the options or the key file) for the subscription, by default the first of the others.
        Options: `coins` and `factories` by which pools are proved, `manager` and `state_view` of v4, each where the
        registry has none or another one is meant; `quoter` where pools with a hook or a dynamic fee shall be quoted;
        `move_bps` for the sizes of POOL rows; `trades` (false) tells swaps too, twelve blocks later; `fresh_s` after
        which a pool that did not change is told again; `watch_s` between looks at the nodes, `lag_blocks` after which
        one is behind, `calls_per_s` to each, `max_block_age_s` after which the chain is late; `reconcile_blocks` and
        `check_blocks` as Habits.
        Raises BadMessage for an instrument that is no pool.
        """
        self._setup = setup
        options = setup.options
        self.specs = tuple(pool_of(instrument, options, setup.pins) for instrument in setup.instruments)
        self.keeper: Keeper | None = None
        """Once it runs."""
        of_manager = [spec for spec in self.specs if spec.key is not None]
        if not all(spec.factory and spec.view for spec in of_manager):
            hint = 'write options = { manager = "0x...", state_view = "0x..." }'
            raise BadMessage("where the pools of v4 are is not known", where=f"[venues.{setup.venue}]", hint=hint)
        contracts = [spec.pool for spec in self.specs if spec.fork.family is not Family.V4]
        manager = of_manager[0].factory if of_manager else ""
        self._filters = filters(contracts, manager, [spec.pool for spec in of_manager])
        chains = {instrument.chain for instrument in setup.instruments}
        if len(chains) != 1:
            raise BadMessage(f"pools of {len(chains)} chains", where=f"[venues.{setup.venue}]", hint="one venue each")
        self._chain_id = load_registry().chains.get(chains.pop())
        self._habits = Habits(
            reconcile_blocks=int(options.get("reconcile_blocks", RECONCILE_BLOCKS)),
            check_blocks=int(options.get("check_blocks", CHECK_BLOCKS)),
        )

    @property
    def venue(self) -> str:
        """Name of the venue that it listens to."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Streams until cancelled. Raises EntitlementLost where no address of a node is given."""
        setup, options = self._setup, self._setup.options
        mine = {spec.pool: numbers[spec.instrument.name] for spec in self.specs}
        for spec in self.specs:
            if unchecked(spec):
                sink.against((mine[spec.pool],), Why.UNVERIFIED)
        teller = Teller(
            setup, sink, mine,
            move_bps=int(options.get("move_bps", MOVE_BPS)), fresh_s=float(options.get("fresh_s", FRESH_S)),
            max_block_age_s=float(options.get("max_block_age_s", MAX_BLOCK_AGE_S)),
            trades=bool(options.get("trades", False)),
        )  # fmt: skip
        if options.get("quoter"):
            teller.only_chain = {spec.pool for spec in self.specs if spec.key is not None and spec.key.surprise}
        async with aiohttp.ClientSession() as session:
            lag, rate = int(options.get("lag_blocks", LAG_BLOCKS)), int(options.get("calls_per_s", CALLS_PER_S))
            rpcs = nodes(setup, session, lag, rate)
            keeper = self.keeper = Keeper(
                setup, self.specs, rpcs, sink, teller,
                filters=self._filters, habits=self._habits, chain_id=self._chain_id,
            )  # fmt: skip
            ends = Ends(sink, setup.venue, mine.values())
            socket = Socket(self._line(), rng=setup.rng, sleep=setup.sleep, vitals=setup.vitals)

            def hear(data: str | bytes) -> None:
                sink.frame(setup.venue, data)
                try:
                    said = read_message(data)
                except BadMessage as error:
                    sink.reject(setup.venue, error.word, str(error))
                    return
                if said is not None:
                    keeper.take(said)

            def up() -> None:
                ends.over()
                keeper.doubt()

            def ended(error: ConnectorError) -> None:
                ends.ended(error)
                sink.against(mine.values(), Why.NOT_HEARD)
                keeper.down()

            over: ConnectorError | None = None
            async with asyncio.TaskGroup() as group:
                workers = [keeper.mending(), keeper.checking(), self._watch(rpcs, keeper, teller, sink, mine.values())]
                if teller.only_chain:
                    workers.append(quoting(setup, rpcs, keeper, teller, sink))
                tasks = [group.create_task(worker) for worker in workers]
                try:
                    await socket.live(hear, ended, up)
                except ConnectorError as error:
                    over = error
                for task in tasks:
                    task.cancel()
            raise over or AssertionError("a socket lives until it is cancelled")

    async def probe(self) -> tuple[Finding, ...]:
        """The nodes, whether they have one chain, and whether every pool is what the config says."""
        setup = self._setup
        async with aiohttp.ClientSession() as session:
            try:
                rpcs = nodes(setup, session, int(setup.options.get("lag_blocks", LAG_BLOCKS)))
                chain_id = await rpcs.first(lambda rpc: rpc.chain_id())
                look = await rpcs.look()
                head = await rpcs.first(lambda rpc: rpc.head())
                identities = Identities(self.specs)
                await rpcs.first(lambda rpc: identities.look(rpc, head))
            except ConnectorError as error:
                return (Finding(what="reachable", ok=False, detail=error.what, hint=error.hint),)
        right = self._chain_id in (None, chain_id)
        age_s = setup.clock() / NS - head.timestamp_s
        limit_s = float(setup.options.get("max_block_age_s", MAX_BLOCK_AGE_S))
        wrong = disagreement(look.number, look.hashes)
        found = [
            Finding(what="reachable", ok=True, detail=f"block {head.number}"),
            Finding(
                what="chain", ok=right, detail=f"chain {chain_id}", hint="" if right else "the config says another"
            ),
            Finding(what="latency", ok=age_s <= limit_s, detail="age of the newest block", value=age_s, unit="s"),
            Finding(what="agreement", ok=not wrong, detail=wrong or f"{len(look.hashes)} of {len(look.heads)} nodes"),
        ]
        for at, one in enumerate(look.heads):
            if one is None or at in look.behind:
                detail = "no answer" if one is None else f"{look.best - one.number} blocks behind"
                found.append(Finding(what="node", subject=f"node {at + 1}", ok=False, detail=detail))
        for spec in self.specs:
            why, name = unchecked(spec), spec.instrument.symbol
            if spec.pool in identities.wrong:
                hint = "compare its address with the exchange's own word, or take it out of the config"
                found.append(
                    Finding(what="symbol", subject=name, ok=False, detail=identities.wrong[spec.pool], hint=hint)
                )
            else:
                detail = f"{spec.fork.key}, shown and never traded: {why}" if why else spec.fork.key
                found.append(Finding(what="symbol", subject=name, ok=None if why else True, detail=detail))
        return tuple(found)

    def _line(self) -> Line:
        setup = self._setup
        key = setup.key()
        given = key.get("ws") or str(setup.options.get("ws", "")) or (key.get("url") or setup.url).split()[0]
        return Line(
            venue=setup.venue,
            url=given.replace("http", "ws", 1) if given.startswith("http") else given,
            hello=hello(self._filters),
            first_message_s=setup.first_message_s,
            idle_s=float(setup.options.get("max_block_age_s", MAX_BLOCK_AGE_S)),
        )

    async def _watch(self, rpcs: Rpcs, keeper: Keeper, teller: Teller, sink: Sink, mine: Collection[int]) -> None:
        """Looks at all nodes now and then: who is behind is not asked, and whether they have the same chain."""
        setup, every_s = self._setup, float(self._setup.options.get("watch_s", WATCH_S))
        lag = int(setup.options.get("lag_blocks", LAG_BLOCKS))
        while True:
            look = await rpcs.look()
            for at in look.behind:
                head = look.heads[at]
                sink.reject(setup.venue, "node_behind", f"node {at + 1} is at {head and head.number} of {look.best}")
            blocks = keeper.blocks if keeper.whole else None
            hashes = dict(look.hashes)
            if blocks is not None and look.number <= blocks.settled.number:
                ours = blocks.hash_at(look.number)
                hashes |= {"the stream": ours} if ours else {}
            wrong = disagreement(look.number, hashes)
            if wrong:
                sink.reject(setup.venue, "nodes_disagree", wrong)
            (sink.against if wrong else sink.cleared)(mine, Why.DISAGREES)
            teller.behind = blocks is not None and blocks.tip.number < look.best - lag
            if teller.behind and blocks is not None:
                sink.reject(setup.venue, "stream_behind", f"the stream is at {blocks.tip.number} of {look.best}")
                sink.against(mine, Why.LAGS)
            await setup.sleep(every_s)


def unchecked(spec: PoolSpec) -> str:
    """Why a pool is shown and never traded; empty where it may be."""
    if spec.key is not None and spec.key.surprise:
        return spec.key.surprise
    try:
        spec.fork.tradable()
    except ForkUnverified as error:
        return error.what
    return ""
