"""A file of pins: the code that contracts ran when an operator had it looked at; another code later is refused.

    [[pin]]
    chain = "robinhood"
    contract = "0x..."
    symbol = "TSLA"
    code_hash = "0x..."         # of all that runs, a proxy's own too
    block = 4711
    date = "2026-11-26"         # of that block, UTC

`pegline tokens verify --pin FILE` writes it; `[run] pins_file` names it to the feeds. To accept a new code, take its
entry away and pin again.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import DataError

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
HEAD: Final = """\
# The code that contracts ran when it was looked at: `pegline tokens verify --pin FILE`. Another code is refused later.
# To accept a new code, take its entry away and pin again.
"""


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one contract ran at one block."""

    chain: str
    contract: str
    symbol: str = ""
    code_hash: str
    block: int
    date: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: list[Pin] = []


Place = tuple[str, str]
"""Chain, and contract in lower case."""


def read_pins(path: Path, *, may_lack: bool = False) -> dict[Place, str]:
    """Code hashes, in lower case, by place; nothing where there is no file and that is allowed.

    Raises DataError where the file cannot be read, is not sound or contradicts itself.
    """
    if may_lack and not path.exists():
        return {}
    try:
        pins = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).pin
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"not a file of pins: {error}", where=str(path)) from error
    found: dict[Place, str] = {}
    for at, pin in enumerate(pins):
        if not (_ADDRESS.fullmatch(pin.contract) and _HASH.fullmatch(pin.code_hash)):
            raise DataError("contract or code_hash is not 0x and 40 or 64 hex digits", where=f"{path}: pin[{at}]")
        place, code = (pin.chain, pin.contract.lower()), pin.code_hash.lower()
        if found.setdefault(place, code) != code:
            raise DataError(f"{pin.contract} is pinned twice, to different code", where=f"{path}: pin[{at}]")
    return found


def add_pins(path: Path, pins: Iterable[Pin]) -> None:
    """Adds pins to the end of a file, which is made where it is not there; what stands in it stays, and it is never
    half written. Raises DataError where it cannot be written."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else HEAD
        blocks = ("\n".join(f"{key} = {_toml(value)}" for key, value in msgspec.structs.asdict(pin).items())
                  for pin in pins)  # fmt: skip
        text = before.rstrip("\n") + "\n" + "".join(f"\n[[pin]]\n{block}\n" for block in blocks)
        new = path.with_name(path.name + ".new")
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        raise DataError(f"cannot be written ({error.strerror})", where=str(path)) from error


def _toml(value: str | int) -> str:
    """A TOML value: what JSON makes of a text is a basic string of TOML."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")  # which TOML wants escaped


def pinned(pins: Mapping[Place, str], chain: str, contract: str) -> str:
    """The code hash that a contract is pinned to; empty where it is not."""
    return pins.get((chain, contract.lower()), "")
