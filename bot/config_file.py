"""The config file: read, checked as a whole, and every mistake told at once with its line and a remedy."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from bot import attestations_file
from bot.config import Config
from bot.config_rules import breaches, concerns
from bot.config_shape import Fault, faults, table_and_key, without
from bot.errors import ConfigError, CredentialsMissing, Mistake
from bot.keys import reader
from bot.params_file import read_file
from bot.toml_lines import Path as Keys
from bot.toml_lines import lines_of
from connectors.errors import DataError

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LEFT_OUT: Final = "left-out-"
_WORLD: Final = 0o077
"""Permission bits of a key file that should not be set."""


class Loaded(NamedTuple):
    """A config without mistakes, and what is worth a second look."""

    config: Config
    warnings: tuple[Mistake, ...]


def load(path: Path, *, credentials: bool = True) -> Config:
    """The config of a file; see `read` for what it raises."""
    return read(path, credentials=credentials).config


def read(path: Path, *, credentials: bool = True) -> Loaded:
    """The config of a file, with warnings.

    Raises ConfigError with all mistakes, or, where there are none, CredentialsMissing for a key file that is absent,
    empty or unreadable. A tape is run without keys: `credentials=False` leaves the key files alone.
    """
    text = _text(path)
    data, broken, text = _parsed(text)
    lines = lines_of(text)
    found = faults(data, whole=not broken)
    if not broken:
        found += breaches(without(data, (f.path for f in found)), {f.meant for f in found} | {f.path for f in found})
    mistakes = [*(Mistake(path.name, line, "", "", what, write) for line, what, write in broken)]
    mistakes += [_placed(path, fault, lines) for fault in found if not str(fault.path[0]).startswith(_LEFT_OUT)]
    if mistakes:
        raise ConfigError(sorted(dict.fromkeys(mistakes), key=lambda m: m.line))
    config = _with_attestations(path, _with_params(path, Config.model_validate(data), lines), lines)
    warnings = [_placed(path, fault, lines) for fault in concerns(config)]
    if credentials:
        warnings += _key_files(path, config, lines)
    return Loaded(config, tuple(sorted(warnings, key=lambda m: m.line)))


def key_path(config_path: Path, key_file: str) -> Path:
    """Where a `key_file` is: relative to the folder of the config file."""
    return config_path.parent / Path(key_file).expanduser()


def _with_params(path: Path, config: Config, lines: dict[Keys, int]) -> Config:
    """The config with the place of its parameters resolved. Raises ConfigError where they cannot be read."""
    if not config.fair.params_file:
        return config
    file = key_path(path, config.fair.params_file)
    try:
        read_file(file)
    except DataError as error:
        fault = Fault(("fair", "params_file"), str(error), "pegline fit TAPE --out FILE; or remove the key")
        raise ConfigError([_placed(path, fault, lines)]) from None
    return config.model_copy(update={"fair": config.fair.model_copy(update={"params_file": str(file.resolve())})})


def _with_attestations(path: Path, config: Config, lines: dict[Keys, int]) -> Config:
    """The config with the place of its attestations resolved. Raises ConfigError where they cannot be read."""
    if not config.run.attestations_file:
        return config
    file = key_path(path, config.run.attestations_file)
    try:
        attestations_file.read(file)
    except DataError as error:
        fault = Fault(("run", "attestations_file"), str(error), attestations_file.HINT)
        raise ConfigError([_placed(path, fault, lines)]) from None
    return config.model_copy(update={"run": config.run.model_copy(update={"attestations_file": str(file.resolve())})})


def _text(path: Path) -> str:
    """The text of the file. Raises ConfigError where there is none."""
    remedy = "write one: cp config.example.toml config.toml"
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise ConfigError([Mistake(str(path), 0, "", "", "there is no such file", remedy)]) from None
    except OSError as error:
        said = f"cannot be read ({error.strerror})"
        raise ConfigError([Mistake(str(path), 0, "", "", said, "name a TOML file")]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError([Mistake(path.name, line, "", "", "this is not UTF-8", "save the file as UTF-8")]) from None


def _parsed(text: str) -> tuple[dict[str, Any], list[tuple[int, str, str]], str]:
    """The document, its lines that are no TOML with what is wrong, and the text without those lines.

    A broken line is left out and the rest read on, so that one slip does not hide other mistakes; where a broken line
    leaves a bracket or a quote open, the rest cannot be judged.
    """
    rows = text.split("\n")
    broken: list[tuple[int, str, str]] = []
    while True:
        try:
            text = "\n".join(rows)
            return tomllib.loads(text, parse_float=Decimal), broken, text
        except tomllib.TOMLDecodeError as error:
            line, what = _told(str(error), rows)
            if broken and line <= broken[-1][0]:
                return {}, broken, ""
            row = rows[line - 1]
            broken.append((line, what, _remedy(what, row)))
            if not row.lstrip().startswith("[") and (_open(row) or _closes(row)):
                return {}, broken, ""
            rows[line - 1] = f"[{_LEFT_OUT}{line}]" if row.lstrip().startswith("[") else ""


def _told(message: str, rows: list[str]) -> tuple[int, str]:
    """The line and the words of an error of tomllib; a table that stands twice is told with its first line."""
    place = _PLACE.search(message)
    line = int(place[1]) if place and place[1] else len(rows)
    while line > 1 and not rows[line - 1].strip():
        line -= 1
    what = message[: place.start()] if place else message
    if what.startswith("Unclosed"):  # told where the text goes wrong; the slip is where the bracket was opened
        line = next((at for at in range(line, 0, -1) if _open(rows[at - 1])), line)
    if re.fullmatch(r"Cannot declare .* twice", what):
        header = "".join(rows[line - 1].split("#")[0].split())
        first = next((i for i, r in enumerate(rows[: line - 1], 1) if "".join(r.split("#")[0].split()) == header), 0)
        return line, f"duplicate: {header} stands twice" + (f", first in line {first}" if first else "")
    if what == "Cannot overwrite a value":
        key = rows[line - 1].partition("=")[0].strip()
        return line, f"duplicate: {key} is written twice in this table"
    return line, what[:1].lower() + what[1:]


def _remedy(what: str, row: str) -> str:
    """What to write instead of a line that is no TOML."""
    value = row.partition("=")[2].strip()
    if what.startswith("duplicate"):
        return "remove one of them"
    if re.match(r"[\d.]+\s*(%|bps|usd|s|ms)\b|[\d.]+\s*%", value, re.IGNORECASE):
        return "write the number alone; its unit stands in the key's name"
    if re.match(r"\d{1,3}(,\d{3})+", value):
        return "write numbers without commas, e.g. 10_000"
    if "=" in row and not value:
        return "write a value behind the equals sign, or remove the key"
    if value.lower() in ("true", "false", "yes", "no", "on", "off", "none", "null"):
        return "write true or false in small letters, or leave the key out"
    if re.fullmatch(r"[A-Za-z_][\w./:-]*", value):
        return f'put the text in quotes: "{value}"'
    if row.lstrip().startswith("["):
        return 'close the bracket, and quote names with special characters: [instruments."kraken:AAPLx/USD"]'
    if "=" not in row:
        return "write key = value, and # before a comment"
    return "close the quote or bracket, or quote the text"


def _open(row: str) -> bool:
    """Whether a line opens a list, a table or a long string that it does not close."""
    return any(row.count(a) > row.count(b) for a, b in ("[]", "{}")) or row.count('"""') == 1 or row.count("'''") == 1


