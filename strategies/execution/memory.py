"""What the review must remember between calls: a fold over approvals, fills, days and holds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite, nan

from connectors.events import NS
from connectors.orders import PLANS, Intent
from strategies.base import View
from strategies.execution.funds import Funds
from strategies.execution.latch import DRAWDOWN, Hold, Latch

ZERO = Decimal(0)
DAY_NS = 86_400 * NS
MINUTE_NS = 60 * NS


@dataclass(slots=True)
class Memory:
    """Changed by the review and its stops, and by whoever folds earlier records."""

    sent: deque[int] = field(default_factory=deque)
    """Times of the orders of the last minute, ns."""
    wished: dict[str, deque[int]] = field(default_factory=dict)
    """Times of the wishes of the last minute, ns, by strategy."""
    open_intents: dict[str, str] = field(default_factory=dict)
    """Id of a trade under way -> its strategy."""
    opened: dict[str, int] = field(default_factory=dict)
    """When a trade was opened last in an underlying, ns."""
    turnover: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    """UTC day of the last approval in an underlying, and USD of all its legs on that day."""
    naked_since: dict[str, int] = field(default_factory=dict)
    """Since when net shares of an underlying stand without a hedge, ns."""
    day: int = -1
    day_start_net: float = 0.0
    """USD."""
    peak_usd: float = 0.0
    """Highest net profit that was seen with valid marks; nan until it is seen anew, after a drawdown was taken back."""
    told_peak_usd: float = 0.0
    """The last one that a record holds."""
    differs: dict[int, str] = field(default_factory=dict)
    """By instrument why it may only be reduced: its venue's account and the books are not known to be equal."""
    unbacked: dict[int, str] = field(default_factory=dict)
    """By instrument why it may only be reduced: what its issuer attests is short of its supply, or old."""
    latch: Latch = field(default_factory=Latch)
    tripped: list[Hold] = field(default_factory=list)
    """Holds that the gate has set itself and nobody was told of yet."""
    resumed: int = 0
    """How many times somebody has taken holds back, as far as records tell."""
    funds: Funds = field(default_factory=Funds)

    def approve(self, intent: Intent, now: int) -> None:
        """An intent passed: its orders, its turnover and its place count from now on."""
        self.sent.extend([now] * len(intent.legs))
        today = now // DAY_NS
        day, usd = self.turnover.get(intent.underlying, (today, ZERO))
        before = usd if day >= today else ZERO
        self.turnover[intent.underlying] = max(day, today), before + turnover(intent)
        if intent.purpose in PLANS:
            self.open_intents[intent.trade or intent.id] = intent.strategy
            self.opened[intent.underlying] = now

    def turned(self, underlying: str, now: int) -> Decimal:
        """USD of turnover in an underlying on the UTC day of `now`."""
        known = self.turnover.get(underlying)
        return known[1] if known is not None and known[0] >= now // DAY_NS else ZERO

    def forget(self, now: int) -> None:
        """What is a minute old counts no more."""
        for times in (self.sent, *self.wished.values()):
            while times and times[0] <= now - MINUTE_NS:
                times.popleft()

    def trip(self, hold: Hold) -> None:
        """The gate holds a scope back by itself."""
        self.latch = self.latch.set(hold)
        self.tripped.append(hold)

    def heed(self, latch: Latch) -> None:
        """The latch as it is kept outside. A drawdown that was taken back lets the peak begin anew."""
        kept = {hold.key for hold in latch.holds}
        if any(hold.cause == DRAWDOWN and hold.key not in kept for hold in self.latch.holds):
            self.peak_usd = nan
        self.latch = latch


def turnover(intent: Intent) -> Decimal:
    """USD that an intent turns over: each side counts as much as the larger."""
    return intent.notional_usd * len({leg.side for leg in intent.legs})


def new_day(view: View, memory: Memory) -> bool:
    """Remembers the net profit at the start of a UTC day; the daily loss counts from there. True where one began.

    While a position that is held has no price the result is not known, and the day does not begin. A clock that goes
    back begins no day, so that it takes no loss back.
    """
    day = view.now // DAY_NS
    if day <= memory.day or not isfinite(net := net_usd(view)):
        return False
    memory.day, memory.day_start_net = day, net
    return True


def net_usd(view: View) -> float:
    """Net profit now, in USD, to judge a limit by: cash at the FX of its fills, positions at mid, and what is in flight
    to an issuer as what was given; nan where unknown."""
    net = float(view.ledger.flow_usd)
    for owned in (view.ledger.held, view.ledger.away):
        for instrument, units in owned.items():
            if units:
                net += units * view.columns.mark_usd(instrument)
    return net
