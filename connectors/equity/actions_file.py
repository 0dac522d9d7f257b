"""Corporate actions from a file that the operator keeps by hand, read again when it changes.

[[action]]
symbol = "NVDA"                 # ticker of the share
kind = "split"
ratio = 10                      # new shares for one old; 0.1 for a 1:10 reverse split
ex_date = 2026-12-07            # first day on which it trades without

[[action]]
symbol = "AAPL"
kind = "dividend"
cash_usd = 0.26                 # per share
ex_date = 2026-12-04
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from connectors.equity.corporate import Action, flaw, put
from connectors.errors import DataError
from connectors.instruments import Instrument, Role
from connectors.ports import Sink, Sleep

LOOK_S: Final = 60.0
"""How often the file is looked at."""

_AMOUNTS: Final = {"split": "ratio", "dividend": "cash_usd"}
_LINE: Final = re.compile(r"line (\d+)")
HINT: Final = 'write [[action]] with symbol, kind = "split" or "dividend", ratio or cash_usd, and ex_date = 2026-12-07'


def read(path: Path) -> tuple[Action, ...]:
    """The actions of a file in its order. Raises DataError with file and line for the first thing that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        data = tomllib.loads(text)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path), hint=HINT) from error
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", where=str(path), hint=HINT) from error
    except tomllib.TOMLDecodeError as error:
        line = found[1] if (found := _LINE.search(str(error))) else "1"
        raise DataError(f"not TOML: {error}", where=f"{path.name}:{line}", hint=HINT) from error
    lines = [at for at, line in enumerate(text.splitlines(), 1) if line.split("#")[0].split() == ["[[action]]"]]
    entries = data.pop("action", [])
    if data or not isinstance(entries, list) or len(lines) != len(entries):
        wrong = f"unknown: {', '.join(data)}" if data else "actions are not written as [[action]]"
        raise DataError(wrong, where=f"{path.name}:1", hint=HINT)
    return tuple(_action(entry, f"{path.name}:{line}") for entry, line in zip(entries, lines, strict=True))


def _action(entry: Mapping[str, Any], where: str) -> Action:
    """One table. Raises DataError."""
    kind = entry.get("kind")
    amount = _AMOUNTS.get(kind) if isinstance(kind, str) else None
    if amount is None:
        raise DataError(f"kind is {kind!r}", where=where, hint=HINT)
    wanted = {"symbol", "kind", "ex_date", amount}
    if set(entry) != wanted:
        odd = ", ".join(sorted(set(entry) ^ wanted))
        raise DataError(f"a {kind} has symbol, {amount} and ex_date; look at {odd}", where=where, hint=HINT)
    symbol, day, value = entry["symbol"], entry["ex_date"], entry[amount]
    if not (isinstance(symbol, str) and symbol):
        raise DataError("symbol is no text", where=where, hint=HINT)
    if not isinstance(day, date) or isinstance(day, datetime):
        raise DataError("ex_date is no date: write it without quotes, as 2026-12-07", where=where, hint=HINT)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{amount} is no number", where=where, hint=HINT)
    number = float("inf") if abs(value) > 1e300 else float(value)
    action = Action(symbol, day, number) if kind == "split" else Action(symbol, day, cash_usd=number)
    if wrong := flaw(action):
        raise DataError(wrong, where=where, hint=HINT)
    return action


class ActionsFile:
    """A Feed of ACTION rows on the first share instrument of each underlying that the file names."""

    venue = "actions_file"
    instruments: tuple[Instrument, ...] = ()
    """It speaks for the instruments of others: none is up or down for it."""

    def __init__(self, path: Path, universe: Iterable[Instrument], *, sleep: Sleep) -> None:
        """Raises DataError where the file is wrong now; a later mistake is counted, and the last good file holds."""
        self._path, self._sleep = path, sleep
        self._places: dict[str, str] = {}
        for instrument in universe:
            if instrument.role is Role.SHARE:
                self._places.setdefault(instrument.underlying, instrument.name)
        self._actions = read(path)

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        """Tells the file's actions, and again when it has changed, until cancelled."""
        told: tuple[Action, ...] | None = None
        while True:
            if self._actions != told:
                for action in self._actions:
                    if (place := self._places.get(action.symbol)) is None:
                        sink.reject(self.venue, "unknown_symbol", action.symbol)
                    else:
                        put(sink, self.venue, numbers[place], action, by_hand=True)
                told = self._actions
            await self._sleep(LOOK_S)
            try:
                self._actions = read(self._path)
            except DataError as error:
                sink.reject(self.venue, "bad_file", str(error))
