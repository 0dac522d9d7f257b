"""`pegline venues` as its operator meets it: what the config says, and live venues that are well and not."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.servers.alpaca import KEY, SECRET, AlpacaServer
from tests.servers.binance import BinanceServer
from tests.servers.bybit import BybitServer
from tests.servers.gate import GateServer
from tests.servers.hyperliquid import HyperliquidServer
from tests.servers.kraken import KrakenServer


def write(folder: Path, *tables: str) -> Path:
    """A config of these tables."""
    path = folder / "config.toml"
    path.write_text(f'[run]\nstate_dir = "{folder / "state"}"\n' + "\n".join(tables), encoding="utf-8")
    return path


def cex(name: str, url: str, *symbols: str, feed: str = "", more: str = "") -> str:
    """A venue with tokens, and what else stands in its table."""
    tokens = "".join(
        f'[instruments."{name}:{symbol}"]\ntoken = "TSLAx"\nunit_model = "rebasing"\nquote = "{quote}"\n'
        for symbol, quote in ((one, one.partition("/")[2]) for one in symbols)
    )
    return f'[venues.{name}]\nkind = "cex"\nfeed = "{feed or name}"\nurl = "{url}"\n{more}\n{tokens}'


def alpaca(folder: Path, url: str, *, secret: str = SECRET, feeds: str = "sip,iex") -> str:
    """Alpaca with a key file and one share."""
    (folder / "alpaca.key").write_text(f'key = "{KEY}"\nsecret = "{secret}"\n')
    (folder / "alpaca.key").chmod(0o600)
    return (
        f'[venues.alpaca]\nkind = "broker"\nfeed = "alpaca"\nurl = "{url}"\nkey_file = "alpaca.key"\n'
        f'options = {{ feed = "{feeds}" }}\n[instruments."alpaca:TSLA"]\nrole = "share"\nunderlying = "TSLA"\n'
    )


class Asked:
    """What a command printed and ended with."""

    def __init__(self, code: int, out: str, err: str) -> None:
        """Of a command that is over."""
        self.code, self.out, self.err = code, out, err

    def found(self, place: str, what: str) -> list[dict[str, Any]]:
        """Findings of a JSON answer."""
        said = json.loads(self.out)
        assert 1 == said["schema"]
        assert self.code == said["exit_code"]
        return [one for one in said["findings"] if (one["place"], one["what"]) == (place, what)]

    def states(self, place: str, what: str) -> list[str]:
        """Their states."""
        return [one["state"] for one in self.found(place, what)]


async def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Asked:
    """Runs a command beside the local venues."""
    capsys.readouterr()
    code = await asyncio.to_thread(main, list(words))
    said = capsys.readouterr()
    return Asked(code, said.out, said.err)


CONFIG = """
[venues.kraken]
kind = "cex"
feed = "kraken"
taker_fee_bps = 26
latency_ms = 20
[venues.gate]
kind = "cex"
feed = "ccxt"
exchange = "gate"
[venues.pool]
kind = "dex"
[venues.yahoo]
kind = "oracle"
feed = "yahoo"
[instruments."kraken:TSLAx/USD"]
token = "TSLAx"
unit_model = "rebasing"
[instruments."gate:TSLAON/USDT"]
token = "TSLAon"
quote = "USDT"
multiplier = 1.0043
[instruments."pool:TSLAon"]
token = "TSLAon"
chain = "ethereum"
[instruments."yahoo:TSLA"]
role = "share"
underlying = "TSLA"
hours = "extended"
"""


async def test_list_says_what_each_venue_is_configured_as(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Feed, instruments, fee, basis and hours of every venue; no network is needed, and no line is wider than a page.
    """
    path = write(tmp_path, CONFIG)
    told = await ask(capsys, "venues", "--config", str(path))
    assert 0 == told.code
    for words in ("1 token", "watched only", "26", "calibrated", "per unit", "a unit is a share", "extended"):
        assert words in told.out
    assert 100 >= max(map(len, told.out.splitlines()))
    said = json.loads((await ask(capsys, "venues", "list", "--json", "--config", str(path))).out)
    assert 1 == said["schema"]
    basis = {one["venue"]: one["basis"] for one in said["venues"]}
    assert {"kraken": [""], "gate": ["unknown"], "pool": ["unit"], "yahoo": []} == basis


