"""A local Alpaca: the stock stream in JSON and MessagePack, and the REST calls for quotes, clock, calendar, actions.

Shapes after the venue's public documentation (2026): connected -> auth -> subscribe, one connection a feed, errors by
number. MessagePack is written with the msgpack library, times in its own time type, as the venue does it. REST and all
feeds are on one address: /v2/iex, /v2/sip, /v2/test, /v1beta1/boats, /v1beta1/overnight.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
from aiohttp import WSMsgType, web

from bot.sessions import load_sessions
from strategies.market.session import Session
from tests.servers.venue import VenueServer

KEY, SECRET = "PKLOCAL0000000001", "local-secret-1234567890"
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors")
_CHANNEL_OF = {"q": "quotes", "t": "trades", "s": "statuses", "l": "lulds", "c": "trades", "x": "trades"}


class Client:
    """One connection: its feed, its coding, and what it asked for."""

    def __init__(self, socket: web.WebSocketResponse, feed: str, packed: bool) -> None:
        self.socket, self.feed, self.packed = socket, feed, packed
        self.key = ""
        self.channels: dict[str, list[str]] = {name: [] for name in CHANNELS}

    async def tell(self, *messages: dict[str, Any]) -> None:
        """One frame with these messages; `t` is nanoseconds and leaves as text or as MessagePack's time."""
        with suppress(ConnectionError, RuntimeError):
            if self.packed:
                whole = [
                    {k: msgpack.Timestamp.from_unix_nano(v) if k == "t" else v for k, v in m.items()} for m in messages
                ]
                await self.socket.send_bytes(msgpack.packb(whole))
            else:
                whole = [{k: stamp(v) if k == "t" else v for k, v in m.items()} for m in messages]
                await self.socket.send_str(json.dumps(whole))

    async def refuse(self, code: int, message: str) -> None:
        """An error as the venue numbers it."""
        await self.tell({"T": "error", "code": code, "msg": message})


def stamp(ns: int) -> str:
    """A time as the venue writes it: RFC 3339 with nine digits."""
    whole = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


