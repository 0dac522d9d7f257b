"""The scan: one compiled pass over rows that keeps the columns true and stops when somebody should think.

Everything compiled stands here, with the numbers of the columns, because the compiler's cache does not see changes in
other files. The readable twin of these rules is strategies/market/twin.py; the meaning of each column is said in
strategies/market/columns.py. All arrays are changed in place; nothing is allocated.

No sum is carried from row to row, so none has to be rebuilt at a row count: whoever looks at a fair value, and every
stop, which looks at all premia, adds the n witnesses of a share up anew, in a pass over its instruments that is made
anyway. What rounding does to a sum of deviations is therefore below n 2^-53 of the sum of their amounts, after one row
as after ten million (tests/strategies/test_witnesses.py holds both).
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numba import njit, types

KEPT: Final = os.environ.get("PEGLINE_UNCACHED") != "1"
"""Whether compiled code is kept on disk; bot/paths.py says no where no folder can be written."""

_COMPILED: Final[dict[str, Any]] = {"cache": KEPT, "error_model": "numpy", "_nrt": False}
"""Divisions by zero give inf or nan as in numpy, and handing an array to a function does not count references to it:
nothing is allocated here, and an atomic step per array and call took half the time of a stop (measured)."""

# --- floats of an instrument: f[instrument, column]
BID, ASK, BID_SIZE, ASK_SIZE, MID_USD, NET_ASK, NET_BID, PREMIUM, SELL_PREMIUM, BUY_PREMIUM = range(10)
USD_PER_UNIT, USD_PER_SHARE, BUY_FACTOR, SELL_FACTOR, BUY_COST, SELL_COST, SHARES_PER_UNIT = range(10, 17)
REF_MID, REF_VAR, REF_KEY, SOURCE_VAR, LAST_BID, LAST_ASK, SUSPECT, BAND_LOW, BAND_HIGH, NEAR = range(17, 27)
WEIGHT, LEAN, SIGMAS = range(27, 30)
# WEIGHT: 1 / variance of what a witness says of its share; 0 is nothing, less than 0 is no witness (never weighed).
# LEAN: what its price is multiplied with to be that of the share.
F_COLUMNS: Final = 30

# --- integers of an instrument: k[instrument, column]
ROLE, UNDERLYING, TS, PRINTS, MAX_AGE, BUY_FROM, SELL_FROM, ONE_PRICE = range(8)
REFUSAL, NOTE_FROM, CHANGED_TS, SAME_ROWS, SUSPECT_SINCE, SUSPECT_ROWS, CONFIRMED, HOURS, REF_TS = range(8, 17)
QUOTE_COIN, FX_COIN, TOLD, EXPIRES, CALM, UNWRITTEN, SAYS, KIN = range(17, 25)
# CALM: the kind of row that may take the calm path, or -1. UNWRITTEN: one more than the place of the row that it left
# for later, or 0. SAYS: the column of g that a calm price goes to: FAIR from a source, NOTHING from anything else.
# KIN: the number of the witness that an instrument speaks for, where others of its underlying do too; else -1.
K_COLUMNS: Final = 26

# --- floats and integers of an underlying: g[underlying, column], h[underlying, column]
FAIR, FAIR_SCALE, FAIR_KEY, VOL2, EDGE, LOW, HIGH, WAKE_EDGE, GAP, NOTHING, SILENT_VAR, OWN_MID, OWN_KEY = range(13)
G_COLUMNS: Final = 14
SOURCE, AS_OF, MEMBER_FROM, MEMBER_TO, REF_FROM, REF_TO, SLOT_FROM, SLOT_TO, TOUCHED, WAKE_FROM = range(10)
WITNESS_TO, OWN_TS = 10, 11
# Members stand from MEMBER_FROM to MEMBER_TO; those that are only witnesses after them, up to WITNESS_TO. OWN_TS: own
# evidence of no later print than this is OWN_MID, with a variance told by OWN_KEY, which the timer has made of it.
H_COLUMNS: Final = 16

# --- triggers: slot_f[slot] is the level; slots[slot, column]
SLOT_KIND, SLOT_SCOPE, SLOT_NOT_BEFORE, SLOT_FIRED = range(4)
SLOT_EDGE, SLOT_PREMIUM, SLOT_SIGNIFICANCE = range(3)

# --- scalars: p floats, q integers
CLOCK, CLOCK_RATE, OUTLIER, MAX_VAR, MAX_SPREAD, STUB_MOVE = range(6)
P_SCALARS: Final = 8
CLOCK_TS, SESSION_BIT, FROZEN_NS, FROZEN_ROWS, CONFIRM_NS, CONFIRM_ROWS, NOTE_GAP, PREMIA, NOW, ACCEPTED, GATED = range(
    11
)
Q_SCALARS: Final = 12

# --- what premia are worked out in: work[row * LANES + lane]
LANES, WORK_ROWS = 8, 3
_LANES: Final = np.uint64(LANES)

# --- why a row was not believed: codes of k[:, REFUSAL] and columns of `refused`
OK, NOT_FINITE, NOT_POSITIVE, CROSSED, WIDE, STUB, FROZEN, HALT, OUT_OF_HOURS, OUTLIER_PRINT, FX_UNKNOWN = range(11)
BEFORE_EVENT: Final = 11
REFUSALS: Final = (
    "ok",
    "not_finite",
    "not_positive",
    "crossed",
    "wide",
    "stub",
    "frozen",
    "halted",
    "out_of_hours",
    "outlier",
    "fx_unknown",
    "before_event",
)

# --- why the scan stopped (bits)
END, TRIGGER, DUE, NOTICE = 0, 1, 2, 4

# --- bits of k[:, ROLE]
JUDGED, TRADED, EVIDENCE, COIN = 1, 2, 4, 8

_QUOTE, _TRADE, _DEPTH, _POOL, _REFERENCE, _FX = 0, 1, 2, 3, 4, 5
_SESSION, _MULTIPLIER, _FILL, _CONVERSION, _HEALTH, _ACTION = 6, 7, 11, 12, 13, 15
_ONE_PRICE, _HALTED, _NO_PRINT = 2, 4, 1 | 32

_i8 = types.Array(types.int64, 1, "C", readonly=True)
_i4 = types.Array(types.int32, 1, "C", readonly=True)
_i2 = types.Array(types.int16, 1, "C", readonly=True)
_f8 = types.Array(types.float64, 1, "C", readonly=True)
_F = types.float64[:, ::1]
_K = types.int64[:, ::1]
_V = types.float64[::1]
_W = types.int64[::1]
_THREE = types.UniTuple(types.float64, 3)  # type: ignore[no-untyped-call]
_FIVE = types.UniTuple(types.float64, 5)  # type: ignore[no-untyped-call]
_SIX = types.UniTuple(types.float64, 6)  # type: ignore[no-untyped-call]


@njit(types.int64(types.float64, types.float64, types.int64), **_COMPILED)
def _implausible(bid, ask, flags):  # type: ignore[no-untyped-def]
    """Which refusal a pair of prices deserves by itself, or OK."""
    if bid > 0.0 and ask < np.inf and (bid < ask or (flags & _ONE_PRICE and bid == ask)):
        return OK
    if not (-np.inf < bid < np.inf and -np.inf < ask < np.inf):
        return NOT_FINITE
    return CROSSED if bid > 0.0 and ask > 0.0 else NOT_POSITIVE


@njit(types.void(types.uint64, _F, _K), **_COMPILED)
def price(i, f, k):  # type: ignore[no-untyped-def]
    """Prices of one instrument in USD per share: its mid, and what a buyer pays and a seller gets after costs."""
    bid, ask = f[i, BID], f[i, ASK]
    f[i, MID_USD] = 0.5 * (bid + ask) * f[i, USD_PER_SHARE]
    if bid < ask or k[i, ONE_PRICE] == 1:
        f[i, NET_ASK] = ask * f[i, BUY_FACTOR]
        f[i, NET_BID] = bid * f[i, SELL_FACTOR]
    else:
        f[i, NET_ASK] = np.nan
        f[i, NET_BID] = np.nan


@njit(types.float64(types.uint64, types.int64, types.int64, _W, _F, _K, _F, _K), **_COMPILED)
def _edge(u, now, last, members, f, k, g, h):  # type: ignore[no-untyped-def]
    """Best edge of one underlying at `now`, bps: dearest eligible bid less cheapest eligible ask, after costs.

    Also sets the bounds LOW and HIGH that no eligible price can beat until a row does: over every instrument that
    may become eligible by `last`, whatever its age now.
    """
    cheapest, dearest, low, high = np.inf, -np.inf, np.inf, -np.inf
    for at in range(np.uint64(h[u, MEMBER_FROM]), np.uint64(h[u, MEMBER_TO])):
        j = np.uint64(members[at])
        ask, bid = f[j, NET_ASK], f[j, NET_BID]
        fresh = now <= k[j, EXPIRES]
        if last >= k[j, BUY_FROM]:
            low = min(low, ask) if ask == ask else low
            if fresh and now >= k[j, BUY_FROM] and ask < cheapest:
                cheapest = ask
        if last >= k[j, SELL_FROM]:
            high = max(high, bid) if bid == bid else high
            if fresh and now >= k[j, SELL_FROM] and bid > dearest:
                dearest = bid
    g[u, LOW], g[u, HIGH] = low, high
    edge = (dearest - cheapest) * g[u, FAIR_SCALE]
    g[u, EDGE] = edge
    return edge


@njit(types.boolean(types.uint64, types.int64, _F, _K), **_COMPILED)
def _counts(j, now, f, k):  # type: ignore[no-untyped-def]
    """Whether an instrument is a witness now: weighed, priced and fresh. A source of the share may be old: what it said
    weighs less and less, and nothing once it is refused or halted.
    """
    if not f[j, WEIGHT] > 0.0:
        return False
    fresh = now <= k[j, EXPIRES] or (k[j, ROLE] & EVIDENCE != 0 and k[j, EXPIRES] > 0)
    return fresh and 0.0 < f[j, MID_USD] * f[j, LEAN] < np.inf


@njit(types.int64(types.uint64, _W, _F, _K, _K), **_COMPILED)
def own_source(u, references, f, k, h):  # type: ignore[no-untyped-def]
    """The source of the share's own evidence, or -1: the surest that is believed and no witness."""
    source = h[u, SOURCE]
    if source < 0 or f[np.uint64(source), WEIGHT] < 0.0:
        return source
    key, source = np.inf, np.int64(-1)
    for at in range(np.uint64(h[u, REF_FROM]), np.uint64(h[u, REF_TO])):
        j = np.uint64(references[at])
        if k[j, REFUSAL] == OK and f[j, REF_KEY] < key and f[j, WEIGHT] < 0.0:
            key, source = f[j, REF_KEY], np.int64(j)
    return source


