"""Premia of a tape against our own fair value: the engine, without strategies, sees the tape and is read at prints."""

from __future__ import annotations

from typing import Final

import numpy as np

from bot.assembly import assemble, refused_rows
from bot.config import Config, Run, Strategies
from bot.peg import Samples
from bot.sessions import load_sessions
from connectors.events import F8, I8, NEVER, Flag, Rows
from connectors.instruments import Role
from connectors.tape import Tape

COLUMNS: Final = ("ts_recv", "instrument", "kind", "flags", "bid", "ask", "bid_size", "ask_size")
_TIMER_S: Final = 86_400.0
"""Nobody decides here, so the strategies' clock may sleep."""


class _Deaf:
    """A scribe that writes nothing: looking at a tape leaves no journal."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Forgets the record."""
        return 0


def fair_samples(tape: Tape, config: Config, start_ns: int | None = None, end_ns: int | None = None) -> Samples:
    """As `fair_look`, the samples only."""
    return fair_look(tape, config, start_ns, end_ns)[0]


def fair_look(
    tape: Tape, config: Config, start_ns: int | None = None, end_ns: int | None = None
) -> tuple[Samples, dict[str, dict[str, int]]]:
    """Premia of every token's accepted prints in [start_ns, end_ns) on the fair value of its share, as the bot sees it.

    The whole tape before `end_ns` is looked at, so that gates and sources remember. A sample sees every row of its own
    instant. No sample is made of a print that the gates refuse (an outlier that does not last), nor where the fair
    value, the coin or the multiplier is unknown. The second value says how many rows of each instrument were refused,
    by reason. Raises TapeError.
    """
    plain = config.model_copy(update={"strategies": Strategies(), "risk": None, "run": Run(timer_s=_TIMER_S)})
    parts = assemble(plain, tape.universe, load_sessions(), _Deaf(), executor=None)
    columns, prints = parts.columns, parts.columns.prints
    is_token = np.array([instrument.role is Role.TOKEN for instrument in tape.universe])
    waiting: list[tuple[int, int, float]] = []
    found: list[tuple[int, int, float]] = []

    def settle() -> None:
        """The instant is over: what printed in it is judged by the columns of now."""
        for ts, number, mid in waiting:
            fair = columns.fair(columns.group(number), ts)
            if fair is not None and (start_ns is None or ts >= start_ns):
                found.append((ts, number, mid * float(columns.usd_per_share[number]) / fair.price * 1e4 - 1e4))
        waiting.clear()

    for rows in tape.blocks(COLUMNS, None, end_ns):
        done = 0
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
            before = int(prints[number])
            parts.engine.advance(rows[done : at + 1])
            done = at + 1
            if prints[number] > before:
                waiting.append((ts, number, _mid(rows, at)))
        parts.engine.advance(rows[done:])
    settle()
    table = np.array([(ts, number) for ts, number, _ in found], dtype=np.int64).reshape(-1, 2)
    premium: F8 = np.array([bps for _, _, bps in found], dtype=np.float64)
    told = np.isfinite(premium)
    moments: I8 = table[told, 0]
    return Samples(moments, table[told, 1].astype(np.int32), premium[told]), refused_rows(columns)


def _mid(rows: Rows, at: int) -> float:
    """The mid of a row."""
    return float(rows.bid[at] + rows.ask[at]) / 2
