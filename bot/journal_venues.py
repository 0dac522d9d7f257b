"""How venues have treated our orders, by a journal: what a paper venue should be told to do to be like a real one.

The same numbers of two journals stand side by side: of a run on paper and of one that it should resemble. Delay, share
of refusals and slippage are keys of [venues.NAME], so that paper can be fitted to what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from statistics import median
from typing import Any, Final

import msgspec

from bot.journal_orders import Order
from bot.tables import print_table
from bot.terminal import printable
from connectors.orders import Outcome, Side
from strategies.execution.ledger import EXACT, ZERO

BPS: Final = 10_000
MS: Final = 1_000_000
"""Nanoseconds."""
KEYS: Final = ("latency_ms", "reject_share", "slippage_bps")
"""Of [venues.NAME]."""
NUMBERS: Final = (*KEYS, "fill_ratio")


class Conduct(msgspec.Struct):
    """What came of the orders at one venue that have their last answer; values at the prices seen, in the quote
    currency of each."""

    orders: int = 0
    refused: int = 0
    sent: Decimal = ZERO
    """Value of those that were not refused."""
    filled: Decimal = ZERO
    worse: Decimal = ZERO
    """How much more was paid, or less was had, than at the prices seen."""
    delays_ns: list[int] = []
    """From the sending of each order that filled to its last answer."""

    def take(self, order: Order) -> None:
        """One more order."""
        self.orders += 1
        if order.outcome == Outcome.REFUSED:
            self.refused += 1
            return
        with localcontext(EXACT):
            self.sent += order.quantity * order.seen
            self.filled += order.filled * order.seen
            paid = order.value - order.filled * order.seen
            self.worse += paid if order.side == Side.BUY else -paid
        if order.fills:
            self.delays_ns.append(order.ended_ns - order.sent_ns)

    def row(self, venue: str) -> dict[str, Any]:
        """As JSON; null where nothing tells. `fill_ratio` is of what was not refused: filled of sent, by value."""
        return {
            "venue": venue,
            "orders": self.orders,
            "latency_ms": median(self.delays_ns) / MS if self.delays_ns else None,
            "reject_share": self.refused / self.orders if self.orders else None,
            "fill_ratio": float(self.filled / self.sent) if self.sent else None,
            "slippage_bps": float(self.worse / self.filled * BPS) if self.filled else None,
        }


def conduct(orders: Iterable[Order]) -> list[dict[str, Any]]:
    """A row for each venue, in order of their names. An order without its last answer is not counted."""
    found: dict[str, Conduct] = {}
    for order in orders:
        if order.ended_ns:
            found.setdefault(order.instrument.partition(":")[0], Conduct()).take(order)
    return [found[venue].row(venue) for venue in sorted(found)]


def tell(rows: Sequence[Mapping[str, Any]], against: Sequence[Mapping[str, Any]] | None) -> None:
    """A table; with another journal's rows beside each, and what to write for paper to be like that one."""
    columns = ("venue", "orders", *NUMBERS)
    other = {row["venue"]: row for row in against or ()}
    lines = []
    for row in rows:
        lines.append([printable(row["venue"]), f"{row['orders']:,}", *(_number(row[key]) for key in NUMBERS)])
        if seen := other.get(row["venue"]):
            lines.append(["  against", f"{seen['orders']:,}", *(_number(seen[key]) for key in NUMBERS)])
    lines += [
        [f"{printable(name)}  against only", f"{row['orders']:,}", *(_number(row[key]) for key in NUMBERS)]
        for name, row in other.items()
        if name not in {row["venue"] for row in rows}
    ]
    if not lines:
        print("no orders that have their last answer")
        return
    print_table(columns, lines, numbers=columns[1:])
    for name, row in other.items():
        told = [f"{key} = {_written(key, row[key])}" for key in KEYS if row[key] is not None]
        print(f"to be like it on paper: [venues.{printable(name)}] {', '.join(told)}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _written(key: str, value: float) -> str:
    """For a config, where slippage is never in our favour."""
    return f"{max(0.0, value) if key == 'slippage_bps' else value:.4g}"