async def test_list_all_says_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every exchange with an entry in the table and every feed of our own, without any config.
    """
    said = json.loads((await ask(capsys, "venues", "list", "--all", "--json", "--config", "absent.toml")).out)
    known = {one["venue"]: one for one in said["known"]}
    assert {"kraken", "bybit", "gate", "bitget", "kucoin", "mexc", "binance", "okx", "hyperliquid"} <= set(known)
    assert ["kraken", "ccxt"] == known["kraken"]["feeds"]
    assert any("case" in words for words in known["kraken"]["peculiar"])


async def test_show_says_who_vouches_for_a_symbol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Token, issuer, trust, basis and peculiarities of one venue; a name that is none is exit 2 with the nearest one.
    """
    path = write(tmp_path, CONFIG)
    told = await ask(capsys, "venues", "show", "gate", "--config", str(path))
    assert 0 == told.code
    for words in (
        "TSLAon: TSLA by ondo",
        "registry (",
        "total_return x 1.0043",
        "update ids",
        "nothing is in the journal",
    ):
        assert words in re.sub(r"\s+", " ", told.out)
    said = json.loads((await ask(capsys, "venues", "show", "pool", "--json", "--config", str(path))).out)
    (symbol,) = said["symbols"]
    assert ("unit", "ethereum") == (symbol["basis"], symbol["registry"][0]["chain"])
    assert symbol["registry"][0]["contract"].startswith("0x")
    wrong = await ask(capsys, "venues", "show", "gatee", "--config", str(path))
    assert 2 == wrong.code
    assert "did you mean gate" in wrong.err


async def test_venues_that_are_well_end_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Kraken, Bybit and Alpaca at once over real sockets: clocks, symbols, statuses and rights are ok.
    """
    async with KrakenServer() as kraken, BybitServer() as bybit, AlpacaServer() as broker:
        path = write(
            tmp_path,
            cex("kraken", kraken.url, "TSLAx/USD"),
            cex("bybit", bybit.url, "TSLAX/USDT"),
            alpaca(tmp_path, broker.url),
        )
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert ["ok"] == told.states("kraken", "clock") == told.states("bybit", "clock")
    assert ["ok"] == told.states("kraken", "symbol") == told.states("bybit", "symbol")
    assert "ok" in told.states("alpaca", "entitlement")
    assert "fail" not in {one["state"] for one in json.loads(told.out)["findings"] if one["place"] != "alpaca"}


async def test_a_venue_that_is_gone_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exit 7, and the one that is there has all of its lines; asked for alone, it is exit 0.
    """
    async with KrakenServer() as kraken:
        path = write(
            tmp_path,
            cex("kraken", kraken.url, "TSLAx/USD"),
            cex("gone", "http://127.0.0.1:1", "TSLAx/USD", feed="kraken"),
        )
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
        alone = await ask(capsys, "venues", "test", "kraken", "--config", str(path))
    assert 7 == told.code
    assert (["fail"], ["ok"]) == (told.states("gone", "reachable"), told.states("kraken", "symbol"))
    assert 0 == alone.code
    assert "gone" not in alone.out
    assert re.search(r"\d+ ok, \d+ warnings?, 0 failed", alone.out)


async def test_a_venue_that_says_nothing_has_a_time_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A server that takes the call and never answers is not waited for longer than --limit; exit 7.
    """
    release = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(deaf, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        path = write(tmp_path, cex("mute", f"http://127.0.0.1:{port}", "TSLAx/USD", feed="kraken"))
        told = await ask(capsys, "venues", "test", "--json", "--limit", "0.3", "--config", str(path))
        release.set()
    assert 7 == told.code
    assert "0.3 s" in told.found("mute", "reachable")[0]["detail"]


@contextmanager
def late() -> Iterator[KrakenServer]:
    """A Kraken whose clock is five seconds ahead."""
    yield KrakenServer(lambda: time.time_ns() + 5 * 10**9)  # noqa: TID251 - a stand-in for the world


async def test_a_clock_that_is_off_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Five seconds between the venue's clock and ours: exit 5, with the number and what to do.
    """
    with late() as server:
        async with server as kraken:
            path = write(tmp_path, cex("kraken", kraken.url, "TSLAx/USD"))
            told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert 5 == told.code
    (clock,) = told.found("kraken", "clock")
    assert ("fail", "s") == (clock["state"], clock["unit"])
    assert abs(clock["value"] - 5) < 1.5
    assert clock["hint"]


