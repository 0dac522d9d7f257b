"""`pegline backtest`: run the strategies over a tape and say what came of it, to the cent."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.commands.tape import moment

if TYPE_CHECKING:
    from bot.backtest import Result

SCHEMA = 1
BLOCK = 65_536

EPILOG = """\
The same engine as the daemon reads the tape instead of the venues; orders are filled on paper from what the tape
shows, after each venue's latency. The same tape, config and seed give the same journal hash."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", required=True, metavar="C", help="config: venues, costs, strategies, limits")
    parser.add_argument("--tape", metavar="T", help="a folder made by `tape import`, `tape fetch`, `record` or `run`")
    parser.add_argument("--simulated", type=int, metavar="SEED", help="the demo's market of this seed")
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME", help="ISO time, UTC; first row")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="ISO time, UTC; exclusive")
    parser.add_argument("--seed", type=int, metavar="N", help="of the paper venues' chance; default: [run] seed")
    parser.add_argument("--journal", metavar="FILE", help="keep every decision record in this SQLite file")
    parser.add_argument("--trades", action="store_true", help="print every fill with the row that it was filled from")
    parser.add_argument("--json", metavar="OUT", help="write the result as JSON to this file; - is stdout")


def run(args: argparse.Namespace) -> int:
    """Runs and reports; exit 3 for a config, 8 for a tape that cannot be used."""
    from bot.clock import monotonic_s
    from bot.config_file import load
    from bot.errors import UsageError
    from bot.paths import prepare_kernel

    if (args.tape is None) == (args.simulated is None):
        raise UsageError("give either --tape or --simulated")
    begun = monotonic_s()
    config = load(Path(args.config), credentials=False)
    prepare_kernel()
    from bot.backtest import backtest, run_over
    from bot.sessions import load_sessions
    from bot.wiring import simulated_market

    journal = Path(args.journal) if args.journal else None
    watched = sys.stderr.isatty()

    def progress(rows: int) -> None:
        if watched:
            print(f"\r{rows:,} of {of:,} rows ", end="", file=sys.stderr, flush=True)

    try:
        if args.tape is not None:
            from connectors.tape import open_tape

            tape = open_tape(Path(args.tape))
            source, of = str(args.tape), tape.rows()
            result = backtest(
                config,
                tape,
                seed=args.seed,
                journal_path=journal,
                start_ns=args.start,
                end_ns=args.end,
                progress=progress,
            )
        else:
            world, _ = simulated_market(args.simulated, sessions=load_sessions())
            source, of = f"simulated market, seed {args.simulated}", len(world.rows)
            result = run_over(
                config,
                world.universe,
                world.rows.blocks(BLOCK),
                seed=args.seed,
                journal_path=journal,
                progress=progress,
            )
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr)
    answer = as_json(result, source=source, total_s=monotonic_s() - begun)
    if args.json == "-":
        json.dump(answer, sys.stdout, indent=1)
        print()
        return 0
    if args.json:
        Path(args.json).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    print(words(answer))
    if args.trades:
        print(fills(answer))
    return 0


