"""What we ask of a venue and what it answers: intents, approvals, refusals, reports, fills, conversions.

Money that moves is Decimal. An answer has three values: accepted, refused, or unknown; unknown is not failed. Nothing
here can hold itself, so the garbage collector need not look through it (`gc=False`): a run keeps all its records.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from connectors import client_ids


class Side(StrEnum):
    """Which way a leg goes."""

    BUY = "buy"
    SELL = "sell"


class Leg(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order of an intent: an immediate-or-cancel limit order at one instrument."""

    instrument: int
    side: Side
    quantity: Decimal
    """In transferable units of the instrument."""
    limit: Decimal
    """Worst acceptable price, in the instrument's quote currency per unit."""
    seen: Decimal
    """The price that the decision was made on: of the levels that were seen, what the quantity costs on average."""


class Purpose(StrEnum):
    """What an intent is for; the review lets what reduces risk pass where nothing may be opened."""

    OPEN = "open"
    """Begins a trade: it takes risk for an edge."""
    CLOSE = "close"
    """Begins a trade that gives back what an earlier one holds."""
    HEDGE = "hedge"
    """Brings the net shares of a trade under way to zero."""
    UNWIND = "unwind"
    """Gives back what a trade has filled, since it cannot be completed."""


PLANS: Final = frozenset({Purpose.OPEN, Purpose.CLOSE})
"""What strategies wish, and a trade begins with; the others are later rounds, which the trades themselves ask for."""


class Sizing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Why a plan has its size, in USD; costs are all in."""

    shares: float
    profit_usd: float
    """What is left after all costs, where every order fills as it was seen."""
    fixed_usd: float
    """Of the costs, what does not depend on the size."""
    marginal_buy_usd: float
    """What the last share costs."""
    marginal_sell_usd: float
    """What the last share brings."""
    gap_usd: float
    """No other size or choice of venues brings more than this beyond it; 0: it is the best there is."""


class Intent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a strategy wishes: legs that belong together, and why."""

    id: str
    """Deterministic: strategy, decision time and count."""
    strategy: str
    legs: tuple[Leg, ...]
    reason: str
    edge_bps: float
    """Expected net edge after costs, bps of the fair value."""
    notional_usd: Decimal
    """Size of the larger side, in USD."""
    deadline_ns: int
    """After this moment an unsent leg must not be sent."""
    underlying: str = ""
    trade: str = ""
    """Id of the trade that this is a later round of; empty: it begins one, and its own id is the trade's."""
    purpose: Purpose = Purpose.OPEN
    in_order: bool = False
    """The first leg leaves alone, and the others follow what it fills; else all leave at once."""
    then: Conversion | None = None
    """A mint or redemption that completes the trade: asked for once its legs have filled, for as many shares as they
    did, with an id of its own."""
    carried: Decimal = Decimal(0)
    """Net shares that its strategy holds without a hedge, and that this brings to zero; they are the trade's from its
    begin."""
    fence: str = ""
    """Which start sends it, as `connectors.client_ids` says; empty where nothing leaves the process."""
    sizing: Sizing | None = None
    """Where its size was worked out."""

    def client_id(self, leg: int) -> str:
        """By what the venue knows the order of a leg."""
        return client_ids.client_id(self.id, leg, self.fence)


class Reason(StrEnum):
    """Why the risk review refuses; one word each, they label metrics."""

    MODE = "mode"
    MALFORMED = "malformed"
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
    REDUCE_ONLY = "reduce_only"
    TOKEN_CAP = "token_cap"
    VENUE_CAP = "venue_cap"
    ISSUER_CAP = "issuer_cap"
    CHAIN_CAP = "chain_cap"
    STABLECOIN_CAP = "stablecoin_cap"
    NAKED = "naked"
    DRAWDOWN = "drawdown"
    SELF_TRADE = "self_trade"
    UNSETTLED = "unsettled"
    BACKING = "backing"
    TURNOVER = "turnover"
    COOLDOWN = "cooldown"
    IN_FLIGHT = "in_flight"


class Approved(msgspec.Struct, frozen=True, gc=False):
    """An intent that passed the review. Only strategies/execution/risk.py makes one; executors take nothing else."""

    intent: Intent


class Refused(msgspec.Struct, frozen=True, gc=False, kw_only=True):
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


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
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


