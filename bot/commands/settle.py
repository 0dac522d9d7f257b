"""`pegline settle`: mints and redemptions under way, and an operator's word about one that is stuck."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bot.journal_settlements import Settlement

VERBS: Final = {
    "list": "every mint and redemption that is not closed; --all: the closed ones too",
    "show": "one of them, with every word of its issuer",
    "recheck": "the daemon asks the issuer once more how it stands",
    "fail": "write it off: what came is all that comes, what lacks is a claim",
}
EPILOG: Final = """\
list and show read the journal, beside a running daemon or without one. recheck and fail are words to the daemon. After
recheck, show tells what the issuer said.

fail closes a request with what has moved so far. Its units are in flight no more and its hedge is no longer kept for
them; what lacks stays a claim on the issuer. Only you can know that nothing comes any more: ask the issuer first.
Should it say something newer after all, that holds.

Ends with 2 for an id that is not there, 6 where the daemon does not do it, 7 where none takes the word, 8 without a
journal."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verbs and their options."""
    from bot import hold_words

    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
    for name, line in VERBS.items():
        verb = verbs.add_parser(name, help=line, description=line)
        if name == "list":
            verb.add_argument("--all", action="store_true", help="closed ones too")
        else:
            verb.add_argument("id", metavar="ID", help="of the request, as list tells it")
        hold_words.arguments(verb, reason=name == "fail")


def run(args: argparse.Namespace) -> int:
    """Tells it, or gives the word. Raises UsageError, JournalError, RefusedByRisk, VenueUnreachable, DataError."""
    from bot.errors import ExitCode, RefusedByRisk, UsageError

    found = _found(args)
    if args.verb == "list":
        _tell(args, [one for one in found if one.open or args.all])
        return ExitCode.OK
    meant = [one for one in found if one.id == args.id]
    if not meant:
        raise UsageError(f"no request {args.id}", hint="pegline settle list --all")
    if args.verb == "show":
        _show(args, meant[0])
        return ExitCode.OK
    from bot import operator_words

    if args.verb == "fail" and not args.reason.strip():
        raise UsageError("--reason is empty", hint="say why nothing comes any more: it is kept in the journal")
    answer = operator_words.told(args, args.verb, {"id": args.id})
    if answer.refused:
        raise RefusedByRisk(answer.refused, hint="pegline settle list")
    print("written off" if args.verb == "fail" else "its issuer is asked; pegline settle show tells what it says")
    return ExitCode.OK


def _found(args: argparse.Namespace) -> list[Settlement]:
    """What the journal of the state folder holds."""
    from bot import hold_words
    from bot.journal_reader import folded
    from bot.journal_steps import runs_in, steps
    from bot.paths import prepare_kernel
    from bot.told_state import JOURNAL

    prepare_kernel()
    from bot.journal_settlements import settlements

    path = hold_words.holds_of(args).state / JOURNAL
    with folded(path):
        return settlements(steps(path), runs_in(path))


def _tell(args: argparse.Namespace, found: list[Settlement]) -> None:
    """A line for each."""
    import json

    import msgspec

    from bot.operator_words import moment
    from bot.terminal import printable

    if args.json:
        print(json.dumps({"schema": 1, "settlements": msgspec.to_builtins(found)}, indent=1))
        return
    if not found:
        print("no mint or redemption is under way")
    for one in found:
        line = (
            f"{one.id}  {one.state}  {one.kind} {one.underlying} at {one.issuer}: {one.given} of {one.quantity} "
            f"{one.source} given, {one.got} of {one.expected} {one.target} came; asked {moment(str(one.asked_ns))}, "
            f"promised {moment(str(one.sla_ns))}"
        )
        print(printable(line + (f"; {one.owed} owed" if one.owed else "")))


def _show(args: argparse.Namespace, one: Settlement) -> None:
    """One of them whole."""
    from bot.operator_words import moment
    from bot.terminal import printable

    _tell(args, [one])
    if args.json:
        return
    print(printable(f"  fees {one.fee_usd} USD{f', of trade {one.trade}' if one.trade else ''}"))
    for word in one.words:
        said = f": {word.detail}" if word.detail else ""
        print(printable(f"  {moment(str(word.ts))}  {word.state.value}, given {word.given:f}, got {word.got:f}{said}"))
