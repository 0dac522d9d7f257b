"""The filter of fair value: vectors, identities, the gate, who judges whom, and the scan's form of it."""

from __future__ import annotations

import json
from math import inf, log, pi
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.market.filter import Filter, Premium, Witness
from strategies.market.kalman import Bank, Verdict

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fair_value.json").read_text())
ONE = np.ones(1)
NOTHING = np.array([0.0])
FIRST = np.array([0])
BPS = 1e-4


def pools(count: int, sd: float = 20 * BPS, half_life_s: float = 3600.0, **more: float) -> Filter:
    """A share source and so many independent witnesses of one share that moves 2 % a day."""
    premium = Premium(sd=sd, half_life_s=half_life_s, noise=2 * BPS)
    witnesses = [Witness(underlying=0), *(Witness(underlying=0, group=f"p{n}", premium=premium) for n in range(count))]
    return Filter(witnesses, [0.02], **more)


def print_of(count: int, **prices: float) -> tuple[np.ndarray, np.ndarray]:
    """Prints of some witnesses (w0 is the share) with an error of 1 bps."""
    z = np.full(count + 1, np.nan)
    for name, price in prices.items():
        z[int(name[1:])] = price
    return z, np.full(count + 1, BPS**2)


@pytest.mark.parametrize("vector", VECTORS["kalman"], ids=("long", "short"))
def test_every_step_of_the_vectors_to_1e_9(vector):
    """
    Known premia, one share: mean and variance after each step, and the log-likelihood of all.
    """
    means = {o["name"]: float(o["b"]) for step in vector["steps"] for o in step["obs"]}
    names = sorted(means)
    witnesses = [Witness(underlying=0, group=name, premium=Premium(mean=means[name])) for name in names]
    found = Filter(witnesses, [1.0], gate=inf)
    for view in (found.together, found.alone):
        view.bank.start(
            np.full(len(view.underlying), float(vector["m0"])), np.full(len(view.underlying), float(vector["P0"]))
        )
    for step, wanted in zip(vector["steps"], vector["expected"]["posterior"], strict=True):
        found.predict(np.array([float(step["Q"])]), 60.0)
        z, var = np.full(len(names), np.nan), np.full(len(names), np.nan)
        for o in step["obs"]:
            z[names.index(o["name"])], var[names.index(o["name"])] = float(o["z"]), float(o["R"])
        found.observe(z, var)
        x, spread = found.value()[0], found.together.bank.x_var
        assert pytest.approx(float(wanted["mean"]), abs=1e-9, rel=1e-9) == x[0]
        assert pytest.approx(float(wanted["var"]), rel=1e-9) == spread[0]
    assert pytest.approx(float(vector["expected"]["loglik"]), rel=1e-9) == found.together.bank.loglik[0]


@st.composite
def worlds(draw):
    """A prior of x and K premia, and up to six prints (slot, z, variance) at one moment."""
    k = draw(st.integers(1, 4))
    size = st.floats(1e-4, 1e-2)
    sd = np.array([[draw(size) for _ in range(k)]])
    prints = draw(
        st.lists(st.tuples(st.integers(0, k), st.floats(-0.05, 0.05), st.floats(1e-9, 1e-3)), min_size=1, max_size=6)
    )
    return sd, draw(st.floats(1e-8, 1e-2)), prints


@given(worlds())
def test_one_by_one_is_batch_least_squares(world):
    """
    Updates with single numbers end where generalised least squares of all of them ends, likelihood included.
    """
    sd, prior, prints = world
    bank = Bank(np.zeros_like(sd), sd, np.full_like(sd, 600.0), ONE)
    bank.start(NOTHING, np.array([prior]))
    cov = bank.cov[0].copy()
    for slot, z, var in prints:
        bank.update(FIRST, np.array([slot]), FIRST, np.array([z]), np.array([var]))
    h = np.zeros((len(prints), sd.shape[1] + 1))
    h[:, 0] = 1
    for row, (slot, _, _) in enumerate(prints):
        h[row, slot] = 1
    z, noise = np.array([p[1] for p in prints]), np.diag([p[2] for p in prints])
    s = h @ cov @ h.T + noise
    wanted = cov @ h.T @ np.linalg.solve(s, z)
    spread = cov - cov @ h.T @ np.linalg.solve(s, h @ cov)
    assert wanted == pytest.approx(bank.state[0], rel=1e-6, abs=1e-9)
    assert spread == pytest.approx(bank.cov[0], rel=1e-6, abs=1e-11)
    loglik = -0.5 * (len(z) * log(2 * pi) + np.linalg.slogdet(s)[1] + z @ np.linalg.solve(s, z))
    assert pytest.approx(loglik, rel=1e-6, abs=1e-6) == bank.loglik[0]


