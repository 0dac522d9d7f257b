"""What a kind says of its members: mean and spread from values with errors."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.market.shrink import LEAST_SD, pulled


def test_what_errors_explain_is_no_spread():
    """
    Of a variance of 2 between two values errors explain 1: a spread of 1 is left, to which the mean's own error adds 1;
    where all agree, the least spread is left.
    """
    found = pulled(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    assert (2.0, pytest.approx(2**0.5)) == (found.mean, found.sd)
    assert LEAST_SD == pulled(np.array([2.0, 2.0, 2.0]), np.full(3, 1e-6)).sd


def test_the_surest_member_says_most():
    """
    With no spread between them the mean is weighed by the errors: 0 with variance 1 and 1 with variance 3 give 1/4.
    """
    assert pytest.approx(0.25) == pulled(np.array([0.0, 1.0]), np.array([1.0, 3.0])).mean


def test_mean_and_spread_of_many_members_are_found():
    """
    Of 4,000 members with mean 2, spread 0.7 and errors between 0.2 and 1: both to 5 %.
    """
    rng = np.random.default_rng(1)
    error = rng.uniform(0.2, 1.0, 4000)
    found = pulled(2 + 0.7 * rng.normal(size=4000) + error * rng.normal(size=4000), error**2)
    assert (pytest.approx(2, rel=0.05), pytest.approx(0.7, rel=0.05)) == (found.mean, found.sd)
