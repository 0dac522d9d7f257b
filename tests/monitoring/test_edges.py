"""The best edge of a share as the windows tell it: what bars a pair is named, and the gap is shown all the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.instruments import Universe
from monitoring.decisions import Tally
from monitoring.facts import Facts
from monitoring.health import health
from monitoring.page import page
from monitoring.snapshot import ShareLine, Snapshot, snapshot
from tests.bot.test_judges import UNIT, Ran, always, config, market

WIDE = {"r": always(1), "s": always(1), "a": always(2.0), "b": always(2.02)}
"""Two venues whose prices of a token with two shares a unit are 100 bps apart."""


def seen(**strategy: Decimal) -> tuple[ShareLine, Snapshot]:
    """The share's line half a minute into a gap, and the whole picture, under changed limits of the strategy."""
    base = config(**UNIT)
    assert base.strategies.cross_venue is not None
    changed = base.strategies.cross_venue.model_copy(update={"enabled": True, **strategy})
    made = base.model_copy(update={"strategies": base.strategies.model_copy(update={"cross_venue": changed})})
    columns = Ran(made, market(30, **WIDE)).columns
    universe: Universe = columns.universe
    picture = snapshot(columns, Tally(universe), facts=Facts(version="1", mode="dry_run"))
    return picture.shares[0], picture


def test_a_pair_that_has_no_room_is_shown_with_its_edge_and_why() -> None:
    """
    No unit may be sold short: the gap between the venues is told, with what bars it, on the page too.
    """
    line, picture = seen(max_short_units=Decimal(0))
    assert ("a:T", "b:T") == (line.buy, line.sell)
    assert pytest.approx(98, abs=4) == line.edge_bps
    assert "selling: no room: position limit" == line.not_tradable
    assert "not tradable: selling: no room: position limit" in page(picture, health(picture))


def test_a_pair_that_may_be_traded_has_no_reason() -> None:
    """
    With room on both sides there is an edge and nothing bars it.
    """
    line, picture = seen()
    assert ("a:T", "b:T", "") == (line.buy, line.sell, line.not_tradable)
    assert pytest.approx(98, abs=4) == line.edge_bps
    assert "not tradable" not in page(picture, health(picture))
