"""What is peculiar about each exchange that ccxt speaks to, as data: no generic code asks for a venue's name.

Sources: the package ccxt 4.5.90 itself, read and tried against local servers; the venues' public documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.cex.sequence import Sequence
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
    about: Mapping[str, str] = field(default_factory=dict)
    """Parameters of REST calls about one symbol: candles, book."""
    quotes: str = ""
    """The method to watch where the class has no book, only a best bid and ask; takes a list of symbols."""
    watch: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the watching call."""
    needs_key: bool = False
    """The venue shows this class only to who has a key; where it is false none is even read for streaming."""
    starts_with_a_change: bool = False
    """ccxt asks for the book at the first change after subscribing: in a quiet market none comes, which is no fault."""
    fees: tuple[str, str] = ("", "")
    """Keys of taker and maker fee, as shares of one, in the venue's record of a market that ccxt has a table for."""
    sequence: Sequence | None = None
    """Update ids of the book's frames, where ccxt does not look whether one is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """What is peculiar about one exchange."""

    lanes: Mapping[Role, Lane] = field(default_factory=dict)
    """By role; a role that is absent has the plain lane."""
    keep_case: bool = False
    """The venue tells symbols apart by case, and ccxt's upper case is answered by silence."""
    depth: int | None = None
    """Levels to subscribe to; None is ccxt's default for the venue."""
    rest_depth: int | None = None
    """Levels to ask for over REST, of those that the venue offers; None is its default."""
    self_healing: bool = False
    """Every frame is a whole book, so a broken one needs no new subscription."""
    objects_only: bool = False
    """Every text frame is a JSON object; ccxt passes over anything else without a word."""
    ping_s: float = 4.0
    """How often to ping. The answer is what is heard in a quiet market, so it is what tells a dead line."""
    idle_s: float = 7.0
    """A connection on which nothing at all was heard for this long is dead (found out in at most twice the time)."""
    forbidden_is_limit: bool = False
    """403 asks to slow down, rather than that something is not ours to have."""
    interest: str = ""
    """Key of the open interest, in contracts, in the venue's own funding record; empty: it has a call of its own."""
    period_s: float | None = None
    """Funding period of a contract that the venue's list of periods leaves out; None: then it is not known."""
    fee: str = ""
    """Key in the venue's list of markets that makes the fees of ccxt the venue's own; empty: they are ccxt's table."""
    clock_step_s: float = 0.001
    """How finely the venue tells its time."""
    status: bool = True
    """Whether the venue's state can be asked for without a key."""

    def words(self) -> tuple[str, ...]:
        """What is peculiar, for people: one sentence for each field that is not as usual."""
        said = []
        classes = {role.name.lower() for role, lane in self.lanes.items() if lane != PLAIN}
        if classes:
            said.append(f"lists {', '.join(sorted(classes))} instruments only when asked for their class")
        if self.keep_case:
            said.append("tells symbols apart by case")
        if self.self_healing:
            said.append("every frame is a whole book")
        elif any(lane.sequence for lane in self.lanes.values()):
            said.append("update ids of its books are checked here, since ccxt does not")
        if self.depth is not None:
            said.append(f"{self.depth} levels are subscribed to")
        if self.clock_step_s >= 1.0:
            said.append(f"tells its time in steps of {self.clock_step_s:g} s")
        if self.forbidden_is_limit:
            said.append("403 asks to slow down")
        if not self.status:
            said.append("its state is told to accounts only")
        if not self.fee:
            said.append("fees are told to accounts only")
        if any(lane.quotes for lane in self.lanes.values()):
            said.append("shares have best bid and ask, no book")
        return tuple(said)

    def lane(self, role: Role) -> Lane:
        """The lane of a role."""
        return self.lanes.get(role, PLAIN)


PLAIN: Final = Lane()


def _only(*types: str) -> dict[str, Any]:
    """ccxt options that load the markets of these types and no others."""
    return {"fetchMarkets": {"types": list(types)}}


def _spot_and_swap(
    spot: Mapping[str, Any], swap: Mapping[str, Any], sequence: Sequence | None = None
) -> dict[Role, Lane]:
    """Tokens and coins in one instance, whose books may have a `sequence`; perps in another."""
    plain = Lane(options=spot, sequence=sequence)
    return {Role.TOKEN: plain, Role.COIN: plain, Role.PERP: Lane(options=swap)}


