"""Tests of the way from floats to decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.exact import exact


@pytest.mark.parametrize(("told", "value"), [("0.1", 0.1), ("400.25", 400.25), ("1E-7", 1e-7), ("1E+22", 1e22)])
def test_a_float_becomes_the_decimal_that_a_venue_printed(told: str, value: float) -> None:
    """Give 0.1 for 0.1, not the 55 digits of its nearest binary fraction."""
    assert Decimal(told) == exact(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_decimal_reads_as_the_same_float(value: float) -> None:
    """Lose nothing on the way there and back."""
    assert value == float(exact(value))
    assert Decimal(repr(value)) == exact(value)


def test_what_is_no_number_stays_none() -> None:
    """Keep NaN and the infinities what they are: missing is not zero."""
    assert exact(float("nan")).is_nan()
    assert Decimal("-Infinity") == exact(float("-inf"))
