"""The compiled scan against its plain twin where everything is drawn: universe, beliefs, triggers, rows and cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import FOREVER_NS, Beliefs, Columns, Facts, Slot  # noqa: E402
from strategies.market.twin import Twin  # noqa: E402
from tests.sweep import cases  # noqa: E402

MOMENTS = {
    "close": 1_788_551_990 * NS,  # Friday 4 September 2026, 15:59:50 in New York: the session changes in the rows
    "weekend": 1_788_566_395 * NS,  # five seconds before Friday 20:00
    "night": 1_788_739_195 * NS,  # five seconds before Sunday 20:00
    "unknown": 2_208_988_800 * NS,  # the year 2040: outside the session table
}
MS = NS // 1000
NAN, INF = float("nan"), float("inf")
BAD = (NAN, INF, -INF, 0.0, -0.0, -1.0, 5e-324, 1e308)
SCRATCH = {
    "g": [K.LOW, K.HIGH, K.WAKE_EDGE, K.GAP, K.NOTHING],
    "h": [K.WAKE_FROM, K.TOUCHED],
    "k": [K.CALM, K.UNWRITTEN],
}


class World:
    """Everything that one seed decides: who is who, what is believed, what wakes, and what the rows say.

    In a calm world every share has one source, no gate stands in its way, and rubbish is rare.
    """

    def __init__(self, seed: int, moment: str, count: int, *, calm: bool = False) -> None:
        """Draws the world; `columns` gives fresh columns of it."""
        self.calm = calm
        rng = np.random.default_rng(seed)
        self.begin = MOMENTS[moment]
        shares = [f"S{n}" for n in range(int(rng.integers(1, 4)))]
        coins = ("USD", "USD", "USDT", "USDC")
        found: list[Instrument] = []
        for share in shares:
            for n in range(int(rng.integers(0, 4))):
                model = UnitModel(str(rng.choice(["rebasing", "total_return", "scaled_ui"])))
                known = None if rng.random() < 0.2 else float(rng.choice([1.0, 2.0, 0.5]))
                found.append(
                    Instrument(
                        venue=f"t{n}", symbol=share, role=Role.TOKEN, underlying=share, token=share + "x",
                        unit_model=model, multiplier=known, quote=str(rng.choice(coins)),
                        one_price=bool(rng.random() < 0.25), witness=str(rng.choice(["", "", "", "one"])),
                    )
                )  # fmt: skip
            for n in range(1 if calm else int(rng.integers(0, 4))):
                hours = Hours(str(rng.choice(["24/7", "24/5", "extended", "regular"])))
                found.append(
                    Instrument(venue=f"r{n}", symbol=share, role=Role.SHARE, underlying=share, hours=hours,
                               witness=str(rng.choice(["", "one"])), quote=str(rng.choice(coins)),
                               one_price=bool(rng.random() < 0.2))
                )  # fmt: skip
            if rng.random() < 0.6:
                found.append(Instrument(venue="p", symbol=share, role=Role.PERP, underlying=share, quote="USDC"))
        found.append(Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT"))
        found.append(Instrument(venue="f", symbol="USDC", role=Role.COIN, coin="USDC", quote="USDT"))
        found.append(Instrument(venue="g", symbol="USDT", role=Role.COIN, coin="USDT", one_price=True))
        self.universe = Universe(tuple(found[at] for at in rng.permutation(len(found))))
        self.facts = [
            Facts(
                cost=None if rng.random() < 0.15 else float(rng.choice([0.0, 0.0005, -0.0002])),
                traded=bool(rng.random() < (0.9 if one.role is Role.TOKEN else 0.4)) and one.role is not Role.COIN,
                max_age_ns=int(rng.choice([0, MS, 300 * MS, 2 * NS, FOREVER_NS])),
                source_error=float(rng.choice([0.0, 0.0002, 0.0002, 0.001])),
                assumed_half_spread=0.0005 if rng.random() < 0.5 else None,
                assumed_size=2.0,
            )
            for one in self.universe
        ]
        self.beliefs = Beliefs(
            max_reference_spread=INF if calm else float(rng.choice([0.002, 0.01, INF])),
            stub_move=INF if calm else float(rng.choice([0.05, 0.5, INF])),
            frozen_ns=FOREVER_NS if calm else int(rng.choice([0, NS, FOREVER_NS])),
            frozen_rows=int(rng.integers(2, 5)),
            outlier_bps=float(rng.choice([30.0, 300.0, INF])),
            confirm_ns=int(rng.choice([0, 500 * MS])),
            confirm_rows=int(rng.integers(1, 4)),
            note_gap_ns=int(rng.choice([0, 2 * NS])),
            max_error=float(rng.choice([0.0005, 0.004, INF])),
            max_silence_days=float(rng.choice([1e-6, 5e-5, INF])),
            default_daily_vol=float(rng.choice([0.0, 0.03, 3.0])),
            judge=bool(rng.random() < 0.8),
        )
        quoted = [at for at, one in enumerate(self.universe) if one.underlying]
        kinds = [K.SLOT_EDGE, K.SLOT_EDGE, K.SLOT_PREMIUM, K.SLOT_SIGNIFICANCE]
        self.slots: list[Slot] = []
        names = self.universe.underlyings()
        for _ in range(int(rng.integers(0, 7)) if quoted else 0):
            kind = int(rng.choice(kinds))
            scope = int(rng.integers(0, len(names))) if kind == K.SLOT_EDGE else int(rng.choice(quoted))
            self.slots.append(Slot(kind, scope, float(rng.choice([-30.0, 0.0, 5.0, 20.0, 60.0, 1e9]))))
        self.rows = Rows.of([self._row(rng) for _ in range(count)])
        self.weighed = bool(seed % 3)
        """In every third world nobody is a witness."""

    def columns(self) -> Columns:
        """Fresh columns in which everything may be bought and sold."""
        made = Columns(self.universe, self.facts, self.beliefs, load_sessions(), self.slots)
        made.enter_session(self.begin)
        if self.weighed:
            weigh(made, np.random.default_rng(len(self.rows)))
        return made

    def _row(self, rng: np.random.Generator) -> Row:
        """The next row: ties in time, in price and in rank, rubbish of every sort, news."""
        self.at = getattr(self, "at", self.begin) + int(rng.choice([0, 0, 0, 1, 20 * MS, 300 * MS]))
        self.drift = getattr(self, "drift", 1.0) * float(np.exp(rng.normal(0, 3e-4)))
        number = int(rng.integers(0, len(self.universe)))
        one = self.universe[number]
        kind = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}.get(one.role, Kind(int(rng.choice([0, 0, 0, 2, 3]))))
        worth = 1.0 if one.role is Role.COIN else 100.0 * (one.multiplier or 1.0) * self.drift
        mid = worth * (1 + float(rng.choice([0.0, float(rng.normal(0, 1e-3))])))
        half = mid * float(rng.choice([1e-5, 2e-4, 2e-3]))
        bid, ask, flags = round(mid - half, 3), round(mid + half, 3) + 0.001, Flag(0)
        if one.one_price:
            bid, ask, flags = round(mid, 3), round(mid, 3), Flag.ONE_PRICE
            kind = Kind.TRADE if rng.random() < 0.3 else kind
        elif one.role is Role.SHARE and rng.random() < 0.4:
            bid, ask = 100.0, 100.02
        odd = rng.random() * (8 if self.calm else 1)
        if odd < 0.04:
            bid, ask = float(rng.choice(BAD)), float(rng.choice([*BAD, ask]))
        elif odd < 0.06:
            bid = ask = float(rng.choice(BAD))
            flags |= Flag.ONE_PRICE
        elif odd < 0.09:
            bid, ask = [(ask, bid), (bid, bid), (bid, ask * 3), (bid * 1.5, ask * 1.5), (99.0, 99.5)][
                int(rng.integers(0, 5))
            ]
        elif odd < 0.13:
            flags |= Flag(int(rng.choice([1, 2, 4, 4, 8, 32])))
        elif odd < 0.16:
            kind = Kind(int(rng.integers(0, 16)))
        elif odd < 0.17:
            number = int(rng.choice([-1, -(2**31), len(self.universe), 2**31 - 1]))
        sizes = [float(rng.choice([NAN, 0.0, 3.0])) for _ in range(2)]
        return Row(ts_recv=self.at, instrument=number, kind=kind, flags=flags, bid=bid, ask=ask, bid_size=sizes[0],
                   ask_size=sizes[1])  # fmt: skip


def state(columns: Columns) -> dict[str, np.ndarray]:
    """A copy of every column that means something; what the scan keeps for itself is left out."""
    out = {name: getattr(columns, name).copy() for name in ("f", "k", "g", "h", "fx", "refused", "slots", "q")}
    for name, places in SCRATCH.items():
        out[name][..., places] = 0
    return out


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray], where: str = "") -> None:
    """Bit by bit; two NaN are equal."""
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=f"{name} {where}")


def weigh(columns: Columns, rng: np.random.Generator) -> None:
    """New weights for some: none, alike, or one that outweighs all others together."""
    for number in range(len(columns.universe)):
        if rng.random() < 0.7:
            weight = float(rng.choice([0.0, 1e5, 1e6, 1.7e6, 1e11, NAN]))
            columns.weigh(number, weight, float(rng.choice([0.0, 0.003, -0.001])))
    for group in range(len(columns.underlyings)):
        if rng.random() < 0.3:
            price, error = float(rng.choice([100.0, 99.7, NAN])), float(rng.choice([1e-8, 1e-6]))
            columns.weigh_own(group, price, error, columns.now, columns.now - int(rng.integers(0, 2)) * 20 * MS)


def react(columns: Columns, why: int, until: int, seed: int) -> None:
    """What Python might do at a stop, drawn from the moment alone, so that it is the same for every cut."""
    rng = np.random.default_rng([seed, columns.now, int(columns.q[K.ACCEPTED]), why])
    now, count = columns.now, len(columns.universe)
    if why == K.DUE:
        columns.enter_session(until + 1)
    if why and columns.f[:, K.WEIGHT].any() and rng.random() < 0.5:
        weigh(columns, rng)
    if why & K.NOTICE and rng.random() < 0.2:
        columns.doubt(int(rng.integers(0, count)), Why.IMPLAUSIBLE, stands=bool(rng.random() < 0.5))
    if why & K.TRIGGER:
        fired = columns.slots[:, K.SLOT_FIRED] == 1
        columns.slots[fired, K.SLOT_NOT_BEFORE] = now + int(rng.choice([1, 20 * MS, 700 * MS, NEVER - now]))
        columns.slots[:, K.SLOT_FIRED] = 0
    if why & (K.TRIGGER | K.NOTICE) and rng.random() < 0.6:
        moments = [0, now, now + 1, now + 200 * MS, NEVER]
        buy, sell = (int(rng.choice(moments)) for _ in range(2))
        columns.permit(int(rng.integers(0, count)), buy_from=buy, sell_from=sell)
    if why & K.NOTICE and rng.random() < 0.3:
        columns.set_shares_per_unit(int(rng.integers(0, count)), float(rng.choice([1.0, 1.01, 2.0])))
    if why & K.NOTICE and rng.random() < 0.2:
        number, price = int(rng.integers(0, count)), float(columns.f[0, K.MID_USD])
        low, high = ((np.nan, np.nan), (0.0, price), (price, np.inf))[int(rng.integers(0, 3))]
        columns.band(number, low, high)
        if rng.random() < 0.3:
            columns.forget(number)


def drive(world: World, cuts: list[int], seed: int, *, oracle: bool) -> dict[str, np.ndarray]:
    """The scan over the world's rows in blocks of these sizes, in turn; the twin beside it where it is asked for."""
    made, other = world.columns(), world.columns()
    twin = Twin(other)
    due = world.begin + 10 * NS - 1
    begin = number = 0
    while begin < len(world.rows):
        block = world.rows[begin : begin + cuts[number % len(cuts)]]
        begin, number = begin + len(block), number + 1
        at = 0
        while at < len(block):
            stopped = made.scan(block, at, due)
            if oracle:
                assert stopped == twin.scan(block, at, due)
                equal(state(made), state(other), f"before row {begin - len(block) + stopped[0]}")
            at, why = stopped
            for side in (made, other) if oracle else (made,):
                react(side, why, due, seed)
            due = NEVER if why == K.DUE else due
    return state(made)


