"""One token in full at one moment: what it is worth and by whose word, and how far each of its venues is from that.

What `pegline quote` shows and a running daemon answers; read from columns and records, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, Final

from connectors.events import NEVER, NS, Why
from connectors.instruments import USD, Role
from monitoring.controls import controls
from monitoring.decisions import Tally
from monitoring.depth import LevelsOf, no_levels
from monitoring.facts import FeedState, StreamState
from monitoring.ladder import LADDER_USD, ladder
from monitoring.narrate import REASONS
from monitoring.premia import premia
from monitoring.premium_lines import IssuerPremium, TokenPremium
from monitoring.quote_lines import (
    CoinLine,
    ErrorLine,
    FairLine,
    FundingLine,
    Origin,
    Quote,
    ShareQuote,
    TermLine,
    VenueQuote,
)
from monitoring.snapshot import DOUBTS, number
from monitoring.words import because
from strategies.market.fair import BPS, FairValue
from strategies.pricing.costs import Component, Costs

if TYPE_CHECKING:
    from strategies.market.columns import Columns
    from strategies.market.terms import Term

_WIDE: Final = 1.96
"""Sigmas of a 95 % band."""


def _unsaid(name: str) -> str:
    return ""


def _no_basis(at: int) -> str:
    return ""


def _no_multiplier(at: int) -> float:
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What an answer is read from; the functions take the number of an instrument."""

    columns: Columns
    tally: Tally
    costs: Sequence[Costs]
    """By instrument: of what is taken at once."""
    vol_from: Callable[[str], str] = _unsaid
    """Where the volatility of an underlying is from."""
    levels: LevelsOf = no_levels
    feeds: Callable[[], Sequence[FeedState]] = tuple
    multiplier: Callable[[int], float] = _no_multiplier
    basis: Callable[[int], str] = _no_basis
    alarms: bool = True
    """Whether peg states are kept."""


def quote(market: Market, numbers: Sequence[int], groups: Sequence[int], asked: str, origin: Origin,
          size_usd: float | None = None) -> Quote:  # fmt: skip
    """The answer for token instruments and underlyings by their numbers, as of the last row."""
    columns = market.columns
    now = columns.now
    streams = {one.instrument: one for feed in market.feeds() for one in feed.streams}
    ends = columns.sessions.next_change(now)
    sizes = tuple(sorted({*LADDER_USD, *(() if size_usd is None else (size_usd,))}))
    tokens, issuers = _beyond(market, numbers, groups, now, streams)
    return Quote(
        asked=asked,
        now_ns=now,
        session=columns.session.label,
        session_ends_ns=ends if ends < NEVER else None,
        origin=origin,
        size_usd=size_usd,
        shares=tuple(_share(market, group, now, streams) for group in groups),
        venues=tuple(_venue(market, at, now, streams, sizes) for at in numbers),
        tokens=tokens,
        issuers=issuers,
    )


def _beyond(
    market: Market, numbers: Sequence[int], groups: Sequence[int], now: int, streams: dict[str, StreamState]
) -> tuple[tuple[TokenPremium, ...], tuple[IssuerPremium, ...]]:
    """Premia over all venues and between issuers in which a token that was asked for has a part."""
    columns = market.columns
    universe = columns.universe
    every = [at for group in groups for at in universe.where(role=Role.TOKEN, underlying=columns.underlyings[group])]
    live = [at for at in every if not _why(market, at, streams) and not columns.why_not_judged(at, now)]
    tokens, issuers = premia(columns, live)
    asked = {(universe[at].token or universe[at].symbol, universe[at].issuer) for at in numbers}
    names = {name for name, _ in asked}
    return (
        tuple(one for one in tokens if (one.token, one.issuer) in asked),
        tuple(one for one in issuers if one.token in names or one.over in names),
    )


def _fair(columns: Columns, fair: FairValue | None, now: int) -> FairLine | None:
    if fair is None:
        return None
    wide = _WIDE * fair.error / fair.price
    return FairLine(
        price_usd=fair.price,
        error_usd=fair.error,
        error_bps=fair.error_bps,
        low_usd=fair.price * exp(-wide),
        high_usd=fair.price * exp(wide),
        source=columns.universe[fair.source].name if fair.source >= 0 else "",
        age_s=(now - fair.as_of) / NS if fair.source >= 0 else None,
        own=fair.own,
        witnesses=fair.witnesses,
        stretch=fair.stretch,
    )


