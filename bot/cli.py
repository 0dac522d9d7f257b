"""The command line: a tree of names and one-line helps; a command's file is imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NoReturn, Protocol, cast

from bot.errors import ExitCode, exit_code
from bot.terminal import coloured, nearest, paint, printable
from bot.topics import TOPICS
from connectors.errors import PeglineError

COMMANDS: Final[dict[str, str]] = {
    "demo": "the whole system on a simulated market: no key, no network, one minute",
    "run": "the daemon: listen, price, alarm, trade on paper",
    "record": "write every accepted row of the feeds to a tape",
    "backtest": "run the strategies over a tape and print the P&L bridge",
    "journal": "what was decided: orders, trades, positions, P&L; verify the hash chain, export",
    "quote": "one token now: fair value, by whose word, premium at every venue",
    "route": "what selling or buying so many tokens at once brings or costs now, and where",
    "paths": "every way that closes a premium: edge after costs, time, failures, lock, worst case",
    "peg": "premium statistics of every token on a tape",
    "liquidity": "pools with incentives on a tape: who pays for their depth, and what is left after",
    "dashboards": "rules, alert routes and board for Prometheus, Alertmanager and Grafana",
    "fit": "parameters of the fair value from a tape, by maximum likelihood",
    "alarms": "score the depeg alarms on a tape, with depegs put into it",
    "tape": "import, fetch, look at and verify recorded data",
    "venues": "the venues of a config: list, show, and test whether they are well",
    "doctor": "machine, config, state and feeds: what is well, what is not, what to do",
    "tokens": "the registry of tokenized shares: list, show, and verify on chain",
    "reconcile": "where books and venues differ; with a reason, corrects the books",
    "settle": "mints and redemptions under way: list, show; ask again, write off with a reason",
    "kill": "nothing leaves any more, at once and until unkill; works while the daemon hangs",
    "unkill": "takes the kill switch back, with a reason",
    "pause": "opens nothing in a token, venue, issuer, share or strategy; what reduces goes on",
    "resume": "takes back a pause, and what the gate has held back itself",
    "selftest": "the whole bot on virtual time in markets where things go wrong; what must always hold is checked",
    "wallet": "wallets on chain: show, take back allowances, end what no node can tell; no run uses them yet",
    "check": "validate a config file: every mistake with its line and a hint",
    "version": "version of pegline and of what it stands on",
}

EXTRAS: Final[dict[str, str]] = {
    "ccxt": "feeds",
    "yfinance": "feeds",
    "pandas": "feeds",
    "eth_abi": "feeds",
    "eth_account": "feeds",
    "eth_utils": "feeds",
}
"""Packages that are not in the core, and the extra that brings them."""


class Command(Protocol):
    """What the file of a command holds."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares the options."""

    def run(self, args: argparse.Namespace) -> int:
        """Does the work and returns the exit code; errors of the tree may leave it."""


Load = Callable[[str], Command]


def imported(name: str) -> Command:
    """The file of a command."""
    return cast(Command, importlib.import_module(f"bot.commands.{name}"))


