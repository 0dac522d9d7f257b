"""The simulated market: the same seed the same bytes, each fault with a switch, and a quiet market that never pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bot.sessions import load_sessions
from connectors.errors import DataError, RegistryError
from connectors.events import FIELDS, NS, Kind, Rows
from connectors.instruments import Role
from connectors.simulated import cast
from connectors.simulated.faults import FAULTS, Faults, plan
from connectors.simulated.feed import SimulatedFeed
from connectors.simulated.prices import STEP_S, hover
from connectors.simulated.recording import write_tape
from connectors.simulated.world import SECONDS, START_NS, World, simulate
from connectors.tape import open_tape
from strategies.market.session import Session

SESSIONS = load_sessions()
SHORT_S = 2 * 3600.0
FEE_BPS = {"sim-alpha": 14.0, "sim-beta": 12.0, "sim-pool": 25.0}


def world(seed: int = 11, **changes: Any) -> World:
    """A world of four days, with some faults switched on or off."""
    return simulate(seed, faults=replace(Faults(), **changes), sessions=SESSIONS.codes_at)


def short(seed: int = 11) -> World:
    """Two hours of a world."""
    return simulate(seed, START_NS, SHORT_S, sessions=SESSIONS.codes_at)


@pytest.fixture(scope="module")
def full() -> World:
    """The world of seed 11 with everything that can go wrong."""
    return world()


def same(one: Rows, other: Rows) -> bool:
    """Whether two blocks hold the same bytes."""
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in FIELDS)


def of(rows: Rows, world: World, name: str, kind: Kind) -> np.ndarray:
    """Which rows are of that instrument and kind."""
    return (rows.instrument == world.universe.number(name)) & (rows.kind == kind)


def test_the_same_seed_gives_the_same_bytes():
    """Two worlds of one seed are equal to the last byte, in their rows and in what was injected."""
    one, other = short(), short()
    assert same(one.rows, other.rows) and one.injected == other.injected


def test_another_seed_gives_another_story():
    """Another seed has other prices, and its faults strike other instruments at other times."""
    one, other = world(1), world(2)
    assert not same(one.rows, other.rows)
    told = [{(fault.kind, fault.start_ns, fault.instruments) for fault in each.injected} for each in (one, other)]
    assert set() == told[0] & told[1]


@pytest.mark.parametrize("seed", [*range(6), 8, 44, 141])
def test_every_fault_finds_its_place(seed: int):
    """A world of four days holds every kind of fault, inside its span."""
    planned = plan(seed, START_NS, SECONDS, SESSIONS.codes_at)
    assert set(FAULTS) == {fault.kind for fault in planned}
    for fault in planned:
        assert START_NS <= fault.start_ns < fault.end_ns <= START_NS + SECONDS * NS


def test_rows_stand_in_order_and_are_plausible(full: World):
    """Receive times never fall, prices are positive and never crossed, and no row was received before it was said."""
    rows = full.rows
    assert np.all(np.diff(rows.ts_recv) >= 0) and np.all(rows.ts_venue <= rows.ts_recv)
    assert START_NS <= rows.ts_recv[0] and rows.ts_recv[-1] < START_NS + SECONDS * NS
    priced = np.isin(rows.kind, (Kind.QUOTE, Kind.REFERENCE, Kind.FX))
    assert np.all((rows.bid[priced] > 0) & (rows.bid[priced] < rows.ask[priced]) & np.isfinite(rows.ask[priced]))
    assert np.all((rows.bid_size[priced] > 0) & (rows.ask_size[priced] > 0))


def test_a_world_has_the_size_of_a_demo(full: World):
    """Four days are 100 to 300 thousand rows, spread over every instrument."""
    assert 100_000 < len(full.rows) < 300_000
    assert set(range(len(full.universe))) == set(np.unique(full.rows.instrument).tolist())


def test_the_tape_prints_in_its_hours_only(full: World):
    """The share's exchange speaks in pre, regular and post; the perpetual's mark speaks in every session."""
    codes = SESSIONS.codes_at(full.rows.ts_recv)
    assert {Session.PRE, Session.REGULAR, Session.POST} == set(codes[of(full.rows, full, "sim-tape:TSLA", 4)].tolist())
    marked = set(codes[of(full.rows, full, "sim-perp:TSLA-mark", 4)].tolist())
    assert {0, 1, 2, 3, 4, 5} == marked


def test_the_share_moves_while_its_exchange_is_shut(full: World):
    """After the weekend and the holiday the tape starts where the hidden price went, not where it stopped."""
    prints = of(full.rows, full, "sim-tape:MSTR", Kind.REFERENCE)
    at, bid = full.rows.ts_recv[prints], full.rows.bid[prints]
    longest = int(np.argmax(np.diff(at)))
    assert (at[longest + 1] - at[longest]) / NS > 70 * 3600
    assert abs(bid[longest + 1] / bid[longest] - 1) > 0.0005


def test_the_regular_session_moves_most(full: World):
    """Per square-root second a share moves several times further in the regular session than on the weekend."""
    prints = of(full.rows, full, "sim-perp:NVDA-mark", Kind.REFERENCE)
    at, mid = full.rows.ts_recv[prints], full.rows.bid[prints]
    codes = SESSIONS.codes_at(at)
    moves = {}
    for code in (Session.REGULAR, Session.WEEKEND):
        own_at, own = at[codes == code][::30], np.log(mid[codes == code][::30])
        steps, gaps = np.diff(own), np.diff(own_at) / NS
        near = gaps < 4000
        moves[code] = float(np.std(steps[near] / np.sqrt(gaps[near])))
    assert moves[Session.REGULAR] > 3 * moves[Session.WEEKEND]


def test_premia_revert_within_minutes():
    """The path behind a premium has mean 0 and variance 1, and loses half of itself in one half-life."""
    path = hover(np.random.default_rng(5), 200_000, half_life_s=180.0)
    lag = int(180 / STEP_S)
    assert abs(float(path.mean())) < 0.1 and abs(float(path.var()) - 1) < 0.1
    assert abs(float(np.corrcoef(path[:-lag], path[lag:])[0, 1]) - 0.5) < 0.05


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_switched_off_leaves_the_rest_as_it_was(full: World, fault: str):
    """Without one fault the truth names it no more, its rows are gone, and every row it did not touch is the same."""
    quiet = world(**{fault: False})
    assert tuple(f for f in full.injected if f.kind != fault) == quiet.injected
    gone = [f for f in full.injected if f.kind == fault]
    assert gone
    own = {"drop": Kind.HEALTH, "multiplier": Kind.MULTIPLIER}.get(fault)
    if own is not None:
        assert np.any(full.rows.kind == own) and not np.any(quiet.rows.kind == own)
    touched = []
    for each in (full, quiet):
        mine = np.zeros(len(each.rows), dtype=bool)
        for f in gone:
            numbers = [each.universe.number(name) for name in f.instruments]
            mine |= np.isin(each.rows.instrument, numbers) & (each.rows.ts_recv >= f.start_ns)
        touched.append(mine)
    rest = [each.rows.bid[~mine].tobytes() for each, mine in zip((full, quiet), touched, strict=True)]
    assert rest[0] == rest[1]
    changed = [each.rows.bid[mine].tobytes() for each, mine in zip((full, quiet), touched, strict=True)]
    assert changed[0] != changed[1]


def test_an_outlier_is_one_print(full: World):
    """The fat finger is one quote: the prints before and after it are where they were."""
    (fault,) = (f for f in full.injected if f.kind == "outlier")
    rows, mine = full.rows, of(full.rows, full, fault.instruments[0], Kind.QUOTE)
    near = mine & (abs(rows.ts_recv - fault.start_ns) < 3600 * NS)
    ratio = rows.bid[near] / np.median(rows.bid[near])
    assert 1 == int(np.sum(abs(ratio - 1) > 0.2))


def test_a_depeg_holds_on_both_venues(full: World):
    """At the bottom of the slide the token is hundreds of bps under the share on both its venues."""
    (fault,) = (f for f in full.injected if f.kind == "depeg")
    at = (fault.start_ns + fault.end_ns) // 2
    mids = [last(full, name, at) for name in (*fault.instruments, f"sim-perp:{fault.underlying}-mark")]
    assert 2 == len(fault.instruments)
    for token in mids[:2]:
        assert abs(1e4 * (token / mids[2] - 1) - fault.detail["depth_bps"]) < 60


def test_a_frozen_reference_repeats_itself(full: World):
    """During the freeze the tape prints one price again and again while the mark of the perpetual moves."""
    (fault,) = (f for f in full.injected if f.kind == "frozen")
    rows = full.rows
    during = (rows.ts_recv >= fault.start_ns) & (rows.ts_recv < fault.end_ns)
    frozen = of(rows, full, fault.instruments[0], Kind.REFERENCE) & during
    moving = of(rows, full, f"sim-perp:{fault.underlying}-mark", Kind.REFERENCE) & during
    assert np.sum(frozen) > 100 and 1 == len(np.unique(rows.bid[frozen]))
    assert len(np.unique(rows.bid[moving])) > 20
    assert fault.end_ns - fault.start_ns > 4000 * NS


def test_a_multiplier_is_announced_and_the_price_follows(full: World):
    """The row comes hours ahead with value and activation; the token's price changes at the activation, not before."""
    (fault,) = (f for f in full.injected if f.kind == "multiplier")
    rows = full.rows
    said = rows.kind == Kind.MULTIPLIER
    assert 1 == int(np.sum(said))
    assert np.all(rows.bid[said] == fault.detail["new"]) and np.all(rows.ask[said] == fault.end_ns / NS)
    assert np.all(rows.ts_recv[said] < fault.end_ns - 3600 * NS)
    mark = f"sim-perp:{fault.underlying}-mark"
    for at, shares in ((fault.end_ns - NS, fault.detail["old"]), (fault.end_ns + 600 * NS, fault.detail["new"])):
        ratio = last(full, fault.instruments[0], at) / last(full, mark, at)
        assert abs(ratio / shares - 1) < 0.004


