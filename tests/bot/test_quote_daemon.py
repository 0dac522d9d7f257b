"""`pegline quote` over real sockets: a running daemon, the feeds where none runs, and whatever else may answer."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.cli import main
from bot.lock import door
from tests.servers.bybit import BybitServer
from tests.servers.kraken import KrakenServer
from tests.servers.yahoo import YahooServer

PATIENCE_S = 150.0


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[str]:
    """A server that answers everything with this."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/{anything:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, b"<html>", 8, "no pegline that knows this question"),
        (200, b"", 8, "no pegline that knows this question"),
        (200, b'{"schema": 99}', 8, "form 99"),
        (200, b'{"schema": 1, "asked": 3}', 8, "no pegline that knows this question"),
        (200, b"\xff\xfe", 8, "no pegline that knows this question"),
        (404, b"404: Not Found", 8, "is it an older one?"),
        (500, b"oops", 8, "no pegline that knows this question"),
        (404, b'{"error": "no token \\u001b[2J", "hint": "did you mean X?"}', 2, "did you mean X?"),
    ],
)  # fmt: skip
async def test_rubbish_instead_of_an_answer_is_told(
    status: int, body: bytes, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whatever answers at the address cannot break the command or command the terminal.
    """
    async with answering(status, body) as url:
        assert code == await asyncio.to_thread(main, ["quote", "TSLA", "--url", url])
    out, err = capsys.readouterr()
    assert "" == out
    assert said in err and "\x1b" not in err


LIVE = """
[run]
state_dir = "{state}"
timer_s = 0.2
[http]
port = 0
[venues.kraken]
kind = "cex"
feed = "ccxt"
exchange = "kraken"
url = "{kraken}"
taker_fee_bps = 26
latency_ms = 20
[venues.bybit]
kind = "cex"
feed = "ccxt"
exchange = "bybit"
url = "{bybit}"
taker_fee_bps = 10
latency_ms = 20
[venues.yahoo]
kind = "broker"
feed = "yahoo"
url = "{yahoo}"
[instruments."kraken:TSLAx/USD"]
token = "TSLAx"
unit_model = "rebasing"
[instruments."bybit:TSLAX/USDT"]
token = "TSLAx"
unit_model = "rebasing"
quote = "USDT"
[instruments."kraken:USDT/USD"]
role = "coin"
coin = "USDT"
[instruments."yahoo:TSLA"]
role = "share"
underlying = "TSLA"
hours = "24/7"
"""


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[str]:
    """`pegline run` on a config, as soon as it answers; yields where. Ended like a person would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    said, found, draining = "", None, None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while found is None:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
                found = re.search(r"page (http://\S+/),", said)
        draining = asyncio.create_task(process.stderr.read())
        yield found[1]
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
        if draining is not None:
            await draining


async def until(config: Path, capsys: pytest.CaptureFixture[str], known: Callable[[dict[str, Any]], bool],
                *words: str) -> dict[str, Any]:  # fmt: skip
    """Asks the command again and again until its answer is as wished."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            code = await asyncio.to_thread(main, ["quote", "TSLAx", "--config", str(config), "--json", *words])
            out, err = capsys.readouterr()
            assert code in (0, 8), err
            if known(answer := json.loads(out)):
                return answer


def premia(answer: dict[str, Any]) -> dict[str, float | None]:
    """Premium by venue."""
    return {venue["venue"]: venue["premium_bps"] for venue in answer["venues"]}


@pytest.mark.timeout(300)
async def test_a_running_daemon_answers_and_without_one_the_feeds_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The daemon is found by its state folder and tells the same numbers as its venues say; it is asked, not a second one
    started; by GET nothing can be changed; when it is gone, the feeds are heard and say the same.
    """
    async with KrakenServer() as kraken, BybitServer() as bybit, YahooServer() as yahoo:
        config = tmp_path / "config.toml"
        text = LIVE.format(state=tmp_path / "state", kraken=kraken.url, bybit=bybit.url, yahoo=yahoo.url)
        config.write_text(text)
        await kraken.book("USDT/USD", bids=[("0.9998", "5000")], asks=[("0.9999", "7000")])
        await kraken.book("TSLAx/USD", bids=[("400.10", "30")], asks=[("400.30", "20")])
        await bybit.book("TSLAXUSDT", bids=[("402.00", "30")], asks=[("402.20", "20")])
        async with running(config) as url:
            await yahoo.until(lambda: bool(yahoo.subscribed))
            await yahoo.price("TSLA", 401.25)
            answer = await until(config, capsys, lambda found: None not in premia(found).values(), "--size", "500")
            assert ("daemon", url) == (answer["origin"]["how"], answer["origin"]["where"])
            assert (answer["origin"]["pid"], url) == door(tmp_path / "state")
            assert 0 == await asyncio.to_thread(main, ["paths", "TSLAx", "--config", str(config), "--json"])
            told = json.loads(capsys.readouterr().out)
            assert {"kraken:TSLAx/USD", "bybit:TSLAX/USDT"} == {line["instrument"] for line in told["premia"]}
            assert "venue" in {path["way"] for line in told["premia"] for path in line["paths"]}
            at = {venue["venue"]: venue for venue in answer["venues"]}
            for venue, price in (("kraken", 400.2), ("bybit", 402.1 * 0.99985)):
                fair = at[venue]["fair"]["price_usd"]
                assert pytest.approx((price / fair - 1) * 1e4, abs=1e-6) == at[venue]["premium_bps"]
            assert pytest.approx(401.25, rel=2e-3) == answer["shares"][0]["fair"]["price_usd"]
            assert 500.0 == at["kraken"]["executable"][0]["size_usd"]
            bought = 400.3 * 1.0026 / at["kraken"]["fair"]["price_usd"]
            assert pytest.approx((bought - 1) * 1e4, abs=1e-6) == at["kraken"]["executable"][0]["buy_bps"]
            assert 2 == await asyncio.to_thread(main, ["quote", "TSLAxx", "--config", str(config)])
            assert "did you mean TSLAx?" in capsys.readouterr().err
            async with aiohttp.ClientSession(url) as client:
                for method, path, status in (
                    ("GET", "/quote/TSLAx.json", 200),
                    ("GET", "/quote/bybit%3ATSLAX%2FUSDT.json?size=2000", 200),
                    ("GET", "/quote/nobody.json", 404),
                    ("GET", "/quote/%2e%2e%2f%2e%2e%2fetc%2fpasswd.json", 404),
                    ("GET", f"/quote/{'x' * 4000}.json", 404),
                    ("GET", "/quote/TSLAx.json?size=-1", 400),
                    ("GET", "/quote/TSLAx.json?size=inf", 400),
                    ("GET", "/quote/TSLAx", 404),
                    ("POST", "/quote/TSLAx.json", 405),
                    ("DELETE", "/quote/TSLAx.json", 405),
                ):
                    async with client.request(method, path) as reply:
                        assert status == reply.status, path
                        if method == "GET" and path.endswith(".json") and status != 404:
                            assert "application/json" == reply.content_type
        assert (0, "") == door(tmp_path / "state")
        yahoo.subscribed.clear()
        heard = asyncio.create_task(
            until(config, capsys, lambda found: None not in premia(found).values(), "--wait", "30")
        )
        await yahoo.until(lambda: bool(yahoo.subscribed))
        await yahoo.price("TSLA", 401.25)
        answer = await heard
        assert "feeds" == answer["origin"]["how"]
        assert pytest.approx((400.2 / 401.25 - 1) * 1e4, abs=30) == premia(answer)["kraken"]
    assert not list((tmp_path / "state").glob("*.new"))


async def test_a_lock_of_a_process_that_is_gone_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    After kill -9 the folder still names an address: where another pegline, or nobody, answers, it is not believed.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[run]\nstate_dir = "{tmp_path}"\n')
    for pid, url in ((2**22 + 5, "http://127.0.0.1:1/"), (0, ""), ("x", 3)):
        (tmp_path / "lock").write_text(json.dumps({"pid": pid, "url": url}))
        assert 2 == await asyncio.to_thread(main, ["quote", "TSLA", "--config", str(config)])
        assert "no daemon runs on" in capsys.readouterr().err
