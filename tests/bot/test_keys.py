"""Key files: what they hold, what is wrong with them, and that none of it is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import main
from bot.config_file import load
from bot.errors import ConfigError, CredentialsMissing
from bot.keys import reader

CANARY = "canary-9f8e7d6c5b4a"
CONFIG = """
[venues.alpaca]
kind = "oracle"
feed = "alpaca"
{key}
[instruments."alpaca:TSLA"]
role = "share"
underlying = "TSLA"
"""


def test_a_key_file_is_read_when_it_is_needed_and_once(tmp_path: Path) -> None:
    """Names and values, comments and blank lines left out; what changes on disk later changes nothing."""
    path = tmp_path / "alpaca.key"
    read = reader(path, venue="alpaca")
    path.write_text('# mine\nkey = "PK1"\n\nsecret = "s#1"\n')
    assert {"key": "PK1", "secret": "s#1"} == read()
    path.unlink()
    assert {"key": "PK1", "secret": "s#1"} == read()


@pytest.mark.parametrize("text", [CANARY, f"key = {CANARY}", f'key = "{CANARY}', f"[key]\n{CANARY}", "key = 5"])
def test_a_line_that_is_none_is_told_by_number_and_never_repeated(tmp_path: Path, text: str) -> None:
    """The error names file and line; its text has nothing of the file's content."""
    path = tmp_path / "alpaca.key"
    path.write_text(f"# first\n{text}\n")
    with pytest.raises(CredentialsMissing) as caught:
        reader(path, venue="alpaca")()
    assert "alpaca.key:2" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("key", ["", 'key_file = "alpaca.key"'])
def test_a_feed_that_needs_a_key_says_so_before_it_starts(
    tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a key file, and with one that has only half of what is needed: exit 4, and what to write."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(key=key))
    (tmp_path / "alpaca.key").write_text(f'secret = "{CANARY}"\n')
    assert 4 == main(["run", "--config", str(config), "--seconds", "1"])
    told = capsys.readouterr()
    assert "key and secret" in told.err and "[venues.alpaca]" in told.err
    assert CANARY not in told.err + told.out


def test_options_are_texts_numbers_or_flags(tmp_path: Path) -> None:
    """What only one kind of feed understands may be any of the three; a list is refused."""
    config = tmp_path / "config.toml"
    text = '[venues.a]\nkind = "cex"\nfeed = "ccxt"\nexchange = "gate"\n'
    text += "options = { funding_s = 30.5, status_s = 3, trades = true }\n"
    config.write_text(text)
    assert {"funding_s": 30.5, "status_s": 3.0, "trades": True} == load(config).venues["a"].options
    config.write_text(text.replace("true", "[1]"))
    with pytest.raises(ConfigError, match=r"options.trades: .* write a text in quotes, a number, or true or false"):
        load(config)
