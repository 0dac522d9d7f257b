"""A trade as the records tell it: its plan, everything sent for it, how it ended; and the words for that."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from connectors.instruments import Role, Universe
from connectors.orders import Fill, Intent, Leg, Outcome, Purpose, Report, Side, Sizing
from monitoring.tale import Tone
from strategies.base import Note

ENDS: Final = ("flat", "hedged", "paged")
"""Stages of a trade that are ends."""
STAGES: Final = ("legs", "hedge", "unwind", "convert", "cool", *ENDS)


class Trade(msgspec.Struct):
    """An approved plan and what became of it."""

    intent: Intent
    opened_ns: int
    closed_ns: int = 0
    """When it came to its end; 0 while it is open."""
    stage: str = "legs"
    legs: dict[str, Leg] = {}
    """Everything that was sent, by client id, in order."""
    outcomes: dict[str, Outcome] = {}
    """Of what has its final answer."""
    fills: dict[str, Fill] = {}
    """By id, in the order in which they were told."""
    net_usd: float = 0.0
    """Edge of the matched shares less all fees; set when closed."""

    def send(self, intent: Intent) -> None:
        """The plan or a follow-up was approved."""
        for number, leg in enumerate(intent.legs):
            self.legs[intent.client_id(number)] = leg

    def hear(self, report: Report) -> tuple[Fill, ...]:
        """Takes a report; gives the fills that are new."""
        new = tuple(fill for fill in report.fills if fill.id not in self.fills)
        self.fills |= {fill.id: fill for fill in new}
        if report.final:
            self.outcomes[report.client_id] = report.outcome
        return new

    def of(self, client_id: str) -> list[Fill]:
        """Fills of one order."""
        return [fill for fill in self.fills.values() if fill.client_id == client_id]

    @property
    def filled(self) -> int:
        """How many orders traded at all."""
        return len({fill.client_id for fill in self.fills.values()})

    @property
    def half(self) -> bool:
        """Whether shares may stand without a hedge at its end."""
        return bool(self.fills) and (self.stage == "paged" or (self.stage == "legs" and self.filled < len(self.legs)))

    @property
    def fees_usd(self) -> Decimal:
        """Fees and gas of all fills so far."""
        return sum((fill.fee * fill.fx + fill.gas_usd for fill in self.fills.values()), Decimal(0))


def trade_told(trade: Trade, universe: Universe) -> tuple[str, Tone]:
    """A trade that is over, in one line."""
    told, plan = [], {trade.intent.client_id(number) for number in range(len(trade.intent.legs))}
    for client_id, leg in trade.legs.items():
        fills, side = trade.of(client_id), "bought" if leg.side is Side.BUY else "sold"
        instrument = universe[leg.instrument]
        name = f"{instrument.token or instrument.symbol} on {instrument.venue}"
        if fills:
            told.append(f"{side} {_quantity(fills):f} {name} at {_average(fills):.2f}")
        elif client_id in plan:
            outcome = trade.outcomes.get(client_id, Outcome.UNKNOWN)
            empty = {Outcome.REFUSED: "refused", Outcome.ACCEPTED: "found nothing"}.get(outcome, outcome.value)
            told.append(f"{leg.side.value} {name} {empty}")
    text, fees = ", ".join(told), float(trade.fees_usd)
    if trade.half:
        return f"half a trade on paper: {text}; fees {fees:.2f} USD", "bad"
    if (then := trade.intent.then) is not None and trade.stage != "legs":
        what = f"{'minted' if then.mint else 'redeemed'} at {then.issuer}"
        return f"{what} on paper: {text}; fees {fees:.2f} USD", "plain"
    if trade.intent.purpose is Purpose.CLOSE:
        return f"position given back on paper: {text}; fees {fees:.2f} USD", "plain"
    if trade.stage != "flat" and any(universe[leg.instrument].role is not Role.TOKEN for leg in trade.intent.legs):
        return f"position hedged on paper: {text}; fees {fees:.2f} USD", "plain"
    what = "trade given back on paper" if trade.stage == "flat" else "gap traded on paper"
    planned = "" if trade.intent.sizing is None else f"; {sizing_told(trade.intent.sizing)}"
    told_usd = f"fees {fees:.2f}, net {trade.net_usd:+.2f} USD"
    return f"{what}: {text}; {told_usd}{planned}", "good" if trade.net_usd > 0 else "bad"


def sizing_told(sizing: Sizing) -> str:
    """Why a trade had its size, in words."""
    more = f"no other brings more than {sizing.gap_usd:.2g} beyond it" if sizing.gap_usd else "no other brings more"
    return (
        f"planned {sizing.profit_usd:+.2f} for {sizing.shares:.6g} shares, of which the last costs"
        f" {sizing.marginal_buy_usd:.2f} and brings {sizing.marginal_sell_usd:.2f}; {more}"
    )


def note_told(note: Note) -> tuple[str, Tone]:
    """What a trade under way came to, in one line; empty where it is nothing to be told."""
    detail = note.detail
    stage, event, share = detail.get("stage"), detail.get("event"), note.underlying
    why = str(detail.get("why", ""))
    if stage == "paged":
        return f"OPERATOR: a trade of {share} needs you: {why}; {share} is only reduced until then", "bad"
    if "reduce_only" in detail:
        return f"OPERATOR: {share} is only reduced from now on: {detail['reduce_only']}", "bad"
    if event == "overfill":
        return f"a venue filled more of {share} than was asked for: {why}; the rest is hedged", "bad"
    if stage in ("hedge", "unwind", "cool") and why != "the next leg":
        doing = {
            "hedge": "tried again at a fresh price",
            "unwind": "given back",
            "cool": "left to rest, then tried once",
        }
        return f"trade of {share}: {why}; it is {doing[str(stage)]}", "bad"
    return "", "plain"


def _quantity(fills: Iterable[Fill]) -> Decimal:
    return sum((fill.quantity for fill in fills), Decimal(0))


def _average(fills: list[Fill]) -> Decimal:
    return sum((fill.quantity * fill.price for fill in fills), Decimal(0)) / _quantity(fills)
