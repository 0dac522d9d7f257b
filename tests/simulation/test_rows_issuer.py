"""Rows 54 to 57 of the fault matrix: what an issuer may do with a request, and what the books make of it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from bot.simulation.fault import Fault
from connectors.events import NS
from connectors.instruments import Universe
from connectors.orders import Conversion, ConversionState
from connectors.simulated.short import START_NS
from strategies.base import Decision, Every, View, Wake
from strategies.execution.conversions import Running, Why
from tests.simulation.played import Played

COIN, TOKEN = "sim-fx:USDT/USD", "sim-beta:simTSLA/USDT"
COINS = D(1000)


class Minter:
    """Wishes one mint after half a minute, and another one while the first has no end."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "minter", NS, NS, 1

    def __init__(self, *, persists: bool = False) -> None:
        """Where it `persists`, a request that was rejected is wished again."""
        self._persists = persists

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        self.source, self.target = universe.number(COIN), universe.number(TOKEN)
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """It sends no orders."""
        return False, False

    def decide(self, view: View) -> Decision:
        """Asks the issuer's desk, and wishes what it would give."""
        desk, running = view.desks["sim-one"], view.ledger.conversions.all
        over = [one.state for one in running.values() if one.closed]
        enough = ConversionState.SETTLED in over or (over and not self._persists)
        if view.now < START_NS + 30 * NS or enough:
            return Decision()
        soft = desk.quote(mint=True, source=self.source, target=self.target, quantity=COINS, now=view.now)
        if soft is None:
            return Decision()
        order = Conversion(
            id=f"m{view.seq}", issuer="sim-one", mint=True, source=self.source, target=self.target, quantity=COINS,
            expected=soft.expected, least=soft.expected * D("0.995"), sla_ns=view.now + 120 * NS, underlying="TSLA",
            reason="test", fx=D(1),
        )  # fmt: skip
        return Decision(conversions=(order,))


def minted(what: str, **more: Any) -> tuple[Played, Running]:
    """A scene in which the first request has this fault, and the books about it."""
    played = Played(Fault(what=what, where="sim-one", **more), more=lambda: (Minter(),), without=("mint_redeem",))
    assert () == played.outcome.breaches
    assert played.driver.parts is not None
    (order,) = played.conversions
    return played, played.driver.parts.ledger.conversions.all[order.id]


def test_without_a_fault_coins_become_tokens() -> None:
    """
    One request, settled after its usual delay, nothing owed, nothing in flight, nobody told.
    """
    played = Played(more=lambda: (Minter(),), without=("mint_redeem",))
    (order,) = played.conversions
    assert played.driver.parts is not None
    one = played.driver.parts.ledger.conversions.all[order.id]
    assert (ConversionState.SETTLED, COINS, order.expected) == (one.state, one.given, one.got)
    assert one.claim is None and {} == played.driver.parts.ledger.away
    assert (0, ()) == (played.outcome.pages, played.outcome.breaches)


def test_row_54_a_mint_that_never_settles_is_told_once_and_its_capital_shown() -> None:
    """
    Past its promised time: one page, the coins are in flight to the end, and no second mint is asked for although the
    strategy wishes one at every tick.
    """
    played, _ = minted("never_settles")
    assert played.driver.parts is not None
    (late,) = played.notes("conversion_late")
    assert float(COINS) == late["units"]
    assert {float(COINS)} == set(played.driver.parts.ledger.away.values())
    assert len(played.notes("conversion_refused")) > 10


def test_row_54_a_request_without_a_word_is_asked_about_and_not_asked_for_again() -> None:
    """
    Its answer is lost: unknown, until the issuer is asked how it stands; then it settles.
    """
    played, one = minted("no_word")
    states = [word.state for step in played.steps for word in step.progress]
    assert ConversionState.UNKNOWN is states[0]
    assert (ConversionState.SETTLED, one.order.expected) == (one.state, one.got)


def test_row_54_news_that_is_told_again_later_counts_once() -> None:
    """
    Each word comes twice, the older ones last: settled once, with what came.
    """
    _, one = minted("repeats")
    assert (ConversionState.SETTLED, one.order.expected) == (one.state, one.got)


def test_row_55_a_request_that_is_rejected_gives_back_what_was_sent() -> None:
    """
    Rejected after its usual delay: nothing has moved, nothing is owed.
    """
    played, one = minted("rejected")
    assert played.driver.parts is not None
    assert (ConversionState.REJECTED, 0, 0, None) == (one.state, one.given, one.got, one.claim)
    assert {} == played.driver.parts.ledger.away


@pytest.mark.parametrize(("what", "part"), [("short", D("0.98")), ("other_price", 1 / D("1.01"))])
def test_row_56_what_settles_short_or_at_another_price_is_booked_as_delivered_and_claimed(what: str, part: D) -> None:
    """
    The books hold what came, and a claim names what lacks.
    """
    played, one = minted(what)
    assert abs(one.order.expected * part - one.got) < D("1e-8")
    assert one.claim is not None
    assert (Why.SHORT, "sim-one", one.order.expected - one.got) == (one.claim.why, one.claim.issuer, one.claim.units)
    assert "short" in [note.get("why") for note in played.notes("conversion")]


def test_row_56_a_failed_one_is_a_claim_until_the_issuer_settles_it() -> None:
    """
    Given and gone: claimed in full, and still in flight, so that no hedge of it is sold on one word.
    """
    played, one = minted("failed")
    assert played.driver.parts is not None
    assert one.claim is not None
    assert (Why.FAILED, one.order.expected) == (one.claim.why, one.claim.units)
    assert {float(COINS)} == set(played.driver.parts.ledger.away.values())


def test_row_57_while_a_share_is_frozen_nothing_is_minted_and_trading_goes_on() -> None:
    """
    From second 20 to 200: each wish is refused with the issuer's word; then one passes, and trades went on meanwhile.
    """
    played, one = minted("freeze", at_s=20.0, for_s=180.0)
    assert one.since >= START_NS + 200 * NS
    assert any("corporate action" in str(note["detail"]) for note in played.notes("conversion_refused"))
    assert played.passed(20.0, 200.0)
