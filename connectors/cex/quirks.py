"""What is peculiar about each exchange that ccxt speaks to, as data: no generic code asks for a venue's name.

Sources: the package ccxt 4.5.90 itself, read and tried against local servers; the venues' public documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.instruments import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """How one class of instruments is listed; instruments of equal lanes share one ccxt instance.

    One instance per class, because a second load_markets with other parameters REPLACES the markets of the first.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters of load_markets."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """ccxt options of the instance."""
    candles: Mapping[str, str] = field(default_factory=dict)
    """Parameters of fetch_ohlcv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """What is peculiar about one exchange."""

    lanes: Mapping[Role, Lane] = field(default_factory=dict)
    """By role; a role that is absent has the plain lane."""
    keep_case: bool = False
    """The venue tells symbols apart by case, and ccxt's upper case is answered by silence."""
    depth: int | None = None
    """Levels to subscribe to: the fewest that the venue offers; None is the venue's default."""
    book_frame: tuple[str, str] = ("", "")
    """(key, prefix): a frame whose `key` begins with `prefix` carries a book. Empty: only frames that ccxt resolved."""
    self_healing: bool = False
    """Every frame is a whole book, so a broken one needs no new subscription."""
    ping_s: float | None = None
    """How often to ping, for venues whose answer is what we hear in a quiet market; None is ccxt's own rhythm."""
    idle_s: float = 30.0
    """A connection on which nothing at all was heard for this long is dead (found out in at most twice the time)."""

    def lane(self, role: Role) -> Lane:
        """The lane of a role."""
        return self.lanes.get(role, PLAIN)


PLAIN: Final = Lane()

_BYBIT_SPOT: Final = Lane(options={"fetchMarkets": {"types": ["spot"]}})

QUIRKS: Final[Mapping[str, Quirk]] = {
    # AssetPairs lists tokenized shares only when asked; the stream knows `TSLAx/USD` and is silent for `TSLAX/USD`.
    "kraken": Quirk(
        lanes={
            Role.TOKEN: Lane(params={"aclass_base": "tokenized_asset"}, candles={"asset_class": "tokenized_asset"}),
        },
        keep_case=True,
        depth=10,
        book_frame=("channel", "book"),
        ping_s=4.0,
        idle_s=7.0,
    ),
    # Level 1 sends snapshots only, on change and again after 3 s. Without `types` ccxt asks for every option market.
    "bybit": Quirk(
        lanes={
            Role.TOKEN: _BYBIT_SPOT,
            Role.COIN: _BYBIT_SPOT,
            Role.PERP: Lane(options={"fetchMarkets": {"types": ["linear"]}}),
        },
        depth=1,
        book_frame=("topic", "orderbook."),
        self_healing=True,
        ping_s=4.0,
        idle_s=7.0,
    ),
    # Shares trade on the deployer's own dex; ccxt loads at most ten of them by index unless they are named.
    "hyperliquid": Quirk(
        lanes={Role.PERP: Lane(options={"fetchMarkets": {"hip3": {"dexes": ["xyz"]}}})},
        book_frame=("channel", "l2Book"),
        self_healing=True,
    ),
}

NONE: Final = Quirk()
"""For an exchange without an entry."""