@given(worlds())
def test_no_word_makes_it_less_certain(world):
    """
    The variance of no state rises at an update, and the covariance stays symmetric and positive.
    """
    sd, prior, prints = world
    bank = Bank(np.zeros_like(sd), sd, np.full_like(sd, 600.0), ONE)
    bank.start(NOTHING, np.array([prior]))
    for slot, z, var in prints:
        before = np.diag(bank.cov[0]).copy()
        bank.update(FIRST, np.array([slot]), FIRST, np.array([z]), np.array([var]))
        assert np.all(np.diag(bank.cov[0]) <= before * (1 + 1e-12))
        assert np.array_equal(bank.cov[0], bank.cov[0].T)
        assert np.linalg.eigvalsh(bank.cov[0]).min() >= -1e-15


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e5)), min_size=1, max_size=8))
def test_without_a_word_it_grows_by_exactly_the_clock(steps):
    """
    Of x by daily variance times days; a premium that was known goes back to its mean and its own spread.
    """
    bank = Bank(np.array([[0.001]]), np.array([[0.002]]), np.array([[600.0]]), np.array([0.0004]))
    bank.start(NOTHING, np.array([1e-6]))
    bank.state[0, 1], bank.cov[0, 1, 1] = 0.005, 0.0
    for days, seconds in steps:
        bank.predict(np.array([days]), seconds)
    days, seconds = sum(d for d, _ in steps), sum(s for _, s in steps)
    left = 2 ** (-seconds / 600)
    assert pytest.approx(1e-6 + 0.0004 * days, rel=1e-12) == bank.x_var[0]
    assert pytest.approx(0.001 + 0.004 * left, rel=1e-9) == bank.state[0, 1]
    assert pytest.approx(0.002**2 * (1 - left**2), rel=1e-9, abs=1e-18) == bank.cov[0, 1, 1]


def test_a_shut_share_lets_a_premium_go_further():
    """
    Four times the variance over a weekend is twice the spread that a premium comes back to.
    """
    bank = Bank(np.zeros((1, 1)), np.array([[0.002]]), np.array([[600.0]]), ONE, closed=4.0)
    bank.predict(ONE, 1e6, shut=True)
    assert pytest.approx(0.004) == bank.cov[0, 1, 1] ** 0.5
    bank.predict(ONE, 1e6)
    assert pytest.approx(0.002) == bank.cov[0, 1, 1] ** 0.5


def test_nothing_heard_is_nothing_known():
    """
    Before the first word there is no value, and after an unknown session none is left.
    """
    found = pools(2)
    assert (True, inf) == (np.isnan(found.value()[0][0]), found.value()[1][0])
    found.observe(*print_of(2, w0=6.0, w1=6.0))
    found.predict(np.array([inf]), 60.0)
    assert (True, True) == (np.isnan(found.value()[0][0]), np.all(np.isnan(found.value_without()[0])))


def test_a_premium_that_lasts_is_learnt_while_the_share_speaks():
    """
    A token 30 bps above an open share is expected there afterwards, so it does not lift the value at night.
    """
    found = pools(1, half_life_s=1e6)
    for _ in range(50):
        found.predict(np.array([0.001]), 60.0)
        found.observe(*print_of(1, w0=6.0, w1=6.003))
    found.predict(np.array([0.05]), 3600.0)
    found.observe(*print_of(1, w1=6.003))
    assert pytest.approx(6.0, abs=3 * BPS) == found.value()[0][0]
    assert pytest.approx(0.003, abs=3 * BPS) == found.premium()[0][1]


def test_many_prints_do_not_make_one_token_certain():
    """
    After 500 prints of one token the error is not below what its premium may hide.
    """
    found = pools(1, half_life_s=1e5)
    for _ in range(500):
        found.predict(np.array([1e-5]), 1.0)
        found.observe(*print_of(1, w1=6.0))
    assert found.value()[1][0] > (0.9 * 20 * BPS) ** 2


def test_witnesses_that_feed_each_other_count_once():
    """
    A perp, its oracle and a stream made from it say hardly more than the perp; three pools say far more than one.
    """
    premium = Premium(sd=20 * BPS, half_life_s=3600.0, noise=BPS)
    spread = {}
    for names in (("a",), ("a", "a", "a"), ("a", "b", "c")):
        found = Filter([Witness(underlying=0, group=name, premium=premium) for name in names], [0.02])
        found.observe(np.full(len(names), 6.0), np.full(len(names), BPS**2))
        spread[names] = found.value()[1][0]
        assert (1 if len(set(names)) == 1 else 3) == np.count_nonzero(found.witness_weights()[0])
    assert pytest.approx(spread["a",], rel=0.01) == spread["a", "a", "a"]
    assert pytest.approx(spread["a",] / 3, rel=0.02) == spread["a", "b", "c"]


def test_nobody_judges_itself():
    """
    What a token may be judged by is, to the bit, what a filter says that never heard it, and its error but for the
    rounding; others do hear it.
    """
    rng = np.random.default_rng(7)
    found, deaf = pools(3), pools(3)
    for _ in range(40):
        z, var = print_of(3, w0=6.0, w1=6.0, w2=6.0, w3=6.0)
        z = z + rng.normal(0, 10 * BPS, 4)
        for one, heard in ((found, z), (deaf, np.where(np.arange(4) == 2, np.nan, z))):
            one.predict(np.array([0.001]), 60.0)
            one.observe(heard, var)
    assert deaf.value()[0][0] == found.value_without()[0][2]
    assert deaf.value()[1][0] == pytest.approx(found.value_without()[1][2], rel=1e-12)
    assert deaf.value()[0][0] != found.value()[0][0]


