"""Fair value at any hour: what all witnesses of a share say together, each without itself, and each alone.

A share source (no premium) is evidence of the log fair value x itself; a token on a venue, a perp or what is made from
one is a witness, which says x plus its premium. Witnesses that feed each other share one premium (`group`), so that
together they never weigh more than one that is free of noise. The maths is strategies/market/kalman.py's, over all
underlyings at once.

Three banks hear the same prints: `together` (everything), `without` (one for each group, which does not hear it: what
it may be judged by) and `alone` (one for each group, which hears it and the share only; and one that hears the share
only). Of the last the scan's form is made: what a witness adds to the share's own evidence, as weight and offset,

    w = 1 / v_alone - 1 / v_share,   z' = (x_alone / v_alone - x_share / v_share) / w,   offset = 1 - exp(z' - z)

Sums of it are `without` exactly where at most two groups speak. Three or more have learnt from the same past, so that
their errors go together: then all weights are made less and the levels are moved, such that the sums are `without` at
the moment of the call. They differ from it as prices move on, the more the longer the timer waits.

So, per underlying with n > 1 groups: all weights times one number, such that the precisions without each sum to those
of `without`; then levels z'_i = (S - (W - w_i) F_i) / w_i with the values F_i of `without`, W the sum of weights and S
that of weighted values, which follows from adding up over i. A level is moved by three of its sigmas at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from connectors.events import F8, I8, NAN
from strategies.market.kalman import Bank, Verdict
from strategies.market.weights import forecast, weigh

_DAMPED, _JUMPED = int(Verdict.DAMPED), int(Verdict.JUMPED)

GATE = 5.0
"""Sigmas of an innovation beyond which a print is not simply believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Premium:
    """How a witness differs from the share, in fractions of the price."""

    mean: float = 0.0
    sd: float = 0.0
    """Stationary; 0 with mean 0 is the share itself."""
    half_life_s: float = 3600.0
    noise: float = 0.0
    """One sigma of a print beyond its spread: white, gone with the next."""
    shut: float = 1.0
    """How many times the variance of the premium is this while the share trades nowhere (weekend, holiday)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Something whose prints are evidence of a share."""

    underlying: int
    group: str = ""
    """Who it depends on: witnesses of one name share one premium. Empty: the share itself."""
    premium: Premium = Premium()


@dataclass(frozen=True, slots=True)
class _View:
    """A bank, the underlying of each of its rows, and who hears what in which order: rows, slots and witnesses."""

    bank: Bank
    underlying: I8
    heard: tuple[I8, I8, I8]


