"""What the suite needs once."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def ccxt_is_loaded() -> None:
    """ccxt takes seconds to import; no case should wait for it."""
    importlib.import_module("ccxt.pro")
