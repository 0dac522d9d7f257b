"""`pegline liquidity`: pools with incentives on a tape: who pays for their depth, until when, and what is left then."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bot.arguments import seed
from bot.commands.tape import moment
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.liquidity import Watched
    from monitoring.pools import PoolLine

ENDINGS = ("ends", "stays", "renewed")
EPILOG = """\
Incentives are told by REWARD rows of the tape, or by [pools."venue:SYMBOL"] of the config, which also says what only a
person knows: the fee, the concentration, the largest owners, what they ask for. Volume is that of TRADE rows of the
last days, and what can be sold that of DEPTH rows; where a tape has none, of the config; else it is unknown.

of its income   part of what the pool's liquidity is paid that is incentive; when the incentive ends, so much of its
                depth leaves (free entry, volume not depending on depth; where it does, more)
break-even      the least incentive a day at which the value that is there would stay, by what its owners are said to
                ask for; 0 beside a cliff: by that, fees alone would carry it
sold in 1 %     USD that can be sold at once at an average price of 1 % under the mid, now and after the end
cap             the least of what can be sold after the end, and after the largest owners have left
cliff           the incentive is more than half of the income and ends within a week ([strategies.liquidity])

--simulated shows it on a made-up pool of that seed, whose incentive ends after 14 of 20 days; --ending stays: fees are
most of its income; --ending renewed: the incentive is prolonged some days before its end."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The tape, its config, and how to tell."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tape", type=Path, nargs="?", metavar="TAPE", help="folder of a tape")
    parser.add_argument("--config", type=Path, metavar="FILE", help="its [pools], [strategies.liquidity] and [fair]")
    parser.add_argument(
        "--from", dest="start", type=moment, metavar="TIME", help="tell events from this moment on (ISO 8601, UTC)"
    )
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="moment after the last, ISO 8601, UTC")
    parser.add_argument("--simulated", type=seed, metavar="SEED", help="a made-up pool instead of a tape")
    parser.add_argument("--ending", choices=ENDINGS, default="ends", help="of the made-up pool (ends)")
    parser.add_argument("--json", action="store_true", help="pools and events as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints what was remarked and how each pool stands. Raises UsageError, ConfigError, TapeError."""
    if (args.tape is None) == (args.simulated is None):
        raise UsageError("give either a tape or --simulated", where="liquidity")
    if args.start is not None and args.end is not None and not args.start < args.end:
        raise UsageError("--from must be before --to", where="liquidity")
    if args.simulated is not None and (args.config or args.start is not None or args.end is not None):
        raise UsageError("a made-up pool has its own config and time", where="liquidity")
    from bot.paths import prepare_kernel

    prepare_kernel()
    found = _made_up(args.simulated, args.ending) if args.tape is None else _of_tape(args)
    if args.json:
        import msgspec

        answer = {
            "schema": 1,
            "last_ns": found.last_ns,
            "rows": found.rows,
            "pools": msgspec.to_builtins(found.pools),
            "events": [{"ts": line.ts, "kind": line.kind, "text": line.text} for line in found.lines],
        }
        print(json.dumps(answer, indent=1, allow_nan=False))
        return 0
    _words(found)
    return 0


def _of_tape(args: argparse.Namespace) -> Watched:
    from bot.backtest import columns_of
    from bot.config import Config
    from bot.config_file import load
    from bot.liquidity import watch
    from connectors.tape import open_tape

    config = Config() if args.config is None else load(args.config, credentials=False)
    tape = open_tape(args.tape)
    blocks = tape.blocks(columns_of(tape), None, args.end)  # an incentive may have been told before --from
    return watch(config, tape.universe, blocks, tape.depth, since_ns=args.start or 0)


def _made_up(number: int, ending: str) -> Watched:
    from bot.liquidity import watch
    from bot.wiring import subsidised_pool

    config, world = subsidised_pool(number, ending)
    return watch(config, world.universe, [world.rows], world.levels)


def _words(found: Watched) -> None:
    """A line for each event, then a table of the pools."""
    from bot.tables import print_table
    from monitoring.narrate import utc

    for name in found.absent:
        print(f"[pools] {name} is not on this tape", file=sys.stderr)
    for line in found.lines:
        print(line)
    if not found.pools:
        print("no pool with an incentive: neither a REWARD row nor [pools] of a config tells of one", file=sys.stderr)
        return
    if found.lines:
        print()
    columns = ("pool", "USD a day", "ends", "of its income", "break-even", "sold in 1 %", "after", "cap", "cliff")
    print_table(columns, [_line(one) for one in found.pools], title=utc(found.last_ns), numbers=columns[1:8])


def _line(one: PoolLine) -> list[str]:
    """One pool as cells."""
    from monitoring.words import age

    exit, over = one.exits[0], one.days is not None and one.days <= 0
    return [
        one.instrument,
        _usd(one.incentive_usd_per_day),
        "?" if one.days is None else "over" if over else f"in {age(one.days * 86_400)}",
        "?" if one.subsidy_share is None else f"{one.subsidy_share:.0%}",
        _usd(one.breakeven_usd_per_day),
        _usd(exit.now_usd) if exit.complete or exit.now_usd is None else f">{_usd(exit.now_usd)}",
        _usd(exit.after_usd),
        _usd(one.cap_usd),
        one.state,
    ]


def _usd(value: float | None) -> str:
    """Whole dollars; a question mark where unknown."""
    return "?" if value is None else f"{value:,.0f}"
