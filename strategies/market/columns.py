"""What we believe now: numpy columns, one element per instrument, underlying or coin, that the scan keeps true.

Fast facts (quotes, premia, edges, ages) are written by the scan from rows. Slow facts (costs, shares per unit, who may
be bought or sold, the session) are written here, by Python, and in strategies/market/witnesses.py what the timer knows
of witnesses; strategies/market/readings.py reads. The arrays behind the names are laid out in
strategies/market/kernel.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from connectors.events import F8, I8, NS, Rows, Why
from connectors.instruments import USD, Role, UnitModel, Universe
from strategies.market import kernel as K
from strategies.market.controls import Following
from strategies.market.fair import VarianceClock, variance_clock
from strategies.market.funding import Funding
from strategies.market.readings import DOUBTED_VAR, Forecast
from strategies.market.session import HOURS, Session, SessionTable
from strategies.market.witnesses import Witnesses
from strategies.pricing.costs import Costs

FOREVER_NS = 2**62
"""An age limit that is never reached, and can still be added to a time."""

_BITS = {Role.TOKEN: K.JUDGED | K.TRADED, Role.SHARE: K.EVIDENCE, Role.COIN: K.COIN, Role.PERP: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Slow facts of one instrument. Costs are shares of the price; None means unknown, and nothing is traded there."""

    cost: float | None = None
    """All that a leg costs at the reference size: the float form of `costs`, for the scan."""
    costs: Costs | None = None
    """The same by component; None where only the sum is known."""
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
    premium_sd: float = 0.0050
    """One sigma of the premium of a token of which nothing is known yet, as a share of the price."""
    judge: bool = True
    """Compute premia. Off for a bare scan of edges."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A wake condition of a strategy, as the scan sees it."""

    kind: int
    scope: int
    """An underlying for an edge, an instrument for a premium or its significance."""
    level: float


