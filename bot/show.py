"""The demo as it is seen: the live table and story while it runs, then a summary for a person or JSON for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from bot.exposure import Exposure
from bot.exposure import words as naked
from monitoring.desk import Desk
from monitoring.narrate import Line, utc
from monitoring.snapshot import Snapshot, refusals
from monitoring.view import LiveView
from monitoring.words import usd
from strategies.base import Step

SCHEMA = 1


class Show:
    """Watches a desk: `on_step` in place of the desk's, `refresh` a few times a second, `result` at the end."""

    def __init__(
        self,
        desk: Desk,
        *,
        least: Callable[[str], Decimal],
        elapsed: Callable[[], float],
        view: LiveView | None = None,
    ) -> None:
        """`least` gives the fewest shares of an underlying that can be traded, `elapsed` seconds since the command
        began; without a `view` nothing is shown."""
        self.desk, self.view = desk, view
        self._elapsed = elapsed
        self._told: Counter[str] = Counter()
        self.lines: list[Line] = []
        self.fills: list[dict[str, Any]] = []
        self.exposure = Exposure(desk.columns, least)
        self.first_premium_s: float | None = None
        """Seconds from the command's begin to the first premium, once there is one."""

    def on_step(self, step: Step) -> None:
        """Counts, tells and shows one step."""
        lines = self.desk.on_step(step)
        self.lines += lines
        self.exposure.hear(step)
        self._told.update(line.kind for line in lines)
        for report in step.reports:
            self.fills += [self._fill(report.intent_id, fill) for fill in report.fills]
        if self.view is not None and lines:
            self.view.tell(lines)

    def refresh(self) -> Snapshot:
        """Draws this moment; notes when the first premium was there to be seen."""
        picture = self.desk.picture()
        if self.first_premium_s is None and any(line.premium_bps is not None for line in picture.tokens):
            self.first_premium_s = self._elapsed()
        if self.view is not None:
            self.view.show(picture)
        return picture

    def result(self, *, seed: int, rows: int, timing: Mapping[str, float], journal_hash: str = "") -> dict[str, Any]:
        """What happened, as JSON: stable, `schema` says which shape. Times are UTC, premia in bps, money in USD."""
        picture, tally, columns = self.desk.picture(), self.desk.tally, self.desk.columns
        self.exposure.until(picture.now_ns)
        refused_rows: Counter[str] = Counter()
        for at in range(len(columns.universe)):
            refused_rows.update(refusals(columns, at))
        refused_orders: Counter[str] = Counter()
        for (_, reason), count in tally.skipped.items():
            refused_orders[reason] += count
        peg: dict[str, list[dict[str, str]]] = {}
        for ts, instrument, state in tally.peg_history:
            peg.setdefault(columns.universe[instrument].name, []).append({"at": utc(ts), "state": state})
        return {
            "schema": SCHEMA,
            "seed": seed,
            "until": utc(picture.now_ns),
            "rows": rows,
            "steps": picture.steps,
            "premia": list(msgspec.to_builtins(picture.tokens)),
            "refusals": {"rows": dict(refused_rows), "orders": dict(refused_orders)},
            "peg": {"now": {line.instrument: line.peg_state for line in picture.tokens}, "changes": peg},
            "fills": self.fills,
            "pnl": msgspec.to_builtins(picture.money),
            **self.exposure.numbers(),
            "notes": dict(tally.notes),
            "told": dict(self._told),
            "story": [{"at": utc(line.ts), "kind": line.kind, "text": line.text} for line in self.lines],
            "journal_hash": journal_hash,
            "timing_s": {**timing, "first_premium": self.first_premium_s},
        }

    def _fill(self, intent: str, fill: Any) -> dict[str, Any]:
        return {
            "at": utc(fill.ts),
            "intent": intent,
            "instrument": self.desk.columns.universe[fill.instrument].name,
            "side": fill.side.value,
            "quantity": str(fill.quantity),
            "price": str(fill.price),
            "fee": str(fill.fee),
        }


def summary(result: Mapping[str, Any], *, url: str = "", pegline: str = "pegline") -> str:
    """A result as a person reads it, with what to try next; `pegline` is how the program is called here."""
    told, pnl, timing = result["told"], result["pnl"], result["timing_s"]
    rows, orders = result["refusals"]["rows"], result["refusals"]["orders"]
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(rows.items(), key=lambda item: -item[1]))
    stops = ", ".join(f"{count} {reason}" for reason, count in sorted(orders.items(), key=lambda item: -item[1]))
    bad = sorted(name for name, state in result["peg"]["now"].items() if state not in ("pegged", "unknown"))
    parts = " · ".join(f"{name.replace('_', ' ')} {value:.2f} s" for name, value in timing.items() if value is not None)
    nexts = {
        f"demo --seed {result['seed'] + 1}": "another story",
        "tokens": "the real tokens that pegline knows",
        "check config.example.toml": "whether a config holds; copy this one to begin your own",
        "run --help": "the daemon on live data, on paper",
    }
    lines = [
        f"Seed {result['seed']}: {result['rows']:,} rows of an invented market, to {result['until']}",
        f"  traded on paper  {pnl['trades']} trades, {pnl['fills']} fills: gains {usd(pnl['captured_usd'])}, losses "
        f"{usd(pnl['lost_usd'])} USD after {usd(pnl['fees_usd'])} of fees",
        f"  naked at the end {naked(result['naked_at_end'])}; worst spell {result['worst_naked_usd_s']:,.0f} USD x s",
        f"  not believed     {counts or 'nothing'}",
        f"  not traded       {stops or 'nothing was stopped'}",
        f"  off the peg now  {', '.join(bad) or 'none'} ({told.get('peg_state', 0)} changes told)",
        f"  time             {parts}",
        "",
        "Next:",
        *(f"  {pegline} {command:<27}{what}" for command, what in nexts.items()),
    ]
    if url:
        lines.insert(1, f"  served while it ran on {url} (page), {url}metrics, {url}healthz")
    return "\n".join(lines)
