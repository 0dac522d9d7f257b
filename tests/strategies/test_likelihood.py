"""The most likely parameters: the filter's own likelihood, the truth within its errors, and what no print tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from strategies.market.filter import Filter, Premium, Witness
from strategies.market.likelihood import Layout, Series, loglik, maximise
from strategies.market.params import SHARE, TOKEN
from tests.ou_world import STEP_S, world

VOL = 0.02
TRUE = (
    Premium(mean=0.0015, sd=0.0030, half_life_s=1800.0, noise=6e-4),
    Premium(mean=-0.001, sd=0.0015, half_life_s=3600.0, noise=4e-4),
)
WITNESSES = (
    Witness(underlying=0, premium=SHARE),
    Witness(underlying=0, group="a", premium=TOKEN),
    Witness(underlying=0, group="b", premium=TOKEN),
)
LAYOUT = Layout.of(WITNESSES)
START = LAYOUT.vector(0.03)
PRIOR_SD = np.array(
    [{"vol": 1.0, "sd": 1.0, "half_life": 1.5, "noise": 1.0, "mean": 3.0}[of] for of, _ in LAYOUT.names]
)
TRUTH = Layout.of([WITNESSES[0], *(replace(w, premium=p) for w, p in zip(WITNESSES[1:], TRUE, strict=True))]).vector(
    VOL
)


def series(seed: int, count: int = 600, *, shut: bool = False) -> Series:
    """Prints of the world with TRUE premia, in which the share is open half of the time; `shut`: told as a weekend."""
    days = np.full(count, 0.005)
    z = world(seed, VOL, TRUE, days, np.arange(count) % 100 < 50)
    return Series(
        WITNESSES, days, np.full(count, STEP_S), shut & (np.arange(count) % 100 >= 50), z, np.full(z.shape, 1e-10)
    )


def test_it_is_the_filter_s_own_likelihood():
    """
    Of any parameters, the log-likelihood is that of the filter which hears the same prints without a gate.
    """
    told = series(1, 120, shut=True)
    moved = START + np.random.default_rng(2).normal(0, 0.3, (3, len(START)))
    for vector, found in zip(moved, loglik(told, LAYOUT, moved), strict=True):
        premia = LAYOUT.premia(vector)
        witnesses = [replace(w, premium=p) for w, p in zip(WITNESSES, premia, strict=True)]
        whole = Filter(witnesses, [float(np.exp(vector[0]))], gate=np.inf, judge=False)
        for at in range(len(told.z)):
            if at:
                whole.predict(told.days[at], float(told.seconds[at]), shut=bool(told.shut[at]))
            whole.observe(told.z[at], told.var[at])
        assert pytest.approx(float(whole.together.bank.loglik[0]), rel=1e-9) == found


def test_the_truth_is_found_within_its_errors():
    """
    In three worlds every parameter lies within 3.5 of its errors of the truth, the errors are of the right size, and
    the volatility and both spreads are far from where the search began.
    """
    off = []
    for seed in (1, 2, 3):
        found = maximise(series(seed), LAYOUT, START, START, PRIOR_SD)
        off.append((found.vector - TRUTH) / found.error)
        for place in (0, *(LAYOUT.names.index(("sd", g)) for g in (0, 1))):
            assert abs(TRUTH[place] - found.vector[place]) < abs(TRUTH[place] - START[place])
        assert abs(found.vector[0] - START[0]) > 5 * found.error[0]
    assert np.abs(off).max() < 3.5
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.6


def test_the_maximum_is_higher_than_start_and_truth():
    """
    Its log-likelihood with the prior is above that of the start and of the truth.
    """
    told = series(4, 300)
    found = maximise(told, LAYOUT, START, START, PRIOR_SD)

    def posterior(vector: np.ndarray) -> float:
        """Log-likelihood and prior."""
        return float(loglik(told, LAYOUT, vector[None])[0] - 0.5 * np.sum(((vector - START) / PRIOR_SD) ** 2))

    assert posterior(found.vector) > posterior(TRUTH) > posterior(START)
    assert pytest.approx(float(loglik(told, LAYOUT, found.vector[None])[0])) == found.loglik


def test_what_no_print_tells_stays_where_the_prior_has_it():
    """
    Prints of one token and no share: nothing says how far all lie above the share, so mean and its error are the
    prior's.
    """
    told = series(5, 200)
    told.z[:, 0] = np.nan
    told.z[:, 2] = np.nan
    found = maximise(told, LAYOUT, START, START, PRIOR_SD)
    for place in (LAYOUT.names.index(("mean", 1)), LAYOUT.names.index(("sd", 1))):
        assert pytest.approx(START[place], abs=0.05 * PRIOR_SD[place]) == found.vector[place]
        assert pytest.approx(PRIOR_SD[place], rel=0.05) == found.error[place]


def test_of_a_group_that_is_given_only_the_noise_is_asked():
    """
    Its spread, half-life and mean are no parameters, and come out as they went in.
    """
    layout = Layout.of(WITNESSES, {"a"})
    assert [("vol", 0), ("sd", 1), ("half_life", 1), ("noise", 1), ("noise", 2), ("mean", 2)] == list(layout.names)
    premium = layout.premia(layout.vector(VOL) + 0.5)[1]
    assert (TOKEN.mean, TOKEN.sd, TOKEN.half_life_s) == (premium.mean, pytest.approx(TOKEN.sd), pytest.approx(900.0))
    assert pytest.approx(TOKEN.noise * np.exp(0.5)) == premium.noise
