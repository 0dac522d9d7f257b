"""What we believe now: numpy columns, one element per instrument, underlying or coin, that the scan keeps true.

Fast facts (quotes, premia, edges, ages) are written by the scan from rows. Slow facts (costs, shares per unit, who may
be bought or sold, the session) are written here, by Python. The arrays behind the names are laid out in
strategies/market/kernel.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np

from connectors.events import F8, I8, NS, Rows, Why
from connectors.instruments import USD, Hours, Role, UnitModel, Universe
from strategies.market import kernel as K
from strategies.market.fair import FairValue, VarianceClock, variance_clock
from strategies.market.session import Session, SessionTable

DOUBTED_VAR = 1.0
"""Added to the variance of a source in doubt: 100 %, so that it never comes before one that is not."""

FOREVER_NS = 2**62
"""An age limit that is never reached, and can still be added to a time."""

_BITS = {Role.TOKEN: K.JUDGED | K.TRADED, Role.SHARE: K.EVIDENCE, Role.COIN: K.COIN, Role.PERP: 0}

_HOURS = {
    Hours.ALWAYS: tuple(Session),
    Hours.WEEKDAYS: (Session.PRE, Session.REGULAR, Session.POST, Session.OVERNIGHT),
    Hours.EXTENDED: (Session.PRE, Session.REGULAR, Session.POST),
    Hours.REGULAR: (Session.REGULAR,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Slow facts of one instrument. Costs are shares of the price; None means unknown, and nothing is traded there."""

    cost: float | None = None
    """Taker fee plus fixed costs at the reference size, per leg."""
    traded: bool = False
    max_age_ns: int = FOREVER_NS
    source_error: float = 0.0
    """For a share source: one sigma when fresh, as a share of the price."""
    assumed_half_spread: float | None = None
    """For a series with one price: the half-spread to fill at. None: it is watched and never filled."""
    assumed_size: float = nan
    """For a series with one price: units that may be taken per print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """What a quote must be like to be believed. `inf` switches a gate off."""

    max_reference_spread: float = inf
    stub_move: float = inf
    frozen_ns: int = FOREVER_NS
    frozen_rows: int = 4
    outlier_bps: float = inf
    confirm_ns: int = 0
    confirm_rows: int = 1
    note_gap_ns: int = 60 * NS
    """A refusal of the same instrument is told at most once in this time; it is always counted."""
    max_error: float = inf
    """One sigma, as a share of the price, above which a fair value is unknown."""
    max_silence_days: float = inf
    """Regular trading days of variance that may pass since its source spoke; after more it is unknown."""
    daily_vol: dict[str, float] | None = None
    default_daily_vol: float = 0.0
    judge: bool = True
    """Compute premia. Off for a bare scan of edges."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A wake condition of a strategy, as the scan sees it."""

    kind: int
    scope: int
    """An underlying for an edge, an instrument for a premium or its significance."""
    level: float


