"""`pegline version`: what runs here, for a bug report."""

from __future__ import annotations

import argparse
from typing import Final

LIBRARIES: Final = (
    "aiohttp", "asyncio-throttle", "ccxt", "msgspec", "numba", "numpy", "pandas", "prometheus-client", "pyarrow",
    "pydantic", "rich", "tzdata", "yfinance",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def facts() -> dict[str, object]:
    """Versions of pegline, Python, the platform and the libraries; a library that is not installed is None.

    Read from package metadata: nothing is imported for it.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {
        "schema": 1,
        "pegline": version("pegline"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: installed(name) for name in LIBRARIES},
    }


def run(args: argparse.Namespace) -> int:
    """Prints the versions."""
    said = facts()
    if args.json:
        import json

        print(json.dumps(said, indent=2))
        return 0
    libraries = said.pop("libraries")
    assert isinstance(libraries, dict)
    del said["schema"]
    for name, value in (said | libraries).items():
        print(f"{name:<18} {value or 'not installed'}")
    return 0