class AlpacaServer(VenueServer):
    """See VenueServer; `entitled` is what the key may have, `quotes` what REST says was quoted last."""

    def __init__(self) -> None:
        super().__init__()
        self.entitled = {"sip", "iex", "delayed_sip", "boats", "overnight", "test"}
        self.clients: list[Client] = []
        self.keys = {KEY: SECRET}
        self.symbols = {"TSLA", "NVDA", "AAPL", "FAKEPACA"}
        self.symbol_limit = 10_000
        self.no_statuses = False
        """Whether the stream refuses the channels of statuses and price bands with 410."""
        self.one_connection = True
        self.quotes: dict[str, dict[str, dict[str, Any]]] = {}
        """By feed and symbol: the latest quote as REST gives it."""
        self.is_open: bool | None = None
        """Whether the market is open; None: as the calendar has it."""
        self.now_ns = 0
        """What the venue's clock says; 0 is the machine's time."""
        self.days: list[dict[str, str]] | None = None
        """The calendar; None: the trading days of the shipped table."""
        self.actions: dict[str, list[dict[str, Any]]] = {}
        self.pages = 1
        self.rest: dict[str, tuple[int, dict[str, str], str]] = {}
        """By path: status, headers and body instead of an answer."""
        self.keys_seen: list[str] = []

    def routes(self, app: web.Application) -> None:
        """Streams and REST."""
        for path in ("/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v2/test", "/v1beta1/boats", "/v1beta1/overnight"):
            app.router.add_get(path, self._stream)
        app.router.add_get("/v2/stocks/quotes/latest", self._latest)
        app.router.add_get("/v2/clock", self._clock)
        app.router.add_get("/v2/calendar", self._calendar)
        app.router.add_get("/v1/corporate-actions", self._corporate_actions)

    # --- what happens

    async def quote(self, symbol: str, bid: float, ask: float, *, ts: int = 0, feed: str = "", **more: Any) -> None:
        """A quote to everybody who asked for it."""
        message = {"T": "q", "S": symbol, "bx": "V", "bp": bid, "bs": 100, "ax": "Q", "ap": ask, "as": 200,
                   "c": ["R"], "z": "C", "t": ts or self._now()}  # fmt: skip
        await self.say({**message, **more}, feed=feed)

    async def trade(self, symbol: str, price: float, *, ts: int = 0, size: int = 10, feed: str = "") -> None:
        """A trade to everybody who asked for it."""
        message = {"T": "t", "S": symbol, "i": 96921, "x": "D", "p": price, "s": size, "c": ["@"], "z": "C"}
        await self.say({**message, "t": ts or self._now()}, feed=feed)

    async def status(self, symbol: str, code: str, reason: str = "", *, ts: int = 0) -> None:
        """A trading status."""
        await self.say({"T": "s", "S": symbol, "sc": code, "sm": "status", "rc": reason, "rm": "", "z": "C",
                        "t": ts or self._now()})  # fmt: skip

    async def bands(self, symbol: str, low: float, high: float, *, ts: int = 0) -> None:
        """Price bands."""
        await self.say({"T": "l", "S": symbol, "u": high, "d": low, "i": "B", "z": "C", "t": ts or self._now()})

    async def say(self, *messages: dict[str, Any], feed: str = "", asked: bool = True) -> None:
        """Any messages in one frame, to those who asked for the first one's channel and symbol."""
        channel, symbol = _CHANNEL_OF.get(messages[0].get("T", ""), ""), messages[0].get("S", "")
        for client in list(self.clients):
            if (not feed or client.feed == feed) and (
                not asked or symbol in client.channels.get(channel, ()) or "*" in client.channels.get(channel, ())
            ):
                await client.tell(*messages)

    async def lose(self, feed: str, code: int = 409, message: str = "insufficient subscription") -> None:
        """The key may not have a feed any more: its clients are told and closed, REST and later logins refuse."""
        self.entitled.discard(feed)
        for client in list(self.clients):
            if client.feed == feed:
                await client.refuse(code, message)
                await client.socket.close()

    def subscribed(self, symbol: str, channel: str = "quotes") -> bool:
        """Whether anybody asked for it."""
        return any(symbol in client.channels[channel] for client in self.clients)

    # --- the stream

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        feed = request.path.rsplit("/", 1)[-1]
        packed = request.headers.get("Content-Type") == "application/msgpack"
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        client = Client(socket, feed, packed)
        self.sockets.append(socket)
        self.connections += 1
        if not self.mute:
            await client.tell({"T": "success", "msg": "connected"})
        await self._tell()
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._said_by(client, message.data)
                    await self._tell()
                elif message.type is WSMsgType.PING and not self.mute:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self.pongs += 1
                    await self._tell()
        finally:
            self.sockets.remove(socket)
            if client in self.clients:
                self.clients.remove(client)
            await self._tell()
        return socket

    async def _said_by(self, client: Client, data: str | bytes) -> None:
        try:
            said = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
            action = said["action"]
        except (ValueError, KeyError, TypeError):
            await client.refuse(400, "invalid syntax")
            return
        self.heard.append({**said, "secret": "..."} if "secret" in said else said)
        if self.mute:
            return
        if action == "auth":
            await self._auth(client, said)
        elif not client.key:
            await client.refuse(401, "not authenticated")
        elif action in ("subscribe", "unsubscribe"):
            await self._subscribe(client, said, action == "subscribe")
        else:
            await client.refuse(400, "invalid syntax")

    async def _auth(self, client: Client, said: dict[str, Any]) -> None:
        key = said.get("key", "")
        self.keys_seen.append(key)
        if client.key:
            await client.refuse(403, "already authenticated")
        elif self.keys.get(key) != said.get("secret"):
            await client.refuse(402, "auth failed")
        elif client.feed not in self.entitled:
            await client.refuse(409, "insufficient subscription")
        elif self.one_connection and any(c.key == key and c.feed == client.feed for c in self.clients):
            await client.refuse(406, "connection limit exceeded")
        else:
            client.key = key
            self.clients.append(client)
            await client.tell({"T": "success", "msg": "authenticated"})

    async def _subscribe(self, client: Client, said: dict[str, Any], more: bool) -> None:
        wanted = {name: list(symbols) for name, symbols in said.items() if name != "action"}
        if any(name not in CHANNELS for name in wanted) or (self.no_statuses and {"statuses", "lulds"} & set(wanted)):
            await client.refuse(410, "invalid subscribe action for this feed")
            return
        names = {symbol for symbols in wanted.values() for symbol in symbols}
        if any(not name.replace(".", "").isalnum() and name != "*" for name in names):
            await client.refuse(400, "invalid syntax")
            return
        if more and len(names | set(client.channels["quotes"])) > self.symbol_limit:
            await client.refuse(405, "symbol limit exceeded")
            return
        for name, symbols in wanted.items():
            kept = [s for s in client.channels[name] if s not in symbols]
            client.channels[name] = kept + symbols if more else kept
        client.channels["corrections"] = client.channels["cancelErrors"] = list(client.channels["trades"])
        await client.tell({"T": "subscription", **client.channels})

    # --- REST

    def _denied(self, request: web.Request) -> web.Response | None:
        if request.path in self.rest:
            status, headers, body = self.rest[request.path]
            return web.Response(status=status, headers=headers, text=body)
        key = request.headers.get("APCA-API-KEY-ID", "")
        self.keys_seen.append(key)
        if self.keys.get(key) != request.headers.get("APCA-API-SECRET-KEY"):
            return web.json_response({"message": "unauthorized."}, status=401)
        return None

    async def _latest(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        feed = request.query.get("feed", "sip")
        if feed not in self.entitled:
            return web.json_response({"message": f"subscription does not permit querying {feed} data"}, status=403)
        known = self.quotes.get(feed, {})
        asked = request.query.get("symbols", "").split(",")
        return web.json_response({"quotes": {s: known[s] for s in asked if s in known}})

    async def _clock(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        now = stamp(self._now())
        regular = load_sessions().at(self._now()) is Session.REGULAR
        is_open = regular if self.is_open is None else self.is_open
        return web.json_response({"timestamp": now, "is_open": is_open, "next_open": now, "next_close": now})

    async def _calendar(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        start, end = request.query.get("start", ""), request.query.get("end", "9999")
        days = trading_days(start, end) if self.days is None else self.days
        return web.json_response([day for day in days if start <= day["date"] <= end])

    async def _corporate_actions(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        symbols = request.query.get("symbols", "").split(",")
        page = int(request.query.get("page_token") or 0)
        events = [(kind, event) for kind, all_of in self.actions.items() for event in all_of]
        part = events[page :: self.pages] if self.pages > 1 else events
        told: dict[str, list[dict[str, Any]]] = {}
        for kind, event in part:
            if event["symbol"] in symbols:
                told.setdefault(kind, []).append(event)
        following = str(page + 1) if page + 1 < self.pages else None
        return web.json_response({"corporate_actions": told, "next_page_token": following})

    def _now(self) -> int:
        import time

        return self.now_ns or time.time_ns()


def trading_days(start: str, end: str) -> list[dict[str, str]]:
    """The days from `start` to `end` on which there is a regular session, with its open and close in New York."""
    table, days = load_sessions(), []
    first = int(datetime.fromisoformat(start + "T00:00:00+00:00").timestamp()) * 10**9
    last = int(datetime.fromisoformat(end + "T23:59:59+00:00").timestamp()) * 10**9
    begun = at = first - 86_400 * 10**9
    while at < last:
        until = table.next_change(at)
        if table.at(at) is Session.REGULAR:
            opens, closes = (datetime.fromtimestamp(ns // 10**9, ZoneInfo("America/New_York")) for ns in (begun, until))
            if start <= str(opens.date()) <= end:
                days.append({"date": str(opens.date()), "open": f"{opens:%H:%M}", "close": f"{closes:%H:%M}"})
        begun, at = until, until
    return days


def latest(bid: float, ask: float, ts: int, **more: Any) -> dict[str, Any]:
    """A quote as `quotes/latest` has it."""
    quote = {"bx": "V", "bp": bid, "bs": 100, "ax": "V", "ap": ask, "as": 200, "c": ["R"], "z": "C", "t": stamp(ts)}
    return {**quote, **more}
