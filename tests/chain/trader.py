"""Somebody who swaps on a node: a pool of a stock against a dollar coin, a wallet with both, and an executor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from math import isqrt
from typing import Any, Final

import aiohttp
import msgspec
import numpy as np
from eth_utils.crypto import keccak

from bot.clock import wall_ns
from connectors.amm.forks import Family
from connectors.evm.data_fees import PRICE_ORACLE, Habit, Publishing
from connectors.evm.executor import SwapExecutor
from connectors.evm.fees import Caps
from connectors.evm.keys import KeySigner, Policy
from connectors.evm.node import Agreed, Node, alone
from connectors.evm.rpc import Rpc
from connectors.evm.swap import CALLS, Coin, Contract, Route
from connectors.evm.tasks import Record, Signing, Terms
from connectors.evm.wallet import Wallet
from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Approved, Intent, Leg, Report, Side
from connectors.poll import Poll
from strategies.execution.ledger import Ledger
from tests.chain.exchanges import PERMIT2, V2, V3, deploy_universal_router, deploy_v2, deploy_v3, deploy_v4
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed
from tests.servers.heard import no_wait

KEY: Final = bytes.fromhex("5a" * 32)
PRICE: Final = 250
"""Dollars per stock, in every pool here."""
STOCK: Final = 10**18
DOLLAR: Final = 10**6
GWEI: Final = 10**9
FEE: Final = 3_000
SPACING: Final = 60
UNIVERSE: Final = Universe(
    tuple(
        Instrument(venue="pool", symbol=symbol, role=Role.TOKEN, underlying="TSLA", quote="USDC")
        for symbol in ("TSLAx/USDC", "TSLAon/USDC")
    )
)
CAPS: Final = Caps(max_fee_wei=100 * GWEI, max_priority_wei=3 * GWEI, max_cost_usd=Decimal(5))


class Kept:
    """Records in memory: durable at once, or not before a test says so."""

    def __init__(self) -> None:
        """Empty."""
        self.payloads: list[bytes] = []
        self.kinds: list[str] = []

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Takes one record."""
        self.payloads.append(payload)
        self.kinds.append(kind)
        return len(self.payloads)

    async def wait(self, seq: int) -> None:
        """It is durable."""


@dataclass
class Pit:
    """A pool on a node, and how its instrument is swapped."""

    node: Anvil
    family: Family
    token: Deployed
    coin: Deployed
    router: Deployed
    pool: Deployed
    route: Route
    swap: Callable[[Side, int], Awaitable[Any]]
    """Somebody else buys or sells so many smallest units of the token, without a limit."""


async def code_hash(node: Anvil, address: str) -> str:
    """Of the code at an address."""
    return "0x" + keccak(bytes.fromhex((await node.rpc("eth_getCode", address, "latest"))[2:])).hex()


async def price_oracle(chain: Parts, node: Anvil) -> Deployed:
    """What tells on a chain of the OP stack what publishing costs, where those have it; nothing at first."""
    await node.put(PRICE_ORACLE, chain.artifact("DataFeeOracle"))
    return Deployed(node, chain.artifact("DataFeeOracle"), PRICE_ORACLE)


