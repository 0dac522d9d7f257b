"""Funding, marks, status, fees and levels as the ccxt lane reads them; and the probe's findings."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from connectors.cex.ccxt_feed import CcxtFeed
from connectors.cex.quirks import NONE, QUIRKS
from connectors.cex.terms import halted, near, number, period_s, read_funding, units_per_contract
from connectors.events import NAN, Flag, Health, Kind, Why
from connectors.instruments import Instrument, Role
from connectors.ports import Finding
from tests.connectors.ccxt_cases import CASES, Case, tops
from tests.servers.binance import BinanceServer
from tests.servers.gate import GateServer
from tests.servers.heard import Heard, setup_for
from tests.servers.hyperliquid import HyperliquidServer
from tests.servers.kraken import KrakenServer
from tests.servers.refusals import calls, forbidden, maintenance

BINANCE, GATE, HYPERLIQUID = (
    next(c for c in CASES if c.name == name) for name in ("binance futures", "gate contracts", "hyperliquid")
)
FIRST = ([("400.10", "3"), ("400.00", "9")], [("400.30", "2"), ("400.40", "7")])


@pytest.fixture(scope="module", autouse=True)
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


def fundings(heard: Heard) -> list[tuple[float, float, float, float]]:
    """Rate, period, open interest and mark of each FUNDING row."""
    return [(r.bid, r.ask, r.bid_size, r.ask_size) for r in heard.rows if r.kind is Kind.FUNDING]


@pytest.mark.parametrize(("hours", "period"), [(4, 4 * 3600.0), (None, 8 * 3600.0)])
async def test_binance_pays_by_its_list_of_periods_or_every_eight_hours(hours: int | None, period: float) -> None:
    """
    fundingInfo tells four hours; a contract that it leaves out pays every eight, as the venue documents.
    """
    heard = Heard()
    async with BinanceServer() as server:
        listing = server.listings["futures", "TSLAUSDT"]
        listing.rate, listing.mark, listing.interest, listing.hours = "0.00012500", "400.55", "5321.5", hours
        async with BINANCE.feeding(server, heard):
            await heard.until(lambda: bool(fundings(heard)))
    assert (0.000125, period, 5321.5, 400.55) == fundings(heard)[0]
    row = next(r for r in heard.rows if r.kind is Kind.FUNDING)
    assert 0.0 == row.extra % 3600.0


async def test_gates_period_and_interest_come_with_the_contract() -> None:
    """
    funding_interval is the period, also one that ccxt has no name for; contracts held become units.
    """
    heard = Heard()
    async with GateServer() as server:
        listing = server.listings["futures", "TSLAX_USDT"]
        listing.rate, listing.mark, listing.interest, listing.interval_s = "-0.00031", "399.5", "120000", 7200
        async with GATE.feeding(server, heard):
            await heard.until(lambda: bool(fundings(heard)))
    assert (-0.00031, 7200.0, 1200.0, 399.5) == fundings(heard)[0]


async def test_hyperliquid_pays_by_the_hour_and_its_prices_are_instruments() -> None:
    """
    The pinned dex alone is asked; mark and oracle are references with one price, read again and again.
    """
    heard, coin = Heard(), "XYZ-TSLA/USDC:USDC"
    mark, oracle = (
        Instrument(venue="hyperliquid", symbol=coin + end, role=Role.SHARE, underlying="TSLA", quote="USDC")
        for end in ("@mark", "@oracle")
    )
    async with HyperliquidServer() as server:
        server.coins["xyz:TSLA"].oracle, server.coins["xyz:TSLA"].mark = "401.0", "400.5"
        async with HYPERLIQUID.feeding(server, heard, mark, oracle, options={"funding_s": 0.02}):
            await heard.until(lambda: bool(heard.quotes(2)))
            server.coins["xyz:TSLA"].oracle = "402.0"
            await heard.until(lambda: heard.quotes(2)[-1].bid == 402.0)
            assert (Health.UP, Why.NOTHING) == heard.standing.state(1)
            server.coins["xyz:TSLA"].oracle = "0.0"
            await heard.until(lambda: (Health.DOWN, Why.NOT_HEARD) == heard.standing.state(2))
    assert (6.25e-6, 3600.0, 12345.6, 400.5) == fundings(heard)[0]
    assert {(Kind.REFERENCE, 400.5, 400.5, Flag.ONE_PRICE)} == {
        (r.kind, r.bid, r.ask, r.flags) for r in heard.quotes(1)
    }
    assert {"", "xyz"} == {body.get("dex", "") for body in server.bodies if body["type"] == "metaAndAssetCtxs"}


async def test_an_oracle_alone_needs_no_book() -> None:
    """
    A feed of which only the oracle is wanted opens no websocket and streams it.
    """
    heard = Heard()
    oracle = Instrument(venue="hyperliquid", symbol="XYZ-TSLA/USDC:USDC@oracle", role=Role.SHARE, quote="USDC")
    async with HyperliquidServer() as server:
        case = Case(**{**HYPERLIQUID.__dict__, "instrument": oracle})
        async with case.feeding(server, heard, options={"funding_s": 0.02}):
            await heard.until(lambda: len(heard.quotes(0)) >= 2)
        assert 0 == server.connections


async def test_maintenance_of_the_venue_closes_every_instrument() -> None:
    """
    The venue's own state is asked for, and closes what it says is closed.
    """
    heard = Heard()
    async with HyperliquidServer() as server:
        await HYPERLIQUID.whole(server, *FIRST)
        async with HYPERLIQUID.feeding(server, heard, options={"status_s": 0.02, "funding_s": math.inf}):
            await heard.until(lambda: bool(tops(heard)))
            server.maintenance = True
            await heard.until(lambda: (Health.CLOSED, Why.MAINTENANCE) == heard.standing.state(0))
            server.maintenance = False
            await heard.until(lambda: (Health.UP, Why.NOTHING) == heard.standing.state(0))


async def test_levels_are_told_when_they_change_and_not_too_often() -> None:
    """
    One DEPTH row for the first book, none before its time, and the newest levels when the time has come.
    """
    now, heard, case = [0.0], Heard(), CASES[0]
    async with case.server() as server:
        await case.whole(server, *FIRST)
        setup = {"monotonic": lambda: now[0], "depth_every_s": 0.05, "depth_levels": 2}
        async with case.feeding(server, heard, options={"status_s": math.inf}, **setup):
            await heard.until(lambda: len(heard.levels) == 1)
            await case.change(server, bids=[("400.20", "1")])
            await case.change(server, bids=[("400.21", "1")])
            await heard.until(lambda: tops(heard)[-1] == (400.21, 400.3))
            assert 1 == len(heard.levels)
            now[0] = 1.0
            await heard.until(lambda: len(heard.levels) == 2)
            now[0] = 2.0
            await case.change(server, bids=[("300", "1")])
            await heard.until(lambda: len(tops(heard)) == 4)
    assert [
        (((400.1, 3.0), (400.0, 9.0)), ((400.3, 2.0), (400.4, 7.0))),
        (((400.21, 1.0), (400.2, 1.0)), ((400.3, 2.0), (400.4, 7.0))),
    ] == heard.levels


def found(findings: tuple[Finding, ...], what: str, subject: str = "") -> Finding:
    """The one finding about something."""
    (one,) = [f for f in findings if (f.what, f.subject) == (what, subject)]
    return one


async def test_a_probe_tells_everything_about_a_venue() -> None:
    """
    Clock, latency, markets, each symbol with its status, fee, book and funding, and the budget of requests.
    """
    symbol = "TSLAX/USDT:USDT"
    wrong = Instrument(venue="gate", symbol="TSLAx/USDT", role=Role.TOKEN, token="TSLAx", quote="USDT")
    token = Instrument(venue="gate", symbol="NVDAX/USDT", role=Role.TOKEN, token="NVDAx", quote="USDT")
    async with GateServer() as server:
        await GATE.whole(server, *FIRST)
        server.listings["spot", "NVDAX_USDT"].status = "untradable"
        feed = CcxtFeed(setup_for(server, GATE.instrument, wrong, token, taker_fee_bps=10.0))
        findings = await feed.probe()
    assert found(findings, "clock").ok
    assert abs(found(findings, "clock").value or 9) < 1.0
    assert found(findings, "latency").ok
    assert (True, False, True) == tuple(found(findings, "symbol", s).ok for s in (symbol, "TSLAx/USDT", "NVDAX/USDT"))
    assert "TSLAX/USDT" in found(findings, "symbol", "TSLAx/USDT").hint
    assert (True, False) == tuple(found(findings, "status", s).ok for s in (symbol, "NVDAX/USDT"))
    fee = found(findings, "fees", "NVDAX/USDT")
    assert (False, 20.0, "bps") == (fee.ok, fee.value, fee.unit)
    assert "the config says 10" in fee.detail
    assert (False, pytest.approx(7.5)) == (found(findings, "fees", symbol).ok, found(findings, "fees", symbol).value)
    assert found(findings, "funding", symbol).ok
    assert "400.1 / 400.3" == found(findings, "entitlement", f"book of {symbol}").detail
    assert "199" in found(findings, "rate_budget").detail
    assert json.loads(json.dumps([f.detail for f in findings]))


async def test_a_fee_out_of_a_table_is_not_called_read() -> None:
    """
    Where the venue publishes none, ccxt's number is shown as what it is, and agrees or disagrees with nothing.
    """
    async with HyperliquidServer() as server:
        await HYPERLIQUID.whole(server, *FIRST)
        findings = await CcxtFeed(setup_for(server, HYPERLIQUID.instrument, taker_fee_bps=4.5)).probe()
    fee = found(findings, "fees", HYPERLIQUID.instrument.symbol)
    assert fee.ok is None
    assert "not read" in fee.detail


async def test_a_probe_of_a_venue_that_refuses_is_findings_too() -> None:
    """
    A lost right and a page of maintenance are said with what to do, and nothing is raised.
    """
    for refusal, what, word in ((forbidden(401, calls), "entitlement", "key"), (maintenance(calls), "reachable", "")):
        async with GateServer() as server:
            server.refusals = [refusal]
            findings = await CcxtFeed(setup_for(server, GATE.instrument)).probe()
        markets = found(findings, what, "list of markets")
        assert not markets.ok
        assert word in markets.hint
        assert [False] == [f.ok for f in findings if f.subject == "fetch_time"]


async def test_a_probe_reads_the_published_fee_of_an_xstock() -> None:
    """
    Kraken's list holds the fee of a tokenized share, and its clock is told to the second.
    """
    xstock = Instrument(venue="kraken", symbol="TSLAx/USD", role=Role.TOKEN, token="TSLAx", underlying="TSLA")
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.10", "3")], asks=[("400.30", "2")])
        findings = await CcxtFeed(setup_for(server, xstock)).probe()
    assert found(findings, "fees", "TSLAx/USD").value is not None
    assert "the venue's list" in found(findings, "fees", "TSLAx/USD").detail
    assert found(findings, "clock").ok
    assert found(findings, "entitlement", "book of TSLAx/USD").ok


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("8h", 28800.0), ("1h", 3600.0), ("30m", 1800.0), ("1d", 86400.0), ("7200000", 7200.0), ("", NAN), (None, NAN)],
)
def test_a_period_is_read_or_not_known(interval: object, seconds: float) -> None:
    """
    ccxt's words for periods and its bare milliseconds; anything else is NaN, never eight hours.
    """
    assert seconds == pytest.approx(period_s(interval), nan_ok=True)


def test_funding_without_a_period_or_with_rubbish_is_nan() -> None:
    """
    What is no finite number is NaN, a price of zero too; without a list of periods none is assumed.
    """
    rate = {"fundingRate": "Infinity", "markPrice": 0, "indexPrice": True, "fundingTimestamp": None, "info": []}
    terms = read_funding(rate, {}, NONE, interest={"openInterestAmount": -1})
    for value in (terms.rate, terms.period_s, terms.open_interest, terms.mark, terms.oracle, terms.next_s):
        assert math.isnan(value)
    assert math.isnan(read_funding({}, {}, QUIRKS["gate"], listed="").period_s)
    assert math.isnan(read_funding({}, {}, QUIRKS["binance"]).period_s)  # its list was not asked


def test_sizes_of_contracts_are_units_or_not_known() -> None:
    """
    Linear contracts are multiplied, inverse ones have no size in units, spot is what it is.
    """
    assert 1.0 == units_per_contract({"contract": False})
    assert 0.01 == units_per_contract({"contract": True, "linear": True, "contractSize": 0.01})
    assert math.isnan(units_per_contract({"contract": True, "linear": False, "contractSize": 1}))
    assert math.isnan(units_per_contract({"contract": True, "linear": True, "contractSize": None}))


def test_a_halt_is_said_or_not_known() -> None:
    """
    active is trading, inactive is halted, absent says nothing.
    """
    assert [False, True, None] == [halted({"active": value}) for value in (True, False, None)]


def test_names_that_may_have_been_meant_come_first_by_their_letters() -> None:
    """
    Another case, then the same base in another coin, then what looks alike; nothing for a name like no other.
    """
    listed = ["BTC/USDT", "TSLAX/USDT", "TSLAX/USD", "TSLA/USDC"]
    assert "TSLAX/USDT" == near("TSLAx/USDT", listed)[0]
    assert {"TSLAX/USDT", "TSLAX/USD"} <= set(near("TSLAX/EUR", listed))
    assert () == near("ZZZZ/QQQ", listed)


@pytest.mark.parametrize(
    ("value", "expected"), [("1.5", 1.5), (2, 2.0), ("x", NAN), (None, NAN), (True, NAN), ("nan", NAN)]
)
def test_a_number_is_finite_or_nan(value: object, expected: float) -> None:
    """
    Texts are read, everything else is NaN.
    """
    assert expected == pytest.approx(number(value), nan_ok=True)
