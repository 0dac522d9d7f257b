"""The proof that an intent brings something nearer to zero and nothing further from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext

from connectors.exact import exact
from connectors.orders import Intent, Leg, Side
from strategies.base import View
from strategies.execution.ledger import EXACT
from strategies.market import kernel as K

ZERO = Decimal(0)
EVEN = Decimal("0.01")
"""Sides of a pair that are worth the same shares to within this share of the larger leave no net shares behind."""

OpenShares = Mapping[tuple[str, str], Decimal]
"""By id of an open trade and its underlying: its net shares by its own fills, its orders under way counted as filled.
"""


def reduces(intent: Intent, earlier: Iterable[Leg], view: View, open_shares: OpenShares) -> bool:
    """Whether it brings nearer to zero, and never beyond it: the net shares of its underlying or of its trade, however
    much of it fills; or, where it leaves the net shares as they are, the position in each leg's instrument. That half
    of such a pair fills stays a risk, which its trade then hedges.

    Orders of the same side that are under way, and the `earlier` legs of this moment, count as filled. Net shares must
    come nearer to zero whether mints and redemptions under way bring what they will or nothing.
    """
    before = list(earlier)
    with localcontext(EXACT):
        return (_even(intent, view) and _positions(intent, before, view)) or _net(intent, before, view, open_shares)


def units_of(legs: Iterable[Leg], instrument: int, side: Side) -> Decimal:
    """Units that these legs would buy, or sell, of an instrument."""
    return sum((leg.quantity for leg in legs if (leg.instrument, leg.side) == (instrument, side)), ZERO)


def _positions(intent: Intent, earlier: list[Leg], view: View) -> bool:
    """Each leg takes away from what is held of its instrument."""
    for at, leg in enumerate(intent.legs):
        same = [
            one for one in (*earlier, *intent.legs[:at]) if (one.instrument, one.side) == (leg.instrument, leg.side)
        ]
        moved = view.ledger.reserved(leg.instrument, leg.side) + leg.quantity + sum(one.quantity for one in same)
        held = view.ledger.position(leg.instrument)
        if not moved <= (-held if leg.side is Side.BUY else held):
            return False
    return bool(intent.legs)


def _even(intent: Intent, view: View) -> bool:
    """Its legs buy as many shares of each underlying as they sell."""
    universe = view.columns.universe
    for name in {universe[leg.instrument].underlying for leg in intent.legs}:
        legs = [leg for leg in intent.legs if universe[leg.instrument].underlying == name]
        bought = _shares(view, ((leg.instrument, leg.quantity) for leg in legs if leg.side is Side.BUY))
        sold = _shares(view, ((leg.instrument, leg.quantity) for leg in legs if leg.side is Side.SELL))
        apart = abs(bought - sold)
        if not (apart.is_finite() and apart <= EVEN * max(bought, sold)):
            return False
    return True


def _net(intent: Intent, earlier: list[Leg], view: View, open_shares: OpenShares) -> bool:
    """All legs go the same way, against the net shares of their underlying or of their trade."""
    sides = {leg.side for leg in intent.legs}
    universe, ledger = view.columns.universe, view.ledger
    names = {universe[leg.instrument].underlying for leg in intent.legs}
    if len(sides) != 1 or len(names) != 1:
        return False
    (side,), (name,) = sides, names
    wished = _shares(view, ((leg.instrument, leg.quantity) for leg in intent.legs))
    if not wished.is_finite():
        return False
    own = open_shares.get((intent.trade, name))
    if own is not None and wished <= (-own if side is Side.BUY else own):
        return True
    kin = [at for at, one in enumerate(universe) if one.underlying == name]
    held = _shares(view, ((at, ledger.position(at)) for at in kin))
    then = held + _shares(view, ((at, units) for at, units in ledger.coming().items() if at in kin))
    moved = _shares(view, ((at, ledger.reserved(at, side)) for at in kin))
    moved += _shares(view, ((o.instrument, o.quantity) for o in earlier if o.instrument in kin and o.side is side))
    lefts = [(-net if side is Side.BUY else net) - moved for net in (held, then)]
    return all(left.is_finite() and wished <= left for left in lefts)


def _shares(view: View, units: Iterable[tuple[int, Decimal]]) -> Decimal:
    """Shares that units, by instrument, are worth in sum; NaN where that is unknown of any."""
    rows = view.columns.f_rows
    return sum((held * exact(rows[at][K.SHARES_PER_UNIT]) for at, held in units if held), ZERO)