class Columns(Witnesses):
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
        self.work: F8 = np.zeros(K.WORK_ROWS * K.LANES)
        """What the scan works premia out in; means nothing between two calls."""
        self.doubts: I8 = np.zeros(max(1, count), np.int64)
        """What our own judgement has against each instrument: a bit (1 << Why) for each reason."""
        self.said: dict[int, tuple[int, int]] = {}
        """By instrument whose stream is not up by its own word: codes of Health and Why."""
        self.fundings: dict[int, Funding] = {}
        """By number of a perp whose expected basis is told by its funding: that funding."""
        self.followings: dict[int, Following] = {}
        """By underlying that has controls."""
        self.weighed = False
        """Whether anybody was ever a witness; else a fair value is what the best source says, which is told sooner."""
        self.why_barred: list[str] = [""] * count
        """Why each instrument may not be bought or sold, on the side on which it may not, in words."""
        self.hard_bars: list[str] = ["no row yet"] * count
        """Why each may not be traded even to close what is open; empty where it may."""
        self.taken_bid: list[float] = [0.0] * count
        self.taken_ask: list[float] = [0.0] * count
        self.taken_prints: list[int] = [-1] * count
        self.forecasts = [Forecast(variance=beliefs.premium_sd**2)] * count
        """What the next print of each instrument is expected to be."""
        self.judged_by = list(self.forecasts)
        """What its last digested print was expected to be, before it was seen."""
        self.digested: list[int] = [0] * count
        """Number of that print."""
        for number in range(count):
            self._place(number)
        self._group_of: list[int] = self.k[:, K.UNDERLYING].tolist()
        self._prices_of = {
            coin: tuple(at for at, i in enumerate(universe) if i.role is Role.COIN and i.coin == coin)
            for coin in self.coins
        }
        self._fx_by = [None if i.quote == USD else self._prices_of.get(i.quote, ()) for i in universe]
        self._group(slots)
        self._judge_by(beliefs)
        self._market = (self.members, self.references, self.f, self.k, self.g, self.h, self.p, self.q)
        self._tail = (
            self.f, self.k, self.g, self.h, self.fx, self.members, self.references,
            self.slots, self.levels, self.refused, self.p, self.q, self.work,
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
        k[K.HOURS] = sum(1 << session for session in HOURS[instrument.hours])
        k[K.QUOTE_COIN] = -1 if instrument.quote == USD else self.coins.index(instrument.quote)
        k[K.FX_COIN] = self.coins.index(instrument.coin) if instrument.role is Role.COIN else -1
        # A coin is a price, not a market: whatever its venue charges, nobody may buy or sell it. What is opened in a
        # perp stays open and pays funding, so it is no end of an edge that is had at once.
        cost = nan if facts.cost is None or instrument.role in (Role.COIN, Role.PERP) else facts.cost
        spread = 0.0
        if instrument.one_price:
            spread = nan if facts.assumed_half_spread is None else facts.assumed_half_spread
        f[K.BUY_COST], f[K.SELL_COST] = (1 + cost) * (1 + spread), (1 - cost) * (1 - spread)
        f[K.USD_PER_UNIT] = 1.0 if instrument.quote == USD else nan
        f[K.SOURCE_VAR] = facts.source_error**2
        f[K.WEIGHT], f[K.LEAN] = -1.0, 1.0
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
            h[K.SOURCE] = h[K.TOUCHED] = h[K.OWN_TS] = -1
            h[K.MEMBER_FROM], h[K.REF_FROM] = len(members), len(references)
            speakers = self.universe.where(underlying=name)
            inside = [at for at in speakers if self.k[at, K.ROLE] & (K.TRADED | K.JUDGED)]
            members += inside
            h[K.MEMBER_TO] = len(members)
            members += [at for at in speakers if at not in inside]
            h[K.WITNESS_TO] = len(members)
            references += [at for at in speakers if self.k[at, K.ROLE] & K.EVIDENCE]
            h[K.REF_TO] = len(references)
            by_witness: dict[str, list[int]] = {}
            for number in speakers:
                by_witness.setdefault(self.universe[number].kin, []).append(number)
            for kin in by_witness.values():
                self.k[kin, K.KIN] = min(kin) if len(kin) > 1 else -1
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
        self.witnesses_of = [
            tuple(members[h[K.MEMBER_FROM] : h[K.WITNESS_TO]]) for h in self.h[: len(self.underlyings)].tolist()
        ]
        """The same and those that are only witnesses: perps and sources that are not traded."""
        self.references: I8 = np.array(references, np.int64)
        self.sources_of = [tuple(references[h[K.REF_FROM] : h[K.REF_TO]]) for h in self.h.tolist()]
        """Numbers of the share sources of each underlying."""

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
        fast = (self.members, self.references, self.slots, self.levels, self.f, self.k, self.g, self.h, self.p, self.q)
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
        f[[K.PREMIUM, K.SELL_PREMIUM, K.BUY_PREMIUM, K.SIGMAS]] = nan
        self.k[number, K.EXPIRES] = 0

    def doubt(self, number: int, why: Why, *, stands: bool = True) -> None:
        """Writes that something speaks against an instrument, or no longer does.

        A source in doubt is not the fair value's while another one stands; alone, it makes the error 100 % larger. A
        witness in doubt weighs nothing, until it is weighed anew without one.
        """
        if stands:
            self.hush(number)
        before = int(self.doubts[number])
        after = before | 1 << why if stands else before & ~(1 << why)
        self.doubts[number] = after
        if self.universe[number].role is Role.SHARE and bool(before) != bool(after):
            more = DOUBTED_VAR if after else -DOUBTED_VAR
            self.f[number, K.SOURCE_VAR] = self.facts[number].source_error ** 2 + (DOUBTED_VAR if after else 0.0)
            self.f[number, K.REF_VAR] += more
            self.f[number, K.REF_KEY] += more
            self.h[self._group_of[number], K.OWN_TS] = -1
            self._choose(self._group_of[number])

    def doubted(self, number: int, why: Why | None = None) -> bool:
        """Whether our own judgement has anything, or this, against an instrument."""
        bits = self.doubts.item(number)
        return bits != 0 if why is None else bits & 1 << why != 0

    def _choose(self, group: int) -> None:
        """Chooses the source of a fair value anew, as the scan does, and lets the scan write what follows."""
        g, h = self.g[group], self.h[group]
        sources = self.sources_of[group]
        believed = [at for at in sources if self.k[at, K.REFUSAL] == K.OK and self.f[at, K.REF_KEY] < inf]
        best = min(believed, key=lambda at: (float(self.f[at, K.REF_KEY]), at), default=-1)
        h[K.SOURCE] = best
        g[K.FAIR_KEY] = self.f[best, K.REF_KEY] if best >= 0 else inf
        g[K.FAIR] = self.f[best, K.REF_MID] if best >= 0 else nan
        with np.errstate(all="ignore"):
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
        f[[K.PREMIUM, K.SELL_PREMIUM, K.BUY_PREMIUM, K.SIGMAS]] = nan
        f[[K.REF_MID, K.REF_VAR, K.REF_KEY, K.LAST_BID, K.LAST_ASK, K.SUSPECT]] = nan
        k[[K.EXPIRES, K.SUSPECT_ROWS, K.CONFIRMED, K.SAME_ROWS]] = 0
        k[K.CALM] = -1
        group = self._group_of[number]
        touched = int(self.h[group, K.TOUCHED])
        if k[K.ROLE] & K.EVIDENCE:
            self._choose(group)
        self.h[group, K.TOUCHED] = touched
        self.g[group, K.EDGE] = nan
        K.premia(np.uint64(group), self.now, *self._market, self.work)

    def permit(self, number: int, *, buy_from: int, sell_from: int, why: str = "", hard: str = "") -> None:
        """From when an instrument may be bought and sold (ns UTC); NEVER means it may not, for the reason `why`. What
        `hard` says bars even what closes a trade."""
        self.k[number, K.BUY_FROM], self.k[number, K.SELL_FROM] = buy_from, sell_from
        self.why_barred[number], self.hard_bars[number] = why, hard

    def take(self, number: int, units: float, *, bid: bool) -> None:
        """We consumed units at the best bid or ask; they stay consumed until the venue prints again."""
        prints = self.k_rows[number][K.PRINTS]
        if self.taken_prints[number] != prints:
            self.taken_prints[number] = prints
            self.taken_bid[number] = self.taken_ask[number] = 0.0
        taken = self.taken_bid if bid else self.taken_ask
        taken[number] += units
