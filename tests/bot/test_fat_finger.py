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


@pytest.mark.parametrize("hours", [0, 24], ids=["open", "weekend"])
def test_one_print_of_a_hundred_times_the_price_moves_nothing_and_is_explained(hours: int) -> None:
    """
    Half an hour of quotes with the share open, and, or not, a day into the weekend; then the pool prints 100 x for 2
    units. The fair value of a moves by less than a basis point until the pool is back, the print is refused as an
    outlier with its distance, and no state of a peg leaves PEGGED.
    """
    rng, steps = np.random.default_rng(7), list[Step]()
    config = Config(strategies=Strategies(peg_watch=WATCH))
    parts = assemble(config, UNIVERSE, load_sessions(), Journal(None), executor=None, on_step=[steps.append])
    columns = parts.columns

    def quote(at: int, number: int, price: float, size: float = 50.0) -> None:
        kind = Kind.REFERENCE if number == TAPE else Kind.QUOTE
        row = Row(ts_recv=at, instrument=number, kind=kind, bid=price * 0.9999, ask=price * 1.0001, bid_size=size,
                  ask_size=size)  # fmt: skip
        parts.engine.advance(Rows.of([row]))

    def quiet(begin: int, rounds: int, *, open_: bool) -> int:
        for n in range(rounds):
            for number in (TAPE, POOL, A, B) if open_ else (POOL, A, B):
                quote(begin + n * 10 * NS + number, number, 230.0 * (1 + float(rng.normal(0, 0.3e-4))))
        return begin + rounds * 10 * NS

    now = quiet(FRIDAY, 180, open_=True)
    if hours:
        now = quiet(FRIDAY + hours * 3600 * NS, 180, open_=False)
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
    quiet(now + 10 * NS, 30, open_=not hours)
    assert columns.judge(POOL, now + 305 * NS) is not None
    states = {str(n.detail.get("to")) for step in steps for n in step.notes if n.kind in ("peg_state", "token_state")}
    assert "PEGGED" in states
    assert states <= {"PEGGED", "UNKNOWN"}
