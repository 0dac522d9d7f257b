"""Oracles on a real node: what is fresh, and what is called although it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.events import NS, Flag, Health, Kind, Why
from connectors.evm.onchain import OnchainFeed
from connectors.evm.rpc import MULTICALL3
from connectors.instruments import Hours, Instrument, Role, UnitModel
from tests.chain.looks import looking
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil


@pytest.fixture
async def node(chain: Parts) -> AsyncIterator[Anvil]:
    """A chain with Multicall3 at its usual address."""
    async with Anvil(chain.anvil) as node:
        await node.put(MULTICALL3, chain.artifact("Multicall3"))
        yield node


async def test_an_oracle_is_fresh_for_its_heartbeat_and_repeats_nothing(chain: Parts, node: Anvil) -> None:
    """
    13. A new round is one row at the time of its update; the same round again is none; past the heartbeat the source is
    late, whatever it answers; a price of 0 is no price.
    """
    feed = await node.deploy(chain.artifact("Aggregator"), 8, "TSLA / USD")
    share = Instrument(venue="chain", symbol=feed.address, role=Role.SHARE, underlying="TSLA", hours=Hours.WEEKDAYS)
    now = await node.now()
    await feed.write("set", 43_380_934_000, now)
    async with looking(share, url=node.url, heartbeat_s=3600.0) as looks:
        (row,) = [row for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (433.80934, 433.80934, now * NS, Flag.ONE_PRICE) == (row.bid, row.ask, row.ts_venue, row.flags)
        await node.at(now + 3000)
        assert [] == await looks.look()
        await node.at(now + 4000)
        await looks.look()
        assert (Health.DEGRADED, Why.LAGS) == looks.state
        await feed.write("set", 43_000_000_000, now + 3990)
        assert [430.0] == [row.bid for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (Health.UP, Why.NOTHING) == looks.state
        await feed.write("set", 0, now + 4000)
        assert [] == [row for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (Health.DOWN, Why.NOT_HEARD) == looks.state


async def test_pyth_on_chain_tells_price_and_confidence_by_its_publish_time(chain: Parts, node: Anvil) -> None:
    """
    The interval around the price is bid and ask; a minute after it was published it is late.
    """
    prices = await node.deploy(chain.artifact("PythPrices"))
    feed_id, now = "0x" + "7a" * 32, await node.now()
    share = Instrument(venue="chain", symbol=feed_id, role=Role.SHARE, underlying="TSLA")
    await prices.write("set", bytes.fromhex(feed_id[2:]), 43_380_934, 2_000, -5, now)
    async with looking(share, url=node.url, pyth=prices.address) as looks:
        (row,) = [row for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (pytest.approx(433.78934), pytest.approx(433.82934), now * NS) == (row.bid, row.ask, row.ts_venue)
        await node.at(now + 120)
        await looks.look()
        assert (Health.DEGRADED, Why.LAGS) == looks.state


STALE, AHEAD = (Health.DEGRADED, Why.LAGS), (Health.DEGRADED, Why.CLOCK)
UNREAD = (Health.DOWN, Why.NOT_HEARD)
ROUNDS = {
    "stale": ((7, 400 * 10**8, -4000, 7), STALE, "updated 4000 s ago, 3600 s are its measure"),
    "old_round": ((7, 400 * 10**8, -5, 6), STALE, "round 7 has the answer of round 6"),
    "from_the_future": ((7, 400 * 10**8, 600, 7), AHEAD, "updated 600 s after its block"),
    "bad_message": ((7, 0, -5, 7), UNREAD, "answer 0 is not above zero"),
    "bad_message of a debt": ((7, -400 * 10**8, -5, 7), UNREAD, "answer -40000000000 is not above zero"),
    "bad_message of nothing": ((7, 400 * 10**8, None, 0), UNREAD, "round 7 was never answered"),
}


@pytest.mark.parametrize("case", ROUNDS)
async def test_an_aggregator_that_answers_is_not_fresh_for_that(case: str, chain: Parts, node: Anvil) -> None:
    """
    13. A round that is too old, has the answer of an older round, is from the future, has no price above zero or was
    never answered: no print, a reason and a word with numbers, told once; a good round after it is a print.
    """
    (round_, answer, off_s, answered_in), state, detail = ROUNDS[case]
    word = case.partition(" ")[0]
    feed = await node.deploy(chain.artifact("Aggregator"), 8, "TSLA / USD")
    share = Instrument(venue="chain", symbol=feed.address, role=Role.SHARE, underlying="TSLA")
    at = await node.now() + 100
    await feed.write("say", round_, answer, 0 if off_s is None else at + off_s, answered_in)
    await node.at(at)
    async with looking(share, url=node.url, heartbeat_s=3600.0) as looks:
        for _ in range(2):
            assert [] == [row for row in await looks.look() if row.kind is Kind.REFERENCE]
            assert state == looks.state
        assert detail in looks.heard.details["chain", word]
        if word != "bad_message":
            assert 1 == looks.heard.rejected["chain", word]
        (found,) = [one for one in await OnchainFeed(looks.setup).probe() if one.what == "symbol"]
        assert (False, True) == (found.ok, detail in found.detail + found.hint)
        await feed.write("say", 8, 410 * 10**8, at, 8)
        assert [410.0] == [row.bid for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (Health.UP, Why.NOTHING) == looks.state


async def test_a_token_under_another_address_is_not_taken_for_an_oracle_in_silence(chain: Parts, node: Anvil) -> None:
    """
    51. An address that is not the contract which the registry has for that token can only be an oracle of it; where it
    does not answer as one, what is told names the contract that is meant.
    """
    meant = "0x" + "5a" * 20
    token = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLA", 18)
    other = Instrument(
        venue="chain", symbol=token.address, role=Role.TOKEN, underlying="TSLA", token="TSLA", issuer="robinhood",
        chain="test", contract=meant, unit_model=UnitModel.TOTAL_RETURN,
    )  # fmt: skip
    async with looking(other, url=node.url) as looks:
        await looks.look()
        assert UNREAD == looks.state
        assert f"the contract of TSLA is {meant}" in looks.heard.details["chain", "bad_message"]


PUBLISHED = {
    "stale": ((43_380_934, 2_000, -5, -70), STALE, "updated 70 s ago"),
    "from_the_future": ((43_380_934, 2_000, -5, 600), AHEAD, "updated 600 s after"),
    "bad_message": ((0, 2_000, -5, -1), UNREAD, "price 0"),
    "bad_message of a debt": ((-1, 2_000, -5, -1), UNREAD, "price -1"),
}


@pytest.mark.parametrize("case", PUBLISHED)
async def test_pyth_that_answers_is_not_fresh_for_that(case: str, chain: Parts, node: Anvil) -> None:
    """
    13. Published too long ago or in the future, or no price above zero: no print, and a reason with numbers.
    """
    (price, conf, expo, off_s), state, detail = PUBLISHED[case]
    prices, feed_id = await node.deploy(chain.artifact("PythPrices")), "0x" + "7a" * 32
    share = Instrument(venue="chain", symbol=feed_id, role=Role.SHARE, underlying="TSLA")
    at = await node.now() + 1000
    await prices.write("set", bytes.fromhex(feed_id[2:]), price, conf, expo, at + off_s)
    await node.at(at)
    async with looking(share, url=node.url, pyth=prices.address) as looks:
        assert [] == [row for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert state == looks.state
        assert detail in looks.heard.details["chain", case.partition(" ")[0]]
        await prices.write("set", bytes.fromhex(feed_id[2:]), 43_000_000, conf, -5, at)
        assert [430.0] == [
            round((row.bid + row.ask) / 2, 6) for row in await looks.look() if row.kind is Kind.REFERENCE
        ]


async def test_where_the_sequencer_is_down_no_oracle_is_fresh(chain: Parts, node: Anvil) -> None:
    """
    13. A chain's sequencer stops: what was updated a second ago is late, with the reason; it stays so for an hour after
    the sequencer is back, then the newest round is told. An uptime feed that says neither is no word at all.
    """
    feed = await node.deploy(chain.artifact("Aggregator"), 8, "TSLA / USD")
    uptime = await node.deploy(chain.artifact("Aggregator"), 0, "uptime")
    share = Instrument(venue="chain", symbol=feed.address, role=Role.SHARE, underlying="TSLA")
    now = await node.now()
    await uptime.write("set", 0, now - 10_000)
    await feed.write("set", 400 * 10**8, now)
    async with looking(share, url=node.url, sequencer=uptime.address) as looks:
        told = [row.bid for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert ([400.0], (Health.UP, Why.NOTHING)) == (told, looks.state)
        words = []
        for down, since, later in ((1, now + 10, 20), (0, now + 30, 40), (0, now + 30, 3000)):
            await uptime.write("set", down, since)
            await feed.write("set", 410 * 10**8, now + later)
            await node.at(now + later)
            assert [] == [row for row in await looks.look() if row.kind is Kind.REFERENCE]
            assert STALE == looks.state
            words.append(sorted(word for _, word in looks.heard.rejected))
        assert [["sequencer_down"], *2 * [["sequencer_down", "sequencer_restarted"]]] == words
        await node.at(now + 3700)
        assert [410.0] == [row.bid for row in await looks.look() if row.kind is Kind.REFERENCE]
        assert (Health.UP, Why.NOTHING) == looks.state
        await uptime.write("set", 2, now)
        await looks.look()
        assert UNREAD == looks.state
