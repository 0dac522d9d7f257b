"""Metrics of trades and of the limits that they use; and what a metric is."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Type = Literal["info", "gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One family. A counter's name ends in _total, an info's in _info, as Prometheus shows them."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str


TRADES: Final = (
    Metric(
        "pegline_trades_open",
        "gauge",
        ("step",),
        "Trades without an end: legs (the plan's orders are under way), hedge, unwind, cool (rests before a last try)",
    ),
    Metric(
        "pegline_trade_ends_total",
        "counter",
        ("strategy", "end"),
        "Trades that ended flat (nothing held), hedged (no net shares held) or paged (an operator was told)",
    ),
    Metric("pegline_trade_pages_total", "counter", ("underlying",), "How often an operator was told of a trade"),
    Metric(
        "pegline_trade_naked_usd_seconds_total",
        "counter",
        ("strategy",),
        "USD x seconds that ended trades stood without a hedge, at the prices of their fills",
    ),
    Metric(
        "pegline_dust_shares", "gauge", ("underlying",), "Net shares that ended trades left, less than can be traded"
    ),
    Metric(
        "pegline_trade_naked_usd_seconds",
        "gauge",
        ("strategy",),
        "USD x seconds that trades without an end have stood without a hedge so far",
    ),
    Metric(
        "pegline_risk_limit_used_ratio",
        "gauge",
        ("limit",),
        "Use of each limit that is on, by the name that uses most of it; 1 is at the limit; absent when unknown",
    ),
    Metric(
        "pegline_backing_ratio",
        "gauge",
        ("token", "issuer"),
        "Units that an issuer attests as backed over the supply that chains tell; absent while either is unknown",
    ),
    Metric(
        "pegline_attestation_age_ratio",
        "gauge",
        ("token", "issuer"),
        "Age of the newest attestation as a part of the age that is allowed; absent where there is none yet",
    ),
    Metric(
        "pegline_hedge_concern",
        "gauge",
        ("underlying", "kind"),
        "1 while a position that is held with a hedge wants somebody: margin (its venue may close the hedge) or "
        "hold_cost (it costs more than it brings, or that is not known)",
    ),
    Metric(
        "pegline_charges_unknown_total",
        "counter",
        ("underlying", "kind"),
        "Charges of funding or borrow that fell due and are not known: the books lack them",
    ),
)
