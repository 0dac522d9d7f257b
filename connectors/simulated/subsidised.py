"""A seeded pool whose liquidity is subsidised: owners who reckon, traders, arbitrage, and what the pool would tell.

Nothing here knows the rule that warns of it. Swaps and depth are those of the contracts' maths (v2, or v3 with one wide
range). The share moves as a lognormal walk; each step strangers swap, then arbitrage brings the pool back to within its
fee. Owners compare what they earn with what they ask for: while the incentive runs it counts, after its end, and for
some of them up to `Habits.ahead_days` before it, fees alone do; whoever earns too little takes out as much as leaves
the rest of the pool just good enough for him. So depth leaves at the end where fees do not carry it, and stays else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import exp, isqrt, sqrt
from typing import Final

import numpy as np

from connectors.amm.curve import Pool, arcs, depth, sqrt_price_of
from connectors.amm.forks import FORKS
from connectors.amm.ticks import tick_at
from connectors.amm.v2 import V2Pool
from connectors.amm.v3 import V3Pool, after_burn, after_mint, initialized
from connectors.errors import SwapRefused
from connectors.events import NS, Kind, Row, Rows
from connectors.evm.pool_rows import DEPTH_BPS, book
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.ports import Book

START_NS: Final = 1_788_739_200 * NS
"""Monday 2026-09-07 00:00 UTC."""
STEP_S: Final = 1800
DAY_S: Final = 86_400
STEPS_PER_DAY: Final = DAY_S // STEP_S
DAYS: Final = 20
END_DAY: Final = 14
"""The incentive ends at the end of this day."""
DECIMALS: Final = (18, 6)
"""Of the token and of the dollar that it is quoted in."""
UNIVERSE: Final = Universe(
    (
        Instrument(
            venue="sim-pool",
            symbol="simTSLA",
            role=Role.TOKEN,
            underlying="TSLA",
            token="simTSLA",
            issuer="simulated",
            unit_model=UnitModel.REBASING,
        ),
    )
)


class Ending(StrEnum):
    """What becomes of the pool."""

    ENDS = "ends"
    """Subsidy is most of what its owners earn, and it ends."""
    STAYS = "stays"
    """It ends, but fees are most of it."""
    RENEWED = "renewed"
    """Subsidy is most of it, and some days before the end it is told to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the people of a world behave."""

    ahead_days: float = 4.5
    """The earliest owner leaves so long before the end."""
    ahead_part: float = 0.5
    """Part of the owners who leave ahead of it."""
    awake: float = 0.15
    """Probability that an owner looks, every six hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsidisedWorld:
    """What a seed came to."""

    universe: Universe
    rows: Rows
    levels: dict[int, Book]
    """Of its DEPTH rows, by their `extra`."""
    depth_usd: tuple[tuple[int, float], ...]
    """(moment, what a sale gets that moves the price by 1 %), in order."""
    end_ns: int
    """Of the incentive, as it was first told."""
    renewed_ns: int
    """When it was told to go on; 0 where it was not."""
    fee: float
    concentration: float
    value_usd: float
    """Of all liquidity, at the start."""
    subsidy_share: float
    """Of the owners' income at the start."""
    top_share: float
    """Of the largest owner."""
    required_return: float
    """Per year, over LVR, of the owners as one."""
    daily_vol: float
    """Of the share: one sigma over a regular trading day, of which a year of moves has 332."""

    @property
    def full_depth_usd(self) -> float:
        """Depth in the first five days, the median."""
        until = self.rows.ts_recv[0] + 5 * DAY_S * NS
        return float(np.median([usd for ts, usd in self.depth_usd if ts < until]))

    @property
    def halved_ns(self) -> int:
        """When depth was first below half of that; 0 where it never was."""
        half = self.full_depth_usd / 2.0
        return next((ts for ts, usd in self.depth_usd if usd < half), 0)


@dataclass(slots=True)
class _Owner:
    """Who provides liquidity."""

    part: float
    """Of the pool as it began."""
    asks: float
    """Return per year, before what arbitrage takes."""
    ahead_s: float
    """So long before the end he counts on fees alone; negative: only then."""


