"""Paths at a token's issuer: each plan of mint_redeem, priced as the strategy prices it, at the size asked for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from bot.closing_doors import Doors
from bot.closing_words import REASONS, plan
from connectors.instruments import Role
from strategies.base import View
from strategies.closing.issued import WAYS, issued
from strategies.closing.path import Path
from strategies.closing.situation import Door, Offer
from strategies.market import kernel as K
from strategies.mint_redeem import MintRedeem
from strategies.minting.case import BARE, MINTS, Case, Dues, Look, Refusal, Way, dues_of, look_of
from strategies.minting.sizing import first_of, kin_of, legs_of
from strategies.pricing.carry import carried
from strategies.pricing.costs import TAKEN, Costs
from strategies.pricing.mint_economics import Premium


class Sized(NamedTuple):
    """How much of a plan there is."""

    first: int
    """The instrument of its first leg; BARE where it has none."""
    units: Decimal
    """Of that, else of the token."""
    shares: float


@dataclass(frozen=True, kw_only=True)
class Plans:
    """What plans are priced with; `strategy` is that of the run, None where it has none that may trade."""

    ways: tuple[Way, ...]
    lots: tuple[Decimal, ...]
    costs: tuple[Costs, ...]
    """Of one leg at each instrument, what holding it costs too."""
    premia: tuple[Premium | None, ...]
    """How the premium of each instrument moves; None where it has none."""
    capital_per_day: float
    doors: Doors
    strategy: MintRedeem | None

    def way(self, token: int) -> Way | None:
        """The token's door; None where what its issuer takes cannot be had."""
        return next((way for way in self.ways if way.token == token), None)

    def paths(self, view: View, of: Offer, token: int, *, dear: bool, size_usd: float, daily_vol: float) -> list[Path]:
        """Every plan that the side of a token's premium asks for."""
        way = self.way(token)
        look = None if way is None else look_of(view, way, Decimal(size_usd))
        found = []
        for kind in ("refill", "first") if dear else ("redeem",):
            if way is not None and look is not None:
                found.append(self._path(view, of, way, look, kind, daily_vol))
                continue
            door = self.doors.door(view, way, of.issuer, mint=dear, shares=0.0, fair=0.0)
            why = (
                door.closed
                or of.costs.only(TAKEN).why
                or of.barred
                or "its share has no price of a source of its own now"
            )
            words = plan(kind, of.name, of.issuer)
            found.append(Path(way=WAYS[kind], legs=words, size_usd=size_usd, others=(of.issuer,), refused=(why,)))
        return found

    def _path(self, view: View, of: Offer, way: Way, look: Look, kind: str, daily_vol: float) -> Path:
        """One plan as a path."""
        by, universe = "" if self.strategy is None else self.strategy.name, view.columns.universe
        sized = self._sized(view, way, look, kind)
        if isinstance(sized, str):
            words, usd = plan(kind, of.name, way.issuer), float(look.units) * view.columns.mark_usd(way.token)
            return Path(
                way=WAYS[kind], legs=words, size_usd=usd, others=(way.issuer,), refused=(self._said(sized, way, of),)
            )
        first, usd = sized.first, sized.shares * look.fair
        hedged = kind == "first" and first != BARE
        words = plan(kind, of.name, way.issuer, f"{sized.units:.6g}", universe[first].name if hedged else "")
        door = self.doors.door(view, way, way.issuer, mint=kind in MINTS, shares=sized.shares, fair=look.fair)
        why = self._objections(view, of, way, kind, door, usd, bare=first == BARE)
        priced = self._priced(view, way, look, kind, first, door, of)
        if isinstance(priced, str):
            refused = tuple(dict.fromkeys((*why, priced)))
            return Path(way=WAYS[kind], legs=words, size_usd=usd, others=(way.issuer,), refused=refused)
        return issued(
            *priced,
            door,
            legs=words,
            size_usd=usd,
            daily_vol=daily_vol,
            told=door.told or universe[way.other].role is not Role.COIN,
            by=by,
            hedge=self.premia[first] if hedged else None,
            refused=tuple(why),
        )

    def _sized(self, view: View, way: Way, look: Look, kind: str) -> Sized | str:
        """As much as the strategy would trade of this size; a word where there is nothing."""
        worth = view.columns.f_rows
        begin = first_of(view, way, look, kind, self.lots[way.token], permitted=self.strategy is not None)
        if begin == "no_hedge":
            return Sized(BARE, look.units, float(look.units) * worth[way.token][K.SHARES_PER_UNIT])
        if isinstance(begin, str):
            return begin
        first, side, most = begin
        legs = legs_of(view, kin_of(view, way, first, side), most, self.lots, None)
        if not legs:
            return "no_size"
        return Sized(first, legs[0].quantity, float(legs[0].quantity) * worth[first][K.SHARES_PER_UNIT])

    def _priced(
        self, view: View, way: Way, look: Look, kind: str, first: int, door: Door, of: Offer
    ) -> tuple[Case, Dues] | str:
        """What the strategy prices; a sentence where something of it is not known."""
        if door.closed or door.habit is None or not isfinite(door.cost):
            return door.closed or self._said("no_issuer_quote", way, of)
        case = Case(way, look, kind, first, door.cost, door.habit)
        dues = dues_of(view, case, self.capital_per_day, self.costs)
        if dues == "cost_unknown":
            return carried(view, first, self.costs[first], sold=True, lent=True).why
        return self._said(dues, way, of) if isinstance(dues, str) else (case, dues)

    def _objections(
        self, view: View, of: Offer, way: Way, kind: str, door: Door, usd: float, *, bare: bool
    ) -> list[str]:
        """What speaks against a plan: the door, the venue, and what the strategy says of it at its own size."""
        if door.closed:
            return [door.closed]
        why = [f"{of.name}: {of.barred}"] if of.barred else []
        if usd < door.least_usd:
            why.append(f"{door.issuer} takes at least {door.least_usd:,.0f} USD in a request")
        if usd > door.most_usd:
            why.append(f"{door.issuer} takes at most {door.most_usd:,.0f} USD in a request now")
        if self.strategy is None:
            return why
        if bare:
            return [*why, f"{self.strategy.name}: {REASONS['no_hedge']}, and it mints with a hedge only"]
        verdict = self.strategy.verdict(view, way.token, kind)
        if isinstance(verdict, Refusal):
            why.append(f"{self.strategy.name}: {self._said(verdict.reason, way, of, verdict.edge)}")
        return why

    def _said(self, reason: str, way: Way, of: Offer, edge: float = 0.0) -> str:
        """A reason as a sentence."""
        one, numbers = self.strategy, dict.fromkeys(("least", "most", "size"), "")
        if one is not None:
            numbers = {"least": f"{one.min_edge_bps:g} bps", "most": f"{one.most_bps:g} bps"}
            numbers["size"] = f"{one.size_usd:,.0f} USD"
        return REASONS[reason].format(edge=f"{edge * 1e4:.1f} bps", venue=of.name, issuer=way.issuer, **numbers)
