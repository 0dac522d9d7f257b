"""The terms of trade that a venue publishes: funding, open interest, trading status, fees. Read, never assumed.

Pure: what ccxt made of the venue's answers in, numbers or None out. What is not known is NaN or None, never a usual
value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.cex.quirks import Lane, Quirk
from connectors.events import NAN

MARK: Final = "@mark"
ORACLE: Final = "@oracle"
"""Endings of instruments that are no market: the mark and the oracle (index) price of the perp named before them."""

_UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """What a perp costs to hold, and the prices it is settled by. Absent is NaN."""

    rate: float
    """Per period; positive is paid by who is long."""
    period_s: float
    open_interest: float
    """In units of the underlying."""
    mark: float
    oracle: float
    next_s: float
    """Next payment, unix seconds."""


def perp_of(symbol: str) -> str:
    """The perp that an instrument with an ending speaks of; empty for an instrument that is a market itself."""
    base, _, ending = symbol.rpartition("@")
    return base if "@" + ending in (MARK, ORACLE) else ""


def period_s(interval: object) -> float:
    """Seconds of a period such as `8h`, `30m` or, as ccxt has those that it has no name for, `7200000` ms; else NaN."""
    text = str(interval or "")
    if re.fullmatch(r"\d{6,12}", text):
        return float(text) / 1000.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    return float(found[1]) * _UNITS_S[found[2]] if found else NAN


def read_funding(
    rate: Mapping[str, Any], market: Mapping[str, Any], quirk: Quirk, *, listed: object = None, interest: object = None
) -> Funding:
    """The terms of one perp, of ccxt's funding rate.

    `listed` is its period in the venue's list of periods, where one was asked for (`4h`, or "" for not in the list);
    `interest` ccxt's open interest, where it has a call of its own. Periods: the record's own, else the list's, else
    the venue's documented one for what the list leaves out.
    """
    info = rate.get("info")
    info = info if isinstance(info, Mapping) else {}
    period = period_s(rate.get("interval"))
    if not period > 0.0:
        period = period_s(listed)
    if not period > 0.0 and listed == "" and quirk.period_s is not None:
        period = quirk.period_s
    if quirk.interest:
        units = number(info.get(quirk.interest)) * number(market.get("contractSize"))
    else:
        units = number(interest.get("openInterestAmount")) if isinstance(interest, Mapping) else NAN
    return Funding(
        rate=number(rate.get("fundingRate")),
        period_s=period if period > 0.0 else NAN,
        open_interest=units if units >= 0.0 else NAN,
        mark=_price(rate.get("markPrice")),
        oracle=_price(rate.get("indexPrice")),
        next_s=number(rate.get("fundingTimestamp")) / 1000.0,
    )


def number(value: object) -> float:
    """A finite number, or the number that a text holds; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return NAN
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return NAN
    return found if abs(found) < float("inf") else NAN


def units_per_contract(market: Mapping[str, Any]) -> float:
    """What a book's sizes are multiplied by to be units; NaN for a contract whose size is in its quote currency."""
    if not market.get("contract"):
        return 1.0
    size = number(market.get("contractSize"))
    return size if market.get("linear") and size > 0.0 else NAN


def halted(market: Mapping[str, Any]) -> bool | None:
    """Whether the venue says that nobody can trade this now; None where it says nothing."""
    active = market.get("active")
    return None if active is None else not active


def fees_bps(market: Mapping[str, Any]) -> tuple[float, float]:
    """Taker and maker fee in bps, as ccxt has them; NaN where absent."""
    return 1e4 * number(market.get("taker")), 1e4 * number(market.get("maker"))


def published_bps(market: Mapping[str, Any], quirk: Quirk, lane: Lane) -> tuple[float, float] | None:
    """The same, where the venue's own record of the market tells them; None where ccxt has only its table."""
    info = market.get("info")
    info = info if isinstance(info, Mapping) else {}
    if lane.fees[0] in info:
        return 1e4 * number(info[lane.fees[0]]), 1e4 * number(info.get(lane.fees[1]))
    return fees_bps(market) if quirk.fee and quirk.fee in info else None


def near(symbol: str, listed: Iterable[str]) -> tuple[str, ...]:
    """Listed symbols that may have been meant: the same letters in another case, the same base, or nearly the same."""
    known = list(listed)
    same = [name for name in known if name.lower() == symbol.lower()]
    base = re.sub(r"[^a-z0-9]", "", symbol.partition("/")[0].lower())
    stem = base.rstrip("xb") or base
    alike = [name for name in known if re.sub(r"[^a-z0-9]", "", name.partition("/")[0].lower()) in (base, stem)]
    close = difflib.get_close_matches(symbol, known, n=3, cutoff=0.75)
    return tuple(dict.fromkeys([*same, *alike, *close]))[:5]


def _price(value: object) -> float:
    found = number(value)
    return found if found > 0.0 else NAN
