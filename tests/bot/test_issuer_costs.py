"""What an issuer's fee and spread are for: believed, they refuse a redemption; forgotten, they are the loss of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.backtest_report import as_json, words  # noqa: E402
from bot.config import Config  # noqa: E402
from bot.match import Match  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from bot.wiring import paper_issuers  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from connectors.orders import Conversion, Progress  # noqa: E402
from connectors.ports import Bounds, Primary, Soft  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN, SHARE, COIN = "exchange:Tx/USDT", "tape:T", "fx:USDT/USD"
LARGE: dict[str, dict[str, float]] = {
    "flat fee": {"request_usd": 30}, "fee": {"redeem_fee_bps": 300}, "spread": {"spread_bps": 300},
}  # fmt: skip
"""Each eats the 20 USD that a redemption of 1,000 USD brings, and a third more."""


class Misquoting:
    """An issuer that quotes by one set of terms and settles by another."""

    def __init__(self, told: Primary, done: Primary) -> None:
        self.issuer, self._told, self._done = done.issuer, told, done

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        return self._told.quote(mint=mint, source=source, target=target, quantity=quantity, now=now)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        return self._told.bounds(mint=mint, source=source, target=target, now=now)

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        return self._done.request(order, now)

    def status(self, id: str, now: int) -> tuple[int, ...]:
        return self._done.status(id, now)

    def progress(self, due: int) -> tuple[Progress, ...]:
        return self._done.progress(due)


def config(**issuer: float) -> Config:
    """A free venue, and an issuer that redeems for coins in ten minutes and takes nothing but what is named."""
    free = {"redeem_fee_bps": 0, "spread_bps": 0, "request_usd": 0}
    return Config.model_validate(
        {
            "venues": {
                "exchange": {"kind": "cex", "taker_fee_bps": 0, "latency_ms": 100},
                "tape": {"kind": "oracle"}, "fx": {"kind": "oracle"},
            },
            "instruments": {
                TOKEN: {"token": "Tx", "underlying": "T", "issuer": "one", "unit_model": "rebasing", "lot": "0.01",
                        "quote": "USDT"},
                SHARE: {"role": "share", "underlying": "T"}, COIN: {"role": "coin", "coin": "USDT"},
            },
            "issuers": {
                "one": {"takes": "cash", "redeem_delay_s": 600, "reject_share": 0, "least_usd": 1, "hours": "24/7",
                        **free, **issuer}
            },
            "costs": {"slippage_bps": 0, "rebalancing_bps": 0, "fx_bps": {"USDT": 0}, "capital_bps_per_year": 0},
            "strategies": {"mint_redeem": {"min_edge_bps": 50, "most_bps": 400, "size_usd": 1000, "cooldown_s": 5}},
            "execution": {"retry_give_bps": 10, "max_loss_usd": 10, "naked_usd_s": 100_000},
            "risk": {
                "max_order_usd": 2000, "max_position_usd": 2000, "max_gross_usd": 5000, "collar_bps": 500,
                "max_orders_per_minute": 9, "max_daily_loss_usd": 99, "sessions": ["regular"], "coin_band_bps": 50,
                "hedge_orders_per_minute": 9, "max_wishes_per_minute": "inf", "max_turnover_usd_per_day": "inf",
                "trade_gap_s": 0, "max_drawdown_usd": "inf", "max_naked_usd": "inf", "max_naked_s": "inf",
                "caps": dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), "inf"),
            },
        }
    )  # fmt: skip


def ran(believed: Mapping[str, float], charged: Mapping[str, float]) -> Result:
    """A token of a share that is worth 100 is sold for 98 for a minute, and for 100 from then on."""
    told, done = config(**believed), config(**charged)
    universe = universe_of(told)
    issuers = [paper_issuers(one, universe, load_sessions(), 1) for one in (told, done)]

    def misquoting(usd: Callable[[int], float], shares: Callable[[int], float]) -> dict[str, Any]:
        quotes, settles = (one(usd, shares) for one in issuers)
        return {name: Misquoting(quotes[name], settles[name]) for name in settles}

    rows = []
    for second in range(0, 1200, 10):
        price = 98.0 if second < 60 else 99.99
        for name, kind, bid, ask in (
            (COIN, Kind.FX, 1.0, 1.0),
            (SHARE, Kind.REFERENCE, 99.99, 100.01),
            (TOKEN, Kind.QUOTE, price - 0.02, price),
        ):
            rows.append(
                Row(ts_recv=NOON + second * NS, instrument=universe.number(name), kind=kind, bid=bid, ask=ask,
                    bid_size=50.0, ask_size=50.0, flags=Flag.ONE_PRICE if kind is Kind.FX else Flag(0))
            )  # fmt: skip
    return run_over(told, universe, [Rows.of(rows)], issuers=misquoting)


@pytest.mark.parametrize("cost", LARGE)
def test_a_forgotten_cost_of_the_issuer_turns_a_refused_redemption_into_a_loss_that_the_report_shows(cost: str) -> None:
    """
    Believed, nothing is bought. Forgotten by the quote, while it is kept all the same, it is, and all that was to be
    earned is lost and ten dollars more.
    """
    refused = ran(LARGE[cost], LARGE[cost])
    assert [] == refused.fills
    assert "thin" in [
        note.detail["reason"] for step in refused.records for note in step.notes if note.kind == "no_trade"
    ]
    made = ran({}, LARGE[cost])
    report = as_json(made, Match((), (), (), ()), source="made up", total_s=0, trades=True)
    lost = float(report["net_after_due_usd"])
    assert -12 < lost < -8
    assert f"{lost:,.2f}" in words(report)
    if cost == "flat fee":
        assert -30 == float(report["bridge_usd"]["issuer_fees"])


def test_the_same_redemption_pays_where_the_issuer_takes_nothing() -> None:
    """
    Ten tokens at 98 become 1,000 USD and more.
    """
    assert 18 < float(ran({}, {}).after_usd) < 22
