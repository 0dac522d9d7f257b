"""Who plays in the simulated market: stocks, tokens, venues, and how each of them behaves on a quiet day.

The tickers are those of real shares, so that a reader knows what kind of thing moves; venues, issuers, tokens and all
prices are invented, and carry `sim` in their names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe

PRE, REGULAR, POST, OVERNIGHT, WEEKEND, HOLIDAY, UNKNOWN = range(7)
"""Session codes, as strategies/market/session.py numbers them."""

COIN: Final = "USDT"
FX_VENUE: Final = "sim-fx"
TAPE_VENUE: Final = "sim-tape"
"""The share as its listing exchange quotes it, in extended hours."""
PERP_VENUE: Final = "sim-perp"
"""A perpetual on the share: its mark follows the share around the clock, less exactly, and it trades."""
PERPS: Final = ("TSLA", "NVDA", "MSTR")
"""Shares with a perpetual that trades."""
FUNDING_S: Final = 8 * 3600.0
"""Period of its funding."""
FUNDING_TOLD_S: Final = 600.0
"""How often the rate that comes next is told."""


class Stock(NamedTuple):
    """A share: where its price starts, and its one-sigma move over a full day (24 h)."""

    ticker: str
    price_usd: float
    daily_vol_bps: float


class Coin(NamedTuple):
    """A tokenized share of an invented issuer."""

    symbol: str
    underlying: str
    issuer: str
    unit_model: UnitModel
    multiplier: float
    """Shares per unit at the start; 1 where the model is rebasing."""


class Market(NamedTuple):
    """A venue that quotes tokens."""

    venue: str
    quote: str
    chain: str
    half_spread_bps: float
    """In the regular session; it doubles off hours."""
    size_usd: float
    """Median value of the best level."""
    interval_s: float
    """Mean time between two prints of an instrument, regular session."""
    tick: float
    symbols: tuple[str, ...]


STOCKS: Final = (
    Stock("TSLA", 412.0, 190.0),
    Stock("NVDA", 187.0, 170.0),
    Stock("AAPL", 246.0, 120.0),
    Stock("SPY", 668.0, 75.0),
    Stock("MSTR", 318.0, 200.0),
)

COINS: Final = (
    Coin("simTSLA", "TSLA", "sim-one", UnitModel.REBASING, 1.0),
    Coin("altTSLA", "TSLA", "sim-two", UnitModel.TOTAL_RETURN, 1.0137),
    Coin("simNVDA", "NVDA", "sim-two", UnitModel.SCALED_UI, 1.0021),
    Coin("simAAPL", "AAPL", "sim-one", UnitModel.REBASING, 1.0),
    Coin("simSPY", "SPY", "sim-two", UnitModel.TOTAL_RETURN, 1.0083),
    Coin("simMSTR", "MSTR", "sim-one", UnitModel.REBASING, 1.0),
)

MARKETS: Final = (
    Market("sim-alpha", "USD", "", 3.0, 9_000.0, 20.0, 0.01, ("simTSLA", "simNVDA", "simAAPL", "simSPY", "simMSTR")),
    Market("sim-beta", COIN, "", 3.5, 7_000.0, 20.0, 0.01, ("simTSLA", "altTSLA", "simNVDA", "simAAPL", "simMSTR")),
    Market("sim-pool", COIN, "sim-chain", 9.0, 4_000.0, 24.0, 1e-6, ("simTSLA", "altTSLA", "simNVDA", "simSPY")),
)

OFF_HOURS_INTERVAL: Final = 2.5
"""Outside the regular session token prints come this many times more slowly."""
TAPE_INTERVAL_S: Final = 8.0
PERP_INTERVAL_S: Final = 40.0
FX_INTERVAL_S: Final = 90.0


def coin(symbol: str) -> Coin:
    """The token of that name. Raises KeyError where there is none."""
    return {c.symbol: c for c in COINS}[symbol]


def universe() -> Universe:
    """Every instrument of the simulated world, in the order in which its rows number them."""
    found = [Instrument(venue=FX_VENUE, symbol=f"{COIN}/USD", role=Role.COIN, coin=COIN)]
    for stock in STOCKS:
        found.append(
            Instrument(
                venue=TAPE_VENUE,
                symbol=stock.ticker,
                role=Role.SHARE,
                underlying=stock.ticker,
                witness="tape",
                hours=Hours.EXTENDED,
            )
        )
        found.append(
            Instrument(
                venue=PERP_VENUE,
                symbol=f"{stock.ticker}-mark",
                role=Role.SHARE,
                underlying=stock.ticker,
                witness="perp",
                hours=Hours.ALWAYS,
            )
        )
    for market in MARKETS:
        for symbol in market.symbols:
            token = coin(symbol)
            found.append(
                Instrument(
                    venue=market.venue,
                    symbol=f"{symbol}/{market.quote}",
                    role=Role.TOKEN,
                    underlying=token.underlying,
                    token=symbol,
                    issuer=token.issuer,
                    chain=market.chain,
                    contract=f"sim:{symbol}" if market.chain else "",
                    unit_model=token.unit_model,
                    multiplier=token.multiplier,
                    quote=market.quote,
                )
            )
    for ticker in PERPS:
        found.append(
            Instrument(venue=PERP_VENUE, symbol=f"{ticker}-PERP", role=Role.PERP, underlying=ticker, witness="perp")
        )
    return Universe(tuple(found))
