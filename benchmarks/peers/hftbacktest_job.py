"""hftbacktest on the shared job: python -m benchmarks.peers.hftbacktest_job TAPE ROUNDS; one JSON object on stdout.

A quote becomes two to four depth events (old levels away, new levels set), since that is what its book takes.
Orders travel by its constant latency model, and fill at its exchange model's best price.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import hftbacktest as hbt  # noqa: E402  (its import is part of what is measured)
import numpy as np  # noqa: E402
from hftbacktest.order import FILLED, GTC, MARKET  # noqa: E402
from numba import njit  # noqa: E402

IMPORT_S = time.perf_counter() - STARTED

from benchmarks.measure import peak_rss_mb  # noqa: E402
from benchmarks.peers import columns  # noqa: E402
from benchmarks.rules import CENT, COOLDOWN_NS, FEE, LATENCY_NS, LEGS, LIMIT, MIN_EDGE_BPS, SHARE  # noqa: E402

ENTRY_NS = LATENCY_NS + 500
"""Our times are whole microseconds: half of one more lets the rows of the due moment come first, as the job says."""

FOREVER_NS = 1_000_000_000 * 86_400 * 365
FED = 2
"""`wait_next_feed` returned because of a row."""


def events_of(ts: Any, bid: Any, ask: Any, bid_size: Any, ask_size: Any) -> Any:
    """One leg's quotes as depth events; a level whose price did not move is overwritten, not removed."""
    here = np.uint64(hbt.EXCH_EVENT | hbt.LOCAL_EVENT | hbt.DEPTH_EVENT)
    bids, asks = here | np.uint64(hbt.BUY_EVENT), here | np.uint64(hbt.SELL_EVENT)
    events = np.zeros((len(ts), 4), dtype=hbt.binding.event_dtype)
    events["exch_ts"] = events["local_ts"] = ts[:, None]
    events["ev"] = [bids, asks, bids, asks]
    events["px"][1:, 0], events["px"][1:, 1] = bid[:-1], ask[:-1]
    events["px"][:, 2], events["px"][:, 3] = bid, ask
    events["qty"][:, 2], events["qty"][:, 3] = bid_size, ask_size
    keep = np.ones((len(ts), 4), dtype=bool)
    keep[0, :2] = False
    keep[1:, 0], keep[1:, 1] = bid[1:] != bid[:-1], ask[1:] != ask[:-1]
    return events[keep]


def world(data: list[Any]) -> Any:
    """Four venues with their rows, ready to run."""
    assets = [
        hbt.BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(ENTRY_NS, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE, FEE)
        .tick_size(CENT)
        .lot_size(1.0)
        .last_trades_capacity(0)
        for events in data
    ]
    return hbt.HashMapMarketDepthBacktest(assets)


@njit  # type: ignore[untyped-decorator]
def run(market: Any, decided: Any) -> int:
    """The job's strategy; writes (buy leg, sell leg) of each decision and returns how many there were."""
    bid, ask = np.zeros(LEGS), np.zeros(LEGS)
    count = 0
    ready = np.int64(0)
    while market.wait_next_feed(False, FOREVER_NS) == FED:
        if market.current_timestamp < ready:
            continue
        quoted = True
        for leg in range(LEGS):
            depth = market.depth(leg)
            bid[leg], ask[leg] = depth.best_bid, depth.best_ask
            quoted = quoted and bid[leg] > 0 and ask[leg] > 0
        if not quoted:
            continue
        buy, sell = -1, -1
        low, high = np.inf, 0.0
        for leg in range(LEGS):
            if ask[leg] < low and market.position(leg) < LIMIT:
                buy, low = leg, ask[leg]
            if bid[leg] > high and market.position(leg) > -LIMIT:
                sell, high = leg, bid[leg]
        if buy == sell or buy < 0 or sell < 0:
            continue
        mid = (bid[SHARE] + ask[SHARE]) / 2
        if (high * (1 - FEE) - low * (1 + FEE)) / mid * 1e4 > MIN_EDGE_BPS:
            market.submit_buy_order(buy, 2 * count, low, 1.0, GTC, MARKET, False)
            market.submit_sell_order(sell, 2 * count + 1, high, 1.0, GTC, MARKET, False)
            decided[count, 0], decided[count, 1] = buy, sell
            count += 1
            ready = market.current_timestamp + COOLDOWN_NS
    return count


@njit  # type: ignore[untyped-decorator]
def outcome(market: Any, decided: Any, count: int, fills: Any, state: Any) -> int:
    """Writes the fills and each leg's (balance, fee, position, mid); returns the number of fills."""
    filled = 0
    for at in range(2 * count):
        leg = decided[at // 2, at % 2]
        order = market.orders(leg).get(at)
        if order is not None and order.status == FILLED:
            fills[filled, 0], fills[filled, 1] = order.exch_timestamp, leg
            fills[filled, 2], fills[filled, 3] = 1 - 2 * (at % 2), order.exec_price_tick
            filled += 1
    for leg in range(LEGS):
        values, depth = market.state_values(leg), market.depth(leg)
        state[leg, 0], state[leg, 1], state[leg, 2] = values.balance, values.fee, values.position
        state[leg, 3] = (depth.best_bid + depth.best_ask) / 2
    return filled


def main(tape: Path, rounds: int) -> dict[str, Any]:
    """Loads, compiles on the first rows, and runs the whole job `rounds` times."""
    columns.read(tape)  # warms the file cache and pyarrow, as for the others
    start = time.perf_counter()
    rows = columns.read(tape)
    data = []
    for leg in range(LEGS):
        own = rows["instrument"] == leg
        data.append(events_of(*(rows[name][own] for name in columns.NAMES if name != "instrument")))
    load_s = time.perf_counter() - start
    total = len(rows["ts_recv"])
    del rows, own
    decided = np.zeros((total // 2 + 1, 2), dtype=np.int64)
    fills = np.zeros((total + 1, 4), dtype=np.int64)
    state = np.zeros((LEGS, 4))
    start = time.perf_counter()
    short = world([events[:1_000] for events in data])
    outcome(short, decided, run(short, decided), fills, state)
    short.close()
    compile_s = time.perf_counter() - start
    seconds = []
    for _ in range(rounds):
        market = world(data)
        start = time.perf_counter()
        count = run(market, decided)
        seconds.append(time.perf_counter() - start)
        filled = outcome(market, decided, count, fills, state)
        market.close()
    early = ENTRY_NS - LATENCY_NS
    trades = [[int(t) - early, int(leg), int(side), round(tick * CENT, 2)] for t, leg, side, tick in fills[:filled]]
    return {
        "rows": total,
        "events": sum(map(len, data)),
        "import_s": IMPORT_S,
        "compile_s": compile_s,
        "load_s": load_s,
        "run_s": seconds,
        "fills": trades,
        "profit_usd": float((state[:, 0] - state[:, 1] + state[:, 2] * state[:, 3]).sum()),
        "peak_rss_mb": peak_rss_mb(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
