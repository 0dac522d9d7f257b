"""`pegline resume SCOPE`: takes back what holds a scope, except the kill switch."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot import hold_words

    parser.epilog = f"""\
{hold_words.SCOPES}
Lifts every hold on that very scope: a pause of yours, or what the gate has set itself for a drawdown (all), a share
without a hedge (underlying:NAME) or a strategy that ran away (strategy:NAME). While the kill switch holds nothing
would leave: it ends with 6, and nothing is changed."""
    hold_words.arguments(parser, scope=True)


def run(args: argparse.Namespace) -> int:
    """Resumes a scope. Raises RefusedByRisk under the kill switch, UsageError for a scope that there is not."""
    from bot import hold_words
    from bot.clock import wall_ns
    from strategies.execution.latch import ALL, Mode

    holds, now = hold_words.holds_of(args), wall_ns()
    scope = hold_words.checked(args.scope, args.config)
    halted = [one for one in holds.read(now).latch.holds if (one.scope, one.mode) == (ALL, Mode.HALT)]
    if halted:
        raise hold_words.killed(halted[0])
    modes = (Mode.REDUCE,) if scope == ALL else (Mode.REDUCE, Mode.HALT)
    gone = holds.resume(scope, modes, why=args.reason, by=hold_words.speaker(), now=now)
    hold_words.show(args, holds, done=f"{scope} is resumed" if gone else f"nothing held {scope} back here")
    return 0
