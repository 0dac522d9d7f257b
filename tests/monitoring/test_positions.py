"""Positions that are held with a hedge: lines of the story, and what the metrics say against them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from connectors.instruments import Instrument, Role, Universe
from monitoring.positions import Concerns, samples, told
from strategies.base import Note

MARGIN: dict[str, float | str] = {
    "venue": "perps", "equity_usd": 320.0, "worth_usd": 1080.0, "top_up_usd": 4.4, "liquidation_usd": 133.3,
}  # fmt: skip


@pytest.mark.parametrize(
    "kind, detail, ending",
    [
        ("hold_cost", {"action": "exit", "what": "funding of 48.00 bps a day"}, "48.00 bps a day; it is given back"),
        ("hold_cost", {"action": "move", "to": "x:P", "what": "borrow is not known"}, "its hedge moves to x:P"),
        ("margin", {"action": "exit", **MARGIN}, "carry 1080 at perps, which closes it at 133.30; it is reduced"),
        ("margin", {"action": "hold", **MARGIN}, "it cannot be reduced now: add 4 USD there"),
        ("charge_unknown", {"kind": "funding", "why": "silence"}, "is due and not known: silence; the books lack it"),
    ],
)  # fmt: skip
def test_what_somebody_must_see_of_a_position_is_told_with_its_number(
    kind: str, detail: dict[str, float | str], ending: str
) -> None:
    """
    What holding costs, a margin that runs short and a charge that is not known: each names its share and what is done.
    """
    text, tone = told(Note(kind=kind, underlying="TSLA", detail=detail))
    assert "TSLA" in text and text.endswith(ending)
    assert "bad" == tone


UNIVERSE = Universe(
    (
        Instrument(venue="v", symbol="T", role=Role.TOKEN, underlying="TSLA", token="T"),
        Instrument(venue="p", symbol="P", role=Role.PERP, underlying="TSLA"),
        Instrument(venue="p", symbol="Q", role=Role.PERP, underlying="SPY"),
    )
)
HELD = {0: Decimal(3), 1: Decimal(-3), 2: Decimal(1)}


def note(kind: str, action: str, why: str, share: str = "TSLA") -> Note:
    """As hedge writes them."""
    return Note(kind=kind, underlying=share, detail={"action": action, "why": why})


def concerns(*notes: Note, held: Mapping[int, Decimal] = HELD) -> set[tuple[str, ...]]:
    """Share and kind of all concerns that stand after these notes."""
    folded = Concerns()
    for one in notes:
        folded.fold(one)
    return {labels for labels, value in samples(folded, held, UNIVERSE)["hedge_concern"] if value}


def test_a_concern_stands_until_the_next_word_about_its_share() -> None:
    """
    A margin that is short stands while the exit for it is tried again, and while another share is spoken of; that all
    is usual ends it, and so does a locked position that lacks none any more.
    """
    short = (note("hedge", "exit", "margin"), note("margin", "exit", "margin"))
    locked = (note("hedge", "hold", "locked"), note("margin", "hold", "locked"))
    assert set() == concerns()
    assert {("TSLA", "margin")} == concerns(*short)
    assert {("TSLA", "margin")} == concerns(*short, note("hedge", "exit", "margin"), note("hedge", "hold", "x", "SPY"))
    assert set() == concerns(*short, note("hedge", "hold", "usual"))
    assert {("TSLA", "margin")} == concerns(*short, *locked)
    assert set() == concerns(*locked, note("hedge", "hold", "locked"))
    cost = (note("hedge", "exit", "carry", "SPY"), note("hold_cost", "exit", "carry", "SPY"))
    assert {("TSLA", "margin"), ("SPY", "hold_cost")} == concerns(*short, *cost)


def test_a_hedge_that_is_given_back_concerns_nobody() -> None:
    """
    The token is left and the perp is gone: nothing can be closed by its venue any more.
    """
    short = (note("hedge", "exit", "margin"), note("margin", "exit", "margin"))
    assert set() == concerns(*short, held={0: Decimal(3), 1: Decimal(0)})


def test_charges_that_are_not_known_are_counted_from_zero() -> None:
    """
    A series stands at 0 before the first, so that its first step shows; two fundings of TSLA are two.
    """
    folded = Concerns()
    before = dict(samples(folded, HELD, UNIVERSE)["charges_unknown_total"])
    assert {0.0} == set(before.values()) and ("SPY", "borrow") in before
    for _ in range(2):
        folded.fold(Note(kind="charge_unknown", underlying="TSLA", detail={"kind": "funding", "why": "silence"}))
    after = dict(samples(folded, HELD, UNIVERSE)["charges_unknown_total"])
    assert {("TSLA", "funding"): 2.0} == {labels: value for labels, value in after.items() if value}
