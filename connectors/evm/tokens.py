"""What a token's contract says a unit is worth: one reader for each way in which issuers tell it. Pure.

Every reader gives the multiplier in force, the one that is to come with its moment, whether the token is paused, and
how much of it there is. Where the words are from:

standard  issuer                    functions (values are times 1e18)
BACKED    xStocks                   getCurrentMultiplier, newMultiplier, newMultiplierActivationTime (0: none), isPaused
VAULT     wrapped xStock, dShare    ERC-4626 asset, convertToAssets; what is to come is that of the asset
SVALUE    Ondo                      SyntheticSharesOracle: getSValue -> (value, paused), assetData -> (value, pending,
                                    last update, start of the pause, ...)
ERC8056   Robinhood, Coinbase,      uiMultiplier, newUIMultiplier, effectiveAt; Robinhood's oraclePaused
          Binance
DSHARE    Dinari                    balancePerShare; never announced

backed-fi/backed-token-contract@35859e8, ERC-8056, docs.base.org (IB20Asset), docs.ondo.finance,
dinaricrypto/sbt-contracts@50f7cb5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from connectors.errors import BadMessage
from connectors.evm.abi import Call, Method, text_of, topic, word_of
from connectors.instruments import UnitModel

ONE: Final = 10**18
NOBODY: Final = "0x" + "00" * 20

SUPPLY: Final = Method("totalSupply")
DECIMALS: Final = Method("decimals", gives=("uint8",))
SYMBOL: Final = Method("symbol", gives=("string",))
ASSET: Final = Method("asset", gives=("address",))
_PAUSED: Final = Method("paused", gives=("bool",))
_IS_PAUSED: Final = Method("isPaused", gives=("bool",))
_ORACLE_PAUSED: Final = Method("oraclePaused", gives=("bool",))
_CURRENT: Final = Method("getCurrentMultiplier", gives=("uint256", "uint256", "uint256"))
_NEW: Final = Method("newMultiplier")
_ACTIVATION: Final = Method("newMultiplierActivationTime")
_CONVERT: Final = Method("convertToAssets", ("uint256",))
_S_VALUE: Final = Method("getSValue", ("address",), ("uint128", "bool"))
_ASSET_DATA: Final = Method("assetData", ("address",), ("uint128", "uint128", "uint256", "uint256", "uint16", "uint48"))
_UI: Final = Method("uiMultiplier")
_NEW_UI: Final = Method("newUIMultiplier")
_EFFECTIVE: Final = Method("effectiveAt")
_PER_SHARE: Final = Method("balancePerShare", gives=("uint128",))

TRANSFER: Final = topic("Transfer(address,address,uint256)")
MINTS: Final[Sequence[Any]] = (TRANSFER, word_of(NOBODY))
"""Topics of the logs of mints; those of burns are BURNS."""
BURNS: Final[Sequence[Any]] = (TRANSFER, None, word_of(NOBODY))


class Standard(StrEnum):
    """In which words a contract says what a unit is worth."""

    BACKED = "backed"
    VAULT = "vault"
    SVALUE = "svalue"
    ERC8056 = "erc8056"
    DSHARE = "dshare"


ISSUERS: Final[Mapping[str, Standard]] = {
    "xstocks": Standard.BACKED,
    "ondo": Standard.SVALUE,
    "robinhood": Standard.ERC8056,
    "coinbase": Standard.ERC8056,
    "binance": Standard.ERC8056,
    "dinari": Standard.DSHARE,
}
"""What an issuer's tokens speak, wrapped ones aside."""


