"""The command line: a tree of names and one-line helps; a command's file is imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

COMMANDS: Final[dict[str, str]] = {
    "demo": "the whole system on a simulated market: no key, no network, one minute",
    "run": "the daemon: listen, price, alarm, trade on paper",
    "record": "write every accepted row of the feeds to a tape",
    "backtest": "run the strategies over a tape and print the P&L bridge",
    "peg": "premium statistics of every token on a tape",
    "tape": "import, fetch, look at and verify recorded data",
    "tokens": "the registry of tokenized shares: list and show",
    "check": "validate a config file: every mistake with its line and a hint",
    "version": "version of pegline and of what it stands on",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (`pegline help exit-codes`)."""
    raise NotImplementedError


def _exit() -> NoReturn:
    sys.exit(main())


_ = (argparse, importlib)