@dataclass(slots=True)
class _Market:
    """The pool while it is told."""

    pool: Pool
    fee: float
    price: float
    rows: list[Row] = field(default_factory=list)
    levels: dict[int, Book] = field(default_factory=dict)
    deep: list[tuple[int, float]] = field(default_factory=list)
    fees: float = 0.0
    """Of this day, USD."""

    def swap(self, amount: int, *, sell: bool, ts: int) -> None:
        """Sells tokens (`sell`), or pays dollars for some; raw units. What is too little is left."""
        try:
            quote = self.pool.exact_in(amount, zero_for_one=sell)
        except SwapRefused:
            return
        units, usd = (quote.amount_in, quote.amount_out) if sell else (quote.amount_out, quote.amount_in)
        if not (units and usd):
            return
        self.pool = self.pool.swapped(quote)  # type: ignore[arg-type]
        size, value = units / 10 ** DECIMALS[0], usd / 10 ** DECIMALS[1]
        self.fees += value * self.fee
        taker = -1.0 if sell else 1.0
        price = value / size
        self.rows.append(
            Row(ts_recv=ts, instrument=0, kind=Kind.TRADE, bid=price, ask=price, ask_size=size, extra=taker)
        )

    def arbitrage(self, ts: int) -> None:
        """Brings the pool to where its fee is all that is left of the gap to the share's price."""
        mid = price_of(self.pool)
        for sell, edge in ((True, self.price / (1.0 - self.fee)), (False, self.price * (1.0 - self.fee))):
            if (mid > edge) if sell else (mid < edge):
                limit = _sqrt_of(edge)
                self.swap(
                    sum(arc.amount_in for arc in arcs(self.pool, zero_for_one=sell, limit=limit)), sell=sell, ts=ts
                )

    def scale(self, part: float) -> None:
        """Only this part of the liquidity stays."""
        pool = self.pool
        if isinstance(pool, V2Pool):
            self.pool = replace(pool, reserve0=int(pool.reserve0 * part), reserve1=int(pool.reserve1 * part))
        elif isinstance(pool, V3Pool):
            low, high = pool.ticks.order
            self.pool = after_burn(pool, low, high, pool.liquidity - int(pool.liquidity * part))

    def tell(self, ts: int) -> None:
        """The rows of the pool as it stands."""
        found = book(self.pool, 0, DECIMALS, DEPTH_BPS)
        if found.why_not:
            return
        (bid, bid_size), (ask, ask_size) = found.bids[0], found.asks[0]
        key = len(self.levels)
        self.levels[key] = Book(found.bids, found.asks)
        self.rows.append(
            Row(
                ts_recv=ts, instrument=0, kind=Kind.DEPTH, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size,
                extra=float(key),
            )
        )  # fmt: skip
        self.deep.append((ts, depth(self.pool, 100, zero_for_one=True)[1] / 10 ** DECIMALS[1]))


def price_of(pool: Pool) -> float:
    """Dollars for a token at the margin, fee aside."""
    root = sqrt_price_of(pool)
    return 0.0 if root is None else (root / 2**96) ** 2 * 10.0 ** (DECIMALS[0] - DECIMALS[1])


def _sqrt_of(price: float) -> int:
    return isqrt(round(price * 10.0 ** (DECIMALS[1] - DECIMALS[0]) * 2**96) << 96)


