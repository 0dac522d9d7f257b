"""What an alarm rule is worth: recall and delay of injected depegs, precision, and false alarms without any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bot.alarms.plan import Prints, passes, plan
from bot.alarms.shapes import Injection, Shape, in_coin, inject
from bot.alarms.watch import Timeline, Watched, watch
from bot.config import Config
from bot.limits import ns
from bot.sessions import load_sessions
from connectors.errors import DataError
from connectors.events import TWO_SIDED, Flag, Kind, Rows
from connectors.instruments import Role, Universe
from strategies.market.session import Session
from strategies.peg.rule import Rule
from strategies.peg.state import Cause, PegState

HOUR_NS: Final = 3600 * 10**9
Progress = Callable[[int, int], None]
"""Called with the passes that are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule made of one injection."""

    injection: Injection
    found: bool
    """In time, and called what it is."""
    cause: Cause
    """The cause that was told with it."""
    delay_s: float | None
    """From the beginning to the alarm."""
    delay_prints: int | None
    lead_s: float | None
    """From the alarm to the print with which the whole size was there; below zero it came after."""
    false: int
    """DEPEGGED that should not have been said meanwhile."""
    token_too_bad: bool
    """The token was called DEPEGGED though only one venue was."""
    token: PegState
    """The worst that the token was called."""


@dataclass(slots=True)
class Scored:
    """What one rule came to."""

    name: str
    rule: Rule
    outcomes: list[Outcome] = field(default_factory=list)
    clean: list[tuple[int, int, Session, Cause]] = field(default_factory=list)
    """False alarms without any injection in the scored part: (ts, instrument, session, cause)."""
    clean_before: int = 0
    """And in the part that the rule learned from."""
    clean_token: int = 0
    """Tokens that became DEPEGGED as a whole, in both parts."""
    expected_month: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Score:
    """What `pegline alarms score` prints."""

    first_ns: int
    split_ns: int
    last_ns: int
    hours: dict[Session, float]
    """Hours of all venues together in which their state was known, in the scored part, by session."""
    rules: list[Scored]
    unknown: list[str]
    """Shares without a token on any venue: their state is UNKNOWN."""
    passes: int
    universe: Universe


def score(
    rows: Rows,
    universe: Universe,
    config: Config,
    rule: Rule,
    candidate: Rule | None = None,
    *,
    seed: int = 1,
    count: int = 500,
    sizes_bps: Sequence[float] = (100.0, 200.0, 500.0),
    split: float = 0.5,
    progress: Progress | None = None,
) -> Score:
    """Scores a rule, and a candidate beside it, on a tape.

    The first `split` of the time is learned from; in the rest `count` depegs are put in at random times. Raises
    DataError for a tape without tokens, and for one in which no state is ever known in the scored part.
    """
    sessions = load_sessions()
    numbers = universe.where(role=Role.TOKEN)
    if not numbers or len(rows) < 2:
        raise DataError("there is no token on the tape", where="alarms score", hint="pegline tape info TAPE")
    unknown = [name for name in universe.underlyings() if not universe.where(role=Role.TOKEN, underlying=name)]
    rows, universe = without(rows, universe, unknown)
    numbers = universe.where(role=Role.TOKEN)
    first, last = int(rows.ts_recv[0]), int(rows.ts_recv[-1])
    cut = first + round((last - first) * split)
    clean = watch(config, [rows], universe, rule, candidate)
    prints = _prints(rows, numbers, clean.active, cut)
    timer = ns(config.run.timer_s)
    tokens: dict[tuple[str, str], list[int]] = {}
    for at in numbers:
        tokens.setdefault((universe[at].token or universe[at].symbol, universe[at].issuer), []).append(at)
    planned = plan(universe, tokens, prints, sessions, count=count, sizes_bps=sizes_bps, seed=seed, timer_ns=timer)
    if count and not planned:
        raise DataError(
            "no state is known for long enough in the second part of the tape",
            where="alarms score",
            hint="are its quotes older than [gates] max_quote_age_s? see pegline peg TAPE",
        )
    scored = [Scored("active", rule)]
    if candidate is not None:
        scored.append(Scored("candidate", candidate))
    for one, told in zip(scored, (clean.active, clean.shadow), strict=False):
        _clean(one, told or Watched(), universe, cut, last + 1)
    groups = passes(planned, prints)
    coined: tuple[Rows, Universe] | None = None
    for done, group in enumerate(groups):
        if progress is not None:
            progress(done, len(groups))
        market = rows, universe
        if group[0].shape is Shape.STABLECOIN:
            coined = coined or in_coin(rows, universe, seed)
            market = coined
        run = watch(config, [inject(*market, group)], market[1], rule, candidate)
        for one, told in zip(scored, (run.active, run.shadow), strict=False):
            one.outcomes += [_outcome(each, told or Watched(), prints[each.judged]) for each in group]
    if progress is not None:
        progress(len(groups), len(groups))
    return Score(
        first_ns=first,
        split_ns=cut,
        last_ns=last,
        hours=_hours(clean.active, numbers, cut, last),
        rules=scored,
        unknown=unknown,
        passes=len(groups) + 1,
        universe=universe,
    )


def without(rows: Rows, universe: Universe, underlyings: Sequence[str]) -> tuple[Rows, Universe]:
    """The market without these shares: nothing that is said of them judges any other."""
    kept = [at for at, instrument in enumerate(universe) if instrument.underlying not in underlyings]
    numbers = np.full(len(universe), -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept))
    less = rows[numbers[rows.instrument] >= 0]
    return replace(less, instrument=numbers[less.instrument]), Universe(tuple(universe[at] for at in kept))


def _prints(rows: Rows, numbers: Sequence[int], told: Watched, cut: int) -> dict[int, Prints]:
    """The prints of each token instrument after `cut`, and whether its state was known then."""
    found = {}
    priced = np.isin(rows.kind, [*map(int, TWO_SIDED), int(Kind.TRADE)]) & (rows.bid > 0) & (rows.ask > 0)
    priced &= rows.flags & (Flag.SUPERSEDED | Flag.SAME_PRINT) == 0
    for number in numbers:
        ts = np.unique(rows.ts_recv[priced & (rows.instrument == number) & (rows.ts_recv >= cut)])
        line = told.venues.get(number, Timeline())
        known = np.array([line.at(int(t) + 10**9)[0] is not PegState.UNKNOWN for t in ts.tolist()], dtype=bool)
        found[number] = Prints(ts, known)
    return found


def _clean(one: Scored, told: Watched, universe: Universe, cut: int, end: int) -> None:
    """The alarms of the tape as it is."""
    sessions = load_sessions()
    for number, line in told.venues.items():
        one.clean += [(ts, number, sessions.at(ts), cause) for ts, cause in line.alarms(cut, end)]
        one.clean_before += len(line.alarms(0, cut))
    one.clean.sort()
    one.clean_token = sum(len(line.alarms(0, end)) for line in told.tokens.values())
    one.expected_month = {universe[at].name: value for at, value in sorted(told.false_alarms_month.items())}


def _hours(told: Watched, numbers: Sequence[int], cut: int, last: int) -> dict[Session, float]:
    """Hours in which the state of a venue was known, of all venues together, by session."""
    sessions = load_sessions()
    found: defaultdict[Session, float] = defaultdict(float)
    step = 60 * 10**9
    minutes = np.arange(cut, last, step, dtype=np.int64)
    codes = sessions.codes_at(minutes)
    for number in numbers:
        line = told.venues.get(number, Timeline())
        known = np.array([line.at(int(t))[0] is not PegState.UNKNOWN for t in minutes.tolist()], dtype=bool)
        for code in np.unique(codes[known]).tolist():
            found[Session(code)] += float(np.count_nonzero(known & (codes == code))) / 60
    return dict(sorted(found.items()))


def _outcome(one: Injection, told: Watched, prints: Prints) -> Outcome:
    """What a rule made of one injection: the first thing in time that is right, and all that is wrong."""
    line = told.venues.get(one.judged, Timeline())
    token = told.tokens.get(one.token, Timeline())
    wanted: Callable[[PegState, Cause], bool] = _depegged
    if one.shape is Shape.STABLECOIN:
        wanted = _coin
    elif one.shape is Shape.STALE_REFERENCE:
        wanted = _stale
    hit = next(
        ((ts, cause) for ts, state, cause in line.within(one.start_ns, one.deadline_ns) if wanted(state, cause)), None
    )
    wrong = one.shape in (Shape.STABLECOIN, Shape.STALE_REFERENCE)
    during = line.within(one.start_ns + 1, one.end_ns - 1)
    of_token = [state for _, state, _ in token.within(one.start_ns + 1, one.end_ns - 1)]
    count = None
    if hit is not None:
        count = int(np.searchsorted(prints.ts, hit[0], side="right") - np.searchsorted(prints.ts, one.start_ns))
    return Outcome(
        injection=one,
        found=hit is not None,
        cause=hit[1] if hit is not None else Cause.NONE,
        delay_s=None if hit is None else (hit[0] - one.start_ns) / 1e9,
        delay_prints=count,
        lead_s=None if hit is None else (one.full_ns - hit[0]) / 1e9,
        false=sum(1 for _, state, _ in during if state is PegState.DEPEGGED) if wrong else 0,
        token_too_bad=one.shape is not Shape.JUMP and one.shape is not Shape.RAMP and PegState.DEPEGGED in of_token,
        token=max(of_token),
    )


def _depegged(state: PegState, cause: Cause) -> bool:
    return state is PegState.DEPEGGED


def _coin(state: PegState, cause: Cause) -> bool:
    return cause is Cause.STABLECOIN and state is not PegState.DEPEGGED


def _stale(state: PegState, cause: Cause) -> bool:
    return state is PegState.UNKNOWN and cause is Cause.REFERENCE
