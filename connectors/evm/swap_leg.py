"""A leg that is swapped: what is remembered of it with each of its tasks, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from connectors.errors import DataError
from connectors.evm.allowances import Grant
from connectors.evm.fees import cost_usd
from connectors.evm.receipt import Receipt
from connectors.evm.swap import Route, moves, traded
from connectors.exact import exact
from connectors.orders import Approved, Fill, Leg, Outcome, Report, Side

ZERO: Final = Decimal(0)
_BPS: Final = Decimal(10_000)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A leg that is under way, and what a report about it needs at any time."""

    client_id: str
    intent_id: str
    number: int
    leg: Leg
    name: str
    """Of the leg's instrument, which has another number in a run with another config."""
    route: Route
    """By which it is swapped, whatever a later config says of that."""
    step: str
    fx: Decimal
    """USD per coin when it was sent."""
    native_usd: Decimal
    """USD per coin of the chain when it was sent."""
    data_fee_wei: int
    """What publishing was said to cost, where the receipt does not say."""
    charges_limit: bool = False
    """Its chain charges for the whole gas limit."""
    outcome: Outcome = Outcome.UNKNOWN
    """Of the leg, where an allowance is taken back behind it."""


def order_of(note: bytes, numbers: Mapping[str, int]) -> Order:
    """What a task remembers of its leg, with the number that the instrument has in this run, by its name.

    Raises DataError for a swap of an instrument that this run does not have: what it moves could not be booked.
    """
    order = msgspec.msgpack.decode(note, type=Order)
    if order.name in numbers:
        return msgspec.structs.replace(order, leg=msgspec.structs.replace(order.leg, instrument=numbers[order.name]))
    if order.step == "swap":
        said = "a swap is under way of an instrument that the config no longer has"
        raise DataError(said, where=order.name, hint="keep it in the config until what that moved is booked")
    return order


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of a task that was mined."""

    outcome: Outcome
    fill: Fill | None = None
    gas_usd: Decimal = ZERO
    """Where there is no fill."""


class Refusal(Exception):
    """A leg is not begun; one word and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        """Both are told."""
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def report(
    order: Order,
    outcome: Outcome,
    *,
    id: str = "",
    fills: tuple[Fill, ...] = (),
    undone: tuple[Fill, ...] = (),
    gas_usd: Decimal = ZERO,
    reason: str = "",
    detail: str = "",
    final: bool = True,
) -> Report:
    """One thing that is told about a leg."""
    return Report(
        client_id=order.client_id, intent_id=order.intent_id, leg=order.number, outcome=outcome, id=id, fills=fills,
        undone=undone, gas_usd=gas_usd, reason=reason, detail=detail, final=final,
    )  # fmt: skip


def paid_usd(order: Order, receipt: Receipt, limit: int) -> Decimal:
    """What a transaction cost, publishing included; `limit` is its gas limit."""
    fee = order.data_fee_wei if receipt.data_fee_wei is None else receipt.data_fee_wei
    return cost_usd(limit if order.charges_limit else receipt.gas, receipt.price_wei, fee, order.native_usd)


def fill_of(order: Order, receipt: Receipt, *, wallet: str, chain_id: int, ts: int, gas_usd: Decimal) -> Fill:
    """What a swap moved. Raises BadMessage where the receipt lacks logs."""
    leg = order.leg
    moved = traded(moves(receipt.logs, wallet), order.route, buys=leg.side is Side.BUY)
    return Fill(
        id=f"{chain_id}:{receipt.hash}", client_id=order.client_id, instrument=leg.instrument, side=leg.side,
        quantity=moved.quantity, price=moved.price, fee=moved.rest, fx=order.fx, ts=ts, gas_usd=gas_usd,
    )  # fmt: skip


def grant_of(order: Order) -> Grant:
    """What a leg lets whom spend."""
    route = order.route
    pays = route.coin if order.leg.side is Side.BUY else route.token
    return Grant(pays.address, route.router.address, "" if route.permit is None else route.permit.address)


def leg_of(task_key: str) -> str:
    """The client id of the leg in the key of one of its tasks."""
    return task_key.rpartition(".")[0]


def edge_usd(order: Approved) -> Decimal:
    """What a trade is expected to bring after all costs that the strategy knew."""
    return order.intent.notional_usd * exact(order.intent.edge_bps) / _BPS
