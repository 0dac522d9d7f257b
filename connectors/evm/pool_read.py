"""A whole reading of pools from the chain, all at one block, and the few numbers that show whether a kept state is it.

Ticks are found as the contracts keep them: every word of the bitmap is asked for, then every tick that a word names. A
pool with a spacing of 60 has 116 words, one with a spacing of 1 has 6,932.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from connectors.amm import v3, v4
from connectors.amm.concentrated import RangePool
from connectors.amm.forks import Family
from connectors.amm.tickmap import WORD, ticks_of_word
from connectors.amm.ticks import MAX_TICK, MIN_TICK
from connectors.amm.v2 import V2Pool
from connectors.errors import BadMessage, PoolError
from connectors.evm.abi import Call, Method, words
from connectors.evm.blocks import State
from connectors.evm.logs import Unborn
from connectors.evm.pool_facts import Facts, Read

_RESERVES: Final = Method("getReserves")
_SLOT0, _LIQUIDITY, _FEE = Method("slot0"), Method("liquidity"), Method("fee")
_BITMAP, _TICKS = Method("tickBitmap", ("int16",)), Method("ticks", ("int24",))
_SLOT0_4, _LIQUIDITY_4 = Method("getSlot0", ("bytes32",)), Method("getLiquidity", ("bytes32",))
_BITMAP_4 = Method("getTickBitmap", ("bytes32", "int16"))
_TICKS_4 = Method("getTickLiquidity", ("bytes32", "int24"))


def tops(facts: Facts) -> list[Call]:
    """The calls whose answers `top_read` takes."""
    pool = facts.spec.pool
    if facts.spec.fork.family is Family.V2:
        return [_RESERVES.call(pool)]
    if facts.spec.fork.family is Family.V3:
        return [_SLOT0.call(pool), _LIQUIDITY.call(pool), _FEE.call(pool)]
    view, key = facts.spec.view, bytes.fromhex(pool[2:])
    return [_SLOT0_4.call(view, key), _LIQUIDITY_4.call(view, key)]


def _word(facts: Facts, word: int) -> Call:
    """One word of the bitmap."""
    if facts.spec.key is None:
        return Call(facts.spec.pool, _BITMAP.selector + words(word))
    return Call(facts.spec.view, _BITMAP_4.selector + words(bytes.fromhex(facts.spec.pool[2:]), word))


def _tick(facts: Facts, tick: int) -> Call:
    """Gross and net liquidity of a tick."""
    if facts.spec.key is None:
        return Call(facts.spec.pool, _TICKS.selector + words(tick))
    return Call(facts.spec.view, _TICKS_4.selector + words(bytes.fromhex(facts.spec.pool[2:]), tick))


Top = tuple[int, ...]
"""v2: both reserves. v3: sqrt price, tick, liquidity, fee. v4: sqrt price, tick, liquidity, the protocol's fee packed,
the providers'."""


def top_read(facts: Facts, answers: Sequence[bytes | None]) -> Top:
    """The numbers that change with every swap. Raises BadMessage."""
    first = _numbers(answers[0], 2)
    if facts.spec.fork.family is Family.V2:
        return first[0], first[1]
    price, tick, (liquidity,) = first[0], _signed(first[1]), _numbers(answers[1], 1)
    if facts.spec.key is not None:
        first = _numbers(answers[0], 4)
        return price, tick, liquidity, first[2], first[3]
    return price, tick, liquidity, _numbers(answers[2], 1)[0]


def top_kept(state: State) -> Top | None:
    """The same of a kept state; None where there is none. A v4 pool with a fee of its hook's tells no fee."""
    if isinstance(state, V2Pool):
        return state.reserve0, state.reserve1
    if isinstance(state, v3.V3Pool):
        return state.sqrt_price, state.tick, state.liquidity, state.fee_pips
    if isinstance(state, v4.V4Pool):
        to_0, to_1 = state.protocol_fees
        return state.sqrt_price, state.tick, state.liquidity, to_1 << 12 | to_0, state.key.fee
    return None


