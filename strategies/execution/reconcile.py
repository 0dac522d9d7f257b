"""Books against a venue's word: each difference has a kind and its evidence, and says what may only be reduced.

A statement was read over a while that began at `as_of`. What the venue had done by then is in its balance; of what it
did later, the earlier part may be. So a balance agrees if it is that of some moment from `as_of` on, each fill counted
once by its id, whoever told of it first: the venue's list or our reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import structs

from connectors.events import NS
from connectors.instruments import Universe
from connectors.orders import Fill, OpenOrder, Side, Statement
from strategies.execution.ledger import EXACT, ZERO

RIGHTS: Final = frozenset({"read", "trade"})
"""All that a key is for."""


class Kind(StrEnum):
    """What differs."""

    MISSING_FILL = "missing_fill"
    """The venue tells a fill of an order of ours that the books lack."""
    EXTRA_FILL = "extra_fill"
    """The books hold a fill that the venue does not tell."""
    FILL_DIFFERS = "fill_differs"
    """Both know a fill and say different things of it."""
    BALANCE = "balance"
    """The venue holds more or less than the books, and no fill explains it."""
    UNKNOWN_ORDER = "unknown_order"
    """An order stands that carries our mark, and the books have it as over or not at all."""
    ORDER_GONE = "order_gone"
    """The books wait for an order that does not stand any more."""
    FOREIGN_ORDER = "foreign_order"
    """An order of somebody else on our account: told, and never cancelled or counted as ours."""
    KEY = "key"
    """The key may do more than read and trade: whoever has it could take money out."""
    UNREAD = "unread"
    """The venue did not say; that is not the same as nothing."""

    @property
    def bars(self) -> bool:
        """Whether its instruments may only be reduced while it stands."""
        return self is not Kind.FOREIGN_ORDER


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on which books and venue do not agree."""

    kind: Kind
    venue: str
    instruments: tuple[int, ...]
    """What it concerns."""
    subject: str = ""
    """Asset, client id or id of the fill."""
    amount: Decimal = ZERO
    """Of a balance: units or coins that the venue has more than the books."""
    passing: bool = False
    """Orders or fills of ours were so young that this may be their doing: it must be looked at again."""
    fill: Fill | None = None
    """What the venue tells, where it is about a fill."""
    evidence: str
    """What each of both says, and as of when, for the journal and for a person."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What we believe to have at a venue, taken when the statement is at hand and not before."""

    positions: Mapping[int, Decimal]
    """Units by instrument, as the ledger has them."""
    cash: Mapping[str, Decimal] | None = None
    """Coins by name that the ledger has at this venue; None: coins are not compared."""
    fills: tuple[Fill, ...]
    """All of this venue since the statement's first moment, by their `ts`."""
    orders: Mapping[str, OpenOrder]
    """Orders without a last answer, by client id."""
    sent: Mapping[str, int]
    """When each of those was sent, and each other that had its last answer not long ago, ns UTC."""
    in_flight: Mapping[str, tuple[Decimal, Decimal]] = {}
    """By asset, the least and the most that mints and redemptions under way may have moved at the venue, beyond what
    their issuers have told."""
    dust: Mapping[int, Decimal] = {}
    """Units by instrument below which a balance does not differ; absent is exactly."""


def compare(
    books: Books,
    statement: Statement,
    universe: Universe,
    *,
    ours: Callable[[str], bool],
    since: int,
    patience_ns: int,
) -> tuple[Difference, ...]:
    """All differences between books and a statement whose fills begin at `since` (ns UTC).

    `ours` tells our client ids by their mark. News of an order under way may take `patience_ns`; until then a fill that
    only the venue tells, or an order that does not stand yet or any more, is no difference.
    """
    here = universe.at(statement.venue)
    told = [*_unread(statement, here), *_rights(statement, here)]
    settled = statement.as_of - patience_ns
    if statement.orders is not None:
        told += _orders(books, statement, statement.orders, here, ours, settled)
    disputed = [] if statement.fills is None else [*_fills(books, statement, statement.fills, ours, since, settled)]
    told += disputed
    if statement.balances is not None:
        balances = _balances(books, statement, statement.balances, universe, here, ours, settled)
        told += [_bounded(one, disputed, universe) for one in balances]
    return tuple(told)


