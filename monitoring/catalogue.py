"""Every metric that we export: name, type, labels and help in one table that code, docs and tests read."""

from __future__ import annotations

from typing import Final

from monitoring.catalogue_trades import TRADES, Metric

_TOKEN: Final = ("token", "venue", "instrument")

CATALOGUE: Final = (
    Metric("pegline_build_info", "info", ("version", "commit", "python"), "1; what is running"),
    Metric("pegline_config_info", "info", ("hash", "file"), "1; which config is loaded, so that a change shows"),
    Metric("pegline_mode", "gauge", ("mode",), "1 for the active mode: monitor, dry_run, live"),
    Metric(
        "pegline_token_info",
        "info",
        ("token", "issuer", "underlying", "chain", "unit_model"),
        "1; facts about a token, to be joined on token",
    ),
    Metric("pegline_venue_info", "info", ("venue", "kind"), "1; cex, dex, broker, issuer or oracle"),
    Metric("pegline_market_session", "gauge", ("market", "session"), "1 for the active session of the share market"),
    Metric(
        "pegline_quote_price_usd", "gauge", (*_TOKEN, "side"), "Best quote of one unit in USD; absent when not live"
    ),
    Metric(
        "pegline_quote_last_update_timestamp_seconds",
        "gauge",
        _TOKEN,
        "Unix time of the last accepted quote; stays when the quote is gone",
    ),
    Metric(
        "pegline_reference_price_usd",
        "gauge",
        ("underlying", "source"),
        "Mid price of the share by source; absent when the source is not believed",
    ),
    Metric(
        "pegline_reference_last_update_timestamp_seconds",
        "gauge",
        ("underlying", "source"),
        "Unix time of the last accepted quote of that source",
    ),
    Metric(
        "pegline_reference_info",
        "info",
        ("underlying", "source", "via"),
        "Through which feed a source's last quote came, and the session that it named",
    ),
    Metric("pegline_fair_price_usd", "gauge", ("token",), "Fair value of one unit of a token; absent when unknown"),
    Metric(
        "pegline_fair_price_uncertainty_ratio",
        "gauge",
        ("token",),
        "One-sigma error of the fair value; grows with age, faster when the share trades",
    ),
    Metric("pegline_premium_ratio", "gauge", _TOKEN, "Mid over fair value; 0.01 is a premium of 1 %"),
    Metric(
        "pegline_executable_premium_ratio",
        "gauge",
        (*_TOKEN, "side", "size"),
        "Price after costs over fair value, what a seller gets (sell) or a buyer pays (buy), at the best level and for "
        "100, 1000 and 10000 USD over the levels that are kept; absent where they do not hold the size",
    ),
    Metric(
        "pegline_depth_usd",
        "gauge",
        (*_TOKEN, "side", "band"),
        "USD resting within a band of the mid, counted over the levels that are kept: at least this much",
    ),
    Metric("pegline_alert_threshold_ratio", "gauge", ("token",), "Alert threshold in the session in force"),
    Metric("pegline_multiplier_ratio", "gauge", ("token",), "Shares per unit of a token"),
    Metric("pegline_stablecoin_price_usd", "gauge", ("stablecoin",), "Price of a quote coin; absent when unknown"),
    Metric("pegline_feed_up", "gauge", ("venue", "feed"), "1 while the stream is connected and in sequence"),
    Metric("pegline_feed_messages_total", "counter", ("venue", "feed"), "Messages received"),
    Metric(
        "pegline_feed_rejected_messages_total",
        "counter",
        ("venue", "reason"),
        "Messages and rows that were not believed, by reason",
    ),
    Metric(
        "pegline_feed_state",
        "gauge",
        ("venue", "feed", "state"),
        "1 for the state in force: up, degraded, closed (the venue does not trade) or down",
    ),
    Metric(
        "pegline_instrument_state",
        "gauge",
        (*_TOKEN, "state", "why"),
        "1 for the state of an instrument's stream in force and the worst reason for it; all but up is not traded",
    ),
    Metric(
        "pegline_instrument_doubt",
        "gauge",
        (*_TOKEN, "reason"),
        "1 for each thing that our judgement has against an instrument: basis, implausible (a share source: outvoted), "
        "delayed; it is shown and not traded",
    ),
    Metric("pegline_feed_reconnects_total", "counter", ("venue", "feed"), "Connections made after the first one"),
    Metric("pegline_feed_latency_seconds", "histogram", ("venue",), "Receive time minus the venue's time of a row"),
    Metric("pegline_venue_clock_offset_seconds", "gauge", ("venue",), "How far a venue's clock is ahead of ours"),
    Metric("pegline_venue_clock_error_seconds", "gauge", ("venue",), "Largest error of that offset"),
    Metric("pegline_rest_requests_total", "counter", ("venue", "endpoint"), "REST calls"),
    Metric("pegline_rest_request_failures_total", "counter", ("venue", "reason"), "REST calls that failed"),
    Metric("pegline_rate_limit_used_ratio", "gauge", ("venue",), "Share of the rate budget in use"),
    Metric("pegline_event_loop_lag_seconds", "histogram", (), "How late a periodic beat of the event loop came"),
    Metric("pegline_inbox_waiting_rows", "gauge", (), "Rows that are heard and not looked at yet"),
    Metric("pegline_inbox_superseded_rows_total", "counter", (), "Rows overtaken by a newer one before a look"),
    Metric("pegline_inbox_dropped_rows_total", "counter", (), "Overtaken rows let go for want of room"),
    Metric(
        "pegline_clock_apart_seconds", "gauge", (), "How far the machine's clock has jumped away from the one in use"
    ),
    Metric("pegline_journal_up", "gauge", (), "1 while decisions are recorded; at 0 nothing leaves any more"),
    Metric("pegline_journal_waiting_records", "gauge", (), "Records that are not durable yet"),
    Metric(
        "pegline_journal_behind_seconds", "gauge", (), "For how long records have waited without one becoming durable"
    ),
    Metric("pegline_disk_free_ratio", "gauge", (), "Share of the state folder's disk that is free"),
    Metric("pegline_open_files_ratio", "gauge", (), "Share of the files and sockets allowed to be open that are"),
    Metric("pegline_tape_up", "gauge", (), "1 while rows are recorded, 0 after the disk has refused"),
    Metric("pegline_tape_rows_total", "counter", (), "Rows that are on disk"),
    Metric(
        "pegline_tape_dropped_rows_total", "counter", ("venue", "reason"), "Rows that were heard and are on no tape"
    ),
    Metric("pegline_tape_free_bytes", "gauge", (), "Room on the tape's file system"),
    Metric("pegline_opportunities_total", "counter", ("strategy", "token"), "Trades that a strategy wished for"),
    Metric(
        "pegline_opportunities_skipped_total",
        "counter",
        ("strategy", "reason"),
        "Trades that the risk review stopped, by its first objection",
    ),
    Metric(
        "pegline_kill_switch_engaged",
        "gauge",
        ("scope", "mode", "cause"),
        "1 for each thing that is held back: mode HALT, nothing leaves; REDUCE, only what reduces; absent when none is",
    ),
    Metric("pegline_edge_seen_usd_total", "counter", ("strategy",), "Net edge of all wishes after modelled costs"),
    Metric("pegline_edge_captured_usd_total", "counter", ("strategy",), "Gains of closed trades, fees paid"),
    Metric("pegline_edge_lost_usd_total", "counter", ("strategy",), "Losses of closed trades, as a positive number"),
    Metric("pegline_orders_total", "counter", ("venue", "strategy"), "Orders sent"),
    Metric("pegline_order_failures_total", "counter", ("venue", "reason"), "Orders refused, or with unknown outcome"),
    Metric("pegline_costs_usd_total", "counter", ("strategy", "component"), "Costs of fills: fee, gas, slippage"),
    *TRADES,
    Metric(
        "pegline_unhedged_exposure_usd",
        "gauge",
        ("underlying",),
        "Net signed position in a share over all venues, at fair value; absent when that is unknown",
    ),
    Metric("pegline_inventory_usd", "gauge", ("asset", "venue"), "Position marked at fair value; absent when unknown"),
    Metric(
        "pegline_peg_score",
        "gauge",
        _TOKEN,
        "Peg health against the token's own history: 50 is ordinary, below 5 is seen in one hour of twenty; absent "
        "when unknown",
    ),
    Metric(
        "pegline_peg_state", "gauge", (*_TOKEN, "state"), "1 for the state of the peg in force, which may be unknown"
    ),
    Metric("pegline_token_state", "gauge", ("token", "state"), "1 for the state of a token over all its venues"),
    Metric(
        "pegline_peg_cause",
        "gauge",
        ("token", "cause"),
        "1 for the cause of a token that is not pegged: token, venue, stablecoin, reference, multiplier or issuer",
    ),
    Metric(
        "pegline_peg_changes_total",
        "counter",
        (*_TOKEN, "state"),
        "How often a venue's peg came into a state",
    ),
    Metric(
        "pegline_shadow_peg_changes_total",
        "counter",
        (*_TOKEN, "state"),
        "The same by the candidate rule, which alerts nobody",
    ),
    Metric(
        "pegline_instrument_info",
        "info",
        (*_TOKEN, "underlying", "stablecoin"),
        "1; the share behind an instrument and the coin that it is quoted in, to be joined on instrument",
    ),
    Metric("pegline_depeg_threshold_ratio", "gauge", ("token",), "Depeg threshold in the session in force"),
    Metric(
        "pegline_premium_sigmas",
        "gauge",
        _TOKEN,
        "Premium over one sigma of the fair value that all other witnesses give; absent where either is unknown",
    ),
    Metric(
        "pegline_premium_error_ratio",
        "gauge",
        _TOKEN,
        "One sigma of that fair value: three of them either side of nothing are the band that a premium lies in",
    ),
    Metric(
        "pegline_premium_at_par_ratio",
        "gauge",
        _TOKEN,
        "Premium without the stablecoin leg: were the quote coin worth one dollar",
    ),
    Metric(
        "pegline_token_premium_ratio",
        "gauge",
        ("token",),
        "Premium of the median of a token's venues over the fair value that everybody but this token gives",
    ),
    Metric("pegline_token_premium_sigmas", "gauge", ("token",), "The same over one sigma of that fair value"),
    Metric(
        "pegline_token_spread_ratio",
        "gauge",
        ("token",),
        "One sigma of that median: of the scatter of the venues, or of their prints where that is more",
    ),
    Metric(
        "pegline_issuer_premium_ratio",
        "gauge",
        ("underlying", "token", "over"),
        "Premium of one issuer's token over another's of the same share, share for share",
    ),
    Metric(
        "pegline_issuer_premium_sigmas",
        "gauge",
        ("underlying", "token", "over"),
        "The same over one sigma of both prices together",
    ),
    Metric(
        "pegline_peg_state_since_timestamp_seconds",
        "gauge",
        _TOKEN,
        "Unix time since when the state in force has held",
    ),
    Metric(
        "pegline_peg_false_alarms_per_month",
        "gauge",
        _TOKEN,
        "How often in a month the rule is wrong at this venue by its own account: by its run length, as if prints were "
        "normal, or by the tail of the venue's own prints where that says more; told while it is off its peg",
    ),
    Metric(
        "pegline_venue_peg_cause",
        "gauge",
        (*_TOKEN, "cause"),
        "1 for the cause of an instrument's state; absent where it has none",
    ),
    Metric(
        "pegline_token_state_since_timestamp_seconds",
        "gauge",
        ("token",),
        "Unix time since when the state of the token as a whole has held",
    ),
    Metric(
        "pegline_stablecoin_false_alarms_per_month",
        "gauge",
        ("stablecoin",),
        "How often in a month a coin is called off by chance, by the tail of its own medians; told while it is off",
    ),
    Metric(
        "pegline_stablecoin_depegged",
        "gauge",
        ("stablecoin",),
        "1 while the median of a coin's last minutes is off its dollar, 0 while it holds; absent when unknown",
    ),
    Metric(
        "pegline_stablecoin_state_since_timestamp_seconds",
        "gauge",
        ("stablecoin",),
        "Unix time of the last change of that; absent before the first",
    ),
    Metric(
        "pegline_reference_refused",
        "gauge",
        ("underlying", "source", "reason"),
        "1 while the price of a share source is not believed, with the reason, 0 while it is",
    ),
    Metric(
        "pegline_quote_size_usd",
        "gauge",
        (*_TOKEN, "side"),
        "USD at the best quote; absent when not live or where no size is told",
    ),
    Metric(
        "pegline_pool_incentive_usd_per_day",
        "gauge",
        _TOKEN,
        "What is paid to the liquidity of a pool now; 0 when over",
    ),
    Metric(
        "pegline_pool_incentive_end_timestamp_seconds", "gauge", _TOKEN, "Unix time at which that ends; absent: unknown"
    ),
    Metric(
        "pegline_pool_subsidy_ratio",
        "gauge",
        _TOKEN,
        "Part of what a pool's liquidity is paid that is incentive: so much of its depth leaves at the end; absent "
        "while its fees are unknown",
    ),
    Metric(
        "pegline_pool_breakeven_usd_per_day",
        "gauge",
        _TOKEN,
        "The least incentive at which a pool's value stays; absent while value, fees or required return is unknown",
    ),
    Metric(
        "pegline_pool_exit_usd",
        "gauge",
        (*_TOKEN, "band", "when"),
        "USD that can be sold at once in a pool at an average price within the band under the mid, now, and after the "
        "incentive by free entry; at least this much where the levels that are kept end before",
    ),
    Metric(
        "pegline_pool_inventory_cap_usd",
        "gauge",
        _TOKEN,
        "What could be sold within 1 % after the incentive, and after the largest owners have left: hold no more",
    ),
    Metric(
        "pegline_reconcile_differences",
        "gauge",
        ("venue",),
        "Differences between our account at a venue and the books, for which something there may only be reduced",
    ),
    Metric(
        "pegline_reconcile_last_success_timestamp_seconds",
        "gauge",
        ("venue",),
        "Unix time as of which both were equal last",
    ),
    Metric(
        "pegline_settlement_requests",
        "gauge",
        ("issuer", "kind", "state"),
        "Mints and redemptions that are not closed, by state",
    ),
    Metric(
        "pegline_settlement_oldest_age_seconds",
        "gauge",
        ("issuer", "kind"),
        "Time since the oldest of them was asked for, by the clock of the rows",
    ),
    Metric(
        "pegline_settlement_sla_seconds",
        "gauge",
        ("issuer", "kind"),
        "Promised time of the oldest, from the request to its end",
    ),
    Metric(
        "pegline_capital_locked_usd",
        "gauge",
        ("reason",),
        "What is in flight to issuers, at the price of what was given; reason is mint or redeem",
    ),
    Metric(
        "pegline_liquidity_cliff",
        "gauge",
        _TOKEN,
        "1 while the depth of a pool is about to leave with its incentive, or just has; absent while that is unknown",
    ),
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}
