"""What a terminal may be shown: whether colour is wanted, and words near to a misspelt one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Protocol


class Stream(Protocol):
    """The part of a text stream that tells whether a person is looking."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""


def coloured(stream: Stream, choice: str = "auto", environ: Mapping[str, str] | None = None) -> bool:
    """Whether to colour what goes to `stream`.

    `choice` is --color: "always" and "never" decide; "auto" means on a terminal only, and not where NO_COLOR is set
    to anything but the empty text (no-color.org) or TERM is "dumb".
    """
    if choice != "auto":
        return choice == "always"
    environ = os.environ if environ is None else environ
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(text: str, code: str, *, on: bool) -> str:
    """`text` in an ANSI style such as "1" (bold) or "31" (red), or unchanged where colour is off."""
    return f"\x1b[{code}m{text}\x1b[0m" if on and text else text


def printable(text: str) -> str:
    """`text` with every character that a terminal would obey, or not show, written as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` was probably meant to be, or the empty text. Case does not count."""
    import difflib  # what is spelt right never pays for this import

    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""