@njit(_SIX(types.uint64, types.int64, _W, _W, _F, _K, _F, _K, _V, _W), **_COMPILED)
def _hear(u, now, members, references, f, k, g, h, p, q):  # type: ignore[no-untyped-def]
    """All that is said of the share of one underlying at `now`: (anchor, own, pull, weight, square, heard).

    `own` is the variance of the share's own evidence, inf where its source is silent or not believed, and `anchor` its
    price, else that of the first witness. `weight` is the sum of the witnesses' weights w, `pull` that of
    w (z - anchor): deviations lose no digits where prices would. `square` is the sum of w (z - anchor)^2, `heard` how
    many witnesses there are.
    """
    source = own_source(u, references, f, k, h)
    own, anchor = np.inf, np.nan
    if source >= 0:
        i = np.uint64(source)
        grown = g[u, VOL2] * (p[CLOCK] + p[CLOCK_RATE] * np.float64(now - q[CLOCK_TS]))
        var = f[i, REF_KEY] + grown
        if var - f[i, REF_VAR] <= g[u, SILENT_VAR]:
            own, anchor = max(var, 0.0), f[i, REF_MID]
            if k[i, REF_TS] <= h[u, OWN_TS]:
                own, anchor = max(g[u, OWN_KEY] + grown, 0.0), g[u, OWN_MID]
    pull, weight, square, heard = 0.0, 0.0, 0.0, 0.0
    for at in range(np.uint64(h[u, MEMBER_FROM]), np.uint64(h[u, WITNESS_TO])):
        j = np.uint64(members[at])
        w, z, expires = f[j, WEIGHT], f[j, MID_USD] * f[j, LEAN], k[j, EXPIRES]
        # The rule of _counts, written out, here and in `premia`: a call takes longer than all of it.
        fresh = now <= expires or (expires > 0 and k[j, ROLE] & EVIDENCE != 0)
        if w > 0.0 and fresh and 0.0 < z < np.inf:
            if anchor != anchor:
                anchor = z
            away = z - anchor
            weight += w
            pull += w * away
            square += w * away * away
            heard += 1.0
    return anchor, own, pull, weight, square, heard