def _share(market: Market, group: int, now: int, streams: dict[str, StreamState]) -> ShareQuote:
    from strategies.market import kernel as K  # compiled code: only a process that has columns pays for it
    from strategies.market.terms import error_terms, terms

    columns = market.columns
    name = columns.underlyings[group]
    fair = columns.fair(group, now)
    found = terms(columns, group, now)
    errors = error_terms(columns, group, now, found, 1.0 if fair is None else fair.stretch)
    whole = sum(term.variance for term in errors)
    used = {term.instrument: term for term in found}
    speakers = [at for at in columns.universe.where(underlying=name) if columns.universe[at].role is not Role.COIN]
    lines = [_term(market, group, at, used.get(at), now, streams) for at in speakers]
    vol2, own = columns.g.item(group, K.VOL2), next((term for term in found if term.own), None)
    days = None
    if own is not None:
        days = number(columns.clock.at(now) - columns.clock.at(columns.k.item(own.instrument, K.REF_TS)))
    followed, own_part = controls(columns, group, now, lambda at: _why(market, at, streams))
    later = columns.fair(group, now + 3600 * NS) if fair is not None else None
    return ShareQuote(
        underlying=name,
        fair=_fair(columns, fair, now),
        unknown="" if fair is not None else columns.why_unknown(group, now),
        primary=columns.primary(group, now),
        terms=tuple(sorted(lines, key=lambda line: (-line.part, not line.used, line.source))),
        errors=tuple(
            ErrorLine(
                source=columns.universe[term.instrument].name if term.instrument >= 0 else "",
                what=term.what,
                sigma_bps=sqrt(term.variance) * BPS,
                part=term.variance / whole,
            )
            for term in errors
        ),
        clock_days=days,
        error_in_an_hour_bps=later.error_bps if later is not None else None,
        daily_vol_bps=sqrt(vol2) * BPS,
        params=market.vol_from(name),
        controls=followed,
        own_part=own_part,
    )


def _term(
    market: Market, group: int, at: int, term: Term | None, now: int, streams: dict[str, StreamState]
) -> TermLine:
    """One line of the explanation. Of own evidence that several sources make together, the freshest one's line."""
    from strategies.market import kernel as K
    from strategies.market.terms import why_unheard

    columns, instrument = market.columns, market.columns.universe[at]
    price = number(columns.f.item(at, K.REF_MID if instrument.role is Role.SHARE else K.MID_USD))
    offset = 1 - columns.f.item(at, K.LEAN)
    if term is not None:
        price, offset = term.price, term.offset
    why = "" if term is not None else _why(market, at, streams) or why_unheard(columns, group, at, now)
    return TermLine(
        source=instrument.name,
        role=instrument.role.name.lower(),
        used=term is not None,
        why=why,
        price_usd=price,
        age_s=_age_s(columns, at, now),
        offset_bps=offset * BPS,
        funding=_funding(columns, at, now),
        says_usd=None if price is None else price * (1 - offset),
        sigma_bps=None if term is None else sqrt(term.variance) * BPS,
        part=0.0 if term is None else term.part,
        group=instrument.kin,
    )


def _funding(columns: Columns, at: int, now: int) -> FundingLine | None:
    told = columns.fundings.get(at)
    if told is None:
        return None
    basis, variance = told.basis
    return FundingLine(
        rate_bps=told.rate * BPS,
        period_s=told.period_s,
        age_s=(now - told.ts) / NS,
        basis_bps=basis * BPS,
        sigma_bps=sqrt(variance) * BPS,
    )


def _age_s(columns: Columns, at: int, now: int) -> float | None:
    """Since the last print that was believed."""
    from strategies.market import kernel as K

    share = columns.universe[at].role is Role.SHARE
    ts = columns.k.item(at, K.REF_TS if share else K.TS)
    return (now - ts) / NS if columns.k.item(at, K.PRINTS) and ts else None


def _why(market: Market, at: int, streams: dict[str, StreamState]) -> str:
    """What speaks against the stream, the last row or the meaning of an instrument's price, in words; else empty."""
    from strategies.market import kernel as K

    columns, instrument = market.columns, market.columns.universe[at]
    state, _ = market.tally.venues.get(instrument.venue, ("up", ""))
    stream = streams.get(instrument.name)
    against = ""
    if stream is not None and stream.state != "up":
        state, against = stream.state, because(stream.why)
    if state in ("down", "closed"):
        return f"its feed is {state}{f': {against}' if against else ''}"
    bits = columns.doubts.item(at)
    named = [why.name.lower() for why in Why if bits & 1 << why]
    if "maintenance" in named:
        return DOUBTS["maintenance"]
    if code := columns.k.item(at, K.REFUSAL):
        reason = K.REFUSALS[code]
        return f"its last row was refused: {REASONS.get(reason, reason.replace('_', ' '))}"
    if not columns.k.item(at, K.PRINTS):
        return "it has not been heard yet"
    return f"in doubt: {', '.join(DOUBTS.get(name) or because(name) for name in named)}" if named else ""


