"""`pegline selftest`: the whole bot on virtual time in invented markets in which things go wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.arguments import seed, whole
from bot.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from bot.simulation.many import Total
    from bot.simulation.outcome import Outcome

SEEDS = 200
EPILOG = """\
Each seed is a quarter of an hour of a market with two different faults in it: an answer that is lost, a venue that is
down, a crash while orders leave, a disk that is full. The real engine trades there; after every record its books,
approvals and orders are held against what must always be so, and at the end against the truth of the venues. The same
seed tells the same story, to the same hash. `--faults` plays each kind of fault by itself instead.

Exit code 5 where anything was broken; the seed is the bug report."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.epilog = EPILOG
    parser.add_argument("--seeds", type=whole, metavar="N", help=f"how many seeds, from --seed on ({SEEDS}; 1 of one)")
    parser.add_argument("--seed", type=seed, metavar="S", help="only this seed, told in detail")
    parser.add_argument("--faults", action="store_true", help="each kind of fault by itself, at each seed (1)")
    parser.add_argument("--jobs", type=whole, metavar="J", help="processes (one for each processor)")
    parser.add_argument("--json", action="store_true", help="what came of it as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Plays the scenes. Raises CheckFailed where something was broken, UsageError for seeds that are none."""
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.simulation.many import play_many, total_of
    from bot.simulation.scene import scene_of, scenes_of_faults

    first = args.seed or 0
    count = args.seeds or (1 if args.faults or args.seed is not None else SEEDS)
    if first + count > 2**31:
        raise UsageError("--seed and --seeds go beyond 2147483648")
    seeds = range(first, first + count)
    scenes = [one for at in seeds for one in (scenes_of_faults(at) if args.faults else (scene_of(at),))]
    outcomes = play_many(scenes, args.jobs or os.cpu_count() or 1, _progress(len(scenes)))
    total = total_of(outcomes)
    if args.json:
        import msgspec

        json.dump({"version": 1, **msgspec.to_builtins(total)}, sys.stdout, indent=1)
        print()
    elif len(outcomes) == 1:
        print(_detail(outcomes[0]))
    else:
        print(_table(total))
    if total.broke:
        named = list(dict.fromkeys(one.seed for one in total.broke))
        again = " ".join(["pegline selftest", *(["--faults"] if args.faults else []), f"--seed {named[0]}"])
        seen = ", ".join(map(str, named[:10])) + (", ..." if len(named) > 10 else "")
        raise CheckFailed(
            f"{len(total.broke)} of {total.scenes} scenes broke what must always hold (seeds {seen}): "
            f"{total.broke[0].breaches[0]}",
            hint=f"{again} plays it again",
        )
    return 0


def _progress(scenes: int) -> Callable[[int, int], None]:
    """Tells on stderr how far it is, at each tenth."""

    def tell(done: int, broke: int) -> None:
        if scenes >= 100 and done * 10 // scenes != (done - 1) * 10 // scenes:
            print(f"{done} of {scenes} scenes, {broke} broke", file=sys.stderr)

    return tell


def _table(total: Total) -> str:
    """For a person: what was traded, and what each kind of fault did."""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(total.ends.items()))
    lines = [
        f"{total.scenes} scenes, {len(total.broke)} broke; {total.restarts} restarts",
        f"{total.trades} trades ({ends}); {total.orders} orders, {total.fills} fills; {total.hedges} hedges, "
        f"{total.unwinds} unwinds, {total.conversions} conversions, {total.pages} pages",
        "",
        "row  fault              scenes  struck  broke  seen after  mended after  naked USD x s",
    ]
    lines += [
        f"{one.row:>3}  {one.fault:<17}  {one.scenes:>6}  {one.struck:>6}  {one.broke:>5}  {one.detected_s:>8.1f} s"
        f"  {one.recovered_s:>10.1f} s  {one.worst_naked_usd_s:>13,.0f}"
        for one in total.faults
    ]
    return "\n".join(lines)


def _detail(one: Outcome) -> str:
    """For a person: one scene."""
    said: dict[str, Any] = {
        "seed": one.seed,
        "faults": "; ".join(_words(one, at) for at in range(len(one.faults))) or "none",
        "trades": ", ".join(f"{count} {end}" for end, count in sorted(one.ends.items())) or "none",
        "orders": f"{one.orders}, of them {one.hedges} hedges and {one.unwinds} unwinds; {one.fills} fills",
        "conversions": one.conversions,
        "pages": one.pages,
        "restarts": one.restarts,
        "seen after": "-" if one.detected_s is None else f"{one.detected_s:.2f} s",
        "mended after": "-" if one.recovered_s is None else f"{one.recovered_s:.2f} s",
        "naked": f"{one.worst_naked_usd_s:,.0f} USD x s at worst",
        "journal": f"{one.records} records, {one.journal_hash}",
        "broken": "nothing" if one.ok else "\n              ".join(one.breaches),
    }
    return "\n".join(f"{name:<12}  {value}" for name, value in said.items())


def _words(one: Outcome, at: int) -> str:
    """A fault of a scene, and how often it struck."""
    fault = one.faults[at]
    where = f" at {fault.where}" if fault.where else ""
    when = f" from second {fault.at_s:.0f} for {fault.for_s:.0f} s" if fault.at_s else f" number {fault.number}"
    return f"{fault.what}{where}{when} (struck {one.struck[fault.what]} times)"
