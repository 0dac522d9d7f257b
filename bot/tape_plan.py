"""Before and after an import: which file goes to which source, and how a finished tape gets its name."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from bot.tape_map import Places, TapeMap, mistakes
from bot.tape_sources import columns_of
from bot.terminal import nearest
from connectors.errors import ImportFailed
from connectors.tape_format import UNIVERSE_FILE


def plan_of(found: TapeMap, places: Places, files: Sequence[Path]) -> list[tuple[int, int]]:
    """(source, file) pairs to read. Raises ImportFailed with every file, glob or column that does not fit."""
    wrong: list[str] = []
    plan = []
    twice = [path for path, n in Counter(path.resolve() for path in files).items() if n > 1]
    if twice:
        raise ImportFailed("this file is given twice", where=twice[0].name, hint="its rows would be there twice")
    for i, source in enumerate(found.source):
        matches = [n for n, path in enumerate(files) if fnmatch(path.name, source.files) or path.match(source.files)]
        plan += [(i, n) for n in matches]
        if not matches:
            given = ", ".join(path.name for path in files)
            wrong.append(f"{places(i, -1, 'files')}: {source.files!r} matches none of the files given ({given})")
        for n in matches:
            there = columns_of(files[n])
            wrong += [line for line in _strangers(found, places, i, files[n].name, there) if line not in wrong]
    for n, path in enumerate(files):
        if all(number != n for _, number in plan):
            wrong.append(
                f"{places()}: no source takes {path.name} (add a [[source]] whose `files` matches it, or drop it)"
            )
    if wrong:
        raise mistakes(wrong)
    return plan


def _strangers(found: TapeMap, places: Places, i: int, file: str, there: tuple[str, ...]) -> Iterator[str]:
    """A line for every column that the map names and the file lacks."""

    def line(place: str, column: str) -> str:
        meant = nearest(column, there)
        guess = f"did you mean {meant!r}? " if meant else ""
        return f"{place}: no column {column!r} in {file} ({guess}there are: {', '.join(there)})"

    source = found.source[i]
    if source.time.column not in there:
        yield line(places(i, -1, "time", "column"), source.time.column)
    for j, series in enumerate(source.series):
        for key, column in series.columns():
            if column not in there:
                keys = (key, column) if key in ("where", "drop_where") else (key,)
                yield line(places(i, j, *keys), column)


def may_write(out: Path, *, force: bool) -> None:
    """Raises ImportFailed where `out` exists; with `force` a tape may be replaced, anything else never."""
    for folder, replaceable in ((out, force), (_partial(out), True)):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            continue
        if not (folder.is_dir() and (folder / UNIVERSE_FILE).exists()):
            raise ImportFailed("this exists and is not a tape", where=str(folder), hint="choose another --out")
        if not replaceable:
            raise ImportFailed(
                "there is a tape here already", where=str(folder), hint="choose another --out, or --force"
            )


@contextmanager
def install(out: Path) -> Iterator[Path]:
    """A folder to write a tape into; it gets the name `out` when all went well, and goes when it did not.

    Raises ImportFailed where the disk refuses.
    """
    partial, old = _partial(out), out.with_name(out.name + ".replaced")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear(partial)
        partial.mkdir()
        yield partial
        if out.exists():
            _clear(old)
            os.replace(out, old)
        os.replace(partial, out)
        _clear(old)
    except OSError as error:
        _clear(partial)
        raise ImportFailed(f"cannot be written: {error.strerror or error}", where=str(out)) from error
    except BaseException:
        _clear(partial)
        raise


def _partial(out: Path) -> Path:
    """Where a tape is written until it is whole."""
    return out.with_name(out.name + ".partial")


def _clear(folder: Path) -> None:
    """Removes a folder, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
