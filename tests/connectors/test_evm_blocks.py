"""The recent chain: every log once and in its place, whatever order it is told in, and back again after a reorg."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.amm import v3
from connectors.amm.ticks import Q96
from connectors.amm.v2 import V2Pool
from connectors.evm.blocks import Blocks, Compared, State, Took
from connectors.evm.logs import Event, Log, Moved, Swapped, Synced, applied
from connectors.evm.rpc import Head

PAIR, POOL = "0xpair", "0xpool"
ANCHOR = Head(100, "h100", "h99", 1_000)
START: dict[str, State] = {
    PAIR: V2Pool(reserve0=1, reserve1=1),
    POOL: v3.initialized(Q96, 0, fee_pips=500, spacing=10),
}


def head(number: int, branch: str = "", parent: str = "") -> Head:
    """A block; its parent is the one before of the same branch."""
    return Head(number, f"h{number}{branch}", parent or (f"h{number - 1}{branch}"), 1_000 + number - 100)


def log(block: Head, index: int, event: Event, pool: str = PAIR, *, removed: bool = False) -> Log:
    """A log of a block."""
    return Log(pool, block.number, block.hash, f"t{block.hash}{index // 2}", index, removed, block.timestamp_s, event)


def kept() -> Blocks:
    """Nothing but the anchor."""
    return Blocks(ANCHOR, START)


def reserves(blocks: Blocks) -> Any:
    """The reserves of the pair."""
    pair = blocks.now[PAIR]
    assert isinstance(pair, V2Pool)
    return pair.reserve0, pair.reserve1


def test_a_log_before_its_head_counts_at_once() -> None:
    """
    A log that is one higher than the tip is believed to lie on it; the head that says so changes nothing.
    """
    blocks, one = kept(), head(101)
    assert Took.TAKEN is blocks.log(log(one, 0, Synced(5, 6)))
    assert ((5, 6), 101) == (reserves(blocks), blocks.tip.number)
    assert [Took.TAKEN, Took.OLD] == [blocks.head(one), blocks.head(one)]
    assert ((5, 6), {}, 0) == (reserves(blocks), blocks.unproved, blocks.reorgs)


def test_a_log_counts_once() -> None:
    """
    The same log of the same block again, or one of before the first reading, is counted as replayed and does nothing.
    """
    blocks, one = kept(), head(101)
    assert Took.TAKEN is blocks.log(log(ANCHOR, 3, Synced(8, 8)))
    assert (1, 1) == reserves(blocks)
    blocks.head(one)
    position = log(one, 0, Moved(-10, 10, 7), POOL)
    assert [Took.TAKEN, Took.OLD] == [blocks.log(position), blocks.log(position)]
    assert Took.OLD is blocks.log(log(head(98), 0, Synced(9, 9)))
    assert Took.TAKEN is blocks.log(log(ANCHOR, 5, Synced(9, 9)))
    state = blocks.now[POOL]
    assert isinstance(state, v3.V3Pool)
    assert (7, (1, 1), 2) == (state.liquidity, reserves(blocks), blocks.replayed)


def test_a_late_log_gets_its_place() -> None:
    """
    A log that comes after later ones of its block, or after later blocks, is applied where it stands.
    """
    blocks, one, two = kept(), head(101), head(102)
    blocks.head(one)
    blocks.log(log(one, 4, Synced(4, 4)))
    blocks.log(log(one, 2, Synced(2, 2)))
    assert (4, 4) == reserves(blocks)
    blocks.head(two)
    blocks.log(log(two, 0, Swapped(0, 0, Q96 + 1, 0, 0, None), POOL))
    blocks.log(log(one, 6, Synced(6, 6)))
    blocks.log(log(one, 1, Moved(-10, 10, 3), POOL))
    states = blocks.states_at(one)
    assert states is not None and (6, 6) == reserves(blocks)
    assert isinstance(states[POOL], v3.V3Pool) and (3, Q96) == (states[POOL].liquidity, states[POOL].sqrt_price)


def test_a_head_with_another_parent_takes_blocks_back() -> None:
    """
    States go back to the common ancestor, the new block must be proved, and so must those up to the old height.
    """
    blocks = kept()
    for number in (101, 102, 103):
        blocks.head(head(number))
        blocks.log(log(head(number), 0, Synced(number, 1)))
    other = head(102, "b", "h101")
    assert Took.REORG is blocks.head(other)
    assert ((101, 1), other, 1, 2) == (reserves(blocks), blocks.tip, blocks.reorgs, blocks.deepest)
    blocks.head(head(103, "b"))
    blocks.head(head(104, "b"))
    assert {"h102b": 102, "h103b": 103} == blocks.unproved


def test_a_removed_log_takes_its_block_back() -> None:
    """
    One removed log is enough; those that follow of the same block are old, and the block in its place must be proved.
    """
    blocks = kept()
    for number in (101, 102):
        blocks.head(head(number))
        for index in (0, 1):
            blocks.log(log(head(number), index, Synced(number, index + 1)))
    gone = [log(head(102), index, Synced(1, 1), removed=True) for index in (1, 0)]
    assert [Took.REORG, Took.OLD] == [blocks.log(one) for one in gone]
    assert (101, 2) == reserves(blocks)
    assert Took.TAKEN is blocks.head(head(102, "b", "h101"))
    assert {"h102b": 102} == blocks.unproved


def test_a_believed_block_that_is_not_true_is_taken_back() -> None:
    """
    A log came first, but the head of its height is another block: what it did is undone.
    """
    blocks = kept()
    blocks.log(log(head(101, "b", "h100"), 0, Synced(9, 9)))
    assert Took.REORG is blocks.head(head(101))
    assert ((1, 1), {"h101": 101}) == (reserves(blocks), blocks.unproved)


def test_a_gap_is_seen_and_what_came_early_is_kept() -> None:
    """
    A head on no kept block is astray, and logs of blocks further on wait until their block is there.
    """
    blocks = kept()
    assert Took.ASTRAY is blocks.log(log(head(103), 0, Synced(3, 3)))
    assert Took.ASTRAY is blocks.head(head(103))
    assert [Took.TAKEN] * 2 == [blocks.head(head(number)) for number in (101, 102)]
    assert (1, 1) == reserves(blocks)
    blocks.head(head(103))
    assert (3, 3) == reserves(blocks)


def test_an_impossible_log_makes_a_pool_unknown_until_it_is_read() -> None:
    """
    More liquidity goes than there was: nothing is known of that pool, not even after a reorg, until a reading is
    installed; logs after the reading count on top of it.
    """
    blocks, one, two = kept(), head(101), head(102)
    blocks.head(one)
    blocks.log(log(one, 0, Moved(-10, 10, -1), POOL))
    assert blocks.now[POOL] is None and "liquidity" in blocks.broken[POOL]
    blocks.head(head(101, "b", "h100"))
    blocks.head(head(102, "b"))
    blocks.log(log(head(102, "b"), 0, Moved(-20, 20, 4), POOL))
    assert blocks.now[POOL] is None
    read = v3.after_mint(v3.initialized(Q96, 0, fee_pips=500, spacing=10), -30, 30, 5)
    assert not blocks.install(one, {POOL: read})
    assert blocks.install(head(101, "b"), {POOL: read})
    state = blocks.now[POOL]
    assert isinstance(state, v3.V3Pool) and (9, [-30, -20, 20, 30]) == (state.liquidity, state.ticks.order)
    assert not blocks.broken and two.number == blocks.tip.number


def test_an_answer_is_held_against_what_was_heard() -> None:
    """
    Logs that are missing in it, logs that had not been heard, and logs of other blocks are told apart.
    """
    blocks, one, two = kept(), head(101), head(102)
    blocks.head(one)
    blocks.head(two)
    heard = [log(one, 0, Synced(1, 2)), log(two, 0, Synced(3, 4))]
    for said in heard:
        blocks.log(said)
    assert Compared(0, 0, 0) == blocks.compare(heard, (101, 102))
    assert Compared(2, 0, 0) == blocks.compare([], (101, 102))
    assert Compared(1, 0, 0) == blocks.compare(heard[:1], (101, 102))
    more = [*heard, log(two, 1, Synced(5, 6)), log(head(102, "b"), 0, Synced(7, 8))]
    assert Compared(0, 1, 1) == blocks.compare(more, (101, 102))
    assert (5, 6) == reserves(blocks)


def test_only_so_many_blocks_are_kept() -> None:
    """
    States survive the blocks that made them; a reorg to before the oldest kept block is astray.
    """
    blocks = Blocks(ANCHOR, START, depth=4)
    for number in range(101, 120):
        blocks.head(head(number))
        if number == 103:
            blocks.log(log(head(number), 0, Synced(3, 3)))
    assert ((3, 3), 116) == (reserves(blocks), blocks.oldest.number)
    assert Took.ASTRAY is blocks.head(head(115, "b"))
    assert Took.REORG is blocks.head(head(117, "b", "h116"))
    assert (3, 3) == reserves(blocks)


def events(random: Random) -> list[tuple[str, Event]]:
    """Logs of one block; the order of those of one pool matters."""
    made: list[tuple[str, Event]] = []
    for _ in range(random.randrange(5)):
        made.append(
            (PAIR, Synced(random.randrange(1, 9), random.randrange(1, 9)))
            if random.random() < 0.5
            else (POOL, Swapped(0, 0, Q96 + random.randrange(9), 0, 0, None))
        )
    return made


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_the_order_the_chain_at_the_end_is_what_counts(seed: int) -> None:
    """
    Forks, heads after or before their logs, logs out of order, twice, removed or not heard at all: once the blocks that
    must be proved are, every state of every kept block is that of its logs in order.
    """
    random, blocks = Random(seed), kept()
    chain = [ANCHOR]
    logs: dict[str, list[Log]] = {ANCHOR.hash: []}
    for turn in range(random.randrange(1, 12)):
        if random.random() < 0.4 and len(chain) > 1:
            gone = chain[-random.randrange(1, len(chain)) :]
            del chain[-len(gone) :]
            if random.random() < 0.5:
                for block in reversed(gone):
                    for one in reversed(logs[block.hash]):
                        blocks.log(one._replace(removed=True))
        for _ in range(random.randrange(1, 4)):
            parent = chain[-1]
            block = Head(parent.number + 1, f"h{parent.number + 1}/{turn}/{len(logs)}", parent.hash, 1)
            chain.append(block)
            logs[block.hash] = [log(block, index, event, pool) for index, (pool, event) in enumerate(events(random))]
            heard = random.sample(logs[block.hash], len(logs[block.hash]))
            first = random.randrange(len(heard) + 1)
            for one in heard[:first]:
                blocks.log(one)
            assert Took.ASTRAY is not blocks.head(block)
            for one in [*heard[first:], *heard[: random.randrange(2)]]:
                blocks.log(one)
    for hash_, number in list(blocks.unproved.items()):
        found = blocks.compare(logs[hash_], (number,))
        assert 0 == found.lacking
    states = dict(START)
    for block in chain:
        for one in logs[block.hash]:
            state = states[one.pool]
            assert state is not None
            states[one.pool] = applied(state, one.event)
        assert states == blocks.states_at(block)
    assert states == blocks.now and chain[-1] == blocks.tip
