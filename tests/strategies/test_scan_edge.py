"""Who takes part in the best edge: refused, halted, re-based and nonsensical quotes, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NEVER, Flag, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, Universe  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from tests.strategies.test_scan import BEGIN, after, row  # noqa: E402


def test_a_refused_quote_leaves_the_edge_until_it_is_believed_again() -> None:
    """
    Venue b crosses itself: what it said before is not its quote any more, and no pair trades on it.
    """
    start = (row(10, 0.999, 1.001), row(4, 99.99, 100.01), row(0, 99.9, 100.0), row(1, 101.0, 101.2))
    refused = after(*start, row(1, 101.2, 101.0, s=0.1))
    assert not 0 < refused.edge_bps[0]
    assert (-1, -1) == refused.best_pair(0, refused.now)[:2]
    back = after(*start, row(1, 101.2, 101.0, s=0.1), row(1, 101.0, 101.2, s=0.2))
    assert pytest.approx((101.0 * 0.998 - 100.01 * 1.0005) * 100) == back.edge_bps[0]


def test_a_share_that_is_refused_as_a_source_is_not_bought_either() -> None:
    """
    r1 may be traded and is halted: r2 stays the fair value, and the cheapest ask is a's, not the halted one of r1.
    """
    start = (row(10, 0.999, 1.001), row(5, 99.99, 100.01), row(4, 99.49, 99.51))
    tokens = (row(0, 99.9, 100.0), row(1, 101.0, 101.2))
    assert (4, 1) == after(*start, *tokens).best_pair(0, BEGIN)[:2]
    halted = after(*start, *tokens, row(4, 99.49, 99.51, flags=Flag.HALTED))
    assert (0, 1) == halted.best_pair(0, BEGIN)[:2]
    assert pytest.approx((101.0 * 0.998 - 100.0 * 1.001) * 100) == halted.edge_bps[0]


def test_a_halt_takes_a_token_out_and_the_next_quote_brings_it_back() -> None:
    """
    A halted quote is kept as a price and cannot be traded; the first one without the flag can.
    """
    start = (row(10, 0.999, 1.001), row(4, 99.99, 100.01), row(1, 101.0, 101.2))
    halted = after(*start, row(1, 101.0, 101.2, flags=Flag.HALTED))
    assert not 0 < halted.edge_bps[0]
    assert 101.0 == halted.bid[1]
    assert 0 < after(*start, row(1, 101.0, 101.2, flags=Flag.HALTED), row(1, 101.0, 101.2)).edge_bps[0]


def test_only_an_fx_row_prices_a_coin() -> None:
    """
    A QUOTE of a coin is not its price in USD: neither its value nor its age move.
    """
    made = after(row(10, 0.999, 1.001), row(4, 99.99, 100.01), row(10, 0.5, 0.6, s=1.0, kind=Kind.QUOTE))
    assert 1.0 == made.fx[0] == made.mid_usd[10]
    assert (BEGIN, 1) == (made.ts[10], made.prints[10])
    assert 0 == made.refused[10].sum()


def test_a_source_whose_price_is_nothing_in_usd_is_refused() -> None:
    """
    The smallest price that there is, in a coin at 0.3 USD, rounds to zero: no fair value, and nothing is divided by it.
    """
    share = Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S", quote="USDT")
    coin = Instrument(venue="f", symbol="USDT", role=Role.COIN, coin="USDT")
    made = Columns(Universe((share, coin)), [Facts(), Facts()], Beliefs(max_error=1.0), load_sessions())
    made.enter_session(BEGIN)
    rows = [
        Row(ts_recv=BEGIN, instrument=1, kind=Kind.FX, bid=0.3, ask=0.31),
        Row(ts_recv=BEGIN, instrument=0, kind=Kind.REFERENCE, flags=Flag.ONE_PRICE, bid=5e-324, ask=5e-324),
    ]
    made.scan(Rows.of(rows), 0, NEVER)
    assert made.fair(0, BEGIN) is None
    assert 1 == made.refused[0, K.FX_UNKNOWN]


def test_a_new_unit_leaves_no_premium_of_the_old_one() -> None:
    """
    A unit was one share and is now two: until the next print there is no price, no premium and no edge.
    """
    made = after(row(4, 99.99, 100.01), row(2, 202.0, 204.0), row(0, 99.9, 100.0))
    made.set_shares_per_unit(2, 4.0)
    made.scan(Rows.of([row(4, 99.98, 100.0, s=0.1)]), 0, NEVER)
    assert np.isnan([made.premium_bps[2], made.sell_premium_bps[2], made.buy_premium_bps[2], made.mid_usd[2]]).all()
    made.scan(Rows.of([row(2, 404.0, 408.0, s=0.2)]), 0, NEVER)
    assert pytest.approx((101.5 / 99.99 - 1) * 1e4) == made.premium_bps[2]
