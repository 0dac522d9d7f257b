"""What all tests share: the folder of real market data, and the rule for parts that are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def absent(what: str, *, required: bool) -> None:
    """Skips the test because a real part is absent; where the part is required, that is a failure."""
    if required:
        pytest.fail(f"{what} is absent, but here it is required", pytrace=False)
    pytest.skip(f"{what} is absent")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real market data: $PEGLINE_SHARED, or ../shared beside the project."""
    folder = Path(os.environ.get("PEGLINE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "data").is_dir():
        absent(f"the folder of market data ({folder})", required=os.environ.get("PEGLINE_REQUIRE_SHARED") == "1")
    return folder
