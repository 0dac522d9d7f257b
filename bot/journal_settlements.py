"""Mints and redemptions as a journal tells them: how each stands, what has moved, and every word about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from bot.journal_steps import Runs
from bot.restore import restore
from connectors.orders import Progress
from strategies.base import Step
from strategies.execution.conversions import Running
from strategies.execution.ledger import Ledger
from strategies.execution.memory import Memory


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as of the journal's end; amounts as exact text, moments in ns UTC."""

    id: str
    issuer: str
    kind: str
    """mint or redeem."""
    underlying: str
    state: str
    open: bool
    given: str
    quantity: str
    source: str
    got: str
    expected: str
    target: str
    fee_usd: str
    asked_ns: int
    sla_ns: int
    trade: str
    owed: str
    """Units of the target that are a claim; empty where nothing is."""
    words: tuple[Progress, ...] = ()
    """What issuers and operators told, oldest first."""


def settlements(told: Iterable[Step], runs: Runs) -> list[Settlement]:
    """Every request of a journal, oldest first. Raises DataError as `restore`."""
    ledger = Ledger(runs.universe())
    words: dict[str, list[Progress]] = {}

    def heard() -> Iterator[Step]:
        for step in told:
            for word in step.progress:
                words.setdefault(word.id, []).append(word)
            yield step

    restore(heard(), ledger.universe, ledger, Memory())
    return [_settlement(one, ledger, tuple(words.get(id, ()))) for id, one in ledger.conversions.all.items()]


def _settlement(one: Running, ledger: Ledger, words: tuple[Progress, ...]) -> Settlement:
    order, claim = one.order, one.claim
    return Settlement(
        id=order.id,
        issuer=order.issuer,
        kind="mint" if order.mint else "redeem",
        underlying=order.underlying,
        state=one.state.value,
        open=not one.closed,
        given=f"{one.given:f}",
        quantity=f"{order.quantity:f}",
        source=ledger.universe[order.source].name,
        got=f"{one.got:f}",
        expected=f"{order.expected:f}",
        target=ledger.universe[order.target].name,
        fee_usd="0" if one.word is None else f"{one.word.fee_usd:f}",
        asked_ns=one.since,
        sla_ns=order.sla_ns,
        trade=order.trade,
        owed="" if claim is None else f"{claim.units:f}",
        words=words,
    )