def test_a_venue_that_drops_is_silent(full: World):
    """Between its HEALTH rows a dropped venue prints nothing, and every instrument of it is told of."""
    for fault in (f for f in full.injected if f.kind == "drop"):
        rows = full.rows
        numbers = [full.universe.number(name) for name in fault.instruments]
        during = (rows.ts_recv > fault.start_ns) & (rows.ts_recv < fault.end_ns)
        assert not np.any(np.isin(rows.instrument, numbers) & during)
        for moment, state in ((fault.start_ns, 0.0), (fault.end_ns, 1.0)):
            told = (rows.kind == Kind.HEALTH) & (rows.ts_recv == moment)
            assert sorted(numbers) == sorted(rows.instrument[told].tolist())
            assert {state} == set(rows.bid[told].tolist())


def test_quiet_premia_never_pay_and_gaps_do():
    """Without gaps no two venues are further apart than their fees; with them some are, by more than 15 bps."""
    assert best_edge_bps(world(3, gap=False, outlier=False, multiplier=False)) < 5
    assert best_edge_bps(world(3, outlier=False, multiplier=False)) > 50


def test_a_world_outside_the_calendar_is_refused():
    """Where the session table has no answer there is no world."""
    with pytest.raises(DataError, match="session table"):
        simulate(1, start_ns=0, sessions=SESSIONS.codes_at)


