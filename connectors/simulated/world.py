"""A seeded world as rows: everything that its venues would have said, and the truth about what was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.errors import DataError
from connectors.events import F8, I8, NAN, NS, ROW, Kind, Rows
from connectors.instruments import Instrument, Role, Universe
from connectors.simulated import cast
from connectors.simulated.faults import Faults, Injected, SessionsAt, plan
from connectors.simulated.prices import STEP_S, Truth, hover, since, truth

START_NS: Final = 1_788_526_800 * NS
"""Friday 2026-09-04 13:00 UTC, 09:00 in New York: half an hour of pre-market before the bell."""

SECONDS: Final = 100 * 3600.0
"""To Tuesday 13:00 in New York: a regular session, a weekend, Labor Day, a night, and the next regular session."""

Records = npt.NDArray[np.void]
"""An array of ROW records."""

_RANK: Final = {Kind.HEALTH: 0, Kind.MULTIPLIER: 1, Kind.FX: 2, Kind.REFERENCE: 3, Kind.FUNDING: 4, Kind.QUOTE: 5}


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What a seed came to."""

    universe: Universe
    rows: Rows
    """In order of ts_recv."""
    injected: tuple[Injected, ...]
    """The faults that were switched on, in order of time."""


def simulate(
    seed: int,
    start_ns: int = START_NS,
    seconds: float = SECONDS,
    faults: Faults | None = None,
    *,
    sessions: SessionsAt,
) -> World:
    """A world of `seconds` from `start_ns` (ns UTC); the same seed gives the same bytes.

    `sessions` gives the session codes of many moments. Raises DataError where the world would leave the calendar or
    last less than a minute.
    """
    faults = faults or Faults()
    points = int(seconds / STEP_S) + 2
    codes = np.asarray(sessions(start_ns + (np.arange(points) * int(STEP_S * NS)).astype(np.int64)), dtype=np.int64)
    if not seconds >= 60 or np.any(codes == cast.UNKNOWN):
        raise DataError(
            "the world is shorter than a minute or leaves the session table",
            where="simulated market",
            hint="start it between 2013 and 2028",
        )
    planned = plan(seed, start_ns, seconds, sessions)
    injected = tuple(fault for fault in planned if getattr(faults, fault.kind))
    universe = cast.universe()
    maker = _Maker(seed, start_ns, seconds, codes, universe, injected)
    return World(universe, maker.rows(), injected)


