"""The peg health that a run keeps: of every token, in tape time, from what the engine sees."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import Assembly, assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config, Fair, Gates, Run  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NAN, NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from strategies.market.health import FACT, Score  # noqa: E402

MONDAY = 1_785_772_800 * NS
"""3 August 2026, 12:00 in New York."""
MINUTE = 60 * NS
A, B, S = range(3)


def token(venue: str) -> Instrument:
    """A token of S on a venue, of which a unit is one share at the start."""
    return Instrument(
        venue=venue, symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
        unit_model=UnitModel.TOTAL_RETURN, multiplier=1.0,
    )  # fmt: skip


UNIVERSE = Universe(
    (token("a"), token("b"), Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S", hours="24/7"))
)


def said(ts: int, number: int, kind: Kind, bid: float, ask: float, size: float = NAN, extra: float = NAN) -> Row:
    """A row of one moment."""
    return Row(
        ts_venue=ts, ts_recv=ts, instrument=number, kind=kind, flags=0, bid=bid, ask=ask, bid_size=size, ask_size=size,
        extra=extra,
    )  # fmt: skip


@cache
def days(count: int) -> tuple[Row, ...]:
    """Days of a share and of two tokens that follow it, a print a minute, with the supply told every hour."""
    rng = np.random.default_rng(5)
    rows, share, premium = [], 100.0, np.zeros(2)
    for minute in range(count * 1440):
        ts = MONDAY + minute * MINUTE
        share *= 1 + 2e-4 * rng.normal()
        rows.append(said(ts, S, Kind.REFERENCE, share * 0.9999, share * 1.0001))
        premium = 0.9 * premium + 2e-4 * rng.normal(size=2)
        for number in (A, B):
            mid, half = share * (1 + premium[number]), 5e-4 * np.exp(0.2 * rng.normal())
            rows.append(said(ts + 1, number, Kind.QUOTE, mid * (1 - half), mid * (1 + half), 100 * rng.random() + 50))
        if minute % 60 == 30:
            rows.append(said(ts + 2, A, Kind.SUPPLY, 1000.0, 1000.5 + 0.1 * rng.random()))
    return tuple(rows)


def ran(rows: tuple[Row, ...], *, block: int = 500) -> Assembly:
    """An engine that keeps peg health, after these rows."""
    config = Config(gates=Gates(max_quote_age_s=600.0), run=Run(timer_s=60.0), fair=Fair(evidence_s=300.0))
    parts = assemble(config, UNIVERSE, load_sessions(), Journal(None), executor=None, health=True)
    for rows_of_block in Rows.of(rows).blocks(block):
        parts.engine.advance(rows_of_block)
    return parts


def scores(parts: Assembly) -> dict[int, Score]:
    """What is known now, by instrument."""
    return dict(parts.engine.health.scores(parts.columns.now))


@pytest.fixture(scope="module")
def grown() -> dict[int, Score]:
    """Four ordinary days."""
    return scores(ran(days(4)))


def test_every_token_has_a_score_after_some_days(grown):
    """
    Both are known, with the parts of prints, books and the other venue; the share has none.
    """
    assert {A, B} == set(grown)
    for one in grown.values():
        assert {"premium", "spell", "spread", "depth", "drift", "reversion", "lead", "beta"} <= set(one.tails)
        assert one.score > 1
    assert ("supply" in grown[A].tails, "supply" in grown[B].tails) == (True, False)


def test_at_first_nothing_is_known():
    """
    Three hours are too few to say what is ordinary.
    """
    assert {} == scores(ran(days(4)[: 3 * 60 * 3]))


def test_how_rows_are_cut_into_blocks_changes_nothing(grown):
    """
    The same scores to the last digit in blocks of 7 rows.
    """
    assert grown == scores(ran(days(4), block=7))


def test_more_tokens_than_shares_are_told_by_the_supply(grown):
    """
    The issuer's last row says 1,020 tokens on 1,000 shares.
    """
    rows = days(4)
    beyond = said(rows[-61].ts_recv, A, Kind.SUPPLY, 1020.0, 1000.0)
    found = scores(ran((*rows[:-60], beyond, *rows[-60:])))
    assert (FACT, True) == (found[A].tails["supply"], found[A].score < 5 < grown[A].score)


def test_volume_of_a_fleet_is_told_by_the_trades(grown):
    """
    Two hundred trades of one size, bought and sold in turn.
    """
    rows = days(4)
    ts = rows[-401].ts_recv
    fleet = [said(ts, B, Kind.TRADE, 100.0, 100.0, 7.5, 1.0 if at % 2 else -1.0) for at in range(200)]
    found = scores(ran((*rows[:-400], *fleet, *rows[-400:])))
    assert (FACT, True) == (found[B].tails["wash"], found[B].score < 5)
    assert "wash" not in found[A].tails


def test_a_venue_that_missed_a_split_is_told_and_the_other_is_not():
    """
    Three new shares for two: the share falls by a third, a unit is 1.5 shares and its price stays. One venue's price
    falls with the share, as if a unit were still one.
    """
    rows = days(4)
    before, after = rows[:-400], []
    ts = before[-1].ts_recv
    split = [said(ts, number, Kind.MULTIPLIER, 1.5, NAN) for number in (A, B)]
    for row in rows[-400:]:
        factor = 1.0 if row.instrument == A else 1 / 1.5
        after.append(replace(row, bid=row.bid * factor, ask=row.ask * factor))
    found = scores(ran((*before, *split, *after)))
    assert (0.5, FACT) == (found[A].tails["multiplier"], found[B].tails["multiplier"])
    assert found[B].score < 5


def test_a_silent_venue_has_no_score():
    """
    One venue stops; after half an hour only the other's health is known.
    """
    rows = days(4)
    found = scores(ran((*rows[:-400], *(row for row in rows[-400:] if row.instrument != B))))
    assert {A} == set(found)
