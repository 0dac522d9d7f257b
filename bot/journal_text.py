"""What a journal tells, as JSON for machines (money as exact decimal text) and as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict

from bot.journal_orders import Order, Trade
from bot.tables import print_table
from bot.terminal import printable
from monitoring.narrate import utc

if TYPE_CHECKING:  # the fold behind them needs the compiled kernel, orders and trades do not
    from bot.journal_books import Books, Profit

ORDER: Final[Mapping[str, type]] = {
    "order": str, "trade": str, "intent": str, "purpose": str, "strategy": str, "underlying": str, "instrument": str,
    "side": str, "quantity": str, "limit": str, "seen": str, "sent": str, "sent_ns": int, "ended": str, "ended_ns": int,
    "outcome": str, "fills": int, "filled": str, "price": str, "fee": str, "gas_usd": str, "flow_usd": str,
    "detail": str,
}  # fmt: skip
"""Columns of an order."""


def order_row(order: Order) -> dict[str, Any]:
    """An order as JSON or a line of a file."""
    price = order.price
    return {
        "order": order.order, "trade": order.trade, "intent": order.intent, "purpose": order.purpose,
        "strategy": order.strategy, "underlying": order.underlying, "instrument": order.instrument, "side": order.side,
        "quantity": _text(order.quantity), "limit": _text(order.limit), "seen": _text(order.seen),
        "sent": utc(order.sent_ns), "sent_ns": order.sent_ns,
        "ended": utc(order.ended_ns) if order.ended_ns else None, "ended_ns": order.ended_ns or None,
        "outcome": order.outcome, "fills": order.fills, "filled": _text(order.filled),
        "price": None if price is None else _text(price), "fee": _text(order.fee), "gas_usd": _text(order.gas_usd),
        "flow_usd": _text(order.flow_usd), "detail": order.detail,
    }  # fmt: skip


def trade_row(trade: Trade) -> dict[str, Any]:
    """A trade with its orders."""
    return {
        "trade": trade.trade, "strategy": trade.strategy, "underlying": trade.underlying, "reason": trade.reason,
        "edge_bps": trade.edge_bps, "notional_usd": _text(trade.notional_usd),
        "sizing": None if trade.sizing is None else asdict(trade.sizing),
        "opened": utc(trade.opened_ns), "opened_ns": trade.opened_ns,
        "ended": utc(trade.ended_ns) if trade.ended_ns else None, "ended_ns": trade.ended_ns or None,
        "end": trade.end, "stages": trade.stages, "rounds": trade.rounds, "flow_usd": _text(trade.flow_usd),
        "orders": [order_row(order) for order in trade.orders],
    }  # fmt: skip


def books_json(books: Books) -> dict[str, Any]:
    """Positions as JSON."""
    return {
        "as_of": utc(books.ts), "as_of_ns": books.ts, "records": books.seq, "fills": books.fills,
        "positions": [
            {"instrument": one.instrument, "underlying": one.underlying, "units": _text(one.units),
             "shares": None if one.shares is None else _text(one.shares)}
            for one in books.holdings
        ],
        "net_shares": {name: None if net is None else _text(net) for name, net in books.net_shares().items()},
        "cash": {coin: _text(amount) for coin, amount in books.cash.items()},
        "open_intents": list(books.open_intents),
    }  # fmt: skip


def profit_json(profit: Profit) -> dict[str, Any]:
    """The bridge as JSON; the parts of each day add up to its net, and the days to the total."""
    bridge = profit.bridge
    return {
        "as_of": utc(profit.ts), "as_of_ns": profit.ts, "fills": profit.fills,
        "days": [
            {"day": _date(day.day), "bridge_usd": {name: _text(usd) for name, usd in day.parts.items()},
             "net_usd": _text(day.net), "net_so_far_usd": _text(day.net_so_far), "fills": day.fills}
            for day in profit.days
        ],
        "bridge_usd": {name: _text(usd) for name, usd in profit.total.items()},
        "net_usd": _text(bridge.net),
        "unmarked": list(bridge.unmarked),
        "marks": {name: {"usd": _text(mark.usd), "at": utc(mark.at_ns), "at_ns": mark.at_ns, "from": mark.how}
                  for name, mark in profit.marks.items()},
    }  # fmt: skip


def moves_json(profit: Profit) -> dict[str, Any]:
    """What would even out the venues, as JSON."""
    return {
        "as_of": utc(profit.ts), "as_of_ns": profit.ts,
        "moves": [
            {"asset": one.asset, "from": one.source, "to": one.target, "amount": _text(one.amount),
             "usd": None if one.usd is None else _text(one.usd)}
            for one in profit.moves
        ],
    }  # fmt: skip


def tell_orders(orders: Iterable[Mapping[str, Any]], of: int) -> None:
    """A table of orders; `of` is how many there are in all."""
    rows = [
        [_short(one["sent"]), printable(one["instrument"]), one["side"], one["filled"], one["quantity"],
         _round(one["price"]), _round(one["fee"]), printable(one["outcome"])]
        for one in orders
    ]  # fmt: skip
    columns = ("sent (UTC)", "instrument", "side", "filled", "of", "price", "fee", "outcome")
    _table(columns, rows, of, "orders", numbers=("filled", "of", "price", "fee"))


def tell_trades(trades: Iterable[Mapping[str, Any]], of: int) -> None:
    """A table of trades."""
    rows = [
        [_short(one["opened"]), one["underlying"], one["strategy"], f"{one['edge_bps']:+.1f}",
         _round(one["notional_usd"]), *_planned(one["sizing"]), str(one["rounds"]), _legs(one["orders"]),
         _round(one["flow_usd"]), one["end"]]
        for one in trades
    ]  # fmt: skip
    columns = ("opened (UTC)", "share", "strategy", "edge bps", "USD", "planned USD", "gap USD", "rounds", "filled",
               "cash USD", "end")  # fmt: skip
    _table(columns, rows, of, "trades", numbers=("edge bps", "USD", "planned USD", "gap USD", "rounds", "cash USD"))


def tell_books(answer: Mapping[str, Any]) -> None:
    """Positions and cash."""
    print(f"after record {answer['records']:,} of {answer['as_of']}, {answer['fills']:,} fills")
    if not answer["positions"]:
        print("nothing is held")
    else:
        rows = [
            [printable(one["instrument"]), one["underlying"] or "?", one["units"], one["shares"] or "unknown"]
            for one in answer["positions"]
        ]
        print_table(("instrument", "share", "units", "shares"), rows, numbers=("units", "shares"))
        for name, net in answer["net_shares"].items():
            print(f"net {name or '?':<8} {net or 'unknown'} shares")
    for coin, amount in answer["cash"].items():
        print(f"cash {coin:<7} {amount}")
    if answer["open_intents"]:
        print(f"without a last answer: {', '.join(answer['open_intents'])}")


def tell_profit(answer: Mapping[str, Any]) -> None:
    """The bridge by day and in all; parts that are zero throughout are left out."""
    names = [name for name, usd in answer["bridge_usd"].items() if float(usd)]
    for day in answer["days"]:
        names += [name for name, usd in day["bridge_usd"].items() if float(usd) and name not in names]
    heads = [name.replace("_", " ") for name in names]
    rows = [
        [day["day"], str(day["fills"]), *(_usd(day["bridge_usd"][name]) for name in names), _usd(day["net_usd"])]
        for day in answer["days"]
    ]
    total = [_usd(answer["bridge_usd"][name]) for name in names]
    rows.append(["in all", str(answer["fills"]), *total, _usd(answer["net_usd"])])
    print_table(("day (UTC)", "fills", *heads, "net USD"), rows, numbers=("fills", *heads, "net USD"))
    for name, mark in answer["marks"].items():
        how = "recorded then" if mark["from"] == "marks" else "our own last fill"
        print(f"valued at  {printable(name)} {_round(mark['usd'])} USD, {mark['at']} ({how})")
    if answer["unmarked"]:
        print(f"UNMARKED: no price in the journal, left out of net: {', '.join(answer['unmarked'])}")


def tell_moves(answer: Mapping[str, Any]) -> None:
    """A proposal."""
    if not answer["moves"]:
        print(f"every token and coin lies evenly at its venues as of {answer['as_of']}")
        return
    rows = [
        [printable(one["asset"]), printable(one["from"]), printable(one["to"]), _round(one["amount"]),
         "unknown" if one["usd"] is None else _usd(one["usd"])]
        for one in answer["moves"]
    ]  # fmt: skip
    print_table(("move", "from", "to", "amount", "USD"), rows, numbers=("amount", "USD"))
    print("A proposal: nothing is moved. Once it is done by hand, pegline reconcile --fix takes it into the books.")


def _table(columns: Sequence[str], rows: list[list[str]], of: int, what: str, *, numbers: Sequence[str]) -> None:
    if not rows:
        print(f"no {what}")
        return
    print_table(columns, rows, numbers=numbers)
    if of > len(rows):
        print(f"the last {len(rows):,} of {of:,} {what}; --last N shows more, --json or export all")


def _planned(sizing: Mapping[str, float] | None) -> tuple[str, str]:
    """What a trade was to bring, and how much more another could have brought at most."""
    return ("", "") if sizing is None else (f"{sizing['profit_usd']:.2f}", f"{sizing['gap_usd']:.2g}")


def _legs(orders: Sequence[Mapping[str, Any]]) -> str:
    filled = sum(1 for one in orders if Decimal(one["filled"]))
    return f"{filled} of {len(orders)}"


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


def _short(moment: str) -> str:
    return moment.replace("T", " ").removesuffix("Z")[:19]


def _text(value: Decimal) -> str:
    """Without an exponent and without zeros that say nothing; not rounded."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if text not in ("-0", "") else "0"


def _round(text: str | None) -> str:
    """For people: eight significant digits."""
    return "" if text is None else f"{float(text):,.8g}"


def _usd(text: str) -> str:
    return f"{float(text):,.2f}"
