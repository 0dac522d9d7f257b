"""`pegline demo`: its config and story, and what it refuses; tests/monitoring/test_story.py runs it as a user does."""

from __future__ import annotations

import pytest

from bot.cli import main
from bot.commands.demo import demo_config
from connectors.events import NS
from connectors.instruments import Role
from connectors.simulated.cast import universe
from connectors.simulated.world import START_NS
from tests.monitoring.played import play


def test_the_demo_config_names_what_the_world_has():
    """Every instrument and venue of the world is in the config with its role, and none that it lacks."""
    config = demo_config(1, None)
    assert {i.name for i in universe()} == set(config.instruments)
    assert {i.venue for i in universe()} == set(config.venues)
    for instrument in universe():
        table = config.instruments[instrument.name]
        assert instrument.role.name.lower() == table.role and instrument.underlying == table.underlying
        assert instrument.quote == table.quote and instrument.hours.value == table.hours
        assert instrument.witness == table.witness and instrument.coin == table.coin
        if instrument.role is Role.TOKEN:
            assert instrument.unit_model is not None and instrument.unit_model.value == table.unit_model
            assert (instrument.token, instrument.multiplier) == (table.token, table.multiplier)


def test_a_source_that_was_frozen_takes_nobody_down_with_it():
    """From the moment at which it is refused the other one is believed, and stays so when it comes back: it is itself
    in doubt until it agrees.
    """
    day = play(seed=1, without=["hedge", "mint_redeem"], until_ns=START_NS + 24 * 3600 * NS)
    told = [(note.kind, step.ts, note) for step in day.steps for note in step.notes]
    said = [one for one in told if one[2].detail.get("why") != "maintenance"]
    refused = next(ts for kind, ts, _ in said if kind == "reference_refused")
    back = next(ts for kind, ts, _ in said if kind == "reference_back")
    assert [] == [ts for kind, ts, _ in said if kind in ("doubt", "fair_unknown") and ts > refused]
    cleared = [(ts > back, note.instrument) for kind, ts, note in said if kind == "doubt_cleared"]
    assert [False, True] == [late for late, _ in cleared] and cleared[0][1] != cleared[1][1]
    assert [] == [kind for kind, ts, note in said if kind.startswith("fair_") and ts > refused]


@pytest.mark.parametrize(
    "words",
    [
        ("--no-fault", "flood"),
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--seconds", "5", "--speed", "9"),
        ("--seed", "-1"),
        ("--seed", "9" * 30),
        ("--port", "65536"),
        ("--state", "x" * 300),
    ],
)
def test_what_cannot_be_meant_is_refused(words, capsys):
    """An unknown fault, no time, two paces, a seed, port or folder that cannot be: exit 2, with nothing on stdout."""
    assert 2 == main(["demo", *words, "--json"])
    said = capsys.readouterr()
    assert "" == said.out and "pegline:" in said.err