class Filter:
    """The filters of all underlyings. Arrays are [U] by underlying, [W] by witness, in the order handed in.

    `judge` = False leaves out the bank `without`: the scan's form stands for it, explanations and tests need it.
    """

    def __init__(
        self, witnesses: Sequence[Witness], daily_vol: Sequence[float], *, gate: float = GATE, judge: bool = True,
        explained: Mapping[int, float] | None = None,
    ) -> None:  # fmt: skip
        """Filters that have heard nothing. `daily_vol`: one sigma of a regular day as a fraction, by underlying.
        `explained`: of those that follow controls, the part of that variance which they explain."""
        self.witnesses, self.daily_vol, self.gate = tuple(witnesses), tuple(daily_vol), gate
        self.explained = dict(explained or {})
        self.underlying: I8 = np.array([w.underlying for w in witnesses], np.int64)
        best: list[dict[str, Premium]] = [{} for _ in daily_vol]
        for w in witnesses:
            if w.group:
                of = best[w.underlying]
                of[w.group] = min(of.get(w.group, w.premium), w.premium, key=lambda p: (p.sd**2 + p.noise**2, p.mean))
        self._groups = [list(of) for of in best]
        self._premia = [list(of.values()) for of in best]
        pairs = [(u, slot) for u, names in enumerate(self._groups) for slot in range(1, len(names) + 1)]
        slot = [self._groups[w.underlying].index(w.group) + 1 if w.group else 0 for w in witnesses]
        self._slot: I8 = np.array(slot, np.int64)
        """Of each witness within its underlying: its group's number from 1, or 0 for the share itself."""
        place = {pair: at for at, pair in enumerate(pairs)}
        self._pair: I8 = np.array(
            [place.get((w.underlying, s), -1) for w, s in zip(witnesses, slot, strict=True)], np.int64
        )
        """Of each witness: the row of its group in `alone` and `without`; -1 for the share itself."""
        self._share: I8 = np.arange(len(self._groups)) + len(pairs)
        """Of each underlying: the row of `alone` that hears the share only."""
        # A group knows one mean; what a member lies beside it is known and taken off.
        self._shift: F8 = np.array(
            [w.premium.mean - (best[w.underlying][w.group].mean if w.group else 0.0) for w in witnesses]
        )
        self._noise: F8 = np.array([w.premium.noise**2 for w in witnesses])
        self._leans: dict[int, tuple[float, float]] = {}
        """By witness whose premium something else tells: mean and variance on top of its usual ones."""
        slots = [tuple(range(1, len(names) + 1)) for names in self._groups]
        self.together = self._view(list(enumerate(slots)))
        self.alone = self._view([*((u, (s,)) for u, s in pairs), *((u, ()) for u in range(len(slots)))])
        rest = [(u, tuple(other for other in slots[u] if other != s)) for u, s in pairs]
        self.without = self._view(rest) if judge else None
        self.z: F8 = np.full(len(witnesses), NAN)
        """Last log price heard of each witness."""
        self.damped: I8 = np.zeros(len(witnesses), np.int64)
        """Prints of each witness beyond the gate, whose weight was cut."""
        self.jumped: I8 = np.zeros(len(witnesses), np.int64)
        """Prints of each witness at which a jump was believed."""
        self._spoke: F8 = np.full(len(witnesses), -inf)
        self._none: tuple[F8, F8] = (np.zeros((0, 1)), np.zeros((0, 1, 1)))
        self._now = 0.0

    def _view(self, rows: Sequence[tuple[int, tuple[int, ...]]]) -> _View:
        """A bank of (underlying, groups heard) rows, and who hears what; evidence comes first."""
        width = max((len(heard) for _, heard in rows), default=0)
        mean, sd = np.zeros((len(rows), width)), np.zeros((len(rows), width))
        half, shut = np.ones((len(rows), width)), np.ones((len(rows), width))
        of: list[list[int]] = [[] for _ in self.daily_vol]
        for row, (u, heard) in enumerate(rows):
            of[u].append(row)
            for at, s in enumerate(heard):
                premium = self._premia[u][s - 1]
                mean[row, at], sd[row, at] = premium.mean, premium.sd
                half[row, at], shut[row, at] = premium.half_life_s, premium.shut
        heard_by = [
            (row, rows[row][1].index(s) + 1 if s else 0, w)
            for w in np.argsort(self._slot, kind="stable").tolist()
            for s in (int(self._slot[w]),)
            for row in of[self.witnesses[w].underlying]
            if not s or s in rows[row][1]
        ]
        underlying = np.array([u for u, _ in rows], np.int64)
        parts = np.array([self.explained.get(u, 0.0) for u, _ in rows]) if self.explained else None
        bank = Bank(mean, sd, half, np.square(self.daily_vol)[underlying], self.gate, shut, underlying, parts)
        told = np.ascontiguousarray(np.array(heard_by, np.int64).reshape(-1, 3).T)
        return _View(bank, underlying, (told[0], told[1], told[2]))

    def _views(self) -> tuple[_View, ...]:
        """All that hear."""
        return (self.together, self.alone) if self.without is None else (self.together, self.alone, self.without)

    def forget(self, underlying: int, followers: Sequence[int] = ()) -> None:
        """What was heard of an underlying is of another unit: its filters have heard nothing yet, and those of its
        followers nothing of their controls."""
        for view in self._views():
            view.bank.forget(view.underlying == underlying)
            view.bank.lose_controls(np.isin(view.underlying, followers))
        its = self.underlying == underlying
        self.z[its], self._spoke[its] = NAN, -inf

    def lean(self, witness: int, mean: float, var: float) -> None:
        """What a witness usually lies above the share is now `mean` more, known with variance `var`, which all of its
        group share. What it was found to lie above it stays as it is, where it is alone in its group."""
        had, had_var = self._leans.get(witness, (0.0, 0.0))
        if (mean, var) == (had, had_var):
            return
        self._leans[witness] = mean, var
        self._shift[witness] += mean - had
        alone = int(np.sum(self._pair == self._pair[witness])) == 1
        for view in self._views():
            rows, slots, who = view.heard
            its = who == witness
            view.bank.widen(rows[its], slots[its], var - had_var)
            if alone:
                view.bank.state[rows[its], slots[its]] -= mean - had

    def predict(self, days: F8 | float, seconds: float, shut: bool = False) -> None:
        """Time passes: see Bank.predict; days are [U], or one number for all."""
        days = np.full(len(self.daily_vol), days) if isinstance(days, float) else days
        for view in self._views():
            view.bank.predict(days, seconds, shut)
        self._now += seconds

    def observe(self, z: F8, var: F8) -> tuple[F8, F8, I8]:
        """New prints: log USD per share [W] and the variance of their error (spread, tick, coin); NaN is no print.

        Only what has printed since the last call may be handed in: an old price is no news. Returns, by witness, the
        innovation against everything heard before it, its variance, and the Verdict.
        """
        moved, var = z - self._shift, var + self._noise
        y, s, verdict = self.together.bank.update(*self.together.heard, moved, var)
        for view in self._views()[1:]:
            view.bank.update(*view.heard, moved, var)
        heard = np.flatnonzero(verdict)
        self.z[heard] = z[heard]
        self._spoke[heard] = self._now
        self.damped += verdict == _DAMPED
        self.jumped += verdict == _JUMPED
        return y, s, verdict

    def follow(self, level: F8, var: F8) -> None:
        """Controls have spoken: what theirs times beta sum up to, log [U], and the variance of its error; NaN where
        they have not."""
        for view in self._views():
            rows = np.flatnonzero(np.isfinite(level)[view.underlying])
            slots = np.full(len(rows), view.bank.state.shape[1] - 1)
            view.bank.update(rows, slots, view.underlying[rows], level, var)

    def value(self) -> tuple[F8, F8]:
        """Log fair value by everything heard and its variance [U]; NaN and inf where nothing was."""
        x, all_of = self.together.bank.x, np.arange(len(self.daily_vol))
        return x.copy(), self.together.bank.x_var * self._stretch(all_of, np.full(len(x), -1))

    def share_only(self) -> tuple[F8, F8]:
        """As `value`, by the share's own evidence."""
        bank, rows = self.alone.bank, self._share
        x: F8 = bank.state[rows, 0]
        return x, np.where(np.isnan(x), inf, bank.cov[rows, 0, 0])

    def value_without(self) -> tuple[F8, F8]:
        """Log fair value that a witness may be judged by, and its variance [W]: without it and all that depend on it.

        For evidence of the share itself: by everything. Raises ValueError where the filter was made with judge=False.
        """
        if self.without is None:
            raise ValueError("this filter keeps no values without a witness")
        bank, every, witness = self.without.bank, self.together.bank, self._pair >= 0
        x = np.where(witness, bank.x[self._pair] if len(bank.x) else NAN, every.x[self.underlying])
        var = np.where(witness, bank.x_var[self._pair] if len(bank.x) else inf, every.x_var[self.underlying])
        return x, var * self._stretch(self.underlying, self._pair)

    def _stretch(self, underlying: I8, without: I8) -> F8:
        """How many times a variance of an underlying, `without` a group by its row (-1: none), is what it would be if
        those who were heard did not contradict each other: kernel._settle's rule, on what each says alone, so that
        nobody has a part in how sure its own judges are."""
        weight, offset = self._form(None)
        heard = np.flatnonzero(weight > 0)
        of, pair, w = self.underlying[heard], self._pair[heard], weight[heard]
        own, own_var = self.share_only()
        spoke = own_var < inf
        away = np.expm1(self.z[heard] + np.log1p(-offset[heard]) - np.where(spoke, own, self.together.bank.x)[of])
        by_share, by_group = len(own), len(self.alone.bank.state)
        # The last rows of `alone` are of no group: they count what is left out where nobody is.
        count, weights, pull, square = (
            np.bincount(of, term, by_share)[underlying] - np.bincount(pair, term, by_group)[without]
            for term in (np.ones(len(w)), w, w * away, w * away**2)
        )
        free = count - ~spoke[underlying]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = 1 / own_var[underlying] + weights
            mean = pull / precision
            stretch = np.maximum((square - pull * mean) / free, 1.0)
            bound = np.where(spoke[underlying], np.maximum((own_var[underlying] + mean**2) * precision, 1.0), inf)
            stretch = np.minimum(stretch, bound)
        return np.where((free > 0) & np.isfinite(stretch), stretch, 1.0)

    def premium(self) -> tuple[F8, F8]:
        """Expected premium of each witness now and its variance [W], by everything heard; 0 and 0 for the share."""
        bank = self.together.bank
        return (
            np.where(self._slot > 0, bank.state[self.underlying, self._slot] + self._shift, 0.0),
            np.where(self._slot > 0, bank.cov[self.underlying, self._slot, self._slot], 0.0),
        )

    def forecast(self) -> tuple[F8, F8]:
        """Log price that each witness is expected to print now, by everything heard, itself included, and the variance
        of what it will be found off by, but for its spread [W]; NaN and inf before the first word."""
        mean, var, bank = np.empty(len(self.z)), np.empty(len(self.z)), self.together.bank
        forecast(self.underlying, self._slot, self._shift, self._noise, bank.state, bank.cov, mean, var)
        return mean, var

    def witness_weights(self) -> tuple[F8, F8]:
        """The scan's form: weight (1 / variance of a log) and offset (a fraction) of each witness [W].

        Of a group only the member that spoke last has a weight, of several the least noisy. A witness that was never
        heard, or adds nothing, and the share itself weigh 0.
        """
        return self._form(self.without)

    def _form(self, judges: _View | None) -> tuple[F8, F8]:
        """Weights and offsets that sum up to what `judges` say; without them, what each group says alone."""
        weight, offset = np.zeros(len(self.z)), np.zeros(len(self.z))
        alone = self.alone.bank
        without = self._none if judges is None else (judges.bank.state, judges.bank.cov)
        heard = (self._pair, self._share, self.underlying, self.z, self._spoke, self._noise)
        room = (np.full(len(alone.state), -1), np.zeros((7, len(self._share))), np.zeros((2, len(self.z))))
        weigh(*heard, alone.state, alone.cov, *without, *room, weight, offset)
        return weight, offset
