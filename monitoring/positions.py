"""Lines of the story about positions that are held with a hedge: what they cost, their margin, what is charged."""

from __future__ import annotations

from monitoring.tale import Tone
from strategies.base import Note


def told(note: Note) -> tuple[str, Tone]:
    """A line about one; empty where it is nothing to be told."""
    detail, share = note.detail, note.underlying
    if note.kind == "charge_unknown":
        return f"{share}: {detail['kind']} is due and not known: {detail['why']}; the books lack it", "bad"
    if note.kind == "hold_cost":
        done = {"exit": "it is given back", "move": f"its hedge moves to {detail.get('to', '')}"}
        ends = done.get(str(detail["action"]), "it is held on")
        return f"position in {share}: holding it costs more than it brings, {detail['what']}; {ends}", "bad"
    if note.kind == "margin":
        done = {"exit": "it is reduced", "move": f"its hedge moves to {detail.get('to', '')}"}
        ends = done.get(str(detail["action"]), f"it cannot be reduced now: add {detail['top_up_usd']:.0f} USD there")
        equity, worth = detail["equity_usd"], detail["worth_usd"]
        told = f"position in {share}: {equity:.0f} USD carry {worth:.0f} at {detail['venue']}"
        return f"{told}, which closes it at {detail['liquidation_usd']:.2f}; {ends}", "bad"
    return "", "plain"
