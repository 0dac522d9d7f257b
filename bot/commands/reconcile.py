"""`pegline reconcile`: where the books and the accounts at venues differ; with a reason, corrects the books."""

from __future__ import annotations

import argparse
from typing import Final

EPILOG: Final = """\
Asks the daemon on the state folder, which compares by itself at its start and every [run] reconcile_s. What differs may
only be reduced until both are equal. A fill of ours that was missing is booked by the daemon, an order of ours that was
lost is cancelled; neither needs a word.

--fix corrects the books by exactly what is shown: balances by their amounts at the prices of now, in the journal with
evidence, your name and reason; that counts neither as profit nor as loss. A fill on which both differ stays as the
books have it, and its balance is corrected. What a venue does not tell cannot be corrected. The first start on an
account that holds something differs by that: this is how it comes into the books.

Ends with 0 where all is equal, 5 where something differs (with --fix: still), 7 where no daemon takes the word."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from bot import hold_words

    parser.epilog = EPILOG
    hold_words.arguments(parser)
    parser.add_argument("--fix", action="store_true", help="correct the books by what is shown; needs --reason")
    parser.add_argument("--venue", default="", metavar="NAME", help="only this venue")


def run(args: argparse.Namespace) -> int:
    """Tells, and corrects. Raises UsageError without a reason, VenueUnreachable without a daemon, DataError."""
    from bot import operator_words
    from bot.errors import ExitCode, UsageError

    if args.fix and not args.reason.strip():
        raise UsageError("--fix needs --reason", hint="say what happened: it is kept in the journal")
    said = operator_words.told(args, "differences")
    rows = [row for row in said.rows if args.venue in ("", row["venue"])]
    if args.venue and not rows:
        known = ", ".join(dict.fromkeys(row["venue"] for row in said.rows)) or "none"
        raise UsageError(f"no account at {args.venue} is compared", hint=f"compared: {known}")
    found = [row for row in rows if "what" in row]
    meant = tuple(row for row in found if row["adjustable"]) if args.fix else ()
    done = operator_words.told(args, "adjust", *meant).rows if meant else ()
    _tell(args, rows, done)
    wrong = any(row.get("state") not in (None, "equal") for row in rows)
    if args.fix:
        wrong = any(row["refused"] for row in done) or len(done) < sum(bool(row["bars"]) for row in found)
    return ExitCode.CHECK_FAILED if wrong else ExitCode.OK


def _tell(args: argparse.Namespace, rows: list[dict[str, str]], done: tuple[dict[str, str], ...]) -> None:
    """Prints how each account stands, its differences, and what became of them."""
    import json

    from bot.operator_words import moment
    from bot.terminal import printable

    if args.json:
        accounts = [row for row in rows if "what" not in row]
        found = [row for row in rows if "what" in row]
        print(json.dumps({"schema": 1, "accounts": accounts, "differences": found, "fixed": list(done)}, indent=1))
        return
    if not rows:
        print("no account is compared in this run")
    answers = {(row["venue"], row["what"], row["subject"]): row["refused"] for row in done}
    for row in rows:
        if "what" not in row:
            print(printable(f"{row['venue']}: {row['state']}, as of {moment(row['as_of'])}"))
            continue
        by = f" by {row['amount']}" if row["amount"] != "0" else ""
        print(printable(f"  {row['what'].replace('_', ' ')} {row['subject']}{by}: {row['evidence']}"))
        refused = answers.get((row["venue"], row["what"], row["subject"]))
        if refused is not None:
            print(printable(f"    not corrected: {refused}" if refused else "    corrected in the books"))
