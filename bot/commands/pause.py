"""`pegline pause SCOPE`: nothing is opened there; what reduces goes on."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot import hold_words

    parser.epilog = f"""\
{hold_words.SCOPES}
Only what provably brings a position or net shares nearer to zero passes there, until `pegline resume SCOPE` or for
the time given. It works while the daemon runs and while it does not."""
    hold_words.arguments(parser, scope=True)
    parser.add_argument(
        "--for", dest="time", type=hold_words.duration_ns, metavar="TIME", help="such as 90s, 10m, 2h or 1d"
    )


def run(args: argparse.Namespace) -> int:
    """Pauses a scope. Raises UsageError for one that there is not, DataError where it cannot be written."""
    from bot import hold_words
    from bot.clock import wall_ns
    from strategies.execution.latch import OPERATOR, Hold, Mode

    now, holds = wall_ns(), hold_words.holds_of(args)
    hold = Hold(
        scope=hold_words.checked(args.scope, args.config),
        mode=Mode.REDUCE,
        cause=OPERATOR,
        why=args.reason,
        at=now,
        until=now + args.time if args.time else 0,
        by=hold_words.speaker(),
    )
    holds.set(hold)
    hold_words.show(args, holds, done=f"{args.scope} is paused: only what reduces passes")
    return 0
