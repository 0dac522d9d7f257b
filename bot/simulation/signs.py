"""I9, visible: what an operator's metrics must have shown of a fault, and the alert that fires on it.

Only what is certain stands here, whatever market and other fault a scene has; what nobody can see until an order
meets it is looked for where one met it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.invariants import Breach
from bot.simulation.fault import Custody, Event, Fault, Hand, Kind, Process
from connectors.instruments import Universe
from connectors.simulated.issuer_terms import IssuerFault
from connectors.simulated.order_faults import OrderFault
from connectors.simulated.row_faults import RowFault

if TYPE_CHECKING:
    from bot.simulation.driver import Driver


class Sign(NamedTuple):
    """Some series of a metric stood beyond a bound at some scrape."""

    metric: str
    labels: Mapping[str, str]
    """A value in braces is told by the fault: {venue}, {issuer}, {token}, {coin}."""
    above: float = -inf
    below: float = inf
    alert: str = ""
    """The rule that fires on it; empty where none is meant for it."""
    lasts_s: float = 0.0
    """A shorter one may pass unseen: one print is not believed at once."""


def _unknown(alert: str = "") -> Sign:
    return Sign("pegline_order_failures_total", {"venue": "{venue}", "reason": "unknown"}, above=0, alert=alert)


def _refused(reason: str) -> Sign:
    """A pool that prints seldom may print nothing wrong in a few seconds."""
    labels = {"venue": "{venue}", "reason": reason}
    return Sign("pegline_feed_rejected_messages_total", labels, above=0, lasts_s=20)


_DIFFERS: Final = Sign(
    "pegline_reconcile_differences", {"venue": "{venue}"}, above=0, alert="PeglineReconcileDifference"
)
_FAILED: Final = Sign("pegline_settlement_requests", {"issuer": "{issuer}", "state": "failed"}, above=0)

SIGNS: Final[Mapping[Kind, Sign]] = {
    RowFault.DROP: Sign("pegline_feed_up", {"venue": "{venue}"}, below=1),
    RowFault.CROSSED: _refused("crossed"),
    RowFault.GARBAGE: _refused("not_finite"),
    RowFault.COIN: Sign("pegline_stablecoin_price_usd", {"stablecoin": "{coin}"}, below=0.9, lasts_s=20),
    RowFault.MULTIPLIER: Sign("pegline_multiplier_ratio", {}, above=1.05),
    RowFault.DIVIDEND: Sign("pegline_multiplier_ratio", {}, above=1.01),
    OrderFault.ACK_LOST: _unknown(),
    OrderFault.REQUEST_LOST: _unknown(),
    OrderFault.RECORDED_5XX: _unknown(),
    OrderFault.JUST_OVER: _unknown(),
    Event.WITHDRAWAL: _DIFFERS,
    Event.FOREIGN: _DIFFERS,
    Event.RIGHTS: _DIFFERS,
    IssuerFault.NEVER_SETTLES: Sign(
        "pegline_settlement_oldest_age_seconds", {"issuer": "{issuer}"}, above=100, alert="PeglineMintStuck"
    ),
    IssuerFault.FAILED: _FAILED,
    Custody.SHORTFALL: Sign(
        "pegline_backing_ratio", {"token": "{token}"}, below=1, alert="PeglineBackingShortfall"
    ),
    Custody.OLD: Sign("pegline_attestation_age_ratio", {"token": "{token}"}, above=1, alert="PeglineAttestationOld"),
    Process.DISK_FULL: Sign("pegline_journal_up", {}, below=1, alert="PeglineJournalFailed"),
    Hand.KILL: Sign(
        "pegline_kill_switch_engaged", {"scope": "all", "mode": "HALT"}, above=0, alert="PeglineKilled"
    ),
    Hand.PAUSE: Sign("pegline_kill_switch_engaged", {"scope": "token:{token}", "mode": "REDUCE"}, above=0),
}  # fmt: skip
"""By the kind of a fault."""


def labels_of(sign: Sign, fault: Fault, universe: Universe) -> dict[str, str]:
    """The labels of a sign where a fault struck."""
    named = {"issuer": fault.where, "venue": fault.where, "token": "", "coin": ""}
    found = [one for one in universe if one.name == fault.where]
    if found:
        named = {"issuer": "", "venue": found[0].venue, "token": found[0].token, "coin": universe.coins()[-1]}
    return {label: value.format(**named) for label, value in sign.labels.items()}


def unseen(run: Driver, struck: Mapping[str, int]) -> list[Breach]:
    """What befell a run and showed nowhere. A process that died took its counts with it: of what else befell it nothing
    is said."""
    found = []
    for fault in run.scene.faults:
        sign, died = SIGNS.get(fault.kind), len(run.lives) > 1
        if sign is None or not struck[fault.what] or (died and not isinstance(fault.kind, Process)):
            continue
        if sign.lasts_s and fault.for_s < sign.lasts_s:
            continue
        labels = labels_of(sign, fault, run.stage.universe)
        values = [one for scrape in run.window.scrapes for one in scrape.values(sign.metric, labels)]
        if not any(sign.above < value < sign.below for value in values):
            what = f"{fault.what} at {fault.where or 'the process'} moved no {sign.metric} of {labels}"
            found.append(Breach("I9", what, run.now))
    return found
