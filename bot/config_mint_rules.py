"""What must fit together around `[strategies.mint_redeem]`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bot.config_hints import plain
from bot.config_shape import Fault
from bot.toml_lines import Path

_PATH: Path = ("strategies", "mint_redeem")


def mint_redeem(data: Mapping[str, Any], told: Collection[Path]) -> Iterator[Fault]:
    """It trades within limits, at issuers whose terms are written, and what falls short may be repaired."""
    table = data.get("strategies", {}).get("mint_redeem")
    if not isinstance(table, dict) or not table.get("enabled", True):
        return
    for name, why in (
        ("risk", "it trades only within limits"),
        ("issuers", "it mints and redeems only where fees and delays are written"),
        ("costs", "a request locks money, and what that would earn elsewhere is not known"),
        ("execution", "what an issuer rejects must be bought back or sold again"),
    ):
        if not data.get(name):
            shown = "[issuers.NAME]" if name == "issuers" else f"[{name}]"
            yield Fault(_PATH, f"{why}, and there is no {shown}", f"write a table {shown}", (name,))
    costs, risk = data.get("costs"), data.get("risk")
    if costs and "capital_bps_per_year" not in costs and ("costs", "capital_bps_per_year") not in told:
        said = "missing: mint_redeem locks money until an issuer delivers"
        yield Fault(("costs", "capital_bps_per_year"), said, "write capital_bps_per_year = NUMBER")
    if risk and "size_usd" in table and "max_order_usd" in risk and table["size_usd"] > risk["max_order_usd"]:
        said = f"{plain(table['size_usd'])} is more than [risk] max_order_usd = {plain(risk['max_order_usd'])}"
        yield Fault((*_PATH, "size_usd"), said, "every order would be refused: write less, or raise the limit")
