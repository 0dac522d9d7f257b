"""The deployed contracts of each pool family as one kind of world to swap in, and random things to ask of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from connectors.amm import v3, v4
from connectors.amm.concentrated import RangePool
from connectors.amm.forks import FORKS
from connectors.amm.ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    max_liquidity_per_tick,
    sqrt_at,
    tick_at,
)
from tests.chain.parts import Parts
from tests.chain.revm import OWNER, Refused, Revm, signed, words

PLENTY = 1 << 250


class Told(NamedTuple):
    """What a Swap log says; deltas are those of the pool's balances."""

    deltas: tuple[int, int]
    sqrt_price: int
    liquidity: int
    tick: int


Quoter = Callable[[Any, bool, int, bool], int]
"""Pool, whether token 0 goes in, amount, whether it is an input: what comes out or goes in. Raises Refused."""


class World(Protocol):
    """A factory or manager on a chain."""

    def pool(self, random: Random) -> tuple[RangePool, Any]:
        """A new random pool without liquidity: ours, and how the chain knows it."""

    def move(self, pool: Any, lower: int, upper: int, amount: int) -> None:
        """Liquidity comes, or goes (negative). Raises Refused."""

    def swap(self, pool: Any, zero_for_one: bool, amount: int, limit: int, exact_in: bool) -> Told:
        """Swaps. Raises Refused."""

    def tick(self, pool: Any, tick: int) -> tuple[int, int]:
        """Gross and net liquidity that the chain keeps for a tick."""

    def word(self, pool: Any, word: int) -> int:
        """A word of the chain's bitmap of ticks."""

    def grown(self, pool: Any) -> list[int]:
        """Fees for a unit of liquidity, times 2**128: token 0, token 1."""

    def quoter(self) -> Quoter:
        """The deployed quoter."""


class V3World:
    """Uniswap v3 or PancakeSwap v3 with the pool's own bytecode."""

    def __init__(self, chain: Parts, fork: str) -> None:
        """Deploys factory, caller and two coins."""
        self.fork, self.revm = FORKS[fork], Revm(chain)
        self._coins = _coins(self.revm)
        self.name = "UniswapV3" if fork == "uniswap_v3" else "PancakeV3"
        if fork == "uniswap_v3":
            self.factory = self.revm.deploy("UniswapV3Factory")
        else:
            code = chain.artifact("PancakeV3Pool").bytecode
            self.factory = self.revm.deploy("PancakeV3Factory", self.revm.deploy("PancakePoolDeployer", code))
        self._caller = self.revm.deploy("PoolCaller")
        for coin in self._coins:
            self.revm.send("Coin", coin, "mint", self._caller, PLENTY)
        self._known: dict[int, int] = {}
        for fee, spacing in self.fork.spacings:
            self._enable(fee, spacing)
        self._used: set[int] = set()
        self._swap, self._mint, self._burn = (self.revm.selector("PoolCaller", f, 4) for f in ("swap", "mint", "burn"))

    def pool(self, random: Random) -> tuple[RangePool, str]:
        """One of the factory's own fees, or one that its owner adds."""
        fee, spacing = random.choice([*self._known.items()])
        if fee in self._used:
            fee = random.choice([0, random.randrange(10), random.randrange(100_000), random.randrange(1_000_000)])
            while fee in self._known:
                fee = random.randrange(1_000_000)
            spacing = random.choice([1, 10, *[60, 200, random.randrange(1, 16384)] * 4])
            self._enable(fee, spacing)
        self._used.add(fee)
        made = self.revm.send(f"{self.name}Factory", self.factory, "createPool", *self._coins, fee)
        price = random_price(random)
        self.revm.send(f"{self.name}Pool", made, "initialize", price)
        return v3.initialized(price, tick_at(price), fee_pips=fee, spacing=spacing, fork=self.fork), made

    def _enable(self, fee: int, spacing: int) -> None:
        factory = f"{self.name}Factory"
        has = self.revm.send(factory, self.factory, "feeAmountTickSpacing", fee)
        if not has:
            self.revm.send(factory, self.factory, "enableFeeAmount", fee, spacing)
        self._known[fee] = has or spacing

    def move(self, pool: str, lower: int, upper: int, amount: int) -> None:
        """Mints or burns."""
        call = self._mint if amount >= 0 else self._burn
        self.revm.write(self._caller, call + words(pool, lower, upper, abs(amount)))

    def swap(self, pool: str, zero_for_one: bool, amount: int, limit: int, exact_in: bool) -> Told:
        """An input is above zero, an output below."""
        self.revm.write(self._caller, self._swap + words(pool, zero_for_one, amount if exact_in else -amount, limit))
        zero, one, price, liquidity, tick, *_ = self.revm.log_of(pool)
        return Told((signed(zero), signed(one)), price, liquidity, signed(tick))

    def tick(self, pool: str, tick: int) -> tuple[int, int]:
        """Gross and net liquidity that the pool keeps for a tick."""
        gross, net, *_ = self.revm.send(f"{self.name}Pool", pool, "ticks", tick)
        return gross, net

    def grown(self, pool: str) -> list[int]:
        """Fees for a unit of liquidity, times 2**128: token 0, token 1."""
        return [int(self.revm.send(f"{self.name}Pool", pool, f"feeGrowthGlobal{n}X128")) for n in (0, 1)]

    def word(self, pool: str, word: int) -> int:
        """A word of the pool's bitmap."""
        return int(self.revm.send(f"{self.name}Pool", pool, "tickBitmap", word))

    def quoter(self) -> Quoter:
        """QuoterV2, which takes no limit for one of zero, and then refuses an output that it cannot get in full."""
        quoter = self.revm.deploy("QuoterV2", self.factory, OWNER)

        def quote(pool: str, zero_for_one: bool, amount: int, exact_in: bool) -> int:
            fee = self.revm.send(f"{self.name}Pool", pool, "fee")
            way = self._coins if zero_for_one else self._coins[::-1]
            function = "quoteExactInputSingle" if exact_in else "quoteExactOutputSingle"
            told = self.revm.send("QuoterV2", quoter, function, (*way, amount, fee, 0))
            return int(told[0])

        return quote


