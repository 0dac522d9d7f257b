"""Premia of tokens as `pegline peg` samples them from a tape: arrays, whoever they are against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.events import F8, I4, I8

Which = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Samples:
    """Premia at the prints of tokens: three arrays of one length, each token's in order of time."""

    ts: I8
    """ts_recv, ns UTC."""
    instrument: I4
    """Number of the token's instrument."""
    premium_bps: F8
    """token price in USD / (shares per unit x share price in USD) - 1, in bps."""
    error_bps: F8 | None = None
    """One sigma of the share price that they are against; None where it has no error, a last price."""
    sell_bps: F8 | None = None
    """The premium at the bid, which a seller gets before fees."""
    buy_bps: F8 | None = None
    """And at the ask, which a buyer pays."""
    par_bps: F8 | None = None
    """The premium, were the quote coin worth one dollar: without the stablecoin leg."""

    def of(self, which: Which) -> Samples:
        """Those of them that are wanted."""
        more = (
            None if one is None else one[which] for one in (self.error_bps, self.sell_bps, self.buy_bps, self.par_bps)
        )
        return Samples(self.ts[which], self.instrument[which], self.premium_bps[which], *more)
