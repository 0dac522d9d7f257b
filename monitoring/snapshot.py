"""One picture of this moment that the page, the live table and `--json` all show: read from columns and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.events import NS
from connectors.instruments import Instrument, Role, UnitModel
from monitoring.decisions import Tally
from monitoring.depth import SHOWN, LevelsOf, depth_usd, no_levels
from monitoring.facts import Facts, FeedState, StreamState
from monitoring.pools import PoolLine, pool_lines
from monitoring.premia import at_par_bps, premia
from monitoring.premium_lines import IssuerPremium, TokenPremium
from monitoring.words import OF_CONTRACT, because, best_edge
from strategies.execution.use import NOTHING, Use

if TYPE_CHECKING:
    from strategies.liquidity import Reading
    from strategies.market.columns import Columns
    from strategies.market.health import Score


DOUBTS: Final = {
    "basis": "per unit or per share?",
    "implausible": "not the price of this token",
    "maintenance": "its multiplier is changing",
    **OF_CONTRACT,
}
"""What our judgement has against an instrument, as words; others are told by their own name."""


RARE: Final = 0.05
"""A part of a score below this is worth a word."""

NO_FAIR: Final = "fair value unknown"
"""What the reason of a token's line begins with when its share has no fair value."""
SLIP: Final = "last print refused: outlier"
"""What speaks against a token whose peg may stay what it was: strategies/peg tells."""


class TokenLine(msgspec.Struct, frozen=True, kw_only=True):
    """One token on one venue. None is unknown, and is shown as that."""

    token: str
    venue: str
    instrument: str
    underlying: str
    fair_usd: float | None
    """Fair value of one unit, USD."""
    error_bps: float | None
    """One sigma of it."""
    mid_usd: float | None
    premium_bps: float | None
    """Over the fair value that everybody but this instrument gives."""
    sigmas: float | None = None
    """The premium over one sigma of that fair value."""
    premium_error_bps: float | None = None
    """One sigma of that fair value."""
    premium_at_par_bps: float | None = None
    """The premium, were the coin that it is quoted in worth one dollar: without the stablecoin leg."""
    sigmas_at_par: float | None = None
    sell_edge_bps: float | None
    """Gain of selling at the bid after costs, over fair value."""
    buy_edge_bps: float | None
    """Gain of buying at the ask after costs, under fair value."""
    edge_sigmas: float | None = None
    """The better of the two over one sigma of that fair value."""
    age_s: float | None
    bid_depth_usd: float | None
    """USD that rests within 1 % of the mid and would buy from us; None where no levels are in force."""
    ask_depth_usd: float | None
    """And that would sell to us."""
    depth_complete: bool
    """The levels reach beyond the band: there is no more; else it is at least this much."""
    peg_state: str
    reason: str
    """Why something is unknown or not believed; empty when all is well."""
    score: float | None = None
    """Peg health against its own history, 0 to 100."""
    rarest: str = ""
    """Its parts that are rare, the rarest first, each with how often that is so; empty where none is."""
    not_traded: str = ""
    """What speaks against its stream while the quote is shown; empty where it may be traded."""


class ShareLine(msgspec.Struct, frozen=True, kw_only=True):
    """One share: its fair value, and the best edge between the venues of its tokens."""

    underlying: str
    fair_usd: float | None
    error_bps: float | None
    source: str
    age_s: float | None
    edge_bps: float | None
    buy: str
    sell: str
    origin: str = ""
    """Feed, session, exchanges and conditions of the source's last quote, where it says them."""
    not_tradable: str = ""
    """Why the pair may not be traded, or why there is none; empty where it may."""
    unknown: str = ""
    """Why the fair value is unknown; empty where it is known."""


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """The paper ledger in five numbers, USD. None is unknown."""

    trades: int
    open_trades: dict[str, int]
    """Trades without an end, by stage."""
    naked_usd_s: float
    """USD x seconds that those have stood without a hedge so far."""
    fills: int
    captured_usd: float
    lost_usd: float
    fees_usd: float
    cash_usd: float
    inventory_usd: float | None
    unhedged_usd: dict[str, float | None]
    """Net position by share, at fair value."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known at one moment."""

    schema: int = 1
    now_ns: int
    session: str
    mode: str
    tokens: tuple[TokenLine, ...]
    shares: tuple[ShareLine, ...]
    feeds: tuple[FeedState, ...]
    money: Money
    steps: int
    notes: dict[str, int]
    told: tuple[str, ...]
    """The last lines of narration, oldest first."""
    troubles: tuple[str, ...] = ()
    """What is wrong with the program itself: nothing is recorded, something is held back, a disk is full."""
    pools: tuple[PoolLine, ...] = ()
    """Pools with an incentive."""
    token_premia: tuple[TokenPremium, ...] = ()
    """Each token over all its venues."""
    issuer_premia: tuple[IssuerPremium, ...] = ()
    """One issuer's token over another's of the same share."""