class _Maker:
    """Turns the hidden truth into prints, one instrument at a time; each has a generator of its own."""

    def __init__(
        self,
        seed: int,
        start_ns: int,
        seconds: float,
        codes: I8,
        universe: Universe,
        injected: Sequence[Injected],
    ) -> None:
        self.start, self.seconds, self.universe, self.injected = start_ns, seconds, universe, injected
        first, second, *self.seeds = np.random.SeedSequence([seed, 2]).spawn(2 + len(universe))
        self.truth: Truth = truth(np.random.default_rng(first), seconds, codes)
        # What all venues of a token share: the part of its premium that no trade between them can take.
        shared = np.random.default_rng(second)
        self.shared = {c.symbol: hover(shared, len(codes), half_life_s=3600.0) for c in cast.COINS}

    def rows(self) -> Rows:
        """Everything, sorted by time; at equal times news about a series comes before its prints."""
        parts = [self._prints(number, instrument) for number, instrument in enumerate(self.universe)]
        parts.append(self._announcements())
        records = self._silence(np.concatenate(parts))
        rank = np.array([_RANK.get(Kind(kind), 9) for kind in range(len(Kind))])[records["kind"]]
        return Rows.from_records(records[np.lexsort((records["instrument"], rank, records["ts_recv"]))])

    def _prints(self, number: int, instrument: Instrument) -> Records:
        rng = np.random.default_rng(self.seeds[number])
        if instrument.role is Role.COIN:
            times = self._times(rng, 1 / cast.FX_INTERVAL_S, 1 / cast.FX_INTERVAL_S)
            mid = self._at(times, self.truth.coin_usd)
            return self._records(rng, number, Kind.FX, times, mid, 0.4, 250_000.0, 1e-6)
        if instrument.venue == cast.TAPE_VENUE:
            return self._tape(rng, number, instrument)
        if instrument.role is Role.SHARE:
            times = self._times(rng, 1 / cast.PERP_INTERVAL_S, 1 / (1.5 * cast.PERP_INTERVAL_S))
            basis = 5e-4 * hover(rng, len(self.truth.codes), half_life_s=1800.0) * self.truth.calm
            log_mid = self._at(times, self.truth.log_price[instrument.underlying] + basis)
            mid = np.exp(log_mid + 1e-4 * rng.standard_normal(len(times)))
            return self._records(rng, number, Kind.REFERENCE, times, mid, 1.5, 40_000.0, 0.01)
        if instrument.role is Role.PERP:
            return self._perp(rng, number, instrument)
        return self._token(rng, number, instrument)

    def _tape(self, rng: np.random.Generator, number: int, instrument: Instrument) -> Records:
        """The share on its exchange: it prints in pre, regular and post only."""
        times = self._times(rng, 1 / cast.TAPE_INTERVAL_S, 1 / (2 * cast.TAPE_INTERVAL_S), closed=0.0)
        log_mid = self._at(times, self.truth.log_price[instrument.underlying])
        half = 0.7 * self._at(times, self.truth.calm) ** 4
        records = self._records(rng, number, Kind.REFERENCE, times, np.exp(log_mid), half, 60_000.0, 0.01)
        for fault in self._of("frozen", instrument.name):
            first, last = np.searchsorted(records["ts_recv"], (fault.start_ns, fault.end_ns))
            for column in ("bid", "ask", "bid_size", "ask_size"):
                records[column][first:last] = records[column][max(0, first - 1)]
        return records

    def _perp(self, rng: np.random.Generator, number: int, instrument: Instrument) -> Records:
        """A perpetual: its book around the share, with a basis that its funding is made of (domain.md's usual rule: the
        average premium and a clamp of 5 bps, for eight hours)."""
        times = self._times(rng, 1 / cast.PERP_INTERVAL_S, 1 / (1.5 * cast.PERP_INTERVAL_S))
        premium = 3e-4 * hover(rng, len(self.truth.codes), half_life_s=1800.0) * self.truth.calm
        mid = np.exp(self._at(times, self.truth.log_price[instrument.underlying] + premium))
        book = self._records(rng, number, Kind.QUOTE, times, mid, 1.5, 40_000.0, 0.01)
        told = self.start + (np.arange(1, int(self.seconds / cast.FUNDING_TOLD_S)) * int(cast.FUNDING_TOLD_S * NS))
        window = int(cast.FUNDING_S / STEP_S)
        summed = np.concatenate(([0.0], np.cumsum(premium)))
        ends = np.minimum(np.arange(len(premium)) + 1, len(premium))
        average = (summed[ends] - summed[np.maximum(ends - window, 0)]) / (ends - np.maximum(ends - window, 0))
        mean = self._at(told, average)
        funding = np.empty(len(told), dtype=ROW)
        funding["ts_recv"], funding["ts_venue"] = told, told
        funding["instrument"], funding["kind"], funding["flags"] = number, Kind.FUNDING, 0
        funding["bid"], funding["ask"] = mean + np.clip(1e-4 - mean, -5e-4, 5e-4), cast.FUNDING_S
        funding["bid_size"], funding["ask_size"], funding["extra"] = NAN, NAN, NAN
        return np.concatenate((book, funding))

    def _token(self, rng: np.random.Generator, number: int, instrument: Instrument) -> Records:
        market = next(m for m in cast.MARKETS if m.venue == instrument.venue)
        slow = market.interval_s * cast.OFF_HOURS_INTERVAL
        times = self._times(rng, 1 / market.interval_s, 1 / slow)
        own = hover(rng, len(self.truth.codes), half_life_s=float(rng.uniform(120, 360)))
        # Bounded, so that quiet premia never pay: what pays is a gap that was put there.
        premium_bps = 10 * np.tanh((0.6 * own + 0.6 * self.shared[instrument.token]) / 1.6) * self.truth.calm
        log_mid = self._at(times, self.truth.log_price[instrument.underlying] + premium_bps / 1e4)
        log_mid += self._pulled(instrument.name, times) / 1e4
        mid = np.exp(log_mid) * self._shares_per_unit(instrument, times)
        if instrument.quote == cast.COIN:
            mid /= self._at(times, self.truth.coin_usd)
        half = market.half_spread_bps * self._at(times, self.truth.calm)
        records = self._records(rng, number, Kind.QUOTE, times, mid, half, market.size_usd, market.tick)
        for fault in self._of("outlier", instrument.name):
            at = int(np.searchsorted(records["ts_recv"], fault.start_ns))
            if at < len(records):
                for column in ("bid", "ask"):
                    records[column][at] = (
                        np.round(records[column][at] * fault.detail["factor"] / market.tick) * market.tick
                    )
        return records

    def _records(
        self,
        rng: np.random.Generator,
        number: int,
        kind: Kind,
        times: I8,
        mid: F8,
        half_bps: F8 | float,
        size_usd: float,
        tick: float,
    ) -> Records:
        """Two-sided prints around `mid`: the spread breathes, prices stand on ticks, sizes are lognormal."""
        count = len(times)
        half = mid * half_bps / 1e4 * rng.uniform(0.85, 1.25, count)
        digits = max(0, round(-np.log10(tick)))
        bid = np.round(np.floor((mid - half) / tick) * tick, digits)
        ask = np.round(np.ceil((mid + half) / tick) * tick, digits)
        sizes = np.round(size_usd / mid * np.exp(0.5 * rng.standard_normal((2, count))), 3)
        records = np.empty(count, dtype=ROW)
        records["ts_recv"], records["ts_venue"] = times, times - rng.integers(5, 180, count) * 1_000_000
        records["instrument"], records["kind"], records["flags"] = number, kind, 0
        records["bid"], records["ask"] = bid, np.maximum(ask, np.round(bid + tick, digits))
        records["bid_size"], records["ask_size"], records["extra"] = sizes[0], sizes[1], NAN
        return records

    def _times(self, rng: np.random.Generator, regular: float, other: float, *, closed: float | None = None) -> I8:
        """Moments of prints (ns UTC) at so many a second in the regular session, else, and while the tape is shut."""
        codes = self.truth.codes
        rate = np.where(codes == cast.REGULAR, regular, other)
        if closed is not None:
            rate[(codes != cast.REGULAR) & (codes != cast.PRE) & (codes != cast.POST)] = closed
        grown = np.concatenate(([0.0], np.cumsum(rate[:-1] * STEP_S)))
        total = float(np.interp(self.seconds, self.truth.seconds, grown))
        counts = np.arange(int(total)) + rng.uniform(0.0, 0.8, int(total))
        at = np.interp(counts[counts < total], grown, self.truth.seconds)
        moments = self.start + np.minimum((at * NS).astype(np.int64), int(self.seconds * NS) - 1)
        return np.sort(moments + rng.integers(0, 1000, len(moments)))

    def _at(self, times: I8, path: F8) -> F8:
        return np.asarray(np.interp(since(self.start, times), self.truth.seconds, path))

    def _of(self, kind: str, name: str) -> Iterable[Injected]:
        return (fault for fault in self.injected if fault.kind == kind and name in fault.instruments)

    def _pulled(self, name: str, times: I8) -> F8:
        """How far faults pull the token off its peg at each moment, in bps."""
        pulled = np.zeros(len(times))
        for fault in self._of("depeg", name):
            begin, end, most = fault.start_ns, fault.end_ns, fault.detail["depth_bps"]
            corners = (0.0, fault.detail["slide_s"], (end - begin) / NS - fault.detail["back_s"], (end - begin) / NS)
            pulled += np.interp(since(begin, times), corners, (0.0, most, most, 0.0), left=0.0, right=0.0)
        for fault in self._of("gap", name):
            age = since(fault.start_ns, times)
            shape = np.minimum(age / 60, 1) * 0.5 ** (np.maximum(age - 120, 0) / fault.detail["half_life_s"])
            pulled += np.where((age >= 0) & (times < fault.end_ns), fault.detail["size_bps"] * shape, 0.0)
        return pulled

    def _shares_per_unit(self, instrument: Instrument, times: I8) -> F8:
        shares = np.full(len(times), instrument.multiplier or NAN)
        for fault in self._of("multiplier", instrument.name):
            shares[times >= fault.end_ns] = fault.detail["new"]
        return shares

    def _announcements(self) -> Records:
        """MULTIPLIER rows when a change is made known, HEALTH rows when a venue goes and comes back."""
        made = []
        for fault in self.injected:
            numbers = [self.universe.number(name) for name in fault.instruments]
            if fault.kind == "multiplier":
                # Said of one instrument of the token: an announcement is about the token, wherever it trades.
                made.append((fault.start_ns, numbers[0], Kind.MULTIPLIER, fault.detail["new"], fault.end_ns / NS))
            if fault.kind == "drop":
                made += [(fault.start_ns, number, Kind.HEALTH, 0.0, NAN) for number in numbers]
                made += [(fault.end_ns, number, Kind.HEALTH, 1.0, NAN) for number in numbers]
        rows = [(at, at, number, kind, 0, bid, ask, NAN, NAN, NAN) for at, number, kind, bid, ask in made]
        return np.array(rows, dtype=ROW)

    def _silence(self, records: Records) -> Records:
        """Without the prints of a venue that is gone."""
        heard = np.ones(len(records), dtype=bool)
        for fault in self.injected:
            if fault.kind == "drop":
                numbers = [self.universe.number(name) for name in fault.instruments]
                gone = (records["ts_recv"] >= fault.start_ns) & (records["ts_recv"] < fault.end_ns)
                heard &= ~(gone & np.isin(records["instrument"], numbers) & (records["kind"] == Kind.QUOTE))
        return records[heard]
