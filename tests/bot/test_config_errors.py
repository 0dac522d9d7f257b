"""Broken configs: each gives one message with its line, its key and what to write; many mistakes are told at once.

Each file in configs/ has one mistake. The line above it begins with `#!` and holds what must be told: the table and
key before the colon, then words that must appear.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cli import main
from bot.config_file import load, read
from bot.errors import ConfigError, CredentialsMissing
from bot.limits import ns
from strategies.market.columns import FOREVER_NS

CONFIGS = sorted((Path(__file__).parent / "configs").glob("*.toml"))
SECRETS = ("hunter2", "kQH5HW", "0x4c0883", "sausage")


def mistakes(text: str, tmp_path: Path) -> tuple[str, ...]:
    """What is told about a config with this text."""
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return tuple(str(m) for m in caught.value.mistakes)


def test_there_are_fifty_kinds_of_mistakes() -> None:
    """
    The collection of broken configs is not small.
    """
    assert len(CONFIGS) >= 50


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_broken_config_gives_one_message(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    One mistake is one line on stderr with file:line, table, key and hint, and exit code 3; a secret is not repeated.
    """
    rows = path.read_text(encoding="utf-8").splitlines()
    line, marker = next((at + 2, row) for at, row in enumerate(rows) if row.startswith("#!"))
    place, _, words = re.fullmatch(r'#! ?((?:[^:"]|"[^"]*")*)(: ?)(.*)', marker).groups()  # type: ignore[union-attr]
    assert 3 == main(["check", str(path)])
    said = capsys.readouterr()
    assert "" == said.out
    (message,) = said.err.splitlines()
    assert message.startswith(f"pegline: {path.name}:{line}{' ' if place else ''}{place}: ")
    for word in words.split(" | "):
        assert word in message
    assert not [secret for secret in SECRETS if secret in message]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """
    A file with mistakes of every sort, lines that are no TOML among them, gives all of them in order of lines.
    """
    text = """\
schema_version = 1
[run]
sed = 2
timer_ms = 500
[venues.kraken]
kind = "cexx"
taker_fee_bps = 0.26 %
latency_ms = -5
api_key = "hunter2"
[instruments."kraken:AAPLx/USD"
role = "tokn"
[risk]
max_order_usd = "100"
sessions = ["regular", "wekend"]
"""
    said = mistakes(text, tmp_path)
    assert [3, 4, 6, 7, 8, 9, 10, 13, 14] == [int(m.split(":")[1].split()[0]) for m in said]
    assert not [m for m in said if "hunter2" in m]


def test_mistakes_across_tables_are_told_with_the_others(tmp_path: Path) -> None:
    """
    A rule that spans tables is judged even where other keys are wrong, and what follows from a slip is not told twice.
    """
    text = """\
[venues.kraken]
kind = "cex"
taker_fee_pct = 0.26
[instruments."bybit:AAPLX/USDT"]
token = "AAPLx"
unit_model = "rebasing"
[strategies.cross_venue]
min_edge_bp = 10
size_usd = 10
max_short_units = 1
max_long_units = 1
"""
    said = mistakes(text, tmp_path)
    assert 4 == len(said)
    assert "taker_fee_pct" in said[0]
    assert "venue bybit is not known" in said[1]
    assert "write a table [risk]" in said[2]
    assert "min_edge_bps" in said[3]


def test_mint_redeem_needs_limits_issuers_costs_and_repairs(tmp_path: Path) -> None:
    """
    Each table that it stands on is asked for by name, then what it needs of them.
    """
    alone = "[strategies.mint_redeem]\nmin_edge_bps = 20\nmost_bps = 300\nsize_usd = 100\n"
    said = mistakes(alone, tmp_path)
    for name in ("[risk]", "[issuers.NAME]", "[costs]", "[execution]"):
        assert any(f"write a table {name}" in line for line in said)
    more = alone + '[costs]\nslippage_bps = 1\n[issuers.i]\ntakes = "cash"\nhours = "24/7"\n'
    assert any("write capital_bps_per_year" in line for line in mistakes(more, tmp_path))


@pytest.mark.parametrize("value", ["1e300", "1e10", "-1", "inf"])
def test_a_wait_of_ages_is_a_mistake(tmp_path: Path, value: str) -> None:
    """
    Nobody waits for centuries between two trades or for an answer; a day is fine.
    """
    for text in ("[risk]\ntrade_gap_s = {}\n", "[execution]\nanswer_within_s = {}\n"):
        key = text.split()[1]
        assert any(key in line for line in mistakes(text.format(value), tmp_path))
        assert not any(key in line for line in mistakes(text.format(86400), tmp_path))


