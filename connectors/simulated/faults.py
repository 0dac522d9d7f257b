"""What goes wrong in the simulated world, when, and to whom: planned from the seed before the first row is made.

The plan is always drawn in full, whatever is switched on: switching one fault off leaves the rest of the story, and
every other row, as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from connectors.errors import RegistryError
from connectors.events import I8, NS
from connectors.instruments import Role, UnitModel, Universe
from connectors.simulated.cast import COINS, MARKETS, REGULAR, STOCKS, TAPE_VENUE, universe

HOUR_NS: Final = 3600 * NS
DAY_NS: Final = 24 * HOUR_NS

SessionsAt = Callable[[I8], I8]
"""Session codes of many moments (ns UTC): SessionTable.codes_at."""


@dataclass(frozen=True, slots=True)
class Faults:
    """One switch for each thing that can go wrong."""

    outlier: bool = True
    """A fat-finger print: one quote far from everything, gone with the next."""
    depeg: bool = True
    """A token slides off its peg on both its venues, stays there for hours, and returns."""
    frozen: bool = True
    """The tape repeats its last price of a share while the share moves."""
    multiplier: bool = True
    """A multiplier changes: announced hours ahead, active at midnight UTC."""
    drop: bool = True
    """A venue goes silent and comes back."""
    gap: bool = True
    """Some tokens part from their peg on one venue for minutes, by more than it costs to trade it."""

    def without(self, names: Iterable[str]) -> Faults:
        """The same with these faults switched off. Raises RegistryError for a name that is none."""
        wanted = tuple(names)
        for name in wanted:
            if name not in FAULTS:
                raise RegistryError(f"no fault {name!r}", hint="known: " + ", ".join(FAULTS))
        return replace(self, **{name: False for name in wanted})


FAULTS: Final = tuple(field.name for field in fields(Faults))


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about one fault: what was done to which instruments, from when to when (ns UTC)."""

    kind: str
    start_ns: int
    end_ns: int
    underlying: str
    instruments: tuple[str, ...]
    """Names, `venue:symbol`."""
    detail: dict[str, float]


def plan(seed: int, start_ns: int, seconds: float, sessions: SessionsAt) -> tuple[Injected, ...]:
    """All faults of a world, in order of time; one that finds no room in a short world is left out.

    No two of them touch the same share at the same time, so that each can be told from what is seen.
    """
    return _Planner(seed, start_ns, seconds, sessions).planned()


