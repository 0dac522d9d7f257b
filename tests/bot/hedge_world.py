"""A small market for the strategy `hedge`: one token, two perps, the share, and what each of them says over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from connectors.events import NS, Kind, Row, Rows  # noqa: E402
from strategies.base import Note  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York, 16:00 UTC."""
TOKEN, PERP, OTHER, SHARE, STOCK = "exchange:Tx/USD", "perps:T-PERP", "others:T-PERP", "tape:T", "broker:T"
HALF = 0.01
"""Of every spread, USD."""


def config(
    *,
    hedge: Mapping[str, Any] | None = None,
    risk: Mapping[str, Any] | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Fees of 1 bps, a position of 1,000 USD; `hedge` and `risk` change these tables, `tables` those of instruments and
    venues by name."""
    fee = {"taker_fee_bps": 1, "latency_ms": 100}
    perps = {**fee, "kind": "cex", "margin_usd": 2000, "maintenance_share": 0.05}
    perp = {"role": "perp", "underlying": "T", "trade": True, "lot": "0.01"}
    document: dict[str, Any] = {
        "venues": {
            "exchange": {"kind": "cex", **fee}, "perps": perps, "others": perps, "tape": {"kind": "oracle"},
            "broker": {"kind": "broker", **fee},
        },
        "instruments": {
            TOKEN: {"token": "Tx", "underlying": "T", "issuer": "one", "unit_model": "total_return", "multiplier": 1.0,
                    "basis": "unit", "lot": "0.01"},
            PERP: perp, OTHER: perp, SHARE: {"role": "share", "underlying": "T"},
            STOCK: {"role": "share", "underlying": "T", "trade": True, "hours": "extended", "lot": "0.01",
                    "borrow_bps_per_year": 100},
        },
        "gates": {"max_quote_age_s": 30, "frozen_after_s": 1e6},
        "costs": {"slippage_bps": 0, "rebalancing_bps": 0, "capital_bps_per_year": 365},
        "strategies": {
            "hedge": {
                "min_edge_bps": 5, "most_bps": 300, "size_usd": 1000, "max_short_units": 0, "slippage_bps": 20,
                "horizon_s": 86_400, "gap_sigmas": 1, "margin_reserve_share": 0.3, "cooldown_s": 5, **(hedge or {}),
            }
        },
        "risk": {
            "max_order_usd": 2000, "max_position_usd": 5000, "max_gross_usd": 9000, "collar_bps": 500,
            "max_orders_per_minute": 99, "max_daily_loss_usd": 99, "sessions": ["regular", "post"],
            "coin_band_bps": 50, "hedge_orders_per_minute": 9, "max_wishes_per_minute": "inf",
            "max_turnover_usd_per_day": "inf", "trade_gap_s": 0, "max_drawdown_usd": "inf", "max_naked_usd": "inf",
            "max_naked_s": "inf",
            "caps": dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), "inf"),
            **(risk or {}),
        },
        "execution": {"retry_give_bps": 10, "max_loss_usd": 10, "naked_usd_s": 100_000},
    }  # fmt: skip
    for kind in ("venues", "instruments"):
        for name, table in (tables or {}).items():
            if name in document[kind]:
                document[kind][name] = {**document[kind][name], **table}
    return Config.model_validate(document)


class World:
    """Rows of a market, written down second by second; every instrument prints every ten seconds while time passes."""

    def __init__(self, told: Config, *, start: int = NOON, only: tuple[str, ...] = (TOKEN, PERP, SHARE)) -> None:
        """`only` those instruments say anything; all at 100 USD, funding is told hourly and is nothing."""
        self.config, self.universe = told, universe_of(told)
        self.rows: list[Row] = []
        self.at = start
        self.mids = dict.fromkeys(only, 100.0)
        self.fundings = {name: 0.0 for name in only if name in (PERP, OTHER)}
        """Rate of an hour."""

    def number(self, name: str) -> int:
        """Of an instrument."""
        return self.universe.number(name)

    def row(self, name: str, kind: Kind, bid: float, ask: float) -> None:
        """One row now."""
        self.rows.append(
            Row(
                ts_recv=self.at, instrument=self.number(name), kind=kind, bid=bid, ask=ask, bid_size=50.0, ask_size=50.0
            )
        )

    def lasts(self, seconds: int, **mids: float) -> World:
        """Time passes at these mids (token, perp, other, share, stock), USD, at the others as they were."""
        names = {"token": TOKEN, "perp": PERP, "other": OTHER, "share": SHARE, "stock": STOCK}
        self.mids |= {names[key]: mid for key, mid in mids.items()}
        for _ in range(max(1, seconds // 10)):
            for name, mid in self.mids.items():
                kind = Kind.REFERENCE if name in (SHARE, STOCK) else Kind.QUOTE
                self.row(name, kind, mid - HALF, mid + HALF)
            for name, rate in self.fundings.items():
                self.row(name, Kind.FUNDING, rate, 3600.0)
            self.at += 10 * NS
        return self

    def until(self, seconds: int) -> World:
        """Nothing is said until so many seconds after noon."""
        self.at = NOON + seconds * NS
        return self

    def run(self) -> Result:
        """What the bot does in it."""
        return run_over(self.config, self.universe, [Rows.of(self.rows)])


def notes(result: Result, kind: str) -> list[Note]:
    """Notes of a kind, in order."""
    return [note for step in result.records for note in step.notes if note.kind == kind]


def done(result: Result) -> list[tuple[str, str]]:
    """What the strategy did, and why, in order: (enter, premium), (exit, converged), ..."""
    told = [(str(note.detail["action"]), str(note.detail["why"])) for note in notes(result, "hedge")]
    return [one for one in told if one[0] != "hold"]


def orders(result: Result) -> list[tuple[str, str, float]]:
    """Instrument, side and quantity of all that filled, in order."""
    return [(result.names[fill.instrument], fill.side.value, float(fill.quantity)) for fill in result.fills]
