"""What differs between deployments of one pool family, as data; what was not checked is not traded.

Fees and spacings: the deployed factories; the log and slot0 layouts: the ABIs of the packages named under `source`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from connectors.errors import ForkUnverified

V3_SWAP: Final = "Swap(address,address,int256,int256,uint160,uint128,int24)"
V3_SLOT0: Final = ("uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool")


class Family(StrEnum):
    """Which maths a pool follows."""

    V2 = "v2"
    """One constant product over all prices."""
    V3 = "v3"
    """Liquidity in ranges of ticks, a contract for each pool."""
    V4 = "v4"
    """The same in one contract for all pools, with hooks."""


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment of a family."""

    key: str
    family: Family
    verified: bool
    """Our quotes equal those of its bytecode in the tests. Without that it is shown and never traded."""
    keep: int = 0
    """v2: of `of` parts of the input, this many are swapped; the rest is the fee."""
    of: int = 0
    spacings: tuple[tuple[int, int], ...] = ()
    """v3: (fee in pips, tick spacing) that its factory knows; the owner may add others."""
    fee_follows_spacing: bool = False
    """v3: pools are known by their spacing, and the fee can change at any time: read it before each quote."""
    slot0: tuple[str, ...] = ()
    """v3: the types that `slot0()` returns; the first two are sqrt price and tick."""
    swap_log: str = ""
    """v3, v4: the signature of its Swap log. Its data begins with both amounts, sqrt price, liquidity and tick."""
    source: str = ""

    def tradable(self) -> None:
        """Raises ForkUnverified where the maths was not checked against the bytecode."""
        if not self.verified:
            raise ForkUnverified(
                "its bytecode was not to be had, so our quotes of it are not checked",
                where=self.key,
                hint="watch its pools, but do not trade them",
            )


FORKS: Final[dict[str, Fork]] = {
    fork.key: fork
    for fork in (
        Fork(
            key="uniswap_v2",
            family=Family.V2,
            verified=True,
            keep=997,
            of=1000,
            source="npm @uniswap/v2-core 1.0.1",
        ),
        Fork(
            key="pancakeswap_v2",
            family=Family.V2,
            verified=False,
            keep=9975,
            of=10000,
            source="the package of its core holds an older fee (998 of 1000), not the deployed one",
        ),
        Fork(
            key="uniswap_v3",
            family=Family.V3,
            verified=True,
            spacings=((100, 1), (500, 10), (3000, 60), (10000, 200)),
            slot0=V3_SLOT0,
            swap_log=V3_SWAP,
            source="npm @uniswap/v3-core 1.0.1",
        ),
        Fork(
            key="pancakeswap_v3",
            family=Family.V3,
            verified=True,
            spacings=((100, 1), (500, 10), (2500, 50), (10000, 200)),
            slot0=("uint160", "int24", "uint16", "uint16", "uint16", "uint32", "bool"),
            swap_log="Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)",
            source="npm @pancakeswap/v3-core 1.0.2",
        ),
        Fork(
            key="aerodrome_slipstream",
            family=Family.V3,
            verified=False,
            fee_follows_spacing=True,
            slot0=("uint160", "int24", "uint16", "uint16", "uint16", "bool"),
            swap_log=V3_SWAP,
            source="no package holds its bytecode",
        ),
        Fork(
            key="uniswap_v4",
            family=Family.V4,
            verified=True,
            swap_log="Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)",
            source="npm @uniswap/v4-core 1.0.2",
        ),
    )
}
