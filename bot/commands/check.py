"""`pegline check`: is this config sound, and what in it is worth a second look."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.config import Config


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("config", nargs="?", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--json", action="store_true", help="print JSON, also for mistakes")


def run(args: argparse.Namespace) -> int:
    """Prints ok with a summary, or every mistake; exit 3 for mistakes, 4 for a missing key file."""
    from bot.config_file import read
    from bot.errors import ConfigError, CredentialsMissing, exit_code

    path = Path(args.config)
    if args.json:
        try:
            loaded = read(path)
        except (ConfigError, CredentialsMissing) as error:
            return _json(path, error=error, code=exit_code(error))
        return _json(path, warnings=[m._asdict() for m in loaded.warnings])
    config, warnings = read(path)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"ok: {path}: {_summary(config)}")
    if warnings:
        print(f"{len(warnings)} warning{'s' * (len(warnings) != 1)}", file=sys.stderr)
    return 0


def _summary(config: Config) -> str:
    """What is watched and which strategies think, in one line."""
    roles = [table.role for table in config.instruments.values()]
    counts = [f"{len(config.venues)} venues", *(f"{roles.count(r)} {r} instruments" for r in dict.fromkeys(roles))]
    rules = {name: getattr(config.strategies, name) for name in type(config.strategies).model_fields}
    enabled = [name for name, rule in rules.items() if rule is not None and rule.enabled]
    return f"{', '.join(counts)}; strategies: {', '.join(enabled) or 'none'}"


def _json(path: Path, *, warnings: object = (), error: Exception | None = None, code: int = 0) -> int:
    """Prints one object: whether the file is sound, its mistakes and warnings."""
    import json

    from bot.errors import ConfigError

    said = {
        "schema": 1,
        "config": str(path),
        "ok": error is None,
        "exit_code": int(code),
        "mistakes": [m._asdict() for m in error.mistakes] if isinstance(error, ConfigError) else [],
        "credentials": str(error) if error is not None and not isinstance(error, ConfigError) else None,
        "warnings": warnings,
    }
    print(json.dumps(said, indent=2))
    return int(code)
