"""Buy a share where it is cheap and sell it where it is dear, at once: the same token, or two tokens of one share."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import inf

from connectors.exact import exact
from connectors.instruments import Universe
from connectors.orders import Intent, Leg, Side
from strategies.base import Decision, EdgeAbove, Note, View, Wake
from strategies.market import kernel as K

_BPS = Decimal(10_000)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a leg at an instrument must respect."""

    lot: Decimal
    """Smallest step of the quantity, in units."""


@dataclass(frozen=True, kw_only=True)
class CrossVenue:
    """The strategy. Exactly one of `size_usd` and `size_units` is set; sizes are per leg."""

    terms: tuple[Terms, ...]
    """One an instrument."""
    min_edge_bps: float
    size_usd: Decimal | None
    size_units: Decimal | None
    max_short_units: Decimal
    max_long_units: Decimal
    slippage_bps: Decimal | None
    latency_ns: int
    """Longest time that a leg needs; the intent's deadline."""
    cooldown_ns: int
    refusal_backoff_ns: int
    max_open: int
    name: str = "cross_venue"

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """On the best edge of every underlying."""
        return tuple(EdgeAbove(name, self.min_edge_bps) for name in universe.underlyings())

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """(buy, sell): a position may grow to `max_long_units` and shrink to minus `max_short_units`."""
        ledger, lot = view.ledger, self.terms[instrument].lot
        position = ledger.position(instrument)
        most, least = (
            position + ledger.reserved(instrument, Side.BUY),
            position - ledger.reserved(instrument, Side.SELL),
        )
        return most + lot <= self.max_long_units, least - lot >= -self.max_short_units

    def decide(self, view: View) -> Decision:
        """One pair per underlying that woke it: as many shares as both sides show, up to the size."""
        wishes: list[Intent] = []
        notes: list[Note] = []
        for underlying in view.woken:
            outcome = self._pair(view, underlying)
            if isinstance(outcome, Intent):
                wishes.append(outcome)
            else:
                notes.append(Note(kind="no_trade", underlying=underlying, detail={"reason": outcome}))
        return Decision(tuple(wishes), tuple(notes))

    def _pair(self, view: View, underlying: str) -> Intent | str:
        """The intent for one underlying, or the reason why there is none."""
        columns, now = view.columns, view.now
        group = columns.underlyings.index(underlying)
        buy, sell, edge = columns.best_pair(group, now)
        if not edge > self.min_edge_bps:
            return "edge_gone"
        ask, bid = columns.f_rows[buy][K.ASK], columns.f_rows[sell][K.BID]
        if columns.universe[buy].one_price:
            ask *= 1 + (columns.facts[buy].assumed_half_spread or 0.0)
        if columns.universe[sell].one_price:
            bid *= 1 - (columns.facts[sell].assumed_half_spread or 0.0)
        quantities = self._quantities(view, buy, sell, ask)
        if isinstance(quantities, str):
            return quantities
        bought, sold = quantities
        seen_ask, seen_bid = exact(ask), exact(bid)
        usd_ask = seen_ask * exact(columns.known_fx(buy))
        usd_bid = seen_bid * exact(columns.known_fx(sell))
        legs = (self._leg(buy, Side.BUY, bought, seen_ask), self._leg(sell, Side.SELL, sold, seen_bid))
        return Intent(
            id=f"{self.name}-{now}-{view.seq}-{group}",
            strategy=self.name,
            legs=legs,
            reason=f"edge {edge:.2f} bps after costs",
            edge_bps=edge,
            notional_usd=max(bought * usd_ask, sold * usd_bid),
            deadline_ns=now + self.latency_ns,
            underlying=underlying,
        )

    def _leg(self, instrument: int, side: Side, quantity: Decimal, seen: Decimal) -> Leg:
        """One leg with its worst price; without a slippage limit it takes the quotes in force."""
        if self.slippage_bps is None:
            limit = Decimal("Infinity") if side is Side.BUY else Decimal(0)
        else:
            give = seen * self.slippage_bps / _BPS
            limit = seen + give if side is Side.BUY else seen - give
        return Leg(instrument=instrument, side=side, quantity=quantity, limit=limit, seen=seen)

    def _quantities(self, view: View, buy: int, sell: int, ask: float) -> tuple[Decimal, Decimal] | str:
        """Units to buy and to sell that are worth the same number of shares, in whole lots; or why there are none."""
        columns = view.columns
        size_buy, size_sell = view.left(buy, Side.BUY), view.left(sell, Side.SELL)
        if not (0.0 < size_buy < inf and 0.0 < size_sell < inf):
            return "no_size"
        shares_buy = exact(columns.f_rows[buy][K.SHARES_PER_UNIT])
        shares_sell = exact(columns.f_rows[sell][K.SHARES_PER_UNIT])
        if self.size_units is not None:
            bought = self.size_units
        elif self.size_usd is not None:
            bought = self.size_usd / (exact(ask) * exact(columns.known_fx(buy)))
        else:
            return "no_size"
        room_buy = self.max_long_units - view.ledger.position(buy) - view.ledger.reserved(buy, Side.BUY)
        room_sell = self.max_short_units + view.ledger.position(sell) - view.ledger.reserved(sell, Side.SELL)
        lot_buy, lot_sell = self.terms[buy].lot, self.terms[sell].lot
        bought = _whole_lots(_least(bought, room_buy, size_buy), lot_buy)
        sold = _whole_lots(_least(bought * shares_buy / shares_sell, room_sell, size_sell), lot_sell)
        # The coarser lot decides: what it cannot sell is not bought either.
        bought = _whole_lots(sold * shares_sell / shares_buy, lot_buy)
        if not (bought > 0 and sold > 0):
            return "no_size"
        return bought, sold


def _least(wanted: Decimal, room: Decimal, seen: float) -> Decimal:
    """The smallest of what is wanted, what there is room for, and what was seen."""
    least = wanted if wanted < room else room
    # Comparing a Decimal with a float takes longer than all else here; rounding keeps their order.
    return least if float(least) < seen else min(least, exact(seen))


def _whole_lots(quantity: Decimal, lot: Decimal) -> Decimal:
    """The largest number of whole lots not above a quantity."""
    return quantity // lot * lot