@njit(_THREE(types.float64, types.float64, types.float64, types.float64, types.float64, types.float64), **_COMPILED)
def _settle(anchor, own, pull, weight, square, heard):  # type: ignore[no-untyped-def]
    """(price, variance of its logarithm, stretch) that sums as of `_hear` come to; (nan, inf, 1) where nobody spoke.

    The price is (w0 z0 + sum w z) / (w0 + sum w) with w0 = 1 / own, written so that it is z0 to the bit without a
    witness, and also where the own evidence has no error.

    The variance is 1 / (w0 + sum w) times the stretch: where those who are heard are further apart than their errors
    let them be, chi^2 = sum w (z - price)^2 over its degrees of freedom (Birge 1932, Phys. Rev. 40, 207; the Particle
    Data Group's scale factor is the root of it), and never less than 1. But the share's own word bounds it: were that
    right and the witnesses not, the price would be off by own + (price - z0)^2, and no more.
    """
    if own < np.inf:
        rest = 1.0 + own * weight
        away, var, free = own * pull / rest, own / rest, heard
    elif weight > 0.0:
        away, var, free = pull / weight, 1.0 / weight, heard - 1.0
    else:
        return np.nan, np.inf, 1.0
    level = anchor * anchor
    chi2 = square - pull * away
    if not (free > 0.0 and chi2 > free * level > 0.0 and var > 0.0):
        return anchor + away, var, 1.0
    stretch = chi2 / (free * level)
    if own < np.inf:
        stretch = min(stretch, max((own + away * away / level) / var, 1.0))
    return anchor + away, var * stretch, stretch


@njit(_THREE(
    types.uint64, types.uint64, types.int64, types.float64, types.float64, types.float64, types.float64, types.float64,
    types.float64, _W, _F, _K, _K
), **_COMPILED)  # fmt: skip
def _without(i, u, now, anchor, own, pull, weight, square, heard, members, f, k, h):  # type: ignore[no-untyped-def]
    """`_settle` without one instrument, from the sums of all in O(1).

    Where it outweighs the rest a difference would lose its digits, and where it shares a witness with others they go
    with it: then the sums are made anew without it.
    """
    kin, w, z = k[i, KIN], f[i, WEIGHT], f[i, MID_USD] * f[i, LEAN]
    counts = _counts(i, now, f, k)
    if kin < 0 and not counts:
        return _settle(anchor, own, pull, weight, square, heard)
    if kin < 0 and 2.0 * w <= weight:
        drawn = w * (z - anchor)
        return _settle(anchor, own, pull - drawn, weight - w, square - drawn * (z - anchor), heard - 1.0)
    pull, weight, square, heard = 0.0, 0.0, 0.0, 0.0
    for at in range(np.uint64(h[u, MEMBER_FROM]), np.uint64(h[u, WITNESS_TO])):
        j = np.uint64(members[at])
        if j != i and (kin < 0 or k[j, KIN] != kin) and _counts(j, now, f, k):
            w, away = f[j, WEIGHT], f[j, MID_USD] * f[j, LEAN] - anchor
            weight += w
            pull += w * away
            square += w * away * away
            heard += 1.0
    return _settle(anchor, own, pull, weight, square, heard)


