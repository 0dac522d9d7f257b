"""A Feed that asks contracts of one chain, all at one block: what tokens are worth in shares, what oracles say.

Each look takes one batch of reads at the newest block that the nodes share. Of a token it tells the multiplier in force
and the one that is to come, supply with what was minted and burnt, and a pause (PAUSED); of an oracle each new
price. A contract that is not, or no longer, what the registry means (IDENTITY) tells nothing, nor does one of which
nodes say different things (DISAGREES).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from connectors.backoff import REFUSED_S, of_stream
from connectors.ends import Ends
from connectors.errors import BadMessage, ConnectorError, EntitlementLost, NodesBehind, NodesDisagree
from connectors.events import NS, Why
from connectors.evm.agreement import Agreement
from connectors.evm.oracles_tell import OracleTeller
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import CALLS_PER_S, LAG_BLOCKS, nodes
from connectors.evm.tokens import BURNS, MINTS, moved
from connectors.evm.tokens_tell import MAX_LOGS_BLOCKS, Found, TokenTeller
from connectors.instruments import Instrument, Role
from connectors.ports import Feed, FeedSetup, Finding, Option, Sink

POLL_S: Final = 12.0
VERIFY_S: Final = 600.0
MAX_BLOCK_AGE_S: Final = 120.0
PATIENCE_S: Final = 5.0
"""A node that asks for more is not waited for: there may be another one."""

OPTIONS: Final[Mapping[str, Option]] = {
    "poll_s": float,
    "verify_s": float,
    "max_block_age_s": float,
    "quorum": float,
    "lag_blocks": float,
    "calls_per_s": float,
    "heartbeat_s": float,
    "sequencer": str,
    "restart_s": float,
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

        Addresses of nodes: `url` of the config or, where they hold keys, of the key file; several with spaces between
        them. Options: `quorum` of nodes that must say the same of a block that they share (by default one; where nodes
        say different things, more than half of them in any case), `lag_blocks` after which one is behind, `calls_per_s`
        to each; `poll_s` between looks, `verify_s` between looks at the code, `max_block_age_s` after which the chain
        is late; `heartbeat_s` of the aggregators, `sequencer` the uptime feed of the chain's, `restart_s` for which
        nothing is believed after that one came back; `pyth_max_age_s` after which a price of Pyth is old,
        `shares_oracle` Ondo's oracle where the registry has none. Raises BadMessage for an instrument that is none of
        these.
        """
        self._setup = setup
        options = setup.options
        self._poll_s = float(options.get("poll_s", POLL_S))
        self._verify_s = float(options.get("verify_s", VERIFY_S))
        self._max_block_age_s = float(options.get("max_block_age_s", MAX_BLOCK_AGE_S))
        self._tokens = [TokenTeller(setup, i) for i in setup.instruments if _is_token(i)]
        self._oracles = [OracleTeller(setup, i) for i in setup.instruments if not _is_token(i)]
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
        everything: list[TokenTeller | OracleTeller] = [*self._tokens, *self._oracles]
        for one in everything:
            one.number = numbers[one.instrument.name]
        ends, backoff = Ends(sink, setup.venue, mine), of_stream(setup.rng)
        async with aiohttp.ClientSession() as session:
            nodes_ = self._nodes(
                session, lambda word, detail: sink.reject(setup.venue, word, detail),
                lambda body: sink.frame(setup.venue, body),
            )  # fmt: skip
            while True:
                try:
                    await self._look(nodes_, sink, ends)
                except ConnectorError as error:
                    ends.ended(error)
                    if not isinstance(error, NodesBehind | NodesDisagree):
                        sink.against(mine, Why.NOT_HEARD)
                    await setup.sleep(REFUSED_S if isinstance(error, EntitlementLost) else backoff.next_s())
                else:
                    backoff.reset()
                    await setup.sleep(self._poll_s)

    async def probe(self) -> tuple[Finding, ...]:
        """The nodes, their chain, and whether every token is what the registry means."""
        away: list[Finding] = []
        calls = [call for oracle in self._oracles for call in oracle.calls()]

        async def read(rpc: Rpc) -> list[list[bytes | None]]:
            return [await rpc.calls(calls, head)]

        async with aiohttp.ClientSession() as session:
            try:
                nodes_ = self._nodes(
                    session, lambda word, detail: away.append(Finding(what=word, ok=False, detail=detail))
                )
                head = await nodes_.block()
                found = await self._find(nodes_, head)
                chain_id = await nodes_.first(lambda rpc: rpc.chain_id())
                (answers,) = await nodes_.said(read) if calls else [None]
            except ConnectorError as error:
                return (Finding(what="reachable", ok=False, detail=error.what, hint=error.hint), *away)
        age_s = self._setup.clock() / NS - head.timestamp_s
        findings = [
            Finding(what="reachable", ok=True, detail=f"chain {chain_id}, block {head.number}"),
            Finding(what="latency", ok=age_s <= self._max_block_age_s, detail="age of the newest block",
                    value=age_s, unit="s"),
            *away,
        ]  # fmt: skip
        for token, one in zip(self._tokens, found, strict=True):
            if one is not None:
                token.judge(one)
            problems = ("the nodes disagree",) if one is None else token.problems
            name = token.instrument.symbol
            findings.append(Finding(what="symbol", subject=name, ok=not problems, detail="; ".join(problems)))
        rest = iter(answers or [None] * len(calls))
        findings += [oracle.finding([next(rest) for _ in oracle.calls()], head) for oracle in self._oracles]
        return tuple(findings)

    def _nodes(
        self,
        session: aiohttp.ClientSession,
        told: Callable[[str, str], None],
        frame: Callable[[bytes], None] = lambda _: None,
    ) -> Agreement:
        """Raises EntitlementLost where no address is given."""
        options = self._setup.options
        lag, rate = int(options.get("lag_blocks", LAG_BLOCKS)), int(options.get("calls_per_s", CALLS_PER_S))
        rpcs = nodes(self._setup, session, lag, rate, frame, PATIENCE_S)
        return Agreement(rpcs, max(1, int(options.get("quorum", 1))), told)

    async def _find(self, nodes_: Agreement, head: Head) -> list[Found | None]:
        """What stands at the address of each token; None where the nodes disagree on that."""

        async def find(rpc: Rpc) -> list[Found]:
            chain_id = await rpc.chain_id()
            return [await token.find(rpc, head, chain_id) for token in self._tokens]

        return await nodes_.said(find)

    async def _look(self, nodes_: Agreement, sink: Sink, ends: Ends) -> None:
        """One look at everything, at one block."""
        setup, disputed = self._setup, set[int]()
        head = await nodes_.block(self._last)
        if setup.monotonic() - self._verified_s >= self._verify_s:
            for token, found in zip(self._tokens, await self._find(nodes_, head), strict=True):
                if found is None:
                    disputed.add(token.number)
                else:
                    token.judge(found)
            self._verified_s = float("-inf") if disputed else setup.monotonic()
        everything: list[TokenTeller | OracleTeller] = [*self._tokens, *self._oracles]
        subjects = [one for one in everything if one.calls() and one.number not in disputed]
        asked = [subject.calls() for subject in subjects]

        async def read(rpc: Rpc) -> list[list[bytes | None]]:
            answers = iter(await rpc.calls([call for calls in asked for call in calls], head))
            return [[next(answers) for _ in calls] for calls in asked]

        said = await nodes_.said(read)
        moves = await self._moved(nodes_, sink, head)
        ends.over()
        late = setup.clock() / NS - head.timestamp_s > self._max_block_age_s
        (sink.against if late else sink.cleared)([one.number for one in subjects], Why.LAGS)
        for token in self._tokens:
            if token.problems and token.number not in disputed:
                token.refuse(sink)
        disputed |= {subject.number for subject, part in zip(subjects, said, strict=True) if part is None}
        sink.against(sorted(disputed), Why.DISAGREES)
        sink.cleared([one.number for one in everything if one.number not in disputed], Why.DISAGREES)
        for subject, part in zip(subjects, said, strict=True):
            if part is None:
                continue
            try:
                if isinstance(subject, OracleTeller):
                    subject.tell(sink, part, head, late=late)
                else:
                    subject.tell(sink, part, head, moves.get(subject.instrument.contract.lower()))
            except BadMessage as error:
                sink.reject(setup.venue, error.word, f"{subject.instrument.symbol}: {error}")
                sink.against((subject.number,), subject.unread)
        self._last = head

    async def _moved(self, nodes_: Agreement, sink: Sink, head: Head) -> dict[str, tuple[int, int]]:
        """Raw units (minted, burnt) by contract in lower case, of each token since it was last counted; those of which
        that is not known are left out."""
        found: dict[str, tuple[int, int]] = {}
        for since in {token.counted for token in self._tokens if token.counted is not None}:
            if not 0 < head.number - since <= MAX_LOGS_BLOCKS:
                continue
            contracts = [token.instrument.contract for token in self._tokens if token.counted == since]

            async def count(
                rpc: Rpc, contracts: list[str] = contracts, since: int = since
            ) -> tuple[dict[str, int], dict[str, int]]:
                made, gone = [await rpc.logs(contracts, t, since + 1, head.number) for t in (MINTS, BURNS)]
                return moved(made), moved(gone)

            try:
                minted, burnt = await nodes_.first(count)
            except ConnectorError as error:
                sink.reject(self._setup.venue, error.word, f"mints and burns: {error}")
                continue
            found |= {name: (minted.get(name, 0), burnt.get(name, 0)) for name in map(str.lower, contracts)}
        return found


def _is_token(instrument: Instrument) -> bool:
    """Whether an instrument is a token's own contract; else it is an oracle's."""
    return instrument.role is Role.TOKEN and instrument.contract.lower() == instrument.symbol.lower()
