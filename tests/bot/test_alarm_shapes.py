"""Depegs put into a tape: what each shape does to the rows, when they come, and that none disturbs another."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bot.alarms.plan import IN_TIME, LASTS, Prints, passes, plan
from bot.alarms.shapes import COIN, Injection, Shape, in_coin, inject
from bot.sessions import load_sessions
from connectors.events import NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from strategies.market.session import Session

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
A, B, S = range(3)
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", unit_model=UnitModel.REBASING),
        Instrument(venue="b", symbol="T", role=Role.TOKEN, underlying="S", token="T", unit_model=UnitModel.REBASING),
        Instrument(venue="s", symbol="S", role=Role.SHARE, underlying="S"),
    )
)


def market(polls: int = 20) -> Rows:
    """Everything prints once a minute; the share climbs by a cent."""
    rows = []
    for at in range(polls):
        for number, kind in ((S, Kind.REFERENCE), (A, Kind.QUOTE), (B, Kind.QUOTE)):
            price = 100.0 + 0.01 * at
            rows.append(
                Row(
                    ts_recv=BEGIN + 60 * at * NS,
                    instrument=number,
                    kind=kind,
                    bid=price - 0.01,
                    ask=price + 0.01,
                    flags=Flag(0),
                    bid_size=1.0,
                    ask_size=1.0,
                )
            )
    return Rows.of(rows)


def one(shape: Shape, size_bps: float = 200.0, moved: tuple[int, ...] = (A, B)) -> Injection:
    """A depeg from the fifth poll to the fourteenth, judged at venue a."""
    start = BEGIN + 300 * NS
    full = start + 240 * NS if shape is Shape.RAMP else start
    return Injection(
        shape=shape, size_bps=size_bps, session=Session.REGULAR, token=("T", ""), underlying="S", judged=A,
        moved=moved, start_ns=start, full_ns=full, end_ns=start + 541 * NS, deadline_ns=start + 300 * NS,
    )  # fmt: skip


def away_bps(rows: Rows, before: Rows, number: int) -> list[float]:
    """How far each print of an instrument was moved."""
    its = rows.instrument == number
    moved = (rows.bid[its] + rows.ask[its]) / (before.bid[its] + before.ask[its])
    return [round(float(x), 6) for x in (moved - 1) * 1e4]


@pytest.mark.parametrize(("shape", "moved"), [(Shape.JUMP, (A, B)), (Shape.SINGLE_VENUE, (B,))])
def test_a_jump_moves_its_venues_at_once_and_only_meanwhile(shape: Shape, moved: tuple[int, ...]) -> None:
    """
    Ten polls of 200 bps, nothing before and after, nothing at the others and at the share.
    """
    before = market()
    rows = inject(before, UNIVERSE, [one(shape, moved=moved)])
    for number in (A, B, S):
        size = 200.0 if number in moved else 0.0
        assert [0.0] * 5 + [size] * 10 + [0.0] * 5 == away_bps(rows, before, number)


def test_a_ramp_grows_in_equal_parts() -> None:
    """
    0, 50, 100, 150, 200 bps over five prints.
    """
    before = market()
    rows = inject(before, UNIVERSE, [one(Shape.RAMP)])
    assert [0.0] * 6 + [50.0, 100.0, 150.0] + [200.0] * 6 + [0.0] * 5 == pytest.approx(away_bps(rows, before, A))


def test_a_stale_reference_repeats_its_last_quote() -> None:
    """
    The share says what it said at the fourth poll while its token goes on and moves.
    """
    before = market()
    rows = inject(before, UNIVERSE, [one(Shape.STALE_REFERENCE, -100.0)])
    share = rows.bid[rows.instrument == S]
    assert [before.bid[before.instrument == S][4]] * 10 == share[5:15].tolist()
    assert [-100.0] * 10 == pytest.approx(away_bps(rows, before, A)[5:15])


def test_a_coin_moves_and_its_quotes_against_it() -> None:
    """
    Quoted in an invented coin the tokens are worth the same in USD before, while and after it falls by 3 %.
    """
    before = market()
    coined, universe = in_coin(before, UNIVERSE, seed=1)
    assert {COIN} == {i.quote for i in universe if i.role is Role.TOKEN}
    rows = inject(coined, universe, [one(Shape.STABLECOIN, -300.0)])
    fx = universe.number(f"score:{COIN}/USD")
    coin, worth = 1.0, []
    for at in range(len(rows)):
        if rows.instrument[at] == fx:
            coin = float(rows.bid[at])
        elif rows.instrument[at] == A:
            worth.append(float(rows.bid[at]) * coin)
    assert 0.9695 < min(rows.bid[rows.instrument == fx]) < 0.9705
    assert before.bid[before.instrument == A].tolist() == pytest.approx(worth, rel=5e-4)
    assert bool(np.all(np.diff(rows.ts_recv) >= 0))


def day() -> dict[int, Prints]:
    """Two days of prints every five minutes of venue a, of which every seventh was not known; none of b."""
    ts = BEGIN + 300 * NS * np.arange(576)
    return {A: Prints(ts, np.arange(576) % 7 != 0), B: Prints(ts[:0], np.zeros(0, dtype=bool))}


def drawn(seed: int = 1, count: int = 120) -> list[Injection]:
    """A plan over these days."""
    return plan(
        UNIVERSE,
        {("T", ""): (A, B)},
        day(),
        load_sessions(),
        count=count,
        sizes_bps=(100.0, 200.0),
        seed=seed,
        timer_ns=NS,
    )


def test_a_plan_is_spread_over_shapes_sizes_and_sessions() -> None:
    """
    120 injections over five shapes, two sizes and the sessions that are there: each about as often.
    """
    made = drawn()
    assert 120 == len(made)
    for of in (lambda i: i.shape, lambda i: abs(i.size_bps), lambda i: i.session):
        counts = np.unique([str(of(i)) for i in made], return_counts=True)[1]
        assert counts.max() <= 1.6 * counts.min()
    assert {-1.0, 1.0} == {float(np.sign(i.size_bps)) for i in made}


def test_a_plan_starts_at_known_prints_and_counts_five_of_them() -> None:
    """
    It begins at a print at which the state was known, lasts so many, and five of them are in time.
    """
    ts, known = day()[A].ts, day()[A].known
    for it in drawn():
        at, full = int(np.searchsorted(ts, it.start_ns)), int(np.searchsorted(ts, it.full_ns))
        assert ts[at] == it.start_ns and known[at] and known[at + 1]
        assert int(ts[full + IN_TIME - 1]) + 2 * NS == it.deadline_ns
        assert int(ts[full + LASTS - 1]) + 1 == it.end_ns
        assert load_sessions().at(it.start_ns) is it.session


def test_a_plan_is_that_of_its_seed() -> None:
    """
    The same seed draws the same, another one another.
    """
    assert drawn() == drawn()
    assert drawn() != drawn(seed=2)


def test_no_two_depegs_meet_in_a_pass() -> None:
    """
    Every injection is in one pass, apart from the others there, and coins are among themselves.
    """
    made, groups = drawn(), passes(drawn(), day())
    assert sorted(map(repr, made)) == sorted(repr(i) for group in groups for i in group)
    for group in groups:
        assert 1 == len({i.shape is Shape.STABLECOIN for i in group})
        for first, second in pairwise(group):
            assert first.end_ns < second.start_ns
    assert len(groups) < 40
