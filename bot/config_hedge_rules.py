"""What must fit together around `[strategies.hedge]`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bot.config_hints import plain
from bot.config_shape import Fault
from bot.toml_lines import Path


def hedge(data: Mapping[str, Any], told: Collection[Path]) -> Iterator[Fault]:
    """It has something to hedge with, and limits that let it: a review, an order within them, a reserve above what the
    venue asks for."""
    table = data.get("strategies", {}).get("hedge")
    if not isinstance(table, dict) or not table.get("enabled", True):
        return
    path: Path = ("strategies", "hedge")
    risk = data.get("risk")
    if risk is None:
        yield Fault(path, "it trades only within limits, and there is no [risk]", "write a table [risk]", ("risk",))
    elif "size_usd" in table and "max_order_usd" in risk and table["size_usd"] > risk["max_order_usd"]:
        said = f"{plain(table['size_usd'])} is more than [risk] max_order_usd = {plain(risk['max_order_usd'])}"
        yield Fault((*path, "size_usd"), said, "every order would be refused: write less, or raise the limit")
    first, last = table.get("flatten_bps", (100.0, 400.0))
    if first > last:
        yield Fault((*path, "flatten_bps"), f"{plain(first)} is more than {plain(last)}", "write the smaller one first")
    hedges = {
        name: one
        for name, one in data.get("instruments", {}).items()
        if one.get("role") in ("perp", "share") and one.get("trade")
    }
    if not hedges:
        said = "nothing can hedge a token: no perp or share is traded"
        yield Fault(path, said, 'write trade = true at an instrument with role = "perp" or "share"')
    reserve = table.get("margin_reserve_share")
    for venue in dict.fromkeys(name.partition(":")[0] for name, one in hedges.items() if one.get("role") == "perp"):
        asked = data.get("venues", {}).get(venue, {}).get("maintenance_share")
        if reserve is not None and asked is not None and reserve <= asked:
            said = f"{plain(reserve)} is no more than [venues.{venue}] maintenance_share = {plain(asked)}"
            yield Fault((*path, "margin_reserve_share"), said, "the venue would close positions first: write more")
