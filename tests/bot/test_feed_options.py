"""The options of a feed: only what it understands, of the kind that it understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import main

CONFIG = """
[venues.v]
kind = "oracle"
feed = "{feed}"
options = {{ {options} }}
[instruments."v:TSLA"]
role = "share"
underlying = "TSLA"
"""

WRONG = (
    ("alpaca", 'feeds = "sip"', "did you mean feed?"),
    ("alpaca", 'account = "papr"', '"live" or "paper"'),
    ("alpaca", 'clock_s = "soon"', "number above zero"),
    ("yahoo", "poll_s = -1", "number above zero"),
    ("yahoo", "poll_s = true", "number above zero"),
    ("pyth", 'NVDA = "0xab"', 'no option of feed "pyth"'),
    ("pyth", "TSLA = 5", "text in quotes"),
    ("kraken", 'depth = "deep"', "write 10 or 25 or 100 or 500 or 1000"),
    ("kraken", "depth = 50", "write 10 or 25 or 100 or 500 or 1000"),
    ("bybit", "depth = 10", "write 1 or 50 or 200"),
    ("bybit", "depth = true", "write 1 or 50 or 200"),
)


@pytest.mark.parametrize(("feed", "options", "words"), WRONG)
def test_an_option_that_a_feed_would_pass_over_is_a_mistake(
    feed: str, options: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A slip of the pen in the options is exit 3 with file, line, key and what to write.
    """
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(feed=feed, options=options))
    assert 3 == main(["check", str(path)])
    said = capsys.readouterr().err
    assert "config.toml:5 [venues.v]" in said
    assert words in said


@pytest.mark.parametrize(
    ("feed", "options"),
    [
        ("alpaca", 'feed = "sip,iex", account = "paper", encoding = "msgpack", retry_s = 60'),
        ("yahoo", "poll_s = 30.0"),
        ("pyth", 'TSLA = "0xab", poll_s = 2'),
        ("kraken", "depth = 25"),
        ("bybit", "depth = 200.0"),
    ],
)
def test_what_a_feed_understands_is_taken(feed: str, options: str, tmp_path: Path) -> None:
    """
    Options that are known and of their kind are no mistake, the symbols of Pyth's instruments among them.
    """
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(feed=feed, options=options))
    assert 3 != main(["check", str(path)])
