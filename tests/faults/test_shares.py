"""Faults of share sources, by their rows in the fault matrix, through the whole daemon: it stops what it must and
heals by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.events import Health, Why
from tests.conformance.stall import Stall, stalls
from tests.faults.market import Market, open_market
from tests.faults.test_feeds import recovered, report
from tests.servers.alpaca import AlpacaServer

TOKEN = "kraken:TSLAx/USD"
SHARE = "alpaca:TSLA"


def few() -> tuple[Stall, ...]:
    """A native exchange for the token, and Alpaca that asks again every second."""
    found = {stall.name: stall for stall in stalls()}
    token = next(stall for stall in found.values() if stall.venue == "kraken" and stall.feed != "ccxt")
    quick = {"retry_s": 1.0, "clock_s": 1.0}
    return token, replace(found["alpaca-json"], options={**found["alpaca-json"].options, **quick})


def alpaca(market: Market) -> AlpacaServer:
    """The local Alpaca."""
    server = market.servers["alpaca"]
    assert isinstance(server, AlpacaServer)
    return server


def reasons(market: Market) -> tuple[Why, ...]:
    """What stands against the share's stream."""
    return market.daemon.inbox.standing.reasons(market.daemon.universe.number(SHARE))


@pytest.mark.timeout(120)
async def test_row_12_an_entitlement_that_is_lost_takes_down_that_feed_only() -> None:
    """
    12. Alpaca takes the feed away: its instruments are down for that, a metric says so, the exchange goes on, and when
    the right is back so are the quotes.
    """
    async with open_market(few()) as market:
        await market.agrees(patience_s=60)
        await alpaca(market).lose("iex")
        with report(12, "entitlement lost") as times:
            times["detected"] = await market.until(lambda: reasons(market) == (Why.ENTITLEMENT,))
            assert Health.DOWN is market.state(SHARE)
            told = market.daemon.desk.registry
            assert 0.0 == told.get_sample_value("pegline_feed_up", {"venue": "alpaca", "feed": "alpaca"})
            assert 1.0 <= (
                told.get_sample_value(
                    "pegline_feed_rejected_messages_total", {"venue": "alpaca", "reason": "entitlement_lost"}
                )
                or 0.0
            )
            await market.show_all(1, but=["alpaca"])
            times["the others after"] = await market.agrees(but=["alpaca"])
            alpaca(market).entitled.add("iex")
            times["recovered"] = await recovered(market, 2)


@pytest.mark.timeout(120)
async def test_row_20_a_halt_stops_the_token_while_it_trades_on() -> None:
    """
    20. The share is halted while the token's venue trades on: the token is still seen, and not traded until the share
    resumes.
    """
    async with open_market(few()) as market:
        await market.agrees(patience_s=60)
        await market.until(lambda: market.eligible(TOKEN))
        await alpaca(market).status("TSLA", "H", "T1")
        with report(20, "halt") as times:
            times["detected"] = await market.until(lambda: not market.eligible(TOKEN))
            await market.show_all(1, but=["alpaca"])
            await market.agrees(but=["alpaca"])
            assert not market.eligible(TOKEN)
            await alpaca(market).status("TSLA", "T")
            await recovered(market, 2)
            times["recovered"] = await market.until(lambda: market.eligible(TOKEN))
        told = [note.kind for note in market.notes if note.kind in ("share_halted", "share_resumed")]
        assert ["share_halted", "share_resumed"] == told


@pytest.mark.timeout(120)
async def test_row_19_a_market_in_another_session_than_ours_stops_the_token() -> None:
    """
    19. The broker's clock says another session than our calendar: nothing is traded until they agree.
    """
    async with open_market(few()) as market:
        await market.agrees(patience_s=60)
        await market.until(lambda: market.eligible(TOKEN))
        regular = market.daemon.parts.columns.session.label == "regular"
        alpaca(market).is_open = not regular
        if regular:
            alpaca(market).days = []
        with report(19, "unscheduled session") as times:
            times["detected"] = await market.until(lambda: not market.eligible(TOKEN))
            alpaca(market).is_open, alpaca(market).days = None, None
            await market.show_all(1)
            times["recovered"] = await market.until(lambda: market.eligible(TOKEN))