@njit(_FIVE(types.int64, types.uint64, types.int64, _W, _W, _F, _K, _F, _K, _V, _W), **_COMPILED)
def fair(number, u, now, members, references, f, k, g, h, p, q):  # type: ignore[no-untyped-def]
    """(price, variance, share of the own evidence in it, independent witnesses, stretch) of one underlying at `now`.

    `number` is the instrument that is left out, with all that speak for the same witness; -1 leaves out none.
    """
    anchor, own, pull, weight, square, heard = _hear(u, now, members, references, f, k, g, h, p, q)
    kin = np.int64(-1)
    if number >= 0:
        i = np.uint64(number)
        kin = k[i, KIN]
        price, var, stretch = _without(i, u, now, anchor, own, pull, weight, square, heard, members, f, k, h)
    else:
        price, var, stretch = _settle(anchor, own, pull, weight, square, heard)
    begin, count = np.uint64(h[u, MEMBER_FROM]), 0.0
    for at in range(begin, np.uint64(h[u, WITNESS_TO])):
        j = np.uint64(members[at])
        if np.int64(j) != number and (kin < 0 or k[j, KIN] != kin) and _counts(j, now, f, k):
            first = True
            for before in range(begin, at):
                other = np.uint64(members[before])
                same = k[j, KIN] >= 0 and k[other, KIN] == k[j, KIN]
                if same and _counts(other, now, f, k):
                    first = False
            count += 1.0 if first else 0.0
    return price, var, (var / stretch / own if own > 0.0 else 1.0) if own < np.inf else 0.0, count, stretch


@njit(types.void(_i8, types.int64, _V, _W, _W, _F, _K, _F, _K, _V, _W), **_COMPILED)
def prices_without(numbers, now, out, members, references, f, k, g, h, p, q):  # type: ignore[no-untyped-def]
    """Fair value at `now` without each of some instruments, one after the other; nan where nobody is left to ask."""
    for at in range(len(numbers)):
        i = np.uint64(numbers[at])
        u = np.uint64(k[i, UNDERLYING])
        anchor, own, pull, weight, square, heard = _hear(u, now, members, references, f, k, g, h, p, q)
        price, var, _ = _without(i, u, now, anchor, own, pull, weight, square, heard, members, f, k, h)
        out[at] = price if var <= p[MAX_VAR] and 0.0 < price < np.inf else np.nan


@njit(types.void(types.uint64, types.int64, _W, _W, _F, _K, _F, _K, _V, _W, _V), **_COMPILED)
def premia(u, now, members, references, f, k, g, h, p, q, work):  # type: ignore[no-untyped-def]
    """All premia of one underlying at `now`, bps and sigmas of the fair value of its share without the instrument
    itself; where that is unknown, or its error above the limit, so are they.

    In `LANES` at a time, through `work[WORK_ROWS * LANES]`: what `_without` says, in precisions (1 / variance) and
    without a branch, so that the processor takes several instruments in one step.
    """
    anchor, own, pull, weight, square, heard = _hear(u, now, members, references, f, k, g, h, p, q)
    base = (1.0 / own if own > 0.0 else np.inf) if own < np.inf else 0.0
    least = (1.0 / p[MAX_VAR] if p[MAX_VAR] > 0.0 else np.inf) if p[MAX_VAR] >= 0.0 else np.nan
    level, free = anchor * anchor, heard if own < np.inf else heard - 1.0
    at, end, mine_at, root_at = np.uint64(h[u, MEMBER_FROM]), np.uint64(h[u, MEMBER_TO]), _LANES, _LANES + _LANES
    while at < end:
        count = min(end - at, _LANES)
        for lane in range(count):
            j = np.uint64(members[at + lane])
            w, z, expires = f[j, WEIGHT], f[j, MID_USD] * f[j, LEAN], k[j, EXPIRES]
            fresh = now <= expires or (expires > 0 and k[j, ROLE] & EVIDENCE != 0)
            away, mine = 0.0, 0.0
            if w > 0.0 and fresh and 0.0 < z < np.inf:
                away, mine = z - anchor, w
            work[lane], work[mine_at + lane] = away, mine
        for lane in range(_LANES):
            away, mine = work[lane], work[mine_at + lane]
            drawn, rest, apart = pull - mine * away, weight - mine, square - mine * away * away
            left = free - (1.0 if mine > 0.0 else 0.0)
            precision = base + rest
            shift = drawn / precision
            price, chi2 = anchor + shift, apart - drawn * shift
            # The larger of the two precisions that `_settle` chooses from, by one division.
            agreed, bound = precision * left, own * level + shift * shift
            far = (chi2 > agreed * bound) & (agreed * bound > 0.0)
            above, below = level if far else level * agreed, bound if far else chi2
            stretched = (left > 0.0) & (chi2 > left * level) & (left * level > 0.0) & (precision < np.inf)
            precision = (above if stretched else precision) / (below if stretched else 1.0)
            known = (precision >= least) & (price > 0.0) & (price < np.inf)
            work[lane] = 1e4 / (price if known else np.nan)
            work[root_at + lane] = 1e-4 * np.sqrt(precision if precision < np.inf else np.nan)
        for lane in range(count):
            j = np.uint64(members[at + lane])
            scale, root = work[lane], work[root_at + lane]
            if k[j, KIN] >= 0 or 2.0 * work[mine_at + lane] > weight:
                price, var, _ = _without(j, u, now, anchor, own, pull, weight, square, heard, members, f, k, h)
                precision = 1.0 / var if var > 0.0 else np.inf
                scale = 1e4 / (price if precision >= least and 0.0 < price < np.inf else np.nan)
                root = 1e-4 * np.sqrt(precision) if precision < np.inf else np.nan
            premium = f[j, MID_USD] * scale - 1e4
            f[j, PREMIUM] = premium
            f[j, SELL_PREMIUM] = f[j, NET_BID] * scale - 1e4
            f[j, BUY_PREMIUM] = f[j, NET_ASK] * scale - 1e4
            f[j, SIGMAS] = premium * root
        at += count


