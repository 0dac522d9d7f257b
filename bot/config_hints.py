"""What a person probably meant by a key or value of the config: spelling, units, and secrets in the wrong place."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from bot.terminal import nearest

_SIZES: Final[Mapping[str, tuple[str, Decimal]]] = MappingProxyType(
    {name: ("time", Decimal(size)) for size, names in {
        "1e-9": ("ns", "nanos", "nanoseconds"), "1e-6": ("us", "micros"), "1e-3": ("ms", "millis", "milliseconds"),
        "1": ("s", "sec", "secs", "second", "seconds"), "60": ("min", "mins", "minute", "minutes"),
        "3600": ("h", "hour", "hours"), "86400": ("d", "day", "days"),
    }.items() for name in names}
    | {name: ("part", Decimal(size)) for size, names in {
        "1e-4": ("bps", "bp", "bips"), "1e-2": ("pct", "percent", "perc"), "1": ("share", "fraction", "ratio"),
    }.items() for name in names}
    | {"usd": ("money", Decimal(1)), "dollars": ("money", Decimal(1)), "cents": ("money", Decimal("0.01")),
       "units": ("units", Decimal(1)), "tokens": ("units", Decimal(1))}
)  # fmt: skip
"""Suffix of a key -> what it measures, and its size in seconds, parts of one, dollars or units."""

_WORDS: Final = {
    "bps": "in bps (1 bps = 0.01 %)",
    "usd": "in US dollars",
    "units": "in transferable units of the token",
    "s": "in seconds",
    "ms": "in milliseconds",
    "share": "as a part of one (0 to 1)",
    "minute": "a whole number",
    "gwei": "in gwei (1e-9 of the chain's own coin)",
}

_SECRET_KEY: Final = re.compile(
    r"secret|passw|passphrase|api_?key|private_?key|mnemonic|seed_phrase|access_?token|auth_?token|bearer|credential",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(
    r"-----BEGIN|\b(?:0x)?[0-9a-fA-F]{64}\b|\beyJ[\w-]{10,}\.|\bAKIA[0-9A-Z]{16}\b|://[^/\s:@]+:[^/\s@]+@"
)
_ENV_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+=_-]{40,}|[A-Za-z0-9+/]{60,}={0,2}")
_PHRASE: Final = re.compile(r"(?:[a-z]{3,8}\s+){11,23}[a-z]{3,8}")


def unit_of(key: str) -> str:
    """The words for the unit in a key's name, such as "in US dollars"; empty where the name has none."""
    return _WORDS.get(key.rpartition("_")[2], "")


def plain(value: object) -> str:
    """A value as it would stand in the file, cut where it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        if not value.is_finite():
            return str(value).lower().replace("infinity", "inf")
        return f"{value:f}" if -30 < value.adjusted() < 30 else f"{value:e}"
    if isinstance(value, str):
        return '"' + (value if len(value) <= 40 else value[:37] + "...") + '"'
    return str(value)


def unknown_key(key: str, value: object, known: Collection[str]) -> tuple[str, str, str]:
    """For a key that does not exist: what is wrong, what to write, and the key that was probably meant (or "").

    Another unit of a known key is converted; then spelling is tried.
    """
    for other in known:
        if found := _other_unit(key, value, other):
            return (*found, other)
    if meant := nearest(key.replace("-", "_"), known):
        return "unknown key", f"did you mean {meant}?", meant
    tail = key.replace("-", "_").rpartition("_")[2].casefold()
    alike = [name for name in known if tail and name.endswith(tail) and tail not in _SIZES]
    if alike:
        return "unknown key", f"did you mean {alike[0]}?", alike[0]
    return "unknown key", "remove it; known here: " + (", ".join(sorted(known)) or "no key"), ""


def _other_unit(key: str, value: object, known: str) -> tuple[str, str] | None:
    """What is wrong and what to write where `key` is `known` in another unit or without one."""
    known_stem, _, known_unit = known.rpartition("_")
    if known_unit not in _SIZES:
        return None
    words = _WORDS.get(known_unit, "")
    folded = key.casefold().replace("-", "_")
    if folded == known:
        return None
    if folded == known_stem:
        return "unknown key: units stand in the names", f"write {known} = NUMBER, {words}"
    stem, _, unit = folded.rpartition("_")
    if unit not in _SIZES or stem != known_stem:
        return None
    (dimension, size), (known_dimension, known_size) = _SIZES[unit], _SIZES[known_unit]
    if dimension != known_dimension:
        return "unknown key: this is measured otherwise", f"write {known} = NUMBER, {words}"
    number = value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
    if number is None or not math.isfinite(number):
        return "unknown key: wrong unit", f"write {known} = NUMBER, {words}"
    right = (Decimal(number) * size / known_size).normalize()
    return "unknown key: wrong unit", f"write {known} = {right:f}, {words}"


def secret(key: str, value: object) -> bool:
    """Whether a value of the file looks like a key, a password or a seed phrase; a path to a file does not."""
    if not isinstance(value, str) or not value or _ADDRESS.fullmatch(value):
        return False
    if key.endswith("_env"):  # the name of a variable; what looks otherwise may be what should stand in it
        return not _ENV_NAME.fullmatch(value)
    if _SECRET_KEY.search(key) and not key.endswith(("_file", "_path")):
        return True
    if _SECRET_VALUE.search(value) or _PHRASE.fullmatch(value.strip()):
        return True
    long = _LONG_WORD.fullmatch(value.strip())
    return long is not None and all(re.search(kind, value) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