def snapshot(
    columns: Columns,
    tally: Tally,
    *,
    facts: Facts,
    feeds: Sequence[FeedState] = (),
    told: Sequence[str] = (),
    levels: LevelsOf = no_levels,
    troubles: Sequence[str] = (),
    pools: Sequence[Reading] = (),
    scores: Mapping[int, Score] = MappingProxyType({}),
    use: Use = NOTHING,
) -> Snapshot:
    """The picture of `columns.now`."""
    streams = {one.instrument: one for feed in feeds for one in feed.streams}
    shares = tuple(_share(columns, group, name, streams) for group, name in enumerate(columns.underlyings))
    fair = {share.underlying: share for share in shares}
    tokens = tuple(
        _token(
            columns,
            at,
            instrument,
            fair[instrument.underlying],
            tally,
            streams.get(instrument.name),
            levels,
            scores.get(at),
        )
        for at, instrument in enumerate(columns.universe)
        if instrument.role is Role.TOKEN
    )
    numbers = columns.universe.where(role=Role.TOKEN)
    of_tokens, of_issuers = premia(
        columns, [at for at, line in zip(numbers, tokens, strict=True) if line.premium_bps is not None]
    )
    return Snapshot(
        now_ns=columns.now,
        session=columns.session.label,
        mode=facts.mode,
        tokens=tokens,
        shares=shares,
        feeds=tuple(feeds),
        money=_money(columns, tally, fair, use),
        steps=tally.steps,
        notes=dict(tally.notes),
        told=tuple(told),
        troubles=tuple(troubles),
        pools=pool_lines(columns.universe, pools),
        token_premia=of_tokens,
        issuer_premia=of_issuers,
    )


def number(value: float) -> float | None:
    """A finite number, or None."""
    return float(value) if math.isfinite(value) else None


def shares_per_unit(columns: Columns, at: int) -> float | None:
    """Shares in one unit of an instrument now; None while its multiplier is unknown."""
    return number(columns.shares_per_unit[at])


def believed_worth(columns: Columns, tally: Tally, at: int) -> float | None:
    """Shares in one unit of an instrument, where its fair value may be told; None around a change of its multiplier,
    when the share may be of before and the unit of after it, and while its contract's word does not count."""
    doubts = tally.doubts.get(at, ())
    rebasing = columns.universe[at].unit_model is UnitModel.REBASING
    if "maintenance" in doubts or (not rebasing and not OF_CONTRACT.keys().isdisjoint(doubts)):
        return None
    return shares_per_unit(columns, at)


def valued(units: Decimal, shares: float | None, fair_usd: float | None) -> float | None:
    """A position in USD at the fair value of a share; None where that is not known. Nothing is worth nothing."""
    if not units:
        return 0.0
    return float(units) * shares * fair_usd if shares is not None and fair_usd is not None else None


def unbelieved(columns: Columns, at: int) -> str:
    """Why the quote of an instrument may not be shown as live; empty where it may."""
    from strategies.market import kernel  # compiled code: only a process that has columns pays for it

    if not int(columns.prints[at]):
        return "no quote yet"
    if code := int(columns.refusal[at]):
        return SLIP if code == kernel.OUTLIER_PRINT else kernel.REFUSALS[code].replace("_", " ")
    if not 0 < float(columns.bid[at]) <= float(columns.ask[at]) < math.inf:
        return "new unit, no quote yet"
    if columns.now > int(columns.expires[at]):
        return "stale"
    return ""


def refusals(columns: Columns, at: int) -> dict[str, int]:
    """Rows of an instrument that were not believed, by reason."""
    from strategies.market import kernel

    counts = enumerate(columns.refused[at].tolist())
    return {kernel.REFUSALS[code]: count for code, count in counts if count and code != kernel.OK}


def _age_s(now: int, ts: int) -> float | None:
    return (now - ts) / NS if ts else None


def _share(columns: Columns, group: int, name: str, streams: Mapping[str, StreamState]) -> ShareLine:
    now, universe = columns.now, columns.universe
    fair = columns.fair(group, now)
    name_of = universe[fair.source].name if fair and fair.source >= 0 else ""
    source = streams.get(name_of)
    buy, sell, edge = columns.best_pair(group, now)
    barred = ""
    if buy < 0:
        buy, sell, edge, barred = columns.seen_pair(group, now)
    return ShareLine(
        underlying=name,
        fair_usd=fair.price if fair else None,
        error_bps=fair.error_bps if fair else None,
        source=name_of,
        age_s=_age_s(now, fair.as_of) if name_of and fair else None,
        edge_bps=number(edge) if fair else None,
        buy=universe[buy].name if buy >= 0 else "",
        sell=universe[sell].name if sell >= 0 else "",
        origin=source.origin if source else "",
        not_tradable=barred if fair else "",
        unknown="" if fair else columns.why_unknown(group, now),
    )


