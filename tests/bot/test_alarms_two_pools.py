"""Depegs put into the two real pools of TSLAx, May 2026: both together are the token's, one alone is that venue's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.alarms.shapes import Injection, Shape, inject  # noqa: E402 - the kernel's cache must be chosen first
from bot.alarms.watch import Run, watch  # noqa: E402
from bot.config import Config  # noqa: E402
from bot.peg_rules import rule_of, starting_table  # noqa: E402
from bot.tape_import import import_tape  # noqa: E402
from connectors.events import NS, Rows  # noqa: E402
from connectors.instruments import Role, Universe  # noqa: E402
from connectors.tape import open_tape  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from strategies.peg.state import Cause, PegState  # noqa: E402

MAP = Path(__file__).resolve().parents[1] / "maps" / "xstocks_2026_06.toml"
CONFIG = Config(gates={"max_quote_age_s": 4500.0, "max_source_lag_s": float("inf")})  # type: ignore[arg-type]
"""For pools that print once an hour."""
RULE = rule_of(starting_table())
HOUR_NS = 3600 * NS
BEGIN = round(datetime(2026, 5, 14, 14, 30, tzinfo=UTC).timestamp()) * NS
"""A Thursday, an hour after the share's market has opened."""
END = BEGIN + 6 * HOUR_NS


@pytest.fixture(scope="module")
def may(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Universe]:
    """Both pools and the share, four days before the depeg until an hour after it."""
    out = tmp_path_factory.mktemp("may") / "tape"
    data = shared / "data"
    files = [data / "xstocks_solana_2026-06" / "ohlcv.csv.gz", data / "us_equity_2025_2026" / "yahoo_5m.csv.gz"]
    import_tape(files, MAP, out)
    tape = open_tape(out)
    return Rows.join(list(tape.blocks(start_ns=BEGIN - 96 * HOUR_NS, end_ns=END + HOUR_NS))), tape.universe


def depeg(may: tuple[Rows, Universe], moved: tuple[int, ...], size_bps: float) -> Run:
    """The tape with a jump in some pools."""
    rows, universe = may
    token = universe[moved[0]]
    one = Injection(
        shape=Shape.JUMP if len(moved) > 1 else Shape.SINGLE_VENUE,
        size_bps=size_bps,
        session=Session.REGULAR,
        token=(token.token, token.issuer),
        underlying="TSLA",
        judged=moved[0],
        moved=moved,
        start_ns=BEGIN,
        full_ns=BEGIN,
        end_ns=END,
        deadline_ns=END,
    )
    return watch(CONFIG, [inject(rows, universe, [one])], universe, RULE)


def worst(run: Run) -> tuple[dict[int, PegState], PegState, Cause]:
    """The worst state of each pool and of the token from the depeg on, and the token's cause with it."""
    pools = {at: max(state for _, state, _ in line.within(BEGIN, END)) for at, line in run.active.venues.items()}
    token = next(iter(run.active.tokens.values()))
    _, state, cause = max(token.within(BEGIN, END), key=lambda one: one[1])
    return pools, state, cause


def test_a_depeg_of_both_pools_is_the_tokens(may: tuple[Rows, Universe]) -> None:
    """
    Both pools 200 bps down: both venues and the token become DEPEGGED, for the token itself; before it none was.
    """
    pools = may[1].where(role=Role.TOKEN)
    run = depeg(may, pools, -200.0)
    assert (dict.fromkeys(pools, PegState.DEPEGGED), PegState.DEPEGGED, Cause.TOKEN) == worst(run)
    lines = [*run.active.venues.values(), *run.active.tokens.values()]
    assert [] == [ts for line in lines for ts, _ in line.alarms(0, BEGIN)]


def test_a_depeg_of_one_pool_is_that_pools(may: tuple[Rows, Universe]) -> None:
    """
    One pool 200 bps up: it becomes DEPEGGED, the other stays PEGGED, and the token is no worse than STRAINED.
    """
    one, other = may[1].where(role=Role.TOKEN)
    states = {one: PegState.DEPEGGED, other: PegState.PEGGED}
    assert (states, PegState.STRAINED, Cause.VENUE) == worst(depeg(may, (one,), 200.0))
