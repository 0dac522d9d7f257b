"""The ccxt feed on every venue that has a local server, and plain ccxt.pro beside it as the second witness."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.cex.instance import redirected
from connectors.errors import SymbolUnknown
from connectors.events import Kind
from connectors.instruments import Instrument, Role
from tests.connectors.ccxt_cases import CASES, Case, tops
from tests.servers.heard import Heard
from tests.servers.refusals import calls, maintenance
from tests.servers.venue import PATIENCE_S

BIDS = [("400.10", "3"), ("400.00", "9"), ("399.50", "1")]
ASKS = [("400.30", "2"), ("400.40", "7")]


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


@pytest.fixture(params=CASES, ids=lambda c: c.name)
def case(request: pytest.FixtureRequest) -> Case:
    """Each venue's book in turn."""
    return request.param  # type: ignore[no-any-return]


async def test_two_witnesses_end_with_the_same_book_prints_and_error(pro: Any, case: Case) -> None:
    """
    The same script, with a page of maintenance, a book that changes and prints, tells ccxt.pro and us the same.
    """
    heard, symbol = Heard(), case.instrument.symbol
    prints: list[tuple[float, float, str]] = []

    async def listen(exchange: Any) -> None:
        while True:
            prints.extend((t["price"], t["amount"], t["side"]) for t in await exchange.watch_trades(symbol))

    async with case.server() as server:
        server.refusals = [maintenance(calls)]
        await case.whole(server, BIDS, ASKS)
        options = {"trades": True, "funding_s": float("inf")}
        async with (
            case.feeding(server, heard, options=options, depth_every_s=1e-9) as feed,
            case.plain(pro, server) as exchange,
        ):
            with pytest.raises(pro.ExchangeNotAvailable) as refusal:
                await exchange.load_markets()
            await heard.until(lambda: heard.rejected[feed.venue, "disconnected"] > 0)
            assert type(refusal.value).__name__ in heard.details[feed.venue, "disconnected"]
            server.refusals.clear()
            await exchange.load_markets()
            listening = asyncio.create_task(listen(exchange))
            book = asyncio.create_task(exchange.watch_order_book(symbol))
            await case.followed(server, case.book, 2)
            await case.followed(server, case.prints, 2)
            await case.change(server, bids=[("400.20", "1")], asks=[("400.30", "0"), ("400.25", "4")])
            theirs = await book
            await case.trade(server, "400.25", "2")
            await case.trade(server, "400.20", "1", sold=True)
            await case.change(server, bids=[("400.00", "0")], asks=[("400.25", "5")])
            async with asyncio.timeout(PATIENCE_S):
                while theirs["asks"][0][1] != 5.0:
                    theirs = await exchange.watch_order_book(symbol)
            await heard.until(lambda: bool(heard.levels) and heard.levels[-1][1][0] == (400.25, 5.0 * case.unit))
            await heard.until(lambda: sum(row.kind is Kind.TRADE for row in heard.rows) == 2)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    ours = [[(price, pytest.approx(size)) for price, size in side] for side in heard.levels[-1]]
    assert ours == [[(price, size * case.unit) for price, size, *_ in theirs[side]] for side in ("bids", "asks")]
    said = [(r.bid, r.ask_size, "buy" if r.extra > 0 else "sell") for r in heard.rows if r.kind is Kind.TRADE]
    assert [(400.25, pytest.approx(2 * case.unit), "buy"), (400.20, pytest.approx(case.unit), "sell")] == said
    assert [(price, size / case.unit, side) for price, size, side in said] == [
        (price, pytest.approx(size), side) for price, size, side in prints
    ]
    assert 0 == feed.count("merged")


async def test_another_exchange_works_by_its_name(pro: Any) -> None:
    """
    An exchange without an entry in the table streams; here one of ccxt's whose protocol is the local Binance's.
    """
    from connectors.cex.quirks import QUIRKS

    case = CASES[0]
    other = Instrument(venue="elsewhere", symbol="BTC/USDT", role=Role.TOKEN, token="BTC", quote="USDT")
    heard = Heard()
    assert "binanceus" not in QUIRKS
    async with case.server() as server:
        await server.whole("BTCUSDT", bids=[("61000", "1")], asks=[("61001", "2")])
        from connectors.cex.ccxt_feed import CcxtFeed
        from tests.servers.heard import setup_for

        feed = CcxtFeed(setup_for(server, other, exchange="binanceus"))
        running = asyncio.create_task(feed.run(heard, {other.name: 0}))
        await case.followed(server, ("spot", "btcusdt@depth@100ms"))
        await heard.until(lambda: tops(heard) == [(61000.0, 61001.0)])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_book_that_begins_with_a_change_is_waited_for(pro: Any) -> None:
    """
    Gate's contracts have no book before the first change: a quiet market is counted, not called dead.
    """
    case, heard = next(c for c in CASES if c.name == "gate contracts"), Heard()
    async with case.server() as server:
        await case.whole(server, BIDS, ASKS)
        options = {"funding_s": float("inf"), "status_s": float("inf")}
        async with case.feeding(server, heard, first_message_s=0.2, options=options):
            await case.followed(server, case.book)
            await heard.until(lambda: heard.rejected["gate", "no_first_message"] > 0)
            await case.change(server, bids=[("400.20", "1")])
            await heard.until(lambda: tops(heard)[-1:] == [(400.2, 400.3)])
        assert 1 == server.connections
    assert {("gate", "no_first_message"): 1} == dict(heard.rejected)


async def test_an_exchange_that_ccxt_does_not_have_stops_this_venue(pro: Any) -> None:
    """
    A name that is no exchange of ccxt is said and not retried, by the stream and by the probe.
    """
    from connectors.cex.ccxt_feed import CcxtFeed
    from tests.servers.heard import setup_for

    async with CASES[0].server() as server:
        feed = CcxtFeed(setup_for(server, CASES[0].instrument, exchange="nosuchplace"))
        with pytest.raises(SymbolUnknown, match="nosuchplace"):
            await feed.run(Heard(), {CASES[0].instrument.name: 0})
        (finding,) = await feed.probe()
    assert (False, "nosuchplace") == (finding.ok, finding.subject)


def test_no_address_of_any_venue_in_the_table_escapes_the_redirection(pro: Any) -> None:
    """
    With `url` set, every address of the venues that have an entry points to it.
    """
    from connectors.cex.quirks import QUIRKS

    def leaves(tree: Any) -> list[str]:
        if isinstance(tree, dict):
            return [leaf for value in tree.values() for leaf in leaves(value)]
        return [tree] if isinstance(tree, str) else []

    for name in QUIRKS:
        found = leaves(redirected(getattr(pro, name)().urls["api"], "http://127.0.0.1:1"))
        assert found
        assert not [address for address in found if "127.0.0.1:1" not in address], name
