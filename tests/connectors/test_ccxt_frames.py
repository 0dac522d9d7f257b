"""Recorded frames: each is read or passed over, and a day's end of Binance's diffs over a real socket."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.cex.book import read_book
from connectors.events import Kind
from connectors.instruments import Instrument, Role
from tests.connectors.ccxt_cases import CASES, Case
from tests.connectors.ccxt_offline import Offline
from tests.servers.binance import SPOT, BinanceServer
from tests.servers.heard import Heard
from tests.servers.levels import Levels

BOOK: dict[str, Any] = {"bids": [[400.0, 9.0]], "asks": [[400.3, 2.0]], "nonce": 100, "timestamp": 1_700_000_000_000}


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Receive time and message of each line of a capture."""
    with gzip.open(path, "rt") as text:
        for line in text:
            at, _, message = line.partition(" ")
            yield int(at), json.loads(message)


def fixtures(shared: Path, venue: str) -> dict[str, Any]:
    """Recorded messages by name."""
    with gzip.open(shared / f"data/venue_message_fixtures/{venue}.jsonl.gz", "rt") as text:
        return {one["fixture"]: one["payload"] for one in map(json.loads, text)}


async def test_an_evening_of_binance_ends_with_the_book_of_a_plain_replay(pro: Any, shared: Path) -> None:
    """
    3,451 recorded diffs and 9,757 prints through the local server and the adapter: no gap, each one a row, and at the
    end the book that a replay in plain Python has.
    """
    recorded = [message for _, message in lines(shared / "data/ws_captures_2024/spot_btcusdt_20240808.gz")]
    (snapshot,) = [m for m in recorded if "lastUpdateId" in m]
    diffs = [m["data"] for m in recorded if m.get("stream", "").endswith("@depth@100ms")]
    prints = [m["data"] for m in recorded if m.get("stream", "").endswith("@trade")]
    last, plain = (
        snapshot["lastUpdateId"],
        {side: {Decimal(p): Decimal(q) for p, q in snapshot[side]} for side in SIDES},
    )
    applied = 0
    for diff in diffs:
        if diff["u"] <= last:
            continue
        assert diff["U"] == last + 1 or (not applied and diff["U"] <= last + 1)
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, size in diff[key]:
                plain[side][Decimal(price)] = Decimal(size)
        last, applied = diff["u"], applied + 1
    top = [
        [(float(p), float(q)) for p, q in sorted(plain[side].items(), reverse=side == "bids") if q][:20]
        for side in SIDES
    ]
    btc = Instrument(venue="binance", symbol="BTC/USDT", role=Role.TOKEN, token="BTC", quote="USDT")
    case, heard = Case(**{**CASES[0].__dict__, "instrument": btc}), Heard()
    async with BinanceServer() as server:
        listing = server.listings[SPOT, "BTCUSDT"]
        listing.update = snapshot["lastUpdateId"]
        listing.book = Levels(dict(snapshot["bids"]), dict(snapshot["asks"]))
        setup = {"depth_every_s": 1e-9, "depth_levels": 20, "options": {"trades": True, "status_s": math.inf}}
        async with case.feeding(server, heard, **setup) as feed:
            await case.followed(server, (SPOT, "btcusdt@depth@100ms"))
            await case.followed(server, (SPOT, "btcusdt@trade"))
            early = [d for d in diffs if d["u"] <= snapshot["lastUpdateId"]]
            for diff in diffs[: len(early)]:
                await server.push("BTCUSDT", "depth@100ms", diff)
            await heard.until(lambda: feed.count("emitted") == 1)  # the snapshot has come
            for diff in diffs[len(early) :]:
                await server.push("BTCUSDT", "depth@100ms", diff)
            for one in prints:
                await server.push("BTCUSDT", "trade", one)
            await heard.until(lambda: feed.count("prints") == len(prints))
            await heard.until(lambda: bool(heard.levels) and list(heard.levels[-1][0]) == top[0])
            assert 0 == feed.count("merged")
    assert not heard.rejected
    assert top == [list(side) for side in heard.levels[-1]]
    quotes = [row for row in heard.rows if row.kind is Kind.QUOTE]
    assert applied + 1 == len(quotes)
    assert [(float(t["p"]), float(t["q"]), -1.0 if t["m"] else 1.0) for t in prints] == [
        (row.bid, row.ask_size, row.extra) for row in heard.rows if row.kind is Kind.TRADE
    ]


SIDES = ("bids", "asks")

BINANCE_ROWS = {
    "futures/market_data_json/depth_update_stream.json": Kind.QUOTE,
    "futures/market_data_json/trade_stream.json": Kind.TRADE,
    "futures/market_data_json/agg_trade_stream.json": Kind.TRADE,
}
"""What of the recorded messages is a row; everything else is not asked for by this lane, and becomes none."""