async def pit(chain: Parts, node: Anvil, family: Family = Family.V3, *, stock: Deployed | None = None) -> Pit:
    """A pool with 4,000 stocks and a million dollars at 250 dollars a stock, all on a node that mines at once."""
    token = stock or await node.deploy(chain.artifact("HostileStock"), "Tesla xStock", "TSLAx", 18)
    coin = await node.deploy(chain.artifact("Coin"), "USD Coin", "USDC", 6)
    for one, amount in ((token, 10**9 * STOCK), (coin, 10**12 * DOLLAR)):
        await one.write("mint", node.accounts[0], amount)
    first, second = sorted((token, coin), key=lambda one: int(one.address, 16))
    worth = {token.address: STOCK, coin.address: PRICE * DOLLAR}
    if family is Family.V4:
        return await _pit_v4(chain, node, token, coin)
    exchange: V2 | V3
    if family is Family.V2:
        exchange = await deploy_v2(chain, node)
        amounts = {token.address: 4_000 * STOCK, coin.address: 10**6 * DOLLAR}
        pool = await exchange.pair(first, second, amounts[first.address], amounts[second.address])
    else:
        exchange = await deploy_v3(chain, node)
        sqrt_price = isqrt((worth[second.address] << 192) // worth[first.address])
        pool = await exchange.pool(first, second, FEE, sqrt_price_x96=sqrt_price)
        # The geometric mean of both sides of a pool over all prices is its liquidity.
        await exchange.mint(pool, -887_220, 887_220, isqrt(4_000 * STOCK * 10**6 * DOLLAR))
    router = exchange.router
    for one in (token, coin):
        await one.write("approve", router.address, 2**256 - 1)

    async def swap(side: Side, units: int) -> Any:
        path = [coin.address, token.address] if side is Side.BUY else [token.address, coin.address]
        plenty, me, later = 10**30, node.accounts[0], 2**40
        if family is Family.V2:
            if side is Side.BUY:
                return await router.write("swapTokensForExactTokens", units, plenty, path, me, later)
            return await router.write("swapExactTokensForTokens", units, 0, path, me, later)
        name, bound = ("exactOutputSingle", plenty) if side is Side.BUY else ("exactInputSingle", 0)
        return await router.write(name, (*path, FEE, me, later, units, bound, 0))

    route = Route(
        family=family,
        router=Contract(address=router.address, code_hash=await code_hash(node, router.address)),
        pool=Contract(address=pool.address, code_hash=await code_hash(node, pool.address)),
        token=Coin(address=token.address, decimals=18, code_hash=await code_hash(node, token.address)),
        coin=Coin(address=coin.address, decimals=6, code_hash=await code_hash(node, coin.address)),
        fee=FEE,
    )
    return Pit(node, family, token, coin, router, pool, route, swap)


async def _pit_v4(chain: Parts, node: Anvil, token: Deployed, coin: Deployed) -> Pit:
    """The same in a v4 pool, which UniversalRouter swaps in."""
    v4 = await deploy_v4(chain, node)
    router = await deploy_universal_router(chain, node, v4)
    first, second = sorted((token, coin), key=lambda one: int(one.address, 16))
    worth = {token.address: STOCK, coin.address: PRICE * DOLLAR}
    sqrt_price = isqrt((worth[second.address] << 192) // worth[first.address])
    key = await v4.pool(first, second, FEE, SPACING, sqrt_price_x96=sqrt_price)
    await v4.mint(key, -887_220, 887_220, isqrt(4_000 * STOCK * 10**6 * DOLLAR))

    async def swap(side: Side, units: int) -> Any:
        buys = side is Side.BUY
        return await v4.swap(key, (first is coin) == buys, units if buys else -units)

    async def contract(address: str) -> Contract:
        return Contract(address=address, code_hash=await code_hash(node, address))

    route = Route(
        family=Family.V4,
        router=await contract(router.address),
        pool=await contract(v4.manager.address),
        token=Coin(address=token.address, decimals=18, code_hash=await code_hash(node, token.address)),
        coin=Coin(address=coin.address, decimals=6, code_hash=await code_hash(node, coin.address)),
        fee=FEE,
        spacing=SPACING,
        permit=await contract(PERMIT2),
    )
    return Pit(node, Family.V4, token, coin, router, v4.manager, route, swap)


@dataclass
class Trader:
    """An executor with a wallet, and what it told."""

    pit: Pit
    wallet: Wallet
    executor: SwapExecutor
    rpc: Rpc
    records: Kept
    reports: list[Report] = field(default_factory=list)
    ledger: Ledger = field(default_factory=lambda: Ledger(UNIVERSE))
    at_ns: int = 0
    native_usd: Decimal | None = Decimal(2_000)

    @property
    def address(self) -> str:
        """Of the wallet."""
        return self.wallet.address

    def tell(self, report: Report) -> None:
        """Takes a report and books it."""
        self.reports.append(report)
        self.ledger.take(report, seen=Decimal(PRICE))

    def told(self, name: str) -> list[Any]:
        """One field of all reports."""
        return [getattr(report, name) for report in self.reports]

    def order(
        self, side: Side, quantity: str, limit: str, *, id: str = "one", edge_bps: float = 100.0, for_s: int = 600
    ) -> Leg:
        """Submits an order with one leg."""
        leg = Leg(
            instrument=0, side=side, quantity=Decimal(quantity), limit=Decimal(limit), seen=Decimal(PRICE)
        )  # fmt: skip
        intent = Intent(
            id=id, strategy="test", legs=(leg,), reason="", edge_bps=edge_bps,
            notional_usd=leg.quantity * PRICE, deadline_ns=self.at_ns + for_s * 10**9,
        )  # fmt: skip
        assert self.executor.submit(Approved(intent), self.at_ns) == ()
        return leg

    async def ticks(self, count: int = 1) -> None:
        """Lets the executor do what there is to do, and a node that mines at once do so."""
        for _ in range(count):
            await self.executor.tick()
            await self.mined()

    async def mined(self) -> None:
        """Returns when a node that mines at once has mined what it knows of ours: it answers a little earlier."""
        rpc = self.pit.node.rpc
        if not await rpc("anvil_getAutomine"):
            return
        for slot in self.wallet.nonces.open():
            while slot.waiting and await rpc("eth_getTransactionByHash", slot.hashes[-1]):
                receipt = await rpc("eth_getTransactionReceipt", slot.hashes[-1])
                # The node tells a receipt a moment before it tells its block.
                if receipt and int(receipt["blockNumber"], 16) <= await self.pit.node.block():
                    break

    async def balances(self) -> tuple[int, int]:
        """Smallest units of token and coin in the wallet."""
        token, coin = self.pit.token, self.pit.coin
        return await token.read("balanceOf", self.address), await coin.read("balanceOf", self.address)

    async def count(self) -> int:
        """Transactions of the wallet."""
        return int(await self.pit.node.rpc("eth_getTransactionCount", self.address, "latest"), 16)

    def nonces(self) -> dict[str, set[int]]:
        """The nonces under which something was signed, by task."""
        found: dict[str, set[int]] = {}
        for payload in self.records.payloads:
            record = msgspec.msgpack.decode(payload, type=Record)
            if isinstance(record, Signing):
                found.setdefault(record.task.key, set()).add(record.nonce)
        return found

    def booked(self) -> tuple[Decimal, Decimal]:
        """Units and coin that the ledger moved."""
        return self.ledger.position(0), self.ledger.cash.get("USDC", Decimal(0))


def client(session: aiohttp.ClientSession, url: str) -> Rpc:
    """A client of a node that never waits and asks once."""
    rng = np.random.default_rng(1)
    return Rpc(
        session,
        url,
        Poll("chain", clock=wall_ns, rng=rng, sleep=no_wait, per_period=10**6, tries=1, max_wait_s=0.0),
    )


def policy_of(route: Route, caps: Caps, chain_id: int = 31337) -> Policy:
    """What a wallet that swaps on one route may sign."""
    router = route.router.address.lower()
    return Policy(
        chain_id=chain_id,
        calls=frozenset((router, method.selector) for method in CALLS[route.family]),
        tokens=frozenset({route.token.address.lower(), route.coin.address.lower()}),
        spenders=frozenset({router}),
        permits=frozenset({route.permit.address.lower()} if route.permit else ()),
        max_fee_wei=caps.max_fee_wei,
    )


PLAIN: Final = Habit(Publishing.NONE)
"""How a chain charges that has none below."""


def terms_of(caps: Caps, *, chain_id: int = 31337, confirmations: int = 8, habit: Habit | None = PLAIN) -> Terms:
    """How the wallets here treat their chain."""
    return Terms(
        chain_id=chain_id, confirmations=confirmations, stuck_blocks=2, max_head_age_s=120.0, caps=caps, habit=habit
    )  # fmt: skip


@asynccontextmanager
async def trader(
    pit: Pit,
    *,
    url: str = "",
    chain_id: int = 31337,
    records: Kept | None = None,
    caps: Caps = CAPS,
    confirmations: int = 8,
    funded: bool = True,
    agreed: Callable[[list[Rpc]], Agreed] | None = None,
    others: tuple[str, ...] = (),
    relay: str = "",
    habit: Habit | None = PLAIN,
    at: int | None = 0,
) -> AsyncIterator[Trader]:
    """A wallet with 1,000 stocks, a million dollars and ten coins for gas, which asks the node at `url`; the instrument
    has the number `at`, or is not in the config.
    """
    node = pit.node
    signer = KeySigner(KEY, policy_of(pit.route, caps, chain_id))
    if funded:
        await node.fund(signer.address, 10**19)
        await pit.token.write("mint", signer.address, 1_000 * STOCK)
        await pit.coin.write("mint", signer.address, 10**6 * DOLLAR)
    kept = records if records is not None else Kept()
    async with aiohttp.ClientSession() as session:
        rpcs = [client(session, one) for one in (url or node.url, *others)]
        relays: Node | None = client(session, relay) if relay else None
        made: Trader
        wallet = Wallet(
            terms_of(caps, chain_id=chain_id, confirmations=confirmations, habit=habit),
            signer,
            rpcs[0],
            kept,
            clock=lambda: made.at_ns,
            relay=relays,
            agreed=agreed(rpcs) if agreed else alone(rpcs[0]),
        )
        executor = SwapExecutor(
            wallet,
            {} if at is None else {at: pit.route},
            {} if at is None else {at: UNIVERSE[0].name},
            tell=lambda report: made.tell(report),
            fx=lambda _: Decimal(1),
            native_usd=lambda: made.native_usd,
            clock=lambda: made.at_ns,
        )
        made = Trader(pit, wallet, executor, rpcs[0], kept, at_ns=await node.now() * 10**9)
        executor.restore(kept.payloads)
        yield made


async def by_hand(node: Anvil) -> None:
    """From now on only `mine` makes blocks."""
    await node.rpc("evm_setAutomine", False)


async def sent(one: Trader, side: Side = Side.SELL, limit: str = "240") -> None:
    """An order whose approval is mined and whose swap is sent; from now on only `mine` makes blocks."""
    one.order(side, "4", limit)
    await one.ticks()
    await by_hand(one.pit.node)
    await one.ticks()
    assert ["approve"] == one.told("detail")


async def waiting(node: Anvil) -> list[dict[str, Any]]:
    """Transactions in the node's pool."""
    found = await node.rpc("txpool_content")
    return [one for sender in found["pending"].values() for one in sender.values()]
