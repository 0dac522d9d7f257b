"""What we ask of a venue and what it answers: intents, approvals, refusals, reports, fills, conversions.

Money that moves is Decimal. An answer has three values: accepted, refused, or unknown; unknown is not failed.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class Side(StrEnum):
    """Which way a leg goes."""

    BUY = "buy"
    SELL = "sell"


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One order of an intent: an immediate-or-cancel limit order at one instrument."""

    instrument: int
    side: Side
    quantity: Decimal
    """In transferable units of the instrument."""
    limit: Decimal
    """Worst acceptable price, in the instrument's quote currency per unit."""
    seen: Decimal
    """The price that the decision was made on: best ask for a buy, best bid for a sale."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy wishes: legs that belong together, and why."""

    id: str
    """Deterministic: strategy, decision time and count; the client ids of its legs are `id`-0, `id`-1, ..."""
    strategy: str
    legs: tuple[Leg, ...]
    reason: str
    edge_bps: float
    """Expected net edge after costs, bps of the fair value."""
    notional_usd: Decimal
    """Size of the larger leg, in USD."""
    deadline_ns: int
    """After this moment an unsent leg must not be sent."""
    underlying: str = ""


class Reason(StrEnum):
    """Why the risk review refuses; one word each, they label metrics."""

    MODE = "mode"
    KILLED = "killed"
    SESSION = "session"
    FAIR_UNKNOWN = "fair_unknown"
    COLLAR = "collar"
    STALE = "stale"
    NO_SIZE = "no_size"
    ONE_PRICE = "one_price"
    COST_UNKNOWN = "cost_unknown"
    MULTIPLIER_UNKNOWN = "multiplier_unknown"
    MAINTENANCE = "maintenance"
    FX_UNKNOWN = "fx_unknown"
    COIN_BAND = "coin_band"
    NOTIONAL = "notional"
    POSITION = "position"
    ORDER_RATE = "order_rate"
    DAILY_LOSS = "daily_loss"
    OPEN_PAIRS = "open_pairs"
    DEADLINE = "deadline"


class Approved(msgspec.Struct, frozen=True):
    """An intent that passed the review. Only strategies/execution/risk.py makes one; executors take nothing else."""

    intent: Intent


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An intent that did not pass, and the first check that stopped it."""

    intent: Intent
    reason: Reason
    detail: str
    """A sentence with the number and the limit."""


class Outcome(StrEnum):
    """What we know of an order: the venue took it, refused it, or we cannot tell."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an order that traded."""

    id: str
    """The venue's own id of the trade, unique with it; two parts of one order differ in it."""
    client_id: str
    instrument: int
    side: Side
    quantity: Decimal
    price: Decimal
    """Quote currency per unit."""
    fee: Decimal
    """In the quote currency; positive is paid."""
    fx: Decimal
    """USD per quote currency at that moment."""
    ts: int
    """Nanoseconds UTC."""
    gas_usd: Decimal = Decimal(0)
    """Fixed cost of the order, such as gas, in USD."""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A venue's answer about one leg: its outcome, and what it filled since the last one."""

    client_id: str
    intent_id: str
    leg: int
    outcome: Outcome
    id: str = ""
    """Of this news at its venue, where it may be told again after a restart: then it counts once."""
    fills: tuple[Fill, ...] = ()
    undone: tuple[Fill, ...] = ()
    """Fills of earlier reports that did not happen after all: a reorg took their block away."""
    gas_usd: Decimal = Decimal(0)
    """USD. What was paid beyond the fixed costs of `fills`, e.g. for a swap that reverted; below zero where an earlier
    report's was not paid after all."""
    detail: str = ""
    reason: str = ""
    """One word for why it was refused, where there is one: gas, simulation, deadline, ..."""
    final: bool = True
    """Nothing more will come for this leg."""


class ConversionState(StrEnum):
    """Where a mint or redeem stands."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """A mint or redeem with an issuer: shares and tokens change places over hours or days."""

    id: str
    token: str
    mint: bool
    units: Decimal
    state: ConversionState
    requested_ns: int
    issuer_request_id: str = ""
