"""What Prometheus gets when it asks: read from the columns and counts at that moment, so a scrape costs the hot path
nothing.

A value that is dead, stale or unknown is left out, never NaN or 0: a series that stays looks alive, and NaN hides an
outage from every comparison. Its `_timestamp_seconds` stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from connectors.events import NS, Why
from connectors.instruments import Role
from connectors.orders import Outcome, Reason
from monitoring.backing import samples as backed
from monitoring.catalogue import CATALOGUE
from monitoring.decisions import Tally
from monitoring.depth import BANDS, LevelsOf, depth_usd, executable_bps, no_levels
from monitoring.facts import AccountState, BackingState, Facts, FeedState, LoopState, Recording
from monitoring.histogram import Histogram
from monitoring.pegs import peg_samples, premium_samples
from monitoring.pools import Readings, pool_lines
from monitoring.pools import samples as pool_samples
from monitoring.positions import samples as positions
from monitoring.reconciled import samples as reconciled
from monitoring.settlements import samples as settlements
from monitoring.snapshot import believed_worth, number, refusals, shares_per_unit, snapshot, unbelieved, valued
from monitoring.trade import ENDS, STAGES
from strategies.execution.use import Use, UseOf
from strategies.market.session import Session

if TYPE_CHECKING:
    from strategies.market.columns import Columns
    from strategies.market.health import Score

STATES: Final = ("up", "degraded", "closed", "down")
MODES: Final = ("monitor", "dry_run", "live")
Sample = tuple[tuple[str, ...], float | None]
"""Label values and a value; None is left out."""


class Metrics(Collector):
    """The collector of a running daemon; `registry()` is what /metrics shows."""

    def __init__(
        self,
        columns: Columns,
        tally: Tally,
        *,
        facts: Facts,
        feeds: Callable[[], Sequence[FeedState]] = tuple,
        loop: Callable[[], LoopState] = LoopState,
        histograms: Callable[[], Mapping[str, Mapping[tuple[str, ...], Histogram]]] = dict,
        levels: LevelsOf = no_levels,
        recording: Callable[[], Recording | None] = lambda: None,
        pools: Readings = tuple,
        accounts: Callable[[], Sequence[AccountState]] = tuple,
        scores: Callable[[], Mapping[int, Score]] = dict,
        use: UseOf = Use,
        backing: Callable[[], Sequence[BackingState]] = tuple,
    ) -> None:
        """`scores` gives the known peg health by instrument, `use` what the gate has let out.

        `feeds` gives the state of every stream when asked, `loop` that of the process, `histograms` those of the
        catalogue by name without prefix and by label values, `levels` those of an instrument's book, `accounts` how
        venues' accounts stand against the books, `backing` how attestations stand against supplies.
        """
        self._levels, self._recording, self._pools, self._scores = levels, recording, pools, scores
        self._columns, self._universe, self._tally = columns, columns.universe, tally
        self._facts, self._feeds, self._accounts, self._backing = facts, feeds, accounts, backing
        self._loop, self._histograms, self._use = loop, histograms, use
        self._tokens = self._universe.where(role=Role.TOKEN)
        self._shares = self._universe.where(role=Role.SHARE)

    def registry(self) -> CollectorRegistry:
        """A registry with nothing else in it."""
        found = CollectorRegistry()
        found.register(self)
        return found

    def describe(self) -> Iterable[Family]:
        """Nothing: the names are checked by tests, and asking early would read columns that do not exist yet."""
        return []

    def collect(self) -> Iterator[Family]:
        """Every family of the catalogue, in its order, with the values of this moment."""
        samples = self._samples()
        histograms = self._histograms()
        for metric in CATALOGUE:
            family: Family
            if metric.type == "histogram":
                counted = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, histogram in histograms.get(metric.name.removeprefix("pegline_"), {}).items():
                    counted.add_metric(labels, list(histogram.buckets()), histogram.sum)
                yield counted
                continue
            if metric.type == "counter":
                family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            else:
                # An info is a gauge of value 1 whose name says so: the text format knows no other.
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in samples[metric.name]:
                if value is not None:
                    family.add_metric(labels, value)
            yield family

    def _samples(self) -> dict[str, Iterable[Sample]]:
        return {
            f"pegline_{name}": values
            for part in (
                self._facts_samples(),
                self._market_samples(),
                self._count_samples(),
                self._pool_samples(),
                settlements(self._tally.conversions, self._columns.mark_usd, self._columns.now),
                reconciled(self._accounts()),
                backed(self._backing()),
                positions(self._tally.concerns, self._tally.positions, self._universe),
            )
            for name, values in part.items()
        }

    def _facts_samples(self) -> dict[str, Iterable[Sample]]:
        facts, columns = self._facts, self._columns
        tokens = {self._universe[at].token: self._universe[at] for at in self._tokens}
        chains = {i.token: i.chain for i in self._universe if i.chain}
        venues = dict.fromkeys(instrument.venue for instrument in self._universe)
        session = columns.session.label
        threshold = facts.warn_bps.get(session)
        return {
            "build_info": [((facts.version, facts.commit, facts.python), 1.0)],
            "config_info": [((facts.config_hash, facts.config_file), 1.0)],
            "mode": [((mode,), float(mode == facts.mode)) for mode in MODES],
            "token_info": [
                (
                    (name, i.issuer, i.underlying, chains.get(name, ""), i.unit_model.value if i.unit_model else ""),
                    1.0,
                )
                for name, i in tokens.items()
            ],
            "venue_info": [((venue, facts.venue_kinds.get(venue, "")), 1.0) for venue in venues],
            "market_session": [((facts.market, one.label), float(one is columns.session)) for one in Session],
            "alert_threshold_ratio": [((name,), None if threshold is None else threshold / 1e4) for name in tokens],
        }

    def _market_samples(self) -> dict[str, Iterable[Sample]]:
        columns, universe = self._columns, self._universe
        picture = snapshot(columns, self._tally, facts=self._facts, feeds=self._feeds(), scores=self._scores())
        keys = {
            at: (line.token, line.venue, line.instrument) for at, line in zip(self._tokens, picture.tokens, strict=True)
        }
        lines = {at: line for at, line in zip(self._tokens, picture.tokens, strict=True)}
        one = {line.token: line for line in picture.tokens}
        quotes: list[Sample] = []
        for at in self._tokens:
            fx = columns.known_fx(at)
            for side, price in (("bid", columns.bid[at]), ("ask", columns.ask[at])):
                live = lines[at].mid_usd is not None
                quotes.append(((*keys[at], side), number(price * fx) if live else None))
        executable: list[Sample] = []
        for at, line in lines.items():
            buy = None if line.buy_edge_bps is None else -line.buy_edge_bps
            executable.append(((*keys[at], "buy", "best"), _ratio(buy)))
            executable.append(((*keys[at], "sell", "best"), _ratio(line.sell_edge_bps)))
        books = {at: book for at, line in lines.items() if line.mid_usd is not None and (book := self._levels(at))}
        for at, book in books.items():
            if lines[at].premium_bps is not None:
                for side, size, bps in executable_bps(columns, at, book):
                    executable.append(((*keys[at], side, str(size)), number(bps / 1e4)))
        depth: list[Sample] = []
        for at, book in books.items():
            for band in BANDS:
                bids, asks, _ = depth_usd(columns, at, book, band)
                depth.append(((*keys[at], "bid", str(band)), number(bids)))
                depth.append(((*keys[at], "ask", str(band)), number(asks)))
        sizes = [
            ((*keys[at], side), number(price * size * columns.known_fx(at)) if line.mid_usd is not None else None)
            for at, line in lines.items()
            for side, price, size in (
                ("bid", columns.bid[at], columns.bid_size[at]),
                ("ask", columns.ask[at], columns.ask_size[at]),
            )
        ]
        references = {at: (universe[at].underlying, universe[at].name) for at in self._shares}
        return {
            "quote_price_usd": quotes,
            "quote_last_update_timestamp_seconds": [(keys[at], self._heard(at)) for at in self._tokens],
            "reference_price_usd": [(key, self._reference(at)) for at, key in references.items()],
            "reference_last_update_timestamp_seconds": [(key, self._heard(at)) for at, key in references.items()],
            "fair_price_usd": [((name,), line.fair_usd) for name, line in one.items()],
            "fair_price_uncertainty_ratio": [((name,), _ratio(line.error_bps)) for name, line in one.items()],
            "premium_ratio": [(keys[at], _ratio(line.premium_bps)) for at, line in lines.items()],
            "executable_premium_ratio": executable,
            "depth_usd": depth,
            "multiplier_ratio": list(
                {universe[at].token: ((universe[at].token,), self._units(at)) for at in self._tokens}.values()
            ),
            "stablecoin_price_usd": [((coin,), number(columns.fx[at])) for at, coin in enumerate(universe.coins())],
            "unhedged_exposure_usd": [((name,), usd) for name, usd in picture.money.unhedged_usd.items()],
            "inventory_usd": self._inventory({s.underlying: s.fair_usd for s in picture.shares}),
            "peg_score": [(keys[at], None if line.reason else line.score) for at, line in lines.items()],
            "peg_state": [((*keys[at], line.peg_state), 1.0) for at, line in lines.items()],
            "quote_size_usd": sizes,
            "token_state": [((name, state), 1.0) for name, (state, _) in self._tally.tokens.items()],
            "peg_cause": [((name, cause), 1.0) for name, (_, cause) in self._tally.tokens.items() if cause],
            **premium_samples(picture, keys.values()),
            **peg_samples(columns, self._tally, self._facts, {at: line.peg_state for at, line in lines.items()}),
        }

    def _pool_samples(self) -> Mapping[str, Iterable[Sample]]:
        return pool_samples(pool_lines(self._universe, self._pools()))

    def _changes(self, counts: Mapping[tuple[int, str], int]) -> list[Sample]:
        """Changes of state by token, venue, instrument and state."""
        found = ((self._universe[at], state, count) for (at, state), count in counts.items())
        return [((one.token, one.venue, one.name, state), float(count)) for one, state, count in found]

    def _count_samples(self) -> dict[str, Iterable[Sample]]:
        tally, feeds, loop, use = self._tally, self._feeds(), self._loop(), self._use()
        by_name = {instrument.name: instrument for instrument in self._universe}
        rejected: Counter[tuple[str, str]] = Counter()
        for feed in feeds:
            for reason, count in feed.rejected.items():
                rejected[feed.venue, reason] += count
        for at, instrument in enumerate(self._universe):
            for reason, count in refusals(self._columns, at).items():
                rejected[instrument.venue, reason] += count
        recording = self._recording()
        names, tokens = self._facts.strategies, {self._universe[at].token for at in self._tokens}
        venues = {self._universe[at].venue for at in self._tokens}
        return {
            "peg_changes_total": self._changes(tally.peg_changes),
            "shadow_peg_changes_total": self._changes(tally.shadow_changes),
            "feed_up": [((feed.venue, feed.feed), float(feed.up)) for feed in feeds],
            "feed_messages_total": [((feed.venue, feed.feed), float(feed.messages)) for feed in feeds],
            "feed_rejected_messages_total": _counted(rejected),
            "feed_state": [((f.venue, f.feed, state), float(f.stands == state)) for f in feeds for state in STATES],
            "instrument_state": [
                ((found.token, found.venue, one.instrument, one.state, one.why), 1.0)
                for feed in feeds
                for one in feed.streams
                if (found := by_name.get(one.instrument)) is not None
            ],
            "instrument_doubt": [
                ((one.token, one.venue, one.name, why.name.lower()), 1.0)
                for at, one in enumerate(self._universe)
                for why in Why
                if self._columns.doubted(at, why)
            ],
            "reference_info": [
                ((self._universe[at].underlying, one.instrument, one.via), 1.0)
                for feed in feeds
                for one in feed.streams
                for at in self._shares
                if one.via and one.instrument == self._universe[at].name
            ],
            "feed_reconnects_total": [((feed.venue, feed.feed), float(feed.reconnects)) for feed in feeds],
            "venue_clock_offset_seconds": [((feed.venue,), feed.offset_s) for feed in feeds],
            "venue_clock_error_seconds": [((feed.venue,), feed.offset_error_s) for feed in feeds],
            "rest_requests_total": _counted({(f.venue, name): n for f in feeds for name, n in f.calls.items()}),
            "rest_request_failures_total": _counted(
                {(f.venue, why): n for f in feeds for why, n in f.failures.items()}
            ),
            "rate_limit_used_ratio": [((feed.venue,), feed.used_ratio) for feed in feeds],
            "inbox_waiting_rows": [((), float(loop.waiting))],
            "inbox_superseded_rows_total": [((), float(loop.superseded))],
            "inbox_dropped_rows_total": [((), float(loop.dropped))],
            "clock_apart_seconds": [((), loop.clock_apart_s)],
            "journal_up": [((), float(not loop.journal_error))],
            "journal_waiting_records": [((), float(loop.journal_waiting))],
            "journal_behind_seconds": [((), loop.journal_behind_s)],
            "disk_free_ratio": _known(loop.disk_free_ratio),
            "open_files_ratio": _known(loop.open_files_ratio),
            "tape_rows_total": [] if recording is None else [((), float(recording.rows))],
            "tape_dropped_rows_total": [] if recording is None else _counted(recording.dropped),
            "tape_free_bytes": _known(None if recording is None else recording.free_bytes),
            "tape_up": [] if recording is None else [((), float(not recording.error))],
            "opportunities_total": _counted(tally.wishes, product(names, tokens)),
            "opportunities_skipped_total": _counted(tally.skipped, product(names, Reason)),
            "kill_switch_engaged": [((hold.scope, hold.mode.name, hold.cause), 1.0) for hold in tally.holds()],
            "edge_seen_usd_total": _counted(tally.edge_seen_usd, product(names)),
            "edge_captured_usd_total": _counted(tally.edge_captured_usd, product(names)),
            "edge_lost_usd_total": _counted(tally.edge_lost_usd, product(names)),
            "orders_total": _counted(tally.orders, product(venues, names)),
            "order_failures_total": _counted(tally.failures, product(venues, (Outcome.REFUSED, Outcome.UNKNOWN))),
            "trades_open": _counted(Counter(trade.stage for trade in tally.open.values()), product(STAGES[:-3])),
            "trade_ends_total": _counted(tally.ends, product(names, ENDS)),
            "trade_pages_total": _counted(tally.pages, product(self._columns.underlyings)),
            "trade_naked_usd_seconds_total": _counted(tally.naked_usd_s, product(names)),
            "trade_naked_usd_seconds": _counted(use.naked_usd_s, product(names)),
            "risk_limit_used_ratio": _counted(use.limits),
            "dust_shares": _counted(tally.dust, product(self._columns.underlyings)),
            "costs_usd_total": _counted(tally.costs_usd, product(names, ("fee", "gas", "slippage"))),
        }

    def _heard(self, at: int) -> float | None:
        ts = int(self._columns.ts[at])
        return ts / NS if ts else None

    def _reference(self, at: int) -> float | None:
        return None if unbelieved(self._columns, at) else number(self._columns.mark_usd(at))

    def _units(self, at: int) -> float | None:
        return shares_per_unit(self._columns, at)

    def _inventory(self, fair: dict[str, float | None]) -> list[Sample]:
        found: dict[tuple[str, ...], float | None] = {}
        for at, units in self._tally.positions.items():
            instrument, shares = self._universe[at], believed_worth(self._columns, self._tally, at)
            value = valued(units, shares, fair.get(instrument.underlying))
            key = (instrument.token or instrument.underlying, instrument.venue)
            before = found.get(key, 0.0)
            found[key] = before + value if before is not None and value is not None else None
        return list(found.items())


def _ratio(bps: float | None) -> float | None:
    return None if bps is None else bps / 1e4


def _known(value: float | None) -> list[Sample]:
    """One sample, where there is a value."""
    return [] if value is None else [((), value)]


def _counted(counts: Mapping[Any, float], expected: Iterable[tuple[str, ...]] = ()) -> list[Sample]:
    """Counts as samples; what is expected but has not happened yet stands at 0, so that its first event shows."""
    found: dict[tuple[str, ...], float | None] = dict.fromkeys(expected, 0.0)
    for labels, count in counts.items():
        found[labels if isinstance(labels, tuple) else (labels,)] = float(count)
    return list(found.items())
