"""What all tests share: the folder of real market data, a home left alone, the rule for parts that are absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.chain.parts import Parts
from tests.sweep import cases

hypothesis.settings.register_profile("house", deadline=None, max_examples=cases(50, 1000))
hypothesis.settings.load_profile("house")
"""No test asserts a time: on a busy machine an example may take as long as it takes."""

KEPT = Path(__file__).resolve().parents[1] / ".cache"
"""Compiled code is worth keeping, for this process and those that tests start: Python's (a start of the daemon would
read a million lines of libraries from source where nothing is kept) and the kernel's. It stays in the clone; what a
test starts in a copy of the house finds it there."""
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(KEPT / "bytecode"))
sys.dont_write_bytecode = False
os.environ.setdefault("NUMBA_CACHE_DIR", str(KEPT / "kernel"))
os.environ["OPENBLAS_NUM_THREADS"] = "1"
"""Read when numpy is imported, in a worker after this. Threads of several solvers would wait for each other's cores."""
HEAVY = (
    "import ccxt.pro, pandas_market_calendars, web3, yfinance",
    "import bot.engine, connectors.tape, strategies.market.kalman, strategies.pricing.waterfill",
)
"""What takes most to compile."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compiles once what every worker would compile at the same time, before the workers are started."""
    if getattr(session.config.option, "numprocesses", None):
        for work in [subprocess.Popen([sys.executable, "-c", code], cwd=KEPT.parent) for code in HEAVY]:
            work.wait()


LONGEST = (
    "test_story", "test_multiplier_process", "test_delivery", "test_conformance", "test_run", "test_process",
    "test_liquidity", "test_units", "test_seeds", "test_feeds", "test_alarms_real", "test_crashes", "test_scan_worlds",
    "test_backtest_explained", "test_quote_command", "test_ccxt_fuzz", "test_ccxt_faults", "test_told",
    "test_wallet_command", "test_record_crash", "test_selftest_command", "test_ninth_venue", "test_tower",
    "test_parity", "test_backtest", "test_run_process", "test_health_watch", "test_metrics", "test_swap_faults",
)  # fmt: skip
"""Files that take longest, each with one worker: what begins last is to be short."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the rest in the order that chance gave."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def absent(what: str, *, required: bool) -> None:
    """Skips the test because a real part is absent; where the part is required, that is a failure."""
    if required:
        pytest.fail(f"{what} is absent, but here it is required", pytrace=False)
    pytest.skip(f"{what} is absent")


def program(name: str) -> str:
    """Where a program of the system is; a test that needs it skips without it, or fails where it is required."""
    found = shutil.which(name)
    if found is None:
        absent(name, required=os.environ.get("PEGLINE_REQUIRE_REAL") == "1")
    return str(found)


@pytest.fixture(scope="session", autouse=True)
def home_left_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    What a program would remember below the home (yfinance: time zones, cookies) goes to a folder of this run, so that
    no run sees another one's.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real market data: $PEGLINE_SHARED, or ../shared beside the project."""
    folder = Path(os.environ.get("PEGLINE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "data").is_dir():
        absent(f"the folder of market data ({folder})", required=os.environ.get("PEGLINE_REQUIRE_SHARED") == "1")
    return folder


@pytest.fixture(scope="session")
def chain() -> Parts:
    """The real parts of the chain tests: an EVM node, the exchanges' contracts, our own Solidity."""
    parts = Parts()
    if parts.lacking:
        absent(parts.lacking, required=os.environ.get("PEGLINE_REQUIRE_REAL") == "1")
    return parts
