"""The job that every engine is measured on: seeded quotes of four legs, and the plain loop that says what is right.

Legs 0, 1, 2 are one token on three venues, leg 3 is the share. One row is one top-of-book quote. The rules, at time t:

1. If a pair is pending and t > due: fill both legs (size 1) at the quotes in force, buy at ask, sell at bid, taker fee
   10 bps of notional each; clear it.
2. Apply the row.
3. If all four legs have quoted, nothing is pending, and t - last decision >= 1 s:
   i = leg with the lowest ask among legs with position < 50, j = leg with the highest bid among legs with
   position > -50 (ties: lowest leg); edge_bps = (bid_j * 0.999 - ask_i * 1.001) / share mid * 1e4;
   if i != j and edge_bps > 20: pending = (i, j), due = t + 5 ms, last decision = t.

At the end a pending pair is dropped; profit = cash + sum(position * last own mid).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.rules import COOLDOWN_NS, FEE, LATENCY_NS, LEGS, LIMIT, MIN_EDGE_BPS, SHARE
from connectors.events import F8, NS, Kind, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.tape import TapeWriter

ROWS: Final = 5_000_000

CHUNK: Final = 262_144
"""Rows made at once. A job of fewer rows is the beginning of one of more."""

START_NS: Final = 1_772_461_800 * NS
"""Monday, 2 March 2026, 14:30 UTC: the share market opens."""

STEP_US: Final = 5_000.0
"""Mean time between two rows, over all legs."""

GRID: Final = 64
"""Rows from one step of the premia to the next; between them they are straight lines."""

SHARE_USD: Final = 250.0
SHARE_STEP: Final = 9e-6
"""Move of the share per row, as a share of itself: 2% over five million rows."""

PREMIUM_SD: Final = 15e-4
PREMIUM_HALF_LIFE_S: Final = 120.0
"""Premium of each venue over the share: an Ornstein-Uhlenbeck process, sd 15 bps."""

TOKEN_HALF_SPREAD: Final = (1.0e-4, 4.0e-4)
SHARE_HALF_SPREAD: Final = (0.2e-4, 0.8e-4)
MAX_SIZE: Final = 500


class JobFill(NamedTuple):
    """One leg that was filled."""

    time_ns: int
    """When it was due; the rows at or before this moment were seen."""
    leg: int
    side: int
    """+1 bought, -1 sold."""
    price: float


def universe() -> Universe:
    """The four legs, in order."""
    tokens = tuple(
        Instrument(
            venue=f"v{n}",
            symbol="TOK/USD",
            role=Role.TOKEN,
            underlying="SHR",
            token="TOK",
            issuer="job",
            unit_model=UnitModel.REBASING,
            multiplier=1.0,
        )
        for n in range(SHARE)
    )
    return Universe((*tokens, Instrument(venue="v3", symbol="SHR", role=Role.SHARE, underlying="SHR")))


def chunks(rows: int = ROWS, seed: int = 1) -> Iterator[Rows]:
    """The job's rows in pieces of at most 262,144; prices in whole cents, 0 < bid < ask, ts_recv strictly rising."""
    decay = 0.5 ** (GRID * STEP_US * 1e-6 / PREMIUM_HALF_LIFE_S)
    shock = PREMIUM_SD * (1 - decay**2) ** 0.5
    log_share = np.log(SHARE_USD)
    premium = np.random.default_rng([seed, 0]).normal(0.0, PREMIUM_SD, SHARE)
    now_ns = START_NS
    for number in range(-(-rows // CHUNK)):
        rng = np.random.default_rng([seed, 1 + number])
        steps_us = 1 + rng.exponential(STEP_US, CHUNK).astype(np.int64)
        ts = now_ns + np.cumsum(steps_us * 1_000)
        leg = rng.integers(0, LEGS, CHUNK, dtype=np.int32)
        log_path = log_share + np.cumsum(rng.normal(0.0, SHARE_STEP, CHUNK))
        grid = _premia(premium, rng.normal(0.0, shock, (CHUNK // GRID, SHARE)), decay)
        above = np.zeros((LEGS, CHUNK))
        for n in range(SHARE):
            above[n] = np.interp(np.arange(1, CHUNK + 1), np.arange(CHUNK // GRID + 1) * GRID, grid[:, n])
        low, high = np.where(leg[:, None] == SHARE, SHARE_HALF_SPREAD, TOKEN_HALF_SPREAD).T
        half = rng.uniform(low, high)
        mid = np.exp(log_path) * (1 + above[leg, np.arange(CHUNK)])
        bid_cents = np.floor(mid * (1 - half) * 100)
        ask_cents = np.maximum(np.ceil(mid * (1 + half) * 100), bid_cents + 1)
        block = Rows(
            ts_venue=ts - 1_000 * rng.integers(500, 20_000, CHUNK),
            ts_recv=ts,
            instrument=leg,
            kind=np.where(leg == SHARE, Kind.REFERENCE, Kind.QUOTE).astype(np.int16),
            flags=np.zeros(CHUNK, dtype=np.int16),
            bid=bid_cents / 100,
            ask=ask_cents / 100,
            bid_size=rng.integers(1, MAX_SIZE + 1, CHUNK).astype(np.float64),
            ask_size=rng.integers(1, MAX_SIZE + 1, CHUNK).astype(np.float64),
            extra=np.full(CHUNK, np.nan),
        )
        yield block[: rows - number * CHUNK]
        now_ns, log_share, premium = int(ts[-1]), float(log_path[-1]), grid[-1]


def in_ram(rows: int = ROWS, seed: int = 1) -> Rows:
    """All rows of the job as one block."""
    return Rows.join(list(chunks(rows, seed)))


def write_tape(path: Path, rows: int = ROWS, seed: int = 1) -> None:
    """The same rows as a tape in a new folder, with flat memory. Raises TapeError where there is something already."""
    with TapeWriter(path, universe(), {"job": "benchmarks/job.py", "rows": rows, "seed": seed}) as tape:
        for block in chunks(rows, seed):
            tape.append(block)


def plain_loop(
    ts: Sequence[int], legs: Sequence[int], bids: Sequence[float], asks: Sequence[float]
) -> tuple[list[JobFill], float]:
    """The job in plain Python over columns as lists: its fills in order, and the profit in USD.

    It is both the yardstick and the oracle, so it is as fast as a plain loop honestly is: lists, locals, no objects.
    """
    bid = [0.0] * LEGS
    ask = [0.0] * LEGS
    position = [0] * LEGS
    cash = 0.0
    fills: list[JobFill] = []
    unheard = LEGS
    pending = False
    due = 0
    ready = ts[0] - 1 if ts else 0
    buy = sell = 0
    for t, leg, b, a in zip(ts, legs, bids, asks, strict=True):
        if pending and t > due:
            price = ask[buy]
            cash -= price + price * FEE
            position[buy] += 1
            fills.append(JobFill(due, buy, 1, price))
            price = bid[sell]
            cash += price - price * FEE
            position[sell] -= 1
            fills.append(JobFill(due, sell, -1, price))
            pending = False
        if unheard and bid[leg] == 0.0:
            unheard -= 1
        bid[leg] = b
        ask[leg] = a
        if pending or t < ready or unheard:
            continue
        mid = (bid[SHARE] + ask[SHARE]) / 2
        # Limits only make an edge smaller, so most rows are done here; each operation is monotone, so it is exact.
        if (max(bid) * (1 - FEE) - min(ask) * (1 + FEE)) / mid * 1e4 <= MIN_EDGE_BPS:
            continue
        lowest = highest = -1
        low = 1e300
        high = 0.0
        for at in range(LEGS):
            if position[at] < LIMIT and ask[at] < low:
                low = ask[at]
                lowest = at
            if position[at] > -LIMIT and bid[at] > high:
                high = bid[at]
                highest = at
        if lowest == highest or lowest < 0 or highest < 0:
            continue
        if (high * (1 - FEE) - low * (1 + FEE)) / mid * 1e4 > MIN_EDGE_BPS:
            pending = True
            buy, sell = lowest, highest
            due = t + LATENCY_NS
            ready = t + COOLDOWN_NS
    marks = sum(position[at] * (bid[at] + ask[at]) / 2 for at in range(LEGS) if position[at])
    return fills, cash + marks


def _premia(start: F8, shocks: F8, decay: float) -> F8:
    """Premia at the grid's points: `start`, then one point for each row of `shocks`. AR(1), exact discrete form."""
    points = [start.tolist()]
    for shock in shocks.tolist():
        points.append([decay * x + e for x, e in zip(points[-1], shock, strict=True)])
    return np.array(points)
