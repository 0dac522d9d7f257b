"""The timer's part of the fair value: what was printed since its last tick goes into the filter, and what the filter
makes of it into the columns, as weights of witnesses and as forecasts of their next prints.

Between two ticks the scan makes fair values of prices as they are and of weights as they were. At a tick both say the
same where all witnesses are fresh (tests: within 2 bps); they differ where a witness has fallen silent, which the
filter remembers and the scan drops, and, until the next tick, where errors of witnesses go together as prices move on.

Only believed prints are heard: of an instrument that is refused, halted, stale, in doubt, in maintenance, whose stream
is not up, whose multiplier is unknown or whose coin has no fresh price nothing is, and its weight is 0. Nor is a token
that has left its peg, while the share or somebody who is no token speaks: it would pull the fair value after it, at its
other venues too. Only who has left its peg needs to survive a restart (the journal knows): premia forget within a
quarter of an hour, what usually lasts is in the parameters, and the share's own price is heard again.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log
from typing import Final

import numpy as np

from connectors.events import F8, I8, NAN, NS
from connectors.instruments import USD, Role
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.controls import Control, Following
from strategies.market.fair import SPREAD_SIGMAS
from strategies.market.funding import Fundings
from strategies.market.params import Params, filter_of, group_of
from strategies.market.walk import SHUT, Walk

SPLIT: Final = log(1.3)
"""A share whose believed price leaps by so much between two prints is priced in another unit (a split of 4:3 or more),
or by other news: what was heard of it before says nothing of it now, and premia over it are learnt anew."""

REST_NS: Final = 60 * NS
"""With nothing new to hear, weights are made anew this often all the same: they fade with time."""


class Evidence:
    """The filter of a run, and the columns that it writes weights and forecasts of."""

    def __init__(self, columns: Columns, params: Params) -> None:
        """Nothing was heard. A source that speaks around the clock is the share's own evidence until it was heard, and
        a witness from then on."""
        self.columns = columns
        instruments = list(columns.universe)
        found, place, names = filter_of(params, instruments)
        self.filter = found
        self.walk = Walk(found, columns.sessions, columns.clock, params.controls(names))
        self._controls = {
            at: tuple((one, beta, params.why_no_control(one, names)) for one, beta in params.betas[name].items())
            for at, name in enumerate(names)
            if params.betas.get(name)
        }
        """By underlying: controls with their betas, and why they can be none."""
        self._explained = {at: part for at, part in found.explained.items() if any(params.betas[names[at]].values())}
        self._names = {name: at for at, name in enumerate(names)}
        self.numbers: tuple[int, ...] = tuple(place)
        """Of each witness of the filter: the number of its instrument."""
        self._number = np.array(self.numbers, np.int64)
        self._witnesses = [(w, at) for w, at in enumerate(self.numbers) if group_of(instruments[at])]
        """(number in the filter, number of the instrument) of all but the sources of a share's own evidence."""
        self._judged = [w for w, at in self._witnesses if instruments[at].role is Role.TOKEN]
        self._judged_numbers: I8 = np.array([self.numbers[w] for w in self._judged], np.int64)
        self._coins = {at: instruments[at].quote for at in self.numbers if instruments[at].quote != USD}
        self._evidence = [not group_of(instruments[at]) for at in self.numbers]
        self._shares = [instruments[at].role is Role.SHARE for at in self.numbers]
        self._group: list[int] = found.underlying.tolist()
        self._told: dict[int, int] = {}
        """By underlying: the time of the last print of its own sources that the filter has heard."""
        self._prints = np.zeros(len(self._number), np.int64)
        self._done = 0
        self._sources = [at for _, at in self._witnesses if instruments[at].role is Role.SHARE]
        self._others: dict[int, list[int]] = {}
        """By underlying: its witnesses that are no tokens."""
        for w, at in self._witnesses:
            if instruments[at].role is not Role.TOKEN:
                self._others.setdefault(int(found.underlying[w]), []).append(at)
        self._depegged: set[int] = set()
        self.fundings = Fundings(columns.universe)
        self._perps = [(w, at) for w, at in self._witnesses if instruments[at].role is Role.PERP]

    def tick(self, now: int, speaks: Callable[[int], bool]) -> None:
        """Hears what is new at `now` (ns UTC) and writes weights and forecasts. `speaks` tells whether the stream of an
        instrument is up."""
        silent = self._silent(now, speaks)
        heard, z, var = self._heard(now, silent)
        if not heard and now - self._done < REST_NS:
            for number in silent:
                self.columns.hush(number)
            return
        self._done = now
        self.walk.to(now)
        self._fund(now)
        self._leap(heard, z)
        self.walk.observe(z, var)
        self._tell_controls()
        self._own(now, heard)
        self._weigh(silent)
        self._expect(now)

    def depegged(self, number: int, *, stands: bool = True) -> None:
        """A token instrument has left its peg, or is back."""
        if stands:
            self._depegged.add(number)
            if self._is_overruled(number, self.walk.now):
                self.columns.hush(number)
        else:
            self._depegged.discard(number)

    def _is_overruled(self, number: int, now: int) -> bool:
        """Whether the share itself speaks, or a witness of it that is no token."""
        columns, group = self.columns, self.columns.group(number)
        others = self._others.get(group, [])
        return columns.primary(group, now) or any(not columns.why_not_priced(at, now) for at in others)

    def _silent(self, now: int, speaks: Callable[[int], bool]) -> set[int]:
        """Instruments whose stream is not up, whose coin has no fresh price, that have been silent too long for a
        source of the share, or that are off their peg."""
        fresh: dict[str, bool] = {}
        for number, coin in self._coins.items():
            if coin not in fresh:
                fresh[coin] = self.columns.fx_is_fresh(number, now)
        dead = {number for number, coin in self._coins.items() if not fresh[coin]}
        dead |= {number for number in self._sources if self.columns.silent(number, now)}
        dead |= {number for number in self._depegged if self._is_overruled(number, now)}
        return dead | {number for number in self.numbers if not speaks(number)}

    def _heard(self, now: int, silent: set[int]) -> tuple[list[int], F8, F8]:
        """Who of the filter has a believed print since the last tick; log USD per share of it, and the variance that
        its spread and its coin give it."""
        columns, numbers = self.columns, self.numbers
        prints = columns.k[self._number, K.PRINTS]
        z, var = np.full(len(numbers), NAN), np.full(len(numbers), NAN)
        heard, coins = [], {USD: 0.0}
        for w in np.flatnonzero(prints != self._prints).tolist():
            number = numbers[w]
            f, k = columns.f_rows[number], columns.k_rows[number]
            usd, good = f[K.MID_USD], k[K.REFUSAL] == K.OK and now <= k[K.EXPIRES] and number not in silent
            if good and 0 < usd < inf and not columns.doubts.item(number):
                coin, bid, ask = self._coins.get(number, USD), f[K.BID], f[K.ASK]
                if coin not in coins:
                    coins[coin] = columns.coin_variance(coin)
                z[w] = log(usd)
                var[w] = ((ask - bid) / (ask + bid) / SPREAD_SIGMAS) ** 2 + coins[coin]
                heard.append(w)
        self._prints = prints
        return heard, z, var

    def _fund(self, now: int) -> None:
        """What perps are to be expected above the share by their funding, while the share trades."""
        shut = self.columns.session in SHUT
        for w, number in self._perps:
            told = self.fundings.of.get(number)
            if told is None:
                continue
            believed = not shut and told.stands(now) and self.columns.sessions.at(told.ts) not in SHUT
            if believed:
                self.columns.fundings[number] = told
            else:
                self.columns.fundings.pop(number, None)
            self.filter.lean(w, *(told.basis if believed else (0.0, 0.0)))

    def _leap(self, heard: list[int], z: F8) -> None:
        """Forgets every share whose source has leapt, its witnesses too until they are heard again."""
        before = self.filter.z
        leapt = [w for w in heard if self._shares[w] and abs(z.item(w) - before.item(w)) > SPLIT]
        for group in sorted({self._group[w] for w in leapt}):
            self.walk.forget(group)
            self._told.pop(group, None)
            for w, number in self._witnesses:
                if self._group[w] == group:
                    self.columns.hush(number)

    def _tell_controls(self) -> None:
        """What shares follow, for those who explain."""
        x, level, since = self.filter.together.bank.x, self.walk.level, self.walk.level_ts
        for group, of in self._controls.items():
            told = []
            for name, beta, barred in of:
                at = self._names.get(name, -1)
                moved, ts = (x.item(at) - level.item(at), since.item(at)) if at >= 0 else (NAN, 0)
                known = moved == moved
                told.append(Control(name, at, beta, moved, ts if known else 0, barred))
            self.columns.followings[group] = Following(self._explained.get(group, 0.0), tuple(told))

    def _own(self, now: int, heard: list[int]) -> None:
        """What the share's own sources are worth together, where one of them was heard."""
        columns = self.columns
        for w in heard:
            if self._evidence[w]:
                group, said = self._group[w], columns.k_rows[self.numbers[w]][K.REF_TS]
                self._told[group] = max(self._told.get(group, -1), said)
        price, var = (column.tolist() for column in self.filter.share_only())
        for group, said in self._told.items():
            columns.weigh_own(group, exp(price[group]), var[group], now, said)

    def _weigh(self, silent: set[int]) -> None:
        """The scan's form of the filter."""
        weight, offset = (column.tolist() for column in self.filter.witness_weights())
        z = self.filter.z.tolist()
        for w, number in self._witnesses:
            if z[w] == z[w]:
                self.columns.weigh(number, 0.0 if number in silent else weight[w], offset[w])

    def _expect(self, now: int) -> None:
        """What the next prints will be, against the fair value that they will be judged by."""
        mean, var = (column.tolist() for column in self.filter.forecast())
        prices = self.columns.prices_without(self._judged_numbers, now).tolist()
        for w, number, price in zip(self._judged, self._judged_numbers.tolist(), prices, strict=True):
            if price == price and -inf < mean[w] < inf and var[w] < inf:
                self.columns.expect(number, mean[w] - log(price), var[w])