def test_no_limit_in_seconds_is_too_large_to_be_counted() -> None:
    """
    An age that no clock reaches is never reached, whether it is called infinite or 1e300.
    """
    assert {FOREVER_NS} == {ns(inf), ns(1e300)}
    assert 1_500_000_000 == ns(1.5)


def test_a_file_that_is_absent_is_invalid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without a file the message says how to get one; exit code 3.
    """
    assert 3 == main(["check", str(tmp_path / "none.toml")])
    assert "cp config.example.toml config.toml" in capsys.readouterr().err


def test_bytes_that_are_no_text_have_their_line(tmp_path: Path) -> None:
    """
    A file in another encoding is told with the line of its first wrong byte.
    """
    path = tmp_path / "config.toml"
    path.write_bytes(b'[run]\nstate_dir = "caf\xe9"\n')
    with pytest.raises(ConfigError, match=r"config.toml:2: this is not UTF-8"):
        load(path)


VENUE = '[venues.kraken]\nkind = "cex"\nkey_file = "kraken.key"\n'


def test_a_missing_key_file_is_a_missing_credential(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A config that is sound but names an absent key file gives exit code 4 with the line of the name.
    """
    (tmp_path / "config.toml").write_text(VENUE, encoding="utf-8")
    assert 4 == main(["check", str(tmp_path / "config.toml")])
    said = capsys.readouterr().err
    assert "config.toml:3 [venues.kraken] key_file: kraken.key: No such file" in said
    assert "chmod 600" in said


def test_an_empty_key_file_is_a_missing_credential(tmp_path: Path) -> None:
    """
    A key file without a key cannot serve.
    """
    (tmp_path / "config.toml").write_text(VENUE, encoding="utf-8")
    (tmp_path / "kraken.key").touch(mode=0o600)
    with pytest.raises(CredentialsMissing, match="is empty"):
        load(tmp_path / "config.toml")


def test_a_tape_needs_no_key(tmp_path: Path) -> None:
    """
    Where nothing will be sent, key files are left alone.
    """
    (tmp_path / "config.toml").write_text(VENUE, encoding="utf-8")
    assert "kraken.key" == load(tmp_path / "config.toml", credentials=False).venues["kraken"].key_file


def test_a_key_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    """
    The mode of a key file should be 0600; another one is a warning, not a mistake.
    """
    (tmp_path / "config.toml").write_text(VENUE, encoding="utf-8")
    key = tmp_path / "kraken.key"
    key.write_text('key = "k"\n', encoding="utf-8")
    os.chmod(key, 0o644)
    said = [str(w) for w in read(tmp_path / "config.toml").warnings]
    assert any("config.toml:3 [venues.kraken] key_file" in w and "chmod 600" in w for w in said)
    os.chmod(key, 0o600)
    assert not [w for w in read(tmp_path / "config.toml").warnings if w.key == "key_file"]


def test_mistakes_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    `check --json` prints each mistake as an object on stdout, with the same exit code.
    """
    path = tmp_path / "config.toml"
    path.write_text("[run]\nsed = 1\n", encoding="utf-8")
    assert 3 == main(["check", str(path), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert {"schema": 1, "ok": False, "exit_code": 3} == {k: said[k] for k in ("schema", "ok", "exit_code")}
    (mistake,) = said["mistakes"]
    assert ("config.toml", 2, "run", "sed") == tuple(mistake[k] for k in ("file", "line", "table", "key"))


EXAMPLE = (Path(__file__).resolve().parents[2] / "config.example.toml").read_text(encoding="utf-8")
SLIPS = st.one_of(
    st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.text("=\"[]{}.,#\n'\\ 0-xa_é", max_size=4)),
    st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 400), st.just("")),
)


@given(st.lists(SLIPS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_slip_is_beyond_words(slips: list[tuple[int, int, str]]) -> None:
    """
    Whatever is cut from a config or typed into it, it is either sound or told with lines that exist.
    """
    text = EXAMPLE
    for at, cut, typed in slips:
        text = text[:at] + typed + text[at + cut :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load(path, credentials=False)
        except ConfigError as error:
            assert error.mistakes
            assert all(1 <= m.line <= text.count("\n") + 1 for m in error.mistakes)
            assert all(m.what and m.write for m in error.mistakes)


def test_a_key_file_in_another_form_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A file that holds a bare key is exit 4 with the line to mend, and the key is not repeated.
    """
    key = tmp_path / "kraken.key"
    key.write_text("bare-canary\n", encoding="utf-8")
    key.chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text('[venues.kraken]\nkind = "cex"\nkey_file = "kraken.key"\n', encoding="utf-8")
    assert 4 == main(["check", str(config)])
    said = capsys.readouterr().err
    assert "kraken.key:1" in said
    assert "bare-canary" not in said
