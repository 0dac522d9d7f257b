"""What a config allows: the limits of the review, what may be spent, what a trade that falls short may do."""

from __future__ import annotations

from math import inf

from bot.config import Config
from bot.config_risk import CapsTable
from connectors.events import NS
from connectors.exact import exact
from strategies.execution.funds import Funds, FundsRule
from strategies.execution.limits import Caps, Limits
from strategies.execution.saga import Rules as TradeRules
from strategies.market.columns import FOREVER_NS
from strategies.market.session import Session, SessionTable


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds; what is too long for that, as infinity, becomes an age that is never reached."""
    return min(FOREVER_NS, round(min(seconds, FOREVER_NS / NS) * NS))


def limits_of(config: Config) -> Limits | None:
    """The limits of the review; without them nothing is approved. One that is not written allows nothing."""
    risk = config.risk
    if risk is None:
        return None
    caps = risk.caps.model_dump() if risk.caps is not None else dict.fromkeys(CapsTable.model_fields, 0.0)
    return Limits(
        max_order_usd=risk.max_order_usd,
        max_position_usd=risk.max_position_usd,
        max_gross_usd=risk.max_gross_usd,
        caps=Caps(**caps),
        collar_bps=risk.collar_bps,
        max_orders_per_minute=risk.max_orders_per_minute,
        hedge_orders_per_minute=risk.hedge_orders_per_minute or 0,
        max_wishes_per_minute=risk.max_wishes_per_minute or 0.0,
        max_turnover_usd_per_day=risk.max_turnover_usd_per_day or 0.0,
        trade_gap_ns=ns(inf if risk.trade_gap_s is None else risk.trade_gap_s),
        max_daily_loss_usd=risk.max_daily_loss_usd,
        max_drawdown_usd=risk.max_drawdown_usd or 0.0,
        max_naked_usd=risk.max_naked_usd or 0.0,
        max_naked_ns=ns(risk.max_naked_s or 0.0),
        sessions=frozenset(Session[name.upper()] for name in risk.sessions),
        coin_band_bps=risk.coin_band_bps,
        need_fair=risk.need_fair,
    )


def funds_of(config: Config, sessions: SessionTable) -> Funds:
    """What may be spent at each venue whose rule says so."""
    rules = {
        name: FundsRule(usd=venue.funds_usd, settle_days=venue.settle_days)
        for name, venue in config.venues.items()
        if venue.funds_usd is not None
    }
    return Funds(rules=rules, sessions=sessions)


def trade_rules_of(config: Config) -> TradeRules | None:
    """What may be done for a trade that falls short; without the table nothing."""
    table = config.execution
    if table is None:
        return None
    return TradeRules(
        retries=table.retries,
        give_bps=exact(table.retry_give_bps),
        wait_ns=ns(table.retry_wait_s),
        max_loss_usd=table.max_loss_usd,
        naked_usd_s=table.naked_usd_s,
        answer_within_ns=ns(table.answer_within_s),
        page_after_ns=ns(table.page_after_s),
        cooldown_ns=ns(table.cooldown_s),
        max_unwinds=table.max_unwinds,
    )
