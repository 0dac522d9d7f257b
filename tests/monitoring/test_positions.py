"""Lines of the story about positions that are held with a hedge."""

from __future__ import annotations

import pytest

from monitoring.positions import told
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