class Parser(argparse.ArgumentParser):
    """A parser that never guesses abbreviations and says what was probably meant. Subcommands inherit it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As ArgumentParser, with our defaults."""
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """Exits with 2: what is not understood, what was probably meant, and where help is."""
        meant = ""
        if found := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            meant = nearest(found[1], re.findall(r"'([^']*)'", found[2]))
        elif found := re.search(r"unrecognized arguments: (--[\w-]+)", message):
            meant = nearest(found[1], self._option_string_actions)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        self.exit(ExitCode.USAGE, f"pegline: {message}{hint}\nhelp: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None, load: Load = imported) -> int:
    """Runs one command and returns its exit code (`pegline help exit-codes`); `load` finds a command by name."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in _options(words)
    try:
        code = _dispatch(words, load)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: help was shown, or the words were not understood
        return stop.code if isinstance(stop.code, int) else ExitCode.UNEXPECTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Without this the interpreter complains while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except KeyboardInterrupt:
        if debug:
            raise
        print("pegline: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        _complain(error, words)
        return exit_code(error)


def _dispatch(words: list[str], load: Load) -> int:
    """Finds the command among the words, imports it, and runs it."""
    at = next((i for i, word in enumerate(words) if not word.startswith("-") and words[i - 1 : i] != ["--color"]), None)
    root = _root()
    if at is None:
        options = root.parse_args(words)
        if options.version:
            print(f"pegline {_version()}")
            return ExitCode.OK
        root.print_help()
        return ExitCode.OK
    root.parse_args(words[:at])
    name, rest = words[at], words[at + 1 :]
    if name == "help":
        return _help(root, rest, load)
    if name not in COMMANDS:
        root.error(f"no command {name!r}{_meant(name, COMMANDS)}")
    command, parser = _command(name, load)
    # What stands before the command counts as if it stood behind it, and --debug wherever it stands.
    given = _options(rest)
    if "--debug" in given:
        rest = ["--debug", *(word for word in given if word != "--debug"), *rest[len(given) :]]
    args = parser.parse_args([*words[:at], *rest])
    return int(command.run(args))


def _root() -> Parser:
    """The parser of `pegline` itself; its help lists commands without importing them."""
    lists = "\n".join(f"  {name:<11} {line}" for name, line in COMMANDS.items())
    topics = "\n".join(f"  {name:<11} {line}" for name, (line, _) in TOPICS.items())
    root = Parser(
        prog="pegline",
        usage="pegline COMMAND [options]",
        description="Watches whether tokenized US stocks hold their peg on every venue where they trade.",
        epilog=f"commands:\n{lists}\n\ntopics (pegline help TOPIC):\n{topics}\n\nstart here: pegline demo",
    )
    _common(root)
    root.add_argument("--version", action="store_true", help="print the version")
    return root


def _common(parser: argparse.ArgumentParser) -> None:
    """The options that every command has."""
    parser.add_argument("--debug", action="store_true", help="on an error, print the traceback")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (NO_COLOR counts)")


def _command(name: str, load: Load) -> tuple[Command, Parser]:
    """The file of a command and its parser."""
    command = load(name)
    parser = Parser(prog=f"pegline {name}", description=COMMANDS[name])
    _common(parser)
    command.arguments(parser)
    return command, parser


def _help(root: Parser, rest: list[str], load: Load) -> int:
    """`pegline help`, `pegline help TOPIC`, `pegline help COMMAND`."""
    subjects = [word for word in rest if not word.startswith("-")]
    if not subjects:
        root.print_help()
    elif subjects[0] in TOPICS:
        print(TOPICS[subjects[0]][1])
    elif subjects[0] in COMMANDS:
        _command(subjects[0], load)[1].print_help()
    else:
        root.error(f"no topic or command {subjects[0]!r}{_meant(subjects[0], (*TOPICS, *COMMANDS))}")
    return ExitCode.OK


def _complain(error: Exception, words: list[str]) -> None:
    """One line per error on stderr, with the next step; a config's mistakes are one line each."""
    colour = "auto"
    for i, word in enumerate(words):
        if word.startswith("--color"):
            colour = word.partition("=")[2] or "".join(words[i + 1 : i + 2])
    name = paint("pegline:", "31", on=coloured(sys.stderr, colour))
    if isinstance(error, PeglineError):
        for line in str(error).splitlines():
            print(f"{name} {printable(line)}", file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRAS:
        package = str(error.name).partition(".")[0]
        extra = EXTRAS[package]
        print(f"{name} this needs {package}, which is not installed (run: make {extra})", file=sys.stderr)
    else:
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        print(f"{name} unexpected {printable(said)} (rerun with --debug for the traceback)", file=sys.stderr)


def _options(words: list[str]) -> list[str]:
    """The words before a bare `--`, behind which nothing is an option."""
    return words[: words.index("--")] if "--" in words else words


def _meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    meant = nearest(word, known)
    return f"; did you mean {meant!r}?" if meant else ""


def _version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version

    return version("pegline")
