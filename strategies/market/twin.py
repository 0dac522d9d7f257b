"""The twin of the scan: the same rules in plain Python, one row at a time, for reading and as the oracle of its tests.

Where the scan keeps bounds, a short path for calm books and values that wait until somebody looks, the twin works out
everything that a row touches from the definitions, after that row. Both write the same columns.
"""

from __future__ import annotations

from math import inf, isfinite, isnan, nan, sqrt

import numpy as np

from connectors.events import Flag, Kind, Row, Rows
from strategies.market import kernel as K
from strategies.market.columns import Columns

BOOKS = (Kind.QUOTE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE)
COINS = (Kind.FX, Kind.DEPTH)
NO_PRINT = Flag.SUPERSEDED | Flag.SAME_PRINT
NEWS = (Kind.MULTIPLIER, Kind.SESSION, Kind.HEALTH, Kind.FILL, Kind.CONVERSION, Kind.ACTION)


class Twin:
    """Applies rows to columns as the scan does, and stops where it stops."""

    def __init__(self, columns: Columns) -> None:
        """Works on the arrays of `columns` in place."""
        self.c = columns

    def scan(self, rows: Rows, start: int, until: int) -> tuple[int, int]:
        """(next row, why it stopped), as `kernel.scan`."""
        at = start
        for group, touched in enumerate(self.c.h[:, K.TOUCHED].tolist()):
            if touched >= 0:  # Python changed what somebody is believed
                self.c.h[group, K.TOUCHED] = -1
                with np.errstate(all="ignore"):
                    self._derive(group, touched)
        while at < len(rows):
            if int(rows.ts_recv[at]) > until:
                return at, K.DUE
            row = rows.row(at)
            at += 1
            self.c.q[K.NOW] = row.ts_recv
            with np.errstate(all="ignore"):  # compiled code overflows and divides in silence too
                why = self._row(row)
            if why:
                return at, why
        return at, K.END

    def _row(self, row: Row) -> int:
        """Applies one row; returns why Python should wake, or END."""
        if not 0 <= row.instrument < len(self.c.universe):
            self.c.refused[0, K.OK] += 1
            return K.END
        if row.flags & NO_PRINT:
            return K.END
        k = self.c.k[row.instrument]
        book = row.kind in BOOKS or (row.kind is Kind.TRADE and k[K.ONE_PRICE])
        if book and not k[K.ROLE] & K.COIN:
            return self._book(row)
        if row.kind in COINS and k[K.ROLE] & K.COIN:
            return self._coin(row)
        return K.NOTICE if row.kind in NEWS else K.END

    # --- what a row may be refused for

    def _implausible(self, row: Row) -> int:
        """Not finite, not positive or crossed; equal prices are a price only where the row says ONE_PRICE."""
        if not (isfinite(row.bid) and isfinite(row.ask)):
            return K.NOT_FINITE
        if not (row.bid > 0 and row.ask > 0):
            return K.NOT_POSITIVE
        if row.bid < row.ask or (row.bid == row.ask and row.flags & Flag.ONE_PRICE):
            return K.OK
        return K.CROSSED

    def _stands(self, number: int, now: int, usd: float, tolerance: float) -> bool:
        """Whether a suspicious price has been repeated, near enough, often and long enough to be believed."""
        f, k, q = self.c.f[number], self.c.k[number], self.c.q
        before = float(f[K.SUSPECT])
        alike = abs(usd - before) <= tolerance * before
        if k[K.SUSPECT_ROWS] == 0 or not alike:
            k[K.SUSPECT_ROWS], k[K.SUSPECT_SINCE] = 0, now
        f[K.SUSPECT] = usd
        k[K.SUSPECT_ROWS] += 1
        return bool(k[K.SUSPECT_ROWS] >= q[K.CONFIRM_ROWS] and now - k[K.SUSPECT_SINCE] >= q[K.CONFIRM_NS])

    def _judge_source(self, row: Row, usd: float) -> int:
        """A quote of the share: halted, out of hours, stub, wide, frozen, or believed."""
        f, k, p, q = self.c.f[row.instrument], self.c.k[row.instrument], self.c.p, self.c.q
        now, bid, ask = row.ts_recv, row.bid, row.ask
        mid = 0.5 * (bid + ask)
        if row.flags & Flag.HALTED:
            return K.HALT
        if not int(k[K.HOURS]) & int(q[K.SESSION_BIT]):
            k[K.CHANGED_TS], k[K.SAME_ROWS] = now, 0
            return K.OUT_OF_HOURS
        if not 0 < usd < inf:
            return K.FX_UNKNOWN
        if not q[K.GATED]:
            return K.OK
        if bid == f[K.LAST_BID] and ask == f[K.LAST_ASK]:
            k[K.SAME_ROWS] += 1
        else:
            k[K.SAME_ROWS], k[K.CHANGED_TS] = 0, now
            f[K.LAST_BID], f[K.LAST_ASK] = bid, ask
        if ask >= 2 * bid:
            return K.STUB
        if ask - bid > p[K.MAX_SPREAD] * mid:
            return K.WIDE
        if k[K.SAME_ROWS] >= q[K.FROZEN_ROWS] and now - k[K.CHANGED_TS] >= q[K.FROZEN_NS]:
            return K.FROZEN
        standing = f[K.REF_MID]
        far = abs(usd - standing) > p[K.STUB_MOVE] * standing
        if far and not self._stands(row.instrument, now, usd, float(p[K.STUB_MOVE])):
            return K.STUB
        k[K.SUSPECT_ROWS] = 0
        return K.OK

    def _judge_token(self, row: Row, usd: float) -> int:
        """A token's print far from a known fair value is refused until it has stood."""
        k, fair = self.c.k[row.instrument], float(self.c.g[self.c.group(row.instrument), K.FAIR])
        if not isnan(fair) and abs(usd - fair) > self.c.p[K.OUTLIER] * fair:
            believed, outlier = float(self.c.f[row.instrument, K.MID_USD]), float(self.c.p[K.OUTLIER])
            if not k[K.CONFIRMED] or not abs(usd - believed) <= outlier * believed:
                k[K.CONFIRMED] = self._stands(row.instrument, row.ts_recv, usd, outlier)
                if not k[K.CONFIRMED]:
                    return K.OUTLIER_PRINT
        elif k[K.SUSPECT_ROWS]:
            k[K.SUSPECT_ROWS] = k[K.CONFIRMED] = 0
        return K.OK

    def _note(self, number: int, now: int, code: int) -> bool:
        """Counts a refusal; True where it, or the way back from one that was told, is news."""
        k = self.c.k[number]
        if code != K.OK:
            self.c.refused[number, code] += 1
        if code in (int(k[K.REFUSAL]), K.OUT_OF_HOURS):
            return False
        k[K.REFUSAL] = code
        if code == K.OK:
            told = bool(k[K.TOLD])
            k[K.TOLD] = 0
            return told
        if now < k[K.NOTE_FROM]:
            return False
        k[K.NOTE_FROM] = now + self.c.q[K.NOTE_GAP]
        k[K.TOLD] = 1
        return True

    # --- what an accepted row changes

    def _book(self, row: Row) -> int:
        """A quote of a token, a share, or something that may be traded."""
        number, now = row.instrument, row.ts_recv
        f, k = self.c.f[number], self.c.k[number]
        group, evidence = self.c.group(number), bool(k[K.ROLE] & K.EVIDENCE)
        usd = 0.5 * (row.bid + row.ask) * f[K.USD_PER_SHARE]
        code = self._implausible(row)
        if code == K.OK and (usd < f[K.BAND_LOW] or usd > f[K.BAND_HIGH]):
            code = K.BEFORE_EVENT
        if code == K.OK:
            code = self._judge_source(row, usd) if evidence else self._judge_token(row, usd)
        why = K.NOTICE if self._note(number, now, code) else K.END
        if code != K.OK:
            if code != K.OUT_OF_HOURS:
                k[K.EXPIRES] = 0
                self._derive(group, now)
            return why
        self._accept(row)
        if evidence:
            half = (row.ask - row.bid) / (3.0 * (0.5 * (row.bid + row.ask))) if self.c.q[K.PREMIA] else 0.0
            clock = self._clock(now)
            f[K.REF_MID], k[K.REF_TS] = usd, now
            f[K.REF_VAR] = f[K.SOURCE_VAR] + half * half
            f[K.REF_KEY] = f[K.REF_VAR] - self.c.g[group, K.VOL2] * clock
        self._derive(group, now)
        return why | self._fire(group, now)

    def _accept(self, row: Row) -> None:
        """The last believed prices, sizes and time of an instrument."""
        f, k = self.c.f[row.instrument], self.c.k[row.instrument]
        self.c.q[K.ACCEPTED] += 1
        f[K.BID], f[K.ASK], f[K.BID_SIZE], f[K.ASK_SIZE] = row.bid, row.ask, row.bid_size, row.ask_size
        k[K.TS] = row.ts_recv
        k[K.EXPIRES] = 0 if row.flags & Flag.HALTED else row.ts_recv + k[K.MAX_AGE]
        k[K.PRINTS] += 1
        self._price(row.instrument)

    def _price(self, number: int) -> None:
        """Prices in USD per share: mid, and what a buyer pays and a seller gets after costs."""
        f = self.c.f[number]
        f[K.MID_USD] = 0.5 * (f[K.BID] + f[K.ASK]) * f[K.USD_PER_SHARE]
        book = f[K.BID] < f[K.ASK] or self.c.universe[number].one_price
        f[K.NET_ASK] = f[K.ASK] * f[K.BUY_FACTOR] if book else nan
        f[K.NET_BID] = f[K.BID] * f[K.SELL_FACTOR] if book else nan

    def _coin(self, row: Row) -> int:
        """A coin's price: everything quoted in it is worth something else."""
        number, now = row.instrument, row.ts_recv
        usd = 0.5 * (row.bid + row.ask) * self.c.f[number, K.USD_PER_UNIT]
        code = self._implausible(row)
        if code == K.OK and not usd < inf:
            code = K.FX_UNKNOWN
        why = K.NOTICE if self._note(number, now, code) else K.END
        if code != K.OK:
            return why
        self._accept(row)
        self.c.f[number, K.MID_USD] = usd
        coin = int(self.c.k[number, K.FX_COIN])
        self.c.fx[coin] = usd
        for at in range(len(self.c.universe)):
            if self.c.k[at, K.QUOTE_COIN] == coin:
                f = self.c.f[at]
                f[K.USD_PER_UNIT] = usd
                f[K.USD_PER_SHARE] = usd / f[K.SHARES_PER_UNIT]
                f[K.BUY_FACTOR] = f[K.USD_PER_SHARE] * f[K.BUY_COST]
                f[K.SELL_FACTOR] = f[K.USD_PER_SHARE] * f[K.SELL_COST]
                self._price(at)
        for group in range(len(self.c.g)):
            self._derive(group, now)
            why |= self._fire(group, now)
        return why

    # --- what follows from prices

    def _clock(self, now: int) -> float:
        """The variance clock, in regular trading days."""
        return float(self.c.p[K.CLOCK] + self.c.p[K.CLOCK_RATE] * float(now - self.c.q[K.CLOCK_TS]))

    def _derive(self, group: int, now: int) -> None:
        """Fair value, premia and best edge of one underlying, from scratch."""
        c, g, h = self.c, self.c.g[group], self.c.h[group]
        sources = c.references[h[K.REF_FROM] : h[K.REF_TO]].tolist()
        believed = [at for at in sources if c.k[at, K.REFUSAL] == K.OK and c.f[at, K.REF_KEY] < inf]
        best = min(believed, key=lambda at: (float(c.f[at, K.REF_KEY]), at), default=-1)
        if sources:
            h[K.SOURCE] = best
            g[K.FAIR] = c.f[best, K.REF_MID] if best >= 0 else nan
            g[K.FAIR_SCALE] = 1e4 / g[K.FAIR]
            g[K.FAIR_KEY] = c.f[best, K.REF_KEY] if best >= 0 else inf
            h[K.AS_OF] = c.k[best, K.REF_TS] if best >= 0 else h[K.AS_OF]
        asks, bids = [inf], [-inf]
        for at in c.members_of[group] if group < len(c.members_of) else ():
            f, k = c.f[at], c.k[at]
            if c.q[K.PREMIA]:
                price, precision = self._shown_without(at, group, now)
                scale = 1e4 / price
                f[K.PREMIUM] = f[K.MID_USD] * scale - 1e4
                f[K.SELL_PREMIUM] = f[K.NET_BID] * scale - 1e4
                f[K.BUY_PREMIUM] = f[K.NET_ASK] * scale - 1e4
                f[K.SIGMAS] = f[K.PREMIUM] * (1e-4 * sqrt(precision)) if precision < inf else nan
            if now <= k[K.EXPIRES]:
                if now >= k[K.BUY_FROM] and not isnan(f[K.NET_ASK]):
                    asks.append(float(f[K.NET_ASK]))
                if now >= k[K.SELL_FROM] and not isnan(f[K.NET_BID]):
                    bids.append(float(f[K.NET_BID]))
        g[K.EDGE] = (max(bids) - min(asks)) * g[K.FAIR_SCALE]

    def _own(self, group: int, now: int) -> float:
        """Variance of the best source's word; inf where none is believed, or it has been silent too long."""
        return self._variance_of(int(self.c.h[group, K.SOURCE]), group, now)

    def _variance_of(self, source: int, group: int, now: int) -> float:
        """Variance of what a source says, -1 being none; inf where it has been silent too long."""
        if source < 0:
            return inf
        g, f = self.c.g[group], self.c.f[source]
        variance = float(f[K.REF_KEY] + g[K.VOL2] * self._clock(now))
        return max(variance, 0.0) if variance - float(f[K.REF_VAR]) <= g[K.SILENT_VAR] else inf

    def _heard(self, group: int, now: int) -> dict[int, tuple[float, float]]:
        """(weight, price that it says the share has) of every witness of an underlying, in order."""
        c, h, found = self.c, self.c.h[group], dict[int, tuple[float, float]]()
        for at in c.members[h[K.MEMBER_FROM] : h[K.WITNESS_TO]].tolist():
            weight, price = float(c.f[at, K.WEIGHT]), float(c.f[at, K.MID_USD] * c.f[at, K.LEAN])
            fresh = now <= c.k[at, K.EXPIRES] or (c.k[at, K.ROLE] & K.EVIDENCE and c.k[at, K.EXPIRES] > 0)
            if weight > 0 and fresh and 0 < price < inf:
                found[at] = weight, price
        return found

    def _sums_without(self, number: int, group: int, now: int) -> tuple[tuple[float, ...], bool]:
        """What is said of the share by all but one instrument and what speaks for its witness: (anchor, variance of its
        own evidence, pull, weight, square, count) as the scan's `_hear`, and whether they were added up anew."""
        c, h, heard, kin = self.c, self.c.h[group], self._heard(group, now), int(self.c.k[number, K.KIN])
        sources = [at for at in c.references[h[K.REF_FROM] : h[K.REF_TO]].tolist() if c.f[at, K.WEIGHT] < 0]
        believed = [at for at in sources if c.k[at, K.REFUSAL] == K.OK and c.f[at, K.REF_KEY] < inf]
        source = min(believed, key=lambda at: (float(c.f[at, K.REF_KEY]), at), default=-1)
        own = self._variance_of(source, group, now)
        anchor = float(c.f[source, K.REF_MID]) if own < inf else next((z for _, z in heard.values()), nan)
        if own < inf and c.k[source, K.REF_TS] <= h[K.OWN_TS]:
            own = max(float(c.g[group, K.OWN_KEY] + c.g[group, K.VOL2] * self._clock(now)), 0.0)
            anchor = float(c.g[group, K.OWN_MID])
        weight = pull = square = 0.0
        count = float(len(heard))
        for mine, z in heard.values():
            weight += mine
            pull += mine * (z - anchor)
            square += mine * (z - anchor) * (z - anchor)
        mine, z = heard.get(number, (0.0, nan))
        anew = kin >= 0 or 2.0 * mine > weight
        if mine > 0 and not anew:
            weight, pull, count = weight - mine, pull - mine * (z - anchor), count - 1
            square -= mine * (z - anchor) * (z - anchor)
        elif anew:
            weight = pull = square = count = 0.0
            for at, (theirs, z) in heard.items():
                if at != number and (kin < 0 or c.k[at, K.KIN] != kin):
                    weight += theirs
                    pull += theirs * (z - anchor)
                    square += theirs * (z - anchor) * (z - anchor)
                    count += 1
        return (anchor, own, pull, weight, square, count), anew

    def _without(self, number: int, group: int, now: int) -> tuple[float, float]:
        """(price, variance of its logarithm) that these sums come to."""
        (anchor, own, pull, weight, square, count), _ = self._sums_without(number, group, now)
        if not own < inf and not weight > 0:
            return nan, inf
        rest = 1.0 + own * weight
        away, variance = (own * pull / rest, own / rest) if own < inf else (pull / weight, 1.0 / weight)
        free, level, chi2 = count if own < inf else count - 1, anchor * anchor, square - pull * away
        if free > 0 and chi2 > free * level > 0 and variance > 0:
            stretch = chi2 / (free * level)
            bound = max((own + away * away / level) / variance, 1.0) if own < inf else inf
            variance *= min(stretch, bound)
        return anchor + away, variance

    def _known_without(self, number: int, group: int, now: int) -> tuple[float, float]:
        """The same; the price is nan where the fair value is unknown."""
        price, variance = self._without(number, group, now)
        return price if variance <= self.c.p[K.MAX_VAR] and 0 < price < inf else nan, variance

    def _shown_without(self, number: int, group: int, now: int) -> tuple[float, float]:
        """The same with 1 / variance, in the order in which the scan makes premia of it."""
        (anchor, own, pull, weight, square, count), anew = self._sums_without(number, group, now)
        if anew:
            price, variance = self._known_without(number, group, now)
            return price, 1 / variance if variance > 0 else inf
        precision = ((1 / own if own > 0 else inf) if own < inf else 0.0) + weight
        shift, limit = pull / precision if precision > 0 else nan, float(self.c.p[K.MAX_VAR])
        price, free, level = anchor + shift, count if own < inf else count - 1, anchor * anchor
        chi2 = square - pull * shift
        if free > 0 and chi2 > free * level > 0 and precision < inf:
            agreed, bound = precision * free, own * level + shift * shift
            precision = level / bound if chi2 > agreed * bound > 0 else level * agreed / chi2
        least = (1 / limit if limit > 0 else inf) if limit >= 0 else nan
        return price if precision >= least and 0 < price < inf else nan, precision

    def _fire(self, group: int, now: int) -> int:
        """Marks every trigger of an underlying that is awake and over its level; an unknown fair value fires none."""
        c, g, h = self.c, self.c.g[group], self.c.h[group]
        own = self._own(group, now)
        why = K.END
        for at in range(int(h[K.SLOT_FROM]), int(h[K.SLOT_TO])):
            slot, level = c.slots[at], float(c.levels[at])
            if slot[K.SLOT_KIND] == K.SLOT_EDGE:
                hit = own < inf and own <= c.p[K.MAX_VAR] and float(g[K.EDGE]) > level
            else:
                price, variance = self._known_without(int(slot[K.SLOT_SCOPE]), group, now)
                premium = float(c.f[slot[K.SLOT_SCOPE], K.MID_USD]) * (1e4 / price) - 1e4
                if slot[K.SLOT_KIND] == K.SLOT_PREMIUM:
                    hit = abs(premium) > level
                else:
                    hit = premium * premium > level * level * variance * 1e8
            if hit and now >= slot[K.SLOT_NOT_BEFORE]:
                slot[K.SLOT_FIRED] = 1
                why = K.TRIGGER
        return why