class Report(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A venue's answer about one leg: its outcome, and what it filled since the last one."""

    client_id: str
    intent_id: str
    """Empty where who reports knows the order by its client id alone, as after a restart."""
    leg: int
    """0 in that case."""
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
    retry_ns: int = 0
    """ns UTC. Until then the venue wants to hear nothing, and what it hears prolongs that; 0 where it did not say."""
    final: bool = True
    """Nothing more will come for this leg."""


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that still stands at a venue, by the venue's own word."""

    client_id: str
    """As it was sent; of an order that is not ours, whatever its sender wrote."""
    instrument: int
    side: Side
    left: Decimal
    """Units that have not traded."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a venue says of our account, read at one go. A part that is None was not read and says nothing: it is not
    flat. What is lacking in a part that was read is zero.
    """

    venue: str
    as_of: int
    """ns UTC, taken before the read began: all that the venue had done by then is in it, and of what came later,
    anything may be."""
    unread: str = ""
    """Why a part could not be read; empty where all was."""
    balances: dict[str, Decimal] | None = None
    """Units or coins by `Instrument.asset`; negative is short or owed. Whoever holds it, free or in open orders."""
    orders: tuple[OpenOrder, ...] | None = None
    """All that stands, of others who use the account too."""
    fills: tuple[Fill, ...] | None = None
    """All from the moment asked for on, of others too, oldest first."""
    rights: tuple[str, ...] | None = None
    """What the key may do: read, trade, withdraw."""


class Carry(StrEnum):
    """What is paid for holding something."""

    FUNDING = "funding"
    BORROW = "borrow"


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What holding an instrument over a moment has cost."""

    id: str
    """Of instrument, kind and moment: it counts once."""
    instrument: int
    kind: Carry
    amount: Decimal
    """Quote currency; below zero it was earned."""
    fx: Decimal
    """USD per quote currency at that moment."""
    ts: int
    """ns UTC."""


class ConversionState(StrEnum):
    """Where a mint or redemption stands. The last three but UNKNOWN are ends."""

    REQUESTED = "requested"
    """Sent, and no answer yet."""
    ACCEPTED = "accepted"
    """The issuer has taken it on; what is given has not moved yet."""
    JOURNALED = "journaled"
    """What is given has left us, and what is due has not come: in flight."""
    DELIVERED = "delivered"
    """What is due has come, all or in part; the issuer has not closed it yet."""
    UNKNOWN = "unknown"
    """Nobody can tell; it is never taken to have failed, and never asked for again under another id."""
    SETTLED = "settled"
    """Closed by the issuer: what came is all that comes."""
    REJECTED = "rejected"
    """Refused before anything moved, or all that moved came back."""
    FAILED = "failed"
    """Given, and neither delivered nor returned: a claim against the issuer."""


CONVERTED: Final = frozenset({ConversionState.SETTLED, ConversionState.REJECTED, ConversionState.FAILED})
"""Ends of a conversion. A failed one may still be settled by an operator, or by the issuer's second word."""


class Conversion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mint (shares become tokens) or redemption (tokens become shares) that we ask an issuer for."""

    id: str
    """Our request id, deterministic as an intent's; the issuer is asked with it and never twice under two ids."""
    issuer: str
    mint: bool
    source: int
    """Instrument that is given: shares at the broker for a mint, tokens for a redemption; a coin where the issuer takes
    cash."""
    target: int
    """Instrument that is due."""
    quantity: Decimal
    """Units of `source` that are given."""
    expected: Decimal
    """Units of `target` that are due by the quote, after the issuer's fee."""
    least: Decimal
    """Fewer are a difference to claim."""
    kept_usd: Decimal = Decimal(0)
    """What the issuer keeps of a full delivery as its fee, in USD by the prices of the decision."""
    fx: Decimal | None = None
    """USD per coin at the decision, where a coin is given or due."""
    sla_ns: int
    """ns UTC. Without an end by then an operator is told; capital stays locked, and no second one is asked for."""
    underlying: str
    reason: str
    trade: str = ""
    """Id of the trade that it belongs to; empty: it refills inventory."""
    strategy: str = ""
    """Whose it is; empty: nobody's in particular."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An issuer's word about one conversion. Amounts are totals so far, never deltas, so that it may be told twice."""

    id: str
    """Of the conversion."""
    state: ConversionState
    ts: int
    """ns UTC."""
    given: Decimal = Decimal(0)
    """Units of `source` that have left us so far, less those that came back."""
    got: Decimal = Decimal(0)
    """Units of `target` that have come so far."""
    fee_usd: Decimal = Decimal(0)
    """Fees paid in cash so far; a fee that is kept from what is delivered is not among them."""
    issuer_id: str = ""
    """The issuer's own id of the request, where it has told one."""
    detail: str = ""
