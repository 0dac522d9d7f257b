"""What a command can end with: the exit codes, the errors of the roof, and which error gives which code.

PeglineError
├── ConfigError          the config file has mistakes; carries all of them          3
├── CredentialsMissing   a key file is absent, empty or refused                     4
├── CheckFailed          a check that was asked for did not pass                    5
├── RefusedByRisk        a limit or the kill switch said no                         6
├── AlreadyRunning       another process holds the same state                       9
├── UsageError           the words on the command line do not fit together          2
└── (connectors/errors.py) DataError 8, RegistryError 8, ConnectorError 7, EntitlementLost 4,
                                         KeyRefused 4, WalletError 6
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from connectors.errors import (
    ConnectorError,
    DataError,
    EntitlementLost,
    KeyRefused,
    PeglineError,
    RegistryError,
    WalletError,
)


class ExitCode(IntEnum):
    """What a command returns to the shell; the words are `pegline help exit-codes`."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG_INVALID = 3
    CREDENTIALS = 4
    CHECK_FAILED = 5
    REFUSED = 6
    VENUE_UNREACHABLE = 7
    DATA_BROKEN = 8
    ALREADY_RUNNING = 9
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "unexpected error; rerun with --debug for the traceback",
    ExitCode.USAGE: "the command line is not understood",
    ExitCode.CONFIG_INVALID: "the config file has mistakes; every one is printed with its line",
    ExitCode.CREDENTIALS: "a key file or other credential is missing or was refused",
    ExitCode.CHECK_FAILED: "a check that was asked for did not pass",
    ExitCode.REFUSED: "refused by a risk limit or the kill switch",
    ExitCode.VENUE_UNREACHABLE: "a venue or data source cannot be reached",
    ExitCode.DATA_BROKEN: "data is missing, broken or not what it says",
    ExitCode.ALREADY_RUNNING: "another process already runs on the same state",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}


class Mistake(NamedTuple):
    """One mistake in a config file, with its place and the remedy."""

    file: str
    line: int
    """From 1; 0 where the file as a whole is meant."""
    table: str
    """As written in brackets, e.g. `venues.kraken`; empty at the top of the file."""
    key: str
    what: str
    """What is wrong."""
    write: str
    """What to write instead."""

    def __str__(self) -> str:
        """`file:line [table] key: what is wrong, what to write`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        table = f" [{self.table}]" if self.table else ""
        key = f" {self.key}" if self.key else ""
        remedy = f", {self.write}" if self.write else ""
        return f"{place}{table}{key}: {self.what}{remedy}"


class ConfigError(PeglineError):
    """The config file has mistakes; `mistakes` holds all of them in order of their lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """One line per mistake."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(m) for m in self.mistakes))


class CredentialsMissing(PeglineError):
    """A key file is absent, empty, unreadable, or what it holds was refused."""


class CheckFailed(PeglineError):
    """A check that was asked for did not pass."""


class RefusedByRisk(PeglineError):
    """A risk limit or the kill switch refused what was asked."""


class AlreadyRunning(PeglineError):
    """Another process holds the lock of the same state."""


class UsageError(PeglineError):
    """The words on the command line do not fit together in a way that the parser cannot see."""


_CODES: Final[tuple[tuple[type[BaseException], ExitCode], ...]] = (
    (ConfigError, ExitCode.CONFIG_INVALID),
    (CredentialsMissing, ExitCode.CREDENTIALS),
    (EntitlementLost, ExitCode.CREDENTIALS),
    (KeyRefused, ExitCode.CREDENTIALS),
    (WalletError, ExitCode.REFUSED),
    (CheckFailed, ExitCode.CHECK_FAILED),
    (RefusedByRisk, ExitCode.REFUSED),
    (AlreadyRunning, ExitCode.ALREADY_RUNNING),
    (UsageError, ExitCode.USAGE),
    (DataError, ExitCode.DATA_BROKEN),
    (RegistryError, ExitCode.DATA_BROKEN),
    (ConnectorError, ExitCode.VENUE_UNREACHABLE),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)


def exit_code(error: BaseException) -> ExitCode:
    """The exit code of an error; UNEXPECTED for what is not in the table. A narrow class stands before a wide one."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.UNEXPECTED)
