"""What each component of the costs is for: believed, it refuses a trade; forgotten, it is the loss that is reported."""

from __future__ import annotations

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import Result, run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.backtest_report import as_json, words  # noqa: E402
from bot.config import Config  # noqa: E402
from bot.match import Match  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from connectors.events import NS, Flag, Kind, Row, Rows  # noqa: E402
from strategies.pricing.costs import Component  # noqa: E402

NOON = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
CHEAP, DEAR, SHARE, COIN = "exchange:Tx/USD", "pool:Tx/USDT", "tape:T", "fx:USDT/USD"
SIX: dict[Component, float] = {
    Component.TAKER_FEE: 1, Component.GAS: 0.1, Component.DATA_FEE: 0.1, Component.SLIPPAGE: 0, Component.FX: 1,
    Component.REBALANCING: 1,
}  # fmt: skip
"""Small ones: bps of each leg, and USD of the pool's order. They leave more than 20 of the 30 bps between venues."""
LARGE: dict[Component, float] = {
    Component.TAKER_FEE: 16, Component.GAS: 3.2, Component.DATA_FEE: 3.2, Component.SLIPPAGE: 16, Component.FX: 32,
    Component.REBALANCING: 16,
}  # fmt: skip
"""Each alone eats all of them."""


def config(costs: dict[Component, float]) -> Config:
    """An exchange in USD, a pool in USDT, a trade of 1,000 USD wherever 5 bps are left."""
    token = {"token": "Tx", "underlying": "T", "issuer": "one", "unit_model": "rebasing", "lot": "0.001"}
    fee = {"taker_fee_bps": costs[Component.TAKER_FEE], "latency_ms": 1000}
    gas = {"fixed_cost_usd": costs[Component.GAS], "data_fee_usd": costs[Component.DATA_FEE]}
    return Config.model_validate(
        {
            "venues": {
                "exchange": {"kind": "cex", **fee}, "pool": {"kind": "dex", **fee, **gas},
                "tape": {"kind": "oracle"}, "fx": {"kind": "oracle"},
            },
            "instruments": {
                CHEAP: token, DEAR: {**token, "quote": "USDT"}, SHARE: {"role": "share", "underlying": "T"},
                COIN: {"role": "coin", "coin": "USDT"},
            },
            "costs": {
                "slippage_bps": costs[Component.SLIPPAGE], "rebalancing_bps": costs[Component.REBALANCING],
                "fx_bps": {"USDT": costs[Component.FX]}, "capital_bps_per_year": 0,
            },
            "strategies": {
                "cross_venue": {"min_edge_bps": 5, "size_usd": 1000, "max_short_units": 10, "max_long_units": 10}
            },
            "risk": {
                "max_order_usd": 2000, "max_position_usd": 2000, "max_gross_usd": 5000, "collar_bps": 100,
                "max_orders_per_minute": 9, "max_daily_loss_usd": 99, "sessions": ["regular"], "coin_band_bps": 50,
                "hedge_orders_per_minute": 9, "max_wishes_per_minute": "inf", "max_turnover_usd_per_day": "inf",
                "trade_gap_s": 0, "max_drawdown_usd": "inf", "max_naked_usd": "inf", "max_naked_s": "inf",
                "caps": dict.fromkeys(("token_usd", "venue_usd", "issuer_usd", "chain_usd", "stablecoin_usd"), "inf"),
            },
        }
    )  # fmt: skip


def backtest(believed: dict[Component, float], charged: dict[Component, float], *, slips: bool) -> Result:
    """The share at 100, cheap at 100, dear at 100.30 for a moment; where it `slips`, at 100 when the order comes."""
    told = config(believed)
    universe = universe_of(told)
    number = {instrument.name: at for at, instrument in enumerate(universe)}

    def row(ms: int, name: str, kind: Kind, bid: float, ask: float) -> Row:
        return Row(
            ts_recv=NOON + ms * 1_000_000, instrument=number[name], kind=kind, bid=bid, ask=ask, bid_size=50.0,
            ask_size=50.0, flags=Flag.ONE_PRICE if kind is Kind.FX else Flag(0),
        )  # fmt: skip

    start = [
        row(0, COIN, Kind.FX, 1.0, 1.0), row(1, SHARE, Kind.REFERENCE, 99.99, 100.01),
        row(2, CHEAP, Kind.QUOTE, 99.98, 100.0), row(3, DEAR, Kind.QUOTE, 100.3, 100.32),
    ]  # fmt: skip
    later = 100.0 if slips else 100.3
    end = [
        row(500, DEAR, Kind.QUOTE, later, later + 0.02),
        *(row(3000, name, Kind.QUOTE, 99.99, 100.01) for name in (CHEAP, DEAR)),
    ]
    return run_over(told, universe, [Rows.of([*start, *end])], world=config(charged))


@pytest.mark.parametrize("component", SIX)
def test_a_forgotten_component_turns_a_refused_trade_into_a_loss_that_the_report_shows(component: Component) -> None:
    """
    With it the trade is not made. Without it in what is believed, while the world charges it all the same, the trade is
    made, and what the report has under its name is more than all that is lost.
    """
    world, slips = {**SIX, component: LARGE[component]}, component is Component.SLIPPAGE
    assert 0 == backtest(world, world, slips=slips).told.approved
    made = backtest({**world, component: 0}, world, slips=slips)
    report = as_json(made, Match((), (), (), ()), source="made up", total_s=0, trades=True)
    assert 1 == report["trades"]
    lost = float(report["net_after_due_usd"])
    assert lost < 0
    bridge = {name: -float(usd) for name, usd in report["bridge_usd"].items()}
    place = {
        Component.TAKER_FEE: bridge["fees"], Component.SLIPPAGE: bridge["slippage"], Component.GAS: bridge["gas"],
        Component.DATA_FEE: bridge["gas"], **{Component(name): float(usd) for name, usd in report["due_usd"].items()},
    }  # fmt: skip
    assert -lost < place[component]
    assert f"{lost:,.2f}" in words(report)


def test_the_same_trade_is_made_at_a_profit_where_all_is_small_and_believed() -> None:
    """
    30 bps of 1,000 USD less 1 + 1 of fees, 20 cents of gas, 1 for the coin and 2 for rebalancing.
    """
    made = backtest(SIX, SIX, slips=False)
    assert (1, 2) == (made.told.approved, len(made.fills))
    assert pytest.approx(3.0 - 0.2 - 0.2 - 0.1 - 0.2, abs=2e-3) == float(made.after_usd)
