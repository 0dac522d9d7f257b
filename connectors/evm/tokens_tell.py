"""What a feed tells of one token of a chain: its multiplier, its supply with what was minted and burnt, a pause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from connectors.errors import BadMessage
from connectors.events import NAN, NS, Kind, Why
from connectors.evm.abi import Call
from connectors.evm.rpc import Head, Rpc
from connectors.evm.tokens import ONE, Reader, Reading, Standard, standard_of
from connectors.evm.tokens_identity import Expected, Identity, expected_of, identify, reader_for, shares_oracle
from connectors.instruments import Instrument, UnitModel
from connectors.ports import FeedSetup, Sink
from connectors.registry import load_registry

MAX_LOGS_BLOCKS: Final = 2_000
"""Providers bound how many blocks eth_getLogs may span; after a longer silence only the supply itself is told."""
MAX_RECOUNTS: Final = 5
"""So often mints and burns are asked for that do not make up the supply; then they stay unknown."""
SUPPLY_PART: Final = 10**9
"""Mints and burns are off by less than this part of the supply where a rebasing token rounds each of them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a token's address."""

    identity: Identity | None
    reader: Reader | None
    problems: tuple[str, ...] = ()
    """Why it cannot be read."""


class TokenTeller:
    """One token: what must be true of it, and what was told last."""

    unread: Final = Why.IDENTITY

    def __init__(self, setup: FeedSetup, instrument: Instrument) -> None:
        """Raises BadMessage where nobody knows how its contract speaks."""
        self.instrument = instrument
        self.number = -1
        self.reader: Reader | None = None
        self.problems: tuple[str, ...] = ("not looked at yet",)
        self.expected: Expected = expected_of(instrument, setup.pins)
        standard = standard_of(instrument.issuer, instrument.unit_model)
        if standard is None:
            hint = 'write issuer = "..." as `pegline tokens list` has it'
            raise BadMessage(
                f"how {instrument.symbol} says what it is worth is not known", where=setup.venue, hint=hint
            )
        self._standard = standard
        self._oracle = shares_oracle(load_registry(), instrument.issuer, instrument.chain, setup)
        if standard is Standard.SVALUE and not self._oracle:
            hint = f'write options = {{ shares_oracle = "0x..." }} at [venues.{setup.venue}]'
            raise BadMessage(f"no SyntheticSharesOracle is known on {instrument.chain}", where=setup.venue, hint=hint)
        self._told: Reading | None = None
        self._in_force: int | None = None
        """The multiplier that who heard the rows believes in by now: a change that was announced comes by itself."""
        self.counted: int | None = None
        """The block up to which mints and burns are told."""
        self._before: Reading | None = None
        """What was read at that block."""
        self._recounts = 0

    async def find(self, rpc: Rpc, head: Head, chain_id: int) -> Found:
        """What stands at its address at a block. Raises VenueUnreachable and the like, as Rpc.ask."""
        try:
            found = await identify(rpc, self.instrument.contract, head, chain_id)
            if not found.code_hash:
                return Found(found, None)
            reader = await reader_for(rpc, head, self.instrument.contract, self._standard, self._oracle, found.decimals)
        except BadMessage as error:
            return Found(None, None, (str(error),))
        return Found(found, reader)

    def judge(self, found: Found) -> None:
        """Holds what was found against what must be. What is not written of it is remembered from the first time, so
        that a change is seen."""
        self.problems, identity = found.problems, found.identity
        if identity is not None:
            self.problems = tuple(identity.problems(self.expected))
            if not self.problems:
                self.reader = found.reader
                self.expected = replace(
                    self.expected, chain_id=identity.chain_id, code_hash=identity.code_hash,
                    decimals=identity.decimals, symbol=identity.symbol or "",
                )  # fmt: skip

    def calls(self) -> tuple[Call, ...]:
        """What to ask about it; nothing while it is not what it must be."""
        return self.reader.calls() if self.reader is not None and not self.problems else ()

    def refuse(self, sink: Sink) -> None:
        """It is not what it must be."""
        sink.reject(self.instrument.venue, "identity", f"{self.instrument.symbol}: {'; '.join(self.problems)}")
        sink.against((self.number,), Why.IDENTITY)
        self._told = self._in_force = self.counted = None

    def tell(self, sink: Sink, answers: Sequence[bytes | None], head: Head, moves: tuple[int, int] | None) -> None:
        """Tells what is new; `moves` is what was minted and burnt since `counted`, None where that is not known.
        Raises BadMessage where the answers cannot be read."""
        assert self.reader is not None
        now = self.reader.read(answers, head.timestamp_s)
        if (now.decimals, now.symbol) != (self.expected.decimals, self.expected.symbol):
            raise BadMessage(f"{now.decimals} decimals, symbol {now.symbol!a} now", where=self.instrument.symbol)
        me, ts = (self.number,), head.timestamp_s * NS
        sink.cleared(me, Why.IDENTITY)
        (sink.against if now.paused else sink.cleared)(me, Why.PAUSED)
        sink.cleared(me, Why.NOT_HEARD)
        self._in_force = in_force(self._told, self._in_force, head.timestamp_s)
        for value, activates_s in news(self._told, self._in_force, now, head.timestamp_s):
            sink.put(Kind.MULTIPLIER, self.number, ts_venue=ts, bid=value / ONE, ask=activates_s)
            if activates_s != activates_s:
                self._in_force = value
        moves = self._count(now, head.number, moves)
        if self._told is None or self._told.supply != now.supply or (moves and any(moves)):
            minted, burnt = (NAN, NAN) if moves is None else [units / 10**now.decimals for units in moves]
            sink.put(Kind.SUPPLY, self.number, ts_venue=ts, bid=now.supply_units, bid_size=minted, ask_size=burnt)
        self._told = now

    def _count(self, now: Reading, block: int, moves: tuple[int, int] | None) -> tuple[int, int] | None:
        """What was minted and burnt, where it makes the supply what it is; else None, and all of it is asked for again
        at the next looks, since a node may have a block before it has its logs."""
        before = self._before
        if self.counted is not None and before is not None and block - self.counted <= MAX_LOGS_BLOCKS:
            if moves is None:
                return None
            rebased = self.instrument.unit_model is UnitModel.REBASING and before.multiplier != now.multiplier
            off = abs(before.supply + moves[0] - moves[1] - now.supply)
            if not rebased and off * SUPPLY_PART > now.supply:
                moves, self._recounts = None, self._recounts + 1
                if self._recounts < MAX_RECOUNTS:
                    return None
        else:
            moves = None
        self.counted, self._before, self._recounts = block, now, 0
        return moves


def in_force(told: Reading | None, before: int | None, now_s: int) -> int | None:
    """The multiplier that is believed in by now, after `told` was told and `before` was believed in then."""
    if told is not None and told.activates_s is not None and told.activates_s <= now_s:
        return told.pending
    return before


def news(told: Reading | None, believed: int | None, now: Reading, now_s: int) -> Iterator[tuple[int, float]]:
    """What a MULTIPLIER row must say after `told`: (value, from when in unix seconds; NaN is now).

    A change that was announced and is no longer is taken back: at its moment the value will be what it is now. One that
    has not come at its moment (`believed` is another) is taken back too, once the issuer does not pause the token: the
    end of a pause is when Ondo's changes come.
    """
    changed = told is None or told.multiplier != now.multiplier
    if changed or (believed != now.multiplier and not now.paused):
        yield now.multiplier, NAN
    coming = (now.pending, now.activates_s)
    before = (None, None) if told is None else (told.pending, told.activates_s)
    if coming == before:
        return
    if before[1] is not None and before[1] > now_s and before[1] != now.activates_s:
        yield now.multiplier, float(before[1])
    if now.pending is not None and now.activates_s is not None:
        yield now.pending, float(now.activates_s)
