"""nautilus-trader on the shared job: python -m benchmarks.peers.nautilus_job TAPE ROUNDS; one JSON object on stdout.

Its low-level API, logging and risk engine bypassed, four venues with margin accounts. Its latency model holds the
orders back; commands are otherwise looked at only after the next quote was applied, so a time alert that does nothing
makes the exchanges look at the due moment, which is what the job says.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import pandas as pd  # noqa: E402  (its import is part of what is measured)
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig  # noqa: E402
from nautilus_trader.backtest.models import LatencyModel  # noqa: E402
from nautilus_trader.config import LoggingConfig, RiskEngineConfig  # noqa: E402
from nautilus_trader.model.currencies import USD  # noqa: E402
from nautilus_trader.model.data import QuoteTick  # noqa: E402
from nautilus_trader.model.enums import AccountType, CurrencyType, OmsType, OrderSide  # noqa: E402
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue  # noqa: E402
from nautilus_trader.model.instruments import CurrencyPair  # noqa: E402
from nautilus_trader.model.objects import Currency, Money, Price, Quantity  # noqa: E402
from nautilus_trader.persistence.wranglers import QuoteTickDataWrangler  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402

IMPORT_S = time.perf_counter() - STARTED

from benchmarks.measure import peak_rss_mb  # noqa: E402
from benchmarks.peers import columns  # noqa: E402
from benchmarks.rules import COOLDOWN_NS, FEE, LATENCY_NS, LEGS, LIMIT, MIN_EDGE_BPS, SHARE  # noqa: E402

ONE = Quantity.from_int(1)


def instrument_of(leg: int) -> CurrencyPair:
    """A leg as something that trades in cents and whole units, with the job's fee and no margin."""
    base = Currency("TOK", precision=0, iso4217=0, name="TOK", currency_type=CurrencyType.CRYPTO)
    symbol = Symbol("TOK/USD" if leg != SHARE else "SHR/USD")
    return CurrencyPair(
        instrument_id=InstrumentId(symbol, Venue(f"V{leg}")),
        raw_symbol=symbol,
        base_currency=base,
        quote_currency=USD,
        price_precision=2,
        size_precision=0,
        price_increment=Price.from_str("0.01"),
        size_increment=ONE,
        lot_size=None,
        max_quantity=None,
        min_quantity=None,
        max_notional=None,
        min_notional=None,
        max_price=None,
        min_price=None,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal(str(FEE)),
        taker_fee=Decimal(str(FEE)),
        ts_event=0,
        ts_init=0,
    )


class Job(Strategy):  # type: ignore[misc]
    """The job's strategy, with the state that a person would keep beside the engine."""

    def __init__(self, instruments: list[CurrencyPair]) -> None:
        """Numbers the instruments."""
        super().__init__()
        self.legs = {instrument.id: leg for leg, instrument in enumerate(instruments)}
        self.ids = [instrument.id for instrument in instruments]
        self.on_reset()

    def on_start(self) -> None:
        """Asks for the quotes."""
        for instrument_id in self.ids:
            self.subscribe_quote_ticks(instrument_id)

    def on_reset(self) -> None:
        """Back to the beginning."""
        self.bid = [0.0] * LEGS
        self.ask = [0.0] * LEGS
        self.position = [0] * LEGS
        self.unheard = LEGS
        self.ready = 0
        self.count = 0
        self.cash = 0.0
        self.fills: list[tuple[int, int, int, float]] = []

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Rules 2 and 3 of the job."""
        leg = self.legs[tick.instrument_id]
        bid, ask, position = self.bid, self.ask, self.position
        if self.unheard and bid[leg] == 0.0:
            self.unheard -= 1
        bid[leg] = tick.bid_price.as_double()
        ask[leg] = tick.ask_price.as_double()
        now = tick.ts_init
        if now < self.ready or self.unheard:
            return
        mid = (bid[SHARE] + ask[SHARE]) / 2
        if (max(bid) * (1 - FEE) - min(ask) * (1 + FEE)) / mid * 1e4 <= MIN_EDGE_BPS:
            return
        buy = sell = -1
        low, high = 1e300, 0.0
        for at in range(LEGS):
            if position[at] < LIMIT and ask[at] < low:
                buy, low = at, ask[at]
            if position[at] > -LIMIT and bid[at] > high:
                sell, high = at, bid[at]
        if buy == sell or buy < 0 or sell < 0:
            return
        if (high * (1 - FEE) - low * (1 + FEE)) / mid * 1e4 > MIN_EDGE_BPS:
            self.ready = now + COOLDOWN_NS
            self.count += 1
            for at, side in ((buy, OrderSide.BUY), (sell, OrderSide.SELL)):
                self.submit_order(self.order_factory.market(self.ids[at], side, ONE))
            self.clock.set_time_alert_ns(f"due-{self.count}", now + LATENCY_NS, self.look)

    def look(self, event: Any) -> None:
        """Nothing: the alert alone makes the exchanges look at the orders that have arrived."""

    def on_order_filled(self, event: Any) -> None:
        """Keeps the fill and the position."""
        leg = self.legs[event.instrument_id]
        side = 1 if event.order_side == OrderSide.BUY else -1
        price = event.last_px.as_double()
        self.position[leg] += side
        self.cash -= side * price + event.commission.as_double()
        self.fills.append((event.ts_event, leg, side, price))


def quotes_of(instrument: CurrencyPair, rows: dict[str, Any], leg: int) -> list[QuoteTick]:
    """One leg's rows through its wrangler."""
    own = rows["instrument"] == leg
    frame = pd.DataFrame(
        {
            "bid_price": rows["bid"][own],
            "ask_price": rows["ask"][own],
            "bid_size": rows["bid_size"][own],
            "ask_size": rows["ask_size"][own],
        },
        index=pd.to_datetime(rows["ts_recv"][own], unit="ns", utc=True),
    )
    ticks: list[QuoteTick] = QuoteTickDataWrangler(instrument).process(frame)
    return ticks


def main(tape: Path, rounds: int) -> dict[str, Any]:
    """Loads, and runs the whole job `rounds` times."""
    columns.read(tape)  # warms the file cache and pyarrow, as for the others
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True))
    )
    start = time.perf_counter()
    rows = columns.read(tape)
    instruments = [instrument_of(leg) for leg in range(LEGS)]
    for leg, instrument in enumerate(instruments):
        engine.add_venue(
            venue=Venue(f"V{leg}"),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            starting_balances=[Money(1_000_000_000, USD)],
            latency_model=LatencyModel(base_latency_nanos=LATENCY_NS),
        )
        engine.add_instrument(instrument)
        engine.add_data(quotes_of(instrument, rows, leg), sort=leg == LEGS - 1)
    load_s = time.perf_counter() - start
    strategy = Job(instruments)
    engine.add_strategy(strategy)
    seconds = []
    for at in range(rounds):
        if at:
            engine.reset()
        start = time.perf_counter()
        engine.run()
        seconds.append(time.perf_counter() - start)
    marks = sum(p * (b + a) / 2 for p, b, a in zip(strategy.position, strategy.bid, strategy.ask, strict=True))
    return {
        "rows": len(rows["ts_recv"]),
        "events": len(rows["ts_recv"]),
        "import_s": IMPORT_S,
        "compile_s": 0.0,
        "load_s": load_s,
        "run_s": seconds,
        # Its exchanges are looked at in order of their names; the job names the bought leg first.
        "fills": sorted(strategy.fills, key=lambda fill: (fill[0], -fill[2])),
        "profit_usd": strategy.cash + marks,
        "peak_rss_mb": peak_rss_mb(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
