"""Tells pools as rows, POOL and DEPTH: when one changed, and now and then, since a state holds as of each block; and
swaps as TRADE rows, where these are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from connectors.events import NS, Kind, Why
from connectors.evm.blocks import Blocks
from connectors.evm.logs import Swapped, Traded, Unborn
from connectors.evm.pool_facts import Facts
from connectors.evm.pool_rows import DEPTH_BPS, PoolBook, book, printed
from connectors.ports import FeedSetup, Sink

MOVE_BPS: Final = 10
"""Sizes of POOL rows are those that move the price by so much."""
SETTLE_S: Final = 0.002
"""A block's logs are over when no more came for so long."""
PRINT_BLOCKS: Final = 12
"""Swaps are told when their block is so deep: they make volume, which can wait, and what is told is not taken back."""
MOST_S: Final = 0.05
"""Logs that go on coming are waited for no longer than this."""


class Teller:
    """Between the keeper and the sink."""

    def __init__(
        self, setup: FeedSetup, sink: Sink, numbers: Mapping[str, int], *, move_bps: int, fresh_s: float,
        max_block_age_s: float, trades: bool = False,
    ) -> None:  # fmt: skip
        """`numbers` gives a pool its instrument. Sizes are those that move the price by `move_bps`; a pool that did
        not change is told again after `fresh_s`; blocks older than `max_block_age_s` are late. `trades`
        tells swaps too."""
        self._setup, self._sink = setup, sink
        self._numbers = dict(numbers)
        self._tops = (move_bps,)
        self._moves = (move_bps, *(bps for bps in DEPTH_BPS if bps > move_bps))
        self._fresh_s, self._max_block_age_s = fresh_s, max_block_age_s
        self._blocks: Blocks | None = None
        self._facts: Mapping[str, Facts] = {}
        self._told_s: dict[str, float] = {}
        self._depth_s: dict[str, float] = {}
        self._height = -1
        self._trades, self._printed = trades, -1
        """Number of the last block whose swaps were told."""
        self._later: asyncio.Handle | None = None
        self._quiet, self._until_s = True, 0.0
        self.behind = False
        """Whether the stream is behind other nodes."""
        self.only_chain: set[str] = set()
        """Pools that only the chain can quote; whoever asks it tells the answer by `answer`."""
        self.wanted = asyncio.Event()
        """Set where a block may have changed what these are worth."""

    def numbers(self, pools: Iterable[str]) -> list[int]:
        """The instruments of pools."""
        return [self._numbers[pool] for pool in pools]

    def begin(self, blocks: Blocks, facts: Mapping[str, Facts]) -> None:
        """What is told of from now on."""
        if blocks is not self._blocks:
            self._printed = blocks.tip.number
        self._blocks, self._facts = blocks, facts

    def halt(self) -> None:
        """Nothing is told before `everything`."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def changed(self, *, head: bool) -> None:
        """Something may have changed. The head of a block mostly ends it: what it did is told at once. Else it is told
        a moment later, since a state between two logs of one block can be had by nobody.
        """
        loop = asyncio.get_running_loop()
        if head:
            self.halt()
            self._later = loop.call_soon(self._tell)
        elif self._later is None:
            self._quiet, self._until_s = True, loop.time() + MOST_S
            self._later = loop.call_later(SETTLE_S, self._settle, loop)
        else:
            self._quiet = False

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._quiet or loop.time() >= self._until_s:
            self._tell()
        else:
            self._quiet = True
            self._later = loop.call_later(SETTLE_S, self._settle, loop)

    def everything(self, blocks: Blocks, facts: Mapping[str, Facts]) -> None:
        """All is whole again: every pool is told."""
        self.begin(blocks, facts)
        blocks.dirty.update(facts)
        self._tell()

    def _tell(self) -> None:
        self._later = None
        blocks = self._blocks
        if blocks is None:
            return
        now_s, head = self._setup.monotonic(), blocks.tip
        if head.number != self._height:
            self._height = head.number
            self._aged(head.timestamp_s)
            if self._trades:
                self._prints(blocks, head.number - PRINT_BLOCKS)
            stale_s = now_s - self._fresh_s
            blocks.dirty.update(pool for pool, told_s in self._told_s.items() if told_s <= stale_s)
        dirty, blocks.dirty = blocks.dirty, set()
        if self.only_chain:
            self.wanted.set()
        for pool in dirty - self.only_chain:
            if pool in self._facts:
                self._row(blocks, self._facts[pool], head.timestamp_s * NS, now_s)

    def _row(self, blocks: Blocks, facts: Facts, ts_venue: int, now_s: float) -> None:
        pool, sink = facts.spec.pool, self._sink
        state, number = blocks.now.get(pool), self._numbers[pool]
        if state is None or isinstance(state, Unborn):
            self._silent(pool, number, "no_price" if isinstance(state, Unborn) else "")
            return
        deep = self._setup.depth_every_s
        due = deep < float("inf") and now_s >= self._depth_s.get(pool, float("-inf")) + deep
        levels = book(state, facts.base, facts.decimals, self._moves if due else self._tops)
        if self.answer(pool, levels, ts_venue) and due:
            self._depth_s[pool] = now_s
            sink.depth(number, levels.bids, levels.asks, ts_venue=ts_venue)

    def answer(self, pool: str, levels: PoolBook, ts_venue: int) -> bool:
        """Tells the top of a pool, if it has one."""
        sink, number = self._sink, self._numbers[pool]
        if levels.why_not:
            self._silent(pool, number, "no_quote", levels.why_not)
            return False
        self._told_s[pool] = self._setup.monotonic()
        sink.cleared((number,), Why.NOT_HEARD)
        (bid, bid_size), (ask, ask_size) = levels.bids[0], levels.asks[0]
        sink.put(
            Kind.POOL, number, ts_venue=ts_venue, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size
        )  # fmt: skip
        return True

    def _prints(self, blocks: Blocks, last: int) -> None:
        """Tells the swaps of the blocks up to `last`, without the time of their block: it is old by now."""
        for log in blocks.swaps(self._printed + 1, last):
            facts, event = self._facts.get(log.pool), log.event
            if facts is None or not isinstance(event, (Swapped, Traded)):
                continue
            found = printed(event.amount0, event.amount1, facts.base, facts.decimals)
            if found is not None:
                price, size, taker = found
                self._sink.put(
                    Kind.TRADE, self._numbers[log.pool], bid=price, ask=price, ask_size=size, extra=taker
                )  # fmt: skip
        self._printed = max(self._printed, last)

    def _silent(self, pool: str, number: int, word: str, detail: str = "") -> None:
        self._told_s.pop(pool, None)
        if word:
            self._sink.reject(self._setup.venue, word, f"{pool}: {detail}")
        self._sink.against((number,), Why.NOT_HEARD)

    def _aged(self, timestamp_s: int) -> None:
        """Blocks that come late speak against all."""
        if not timestamp_s:
            return
        late = self.behind or self._setup.clock() / NS - timestamp_s > self._max_block_age_s
        (self._sink.against if late else self._sink.cleared)(self._numbers.values(), Why.LAGS)
