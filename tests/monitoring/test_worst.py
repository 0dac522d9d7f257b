"""The line under the premia: the worst one, and what would close it."""

from __future__ import annotations

import aiohttp
import pytest
from msgspec.structs import replace

from bot.closing import ClosingPaths
from bot.server import Server
from monitoring.closing import Closing, PremiumLine
from monitoring.quote_lines import Origin
from monitoring.worst import closing_line, worst
from strategies.closing.path import Path, Way
from tests.monitoring.played import demo_config, play

DEAR = PremiumLine(
    instrument="a:T<x>", token="T", issuer="i", fair_usd=100.0, premium_bps=120.0, usual_bps=0.0, half_life_s=60.0,
    half_life_from="fitted", unknown="", paths=(),
)  # fmt: skip
VENUE = Path(way=Way.VENUE, legs=("buy at b", "sell at a"), size_usd=1000.0, edge_usd=4.5)


def answer(*paths: Path) -> Closing:
    """About one premium with these paths."""
    return Closing(
        asked=DEAR.instrument, at=1, origin=Origin(how="daemon"), session="regular", opens_s=0.0, size_usd=1000.0,
        horizon_s=None, premia=(replace(DEAR, paths=paths),), doors=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ((VENUE,), "best path venue (buy at b; sell at a): +4.50 USD of 1,000 after costs"),
        ((replace(VENUE, refused=("no room",)),), "no path may be taken; venue (buy at b; sell at a): no room"),
        ((), "no path is known"),
    ],
)
def test_the_best_path_is_told_or_why_there_is_none(paths: tuple[Path, ...], told: str) -> None:
    """
    With what it brings, else the first reason; names of venues are no HTML, and the link is one that is served.
    """
    said = closing_line(answer(*paths))
    assert f"worst premium a:T&lt;x&gt; +1.20%: {told}" in said
    assert 'href="/paths/a%3AT%3Cx%3E.json"' in said


async def test_the_page_of_a_run_names_the_premium_that_is_farthest_off() -> None:
    """
    The demo's market: the instrument with the largest premium on either side stands there, and its link answers; where
    no premium is known there is no such line.
    """
    noon = play(rows=20_000, without=["hedge", "peg_watch"])
    picture = noon.desk.picture()
    largest = max(abs(line.premium_bps) for line in picture.tokens if line.premium_bps is not None)
    (named,) = (line for line in picture.tokens if line.instrument == worst(picture))
    assert largest == abs(named.premium_bps or 0)
    assert "" == worst(replace(picture, tokens=tuple(replace(line, premium_bps=None) for line in picture.tokens)))
    paths = ClosingPaths(demo_config(3, None), noon.assembly, lambda: Origin(how="daemon")).ask
    parts = {"registry": noon.desk.registry, "picture": lambda: picture, "health": noon.desk.health, "paths": paths}
    async with Server(**parts, port=0) as server, aiohttp.ClientSession() as session:
        async with session.get(server.url) as response:
            assert f"worst premium {named.instrument} " in await response.text()
        async with session.get(f"{server.url}paths/{named.instrument.replace('/', '%2F')}.json") as response:
            assert named.instrument == (await response.json())["asked"]