@settings(max_examples=cases(30, 200), deadline=None)
@given(
    seed=st.integers(0, 2**31),
    moment=st.sampled_from(sorted(MOMENTS)),
    cuts=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    calm=st.booleans(),
)
def test_scan_and_twin_agree_in_any_world_whatever_the_cuts(
    seed: int, moment: str, cuts: list[int], calm: bool
) -> None:
    """
    In a world drawn from the seed every column equals the twin's at each stop, and the cuts leave no trace.
    """
    world = World(seed, moment, 250, calm=calm)
    whole = drive(world, [10_000], seed, oracle=True)
    equal(whole, drive(world, cuts, seed, oracle=True), "after cuts")
    equal(whole, drive(world, [1], seed, oracle=False), "row by row")


@pytest.mark.parametrize("calm", [False, True])
@pytest.mark.parametrize("seed", range(cases(3, 8)))
def test_scan_and_twin_agree_over_long_rows(seed: int, calm: bool) -> None:
    """
    The same over 2,500 rows, so that errors grow, prices age and quotes go through many states.
    """
    world = World(seed, sorted(MOMENTS)[seed % 3], 2500, calm=calm)
    equal(drive(world, [10_000], seed, oracle=True), drive(world, [1, 7, 400], seed, oracle=False))


def test_the_worlds_are_not_silent() -> None:
    """
    Agreement over silence would prove nothing: in these worlds each refusal, each kind of trigger and news come up.
    """
    wanted = (
        set(range(len(K.REFUSALS))),
        {K.SLOT_EDGE, K.SLOT_PREMIUM, K.SLOT_SIGNIFICANCE},
        {K.END, K.TRIGGER, K.NOTICE, K.TRIGGER | K.NOTICE},
    )
    reasons, kinds, stops = set[int](), set[int](), set[int]()
    for seed in range(60):
        if wanted == (reasons, kinds, stops):
            break
        world = World(seed, sorted(MOMENTS)[seed % 3], 400)
        columns, at = world.columns(), 0
        while at < len(world.rows):
            at, why = columns.scan(world.rows, at, NEVER)
            fired = columns.slots[columns.slots[:, K.SLOT_FIRED] == 1]
            kinds |= set(fired[:, K.SLOT_KIND].tolist())
            stops.add(why)
            react(columns, why, NEVER, seed)
        reasons |= set(np.flatnonzero(columns.refused.sum(axis=0)).tolist())
    assert wanted == (reasons, kinds, stops)


