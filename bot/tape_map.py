"""The map of `pegline tape import`: which column of which file is which instrument's price. Reading and checking it.

All mistakes are reported at once, each as `file:line [source N] key: what is wrong (what to write)`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.terminal import nearest
from bot.toml_lines import Path as Place
from bot.toml_lines import lines_of
from connectors.errors import ImportFailed
from connectors.events import NS, Kind
from connectors.instruments import Hours, UnitModel

Word = Annotated[str, Field(min_length=1)]
Cell = str | bool | int | float
Filter = dict[str, Cell]


class _Table(BaseModel):
    """A table of the map: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeColumn(_Table):
    """`time = {...}`: which column is the time, how it is written, and what to add to it."""

    column: Word
    format: Literal["iso8601", "unix_s", "unix_ms", "unix_ns"]
    offset_s: Annotated[Decimal, Field(allow_inf_nan=False, max_digits=18, decimal_places=9)] = Decimal(0)
    """Seconds to add, e.g. a bar's length where the column is the bar's open."""

    @property
    def offset_ns(self) -> int:
        """The same in ns, exact."""
        return int(self.offset_s * NS)


class Series(_Table):
    """`[[source.series]]`: one kind of row of one instrument."""

    instrument: Annotated[str, Field(pattern=r"^[^:\s]+:\S+$")]
    kind: Literal["QUOTE", "TRADE", "REFERENCE", "FX", "FUNDING", "MULTIPLIER", "REWARD", "SUPPLY"]
    token: str = ""
    underlying: str = ""
    issuer: str = ""
    chain: str = ""
    unit_model: UnitModel | None = None
    multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    quote: Word = "USD"
    coin: str = ""
    witness: str = ""
    hours: Hours = Hours.ALWAYS
    where: Filter = {}
    drop_where: Filter = {}
    price: str = ""
    bid: str = ""
    ask: str = ""
    bid_size: str = ""
    ask_size: str = ""
    halted: str = ""
    value: str = ""
    activates: str = ""
    rate: str = ""
    per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    usd_per_day: str = ""
    ends: str = ""
    tokens: str = ""
    backing_shares: str = ""

    @property
    def row_kind(self) -> Kind:
        """The kind of its rows."""
        return Kind[self.kind]

    def columns(self) -> Iterator[tuple[str, str]]:
        """(key, column) of every column that it names."""
        for key in _COLUMN_KEYS:
            if column := getattr(self, key):
                yield key, column
        for key in ("where", "drop_where"):
            for column in getattr(self, key):
                yield key, column


class Source(_Table):
    """`[[source]]`: files of one shape."""

    files: Word
    time: TimeColumn
    series: tuple[Series, ...]


class TapeMap(_Table):
    """The whole map."""

    source: tuple[Source, ...]


class Places:
    """Where in the map's text a key stands."""

    def __init__(self, name: str, text: str) -> None:
        """`name` is the file's name for messages; `text` must be TOML that was accepted."""
        self._name = name
        self._lines = lines_of(text)

    def __call__(self, source: int = -1, series: int = -1, *keys: str) -> str:
        """`file:line [source N series M] key.key`; numbers count from 1, the line is the nearest that is known."""
        path: Place = () if source < 0 else ("source", source)
        path = path if series < 0 else (*path, "series", series)
        table = "" if source < 0 else f" [source {source + 1}{f' series {series + 1}' if series >= 0 else ''}]"
        path = (*path, *keys)
        while path and path not in self._lines:
            path = path[:-1]
        line = f":{self._lines[path]}" if path else ""
        return f"{self._name}{line}{table}{' ' if keys else ''}{'.'.join(keys)}"


