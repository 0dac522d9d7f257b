"""Prices that the books are valued at: as the columns know them, as a note of the journal, and read back from one."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from connectors.exact import exact
from connectors.instruments import USD
from strategies.base import Note
from strategies.execution.ledger import Ledger
from strategies.market.columns import Columns

KIND = "marks"


def unit_usd(columns: Columns, number: int) -> Decimal | None:
    """USD per unit of an instrument now, at mid; None where unknown."""
    usd = columns.mark_usd(number)
    return exact(usd) if isfinite(usd) else None


def coin_usd(columns: Columns, coin: str) -> Decimal | None:
    """USD per coin now; None where unknown."""
    if coin == USD:
        return Decimal(1)
    usd = float(columns.fx[columns.coins.index(coin)])
    return exact(usd) if isfinite(usd) else None


def marks(columns: Columns, ledger: Ledger) -> tuple[Note, ...]:
    """A note with the marks of all that is held now: USD by `venue:SYMBOL` and by coin; none where nothing is held.

    What has no price is left out.
    """
    held: dict[str, Decimal | None] = {
        columns.universe[number].name: unit_usd(columns, number)
        for number, units in (*ledger.positions.items(), *ledger.in_flight().items())
        if units
    }
    held |= {coin: coin_usd(columns, coin) for coin, amount in ledger.cash.items() if amount and coin != USD}
    known: dict[str, float | str] = {name: float(usd) for name, usd in held.items() if usd is not None}
    return (Note(kind=KIND, detail=known),) if known else ()
