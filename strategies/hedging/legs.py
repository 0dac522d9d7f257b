"""Two legs that are worth the same number of shares, in whole lots, within what is seen and wanted."""

from __future__ import annotations

from decimal import Decimal

from connectors.exact import exact
from connectors.orders import Leg, Side
from strategies.base import View
from strategies.hedging.bet import Quote
from strategies.market import kernel as K

BPS = Decimal(10_000)


def shown(view: View, quote: Quote, side: Side) -> Decimal:
    """Shares that an order may still find at the best price; 0 where that is not known."""
    units = view.left(quote.number, side)
    return exact(units * quote.shares_per_unit) if 0 < units < float("inf") else Decimal(0)


def whole(buy: tuple[Quote, Decimal], sell: tuple[Quote, Decimal], shares: Decimal) -> tuple[Decimal, Decimal]:
    """Units to buy and to sell that are worth at most so many shares, given (quote, lot) of each; the coarser lot
    decides."""
    (bought, lot_buy), (sold, lot_sell) = buy, sell
    per_buy, per_sell = exact(bought.shares_per_unit), exact(sold.shares_per_unit)
    less = shares / per_sell // lot_sell * lot_sell
    units = less * per_sell / per_buy // lot_buy * lot_buy
    return units, units * per_buy / per_sell // lot_sell * lot_sell


def leg(view: View, quote: Quote, side: Side, units: Decimal, give_bps: Decimal) -> Leg:
    """One order at the best price seen, and at worst this much worse."""
    f = view.columns.f_rows[quote.number]
    seen = exact(f[K.ASK] if side is Side.BUY else f[K.BID])
    give = seen * give_bps / BPS
    limit = seen + give if side is Side.BUY else seen - give
    return Leg(instrument=quote.number, side=side, quantity=units, limit=limit, seen=seen)


def worth_usd(view: View, legs: tuple[Leg, ...]) -> Decimal:
    """The larger leg, USD at the prices seen."""
    return max(one.quantity * one.seen * exact(view.columns.known_fx(one.instrument)) for one in legs)
