"""What we hold: positions and cash as a fold over fills, and the bridge from gross edge to net profit.

Everything is Decimal, and nothing is rounded while it is kept: prices, sizes and FX of 17 digits each multiply to more
than the 28 digits that Python keeps by itself. The bridge tells each part to a trillionth of a dollar and is an
identity of those parts, so that it sums to the last digit, for whoever adds it up:

    net = gross edge + slippage - fees - gas - issuer fees - funding - borrow + FX + inventory mark - adjusted

where, over all fills with sign s = +1 for a sale and -1 for a purchase,
    gross edge      sum of s x quantity x price seen x FX at the fill
    slippage        sum of s x quantity x (price paid - price seen) x FX at the fill
    fees            sum of fee x FX at the fill
    FX              the cash we hold in other coins, at today's FX less at the FX of its fills
    inventory mark  what we still hold and what is in flight to an issuer, at the last mids
    adjusted        what an operator's word has added to it, at the marks of that moment: it is no profit

A mint or redemption moves units: what was given leaves its position and is in flight until the other side has come, and
counts as what was given until then. What an issuer keeps in kind is an issuer fee by the prices of the decision; the
gross edge is told as if it had not been kept. What lacks at the end is a claim, and counts nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Context, Decimal, getcontext, localcontext, setcontext
from typing import NamedTuple

import msgspec
from msgspec import structs

from connectors.instruments import USD, Role, Universe
from connectors.orders import Carry, Charge, Conversion, Fill, Leg, Progress, Report, Side
from strategies.execution.conversions import Claim, Conversions, Moved
from strategies.execution.holdings import Holdings
from strategies.execution.recent import Recent

ZERO = Decimal(0)
REMEMBERED = 100_000
"""Ids of fills and reports that count once."""
RECENT = 10_000
"""Fills that are kept whole."""
EXACT = Context(prec=400)
"""Room for every product and sum of a fill's numbers, whatever a venue prints."""
TOLD = Decimal("1e-12")
"""The smallest part of a dollar that the bridge tells."""


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """Net profit in USD and what it is made of; a component is zero where no such cost arose."""

    gross_edge: Decimal
    slippage: Decimal
    fees: Decimal
    gas: Decimal
    issuer_fees: Decimal
    funding: Decimal
    borrow: Decimal
    fx: Decimal
    inventory_mark: Decimal
    adjusted: Decimal = ZERO
    net: Decimal
    unmarked: tuple[str, ...] = ()
    """Instruments or coins that we hold and have no price for; they are left out of `inventory_mark` and named here."""


class Taken(NamedTuple):
    """What a report has changed."""

    new: tuple[Fill, ...] = ()
    undone: tuple[Fill, ...] = ()
    """Fills that counted before."""


