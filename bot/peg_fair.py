"""Premia of a tape against our own fair value: the engine, without strategies, sees the tape and is read at prints."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final

import numpy as np

from bot.assembly import assemble, peg_rules, refused_rows
from bot.config import Config, Run, Strategies
from bot.health_watch import HealthWatch
from bot.peg_samples import Samples
from bot.sessions import load_sessions
from connectors.events import I8, NEVER, NS, Flag, Kind
from connectors.instruments import Role
from connectors.provenance import Provenance, unpack
from connectors.tape import Tape
from strategies.market.health import PegHealth, Rules

COLUMNS: Final = ("ts_recv", "instrument", "kind", "flags", "bid", "ask", "bid_size", "ask_size", "extra")
_LOOK_NS: Final = 1800 * NS
"""Nobody waits for peg health here, so it is looked at less often than in a run."""
PRINTS_A_WINDOW: Final = 8
"""On a tape of rare prints the windows of peg health are long enough for so many of them."""
_TIMER_S: Final = 86_400.0
"""Nobody decides here, so the strategies' clock may sleep."""


class _Deaf:
    """A scribe that writes nothing: looking at a tape leaves no journal."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Forgets the record."""
        return 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a span of a tape found."""

    samples: Samples
    refused: dict[str, dict[str, int]]
    """Rows of each instrument that were not believed within the span, by reason."""
    sources: dict[int, dict[str, int]]
    """By token instrument: at how many samples a source or witness was among those that it was judged by."""
    unknown: dict[int, dict[str, int]]
    """By token instrument: accepted prints of the span without a fair value, coin or multiplier, hence no samples,
    by what was missing."""
    unknown_ts: dict[int, list[int]]
    """Their moments."""
    health: dict[int, PegHealth]
    """Peg health of each token that printed, at the end."""
    scores: dict[int, list[tuple[int, float | None]]]
    """Its score as time went by, once in a window; None where it was unknown."""
    costs: dict[int, float]
    """What a trade costs at each token's venue, as a share of the price; venues of which it is not known are left
    out."""


def fair_samples(tape: Tape, config: Config, start_ns: int | None = None, end_ns: int | None = None) -> Samples:
    """As `fair_look`, the samples only."""
    return fair_look(tape, config, start_ns, end_ns).samples


def fair_look(tape: Tape, config: Config, start_ns: int | None = None, end_ns: int | None = None) -> Looked:
    """Premia of every token's accepted prints in [start_ns, end_ns) on the fair value of its share, as the bot sees it:
    by everybody but the token's own venue.

    The whole tape before `end_ns` is looked at, so that gates and sources remember. A sample sees every row of its own
    instant. No sample is made of a print that the gates refuse (an outlier that does not last), nor where the fair
    value, the coin or the multiplier is unknown. Raises TapeError.
    """
    plain = config.model_copy(update={"strategies": Strategies(), "risk": None, "run": Run(timer_s=_TIMER_S)})
    parts = assemble(plain, tape.universe, load_sessions(), _Deaf(), executor=None, doubt=False)
    columns, prints = parts.columns, parts.columns.prints
    is_token = np.array([instrument.role is Role.TOKEN for instrument in tape.universe])
    watch = HealthWatch(columns, _rules(tape, config), parts.engine.depths.levels, look_ns=_LOOK_NS)
    parts.engine.health = watch
    waiting: list[tuple[int, int, float, float]] = []
    found: list[tuple[int, int, float, float, float, float, float]] = []
    unknown_ts: defaultdict[int, list[int]] = defaultdict(list)
    scores: defaultdict[int, list[tuple[int, float | None]]] = defaultdict(list)
    sources: defaultdict[int, Counter[str]] = defaultdict(Counter)
    unknown: defaultdict[int, Counter[str]] = defaultdict(Counter)
    before = columns.refused.copy()

    def settle() -> None:
        """The instant is over: what printed in it is judged by the columns of now."""
        for ts, number, bid, ask in waiting:
            fair = columns.fair_without(number, ts)
            worth = float(columns.usd_per_share[number])
            if fair is not None and isfinite(worth):
                sell, buy = bid * worth / fair.price, ask * worth / fair.price
                premium = (bid + ask) / 2 * worth / fair.price * 1e4 - 1e4
                par = (1 + premium / 1e4) / columns.known_fx(number) * 1e4 - 1e4
                found.append((ts, number, premium, fair.error_bps, sell * 1e4 - 1e4, buy * 1e4 - 1e4, par))
                heard = [one.number for one in columns.heard(columns.group(number), ts, without=number)]
                for at in [fair.source, *heard] if fair.source >= 0 else heard:
                    sources[number][tape.universe[at].name] += 1
            else:
                why = columns.why_unknown(columns.group(number), ts, without=number)
                unknown[number][why or "its coin or multiplier is not known"] += 1
                unknown_ts[number].append(ts)
        if not waiting:
            return
        moment = waiting[0][0]
        waiting.clear()
        watch.tick(moment)
        for number, health in watch.health.items():
            told = scores[number]
            if not told or moment - told[-1][0] >= health.rules.window_ns:
                score = health.score(moment)
                told.append((moment, None if score is None else score.score))

    for whole in tape.blocks(COLUMNS, None, end_ns):
        earlier = 0 if start_ns is None else int(np.searchsorted(whole.ts_recv, start_ns))
        if earlier:
            parts.engine.advance(whole[:earlier])
            before = columns.refused.copy()
        rows, done = whole[earlier:], 0
        candidates = np.flatnonzero(is_token[rows.instrument] & (rows.flags & Flag.SUPERSEDED == 0)).tolist()
        for at in (*candidates, len(rows)):
            ts = int(rows.ts_recv[at]) if at < len(rows) else NEVER
            if waiting and ts > waiting[0][0]:
                over = int(np.searchsorted(rows.ts_recv, waiting[0][0], side="right"))
                parts.engine.advance(rows[done:over])
                done = max(done, over)
                if over < len(rows):
                    settle()
            if at == len(rows):
                break
            number = int(rows.instrument[at])
            printed = int(prints[number])
            parts.engine.advance(rows[done : at + 1])
            done = at + 1
            if prints[number] > printed:
                waiting.append((ts, number, float(rows.bid[at]), float(rows.ask[at])))
        parts.engine.advance(rows[done:])
    settle()
    for number, health in watch.health.items():
        watch.look(number, health.ring.last)
    whole_ns = np.array([(ts, number) for ts, number, *_ in found], dtype=np.int64).reshape(-1, 2)
    told = np.array([numbers for _, _, *numbers in found], dtype=np.float64).reshape(-1, 5)
    return Looked(
        samples=Samples(whole_ns[:, 0], whole_ns[:, 1].astype(np.int32), *(told[:, at] for at in range(5))),
        refused=refused_rows(columns, since=before),
        sources={number: dict(counts.most_common()) for number, counts in sources.items()},
        unknown={number: dict(counts.most_common()) for number, counts in unknown.items()},
        unknown_ts=dict(unknown_ts),
        health=watch.health,
        scores=dict(scores),
        costs={at: cost for at, facts in enumerate(columns.facts) if (cost := facts.cost) is not None},
    )


def _rules(tape: Tape, config: Config) -> Callable[[int], Rules]:
    """What each token's peg is held against: the config's rules, with windows that hold some prints of the tape."""
    moments: defaultdict[int, list[I8]] = defaultdict(list)
    is_token = np.array([instrument.role is Role.TOKEN for instrument in tape.universe])
    for rows in tape.blocks(("ts_recv", "instrument")):
        its = is_token[rows.instrument]
        for number in np.unique(rows.instrument[its]).tolist():
            moments[number].append(rows.ts_recv[rows.instrument == number])
    plain, found = peg_rules(config), {}
    for number, parts in moments.items():
        ts = np.concatenate(parts)
        usual = int(ts[-1] - ts[0]) // len(ts)
        window = max(plain.window_ns, PRINTS_A_WINDOW * usual)
        found[number] = replace(plain, window_ns=window, gap_ns=max(plain.gap_ns, PRINTS_A_WINDOW * usual // 2))
    return lambda number: found.get(number, plain)


def origins(tape: Tape, start_ns: int | None = None, end_ns: int | None = None) -> dict[str, list[str]]:
    """By share instrument: the streams and sessions that its rows say they came from, in the order of their names.

    Instruments whose rows say nothing are left out. Raises TapeError.
    """
    said: defaultdict[str, set[str]] = defaultdict(set)
    for rows in tape.blocks(("ts_recv", "instrument", "kind", "extra"), start_ns, end_ns):
        shares = (rows.kind == Kind.REFERENCE) & np.isfinite(rows.extra)
        pairs = np.unique(np.stack((rows.instrument[shares].astype(np.float64), rows.extra[shares])), axis=1)
        for number, extra in pairs.T.tolist():
            if (found := unpack(extra)) is not None:
                said[tape.universe[int(number)].name].add(str(Provenance(found.source, found.session)))
    return {name: sorted(streams) for name, streams in sorted(said.items())}
