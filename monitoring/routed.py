"""The answer about selling or buying so many tokens over all venues at once, as JSON and command have it."""

from __future__ import annotations

from typing import Final

import msgspec

from monitoring.quote_lines import Origin

SCHEMA: Final = 1
"""Version of the form of an answer."""


class RoutedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold or bought at one venue."""

    instrument: str
    units: float
    amount: float
    """Quote coins that come of it, or are paid for it, after all that is paid as a part of it."""
    quote: str
    usd: float
    """The same when changed as the route does, without what is paid for each order."""
    price_usd: float
    """Of a unit."""
    fixed_usd: float
    """What the order costs whatever its size."""


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True):
    """Coins that are changed into USD, or bought with it."""

    coin: str
    coins: float
    usd: float
    at: str
    """The instrument where that is done; empty: counted at the coin's price, whose depth nobody knows."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A venue or coin market that is not part of the answer."""

    instrument: str
    why: str


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """The best way to sell or buy so many units now. Numbers are None where nothing is sold or bought."""

    schema: int = SCHEMA
    asked: str
    token: str
    now_ns: int
    origin: Origin
    buy: bool
    units: float
    """Asked for."""
    filled: float
    """Of them."""
    usd: float | None
    """What comes of it, or is paid for it, after everything."""
    bound_usd: float | None
    """No way through the same venues brings more, or costs less, before what is paid for each order."""
    fixed_usd: float
    average_usd: float | None
    """Of a unit."""
    marginal_usd: float | None
    """What one more unit would bring or cost; None also where there is no more to be had."""
    fair_usd: float | None
    """Of a unit."""
    worse_bps: float | None
    """How much worse than fair value the average is."""
    lines: tuple[RoutedLine, ...]
    changes: tuple[ChangeLine, ...]
    left_out: tuple[LeftOut, ...]