def test_calm_worlds_take_the_calm_path() -> None:
    """
    In them some sources and some other books are calm.
    """
    found = set[int]()
    for seed in range(20):
        columns = (world := World(seed, sorted(MOMENTS)[seed % 3], 400, calm=True)).columns()
        columns.scan(world.rows, 0, NEVER)
        roles = columns.k[columns.k[:, K.CALM] >= 0, K.ROLE]
        found |= set((roles & K.EVIDENCE).tolist())
    assert {0, K.EVIDENCE} == found


PAIR = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", unit_model=UnitModel.REBASING),
        Instrument(venue="b", symbol="T", role=Role.TOKEN, underlying="S", unit_model=UnitModel.REBASING, quote="USDT"),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)
BEGIN = MOMENTS["close"]


def stops(*said: tuple[float, int, float, float], opens: float = 0.0) -> list[tuple[int, int]]:
    """Every stop in one block of (second, instrument, bid, ask): where and why; a may be bought from `opens` on."""
    facts = [Facts(cost=0.0, traded=True), Facts(cost=0.0, traded=True), Facts(), Facts()]
    columns = Columns(PAIR, facts, Beliefs(max_error=1.0), load_sessions(), [Slot(K.SLOT_EDGE, 0, 10.0)])
    columns.enter_session(BEGIN)
    columns.permit(0, buy_from=BEGIN + round(opens * NS), sell_from=0)
    kinds = (Kind.QUOTE, Kind.QUOTE, Kind.REFERENCE, Kind.FX)
    rows = [
        Row(ts_recv=BEGIN + round(at * NS), instrument=number, kind=kinds[number], bid=bid, ask=ask)
        for at, number, bid, ask in said
    ]
    found, at = [], 0
    while at < len(rows):
        at, why = columns.scan(Rows.of(rows), at, NEVER)
        found.append((at, why))
    return found


