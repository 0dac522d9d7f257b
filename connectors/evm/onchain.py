"""A Feed that asks contracts of one chain, all at one block: what tokens are worth in shares, what oracles say.

Each look takes one batch of reads at the newest block. Of a token it tells the multiplier in force and the one that is
to come, supply with what was minted and burnt, and a pause (MAINTENANCE); of an oracle each new price. A contract that
is not, or no longer, what the registry means (IDENTITY) tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import aiohttp

from connectors.backoff import REFUSED_S, of_stream
from connectors.ends import Ends
from connectors.errors import BadMessage, ConnectorError, EntitlementLost, VenueUnreachable
from connectors.events import NAN, NS, Flag, Kind, Why
from connectors.evm.abi import Call
from connectors.evm.oracles import HEARTBEAT_S, PYTH_MAX_AGE_S, Aggregator, Pyth
from connectors.evm.rpc import Head, Rpc, node
from connectors.evm.tokens import BURNS, MINTS, ONE, Reader, Reading, Standard, moved, standard_of
from connectors.evm.tokens_identity import Expected, Identity, expected_of, identify, reader_for, shares_oracle
from connectors.instruments import Instrument, Role, UnitModel
from connectors.ports import Feed, FeedSetup, Finding, Option, Sink
from connectors.registry import load_registry

POLL_S: Final = 12.0
VERIFY_S: Final = 600.0
MAX_BLOCK_AGE_S: Final = 120.0
MAX_LOGS_BLOCKS: Final = 2_000
"""Providers bound how many blocks eth_getLogs may span; after a longer silence only the supply itself is told."""

MAX_RECOUNTS: Final = 5
"""So often mints and burns are asked for that do not make up the supply; then they stay unknown."""
SUPPLY_PART: Final = 10**9
"""Mints and burns are off by less than this part of the supply where a rebasing token rounds each of them."""

OPTIONS: Final[Mapping[str, Option]] = {
    "poll_s": float,
    "verify_s": float,
    "max_block_age_s": float,
    "heartbeat_s": float,
    "pyth": str,
    "pyth_max_age_s": float,
    "shares_oracle": str,
}
"""What `[venues.NAME] options` may say to this feed, and of what kind it is."""


def feed(setup: FeedSetup) -> Feed:
    """A feed of contracts."""
    return OnchainFeed(setup)


class OnchainFeed:
    """A Feed of MULTIPLIER and SUPPLY rows of tokens, and REFERENCE or QUOTE rows of oracles."""

    def __init__(self, setup: FeedSetup) -> None:
        """The symbol is the contract of a token (role token, with issuer and chain) or of a Chainlink aggregator, or
        the 64 hex digits of a Pyth feed, whose contract is the option `pyth`.

        Options: `poll_s` between looks, `verify_s` between looks at the code, `max_block_age_s` after which a node is
        late, `heartbeat_s` of the aggregators, `pyth_max_age_s` after which a price of Pyth is old, `shares_oracle`
        Ondo's oracle where the registry has none. Raises BadMessage for an instrument that is none of these.
        """
        self._setup = setup
        options = setup.options
        self._poll_s = float(options.get("poll_s", POLL_S))
        self._verify_s = float(options.get("verify_s", VERIFY_S))
        self._max_block_age_s = float(options.get("max_block_age_s", MAX_BLOCK_AGE_S))
        self._tokens = [_Token(setup, i) for i in setup.instruments if _is_token(i)]
        self._oracles = [_Oracle(setup, i) for i in setup.instruments if not _is_token(i)]
        self._chain_id: int | None = None
        self._last: Head | None = None
        self._verified_s = float("-inf")

    @property
    def venue(self) -> str:
        """Name of the venue that it asks."""
        return self._setup.venue

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it speaks about."""
        return self._setup.instruments

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Looks until cancelled. Raises EntitlementLost where no address of a node is given."""
        setup, mine = self._setup, tuple(numbers[i.name] for i in self._setup.instruments)
        everything: list[_Token | _Oracle] = [*self._tokens, *self._oracles]
        for one in everything:
            one.number = numbers[one.instrument.name]
        ends, backoff = Ends(sink, setup.venue, mine), of_stream(setup.rng)
        async with aiohttp.ClientSession() as session:
            rpc = node(setup, session, lambda body: sink.frame(setup.venue, body))
            while True:
                try:
                    await self._look(rpc, sink, ends)
                except ConnectorError as error:
                    ends.ended(error)
                    sink.against(mine, Why.NOT_HEARD)
                    await setup.sleep(REFUSED_S if isinstance(error, EntitlementLost) else backoff.next_s())
                else:
                    backoff.reset()
                    await setup.sleep(self._poll_s)

    async def probe(self) -> tuple[Finding, ...]:
        """The node, its chain, and whether every token is what the registry means."""
        async with aiohttp.ClientSession() as session:
            try:
                rpc = node(self._setup, session)
                self._chain_id = await rpc.chain_id()
                head = await rpc.head()
                age_s = self._setup.clock() / NS - head.timestamp_s
                found = [
                    Finding(what="reachable", ok=True, detail=f"chain {self._chain_id}, block {head.number}"),
                    Finding(what="latency", ok=age_s <= self._max_block_age_s, detail="age of the newest block",
                            value=age_s, unit="s"),
                ]  # fmt: skip
                for token in self._tokens:
                    problems = await token.verify(rpc, head, self._chain_id)
                    name = token.instrument.symbol
                    found.append(Finding(what="symbol", subject=name, ok=not problems, detail="; ".join(problems)))
                found += [await oracle.probe(rpc, head) for oracle in self._oracles]
            except ConnectorError as error:
                return (Finding(what="reachable", ok=False, detail=error.what, hint=error.hint),)
        return tuple(found)

    async def _look(self, rpc: Rpc, sink: Sink, ends: Ends) -> None:
        """One look at everything, at the newest block.

        Never at an older one than before, nor at another of the same height: a node that is behind would take a new
        multiplier back. What a reorg put in its place counts as soon as it is longer.
        """
        setup = self._setup
        if self._chain_id is None:
            self._chain_id = await rpc.chain_id()
        head, last = await rpc.head(), self._last
        if last is not None and (head.number < last.number or (head.number == last.number and head.hash != last.hash)):
            raise VenueUnreachable(f"block {head.number} again, after {last.number} was read", where=setup.venue)
        if setup.monotonic() - self._verified_s >= self._verify_s:
            self._chain_id = await rpc.chain_id()
            for token in self._tokens:
                await token.verify(rpc, head, self._chain_id)
            self._verified_s = setup.monotonic()
        good = [token for token in self._tokens if not token.problems and token.reader is not None]
        subjects: list[_Token | _Oracle] = [*good, *self._oracles]
        asked = [subject.calls() for subject in subjects]
        answers = iter(await rpc.calls([call for calls in asked for call in calls], head))
        moves = await self._moved(rpc, sink, head)
        ends.over()
        late = setup.clock() / NS - head.timestamp_s > self._max_block_age_s
        (sink.against if late else sink.cleared)([one.number for one in subjects], Why.LAGS)
        for token in self._tokens:
            if token not in good:
                token.refuse(sink)
        for subject, calls in zip(subjects, asked, strict=True):
            part = [next(answers) for _ in calls]
            try:
                if isinstance(subject, _Oracle):
                    subject.tell(sink, part, head, late=late)
                else:
                    subject.tell(sink, part, head, moves.get(subject.instrument.contract.lower()))
            except BadMessage as error:
                sink.reject(setup.venue, error.word, f"{subject.instrument.symbol}: {error}")
                sink.against((subject.number,), subject.unread)
        self._last = head

    async def _moved(self, rpc: Rpc, sink: Sink, head: Head) -> dict[str, tuple[int, int]]:
        """Raw units (minted, burnt) by contract in lower case, of each token since it was last counted; those of which
        that is not known are left out."""
        found: dict[str, tuple[int, int]] = {}
        for since in {token.counted for token in self._tokens if token.counted is not None}:
            if not 0 < head.number - since <= MAX_LOGS_BLOCKS:
                continue
            contracts = [token.instrument.contract for token in self._tokens if token.counted == since]
            try:
                minted, burnt = [moved(await rpc.logs(contracts, t, since + 1, head.number)) for t in (MINTS, BURNS)]
            except ConnectorError as error:
                sink.reject(self._setup.venue, error.word, f"mints and burns: {error}")
                continue
            found |= {name: (minted.get(name, 0), burnt.get(name, 0)) for name in map(str.lower, contracts)}
        return found


def _is_token(instrument: Instrument) -> bool:
    """Whether an instrument is a token's own contract; else it is an oracle's."""
    return instrument.role is Role.TOKEN and instrument.contract.lower() == instrument.symbol.lower()


class _Token:
    """One token: what must be true of it, and what was told last."""

    unread: Final = Why.IDENTITY

    def __init__(self, setup: FeedSetup, instrument: Instrument) -> None:
        """Raises BadMessage where nobody knows how its contract speaks."""
        self.instrument = instrument
        self.number = -1
        self.reader: Reader | None = None
        self.problems: tuple[str, ...] = ("not looked at yet",)
        self.expected: Expected = expected_of(instrument)
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
        self.counted: int | None = None
        """The block up to which mints and burns are told."""
        self._before: Reading | None = None
        """What was read at that block."""
        self._recounts = 0

    async def verify(self, rpc: Rpc, head: Head, chain_id: int) -> tuple[str, ...]:
        """Looks at the contract itself; gives what is wrong. What is not written of it is remembered from the first
        time, so that a change is seen. Raises VenueUnreachable and the like, as Rpc.ask."""
        try:
            found = await identify(rpc, self.instrument.contract, head, chain_id)
            self.problems = tuple(found.problems(self.expected))
            if not self.problems:
                self._remember(found)
                self.reader = await reader_for(
                    rpc, head, self.instrument.contract, self._standard, self._oracle, found.decimals
                )
        except BadMessage as error:
            self.problems = (str(error),)
        return self.problems

    def _remember(self, found: Identity) -> None:
        self.expected = replace(
            self.expected, chain_id=found.chain_id, code_hash=found.code_hash, decimals=found.decimals,
            symbol=found.symbol or "",
        )  # fmt: skip

    def calls(self) -> tuple[Call, ...]:
        """What to ask about it."""
        return self.reader.calls() if self.reader is not None else ()

    def refuse(self, sink: Sink) -> None:
        """It is not what it must be."""
        sink.reject(self.instrument.venue, "identity", f"{self.instrument.symbol}: {'; '.join(self.problems)}")
        sink.against((self.number,), Why.IDENTITY)
        self._told = self.counted = None

    def tell(self, sink: Sink, answers: Sequence[bytes | None], head: Head, moves: tuple[int, int] | None) -> None:
        """Tells what is new. Raises BadMessage where the answers cannot be read."""
        assert self.reader is not None
        now = self.reader.read(answers, head.timestamp_s)
        if (now.decimals, now.symbol) != (self.expected.decimals, self.expected.symbol):
            raise BadMessage(f"{now.decimals} decimals, symbol {now.symbol!a} now", where=self.instrument.symbol)
        me, ts = (self.number,), head.timestamp_s * NS
        sink.cleared(me, Why.IDENTITY)
        (sink.against if now.paused else sink.cleared)(me, Why.MAINTENANCE)
        sink.cleared(me, Why.NOT_HEARD)
        for value, activates_s in news(self._told, now, head.timestamp_s):
            sink.put(Kind.MULTIPLIER, self.number, ts_venue=ts, bid=value / ONE, ask=activates_s)
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


def news(told: Reading | None, now: Reading, now_s: int) -> Iterator[tuple[int, float]]:
    """What a MULTIPLIER row must say after `told`: (value, from when in unix seconds; NaN is now).

    A change that was announced and is no longer is taken back: at its moment the value will be what it is now.
    """
    if told is None or told.multiplier != now.multiplier:
        yield now.multiplier, NAN
    coming = (now.pending, now.activates_s)
    before = (None, None) if told is None else (told.pending, told.activates_s)
    if coming == before:
        return
    if before[1] is not None and before[1] > now_s and before[1] != now.activates_s:
        yield now.multiplier, float(before[1])
    if now.pending is not None and now.activates_s is not None:
        yield now.pending, float(now.activates_s)


class _Oracle:
    """One oracle: how it is read, how long its word holds, and which update was told last."""

    unread: Final = Why.NOT_HEARD

    def __init__(self, setup: FeedSetup, instrument: Instrument) -> None:
        """Raises BadMessage where the symbol is neither an address nor the id of a Pyth feed."""
        self.instrument = instrument
        self.number = -1
        symbol = instrument.symbol.lower()
        digits = len(symbol) - 2 if symbol.startswith("0x") and set(symbol[2:]) <= set("0123456789abcdef") else 0
        self._source: Aggregator | Pyth
        if digits == 40:
            self._source, default_s = Aggregator(symbol), HEARTBEAT_S
            self._max_age_s = float(setup.options.get("heartbeat_s", default_s))
        elif digits == 64 and setup.options.get("pyth"):
            self._source, default_s = Pyth(str(setup.options["pyth"]), symbol), PYTH_MAX_AGE_S
            self._max_age_s = float(setup.options.get("pyth_max_age_s", default_s))
        else:
            hint = "an oracle is 0x and 40 hex digits, or 64 of a Pyth feed with options = { pyth = ... }"
            raise BadMessage(f"{instrument.symbol} is neither a token's contract nor an oracle", hint=hint)
        self._updated_s = 0

    def calls(self) -> tuple[Call, ...]:
        """What to ask about it."""
        return self._source.calls()

    async def probe(self, rpc: Rpc, head: Head) -> Finding:
        """Whether there is such an oracle, what it says, and whether that is fresh."""
        name = self.instrument.symbol
        try:
            price = self._source.read(await rpc.calls(self.calls(), head))
        except BadMessage as error:
            return Finding(what="symbol", subject=name, ok=False, detail=str(error))
        age_s = head.timestamp_s - price.updated_s
        fresh = price.speaks_against(head.timestamp_s, self._max_age_s) is None
        detail = f"{price.price:g}, updated {age_s} s before the block"
        return Finding(what="symbol", subject=name, ok=fresh, detail=detail, hint="" if fresh else "it is stale now")

    def tell(self, sink: Sink, answers: Sequence[bytes | None], head: Head, *, late: bool) -> None:
        """Tells a new price; an old one is no print, and after its time it is late. Raises BadMessage."""
        price, me = self._source.read(answers), (self.number,)
        why = price.speaks_against(head.timestamp_s, self._max_age_s)
        for reason in (Why.LAGS, Why.CLOCK):
            if reason is why or (late and reason is Why.LAGS):
                sink.against(me, reason)
            else:
                sink.cleared(me, reason)
        sink.cleared(me, Why.NOT_HEARD)
        if price.updated_s != self._updated_s and why is None:
            self._updated_s = price.updated_s
            kind = Kind.QUOTE if self.instrument.role is Role.TOKEN else Kind.REFERENCE
            kind = Kind.FX if self.instrument.role is Role.COIN else kind
            sink.put(
                kind, self.number, ts_venue=price.updated_s * NS, bid=price.price - price.error,
                ask=price.price + price.error, flags=0 if price.error else Flag.ONE_PRICE,
            )  # fmt: skip
