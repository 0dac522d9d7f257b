"""The status page in a real browser: it draws, follows its server, asks nobody else, and says when it is old."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from playwright.async_api import Page, async_playwright

from bot.server import Server
from monitoring.page import REFRESH_S
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
