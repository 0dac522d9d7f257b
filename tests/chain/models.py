"""One token of each unit model on a node: what it is, and what its issuer may do to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.instruments import Instrument, Role, UnitModel
from tests.chain.parts import Parts
from tests.servers.anvil import Anvil, Deployed

ONE: Final = 10**18


@dataclass
class Stock:
    """A token; the first account holds 100 units of it."""

    name: str
    issuer: str
    unit_model: UnitModel
    token: Deployed
    decimals: int = 18
    helper: Deployed | None = None
    """Ondo's oracle, or the asset of a vault."""

    @property
    def announces(self) -> bool:
        """Whether a change is said ahead, with its moment."""
        return self.issuer != "dinari"

    @property
    def needs_end(self) -> bool:
        """Whether somebody has to end a pause before a change holds."""
        return self.issuer == "ondo"

    @property
    def rebasing(self) -> bool:
        """Whether balances move, and not what a unit is worth."""
        return self.unit_model is UnitModel.REBASING

    def instrument(self, venue: str = "chain") -> Instrument:
        """As a config would name it."""
        return Instrument(
            venue=venue, symbol=self.token.address, role=Role.TOKEN, underlying="TSLA", token=self.name,
            issuer=self.issuer, chain="test", contract=self.token.address, unit_model=self.unit_model,
        )  # fmt: skip

    async def balance(self) -> float:
        """Units that the first account holds."""
        return await self.token.read("balanceOf", self.token.node.accounts[0]) / 10**self.decimals

    async def change(self, value: float, at_s: int) -> None:
        """The multiplier will be `value` from a moment on; at once where the issuer never announces."""
        exact = round(value * ONE)
        match self.issuer:
            case "ondo":
                await self.helper.write("announce", self.token.address, exact, at_s)
            case "dinari":
                await self.token.write("setBalancePerShare", exact)
            case _:
                await (self.helper or self.token).write("schedule", exact, at_s)

    async def end(self) -> None:
        """Whoever has to end a pause, ends it."""
        if self.needs_end:
            await self.helper.write("unpause", self.token.address)

    async def pause(self, paused: bool) -> None:
        """The issuer stops all transfers, or lets them go on."""
        if self.issuer in ("robinhood", "coinbase"):
            await self.token.write("setOraclePause", paused)
        else:
            await self.token.write("setPause", paused)


async def xstock(chain: Parts, node: Anvil) -> Stock:
    """Balances are shares times a multiplier."""
    token = await node.deploy(chain.artifact("XStock"), "Tesla xStock", "TSLAx")
    await token.write("mint", node.accounts[0], 100 * ONE)
    return Stock("TSLAx", "xstocks", UnitModel.REBASING, token)


async def wrapped(chain: Parts, node: Anvil) -> Stock:
    """An ERC-4626 vault around an xStock."""
    base = (await xstock(chain, node)).token
    token = await node.deploy(chain.artifact("WrappedStock"), base.address, "Wrapped Tesla xStock", "wTSLAx")
    await base.write("approve", token.address, 100 * ONE)
    await token.write("deposit", 100 * ONE, node.accounts[0])
    return Stock("wTSLAx", "xstocks", UnitModel.VAULT, token, helper=base)


async def ondo(chain: Parts, node: Anvil) -> Stock:
    """A total-return token with its oracle of shares."""
    token = await node.deploy(chain.artifact("TotalReturnStock"), "Tesla (Ondo)", "TSLAon")
    oracle = await node.deploy(chain.artifact("SyntheticSharesOracle"))
    await oracle.write("set", token.address, ONE)
    await token.write("mint", node.accounts[0], 100 * ONE)
    return Stock("TSLAon", "ondo", UnitModel.TOTAL_RETURN, token, helper=oracle)


async def robinhood(chain: Parts, node: Anvil) -> Stock:
    """ERC-8056 with 18 decimals."""
    token = await node.deploy(chain.artifact("ScaledStock"), "Tesla", "TSLA", 18)
    await token.write("mint", node.accounts[0], 100 * ONE)
    return Stock("TSLA", "robinhood", UnitModel.TOTAL_RETURN, token)


async def coinbase(chain: Parts, node: Anvil) -> Stock:
    """ERC-8056 with 8 decimals (B20)."""
    token = await node.deploy(chain.artifact("ScaledStock"), "Tesla B20", "TSLA", 8)
    await token.write("mint", node.accounts[0], 100 * 10**8)
    return Stock("TSLA", "coinbase", UnitModel.TOTAL_RETURN, token, decimals=8)


async def dinari(chain: Parts, node: Anvil) -> Stock:
    """Balances follow splits, which are never announced."""
    token = await node.deploy(chain.artifact("DShare"), "Tesla dShare", "TSLA.d")
    await token.write("mint", node.accounts[0], 100 * ONE)
    return Stock("TSLA.d", "dinari", UnitModel.REBASING, token)


MODELS: Final = {f.__name__: f for f in (xstock, wrapped, ondo, robinhood, coinbase, dinari)}
"""How to put each unit model on a node."""
