"""Faults of single feeds, by their rows in the fault matrix: found in time, alone, and healed by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bot.clock import monotonic_s
from connectors.events import Health, Kind
from tests.conformance.stall import Stall, Top, stalls
from tests.faults.market import PATIENCE_S, Market, book_of, open_market
from tests.servers.proxy import Pick, corrupt, drop, duplicate, each, swap
from tests.servers.refusals import maintenance


def everyone() -> tuple[Stall, ...]:
    """One stall for every venue; where a venue has several lanes, the first by name.

    Pools are proved by the contracts of their sides, which needs a chain: tests/chain and the conformance suite.
    """
    return tuple({stall.venue: stall for stall in reversed(stalls()) if stall.feed != "pools"}.values())


@contextmanager
def report(row: int, what: str) -> Iterator[dict[str, float]]:
    """Prints the times of a fault's story."""
    times: dict[str, float] = {}
    yield times
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items())
    print(f"fault {row} ({what}): {said}")


def others_live(market: Market, venue: str) -> bool:
    """Whether every other venue is up and seen as it is."""
    return not market.differs([venue]) and all(name.startswith(f"{venue}:") for name in market.not_up())


def price_of(stall: Stall, step: int) -> Pick:
    """Messages that carry the price that a step shows."""
    return each(book_of(stall.instruments[0], step).bid.encode())


async def recovered(market: Market, step: int) -> float:
    """Seconds until all is seen as it is shown; a venue that tells only changes is made to tell them again."""
    begun = monotonic_s()
    while True:
        for stall in market.stalls.values():
            if not stall.snapshots:
                for instrument in stall.instruments:
                    await market.show(instrument, book_of(instrument, step))
        try:
            await market.agrees(patience_s=0.5)
        except AssertionError:
            if monotonic_s() - begun > PATIENCE_S:
                raise
        else:
            return monotonic_s() - begun


@pytest.mark.timeout(240)
async def test_all_venues_at_once_are_seen_as_they_are() -> None:
    """
    One daemon follows every venue: its columns are the venues' own books, through many changes.
    """
    async with open_market(everyone()) as market:
        print(f"all up and equal after {await market.agrees(patience_s=60):.2f} s")
        for step in range(1, 40):
            await market.show_all(step)
        await market.agrees()
        assert {i.venue for i in market.daemon.universe} == set(market.stalls)


@pytest.mark.timeout(240)
async def test_row_1_a_reset_is_found_and_healed_alone() -> None:
    """
    1. Each venue's connections are reset in turn: it is down, nothing of it may be traded, the others go on; it is
    back with the book of that moment.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        for step, (venue, stall) in enumerate(market.stalls.items(), 1):
            with report(1, venue) as times:
                market.proxies[venue].refusing = True
                market.proxies[venue].reset()
                name = stall.instruments[0].name
                times["detected"] = await market.until(lambda n=name: market.state(n) is Health.DOWN)  # type: ignore[misc]
                await market.show_all(step)
                await market.until(lambda v=venue: others_live(market, v))  # type: ignore[misc]
                assert not market.eligible(name)
                market.proxies[venue].heal()
                if not stall.snapshots:
                    await stall.follows(market.servers[venue], 2)
                    await market.show_all(step)
                times["recovered"] = await market.agrees()


@pytest.mark.timeout(240)
async def test_row_2_a_line_that_is_open_and_silent_is_found() -> None:
    """
    2. Nothing passes any more on all lines but one, and no end is told: each is down before long, the one goes on,
    and all are back after the fault.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        *held, spared = market.stalls
        with report(2, ", ".join(held)) as times:
            for venue in held:
                market.proxies[venue].down.hold()
                market.proxies[venue].up.hold()
            names = [stall.instruments[0].name for venue, stall in market.stalls.items() if venue != spared]
            times["detected"] = await market.until(lambda: all(market.state(n) is Health.DOWN for n in names))

            assert not any(market.eligible(name) for name in names)
            await market.show_all(1)
            await market.until(lambda: not market.differs(held))
            for venue in held:
                market.proxies[venue].heal()
            times["recovered"] = await recovered(market, 1)


def crossed(market: Market, venue: str) -> int:
    """How often a venue's book was refused for being crossed or locked."""
    rejected = market.daemon.inbox.rejected
    return sum(rejected[venue, word] for word in {"crossed", "locked", market.stalls[venue].crossed})


