"""A local source of past prices: Yahoo's chart and Kraken's OHLC, for clients that we did not write (yfinance, ccxt).

It runs on a thread of its own, since both clients block. Shapes after the public documentation of Kraken's REST
(AssetPairs, Assets, OHLC) and after the answers that yfinance parses (crumb, v8/finance/chart). Like Kraken it lists
tokenized assets only when asked, gives at most `page` candles, and always the one that is still open.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Bar = tuple[int, float | None, float]
"""Open (unix s), close, volume."""


@dataclass
class History:
    """What the server answers, and what it was asked."""

    bars: list[Bar] = field(default_factory=list)
    status: int = 200
    """Anything else is the answer to every request."""
    page: int = 720
    error: str = ""
    """Yahoo's own words, instead of data."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """The JSON (or text) of a request."""
        if path == "/v1/test/getcrumb":
            return "crumb"
        if path.startswith("/v8/finance/chart/"):
            return self._chart(path.rpartition("/")[2], query)
        if path == "/0/public/Assets":
            return {"error": [], "result": {}}
        if path == "/0/public/AssetPairs":
            shown = query.get("aclass_base") == "tokenized_asset"
            return {"error": [], "result": {"TSLAxUSD": _PAIR} if shown else {"USDCUSD": _COIN}}
        if path == "/0/public/OHLC":
            return self._ohlc(query)
        return {}

    def _chart(self, symbol: str, query: dict[str, str]) -> dict[str, Any]:
        """Yahoo's chart."""
        meta = {
            "symbol": symbol,
            "currency": "USD",
            "exchangeTimezoneName": "America/New_York",
            "timezone": "EDT",
            "gmtoffset": -14400,
            "instrumentType": "EQUITY",
            "dataGranularity": query.get("interval", "1d"),
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "max"],
            "priceHint": 2,
            "regularMarketTime": 0,
            "tradingPeriods": [[{"timezone": "EDT", "start": 0, "end": 2**40, "gmtoffset": -14400}]],
            "currentTradingPeriod": {
                name: {"timezone": "EDT", "start": 0, "end": 0, "gmtoffset": -14400}
                for name in ("pre", "regular", "post")
            },
        }
        if self.error:
            return {"chart": {"result": None, "error": {"code": "Not Found", "description": self.error}}}
        lo, hi = int(query.get("period1", 0)), int(query.get("period2", 2**40))
        bars = [bar for bar in self.bars if lo <= bar[0] < hi]
        quote: dict[str, Any] = {name: [close for _, close, _ in bars] for name in ("open", "high", "low", "close")}
        quote["volume"] = [volume for _, _, volume in bars]
        indicators = {"quote": [quote if bars else {}], "adjclose": [{"adjclose": quote["close"]}]}
        result = {"meta": meta, "timestamp": [at for at, _, _ in bars], "indicators": indicators}
        return {"chart": {"result": [result], "error": None}}

    def _ohlc(self, query: dict[str, str]) -> dict[str, Any]:
        """Kraken's candles after `since`."""
        since = int(float(query.get("since", "0")))
        bars = [bar for bar in self.bars if bar[0] > since][: self.page]
        rows = [[at, *[f"{close:.2f}"] * 5, f"{volume:.8f}", 1] for at, close, volume in bars if close is not None]
        return {"error": [], "result": {query["pair"]: rows, "last": since}}


@contextmanager
def serving(history: History) -> Iterator[History]:
    """The server on a free port of loopback, its address in `history.url`."""

    class Handler(BaseHTTPRequestHandler):
        """Hands requests to the history."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answers with JSON, or text where the answer is text."""
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            history.asked.append((parts.path, query))
            found = history.answer(parts.path, query) if history.status == 200 else {"error": ["down"]}
            body = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(history.status)
            self.send_header("Content-Type", "text/plain" if isinstance(found, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    history.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield history
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _pair(name: str, base: str, kind: str) -> dict[str, Any]:
    """A pair as AssetPairs lists it."""
    return {
        "altname": name.replace("/", ""),
        "wsname": name,
        "aclass_base": kind,
        "base": base,
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "pair_decimals": 2,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.01",
        "status": "online",
    }


_PAIR = _pair("TSLAx/USD", "TSLAx", "tokenized_asset")
_COIN = _pair("USDC/USD", "USDC", "currency")
