"""What a feed tells of one oracle of a chain: each new price, and why its last one is not to be used now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.errors import BadMessage
from connectors.events import NS, Flag, Kind, Why
from connectors.evm.abi import Call
from connectors.evm.oracles import HEARTBEAT_S, PYTH_MAX_AGE_S, RESTART_S, Aggregator, Price, Pyth, Sequencer
from connectors.evm.rpc import Head
from connectors.instruments import Instrument, Role
from connectors.ports import FeedSetup, Finding, Sink


class OracleTeller:
    """One oracle: how it is read, how long its word holds, and which update was told last."""

    unread: Final = Why.NOT_HEARD

    def __init__(self, setup: FeedSetup, instrument: Instrument) -> None:
        """Raises BadMessage where the symbol is neither an address nor the id of a Pyth feed."""
        self.instrument = instrument
        self.number = -1
        symbol, options = instrument.symbol.lower(), setup.options
        digits = len(symbol) - 2 if symbol.startswith("0x") and set(symbol[2:]) <= set("0123456789abcdef") else 0
        self._source: Aggregator | Pyth
        if digits == 40:
            self._source, default_s = Aggregator(symbol), HEARTBEAT_S
            self._max_age_s = float(options.get("heartbeat_s", default_s))
        elif digits == 64 and options.get("pyth"):
            self._source, default_s = Pyth(str(options["pyth"]), symbol), PYTH_MAX_AGE_S
            self._max_age_s = float(options.get("pyth_max_age_s", default_s))
        else:
            hint = "an oracle is 0x and 40 hex digits, or 64 of a Pyth feed with options = { pyth = ... }"
            raise BadMessage(f"{instrument.symbol} is neither a token's contract nor an oracle", hint=hint)
        watched = str(options.get("sequencer", ""))
        self._sequencer = Sequencer(watched, float(options.get("restart_s", RESTART_S))) if watched else None
        self._updated_s = 0
        self._against = ""
        """The word of what speaks against it."""

    def calls(self) -> tuple[Call, ...]:
        """What to ask about it."""
        return (*self._source.calls(), *(self._sequencer.calls() if self._sequencer is not None else ()))

    def finding(self, answers: Sequence[bytes | None], head: Head) -> Finding:
        """What it says, and whether that is fresh."""
        name = self.instrument.symbol
        try:
            price, against = self._read(answers, head)
        except BadMessage as error:
            return Finding(what="symbol", subject=name, ok=False, detail=str(error))
        detail = f"{price.price:g}, updated {head.timestamp_s - price.updated_s} s before the block"
        hint = "" if against is None else f"{against[1].replace('_', ' ')}: {against[2]}"
        return Finding(what="symbol", subject=name, ok=against is None, detail=detail, hint=hint)

    def tell(self, sink: Sink, answers: Sequence[bytes | None], head: Head, *, late: bool) -> None:
        """Tells a new price; one that something speaks against is no print. Raises BadMessage where there is none."""
        (price, against), me = self._read(answers, head), (self.number,)
        why, word, detail = (None, "", "") if against is None else against
        for reason in (Why.LAGS, Why.CLOCK):
            if reason is why or (late and reason is Why.LAGS):
                sink.against(me, reason)
            else:
                sink.cleared(me, reason)
        sink.cleared(me, Why.NOT_HEARD)
        if word and word != self._against:
            sink.reject(self.instrument.venue, word, f"{self.instrument.symbol}: {detail}")
        self._against = word
        if price.updated_s != self._updated_s and why is None:
            self._updated_s = price.updated_s
            kind = Kind.QUOTE if self.instrument.role is Role.TOKEN else Kind.REFERENCE
            kind = Kind.FX if self.instrument.role is Role.COIN else kind
            sink.put(
                kind, self.number, ts_venue=price.updated_s * NS, bid=price.price - price.error,
                ask=price.price + price.error, flags=0 if price.error else Flag.ONE_PRICE,
            )  # fmt: skip

    def _read(self, answers: Sequence[bytes | None], head: Head) -> tuple[Price, tuple[Why, str, str] | None]:
        own, meant = len(self._source.calls()), self.instrument.contract
        try:
            price = self._source.read(answers[:own])
        except BadMessage as error:
            if not meant:
                raise
            hint = f"it is read as an oracle, since the contract of {self.instrument.token} is {meant}"
            raise BadMessage(error.what, where=error.where, hint=hint) from error
        against = price.speaks_against(head.timestamp_s, self._max_age_s)
        if self._sequencer is not None:
            against = self._sequencer.speaks_against(answers[own:], head.timestamp_s) or against
        return price, against