def pool_worth(usd: float, price: float, fee_pips: int, factor: float) -> Pool:
    """A pool of this value at this price: v2 where `factor` is 0, else v3 between price / factor and price * factor."""
    ours, dollars = 10 ** DECIMALS[0], 10 ** DECIMALS[1]
    if not factor:
        return V2Pool(reserve0=int(usd / 2 / price * ours), reserve1=int(usd / 2 * dollars), fork=FORKS["uniswap_v2"])
    spacing = 60
    tick = tick_at(_sqrt_of(price))
    reach = round(np.log(factor) / np.log(1.0001))
    low, high = ((tick + side * reach) // spacing * spacing for side in (-1, 1))
    root = sqrt(price * 10.0 ** (DECIMALS[1] - DECIMALS[0]))
    worth = root * (2.0 - 2.0 / sqrt(factor))
    empty = initialized(_sqrt_of(price), tick, fee_pips=fee_pips, spacing=spacing)
    return after_mint(empty, low, high, int(usd * dollars / worth))


def simulate_subsidised(
    seed: int, ending: Ending = Ending.ENDS, *, wide_range: bool = False, habits: Habits | None = None
) -> SubsidisedWorld:
    """Twenty days of one pool; the incentive's end was first told as 14 days from the start. `wide_range`: v3, not v2.

    Twins of one seed have the same share, traders and owners; they differ in who pays for the liquidity.
    """
    habits = habits or Habits()
    rng = np.random.default_rng(seed)
    sigma, price = float(rng.uniform(0.25, 0.4)), float(rng.uniform(80, 400))
    factor = float(rng.uniform(1.8, 3.0)) if wide_range else 0.0
    fee, tvl = 0.003, float(np.exp(rng.uniform(np.log(2e5), np.log(3e6))))
    strangers, draw, notice = tvl * float(rng.uniform(0.02, 0.1)), float(rng.uniform()), float(rng.uniform(1.0, 6.0))
    share = 0.05 + 0.3 * draw if ending is Ending.STAYS else 0.62 + 0.31 * draw
    pool = pool_worth(tvl, price, 3000, factor)
    fees = _pilot(_Market(pool, fee, price), seed, sigma, strangers)
    income = fees / (1.0 - share)
    subsidy, asks = share * income, 365.0 * income / tvl
    market = _Market(pool, fee, price)
    concentration = 1.0 / (1.0 - 1.0 / sqrt(factor)) if factor else 1.0
    owners = _owners(rng, asks, habits)
    top = max(owner.part for owner in owners)
    end_s = until_s = END_DAY * DAY_S
    told_s = int(end_s - notice * DAY_S) if ending is Ending.RENEWED else -1
    reward = Row(ts_recv=START_NS, instrument=0, kind=Kind.REWARD, bid=subsidy, ask=(START_NS // NS) + end_s)
    market.rows.append(reward)
    daily = [fees] * 7
    for step in range(1, DAYS * STEPS_PER_DAY + 1):
        at_s = step * STEP_S
        ts = START_NS + at_s * NS
        if told_s >= 0 and at_s >= told_s and until_s == end_s:
            until_s = end_s + 90 * DAY_S
            told = Row(ts_recv=ts, instrument=0, kind=Kind.REWARD, bid=subsidy, ask=(START_NS // NS) + until_s)
            market.rows.append(told)
        _trade(market, rng, sigma, strangers, step)
        if step % (STEPS_PER_DAY // 4) == 0:
            paid = subsidy if at_s < until_s else 0.0
            _leave(market, owners, rng, tvl, sum(daily) / 7.0, paid, until_s - at_s, habits.awake)
        if step % STEPS_PER_DAY == 0:
            daily = [*daily[1:], market.fees]
            market.fees = 0.0
        market.tell(ts)
    return SubsidisedWorld(
        universe=UNIVERSE,
        rows=Rows.of(market.rows),
        levels=market.levels,
        depth_usd=tuple(market.deep),
        end_ns=START_NS + end_s * NS,
        renewed_ns=START_NS + told_s * NS if told_s >= 0 else 0,
        fee=fee,
        concentration=concentration,
        value_usd=tvl,
        subsidy_share=share,
        top_share=top,
        required_return=asks - concentration * sigma * sigma / 8.0,
        daily_vol=sigma / sqrt(332.0),
    )


def _trade(market: _Market, rng: np.random.Generator, sigma: float, strangers: float, step: int) -> None:
    """One step: the share moves, strangers swap, arbitrage follows."""
    at_s, years = step * STEP_S, STEP_S / (365 * DAY_S)
    market.price *= exp(sigma * sqrt(years) * float(rng.standard_normal()) - sigma * sigma * years / 2.0)
    _strangers(market, rng, strangers, weekend=(at_s // DAY_S) % 7 >= 5, ts=START_NS + at_s * NS)
    market.arbitrage(START_NS + at_s * NS)


def _pilot(market: _Market, seed: int, sigma: float, strangers: float) -> float:
    """Fees per day of this pool over a week in which nobody comes or goes, USD."""
    rng = np.random.default_rng((seed, 1))
    for step in range(1, 7 * STEPS_PER_DAY + 1):
        _trade(market, rng, sigma, strangers, step)
    return market.fees / 7.0


def _owners(rng: np.random.Generator, asks: float, habits: Habits) -> list[_Owner]:
    """Some dozens of owners of very different sizes."""
    parts = np.exp(rng.normal(0.0, 1.0, int(rng.integers(12, 40))))
    ahead = np.where(
        rng.uniform(size=len(parts)) < habits.ahead_part,
        rng.uniform(0.0, habits.ahead_days, len(parts)),
        -rng.uniform(0.0, 2.0, len(parts)),
    )
    wants = asks * np.exp(rng.normal(0.0, 0.1, len(parts)))
    told = zip((parts / parts.sum()).tolist(), wants.tolist(), (ahead * DAY_S).tolist(), strict=True)
    return [_Owner(*one) for one in told]


def _strangers(market: _Market, rng: np.random.Generator, usd_per_day: float, *, weekend: bool, ts: int) -> None:
    """Swaps of those who do not know better: a third as much at the weekend, sizes of a fat tail."""
    mean = usd_per_day / STEPS_PER_DAY * (0.33 if weekend else 1.27)
    for _ in range(int(rng.poisson(2.0))):
        usd = mean / 2.0 * float(np.exp(rng.normal(-0.5, 1.0)))
        sell = bool(rng.uniform() < 0.5)
        amount = usd / market.price * 10 ** DECIMALS[0] if sell else usd * 10 ** DECIMALS[1]
        market.swap(max(1, int(amount)), sell=sell, ts=ts)


def _leave(
    market: _Market,
    owners: list[_Owner],
    rng: np.random.Generator,
    began_usd: float,
    fees: float,
    subsidy: float,
    left_s: float,
    awake: float,
) -> None:
    """Each owner who looks takes out what does not earn what he asks for."""
    for owner in owners:
        if rng.uniform() > awake or not owner.part:
            continue
        counted = fees if left_s <= owner.ahead_s else fees + subsidy
        there = sum(one.part for one in owners)
        carries = 365.0 * counted / owner.asks / began_usd
        # Nobody leaves for a little less: what is paid swings, and leaving costs.
        if carries >= 0.9 * there:
            continue
        out = min(owner.part, there - carries)
        owner.part -= out
        market.scale((there - out) / there)
