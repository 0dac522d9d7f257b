"""Where unlike members of a kind are to be expected: mean and spread of their true values, from values with errors.

A member says little where its own error is large beside that spread; then it is pulled to the mean (empirical Bayes).
The spread between members is DerSimonian and Laird's (1986): what their scatter is more than their errors explain.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from connectors.events import F8

LEAST_SD: Final = 0.1
"""A few members that happen to agree are no proof that all do."""


class Pull(NamedTuple):
    """A Gaussian prior."""

    mean: float
    sd: float


def pulled(value: F8, variance: F8) -> Pull:
    """The prior that members [n >= 2] with error variances [n] give to one of their kind."""
    weight = 1 / variance
    middle = np.sum(weight * value) / weight.sum()
    excess = np.sum(weight * (value - middle) ** 2) - (len(value) - 1)
    between = max(0.0, float(excess / (weight.sum() - np.sum(weight**2) / weight.sum())))
    weight = 1 / (variance + between)
    mean = float(np.sum(weight * value) / weight.sum())
    return Pull(mean, max(between + 1 / float(weight.sum()), LEAST_SD**2) ** 0.5)
