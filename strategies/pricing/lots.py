"""The best trade in orders that venues take: whole lots, limits on ticks, nothing below a least notional; exact.

Each level counts with the whole lots that it holds. Without a pool, what is bought is what is sold, to the last digit.
All is decimal: in floats 0.1 + 0.2 is not 0.3, and lots of different sizes never meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from itertools import pairwise
from math import gcd
from typing import Final, NamedTuple

from strategies.pricing.curve import EMPTY, Curve
from strategies.pricing.lot_pool import Pool
from strategies.pricing.lot_search import ZERO, Search, Stack

_EXACT: Final = Context(prec=50)
ONE: Final = Decimal(1)

Levels = tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One venue with a book of (price, size) levels, best first, in quote coins and tokens."""

    asks: Levels = ()
    bids: Levels = ()
    lot: Decimal
    """Tokens."""
    tick: Decimal = ZERO
    """Of prices; 0 where any price is taken."""
    least_notional: Decimal = ZERO
    """Of an order, in quote coins and without fees."""
    fee: Decimal = ZERO
    usd: Decimal = ONE
    """USD per quote coin."""
    shares: Decimal = ONE
    """Per token."""
    carry: Decimal = ZERO
    """USD per share that holding costs, as in strategies/pricing/curve.py."""
    fixed_usd: Decimal = ZERO
    """Paid once if the venue is used."""

    def __post_init__(self) -> None:
        """Raises ValueError for a lot that is not above 0 and for levels that cross or do not get worse."""
        if not (self.lot > 0 and self.shares > 0 and self.usd > 0):
            raise ValueError(f"lot {self.lot}, shares {self.shares} and usd {self.usd} are to be above 0")
        for prices, side in (([p for p, _ in self.asks], 1), ([p for p, _ in self.bids], -1)):
            if any((b - a) * side < 0 for a, b in pairwise(prices)):
                raise ValueError("the levels of a book do not get worse with size")
        if self.asks and self.bids and self.asks[0][0] <= self.bids[0][0]:
            raise ValueError("a book sells for less than it pays")


class Order(NamedTuple):
    """What is done on one side of one book."""

    book: int
    """Its place among those that were asked about."""
    buy: bool
    tokens: Decimal
    shares: Decimal
    usd: Decimal
    """Cost or proceeds, all in, without the venue's fixed cost."""
    limit: Decimal
    """Price of the worst level that is taken, on the tick behind it."""


class Sized(NamedTuple):
    """The best trade; without orders where none pays."""

    orders: tuple[Order, ...]
    pool_shares: Decimal
    """Sold to the pool; below 0 they are bought there."""
    pool_usd: Decimal
    """Received from it; below 0 it is paid."""
    profit_usd: Decimal
    """After fixed costs."""
    bound_usd: Decimal
    """What no trade can pass. It is the profit, unless the search was ended before its time."""
    looks: int

    @property
    def gap_usd(self) -> Decimal:
        """By how much a better trade could be better; 0: this is the best one."""
        return self.bound_usd - self.profit_usd


class _Level(NamedTuple):
    """Whole lots of one book at one price."""

    usd: Decimal
    """A lot, all in."""
    lots: int
    book: int
    price: Decimal