def _venue(market: Market, at: int, now: int, streams: dict[str, StreamState], sizes: Sequence[float]) -> VenueQuote:
    from strategies.market import kernel as K

    columns, instrument = market.columns, market.columns.universe[at]
    f = columns.f.item
    group, units = columns.group(at), number(f(at, K.SHARES_PER_UNIT))
    fair = columns.fair_without(at, now)
    unknown = _why(market, at, streams)
    judged = None if unknown else columns.judge(at, now)
    if judged is None and not unknown:
        unknown = columns.why_not_judged(at, now)
    mid = number(0.5 * (f(at, K.BID) + f(at, K.ASK)))
    usd = number(columns.known_fx(at))
    at_par = None
    if judged is not None and units is not None and mid is not None:
        at_par = (mid / units / judged.fair.price - 1) * BPS
    forecast = columns.forecasts[at]
    multiplier = number(market.multiplier(at))
    costs = market.costs[at]
    fee = costs.only({Component.TAKER_FEE}).share(None)
    known_worth = units is not None and not unknown.startswith(("in doubt", DOUBTS["maintenance"]))
    return VenueQuote(
        token=instrument.token,
        issuer=instrument.issuer,
        venue=instrument.venue,
        instrument=instrument.name,
        underlying=instrument.underlying,
        unknown=unknown,
        price=mid,
        price_usd=None if mid is None or usd is None else mid * usd,
        fair_usd=fair.price * units if fair is not None and units is not None and known_worth else None,
        fair=_fair(columns, fair, now),
        left_out=_left_out(columns, group, at, now),
        siblings=_siblings(columns, group, at, now),
        premium_bps=None if judged is None else judged.premium_bps,
        premium_at_par_bps=at_par,
        sigmas=None if judged is None else number(judged.sigmas),
        expected_bps=None if judged is None else judged.expected_bps,
        innovation=None if judged is None else number(judged.innovation),
        forecast_bps=forecast.premium * BPS,
        forecast_sd_bps=number(sqrt(forecast.variance) * BPS) if forecast.variance >= 0 else None,
        executable=() if judged is None else ladder(columns, at, judged.fair, costs, market.levels(at), sizes),
        quote=instrument.quote,
        coin=None if instrument.quote == USD else _coin(columns, at, now),
        multiplier=multiplier,
        shares_per_unit=units,
        basis=market.basis(at),
        fee_bps=None if fee is None else float(fee) * BPS,
        fixed_cost_usd=float(costs.fixed_usd),
        age_s=_age_s(columns, at, now),
        peg_state=_peg_state(market, at, unknown),
        peg_cause="" if unknown else market.tally.peg_cause.get(at, ""),
        peg_why="" if unknown else market.tally.peg_why.get(at, ""),
    )


def _peg_state(market: Market, at: int, unknown: str) -> str:
    """The state of its peg; one outlier that was refused leaves it to those who tell states."""
    from strategies.market import kernel as K

    if not market.alarms:
        return ""
    slip = market.columns.k.item(at, K.REFUSAL) == K.OUTLIER_PRINT
    return "unknown" if unknown and not slip else market.tally.peg.get(at, "unknown")


def _left_out(columns: Columns, group: int, at: int, now: int) -> tuple[str, ...]:
    """Terms of the share's fair value that do not judge an instrument."""
    from strategies.market.terms import terms

    judges = {term.instrument for term in terms(columns, group, now, at)}
    return tuple(
        columns.universe[term.instrument].name for term in terms(columns, group, now) if term.instrument not in judges
    )


def _siblings(columns: Columns, group: int, at: int, now: int) -> float:
    """Which part of what judges an instrument is made by tokens of its own issuer."""
    from strategies.market.terms import terms

    its = columns.universe[at]
    judges = [(columns.universe[term.instrument], term.part) for term in terms(columns, group, now, at)]
    return sum(part for one, part in judges if one.role is Role.TOKEN and one.issuer == its.issuer)


def _coin(columns: Columns, at: int, now: int) -> CoinLine:
    from strategies.market import kernel as K

    name, k = columns.universe[at].quote, columns.k.item
    tellers = [n for n, i in enumerate(columns.universe) if i.role is Role.COIN and i.coin == name and k(n, K.PRINTS)]
    last = max(tellers, key=lambda n: k(n, K.TS), default=-1)
    return CoinLine(
        name=name,
        usd=number(columns.known_fx(at)),
        age_s=(now - k(last, K.TS)) / NS if last >= 0 else None,
        source=columns.universe[last].name if last >= 0 else "",
        fresh=columns.fx_is_fresh(at, now),
    )
