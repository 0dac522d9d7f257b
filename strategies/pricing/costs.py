"""What a trade costs, part by part: the one model of signal, review, paper venue and report.

A component is a number with a unit and a source, or it is missing, and then it has no number: nothing is traded, and
what is missing is named. A component that cannot arise (gas at an exchange) is not among them at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

ZERO: Final = Decimal(0)
_BPS: Final = Decimal(10_000)


class Component(StrEnum):
    """What money goes for."""

    TAKER_FEE = "taker_fee"
    MAKER_FEE = "maker_fee"
    GAS = "gas"
    DATA_FEE = "data_fee"
    """What a chain takes for publishing on the chain below it."""
    SLIPPAGE = "slippage"
    """How much worse than seen a price is when the order arrives."""
    FX = "fx"
    """Changing a coin into USD or back."""
    REBALANCING = "rebalancing"
    """Bringing back what trades move from one venue to another, shared out to all their legs alike: also to one that
    happens to bring something back, since where things should lie is nothing that a leg knows."""
    ISSUER_FEE = "issuer_fee"
    ISSUER_SPREAD = "issuer_spread"
    """How far an issuer's price is from that of the share, against us."""
    FUNDING = "funding"
    BORROW = "borrow"
    CAPITAL = "capital"
    """What locked money would earn elsewhere."""


TAKEN: Final = frozenset(
    {Component.TAKER_FEE, Component.GAS, Component.DATA_FEE, Component.SLIPPAGE, Component.FX, Component.REBALANCING}
)
"""What a leg costs that is taken at once and not held for a time."""
HELD: Final = frozenset({Component.FUNDING, Component.BORROW, Component.CAPITAL})
"""What grows with the time that something is held."""


class Cost(NamedTuple):
    """One component that is known. Paid is above zero; below it is received, as funding may be."""

    component: Component
    source: str
    """Who says so: a key of the config, a feed, what was learned."""
    bps: Decimal = ZERO
    """Of the notional."""
    usd: Decimal = ZERO
    """For each order, whatever its size."""
    bps_per_day: Decimal = ZERO
    """Of the notional, for each day (24 h) that it is held."""

    def of(self, notional_usd: Decimal, days: Decimal = ZERO) -> Decimal:
        """USD for a notional that is held so long."""
        return notional_usd * (self.bps + self.bps_per_day * days) / _BPS + self.usd


class Missing(NamedTuple):
    """One component that arises and is not known."""

    component: Component
    hint: str
    """What to write so that it is."""


@dataclass(frozen=True, slots=True)
class Costs:
    """All components of one leg, or of several put together with `+`."""

    known: tuple[Cost, ...] = ()
    missing: tuple[Missing, ...] = ()
    rate: Decimal = field(init=False, repr=False, compare=False)
    """What the known components cost, as a share of the notional; without what is held."""
    fixed_usd: Decimal = field(init=False, repr=False, compare=False)
    """What the known components cost for each order, USD."""

    def __post_init__(self) -> None:
        """Both are asked for at every decision."""
        object.__setattr__(self, "rate", sum((one.bps for one in self.known), ZERO) / _BPS)
        object.__setattr__(self, "fixed_usd", sum((one.usd for one in self.known), ZERO))

    def __add__(self, other: Costs) -> Costs:
        """Both together; each is paid."""
        return Costs(self.known + other.known, self.missing + other.missing)

    def only(self, components: Collection[Component]) -> Costs:
        """Those components, known or missing."""
        return Costs(
            tuple(one for one in self.known if one.component in components),
            tuple(one for one in self.missing if one.component in components),
        )

    def usd(self, notional_usd: Decimal, days: Decimal = ZERO) -> Decimal | None:
        """All components, USD; None where one is missing."""
        return None if self.missing else sum((one.of(notional_usd, days) for one in self.known), ZERO)

    def parts(self, notional_usd: Decimal, days: Decimal = ZERO) -> dict[Component, Decimal]:
        """USD by component, of those that are known."""
        found: dict[Component, Decimal] = {}
        for one in self.known:
            found[one.component] = found.get(one.component, ZERO) + one.of(notional_usd, days)
        return found

    def share(self, notional_usd: Decimal | None) -> Decimal | None:
        """All components of what is not held, as a share of the price; None where one is missing, or where something
        is paid for each order and no size says what share that is."""
        if self.missing or (notional_usd is None and self.fixed_usd):
            return None
        return self.rate if notional_usd is None else self.rate + self.fixed_usd / notional_usd

    @property
    def why(self) -> str:
        """What is missing, in words; empty where nothing is."""
        return "; ".join(f"{one.component.value.replace('_', ' ')} is not known: {one.hint}" for one in self.missing)