class _Planner:
    def __init__(self, seed: int, start_ns: int, seconds: float, sessions: SessionsAt) -> None:
        self.start, self.end = start_ns, start_ns + int(seconds * NS)
        self.minutes: I8 = np.arange(self.start, self.end, 60 * NS, dtype=np.int64)
        self.codes = np.asarray(sessions(self.minutes))
        self.seeds = iter(np.random.SeedSequence([seed, 1]).spawn(len(FAULTS)))
        self.taken: list[tuple[int, int, frozenset[str]]] = []
        self.found: list[Injected] = []
        self.universe: Universe = universe()

    def planned(self) -> tuple[Injected, ...]:
        kinds = (self._drop, self._frozen, self._depeg, self._multiplier, self._outlier, self._gaps)
        draws = [(draw, np.random.default_rng(next(self.seeds))) for draw in kinds]
        # The frozen reference needs hours of one regular session: it takes its place before the others take theirs.
        for draw, rng in (draws[1], draws[0], *draws[2:]):
            draw(rng)
        return tuple(sorted(self.found, key=lambda fault: (fault.start_ns, fault.kind)))

    def _place(
        self,
        rng: np.random.Generator,
        kind: str,
        length_s: float,
        shares: Iterable[str],
        names: tuple[str, ...],
        *,
        underlying: str = "",
        within: tuple[float, float] = (0.03, 0.95),
        regular: bool = False,
        detail: dict[str, float] | None = None,
    ) -> bool:
        """Looks for a free window of that length; 200 tries, then the world has no room for it."""
        length, span = int(length_s * NS), self.end - self.start
        earliest, latest = self.start + int(within[0] * span), self.start + int(within[1] * span) - length
        keys = frozenset(shares)
        inside = (self.minutes >= earliest) & (self.minutes <= latest)
        candidates = self.minutes[inside & self._lasts(length) if regular else inside]
        for _ in range(200 if len(candidates) else 0):
            at = int(rng.choice(candidates)) + int(rng.integers(60)) * NS
            until = at + length
            if any(at < end and start < until and keys & others for start, end, others in self.taken):
                continue
            margin = 300 * NS
            self.taken.append((at - margin, until + margin, keys))
            self.found.append(
                Injected(
                    kind=kind,
                    start_ns=at,
                    end_ns=until,
                    underlying=underlying,
                    instruments=names,
                    detail=detail or {},
                )
            )
            return True
        return False

    def _lasts(self, length: int) -> npt.NDArray[np.bool_]:
        """Which minutes begin a stretch of the regular session that is at least `length` ns (plus a minute) long."""
        steps = length // (60 * NS) + 2
        open_ = np.concatenate(([0], np.cumsum(self.codes == REGULAR)))
        ends = np.minimum(np.arange(len(self.minutes)) + steps, len(self.minutes))
        return np.asarray(open_[ends] - open_[: len(self.minutes)] == steps)

    def _names(self, symbol: str) -> tuple[str, ...]:
        return tuple(i.name for i in self.universe if i.token == symbol)

    def _drop(self, rng: np.random.Generator) -> None:
        for market in rng.permutation(np.array([m.venue for m in MARKETS]))[:2]:
            mine = [i for i in self.universe if i.venue == market]
            shares = {i.underlying for i in mine}
            self._place(rng, "drop", rng.uniform(1500, 4200), shares, tuple(i.name for i in mine))

    def _frozen(self, rng: np.random.Generator) -> None:
        ticker = str(rng.choice([s.ticker for s in STOCKS]))
        length = rng.uniform(4800, 9000)
        self._place(rng, "frozen", length, (ticker,), (f"{TAPE_VENUE}:{ticker}",), underlying=ticker, regular=True)

    def _depeg(self, rng: np.random.Generator) -> None:
        # A share with one token on two venues: a second token of the share would make the slide a trade, not an alarm.
        tokens = [c for c in COINS if len(self._names(c.symbol)) == 2 and self._alone(c.underlying)]
        token = tokens[int(rng.integers(len(tokens)))]
        slide_s, back_s = rng.uniform(3600, 7200, size=2)
        length = float(slide_s + back_s + rng.uniform(0.06, 0.16) * (self.end - self.start) / NS)
        detail = {"depth_bps": float(-rng.uniform(560, 940)), "slide_s": float(slide_s), "back_s": float(back_s)}
        self._place(
            rng,
            "depeg",
            length,
            (token.underlying,),
            self._names(token.symbol),
            underlying=token.underlying,
            within=(0.05, 0.9),
            detail=detail,
        )

    def _multiplier(self, rng: np.random.Generator) -> None:
        changing = [c for c in COINS if c.unit_model is not UnitModel.REBASING]
        token = changing[int(rng.integers(len(changing)))]
        notice = int(rng.uniform(3 * 3600, 9 * 3600)) * NS
        factor = float(rng.uniform(1.006, 1.016))
        first = (self.start + notice) // DAY_NS + 1
        nights = [day * DAY_NS for day in range(first, self.end // DAY_NS + 1) if day * DAY_NS < self.end - HOUR_NS]
        order = rng.permutation(len(nights))
        for night in (nights[at] for at in order):
            window, keys = (night - HOUR_NS // 2, night + HOUR_NS), frozenset((token.underlying,))
            if any(window[0] < end and start < window[1] and keys & others for start, end, others in self.taken):
                continue
            self.taken.append((*window, keys))
            new = round(token.multiplier * factor, 6)
            self.found.append(
                Injected(
                    kind="multiplier",
                    start_ns=night - notice,
                    end_ns=night,
                    underlying=token.underlying,
                    instruments=self._names(token.symbol),
                    detail={"old": token.multiplier, "new": new},
                )
            )
            return

    def _outlier(self, rng: np.random.Generator) -> None:
        at = [i for i in self.universe if i.role is Role.TOKEN]
        one = at[int(rng.integers(len(at)))]
        factor = float(rng.uniform(1.6, 4.0)) if rng.random() < 0.6 else float(rng.uniform(0.3, 0.6))
        detail = {"factor": factor}
        self._place(rng, "outlier", 900, (one.underlying,), (one.name,), underlying=one.underlying, detail=detail)

    def _gaps(self, rng: np.random.Generator) -> None:
        count = max(3, round((self.end - self.start) / (10 * HOUR_NS)))
        at = [i for i in self.universe if i.role is Role.TOKEN]
        for number in range(count):
            one = at[int(rng.integers(len(at)))]
            size = float(rng.choice((-1.0, 1.0)) * rng.uniform(130, 240))
            self._place(
                rng,
                "gap",
                3600,
                (one.underlying,),
                (one.name,),
                underlying=one.underlying,
                regular=number % 2 == 0,
                detail={"size_bps": size, "half_life_s": float(rng.uniform(240, 480))},
            )

    def _alone(self, underlying: str) -> bool:
        return sum(c.underlying == underlying for c in COINS) == 1
