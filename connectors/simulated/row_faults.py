"""What goes wrong with what is quoted: with the market itself, or only with what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.events import NAN, NS, ROW, Health, Kind, Why
from connectors.simulated.short import Records


class RowFault(StrEnum):
    """What befalls the prints of some instruments for a while."""

    THIN = "thin"
    """Nine tenths of what is shown are taken away."""
    COIN = "coin"
    """A coin falls to 0.88 dollars; what is quoted in it is worth as much in dollars as before."""
    MULTIPLIER = "multiplier"
    """A unit is worth a tenth more shares, announced a minute before; the last venue follows half a minute late."""
    DIVIDEND = "dividend"
    """A share pays 60 bps of its price, announced a minute before: from the ex-moment on its sources are so much lower,
    and a unit of a token that reinvests is worth as many more shares, at the price it had."""
    DROP = "drop"
    """The venue goes, says so, and comes back."""
    MUTE = "mute"
    """The venue says nothing, and not that it is gone."""
    STALE = "stale"
    """The last print is told again and again as if it were new."""
    CROSSED = "crossed"
    """The bid is told above the ask."""
    GARBAGE = "garbage"
    """Prices that are none: NaN, infinite, negative, zero."""
    SPIKE = "spike"
    """One print at four times the price."""
    DRIFT = "drift"
    """What is told drifts away by 50 bps a minute."""
    HALT = "halt"
    """The source says that the share is halted, and prints nothing."""


REAL: Final = frozenset({RowFault.THIN, RowFault.COIN, RowFault.MULTIPLIER, RowFault.DIVIDEND})
"""Those that befall the market itself."""
NOTICE_NS: Final = 60 * NS
"""How long before it a multiplier is announced."""
LATE_NS: Final = 30 * NS
GROWS_BY: Final = 1.1
COIN_USD: Final = 0.88
PAYS: Final = 0.006
"""A dividend, as a part of the share's price."""
_PRICES: Final = ("bid", "ask")
_SIZES: Final = ("bid_size", "ask_size")
_NONE: Final = (NAN, float("inf"), -1.0, 0.0)


class RowTrouble(NamedTuple):
    """A fault, whom it befalls, and from when to when (ns UTC). Of COIN the first number is the coin's instrument and
    the others are what is quoted in it; of MULTIPLIER they are the venues of one token; of DIVIDEND the first is one of
    a token and the others are the sources of its share. What is for good has no use for `end`."""

    what: RowFault
    numbers: tuple[int, ...]
    begin: int
    end: int
    value: float = NAN
    """Of MULTIPLIER and DIVIDEND: what the multiplier was."""


def befall(records: Records, troubles: Iterable[RowTrouble], *, real: bool) -> Records:
    """The records after all troubles of the market (`real`), or of what is told of it; in order of time as before."""
    records = records.copy()
    for one in troubles:
        if (one.what in REAL) is real:
            records = _befallen(records, one)
    return records


def _befallen(records: Records, one: RowTrouble) -> Records:
    """The records after one trouble."""
    what, ts = one.what, records["ts_recv"]
    during = (ts >= one.begin) & (ts < one.end)
    # What a chain tells of supplies comes another way than prints.
    hit = during & np.isin(records["instrument"], one.numbers) & (records["kind"] != Kind.SUPPLY)
    if what is RowFault.COIN:
        coin = during & (records["instrument"] == one.numbers[0])
        _scale(records, coin, _PRICES, COIN_USD)
        _scale(records, hit & ~coin, _PRICES, 1 / COIN_USD)
    elif what is RowFault.THIN:
        _scale(records, hit, _SIZES, 0.1)
    elif what is RowFault.MULTIPLIER:
        for number in one.numbers:
            late = LATE_NS if number == one.numbers[-1] and len(one.numbers) > 1 else 0
            after = (ts >= one.begin + late) & (records["instrument"] == number)
            _scale(records, after, _PRICES, GROWS_BY)
        at = one.begin - NOTICE_NS
        said = (at, at, one.numbers[0], Kind.MULTIPLIER, 0, one.value * GROWS_BY, one.begin / NS, NAN, NAN, NAN)
        return _with(records, [said])
    elif what is RowFault.DIVIDEND:
        token, *sources = one.numbers
        share = np.isin(records["instrument"], sources)
        last = max(0, int(np.count_nonzero(share & (ts < one.begin))) - 1)
        price = records["ask"][share][last]
        _scale(records, share & (ts >= one.begin), _PRICES, 1 - PAYS)
        at, ex_s = one.begin - NOTICE_NS, one.begin / NS
        accrues = (at, at, token, Kind.MULTIPLIER, 0, one.value / (1 - PAYS), ex_s, NAN, NAN, NAN)
        pays = (at, at, sources[0], Kind.ACTION, 0, 1.0, ex_s, price * PAYS, 0.0, NAN)
        return _with(records, [accrues, pays])
    elif what in (RowFault.DROP, RowFault.HALT):
        gone = (Health.DOWN, Why.DISCONNECTED) if what is RowFault.DROP else (Health.CLOSED, Why.HALTED)
        turns = ((one.begin, *gone), (one.end, Health.UP, Why.NOTHING))
        return _with(records[~hit], [_health(number, *turn) for number in one.numbers for turn in turns])
    elif what is RowFault.MUTE:
        return np.asarray(records[~hit])
    elif what is RowFault.STALE:
        for number in one.numbers:
            mine = hit & (records["instrument"] == number)
            first = int(np.argmax(mine))
            for name in (*_PRICES, *_SIZES):
                records[name][mine] = records[name][first]
    elif what is RowFault.CROSSED:
        records["bid"][hit], records["ask"][hit] = records["ask"][hit] * 1.01, records["bid"][hit]
    elif what is RowFault.GARBAGE:
        records["bid"][hit] = np.resize(_NONE, int(hit.sum()))
    elif what is RowFault.SPIKE:
        _scale(records, np.flatnonzero(hit)[:1], _PRICES, 4.0)
    elif what is RowFault.DRIFT:
        minutes = (ts[hit] - one.begin) / (60 * NS)
        for name in _PRICES:
            records[name][hit] *= 1 + 50e-4 * minutes
    return records


def _scale(records: Records, hit: npt.NDArray[np.bool_ | np.intp], names: Iterable[str], factor: float) -> None:
    for name in names:
        records[name][hit] *= factor


def _health(number: int, at: int, health: Health, why: Why) -> tuple[object, ...]:
    return (at, at, number, Kind.HEALTH, 0, float(health), float(why), NAN, NAN, NAN)


def _with(records: Records, more: list[tuple[object, ...]]) -> Records:
    """The records and some more of them, in order of time; what is new comes after what stands at its moment."""
    joined = np.concatenate((records, np.array(more, dtype=ROW)))
    return np.asarray(joined[np.argsort(joined["ts_recv"], kind="stable")])
