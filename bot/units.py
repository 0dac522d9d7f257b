"""What a unit of each instrument is worth in shares on its venue: the token's multiplier, and the venue's basis."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan

from connectors.instruments import UnitModel
from strategies.market.basis import Basis
from strategies.market.columns import Columns


class Units:
    """Writes `shares_per_unit` of the columns: the multiplier where a venue quotes units, one where it quotes shares.

    With a multiplier of one both are the same and no basis is needed; while a basis that is needed is not known, a
    unit's worth is not known either, and neither are premium and edge.
    """

    def __init__(self, columns: Columns, basis: Sequence[Basis | None]) -> None:
        """`basis` by instrument: what the config says; UNKNOWN is to be calibrated, None needs none."""
        self.columns = columns
        self.said = tuple(basis)
        self.basis: list[Basis] = [Basis.UNIT if one is None else one for one in basis]
        self.multiplier: list[float] = columns.shares_per_unit.tolist()
        for number, one in enumerate(self.basis):
            if one is not Basis.UNIT:
                self._write(number)

    def calibrates(self, number: int) -> bool:
        """Whether the basis of an instrument is told from its prices."""
        return self.said[number] is Basis.UNKNOWN

    def open(self, number: int) -> bool:
        """Whether it has to be told now: the multiplier is known, is not one, and the basis is not known."""
        multiplier = self.multiplier[number]
        return self.calibrates(number) and not self.basis[number].known and isfinite(multiplier) and multiplier != 1.0

    def shares(self, number: int) -> float:
        """Shares behind a unit that is held, NaN where unknown; while the basis is not known, as if it were a unit."""
        return 1.0 if self.basis[number] is Basis.SHARE else self.multiplier[number]

    def multiplied(self, number: int, multiplier: float) -> None:
        """The token's multiplier is another one. A basis that was told from prices must be told again."""
        self.multiplier[number] = multiplier
        if self.calibrates(number):
            self.basis[number] = Basis.UNKNOWN
        self._write(number)

    def decided(self, number: int, basis: Basis) -> None:
        """The basis was told from prices."""
        self.basis[number] = basis
        self._write(number)

    def _write(self, number: int) -> None:
        multiplier, basis = self.multiplier[number], self.basis[number]
        if basis is Basis.SHARE:
            worth = 1.0
        elif basis is Basis.UNIT or multiplier == 1.0:
            worth = multiplier
        else:
            worth = nan
        self.columns.set_shares_per_unit(number, worth)


def needs_basis(unit_model: UnitModel | None) -> bool:
    """Whether a price per unit and one per share can differ at all."""
    return unit_model not in (None, UnitModel.REBASING)
