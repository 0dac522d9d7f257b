"""What does not change during a run, gathered for the windows."""

from __future__ import annotations

import platform
from importlib.metadata import version

from bot.config import Config
from bot.config_limits import trading
from monitoring.facts import Facts


def facts_of(config: Config, *, mode: str, file: str, digest: str = "") -> Facts:
    """The facts of a run: versions, mode, the config's name and hash, venues, strategies, thresholds."""
    peg = config.strategies.peg_watch
    return Facts(
        version=version("pegline"),
        mode=mode,
        python=platform.python_version(),
        config_file=file,
        config_hash=digest,
        venue_kinds={name: table.kind for name, table in config.venues.items()},
        strategies=trading(config),
        warn_bps=dict(peg.warn_bps.items()) if peg is not None else {},
        depeg_bps=dict(peg.depeg_bps.items()) if peg is not None else {},
    )