def test_a_window_that_opens_inside_a_block_is_seen_on_the_next_row() -> None:
    """
    a is cheap from the beginning and may be bought from second one on: the first row after that fires, none before.
    """
    known = ((0.0, 3, 0.999, 1.001), (0.0, 2, 99.99, 100.01))
    a, b = (0.0, 0, 99.9, 100.0), (0.0, 1, 101.0, 101.2)
    late = tuple((at, *b[1:]) for at in (0.5, 1.0, 1.5))
    assert (6, K.TRIGGER) == stops(*known, a, b, *late, opens=1.0)[0]
    assert [(7, K.END)] == stops(*known, a, b, *late, opens=1.6)


def test_a_price_that_falls_before_its_window_opens_counts_when_it_does() -> None:
    """
    a is dear at first and falls while it may not yet be bought: b's row after the opening fires.
    """
    known = ((0.0, 3, 0.999, 1.001), (0.0, 2, 99.99, 100.01))
    dear, b, cheap = (0.0, 0, 100.5, 102.0), (0.0, 1, 101.0, 101.2), (0.1, 0, 99.9, 100.0)
    assert [(6, K.TRIGGER)] == stops(*known, dear, b, cheap, (1.5, 1, 101.0, 101.2), opens=1.0)


def test_a_first_print_is_held_against_the_last_prices_of_the_others() -> None:
    """
    a's ask falls from 99.60 to 99.50 and nobody looks; b's first bid of 99.65 is 5 bps over the one and 15 over the
    other.
    """
    known = ((0.0, 3, 0.999, 1.001), (0.0, 2, 99.99, 100.01))
    assert [(5, K.TRIGGER)] == stops(*known, (0.1, 0, 99.4, 99.6), (0.2, 0, 99.4, 99.5), (0.3, 1, 99.65, 99.8))
    assert [(5, K.END)] == stops(*known, (0.1, 0, 99.4, 99.5), (0.2, 0, 99.4, 99.6), (0.3, 1, 99.65, 99.8))


