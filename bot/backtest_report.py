"""A backtest as it is told: JSON for a program, words for a person, and what either must be warned of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from bot.backtest import Result
from bot.exposure import words as naked
from bot.match import Match
from bot.told import Told
from monitoring.narrate import utc

SCHEMA: Final = 1
DUST_USD: Final = 1.0
"""Shares without a hedge that are worth less are no warning: rounding to lots leaves them."""
SHOWN: Final = 6
"""Names that a warning lists; JSON has them all."""


def as_json(result: Result, matched: Match, *, source: str, total_s: float, trades: bool) -> dict[str, Any]:
    """A result as JSON: money as decimal strings in USD, times in ISO UTC; `schema` says which shape.

    `trades` says whether the config has a strategy that trades at all.
    """
    told, bridge, names = result.told, result.bridge, result.names
    parts = {name: getattr(bridge, name) for name in _PARTS}
    return {
        "schema": SCHEMA,
        "source": source,
        "from": utc(result.first_ns),
        "to": utc(result.last_ns),
        "rows": result.rows,
        "net_usd": str(bridge.net),
        "bridge_usd": {name: str(usd) for name, usd in parts.items()},
        "bridge_residual_usd": str(bridge.net - sum(parts.values())),
        "due_usd": {component.value: str(usd) for component, usd in result.due.items()},
        "net_after_due_usd": str(result.after_usd),
        "unmarked": list(bridge.unmarked),
        "trades": told.approved,
        "half_trades": told.halves,
        "wishes": told.wished,
        "fill_ratio": float(told.units_filled / told.units_wished) if told.units_wished else None,
        "worst_naked_usd_s": result.worst_naked_usd_s,
        "worst_naked_usd": result.worst_naked_usd,
        "naked_at_end": {name: {"shares": shares, "usd": usd} for name, (shares, usd) in result.naked.items()},
        "edge_seen_usd": str(round(sum(told.edge_seen_usd.values()), 6)),
        "edge_captured_usd": str(round(told.captured_usd, 6)),
        "refused": dict(sorted(told.why.items())),
        "refused_rows": result.refused_rows,
        "notes": dict(sorted(told.notes.items())),
        "positions": {name: str(units) for name, units in result.positions.items()},
        "assumed": list(result.assumed),
        "watched_only": list(result.watched_only),
        "not_in_config": list(matched.unnamed),
        "not_on_tape": list(matched.absent),
        "differ": list(matched.differ),
        "warnings": _warnings(result, matched, told, trades),
        "fills": [
            {
                "at": utc(fill.ts),
                "at_ns": fill.ts,
                "order": fill.client_id,
                "instrument": names[fill.instrument],
                "side": fill.side.value,
                "quantity": str(fill.quantity),
                "price": str(fill.price),
                "fee": str(fill.fee),
                "gas_usd": str(fill.gas_usd),
                "fx": str(fill.fx),
                "assumed": names[fill.instrument] in result.assumed,
            }
            for fill in result.fills
        ],
        "journal_hash": result.journal_hash,
        "wakes": result.wakes,
        "records": result.steps,
        "dropped_at_end": result.dropped_dues,
        "rows_per_s": round(result.rows / result.seconds) if result.seconds > 0 else None,
        "total_s": round(total_s, 3),
    }


_PARTS: Final = (
    "gross_edge", "slippage", "fees", "gas", "issuer_fees", "funding", "borrow", "fx", "inventory_mark",
)  # fmt: skip


def _warnings(result: Result, matched: Match, told: Told, trades: bool) -> list[str]:
    """What a reader must know before believing the numbers, a sentence each."""
    said = [
        f"ASSUMED: {name} has one price and no book; a half-spread of {half:g} bps and a size of {size:g} are made up"
        for name, (half, size) in result.assumed.items()
    ]
    said += [f"watched only: {name}" for name in result.watched_only]
    if not trades:
        said.append("the config switches no strategy on that trades: the tape was only watched")
    if matched.believed:
        said.append(f"believed with the default error, not named in the config: {_some(matched.believed)}")
    if matched.absent:
        said.append(f"in the config and not on the tape: {_some(matched.absent)}")
    said += [f"{what}: the tape's word counts" for what in matched.differ]
    if told.halves:
        said.append(
            f"{told.halves} half trade{'s' * (told.halves > 1)}: a leg did not trade, and what the other one opened "
            "could be neither hedged nor given back, or [execution] does not allow it; an operator was told"
        )
    for name, (shares, usd) in result.naked.items():
        if abs(usd) >= DUST_USD:
            said.append(f"LEFT NAKED: {shares:+,.4f} shares of {name}, {usd:+,.2f} USD, without a hedge at the end")
    if any(abs(usd) >= DUST_USD for _, usd in result.naked.values()):
        said.append("gross edge holds the cash of those shares, inventory mark their worth: look at the sum of both")
    if result.bridge.unmarked:
        said.append(f"UNMARKED: no price at the end, left out of net: {', '.join(result.bridge.unmarked)}")
    if result.dropped_dues:
        said.append(f"{result.dropped_dues} orders were under way when the tape ended: their answers are not known")
    return said


def words(answer: Mapping[str, Any]) -> str:
    """The result for a person."""
    bridge = answer["bridge_usd"]
    rows: Counter[str] = Counter()
    for reasons in answer["refused_rows"].values():
        rows.update(reasons)
    whole = answer["trades"] - answer["half_trades"]
    halves = f" ({whole:,} whole, {answer['half_trades']:,} half)" if answer["half_trades"] else ""
    ratio = "" if answer["fill_ratio"] is None else f", fill ratio {answer['fill_ratio']:.1%}"
    lines = [
        f"{answer['source']}: {answer['rows']:,} rows, {answer['from']} to {answer['to']}",
        "",
        "P&L bridge, USD",
        *(f"  {name.replace('_', ' '):<16}{float(value):>14,.2f}" for name, value in bridge.items() if float(value)),
        f"  {'net':<16}{float(answer['net_usd']):>14,.2f}",
        *(f"  {f'due: {name}':<16}{-float(value):>14,.2f}" for name, value in answer["due_usd"].items()),
        *([f"  {'net after':<16}{float(answer['net_after_due_usd']):>14,.2f}"] if answer["due_usd"] else []),
        "",
        f"trades           {answer['trades']:,} of {answer['wishes']:,} wishes{halves}, "
        f"{len(answer['fills']):,} fills{ratio}",
        f"edge             seen {float(answer['edge_seen_usd']):,.2f}, "
        f"captured {float(answer['edge_captured_usd']):,.2f} USD after fees",
        f"worst naked      {answer['worst_naked_usd']:,.2f} USD, "
        f"worst spell {answer['worst_naked_usd_s']:,.0f} USD x s",
        f"naked at the end {naked(answer['naked_at_end'])}",
        f"not traded       {_counted(answer['refused']) or 'nothing was refused'}",
        f"not believed     {_counted(rows) or 'every row was believed'}",
        f"journal hash     {answer['journal_hash']}",
        f"speed            {answer['rows_per_s'] or 0:,} rows/s, {answer['total_s']} s in all",
    ]
    if answer["warnings"]:
        lines += ["", "Before you believe it:", *(f"  - {warning}" for warning in answer["warnings"])]
    return "\n".join(lines)


def fills(answer: Mapping[str, Any]) -> str:
    """Every fill, a line each; ASSUMED where the price was made of an assumed spread."""
    return "\n".join(
        f"{fill['at']}  {fill['side']:<4} {float(fill['quantity']):>14,.6f} {fill['instrument']:<28} at "
        f"{float(fill['price']):>13,.6f}  fee {float(fill['fee']):.4f}{'  ASSUMED' * fill['assumed']}"
        for fill in answer["fills"]
    )


def _some(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items(), key=lambda c: -c[1])
    )
