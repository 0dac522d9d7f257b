"""Where `quote` and `paths` look: a running pegline, a tape at a moment, or the feeds of a config."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from bot.commands.tape import moment
from bot.errors import UsageError

DEFAULT_CONFIG: Final = "config.toml"


def add_sources(parser: argparse.ArgumentParser) -> None:
    """The options that name one."""
    parser.add_argument("--url", metavar="URL", help="address of a running pegline")
    parser.add_argument("--tape", type=Path, metavar="TAPE", help="folder of a tape")
    parser.add_argument("--at", type=moment, metavar="TIME", help="moment on the tape, ISO 8601, UTC (its last row)")
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"default: {DEFAULT_CONFIG}")


def one_source(args: argparse.Namespace, command: str) -> None:
    """Raises UsageError where two are named, or a moment without a tape."""
    if args.url is not None and args.tape is not None:
        raise UsageError("--url and --tape are two sources: give one of them", where=command)
    if args.at is not None and args.tape is None:
        raise UsageError("--at is a moment on a tape: give --tape too", where=command)
