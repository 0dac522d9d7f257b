"""One life after the other of an Alpaca stream: who we are, what we want, and what is said to us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from connectors.equity import alpaca_messages as wire
from connectors.equity.alpaca_ask import Ask
from connectors.errors import BadMessage, ConnectorError, EntitlementLost, VenueUnreachable
from connectors.events import NS, Flag, Kind, Why
from connectors.ports import Sink
from connectors.provenance import LATE_S, Source

_LOST: Final = frozenset({401, 402, 409})
_FAILED: Final = {404: "auth_timeout", 406: "connection_limit", 407: "slow_client", 500: "internal_error"}
_ALL_CHANNELS: Final = ("quotes", "trades", "statuses", "lulds")
_FEW_CHANNELS: Final = ("quotes", "trades")
_CLEAR_NS: Final = NS
"""A trade that is this much younger than a halt shows that the halt is over."""


class Stream:
    """What is known of the stream: who is up, which bands and halts stand, what is still to be asked for."""

    def __init__(self, ask: Ask, sink: Sink, numbers: Mapping[str, int], *, packed: bool) -> None:
        """`numbers` by symbol; `packed`: MessagePack instead of JSON."""
        self._ask, self._sink, self._numbers, self._packed = ask, sink, numbers, packed
        self.source = Source.UNKNOWN
        """What rows say of their source."""
        self._up: set[int] = set()
        self._missing: set[int] = set()
        """Instruments that may not be heard, as told."""
        self._seen: dict[int, int] = {}
        self._bands: dict[int, tuple[float, float]] = {}
        self._halts: dict[int, dict[str, tuple[int, int]]] = {}
        """By instrument: what halts it, with the venue's time and the life of the stream in which it was told."""
        self._life = 0
        self._channels: tuple[str, ...] = _ALL_CHANNELS
        self._asking: list[str] = []
        """Symbols still to subscribe to, the one under way first."""

    def begun(self) -> None:
        """A new life has said its first word."""
        self._life += 1
        self._asking = []

    def ended(self, error: ConnectorError) -> None:
        """A life is over: what it spoke about is down until somebody speaks again. Halts stay told."""
        if not isinstance(error, EntitlementLost):
            self._ask.reject(error.word, str(error))
        self.down()
        self._bands.clear()

    def down(self) -> None:
        """Nothing is heard any more."""
        self._sink.against(sorted(self._up), Why.NOT_HEARD)
        self._up.clear()

    def missing(self, numbers: list[int]) -> None:
        """These may not be heard; that nothing is heard of them follows from it, and would hide it."""
        self._missing.update(numbers)
        self._sink.against(numbers, Why.ENTITLEMENT)
        self._sink.cleared(numbers, Why.NOT_HEARD)

    def hear(self, frame: str | bytes) -> list[str | bytes]:
        """One frame: rows, counted reasons, and what to answer.

        Raises EntitlementLost or VenueUnreachable where the venue says an error that ends this life.
        """
        self._sink.frame(self._ask.setup.venue, frame)
        answers: list[str | bytes] = []
        try:
            heard = list(wire.messages(frame))
        except BadMessage as error:
            self._ask.reject("bad_message", str(error))
            return answers
        for message in heard:
            if isinstance(message, str):
                self._ask.reject("wrong_type", message)
            elif message.T == "q":
                self.quote(message)
            elif message.T == "t":
                self._trade(message)
            elif message.T == "s":
                self._status(message)
            elif message.T == "l":
                if (number := self._number(message)) is not None:
                    self._bands[number] = (message.d, message.u)
            elif message.T in ("success", "subscription"):
                answers += self._control(message)
            elif message.T == "error":
                answers += self._error(message)
            elif message.T in ("c", "x"):
                self._ask.reject("trade_corrected", message.S)
            else:
                self._ask.reject("unknown_message", message.T)
        return answers

    def _control(self, message: wire.Message) -> list[str | bytes]:
        """connected -> auth -> one symbol after the other, so that a refusal names the symbol that it is about."""
        if message.T == "success":
            if message.msg == "connected":
                key = self._ask.setup.key()
                return [self._encoded({"action": "auth", "key": key.get("key"), "secret": key.get("secret")})]
            if message.msg != "authenticated":
                self._ask.reject("unknown_message", message.msg)
                return []
            self._sink.against(sorted(self._missing - self._up), Why.NOT_HEARD)
            self._sink.cleared(sorted(self._missing), Why.ENTITLEMENT)
            self._missing.clear()
            self._asking = list(self._numbers)
            return self._next()
        if self._asking:
            symbol = self._asking.pop(0)
            if symbol not in (message.quotes or ()):
                self._ask.reject("not_subscribed", symbol)
        return self._next()

    def _next(self) -> list[str | bytes]:
        """The next subscription, if there is one."""
        if not self._asking:
            return []
        return [self._encoded({"action": "subscribe", **{name: [self._asking[0]] for name in self._channels}})]

    def _error(self, message: wire.Message) -> list[str | bytes]:
        """What an error of the venue means; see its list in the documentation of the stream."""
        said = f"{message.code} {message.msg}".strip()
        if message.code in _LOST:
            raise EntitlementLost(self._ask.masked(said), where=self._ask.setup.venue)
        if message.code in _FAILED:
            self._ask.reject(_FAILED[message.code], said)
            raise VenueUnreachable(self._ask.masked(said), where=self._ask.setup.venue)
        if not self._asking:
            self._ask.reject("venue_error", said)
            return []
        if message.code == 410 and self._channels == _ALL_CHANNELS:
            self._channels = _FEW_CHANNELS
            return self._next()
        if message.code == 405:
            self._ask.reject("symbol_limit", f"no room for {', '.join(self._asking)}")
            self.missing([self._numbers[symbol] for symbol in self._asking])
            self._asking = []
            return []
        symbol = self._asking.pop(0)
        self._ask.reject("invalid_symbol" if message.code == 400 else "venue_error", f"{symbol}: {said}")
        self._sink.against([self._numbers[symbol]], Why.NOT_LISTED)
        return self._next()

    # --- what it says

    def quote(self, message: wire.Message) -> None:
        """A quote: a row, or a counted reason. At a price band it is told as halted: it is no evidence of a price."""
        number = self._number(message)
        if number is None:
            return
        quote = wire.quote(message, self.source)
        if isinstance(quote, str):
            self._ask.reject(quote, f"{message.S} {message.bp} {message.ap} {message.c}")
            return
        if quote.ts < self._seen.get(number, 0):
            self._ask.reject("out_of_order", message.S)
            return
        self._seen[number] = quote.ts
        self._heard(number)
        low, high = self._bands.get(number, (0.0, 0.0))
        if wire.in_limit_state(quote.bid, quote.ask, low, high):
            self._halt(number, "limit_state", quote.ts)
        else:
            self._resume(number, "limit_state")
        flags = int(Flag.HALTED) if self._halts.get(number) else 0
        self._sink.put(
            Kind.REFERENCE,
            number,
            ts_venue=quote.ts,
            bid=quote.bid,
            ask=quote.ask,
            bid_size=quote.bid_size,
            ask_size=quote.ask_size,
            extra=quote.extra,
            flags=flags,
        )

    def _trade(self, message: wire.Message) -> None:
        """A trade, which is no row where it is told late; a later life's first one after a halt shows that its end was
        missed."""
        number = self._number(message)
        if number is None:
            return
        self._heard(number)
        told = self._halts.get(number, {}).get("status")
        if told is not None and self._life > told[1] and message.ts > told[0] + _CLEAR_NS:
            self._resume(number, "status")
        if self.source not in LATE_S:
            self._sink.put(Kind.TRADE, number, ts_venue=message.ts, bid=message.p, ask=message.p, ask_size=message.s)

    def _status(self, message: wire.Message) -> None:
        """A halt or pause begins or ends; other statuses (imbalances, indications, short sale rules) are no news."""
        number = self._number(message)
        if number is None:
            return
        if message.sc in wire.HALTS:
            self._halt(number, "status", message.ts)
            self._ask.reject("halted", f"{message.S}: {message.sm} {message.rc} {message.rm}".strip())
        elif message.sc in wire.RESUMES:
            self._resume(number, "status")

    def _halt(self, number: int, cause: str, ts: int) -> None:
        self._halts.setdefault(number, {})[cause] = (ts, self._life)
        self._sink.against([number], Why.HALTED)

    def _resume(self, number: int, cause: str) -> None:
        if self._halts.get(number, {}).pop(cause, None) is not None and not self._halts[number]:
            self._sink.cleared([number], Why.HALTED)

    def _heard(self, number: int) -> None:
        if number not in self._up:
            self._up.add(number)
            self._sink.cleared([number], Why.NOT_HEARD)

    def _number(self, message: wire.Message) -> int | None:
        number = self._numbers.get(message.S)
        if number is None:
            self._ask.reject("unknown_symbol", message.S)
        return number

    def _encoded(self, message: Mapping[str, object]) -> str | bytes:
        if self._packed:
            return msgspec.msgpack.encode(message)
        return msgspec.json.encode(message).decode()
