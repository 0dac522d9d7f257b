"""The shape of a config: unknown keys, values of the wrong kind, and what pydantic finds, in words for a person."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import ValidationError

from bot.config import Config
from bot.config_hints import plain, secret, unit_of, unknown_key
from bot.config_types import Table
from bot.terminal import nearest
from bot.toml_lines import Path


class Fault(NamedTuple):
    """A mistake or a warning, placed by its path in the document."""

    path: Path
    what: str
    write: str
    meant: Path = ()
    """The path that was probably meant: that it is missing is then no second mistake."""


_SECRET: Final = ("looks like a secret", 'keep it out of this file: write key_file = "PATH" (its value is not shown)')
_KINDS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "text": "a text in quotes",
        "flag": "true or false, without quotes",
        "whole": "a whole number, without quotes",
        "number": "a number, without quotes",
        "scalar": "a text in quotes, a number, or true or false",
        "list": 'a list such as ["regular", "post"]',
        "map": "a table of keys and values",
        "table": "a table",
    }
)


def faults(data: Mapping[str, Any], *, whole: bool = True) -> list[Fault]:
    """Every fault of shape of a parsed document.

    `whole` is false where lines had to be left out: then what is missing is no fault.
    """
    found = list(_walk(Config, data, ()))
    flagged = [f.path for f in found]
    meant = {f.meant for f in found}
    try:
        Config.model_validate(data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            path: Path = tuple(part for part in item["loc"] if part != "[key]")
            if item["type"] == "extra_forbidden" or any(path[: len(seen)] == seen for seen in flagged):
                continue
            if item["type"] == "missing" and (not whole or path in meant):
                continue
            found.append(_translated(path, item["type"], item["input"], item.get("ctx", {})))
    return found


def without(data: Mapping[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """A copy of the document without what is faulty, for checks that look at several keys."""
    faulty = set(paths)

    def copy(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {k: copy(v, (*path, k)) for k, v in value.items() if (*path, k) not in faulty}
        if isinstance(value, list):
            return [copy(v, (*path, i)) for i, v in enumerate(value) if (*path, i) not in faulty]
        return value

    return {k: copy(v, (k,)) for k, v in data.items() if (k,) not in faulty}


def table_and_key(path: Path) -> tuple[str, str]:
    """How a path is written in a message: the table as in brackets, and the key below it."""
    depth = 0
    kind: Any = Config
    for at, part in enumerate(path):
        if isinstance(kind, type) and issubclass(kind, Table):
            field = kind.model_fields.get(str(part))
            kind = _bare(field.annotation) if field else None
        else:
            kind = _bare(get_args(kind)[1]) if get_origin(kind) is dict else None
        if isinstance(kind, type) and issubclass(kind, Table):
            depth = at + 1
    return written(path[:depth]), written(path[depth:])


def written(path: Path) -> str:
    """A path as TOML writes it: `venues.kraken`, `instruments."kraken:AAPLx/USD"`, `sessions[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        bare = part.replace("-", "_").isidentifier() or part.isdigit()
        text += ("." if text else "") + (part if bare and part.isascii() else '"' + part.replace('"', '\\"') + '"')
    return text


def _bare(annotation: Any) -> Any:
    """A type without None and without constraints."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            arms = [a for a in get_args(annotation) if a is not type(None)]
            if len(arms) > 1:
                return annotation
            annotation = arms[0]
        else:
            return annotation


def _kind(annotation: Any) -> str:
    """The kind of value that a type takes in the file."""
    kind = _bare(annotation)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return "scalar"
    if origin is Literal:
        return "text" if isinstance(get_args(kind)[0], str) else "whole"
    if origin in (dict, tuple):
        return "map" if origin is dict else "list"
    if isinstance(kind, type) and issubclass(kind, Table):
        return "table"
    return {str: "text", bool: "flag", int: "whole"}.get(kind, "number")


def _fits(kind: str, value: Any) -> bool:
    """Whether a value of the file is of a kind."""
    if isinstance(value, bool):
        return kind in ("flag", "scalar")
    accepted: dict[str, tuple[type, ...]] = {
        "text": (str,), "whole": (int,), "number": (int, Decimal), "list": (list,), "map": (dict,), "table": (dict,),
        "scalar": (str, int, Decimal),
    }  # fmt: skip
    return isinstance(value, accepted.get(kind, ()))


def _walk(annotation: Any, value: Any, path: Path) -> Iterator[Fault]:
    """Faults of spelling and kind at and below a value."""
    kind = _kind(annotation)
    key = str(path[-1]) if path else ""
    if secret(key, value):
        yield Fault(path, *_SECRET)
    elif not _fits(kind, value):
        yield _wrong_kind(path, kind, value)
    elif isinstance(value, Decimal) and math.isnan(value):
        yield Fault(path, "nan is no number", f"write a number {unit_of(key)}".rstrip())
    elif kind == "table":
        fields = _bare(annotation).model_fields
        for name, inner in value.items():
            if name in fields:
                yield from _walk(fields[name].annotation, inner, (*path, name))
            else:
                yield from _unknown((*path, name), inner, fields, set(value))
    elif kind == "map":
        inside = get_args(_bare(annotation))[1]
        for name, inner in value.items():
            yield from _walk(inside, inner, (*path, name))


def _unknown(path: Path, value: Any, fields: Mapping[str, Any], present: set[str]) -> Iterator[Fault]:
    """The fault of a key that does not exist, unless its value is a secret, which is worse."""
    key = str(path[-1])
    if secret(key, value):
        yield Fault(path, *_SECRET)
        return
    tables = {n for n, f in fields.items() if _kind(f.annotation) in ("table", "map")}
    free = [n for n in fields if n not in present and (n in tables) == isinstance(value, dict)]
    what, write, meant = unknown_key(key, value, free or list(fields))
    if isinstance(value, dict):
        what = what.replace("unknown key", "unknown table")
    yield Fault(path, what, write, (*path[:-1], meant) if meant else ())


def _wrong_kind(path: Path, kind: str, value: Any) -> Fault:
    """The fault of a value of another kind, with the number that stands inside a text where there is one."""
    names = {
        str: "a text",
        bool: "true/false",
        int: "a whole number",
        Decimal: "a number",
        list: "a list",
        dict: "a table",
    }
    has = next((name for cls, name in names.items() if type(value) is cls), "a date or time")
    key = str(path[-1]) if path else ""
    said = f"{plain(value)} is {has}" if not isinstance(value, list | dict) else f"this is {has}"
    write = f"write {_KINDS[kind]}"
    if kind in ("number", "whole") and (unit := unit_of(key)):
        write += f", {unit}"
    return Fault(path, said, write)


def _translated(path: Path, kind: str, value: Any, context: Mapping[str, Any]) -> Fault:
    """One error of pydantic in our words."""
    key = str(path[-1])
    unit = unit_of(key) or next((unit_of(str(p)) for p in reversed(path) if unit_of(str(p))), "")
    if kind == "missing":
        return Fault(path, "missing", f"write {_example(path, unit)}")
    bounds = {"greater_than": ("gt", "above"), "greater_than_equal": ("ge", "at least"),
              "less_than": ("lt", "below"), "less_than_equal": ("le", "at most")}  # fmt: skip
    if kind in bounds:
        name, words = bounds[kind]
        limit = plain(Decimal(str(context[name])).normalize() + 0)
        what = "is negative" if value < 0 and limit == "0" else f"is not {words} {limit}"
        return Fault(path, f"{plain(value)} {what}", f"write a number {words} {limit} {unit}".rstrip())
    if kind == "finite_number":
        return Fault(path, f"{plain(value)} is not allowed here", f"write a finite number {unit}".rstrip())
    if kind == "literal_error":
        allowed = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        spelt = value if isinstance(value, str) else key
        meant = nearest(str(spelt), allowed)
        hint = f"did you mean {meant}? " if meant else "write "
        what = f"{plain(value) if value != key else key} is not known"
        return Fault(path, what, f"{hint}one of {', '.join(allowed)}", (*path[:-1], meant) if meant else ())
    return Fault(path, f"{plain(value)} does not fit", f"write another value {unit}".rstrip())


def _example(path: Path, unit: str) -> str:
    """`key = NUMBER in US dollars`, or the values that a choice has."""
    annotation: Any = Config
    for part in path:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Table):
            annotation = annotation.model_fields[str(part)].annotation
        else:
            annotation = get_args(annotation)[1]
    kind, key = _kind(annotation), str(path[-1])
    if get_origin(_bare(annotation)) is Literal:
        return f"{key} = one of " + ", ".join(f'"{choice}"' for choice in get_args(_bare(annotation)))
    shown = {"text": '"TEXT"', "flag": "true or false", "list": '["regular", ...]', "map": "a number for each session"}
    return f"{key} = {shown.get(kind, 'NUMBER')} {unit}".rstrip()
