"""The status page in a real browser: it draws, follows its server, asks nobody else, and says when it is old."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from playwright.async_api import Page, async_playwright

from bot.peg import statistics
from bot.peg_html import document
from bot.peg_samples import Samples
from bot.peg_svg import Track
from bot.server import Server
from connectors.events import NS
from connectors.instruments import Instrument, Role, Universe
from monitoring.page import REFRESH_S, page
from tests.conftest import absent
from tests.monitoring.played import Played, play

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def played() -> Played:
    """The first minutes of the world."""
    return play(rows=2_000)


@pytest.fixture
async def browser_page() -> AsyncIterator[Page]:
    """An empty page of Chromium on a small screen, whose clock moves only when the test says so."""
    program = shutil.which("chromium")
    if program is None:
        absent("Chromium", required=os.environ.get("PEGLINE_REQUIRE_REAL") == "1")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = await browser.new_page(viewport=PHONE)
        await page.clock.install(time=0)
        await page.clock.pause_at(1)
        yield page
        await browser.close()


async def test_the_page_follows_its_server_and_says_when_it_is_old(browser_page: Page, played: Played) -> None:
    """
    All tokens are drawn within the width of a phone, with no complaint of the browser and no request elsewhere; the
    next picture comes by itself; an error or silence of the server leaves the numbers and says that they are old.
    """
    picture, asked, complaints = played.desk.picture(), [], []
    shown, broken = [picture], []

    def now():
        if broken:
            raise RuntimeError("no picture")
        return shown[-1]

    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.on("console", lambda message: complaints.append(message.text))
    browser_page.on("pageerror", lambda error: complaints.append(str(error)))
    server = Server(registry=played.desk.registry, picture=now, health=played.desk.health, port=0)
    state, first = browser_page.locator("#state"), browser_page.locator("tbody tr").first
    async with server:
        await browser_page.goto(server.url)
        assert picture.tokens[0].token in await first.inner_text()
        assert PHONE["width"] >= await browser_page.evaluate("document.documentElement.scrollWidth")

        shown.append(replace(picture, tokens=(replace(picture.tokens[0], token="another"), *picture.tokens[1:])))
        await browser_page.clock.run_for(1000 * REFRESH_S)
        await browser_page.get_by_text("another").wait_for()
        assert {server.url} == set(asked) and not complaints

        broken.append(True)
        await browser_page.clock.run_for(1000 * REFRESH_S)
        await state.get_by_text("this page is old").wait_for()
        assert "another" in await first.inner_text()

        broken.clear()
        await browser_page.clock.run_for(1000 * REFRESH_S)
        await state.get_by_text("degraded").wait_for()
    await browser_page.clock.run_for(1000 * REFRESH_S)
    await state.get_by_text("this page is old").wait_for()
    assert "another" in await first.inner_text()


@pytest.mark.parametrize("width", [1000, 1280, 1281, 1400, 1600])
async def test_no_column_is_cut_off_on_a_desk(browser_page: Page, played: Played, width: int) -> None:
    """
    With every cell of the widest kind, from 1,000 px on: the last column, the note, ends within the window, and nothing
    needs scrolling to the side.
    """
    picture = played.desk.picture()
    full = [
        replace(
            one, venue="hyperliquid", fair_usd=1234.56, premium_bps=-1234.0, premium_at_par_bps=-34.0, sigmas=-123.4,
            buy_edge_bps=-1234.0, sell_edge_bps=-1234.0, edge_sigmas=-123.4, bid_depth_usd=1_234_567.0,
            ask_depth_usd=1_234_567.0, depth_complete=False, age_s=7000.0, peg_state="depegged", score=4.0,
            rarest="multiplier", reason="fair value unknown: no source of the share is believed", error_bps=123.0,
        )
        for one in picture.tokens
    ]  # fmt: skip
    html = page(replace(picture, tokens=tuple(full)), played.desk.health(picture))
    await browser_page.set_viewport_size({"width": width, "height": 900})
    await browser_page.set_content(html)
    assert await browser_page.get_by_role("columnheader", name="note").first.is_visible()
    right = "Math.max(...[...document.querySelectorAll('th,td')].map(cell => cell.getBoundingClientRect().right))"
    assert width >= await browser_page.evaluate(right)


async def test_the_page_of_premia_draws_alone(browser_page: Page, tmp_path: Path) -> None:
    """
    The file that `pegline peg --html` writes asks for nothing, gives the browser nothing to complain of, fits a phone
    (its pictures scroll inside), and its lines and cells are where the eye can find them, in the dark too.
    """
    rng = np.random.default_rng(1)
    premium = 5 * rng.normal(size=3000)
    premium[1500:1600] += 200
    track = Track(
        ts=1_785_772_800 * NS + np.arange(3000) * 300 * NS, premium_bps=premium, error_bps=np.full(3000, 4.0),
        band_bps=None, gap_ns=1800 * NS,
    )  # fmt: skip
    universe = Universe((Instrument(venue="pool", symbol="T", role=Role.TOKEN, underlying="S", token="T"),))
    samples = Samples(track.ts, np.zeros(3000, np.int32), track.premium_bps, track.error_bps)
    found = statistics(samples, universe, [0], "fair", gap_ns=track.gap_ns)
    (tmp_path / "page.html").write_text(document("Premia", {"pool:T": track}, found), encoding="utf-8")
    asked, complaints = [], []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.on("console", lambda message: complaints.append(message.text))
    browser_page.on("pageerror", lambda error: complaints.append(str(error)))
    await browser_page.emulate_media(color_scheme="dark")
    await browser_page.goto((tmp_path / "page.html").as_uri())
    assert ([], 1) == (complaints, len(asked))
    assert PHONE["width"] >= await browser_page.evaluate("document.documentElement.scrollWidth")
    spell, line = browser_page.locator("rect.spell").first, browser_page.locator("polyline.premium").first
    for shape in (spell, line):
        box = await shape.bounding_box()
        assert box is not None and box["width"] > 0 and box["height"] > 0
    colours = await browser_page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.premium')).stroke]"
    )
    assert 2 == len(set(colours))
    await browser_page.emulate_media(media="print", color_scheme="dark")
    assert "rgb(255, 255, 255)" == await browser_page.evaluate("getComputedStyle(document.body).backgroundColor")