class V4World:
    """Uniswap v4: the manager, and the package's routers."""

    def __init__(self, chain: Parts) -> None:
        """Deploys manager, routers and two coins; we are who may set the protocol's fee."""
        self.revm = Revm(chain)
        self._coins = _coins(self.revm)
        self.manager = self.revm.deploy("PoolManager", OWNER)
        self.revm.send("PoolManager", self.manager, "setProtocolFeeController", OWNER)
        self._swaps = self.revm.deploy("PoolSwapTest", self.manager)
        self._view = self.revm.deploy("StateView", self.manager)
        self._moves = self.revm.deploy("PoolModifyLiquidityTest", self.manager)
        for coin in self._coins:
            self.revm.send("Coin", coin, "mint", OWNER, PLENTY)
            for spender in (self._swaps, self._moves):
                self.revm.send("Coin", coin, "approve", spender, (1 << 256) - 1)
        self._used: set[tuple[int, int]] = set()
        signature = "modifyLiquidity((address,address,uint24,int24,address),(int24,int24,int256,bytes32),bytes)"
        self._move = self.revm.selector("PoolModifyLiquidityTest", signature, 3)
        self._swap = self.revm.selector("PoolSwapTest", "swap", 4)

    def pool(self, random: Random) -> tuple[RangePool, bytes]:
        """Any static fee up to all, any spacing; every other one with a protocol fee."""
        chosen = None
        while chosen is None or chosen in self._used:
            fee = random.choice([0, 100, 500, 3000, random.randrange(100_000), random.randrange(1_000_001), 1_000_000])
            chosen = fee, random.choice([1, 10, *[60, 200, random.randrange(1, 32768)] * 4])
        self._used.add(chosen)
        key = (*self._coins, *chosen, v4.NO_HOOKS)
        price = random_price(random)
        self.revm.send("PoolManager", self.manager, "initialize", key, price)
        *_, tick = self.revm.log_of(self.manager)
        named = v4.PoolKey(currency0=self._coins[0], currency1=self._coins[1], fee=chosen[0], spacing=chosen[1])
        ours = v4.initialized(named, price, signed(tick))
        if random.random() < 0.5:
            packed = random.randrange(1001) << 12 | random.choice([0, random.randrange(1001)])
            self.revm.send("PoolManager", self.manager, "setProtocolFee", key, packed)
            ours = v4.after_protocol_fee(ours, packed)
        return ours, words(*key)

    def move(self, pool: bytes, lower: int, upper: int, amount: int) -> None:
        """One function for both ways."""
        self.revm.write(self._moves, self._move + pool + words(lower, upper, amount, 0, 10 * 32, 0))

    def swap(self, pool: bytes, zero_for_one: bool, amount: int, limit: int, exact_in: bool) -> Told:
        """An input is below zero, an output above; the log tells the trader's balances."""
        asked = words(zero_for_one, -amount if exact_in else amount, limit)
        self.revm.write(self._swaps, self._swap + pool + asked + words(0, 0, 11 * 32, 0))
        zero, one, price, liquidity, tick, _ = self.revm.log_of(self.manager)
        return Told((-signed(zero), -signed(one)), price, liquidity, signed(tick))

    def tick(self, pool: bytes, tick: int) -> tuple[int, int]:
        """Gross and net liquidity that the manager keeps for a tick."""
        gross, net = self.revm.send("StateView", self._view, "getTickLiquidity", keccak(pool), tick)
        return gross, net

    def grown(self, pool: bytes) -> list[int]:
        """Fees for a unit of liquidity, times 2**128: token 0, token 1."""
        return list(self.revm.send("StateView", self._view, "getFeeGrowthGlobals", keccak(pool)))

    def word(self, pool: bytes, word: int) -> int:
        """A word of the pool's bitmap."""
        return int(self.revm.send("StateView", self._view, "getTickBitmap", keccak(pool), word))

    def quoter(self) -> Quoter:
        """V4Quoter, which refuses what it cannot get in full."""
        quoter = self.revm.deploy("V4Quoter", self.manager)

        def quote(pool: bytes, zero_for_one: bool, amount: int, exact_in: bool) -> int:
            key = decode(["address", "address", "uint24", "int24", "address"], pool)
            function = "quoteExactInputSingle" if exact_in else "quoteExactOutputSingle"
            told = self.revm.send("V4Quoter", quoter, function, (key, zero_for_one, amount, b""))
            return int(told[0])

        return quote