@njit(types.void(types.uint64, _W, _F, _K, _F, _K), **_COMPILED)
def _choose_source(u, references, f, k, g, h):  # type: ignore[no-untyped-def]
    """The fair value of one underlying: the believed source with the smallest error, or unknown where none is left."""
    key, source = np.inf, np.int64(-1)
    for at in range(np.uint64(h[u, REF_FROM]), np.uint64(h[u, REF_TO])):
        j = np.uint64(references[at])
        if k[j, REFUSAL] == OK and f[j, REF_KEY] < key:
            key, source = f[j, REF_KEY], np.int64(j)
    h[u, SOURCE] = source
    g[u, FAIR_KEY] = key
    if source >= 0:
        g[u, FAIR] = f[np.uint64(source), REF_MID]
        g[u, FAIR_SCALE] = 1e4 / g[u, FAIR]
        h[u, AS_OF] = k[np.uint64(source), REF_TS]
    else:
        g[u, FAIR] = np.nan
        g[u, FAIR_SCALE] = np.nan


@njit(types.void(types.uint64, _i8, _f8, _f8, _f8, _f8, _W, _F, _K, _F, _K, _V, _W), **_COMPILED)
def _catch_up(u, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q):  # type: ignore[no-untyped-def]
    """Writes the columns of an underlying's instruments from the rows that the calm path left for later.

    A source that is calm is the only one, so its price is the fair value already.
    """
    source, begin, end = h[u, SOURCE], np.uint64(h[u, MEMBER_FROM]), np.uint64(h[u, MEMBER_TO])
    for at in range(begin, end + np.uint64(source >= 0)):
        j = np.uint64(members[at] if at < end else source)  # a source that is not traded is no member
        if k[j, UNWRITTEN] != 0:
            row = np.uint64(k[j, UNWRITTEN] - 1)
            k[j, UNWRITTEN] = 0
            t, b, a = ts[row], bid[row], ask[row]
            mid = 0.5 * (b + a)
            f[j, BID], f[j, ASK] = b, a
            f[j, BID_SIZE], f[j, ASK_SIZE] = bid_size[row], ask_size[row]
            f[j, MID_USD] = mid * f[j, USD_PER_SHARE]
            f[j, NET_ASK], f[j, NET_BID] = a * f[j, BUY_FACTOR], b * f[j, SELL_FACTOR]
            k[j, TS] = t
            k[j, EXPIRES] = t + k[j, MAX_AGE]
            if np.int64(j) == source:
                half = (a - b) / (3.0 * mid) if q[PREMIA] == 1 else 0.0
                clock = p[CLOCK] + p[CLOCK_RATE] * np.float64(t - q[CLOCK_TS])
                f[j, REF_MID] = f[j, MID_USD]
                f[j, REF_VAR] = f[j, SOURCE_VAR] + half * half
                f[j, REF_KEY] = f[j, REF_VAR] - g[u, VOL2] * clock
                k[j, REF_TS] = t
                h[u, AS_OF] = t
                g[u, FAIR_KEY], g[u, FAIR_SCALE] = f[j, REF_KEY], 1e4 / g[u, FAIR]


@njit(types.boolean(types.uint64, types.int64, types.int64, _W, _W, _K, _V, _F, _K, _F, _K, _V, _W), **_COMPILED)
def _fires(u, now, last, members, references, slots, slot_f, f, k, g, h, p, q):  # type: ignore[no-untyped-def]
    """Marks the triggers of one underlying that fire now; True where any does. No fair value, no trigger.

    An edge needs the share's own evidence; a premium is judged by all witnesses but the instrument itself.
    """
    var = g[u, FAIR_KEY] + g[u, VOL2] * (p[CLOCK] + p[CLOCK_RATE] * np.float64(now - q[CLOCK_TS]))
    edge = _edge(u, now, last, members, f, k, g, h)
    known = h[u, SOURCE] >= 0 and var <= p[MAX_VAR]
    if known:
        known = var - f[np.uint64(h[u, SOURCE]), REF_VAR] <= g[u, SILENT_VAR]
    fired, asked = False, False
    anchor, own, pull, weight, square, heard = np.nan, np.inf, 0.0, 0.0, 0.0, 0.0
    for s in range(np.uint64(h[u, SLOT_FROM]), np.uint64(h[u, SLOT_TO])):
        if slots[s, SLOT_KIND] == SLOT_EDGE:
            hit = known and edge > slot_f[s]
        else:
            if not asked:
                anchor, own, pull, weight, square, heard = _hear(u, now, members, references, f, k, g, h, p, q)
                asked = True
            i = np.uint64(slots[s, SLOT_SCOPE])
            price, error2, _ = _without(i, u, now, anchor, own, pull, weight, square, heard, members, f, k, h)
            premium = f[i, MID_USD] * (1e4 / price) - 1e4
            hit = error2 <= p[MAX_VAR] and 0.0 < price < np.inf
            if slots[s, SLOT_KIND] == SLOT_PREMIUM:
                hit = hit and abs(premium) > slot_f[s]
            else:
                hit = hit and premium * premium > slot_f[s] * slot_f[s] * error2 * 1e8
        if hit and now >= slots[s, SLOT_NOT_BEFORE]:
            slots[s, SLOT_FIRED] = 1
            fired = True
    return fired


