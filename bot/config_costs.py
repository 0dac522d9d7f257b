"""The shape of `[venues.NAME]`, `[costs]` and `[issuers.NAME]`: where trades are made, and what they cost there."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from bot.config_types import Bps, Limit, NotNegative, Positive, Seconds, Share, Table


class VenueTable(Table):
    """[venues.NAME]: what trading at a venue costs and how it answers on paper."""

    kind: Literal["cex", "dex", "broker", "issuer", "oracle"]
    feed: str = "none"
    """A name of bot/wiring.py FEEDS, or one of NO_FEED."""
    exchange: str = ""
    """For feed = "ccxt": the exchange's id there."""
    taker_fee_bps: Bps | None = None
    """Missing, and no tiers either, means: watched, never traded."""
    maker_fee_bps: Bps | None = None
    fee_tiers: dict[str, tuple[Bps, Bps]] = {}
    """Traded volume in USD from which a tier holds -> [taker, maker] fee, instead of the two above."""
    volume_30d_usd: NotNegative = Decimal(0)
    """Of the account; it says which tier holds."""
    fixed_cost_usd: NotNegative | None = None
    """Per order, e.g. gas. None is unknown on a chain, and nothing elsewhere."""
    data_fee_usd: NotNegative | None = None
    """Per order: what a chain takes for publishing it on the chain below."""
    slippage_bps: Bps | None = None
    """None takes [costs].slippage_bps; so does the next one."""
    rebalancing_bps: Bps | None = None
    funds_usd: NotNegative | None = None
    """What lies there before the first fill: purchases spend no more than it and the settled proceeds of sales. None:
    the venue limits nothing."""
    settle_days: Annotated[int, Field(ge=0, le=10)] = 0
    """Trading days after its own on which a sale settles (T+1 is 1); it counts only with `funds_usd`."""
    margin_usd: NotNegative | None = None
    """Of perps: the collateral that lies there before the first fill. None is unknown, and no perp of it is a hedge."""
    maintenance_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Of perps: equity below this part of what is held is closed by the venue."""
    latency_ms: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)] | None = None
    """Decision to fill on paper."""
    reject_share: Share = 0.0
    """Share of paper orders that the venue refuses."""
    fill_share: Share = 1.0
    """Share of the size that was seen which a paper order may take."""
    url: str = ""
    """Another address of the venue, e.g. a local stand-in; empty is the venue's own."""
    key_file: str = ""
    """Path of a file with the venue's key; never the key itself."""
    depth_every_s: Limit = 1.0
    """At most one row with the book's levels per instrument in so many seconds; `inf` never."""
    depth_levels: Annotated[int, Field(ge=1, le=50)] = 10
    compare_s: Limit = 60.0
    """How often the stream's book is compared with the venue's own snapshot; `inf` never."""
    options: dict[str, str | bool | float] = {}
    """What only this kind of feed understands."""

    @property
    def fees_bps(self) -> tuple[float | None, float | None]:
        """(taker, maker) fee of the account; None where it is not known."""
        reached = [from_usd for from_usd in map(Decimal, self.fee_tiers) if from_usd <= self.volume_30d_usd]
        if not reached:
            return self.taker_fee_bps, self.maker_fee_bps
        return next(fees for from_usd, fees in self.fee_tiers.items() if Decimal(from_usd) == max(reached))

    @property
    def taker_bps(self) -> float | None:
        """What taking costs; None: the venue is watched, never traded."""
        return self.fees_bps[0]


class CostsTable(Table):
    """[costs]: what the edge of a trade must carry besides fees and gas. What is left out is unknown: whatever needs it
    is not done, and says so. Without this table only fees and gas count."""

    slippage_bps: Bps | None = None
    """Of each leg: how much worse than seen its price is on average when the order arrives."""
    rebalancing_bps: Bps | None = None
    """Of each leg: its part of bringing tokens and money back to where they were."""
    fx_bps: dict[str, Bps] = {}
    """By quote coin: changing it into USD or back."""
    capital_bps_per_year: Bps | None = None
    """What locked money would earn elsewhere."""


class IssuerTable(Table):
    """[issuers.NAME]: what minting and redeeming a token costs, and how long it takes. No fee has a default."""

    takes: Literal["cash", "share"]
    """What is given for a mint and had for a redemption: money at the issuer's price, or shares at a broker."""
    mint_fee_bps: Bps | None = None
    """None: there is no minting for us; so with redeem_fee_bps."""
    redeem_fee_bps: Bps | None = None
    spread_bps: Bps | None = None
    """How far its price is from that of the share, against us; only where it takes cash."""
    request_usd: NotNegative | None = None
    """Flat fee of each request, gas included."""
    mint_delay_s: Seconds | None = None
    """Mean time from the request to delivery, until enough of our own requests were seen."""
    redeem_delay_s: Seconds | None = None
    reject_share: Share | None = None
    """Part of requests that come to nothing."""
    least_usd: NotNegative | None = None
    """Smallest request."""
    most_usd: Positive | None = None
    """Largest request; None: its limit is not known, or it has none."""
    most_open_usd: Positive | None = None
    """Of all our open requests for one token together; None as above."""
    shares_at: str = ""
    """Venue of ours whose shares it takes and gives; empty: those of any venue."""
    hours: Literal["24/7", "24/5", "extended", "regular"]
    """When it takes requests on."""
