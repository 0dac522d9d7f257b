"""`pegline unkill`: takes the halt of everything back; what is paused stays paused."""

from __future__ import annotations

import argparse

EPILOG = """\
Lifts the halt of everything, whether `pegline kill`, the file KILL or the watchdog has set it. Look at
`pegline journal` and `pegline doctor` first. The reason goes into the journal."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot import hold_words

    parser.epilog = EPILOG
    hold_words.arguments(parser, reason=True)


def run(args: argparse.Namespace) -> int:
    """Lifts the halt. Raises UsageError for an empty reason, DataError where it cannot be written."""
    from bot import hold_words
    from bot.clock import wall_ns
    from bot.errors import UsageError
    from strategies.execution.latch import ALL, Mode

    if not args.reason.strip():
        raise UsageError("--reason is empty", hint="say why it is safe to go on")
    holds = hold_words.holds_of(args)
    gone = holds.resume(ALL, (Mode.HALT,), why=args.reason, by=hold_words.speaker(), now=wall_ns())
    hold_words.show(args, holds, done="the halt is lifted" if gone else "nothing was halted")
    return 0