@njit(types.boolean(types.uint64, types.int64, types.float64, types.float64, _F, _K, _W), **_COMPILED)
def _stands(i, now, usd, tolerance, f, k, q):  # type: ignore[no-untyped-def]
    """Counts one more suspicious price of an instrument; True once it has stood long and often enough.

    A price that differs from the suspicious one before it by more than `tolerance` of it begins the count anew: many
    wrong prices do not make a right one.
    """
    if k[i, SUSPECT_ROWS] == 0 or not abs(usd - f[i, SUSPECT]) <= tolerance * f[i, SUSPECT]:
        k[i, SUSPECT_ROWS] = 0
        k[i, SUSPECT_SINCE] = now
    f[i, SUSPECT] = usd
    k[i, SUSPECT_ROWS] += 1
    return k[i, SUSPECT_ROWS] >= q[CONFIRM_ROWS] and now - k[i, SUSPECT_SINCE] >= q[CONFIRM_NS]


@njit(types.boolean(types.uint64, types.int64, types.int64, _K, _K, _W), **_COMPILED)
def _note(i, now, code, k, refused, q):  # type: ignore[no-untyped-def]
    """Remembers whether an instrument is believed; True where that is news: once a gap, and the way back from it."""
    if code != OK:
        refused[i, np.uint64(code)] += 1
    if code == k[i, REFUSAL] or code == OUT_OF_HOURS:
        return False
    k[i, REFUSAL] = code
    if code == OK:
        told = k[i, TOLD] == 1
        k[i, TOLD] = 0
        return told
    if now < k[i, NOTE_FROM]:
        return False
    k[i, NOTE_FROM] = now + q[NOTE_GAP]
    k[i, TOLD] = 1
    return True


@njit(types.void(types.uint64, types.float64, _V, _F, _K), **_COMPILED)
def _new_fx(c, usd, fx, f, k):  # type: ignore[no-untyped-def]
    """A coin has a new price: every instrument quoted in it is worth something else in USD."""
    fx[c] = usd
    for j in range(np.uint64(f.shape[0])):
        if np.uint64(k[j, QUOTE_COIN]) == c:
            f[j, USD_PER_UNIT] = usd
            share = usd / f[j, SHARES_PER_UNIT]
            f[j, USD_PER_SHARE] = share
            f[j, BUY_FACTOR] = share * f[j, BUY_COST]
            f[j, SELL_FACTOR] = share * f[j, SELL_COST]
            price(j, f, k)


_SIGNATURE = types.UniTuple(types.int64, 2)(  # type: ignore[no-untyped-call]
    types.int64, types.int64, _i8, _i4, _i2, _i2, _f8, _f8, _f8, _f8,
    _F, _K, _F, _K, _V, _W, _W, _K, _V, _K, _V, _W, _V,
)  # fmt: skip


