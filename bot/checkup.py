"""What `pegline doctor` looks at by itself: machine, config, packages, state folder, sources, bases, our clock."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bot.errors import ConfigError, CredentialsMissing, ExitCode
from bot.findings import Line, State
from bot.lock import FILE, holder
from bot.paths import cache_dir, state_dir
from connectors.errors import DataError, PeglineError
from connectors.instruments import Role

if TYPE_CHECKING:
    from bot.config import Config

PYTHONS: Final = ((3, 11), (3, 13))
LOW_SHARE, LOW_BYTES = 0.10, 5 << 30
"""Free disk below either is a warning: recording needs room."""
NONE_BYTES: Final = 200 << 20
CLOCK_OK_S: Final = 1.0
PACKAGES: Final = {"ccxt": ("ccxt",), "yahoo": ("yfinance", "pandas")}
"""What a feed needs beyond the core."""


def machine() -> Iterator[Line]:
    """Python, and where compiled code is kept."""
    now, words = sys.version_info[:2], ".".join(map(str, sys.version_info[:3]))
    fits = PYTHONS[0] <= now <= PYTHONS[1]
    hint = "" if fits else "install Python 3.11 to 3.13"
    yield Line(place="machine", what="python", state=State.OK if fits else State.FAIL, detail=words, hint=hint)
    folder = cache_dir()
    if folder is None:
        said, hint = "no folder can be written", "set NUMBA_CACHE_DIR: else every start compiles anew"
        yield Line(place="machine", what="kernel_cache", state=State.WARN, detail=said, hint=hint)
    else:
        yield Line(place="machine", what="kernel_cache", state=State.OK, detail=str(folder))


def config_of(path: Path) -> tuple[Config | None, list[Line]]:
    """The config where it has no mistakes, and a line for each mistake or warning."""
    from bot.config_file import read

    try:
        loaded = read(path, credentials=False)
    except ConfigError as error:
        lines = [
            Line(place="config", what="mistake", state=State.FAIL, code=ExitCode.CONFIG_INVALID, detail=str(mistake))
            for mistake in error.mistakes
        ]
        return None, lines
    lines = [
        Line(place="config", what="warning", state=State.WARN, detail=f"{w.file}:{w.line} {w.what}", hint=w.write)
        for w in loaded.warnings
    ]
    found = [Line(place="config", what="file", state=State.OK, detail=str(path)), *lines]
    try:
        read(path)
    except CredentialsMissing as error:
        code = ExitCode.CREDENTIALS
        found.append(
            Line(place="config", what="key_file", state=State.FAIL, detail=error.what, hint=error.hint, code=code)
        )
    return loaded.config, found


def packages(config: Config) -> Iterator[Line]:
    """Whether the packages of the config's feeds are installed."""
    wanted = {name for venue in config.venues.values() for name in PACKAGES.get(venue.feed, ())}
    absent = sorted(name for name in wanted if find_spec(name) is None)
    if absent:
        said = f"not installed: {', '.join(absent)}"
        yield Line(place="machine", what="packages", state=State.FAIL, detail=said, hint="make feeds")
    elif wanted:
        yield Line(place="machine", what="packages", state=State.OK, detail=", ".join(sorted(wanted)))


def state(config: Config) -> Iterator[Line]:
    """The folder that a run writes to: writable, free, readable."""
    from bot.told_state import JOURNAL, last_states

    warnings: list[str] = []
    try:
        folder = state_dir(config.run.state_dir, warn=warnings.append)
    except DataError as error:
        yield Line(place="state", what="folder", state=State.FAIL, detail=error.what, hint=error.hint)
        return
    hint = "; ".join(warnings)
    yield Line(place="state", what="folder", state=State.WARN if hint else State.OK, detail=str(folder), hint=hint)
    yield _disk(folder)
    yield _lock(folder)
    yield from _latch(folder)
    if not (folder / JOURNAL).exists():
        yield Line(place="state", what="journal", state=State.OK, detail="none yet")
    else:
        fault = _journal_fault(folder / JOURNAL) or last_states(folder).fault
        hint = "move it away to begin a new one; it may show what was done to it" if fault else ""
        ok = State.FAIL if fault else State.OK
        yield Line(place="state", what="journal", state=ok, detail=fault or "its end is whole", hint=hint)
    yield _tape(folder / "tape")


def _journal_fault(path: Path) -> str:
    """What is wrong with the last records of a journal, or nothing."""
    import sqlite3

    from bot.journal_file import open_to_read
    from bot.journal_reader import check_tail

    try:
        connection = open_to_read(path)
        try:
            check_tail(connection, path)
        finally:
            connection.close()
    except (PeglineError, sqlite3.Error) as error:
        return str(error)
    return ""


