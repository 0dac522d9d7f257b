"""What a token's own contract speaks against, for all that is quoted of it: a pause, another identity, nodes at odds.

The contract is an instrument of its own (its symbol is its address). While it is paused, is not what the registry means
or nodes say different things of it, what is traded on that chain cannot be settled; and where a unit is worth what the
contract says (every unit model but a rebasing one), nobody knows what a unit is worth at an exchange either. All of
these are in doubt then, with the reason: their premium is unknown, and they are not traded. That a node is not there
takes nothing back.
"""

from __future__ import annotations

from typing import Final

from connectors.events import Health, Why
from connectors.instruments import Instrument, Role, UnitModel
from strategies.base import Note
from strategies.market.columns import Columns

SPEAKS: Final = frozenset((Why.PAUSED, Why.IDENTITY, Why.DISAGREES))


class Contracts:
    """What the contracts say by now."""

    def __init__(self, columns: Columns) -> None:
        """Nothing was heard of any."""
        self._columns = columns
        self._says: dict[int, Why] = {}
        """By the contract's instrument, what speaks against its token."""

    def heard(self, number: int, state: float, reason: float) -> list[Note]:
        """The stream of an instrument stands differently; gives the doubts that this makes or takes away."""
        universe = self._columns.universe
        if not _is_contract(universe[number]):
            return []
        says = next((why for why in SPEAKS if why == reason), None) if state != Health.UP else None
        if says is None and state == Health.DOWN:
            return []
        before = self._says.pop(number, None)
        if says is not None:
            self._says[number] = says
        if says is before:
            return []
        touched = [at for at, other in enumerate(universe) if at != number and _hangs_on(other, universe[number])]
        return [
            *(note for at in touched if before is not None for note in self._doubt(at, before)),
            *(note for at in touched if says is not None for note in self._doubt(at, says)),
        ]

    def _doubt(self, number: int, why: Why) -> list[Note]:
        """Puts a doubt into the columns, or takes it out where no contract has that word any more."""
        universe = self._columns.universe
        stands = any(why is said and _hangs_on(universe[number], universe[at]) for at, said in self._says.items())
        if stands == self._columns.doubted(number, why):
            return []
        self._columns.doubt(number, why, stands=stands)
        kind, underlying = "doubt" if stands else "doubt_cleared", universe[number].underlying
        return [Note(kind=kind, instrument=number, underlying=underlying, detail={"why": why.name.lower()})]


def _is_contract(instrument: Instrument) -> bool:
    return instrument.role is Role.TOKEN and bool(instrument.contract) and (
        instrument.symbol.lower() == instrument.contract.lower()
    )  # fmt: skip


def _hangs_on(other: Instrument, contract: Instrument) -> bool:
    """Whether an instrument is of the token of a contract, and what the contract says matters where it is quoted."""
    if other.role is not Role.TOKEN or not other.token:
        return False
    if (other.token, other.issuer) != (contract.token, contract.issuer):
        return False
    if other.chain:
        return other.chain == contract.chain
    return contract.unit_model is not UnitModel.REBASING
