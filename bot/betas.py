"""How far a share follows its controls (an index fund or future, a sector, a coin): least squares of their returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bot.prints import Prints
from connectors.errors import DataError
from connectors.events import F8
from strategies.market.params import Params, is_evidence

FEWEST_RETURNS: Final = 50
LONGEST_NS: Final = 3600 * 10**9
"""Between two prints of a return: over a night other things than the control move a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """How a share follows its controls."""

    betas: dict[str, float]
    errors: dict[str, float]
    """One sigma of each."""
    explained: float
    """Share of the variance of returns that the controls explain, less what chance would (adjusted R squared)."""
    returns: int


def beta(prints: Prints, share: str, controls: Sequence[str]) -> Beta:
    """Betas of a share on its controls, by returns between neighbouring moments at which all of them printed.

    Of each underlying the source of the share itself speaks, of several the one with most prints; where there is none,
    whatever has most. Raises DataError where an underlying is not on the tape, or returns are too few.
    """
    levels = np.stack([_level(prints, name) for name in (share, *controls)])
    both = np.flatnonzero(np.isfinite(levels).all(axis=0))
    near = np.diff(prints.moments[both]) <= LONGEST_NS
    moved = np.diff(levels[:, both], axis=1)[:, near]
    count = moved.shape[1]
    if count < FEWEST_RETURNS:
        what = f"{share} and {', '.join(controls)} have {count} returns together, a beta needs {FEWEST_RETURNS}"
        raise DataError(what, where="fit")
    design = np.column_stack((np.ones(count), moved[1:].T))
    inverse = np.linalg.pinv(design.T @ design)
    found = inverse @ design.T @ moved[0]
    left = moved[0] - design @ found
    free = count - design.shape[1]
    errors = np.sqrt(np.diag(inverse) * float(left @ left) / free)
    total = float(np.sum((moved[0] - moved[0].mean()) ** 2))
    explained = 1 - float(left @ left) / free / (total / (count - 1)) if total > 0 else 0.0
    return Beta(
        betas=dict(zip(controls, found[1:].tolist(), strict=True)),
        errors=dict(zip(controls, errors[1:].tolist(), strict=True)),
        explained=min(max(explained, 0.0), 0.99),
        returns=count,
    )


def with_betas(params: Params, found: Mapping[str, Beta]) -> Params:
    """The parameters with these shares' betas."""
    return replace(
        params,
        betas={**params.betas, **{name: one.betas for name, one in found.items()}},
        explained={**params.explained, **{name: one.explained for name, one in found.items()}},
    )


def _level(prints: Prints, name: str) -> F8:
    """Log prices of what speaks for an underlying; NaN where it has not printed."""
    numbers = prints.universe.where(underlying=name)
    if not numbers:
        known = ", ".join(prints.universe.underlyings()) or "none"
        raise DataError(f"no instrument of {name} is on the tape", where="fit", hint=f"known: {known}")
    said = {at: int(np.count_nonzero(np.isfinite(prints.z[:, at]))) for at in numbers}
    best = max(numbers, key=lambda at: (is_evidence(prints.universe[at]) and said[at] > 0, said[at], -at))
    return prints.z[:, best]
