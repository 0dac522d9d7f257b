"""Faults of share sources, by their rows in the fault matrix, through the whole daemon: it stops what it must and
heals by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.clock import monotonic_s, sleep
from connectors.events import Health, Why
from connectors.instruments import Role
from tests.conformance.stall import Stall, Top, stalls
from tests.faults.market import Market, open_market
from tests.faults.test_feeds import recovered, report
from tests.servers.alpaca import AlpacaServer

TOKEN = "kraken:TSLAx/USD"
SHARE = "alpaca:TSLA"
TRUE = Top("400", "400.5")


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


def doubted(market: Market, name: str) -> bool:
    """Whether our own judgement speaks against a source."""
    return market.daemon.parts.columns.doubted(market.daemon.universe.number(name))


@pytest.mark.timeout(180)
async def test_row_11_a_share_feed_of_the_wrong_symbol_moves_nothing() -> None:
    """
    11. One of three share sources begins to tell another share's price: it is outvoted, the fair value stays and the
    token is traded on; right again, it is believed again.
    """
    witnesses = {stall.venue: stall for stall in stalls() if stall.venue in ("yahoo", "pyth")}
    async with open_market((*few(), *witnesses.values())) as market:
        await market.agrees(patience_s=60)
        columns = market.daemon.parts.columns
        wrong = witnesses["yahoo"].instruments[0]
        group = columns.underlyings.index(wrong.underlying)
        sizes: list[int] = []

        async def tell(*, truth: bool) -> None:
            """Every source speaks, with sizes that are news; Yahoo of another share, unless it is the truth."""
            sizes.append(len(sizes) % 7)
            right = TRUE._replace(bid_size=f"{1 + sizes[-1]}")
            for stall in market.stalls.values():
                for instrument in (i for i in stall.instruments if i.role is not Role.COIN):
                    lies = instrument is wrong and not truth
                    await stall.show(market.servers[stall.venue], instrument, Top("267", "267.5") if lies else right)

        async def until(condition: Callable[[], bool], *, truth: bool = False) -> float:
            begun = monotonic_s()
            while not condition():
                assert monotonic_s() - begun < 60, (columns.doubts, market.not_up())
                await tell(truth=truth)
                await sleep(0.2)
            return monotonic_s() - begun

        with report(11, "wrong symbol") as times:
            times["detected"] = await until(lambda: doubted(market, wrong.name))
            fair = columns.fair(group, market.daemon.engine.now)
            assert fair is not None
            assert abs(fair.price / 400.25 - 1) < 0.01
            await until(lambda: market.eligible(TOKEN))
            times["recovered"] = await until(
                lambda: not doubted(market, wrong.name) and market.eligible(TOKEN), truth=True
            )