class Ledger:
    """Positions in units by instrument and cash by coin; changed only by what it is told has happened."""

    def __init__(self, universe: Universe) -> None:
        """An empty ledger."""
        self.universe = universe
        self.positions: dict[int, Decimal] = {}
        self.held: dict[int, float] = {}
        """The same as floats, for judgements that are made again and again."""
        self.cash: dict[str, Decimal] = {}
        self.cash_at: dict[tuple[str, str], Decimal] = {}
        """The same by (venue, coin); what was paid at no venue that is known stands under an empty name."""
        self.cash_usd_at_fill: dict[str, Decimal] = {}
        self.gross_edge = self.slippage = self.fees = self.gas = ZERO
        self.issuer_fees = self.funding = self.borrow = ZERO
        self.conversions = Conversions()
        self.away: dict[int, float] = {}
        """Units in flight by the instrument that was given, for judgements."""
        self.holdings = Holdings()
        """The same positions by strategy, as far as fills and conversions made them."""
        self.flows: dict[int, Decimal] = {}
        """Cash that each instrument brought and took so far, fees and charges included, in its quote currency."""
        self.flow_usd = ZERO
        """All cash that came and went for what was done, each at the FX of its fill; units that were adjusted count as
        paid for at their mark, so that an adjustment is neither profit nor loss."""
        self.adjusted = ZERO
        """USD of all units that were adjusted, each at the mark of its moment."""
        self.fills = 0
        self.recent: deque[Fill] = deque(maxlen=RECENT)
        """The last fills, as they were booked."""
        self._known: Recent[str, None] = Recent(REMEMBERED)
        self._reserved: dict[tuple[int, Side], Decimal] = {}

    def position(self, instrument: int) -> Decimal:
        """Units held of an instrument; negative is short."""
        return self.positions.get(instrument, ZERO)

    def reserved(self, instrument: int, side: Side) -> Decimal:
        """Units that orders under way may still buy or sell; limits count them as done."""
        return self._reserved.get((instrument, side), ZERO)

    def free(self, strategy: str, instrument: int) -> Decimal:
        """Units of a position that a strategy may sell: neither an order under way is going to, nor does another
        strategy hold them; below zero where more is promised than is there."""
        taken = self.reserved(instrument, Side.SELL) + self.holdings.of_others(strategy, instrument)
        return self.position(instrument) - taken

    def under_way(self) -> dict[tuple[int, Side], Decimal]:
        """Units that orders under way may still trade, by instrument and side; to be read only."""
        return self._reserved

    def reserve(self, leg: Leg, *, release: bool = False) -> None:
        """An order for a leg is under way, or (`release`) has its final answer."""
        key = leg.instrument, leg.side
        before = self._reserved.get(key, ZERO)
        total = before - leg.quantity if release else before + leg.quantity
        if total:
            self._reserved[key] = total
        else:
            self._reserved.pop(key, None)

    def take(self, report: Report, *, seen: Decimal, strategy: str = "") -> Taken:
        """Takes all that a report about an order of a strategy says and gives the fills that are new, and those that
        count no more; `seen` as in `fill`.

        A report with an id counts once, as a fill does.
        """
        if report.id and not self._first(f"report {report.id}"):
            return Taken()
        undone = tuple([fill for fill in report.undone if self.undo(fill, seen=seen)])
        before = getcontext()
        setcontext(EXACT)  # localcontext() would copy it for every report
        try:
            new = tuple([fill for fill in report.fills if self._take(fill, seen)])
            for fill in undone:
                self.holdings.hear(strategy, fill, undone=True)
            for fill in new:
                self.holdings.hear(strategy, fill)
            if report.gas_usd:
                self._pay_gas(report.gas_usd)
        finally:
            setcontext(before)
        return Taken(new, undone)

    def fill(self, fill: Fill, *, seen: Decimal) -> bool:
        """Takes one fill; `seen` is the price that the decision was made on. A fill counts once: False if known."""
        with localcontext(EXACT):
            return self._take(fill, seen)

    def undo(self, fill: Fill, *, seen: Decimal) -> bool:
        """Takes a fill back that did not happen after all; False where it was never taken. It may come again."""
        if fill.id not in self._known:
            return False
        del self._known[fill.id]
        self.recent = deque((one for one in self.recent if one.id != fill.id), RECENT)
        side = Side.SELL if fill.side is Side.BUY else Side.BUY
        with localcontext(EXACT):
            self._book(structs.replace(fill, side=side, fee=-fill.fee, gas_usd=-fill.gas_usd), seen)
        self.fills -= 2
        return True

    def adjust(self, instrument: int, units: Decimal, usd: Decimal) -> None:
        """Units come (or go, below zero) by an operator's word, at a mark of `usd` a unit; `Holdings.adjusted` says
        whose."""
        with localcontext(EXACT):
            before = self.position(instrument)
            self.holdings.adjusted(instrument, units, before)
            self.positions[instrument], self.held[instrument] = before + units, float(before + units)
            self.adjusted += units * usd
            self.flow_usd -= units * usd

    def adjust_cash(self, venue: str, coin: str, amount: Decimal, fx: Decimal) -> None:
        """Coins come (or go, below zero) at a venue by an operator's word, at `fx` USD a coin."""
        with localcontext(EXACT):
            self._flow(coin, amount, fx, venue)
            self.flow_usd -= amount * fx

    def convert(self, order: Conversion, now: int) -> bool:
        """A mint or redemption is asked for at `now` (ns UTC); False where it was before. Nothing moves yet."""
        return self.conversions.ask(order, now)

    def progress(self, word: Progress) -> Moved | None:
        """Takes an issuer's word, and moves what it says has left or come since; None where it is not about ours."""
        with localcontext(EXACT):
            moved = self.conversions.hear(word)
            if moved is None:
                return None
            order = self.conversions.all[word.id].order
            if any(moved):
                self._move(order.source, -moved.given, order, word.ts)
                self._move(order.target, moved.got, order, word.ts)
                self._flow(USD, -moved.fee_usd, Decimal(1))
                self.issuer_fees += moved.fee_usd + moved.kept_usd
                self.gross_edge += moved.kept_usd
            self.away = {number: float(units) for number, units in self.in_flight().items()}
        return moved

    def in_flight(self) -> dict[int, Decimal]:
        """Units in flight by the instrument that was given."""
        flying: dict[int, Decimal] = {}
        with localcontext(EXACT):
            for one in self.conversions.open():
                if one.away:
                    flying[one.order.source] = flying.get(one.order.source, ZERO) + one.away
        return flying

    def coming(self) -> dict[int, Decimal]:
        """Units by instrument that open mints and redemptions will still bring, and below zero take; coins left out."""
        units: dict[int, Decimal] = {}
        if not self.conversions.under_way:
            return units
        with localcontext(EXACT):
            for one in self.conversions.open():
                for number, more in one.coming:
                    if more and self.universe[number].role is not Role.COIN:
                        units[number] = units.get(number, ZERO) + more
        return units

    def claims(self) -> tuple[Claim, ...]:
        """What issuers owe us."""
        with localcontext(EXACT):
            return self.conversions.claims()

    def charge(self, cost: Charge) -> bool:
        """Takes what holding something has cost; it counts once: False if known."""
        if not self._first(f"charge {cost.id}"):
            return False
        with localcontext(EXACT):
            instrument = self.universe[cost.instrument]
            self._flow(instrument.quote, -cost.amount, cost.fx, instrument.venue)
            self.flows[cost.instrument] = self.flows.get(cost.instrument, ZERO) - cost.amount
            if cost.kind is Carry.FUNDING:
                self.funding += cost.amount * cost.fx
            else:
                self.borrow += cost.amount * cost.fx
        return True

    def _move(self, number: int, units: Decimal, order: Conversion, ts: int) -> None:
        """Units come (or leave, below zero) by a conversion; a coin is cash, and is bought or spent with them.

        Raises ValueError for a coin whose price was not told.
        """
        instrument = self.universe[number]
        if instrument.role is not Role.COIN:
            position = self.position(number) + units
            self.positions[number], self.held[number] = position, float(position)
            if order.strategy and units:
                self.holdings.move(order.strategy, number, units, ts)
        elif units:
            if order.fx is None:
                raise ValueError(f"{order.id}: a coin moves, and what it was worth is not told")
            self._flow(instrument.coin, units, order.fx, instrument.venue)
            self.gross_edge += units * order.fx

    def _flow(self, coin: str, amount: Decimal, fx: Decimal, venue: str = "") -> None:
        """Cash that comes (or leaves, below zero) at a venue, at an FX."""
        self.cash[coin] = self.cash.get(coin, ZERO) + amount
        self.cash_at[venue, coin] = self.cash_at.get((venue, coin), ZERO) + amount
        self.cash_usd_at_fill[coin] = self.cash_usd_at_fill.get(coin, ZERO) + amount * fx
        self.flow_usd += amount * fx

    def _first(self, id: str) -> bool:
        """Whether this is heard for the first time; the last 100,000 ids are remembered."""
        if id in self._known:
            return False
        self._known[id] = None
        return True

    def _pay_gas(self, usd: Decimal) -> None:
        """Cash that leaves for an order that filled nothing."""
        self.gas += usd
        self._flow(USD, -usd, Decimal(1))

    def _take(self, fill: Fill, seen: Decimal) -> bool:
        """Takes one fill in the exact context; False if known."""
        if not self._first(fill.id):
            return False
        self.recent.append(fill)
        self._book(fill, seen)
        return True

    def _book(self, fill: Fill, seen: Decimal) -> None:
        """Adds one fill to positions, cash and the parts of the bridge."""
        bought = fill.side is Side.BUY
        instrument, fx, quantity = self.universe[fill.instrument], fill.fx, fill.quantity
        paid, seen_value = quantity * fill.price, quantity * seen
        position = self.position(fill.instrument)
        position = position + quantity if bought else position - quantity
        self.positions[fill.instrument], self.held[fill.instrument] = position, float(position)
        flow = -paid - fill.fee if bought else paid - fill.fee
        self._flow(instrument.quote, flow, fx, instrument.venue)
        self.flows[fill.instrument] = self.flows.get(fill.instrument, ZERO) + flow
        self.gross_edge += (-seen_value if bought else seen_value) * fx
        self.slippage += (seen_value - paid if bought else paid - seen_value) * fx
        self.fees += fill.fee * fx
        if fill.gas_usd:
            self._pay_gas(fill.gas_usd)
        self.fills += 1

    def bridge(self, mark_usd: Callable[[int], Decimal | None], fx: Callable[[str], Decimal | None]) -> Bridge:
        """Net profit now. `mark_usd` gives USD per unit of an instrument, `fx` USD per coin; None is unknown.

        A coin without a price is carried at the FX of its fills and named in `unmarked`.
        """
        unmarked: list[str] = []
        with localcontext(EXACT):
            inventory = revaluation = ZERO
            for number, units in (*self.positions.items(), *self.in_flight().items()):
                if units:
                    instrument = self.universe[number]
                    mark = fx(instrument.coin) if instrument.role is Role.COIN else mark_usd(number)
                    if mark is None or not mark.is_finite():
                        unmarked.append(instrument.name)
                    else:
                        inventory += units * mark
            for coin, amount in self.cash.items():
                rate = fx(coin)
                if rate is None or not rate.is_finite():
                    unmarked.append(coin)
                else:
                    revaluation += amount * rate - self.cash_usd_at_fill[coin]
            kept = (
                self.gross_edge,
                self.slippage,
                -self.fees,
                -self.gas,
                -self.issuer_fees,
                -self.funding,
                -self.borrow,
                revaluation,
                inventory,
                -self.adjusted,
            )
            parts = tuple(part.quantize(TOLD) or ZERO for part in kept)
            gross_edge, slippage, fees, gas, issuer_fees, funding, borrow, fx_usd, inventory_usd, adjusted = parts
            net = sum(parts, ZERO)
        return Bridge(
            gross_edge=gross_edge,
            slippage=slippage,
            fees=fees,
            gas=gas,
            issuer_fees=issuer_fees,
            funding=funding,
            borrow=borrow,
            fx=fx_usd,
            inventory_mark=inventory_usd,
            adjusted=adjusted,
            net=net,
            unmarked=tuple(sorted(set(unmarked))),
        )