def load_map(path: Path) -> tuple[TapeMap, Places]:
    """Reads and checks a map. Raises ImportFailed with all mistakes, one a line."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise ImportFailed(
            "there is no such map", where=str(path), hint="what a map is: pegline tape import --help"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFailed(f"the map cannot be read: {error}", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ImportFailed(f"not TOML: {error}", where=f"{path.name}:{line[1]}" if line else path.name) from None
    places = Places(path.name, text)
    try:
        found = TapeMap.model_validate(raw)
    except ValidationError as error:
        raise mistakes([_worded(places, one) for one in error.errors()]) from None
    if wrong := list(_check(found, places)):
        raise mistakes(wrong)
    return found, places


def mistakes(lines: list[str]) -> ImportFailed:
    """All mistakes of a map as one error, one a line."""
    return ImportFailed("\n".join(lines))


_COLUMN_KEYS: Final = (
    "price", "bid", "ask", "bid_size", "ask_size", "halted", "value", "activates",
    "rate", "usd_per_day", "ends", "tokens", "backing_shares",
)  # fmt: skip

_SIZES: Final = {"bid_size", "ask_size", "halted"}
_ALLOWED: Final[dict[str, set[str]]] = {
    "QUOTE": {"price", "bid", "ask"} | _SIZES,
    "TRADE": {"price", "ask_size", "halted"},
    "REFERENCE": {"price", "bid", "ask"} | _SIZES,
    "FX": {"price", "bid", "ask"} | _SIZES,
    "FUNDING": {"rate"},
    "MULTIPLIER": {"value", "activates"},
    "REWARD": {"usd_per_day", "ends"},
    "SUPPLY": {"tokens", "backing_shares"},
}
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "TRADE": ("price",),
    "FUNDING": ("rate", "per_s"),
    "MULTIPLIER": ("value",),
    "REWARD": ("usd_per_day",),
    "SUPPLY": ("tokens",),
}


def _check(found: TapeMap, places: Places) -> Iterator[str]:
    """What types alone cannot tell."""
    if not found.source:
        yield f"{places()}: no [[source]] (write at least one)"
    for i, source in enumerate(found.source):
        if not source.series:
            yield f"{places(i)}: no [[source.series]] (write at least one)"
        for j, series in enumerate(source.series):
            for key, what in _series_mistakes(series):
                yield f"{places(i, j, key)}: {what}"


def _series_mistakes(series: Series) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for each mistake of one series."""
    kind = series.kind
    for key, _ in series.columns():
        if key in _COLUMN_KEYS and key not in _ALLOWED[kind]:
            yield key, f"{kind} has no such column (it may have {', '.join(sorted(_ALLOWED[kind]))})"
    for key in _NEEDED.get(kind, ()):
        if not getattr(series, key):
            yield key, f"missing (write {key} = ..., {kind} needs it)"
    if series.per_s is not None and kind != "FUNDING":
        yield "per_s", f"{kind} has no period (only FUNDING has per_s)"
    if kind in ("QUOTE", "REFERENCE", "FX"):
        two = bool(series.bid) + bool(series.ask)
        if series.price and two:
            yield "price", "one price and bid or ask exclude each other (write price, or bid and ask)"
        elif not series.price and two != 2:
            yield "ask" if series.bid else "bid" if series.ask else "price", "missing (write price, or bid and ask)"
    if kind == "FX" and not series.coin:
        yield "coin", 'missing (write which coin it prices, e.g. coin = "USDC")'
    if kind == "FX" and series.coin == series.quote:
        yield "quote", "a coin priced in itself (write the other currency of the pair)"
    if kind != "FX" and series.coin:
        yield "coin", 'only an FX series prices a coin (drop it, or kind = "FX")'
    if kind in ("REFERENCE", "FUNDING") and not series.underlying:
        yield "underlying", 'missing (write the ticker of the share, e.g. underlying = "TSLA")'
    if kind in ("QUOTE", "TRADE") and not series.token and not series.underlying:
        yield "token", 'missing (write token = "...", or underlying = "..." for a perp)'
    if not series.token and (series.multiplier is not None or series.unit_model is not None):
        key = "multiplier" if series.multiplier is not None else "unit_model"
        yield key, 'only a token has it (write token = "...", or drop it)'
    if series.unit_model is UnitModel.REBASING and series.multiplier not in (None, 1.0):
        yield "multiplier", "a rebasing token's unit is one share (write 1.0, or another unit_model)"


def _worded(places: Places, error: Any) -> str:
    """One of pydantic's errors in our words."""
    loc: tuple[Any, ...] = error["loc"]
    source = loc[1] if len(loc) > 1 and loc[0] == "source" and isinstance(loc[1], int) else -1
    series = loc[3] if len(loc) > 3 and loc[2] == "series" and isinstance(loc[3], int) else -1
    names = [part for part in loc[4 if series >= 0 else 2 if source >= 0 else 0 :] if isinstance(part, str)][:2]
    key = names[0] if names else ""
    place = places(source, series, *names)
    kind = error["type"]
    if kind == "extra_forbidden":
        model = TimeColumn if key == "time" else Series if series >= 0 else Source if source >= 0 else TapeMap
        meant = nearest(names[-1], model.model_fields)
        return f"{place}: unknown key{f' (did you mean {meant!r}?)' if meant else ' (drop it)'}"
    if kind == "missing":
        return f"{place}: missing (write {names[-1]} = ...)"
    if kind in ("literal_error", "enum"):
        wanted = error["ctx"].get("expected", "").replace(" or ", ", ")
        meant = nearest(str(error["input"]), re.findall(r"'([^']*)'", wanted))
        return f"{place}: {error['input']!r} is none of {wanted}{f' (did you mean {meant!r}?)' if meant else ''}"
    if kind == "string_pattern_mismatch":
        return f'{place}: {error["input"]!r} is not venue:symbol (write e.g. "kraken:TSLAx/USD")'
    said = error["msg"][:1].lower() + error["msg"][1:]
    return f"{place}: {said}, not {error['input']!r}"
