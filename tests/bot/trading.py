"""The demo's config without the strategies that a test is not about: the watch over pegs takes most of a replay's time,
and hedging most of the rest."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "bot" / "data" / "demo.toml"


def demo_text(*off: str) -> str:
    """Its text with these strategies switched off."""
    text = DEMO.read_text()
    for strategy in off:
        table = f"[strategies.{strategy}]"
        assert table in text
        text = text.replace(table, f"{table}\nenabled = false")
    return text


@cache
def demo_without(*off: str) -> Path:
    """That config as a file."""
    path = Path(tempfile.mkdtemp(prefix="pegline-demo-")) / "demo.toml"
    path.write_text(demo_text(*off))
    return path
