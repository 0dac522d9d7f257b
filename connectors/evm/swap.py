"""A swap as a call of a router: what it takes, what it must give, until when; and what a receipt says that it moved.

Amounts are in the smallest unit of each contract, and every rounding is to our side: we never pay more than the limit,
and never get less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final

import msgspec
from eth_abi.abi import encode

from connectors.amm.forks import Family
from connectors.errors import BadMessage, SwapRefused
from connectors.evm.abi import Call, Method, word_of
from connectors.evm.receipt import Log
from connectors.evm.tokens import NOBODY, TRANSFER
from connectors.orders import Leg, Side

EXACT: Final = Context(prec=100)
PRICE: Final = Context(prec=28)

_V2_IN: Final = Method(
    "swapExactTokensForTokens", ("uint256", "uint256", "address[]", "address", "uint256"), ("uint256[]",)
)
_V2_OUT: Final = Method(
    "swapTokensForExactTokens", ("uint256", "uint256", "address[]", "address", "uint256"), ("uint256[]",)
)
_SINGLE: Final = ("(address,address,uint24,address,uint256,uint256,uint256,uint160)",)
_V3_IN: Final = Method("exactInputSingle", _SINGLE)
_V3_OUT: Final = Method("exactOutputSingle", _SINGLE)

_EXECUTE: Final = Method("execute", ("bytes", "bytes[]", "uint256"), ())
_V4_SWAP: Final = b"\x10"
"""Command of UniversalRouter (universal-router, Commands.sol): what follows is for v4."""
_SWAP_IN, _SWAP_OUT, _SETTLE, _TAKE = b"\x06", b"\x08", b"\x0c", b"\x0f"
"""Actions of its v4 part (v4-periphery, Actions.sol): swap in one pool, pay all, take all."""
_KEY: Final = "(address,address,uint24,int24,address)"
_V4_SINGLE: Final = f"({_KEY},bool,uint128,uint128,bytes)"

CALLS: Final[Mapping[Family, tuple[Method, ...]]] = {
    Family.V2: (_V2_IN, _V2_OUT),
    Family.V3: (_V3_IN, _V3_OUT),
    Family.V4: (_EXECUTE,),
}
"""What is called of a router: UniswapV2Router02 (v2-periphery), SwapRouter (v3-periphery), UniversalRouter."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract that we mean: its address and the hash of the code that runs there."""

    address: str
    code_hash: str