async def test_a_symbol_that_is_not_listed_is_told_with_near_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Through both lanes: exit 5; ccxt's list has the name that was meant.
    """
    async with KrakenServer() as kraken:
        path = write(
            tmp_path,
            cex("kraken", kraken.url, "TSLx/USD"),
            cex("other", kraken.url, "TSLx/USD", feed="ccxt", more='exchange = "kraken"'),
        )
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert 5 == told.code
    assert (["fail"], ["fail"]) == (told.states("kraken", "symbol"), told.states("other", "symbol"))
    assert "TSLAxUSD" in told.found("other", "symbol")[0]["hint"]


async def test_refused_rights_are_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A wrong secret, or a key file that is not there; the secret is not repeated, and the other venue is asked.
    """
    async with AlpacaServer() as broker, KrakenServer() as kraken:
        tables = cex("kraken", kraken.url, "TSLAx/USD")
        path = write(tmp_path, tables, alpaca(tmp_path, broker.url, secret="wrong-and-secret"))
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
        (tmp_path / "alpaca.key").unlink()
        absent = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert (4, 4) == (told.code, absent.code)
    assert {"fail"} == set(told.states("alpaca", "entitlement"))
    assert "wrong-and-secret" not in told.out + told.err
    assert ["fail"] == absent.states("alpaca", "credentials")
    assert ["ok"] == absent.states("kraken", "symbol")


async def test_one_refused_feed_of_two_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    SIP is not in the subscription, IEX is: the stream goes on, and the line says warn.
    """
    async with AlpacaServer() as broker:
        broker.entitled = {"iex"}
        path = write(tmp_path, alpaca(tmp_path, broker.url))
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert {"sip": "warn", "iex": "ok"} == {one["subject"]: one["state"] for one in told.found("alpaca", "entitlement")}
    assert 4 != told.code


async def test_what_cannot_be_asked_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A venue that nothing outside speaks for, no venue at all, and a limit that is none: exit 2.
    """
    path = write(tmp_path, CONFIG)
    for words in (("test", "pool"), ("test", "--limit", "0"), ("test", "nowhere")):
        assert 2 == (await ask(capsys, "venues", *words, "--config", str(path))).code
    empty = write(tmp_path, "")
    assert 2 == (await ask(capsys, "venues", "test", "--config", str(empty))).code


async def test_exchanges_behind_ccxt_are_asked_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Gate's clock is five seconds ahead, Binance does not list a symbol and names the near one, Hyperliquid is well.
    """

    def ahead() -> int:
        return time.time_ns() + 5 * 10**9  # noqa: TID251 - a stand-in for the world

    perp = '[instruments."hyper:XYZ-TSLA/USDC:USDC"]\nrole = "perp"\nunderlying = "TSLA"\nquote = "USDC"\n'
    async with GateServer(clock=ahead) as gate, BinanceServer() as binance, HyperliquidServer() as hyper:
        path = write(
            tmp_path,
            cex("gate", gate.url, "TSLAX/USDT", feed="ccxt", more='exchange = "gate"'),
            cex("binance", binance.url, "TSLB/USDT", feed="ccxt", more='exchange = "binance"'),
            cex("hyper", hyper.url, feed="ccxt", more='exchange = "hyperliquid"') + perp,
        )
        told = await ask(capsys, "venues", "test", "--json", "--config", str(path))
    assert 5 == told.code
    assert (["fail"], ["ok"]) == (told.states("gate", "clock"), told.states("gate", "symbol"))
    assert abs(told.found("gate", "clock")[0]["value"] - 5) < 1
    assert ["fail"] == told.states("binance", "symbol")
    assert "TSLAB/USDT" in told.found("binance", "symbol")[0]["hint"]
    assert ["ok"] == told.states("hyper", "symbol")
    assert told.states("hyper", "rate_budget") == ["ok"]
