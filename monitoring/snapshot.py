"""One picture of this moment that the page, the live table and `--json` all show: read from columns and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from connectors.events import NS
from connectors.instruments import USD, Instrument, Role, Universe
from monitoring.contract import SESSIONS, ColumnsView, Facts, FeedState
from monitoring.decisions import Tally


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
    sell_edge_bps: float | None
    """Gain of selling at the bid after costs, over fair value."""
    buy_edge_bps: float | None
    """Gain of buying at the ask after costs, under fair value."""
    age_s: float | None
    peg_state: str
    reason: str
    """Why something is unknown or not believed; empty when all is well."""


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


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """The paper ledger in five numbers, USD. None is unknown."""

    trades: int
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


def snapshot(
    columns: ColumnsView,
    universe: Universe,
    tally: Tally,
    *,
    feeds: Sequence[FeedState] = (),
    facts: Facts,
    told: Sequence[str] = (),
) -> Snapshot:
    """The picture of `columns.now`."""
    now = int(columns.now)
    names = universe.underlyings()
    errors = columns.fair_error_bps(now)
    shares = tuple(_share(columns, universe, at, name, number(errors[at]), now) for at, name in enumerate(names))
    fair = {share.underlying: share for share in shares}
    tokens = tuple(
        _token(columns, universe, at, instrument, fair[instrument.underlying], tally, facts, now)
        for at, instrument in enumerate(universe)
        if instrument.role is Role.TOKEN
    )
    return Snapshot(
        now_ns=now,
        session=SESSIONS[int(columns.session)],
        mode=facts.mode,
        tokens=tokens,
        shares=shares,
        feeds=tuple(feeds),
        money=_money(columns, universe, tally, fair),
        steps=tally.steps,
        notes=dict(tally.notes),
        told=tuple(told),
    )


def number(value: object) -> float | None:
    """A finite number as a float, anything else as None."""
    found = float(value)  # type: ignore[arg-type]
    return found if math.isfinite(found) else None


def fx_of(columns: ColumnsView, universe: Universe, instrument: Instrument) -> float | None:
    """USD per quote currency of an instrument; None while the coin has no price."""
    if instrument.quote == USD:
        return 1.0
    coins = universe.coins()
    return number(columns.fx[coins.index(instrument.quote)]) if instrument.quote in coins else None


def shares_per_unit(columns: ColumnsView, universe: Universe, at: int) -> float | None:
    """Shares in one unit of an instrument, as the engine reckons now; None while unknown."""
    fx, factor = fx_of(columns, universe, universe[at]), number(columns.usd_per_share[at])
    return fx / factor if fx is not None and factor is not None and factor > 0 else None


def unbelieved(columns: ColumnsView, at: int, facts: Facts, now: int) -> str:
    """Why the quote of an instrument may not be shown as live; empty where it may."""
    if not int(columns.prints[at]):
        return "no quote yet"
    code = int(columns.refusal[at])
    if code:
        return columns.refusal_names[code]
    if facts.max_age_s and now - int(columns.ts[at]) > facts.max_age_s[at] * NS:
        return "stale"
    if not 0 < float(columns.bid[at]) <= float(columns.ask[at]) < math.inf:
        return "no two-sided quote"
    return ""


def _age_s(now: int, ts: int) -> float | None:
    return (now - ts) / NS if ts else None


def _share(
    columns: ColumnsView, universe: Universe, at: int, name: str, error_bps: float | None, now: int
) -> ShareLine:
    source, fair = int(columns.fair_source[at]), number(columns.fair_price[at])
    known = source >= 0 and fair is not None and error_bps is not None
    edge, buy, sell = number(columns.edge_bps[at]), int(columns.edge_buy[at]), int(columns.edge_sell[at])
    return ShareLine(
        underlying=name,
        fair_usd=fair if known else None,
        error_bps=error_bps if known else None,
        source=universe[source].name if known else "",
        age_s=_age_s(now, int(columns.fair_as_of[at])) if known else None,
        edge_bps=edge if edge is not None and buy >= 0 and sell >= 0 else None,
        buy=universe[buy].name if buy >= 0 else "",
        sell=universe[sell].name if sell >= 0 else "",
    )


def _token(
    columns: ColumnsView,
    universe: Universe,
    at: int,
    instrument: Instrument,
    share: ShareLine,
    tally: Tally,
    facts: Facts,
    now: int,
) -> TokenLine:
    units, fx = shares_per_unit(columns, universe, at), fx_of(columns, universe, instrument)
    why = unbelieved(columns, at, facts, now)
    if not why and at in tally.down:
        why = "feed down"
    live = not why and fx is not None
    judged = live and share.fair_usd is not None and units is not None
    if not why:
        why = "" if judged else "fair value unknown" if share.fair_usd is None else "price in USD unknown"
    buy = number(columns.buy_premium_bps[at])
    return TokenLine(
        token=instrument.token,
        venue=instrument.venue,
        instrument=instrument.name,
        underlying=instrument.underlying,
        fair_usd=share.fair_usd * units if share.fair_usd is not None and units is not None else None,
        error_bps=share.error_bps,
        mid_usd=float(columns.bid[at] + columns.ask[at]) / 2 * fx if live and fx is not None else None,
        premium_bps=number(columns.premium_bps[at]) if judged else None,
        sell_edge_bps=number(columns.sell_premium_bps[at]) if judged else None,
        buy_edge_bps=-buy if judged and buy is not None else None,
        age_s=_age_s(now, int(columns.ts[at])),
        peg_state=tally.peg.get(at, "ok" if judged else "unknown"),
        reason=why,
    )


def _money(columns: ColumnsView, universe: Universe, tally: Tally, fair: dict[str, ShareLine]) -> Money:
    unhedged: dict[str, float | None] = {}
    for at, units in tally.positions.items():
        name = universe[at].underlying
        shares, price = shares_per_unit(columns, universe, at), fair[name].fair_usd
        value = float(units) * shares * price if shares is not None and price is not None else None
        before = unhedged.get(name, 0.0)
        unhedged[name] = before + value if before is not None and value is not None else None
    known = [value for value in unhedged.values() if value is not None]
    return Money(
        trades=len(tally.closed),
        fills=tally.fills,
        captured_usd=sum(tally.edge_captured_usd.values()),
        lost_usd=sum(tally.edge_lost_usd.values()),
        fees_usd=sum(value for (_, part), value in tally.costs_usd.items() if part == "fee"),
        cash_usd=float(tally.cash_usd),
        inventory_usd=sum(known) if len(known) == len(unhedged) else None,
        unhedged_usd=unhedged,
    )
