"""Which token may be bought or sold against which hedge now, what that is expected to bring, and why it is not done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from connectors.exact import exact
from connectors.orders import Leg, Side
from strategies.hedging.bet import Bet, Quote, quote
from strategies.hedging.legs import leg, shown, whole, worth_usd
from strategies.hedging.levels import Levels
from strategies.hedging.sight import Sight

BPS = 1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A deviation at which a position is entered."""

    token: int
    hedge: int
    bet: Bet
    levels: Levels
    edge: float
    """Expected after everything, a part of the size."""
    days: float
    """Expected until the exit."""

    def numbers(self, sight: Sight) -> dict[str, float | str]:
        """What it was decided on, for a note."""
        return {
            "hedge": sight.name(self.hedge), "away_bps": self.bet.away * BPS, "enter_bps": self.levels.enter * BPS,
            "leave_bps": self.levels.leave * BPS, "cost_bps": self.bet.cost * BPS,
            "carry_bps_per_day": self.bet.carry.per_day * BPS, "days": self.days, "edge_bps": self.edge * BPS,
        }  # fmt: skip


def entries(sight: Sight, tokens: Iterable[int], hedges: Iterable[int]) -> Iterator[Entry]:
    """Every token that is far enough from a hedge, either way, whether anything speaks against it or not."""
    against = [one for one in (quote(sight.view, number) for number in hedges) if isinstance(one, Quote)]
    for number in tokens if against else ():
        token = quote(sight.view, number)
        if isinstance(token, str):
            continue
        for hedge in against:
            for buy, sell in ((token, hedge), (hedge, token)):
                if not sight.tempts(buy, sell):
                    continue
                made = sight.bet(buy, sell)
                levels = made.levels(sight.rule.horizon_s)
                if made.away < levels.enter:
                    continue
                earns, days = made.still_earns(levels.leave)
                edge = earns - made.cost - sight.gap_within(hedge.number, days)
                yield Entry(token=number, hedge=hedge.number, bet=made, levels=levels, edge=edge, days=days)


class Refusal(NamedTuple):
    """What speaks against an entry."""

    word: str
    why: str
    """A sentence with the number and the limit."""


def legs_of(sight: Sight, entry: Entry) -> tuple[Leg, ...] | Refusal:
    """The orders of an entry, or why there are none."""
    return _why_not(sight, entry) or _legs(sight, entry)


def _why_not(sight: Sight, entry: Entry) -> Refusal | None:
    """What speaks against an entry, whatever its size."""
    rule, made = sight.rule, entry.bet
    if made.why:
        return Refusal("cost_unknown", made.why)
    if made.away * BPS > rule.most_bps:
        why = f"{made.away * BPS:.0f} bps away is no premium but a broken peg, allowed {rule.most_bps:g}"
        return Refusal("too_far", why)
    if entry.edge * BPS < rule.min_edge_bps:
        why = f"it is expected to bring {entry.edge * BPS:.1f} bps after everything, needed {rule.min_edge_bps:g}"
        return Refusal("no_edge", why)
    room = sight.room(made.sell.number)
    if room is not None and room < sight.terms[made.sell.number].lot:
        return Refusal("no_room", f"{sight.name(made.sell.number)}: none is held, and no more may be sold short")
    if why := sight.barred(made.buy.number, Side.BUY) or sight.barred(made.sell.number, Side.SELL):
        return Refusal("barred", why)
    why = sight.lacks_margin(entry.hedge)
    return Refusal("margin", why) if why else None


def _legs(sight: Sight, entry: Entry) -> tuple[Leg, ...] | Refusal:
    """As many shares as both sides show and there is room for, up to the size."""
    view, made, give = sight.view, entry.bet, sight.rule.slippage_bps
    buy, sell = made.buy, made.sell
    terms = sight.terms[buy.number], sight.terms[sell.number]
    wanted = sight.rule.size_usd / exact(max(buy.ask, sell.bid))
    shares = min(wanted, shown(view, buy, Side.BUY), shown(view, sell, Side.SELL))
    room = sight.room(sell.number)
    if room is not None:
        shares = min(shares, room * exact(sell.shares_per_unit))
    bought, sold = whole((buy, terms[0].lot), (sell, terms[1].lot), shares)
    if not (bought > 0 and sold > 0):
        return Refusal("no_size", "no whole lot of it is shown on both sides")
    legs = leg(view, buy, Side.BUY, bought, give), leg(view, sell, Side.SELL, sold, give)
    least, usd = max(one.least_usd for one in terms), worth_usd(view, legs)
    return Refusal("no_size", f"{usd:.2f} USD are shown, and the smallest order is {least}") if usd < least else legs
