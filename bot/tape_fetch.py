"""`pegline tape fetch`: a tape of one instrument from an exchange's candles or from Yahoo's share prices."""

from __future__ import annotations

import math
from pathlib import Path

from bot.errors import UsageError
from bot.tape_plan import install, may_write
from bot.tape_universe import registered
from bot.wiring import fetch_history
from connectors.instruments import USD, Hours, Instrument, Role, UnitModel, Universe
from connectors.tape import TapeWriter

YAHOO = "yahoo"
_COINS = frozenset({"USDT", "USDC", "USDG", "DAI", "USDE", "PYUSD", "FDUSD"})
"""Dollar coins: a pair of two of them, or of one with USD, prices the first."""


def fetch_tape(
    symbol: str,
    *,
    source: str,
    start_ns: int,
    end_ns: int,
    interval: str,
    out: Path,
    url: str = "",
    underlying: str = "",
    multiplier: float | None = None,
    force: bool = False,
) -> tuple[int, dict[str, int]]:
    """Makes the tape `out`; returns its rows, and how many bars were left out, by reason.

    Raises DataError where the source has no data in [start_ns, end_ns), ConnectorError where it cannot be reached or
    does not know the symbol, UsageError where it is not known what the symbol stands for. On an error nothing is left.
    """
    instrument = instrument_of(symbol, source, underlying, multiplier)
    may_write(out, force=force)
    rows, skipped = fetch_history(
        source, symbol, start_ns=start_ns, end_ns=end_ns, interval=interval, role=instrument.role, url=url
    )
    provenance = {
        "made_by": "tape fetch",
        "source": source,
        "symbol": symbol,
        "interval": interval,
        "left_out": skipped,
    }
    with install(out) as partial, TapeWriter(partial, Universe((instrument,)), provenance) as writer:
        writer.append(rows)
    return len(rows), skipped


def instrument_of(symbol: str, source: str, underlying: str = "", multiplier: float | None = None) -> Instrument:
    """What a fetched symbol is: a share at Yahoo; at an exchange a coin, or a token that the registry knows or the
    caller explains. Raises UsageError otherwise."""
    if multiplier is not None and not (0 < multiplier < math.inf):
        raise UsageError(f"a multiplier of {multiplier} cannot be", where="--multiplier", hint="shares per unit")
    if source == YAHOO:
        return Instrument(
            venue=YAHOO, symbol=symbol, role=Role.SHARE, underlying=symbol, hours=Hours.REGULAR, one_price=True
        )
    base, _, quote = symbol.partition("/")
    quote = quote.partition(":")[0]
    if not base or not quote:
        raise UsageError(f"{symbol!r} is not a pair", where=source, hint="write e.g. TSLAx/USD")
    if base in _COINS and (quote == USD or quote in _COINS):
        return Instrument(venue=source, symbol=symbol, role=Role.COIN, coin=base, quote=quote, one_price=True)
    known = registered(base)
    if not (underlying or known.get("underlying")):
        raise UsageError(
            f"{base} is not in the registry of tokens", where=source, hint="say what it stands for: --underlying TICKER"
        )
    facts = {**known, **({"underlying": underlying} if underlying else {})}
    if facts.get("unit_model") is UnitModel.REBASING:
        facts["multiplier"] = 1.0
    if multiplier is not None:
        facts["multiplier"] = multiplier
    return Instrument(
        venue=source,
        symbol=symbol,
        role=Role.TOKEN,
        token=base,
        quote=quote,
        one_price=True,
        **facts,  # type: ignore[arg-type]
    )
