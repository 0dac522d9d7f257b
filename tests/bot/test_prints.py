"""Prints of a tape on a grid: what is new, in USD per share, with the error of spread and coin, nothing from later."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest

from bot.config import Config
from bot.paths import prepare_kernel

prepare_kernel()

from bot.prints import Prints, read_prints  # noqa: E402 - the kernel's cache must be chosen first
from bot.tape_import import import_tape  # noqa: E402
from connectors.tape import open_tape  # noqa: E402

BEGIN = 1_778_680_800
"""13 May 2026, 14:00 UTC: a regular session."""
NS = 10**9

MAP = """
[[source]]
files = "rows.csv"
time = { column = "at", format = "unix_s" }
[[source.series]]
instrument = "fx:USDT/USD"
kind = "FX"
coin = "USDT"
where = { name = "coin" }
bid = "bid"
ask = "ask"
[[source.series]]
instrument = "broker:TSLA"
kind = "REFERENCE"
underlying = "TSLA"
hours = "extended"
where = { name = "share" }
bid = "bid"
ask = "ask"
[[source.series]]
instrument = "cex:TSLAx/USDT"
kind = "QUOTE"
token = "TSLAx"
underlying = "TSLA"
quote = "USDT"
multiplier = 2.0
unit_model = "scaled_ui"
where = { name = "token" }
bid = "bid"
ask = "ask"
"""

ROWS = (
    (0, "coin", 0.98, 0.99),
    (1, "share", 399.8, 400.2),
    (30, "token", 810.0, 811.0),
    (59, "token", 812.0, 813.0),
    (60, "token", 814.0, 815.0),
    (61, "share", 100.0, 1000.0),
    (190, "share", 400.8, 401.2),
)


@pytest.fixture
def prints(tmp_path: Path) -> Prints:
    """The rows above as a tape, by the minute."""
    lines = "\n".join(f"{BEGIN + at},{name},{bid},{ask}" for at, name, bid, ask in ROWS)
    (tmp_path / "rows.csv").write_text(f"at,name,bid,ask\n{lines}\n")
    (tmp_path / "map.toml").write_text(MAP)
    import_tape([tmp_path / "rows.csv"], tmp_path / "map.toml", tmp_path / "tape")
    return read_prints(open_tape(tmp_path / "tape"), Config(), every_ns=60 * NS)


def of(prints: Prints, name: str) -> list[float]:
    """An instrument's prices in USD per share by moment; NaN where nothing is new."""
    return np.exp(prints.z[:, prints.universe.number(name)]).tolist()


def test_a_moment_holds_the_last_print_of_the_step_that_it_ends(prints):
    """
    Steps end at whole minutes, what prints in the very instant belongs to them, and steps without a print are absent.
    """
    assert [0, 60, 240] == [int(at // NS) - BEGIN for at in prints.moments]
    coin = 0.985
    assert [pytest.approx(x, nan_ok=True) for x in (np.nan, 814.5 * coin / 2, np.nan)] == of(prints, "cex:TSLAx/USDT")


def test_what_is_refused_is_no_print(prints):
    """
    A stub quote of the share leaves its step without one; the next believed quote is there.
    """
    assert [pytest.approx(x, nan_ok=True) for x in (np.nan, 400.0, 401.0)] == of(prints, "broker:TSLA")


def test_the_error_is_that_of_spread_and_coin(prints):
    """
    Half-spread over 1.5 sigmas, of the quote and of the coin that it is in, and 2 bps for the coin; of USD no coin.
    """
    number = prints.universe.number("cex:TSLAx/USDT")
    own, coin = (0.5 / 814.5 / 1.5) ** 2, (0.005 / 0.985 / 1.5) ** 2 + 2e-4**2
    assert pytest.approx(own + coin) == prints.var[1, number]
    assert pytest.approx((0.2 / 400 / 1.5) ** 2) == prints.var[1, prints.universe.number("broker:TSLA")]
    assert pytest.approx(log(814.5 * 0.985 / 2)) == prints.z[1, number]


def test_a_span_leaves_out_what_was_before(tmp_path, prints):
    """
    From the third minute on only its moment is left, and the gates remember what was before.
    """
    later = read_prints(
        open_tape(tmp_path / "tape"), Config(), every_ns=60 * NS, start_ns=(BEGIN + 120) * NS, end_ns=None
    )
    assert prints.moments[-1:].tolist() == later.moments.tolist()
    assert pytest.approx(prints.z[-1], nan_ok=True) == later.z[-1]
