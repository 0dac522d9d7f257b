"""Depegs put into the rows of a tape: five shapes, each at a moment, of a size, for a while.

jump            every venue of a token moves by the size at once
ramp            every venue of a token moves by it in equal parts over the first prints
single_venue    one venue moves by it at once
stablecoin      the coin that a token is quoted in moves by it, and its quotes against it: the token stays where it was
stale_reference every source of the share repeats its last quote while every venue of the token moves: nobody can know
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from connectors.events import F8, I8, IMPORT_ORDER, NAN, NS, ROW, Flag, Kind, Rows
from connectors.instruments import USD, Instrument, Role, Universe
from strategies.market.session import Session

COIN: Final = "SCOREUSD"
"""A coin that is invented for tokens that a tape quotes in dollars."""
FX_EVERY_NS: Final = 120 * NS
FX_NOISE: Final = 1e-4
"""One sigma of that coin's price while it holds."""


class Shape(StrEnum):
    """What goes wrong."""

    JUMP = "jump"
    RAMP = "ramp"
    SINGLE_VENUE = "single_venue"
    STABLECOIN = "stablecoin"
    STALE_REFERENCE = "stale_reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One depeg. Times in ns UTC."""

    shape: Shape
    size_bps: float
    """Signed: above zero the price goes up."""
    session: Session
    token: tuple[str, str]
    """(token, issuer)."""
    underlying: str
    judged: int
    """The instrument whose prints are counted."""
    moved: tuple[int, ...]
    """Instruments whose price moves, or is divided by the coin's."""
    start_ns: int
    full_ns: int
    """From when the whole size is there."""
    end_ns: int
    deadline_ns: int
    """The last moment at which an alarm is in time."""

    def share_at(self, ts: F8) -> F8:
        """Which part of the size is there at moments `ts` (ns UTC); 0 outside."""
        length = max(1, self.full_ns - self.start_ns)
        part = np.ones(len(ts)) if self.full_ns <= self.start_ns else np.clip((ts - self.start_ns) / length, 0.0, 1.0)
        inside: F8 = np.where((ts >= self.start_ns) & (ts < self.end_ns), part, 0.0)
        return inside


def inject(rows: Rows, universe: Universe, injections: Iterable[Injection]) -> Rows:
    """The rows with these depegs in them; no two of one underlying may be there at the same time."""
    bid, ask = rows.bid.copy(), rows.ask.copy()
    bid_size, ask_size = rows.bid_size.copy(), rows.ask_size.copy()
    ts = rows.ts_recv
    for one in injections:
        first, last = np.searchsorted(ts, (one.start_ns, one.end_ns))
        window = slice(int(first), int(last))
        who = rows.instrument[window]
        factor = 1 + one.size_bps / 1e4 * one.share_at(ts[window].astype(np.float64))
        if one.shape is Shape.STABLECOIN:
            _coin(rows, universe, one, bid, ask)
            continue
        hit = np.isin(who, one.moved) & (rows.kind[window] <= Kind.POOL)
        _times(bid, ask, window.start + np.flatnonzero(hit), factor[hit])
        if one.shape is Shape.STALE_REFERENCE:
            for source in universe.where(role=Role.SHARE, underlying=one.underlying):
                before = np.flatnonzero((rows.instrument[: window.start] == source) & (rows.bid[: window.start] > 0))
                its = window.start + np.flatnonzero((who == source) & (rows.bid[window] > 0))
                if len(before):
                    for column, said in (
                        (bid, rows.bid),
                        (ask, rows.ask),
                        (bid_size, rows.bid_size),
                        (ask_size, rows.ask_size),
                    ):
                        column[its] = said[before[-1]]
    return replace(rows, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)


def in_coin(rows: Rows, universe: Universe, seed: int) -> tuple[Rows, Universe]:
    """The same market, with the tokens that are quoted in USD quoted in a coin that is worth one: prices stand."""
    if not any(i.role is Role.TOKEN and i.quote == USD for i in universe):
        return rows, universe
    listed = [
        msgspec.structs.replace(i, quote=COIN) if i.role is Role.TOKEN and i.quote == USD else i for i in universe
    ]
    number = len(listed)
    listed.append(Instrument(venue="score", symbol=f"{COIN}/USD", role=Role.COIN, coin=COIN, one_price=True))
    times = np.arange(int(rows.ts_recv[0]), int(rows.ts_recv[-1]) + 1, FX_EVERY_NS, dtype=np.int64)
    coin = np.zeros(len(times), dtype=ROW)
    price = np.exp(FX_NOISE * np.random.default_rng([seed, 4]).standard_normal(len(times)))
    coin["ts_recv"] = coin["ts_venue"] = times
    coin["instrument"], coin["kind"], coin["flags"] = number, Kind.FX, Flag.ONE_PRICE
    coin["bid"] = coin["ask"] = price
    coin["bid_size"] = coin["ask_size"] = coin["extra"] = NAN
    both = Rows.join([rows, Rows.from_records(coin)])
    # A token's quote is in the coin of its moment, so that it is worth what it was.
    bid, ask = both.bid.copy(), both.ask.copy()
    tokens = [at for at, i in enumerate(listed) if i.role is Role.TOKEN and i.quote == COIN]
    its = np.flatnonzero(np.isin(both.instrument, tokens) & (both.kind <= Kind.POOL))
    place = np.maximum(np.searchsorted(times, both.ts_recv[its], side="right") - 1, 0)
    bid[its], ask[its] = bid[its] / price[place], ask[its] / price[place]
    rank = np.array([IMPORT_ORDER.get(Kind(kind), 5) for kind in range(len(Kind))])[both.kind]
    order = np.lexsort((np.arange(len(both)), rank, both.ts_recv))
    moved = replace(both, bid=bid, ask=ask)
    return Rows(**{name: getattr(moved, name)[order] for name in ROW.names or ()}), Universe(tuple(listed))


def _coin(rows: Rows, universe: Universe, one: Injection, bid: F8, ask: F8) -> None:
    """Moves a coin, and the quotes in it against it: by what its own last print says, so that their worth stands."""
    quote = universe[one.judged].quote
    pricing = [at for at in universe.where(role=Role.COIN) if universe[at].coin == quote]
    coins = np.flatnonzero(np.isin(rows.instrument, pricing) & (rows.kind == Kind.FX))
    ts = rows.ts_recv
    factor = 1 + one.size_bps / 1e4 * one.share_at(ts[coins].astype(np.float64))
    _times(bid, ask, coins, factor)
    quoted = [at for at in universe.where(role=Role.TOKEN) if universe[at].quote == quote]
    tokens = np.flatnonzero(np.isin(rows.instrument, quoted) & (rows.kind <= Kind.POOL))
    last = np.searchsorted(ts[coins], ts[tokens], side="right") - 1
    _times(bid, ask, tokens, np.where(last >= 0, 1 / factor[last], 1.0))


def _times(bid: F8, ask: F8, its: I8, factor: F8) -> None:
    """Multiplies the prices of some rows."""
    bid[its] *= factor
    ask[its] *= factor
