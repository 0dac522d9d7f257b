"""Frames of a Kraken and of a Bybit for as long as they are wanted: a book that moves, true to each venue's protocol.

A frame's number stands in its venue time, so that a row tells which frame it came from. The books walk through a cycle
of states, so that an endless stream costs no more memory than the cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import numpy as np

from tests.servers.kraken import Pair

CYCLE: Final = 5_000
"""States after which a book is where it was."""

START: Final = datetime(2026, 8, 14, 15, tzinfo=UTC)
START_NS: Final = int(START.timestamp()) * 10**9
LEVELS: Final = 25
"""Levels of each side that the venue has."""

_Side = dict[int, int]
"""Price in cents -> size in lots."""


def states(seed: int) -> list[tuple[_Side, _Side]]:
    """Bids and asks that change in one level at a time, now and then in two; the last is followed by the first.

    In Kraken's capture of 2021, 2,133 of 2,134 updates change one level.
    """
    rng = np.random.default_rng(seed)
    bids = {40_000 - 3 * at: 1_000 + at for at in range(LEVELS)}
    asks = {40_010 + 3 * at: 1_000 + at for at in range(LEVELS)}
    found = []
    for _ in range(CYCLE):
        for _ in range(1 + (rng.random() < 0.1)):
            side, sign, edge = (bids, -1, 40_005) if rng.random() < 0.5 else (asks, 1, 40_006)
            prices = sorted(side, key=lambda price: sign * price)
            draw = rng.random()
            if draw < 0.6:  # another size, mostly near the best
                side[prices[min(len(prices) - 1, int(rng.exponential(3.0)))]] = int(rng.integers(1, 100_000))
            elif draw < 0.8 and len(prices) > LEVELS - 5:
                del side[prices[min(len(prices) - 1, int(rng.exponential(3.0)))]]
            else:
                price = edge + sign * int(rng.integers(0, 3 * LEVELS))
                side[price] = int(rng.integers(1, 100_000))
        found.append((dict(bids), dict(asks)))
    return found


def kraken(symbol: str = "TSLAx/USD", depth: int = 10, seed: int = 1) -> Iterator[str]:
    """A snapshot with number 0, then updates without end."""
    pair = Pair(symbol, symbol.partition("/")[0], "ZUSD", "tokenized_asset", 2, 8)
    parts: list[tuple[str, str]] = []
    before: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
    walk = states(seed)
    for bids, asks in (*walk, walk[0]):
        pair.bids, pair.asks = _decimal(bids), _decimal(asks)
        now = (dict(pair.side("bids", depth)), dict(pair.side("asks", depth)))
        news = []
        for old, new, all_levels in zip(before, now, (pair.bids, pair.asks), strict=True):
            gone = [(price, Decimal(0)) for price in old if price not in all_levels]
            news.append(pair.wire(gone + [level for level in new.items() if old.get(level[0]) != level[1]]))
        if now == before:
            continue  # nothing changed at this depth, so the venue says nothing
        before = now
        body = f'"data":[{{"symbol":"{symbol}","bids":{news[0]},"asks":{news[1]},"checksum":{pair.checksum()}'
        parts.append((body, "update"))
    del walk
    first, *cycle = parts
    number = 0
    yield f'{{"channel":"book","type":"snapshot",{first[0]},"timestamp":"{_stamp(0)}"}}]}}'
    while True:
        for body, kind in cycle:
            number += 1
            yield f'{{"channel":"book","type":"{kind}",{body},"timestamp":"{_stamp(number)}"}}]}}'


def bybit(symbol: str = "TSLAXUSDT", depth: int = 50, seed: int = 1) -> Iterator[str]:
    """A snapshot with number 0, then deltas without end; at depth 1 snapshots."""
    parts: list[str] = []
    before: tuple[_Side, _Side] = ({}, {})
    walk = states(seed)
    for bids, asks in (*walk, walk[0]):
        now = (
            dict(sorted(bids.items(), reverse=True)[:depth]),
            dict(sorted(asks.items())[:depth]),
        )
        news = []
        for old, new in zip(before, now, strict=True):
            if depth == 1:
                changed = list(new.items())
            else:
                gone = [(price, 0) for price in old if price not in new]
                changed = gone + [level for level in new.items() if old.get(level[0]) != level[1]]
            levels = ",".join(f'["{p // 100}.{p % 100:02d}","{q / 1000:.3f}"]' for p, q in changed)
            news.append(f"[{levels}]")
        if now == before:
            continue
        before = now
        parts.append(f'"s":"{symbol}","b":{news[0]},"a":{news[1]}')
    del walk
    first, *cycle = parts
    kind = "snapshot" if depth == 1 else "delta"
    base, number = START_NS // 10**6, 0
    head = f'{{"topic":"orderbook.{depth}.{symbol}"'
    yield f'{head},"ts":{base},"type":"snapshot","data":{{{first},"u":7,"seq":7}},"cts":{base}}}'
    while True:
        for body in cycle:
            number += 1
            at, u = base + number, 7 + number
            yield f'{head},"ts":{at},"type":"{kind}","data":{{{body},"u":{u},"seq":{u}}},"cts":{at}}}'


def _decimal(side: _Side) -> dict[Decimal, Decimal]:
    return {Decimal(price) / 100: Decimal(size) / 1000 for price, size in side.items()}


def _stamp(number: int) -> str:
    """Microsecond `number` of the run."""
    seconds, micros = divmod(number, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    return f"2026-08-14T15:{minutes:02d}:{seconds:02d}.{micros:06d}Z"
