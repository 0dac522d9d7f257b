"""`pegline kill`: nothing leaves any more, at once and until `pegline unkill`."""

from __future__ import annotations

import argparse

EPILOG = """\
Works while the daemon runs, hangs or is down: it puts a file KILL into the state folder, which is looked at wherever
an order leaves, and `touch state/KILL` does the same. Orders that are with a venue stay there until they are filled or
cancelled. No later round of a trade leaves either: what is open stays open."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot import hold_words

    parser.epilog = EPILOG
    hold_words.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Halts everything. Raises DataError where the state folder takes no file."""
    from bot import hold_words
    from bot.clock import wall_ns
    from strategies.execution.latch import ALL, OPERATOR, Hold, Mode

    holds = hold_words.holds_of(args)
    who = hold_words.speaker()
    holds.kill(Hold(scope=ALL, mode=Mode.HALT, cause=OPERATOR, why=args.reason, at=wall_ns(), by=who))
    hold_words.show(args, holds, done="killed: nothing leaves any more")
    return 0
