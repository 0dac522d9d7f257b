"""What a tape's instruments printed, as the engine believes it: log USD per share on a grid of moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bot.assembly import assemble
from bot.config import Config, Run, Strategies
from bot.sessions import load_sessions
from connectors.events import F8, I8
from connectors.instruments import Universe
from connectors.tape import Tape
from strategies.market import kernel as K
from strategies.market.fair import SPREAD_SIGMAS

COLUMNS = ("ts_recv", "instrument", "kind", "flags", "bid", "ask", "bid_size", "ask_size", "extra")


class _Deaf:
    """A scribe that writes nothing."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Forgets the record."""
        return 0


@dataclass(frozen=True, slots=True)
class Prints:
    """Believed prints of I instruments at T moments; NaN where an instrument has not printed since the one before."""

    universe: Universe
    moments: I8
    """ns UTC, rising; only those at which something has printed."""
    z: F8
    """Log USD per share [T, I] at the last print before the moment."""
    var: F8
    """Variance of its error by its own spread and that of the coin that it is quoted in [T, I]."""


def read_prints(
    tape: Tape,
    config: Config,
    *,
    every_ns: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
    progress: Callable[[int], None] = lambda moments: None,
) -> Prints:
    """Every instrument's last believed print in each step of [start_ns, end_ns), by the gates of `config`.

    The engine sees the tape from its beginning, so that the gates remember. A moment is the end of its step, and what
    printed in the very instant belongs to it. Raises TapeError.
    """
    plain = config.model_copy(update={"strategies": Strategies(), "risk": None, "run": Run(timer_s=86_400.0)})
    parts = assemble(plain, tape.universe, load_sessions(), _Deaf(), executor=None, doubt=False, witnesses=False)
    columns = parts.columns
    count = len(tape.universe)
    coins = {instrument.quote for instrument in tape.universe}
    seen = np.zeros(count, np.int64)
    moments: list[int] = []
    z: list[F8] = []
    var: list[F8] = []
    step = -1

    def look() -> None:
        """Reads what is new at the end of the step."""
        new = (columns.prints[:count] > seen) & (columns.k[:count, K.REFUSAL] == K.OK)
        seen[:] = columns.prints[:count]
        moment = step * every_ns
        if (start_ns is not None and moment < start_ns) or not new.any():
            return
        bid, ask = columns.f[:count, K.BID], columns.f[:count, K.ASK]
        with np.errstate(invalid="ignore", divide="ignore"):
            price = np.where(new, np.log(columns.f[:count, K.MID_USD]), np.nan)
            half = (ask - bid) / (ask + bid)
        moments.append(moment)
        z.append(np.where(np.isfinite(price), price, np.nan))
        of_coin = {coin: columns.coin_variance(coin) for coin in coins}
        var.append((half / SPREAD_SIGMAS) ** 2 + [of_coin[instrument.quote] for instrument in tape.universe])

    for rows in tape.blocks(COLUMNS, None, end_ns):
        steps = -(-rows.ts_recv // every_ns)
        step = int(steps[0]) if step < 0 else step
        done = 0
        for at in (*np.flatnonzero(np.diff(steps, prepend=step)).tolist(), len(rows)):
            parts.engine.advance(rows[done:at])
            if at < len(rows):
                look()
                step = int(steps[at])
            done = at
        progress(len(moments))
    if step >= 0:
        look()
    shape = (len(moments), count)
    return Prints(
        tape.universe,
        np.array(moments, np.int64),
        np.array(z).reshape(shape),
        np.array(var).reshape(shape),
    )
