"""config.example.toml: complete, sound, and with the defaults it says it has."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from bot.config import Config
from bot.config_file import load, read
from bot.config_types import Table

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"


def tables(kind: type[Table], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[Table]]]:
    """Every table of the config with its path; a table that has a name of its own is `*`."""
    yield path, kind
    for name, field in kind.model_fields.items():
        inner: Any = field.annotation
        while get_origin(inner) in (Union, types.UnionType, Annotated):
            inner = get_args(inner)[0]
        below: tuple[str, ...] = (*path, name)
        if get_origin(inner) is dict:
            inner, below = get_args(inner)[1], (*below, "*")
        if isinstance(inner, type) and issubclass(inner, Table):
            yield from tables(inner, below)


def written() -> dict[tuple[str, ...], set[str]]:
    """The keys of the example by table, those behind `# ` too."""
    found: dict[tuple[str, ...], set[str]] = {(): set()}
    table: tuple[str, ...] = ()
    for row in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:# )?\[([^\]]+)\]", row):
            parts = header[1].split(".")
            named = {"venues": 1, "instruments": 1, "pools": 1, "wallet": 2, "issuers": 1}.get(parts[0], len(parts))
            table = (*parts[:named], "*") if len(parts) > named else tuple(parts)
            found.setdefault(table, set())
        elif key := re.match(r"(?:# )?(\w+) *= \S", row):
            found[table].add(key[1])
    return found


@pytest.mark.parametrize("path, kind", list(tables(Config)), ids=lambda p: ".".join(p) if isinstance(p, tuple) else "")
def test_every_key_stands_in_the_example(path: tuple[str, ...], kind: type[Table]) -> None:
    """
    Each key that the config knows is in the example, as a value or as a comment, and none that it does not know.
    """
    keys = {
        name for name in kind.model_fields if (*path, name) not in written() and (*path, name, "*") not in written()
    }
    keys -= {"strategies"}
    assert keys == written().get(path, set())


def test_the_example_is_sound() -> None:
    """
    The example loads as it is, without a warning.
    """
    assert () == read(EXAMPLE).warnings


def test_defaults_in_the_example_are_the_defaults() -> None:
    """
    Where the program has a default and the comment does not say "yours", the example shows that default.
    """
    data = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"), parse_float=Decimal)
    for table in ("run", "http", "gates"):
        defaults = Config().model_dump()[table]
        assert defaults == {key: type(defaults[key])(value) for key, value in data[table].items()}


def test_money_is_read_exactly(tmp_path: Path) -> None:
    """
    A Decimal comes from the digits in the file, not from a float on the way.
    """
    path = tmp_path / "config.toml"
    path.write_text('[venues.a]\nkind = "dex"\nfixed_cost_usd = 0.1000000000000000000000001\n', encoding="utf-8")
    assert Decimal("0.1000000000000000000000001") == load(path).venues["a"].fixed_cost_usd


def test_options_of_a_feed_keep_their_kinds(tmp_path: Path) -> None:
    """
    What only a feed understands may be a flag, a number or a text.
    """
    path = tmp_path / "config.toml"
    table = '[venues.x]\nkind = "cex"\nfeed = "{}"\nexchange = "gate"\noptions = {{ {} }}\n'
    path.write_text(table.format("alpaca", 'feed = "sip", retry_s = 3'))
    assert {"feed": "sip", "retry_s": 3.0} == load(path).venues["x"].options
    path.write_text(table.format("ccxt", "trades = true, funding_s = 2.5, status_s = inf"))
    expected = {"trades": True, "funding_s": 2.5, "status_s": float("inf")}
    options = load(path).venues["x"].options
    assert expected == options
    assert {name: type(value) for name, value in expected.items()} == {n: type(v) for n, v in options.items()}


def test_infinity_switches_a_gate_off(tmp_path: Path) -> None:
    """
    `inf` is taken where it means "no limit".
    """
    path = tmp_path / "config.toml"
    path.write_text("[gates]\noutlier_bps = inf\n[fair]\nmax_error_bps = inf\n", encoding="utf-8")
    assert float("inf") == load(path).gates.outlier_bps
    assert float("inf") == load(path).fair.max_error_bps


WARNED = {
    "0.26 bps is 0.0026 %": ("taker_fee_bps = 26.0 ", "taker_fee_bps = 0.26 "),
    "other machines": ('host = "127.0.0.1"', 'host = "0.0.0.0"'),
    "no instrument prices the coin USDT": ('coin = "USDT" ', 'coin = "USDC" '),
    "multiplier is unknown until": (
        'unit_model = "rebasing"         # yours: what',
        'unit_model = "scaled_ui"        # yours: what',
    ),
    "no instrument has this underlying": ("{ AAPL = 170.0", "{ APPL = 170.0"),
}


def test_a_pool_that_nobody_can_judge_is_warned_of(tmp_path: Path) -> None:
    """
    An incentive that no strategy watches, and a pool without its fee, are told.
    """
    path = tmp_path / "config.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("enabled = true\nwarn_share", "enabled = false\nwarn_share")
    pool = '\n[pools."kraken:AAPLx/USD"]\nincentive_usd_per_day = 5\n'
    path.write_text(text + pool, encoding="utf-8")
    nobody, fee = (warning.what for warning in read(path).warnings)
    assert "nobody watches" in nobody
    assert "what its liquidity earns stays unknown" in fee


@pytest.mark.parametrize("said", WARNED)
def test_what_is_odd_is_warned_of(said: str, tmp_path: Path) -> None:
    """
    What is allowed but probably not meant is a warning with its line, and the config still loads.
    """
    before, after = WARNED[said]
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path = tmp_path / "config.toml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    warnings = read(path).warnings
    assert any(said in w.what or said in w.write for w in warnings)
    assert all(w.line > 1 for w in warnings)


def test_a_token_without_a_share_is_warned_of(tmp_path: Path) -> None:
    """
    A token whose share nobody quotes can never be judged.
    """
    path = tmp_path / "config.toml"
    path.write_text(
        '[venues.k]\nkind = "cex"\n[instruments."k:AAPLx/USD"]\ntoken = "AAPLx"\nunit_model = "rebasing"\n',
        encoding="utf-8",
    )
    (warning,) = read(path).warnings
    assert "no instrument quotes the share AAPL" in warning.what