def as_json(result: Result, *, source: str, total_s: float) -> dict[str, Any]:
    """A result as JSON: money as decimal strings in USD, times in ISO UTC; `schema` says which shape."""
    from monitoring.narrate import utc as iso

    tally, bridge = result.tally, result.bridge
    names = result.names
    wished = tally.units_wished
    gains = bridge.gross_edge + bridge.slippage + bridge.fees + bridge.gas + bridge.fx + bridge.inventory_mark
    return {
        "schema": SCHEMA,
        "source": source,
        "from": iso(result.first_ns),
        "to": iso(result.last_ns),
        "rows": result.rows,
        "net_usd": str(bridge.net),
        "bridge_usd": {
            "gross_edge": str(bridge.gross_edge),
            "slippage": str(bridge.slippage),
            "fees": str(bridge.fees),
            "gas": str(bridge.gas),
            "issuer_fees": str(bridge.issuer_fees),
            "funding": str(bridge.funding),
            "borrow": str(bridge.borrow),
            "fx": str(bridge.fx),
            "inventory_mark": str(bridge.inventory_mark),
        },
        "bridge_residual_usd": str(bridge.net - gains),
        "unmarked": list(bridge.unmarked),
        "trades": tally.trades,
        "wishes": tally.wishes,
        "fill_ratio": float(tally.units_filled / wished) if wished else None,
        "worst_naked_usd_s": result.worst_naked_usd_s,
        "worst_naked_usd": result.worst_naked_usd,
        "edge_seen_usd": str(tally.edge_seen_usd),
        "edge_captured_usd": str(round(result.captured_usd(), 6)),
        "naked_at_end": {name: {"shares": shares, "usd": usd} for name, (shares, usd) in result.naked.items()},
        "refused": dict(sorted(tally.refused.items())),
        "refused_rows": result.refused_rows,
        "notes": dict(sorted(tally.notes.items())),
        "positions": {name: str(units) for name, units in result.positions.items()},
        "assumed": list(result.assumed),
        "watched_only": list(result.watched_only),
        "fills": [
            {
                "at": iso(fill.ts),
                "at_ns": fill.ts,
                "order": fill.client_id,
                "instrument": names[fill.instrument],
                "side": fill.side.value,
                "quantity": str(fill.quantity),
                "price": str(fill.price),
                "fee": str(fill.fee),
                "fx": str(fill.fx),
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


def words(answer: dict[str, Any]) -> str:
    """The result for a person."""
    bridge = answer["bridge_usd"]
    lines = [
        f"{answer['source']}: {answer['rows']:,} rows, {answer['from']} to {answer['to']}",
        "",
        "P&L bridge, USD",
        *(f"  {name.replace('_', ' '):<16}{float(value):>14,.2f}" for name, value in bridge.items() if float(value)),
        f"  {'net':<16}{float(answer['net_usd']):>14,.2f}",
        "",
        f"trades           {answer['trades']} of {answer['wishes']} wishes, {len(answer['fills'])} fills"
        + (f", fill ratio {answer['fill_ratio']:.1%}" if answer["fill_ratio"] is not None else ""),
        f"edge             seen {float(answer['edge_seen_usd']):,.2f}, "
        f"captured {float(answer['edge_captured_usd']):,.2f} USD",
        f"worst naked      {answer['worst_naked_usd']:,.2f} USD, {answer['worst_naked_usd_s']:,.2f} USD x s",
        f"not traded       {_counted(answer['refused']) or 'nothing was refused'}",
    ]
    for name, left in answer["naked_at_end"].items():
        lines.append(
            f"LEFT NAKED       {left['shares']:+,.4f} shares of {name}, {left['usd']:+,.2f} USD: not hedged at the end"
        )
    rows: Counter[str] = Counter()
    for reasons in answer["refused_rows"].values():
        rows.update(reasons)
    lines.append(f"rows not believed {_counted(rows) or 'none'}")
    if answer["assumed"]:
        lines.append(f"ASSUMED          spread and size are assumed, not seen, at: {', '.join(answer['assumed'])}")
    if answer["watched_only"]:
        lines.append(f"watched only     {'; '.join(answer['watched_only'])}")
    if answer["unmarked"]:
        lines.append(f"UNMARKED         no price at the end, left out of net: {', '.join(answer['unmarked'])}")
    lines.append(f"journal hash     {answer['journal_hash']}")
    lines.append(f"speed            {answer['rows_per_s'] or 0:,} rows/s, {answer['total_s']} s in all")
    return "\n".join(lines)


def fills(answer: dict[str, Any]) -> str:
    """Every fill, a line each."""
    return "\n".join(
        f"{fill['at']}  {fill['side']:<4} {fill['quantity']:>12} {fill['instrument']:<28} at {fill['price']}"
        f"  fee {float(fill['fee']):.4f}"
        for fill in answer["fills"]
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items(), key=lambda c: -c[1])
    )
