"""Parameters of the filter: who is evidence, who depends on whom, what is not named has its kind's default."""

from __future__ import annotations

import pytest

from connectors.instruments import Hours, Instrument, Role
from strategies.market.filter import Premium
from strategies.market.params import AROUND_THE_CLOCK, PERP, SHARE, TOKEN, Params, filter_of, group_of, kind_of

OPEN = Instrument(venue="broker", symbol="TSLA", role=Role.SHARE, underlying="TSLA", hours=Hours.EXTENDED)
ORACLE = Instrument(venue="hl", symbol="TSLA-oracle", role=Role.SHARE, underlying="TSLA")
PERPETUAL = Instrument(venue="hl", symbol="TSLA", role=Role.PERP, underlying="TSLA")
STREAM = Instrument(venue="feed", symbol="TSLA", role=Role.SHARE, underlying="TSLA", witness="hl")
DOLLAR = Instrument(venue="cex", symbol="TSLAx/USD", role=Role.TOKEN, underlying="TSLA", token="TSLAx")
TETHER = Instrument(venue="cex", symbol="TSLAx/USDT", role=Role.TOKEN, underlying="TSLA", token="TSLAx", quote="USDT")
OTHER = Instrument(venue="cex", symbol="TSLAon/USD", role=Role.TOKEN, underlying="TSLA", token="TSLAon")
POOL = Instrument(venue="dex", symbol="AAPLx/USDC", role=Role.TOKEN, underlying="AAPL", token="AAPLx", quote="USDC")
COIN = Instrument(venue="cex", symbol="USDT/USD", role=Role.COIN, coin="USDT")


def test_only_a_source_with_the_share_s_hours_is_the_share_itself():
    """
    What speaks around the clock has a basis, whatever it says of itself.
    """
    assert [SHARE, AROUND_THE_CLOCK, PERP, TOKEN] == [kind_of(i) for i in (OPEN, ORACLE, PERPETUAL, DOLLAR)]
    assert ["", "hl", "hl"] == [group_of(i) for i in (OPEN, ORACLE, PERPETUAL)]


def test_what_feeds_each_other_is_one_witness():
    """
    A perp, its oracle and a stream made from it; a venue's quotes of one token in two coins; not those of two issuers.
    """
    assert {"hl"} == {group_of(i) for i in (ORACLE, PERPETUAL, STREAM)}
    assert group_of(DOLLAR) == group_of(TETHER) != group_of(OTHER)


def test_a_filter_of_a_universe_knows_every_share_and_no_coin():
    """
    Underlyings in order of appearance, each instrument's place among the witnesses, a coin without one.
    """
    found, place, names = filter_of(Params(), [OPEN, COIN, DOLLAR, POOL])
    assert (("TSLA", "AAPL"), {0: 0, 2: 1, 3: 2}) == (names, place)
    assert [0, 0, 1] == found.underlying.tolist()


def test_what_is_named_is_not_the_default():
    """
    A fitted premium and volatility are used; the others keep the default.
    """
    mine = Premium(mean=0.001, sd=0.002)
    params = Params(premia={DOLLAR.name: mine}, daily_vol_bps={"TSLA": 200.0})
    assert [mine, TOKEN] == [params.premium(i) for i in (DOLLAR, POOL)]
    assert [pytest.approx(0.02), pytest.approx(0.03)] == [params.vol("TSLA"), params.vol("AAPL")]