def _token(
    columns: Columns,
    at: int,
    instrument: Instrument,
    share: ShareLine,
    tally: Tally,
    stream: StreamState | None,
    levels: LevelsOf,
    score: Score | None,
) -> TokenLine:
    units, mid = shares_per_unit(columns, at), number(columns.mark_usd(at))
    state = tally.venues.get(instrument.venue, ("up", ""))[0]
    against = because(stream.why) if stream is not None and stream.state != "up" else ""
    if stream is not None and stream.state in ("down", "closed"):
        state = stream.state
    told = f": {against}" if against else ""
    why = f"feed {state}{told}" if state in ("down", "closed") else unbelieved(columns, at)
    if not why and mid is None:
        why = "its coin has no price"
    live = not why
    if unbelieved(columns, at) == why and "maintenance" in tally.doubts.get(at, ()):
        why = DOUBTS["maintenance"]  # prices of the other side of the change are refused, but that is why
    if not why and at in tally.doubts:
        why = DOUBTS.get(tally.doubts[at][0], tally.doubts[at][0])
    if not why and share.fair_usd is None:
        why = f"{NO_FAIR}: {share.unknown}"
    if not why and units is None:
        why = "multiplier unknown"
    units = believed_worth(columns, tally, at)
    buy = number(columns.buy_premium_bps[at])
    premium = None if why else number(columns.premium_bps[at])
    sigmas = None if premium is None else number(columns.sigmas[at])
    error = premium / sigmas if premium and sigmas else None
    par = None if premium is None else at_par_bps(premium, columns.known_fx(at))
    sell_edge = None if why else number(columns.sell_premium_bps[at])
    buy_edge = -buy if not why and buy is not None else None
    edge = best_edge(sell_edge, buy_edge)
    book = levels(at) if live else None
    bid_usd, ask_usd, complete = (math.nan, math.nan, False) if book is None else depth_usd(columns, at, book, SHOWN)
    return TokenLine(
        token=instrument.token,
        venue=instrument.venue,
        instrument=instrument.name,
        underlying=instrument.underlying,
        fair_usd=share.fair_usd * units if share.fair_usd is not None and units is not None else None,
        error_bps=share.error_bps,
        mid_usd=mid if live else None,
        premium_bps=premium,
        sigmas=sigmas,
        premium_error_bps=error,
        premium_at_par_bps=par,
        sigmas_at_par=par / error if par is not None and error is not None else None,
        sell_edge_bps=sell_edge,
        buy_edge_bps=buy_edge,
        edge_sigmas=edge / error if edge is not None and error else None,
        age_s=_age_s(columns.now, int(columns.ts[at])),
        bid_depth_usd=number(bid_usd),
        ask_depth_usd=number(ask_usd),
        depth_complete=complete,
        peg_state="unknown" if why and why != SLIP else tally.peg.get(at, "unknown"),
        reason=why,
        not_traded=against,
        score=None if score is None else score.score,
        rarest="" if score is None else rarest(score),
    )


def rarest(score: Score) -> str:
    """The parts of a score that are seen in less than one reading of twenty, the rarest first."""
    rare = sorted((tail, name) for name, tail in score.tails.items() if tail < RARE)
    return ", ".join(f"{name} {tail:.1%}" for tail, name in rare)


def _money(columns: Columns, tally: Tally, fair: dict[str, ShareLine], use: Use) -> Money:
    unhedged: dict[str, float | None] = {}
    flying = [(one.order.source, one.away) for one in tally.conversions.open()]
    shares_flying = [(at, units) for at, units in flying if units and columns.universe[at].underlying]
    for at, units in (*tally.positions.items(), *shares_flying):
        name = columns.universe[at].underlying
        shares, price = believed_worth(columns, tally, at), fair[name].fair_usd
        value = valued(units, shares, price)
        before = unhedged.get(name, 0.0)
        unhedged[name] = before + value if before is not None and value is not None else None
    known = [value for value in unhedged.values() if value is not None]
    return Money(
        trades=tally.trades,
        open_trades=dict(Counter(trade.stage for trade in tally.open.values())),
        naked_usd_s=sum(use.naked_usd_s.values()),
        fills=tally.fills,
        captured_usd=sum(tally.edge_captured_usd.values()),
        lost_usd=sum(tally.edge_lost_usd.values()),
        fees_usd=sum(value for (_, part), value in tally.costs_usd.items() if part == "fee"),
        cash_usd=float(tally.cash_usd),
        inventory_usd=sum(known) if len(known) == len(unhedged) else None,
        unhedged_usd=unhedged,
    )
