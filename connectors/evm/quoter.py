"""Quotes of v4 pools that only the chain knows, since a hook has a say or the fee is dynamic: V4Quoter is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from connectors.amm.concentrated import RangePool
from connectors.amm.ticks import Q96
from connectors.amm.v4 import V4Pool
from connectors.errors import BadMessage, ConnectorError
from connectors.events import NS
from connectors.evm.abi import Call, Method
from connectors.evm.keeper import Keeper
from connectors.evm.pool_facts import Facts
from connectors.evm.pool_rows import PoolBook
from connectors.evm.rpcs import Rpcs, read_at
from connectors.evm.teller import MOVE_BPS, Teller
from connectors.ports import FeedSetup, Level, Sink

_QUESTION: Final = "((address,address,uint24,int24,address),bool,uint128,bytes)"
_GIVES: Final = ("uint256", "uint256")
_IN: Final = Method("quoteExactInputSingle", (_QUESTION,), _GIVES)
_OUT: Final = Method("quoteExactOutputSingle", (_QUESTION,), _GIVES)
_MOST: Final = (1 << 127) - 1


def size_of(pool: RangePool, base: int, move_bps: int) -> int:
    """About how much of our token, raw, moves the price by so much: of the liquidity at the price, fee and hook aside.

    A relative move m of the price moves token 0 by L m / (2 sqrt(p)) and token 1 by L m sqrt(p) / 2.
    """
    half = pool.liquidity * move_bps // 20_000
    return min(half * Q96 // pool.sqrt_price if base == 0 else half * pool.sqrt_price // Q96, _MOST)


def questions(quoter: str, facts: Facts, pool: V4Pool, size: int) -> tuple[Call, Call]:
    """What selling `size` of our token brings, and what buying it costs."""
    key = pool.key
    said = (key.currency0, key.currency1, key.fee, key.spacing, key.hooks)
    sell = facts.base == 0
    return (
        _IN.call(quoter, (said, sell, size, b"")),
        _OUT.call(quoter, (said, not sell, size, b"")),
    )


def answered(facts: Facts, size: int, answers: Sequence[bytes | None]) -> PoolBook:
    """One level on each side; none where the quoter does not answer, as when the hook refuses."""
    units = size / 10 ** facts.decimals[facts.base]
    sides: list[tuple[Level, ...]] = []
    for method, answer in zip((_IN, _OUT), answers, strict=True):
        try:
            quote = method.one(answer) / 10 ** facts.decimals[1 - facts.base]
        except BadMessage:
            quote = 0.0
        sides.append(((quote / units, units),) if quote > 0.0 and units > 0.0 else ())
    return PoolBook(sides[0], sides[1], "" if all(sides) else "the quoter on chain gives no quote")


async def quoting(setup: FeedSetup, rpcs: Rpcs, keeper: Keeper, teller: Teller, sink: Sink) -> None:
    """Asks the quoter at each block about the pools that nobody else can quote; until cancelled."""
    quoter, move_bps = str(setup.options["quoter"]), int(setup.options.get("move_bps", MOVE_BPS))
    while True:
        await teller.wanted.wait()
        teller.wanted.clear()
        blocks = keeper.blocks
        if blocks is None or not keeper.whole:
            continue
        head = blocks.tip if blocks.knows(blocks.tip) else blocks.settled
        asked = []
        for pool in teller.only_chain:
            state, facts = blocks.now.get(pool), keeper.facts.get(pool)
            if isinstance(state, V4Pool) and facts is not None:
                size = size_of(state, facts.base, move_bps)
                asked.append((facts, size, questions(quoter, facts, state, size)))
        calls = [call for _, _, pair in asked for call in pair]
        try:
            answers = await rpcs.first(partial(read_at, calls=calls, head=head))
        except ConnectorError as error:
            sink.reject(setup.venue, error.word, str(error))
            continue
        if not keeper.whole or blocks.hash_at(head.number) != head.hash:
            continue
        for at, (facts, size, _) in enumerate(asked):
            if facts.spec.pool not in keeper.facts:
                continue
            levels = answered(facts, size, answers[2 * at : 2 * at + 2])
            teller.answer(facts.spec.pool, levels, head.timestamp_s * NS)