QUIRKS: Final[Mapping[str, Quirk]] = {
    # AssetPairs lists tokenized shares only when asked, and so do Depth and OHLC; the stream knows `TSLAx/USD` and is
    # silent for `TSLAX/USD`. Depth 10 is the fewest. Its checksum cannot be used in ccxt (AttributeError: 'float' has
    # no 'split'): a lost level is found by the comparison with REST, and at once by the native lane.
    "kraken": Quirk(
        lanes={
            Role.TOKEN: Lane(params={"aclass_base": "tokenized_asset"}, about={"asset_class": "tokenized_asset"}),
        },
        keep_case=True,
        depth=10,
        rest_depth=10,
        objects_only=True,
        clock_step_s=1.0,
        fee="fees",
    ),
    # Level 1 sends whole snapshots, on change and again after 3 s. Deeper levels are deltas whose update ids ccxt does
    # not look at; the native lane does, so depth is asked for there. Without `types` ccxt asks for every option market.
    "bybit": Quirk(
        lanes=_spot_and_swap(_only("spot"), _only("linear")),
        depth=1,
        rest_depth=1,
        self_healing=True,
        objects_only=True,
    ),
    # spot.obu (50 levels every 20 ms): first frame whole, then deltas with U = last u + 1, else subscribe again (Gate's
    # announcement of 2025-05-30). ccxt applies them whatever U is. Contract books are checked by ccxt itself.
    # Sizes and open interest of contracts are in contracts; their fees stand in the list, but ccxt has a table.
    "gate": Quirk(
        lanes={
            **_spot_and_swap(_only("spot"), {}, Sequence(at="result", stream="s", first="U", last="u", whole="full")),
            Role.PERP: Lane(
                options={**_only("swap"), "swap": {"fetchMarkets": {"settlementCurrencies": ["usdt"]}}},
                fees=("taker_fee_rate", "maker_fee_rate"),
                starts_with_a_change=True,
            ),
        },
        rest_depth=20,
        objects_only=True,
        interest="position_size",
        fee="fee",
    ),
    # books15 sends whole snapshots every 150 ms; `books` would be deltas with a checksum. Answers "pong" as a word.
    "bitget": Quirk(
        lanes=_spot_and_swap(_only("spot"), _only("swap")),
        depth=15,
        rest_depth=15,
        self_healing=True,
        fee="takerFeeRate",
    ),
    # level2Depth50 sends whole snapshots every 100 ms; `level2` would be deltas that ccxt applies with gaps. The venue
    # says how often it wants a ping (18 s), and ccxt obeys it.
    "kucoin": Quirk(
        lanes=_spot_and_swap(_only("spot"), _only("swap", "future", "contract")),
        depth=50,
        rest_depth=20,
        self_healing=True,
        objects_only=True,
        idle_s=40.0,
    ),
    # Protobuf frames (the package protobuf decodes them). Each covers fromVersion to toVersion, which ccxt does not
    # look at. ccxt would wait for 25 frames before it asks for the snapshot: minutes in a quiet market. The frames
    # before the snapshot are merged by ccxt, so counting begins with the first frame.
    "mexc": Quirk(
        lanes=dict.fromkeys(
            Role,
            Lane(
                options={"watchOrderBook": {"snapshotDelay": 0}},
                starts_with_a_change=True,
                sequence=Sequence(at="publicAggreDepths", stream="symbol", first="fromVersion", last="toVersion"),
            ),
        ),
        rest_depth=20,
        fee="takerCommission",
    ),
    # Every diff has U and u (spot) or pu (futures), and ccxt rejects a gap. 1000 levels of snapshot, ccxt's default: a
    # snapshot of fewer runs out when the price moves. Tokenized shares are spot; the share itself (`AAPL/USDC`) has a
    # list of its own behind a key, and no book: its quotes are a stream of best bid and ask. fundingInfo lists only
    # contracts whose period differs from 8 hours. 403 is the firewall's rate limit (general information on limits).
    "binance": Quirk(
        lanes={
            **_spot_and_swap(_only("spot"), _only("linear")),
            Role.SHARE: Lane(options=_only("stock"), quotes="watch_bids_asks", watch={"stock": True}, needs_key=True),
        },
        rest_depth=20,
        objects_only=True,
        forbidden_is_limit=True,
        period_s=8 * 3600.0,
        status=False,
    ),
    # `books`: 400 levels, deltas by prevSeqId, which ccxt checks. Answers "pong" as a word.
    "okx": Quirk(
        lanes=_spot_and_swap(_only("spot"), _only("swap")),
        rest_depth=20,
    ),
    # Shares trade on the deployer's own dex; ccxt loads at most ten of them by index unless they are named. l2Book is
    # a whole book of 20 levels. The funding record holds the open interest, in units.
    "hyperliquid": Quirk(
        lanes={
            Role.PERP: Lane(options={"fetchMarkets": {"types": ["swap", "hip3"], "hip3": {"dexes": ["xyz"]}}}),
            Role.TOKEN: Lane(options=_only("spot")),
            Role.COIN: Lane(options=_only("spot")),
        },
        self_healing=True,
        objects_only=True,
        interest="openInterest",
    ),
}

NONE: Final = Quirk()
"""For an exchange without an entry."""
