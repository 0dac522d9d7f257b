"""What states a whole demo tells: exactly the depeg that was put into it, and nothing for a slip or a frozen source.

PEGLINE_WORLDS=1,2,3,4,5 plays other worlds than the two of the suite, each to its end.
"""

from __future__ import annotations

import os

import pytest

from connectors.events import NS
from tests.monitoring.played import play

ASKED = os.environ.get("PEGLINE_WORLDS", "")
WORLDS = [int(seed) for seed in ASKED.split(",") if seed] or [3, 5]
HOUR = 3600 * NS


@pytest.mark.parametrize("seed", WORLDS)
def test_exactly_the_injected_depeg_is_told_of_a_token(seed: int) -> None:
    """
    Of all tokens the one that was pushed off its peg becomes DEPEGGED, once, within the fault and for the token's own
    sake; while the frozen share lasts, and a price is mistyped, no state of its tokens is STRAINED or DEPEGGED.
    """
    world = play(seed=seed, rows=1).world
    (depeg,) = (one for one in world.injected if one.kind == "depeg")
    quiet = [one for one in world.injected if one.kind in ("frozen", "outlier")]
    assert {"frozen", "outlier"} == {one.kind for one in quiet}
    last = max(one.end_ns for one in (depeg, *quiet)) + HOUR
    run = play(seed=seed, until_ns=None if ASKED else last, without=["hedge", "mint_redeem"])
    told = [(step.ts, note) for step in run.steps for note in step.notes if note.kind in ("token_state", "peg_state")]
    (found,) = ((ts, n) for ts, n in told if (n.kind, n.detail["to"]) == ("token_state", "DEPEGGED"))
    name = {world.universe[world.universe.number(one)].token for one in depeg.instruments}
    assert (name, "token") == ({found[1].detail["token"]}, found[1].detail["cause"])
    assert depeg.start_ns < found[0] < depeg.end_ns
    venues = {
        world.universe[n.instrument].name for _, n in told if n.kind == "peg_state" and n.detail["to"] == "DEPEGGED"
    }
    assert set(depeg.instruments) == venues
    for fault in quiet:
        off = [
            note
            for ts, note in told
            if fault.start_ns <= ts <= fault.end_ns + HOUR // 2
            and note.underlying == fault.underlying
            and note.detail["to"] in ("STRAINED", "DEPEGGED")
            and not (fault.underlying == depeg.underlying and depeg.start_ns <= ts <= depeg.end_ns + 2 * HOUR)
        ]
        assert off == [], fault.kind
