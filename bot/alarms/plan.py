"""When which depeg is put into a tape: seeded, spread evenly over shapes, sizes and sessions, and never two at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from bot.alarms.shapes import Injection, Shape
from connectors.events import I8
from connectors.instruments import Universe
from strategies.market.session import Session, SessionTable

LASTS: Final = 9
"""Prints of the judged venue that a depeg lasts."""
IN_TIME: Final = 5
"""And by which of them, counted from the one with which its whole size is there, an alarm is in time."""
RAMP: Final = 4
"""Prints over which a ramp grows."""
REST: Final = 14
"""Prints from one depeg to the next on the same share, for the state to settle."""
LEAST_PRINTS: Final = 12
"""A session with fewer judged prints of all tokens is left out."""


@dataclass(frozen=True, slots=True)
class Prints:
    """The judged prints of one token instrument in the part of the tape that is scored."""

    ts: I8
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Whether its state was known then, without any injection."""


def plan(
    universe: Universe,
    tokens: Mapping[tuple[str, str], Sequence[int]],
    prints: Mapping[int, Prints],
    sessions: SessionTable,
    *,
    count: int,
    sizes_bps: Sequence[float],
    seed: int,
    timer_ns: int,
) -> list[Injection]:
    """`count` injections; fewer where the tape has no prints for them.

    Each is drawn at random among the prints of its session at which its venue's state was known and that enough prints
    follow.
    """
    rng = np.random.default_rng([seed, 3])
    starts: dict[Session, list[tuple[int, int]]] = {}
    for number, told in prints.items():
        codes = sessions.codes_at(told.ts)
        for at in range(len(told.ts) - LASTS - RAMP - 2):
            if told.known[at : at + 2].all():
                starts.setdefault(Session(int(codes[at])), []).append((number, at))
    there = sorted(session for session, found in starts.items() if len(found) >= LEAST_PRINTS)
    cells = list(product(Shape, sizes_bps, there))
    found: list[Injection] = []
    while len(found) < count and cells:
        for cell in rng.permutation(len(cells)).tolist()[: count - len(found)]:
            shape, size, session = cells[cell]
            number, at = starts[session][int(rng.integers(len(starts[session])))]
            key = next(key for key, numbers in tokens.items() if number in numbers)
            sign = 1.0 if rng.random() < 0.5 else -1.0
            found.append(
                _made(universe, tokens[key], prints[number], shape, sign * size, session, number, at, key, timer_ns)
            )
    return found


def _made(
    universe: Universe,
    venues: Sequence[int],
    prints: Prints,
    shape: Shape,
    size_bps: float,
    session: Session,
    number: int,
    at: int,
    token: tuple[str, str],
    timer_ns: int,
) -> Injection:
    """One injection at a print of an instrument."""
    ramp = RAMP if shape is Shape.RAMP else 0
    moved = (number,) if shape is Shape.SINGLE_VENUE else tuple(venues)
    return Injection(
        shape=shape,
        size_bps=size_bps,
        session=session,
        token=token,
        underlying=universe[number].underlying,
        judged=number,
        moved=moved,
        start_ns=int(prints.ts[at]),
        full_ns=int(prints.ts[at + ramp]),
        end_ns=int(prints.ts[at + ramp + LASTS - 1]) + 1,
        deadline_ns=int(prints.ts[at + ramp + IN_TIME - 1]) + 2 * timer_ns,
    )


def passes(injections: Sequence[Injection], prints: Mapping[int, Prints]) -> list[list[Injection]]:
    """The injections in as few groups as a greedy hand finds, so that within each none disturbs another.

    Depegs of a coin are kept among themselves: they are put into a market that is quoted in it.
    """
    groups: list[tuple[bool, list[Injection], dict[str, list[tuple[int, int]]]]] = []
    for one in injections:
        of_coin = one.shape is Shape.STABLECOIN
        ts = prints[one.judged].ts
        rested = int(ts[min(len(ts) - 1, int(np.searchsorted(ts, one.end_ns)) + REST)])
        # A coin's depeg is every token's.
        where = "" if of_coin else one.underlying
        for coins, members, taken in groups:
            spans = taken.setdefault(where, [])
            if coins is of_coin and all(rested <= begin or end <= one.start_ns for begin, end in spans):
                members.append(one)
                spans.append((one.start_ns, rested))
                break
        else:
            groups.append((of_coin, [one], {where: [(one.start_ns, rested)]}))
    return [sorted(members, key=lambda one: one.start_ns) for _, members, _ in groups]
