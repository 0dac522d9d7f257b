"""Pools with incentives as the page, the metrics and the story show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.events import NS
from connectors.instruments import Universe
from strategies.base import Note

if TYPE_CHECKING:
    from strategies.liquidity import Reading

Readings = Callable[[], Sequence["Reading"]]
Sample = tuple[tuple[str, ...], float | None]
STATES: Final = {"UNKNOWN": "unknown", "CLEAR": "clear", "WARNING": "cliff"}


class PoolExit(msgspec.Struct, frozen=True, kw_only=True):
    """What can be sold at once at an average price within a band under the mid."""

    band: float
    now_usd: float | None
    after_usd: float | None
    """Once the incentive is over."""
    complete: bool
    """Else it is at least this much: the levels end before."""


class PoolLine(msgspec.Struct, frozen=True, kw_only=True):
    """One pool with an incentive. None is unknown."""

    token: str
    venue: str
    instrument: str
    state: str
    """clear, cliff (its depth is about to leave) or unknown."""
    incentive_usd_per_day: float | None
    ends_s: float | None
    """Unix time."""
    days: float | None
    """To the end; negative after it."""
    volume_usd_per_day: float | None
    volume_by: str
    """seen or config; empty where nobody says."""
    fees_usd_per_day: float | None
    subsidy_share: float | None
    """Of what its liquidity is paid."""
    tvl_usd: float | None
    lvr_usd_per_day: float | None
    breakeven_usd_per_day: float | None
    """The least incentive at which the value that is there would stay."""
    top_lp_share: float | None
    exits: tuple[PoolExit, ...]
    cap_usd: float | None
    """What should be held at most."""


def pool_lines(universe: Universe, readings: Iterable[Reading]) -> tuple[PoolLine, ...]:
    """A line for each pool."""
    return tuple(_line(universe, one) for one in readings)


def _line(universe: Universe, one: Reading) -> PoolLine:
    instrument = universe[one.instrument]
    return PoolLine(
        token=instrument.token,
        venue=instrument.venue,
        instrument=instrument.name,
        state=STATES[one.state.name],
        incentive_usd_per_day=_known(one.usd_per_day),
        ends_s=one.ends_ns / NS if one.ends_ns else None,
        days=_known(one.days),
        volume_usd_per_day=_known(one.volume_usd_per_day),
        volume_by=one.volume_by,
        fees_usd_per_day=_known(one.fees_usd_per_day),
        subsidy_share=_known(one.subsidy_share),
        tvl_usd=_known(one.tvl_usd),
        lvr_usd_per_day=_known(one.lvr_usd_per_day),
        breakeven_usd_per_day=_known(one.breakeven_usd_per_day),
        top_lp_share=_known(one.top_lp_share),
        exits=tuple(
            PoolExit(band=exit.band, now_usd=_known(exit.now), after_usd=_known(exit.after), complete=exit.complete)
            for exit in one.exits
        ),
        cap_usd=_known(one.cap_usd),
    )


def samples(lines: Sequence[PoolLine]) -> dict[str, list[Sample]]:
    """The series of pools, by their names in the catalogue without prefix; what is None is left out."""
    keys = [(line.token, line.venue, line.instrument) for line in lines]
    by_name: dict[str, Callable[[PoolLine], float | None]] = {
        "pool_incentive_usd_per_day": lambda line: line.incentive_usd_per_day,
        "pool_incentive_end_timestamp_seconds": lambda line: line.ends_s,
        "pool_subsidy_ratio": lambda line: line.subsidy_share,
        "pool_breakeven_usd_per_day": lambda line: line.breakeven_usd_per_day,
        "pool_inventory_cap_usd": lambda line: line.cap_usd,
        "liquidity_cliff": lambda line: None if line.state == "unknown" else float(line.state == "cliff"),
    }
    found: dict[str, list[Sample]] = {
        name: [(key, value(line)) for key, line in zip(keys, lines, strict=True)] for name, value in by_name.items()
    }
    found["pool_exit_usd"] = [
        ((*key, f"{exit.band:g}", when), usd)
        for key, line in zip(keys, lines, strict=True)
        for exit in line.exits
        for when, usd in (("now", exit.now_usd), ("after", exit.after_usd))
    ]
    return found


def incentive_told(note: Note, where: str, until: str) -> str:
    """A program in words; `until` is the moment of its end, empty where it is unknown."""
    usd = _number(note, "usd_per_day") or 0.0
    if not usd:
        return f"incentive over: {where} pays nothing to its liquidity any more"
    end = f"until {until}" if until else "and nobody says until when"
    return f"incentive: {where} pays {usd:,.0f} USD a day to its liquidity {end}"


def cliff_told(note: Note, where: str) -> str:
    """A change of state in words; empty where it is no news to a person."""
    before, after, why = (str(note.detail.get(key, "")) for key in ("from", "to", "why"))
    if after == "WARNING":
        share, days = _number(note, "subsidy_share") or 0.0, _number(note, "days") or 0.0
        when = f"ends in {days:.1f} days" if days > 0 else f"ended {-days:.1f} days ago"
        now, later = _number(note, "exit_0.01_now_usd"), _number(note, "exit_0.01_after_usd")
        sold = ""
        if now is not None:
            then = "" if later is None else f", {later:,.0f} when it has left"
            sold = f"; {now:,.0f} USD can be sold within 1 % now{then}"
        cap = _number(note, "cap_usd")
        hold = "" if cap is None else f"; hold at most {cap:,.0f} USD"
        return f"liquidity cliff: {where}, {share:.0%} of what its liquidity earns is subsidy that {when}{sold}{hold}"
    if before != "WARNING":
        return ""
    reasons = {"over": "its incentive has been over for days", "far from its end": "its incentive goes on"}
    return f"liquidity cliff off: {where}, {reasons.get(why, why)}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(note: Note, key: str) -> float | None:
    value = note.detail.get(key)
    return float(value) if isinstance(value, int | float) and value == value else None
