"""What the config says that a leg costs: the same number for the scan, the review, paper, and an answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config  # noqa: E402
from bot.costs import leg_costs, taken_costs  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.universe import universe_of  # noqa: E402
from bot.wiring import paper  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.pricing.costs import TAKEN, Component  # noqa: E402

POOL = "pool:AAPLx/USDT"
TOKEN = {"token": "AAPLx", "unit_model": "rebasing", "underlying": "AAPL", "issuer": "xstocks", "quote": "USDT"}


def config(*, venue: dict[str, Any] | None = None, costs: dict[str, Any] | None = None, **more: Any) -> Config:
    """A pool with 10 bps and 50 cents of gas, and everything else as told."""
    table = {"kind": "dex", "taker_fee_bps": 10, "latency_ms": 5, "fixed_cost_usd": "0.5", **(venue or {})}
    document = {
        "venues": {"pool": {key: value for key, value in table.items() if value is not None}},
        "instruments": {POOL: TOKEN},
        "strategies": {
            "cross_venue": {"min_edge_bps": 5, "size_usd": 1000, "max_short_units": 1, "max_long_units": 1, **more}
        },
        "risk": {
            "max_order_usd": 1000, "max_position_usd": 1000, "max_gross_usd": 1000, "collar_bps": 100,
            "max_orders_per_minute": 9, "max_daily_loss_usd": 9, "sessions": ["regular"], "coin_band_bps": 50,
        },
    }  # fmt: skip
    return Config.model_validate(document if costs is None else {**document, "costs": costs})


ALL = {"slippage_bps": 2, "rebalancing_bps": 3, "fx_bps": {"USDT": 4}, "capital_bps_per_year": 365}


def facts(told: Config) -> tuple[float | None, float]:
    """What the assembled columns say of the pool: its cost, and the factor that the scan multiplies an ask with."""
    universe = universe_of(told)
    parts = assemble(told, universe, load_sessions(), Journal(None), executor=None)
    return parts.columns.facts[0].cost, float(parts.columns.f[0, K.BUY_COST])


def test_the_scan_counts_what_the_model_says() -> None:
    """
    10 + 2 + 3 + 4 bps and 50 cents of 1,000 USD are 24 bps: the model's share, its float form, the scan's factor.
    """
    told = config(costs=ALL)
    share = taken_costs(told, universe_of(told)[0]).share(Decimal(1000))
    assert Decimal("0.0024") == share
    assert (float(share), 1 + float(share)) == facts(told)


def test_paper_charges_fee_and_gas_of_the_same_model() -> None:
    """
    The venue on paper takes the taker fee as a part of the notional, and gas and data fee of each order that fills.
    """
    told = config(venue={"data_fee_usd": "0.02"}, costs=ALL)
    terms = paper(told, universe_of(told), 1).terms[0]
    assert (Decimal("0.001"), Decimal("0.52")) == (terms.fee, terms.fixed_usd)


@pytest.mark.parametrize(
    "component, key, left_out",
    [
        (Component.TAKER_FEE, "[venues.pool] taker_fee_bps", {"venue": {"taker_fee_bps": None}, "costs": ALL}),
        (Component.GAS, "[venues.pool] fixed_cost_usd", {"venue": {"fixed_cost_usd": None}}),
        (Component.SLIPPAGE, "[costs] slippage_bps", {"costs": {**ALL, "slippage_bps": None}}),
        (Component.REBALANCING, "[costs] rebalancing_bps", {"costs": {**ALL, "rebalancing_bps": None}}),
        (Component.FX, "[costs] fx_bps.USDT", {"costs": {**ALL, "fx_bps": {"USDC": 4}}}),
    ],
)
def test_a_component_that_is_left_out_is_named_and_never_nothing(
    component: Component, key: str, left_out: dict[str, Any]
) -> None:
    """
    Without any one of them the scan has no cost, so that it finds no edge, and what is to be written is said.
    """
    told = config(**left_out)
    cost, factor = facts(told)
    assert cost is None and factor != factor
    assert (
        f"{component.value.replace('_', ' ')} is not known: write {key}" == taken_costs(told, universe_of(told)[0]).why
    )


def test_a_venue_stands_above_the_common_table() -> None:
    """
    Slippage and rebalancing that a venue names are its own: 1 instead of 2 and 0 instead of 3.
    """
    told = config(venue={"slippage_bps": 1, "rebalancing_bps": 0}, costs=ALL)
    parts = taken_costs(told, universe_of(told)[0]).parts(Decimal(10_000))
    assert (1, 0) == (parts[Component.SLIPPAGE], parts[Component.REBALANCING])


@pytest.mark.parametrize("volume, taker, maker", [(0, 26, 16), (49_999, 26, 16), (50_000, 24, 14), (10**7, 24, 14)])
def test_the_tier_of_the_account_says_the_fees(volume: int, taker: int, maker: int) -> None:
    """
    The tier with the largest volume that the account has reached holds.
    """
    told = config(
        venue={"taker_fee_bps": None, "volume_30d_usd": volume, "fee_tiers": {"0": [26, 16], "5e4": [24, 14]}}
    )
    parts = leg_costs(told, universe_of(told)[0]).parts(Decimal(10_000))
    assert (taker, maker) == (parts[Component.TAKER_FEE], parts[Component.MAKER_FEE])


def test_capital_costs_by_the_day_and_borrowing_only_where_it_is_known() -> None:
    """
    365 bps a year on 10,000 USD are a dollar a day; what being short costs is missing until the instrument says it.
    """
    told = config(costs=ALL)
    costs = leg_costs(told, universe_of(told)[0])
    assert 1 == costs.only({Component.CAPITAL}).usd(Decimal(10_000), Decimal(1))
    assert f'write [instruments."{POOL}"] borrow_bps_per_year' in costs.only({Component.BORROW}).why
    assert "" == costs.only(TAKEN | {Component.CAPITAL}).why


def test_without_a_table_of_costs_only_fee_and_gas_count() -> None:
    """
    A config from before that table trades as it did: 10 bps and 50 cents of 1,000 USD.
    """
    assert (0.0015, 1.0015) == facts(config())


def test_gas_is_no_share_of_an_order_without_a_size_in_usd() -> None:
    """
    With a size in units the signal cannot count gas, so the cost is not known, and what to write is said.
    """
    told = config(size_usd=None, size_units=2)
    assert None is facts(told)[0]
    assert "size_usd" in taken_costs(told, universe_of(told)[0]).why