def _closes(row: str) -> bool:
    """Whether a line closes what an earlier one opened."""
    return any(row.count(a) < row.count(b) for a, b in ("[]", "{}"))


def _placed(path: Path, fault: Fault, lines: dict[Keys, int]) -> Mistake:
    """A fault with its file, line, table and key."""
    place = fault.path
    while place and place not in lines:
        place = place[:-1]
    table, key = table_and_key(fault.path)
    return Mistake(path.name, lines.get(place, 1), table, key, fault.what, fault.write)


def _key_files(path: Path, config: Config, lines: dict[Keys, int]) -> list[Mistake]:
    """Warnings about key files. Raises CredentialsMissing for the first that cannot serve."""
    warnings = []
    for name, venue in config.venues.items():
        if not venue.key_file:
            continue
        fault = Fault(("venues", name, "key_file"), "", "")
        where = str(_placed(path, fault, lines)).removesuffix(": ")
        file = key_path(path, venue.key_file)
        try:
            with file.open("rb") as opened:
                empty = not opened.read(1)
        except OSError as error:
            hint = "write the key into that file, then chmod 600 it; or remove key_file to watch without a key"
            raise CredentialsMissing(f"{venue.key_file}: {error.strerror}", where=where, hint=hint) from None
        if empty:
            raise CredentialsMissing(f"{venue.key_file} is empty", where=where, hint="write the key into that file")
        reader(file, venue=name)()  # what is in it must be readable now, not in the middle of a night
        mode = file.stat().st_mode & 0o777
        if mode & _WORLD:
            said = f"others on this machine may use this file (mode {mode:04o})"
            warnings.append(_placed(path, fault._replace(what=said, write=f"run: chmod 600 {file}"), lines))
    return warnings
