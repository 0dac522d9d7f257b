"""Alarm rules: from the tables of the config, and the one that holds where no config is given."""

from __future__ import annotations

from typing import Any, Final

from bot.config import PegShadow, PegWatch
from connectors.events import NS
from strategies.market.session import Session
from strategies.peg.rule import Rule

STARTING_BPS: Final = {"pre": (100.0, 250.0), "regular": (50.0, 150.0), "post": (100.0, 250.0),
                       "overnight": (150.0, 350.0), "weekend": (300.0, 700.0), "holiday": (300.0, 700.0)}  # fmt: skip
"""Bands (strained, depegged) by session to begin with, until it is known what is usual at a venue."""


def rule_of(table: PegWatch) -> Rule:
    """The active rule of a config."""
    return Rule(
        warn_bps=_by_session(table.warn_bps),
        depeg_bps=_by_session(table.depeg_bps),
        clear_share=table.clear_share,
        persist_ns=round(table.persist_s * NS),
        min_sigmas=table.min_sigmas,
        run_length=table.run_length,
        fast_sigmas=table.fast_sigmas,
        prints=table.prints,
        least_bps=table.least_bps,
        sample_ns=round(table.sample_s * NS),
        slow_run_length=table.slow_run_length,
        coin_bps=table.coin_bps,
        depth_usd=float(table.depth_usd),
    )


def shadow_of(table: PegWatch) -> Rule | None:
    """The candidate rule of a config, or None: the active one with what the shadow's table says instead."""
    shadow = table.shadow
    if shadow is None or not shadow.enabled:
        return None
    said: dict[str, Any] = {
        name: value
        for name in PegShadow.model_fields
        if name != "enabled" and (value := getattr(shadow, name)) is not None
    }
    for bands in ("warn_bps", "depeg_bps"):
        if bands in said:
            said[bands] = {**getattr(table, bands), **said[bands]}
    return rule_of(table.model_copy(update={**said, "shadow": None}))


def starting_table() -> PegWatch:
    """What holds where no config says otherwise."""
    return PegWatch(
        warn_bps={name: warn for name, (warn, _) in STARTING_BPS.items()},
        depeg_bps={name: depeg for name, (_, depeg) in STARTING_BPS.items()},
    )


def _by_session(limits: Any) -> dict[Session, float]:
    """Limits by Session; an unknown session has none."""
    found = {Session[name.upper()]: float(bps) for name, bps in limits.items()}
    return {**found, Session.UNKNOWN: float("inf")}
