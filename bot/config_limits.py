"""What must fit together in `[risk]`, and what of it no strategy trades without."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from bot.config import Config
from bot.config_hints import plain
from bot.config_risk import WHEN_TRADING
from bot.config_shape import Fault
from bot.toml_lines import Path

TRADES: Final = ("cross_venue", "hedge", "mint_redeem")
"""Tables of [strategies] that trade."""


def limits(data: Mapping[str, Any], told: Collection[Path]) -> Iterator[Fault]:
    """Limits grow from order to position to the whole, sessions are named once each, and who trades has all limits."""
    table = data.get("risk")
    if not isinstance(table, dict):
        return
    for small, large in pairwise(("max_order_usd", "max_position_usd", "max_gross_usd")):
        if small in table and large in table and Decimal(table[small]) > Decimal(table[large]):
            said = f"{plain(table[small])} is more than {large} = {plain(table[large])}"
            yield Fault(("risk", small), said, f"write at most {large}")
    sessions = table.get("sessions")
    if isinstance(sessions, list):
        if not sessions:
            yield Fault(("risk", "sessions"), "no session is named", 'write at least one, e.g. ["regular"]')
        for at, session in enumerate(sessions):
            if session in sessions[:at]:
                yield Fault(("risk", "sessions", at), f"{plain(session)} stands twice", "remove one of them")
    strategies = data.get("strategies", {})
    if any(isinstance(one := strategies.get(name), dict) and one.get("enabled", True) for name in TRADES):
        for key, example in WHEN_TRADING.items():
            if key not in table and ("risk", key) not in told:
                yield Fault(("risk", key), "missing: a strategy that trades needs it", f"write {key} = {example}")


def trading(config: Config) -> tuple[str, ...]:
    """Names of the strategies that trade and are switched on."""
    tables = ((name, getattr(config.strategies, name)) for name in TRADES)
    return tuple(name for name, table in tables if table is not None and table.enabled)