def test_a_single_wild_print_hardly_moves_anything():
    """
    One print at 100 times the price beside a good witness: under 1 bp, damped, and counted.
    """
    found = pools(2)
    for _ in range(5):
        found.predict(np.array([0.001]), 60.0)
        found.observe(*print_of(2, w0=6.0, w1=6.0, w2=6.0))
    found.predict(np.array([0.0001]), 10.0)
    before = found.value()[0][0]
    verdict = found.observe(*print_of(2, w1=6.0 + log(100)))[2]
    assert Verdict.DAMPED == verdict[1]
    assert (1, 0) == (found.damped[1], found.jumped[1])
    assert pytest.approx(before, abs=1 * BPS) == found.value()[0][0]
    assert pytest.approx(before, abs=1 * BPS) == found.value_without()[0][2]


def steady(count: int) -> Filter:
    """A filter that has heard all agree at log 6 until the share fell silent."""
    found = pools(count)
    for _ in range(20):
        found.predict(np.array([0.001]), 60.0)
        found.observe(*print_of(count, **{f"w{n}": 6.0 for n in range(count + 1)}))
    return found


def test_a_jump_of_one_venue_is_its_own():
    """
    One token of three goes 3 % up and stays there: the value by all moves by under 20 bps, its premium takes the rest.
    """
    found = steady(3)
    for _ in range(10):
        found.predict(np.array([1e-4]), 60.0)
        found.observe(*print_of(3, w1=6.03, w2=6.0, w3=6.0))
    assert pytest.approx(6.0, abs=20 * BPS) == found.value()[0][0]
    assert pytest.approx(0.03, abs=25 * BPS) == found.premium()[0][1]
    assert found.jumped[1] > 0


def test_a_jump_of_all_is_the_share_s():
    """
    At night all tokens go 3 % up and stay there: the value follows within ten prints of each.
    """
    found = steady(3)
    for _ in range(10):
        found.predict(np.array([1e-4]), 60.0)
        found.observe(*print_of(3, w1=6.03, w2=6.03, w3=6.03))
    assert pytest.approx(6.03, abs=30 * BPS) == found.value()[0][0]


def test_a_jump_of_the_only_witness_leaves_doubt():
    """
    Where nobody else speaks, value and premium share the jump, and the error says how little is known.
    """
    found = steady(1)
    found.predict(np.array([1e-4]), 60.0)
    before = found.value()[1][0]
    for _ in range(3):
        found.predict(np.array([1e-4]), 60.0)
        found.observe(*print_of(1, w1=6.03))
    x, var = found.value()
    assert 6.0 < x[0] < 6.03
    assert var[0] > 9 * before


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_scan_s_form_says_what_the_filter_says(count):
    """
    Weights and offsets, summed with the share's own evidence, give each value without a witness over a night of
    prints to 0.1 bps, and its variance exactly where two groups or fewer speak, to a fifth with more; and what is left
    of them is stretched as far as it contradicts itself.
    """
    rng = np.random.default_rng(count)
    found = pools(count)
    x, p, far, stretched = 6.0, np.zeros(count), [], 0
    for minute in range(600):
        keep = 2 ** (-60 / 3600)
        x += rng.normal(0, 0.02 * (1e-4) ** 0.5)
        p = p * keep + rng.normal(0, 20 * BPS * (1 - keep**2) ** 0.5, count)
        z = np.concatenate(([x if minute < 30 else np.nan], x + p + rng.normal(0, 2 * BPS, count)))
        z[1:][rng.random(count) < 0.3] = np.nan
        found.predict(np.array([1e-4]), 60.0)
        found.observe(z, np.full(count + 1, BPS**2))
        if minute < 35:
            continue
        weight, offset = found.witness_weights()
        share, spread = found.share_only()
        assert np.all(weight >= 0)
        price, wanted = np.exp(found.z) * (1 - offset), found.value_without()
        s, total = np.exp(share[0]) / spread[0] + np.sum(weight * price), 1 / spread[0] + weight.sum()
        for n in range(1, count + 1):
            value, var = (s - weight[n] * price[n]) / (total - weight[n]), 1 / (total - weight[n])
            far.append(abs(log(value) - wanted[0][n]) / BPS)
            agreed = found.without.bank.x_var[n - 1]
            assert pytest.approx(agreed, rel=1e-9 if count <= 2 else 0.2) == var
            others = [(share[0], 1 / spread[0])]
            others += [(log(price[m]), weight[m]) for m in range(1, count + 1) if m != n and weight[m] > 0]
            chi2 = sum(w * (level - log(value)) ** 2 for level, w in others)
            bound = (spread[0] + (log(value) - share[0]) ** 2) / var
            stretch = min(max(1.0, chi2 / max(1, len(others) - 1)), bound)
            assert pytest.approx(stretch, rel=0.01 if count <= 2 else 0.5) == wanted[1][n] / agreed
            stretched += stretch > 1
    assert 0.1 > max(far)
    assert (count > 1) == (stretched > 0)
