"""The compiled scan against its plain twin, over random worlds and cuts, and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.config import Fair  # noqa: E402 - the kernel's cache must be chosen first
from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts, Slot  # noqa: E402
from strategies.market.twin import Twin  # noqa: E402
from tests.sweep import cases  # noqa: E402

BEGIN = 1_788_551_990 * NS
"""Friday 4 September 2026, 15:59:50 in New York: regular, ten seconds before post."""
MS = NS // 1000
SCRATCH = {
    "g": [K.LOW, K.HIGH, K.WAKE_EDGE, K.GAP, K.NOTHING],
    "h": [K.WAKE_FROM, K.TOUCHED],
    "k": [K.CALM, K.UNWRITTEN],
}


def token(venue: str, underlying: str, **more: object) -> Instrument:
    """A token of an underlying on a venue."""
    usual = {
        "symbol": underlying + "x",
        "role": Role.TOKEN,
        "token": underlying + "x",
        "unit_model": UnitModel.REBASING,
    }
    return Instrument(venue=venue, underlying=underlying, **{**usual, **more})  # type: ignore[arg-type]


UNIVERSE = Universe(
    (
        token("a", "S"),
        token("b", "S", quote="USDT"),
        token("c", "S", unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0),
        token("d", "S", one_price=True),
        Instrument(venue="r1", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="r2", symbol="S", role=Role.SHARE, underlying="S", hours=Hours.REGULAR),
        token("a", "V"),
        token("e", "V", one_price=True, unit_model=UnitModel.SCALED_UI),
        Instrument(venue="r1", symbol="V", role=Role.SHARE, underlying="V"),
        Instrument(venue="p", symbol="V", role=Role.PERP, underlying="V", quote="USDC"),
        Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT"),
        Instrument(venue="f", symbol="USDC", role=Role.COIN, coin="USDC", quote="USDT"),
    )
)
WORTH = (100.0, 100.0, 200.0, 100.0, 100.0, 100.0, 50.0, 50.0, 50.0, 50.0, 1.0, 1.0)
FACTS = [
    Facts(cost=0.001, traded=True, max_age_ns=2 * NS),
    Facts(cost=0.002, traded=True, max_age_ns=NS),
    Facts(cost=None, traded=True),
    Facts(cost=0.001, traded=True, assumed_half_spread=0.0005, assumed_size=2.0),
    Facts(cost=0.0005, traded=True, source_error=0.0005),
    Facts(source_error=0.0002),
    Facts(cost=0.0, traded=True, max_age_ns=3 * NS),
    Facts(cost=0.0, traded=True),
    Facts(source_error=0.001),
    Facts(cost=0.0001, traded=True),
    Facts(),
    Facts(),
]
BELIEFS = Beliefs(
    max_reference_spread=0.01, stub_move=0.2, frozen_ns=NS, frozen_rows=3, outlier_bps=300.0, confirm_ns=NS,
    confirm_rows=3, note_gap_ns=2 * NS, max_error=0.004, max_silence_days=5e-5, default_daily_vol=0.03,
)  # fmt: skip
SLOTS = [
    Slot(K.SLOT_EDGE, 0, 5.0), Slot(K.SLOT_EDGE, 1, 20.0), Slot(K.SLOT_PREMIUM, 0, 60.0),
    Slot(K.SLOT_SIGNIFICANCE, 6, 4.0), Slot(K.SLOT_EDGE, 0, 30.0),
]  # fmt: skip


def columns(beliefs: Beliefs = BELIEFS, slots: list[Slot] | None = None, at: int = BEGIN) -> Columns:
    """Columns of the universe in the session of `at`; everything may be bought and sold."""
    made = Columns(UNIVERSE, FACTS, beliefs, load_sessions(), SLOTS if slots is None else slots)
    made.enter_session(at)
    return made


def random_rows(seed: int, count: int) -> Rows:
    """Rows of every kind, with rubbish, ties in time and in price, and sources that freeze, widen and jump."""
    rng = np.random.default_rng(seed)
    rows, at = [], BEGIN
    drift = 1.0
    for _ in range(count):
        at += int(rng.choice([0, 0, 1, 50 * MS, 400 * MS]))
        drift *= float(np.exp(rng.normal(0, 3e-4)))
        number = int(rng.integers(0, len(UNIVERSE)))
        role = UNIVERSE[number].role
        kind = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}.get(role, Kind(int(rng.choice([0, 0, 0, 2, 3]))))
        mid = WORTH[number] * (1.0 if role is Role.COIN else drift) * (1 + float(rng.normal(0, 1e-3)))
        half = mid * float(rng.choice([1e-5, 2e-4, 2e-3]))
        bid, ask, flags = round(mid - half, 3), round(mid + half, 3), Flag(0)
        if UNIVERSE[number].one_price or rng.random() < 0.02:
            bid = ask = round(mid, 3)
            flags = Flag.ONE_PRICE if rng.random() < 0.9 else flags
            kind = Kind.TRADE if rng.random() < 0.3 else kind
        odd = rng.random()
        if odd < 0.12:
            bid, ask = [
                (ask, bid), (float("nan"), ask), (bid, float("inf")), (-bid, ask), (0.0, 0.0), (bid, ask * 3),
                (bid * 1.5, ask * 1.5), (WORTH[number], WORTH[number] + 0.01),
            ][int(rng.integers(0, 8))]  # fmt: skip
        elif odd < 0.16:
            flags |= Flag.HALTED
        elif odd < 0.19:
            flags |= Flag.SUPERSEDED
        elif odd < 0.22:
            flags |= Flag.RAISED
        elif odd < 0.24:
            kind = Kind(int(rng.choice([6, 7, 8, 11, 13, 14])))
        elif odd < 0.25:
            number = 99
        rows.append(
            Row(ts_recv=at, instrument=number, kind=kind, flags=flags, bid=bid, ask=ask,
                bid_size=float(rng.integers(0, 9)), ask_size=float(rng.integers(0, 9)))
        )  # fmt: skip
    return Rows.of(rows)


def equal(left: Columns, right: Columns) -> None:
    """Every column that means something, bit by bit."""
    for name in ("f", "k", "g", "h", "fx", "refused", "slots", "q"):
        one, other = getattr(left, name).copy(), getattr(right, name).copy()
        one[..., SCRATCH.get(name, [])] = other[..., SCRATCH.get(name, [])] = 0
        np.testing.assert_array_equal(one, other, err_msg=name)


def walk(rows: Rows, made: Columns, other: Columns, rng: np.random.Generator, cut: int) -> None:
    """Both scans over the same rows in blocks of `cut`; equal at every stop. Stops write as the engine would."""
    twin, session_ends = Twin(other), 0
    for block in rows.blocks(cut):
        at = 0
        while at < len(block):
            until = BEGIN + 10 * NS - 1 if not session_ends else NEVER
            stopped = made.scan(block, at, until)
            assert stopped == twin.scan(block, at, until)
            equal(made, other)
            at, why = stopped
            now = made.now
            if why == K.DUE:
                session_ends = 1
                for side in (made, other):
                    side.enter_session(until + 1)
            elif why & K.TRIGGER:
                rest = now + int(rng.integers(0, 3)) * 300 * MS
                number, opens = int(rng.integers(0, 10)), now + int(rng.integers(0, 2)) * NS
                for side in (made, other):
                    side.slots[side.slots[:, K.SLOT_FIRED] == 1, K.SLOT_NOT_BEFORE] = rest
                    side.slots[:, K.SLOT_FIRED] = 0
                    side.permit(number, buy_from=opens, sell_from=NEVER if number % 3 == 0 else 0)
            elif why & K.NOTICE and rng.random() < 0.2:
                for side in (made, other):
                    side.set_shares_per_unit(2, 2.0 + float(now % 3) / 100)


@pytest.mark.parametrize("seed", range(cases(2, 8)))
@pytest.mark.parametrize("cut", [1, 13, 10_000])
def test_the_scan_and_its_twin_agree_on_random_worlds(seed: int, cut: int) -> None:
    """
    At every stop, in blocks of one, thirteen and all, each column of the scan equals the twin's to the bit.
    """
    walk(random_rows(seed, 1500), columns(), columns(), np.random.default_rng(seed), cut)


def test_an_unknown_session_judges_nothing() -> None:
    """
    Outside the session table no source is believed, no fair value is known and no trigger fires.
    """
    late = 2_208_988_800 * NS
    rows = random_rows(1, 300)
    made, other = columns(at=late), columns(at=late)
    assert made.scan(rows, 0, NEVER) == Twin(other).scan(rows, 0, NEVER)
    equal(made, other)
    assert made.fair(0, made.now) is None


def row(number: int, bid: float, ask: float, *, s: float = 0.0, flags: Flag = Flag(0), kind: Kind | None = None) -> Row:  # noqa: B008
    """A row `s` seconds after the beginning."""
    usual = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}.get(UNIVERSE[number].role, Kind.QUOTE)
    what = usual if kind is None else kind
    return Row(ts_recv=BEGIN + round(s * NS), instrument=number, kind=what, flags=flags, bid=bid, ask=ask)


def after(*rows: Row, beliefs: Beliefs = BELIEFS) -> Columns:
    """Columns without triggers after some rows."""
    made = columns(beliefs, [])
    block, at = Rows.of(list(rows)), 0
    while at < len(rows):
        at, _ = made.scan(block, at, NEVER)
    return made


def test_premium_and_net_prices_by_hand() -> None:
    """
    A unit worth two shares at 202 / 204 against a fair value of 100: mid 101.5 a share is a premium of 150 bps.
    """
    made = after(row(4, 99.99, 100.01), row(2, 202.0, 204.0))
    assert pytest.approx(150.0) == made.premium_bps[2]
    priced = after(row(4, 99.99, 100.01), row(0, 100.9, 101.1))
    assert pytest.approx(100.9 * 0.999) == priced.f[0, K.NET_BID]
    assert pytest.approx(101.1 * 1.001) == priced.f[0, K.NET_ASK]
    assert pytest.approx((100.9 * 0.999 / 100 - 1) * 1e4) == priced.sell_premium_bps[0]
    assert pytest.approx((101.1 * 1.001 / 100 - 1) * 1e4) == priced.buy_premium_bps[0]


def test_the_coin_stands_between_a_price_and_its_worth() -> None:
    """
    100 USDT with USDT at 0.99 are 99 USD, 100 bps under a share of 100.
    """
    made = after(row(10, 0.98, 1.0), row(4, 99.99, 100.01), row(1, 99.9, 100.1))
    assert pytest.approx(-100.0) == made.premium_bps[1]
    assert np.isnan(after(row(4, 99.99, 100.01), row(1, 99.9, 100.1)).premium_bps[1])


def test_the_best_edge_is_the_dearest_bid_less_the_cheapest_ask_after_costs() -> None:
    """
    The share itself is the cheapest at 100.01 plus 5 bps; b pays 101 less 20 bps; the fair value is 100.
    """
    made = after(row(10, 0.999, 1.001), row(4, 99.99, 100.01), row(0, 99.9, 100.0), row(1, 101.0, 101.2))
    assert pytest.approx((101.0 * 0.998 - 100.01 * 1.0005) * 100) == made.edge_bps[0]
    assert (4, 1) == made.best_pair(0, made.now)[:2]


def test_a_stale_quote_leaves_the_edge() -> None:
    """
    Venue b's quotes may be one second old; 1.1 seconds later it is not part of the edge any more.
    """
    rows = (row(10, 0.999, 1.001), row(4, 99.99, 100.01), row(1, 101.0, 101.2))
    assert 0 < after(*rows, row(0, 99.9, 100.0, s=0.9)).edge_bps[0]
    assert not 0 < after(*rows, row(0, 99.9, 100.0, s=1.1)).edge_bps[0]


def test_the_source_with_the_smallest_error_is_the_fair_value() -> None:
    """
    r2 errs by 2 bps and r1 by 5 when both are fresh; where r2 is refused for its width, r1 takes over.
    """
    both = after(row(4, 99.99, 100.01), row(5, 100.99, 101.01))
    assert 5 == both.fair(0, both.now).source  # type: ignore[union-attr]
    wide = after(row(4, 99.99, 100.01), row(5, 100.99, 101.01), row(5, 99.0, 103.0))
    assert 4 == wide.fair(0, wide.now).source  # type: ignore[union-attr]
    assert 1 == wide.refused[5, K.WIDE]


def test_with_no_source_left_the_fair_value_is_unknown() -> None:
    """
    The only source turns into a stub of 255 / 600: unknown, not the last price.
    """
    made = after(row(4, 99.99, 100.01), row(0, 100.0, 100.2), row(4, 255.0, 600.0))
    assert made.fair(0, made.now) is None
    assert np.isnan(made.premium_bps[0])
    assert 1 == made.refused[4, K.STUB]


def test_a_source_that_repeats_itself_is_frozen_until_it_moves() -> None:
    """
    The fourth equal quote after one second is refused; the first other quote is believed again.
    """
    same = [row(4, 99.99, 100.01, s=0.4 * n) for n in range(4)]
    assert after(*same[:3]).fair(0, BEGIN + NS) is not None
    frozen = after(*same)
    assert frozen.fair(0, frozen.now) is None
    assert 1 == frozen.refused[4, K.FROZEN]
    assert after(*same, row(4, 99.98, 100.01, s=2.0)).fair(0, BEGIN + 2 * NS) is not None


def test_an_outlier_is_refused_until_it_has_stood() -> None:
    """
    5 % off the fair value: the first two prints are refused, the third a second after the first is believed.
    """
    start = (row(4, 99.99, 100.01), row(0, 100.0, 100.2))
    odd = [row(0, 105.0, 105.2, s=0.1 + 0.5 * n) for n in range(3)]
    assert 100.0 == after(*start, *odd[:2]).bid[0]
    stood = after(*start, *odd)
    assert 105.0 == stood.bid[0]
    assert 2 == stood.refused[0, K.OUTLIER_PRINT]


def test_wrong_prices_that_disagree_never_stand() -> None:
    """
    110, 190, 105, 170 and so on over four seconds: none is near the one before it, none is believed.
    """
    start = (row(4, 99.99, 100.01), row(0, 100.0, 100.2))
    wild = [
        row(0, price, price + 0.2, s=0.5 * n)
        for n, price in enumerate((110.0, 190.0, 105.0, 170.0, 60.0, 300.0, 110.0))
    ]
    assert 100.0 == after(*start, *wild).bid[0]


def test_a_believed_outlier_does_not_open_the_door_to_others() -> None:
    """
    A token that stood at 105 is believed there, 900 right after is not, 105 once it has stood anew; so a source.
    """
    start = (row(4, 99.99, 100.01), row(0, 100.0, 100.2))
    odd = [row(0, 105.0, 105.2, s=0.1 + 0.5 * n) for n in range(3)]
    made = after(*start, *odd, row(0, 900.0, 900.2, s=1.2))
    assert 105.0 == made.bid[0]
    assert 3 == made.refused[0, K.OUTLIER_PRINT]
    again = [row(0, 105.1, 105.3, s=1.3 + 0.5 * n) for n in range(3)]
    assert 105.1 == after(*start, *odd, row(0, 900.0, 900.2, s=1.2), *again).bid[0]
    jump = [row(4, 140.0 + 0.01 * n, 140.2, s=0.5 * n) for n in range(4)]
    fair = after(*start, *jump, row(4, 700.0, 700.2, s=2.1)).fair(0, BEGIN + 3 * NS)
    assert fair is None or 150 > fair.price


def test_the_error_grows_with_age() -> None:
    """
    One regular session of 6.5 hours adds one daily volatility of 3 %: an hour adds 3 % / sqrt(6.5).
    """
    morning = 1_788_528_600 * NS
    made = columns(Beliefs(max_error=1.0, default_daily_vol=0.03), [], at=morning)
    made.scan(Rows.of([Row(ts_recv=morning, instrument=4, kind=Kind.REFERENCE, bid=99.999, ask=100.001)]), 0, NEVER)
    fair = made.fair(0, morning + 3600 * NS)
    assert fair is not None
    assert pytest.approx(300 / 6.5**0.5, rel=1e-3) == fair.error_bps


FRIDAY_CLOSE = 1_788_552_000 * NS
"""Friday 4 September 2026, 16:00 in New York; the Monday after it is Labor Day."""
TUESDAY_OPEN = 1_788_874_200 * NS
HOUR = 3600 * NS


@pytest.mark.parametrize("vol", [0.0061, 0.03])
def test_a_share_that_is_silent_for_twelve_days_has_no_fair_value_and_after_a_long_weekend_it_has(vol: float) -> None:
    """
    With the limits of a config that names none, calm share or wild: known when the market opens after the longest
    weekend and all of that day, unknown 12 days later, with the silent source named. A fresh quote heals it.
    """
    gates = Fair()
    limits = Beliefs(
        max_error=gates.max_error_bps / 1e4, max_silence_days=gates.max_silence_days, default_daily_vol=vol
    )
    made = columns(limits, [], at=FRIDAY_CLOSE - 1)
    made.scan(
        Rows.of([Row(ts_recv=FRIDAY_CLOSE - 1, instrument=4, kind=Kind.REFERENCE, bid=99.9, ask=100.1)]), 0, NEVER
    )
    known = []
    for at in (TUESDAY_OPEN, TUESDAY_OPEN + 6 * HOUR, FRIDAY_CLOSE + 12 * 24 * HOUR):
        made.enter_session(at)
        known.append(made.fair(0, at) is not None)
    assert [True, True, False] == known
    assert f"{UNIVERSE[4].name} has been silent for too long" == made.why_unknown(0, at)
    made.scan(Rows.of([Row(ts_recv=at, instrument=4, kind=Kind.REFERENCE, bid=99.9, ask=100.1)]), 0, NEVER)
    assert made.fair(0, at) is not None
    assert "" == made.why_unknown(0, at)


def test_no_trigger_fires_on_a_source_that_has_been_silent_for_too_long() -> None:
    """
    A token 200 bps away wakes nobody 12 days after the share's last quote, and does while that is young.
    """
    limits, wakes = Beliefs(max_silence_days=2.0, default_daily_vol=0.0061), []
    for later in (HOUR, 12 * 24 * HOUR):
        made, other = (columns(limits, [Slot(K.SLOT_PREMIUM, 0, 60.0)], at=FRIDAY_CLOSE - 1) for _ in range(2))
        share = Rows.of([Row(ts_recv=FRIDAY_CLOSE - 1, instrument=4, kind=Kind.REFERENCE, bid=99.99, ask=100.01)])
        print_ = Rows.of([Row(ts_recv=FRIDAY_CLOSE + later, instrument=0, kind=Kind.QUOTE, bid=101.9, ask=102.1)])
        for side, scan in ((made, made.scan), (other, Twin(other).scan)):
            scan(share, 0, NEVER)
            side.enter_session(FRIDAY_CLOSE + later)
            wakes.append(scan(print_, 0, NEVER)[1])
        equal(made, other)
    assert [K.TRIGGER, K.TRIGGER, K.END, K.END] == wakes


def test_rubbish_changes_nothing_and_is_counted() -> None:
    """
    NaN, crossed and not positive quotes leave every price as it was.
    """
    good = (row(4, 99.99, 100.01), row(0, 100.0, 100.2))
    bad = (row(0, float("nan"), 100.2), row(0, 100.2, 100.0), row(0, -1.0, 100.2), row(0, 100.1, float("inf")))
    before, made = after(*good), after(*good, *bad)
    np.testing.assert_array_equal(before.f[0], made.f[0])
    assert (2, 1, 1) == tuple(made.refused[0, [K.NOT_FINITE, K.CROSSED, K.NOT_POSITIVE]])


def test_one_price_is_watched_and_never_executable_without_an_assumption() -> None:
    """
    Both tokens have one price; only the one with an assumed spread has a net bid and ask.
    """
    one = Flag.ONE_PRICE
    made = after(
        row(4, 99.99, 100.01), row(3, 100.0, 100.0, flags=one), row(8, 49.99, 50.01), row(7, 50.0, 50.0, flags=one)
    )
    assert pytest.approx(100.0 * 1.0005 * 1.001) == made.f[3, K.NET_ASK]
    assert np.isnan(made.f[7, K.NET_ASK])