def _disk(folder: Path) -> Line:
    usage = shutil.disk_usage(folder)
    low = usage.free < LOW_SHARE * usage.total or usage.free < LOW_BYTES
    how = State.FAIL if usage.free < NONE_BYTES else State.WARN if low else State.OK
    hint = "recording fills it: free some, or name another [run] state_dir" if low else ""
    free = usage.free / (1 << 30)
    said = f"{usage.free / usage.total:.0%} of the disk"
    return Line(place="state", what="free_disk", state=how, value=free, unit="GiB", detail=said, hint=hint)


def _lock(folder: Path) -> Line:
    """Whether a pegline runs on this state; looks without taking the lock."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return Line(place="state", what="lock", state=State.OK, detail="free")
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Line(place="state", what="lock", state=State.OK, detail=f"process {holder(folder)} runs on this state")
    finally:
        os.close(file)
    return Line(place="state", what="lock", state=State.OK, detail="free")


def _latch(folder: Path) -> Iterator[Line]:
    """What is held back, by whom and why."""
    from bot.clock import wall_ns
    from bot.holds import Holds
    from strategies.execution.latch import ALL, Mode

    found = Holds(folder).read(wall_ns()).latch.holds
    if not found:
        yield Line(place="state", what="latch", state=State.OK, detail="nothing is held back")
    for hold in found:
        whole = (hold.scope, hold.mode) == (ALL, Mode.HALT)
        hint = "pegline unkill --reason TEXT" if whole else f"pegline resume {hold.scope}"
        yield Line(place="state", what="latch", subject=hold.scope, state=State.WARN, detail=str(hold), hint=hint)


def _tape(folder: Path) -> Line:
    from connectors.tape import open_tape

    if not folder.exists():
        return Line(place="state", what="tape", state=State.OK, detail="none yet")
    try:
        rows = open_tape(folder).rows()
    except PeglineError as error:
        return Line(place="state", what="tape", state=State.FAIL, detail=str(error), hint="pegline tape verify")
    return Line(place="state", what="tape", state=State.OK, value=float(rows), unit="rows")


def sources(config: Config) -> Iterator[Line]:
    """Whether each share that is judged has more than one independent witness."""
    from bot.universe import universe_of

    universe = universe_of(config)
    for name in universe.underlyings():
        shares = [universe[at] for at in universe.where(role=Role.SHARE, underlying=name)]
        names = dict.fromkeys(share.witness or share.venue for share in shares)
        if not universe.where(role=Role.TOKEN, underlying=name) or not names:
            continue
        alone = len(names) == 1
        said = f"one witness ({next(iter(names))})" if alone else f"{len(names)} witnesses"
        hint = "a late or wrong source cannot be told: add a source that does not feed on it" if alone else ""
        how = State.WARN if alone else State.OK
        yield Line(place="sources", what="share", subject=name, state=how, detail=said, hint=hint)


def bases(config: Config) -> Iterator[Line]:
    """What each price is the price of, where that has to be known: by the config, or told by an earlier run."""
    from bot.assembly import basis_of
    from bot.told_state import last_states
    from bot.universe import universe_of
    from strategies.market.basis import Basis

    universe = universe_of(config)
    rules = [(instrument, basis_of(config, instrument)) for instrument in universe]
    if not any(rule is Basis.UNKNOWN for _, rule in rules):
        told = {}
    else:
        told = last_states(Path(config.run.state_dir).expanduser()).basis
    for instrument, rule in rules:
        if rule is None:
            continue
        note = told.get(instrument.name)
        said = str(note.detail["basis"]) if note is not None else ""
        hint, how = "", State.OK
        if rule.known:
            detail = f"{rule}, by the config"
        elif said in ("unit", "share"):
            detail = f"{said}, told from prices"
        elif said:
            how = State.FAIL if said == "impossible" else State.WARN
            detail, hint = said, 'write basis = "unit" or "share", or look at its multiplier and symbol'
        else:
            how, detail = State.WARN, "not calibrated yet"
            hint = "the first minutes of `pegline run` tell it; until then it is not traded"
        yield Line(place="basis", what="price_of", subject=instrument.name, state=how, detail=detail, hint=hint)


def clock(found: Sequence[Line]) -> Iterator[Line]:
    """Our clock against the median of the venues' clocks; only where at least two could be asked."""
    offsets = [line.value for line in found if line.what == "clock" and line.value is not None]
    if len(offsets) < 2:
        said = "one venue told its time" if offsets else "no venue told its time"
        yield Line(place="machine", what="wall_clock", state=State.WARN, detail=f"{said}: too few to judge ours")
        return
    off = median(offsets)
    fits = abs(off) <= CLOCK_OK_S
    hint = "" if fits else "set this machine's clock by NTP"
    how = State.OK if fits else State.FAIL
    said = f"ours against the median of {len(offsets)} venues"
    yield Line(place="machine", what="wall_clock", state=how, value=-off, unit="s", detail=said, hint=hint)