def test_an_unknown_fault_is_named():
    """Switching off a fault that does not exist is refused, with the names that do."""
    with pytest.raises(RegistryError, match="outlier"):
        Faults().without(["flood"])


class Heard:
    """A sink that keeps what it was told, stamped with a feed's clock."""

    def __init__(self, feed: SimulatedFeed) -> None:
        self.feed = feed
        self.rows: list[tuple[int, int, int, float, float]] = []
        self.batches: list[list[int]] = [[]]

    def put(self, kind: Kind, instrument: int, **fields: Any) -> None:
        """Keeps a row."""
        self.rows.append((self.feed.now(), instrument, int(kind), fields["bid"], fields["ask"]))
        self.batches[-1].append(instrument)

    def reject(self, venue: str, reason: str, detail: str = "") -> None:
        """Nothing is rejected here."""
        raise AssertionError((venue, reason, detail))


async def test_the_feed_says_every_row_in_the_time_of_the_world():
    """Stamped with the feed's clock the rows are those of the world, and no batch holds an instrument twice."""
    made = short()

    async def sleep(seconds: float) -> None:
        heard.batches.append([])

    feed = SimulatedFeed(made, speed=float("inf"), monotonic=lambda: 0.0, sleep=sleep)
    heard = Heard(feed)
    await feed.run(heard, {i.name: number for number, i in enumerate(made.universe)})
    assert made.rows.ts_recv.tolist() == [row[0] for row in heard.rows]
    assert made.rows.instrument.tolist() == [row[1] for row in heard.rows]
    assert all(len(batch) == len(set(batch)) for batch in heard.batches)
    assert feed.finished and len(made.rows) == feed.said


