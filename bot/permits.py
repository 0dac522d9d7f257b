"""Who may be bought and sold now, and why not: what the scan may wake Python for."""

from __future__ import annotations

from collections.abc import Sequence

from bot.judges import Judges
from bot.notices import Notices
from connectors.events import NEVER
from strategies.base import Strategy, View
from strategies.execution.ledger import Ledger
from strategies.execution.limits import Limits
from strategies.market.columns import Columns
from strategies.market.session import HOURS


class Permits:
    """Writes into the columns from when each instrument may be bought and sold."""

    def __init__(
        self,
        columns: Columns,
        ledger: Ledger,
        strategies: Sequence[Strategy],
        judges: Judges,
        notices: Notices,
        limits: Limits | None,
    ) -> None:
        """Without `limits` nothing may."""
        self.columns, self.ledger, self.strategies = columns, ledger, tuple(strategies)
        self._judges, self._notices, self._limits = judges, notices, limits
        self._bars = ["no row yet"] * len(columns.universe)
        """Why an instrument may not be traded, whatever room there is; empty where it may."""
        self._hard = list(self._bars)
        """The same for what closes a trade, which asks for no session."""

    def all(self, now: int) -> None:
        """Every instrument anew: a fee is known, the session is allowed, the venue is up, nothing is in doubt, and some
        strategy has room."""
        for number in range(len(self._bars)):
            self._hard[number] = self._why_barred(number)
            self._bars[number] = self._hard[number] or self._closed()
            self.room(number, now)

    def room(self, number: int, now: int) -> None:
        """The same after a fill, which changes only what strategies have room for."""
        buy = sell = False
        why = self._bars[number]
        if not why:
            why = "no room: position limit"
            view = View(self.columns, self.ledger, now)
            for strategy in self.strategies:
                may_buy, may_sell = strategy.may(view, number)
                buy, sell = buy or may_buy, sell or may_sell
        buy_from, sell_from = 0 if buy else NEVER, 0 if sell else NEVER
        self.columns.permit(number, buy_from=buy_from, sell_from=sell_from, why=why, hard=self._hard[number])

    def _why_barred(self, number: int) -> str:
        """Why an instrument may neither be bought nor sold, whatever for; empty where it may."""
        facts = self.columns.facts[number]
        if self._limits is None:
            return "nothing is traded in this run"
        if not facts.traded:
            return "it is not traded"
        if facts.cost is None:
            return "no fee is known" if facts.costs is None else facts.costs.why
        if self.columns.session not in HOURS[self.columns.universe[number].hours]:
            return f"its venue is closed in the {self.columns.session.label} session"
        if self._notices.barred(number):
            return "its stream, its unit or its share bars it"
        return "in doubt" if self._judges.barred(number) else ""

    def _closed(self) -> str:
        """Why nothing may be opened in this session; empty where it may."""
        if self._limits is None or self.columns.session in self._limits.sessions:
            return ""
        return f"not in the {self.columns.session.label} session"
