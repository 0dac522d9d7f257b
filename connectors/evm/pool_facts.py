"""Whether a pool is the one that is meant, and what does not change about it: read at the start, and again and again.

A contract's own word proves nothing: anybody may deploy one that answers like a pool. What proves it is that the
factory that we know (of v4 the PoolManager, under the hash of the pool's key) lists this address for the two contracts
that it must hold: the token's, and that of the coin which the instrument is quoted in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Final

from connectors.amm.forks import Family
from connectors.errors import BadMessage, Reverted
from connectors.evm.abi import Call, Method, text_of
from connectors.evm.pool_spec import PoolSpec
from connectors.evm.rpc import Head, Rpc
from connectors.evm.rpcs import read_at
from connectors.evm.tokens import DECIMALS, NOBODY, SYMBOL
from connectors.evm.tokens_identity import code_of

Read = Callable[[Sequence[Call]], Awaitable[list[bytes | None]]]
"""Asks contracts, all at one block."""

NATIVE: Final = NOBODY
"""The chain's own coin, in the key of a v4 pool."""
NATIVE_DECIMALS: Final = 18

_TOKEN0, _TOKEN1 = Method("token0", gives=("address",)), Method("token1", gives=("address",))
_FACTORY: Final = Method("factory", gives=("address",))
_MANAGER: Final = Method("poolManager", gives=("address",))
_SPACING: Final = Method("tickSpacing", gives=("int24",))
_FEE: Final = Method("fee", gives=("uint24",))
_PAIR: Final = Method("getPair", ("address", "address"), ("address",))
_POOL: Final = Method("getPool", ("address", "address", "uint24"), ("address",))
_POOL_OF_SPACING: Final = Method("getPool", ("address", "address", "int24"), ("address",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What does not change about a pool."""

    spec: PoolSpec
    base: int
    """Which of its tokens is ours: 0 or 1."""
    decimals: tuple[int, int]
    symbols: tuple[str, str] = ("", "")
    """What its two contracts call themselves; empty where one does not say."""
    spacing: int = 0

    def changes(self, now: Facts) -> str:
        """What is no longer as it was, in words; empty where all is."""
        for what in ("base", "decimals", "symbols", "spacing"):
            if getattr(self, what) != getattr(now, what):
                return f"{what} {getattr(now, what)!a}, which were {getattr(self, what)!a}"
        return ""


@dataclass(slots=True)
class _Look:
    """One pool while it is looked at."""

    spec: PoolSpec
    pair: tuple[str, str] = ("", "")
    spacing: int = 0
    fee: int = 0

    def wrong(self, what: str, hint: str = "") -> BadMessage:
        return BadMessage(what, where=self.spec.instrument.name, hint=hint)

    def named(self, error: BadMessage) -> BadMessage:
        return error if error.where == self.spec.instrument.name else self.wrong(str(error))

    def first(self) -> list[Call]:
        """What the pool says of itself; of v4 what the StateView reads."""
        spec = self.spec
        if spec.key is not None:
            return [_MANAGER.call(spec.view)]
        more = () if spec.fork.family is Family.V2 else (_SPACING, _FEE)
        return [method.call(spec.pool) for method in (_FACTORY, _TOKEN0, _TOKEN1, *more)]

    def take_first(self, answers: Sequence[bytes | None]) -> None:
        """Raises BadMessage where it is not what is meant."""
        spec = self.spec
        fork, quote, chain = spec.fork.key, spec.instrument.quote, spec.instrument.chain
        if not spec.coin:
            hint = f'write options = {{ coins = "{quote} 0x..." }}'
            raise self.wrong(f"the contract of {quote} on {chain} is not known", hint)
        if not spec.factory:
            hint = f'write options = {{ factories = "{fork} 0x..." }}'
            raise self.wrong(f"the factory of {fork} on {chain} is not known", hint)
        maker = str((_MANAGER if spec.key is not None else _FACTORY).one(answers[0])).lower()
        if maker != spec.factory:
            raise self.wrong(f"it names {maker} as its factory, {fork} has {spec.factory}")
        if spec.key is not None:
            self.pair, self.spacing = (spec.key.currency0, spec.key.currency1), spec.key.spacing
        else:
            self.pair = str(_TOKEN0.one(answers[1])).lower(), str(_TOKEN1.one(answers[2])).lower()
        if spec.token not in self.pair:
            raise self.wrong(f"this pool does not hold the token {spec.token}")
        other = self.pair[1 - self.pair.index(spec.token)]
        if other != spec.coin:
            raise self.wrong(f"its other side is {other}, {quote} is {spec.coin}")
        if spec.fork.family is Family.V3:
            self.spacing, self.fee = int(_SPACING.one(answers[3])), int(_FEE.one(answers[4]))
        if spec.fork.family is not Family.V2 and self.spacing <= 0:
            raise self.wrong(f"a tick spacing of {self.spacing}")

    def second(self) -> list[Call]:
        """What its contracts say of themselves, and what the factory says of the pool."""
        asked = [method.call(side) for side in self.pair for method in (DECIMALS, SYMBOL)]
        return asked if self.spec.key is not None else [*asked, self._listed()]

    def _listed(self) -> Call:
        factory, (one, two) = self.spec.factory, self.pair
        if self.spec.fork.family is Family.V2:
            return _PAIR.call(factory, one, two)
        if self.spec.fork.fee_follows_spacing:
            return _POOL_OF_SPACING.call(factory, one, two, self.spacing)
        return _POOL.call(factory, one, two, self.fee)

    def take_second(self, answers: Sequence[bytes | None]) -> Facts:
        """Raises BadMessage where it is not what is meant."""
        spec, base = self.spec, self.pair.index(self.spec.token)
        if spec.key is None:
            method: Method = _PAIR if spec.fork.family is Family.V2 else _POOL
            listed = str(method.one(answers[4])).lower()
            if listed != spec.pool:
                said = "does not know it" if listed == NOBODY else f"has {listed} for these two and this fee"
                raise self.wrong(f"the factory of {spec.fork.key} {said}")
        decimals = [
            NATIVE_DECIMALS if side == NATIVE else int(DECIMALS.one(answers[2 * at]))
            for at, side in enumerate(self.pair)
        ]
        if spec.decimals not in (None, decimals[base]):
            raise self.wrong(f"its token has {decimals[base]} decimals, not {spec.decimals}")
        return Facts(
            spec=spec, base=base, decimals=(decimals[0], decimals[1]),
            symbols=(_text(answers[1]), _text(answers[3])), spacing=self.spacing,
        )  # fmt: skip


async def read_facts(read: Read, specs: Sequence[PoolSpec]) -> dict[str, Facts | BadMessage]:
    """What does not change about pools, by pool; BadMessage where one is not what is meant. Raises as `read`.

    All are asked at once, and those that seem wrong once more alone: a contract that uses up all gas takes the answers
    of those beside it away.
    """
    try:
        found = await _read_facts(read, specs)
    except Reverted as error:
        found = {spec.pool: _Look(spec).wrong(str(error)) for spec in specs}
    if len(specs) > 1:
        for spec in specs:
            if not isinstance(found[spec.pool], Facts):
                found |= await read_facts(read, [spec])
    return found


async def _read_facts(read: Read, specs: Sequence[PoolSpec]) -> dict[str, Facts | BadMessage]:
    """The same at once. Raises Reverted too."""
    looks = {spec.pool: _Look(spec) for spec in specs}
    found: dict[str, Facts | BadMessage] = {}
    for pool, answers in _dealt(looks, await read([c for look in looks.values() for c in look.first()]), _Look.first):
        try:
            looks[pool].take_first(answers)
        except BadMessage as error:
            found[pool] = looks[pool].named(error)
    good = {pool: look for pool, look in looks.items() if pool not in found}
    for pool, answers in _dealt(good, await read([c for look in good.values() for c in look.second()]), _Look.second):
        try:
            found[pool] = looks[pool].take_second(answers)
        except BadMessage as error:
            found[pool] = looks[pool].named(error)
    return found


def _dealt(
    looks: dict[str, _Look], answers: Sequence[bytes | None], asked: Callable[[_Look], list[Call]]
) -> Iterator[tuple[str, list[bytes | None]]]:
    rest = iter(answers)
    for pool, look in looks.items():
        yield pool, [next(rest) for _ in asked(look)]


def _text(answer: bytes | None) -> str:
    try:
        return text_of(answer)
    except BadMessage:
        return ""


class Identities:
    """Which pools are what is meant, look by look."""

    def __init__(self, specs: Sequence[PoolSpec]) -> None:
        """Nothing is known before the first look."""
        self.specs = {spec.pool: spec for spec in specs}
        self.known: dict[str, Facts] = {}
        """Of those that were what is meant at the last look."""
        self.wrong: dict[str, str] = {}
        """Why the others are not."""
        self._first: dict[str, Facts] = {}
        self._code: dict[str, str] = {}
        """Of each contract whose code is pinned: what it ran when it was last looked at."""
        self._turns = cycle(dict.fromkeys(contract for spec in specs for contract in spec.code))

    async def look(self, rpc: Rpc, head: Head) -> None:
        """Looks at all of them at a block; what was read first of a pool must not change in this run. Of pinned code
        all is read at the first look, then one contract at each, since that takes calls of its own.

        Raises as Rpc.ask.
        """
        found = await read_facts(partial(read_at, rpc, head=head), tuple(self.specs.values()))
        lacking = {contract for spec in self.specs.values() for contract in spec.code} - self._code.keys()
        for contract in lacking or {next(self._turns, "")} - {""}:
            self._code[contract] = (await code_of(rpc, contract, head))[0]
        for pool, fact in found.items():
            why = self._why_not(self.specs[pool], fact)
            if why or not isinstance(fact, Facts):
                self.known.pop(pool, None)
                self.wrong[pool] = why
            else:
                self.wrong.pop(pool, None)
                self.known[pool] = fact

    def _why_not(self, spec: PoolSpec, found: Facts | BadMessage) -> str:
        """Why a pool is not what is meant; empty where it is."""
        if not isinstance(found, Facts):
            return str(found)
        why = self._first.setdefault(spec.pool, found).changes(found)
        for contract, pin in spec.code.items():
            runs = self._code[contract]
            if runs != pin:
                why = f"{contract} runs {runs or 'no code'}, pinned is {pin}"
        return str(BadMessage(why, where=spec.instrument.name)) if why else ""