async def test_the_feed_keeps_its_pace():
    """At a speed of 600 two hours take twelve seconds of the clock that was handed in."""
    clock = [100.0]

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    made = short()
    feed = SimulatedFeed(made, speed=600.0, monotonic=lambda: clock[0], sleep=sleep)
    await feed.run(Heard(feed), {i.name: number for number, i in enumerate(made.universe)})
    assert abs(clock[0] - 112.0) < 0.1


def test_a_world_becomes_a_tape(tmp_path):
    """The tape holds the rows of the world, its universe, and what was injected as provenance."""
    made = write_tape(tmp_path / "sim", 11, seconds=SHORT_S, sessions=SESSIONS.codes_at)
    tape = open_tape(tmp_path / "sim")
    assert same(made.rows, Rows.join(list(tape.blocks())))
    assert made.universe == tape.universe
    assert "simulated" == tape.provenance["source"] and len(made.injected) == len(tape.provenance["injected"])


def last(world: World, name: str, at: int) -> float:
    """Mid of the last print of an instrument at a moment, in USD: the coin is worth a dollar to a few bps."""
    rows, instrument = world.rows, world.universe[world.universe.number(name)]
    kind = Kind.QUOTE if instrument.role is Role.TOKEN else Kind.REFERENCE
    mine = of(rows, world, name, kind) & (rows.ts_recv <= at)
    row = int(np.flatnonzero(mine)[-1])
    return float(rows.bid[row] + rows.ask[row]) / 2


def best_edge_bps(world: World) -> float:
    """The widest edge after fees between two fresh quotes of one share, found by a loop over the rows."""
    quotes: dict[int, tuple[int, float, float]] = {}
    best, fx = -1e9, 1.0
    rows = world.rows
    groups: dict[str, list[int]] = {}
    for number, instrument in enumerate(world.universe):
        if instrument.role is Role.TOKEN:
            groups.setdefault(instrument.underlying, []).append(number)
    columns = (rows.ts_recv, rows.instrument, rows.kind, rows.bid, rows.ask)
    for at, number, kind, bid, ask in zip(*(column.tolist() for column in columns), strict=True):
        if kind == Kind.FX:
            fx = (bid + ask) / 2
        instrument = world.universe[number]
        if kind != Kind.QUOTE or instrument.role is not Role.TOKEN:
            continue
        value = (fx if instrument.quote == cast.COIN else 1.0) / (instrument.multiplier or 1.0)
        fee = FEE_BPS[instrument.venue] / 1e4
        mine = (at, bid * value * (1 - fee), ask * value * (1 + fee))
        quotes[number] = mine
        for other in groups[instrument.underlying]:
            theirs = quotes.get(other)
            if other != number and theirs and at - theirs[0] < 180 * NS:
                best = max(best, 1e4 * (mine[1] / theirs[2] - 1), 1e4 * (theirs[1] / mine[2] - 1))
    return best