def standard_of(issuer: str, unit_model: UnitModel | None) -> Standard | None:
    """What a token speaks; None where that is not known."""
    return Standard.VAULT if unit_model is UnitModel.VAULT else ISSUERS.get(issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a contract said at one block. Values are integers times 1e18."""

    multiplier: int
    """In force: shares per unit, or, of a rebasing token, units per unit of old."""
    pending: int | None = None
    """What it will be; None where nothing is announced."""
    activates_s: int | None = None
    """From when, unix seconds; after the block."""
    paused: bool = False
    """Transfers are refused, or the issuer says that the multiplier is not to be used."""
    supply: int
    """Raw units."""
    decimals: int
    symbol: str

    @property
    def supply_units(self) -> float:
        """How many units there are."""
        return float(self.supply / 10**self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Asks one contract, and reads what it answers."""

    contract: str
    standard: Standard
    helper: str = ""
    """The oracle of a SVALUE token, the asset of a VAULT."""
    decimals: int = 18
    """Of the token, as the registry has it."""

    def calls(self) -> tuple[Call, ...]:
        """What to ask, at one block."""
        own = self.contract
        common = (SUPPLY.call(own), DECIMALS.call(own), SYMBOL.call(own), _PAUSED.call(own), _IS_PAUSED.call(own))
        match self.standard:
            case Standard.BACKED:
                more = _backed(own)
            case Standard.VAULT:
                convert = _CONVERT.call(own, 10**self.decimals)
                more = (convert, DECIMALS.call(self.helper), _IS_PAUSED.call(self.helper), *_backed(self.helper))
            case Standard.SVALUE:
                more = (_S_VALUE.call(self.helper, own), _ASSET_DATA.call(self.helper, own))
            case Standard.ERC8056:
                more = (_UI.call(own), _NEW_UI.call(own), _EFFECTIVE.call(own), _ORACLE_PAUSED.call(own))
            case Standard.DSHARE:
                more = (_PER_SHARE.call(own),)
        return common + more

    def read(self, answers: Sequence[bytes | None], now_s: int) -> Reading:
        """What the answers say; `now_s` is the time of their block. Raises BadMessage where one is missing or wrong."""
        supply, decimals, symbol, *pauses = answers[:5]
        paused = any(m.known(a) for m, a in zip((_PAUSED, _IS_PAUSED), pauses, strict=True))
        more = answers[5:]
        match self.standard:
            case Standard.BACKED:
                value, pending, at = _read_backed(more)
            case Standard.VAULT:
                value, pending, at = self._read_vault(more)
                paused = paused or bool(_IS_PAUSED.known(more[2]))
            case Standard.SVALUE:
                (value, stopped), data = _S_VALUE.read(more[0]), _ASSET_DATA.read(more[1])
                pending, at, paused = data[1], data[3], paused or stopped
            case Standard.ERC8056:
                value, pending, at = _UI.one(more[0]), _NEW_UI.known(more[1]), _EFFECTIVE.known(more[2])
                paused = paused or bool(_ORACLE_PAUSED.known(more[3]))
            case Standard.DSHARE:
                value, pending, at = _PER_SHARE.one(more[0]), None, None
        if not value:
            raise BadMessage("a multiplier of 0", where=self.contract)
        coming = bool(pending) and at is not None and at > now_s
        return Reading(
            multiplier=value,
            pending=pending if coming else None,
            activates_s=at if coming else None,
            paused=paused,
            supply=SUPPLY.one(supply),
            decimals=DECIMALS.one(decimals),
            symbol=text_of(symbol),
        )

    def _read_vault(self, answers: Sequence[bytes | None]) -> tuple[int, int | None, int | None]:
        """A unit is worth what the vault would pay out; that moves with the asset's own multiplier."""
        paid, asset_decimals = _CONVERT.one(answers[0]), DECIMALS.one(answers[1])
        value = paid * ONE // 10**asset_decimals
        try:
            now, pending, at = _read_backed(answers[3:])
        except BadMessage:
            return value, None, None  # the asset announces nothing
        return value, value * pending // now if pending and now else None, at


def _backed(token: str) -> tuple[Call, ...]:
    return _CURRENT.call(token), _NEW.call(token), _ACTIVATION.call(token)


def _read_backed(answers: Sequence[bytes | None]) -> tuple[int, int | None, int | None]:
    return _CURRENT.one(answers[0]), _NEW.one(answers[1]), _ACTIVATION.one(answers[2])


def moved(logs: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Raw units by contract (lower case) in logs of mints, or of burns; one that is said twice counts once.

    Raises BadMessage where a log cannot be read.
    """
    found: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for log in logs:
        try:
            place, contract = (str(log["transactionHash"]), str(log["logIndex"])), str(log["address"]).lower()
            units = int(str(log["data"]), 16)
        except (KeyError, ValueError) as error:
            raise BadMessage("not a log of a transfer") from error
        if place not in seen and not log.get("removed"):
            seen.add(place)
            found[contract] = found.get(contract, 0) + units
    return found
