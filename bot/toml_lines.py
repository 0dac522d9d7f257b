"""Where each key of a TOML text stands: tomllib gives values without places, so this reads the places.

It reads only text that tomllib has accepted, and so checks nothing itself; a test with random documents holds its
keys equal to tomllib's.
"""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document down to a value."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"[ \t]*")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]*")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SHORT: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def lines_of(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and list element of a TOML text that tomllib accepts.

    A table that is opened only by a dotted key or by a table below it has the line where it first appears.
    """
    return _Reader(text).document()


class _Reader:
    """A walk over the text; `at` is the place, `lines` what was found."""

    def __init__(self, text: str) -> None:
        """Starts at the first character."""
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}
        """How many tables an array of tables has so far."""
        self._seen = (0, 1)
        """A place and its line, from which the next line is counted."""

    def document(self) -> dict[Path, int]:
        """Reads headers and pairs until the end."""
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return self.lines
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        """A `[table]` or `[[table]]`; gives the path that its pairs belong to."""
        line = self._line()
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        keys = self._key()
        self._skip(_SPACE)
        self.at += 2 if double else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._into((*path, key), line)
        path = (*path, keys[-1])
        if not double:
            # The table's own header is its place, also where a table below it came first.
            self.lines[path] = line
            return path
        self.lines.setdefault(path, line)
        number = self.counts.get(path, 0)
        self.counts[path] = number + 1
        self.lines[(*path, number)] = line
        return (*path, number)

    def _into(self, path: Path, line: int) -> Path:
        """The table at `path`: of an array of tables it is the last one."""
        self.lines.setdefault(path, line)
        count = self.counts.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: Path) -> None:
        """One `key = value` below `table`."""
        line = self._line()
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip(_SPACE)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        """A key with its dots."""
        keys = []
        while True:
            self._skip(_SPACE)
            if self.text[self.at] in "\"'":
                keys.append(self._string())
            else:
                found = _BARE.match(self.text, self.at)
                assert found is not None, "tomllib accepted what is no key"
                keys.append(found[0])
                self.at = found.end()
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _value(self, path: Path) -> None:
        """Any value; notes the places of what is inside it."""
        first = self.text[self.at]
        if first == "[":
            self._list(path)
        elif first == "{":
            self._inline(path)
        elif first in "\"'":
            self._string()
        else:
            self._skip(_SCALAR)

    def _list(self, path: Path) -> None:
        """`[value, value]`, over several lines where it likes."""
        self.at += 1
        number = 0
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "]":
                break
            self.lines[(*path, number)] = self._line()
            self._value((*path, number))
            number += 1
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def _inline(self, path: Path) -> None:
        """`{key = value, key = value}`."""
        self.at += 1
        while True:
            self._skip(_BLANK)
            if self.text[self.at] == "}":
                break
            self._pair(path)
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def _string(self) -> str:
        """A string of any of the four kinds; its text is right for keys (one line)."""
        quote = self.text[self.at]
        start = self.at
        if self.text.startswith(quote * 3, self.at):
            self.at += 3
            while not self.text.startswith(quote * 3, self.at):
                self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
            # Up to two quotes may stand inside right before the closing three.
            self.at += 3
            while self.text.startswith(quote, self.at):
                self.at += 1
            return ""
        self.at += 1
        while self.text[self.at] != quote:
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        inside = self.text[start + 1 : self.at]
        self.at += 1
        return _ESCAPE.sub(_unescape, inside) if quote == '"' else inside

    def _skip(self, what: re.Pattern[str]) -> None:
        """Moves over all that `what` matches."""
        found = what.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def _line(self) -> int:
        """The line of the present place."""
        place, line = self._seen
        line += self.text.count("\n", place, self.at)
        self._seen = (self.at, line)
        return line


def _unescape(found: re.Match[str]) -> str:
    """One escape of a basic string."""
    if found[1] or found[2]:
        return chr(int(found[1] or found[2], 16))
    return _SHORT.get(found[3], found[3])
