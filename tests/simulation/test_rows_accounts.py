"""Rows 35 to 37 and 40 of the fault matrix: what happens on an account without us is found by comparing."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from bot.invariants import Breach
from bot.simulation.checks import Truth
from bot.simulation.fault import Fault
from bot.simulation.scene import stage
from connectors.client_ids import fence_of
from connectors.orders import Intent, Purpose, Side
from tests.simulation.played import Played

AT_S = 320.0
VENUES = ("sim-alpha", "sim-beta", "sim-pool")


def of(played: Played, venue: str) -> list[tuple[str, str]]:
    """Kinds and subjects of the differences at a venue, in order."""
    return [(str(one["what"]), str(one["subject"])) for one in played.notes("difference") if one["venue"] == venue]


def opened_since(played: Played, venue: str) -> tuple[list[Intent], list[Intent]]:
    """Plans that were approved after the first difference at a venue: those that take a position there further from
    zero, and those without a leg there."""
    told = ((step.ts, one) for step in played.steps for one in step.notes if one.kind == "difference")
    begin = next(ts for ts, one in told if one.detail["venue"] == venue)
    held: Counter[int] = Counter()
    there, others = [], []
    for step in played.steps:
        for report in step.reports:
            for fill in report.fills:
                held[fill.instrument] += signed(fill.side, fill.quantity)
        for wish in step.wishes:
            if step.ts > begin and wish.id in step.approved and wish.purpose is Purpose.OPEN:
                legs = [leg for leg in wish.legs if stage().universe[leg.instrument].venue == venue]
                if any(signed(leg.side, leg.quantity) * held[leg.instrument] >= 0 for leg in legs):
                    there.append(wish)
                elif not legs:
                    others.append(wish)
    return there, others


def signed(side: Side, units: Decimal) -> int:
    """Nano-units that come, or (below zero) go."""
    return int(units * 10**9) * (1 if side is Side.BUY else -1)


@pytest.mark.parametrize(("what", "found"), [("withdrawal", "balance"), ("foreign", "balance"), ("rights", "key")])
def test_rows_35_to_37_what_differs_pauses_its_venue_and_no_other(what: str, found: str) -> None:
    """
    Units withdrawn by hand, somebody else's trade, a key that may withdraw: found within a minute, told once; at that
    venue only what brings a position nearer to zero passes, the others trade on, and the books are not touched.
    """
    elsewhere = 0
    for venue in VENUES:
        played = Played(Fault(what=what, where=venue, at_s=AT_S, for_s=900.0))
        assert () == played.outcome.breaches
        kinds = of(played, venue)
        assert {found} == {kind for kind, _ in kinds} and len(kinds) == len(set(kinds))
        assert not [one for other in VENUES if other != venue for one in of(played, other)]
        there, others = opened_since(played, venue)
        assert [] == there
        elsewhere += len(others)
    assert elsewhere > 0


def test_row_36_the_evidence_names_the_trade_of_somebody_else() -> None:
    """
    The id that the venue gave it stands beside the balance, so that an operator can look for it.
    """
    played = Played(Fault(what="foreign", where="sim-alpha", at_s=AT_S, for_s=30.0))
    (fill,) = [one for one in played.venue("sim-alpha").fills if one.client_id == "by-hand"]
    assert all(fill.id in str(one["evidence"]) for one in played.notes("difference"))
    assert fill.id not in {one.id for report in played.reports for one in report.fills}


def test_row_37_a_key_that_is_refused_takes_its_venue_off_until_it_is_good_again() -> None:
    """
    Nothing can be read, so nothing is opened there; once the venue answers, its account is equal and it trades again.
    """
    played = Played(Fault(what="key", where="sim-alpha", at_s=AT_S, for_s=90.0))
    assert () == played.outcome.breaches
    assert {"unread"} == {kind for kind, _ in of(played, "sim-alpha")}
    told = [str(one["state"]) for one in played.notes("books") if one["venue"] == "sim-alpha"]
    assert ["equal", "differ", "equal"] == told
    assert played.driver.parts is not None and not played.driver.parts.engine.memory.differs


def test_row_40_each_start_sends_under_a_fence_of_its_own() -> None:
    """
    A process dies and another takes over: no client id is used twice, the ids tell which start sent them, and no order
    of the first start stands at a venue at the end.
    """
    played = Played(Fault(what="crash_after", number=11))
    assert (1, ()) == (played.outcome.restarts, played.outcome.breaches)
    fences = [fence_of(client_id) for client_id in played.driver.truth.sent]
    assert {1, 2} == {fence.start for fence in fences if fence is not None} and None not in fences
    assert not [order for venue in VENUES for order in played.venue(venue).standing()]


def test_an_account_that_stays_barred_without_a_reason_is_a_breach() -> None:
    """
    The selftest's own check: units are gone, and nobody says that somebody took them.
    """
    played, breaches = Played(Fault(what="withdrawal", where="sim-alpha", at_s=AT_S)), list[Breach]()
    assert played.driver.parts is not None
    Truth(played.driver.world.outside, breaches.append).at_end(played.driver.parts.engine, set())
    assert any("sim-alpha" in one.what and "still barred: balance" in one.what for one in breaches)