@njit(_SIGNATURE, **_COMPILED, nogil=True)
def scan(  # type: ignore[no-untyped-def]
    start, until, ts, instrument, kind, flags, bid, ask, bid_size, ask_size,
    f, k, g, h, fx, members, references, slots, slot_f, refused, p, q, work,
):  # fmt: skip
    """Applies rows from `start`; returns (next row, why it stopped).

    Stops after a row on which a trigger fires (TRIGGER) or that Python must see (NOTICE), before the first row with
    ts > `until` (DUE), or at the end of the block (END). Rows are in order of ts. An instrument number out of range
    is skipped and counted in refused[0, OK] (the door refuses them; this is the last guard).

    Columns, premia and the exact best edge are written when the scan stops, which is when somebody can look. Until then
    a calm row is only judged, remembered, and held against two bounds (LOW, HIGH) that prove that no edge trigger can
    fire; where they do not, the columns are written and the exact edge decides. The other paths are written out here on
    purpose: handing arrays to a helper costs more than the work (measured: 2 x).
    """
    n = np.uint64(f.shape[0])
    clock_0, rate, clock_ts, session = p[CLOCK], p[CLOCK_RATE], q[CLOCK_TS], q[SESSION_BIT]
    outlier, max_spread, stub_move = p[OUTLIER], p[MAX_SPREAD], p[STUB_MOVE]
    frozen_rows, frozen_ns, judging, gated = q[FROZEN_ROWS], q[FROZEN_NS], q[PREMIA] == 1, q[GATED] == 1
    accepted, now, why = q[ACCEPTED], q[NOW], END
    at, end = np.uint64(start), np.uint64(len(ts))
    last = min(until, ts[end - np.uint64(1)]) if at < end else now
    for v in range(np.uint64(g.shape[0])):
        g[v, LOW], g[v, HIGH], g[v, WAKE_EDGE] = -np.inf, np.inf, np.inf
        h[v, WAKE_FROM] = last + 1
        for s in range(np.uint64(h[v, SLOT_FROM]), np.uint64(h[v, SLOT_TO])):
            if slots[s, SLOT_NOT_BEFORE] <= last:
                h[v, WAKE_FROM] = min(h[v, WAKE_FROM], slots[s, SLOT_NOT_BEFORE])
                if slots[s, SLOT_KIND] == SLOT_EDGE:
                    g[v, WAKE_EDGE] = min(g[v, WAKE_EDGE], slot_f[s])
                else:
                    g[v, WAKE_EDGE] = -np.inf
        # Of the fair value, between best bid and ask; below it no edge is possible. A hair low, so that it is sure.
        g[v, GAP] = g[v, WAKE_EDGE] * 1e-4 - abs(g[v, WAKE_EDGE]) * 1e-16
    while at < end:
        # The calm path, that of nearly every row: a book that nothing speaks against. It does not ask whether a row is
        # a token's or a share's: the processor cannot guess that, and lost a fifth of the time with it (measured).
        begin, look = at, False
        while at < end:
            t, i = ts[at], np.uint64(instrument[at])
            if t > until or i >= n or kind[at] != k[i, CALM] or flags[at] != 0:
                break
            b, a = bid[at], ask[at]
            u = np.uint64(k[i, UNDERLYING])
            fair = g[u, FAIR]
            usd = 0.5 * (b + a) * f[i, USD_PER_SHARE]
            if not (0.0 < b < a and usd > 0.0 and abs(usd - fair) < f[i, NEAR] * fair):
                break
            at += np.uint64(1)
            k[i, UNWRITTEN] = np.int64(at)
            k[i, PRINTS] += 1
            h[u, TOUCHED] = t
            g[u, np.uint64(k[i, SAYS])] = usd
            net_ask, net_bid = a * f[i, BUY_FACTOR], b * f[i, SELL_FACTOR]
            if net_ask < g[u, LOW] and last >= k[i, BUY_FROM]:
                g[u, LOW] = net_ask
            if net_bid > g[u, HIGH] and last >= k[i, SELL_FROM]:
                g[u, HIGH] = net_bid
            if g[u, HIGH] - g[u, LOW] >= g[u, GAP] * g[u, FAIR] and t >= h[u, WAKE_FROM]:
                look = True
                break
        if at > begin:
            accepted += np.int64(at - begin)
            now = ts[at - np.uint64(1)]
        if look:
            _catch_up(u, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q)
            if _fires(u, t, last, members, references, slots, slot_f, f, k, g, h, p, q):
                why = TRIGGER
                break
            continue
        if at >= end:
            break
        t = ts[at]
        if t > until:
            why = DUE
            break
        now = t
        row = at
        at += np.uint64(1)
        i = np.uint64(instrument[row])
        if i >= n:
            refused[0, OK] += 1
            continue
        what, flag = kind[row], flags[row]
        b, a = bid[row], ask[row]
        if flag & _NO_PRINT:
            continue
        role = k[i, ROLE]
        book = what == _QUOTE or (_DEPTH <= what <= _REFERENCE) or (what == _TRADE and k[i, ONE_PRICE] == 1)
        if book and role & COIN == 0:
            u = np.uint64(k[i, UNDERLYING])
            if k[i, UNWRITTEN] != 0:
                _catch_up(u, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q)
            clock = clock_0 + rate * np.float64(t - clock_ts)
            mid = 0.5 * (b + a)
            usd = mid * f[i, USD_PER_SHARE]
            code = OK
            if not (b > 0.0 and b < a and a < np.inf):
                code = _implausible(b, a, flag)
            if code == OK and (usd < f[i, BAND_LOW] or usd > f[i, BAND_HIGH]):
                code = BEFORE_EVENT
            if code != OK:
                pass
            elif role & EVIDENCE:
                if flag & _HALTED:
                    code = HALT
                elif (k[i, HOURS] & session) == 0:
                    code = OUT_OF_HOURS
                    k[i, CHANGED_TS] = t
                    k[i, SAME_ROWS] = 0
                elif not 0.0 < usd < np.inf:
                    code = FX_UNKNOWN
                elif gated:
                    if b == f[i, LAST_BID] and a == f[i, LAST_ASK]:
                        k[i, SAME_ROWS] += 1
                    else:
                        k[i, SAME_ROWS] = 0
                        k[i, CHANGED_TS] = t
                        f[i, LAST_BID], f[i, LAST_ASK] = b, a
                    standing = f[i, REF_MID]
                    if a >= 2.0 * b:
                        code = STUB
                    elif a - b > max_spread * mid:
                        code = WIDE
                    elif k[i, SAME_ROWS] >= frozen_rows and t - k[i, CHANGED_TS] >= frozen_ns:
                        code = FROZEN
                    elif abs(usd - standing) > stub_move * standing:
                        if _stands(i, t, usd, stub_move, f, k, q):
                            k[i, SUSPECT_ROWS] = 0
                        else:
                            code = STUB
                    else:
                        k[i, SUSPECT_ROWS] = 0
                if code == OK:
                    half = (a - b) / (3.0 * mid) if judging else 0.0
                    f[i, REF_MID] = usd
                    f[i, REF_VAR] = f[i, SOURCE_VAR] + half * half
                    f[i, REF_KEY] = f[i, REF_VAR] - g[u, VOL2] * clock
                    k[i, REF_TS] = t
            elif abs(usd - g[u, FAIR]) > outlier * g[u, FAIR]:
                if k[i, CONFIRMED] == 0 or not abs(usd - f[i, MID_USD]) <= outlier * f[i, MID_USD]:
                    k[i, CONFIRMED] = _stands(i, t, usd, outlier, f, k, q)
                    if k[i, CONFIRMED] == 0:
                        code = OUTLIER_PRINT
            elif k[i, SUSPECT_ROWS] != 0:
                k[i, SUSPECT_ROWS] = 0
                k[i, CONFIRMED] = 0
            if code != OK or k[i, REFUSAL] != OK:
                if _note(i, t, code, k, refused, q):
                    why = NOTICE
                k[i, CALM] = -1
                if code != OK:
                    if code != OUT_OF_HOURS:
                        # What the venue said last is no longer what it says: nobody may trade on it.
                        k[i, EXPIRES] = 0
                        h[u, TOUCHED] = t
                        if h[u, SOURCE] == np.int64(i):
                            _choose_source(u, references, f, k, g, h)
                    if why != END:
                        break
                    continue
            accepted += 1
            alone = h[u, REF_TO] - h[u, REF_FROM] == 1
            calm = role & (JUDGED | TRADED) != 0 and k[i, SUSPECT_ROWS] == 0 and f[i, BAND_LOW] != f[i, BAND_LOW]
            if role & EVIDENCE:
                calm = alone and not gated and f[i, BAND_LOW] != f[i, BAND_LOW]
            k[i, CALM] = what if calm else -1
            f[i, BID], f[i, ASK] = b, a
            f[i, BID_SIZE], f[i, ASK_SIZE] = bid_size[row], ask_size[row]
            k[i, TS] = t
            k[i, EXPIRES] = t + k[i, MAX_AGE] if flag & _HALTED == 0 else 0
            k[i, PRINTS] += 1
            f[i, MID_USD] = usd
            if b < a:
                f[i, NET_ASK] = a * f[i, BUY_FACTOR]
                f[i, NET_BID] = b * f[i, SELL_FACTOR]
            else:
                price(i, f, k)
            if role & EVIDENCE:
                key, source = f[i, REF_KEY], h[u, SOURCE]
                if alone or key < g[u, FAIR_KEY] or (key == g[u, FAIR_KEY] and np.int64(i) <= source):
                    h[u, SOURCE], h[u, AS_OF] = np.int64(i), t
                    g[u, FAIR_KEY], g[u, FAIR], g[u, FAIR_SCALE] = key, usd, 1e4 / usd
                elif source == np.int64(i):
                    _choose_source(u, references, f, k, g, h)
            h[u, TOUCHED] = t
            if f[i, NET_ASK] < g[u, LOW] and last >= k[i, BUY_FROM]:
                g[u, LOW] = f[i, NET_ASK]
            if f[i, NET_BID] > g[u, HIGH] and last >= k[i, SELL_FROM]:
                g[u, HIGH] = f[i, NET_BID]
            wide = g[u, HIGH] - g[u, LOW] >= g[u, GAP] * g[u, FAIR] or g[u, GAP] == -np.inf
            if wide and t >= h[u, WAKE_FROM]:
                _catch_up(u, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q)
                if _fires(u, t, last, members, references, slots, slot_f, f, k, g, h, p, q):
                    why |= TRIGGER
            if why != END:
                break
        elif role & COIN and what in (_FX, _DEPTH):
            code = _implausible(b, a, flag)
            usd = 0.5 * (b + a) * f[i, USD_PER_UNIT]
            if code == OK and not usd < np.inf:
                code = FX_UNKNOWN
            if (code != OK or k[i, REFUSAL] != OK) and _note(i, t, code, k, refused, q):
                why = NOTICE
            if code == OK:
                accepted += 1
                f[i, BID], f[i, ASK], f[i, MID_USD] = b, a, usd
                f[i, BID_SIZE], f[i, ASK_SIZE] = bid_size[row], ask_size[row]
                k[i, TS] = t
                k[i, EXPIRES] = t + k[i, MAX_AGE] if flag & _HALTED == 0 else 0
                k[i, PRINTS] += 1
                for v in range(np.uint64(g.shape[0])):
                    _catch_up(v, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q)
                _new_fx(np.uint64(k[i, FX_COIN]), usd, fx, f, k)
                for v in range(np.uint64(g.shape[0])):
                    h[v, TOUCHED] = t
                    g[v, LOW], g[v, HIGH] = -np.inf, np.inf
                    if _fires(v, t, last, members, references, slots, slot_f, f, k, g, h, p, q):
                        why |= TRIGGER
            if why != END:
                break
        elif what in (_MULTIPLIER, _SESSION, _HEALTH, _FILL, _CONVERSION, _ACTION):
            why = NOTICE
            break
    for v in range(np.uint64(g.shape[0])):
        if h[v, TOUCHED] >= 0:
            _catch_up(v, ts, bid, ask, bid_size, ask_size, members, f, k, g, h, p, q)
            _edge(v, h[v, TOUCHED], last, members, f, k, g, h)
            if judging:
                premia(v, h[v, TOUCHED], members, references, f, k, g, h, p, q, work)
            h[v, TOUCHED] = -1
    q[ACCEPTED], q[NOW] = accepted, now
    return np.int64(at), np.int64(why)
