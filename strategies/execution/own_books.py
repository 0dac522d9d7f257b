"""The books of one venue as it would tell them too: balances, fills, orders, and what is in flight at issuers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from itertools import chain

from connectors.orders import Fill, OpenOrder
from strategies.execution.ledger import EXACT, ZERO, Ledger
from strategies.execution.reconcile import Books
from strategies.execution.saga import Saga, live
from strategies.execution.trades import Trades


def own_books(ledger: Ledger, trades: Trades, venue: str, since: int) -> Books:
    """What we believe to have at a venue now, with its fills from `since` on (ns UTC)."""
    here = ledger.universe.at(venue)
    return Books(
        positions={at: ledger.position(at) for at in here},
        cash={coin: amount for (where, coin), amount in ledger.cash_at.items() if where == venue},
        in_flight=_in_flight(ledger, venue),
        fills=tuple(fill for fill in ledger.recent if fill.ts >= since and fill.instrument in here),
        orders={id: order for id, order in _standing(trades).items() if order.instrument in here},
        sent={client_id: order.sent_ns for saga in _all(trades) for client_id, order in saga.orders.items()},
    )


def believed(ledger: Ledger, venue: str) -> tuple[Mapping[str, Decimal], Sequence[Fill]]:
    """Balances at a venue by the books, and the last fills there."""
    here = ledger.universe.at(venue)
    balances = {coin: amount for (where, coin), amount in ledger.cash_at.items() if where == venue}
    with localcontext(EXACT):
        for at in here:
            asset = ledger.universe[at].asset
            balances[asset] = balances.get(asset, ZERO) + ledger.position(at)
    return balances, [fill for fill in ledger.recent if fill.instrument in here]


def _in_flight(ledger: Ledger, venue: str) -> dict[str, tuple[Decimal, Decimal]]:
    """By asset, the least and the most that requests under way may have moved at a venue and nobody has told yet."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    with localcontext(EXACT):
        for one in ledger.conversions.open():
            order = one.order
            for number, low, high in (
                (order.source, one.given - order.quantity, one.given),
                (order.target, ZERO, max(order.expected - one.got, ZERO)),
            ):
                instrument = ledger.universe[number]
                if instrument.venue == venue:
                    so_far = found.get(instrument.asset, (ZERO, ZERO))
                    found[instrument.asset] = so_far[0] + low, so_far[1] + high
    return found


def _standing(trades: Trades) -> dict[str, OpenOrder]:
    """Orders without a final answer, by client id."""
    return {
        client_id: OpenOrder(
            client_id=client_id, instrument=order.leg.instrument, side=order.leg.side,
            left=max(order.leg.quantity - order.filled, ZERO),
        )
        for saga in trades.open.values() for client_id, order in live(saga)
    }  # fmt: skip


def knows(trades: Trades, client_id: str) -> bool:
    """Whether an order is one of a trade that is remembered."""
    return any(client_id in saga.orders for saga in _all(trades))


def _all(trades: Trades) -> Iterator[Saga]:
    return chain(trades.open.values(), trades.over.values())
