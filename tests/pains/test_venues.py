"""Pains 17, 18 and 24: venues that look alive and are not, that go away for long, and that fail in every other way."""

from __future__ import annotations

import pytest

from connectors.events import Health
from connectors.simulated.order_faults import OrderFaults, Spell, Trouble
from tests.conformance.ear import Ear
from tests.conformance.stall import Stall, Top, stalls
from tests.faults.market import book_of, open_market
from tests.faults.test_feeds import others_live, recovered
from tests.pains.market import UA, UB, A, B, C, Market, after, plan
from tests.servers.refusals import forbidden, maintenance

NATIVE = {stall.venue: stall for stall in stalls() if stall.feed == stall.venue in ("kraken", "bybit")}
KRAKEN = NATIVE["kraken"]
NAME = KRAKEN.instruments[0].name


async def test_pain_17_a_book_that_stands_still_while_messages_come_prices_nothing_and_is_made_anew() -> None:
    """
    Kraken repeats its last book with fresh times and sequence numbers while its price has moved: within seconds nothing
    of it may be traded, Bybit goes on, and when the stream is good again so is the book, without a restart.
    """
    async with open_market(tuple(NATIVE.values()), compare_s=0.5) as market:
        await market.agrees()
        server = market.servers["kraken"]
        server.frozen = True
        await market.show(KRAKEN.instruments[0], book_of(KRAKEN.instruments[0], 1))
        await market.until(lambda: market.state(NAME) is not Health.UP and not market.eligible(NAME))
        assert others_live(market, "kraken")
        server.frozen = False
        await market.show_all(2)
        await market.agrees()
        assert market.eligible(NAME)


async def test_pain_18_a_venue_that_is_gone_is_down_alone_and_comes_back_by_itself() -> None:
    """
    Every line to Kraken is cut and none can be made: its feed is told as down on the metrics, nothing of it may be
    traded, Bybit goes on; when lines can be made again it is up with the book of that moment.
    """
    async with open_market(tuple(NATIVE.values())) as market:
        await market.agrees()
        registry, labels = market.daemon.desk.registry, {"venue": "kraken", "feed": "kraken"}
        assert 1.0 == registry.get_sample_value("pegline_feed_up", labels)
        market.proxies["kraken"].refusing = True
        market.proxies["kraken"].reset()
        await market.until(lambda: market.state(NAME) is Health.DOWN and not market.eligible(NAME))
        assert 0.0 == registry.get_sample_value("pegline_feed_up", labels)
        await market.show_all(1)
        await market.until(lambda: others_live(market, "kraken"))
        market.proxies["kraken"].heal()
        await recovered(market, 1)
        assert 1.0 == registry.get_sample_value("pegline_feed_up", labels)
        assert market.eligible(NAME)


@pytest.mark.parametrize("stall", NATIVE.values(), ids=list(NATIVE))
async def test_pain_18_however_long_it_was_gone(stall: Stall) -> None:
    """
    A venue refuses two hundred connections in a row, which is hours by the pauses between them: the next one is used.
    """
    heard, shown = Ear(stall.instruments), Top("400.1", "400.3")
    async with stall.server() as server:
        for instrument in stall.instruments:
            await stall.show(server, instrument, shown)
        server.refuse = (503, {})
        async with stall.listening(server, heard):
            await heard.until(lambda: heard.rejected.total() >= 200)
            assert [] == heard.quotes(0)
            server.refuse = None
            await heard.until(lambda: bool(heard.quotes(0)))
    assert shown == stall.told(heard.quotes(0)[0])


def test_pain_18_where_the_hedges_venue_is_down_the_hedge_is_made_elsewhere() -> None:
    """
    b cannot be reached for an hour: the sale is made at c within a second, and nothing is left at b.
    """
    down = OrderFaults(spells=(Spell(Trouble.DOWN, after(0), after(3600)),))
    market = Market({"b": down}).until(4)
    assert {A: 10, C: -10} == market.moved() == market.held()
    assert market.over()


@pytest.mark.parametrize("trouble", Trouble)
def test_pain_24_a_venue_that_fails_stops_neither_its_own_trade_nor_any_other(trouble: Trouble) -> None:
    """
    While a trade is open b begins to fail in one way or another, for good: that trade comes to its end elsewhere, the
    other share is traded around b, and the bot runs on.
    """
    bad = OrderFaults(spells=(Spell(trouble, after(0)),))
    wishes = {1: plan(), 4: plan("u", buy=UA, sell=UB + 1), 30: plan("v", buy=UA, sell=UB + 1)}
    market = Market({"b": bad}, wishes=wishes).until(90)
    assert {UA: 20, UB + 1: -20} == {number: units for number, units in market.held().items() if number >= UA}
    assert market.moved() == market.held()
    assert B not in market.moved()
    assert market.stages("t")[-1] in ("hedged", "paged")


async def test_pain_24_no_answer_of_one_venue_takes_another_one_with_it() -> None:
    """
    Kraken answers every call and handshake with 403 and then with a page in HTML, and cuts its lines: Bybit is live all
    the while, the process runs on, and Kraken is back when its answers are.
    """
    async with open_market(tuple(NATIVE.values())) as market:
        await market.agrees()
        for step, refusal in enumerate((forbidden(), maintenance()), 1):
            market.proxies["kraken"].refusals.append(refusal)
            market.proxies["kraken"].reset()
            await market.until(lambda: market.state(NAME) is not Health.UP)
            await market.show_all(step, but=["kraken"])
            await market.until(lambda: others_live(market, "kraken"))
            market.proxies["kraken"].heal()
            await recovered(market, step)
