"""What trades know of their orders, for whoever compares it with a venue's list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from connectors.orders import OpenOrder
from strategies.execution.ledger import ZERO
from strategies.execution.saga import Saga, live
from strategies.execution.trades import Trades


def standing(trades: Trades) -> dict[str, OpenOrder]:
    """Orders without a final answer, by client id."""
    return {
        client_id: OpenOrder(
            client_id=client_id, instrument=order.leg.instrument, side=order.leg.side,
            left=max(order.leg.quantity - order.filled, ZERO),
        )
        for saga in trades.open.values() for client_id, order in live(saga)
    }  # fmt: skip


def sent_ns(trades: Trades) -> dict[str, int]:
    """When each order was sent (ns UTC) that trades still remember."""
    return {client_id: order.sent_ns for saga in _all(trades) for client_id, order in saga.orders.items()}


def knows(trades: Trades, client_id: str) -> bool:
    """Whether an order is one of a trade that is remembered."""
    return any(client_id in saga.orders for saga in _all(trades))


def _all(trades: Trades) -> Iterator[Saga]:
    return chain(trades.open.values(), trades.over.values())
