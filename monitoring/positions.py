"""Positions that are held with a hedge: what they cost, their margin, what is charged; as metrics and as lines of the
story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import product

from connectors.instruments import Role, Universe
from connectors.orders import Carry
from monitoring.tale import Tone
from strategies.base import Note

Sample = tuple[tuple[str, ...], float | None]
CONCERNS = ("margin", "hold_cost")
"""Kinds of notes about a position that hold until the next word about it."""


class Concerns:
    """What hedge has against the positions that it holds, folded from its notes."""

    def __init__(self) -> None:
        """Nothing."""
        self.standing: dict[str, tuple[str, str]] = {}
        """Kind of the concern, and why, by share."""
        self.unknown: Counter[tuple[str, str]] = Counter()
        """Charges that the books lack, by (share, kind)."""

    def fold(self, note: Note) -> None:
        """One note. What is tried again for the same reason is told once, so an exit or a move leaves it standing."""
        share, why = note.underlying, str(note.detail.get("why", ""))
        if note.kind in CONCERNS:
            self.standing[share] = note.kind, why
        elif note.kind == "charge_unknown":
            self.unknown[share, str(note.detail["kind"])] += 1
        elif note.kind == "hedge":
            again = note.detail["action"] in ("exit", "move") and self.standing.get(share, ("", ""))[1] == why
            if not again:
                self.standing.pop(share, None)


def samples(concerns: Concerns, positions: Mapping[int, Decimal], universe: Universe) -> dict[str, Iterable[Sample]]:
    """Label values and values by metric; of a share whose hedge is given back there is no concern."""
    hedged = {
        universe[at].underlying for at, units in positions.items() if units and universe[at].role is not Role.TOKEN
    }
    counts = dict.fromkeys(product(universe.underlyings(), Carry), 0) | concerns.unknown
    return {
        "hedge_concern": [
            ((share, kind), float(share in hedged and concerns.standing.get(share, ("", ""))[0] == kind))
            for share, kind in product(universe.underlyings(), CONCERNS)
        ],
        "charges_unknown_total": [(labels, float(count)) for labels, count in counts.items()],
    }


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
