"""The evidence timer: the scan's fair values are the filter's, only believed prints are heard, groups count once."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, NS, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.market.evidence import Evidence  # noqa: E402
from strategies.market.params import Params  # noqa: E402

BEGIN = 1_788_537_600 * NS
"""Friday 4 September 2026, noon in New York: regular."""
SATURDAY = 1_788_624_000 * NS
VOL = 0.02


def token(venue: str, **more: object) -> Instrument:
    """A token of S."""
    usual = {"symbol": "Sx", "role": Role.TOKEN, "token": "Sx", "underlying": "S", "unit_model": UnitModel.REBASING}
    return Instrument(venue=venue, **{**usual, **more})  # type: ignore[arg-type]


TAPE = Instrument(venue="tape", symbol="S", role=Role.SHARE, underlying="S", hours=Hours.EXTENDED)
OTHER_TAPE = Instrument(venue="tape2", symbol="S", role=Role.SHARE, underlying="S", hours=Hours.EXTENDED)
ORACLE = Instrument(venue="hl", symbol="S-oracle", role=Role.SHARE, underlying="S")
PERP = Instrument(venue="hl", symbol="S-perp", role=Role.PERP, underlying="S")
USDT = Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT")
KINDS = {Role.SHARE: Kind.REFERENCE, Role.COIN: Kind.FX}


class Market:
    """Columns and their timer, whose rows are said one round after the other."""

    def __init__(self, *who: Instrument, now: int = BEGIN) -> None:
        """Everybody fresh for two minutes."""
        facts = [Facts(cost=0.001, max_age_ns=120 * NS, source_error=3e-4) for _ in who]
        beliefs = Beliefs(max_error=0.1, default_daily_vol=VOL)
        self.columns = Columns(Universe(who), facts, beliefs, load_sessions())
        self.columns.enter_session(now)
        self.evidence = Evidence(self.columns, Params(default_vol_bps=VOL * 1e4))
        self.now = now
        self.down: set[int] = set()

    def say(self, *prices: float) -> None:
        """Who has a price prints it with 2 bps between bid and ask."""
        rows = Rows.of(
            [
                Row(ts_recv=self.now, instrument=number, kind=KINDS.get(self.columns.universe[number].role, Kind.QUOTE),
                    bid=price * (1 - 1e-4), ask=price * (1 + 1e-4))
                for number, price in enumerate(prices) if price == price
            ]
        )  # fmt: skip
        at = 0
        while at < len(rows):
            at, _ = self.columns.scan(rows, at, NEVER)

    def tick(self, seconds: float = 5.0) -> None:
        """The timer, so many seconds later."""
        self.now += round(seconds * NS)
        self.evidence.tick(self.now, lambda number: number not in self.down)

    def apart_bps(self) -> float:
        """Farthest that a leave-one-out value of the scan is from the filter's."""
        x, _ = self.evidence.filter.value_without()
        found = [0.0]
        for w, number in enumerate(self.evidence.numbers):
            fair = self.columns.fair_without(number, self.now)
            if fair is not None and self.columns.universe[number].role is Role.TOKEN:
                found.append(abs(log(fair.price) - x[w]) * 1e4)
        return max(found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("venues", [1, 2, 3, 5, 8])
def test_the_scan_says_what_the_filter_says_where_errors_are_independent(seed: int, venues: int) -> None:
    """
    At every tick of a random world, by day and at weekends, with and without a source and an oracle of the share, every
    leave-one-out value is within 2 bps of the filter's.
    """
    night, oracle, share = bool(seed % 2), seed % 3 > 0, seed < 4
    rng = np.random.default_rng(seed)
    who = [token(f"v{n}") for n in range(venues)]
    if share:
        who.append(TAPE)
    if oracle:
        who.append(ORACLE)
    market = Market(*who, now=SATURDAY if night else BEGIN)
    x, premium = log(100.0), rng.normal(0, 15e-4, len(who))
    worst = 0.0
    for _ in range(50):
        x += rng.normal(0, VOL * sqrt(5 / 23400) * (0.1 if night else 1.0))
        premium = 0.99 * premium + rng.normal(0, 15e-4 * sqrt(1 - 0.99**2), len(who))
        silent = rng.random(len(who)) < 0.4
        mids = np.exp(x + premium * np.array([one.role is Role.TOKEN for one in who]) + rng.normal(0, 2e-4, len(who)))
        market.say(*np.where(silent, np.nan, mids).tolist())
        market.tick()
        worst = max(worst, market.apart_bps())
    assert worst <= 2.0


def test_a_token_that_is_off_is_judged_by_the_others_at_night() -> None:
    """
    Saturday: three venues at 103, the share closed at 100 and d prints 105: d is 2 % off by three witnesses, not 5 % by
    the close.
    """
    market = Market(token("a"), token("b"), token("c"), token("d"), TAPE, now=BEGIN)
    nan = float("nan")
    for _ in range(3):
        market.say(100.0, 100.0, 100.0, 100.0, 100.0)
        market.tick()
    market.now = SATURDAY
    market.columns.enter_session(SATURDAY)
    for _ in range(40):
        market.say(103.0, 103.0, 103.0, 103.0)
        market.tick(30.0)
    market.say(nan, nan, nan, 105.0)
    found = market.columns.judge(3, market.now)
    assert found is not None
    assert (pytest.approx(190, abs=20), 3, False) == (found.premium_bps, found.witnesses, found.primary)
    assert found.sigmas > 5
    assert found.innovation > 5
    assert found.fair.own < 0.2


def slid(*others: Instrument, told: bool) -> tuple[Market, float]:
    """Saturday, the share closed at 100: two venues of a token slide to 92 over an hour and stay, the others say 100.
    Halfway it is `told` that the token is off. Returns the fair value in the end."""
    market = Market(token("a"), token("b"), *others, TAPE, now=BEGIN)
    for _ in range(3):
        market.say(*[100.0] * (3 + len(others)))
        market.tick()
    market.now = SATURDAY
    market.columns.enter_session(SATURDAY)
    for n in range(240):
        if n == 60 and told:
            for number in (0, 1):
                market.evidence.depegged(number)
        price = 100.0 - 8.0 * min(1.0, n / 120)
        market.say(price, price, *[100.0] * len(others))
        market.tick(30.0)
    found = market.columns.fair(0, market.now)
    assert found is not None
    return market, found.price


def test_a_token_that_has_left_its_peg_is_no_witness_while_a_perp_speaks() -> None:
    """
    The fair value stays within 30 bps of what the perp says, where two tokens nobody called off pull it 2 % and more
    down; each of them is 8 % off. Back at its peg a token is heard again.
    """
    market, price = slid(PERP, told=True)
    assert 100.0 == pytest.approx(price, abs=0.3)
    for number in (0, 1):
        found = market.columns.judge(number, market.now)
        assert found is not None
        assert -800 == pytest.approx(found.premium_bps, abs=40)
        assert 0.0 == market.columns.f[number, K.WEIGHT]
    assert slid(PERP, told=False)[1] < 98.0
    market.evidence.depegged(0, stands=False)
    market.say(100.0, 100.0, 100.0)
    market.tick()
    assert market.columns.f[0, K.WEIGHT] > 0.0 == market.columns.f[1, K.WEIGHT]


def test_where_nobody_else_speaks_a_token_off_its_peg_is_heard() -> None:
    """
    Two tokens alone at night: whether the share moved or they did nobody can tell, so their word stands.
    """
    assert slid(told=True)[1] == slid(told=False)[1] < 96.0


@pytest.mark.parametrize("source", [TAPE, ORACLE], ids=["tape", "oracle"])
@pytest.mark.parametrize("ratio", [10.0, 2.0, 1.5, 0.1])
def test_a_split_is_no_premium(source: Instrument, ratio: float) -> None:
    """
    Share and tokens split at once: at the first tick after it every token stands where it stood before, by the others.
    """
    market = Market(token("a"), token("b"), source)
    for _ in range(30):
        market.say(100.5, 100.0, 100.0)
        market.tick()
    before = market.columns.judge(0, market.now)
    market.say(100.5 / ratio, 100.0 / ratio, 100.0 / ratio)
    market.tick()
    after = market.columns.judge(0, market.now)
    assert before is not None
    assert after is not None
    assert abs(after.premium_bps - before.premium_bps) < 5


@pytest.mark.parametrize("source", [TAPE, ORACLE], ids=["tape", "oracle"])
def test_a_move_that_is_no_split_keeps_what_was_learnt(source: Instrument) -> None:
    """A share that moves by 1 % is the same share: the premium that was learnt is still expected."""
    market = Market(token("a"), token("b"), source)
    for _ in range(30):
        market.say(100.5, 100.0, 100.0)
        market.tick()
    for _ in range(2):
        market.say(101.505, 101.0, 101.0)
        market.tick()
    assert market.evidence.filter.premium()[0][0] > 20e-4


@pytest.mark.parametrize("ratio", [1.1, 0.9, 1.01])
def test_a_leap_on_the_share_s_own_tape_is_the_share_s_and_no_premium(ratio: float) -> None:
    """
    The tape leaps, b follows and a is silent: the fair value is the tape's price before the tick and after it, of a no
    premium is learnt, and b's is what it was.
    """
    market = Market(token("a"), token("b"), TAPE)
    for _ in range(30):
        market.say(100.0, 100.2, 100.0)
        market.tick()
    before = market.evidence.filter.premium()[0]
    for _ in range(3):
        market.say(float("nan"), 100.2 * ratio, 100.0 * ratio)
        market.tick()
        fair = market.columns.fair_without(1, market.now)
        assert fair is not None
        assert pytest.approx(100.0 * ratio, rel=3e-4) == fair.price
        found = market.columns.judge(1, market.now)
        assert found is not None
        assert pytest.approx(20.0, abs=3.0) == found.premium_bps
    assert before == pytest.approx(market.evidence.filter.premium()[0], abs=2e-4)


def test_between_sources_that_contradict_each_other_lies_the_value() -> None:
    """
    Two tapes print 100 and 103 by turns: after a minute the value is neither's, but between them, and the tokens at 100
    have learnt no premium of 1 %.
    """
    market = Market(token("a"), token("b"), TAPE, OTHER_TAPE)
    for _ in range(30):
        market.say(100.0, 100.0, 100.0, 100.0)
        market.tick()
    for n in range(12):
        market.say(100.0, 100.0, *((103.0, float("nan")) if n % 2 else (float("nan"), 100.0)))
        market.tick()
    value = float(np.exp(market.evidence.filter.share_only()[0][0]))
    assert 100.5 < value < 102.5
    assert abs(market.evidence.filter.premium()[0][0]) < 100e-4


def test_a_perp_and_its_oracle_are_one_witness_and_no_own_evidence() -> None:
    """
    Both speak from one venue: one weighs, the other nothing, and the tape's word is the share's own.
    """
    market = Market(token("a"), TAPE, ORACLE, PERP)
    market.say(100.0, 100.0, 100.0, 100.0)
    market.tick()
    market.say(100.0, 100.0, 100.0, 100.0)
    market.tick()
    weights = market.columns.weight.tolist()
    assert [True, False] == sorted((weights[2] > 0, weights[3] > 0), reverse=True)
    assert weights[1] < 0
    fair = market.columns.fair_without(0, market.now)
    assert fair is not None
    assert (1, 1) == (fair.source, fair.witnesses)


@pytest.mark.parametrize("how", ["down", "doubted", "coin"])
def test_who_may_not_be_believed_is_not_heard_and_weighs_nothing(how: str) -> None:
    """
    b's stream is down, b is in doubt, or b's coin has no fresh price: it jumps by 10 %, and nothing follows.
    """
    market = Market(token("a"), token("b", quote="USDT"), TAPE, USDT)
    for _ in range(4):
        market.say(100.0, 100.0, 100.0, 1.0)
        market.tick()
    assert market.columns.weight[1] > 0
    before = market.evidence.filter.value()[0][0]
    if how == "down":
        market.down.add(1)
    elif how == "doubted":
        market.columns.doubt(1, Why.IMPLAUSIBLE)
    else:
        market.tick(119.0)
        market.say(100.0, 100.0, 100.0)
        market.tick(2.0)
    market.say(100.0, 110.0, 100.0)
    market.tick()
    assert market.columns.weight[1] == 0
    assert abs(market.evidence.filter.value()[0][0] - before) < 2e-4


def test_what_was_printed_in_doubt_is_not_heard_after_it() -> None:
    """
    b printed 110 while it was in doubt, and nothing since: when the doubt is over the filter has not heard it.
    """
    market = Market(token("a"), token("b"), TAPE)
    for _ in range(4):
        market.say(100.0, 100.0, 100.0)
        market.tick()
    market.columns.doubt(1, Why.MAINTENANCE)
    market.say(100.0, 110.0, 100.0)
    market.tick()
    market.columns.doubt(1, Why.MAINTENANCE, stands=False)
    market.say(100.0, float("nan"), 100.0)
    market.tick()
    assert abs(market.evidence.filter.z[1] - log(100.0)) < 1e-9


def test_one_print_of_a_hundred_times_the_price_moves_nothing() -> None:
    """
    With every gate open the filter itself damps it: the fair value moves by less than a basis point, open or shut.
    """
    for now in (BEGIN, SATURDAY):
        market = Market(token("a"), token("b"), token("c"), TAPE, now=now)
        for _ in range(60):
            market.say(100.0, 100.01, 99.99, 100.0)
            market.tick()
        before = market.columns.fair_without(0, market.now)
        market.say(float("nan"), 10_000.0)
        market.tick()
        market.say(100.0, 100.01, 99.99, 100.0)
        market.tick()
        after = market.columns.fair_without(0, market.now)
        assert before is not None
        assert after is not None
        assert abs(after.price / before.price - 1) < 1e-4


def test_while_a_token_slides_off_the_fair_value_admits_that_its_witnesses_are_apart() -> None:
    """
    On Saturday two tokens agree; then one of them says 97: until somebody knows who is right, the share's error is more
    than twice as wide, and that one is judged as if it had said nothing.
    """
    market = Market(token("a"), token("b"), TAPE, now=SATURDAY)
    for _ in range(60):
        market.say(100.0, 100.0, 100.0)
        market.tick()
    before, judge = market.columns.fair(0, market.now), market.columns.fair_without(1, market.now)
    for _ in range(3):
        market.say(100.0, 97.0)
        market.tick()
    fair, other = market.columns.fair(0, market.now), market.columns.fair_without(1, market.now)
    assert before is not None and judge is not None and fair is not None and other is not None
    assert fair.stretch > 2 > 1.5 > before.stretch
    assert fair.error_bps > 3 * before.error_bps
    assert judge.error_bps == pytest.approx(other.error_bps, rel=0.1)


def test_a_fresh_print_of_the_share_counts_at_once() -> None:
    """
    Between two ticks the share moves by 1 %: the fair value follows with it, not at the next tick.
    """
    market = Market(token("a"), TAPE)
    for _ in range(4):
        market.say(100.0, 100.0)
        market.tick()
    market.say(float("nan"), 101.0)
    fair = market.columns.fair_without(0, market.now)
    assert fair is not None
    assert pytest.approx(101.0, rel=1e-6) == fair.price
    assert 1 == market.columns.h[0, K.SOURCE]


def test_innovations_of_an_ordinary_market_are_nearly_normal() -> None:
    """
    A share that moves and three venues whose premia wander as the defaults say: one sigma of the innovations is 1.
    """
    rng = np.random.default_rng(3)
    market = Market(token("a"), token("b"), token("c"), TAPE)
    x, premium, keep = log(100.0), np.zeros(3), 0.5 ** (5 / 900)
    found = []
    for n in range(1500):
        x += rng.normal(0, VOL * sqrt(5 / 23400))
        premium = keep * premium + rng.normal(0, 20e-4 * sqrt(1 - keep**2), 3)
        market.say(*np.exp(x + premium + rng.normal(0, 5e-4, 3)).tolist(), float(np.exp(x)))
        if n > 100:
            judged = [market.columns.judge(at, market.now) for at in range(3)]
            found += [one.innovation for one in judged if one is not None]
        market.tick()
    assert len(found) > 4000
    assert pytest.approx(1.0, abs=0.15) == float(np.std(found))
    assert abs(float(np.mean(found))) < 0.1


def test_a_coin_that_is_not_sure_makes_its_token_a_lesser_witness() -> None:
    """
    Two tokens print the same USD price with the same spread; the one in a coin quoted 1 % wide weighs less.
    """
    market = Market(token("a"), token("b", quote="USDT"), USDT)
    rows = [
        Row(ts_recv=market.now, instrument=2, kind=Kind.FX, bid=0.995, ask=1.005),
        *(Row(ts_recv=market.now, instrument=n, kind=Kind.QUOTE, bid=99.99, ask=100.01) for n in (0, 1)),
    ]
    at = 0
    while at < len(rows):
        at, _ = market.columns.scan(Rows.of(rows), at, NEVER)
    market.tick()
    sure, unsure = (float(market.columns.weight[n]) for n in (0, 1))
    assert 0 < unsure < 0.6 * sure
