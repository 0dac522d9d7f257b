"""What may be read of the columns at one moment: fair values, premia, judgements, best pairs, sizes that are left.

Nothing here writes. A moment is `now`, ns UTC; what was written at the last row holds until the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from connectors.events import F8, I8, Why
from connectors.instruments import USD, Role, Universe
from strategies.market import kernel as K
from strategies.market.controls import Following
from strategies.market.fair import SPREAD_SIGMAS, FairValue
from strategies.market.funding import Funding
from strategies.market.judgement import Judgement
from strategies.market.session import Session

if TYPE_CHECKING:
    from strategies.market.columns import Facts

DOUBTED_VAR = 1.0
"""Added to the variance of a source in doubt: 100 %, so that it never comes before one that is not."""

COIN_ERROR = 2e-4
"""What one venue's price of a quote coin is off by beyond its spread, one sigma as a fraction: a guess."""


class Forecast(NamedTuple):
    """What a print is expected to be."""

    premium: float = 0.0
    """log(price / leave-one-out fair value)."""
    variance: float = nan
    """Of how far off a print will be found, but for its own spread."""


class Heard(NamedTuple):
    """What a witness says."""

    number: int
    price: float
    """Of the share, USD."""
    weight: float
    """1 / variance of its logarithm."""


class Readings:
    """The readings of Columns, which says what the arrays are."""

    universe: Universe
    underlyings: tuple[str, ...]
    facts: tuple[Facts, ...]
    session: Session
    f: F8
    k: I8
    g: F8
    h: I8
    p: F8
    q: I8
    f_rows: tuple[Sequence[float], ...]
    k_rows: tuple[Sequence[int], ...]
    doubts: I8
    weighed: bool
    said: dict[int, tuple[int, int]]
    fundings: dict[int, Funding]
    followings: dict[int, Following]
    why_barred: list[str]
    taken_bid: list[float]
    taken_ask: list[float]
    taken_prints: list[int]
    forecasts: list[Forecast]
    judged_by: list[Forecast]
    digested: list[int]
    members: I8
    members_of: list[tuple[int, ...]]
    witnesses_of: list[tuple[int, ...]]
    references: I8
    sources_of: list[tuple[int, ...]]
    _market: tuple[I8, I8, F8, I8, F8, I8, F8, I8]
    _group_of: list[int]
    _prices_of: dict[str, tuple[int, ...]]
    _fx_by: list[tuple[int, ...] | None]
    """Who prices the quote currency of each instrument; None where that is USD."""

    @property
    def now(self) -> int:
        """`ts_recv` of the last row that the scan looked at."""
        return int(self.q[K.NOW])

    def variance(self, group: int, now: int) -> float:
        """Variance of the logarithm of the share's own evidence at `now`, whatever the witnesses say."""
        return self.g.item(group, K.FAIR_KEY) + self.clock_variance(group, now)

    def clock_variance(self, group: int, now: int) -> float:
        """What the variance clock has added to the logarithm of a share since the table of sessions began."""
        p = self.p.item
        clock = p(K.CLOCK) + p(K.CLOCK_RATE) * float(now - self.q.item(K.CLOCK_TS))
        return self.g.item(group, K.VOL2) * clock

    def source_variance(self, number: int, now: int) -> float:
        """Variance of log price of a source at `now`, whatever our doubts; nan where it never spoke."""
        doubt = DOUBTED_VAR if self.doubts.item(number) else 0.0
        return self.f_rows[number][K.REF_KEY] + self.clock_variance(self._group_of[number], now) - doubt

    def own(self, group: int, now: int) -> FairValue | None:
        """Fair value by the share's best source alone, whoever is a witness; None where it is not believed, in the
        wrong session, silent for too long or too uncertain. Who trades needs this one."""
        price, variance, source = self.g.item(group, K.FAIR), self.variance(group, now), self.h.item(group, K.SOURCE)
        if not (price > 0 and variance <= self.p.item(K.MAX_VAR)) or self._silent(group, source, variance):
            return None
        return FairValue(
            price=price, error=price * sqrt(max(variance, 0.0)), source=source, as_of=self.h.item(group, K.AS_OF)
        )

    def fair(self, group: int, now: int) -> FairValue | None:
        """Fair value of one share of an underlying at `now` by all that is said of it, or None where it is unknown.

        The share's own evidence is its best source, as long as that one has not been silent for too long; the rest are
        the witnesses. Formula: strategies/market/fair.py.
        """
        return self._fair(group, -1, now)

    def fair_without(self, number: int, now: int) -> FairValue | None:
        """The same by everybody but one instrument and those that speak for the same witness: nobody judges itself."""
        return self._fair(self._group_of[number], number, now)

    def heard(self, group: int, now: int, *, without: int = -1) -> list[Heard]:
        """Every witness that is in the fair value of an underlying at `now`, perhaps that `without` an instrument."""
        kin, f, k = (self.k.item(without, K.KIN) if without >= 0 else -1), self.f.item, self.k.item
        h, found = self.h.item, []
        for at in self.members[h(group, K.MEMBER_FROM) : h(group, K.WITNESS_TO)].tolist():
            apart = at != without and (kin < 0 or k(at, K.KIN) != kin)
            if apart and K._counts(np.uint64(at), now, self.f, self.k):
                found.append(Heard(at, f(at, K.MID_USD) * f(at, K.LEAN), f(at, K.WEIGHT)))
        return found

    def prices_without(self, numbers: I8, now: int) -> F8:
        """The prices of `fair_without` for many instruments; nan where it is unknown."""
        if not self.weighed:
            own = (self.own(self._group_of[number], now) for number in numbers.tolist())
            return np.array([nan if one is None else one.price for one in own])
        out: F8 = np.full(len(numbers), nan)
        K.prices_without(numbers, now, out, *self._market)
        return out

    def _fair(self, group: int, number: int, now: int) -> FairValue | None:
        if not self.weighed:
            return self.own(group, now)
        price, variance, own, witnesses, stretch = K.fair(number, np.uint64(group), now, *self._market)
        if not (variance <= self.p.item(K.MAX_VAR) and 0 < price < inf):
            return None
        source = self._own_source(group) if own > 0 else -1
        return FairValue(
            price=price,
            error=price * sqrt(variance),
            source=source,
            as_of=self.k_rows[source][K.REF_TS] if source >= 0 else 0,
            witnesses=int(witnesses),
            own=own,
            stretch=sqrt(stretch),
        )

    def _own_source(self, group: int) -> int:
        """The source of the share's own evidence, or -1."""
        source = self.h.item(group, K.SOURCE)
        if source < 0 or self.f_rows[source][K.WEIGHT] < 0:
            return source  # nearly always: the best source is no witness
        return int(K.own_source(np.uint64(group), self.references, self.f, self.k, self.h))

    def why_unknown(self, group: int, now: int, *, without: int = -1) -> str:
        """Why the fair value of an underlying, perhaps that `without` an instrument, is unknown at `now`, in words;
        empty where it is known."""
        if self._fair(group, without, now) is not None:
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

    def evidence(self, group: int, now: int) -> tuple[float, float, int]:
        """(price, variance of its logarithm, source) of a share's own evidence at `now`, as it stands in `fair`.

        Without any: inf is the variance and -1 the source, and the price is the level that witnesses are summed about.
        """
        anchor, variance, *_ = K._hear(np.uint64(group), now, *self._market)
        if not variance < inf:
            return anchor, inf, -1
        return anchor, variance, self._own_source(group)

    def counts(self, number: int, now: int) -> bool:
        """Whether an instrument is a witness now: weighed, fresh and priced."""
        return bool(K._counts(np.uint64(number), now, self.f, self.k))

    def silent(self, number: int, now: int) -> bool:
        """Whether a source of the share has said nothing for too long."""
        since = self.source_variance(number, now) + (DOUBTED_VAR if self.doubts.item(number) else 0.0)
        return not since - self.f.item(number, K.REF_VAR) <= self.g.item(self._group_of[number], K.SILENT_VAR)

    def _silent(self, group: int, source: int, variance: float) -> bool:
        """Whether the share's own source has been silent for too long, when the variance of its word is this."""
        return not variance - self.f.item(source, K.REF_VAR) <= self.g.item(group, K.SILENT_VAR)

    def primary(self, group: int, now: int) -> bool:
        """Whether the share itself speaks: it trades, and a source of it is believed, not in doubt and fresh."""
        if self.session in (Session.WEEKEND, Session.HOLIDAY, Session.UNKNOWN):
            return False
        for at in self.sources_of[group]:
            k = self.k_rows[at]
            if k[K.PRINTS] and k[K.REFUSAL] == K.OK and now <= k[K.EXPIRES] and not self.doubts.item(at):
                return True
        return False

    def judge(self, number: int, now: int) -> Judgement | None:
        """What the last believed print of a token says of its peg; None where it says nothing: `why_not_judged`."""
        fair = self.fair_without(number, now)
        if fair is None or self._why_not(number, now):
            return None
        f, k = self.f_rows[number], self.k_rows[number]
        price, prints = f[K.MID_USD], k[K.PRINTS]
        half = (f[K.ASK] - f[K.BID]) / (f[K.ASK] + f[K.BID]) / SPREAD_SIGMAS
        expected = self.forecasts[number] if prints > self.digested[number] else self.judged_by[number]
        error, premium = fair.error / fair.price, price / fair.price - 1
        spread = sqrt(expected.variance + half * half)
        return Judgement(
            instrument=number,
            ts=k[K.TS],
            prints=prints,
            session=self.session,
            price=price,
            fair=fair,
            premium_bps=premium * 1e4,
            sigmas=premium / error if error > 0 else nan,
            innovation=(log(price / fair.price) - expected.premium) / spread if spread > 0 else nan,
            expected_bps=expected.premium * 1e4,
            witnesses=fair.witnesses,
            primary=self.primary(self._group_of[number], now),
        )

    def why_not_judged(self, number: int, now: int) -> str:
        """Why a token's last print is not judged at `now`, in words; empty where it is."""
        return self._why_not(number, now) or self.why_unknown(self._group_of[number], now, without=number)

    def _why_not(self, number: int, now: int) -> str:
        """What speaks against judging an instrument, whatever its share is worth."""
        return self.why_not_priced(number, now) if self.universe[number].role is Role.TOKEN else "it is no token"

    def why_not_priced(self, number: int, now: int) -> str:
        """Why the last print of a token, perp or source is no price of now, in words; empty where it is."""
        f, k = self.f_rows[number], self.k_rows[number]
        if k[K.REFUSAL] != K.OK:
            return f"its last row was refused: {K.REFUSALS[k[K.REFUSAL]].replace('_', ' ')}"
        if not k[K.PRINTS]:
            return "it has not printed yet"
        if bits := self.doubts.item(number):
            return "in doubt: " + ", ".join(why.name.lower() for why in Why if bits & 1 << why)
        if not isfinite(f[K.SHARES_PER_UNIT]):
            return "its multiplier is not known"
        if not isfinite(f[K.BID]):
            return "it has not printed in its present unit"
        if now > k[K.EXPIRES]:
            return "its last print is too old, or halted"
        if not (f[K.USD_PER_UNIT] > 0 and self.fx_is_fresh(number, now)):
            return "its coin has no fresh price"
        return "" if 0 < f[K.MID_USD] < inf else "its price is no number"

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
        if self.universe.instruments[number].one_price:
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
        prices = self._fx_by[number]
        if prices is None:
            return True
        for at in prices:
            k = self.k_rows[at]
            if now <= k[K.EXPIRES] and k[K.REFUSAL] == K.OK:
                return True
        return False

    def coin_variance(self, coin: str) -> float:
        """Variance of the log price of a quote coin in USD: of the narrowest believed quote; 0 of USD, inf of none."""
        if coin == USD:
            return 0.0
        found = inf
        for at in self._prices_of.get(coin, ()):
            bid, ask = self.f_rows[at][K.BID], self.f_rows[at][K.ASK]
            if self.k_rows[at][K.REFUSAL] == K.OK and 0 < bid <= ask:
                found = min(found, ((ask - bid) / (ask + bid) / SPREAD_SIGMAS) ** 2)
        return found + COIN_ERROR**2

    # Names for people, metrics and tests; views, not copies.
    bid = property(lambda self: self.f[:, K.BID])
    ask = property(lambda self: self.f[:, K.ASK])
    bid_size = property(lambda self: self.f[:, K.BID_SIZE])
    ask_size = property(lambda self: self.f[:, K.ASK_SIZE])
    mid_usd = property(lambda self: self.f[:, K.MID_USD])
    ts = property(lambda self: self.k[:, K.TS])
    prints = property(lambda self: self.k[:, K.PRINTS])
    premium_bps = property(lambda self: self.f[:, K.PREMIUM])
    sigmas = property(lambda self: self.f[:, K.SIGMAS])
    weight = property(lambda self: self.f[:, K.WEIGHT])
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
