"""What entries and holdings are both judged by at one moment: bets, closures, margin, and what may be traded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import log

from connectors.events import NS
from connectors.instruments import Role
from connectors.orders import Side
from strategies.base import View
from strategies.hedging.bet import Bet, Quote, Taken, bet
from strategies.hedging.closures import Closure, move_sd, next_closure
from strategies.hedging.margin import Account, account
from strategies.hedging.rule import Rule, Terms
from strategies.hedging.usual import Premia
from strategies.market import kernel as K
from strategies.pricing.carry import DAY_S


@dataclass(frozen=True, slots=True)
class Sight:
    """A view with the rule that it is looked at by."""

    view: View
    strategy: str
    """Who looks; what others hold is not there for it."""
    rule: Rule
    terms: tuple[Terms, ...]
    fees: tuple[Taken, ...]
    """Of each instrument, at the size of an entry."""
    premia: Premia

    def tempts(self, buy: Quote, sell: Quote) -> bool:
        """Whether a deviation is above half of what its bet costs. No level of Bertram's lies below that, so most of
        the time nothing more is worked out."""
        away = log(sell.mid / buy.mid) - (self.premia.of(sell.number).mean - self.premia.of(buy.number).mean)
        fees = self.fees[buy.number].share + self.fees[sell.number].share
        return away > fees / 2 + (buy.half + sell.half)

    def bet(self, buy: Quote, sell: Quote, *, held: bool = False) -> Bet:
        """Having bought one and sold the other, at the size of an entry."""
        costs = self.terms[buy.number].costs, self.terms[sell.number].costs
        fees = self.fees[buy.number], self.fees[sell.number]
        usual = self.premia.of(buy.number), self.premia.of(sell.number)
        return bet(self.view, (buy, sell), costs, fees, usual, self.rule.size_usd, held=held)

    def name(self, number: int) -> str:
        """`venue:symbol`."""
        return self.view.columns.universe[number].name

    def closure(self, number: int) -> Closure | None:
        """When an instrument cannot be traded next."""
        return next_closure(self.view.columns.sessions, self.view.columns.universe[number].hours, self.view.now)

    def gap(self, number: int, closure: Closure) -> float:
        """What carrying a hedge over its closure is taken to cost, a part of its worth."""
        columns = self.view.columns
        return self.rule.gap_sigmas * move_sd(columns, columns.group(number), closure)

    def gap_within(self, number: int, days: float) -> float:
        """The same of a hedge that is opened now for so long; 0 where it is given back before its venue closes."""
        closure = self.closure(number)
        if closure is None or self.view.now + days * DAY_S * NS <= closure.begins:
            return 0.0
        return self.gap(number, closure)

    def barred(self, number: int, side: Side, *, closes: bool = False) -> str:
        """Why an instrument may not be bought, or sold, now; empty where it may. What closes asks for no session."""
        columns = self.view.columns
        if closes:
            return f"{self.name(number)}: {why}" if (why := columns.hard_bars[number]) else ""
        may = columns.k_rows[number][K.BUY_FROM if side is Side.BUY else K.SELL_FROM] <= self.view.now
        return "" if may else f"{self.name(number)}: {columns.why_barred[number]}"

    def room(self, number: int) -> Decimal | None:
        """Units that may be sold of an instrument; None where nothing limits it. No token is sold that is not held, or
        that another strategy holds, but for what the rule allows."""
        if self.view.columns.universe[number].role is not Role.TOKEN:
            return None
        return max(Decimal(0), self.view.ledger.free(self.strategy, number) + self.rule.max_short_units)

    def lacks_margin(self, number: int) -> str:
        """Why a hedge of the size of an entry is not carried by the collateral at its venue; empty where it is."""
        one = self.view.columns.universe[number]
        if one.role is not Role.PERP:
            return ""
        stands, needed = self.account(number), self.rule.margin_reserve
        if stands is None:
            return f"margin is not known: write [venues.{one.venue}] margin_usd and maintenance_share"
        share = stands.share(float(self.rule.size_usd))
        if share >= needed:
            return ""
        return f"{one.venue} would have {share:.0%} of what is held there as margin, needed {needed:.0%}"

    def account(self, number: int) -> Account | None:
        """The account at the venue of a perp; None where its margin is not known."""
        margin, universe = self.terms[number].margin, self.view.columns.universe
        if margin is None:
            return None
        perps = [at for at, one in enumerate(universe) if one.role is Role.PERP and one.venue == universe[number].venue]
        return account(self.view, margin, perps)