def reduce_only(differences: Iterable[Difference]) -> dict[int, str]:
    """By instrument why it may only be reduced; one that is absent is equal."""
    barred: dict[int, str] = {}
    for one in differences:
        if one.kind.bars:
            for instrument in one.instruments:
                barred.setdefault(instrument, f"{one.kind.value}: {one.evidence}")
    return barred


def _unread(statement: Statement, here: tuple[int, ...]) -> Iterable[Difference]:
    parts = {"balances": statement.balances, "orders": statement.orders, "fills": statement.fills}
    for name in (name for name, part in parts.items() if part is None):
        evidence = (
            f"{statement.venue} did not tell {name} as of {_utc(statement.as_of)}: {statement.unread or 'no reason'}"
        )
        yield Difference(
            kind=Kind.UNREAD, venue=statement.venue, instruments=here, subject=name, evidence=evidence
        )  # fmt: skip


def _rights(statement: Statement, here: tuple[int, ...]) -> Iterable[Difference]:
    """What the key may do beyond what it is for, where the venue tells."""
    more = sorted({*(statement.rights or ())} - RIGHTS)
    if more:
        evidence = (
            f"at {statement.venue} the key may {', '.join(more)} as of {_utc(statement.as_of)}: make one that may not"
        )
        yield Difference(kind=Kind.KEY, venue=statement.venue, instruments=here, subject="rights", evidence=evidence)


def _orders(
    books: Books,
    statement: Statement,
    standing: tuple[OpenOrder, ...],
    here: tuple[int, ...],
    ours: Callable[[str], bool],
    settled: int,
) -> Iterable[Difference]:
    """Orders that only one of both has."""
    venue = statement.venue
    for order in standing:
        if order.client_id in books.orders:
            continue
        kind = Kind.UNKNOWN_ORDER if ours(order.client_id) else Kind.FOREIGN_ORDER
        evidence = (
            f"{venue} has {order.side.value} {order.left:f} left as of {_utc(statement.as_of)}; the books have none"
        )
        about = (order.instrument,) if order.instrument in here else here
        young = books.sent.get(order.client_id, 0) >= settled  # its last answer may be newer than the statement
        yield Difference(
            kind=kind, venue=venue, instruments=about, subject=order.client_id, passing=young, evidence=evidence
        )
    stands = {order.client_id for order in standing}
    for client_id, order in books.orders.items():
        if order.instrument in here and client_id not in stands and books.sent.get(client_id, 0) < settled:
            evidence = (
                f"sent at {_utc(books.sent.get(client_id, 0))} and without a last answer; {venue} does not have it"
            )
            about = (order.instrument,)
            yield Difference(
                kind=Kind.ORDER_GONE, venue=venue, instruments=about, subject=client_id, evidence=evidence
            )  # fmt: skip


def _fills(
    books: Books,
    statement: Statement,
    told: tuple[Fill, ...],
    ours: Callable[[str], bool],
    since: int,
    settled: int,
) -> Iterable[Difference]:
    """Fills of ours that only one of both has, or on which they differ."""
    venue, known = statement.venue, {fill.id: fill for fill in books.fills}
    for fill in told:
        mine = known.get(fill.id)
        if mine is None and ours(fill.client_id):
            if fill.client_id in books.orders and fill.ts > settled:
                continue  # its report is on the way
            kind, evidence = Kind.MISSING_FILL, f"{venue} tells {_words(fill)}; the books lack it"
        elif mine is not None and _essence(mine) != _essence(fill):
            kind, evidence = Kind.FILL_DIFFERS, f"{venue} tells {_words(fill)}; the books have {_words(mine)}"
        else:
            continue
        yield Difference(
            kind=kind, venue=venue, instruments=(fill.instrument,), subject=fill.id, fill=fill, evidence=evidence
        )
    heard = {fill.id for fill in told}
    for fill in books.fills:
        if fill.id not in heard and since <= fill.ts < settled:
            evidence = f"the books have {_words(fill)}; {venue} does not tell it as of {_utc(statement.as_of)}"
            about = (fill.instrument,)
            yield Difference(kind=Kind.EXTRA_FILL, venue=venue, instruments=about, subject=fill.id, evidence=evidence)


