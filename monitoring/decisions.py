"""What happened so far, counted from the step records alone: notes, wishes, orders, fills, money, peg states."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Final

from connectors.events import NS
from connectors.instruments import Role, UnitModel, Universe
from connectors.orders import PLANS, Fill, Intent, Outcome, Progress, Purpose, Report, Side
from monitoring.positions import Concerns
from monitoring.trade import ENDS, Trade
from strategies.base import Note, Step
from strategies.execution.conversions import Conversions
from strategies.execution.latch import Hold, Latch, Mode, hold_of

KEPT: Final = 10_000
"""Trades and peg states that are remembered; a daemon runs for months, and the journal has them all."""

RECENT: Final = 40
"""Steps worth telling that are kept for the page."""


class Tally:
    """Folds step records into counts. One fold per step, in order; nothing else changes it."""

    def __init__(
        self,
        universe: Universe,
        *,
        shares_per_unit: Callable[[int], float] | None = None,
        positions: Mapping[int, Decimal] | None = None,
        conversions: Conversions | None = None,
    ) -> None:
        """`shares_per_unit` of an instrument now (default: as the universe says, then as the records tell of changes);
        `positions` and `conversions` a ledger begins with; they are copied.
        """
        self.universe = universe
        self.multipliers: dict[int, float] = {}
        """Of each instrument whose multiplier was told to change."""
        self.basis: dict[int, str] = {}
        """What the price of an instrument is the price of, where that was told."""
        self.doubts: dict[int, list[str]] = {}
        """What our judgement has against an instrument now, oldest first."""
        self.shares_per_unit = shares_per_unit or self._worth
        self.steps = 0
        self.last_ns = 0
        self.latch = Latch()
        """What is held back, as far as this run's records tell."""
        self.notes: Counter[str] = Counter()
        self.noted_rows: Counter[tuple[str, str]] = Counter()
        """Refusals of rows that were told, by (instrument, reason); the columns count every row."""
        self.wishes: Counter[tuple[str, str]] = Counter()
        """By (strategy, token of the first leg)."""
        self.skipped: Counter[tuple[str, str]] = Counter()
        """By (strategy, reason)."""
        self.orders: Counter[tuple[str, str]] = Counter()
        """Legs sent, by (venue, strategy)."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """Legs refused or unknown, by (venue, outcome)."""
        self.edge_seen_usd: defaultdict[str, float] = defaultdict(float)
        self.edge_captured_usd: defaultdict[str, float] = defaultdict(float)
        self.edge_lost_usd: defaultdict[str, float] = defaultdict(float)
        self.costs_usd: defaultdict[tuple[str, str], float] = defaultdict(float)
        """By (strategy, component): fee, and slippage where a leg traded worse than it was seen."""
        self.fills = 0
        self.positions: dict[int, Decimal] = dict(positions or {})
        """Units by instrument."""
        self.conversions = deepcopy(conversions) if conversions is not None else Conversions()
        self.cash_usd = Decimal(0)
        """What fills brought and took, fees included, each at the coin's price of its moment."""
        self.peg: dict[int, str] = {}
        """State of each instrument of which a state was ever told."""
        self.peg_cause: dict[int, str] = {}
        """Cause of each of them that has one."""
        self.peg_why: dict[int, str] = {}
        """Why it is unknown, where that was told."""
        self.peg_changes: Counter[tuple[int, str]] = Counter()
        """How often an instrument came into a state, by (instrument, state)."""
        self.shadow_changes: Counter[tuple[int, str]] = Counter()
        """The same by the rule that runs in the shadow."""
        self.tokens: dict[str, tuple[str, str]] = {}
        """(state, cause) of each token as a whole."""
        self.coins_off: dict[str, float] = {}
        """Coins that have left their peg, and by how many bps."""
        self.since: dict[int | str, float] = {}
        """Unix time since when the state of an instrument, a token or a coin has held, by the alarm's own account."""
        self.false_alarms: dict[int, float] = {}
        """Expected in a month at an instrument that is off its peg."""
        self.coin_false_alarms: dict[str, float] = {}
        """Expected in a month of a coin that is off its dollar; only where that is known."""
        self.peg_history: deque[tuple[int, int, str]] = deque(maxlen=KEPT)
        """(ts, instrument, state), in order."""
        self.venues: dict[str, tuple[str, str]] = {}
        """How each venue stands that was ever told of: up, degraded, closed or down, and why."""
        self.open: dict[str, Trade] = {}
        """Trades without an end, by id."""
        self.over: dict[str, Trade] = {}
        """The last ones that have one."""
        self.trades = 0
        """Trades that are over and filled something."""
        self.halves = 0
        """Those of them whose shares may stand without a hedge."""
        self.closed: deque[Trade] = deque(maxlen=KEPT)
        """They, in the order of their ends."""
        self.ends: Counter[tuple[str, str]] = Counter()
        """Trades by (strategy, how they ended)."""
        self.naked_usd_s: defaultdict[str, float] = defaultdict(float)
        """USD x seconds without a hedge of trades that are over, by strategy."""
        self.pages: Counter[str] = Counter()
        """How often an operator was told of a share's trades."""
        self.dust: defaultdict[str, float] = defaultdict(float)
        """Net shares that ended trades have left, less than can be traded."""
        self.concerns = Concerns()
        """About positions that are held with a hedge."""
        self._trade_of: dict[str, str] = {}
        """Trade of each follow-up, by its id."""
        self._keeps_trades = False
        """Whether the run says of each trade how it ends; runs of an earlier version did not."""
        self.recent: deque[Step] = deque(maxlen=RECENT)

    def fold(self, step: Step) -> None:
        """Counts one step."""
        self.steps += 1
        self.last_ns = step.ts
        for note in step.notes:
            self._note(note, step.ts)
        for wish in (wish for wish in step.wishes if wish.purpose is Purpose.OPEN):
            self.wishes[wish.strategy, self._token(wish)] += 1
            self.edge_seen_usd[wish.strategy] += max(0.0, wish.edge_bps / 1e4 * float(wish.notional_usd))
        for refused in step.refused:
            self.skipped[refused.intent.strategy, refused.reason.value] += 1
        passed = set(step.approved)
        for intent in (wish for wish in step.wishes if wish.id in passed):
            self._sent(intent, step.ts)
            for leg in intent.legs:
                self.orders[self.universe[leg.instrument].venue, intent.strategy] += 1
        for report in step.reports:
            self._report(report, step.ts)
        for order in step.conversions:
            self.conversions.ask(order, step.ts)
        for word in step.progress:
            self._moved(word)
        for note in step.notes:
            if note.kind == "trade":
                self._trade(note, step.ts)
        if step.notes or step.approved or step.refused or step.reports:
            self.recent.append(step)

    def holds(self) -> tuple[Hold, ...]:
        """What is held back at the time of the last record."""
        return self.latch.without_past(self.last_ns).holds

    def _note(self, note: Note, ts: int) -> None:
        self.notes[note.kind] += 1
        self.concerns.fold(note)
        if note.kind in ("refused_row", "reference_refused"):
            self.noted_rows[self._name(note.instrument), str(note.detail.get("reason", "unknown"))] += 1
        elif note.kind in ("peg_state", "shadow_state", "token_state", "coin_state"):
            self._peg(note, ts)
        elif note.kind == "multiplier":
            self.multipliers[note.instrument] = float(note.detail["new"])
        elif note.kind == "start":
            self._keeps_trades = "open_trades" in note.detail
        elif note.kind == "adjust" and note.instrument >= 0:
            units = Decimal(str(note.detail["amount"]))
            self.positions[note.instrument] = self.positions.get(note.instrument, Decimal(0)) + units
        elif note.kind == "hold":
            self.latch = self.latch.set(hold_of(note.detail))
        elif note.kind == "resumed":
            self._resumed(str(note.detail["scope"]), [Mode[name] for name in str(note.detail["modes"]).split()])
        elif note.kind == "basis":
            self.basis[note.instrument] = str(note.detail["basis"])
        elif note.kind == "doubt":
            self.doubts.setdefault(note.instrument, []).append(str(note.detail["why"]))
        elif note.kind == "doubt_cleared":
            self._cleared(note.instrument, str(note.detail["why"]))
        elif note.kind in ("feed_down", "feed_closed", "feed_degraded", "feed_up"):
            venue = self._venue(note)
            self.venues[venue] = (note.kind.removeprefix("feed_"), str(note.detail.get("why", "")))

    def _resumed(self, scope: str, modes: list[Mode]) -> None:
        """Somebody took holds back."""
        self.latch = self.latch.lifted(scope, modes)

    def _peg(self, note: Note, ts: int) -> None:
        """A state of the peg changed, or its cause: of an instrument, a token or a coin."""
        detail, number = note.detail, note.instrument
        state, cause = str(detail.get("to", "unknown")).lower(), str(detail.get("cause", ""))
        news = detail.get("to") != detail.get("from")
        if note.kind == "shadow_state":
            self.shadow_changes[number, state] += news
            return
        names = {"token_state": "token", "coin_state": "coin"}
        of = str(detail[names[note.kind]]) if note.kind in names else number
        self.since[of] = float(detail.get("since", ts / NS if news else self.since.get(of, ts / NS)))
        if note.kind == "token_state":
            self.tokens[str(detail["token"])] = state, cause
        elif note.kind == "coin_state":
            self.coins_off.pop(str(of), None)
            self.coin_false_alarms.pop(str(of), None)
            if "false_alarms_month" in detail:
                self.coin_false_alarms[str(of)] = float(detail["false_alarms_month"])
            if state == "off":
                self.coins_off[str(detail["coin"])] = float(detail["bps"])
        else:
            for kept, value in ((self.peg_cause, cause), (self.peg_why, str(detail.get("why", "")))):
                kept.pop(number, None)
                if value:
                    kept[number] = value
            self.false_alarms.pop(number, None)
            if "false_alarms_month" in detail:
                self.false_alarms[number] = float(detail["false_alarms_month"])
            self.peg[number] = state
            if news:
                self.peg_changes[number, state] += 1
                self.peg_history.append((ts, number, state))

    def _sent(self, intent: Intent, ts: int) -> None:
        """A plan or a follow-up was approved; one that begins with dust takes it over."""
        trade = self._find(intent.trade) if intent.trade else None
        if trade is None:
            trade = self.open[intent.id] = Trade(intent, ts)
            if intent.purpose not in PLANS:
                self.dust.pop(intent.underlying, None)
        trade.send(intent)
        if intent.trade:
            self._trade_of[intent.id] = intent.trade

    def _find(self, trade: str) -> Trade | None:
        return self.open.get(trade) or self.over.get(trade)

    def _report(self, report: Report, ts: int) -> None:
        trade = self._find(self._trade_of.get(report.intent_id, report.intent_id))
        if trade is None or report.client_id not in trade.legs:
            for fill in report.fills:
                self._fill(fill, "", fill.price)
            return
        leg = trade.legs[report.client_id]
        strategy, venue = trade.intent.strategy, self.universe[leg.instrument].venue
        if report.client_id not in trade.outcomes and report.outcome is not Outcome.ACCEPTED:
            self.failures[venue, report.outcome.value] += 1
        for fill in trade.hear(report):
            self._fill(fill, strategy, leg.seen)
        if not self._keeps_trades and len(trade.outcomes) == len(trade.legs):
            self._close(trade, ts)

    def _trade(self, note: Note, ts: int) -> None:
        """A trade came to another stage."""
        detail, share = note.detail, note.underlying
        trade, stage = self._find(str(detail["trade"])), str(detail.get("stage", ""))
        if stage == "paged" or "reduce_only" in detail:
            self.pages[share] += 1
        if trade is None or not stage:
            return
        trade.stage = stage
        if stage in ENDS:
            self.ends[trade.intent.strategy, stage] += 1
            self.naked_usd_s[trade.intent.strategy] += float(detail.get("naked_usd_s", 0.0))
            self.dust[share] += float(detail.get("dust", 0.0))
            self._close(trade, ts)

    def _fill(self, fill: Fill, strategy: str, seen: Decimal) -> None:
        sign = 1 if fill.side is Side.BUY else -1
        self.fills += 1
        self.positions[fill.instrument] = self.positions.get(fill.instrument, Decimal(0)) + sign * fill.quantity
        self.cash_usd -= (sign * fill.quantity * fill.price + fill.fee) * fill.fx + fill.gas_usd
        self.costs_usd[strategy, "fee"] += float(fill.fee * fill.fx)
        self.costs_usd[strategy, "gas"] += float(fill.gas_usd)
        worse = float(sign * (fill.price - seen) * fill.quantity * fill.fx)
        self.costs_usd[strategy, "slippage"] += max(0.0, worse)

    def _close(self, trade: Trade, ts: int) -> None:
        if self.open.pop(trade.intent.id, None) is None:
            return  # it had an end before, and something late has made another one of it
        self.over[trade.intent.id] = trade
        if len(self.over) > KEPT:
            oldest = next(iter(self.over))
            del self.over[oldest]
            self._trade_of = {intent: of for intent, of in self._trade_of.items() if of != oldest}
        trade.closed_ns = ts
        trade.net_usd = self._net(trade.fills.values()) - float(trade.fees_usd)
        kept = self.edge_captured_usd if trade.net_usd > 0 else self.edge_lost_usd
        if trade.filled:
            kept[trade.intent.strategy] += abs(trade.net_usd)
            self.trades += 1
            self.halves += trade.half
            self.closed.append(trade)

    def _net(self, fills: Iterable[Fill]) -> float:
        """USD of the shares that were both bought and sold, at their average prices; the rest stays inventory."""
        shares = {Side.BUY: 0.0, Side.SELL: 0.0}
        value = {Side.BUY: 0.0, Side.SELL: 0.0}
        for fill in fills:
            shares[fill.side] += float(fill.quantity) * self.shares_per_unit(fill.instrument)
            value[fill.side] += float(fill.quantity * fill.price * fill.fx)
        matched = min(shares.values())
        if not matched > 0:
            return 0.0
        return matched * (value[Side.SELL] / shares[Side.SELL] - value[Side.BUY] / shares[Side.BUY])

    def _moved(self, word: Progress) -> None:
        """Units that left and came by a mint or redemption."""
        moved = self.conversions.hear(word)
        if moved is None:
            return
        order = self.conversions.all[word.id].order
        for number, units in ((order.source, -moved.given), (order.target, moved.got)):
            if units and self.universe[number].role is not Role.COIN:
                self.positions[number] = self.positions.get(number, Decimal(0)) + units

    def _worth(self, number: int) -> float:
        instrument = self.universe[number]
        plain = instrument.unit_model is UnitModel.REBASING or instrument.multiplier is None
        if self.basis.get(number) == "share":
            return 1.0
        return self.multipliers.get(number, 1.0 if plain else instrument.multiplier or 1.0)

    def _cleared(self, number: int, why: str) -> None:
        left = [one for one in self.doubts.get(number, ()) if one != why]
        if left:
            self.doubts[number] = left
        else:
            self.doubts.pop(number, None)

    def _token(self, intent: Intent) -> str:
        instrument = self.universe[intent.legs[0].instrument]
        return instrument.token or instrument.underlying

    def _venue(self, note: Note) -> str:
        return str(note.detail.get("venue") or self.universe[note.instrument].venue)

    def _name(self, number: int) -> str:
        return self.universe[number].name if 0 <= number < len(self.universe) else ""
