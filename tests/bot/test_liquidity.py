"""The liquidity cliff over made-up pools: warned of a day before depth has halved, silent where depth stays.

Owners, traders and arbitrage of these pools know nothing of the rule; swaps and depth are the contracts' maths.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import median

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.backtest import run_over  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config, Liquidity, Strategies  # noqa: E402
from bot.wiring import subsidised_pool  # noqa: E402
from connectors.events import NEVER, NS  # noqa: E402
from connectors.simulated.subsidised import (  # noqa: E402
    DAY_S,
    Ending,
    Habits,
    SubsidisedWorld,
    simulate_subsidised,
)
from strategies.base import Note, Step  # noqa: E402
from tests.sweep import cases  # noqa: E402

DAY_NS = DAY_S * NS
SEEDS = [*((seed, False) for seed in range(cases(2, 4))), *((seed, True) for seed in range(102 - cases(1, 2), 102))]
"""(seed, whether it is a v3 pool with a wide range)."""
Spells = Sequence[tuple[int, int]]


@cache
def told(seed: int, ending: Ending, wide_range: bool) -> tuple[SubsidisedWorld, Config]:
    """A world and the config that knows its pool."""
    world = simulate_subsidised(seed, ending, wide_range=wide_range)
    config, _ = subsidised_pool(seed, ending)
    (name,) = config.pools
    known = {
        "concentration": world.concentration,
        "top_lp_share": world.top_share,
        "required_return_share": world.required_return,
    }
    return world, config.model_copy(update={"pools": {name: config.pools[name].model_copy(update=known)}})


@cache
def usual(seed: int, ending: Ending, wide_range: bool) -> tuple[list[Step], str]:
    """The records of that world under the usual rule, and the hash of its journal; several tests ask for them."""
    return steps(*told(seed, ending, wide_range))


def steps(
    world: SubsidisedWorld, config: Config, rule: Liquidity | None = None, block: int | None = None
) -> tuple[list[Step], str]:
    """The records of a run of the whole engine over a world, and the hash of its journal."""
    run = config.run.model_copy(update={"timer_s": 300.0})
    config = config.model_copy(update={"run": run, "strategies": Strategies(liquidity=rule or Liquidity())})
    blocks = [world.rows] if block is None else world.rows.blocks(block)
    result = run_over(config, world.universe, blocks, levels=world.levels)
    return result.records, result.journal_hash


def changes(records: Sequence[Step]) -> list[tuple[int, Note]]:
    """(moment, note) of each change of state."""
    return [(step.ts, note) for step in records for note in step.notes if note.kind == "liquidity_cliff"]


def spells(records: Sequence[Step]) -> Spells:
    """(begin, end) of each warning; one that stands at the end never ends."""
    found: list[tuple[int, int]] = []
    for ts, note in changes(records):
        if note.detail["to"] == "WARNING":
            found.append((ts, NEVER))
        elif note.detail["from"] == "WARNING":
            found[-1] = (found[-1][0], ts)
    return found


def fault(world: SubsidisedWorld, ending: Ending, warned: Spells) -> str:
    """What is wrong with these warnings of a world; empty where they are right."""
    if ending is Ending.STAYS:
        return "warned though depth stays" if warned else ""
    if not warned:
        return "not warned"
    if ending is Ending.RENEWED:
        (_, end), *more = warned
        return "" if not more and world.renewed_ns <= end <= world.renewed_ns + DAY_NS else "still warns when renewed"
    begin, end = warned[0]
    early = (world.halved_ns - begin) / DAY_NS
    if early < 1.0:
        return f"warned {early:.1f} days before depth had halved"
    return "" if world.halved_ns <= end else "taken back before depth had halved"


@pytest.mark.parametrize(("seed", "wide_range"), SEEDS)
def test_a_cliff_is_warned_of_a_day_before_depth_has_halved(seed: int, wide_range: bool) -> None:
    """
    Where subsidy is most of what a pool's owners earn, depth halves around its end, and the warning was there.
    """
    world, _ = told(seed, Ending.ENDS, wide_range)
    assert 0 < world.halved_ns
    assert "" == fault(world, Ending.ENDS, spells(usual(seed, Ending.ENDS, wide_range)[0]))


@pytest.mark.parametrize(("seed", "wide_range"), SEEDS)
def test_a_pool_whose_depth_stays_is_not_warned_of(seed: int, wide_range: bool) -> None:
    """
    Its twin whose owners live on fees keeps more than half of its depth when the incentive ends: not one warning.
    """
    world, _ = told(seed, Ending.STAYS, wide_range)
    records, _ = usual(seed, Ending.STAYS, wide_range)
    assert 0 == world.halved_ns
    assert "" == fault(world, Ending.STAYS, spells(records))
    assert ["CLEAR"] == [note.detail["to"] for _, note in changes(records)]


@pytest.mark.parametrize(("seed", "wide_range"), SEEDS)
def test_a_warning_ends_when_the_incentive_is_renewed(seed: int, wide_range: bool) -> None:
    """
    The twin whose incentive is told to go on is warned of, until that is told.
    """
    world, _ = told(seed, Ending.RENEWED, wide_range)
    assert "" == fault(world, Ending.RENEWED, spells(usual(seed, Ending.RENEWED, wide_range)[0]))


def test_these_worlds_tell_good_rules_from_bad_ones() -> None:
    """
    Who always warns, who never does, who does not ask who pays, and who does not ask until when, fails on them.
    """
    worlds = {ending: told(3, ending, False) for ending in Ending}  # one of its largest owners leaves before the end
    begin = int(worlds[Ending.ENDS][0].rows.ts_recv[0])
    always, never = [(begin, NEVER)], list[tuple[int, int]]()
    assert "not warned" == fault(worlds[Ending.ENDS][0], Ending.ENDS, never)
    assert fault(worlds[Ending.STAYS][0], Ending.STAYS, always)
    assert fault(worlds[Ending.RENEWED][0], Ending.RENEWED, always)
    anybody, anytime, late = Liquidity(warn_share=0.0), Liquidity(warn_days=10_000.0), Liquidity(warn_days=0.01)
    for ending, rule in ((Ending.STAYS, anybody), (Ending.RENEWED, anytime), (Ending.ENDS, late)):
        world, config = worlds[ending]
        assert fault(world, ending, spells(steps(world, config, rule)[0])), ending


def test_what_will_be_left_is_foreseen() -> None:
    """
    The exit that the warning foresees is near what could be sold at the end of the story, and far from what could be
    sold before; the exits that it was told from are those of the contracts' maths.
    """
    ratios, wrong = [], []
    for seed, wide_range in SEEDS:
        world, _ = told(seed, Ending.ENDS, wide_range)
        records, _ = usual(seed, Ending.ENDS, wide_range)
        (ts, note), *_ = [one for one in changes(records) if one[1].detail["to"] == "WARNING"]
        now, after = (float(note.detail[f"exit_0.01_{when}_usd"]) for when in ("now", "after"))
        before = dict(world.depth_usd)[max(at for at, _ in world.depth_usd if at <= ts)]
        left = world.depth_usd[-1][1] / before
        ratios.append(after / now / left)
        wrong.append(1.0 / left)
        assert float(note.detail["cap_usd"]) == pytest.approx(min(after, now * (1 - world.top_share)))
    # Arbitrage pays less where there is less depth, so a little more leaves than free entry alone says.
    assert all(0.7 < ratio < 1.6 for ratio in ratios), ratios
    assert min(wrong) > 2.0


def test_the_warning_reckons_with_the_value_and_the_fees_of_the_pool() -> None:
    """
    Value, fees, LVR and the subsidy's share that are told are those of the world, though nobody told them.
    """
    for seed, wide_range in (SEEDS[0], SEEDS[-1]):
        world, _ = told(seed, Ending.ENDS, wide_range)
        records, _ = usual(seed, Ending.ENDS, wide_range)
        (_, note), *_ = [one for one in changes(records) if one[1].detail["to"] == "WARNING"]
        assert world.subsidy_share == pytest.approx(float(note.detail["subsidy_share"]), abs=0.06)
        assert world.value_usd == pytest.approx(float(note.detail["tvl_usd"]), rel=0.15)
        lost = world.concentration * world.daily_vol**2 * 332 / 8 / 365
        told_loss = float(note.detail["lvr_usd_per_day"]) / float(note.detail["tvl_usd"])
        assert lost == pytest.approx(told_loss, rel=0.01)
        assert 0 < float(note.detail["breakeven_usd_per_day"]) < 1.5 * float(note.detail["usd_per_day"])


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_change_nothing(block: int) -> None:
    """
    However rows are cut into blocks, the journal is the same, byte for byte.
    """
    world, config = told(2, Ending.RENEWED, False)
    assert usual(2, Ending.RENEWED, False)[1] == steps(world, config, block=block)[1]


def test_how_early_it_is() -> None:
    """
    Prints by how long warnings precede the halving, also where the first owners leave five days and a half ahead.
    """
    for ahead in (4.5, 5.5):
        leads = []
        for seed in range(cases(1, 2)):
            world = simulate_subsidised(seed, habits=Habits(ahead_days=ahead, ahead_part=0.7))
            (begin, _), *_ = spells(steps(world, subsidised_pool(seed, Ending.ENDS)[0])[0])
            leads.append((world.halved_ns - begin) / DAY_NS)
        print(
            f"first owner {ahead} days ahead: warned {min(leads):.1f} days before at least, {median(leads):.1f} median"
        )
        assert min(leads) >= 1.0