def _balances(
    books: Books,
    statement: Statement,
    balances: Mapping[str, Decimal],
    universe: Universe,
    here: tuple[int, ...],
    ours: Callable[[str], bool],
    settled: int,
) -> Iterable[Difference]:
    """Balances that are those of no moment from `as_of` on; an asset is one, whatever it is quoted in."""
    known = {fill.id for fill in books.fills}
    lacking = [fill for fill in statement.fills or () if fill.id not in known and ours(fill.client_id)]
    fills = sorted((*books.fills, *lacking), key=lambda fill: (fill.ts, fill.id))
    young = {one.instrument for id, one in books.orders.items() if books.sent.get(id, 0) >= settled}
    young |= {fill.instrument for fill in books.fills if fill.ts >= settled}
    for asset in _assets(books, universe, here):
        with localcontext(EXACT):
            instruments = tuple(at for at in here if universe[at].asset == asset)
            has = balances.get(asset, ZERO)
            units = sum((books.positions.get(at, ZERO) for at in instruments), (books.cash or {}).get(asset, ZERO))
            dust = max((books.dust.get(at, ZERO) for at in instruments), default=ZERO)
            moved = [(fill, _moves(fill, asset, universe, coins=books.cash is not None)) for fill in fills]
            # As the books would stand at `as_of`: with what they lack of before, and without what came later.
            for fill, amount in moved:
                if (fill.ts > statement.as_of) == (fill.id in known):
                    units += amount if fill.id not in known else -amount
            nearest = has - units
            for fill, amount in moved:
                if fill.ts > statement.as_of:
                    units += amount
                    nearest = min(nearest, has - units, key=abs)
            low, high = books.in_flight.get(asset, (ZERO, ZERO))
            nearest -= min(max(nearest, low), high)
        if abs(nearest) > dust:
            evidence = (
                f"{statement.venue} holds {has:f} {asset} as of {_utc(statement.as_of)}, the books {has - nearest:f}"
            )
            others = [fill for fill in statement.fills or () if fill.id not in known and not ours(fill.client_id)]
            if of := [fill.id for fill in others if _moves(fill, asset, universe, coins=True)]:
                evidence += f"; trades of others: {', '.join(of[:5])}"
            touched = {universe[at].asset for at in young} | {universe[at].quote for at in young}
            yield Difference(
                kind=Kind.BALANCE, venue=statement.venue, instruments=here, subject=asset, amount=nearest,
                passing=asset in touched, evidence=evidence,
            )  # fmt: skip


def _assets(books: Books, universe: Universe, here: tuple[int, ...]) -> tuple[str, ...]:
    """What the venue keeps balances of, as far as it is ours to know."""
    coins = () if books.cash is None else (*(universe[at].quote for at in here), *books.cash)
    return tuple(dict.fromkeys((*(universe[at].asset for at in here), *coins)))


def _moves(fill: Fill, asset: str, universe: Universe, *, coins: bool) -> Decimal:
    """What a fill has added to the balance of an asset, with `coins` also as what it was paid in."""
    instrument, units = universe[fill.instrument], _units(fill)
    amount = units if instrument.asset == asset else ZERO
    return amount - units * fill.price - fill.fee if coins and instrument.quote == asset else amount


def _bounded(one: Difference, disputed: Iterable[Difference], universe: Universe) -> Difference:
    """A balance that a disputed fill of ours may explain bars what was traded; any other, by whomever, the venue."""
    of = tuple(dict.fromkeys(at for fill in disputed for at in fill.instruments
                             if one.subject in (universe[at].asset, universe[at].quote)))  # fmt: skip
    if not of:
        return one
    same = tuple(at for at in one.instruments if universe[at].asset in {universe[at].asset for at in of})
    return structs.replace(one, instruments=same)


def _units(fill: Fill) -> Decimal:
    return fill.quantity if fill.side is Side.BUY else -fill.quantity


def _essence(fill: Fill) -> tuple[int, Side, Decimal, Decimal, Decimal]:
    """What both must say alike."""
    return fill.instrument, fill.side, fill.quantity, fill.price, fill.fee


def _words(fill: Fill) -> str:
    return (
        f"{fill.id} of {fill.client_id}: {fill.side.value} {fill.quantity:f} at {fill.price:f}, fee {fill.fee:f}, "
        f"at {_utc(fill.ts)}"
    )


def _utc(ns: int) -> str:
    """A moment to the nanosecond, for a person."""
    seconds, rest = divmod(ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
