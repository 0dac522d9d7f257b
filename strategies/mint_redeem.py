"""Close a premium at the issuer: sell what is held and mint it anew, mint to sell, or buy what is cheap and redeem it.

Each is a plan of one or two legs that fill at once, and a mint or redemption for what they filled (`Intent.then`):

             against a coin             in kind (the issuer takes shares)
    refill   sell token       + mint    sell token, buy share  + mint
    first    sell hedge       + mint    sell hedge, buy share  + mint      the token is sold when it comes
    redeem   buy token        + redeem  buy token, sell share  + redeem

What was minted first is sold when it has come, with the hedge bought back, or redeemed where that brings more.
The price against a coin is fixed by the request, so that its legs and the request leave no net shares between them.
What is expected of each is quant of strategies/pricing/{mint_economics,renewal}.py: what is left of the premium after
the issuer's delay, what a rejection costs, what the money would earn elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Final

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Role, Universe
from connectors.orders import Conversion, Intent, Leg, Purpose, Side
from strategies.base import Decision, Every, Note, PremiumBeyond, View, Wake
from strategies.market import kernel as K
from strategies.minting.case import (
    MINTS,
    NAME,
    Case,
    Look,
    Refusal,
    Way,
    dues_of,
    entry,
    expected,
    habit_of,
    look_at,
    tempts,
    usd_of,
)
from strategies.minting.sizing import first_of, kin_of, legs_of
from strategies.pricing.costs import Costs
from strategies.pricing.doors import Door, door_of

SHORT: Final = Decimal("0.999")
"""Less than this part of what a request was to bring is a difference to claim."""


@dataclass(frozen=True, kw_only=True)
class MintRedeem:
    """The strategy."""

    ways: tuple[Way, ...]
    lots: tuple[Decimal, ...]
    """Smallest step of the quantity in units, by instrument."""
    size_usd: Decimal
    """Of a trade."""
    min_edge_bps: float
    most_bps: float
    """A premium beyond this is a broken peg or a wrong number, and no plan begins on it."""
    costs: tuple[Costs, ...]
    """Of one leg at each instrument, what holding it costs too."""
    capital_per_day: float
    """What locked money would earn elsewhere in a day, as a part of it."""
    slippage_bps: Decimal | None
    late_after: float
    """A request is late after so many of its usual delays."""
    latency_ns: int
    cooldown_ns: int
    refusal_backoff_ns: int
    max_open: int
    name: str = NAME
    _said: dict[int, str] = field(default_factory=dict, repr=False, compare=False)
    """The last reason told of each token: it is told when it changes."""

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """On a premium of any token that is beyond the least edge, and at the clock."""
        return (*(PremiumBeyond(way.token, self.min_edge_bps) for way in self.ways), Every())

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """(buy, sell): a token is bought where it can be redeemed and sold where it is held; what hedges goes both
        ways, and how far is for the limits of the review."""
        for way in self.ways:
            if instrument == way.token:
                return way.redeem is not None, view.ledger.free(self.name, instrument) > 0
            if instrument == way.other or instrument in way.hedges:
                return True, True
        return False, False

    def decide(self, view: View) -> Decision:
        """At most one plan of a share and issuer, the best one; and why not, where that has changed."""
        wishes: dict[tuple[str, str], Intent] = {}
        notes: list[Note] = []
        open_ = _open(view)
        for way in self.ways:
            if not self._concerns(view, way):
                continue
            underlying = view.columns.universe[way.token].underlying
            look = look_at(view, way, self.size_usd)
            if look is None:
                continue
            if (found := self._found(view, way, look, waits=(way.issuer, underlying) in open_)) is None:
                self._said.pop(way.token, None)
                continue
            if isinstance(found, Intent):
                known = wishes.get((way.issuer, underlying))
                if known is None or found.edge_bps > known.edge_bps:
                    wishes[way.issuer, underlying] = found
            elif self._said.get(way.token) != found.reason:
                self._said[way.token] = found.reason
                notes.append(self._why(view, way, underlying, look, found))
        return Decision(tuple(wishes.values()), tuple(notes))

    def verdict(self, view: View, token: int, kind: str) -> Intent | Refusal:
        """What it would do about a token by a plan of this kind, asked by itself; it remembers nothing of it."""
        way = next((way for way in self.ways if way.token == token), None)
        look = None if way is None else look_at(view, way, self.size_usd)
        if way is None or look is None:
            return Refusal("not_traded")
        waits = (way.issuer, view.columns.universe[token].underlying) in _open(view)
        found = self._found(view, way, look, waits=waits)
        if found is None:
            return Refusal("small", max(look.bid, -look.ask))
        if isinstance(found, Intent):
            kinds = kind_of(found)
            return found if kinds == kind else Refusal(f"{kinds}_instead", found.edge_bps / 1e4)
        return found if found.reason in ("too_far", "request_open", "out_waits") else self._plan(view, way, look, kind)

    def _found(self, view: View, way: Way, look: Look, *, waits: bool) -> Intent | Refusal | None:
        """What is to be done at a way; None where its premium asks for nothing. `waits`: a request of its share is
        open at its issuer."""
        if (out := self._out(view, way, look, waits=waits)) is not None:
            return out
        if max(look.bid, -look.ask) < self.min_edge_bps / 1e4:
            return None
        if abs(look.mid) * 1e4 > self.most_bps:
            return Refusal("too_far")
        return Refusal("request_open") if waits else self._best(view, way, look)

    def _why(self, view: View, way: Way, underlying: str, look: Look, refusal: Refusal) -> Note:
        """A refusal with its numbers."""
        detail: dict[str, float | str] = {"reason": refusal.reason, "strategy": self.name}
        detail |= {"premium_bps": round(look.mid * 1e4, 3), "needed_bps": self.min_edge_bps}
        detail["most_bps"] = self.most_bps
        if isfinite(refusal.edge):
            detail["edge_bps"] = round(refusal.edge * 1e4, 3)
        return Note(kind="no_trade", instrument=way.token, underlying=underlying, detail=detail)

    # --- what is seen

    def _concerns(self, view: View, way: Way) -> bool:
        """Whether a way is worth a look, which most of the time it is not: its premium is large, tokens are held that
        were minted with a hedge, or a reason was told that may have passed."""
        return (
            way.token in self._said
            or tempts(view, way, self.min_edge_bps / 1e4)
            or view.ledger.holdings.units(self.name, way.token) > 0
        )

    # --- what to do

    def _out(self, view: View, way: Way, look: Look, *, waits: bool) -> Intent | Refusal | None:
        """What becomes of tokens of ours that were minted with a hedge; None where there are none, or while something
        of their share is under way. `waits`: no redemption can be asked for now."""
        mine = view.ledger.holdings
        tokens = mine.units(self.name, way.token)
        hedge = next((number for number in way.hedges if mine.units(self.name, number) < 0), None)
        if tokens <= 0 or hedge is None or view.under_way(view.columns.universe[way.token].underlying):
            return None
        per_token, per_hedge = (exact(view.columns.f_rows[number][K.SHARES_PER_UNIT]) for number in (way.token, hedge))
        if not (per_token.is_finite() and per_hedge.is_finite()):
            return None
        most = min(tokens, look.units, -mine.units(self.name, hedge) * per_hedge / per_token)
        # What others have sold of the account is not there to be redeemed, though it is ours by the books.
        there = min(most, view.ledger.free(self.name, way.token))
        door: Door | str = "not_redeemed"
        if way.redeem is not None and not waits and there > 0:
            door = self._door(view, way, look, mint=False, shares=float(there * per_token))
        if isinstance(door, Door) and look.bid < -door.cost:
            return self._plan(view, way, look, "out", (hedge, Side.BUY, there * per_token / per_hedge))
        if look.bid < 0 and not isinstance(door, Door) and way.redeem is not None:
            return Refusal("out_waits")
        legs = legs_of(view, [(way.token, Side.SELL), (hedge, Side.BUY)], most, self.lots, self.slippage_bps)
        return self._intent(view, way, "out", legs, look.bid, f"out: {look.mid * 1e4:.1f} bps") if legs else None

    def _best(self, view: View, way: Way, look: Look) -> Intent | Refusal:
        """The plan that a premium asks for."""
        if look.mid < 0:
            return self._plan(view, way, look, "redeem")
        if way.mint is None:
            return Refusal("not_minted")
        refill = self._plan(view, way, look, "refill")
        return refill if isinstance(refill, Intent) else _nearer(refill, self._plan(view, way, look, "first"))

    def _plan(
        self, view: View, way: Way, look: Look, kind: str, begin: tuple[int, Side, Decimal] | None = None
    ) -> Intent | Refusal:
        """The plan of a kind, which begins as strategies/minting/sizing.py says or with at most so many units of an
        instrument; or why there is none."""
        columns, mint = view.columns, kind in MINTS
        habit = habit_of(view, way, mint=mint)
        if habit is None:
            return Refusal("not_minted" if mint else "not_redeemed")
        found = begin or first_of(view, way, look, kind, self.lots[way.token])
        if isinstance(found, str):
            return Refusal(found)
        first, side, most = found
        legs = legs_of(view, kin_of(view, way, first, side), most, self.lots, self.slippage_bps)
        if not legs:
            return Refusal("no_size")
        shares = float(legs[0].quantity) * columns.f_rows[first][K.SHARES_PER_UNIT]
        door = self._door(view, way, look, mint=mint, shares=shares)
        if isinstance(door, str):
            return Refusal(door)
        case = Case(way, look, kind, first, door.cost, habit)
        dues = dues_of(view, case, self.capital_per_day, self.costs)
        if isinstance(dues, str):
            return Refusal(dues)
        edge = expected(case, dues)
        if kind != "out" and not edge * 1e4 >= self.min_edge_bps:
            return Refusal("thin", edge)
        if kind == "first" and not look.mid >= entry(case, dues):
            return Refusal("wait_for_more", edge)
        said = f"{kind}: {look.mid * 1e4:.1f} bps, {door.cost * 1e4:.1f} at {way.issuer} in {habit.delay_s:.0f} s"
        return self._intent(view, way, kind, legs, edge, said, self._request(view, case, door, said))

    def _door(self, view: View, way: Way, look: Look, *, mint: bool, shares: float) -> Door | str:
        """What the issuer takes for about so many shares; a word where it takes none on."""
        usd = usd_of(view, way.other)
        return door_of(
            view, way.issuer, mint=mint, token=way.token, other=way.other, shares=shares, fair=look.fair, usd=usd
        )

    # --- what is sent

    def _intent(
        self,
        view: View,
        way: Way,
        kind: str,
        legs: tuple[Leg, ...],
        edge: float,
        said: str,
        then: Conversion | None = None,
    ) -> Intent:
        """The plan."""
        columns, now = view.columns, view.now
        return Intent(
            id=f"{self.name}-{kind}-{now}-{view.seq}-{way.token}",
            strategy=self.name,
            legs=legs,
            reason=f"{said}, {edge * 1e4:.2f} bps after costs",
            edge_bps=edge * 1e4,
            notional_usd=max(leg.quantity * leg.seen * exact(columns.known_fx(leg.instrument)) for leg in legs),
            deadline_ns=now + self.latency_ns,
            underlying=columns.universe[way.token].underlying,
            purpose=Purpose.CLOSE if kind == "out" else Purpose.OPEN,
            then=then,
        )

    def _request(self, view: View, case: Case, door: Door, said: str) -> Conversion:
        """The mint or redemption of a plan, for what its legs are to fill."""
        universe = view.columns.universe
        coin = next((at for at in (door.source, door.target) if universe[at].role is Role.COIN), None)
        return Conversion(
            id="",
            issuer=case.way.issuer,
            mint=door.mint,
            source=door.source,
            target=door.target,
            quantity=door.quantity,
            expected=door.soft.expected,
            least=door.soft.expected * SHORT,
            kept_usd=door.soft.kept * exact(usd_of(view, door.target)),
            fx=None if coin is None else exact(usd_of(view, coin)),
            sla_ns=view.now + round(self.late_after * case.habit.delay_s * NS),
            underlying=universe[case.way.token].underlying,
            reason=said,
            strategy=self.name,
        )


def kind_of(plan: Intent) -> str:
    """refill, first, redeem or out."""
    return plan.id.split("-")[1]


def _open(view: View) -> set[tuple[str, str]]:
    """(issuer, underlying) of which a request is open: there is none beside it."""
    return {(one.order.issuer, one.order.underlying) for one in view.ledger.conversions.open()}


def _nearer(one: Refusal, other: Intent | Refusal) -> Intent | Refusal:
    """The plan, or the refusal that is nearer to one."""
    return other if isinstance(other, Intent) or other.edge > one.edge else one
