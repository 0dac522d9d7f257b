"""One print of 500 USD at a hundred times the price, as AMZNx saw it: nothing moves, and it is shown and explained."""

from __future__ import annotations

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config, PegWatch, Strategies  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from monitoring.decisions import Tally  # noqa: E402
from monitoring.facts import Facts  # noqa: E402
from monitoring.snapshot import TokenLine, snapshot  # noqa: E402
from strategies.base import Step  # noqa: E402

FRIDAY = 1_788_537_600 * NS
"""4 September 2026, noon in New York."""
POOL, A, B, TAPE = range(4)
_EACH = ("pre", "regular", "post", "overnight", "weekend", "holiday")
WATCH = PegWatch(warn_bps=dict.fromkeys(_EACH, 100.0), depeg_bps=dict.fromkeys(_EACH, 300.0), sample_s=0)
UNIVERSE = Universe(
    (
        *(
            Instrument(venue=venue, symbol="AMZNx/USD", role=Role.TOKEN, token="AMZNx", issuer="i", underlying="AMZN",
                       unit_model=UnitModel.REBASING)
            for venue in ("pool", "a", "b")
        ),
        Instrument(venue="tape", symbol="AMZN", role=Role.SHARE, underlying="AMZN", hours=Hours.EXTENDED),
    )
)  # fmt: skip


class Run:
    """An engine with its peg watch, told one row after the other."""

    def __init__(self) -> None:
        """Nothing was said."""
        self.rng, self.steps, tally = np.random.default_rng(7), list[Step](), Tally(UNIVERSE)
        config = Config(strategies=Strategies(peg_watch=WATCH))
        listen = [self.steps.append, tally.fold]
        self.parts = assemble(config, UNIVERSE, load_sessions(), Journal(None), executor=None, on_step=listen)
        self.columns, self.tally = self.parts.columns, tally

    def quote(self, at: int, number: int, price: float, size: float = 50.0) -> None:
        """A row."""
        kind = Kind.REFERENCE if number == TAPE else Kind.QUOTE
        row = Row(ts_recv=at, instrument=number, kind=kind, bid=price * 0.9999, ask=price * 1.0001, bid_size=size,
                  ask_size=size)  # fmt: skip
        self.parts.engine.advance(Rows.of([row]))

    def quiet(self, begin: int, rounds: int, who: tuple[int, ...] = (TAPE, POOL, A, B)) -> int:
        """So many rounds of everybody at 230, ten seconds apart; the moment after them."""
        for n in range(rounds):
            for number in who:
                self.quote(begin + n * 10 * NS + number, number, 230.0 * (1 + float(self.rng.normal(0, 0.3e-4))))
        return begin + rounds * 10 * NS

    def states(self, since: int = 0) -> list[str]:
        """What was told of the pool and of the token since a moment, and since the pool was first PEGGED."""
        told = [
            (step.ts, n) for step in self.steps for n in step.notes if n.kind == "token_state" or n.instrument == POOL
        ]
        found = [(ts, str(n.detail["to"])) for ts, n in told if n.kind in ("peg_state", "token_state")]
        begin = [state for _, state in found].index("PEGGED")
        return [state for ts, state in found[begin:] if ts >= since]

    def shown(self) -> TokenLine:
        """The pool on the page."""
        (line,) = [
            one
            for one in snapshot(self.columns, self.tally, facts=Facts(version="1", mode="dry_run")).tokens
            if one.venue == "pool"
        ]
        return line


@pytest.mark.parametrize("hours", [0, 24], ids=["open", "weekend"])
def test_one_print_of_a_hundred_times_the_price_moves_nothing_and_is_explained(hours: int) -> None:
    """
    Half an hour of quotes with the share open, and, or not, a day into the weekend; then the pool prints 100 x for 2
    units. The fair value of a moves by less than a basis point until the pool is back, the print is refused as an
    outlier with its distance, and no state of a peg leaves PEGGED.
    """
    run = Run()
    columns, steps, quote = run.columns, run.steps, run.quote
    now = run.quiet(FRIDAY, 180)
    if hours:
        now = run.quiet(FRIDAY + hours * 3600 * NS, 180, (POOL, A, B))
    before = columns.fair_without(A, now)
    quote(now, POOL, 23_000.0, 2.0)
    at_once = columns.fair_without(A, now)
    quote(now + 6 * NS, A, 230.0)
    after = columns.fair_without(A, now + 6 * NS)
    assert before is not None and at_once is not None and after is not None
    assert abs(at_once.price / before.price - 1) < 1e-4
    assert abs(after.price / before.price - 1) < 1e-4
    told = [note for step in steps for note in step.notes if note.kind == "refused_row" and note.instrument == POOL]
    assert ["outlier"] == [note.detail["reason"] for note in told]
    assert 900_000 < float(told[0].detail["away_bps"])
    assert "outlier" in columns.why_not_judged(POOL, now)
    assert "pegged" == run.shown().peg_state
    assert "last print refused: outlier" == run.shown().reason
    assert run.shown().premium_bps is None
    run.quiet(now + 10 * NS, 30, (POOL, A, B) if hours else (TAPE, POOL, A, B))
    assert columns.judge(POOL, now + 305 * NS) is not None
    assert run.states() and not run.states(now)


@pytest.mark.parametrize("prices", [(23_000.0, 23_000.0), (23_000.0, 3_000.0)], ids=["again", "another"])
def test_a_second_outlier_makes_the_state_unknown(prices: tuple[float, float]) -> None:
    """A venue whose next print is refused too, at the same price or another, is UNKNOWN until it is believed again."""
    run = Run()
    now = run.quiet(FRIDAY, 180)
    told = []
    for n, price in enumerate(prices):
        run.quote(now + n * 10 * NS, POOL, price, 2.0)
        for number in (TAPE, A, B, A):
            run.quote(now + n * 10 * NS + (number + 2) * NS, number, 230.0)
        told.append(run.shown().peg_state)
    assert ["pegged", "unknown"] == told
    run.quiet(now + 20 * NS, 30)
    assert "pegged" == run.shown().peg_state
    assert ["UNKNOWN", "PEGGED"] == run.states(now)


def test_a_slip_holds_the_state_no_longer_than_its_last_print_is_young() -> None:
    """Nothing but the slip for as long as a print counts: then the venue is UNKNOWN."""
    run = Run()
    now = run.quiet(FRIDAY, 180)
    run.quote(now, POOL, 23_000.0, 2.0)
    told = [run.shown().peg_state]
    for n in range(1, 20):
        run.quiet(now + n * 10 * NS, 1, (TAPE, A, B))
        told.append(run.shown().peg_state)
    assert "pegged" == told[0] == told[5]
    assert "unknown" == told[-1]