def test_a_source_whose_worth_is_too_small_for_a_number_is_refused() -> None:
    """
    A share is quoted in a coin of 1e-300 USD: at 100 it is worth something, at 1e-30 it is not, also if it was calm.
    """
    share = Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S", quote="USDT")
    columns = Columns(Universe((share, PAIR[3])), [Facts(), Facts()], Beliefs(), load_sessions())
    columns.enter_session(BEGIN)
    quotes = ((1, Kind.FX, 1e-300), (0, Kind.REFERENCE, 100.0), (0, Kind.REFERENCE, 1e-30))
    rows = [Row(ts_recv=BEGIN, instrument=number, kind=kind, bid=bid, ask=bid * 1.001) for number, kind, bid in quotes]
    assert (3, K.NOTICE) == columns.scan(Rows.of(rows), 0, NEVER)
    assert 1 == columns.refused[0, K.FX_UNKNOWN]


def test_a_coin_that_moves_while_the_fair_value_is_unknown_counts_when_it_is_known_again() -> None:
    """
    The source crosses itself a second time (told once), USDT rises by 2 %, the source comes back: on that row b is
    dearer than a, although neither printed.
    """
    good, bad = (2, 99.99, 100.01), (2, 100.01, 99.99)
    known = ((0.0, 3, 0.999, 1.001), (0.0, *good), (0.0, *bad), (0.0, *good))
    prints = ((0.0, 0, 99.9, 100.0), (0.0, 1, 99.9, 100.1))
    lost = ((0.1, *bad), (0.2, 3, 1.019, 1.021), (0.3, *good))
    assert [(3, K.NOTICE), (4, K.NOTICE), (9, K.TRIGGER)] == stops(*known, *prints, *lost)
