"""The credentials of a venue, read from its key file when they are first needed; no text of ours ever holds them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bot.errors import CredentialsMissing

EXAMPLE = 'write lines like key = "..." and secret = "..." into it, as the venue calls them, then chmod 600'


def reader(path: Path, *, venue: str) -> Callable[[], Mapping[str, str]]:
    """What reads the key file of a venue once, at the first call.

    The call raises CredentialsMissing where the file cannot be read or holds no `name = "value"` lines; the message
    names the line and never repeats it.
    """
    found: dict[str, str] = {}

    def read() -> Mapping[str, str]:
        if not found:
            found.update(_read(path, venue))
        return found

    return read


def secrets(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Every value of the key files of venues, to be kept out of what is written; a file that is not there has none."""
    found: set[str] = set()
    for venue, file in files.items():
        if file:
            with suppress(CredentialsMissing):
                found.update(reader(folder / Path(file).expanduser(), venue=venue)().values())
    return tuple(sorted(found))


def missing(venue: str, names: tuple[str, ...], *, key_file: str) -> CredentialsMissing:
    """The error of a venue whose feed needs names that the key file does not have."""
    what = f"its feed needs {' and '.join(names)}"
    if key_file:
        return CredentialsMissing(f"{what} in {key_file}", where=f"[venues.{venue}] key_file", hint=EXAMPLE)
    hint = f'write key_file = "{venue}.key" in [venues.{venue}]; {EXAMPLE}'
    return CredentialsMissing(what, where=f"[venues.{venue}]", hint=hint)


def _read(path: Path, venue: str) -> dict[str, str]:
    where = f"[venues.{venue}] key_file"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CredentialsMissing(f"{path.name}: {error.strerror}", where=where, hint=EXAMPLE) from None
    except UnicodeDecodeError:
        raise CredentialsMissing(f"{path.name} is not UTF-8", where=where, hint=EXAMPLE) from None
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            entry = tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            entry = {}
        if not entry or not all(isinstance(value, str) for value in entry.values()):
            raise CredentialsMissing(f'{path.name}:{number}: not name = "value"', where=where, hint=EXAMPLE)
        values |= entry
    return values
