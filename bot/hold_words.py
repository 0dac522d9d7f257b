"""What `kill`, `unkill`, `pause` and `resume` share: which state folder, who speaks, and what is now in force."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import tomllib
from pathlib import Path
from typing import Final

from bot.clock import wall_ns
from bot.errors import RefusedByRisk, UsageError
from bot.holds import Holds
from bot.lock import FILE as LOCK
from bot.paths import state_dir
from bot.terminal import nearest, printable
from strategies.execution.latch import ALL, KINDS, Hold

NS: Final = 1_000_000_000
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SCOPES: Final = f"""\
SCOPE is {ALL}, or a kind and a name: {", ".join(f"{kind}:NAME" for kind in KINDS)}."""


def arguments(parser: argparse.ArgumentParser, *, scope: bool = False, reason: bool = False) -> None:
    """Declares the options that all of them have; `reason` must be given, or may be."""
    if scope:
        parser.add_argument("scope", metavar="SCOPE", help="what it is about")
    help_ = "why; it is kept in the journal"
    parser.add_argument("--reason", required=reason, default="", type=_text, metavar="TEXT", help=help_)
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--state", metavar="DIR", help="the state folder, where no config is at hand")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _text(word: str) -> str:
    """A word of the command line as text that can be kept: bytes that are no UTF-8 are told as \\xNN."""
    return os.fsencode(word).decode(errors="backslashreplace")


def holds_of(args: argparse.Namespace) -> Holds:
    """The holds of the state folder that is meant. A config is read only for its [run] state_dir, so that one with
    mistakes stops nobody. Raises UsageError where there is neither: a halt in a folder that is none halts nothing."""
    if args.state:
        named = Path(args.state).expanduser()
        if not named.is_dir():
            raise UsageError(f"--state {args.state} is no folder", hint="name the one that the daemon runs on")
        return Holds(named)  # and no other, also where we may not write: a daemon of another user may run on it
    try:
        run = tomllib.loads(Path(args.config).read_text(encoding="utf-8")).get("run", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{args.config} cannot be read: {error}", hint="name the state folder: --state DIR") from None
    configured = run.get("state_dir", "state") if isinstance(run, dict) else "state"
    meant = Path(str(configured)).expanduser()
    return Holds(meant if os.path.lexists(meant / LOCK) else state_dir(str(configured)))


def checked(scope: str, config: str) -> str:
    """A scope whose kind there is and, where the config can be read, whose name it knows. Raises UsageError."""
    kind, colon, name = scope.partition(":")
    if scope == ALL:
        return scope
    if kind not in KINDS or not colon or not name:
        meant = nearest(kind, (ALL, *KINDS))
        hint = f"did you mean {meant}? " if meant else ""
        raise UsageError(f"{scope!r} is no scope", hint=f"{hint}{SCOPES}")
    known = _known(kind, config)
    if known and name not in known:
        meant = nearest(name, known)
        hint = f"did you mean {kind}:{meant}? " if meant else ""
        raise UsageError(f"the config has no {kind} {name!r}", hint=f"{hint}it has {', '.join(sorted(known))}")
    return scope


def _known(kind: str, config: str) -> set[str]:
    """Names of a kind in a config; none where it cannot be read."""
    from bot.config_file import load
    from bot.universe import universe_of
    from connectors.errors import PeglineError

    try:
        loaded = load(Path(config), credentials=False)
        if kind == "strategy":
            return {name for name in type(loaded.strategies).model_fields if getattr(loaded.strategies, name)}
        return {getattr(one, kind) for one in universe_of(loaded)} - {""}
    except PeglineError:
        return set()


def duration_ns(text: str) -> int:
    """`90s`, `10m`, `2h` or `1d` in nanoseconds. Raises ArgumentTypeError."""
    number, unit = text[:-1], text[-1:]
    try:
        value = float(number) * UNITS[unit] if number.isascii() else 0.0
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value < 1e8:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 10m, 2h or 1d")
    return round(value * NS)


def speaker() -> str:
    """Who gives the order, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def show(args: argparse.Namespace, holds: Holds, *, done: str) -> None:
    """Says what was done and what is in force now."""
    found = holds.read(wall_ns()).latch.holds
    if args.json:
        lines = [_plain(hold) for hold in found]
        print(json.dumps({"schema": 1, "done": done, "state": str(holds.state), "in_force": lines}))
        return
    print(printable(done))
    print("in force:" if found else "in force: nothing is held back")
    for hold in found:
        left = f", for {(hold.until - wall_ns()) / NS:.0f} s more" if hold.until else ""
        print(f"  {printable(str(hold))}{left}")


def _plain(hold: Hold) -> dict[str, object]:
    """A hold for JSON; times in seconds since 1970."""
    return {
        "scope": hold.scope, "mode": hold.mode.name, "cause": hold.cause, "by": hold.by, "why": hold.why,
        "at": hold.at / NS, "until": hold.until / NS if hold.until else None,
    }  # fmt: skip


def killed(hold: Hold) -> RefusedByRisk:
    """What was asked cannot be while the kill switch holds."""
    return RefusedByRisk(
        f"the kill switch holds: {hold}", hint="pegline unkill --reason TEXT, then resume what is paused"
    )