@pytest.mark.timeout(240)
async def test_row_4_a_crossed_book_is_refused_and_never_traded() -> None:
    """
    4. Bid above ask, and bid equal to ask, at every venue in turn: counted, not believed, not eligible; the next sane
    book is.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        for step, (venue, stall) in enumerate(market.stalls.items(), 1):
            name = stall.instruments[0].name
            # A source of one price and its error has no locked book: there bid = ask is a price without error.
            locked = [("400.75", "400.75")] if stall.kind is Kind.QUOTE else []
            for bid, ask in (("401", "400.5"), *locked):
                before = crossed(market, venue)
                await stall.show(market.servers[venue], stall.instruments[0], Top(bid, ask))
                await market.until(lambda v=venue, n=before: crossed(market, v) > n)  # type: ignore[misc]
                seen = market.seen(name)
                assert seen is not None
                assert float(seen.bid) < float(seen.ask)
            with report(4, venue) as times:
                await market.show_all(step)
                times["recovered"] = await recovered(market, step)


@pytest.mark.timeout(240)
async def test_row_6_a_lost_message_is_no_lasting_error() -> None:
    """
    6. One message of each venue is lost: after the next change the columns are the venue's book, whether the gap was
    bridged by a new snapshot or the message was whole in itself.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        with report(6, "all") as times:
            lost = {}
            for venue, stall in market.stalls.items():
                way = market.proxies[venue].down
                if not way.messages:
                    continue  # no websocket: what is asked again is no message that can be lost
                lost[venue] = way.messages
                way.edits.append(drop(price_of(stall, 1)))
            await market.show_all(1)
            await market.until(lambda: all(market.proxies[v].down.messages > n for v, n in lost.items()))
            for proxy in market.proxies.values():
                proxy.heal()
            await market.show_all(2)
            times["recovered"] = await recovered(market, 2)


@pytest.mark.timeout(240)
async def test_row_7_messages_in_the_wrong_order_or_twice_end_in_the_venues_book() -> None:
    """
    7. Two messages change places, then every message comes twice: what is seen in the end is what the venue shows.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        with report(7, "all") as times:
            for stall in market.stalls.values():
                market.proxies[stall.venue].down.edits.append(swap(price_of(stall, 1)))
            await market.show_all(1)
            await market.show_all(2)
            times["order"] = await recovered(market, 2)
            for stall in market.stalls.values():
                market.proxies[stall.venue].down.heal()
                market.proxies[stall.venue].down.edits.append(duplicate(each()))
            for step in range(3, 8):
                await market.show_all(step)
            times["twice"] = await recovered(market, 7)


BAD_NUMBERS = (b"-400.25", b"0", b"NaN", b'"NaN"', b'"inf"', b"1e999", b"9" * 400, b'"x"', b"null", b"{}", b"[]")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("bad", BAD_NUMBERS, ids=lambda b: b.decode()[:8])
async def test_row_8_a_number_that_is_none_never_reaches_the_columns(bad: bytes) -> None:
    """
    8. The first price of a message is replaced by what is no price, at every venue that speaks text: it is refused or
    the line is begun anew, nothing falls over, and the next book is believed.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        with report(8, bad.decode()[:8]) as times:
            for stall in market.stalls.values():
                pattern = rb'"?400\.25"?'
                market.proxies[stall.venue].down.edits.append(corrupt(price_of(stall, 1), pattern, bad))
            await market.show_all(1)
            for proxy in market.proxies.values():
                proxy.heal()
            for name in market.shown:
                seen = market.seen(name)
                assert seen is not None
                assert 0 < float(seen.bid) < float(seen.ask) < 1000
            await market.show_all(2)
            times["recovered"] = await recovered(market, 2)
        assert not [line for line in market.said if "fault of its adapter" in line]


@pytest.mark.timeout(240)
async def test_row_31_a_maintenance_page_is_not_an_end() -> None:
    """
    31. Every venue answers 503 with a page in HTML to every call and handshake after its lines were cut: all are told
    as not up, and come back by themselves.
    """
    async with open_market(everyone()) as market:
        await market.agrees(patience_s=60)
        with report(31, "all") as times:
            for proxy in market.proxies.values():
                proxy.refusals.append(maintenance())
                proxy.reset()
            names = [stall.instruments[0].name for stall in market.stalls.values()]
            times["detected"] = await market.until(lambda: all(market.state(n) is not Health.UP for n in names))
            for proxy in market.proxies.values():
                proxy.heal()
            await market.show_all(1)
            times["recovered"] = await recovered(market, 1)