def same_top(read: Top, state: State) -> bool:
    """Whether a kept state has the numbers that were read."""
    if isinstance(state, Unborn):
        return read[0] == 0
    kept = top_kept(state)
    if isinstance(state, v4.V4Pool) and state.key.fee == v4.DYNAMIC_FEE and kept is not None:
        return read[:-1] == kept[:-1]
    return read == kept


async def read_states(read: Read, pools: Sequence[Facts]) -> dict[str, State | PoolError | BadMessage]:
    """Whole states by pool; an error where what was read cannot be one. Raises as `read`."""
    plan = [(facts, tops(facts), list(_words(facts))) for facts in pools]
    calls = [[*top, *(_word(facts, word) for word in numbers)] for facts, top, numbers in plan]
    answers = iter(await read([call for part in calls for call in part]))
    read_tops: dict[str, Top] = {}
    ticks: dict[str, list[int]] = {}
    found: dict[str, State | PoolError | BadMessage] = {}
    for facts, top, numbers in plan:
        pool = facts.spec.pool
        part, bitmap = [next(answers) for _ in top], [next(answers) for _ in numbers]
        try:
            read_tops[pool] = top_read(facts, part)
            bits = [_numbers(answer, 1)[0] for answer in bitmap]
            ticks[pool] = [
                tick for word, bit in zip(numbers, bits, strict=True) if bit
                for tick in ticks_of_word(word, bit, facts.spacing)
            ]  # fmt: skip
        except BadMessage as error:
            found[pool] = error
    good = [facts for facts in pools if facts.spec.pool not in found]
    answers = iter(await read([_tick(facts, tick) for facts in good for tick in ticks[facts.spec.pool]]))
    for facts in good:
        pool = facts.spec.pool
        try:
            liquidity: dict[int, tuple[int, int]] = {}
            told = [(tick, next(answers)) for tick in ticks[pool]]
            for tick, answer in told:
                gross, net = _numbers(answer, 2)
                liquidity[tick] = gross, _signed(net)
            found[pool] = _state(facts, read_tops[pool], liquidity)
        except (PoolError, BadMessage) as error:
            found[pool] = error
    return found


def _state(facts: Facts, top: Top, ticks: dict[int, tuple[int, int]]) -> State:
    """Raises PoolError where the parts do not fit."""
    fork, key, spacing = facts.spec.fork, facts.spec.key, facts.spacing
    if fork.family is Family.V2:
        return V2Pool(reserve0=top[0], reserve1=top[1], fork=fork)
    price, tick, liquidity, fee = top[:4]
    if key is not None:
        if not price:
            return Unborn(lambda price, tick: v4.initialized(key, price, tick))
        return v4.read(key, price, tick, liquidity, ticks, packed_protocol_fee=fee)
    if not price:
        return Unborn(lambda price, tick: v3.initialized(price, tick, fee_pips=fee, spacing=spacing, fork=fork))
    return v3.read(price, tick, liquidity, ticks, fee_pips=fee, spacing=spacing, fork=fork)


def differs(kept: State, read: State) -> str:
    """In what a kept state differs from a whole reading; empty where it does not."""
    if isinstance(kept, Unborn) or isinstance(read, Unborn):
        return "" if type(kept) is type(read) else "one has no price"
    if kept == read:
        return ""
    if isinstance(kept, RangePool) and isinstance(read, RangePool) and top_kept(kept) == top_kept(read):
        return f"ticks differ: {len(kept.ticks)} kept, {len(read.ticks)} on chain"
    return f"kept {top_kept(kept)}, on chain {top_kept(read)}"


def _words(facts: Facts) -> Iterator[int]:
    if facts.spacing:
        yield from range(MIN_TICK // facts.spacing // WORD, MAX_TICK // facts.spacing // WORD + 1)


def _numbers(answer: bytes | None, count: int) -> list[int]:
    if answer is None or len(answer) < 32 * count:
        raise BadMessage("no answer, or one that is too short")
    return [int.from_bytes(answer[32 * at : 32 * at + 32], "big") for at in range(count)]


def _signed(word: int) -> int:
    return word - (1 << 256) if word >> 255 else word
