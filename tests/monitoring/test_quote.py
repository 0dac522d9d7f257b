"""One token in full: every number of a small market worked out by hand, every unknown with its reason."""

from __future__ import annotations

from decimal import Decimal
from math import exp, sqrt

import msgspec
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.quote_text import tell  # noqa: E402 - the kernel's cache must be chosen first
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NEVER, NS, Flag, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.ports import Book, Levels  # noqa: E402
from monitoring.decisions import Tally  # noqa: E402
from monitoring.facts import FeedState, StreamState  # noqa: E402
from monitoring.quote import Market, quote  # noqa: E402
from monitoring.quote_lines import Origin, Quote, VenueQuote  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.pricing.costs import Component, Cost, Costs, Missing  # noqa: E402
from tests.monitoring.played import play  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
POOL, EXCHANGE, SERIES, SHARE, COIN = range(5)
TOKEN = {"role": Role.TOKEN, "token": "Sx", "underlying": "S", "unit_model": UnitModel.SCALED_UI, "multiplier": 2.0}
UNIVERSE = Universe(
    (
        Instrument(venue="pool", symbol="Sx/USDT", quote="USDT", **TOKEN),  # type: ignore[arg-type]
        Instrument(venue="exchange", symbol="Sx/USD", **TOKEN),  # type: ignore[arg-type]
        Instrument(venue="series", symbol="Sx", one_price=True, **TOKEN),  # type: ignore[arg-type]
        Instrument(venue="share", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="fx", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)
BOOK = Book(bids=((200.4, 2.0), (200.0, 100.0)), asks=((200.8, 2.0), (201.0, 8.0)))
NO_FEE = Costs(missing=(Missing(Component.TAKER_FEE, "write it"),))
COSTS = (
    Costs((Cost(Component.TAKER_FEE, "", bps=Decimal(10)), Cost(Component.GAS, "", usd=Decimal("0.5")))),
    Costs((Cost(Component.TAKER_FEE, "", bps=Decimal(2)),)),
    *[NO_FEE] * 3,
)


def told(
    *, weight: float = 0.0, offset: float = 0.0, later_s: int = 0, doubt: int = -1, size: float | None = None,
    feeds: tuple[FeedState, ...] = (), coin: float = 0.999, crossed: bool = False,
    costs: tuple[Costs, ...] = COSTS,
) -> Quote:  # fmt: skip
    """
    The share at 99.95 / 100.05 with an error of 3 bps, the pool at 200.4 / 200.8 USDT with a book, the exchange at
    199.9 / 200.1 with 10 units a side and this weight, the series at 201; asked some seconds later.
    """
    facts = [Facts(max_age_ns=60 * NS, source_error=3e-4) for _ in UNIVERSE]
    columns = Columns(UNIVERSE, facts, Beliefs(max_error=0.1, default_daily_vol=0.02), load_sessions())
    columns.enter_session(NOON)
    rows = [
        (COIN, Kind.FX, coin, coin, 1e6, 1e6, Flag.ONE_PRICE),
        (SHARE, Kind.REFERENCE, 99.95, 100.05, 100.0, 100.0, Flag(0)),
        (POOL, Kind.QUOTE, 200.4, 200.8, 2.0, 2.0, Flag(0)),
        (EXCHANGE, Kind.QUOTE, 199.9, 200.1, 10.0, 10.0, Flag(0)),
        (SERIES, Kind.QUOTE, 201.0, 201.0, 5.0, 5.0, Flag.ONE_PRICE),
    ]
    if crossed:
        rows.append((EXCHANGE, Kind.QUOTE, 200.1, 199.9, 10.0, 10.0, Flag(0)))
    for number, kind, bid, ask, bid_size, ask_size, flags in rows:
        row = Row(
            ts_recv=NOON, instrument=number, kind=kind, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size,
            flags=flags,
        )  # fmt: skip
        columns.scan(Rows.of([row]), 0, NEVER)
    if weight:
        columns.weigh(EXCHANGE, weight, offset)
    if doubt >= 0:
        columns.doubt(doubt, Why.BASIS)
    if later_s:
        columns.scan(Rows.of([Row(ts_recv=NOON + later_s * NS, instrument=0, kind=Kind.TICK)]), 0, NEVER)

    def levels(number: int) -> Levels | None:
        return BOOK if number == POOL else None

    market = Market(
        columns=columns,
        tally=Tally(UNIVERSE),
        costs=costs,
        levels=levels,
        feeds=lambda: feeds,
        multiplier=lambda number: 2.0,
        alarms=False,
    )
    return quote(market, (POOL, EXCHANGE, SERIES), (0,), "Sx", Origin(how="test"), size)


def at(answer: Quote, number: int) -> VenueQuote:
    """The line of an instrument."""
    return next(venue for venue in answer.venues if venue.instrument == UNIVERSE[number].name)


ERROR = sqrt(3.0**2 + (5.0 / 1.5) ** 2)
"""Of the share, bps."""


def test_terms_that_contradict_each_other_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The exchange says 99 with 10 bps where the share says 100 with 4.5: the error is wider than either's, by how much
    is a term of its own and a sentence, and its own premium is judged by the share's error alone.
    """
    answer = told(weight=1e6, offset=0.01)
    (share,) = answer.shares
    assert share.fair is not None
    assert share.fair.stretch > 3
    line = next(line for line in share.errors if line.what == "contradiction")
    assert ("", pytest.approx(1 - share.fair.stretch**-2)) == (line.source, line.part)
    assert share.fair.error_bps == pytest.approx(sqrt(sum(line.sigma_bps**2 for line in share.errors)))
    exchange = at(answer, EXCHANGE)
    assert exchange.fair is not None
    assert (1.0, ERROR) == (exchange.fair.stretch, pytest.approx(exchange.fair.error_bps))
    tell(answer, explain=True)
    sentence = f"witnesses contradict each other: error x {share.fair.stretch:.1f}"
    assert 2 == capsys.readouterr().out.count(sentence)
    tell(told(weight=1e6), explain=True)
    assert "contradict" not in capsys.readouterr().out


def test_premia_with_and_without_the_coin_are_as_by_hand() -> None:
    """
    200.6 USDT at 0.999 for two shares are 100.1997 a share: 19.97 bps above 100, and 30 were the coin worth a dollar.
    """
    pool = at(told(), POOL)
    assert "" == pool.unknown
    assert (200.6, 200.6 * 0.999, 200.0) == pytest.approx((pool.price, pool.price_usd, pool.fair_usd))
    assert (19.97, 30.0) == pytest.approx((pool.premium_bps, pool.premium_at_par_bps), abs=1e-6)
    assert pytest.approx(19.97 / ERROR, rel=1e-6) == pool.sigmas
    assert pool.coin is not None
    assert ("USDT", 0.999, 0.0, True) == (pool.coin.name, pool.coin.usd, pool.coin.age_s, pool.coin.fresh)
    exchange = at(told(), EXCHANGE)
    assert (0.0, 0.0) == pytest.approx((exchange.premium_bps, exchange.premium_at_par_bps), abs=1e-6)
    assert exchange.coin is None


def test_the_share_is_told_with_its_band() -> None:
    """
    100 with one sigma of 4.48 bps, 95 % of it 1.96 times as wide; its own source is all of it.
    """
    (share,) = told().shares
    assert share.fair is not None
    assert (100.0, ERROR / 100, ERROR) == pytest.approx(
        (share.fair.price_usd, share.fair.error_usd, share.fair.error_bps)
    )
    wide = 1.96 * ERROR / 1e4
    assert (100 * exp(-wide), 100 * exp(wide)) == pytest.approx((share.fair.low_usd, share.fair.high_usd))
    assert ("share:S", 0.0, 1.0, 0) == (share.fair.source, share.fair.age_s, share.fair.own, share.fair.witnesses)
    assert share.primary
    assert [("source", 3.0), ("spread", 5.0 / 1.5)] == [
        (line.what, pytest.approx(line.sigma_bps, rel=1e-6)) for line in share.errors
    ]
    assert 200.0 == pytest.approx(share.daily_vol_bps)
    assert pytest.approx(sqrt(ERROR**2 + 200.0**2 / 6.5), rel=1e-6) == share.error_in_an_hour_bps


def test_the_venue_that_is_a_witness_judges_the_others_and_not_itself() -> None:
    """
    The exchange with 6 bps of error says 100 x 0.9995: that moves the value for the pool, not for the exchange.
    """
    answer = told(weight=1 / 6e-4**2, offset=5e-4)
    own, witness = 1 / ERROR**2, 1 / 6.0**2
    price = 100 * (own + 0.9995 * witness) / (own + witness)
    error = 1 / sqrt(own + witness)
    pool, exchange = at(answer, POOL), at(answer, EXCHANGE)
    assert pool.fair is not None and exchange.fair is not None
    assert (price, error) == pytest.approx((pool.fair.price_usd, pool.fair.error_bps), rel=1e-6)
    assert (100.0, ERROR) == pytest.approx((exchange.fair.price_usd, exchange.fair.error_bps), rel=1e-6)
    assert ((), ("exchange:Sx/USD",)) == (pool.left_out, exchange.left_out)
    assert pytest.approx((100.1997 / price - 1) * 1e4, rel=1e-6) == pool.premium_bps
    (share,) = answer.shares
    parts = {term.source: term.part for term in share.terms if term.used}
    assert {"share:S": own / (own + witness), "exchange:Sx/USD": witness / (own + witness)} == pytest.approx(
        parts, rel=1e-6
    )
    term = next(term for term in share.terms if term.source == "exchange:Sx/USD")
    assert (100.0, 5.0, 99.95, 6.0) == pytest.approx(
        (term.price_usd, term.offset_bps, term.says_usd, term.sigma_bps), rel=1e-6
    )


def test_a_size_is_walked_through_the_book_and_pays_costs() -> None:
    """
    1,000 USD in the pool: 401.6 USDT at 200.8, the rest at 201.0; sold 400.8 at 200.4, the rest at 200.0; 10 bps and
    50 cents of costs. 3,000 cannot be bought, for there are 10 units, but sold.
    """
    pool = at(told(size=3000.0), POOL)
    thousand, three, *_ = pool.executable
    coins = 1000 / 0.999
    bought = coins / (2.0 + (coins - 401.6) / 201.0) * 0.999 / 2
    sold = coins / (2.0 + (coins - 400.8) / 200.0) * 0.999 / 2
    assert ((bought - 100) * 100, (sold - 100) * 100) == pytest.approx(
        (thousand.buy_before_costs_bps, thousand.sell_before_costs_bps), abs=1e-6
    )
    assert ((bought * 1.0015 - 100) * 100, (sold * 0.9985 - 100) * 100) == pytest.approx(
        (thousand.buy_bps, thousand.sell_bps), abs=1e-6
    )
    assert (3000.0, None, "its book does not hold that much") == (three.size_usd, three.buy_bps, three.why)
    assert three.sell_bps is not None
    assert [1000.0, 3000.0, 10_000.0, 50_000.0] == [rung.size_usd for rung in pool.executable]
    assert None is pool.executable[3].sell_bps


def test_a_size_stands_in_sigmas_of_the_fair_value_too() -> None:
    """
    What is paid and got after costs, over the error of the fair value that the venue is judged by.
    """
    venue = at(told(), POOL)
    rung = venue.executable[0]
    assert venue.fair is not None and venue.premium_bps is not None and venue.sigmas
    one = venue.premium_bps / venue.sigmas
    assert rung.buy_bps is not None and rung.sell_bps is not None
    assert (rung.buy_bps / one, rung.sell_bps / one) == pytest.approx((rung.buy_sigmas, rung.sell_sigmas))


def test_without_a_book_the_best_price_counts_as_far_as_its_size_goes() -> None:
    """
    The exchange shows 10 units a side, about 2,000 USD: 1,000 is known, 10,000 is not; the one price tells nothing.
    """
    thousand, ten, _ = at(told(), EXCHANGE).executable
    assert (7.001, -6.999) == pytest.approx((thousand.buy_bps, thousand.sell_bps), abs=1e-6)
    assert (None, None, None, None) == (ten.buy_bps, ten.sell_bps, ten.buy_sigmas, ten.sell_sigmas)
    assert "only the best price is known" in ten.why
    for rung in at(told(), SERIES).executable:
        assert None is rung.buy_bps is rung.buy_before_costs_bps
        assert "one price and no book" in rung.why


def test_without_a_fee_the_size_is_told_before_costs_only() -> None:
    """
    Nobody says what the pool takes: what would be paid is unknown, what is quoted is not.
    """
    (rung, *_) = at(told(costs=(NO_FEE,) * 5), POOL).executable
    assert (None, None, "taker fee is not known: write it") == (rung.buy_bps, rung.sell_bps, rung.why)
    assert rung.buy_before_costs_bps is not None and rung.buy_before_costs_bps > 0


DOWN = FeedState(
    venue="exchange",
    feed="x",
    up=False,
    streams=(StreamState(instrument="exchange:Sx/USD", state="down", why="disconnected"),),
)


@pytest.mark.parametrize(
    ("change", "number", "reason"),
    [
        ({"later_s": 61}, POOL, "its last print is too old, or halted"),
        ({"doubt": POOL}, POOL, "in doubt: per unit or per share?"),
        ({"crossed": True}, EXCHANGE, "its last row was refused: bid over ask"),
        ({"coin": 0.0}, POOL, "its coin has no fresh price"),
        ({"feeds": (DOWN,)}, EXCHANGE, "its feed is down: no connection"),
    ],
)
def test_what_is_unknown_has_its_reason_and_no_number(change: dict[str, object], number: int, reason: str) -> None:
    """
    Old, in doubt, crossed, without a coin, without a feed: no premium, no sigmas, no size; and the reason.
    """
    line = at(told(**change), number)  # type: ignore[arg-type]
    assert reason == line.unknown
    assert {None} == {line.premium_bps, line.premium_at_par_bps, line.sigmas, line.innovation, line.expected_bps}
    assert () == line.executable


def test_a_refused_source_leaves_no_fair_value_and_says_why() -> None:
    """
    In a run in which nobody has spoken yet, everything is unknown with a reason.
    """
    run = play(rows=0)
    columns = run.assembly.columns
    market = Market(columns=columns, tally=run.desk.tally, costs=[NO_FEE] * len(columns.universe))
    answer = quote(market, columns.universe.where(role=Role.TOKEN), (0, 1), "x", Origin(how="test"))
    assert [None, None] == [share.fair for share in answer.shares]
    assert all(share.unknown for share in answer.shares)
    assert {"it has not been heard yet"} == {venue.unknown for venue in answer.venues}
    assert {"it has not been heard yet"} == {term.why for share in answer.shares for term in share.terms}


@pytest.mark.parametrize("rows", [2_000, 20_000, 60_000])
def test_the_demo_is_told_as_its_page_tells_it(rows: int) -> None:
    """
    Where the page knows a premium, as of the share's last row, the one of now is less than one sigma from it; terms
    make up the whole, errors add up.
    """
    run = play(seed=1, rows=rows, without=["hedge", "mint_redeem"])
    columns, picture = run.assembly.columns, run.desk.picture()
    market = Market(columns=columns, tally=run.desk.tally, costs=[NO_FEE] * len(columns.universe))
    groups = tuple(range(len(columns.underlyings)))
    answer = quote(market, columns.universe.where(role=Role.TOKEN), groups, "all", Origin(how="test"))
    shown = {line.instrument: line for line in picture.tokens}
    known = [venue for venue in answer.venues if venue.premium_bps is not None]
    assert len(known) > 5
    for venue in known:
        line = shown[venue.instrument]
        assert venue.premium_bps is not None and venue.fair is not None
        assert line.premium_bps is None or abs(line.premium_bps - venue.premium_bps) < venue.fair.error_bps
    for share in answer.shares:
        if share.fair is not None:
            assert 1.0 == pytest.approx(sum(term.part for term in share.terms))
            assert share.fair.error_bps == pytest.approx(sqrt(sum(line.sigma_bps**2 for line in share.errors)))
            assert 1.0 == pytest.approx(sum(line.part for line in share.errors))
            said = sum(term.part * term.says_usd for term in share.terms if term.used and term.says_usd is not None)
            assert share.fair.price_usd == pytest.approx(said, rel=1e-12)
        assert all(bool(term.why) != term.used for term in share.terms)


def test_json_is_numbers_or_null_and_comes_back_the_same() -> None:
    """
    What is encoded is decoded to the same answer; nothing is NaN.
    """
    for answer in (told(), told(later_s=61, coin=0.0), told(weight=1e6)):
        text = msgspec.json.encode(answer)
        assert answer == msgspec.json.decode(text, type=Quote)
        assert b"NaN" not in text
        assert 1 == msgspec.json.decode(text)["schema"]
