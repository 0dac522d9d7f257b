"""Books against venues: as metrics, as lines of the story, and as what is wrong now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors.events import NS
from monitoring.facts import AccountState
from monitoring.tale import Tone
from strategies.base import Note

Sample = tuple[tuple[str, ...], float | None]


def samples(accounts: Sequence[AccountState]) -> dict[str, Iterable[Sample]]:
    """Label values and values by metric; a venue that was never equal has no moment of it."""
    return {
        "reconcile_differences": [((one.venue,), float(one.differences)) for one in accounts],
        "reconcile_last_success_timestamp_seconds": [
            ((one.venue,), one.equal_ns / NS) for one in accounts if one.equal_ns
        ],
    }


def troubles(accounts: Sequence[AccountState]) -> list[str]:
    """A line for each venue that differs."""
    return [
        f"books and {one.venue} differ ({one.differences}): what differs is only reduced; pegline reconcile"
        for one in accounts if one.differences
    ]  # fmt: skip


def told(note: Note) -> tuple[str, Tone]:
    """A line of the story; empty where a venue stands as it stood."""
    detail, venue = note.detail, note.detail["venue"]
    if note.kind == "difference":
        what = str(detail["what"]).replace("_", " ")
        return f"{venue}: {what} {detail['subject']}: {detail['evidence']}", "bad"
    if note.kind == "adjust":
        amount = f" by {detail['amount']}" if detail["amount"] != "0" else ", as the books have it"
        return f"{venue}: {detail['subject']} adjusted{amount}; {detail['by']}: {detail['reason']}", "plain"
    if detail["state"] == detail["before"]:
        return "", "plain"
    equal = detail["state"] == "equal"
    text = f"{venue} and the books agree" if equal else f"{venue} and the books differ: what differs is only reduced"
    return text, "good" if equal and detail["before"] == "differ" else "plain" if equal else "bad"