def test_every_recorded_message_of_binance_is_read_or_passed_over(pro: Any, shared: Path) -> None:
    """
    Books and prints of the stream are rows; the REST book is read; accounts, candles and the like become nothing.
    """
    made = Offline(pro, CASES[1], symbol="BTC/USDT:USDT")
    market = {**made.exchange.markets["TSLA/USDT:USDT"], "id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC"}
    made.exchange.set_markets([market])
    recorded, rows = fixtures(shared, "binance"), {}
    for name, payload in recorded.items():
        made.fresh({**BOOK, "bids": [[0.0023, 1.0]], "asks": [[0.0027, 1.0]], "nonce": 149})
        made.frame(payload)
        kinds = {row.kind for row in made.heard.rows if row.kind is not Kind.HEALTH}
        if kinds:
            (rows[name],) = kinds
    made.close()
    assert BINANCE_ROWS == rows
    depth = made.exchange.parse_order_book(recorded["spot/http_json/depth_response.json"], "BTC/USDT:USDT")
    assert (4.0, 4.000002, 431.0, 12.0) == read_book(depth)
    (listed,) = recorded["spot/http_json/exchange_info_response.json"]["symbols"]
    assert "ETH/BTC" == made.exchange.parse_market(listed)["symbol"]
    mark = recorded["futures/market_data_json/mark_price_stream.json"]
    assert {"e", "p", "i", "r", "T"} <= set(mark)  # the stream of marks is not asked for: the REST record is
    assert 25 == len(recorded)


def test_every_recorded_message_of_hyperliquid_is_read_or_passed_over(pro: Any, shared: Path) -> None:
    """
    Books are rows, by socket and by REST; the other answers become nothing in the stream.
    """
    made = Offline(pro, CASES[4], symbol="BTC/USDC:USDC")
    recorded, rows = fixtures(shared, "hyperliquid"), {}
    for name, payload in recorded.items():
        made.fresh()
        book = isinstance(payload, dict) and "levels" in payload
        made.frame({"channel": "l2Book", "data": payload} if book else payload)
        kinds = {row.kind for row in made.heard.rows if row.kind is not Kind.HEALTH}
        if kinds:
            (rows[name],) = kinds
    made.fresh()
    prints = recorded["http_recent_trades_btc.json"]
    made.frame({"channel": "trades", "data": prints})
    assert len(prints) == sum(row.kind is Kind.TRADE for row in made.heard.rows)
    made.close()
    books = {"http_l2_book_btc.json", "http_l2_book_snapshot.json", "ws_book_data.json"}
    assert dict.fromkeys(books, Kind.QUOTE) == rows
    assert 12 == len(recorded)


def test_every_recorded_line_of_hyperliquid_is_rows(pro: Any, shared: Path) -> None:
    """
    46 books and all their prints of January 2025 come out, in order and with the venue's times.
    """
    made = Offline(pro, CASES[4], symbol="BTC/USDC:USDC")
    books = prints = 0
    for _, message in lines(shared / "data/ws_captures_2024/hyperliquid_btcusd_20250126.gz"):
        made.frame(message)
        if message["channel"] == "l2Book":
            books += 1
            best = [side[0] for side in message["data"]["levels"]]
            row = made.heard.rows[-1]
            assert [float(level["px"]) for level in best] == [row.bid, row.ask]
            assert message["data"]["time"] * 1_000_000 == row.ts_venue
        else:
            prints += len(message["data"])
    made.close()
    assert not made.heard.rejected
    assert (46, books) == (books, sum(row.kind is Kind.QUOTE for row in made.heard.rows))
    assert prints == sum(row.kind is Kind.TRADE for row in made.heard.rows)


def test_gates_capture_of_2021_is_read_by_the_older_channel(pro: Any, shared: Path) -> None:
    """
    Its 172 book frames are the older spot.order_book_update: with a book before them each that follows is a row.
    """
    made = Offline(pro, CASES[2])
    market = made.exchange.markets["TSLAX/USDT"]
    frames: dict[str, list[Any]] = {}
    with gzip.open(shared / "data/ws_captures_2021/GATEIO.ws.1.0.txt.gz", "rt") as text:
        for line in text:
            head, _, message = line.partition(": ")
            if head.replace(".", "").isdigit() and '"spot.order_book_update","event":"update"' in message:
                frames.setdefault(json.loads(message)["result"]["s"], []).append(json.loads(message))
    rows = counted = 0
    for pair, found in frames.items():
        base, _, quote = pair.partition("_")
        symbol = f"{base}/{quote}"
        made.exchange.set_markets([{**market, "id": pair, "symbol": symbol, "base": base, "quote": quote}])
        made.symbol = symbol
        made.tap.targets = {symbol: (0, Kind.QUOTE)}
        first = found[0]["result"]
        made.fresh({"bids": [], "asks": [], "nonce": first["U"] - 1})
        for message in found:
            made.frame(message)
        counted += len(found)
        rows += sum(row.kind is Kind.QUOTE for row in made.heard.rows) + sum(made.heard.rejected.values())
    made.close()
    assert (172, counted) == (counted, rows)
