"""Asks live venues how they are: all at once, each with its own time limit, whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bot.errors import CredentialsMissing
from bot.findings import Line, lines_of
from bot.wiring import FEEDS, live_feed
from connectors.errors import EntitlementLost, PeglineError, VenueUnreachable
from connectors.instruments import Universe
from connectors.ports import Finding, Probed

if TYPE_CHECKING:
    from bot.config import Config


def asked(config: Config, universe: Universe) -> tuple[str, ...]:
    """Venues of a config that a feed speaks for and that have instruments, in the order of the file."""
    named = {instrument.venue for instrument in universe}
    return tuple(name for name, venue in config.venues.items() if venue.feed in FEEDS and name in named)


async def look(
    config: Config,
    universe: Universe,
    names: Sequence[str],
    *,
    folder: Path,
    limit_s: float,
    done: Callable[[str], None] = lambda name: None,
) -> list[Line]:
    """The lines of every venue, in the order of `names`; `done` is called with each venue that has answered.

    Nothing that a venue or an adapter does is raised.
    """

    async def one(name: str) -> list[Line]:
        found = await _probe(config, universe, name, folder, limit_s)
        done(name)
        return lines_of(name, found, taker_fee_bps=config.venues[name].taker_bps)

    answers = await asyncio.gather(*(one(name) for name in names))
    return [line for lines in answers for line in lines]


async def _probe(config: Config, universe: Universe, name: str, folder: Path, limit_s: float) -> Sequence[Finding]:
    """What one venue says, or why it says nothing."""
    try:
        feed = live_feed(config, universe, name, folder)
    except CredentialsMissing as error:
        return (Finding(what="credentials", ok=False, detail=error.what, hint=error.hint),)
    except ModuleNotFoundError as error:
        return (Finding(what="package", ok=False, detail=f"{error.name} is not installed", hint="make feeds"),)
    except (PeglineError, ValueError, TypeError) as error:
        return (Finding(what="config", ok=False, detail=str(error)),)
    if not hasattr(feed, "probe"):
        return (Finding(what="probe", ok=None, detail="this feed cannot be asked without streaming"),)
    try:
        async with asyncio.timeout(limit_s):
            return await cast(Probed, feed).probe()
    except TimeoutError:
        said = f"no answer within {limit_s:g} s"
        return (Finding(what="reachable", ok=False, detail=said, hint="is the network up? --limit gives it longer"),)
    except EntitlementLost as error:
        return (Finding(what="entitlement", ok=False, detail=error.what, hint=error.hint),)
    except VenueUnreachable as error:
        return (Finding(what="reachable", ok=False, detail=error.what, hint=error.hint),)
    except Exception as error:
        # A fault of one adapter is a finding like any other; the other venues are asked all the same.
        return (Finding(what="adapter", ok=False, detail=repr(error)[:200], hint="rerun with --debug, and report it"),)