def _coins(revm: Revm) -> list[str]:
    return sorted((revm.deploy("Coin", name, name, 18) for name in "AB"), key=lambda address: int(address, 16))


def random_price(random: Random) -> int:
    """Near one, anywhere, or at an end."""
    tick = random.choice(
        [0, random.randint(-1000, 1000), random.randint(MIN_TICK, MAX_TICK - 1), MIN_TICK, MAX_TICK - 1]
    )
    low, high = sqrt_at(tick), sqrt_at(tick + 1)
    return random.choice([low, random.randrange(low, high), high - 1])


def random_range(random: Random, tick: int, spacing: int) -> tuple[int, int]:
    """Two usable ticks: near the price, all of the range, or anywhere."""
    least, most = -(-MIN_TICK // spacing), MAX_TICK // spacing
    here = tick // spacing
    width = random.choice([1, random.randrange(1, 20), random.randrange(1, 2000), most - least])
    lower = random.choice([here, here - width, here - random.randrange(width + 1), random.randint(least, most)])
    lower = max(least, min(lower, most - 1))
    return lower * spacing, min(most, lower + width) * spacing


def random_liquidity(random: Random, spacing: int) -> int:
    """From 1 to what a tick may hold, even in its digits."""
    most = max_liquidity_per_tick(spacing)
    return max(1, min(most >> random.choice([0, 1, 3]), random.randrange(1 << random.randrange(1, 128))))


def random_amount(random: Random, pool: RangePool, zero_for_one: bool, exact_in: bool) -> int:
    """From 1 to all that can be asked for, even in its digits; or what ends on a stop, give or take one."""
    path = pool.path(zero_for_one)
    if random.random() < 0.2:
        path.grow(random.randrange(1, 30))
        amount = random.choice(path.spent if exact_in else path.given) + random.choice([-1, 0, 0, 1])
        if 0 < amount < 1 << 255:
            return amount
    return random.choice([1, (1 << 255) - 1, *(random.randrange(1, 1 << random.randrange(1, 200)) for _ in range(28))])


def random_limit(random: Random, pool: RangePool, zero_for_one: bool) -> int | None:
    """None, near, anywhere on the way, on a tick where a swap would stop; rarely behind the price or beyond all."""
    way = -1 if zero_for_one else 1
    match random.randrange(16):
        case 4:
            return pool.sqrt_price + way * random.randrange(1 << random.randrange(1, 90))
        case 5 if pool.ticks.order:
            return sqrt_at(random.choice(pool.ticks.order))
        case 6:
            unit = 256 * pool.ticks.spacing
            there = (pool.tick // unit + random.randint(-2, 2)) * unit
            return sqrt_at(max(MIN_TICK, min(there, MAX_TICK)))
        case 7:
            return sqrt_at(max(MIN_TICK, min(pool.tick + way * random.randrange(1, 5000), MAX_TICK)))
        case 8:
            ends = (MIN_SQRT_PRICE, MAX_SQRT_PRICE, MIN_SQRT_PRICE + 1, MAX_SQRT_PRICE - 1, 0)
            return random.choice([pool.sqrt_price, *ends])
        case 9:
            return random.randrange(MIN_SQRT_PRICE, MAX_SQRT_PRICE) >> random.randrange(1, 120)
    if pool.ticks.spacing < 60 and random.random() < 0.95:
        # A walk over thousands of empty words, one like the other, takes the contract its time.
        return sqrt_at(max(MIN_TICK, min(pool.tick + way * 5000 * pool.ticks.spacing, MAX_TICK)))
    return None


class V2World:
    """One Uniswap v2 pair whose reserves are set at will, and the router's own arithmetic beside it."""

    def __init__(self, chain: Parts) -> None:
        """Deploys factory, pair, router and two coins."""
        self.revm = Revm(chain)
        self._coins = _coins(self.revm)
        factory = self.revm.deploy("UniswapV2Factory", OWNER)
        self._router = self.revm.deploy("UniswapV2Router02", factory, self.revm.deploy("WETH9"))
        self._pair = self.revm.send("UniswapV2Factory", factory, "createPair", *self._coins)
        self._give = self.revm.selector("Coin", "mint", 2)
        self._take = self.revm.selector("Coin", "burn", 2)
        self._sync = self.revm.selector("UniswapV2Pair", "sync", 0)
        self._swap = self.revm.selector("UniswapV2Pair", "swap", 4)
        self._quotes = [self.revm.selector("UniswapV2Router02", f, 3) for f in ("getAmountOut", "getAmountIn")]
        self._reserves = [0, 0]

    def hold(self, *reserves: int) -> None:
        """Makes the pair hold so much."""
        for coin, before, wanted in zip(self._coins, self._reserves, reserves, strict=True):
            call = self._give if wanted >= before else self._take
            self.revm.write(coin, call + words(self._pair, abs(wanted - before)))
        self.revm.write(self._pair, self._sync)
        self._reserves = self.revm.log_of(self._pair)

    def router(self, amount: int, reserve_in: int, reserve_out: int, exact_in: bool) -> int:
        """What the router's library says. Raises Refused."""
        call = self._quotes[0 if exact_in else 1]
        return int.from_bytes(self.revm.write(self._router, call + words(amount, reserve_in, reserve_out)))

    def swap(self, zero_for_one: bool, paid: int, wanted: int) -> tuple[int, int]:
        """Pays, swaps, and tells the reserves after it. Raises Refused, and the pair holds what it held."""
        coin = self._coins[0 if zero_for_one else 1]
        self.revm.write(coin, self._give + words(self._pair, paid))
        out = (0, wanted) if zero_for_one else (wanted, 0)
        try:
            self.revm.write(self._pair, self._swap + words(*out, OWNER, 4 * 32, 0))
        except Refused:
            self.revm.write(coin, self._take + words(self._pair, paid))
            raise
        moved = (paid, -wanted) if zero_for_one else (-wanted, paid)
        self._reserves = [before + move for before, move in zip(self._reserves, moved, strict=True)]
        self.revm.write(self._pair, self._sync)
        zero, one = self.revm.log_of(self._pair)
        return zero, one
