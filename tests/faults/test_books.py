"""Faults of books that look alive: repeated old data and wrong checksums, with the whole daemon on Kraken and Bybit."""

from __future__ import annotations

import pytest

from connectors.events import Health
from tests.conformance.stall import Stall, stalls
from tests.faults.market import book_of, open_market
from tests.faults.test_feeds import report

NATIVE = tuple(stall for stall in stalls() if stall.feed == stall.venue and stall.venue in ("kraken", "bybit"))


@pytest.mark.timeout(240)
async def test_row_3_old_data_in_new_envelopes_is_not_traded() -> None:
    """
    3. The stream repeats its last data with new times and numbers while the venue's price has moved: the venue's own
    snapshot tells, the instrument is no longer up, the other venue goes on; after the fault it is seen as it is.
    """
    async with open_market(NATIVE, compare_s=1.0) as market:
        await market.agrees(patience_s=60)
        for step, stall in enumerate(NATIVE, 1):
            server, name = market.servers[stall.venue], stall.instruments[0].name
            with report(3, stall.venue) as times:
                server.frozen = True
                await market.show(stall.instruments[0], book_of(stall.instruments[0], step))
                times["detected"] = await market.until(lambda n=name: market.state(n) is not Health.UP)  # type: ignore[misc]
                await market.until(lambda n=name: not market.eligible(n))  # type: ignore[misc]
                assert not market.differs([stall.venue])
                server.frozen = False
                await market.show_all(step)
                times["recovered"] = await market.agrees()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("stall", [s for s in NATIVE if s.venue == "kraken"], ids=lambda s: s.name)
async def test_row_5_a_wrong_checksum_is_not_used(stall: Stall) -> None:
    """
    5. One message's checksum is not that of the book: counted, nothing of it in the columns, and the book is that of
    the venue again on the same connection.
    """
    async with open_market(NATIVE) as market:
        await market.agrees(patience_s=60)
        server, inbox = market.servers[stall.venue], market.daemon.inbox
        name, before = stall.instruments[0].name, market.seen(stall.instruments[0].name)
        with report(5, stall.venue) as times:
            server.corrupt_checksum = True
            await market.show(stall.instruments[0], book_of(stall.instruments[0], 1))
            times["detected"] = await market.until(lambda: inbox.rejected[stall.venue, "checksum"] > 0)
            assert before == market.seen(name)
            server.corrupt_checksum = False
            await market.show_all(2)
            times["recovered"] = await market.agrees()
        assert not market.differs()
