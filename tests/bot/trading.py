"""The demo's config without the watch over pegs, which takes most of a replay's time: for tests of what is traded."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "bot" / "data" / "demo.toml"


def without_pegs(text: str) -> str:
    """A config's text in which nobody watches for depegs."""
    table = "[strategies.peg_watch]\n"
    assert table in text
    return text.replace(table, table + "enabled = false\n")


@cache
def demo_trades() -> Path:
    """That config as a file."""
    path = Path(tempfile.mkdtemp(prefix="pegline-demo-")) / "demo.toml"
    path.write_text(without_pegs(DEMO.read_text()))
    return path