class Coin(Contract, frozen=True, kw_only=True):
    """What is swapped: an ERC-20."""

    decimals: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How one instrument is swapped: who does it, out of which pool, and what the two sides are."""

    family: Family
    router: Contract
    pool: Contract
    """Whoever holds both sides; of v4 the PoolManager."""
    token: Coin
    """What the instrument's quantity counts."""
    coin: Coin
    """What its price counts."""
    fee: int = 0
    """v3, v4: the pool's fee, 1e-6."""
    spacing: int = 0
    """v4: of its ticks."""
    hooks: Contract | None = None
    """v4: where the pool has some."""
    permit: Contract | None = None
    """v4: Permit2, which the router takes our side from; it is approved, and the router with it."""
    gas_usd: Decimal = Decimal(0)
    """What the edge of an intent already takes off for gas."""

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """All that a swap touches."""
        known = self.router, self.pool, self.token, self.coin, self.hooks, self.permit
        return tuple(contract for contract in known if contract is not None)

    @property
    def spender(self) -> str:
        """Who takes our side from the token or the coin itself."""
        return self.router.address if self.permit is None else self.permit.address


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a swap pays and gets, in smallest units; one of the two is exact, the other one is a bound."""

    buys: bool
    pay: int
    """The most that is paid when buying; exactly this when selling."""
    get: int
    """Exactly this when buying; the least that is taken when selling."""


def amounts(leg: Leg, route: Route) -> Amounts:
    """The amounts of a leg. Raises SwapRefused where it is less than one smallest unit of either side."""
    units = EXACT.scaleb(leg.quantity, route.token.decimals).to_integral_value(ROUND_FLOOR)
    worth = EXACT.scaleb(EXACT.multiply(leg.quantity, leg.limit), route.coin.decimals)
    buys = leg.side is Side.BUY
    bound = worth.to_integral_value(ROUND_FLOOR if buys else ROUND_CEILING)
    pay, get = (int(bound), int(units)) if buys else (int(units), int(bound))
    if pay < 1 or get < 1:
        raise SwapRefused(f"{leg.quantity} at {leg.limit} is less than the smallest unit")
    return Amounts(buys=buys, pay=pay, get=get)


def paid_with(route: Route, amounts: Amounts) -> Coin:
    """What the router takes from us."""
    return route.coin if amounts.buys else route.token


def build(route: Route, amounts: Amounts, wallet: str, deadline_s: int) -> Call:
    """The call of the router. Raises SwapRefused for an amount that it cannot take."""
    given = paid_with(route, amounts).address
    got = (route.token if amounts.buys else route.coin).address
    match route.family:
        case Family.V2 if amounts.buys:
            return _V2_OUT.call(route.router.address, amounts.get, amounts.pay, [given, got], wallet, deadline_s)
        case Family.V2:
            return _V2_IN.call(route.router.address, amounts.pay, amounts.get, [given, got], wallet, deadline_s)
        case Family.V3:
            exact, bound = (amounts.get, amounts.pay) if amounts.buys else (amounts.pay, amounts.get)
            asked = (given, got, route.fee, wallet, deadline_s, exact, bound, 0)
            return (_V3_OUT if amounts.buys else _V3_IN).call(route.router.address, asked)
        case Family.V4:
            return _execute(route, amounts, given, got, deadline_s)


def _execute(route: Route, amounts: Amounts, given: str, got: str, deadline_s: int) -> Call:
    """The call of UniversalRouter for a swap in one v4 pool."""
    if max(amounts.pay, amounts.get) >= 1 << 128:
        raise SwapRefused("a v4 pool takes amounts below 2^128")
    down = int(given, 16) < int(got, 16)
    first, second = (given, got) if down else (got, given)
    key = (first, second, route.fee, route.spacing, route.hooks.address if route.hooks else NOBODY)
    exact, bound = (amounts.get, amounts.pay) if amounts.buys else (amounts.pay, amounts.get)
    actions = (_SWAP_OUT if amounts.buys else _SWAP_IN) + _SETTLE + _TAKE
    parts = [
        encode([_V4_SINGLE], [(key, down, exact, bound, b"")]),
        encode(["address", "uint256"], [given, amounts.pay]),
        encode(["address", "uint256"], [got, amounts.get]),
    ]
    plan = encode(["bytes", "bytes[]"], [actions, parts])
    return _EXECUTE.call(route.router.address, _V4_SWAP, [plan], deadline_s)


def moves(logs: Sequence[Log], wallet: str) -> dict[str, int]:
    """What a wallet got (above zero) and gave of each contract, by its lower-case address, as Transfer logs say.

    Raises BadMessage for a log that cannot be read.
    """
    me, found = word_of(wallet), defaultdict[str, int](int)
    for log in logs:
        if len(log.topics) == 3 and log.topics[0] == TRANSFER:
            try:
                found[log.address] += ((log.topics[2] == me) - (log.topics[1] == me)) * int(log.data, 16)
            except ValueError as error:
                raise BadMessage("not an amount", where="Transfer") from error
    return dict(found)


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """What a swap moved, in units."""

    quantity: Decimal
    """Of the token: what came or went."""
    price: Decimal
    """Coin per unit, to 28 digits."""
    rest: Decimal
    """What the coin that moved differs from quantity x price, as what was paid."""


def traded(moved: Mapping[str, int], route: Route, *, buys: bool) -> Traded:
    """What a swap moved. Raises BadMessage where one side is missing or of the wrong sign: then logs are missing."""
    token, coin = (moved.get(side.address.lower(), 0) for side in (route.token, route.coin))
    sign = 1 if buys else -1
    if not (token * sign > 0 and coin * sign < 0):
        raise BadMessage(f"a swap moved {token} of the token and {coin} of the coin", where="Transfer")
    quantity = EXACT.scaleb(Decimal(abs(token)), -route.token.decimals)
    worth = EXACT.scaleb(Decimal(abs(coin)), -route.coin.decimals)
    price = PRICE.divide(worth, quantity)
    rest = EXACT.subtract(worth, EXACT.multiply(quantity, price))
    return Traded(quantity=quantity, price=price, rest=rest if buys else -rest)