class Columns:
    """All columns of a universe.

    Raises DataError through SessionTable where the table is broken. Shapes: I instruments, U underlyings, C coins.
    """

    def __init__(
        self,
        universe: Universe,
        facts: Sequence[Facts],
        beliefs: Beliefs,
        sessions: SessionTable,
        slots: Sequence[Slot] = (),
    ) -> None:
        """Columns before the first row: every price is absent, and the fair value unknown."""
        self.universe = universe
        self.underlyings = universe.underlyings()
        self.coins = universe.coins()
        self.facts = tuple(facts)
        self.beliefs = beliefs
        self.sessions = sessions
        self.clock: VarianceClock = variance_clock(sessions)
        self.session = Session.UNKNOWN
        count, groups = len(universe), max(1, len(self.underlyings))
        self.f: F8 = np.full((max(1, count), K.F_COLUMNS), nan)
        self.k: I8 = np.zeros((max(1, count), K.K_COLUMNS), np.int64)
        self.f_rows: tuple[Sequence[float], ...] = tuple(memoryview(row) for row in self.f)
        self.k_rows: tuple[Sequence[int], ...] = tuple(memoryview(row) for row in self.k)
        """Their rows, of which Python reads a single number in half the time."""
        self.g: F8 = np.full((groups, K.G_COLUMNS), nan)
        self.h: I8 = np.zeros((groups, K.H_COLUMNS), np.int64)
        self.fx: F8 = np.full(max(1, len(self.coins)), nan)
        self.refused: I8 = np.zeros((max(1, count), len(K.REFUSALS)), np.int64)
        self.p: F8 = np.zeros(K.P_SCALARS)
        self.q: I8 = np.zeros(K.Q_SCALARS, np.int64)
        self.doubts: I8 = np.zeros(max(1, count), np.int64)
        """What our own judgement has against each instrument: a bit (1 << Why) for each reason."""
        self.why_barred: list[str] = [""] * count
        """Why each instrument may not be bought or sold, on the side on which it may not, in words."""
        self.taken_bid: list[float] = [0.0] * count
        self.taken_ask: list[float] = [0.0] * count
        self.taken_prints: list[int] = [-1] * count
        for number in range(count):
            self._place(number)
        self._group_of: list[int] = self.k[:, K.UNDERLYING].tolist()
        self._prices_of = {
            coin: tuple(at for at, i in enumerate(universe) if i.role is Role.COIN and i.coin == coin)
            for coin in self.coins
        }
        self._group(slots)
        self._judge_by(beliefs)
        self._tail = (
            self.f, self.k, self.g, self.h, self.fx, self.members, self.references,
            self.slots, self.levels, self.refused, self.p, self.q,
        )  # fmt: skip

    def _place(self, number: int) -> None:
        """The slow facts of one instrument."""
        instrument, facts = self.universe[number], self.facts[number]
        f, k = self.f[number], self.k[number]
        role = _BITS[instrument.role]
        k[K.ROLE] = role | (K.TRADED if facts.traded else 0)
        k[K.UNDERLYING] = self.underlyings.index(instrument.underlying) if instrument.underlying else 0
        k[K.MAX_AGE] = min(facts.max_age_ns, FOREVER_NS)
        k[K.ONE_PRICE] = instrument.one_price
        k[K.CALM] = -1
        k[K.SAYS] = K.FAIR if role & K.EVIDENCE else K.NOTHING
        k[K.HOURS] = sum(1 << session for session in _HOURS[instrument.hours])
        k[K.QUOTE_COIN] = -1 if instrument.quote == USD else self.coins.index(instrument.quote)
        k[K.FX_COIN] = self.coins.index(instrument.coin) if instrument.role is Role.COIN else -1
        # A coin is a price, not a market: whatever its venue charges, nobody may buy or sell it.
        cost = nan if facts.cost is None or role & K.COIN else facts.cost
        spread = 0.0
        if instrument.one_price:
            spread = nan if facts.assumed_half_spread is None else facts.assumed_half_spread
        f[K.BUY_COST], f[K.SELL_COST] = (1 + cost) * (1 + spread), (1 - cost) * (1 - spread)
        f[K.USD_PER_UNIT] = 1.0 if instrument.quote == USD else nan
        f[K.SOURCE_VAR] = facts.source_error**2
        plain = instrument.role is not Role.TOKEN or instrument.unit_model is UnitModel.REBASING
        self._worth(number, 1.0 if plain else nan if instrument.multiplier is None else instrument.multiplier)

    def _worth(self, number: int, shares_per_unit: float) -> None:
        """Sets what a unit is worth in shares, and what follows from it."""
        f = self.f[number]
        f[K.SHARES_PER_UNIT] = shares_per_unit
        f[K.USD_PER_SHARE] = f[K.USD_PER_UNIT] / shares_per_unit
        f[K.BUY_FACTOR] = f[K.USD_PER_SHARE] * f[K.BUY_COST]
        f[K.SELL_FACTOR] = f[K.USD_PER_SHARE] * f[K.SELL_COST]

    def _group(self, slots: Sequence[Slot]) -> None:
        """Which instruments and triggers belong to which underlying."""
        members: list[int] = []
        references: list[int] = []
        ordered: list[tuple[int, int, Slot]] = []
        for group, name in enumerate(self.underlyings):
            h = self.h[group]
            h[K.SOURCE] = h[K.TOUCHED] = -1
            h[K.MEMBER_FROM], h[K.REF_FROM] = len(members), len(references)
            for number in self.universe.where(underlying=name):
                role = self.k[number, K.ROLE]
                if role & (K.TRADED | K.JUDGED):
                    members.append(number)
                if role & K.EVIDENCE:
                    references.append(number)
            h[K.MEMBER_TO], h[K.REF_TO] = len(members), len(references)
        for at, slot in enumerate(slots):
            group = slot.scope if slot.kind == K.SLOT_EDGE else int(self.k[slot.scope, K.UNDERLYING])
            ordered.append((group, at, slot))
        ordered.sort(key=lambda item: item[:2])
        self.slot_of = {at: place for place, (_, at, _) in enumerate(ordered)}
        """Where the caller's n-th slot stands in the arrays."""
        self.slot_group = [group for group, _, _ in ordered]
        """The underlying's number of each slot, in their order in the arrays."""
        self.slots: I8 = np.zeros((len(ordered), 4), np.int64)
        self.levels: F8 = np.zeros(len(ordered))
        for place, (_, _, slot) in enumerate(ordered):
            self.slots[place, K.SLOT_KIND], self.slots[place, K.SLOT_SCOPE] = slot.kind, slot.scope
            self.levels[place] = slot.level
        for group in range(len(self.underlyings)):
            places = [place for place, item in enumerate(ordered) if item[0] == group]
            self.h[group, K.SLOT_FROM] = places[0] if places else 0
            self.h[group, K.SLOT_TO] = places[-1] + 1 if places else 0
        self.members: I8 = np.array(members, np.int64)
        self.members_of = [
            tuple(members[h[K.MEMBER_FROM] : h[K.MEMBER_TO]]) for h in self.h[: len(self.underlyings)].tolist()
        ]
        """Numbers of the judged and traded instruments of each underlying."""
        self.references: I8 = np.array(references, np.int64)

    def _judge_by(self, beliefs: Beliefs) -> None:
        """The gates and the growth of the error."""
        volatility = beliefs.daily_vol or {}
        for group, name in enumerate(self.underlyings):
            self.g[group, K.VOL2] = volatility.get(name, beliefs.default_daily_vol) ** 2
            self.g[group, K.FAIR_KEY] = inf
            silent = beliefs.max_silence_days
            self.g[group, K.SILENT_VAR] = inf if silent == inf else silent * self.g[group, K.VOL2]
        p, q = self.p, self.q
        p[K.OUTLIER], p[K.MAX_SPREAD] = beliefs.outlier_bps / 1e4, beliefs.max_reference_spread
        p[K.STUB_MOVE], p[K.MAX_VAR] = beliefs.stub_move, -1.0
        # A source may say anything; the rest may not be far from it.
        self.f[:, K.NEAR] = np.where(self.k[:, K.ROLE] & K.EVIDENCE, inf, p[K.OUTLIER])
        q[K.FROZEN_NS], q[K.FROZEN_ROWS] = min(beliefs.frozen_ns, FOREVER_NS), beliefs.frozen_rows
        q[K.CONFIRM_NS], q[K.CONFIRM_ROWS] = beliefs.confirm_ns, beliefs.confirm_rows
        q[K.NOTE_GAP], q[K.PREMIA] = beliefs.note_gap_ns, beliefs.judge
        gates = (beliefs.max_reference_spread, beliefs.stub_move, float(min(beliefs.frozen_ns, FOREVER_NS)))
        q[K.GATED] = gates != (inf, inf, float(FOREVER_NS))

    # --- the scan

    def scan(self, rows: Rows, start: int, until: int) -> tuple[int, int]:
        """Applies rows from `start`; returns (next row, why it stopped) as kernel.scan says."""
        return K.scan(  # type: ignore[no-any-return]
            start, until, rows.ts_recv, rows.instrument, rows.kind, rows.flags,
            rows.bid, rows.ask, rows.bid_size, rows.ask_size, *self._tail,
        )  # fmt: skip

    def fires(self, number: int, now: int) -> bool:
        """Marks the triggers of an instrument's underlying that would fire on a row of `now`; True where any does."""
        group = np.uint64(self._group_of[number])
        fast = (self.members, self.slots, self.levels, self.f, self.k, self.g, self.h, self.p, self.q)
        return bool(K._fires(group, now, now, *fast))

    def enter_session(self, ns: int) -> int:
        """Makes the session of `ns` the one in force; returns the moment of the next change (NEVER where none is).

        In an unknown session every fair value is unknown and no source is believed.
        """
        self.session = self.sessions.at(ns)
        known = self.session is not Session.UNKNOWN
        place = max(0, int(np.searchsorted(self.clock.edges, ns, side="right")) - 1) if known else 0
        self.p[K.CLOCK] = self.clock.days[place] if known else 0.0
        self.p[K.CLOCK_RATE] = self.clock.rates[place] if known else 0.0
        self.q[K.CLOCK_TS] = self.clock.edges[place] if known else ns
        self.q[K.SESSION_BIT] = 1 << self.session if known else 0
        self.p[K.MAX_VAR] = self.beliefs.max_error**2 if known else -1.0
        self.k[:, K.CALM] = -1  # the calm path does not ask for a source's hours
        return self.sessions.next_change(ns)

    def set_shares_per_unit(self, number: int, shares: float) -> None:
        """A unit is now worth so many shares; the last quote was in the old unit, so it is forgotten."""
        self._worth(number, shares)
        f = self.f[number]
        f[[K.BID, K.ASK, K.BID_SIZE, K.ASK_SIZE, K.MID_USD, K.NET_ASK, K.NET_BID]] = nan
        f[[K.PREMIUM, K.SELL_PREMIUM, K.BUY_PREMIUM]] = nan
        self.k[number, K.EXPIRES] = 0

    def doubt(self, number: int, why: Why, *, stands: bool = True) -> None:
        """Writes that something speaks against an instrument, or no longer does.

        A source in doubt is not the fair value's while another one stands; alone, it makes the error 100 % larger.
        """
        before = int(self.doubts[number])
        after = before | 1 << why if stands else before & ~(1 << why)
        self.doubts[number] = after
        if self.universe[number].role is Role.SHARE and bool(before) != bool(after):
            more = DOUBTED_VAR if after else -DOUBTED_VAR
            self.f[number, K.SOURCE_VAR] = self.facts[number].source_error ** 2 + (DOUBTED_VAR if after else 0.0)
            self.f[number, K.REF_VAR] += more
            self.f[number, K.REF_KEY] += more
            self._choose(self._group_of[number])

    def doubted(self, number: int, why: Why | None = None) -> bool:
        """Whether our own judgement has anything, or this, against an instrument."""
        bits = self.doubts.item(number)
        return bits != 0 if why is None else bits & 1 << why != 0

    def _choose(self, group: int) -> None:
        """Chooses the source of a fair value anew, as the scan does, and lets the scan write what follows."""
        g, h = self.g[group], self.h[group]
        sources = self.references[h[K.REF_FROM] : h[K.REF_TO]].tolist()
        believed = [at for at in sources if self.k[at, K.REFUSAL] == K.OK and self.f[at, K.REF_KEY] < inf]
        best = min(believed, key=lambda at: (float(self.f[at, K.REF_KEY]), at), default=-1)
        h[K.SOURCE] = best
        g[K.FAIR_KEY] = self.f[best, K.REF_KEY] if best >= 0 else inf
        g[K.FAIR] = self.f[best, K.REF_MID] if best >= 0 else nan
        g[K.FAIR_SCALE] = 1e4 / g[K.FAIR]
        if best >= 0:
            h[K.AS_OF] = self.k[best, K.REF_TS]
        h[K.TOUCHED] = self.now

    def band(self, number: int, low: float, high: float) -> None:
        """Only prices in [low, high], USD per share, are believed of an instrument; nan and nan: all are."""
        self.f[number, K.BAND_LOW], self.f[number, K.BAND_HIGH] = low, high
        self.k[number, K.CALM] = -1

    def forget(self, number: int) -> None:
        """What an instrument has said so far is no price any more: as if it had never been heard."""
        f, k = self.f[number], self.k[number]
        f[[K.BID, K.ASK, K.BID_SIZE, K.ASK_SIZE, K.MID_USD, K.NET_ASK, K.NET_BID]] = nan
        f[[K.PREMIUM, K.SELL_PREMIUM, K.BUY_PREMIUM]] = nan
        f[[K.REF_MID, K.REF_VAR, K.REF_KEY, K.LAST_BID, K.LAST_ASK, K.SUSPECT]] = nan
        k[[K.EXPIRES, K.SUSPECT_ROWS, K.CONFIRMED, K.SAME_ROWS]] = 0
        k[K.CALM] = -1
        group = self._group_of[number]
        touched = int(self.h[group, K.TOUCHED])
        if k[K.ROLE] & K.EVIDENCE:
            self._choose(group)
        self.h[group, K.TOUCHED] = touched
        self.g[group, K.EDGE] = nan
        K.premia(np.uint64(group), self.members, self.f, self.g, self.h)

    def permit(self, number: int, *, buy_from: int, sell_from: int, why: str = "") -> None:
        """From when an instrument may be bought and sold (ns UTC); NEVER means it may not, for the reason `why`."""
        self.k[number, K.BUY_FROM], self.k[number, K.SELL_FROM] = buy_from, sell_from
        self.why_barred[number] = why

    # --- readings

    @property
    def now(self) -> int:
        """`ts_recv` of the last row that the scan looked at."""
        return int(self.q[K.NOW])

    def variance(self, group: int, now: int) -> float:
        """Variance of log fair value at `now`; above the limit, or nan, means unknown."""
        p, g = self.p.item, self.g.item
        clock = p(K.CLOCK) + p(K.CLOCK_RATE) * float(now - self.q.item(K.CLOCK_TS))
        return g(group, K.FAIR_KEY) + g(group, K.VOL2) * clock

    def source_variance(self, number: int, now: int) -> float:
        """Variance of log price of a source at `now`, whatever our doubts; nan where it never spoke."""
        p = self.p.item
        clock = p(K.CLOCK) + p(K.CLOCK_RATE) * float(now - self.q.item(K.CLOCK_TS))
        doubt = DOUBTED_VAR if self.doubts.item(number) else 0.0
        return self.f.item(number, K.REF_KEY) + self.g.item(self._group_of[number], K.VOL2) * clock - doubt

    def fair(self, group: int, now: int) -> FairValue | None:
        """Fair value of one share of an underlying at `now`, or None where it is unknown."""
        price, variance, source = self.g.item(group, K.FAIR), self.variance(group, now), self.h.item(group, K.SOURCE)
        if not (price > 0 and variance <= self.p.item(K.MAX_VAR)) or self._silent(group, source, variance):
            return None
        return FairValue(
            price=price,
            error=price * sqrt(max(variance, 0.0)),
            source=source,
            as_of=self.h.item(group, K.AS_OF),
        )

    def _silent(self, group: int, source: int, variance: float) -> bool:
        """Whether the source of a fair value has been silent for too long, when the fair value's variance is this."""
        return not variance - self.f.item(source, K.REF_VAR) <= self.g.item(group, K.SILENT_VAR)

    def why_unknown(self, group: int, now: int) -> str:
        """Why the fair value of an underlying is unknown at `now`, in words; empty where it is known."""
        if self.fair(group, now) is not None:
            return ""
        source = self.h.item(group, K.SOURCE)
        if self.session is Session.UNKNOWN:
            return "no session is known"
        if source < 0 or not self.g.item(group, K.FAIR) > 0:
            return "no source is left to believe"
        name = self.universe[source].name
        if self._silent(group, source, self.variance(group, now)):
            return f"{name} has been silent for too long"
        if self.doubts.item(source):
            return "every source that is left is in doubt"
        return f"the error of {name} is above the limit"

    def best_pair(self, group: int, now: int) -> tuple[int, int, float]:
        """(buy at, sell at, edge in bps) of the best eligible pair at `now`; (-1, -1, nan) where there is none."""
        cheapest, dearest, buy, sell = inf, -inf, -1, -1
        f_rows, k_rows = self.f_rows, self.k_rows
        for number in self.members_of[group]:
            f, k = f_rows[number], k_rows[number]
            if now <= k[K.EXPIRES]:
                ask, bid = f[K.NET_ASK], f[K.NET_BID]
                if ask < cheapest and now >= k[K.BUY_FROM]:
                    cheapest, buy = ask, number
                if bid > dearest and now >= k[K.SELL_FROM]:
                    dearest, sell = bid, number
        if buy < 0 or sell < 0 or buy == sell:
            return -1, -1, nan
        return buy, sell, (dearest - cheapest) * self.g.item(group, K.FAIR_SCALE)

    def seen_pair(self, group: int, now: int) -> tuple[int, int, float, str]:
        """As `best_pair`, of any two different instruments, and in words what bars that pair; empty where nothing does.

        For people: where this one may not be traded another may, and then `best_pair` knows it.
        """
        f, k = self.f.item, self.k.item
        fresh = [number for number in self.members_of[group] if now <= k(number, K.EXPIRES)]
        gaps = [(f(sell, K.NET_BID) - f(buy, K.NET_ASK), buy, sell) for buy in fresh for sell in fresh if buy != sell]
        widest = max((gap for gap in gaps if gap[0] == gap[0]), key=lambda gap: gap[0], default=None)
        if widest is None:
            return -1, -1, nan, "no two of its tokens have a fresh quote"
        gap, buy, sell = widest
        sides = ((buy, "buying", K.BUY_FROM), (sell, "selling", K.SELL_FROM))
        bars = {side: self.why_barred[number] for number, side, column in sides if now < k(number, column)}
        same = len(bars) == 2 and len(set(bars.values())) == 1
        said = bars["buying"] if same else "; ".join(f"{side}: {why}" for side, why in bars.items())
        return buy, sell, gap * float(self.g[group, K.FAIR_SCALE]), said

    def group(self, number: int) -> int:
        """The underlying's number of an instrument."""
        return self._group_of[number]

    def left(self, number: int, *, bid: bool) -> float:
        """Units still there at the best bid or ask: what was seen less what we took since; nan where unknown."""
        if self.universe[number].one_price:
            seen = self.facts[number].assumed_size
        else:
            seen = self.f_rows[number][K.BID_SIZE if bid else K.ASK_SIZE]
        if self.taken_prints[number] == self.k_rows[number][K.PRINTS]:
            seen -= (self.taken_bid if bid else self.taken_ask)[number]
        return 0.0 if seen < 0.0 else seen

    def taken(self, number: int, *, bid: bool) -> float:
        """Units that we took at the best bid or ask since the venue printed it."""
        if self.taken_prints[number] != self.k_rows[number][K.PRINTS]:
            return 0.0
        return (self.taken_bid if bid else self.taken_ask)[number]

    def take(self, number: int, units: float, *, bid: bool) -> None:
        """We consumed units at the best bid or ask; they stay consumed until the venue prints again."""
        prints = self.k_rows[number][K.PRINTS]
        if self.taken_prints[number] != prints:
            self.taken_prints[number] = prints
            self.taken_bid[number] = self.taken_ask[number] = 0.0
        taken = self.taken_bid if bid else self.taken_ask
        taken[number] += units

    def mark_usd(self, number: int) -> float:
        """USD per unit at the last mid; nan where unknown."""
        f = self.f_rows[number]
        return 0.5 * (f[K.BID] + f[K.ASK]) * f[K.USD_PER_UNIT]

    def known_fx(self, number: int) -> float:
        """USD per quote currency of an instrument; nan where unknown."""
        usd = self.f_rows[number][K.USD_PER_UNIT]
        return usd if isfinite(usd) else nan

    def fx_is_fresh(self, number: int, now: int) -> bool:
        """Whether the quote currency of an instrument is USD, or a believed price of that coin is young enough."""
        coin = self.universe[number].quote
        k = self.k_rows
        return coin == USD or any(
            now <= k[at][K.EXPIRES] and k[at][K.REFUSAL] == K.OK for at in self._prices_of.get(coin, ())
        )

    # Names for people, metrics and tests; views, not copies.
    bid = property(lambda self: self.f[:, K.BID])
    ask = property(lambda self: self.f[:, K.ASK])
    bid_size = property(lambda self: self.f[:, K.BID_SIZE])
    ask_size = property(lambda self: self.f[:, K.ASK_SIZE])
    mid_usd = property(lambda self: self.f[:, K.MID_USD])
    ts = property(lambda self: self.k[:, K.TS])
    prints = property(lambda self: self.k[:, K.PRINTS])
    premium_bps = property(lambda self: self.f[:, K.PREMIUM])
    sell_premium_bps = property(lambda self: self.f[:, K.SELL_PREMIUM])
    buy_premium_bps = property(lambda self: self.f[:, K.BUY_PREMIUM])
    usd_per_share = property(lambda self: self.f[:, K.USD_PER_SHARE])
    shares_per_unit = property(lambda self: self.f[:, K.SHARES_PER_UNIT])
    refusal = property(lambda self: self.k[:, K.REFUSAL])
    expires = property(lambda self: self.k[:, K.EXPIRES])
    fair_price = property(lambda self: self.g[:, K.FAIR])
    fair_source = property(lambda self: self.h[:, K.SOURCE])
    fair_as_of = property(lambda self: self.h[:, K.AS_OF])
    edge_bps = property(lambda self: self.g[:, K.EDGE])