def size_in_lots(
    books: Sequence[Book],
    *,
    pool_buy: Curve = EMPTY,
    pool_sell: Curve = EMPTY,
    pool_fixed_usd: Decimal = ZERO,
    cap: Decimal | None = None,
    looks: int = 2000,
) -> Sized:
    """The most profitable orders, at most `cap` shares bought; a pool's curves take any size.

    Books with one lot, in shares, and nothing fixed are settled at one look, two such sizes at three. Many sizes,
    least notionals and fixed costs may take more; after `looks` the best trade so far comes with its gap. Raises
    ValueError for a cap or looks that are not at least 0 and 1, and for a pool whose curves cross.
    """
    if looks < 1 or (cap is not None and not cap >= 0):
        raise ValueError(f"no search with a cap of {cap} in {looks} looks")
    with localcontext(_EXACT):
        unit = unit_of([one.lot * one.shares for one in books])
        groups = _groups(books)
        stacks = [
            Stack(
                buy,
                int(books[levels[0].book].lot * books[levels[0].book].shares / unit),
                tuple((one.usd, one.lots) for one in levels),
                least,
                levels[0].book if books[levels[0].book].fixed_usd else -1,
            )
            for buy, levels, least in groups
        ]
        there = len(pool_buy.start) + len(pool_sell.start) > 0
        pool = Pool(pool_buy, pool_sell, fixed_usd=pool_fixed_usd, unit=unit) if there else None
        limit = None if cap is None else cap / unit
        found = Search(stacks, [one.fixed_usd for one in books], pool, limit).best(looks)
        orders = [
            order
            for (buy, levels, _), lots in zip(groups, found.lots, strict=True)
            for order in _orders(books, buy, levels, lots)
        ]
        left = sum((one.shares if one.buy else -one.shares for one in orders), ZERO)
        pool_usd = pool.usd(left / unit) if pool else ZERO
        fixed = sum((books[at].fixed_usd for at in {one.book for one in orders}), ZERO)
        fixed += pool_fixed_usd if left else ZERO
        profit = sum((-one.usd if one.buy else one.usd for one in orders), pool_usd) - fixed
        orders.sort(key=lambda one: (one.book, not one.buy))
        bound = profit if found.bound == found.profit else found.bound
        return Sized(tuple(orders), left, pool_usd, profit, bound, found.looks)


def _groups(books: Sequence[Book]) -> list[tuple[bool, list[_Level], int]]:
    """(side, levels, least lots): books with one lot whose use costs nothing fixed and has no least size are one."""
    alike: dict[tuple[bool, Decimal], list[_Level]] = {}
    found: list[tuple[bool, list[_Level], int]] = []
    for at, book in enumerate(books):
        for buy in (True, False):
            levels = _levels(at, book, buy)
            if not book.fixed_usd and not book.least_notional:
                alike.setdefault((buy, book.lot * book.shares), []).extend(levels)
                continue
            least = _least(levels, book)
            if levels and least is not None:
                found.append((buy, levels, least))
    for (buy, _), levels in alike.items():
        if levels:
            found.append((buy, sorted(levels, key=lambda one: one.usd, reverse=not buy), 0))
    return found


def _levels(at: int, book: Book, buy: bool) -> list[_Level]:
    """One side of a book in whole lots, until a price is no price any more."""
    found = []
    for price, size in book.asks if buy else book.bids:
        factor = ONE + book.fee if buy else ONE - book.fee
        usd = (price * factor * book.usd + book.carry * book.shares) * book.lot
        if usd <= 0:
            break
        if lots := int(size // book.lot):
            found.append(_Level(usd, lots, at, price))
    return found


def _least(levels: list[_Level], book: Book) -> int | None:
    """Lots that a least notional asks for; None where the side does not hold so much."""
    missing, lots = book.least_notional, 0
    for one in levels:
        if missing <= 0:
            break
        taken = min(one.lots, int((missing / (one.price * book.lot)).to_integral_value(ROUND_CEILING)))
        missing -= taken * one.price * book.lot
        lots += taken
    return lots if missing <= 0 else None


def _orders(books: Sequence[Book], buy: bool, levels: list[_Level], lots: int) -> list[Order]:
    """So many lots of a group, by book."""
    taken: dict[int, list[tuple[_Level, int]]] = {}
    for one in levels:
        if count := min(lots, one.lots):
            taken.setdefault(one.book, []).append((one, count))
            lots -= count
    found = []
    for at, parts in taken.items():
        book, worst = books[at], parts[-1][0].price
        tokens = book.lot * sum(count for _, count in parts)
        if book.tick:
            worst = (worst / book.tick).to_integral_value(ROUND_CEILING if buy else ROUND_FLOOR) * book.tick
        usd = sum((one.usd * count for one, count in parts), ZERO)
        found.append(Order(at, buy, tokens, tokens * book.shares, usd, worst))
    return found


def unit_of(lots: Sequence[Decimal]) -> Decimal:
    """The largest number of shares of which every lot is a multiple."""
    if not lots:
        return ONE
    digits = max(-int(one.normalize().as_tuple().exponent) for one in lots)
    return Decimal(gcd(*(int(one.scaleb(digits)) for one in lots))).scaleb(-digits)
