"""The places of keys in a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.toml_lines import Path, lines_of

BARE = st.text("abcXYZ09_-", min_size=1, max_size=6)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
SCALARS = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(["true", "false", "1.5", "-inf", "nan", "6.0e-3", "1979-05-27 07:32:00Z", "07:32:00", "0xff"]),
    TEXT.map(lambda t: '"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    TEXT.map(lambda t: "'" + t.replace("'", "") + "'"),
    st.sampled_from(
        ['"""a\n[no.table]\nk = 1"""', "'''x = [\n'''", '"""two quotes ""\\""""', '"""ends ""a"""""', "''''one'''"]
    ),
)


def quoted(key: str) -> str:
    """A key in basic quotes."""
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


KEYS = st.one_of(BARE, TEXT.map(quoted), TEXT.map(lambda t: "'" + t.replace("'", "") + "'"))
DOTTED = st.lists(KEYS, min_size=1, max_size=3).map(" . ".join)
GAPS = st.sampled_from(["", " ", "\n", " # a ] } , comment\n", "\r\n\t"])


@st.composite
def lists(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """A list, with line breaks and comments where TOML allows them."""
    items = draw(st.lists(values, max_size=3))
    text = "".join(draw(GAPS) + item + draw(GAPS) + "," for item in items)
    return "[" + (text if draw(st.booleans()) else text.rstrip(",")) + draw(GAPS) + "]"


@st.composite
def inlines(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An inline table."""
    pairs = draw(st.lists(st.tuples(DOTTED, values), max_size=3))
    return "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"


VALUES = st.recursive(SCALARS, lambda v: st.one_of(lists(v), inlines(v)), max_leaves=6)
LINES = st.one_of(
    st.tuples(DOTTED, VALUES).map(lambda p: f"{p[0]} = {p[1]}"),
    DOTTED.map(lambda k: f"[{k}]"),
    DOTTED.map(lambda k: f"[[ {k} ]] # comment"),
    st.sampled_from(["", "# a = 1", "   "]),
)


def paths(value: Any, path: Path = ()) -> set[Path]:
    """Every path of a parsed document except its top."""
    found = {path} if path else set()
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        found |= paths(inner, (*path, key))
    return found


@given(st.lists(LINES, max_size=8))
def test_random_documents_have_the_keys_that_tomllib_reads(lines: list[str]) -> None:
    """
    The reader finds a place for exactly the tables, keys and list elements that tomllib finds.
    """
    kept: list[str] = []
    for line in lines:  # a line that makes the document invalid is left out
        try:
            tomllib.loads("\n".join([*kept, line]))
        except tomllib.TOMLDecodeError:
            continue
        kept.append(line)
    text = "\n".join(kept)
    assert paths(tomllib.loads(text)) == set(lines_of(text))


def test_every_kind_of_key_has_its_line() -> None:
    """
    Headers, dotted keys, quoted keys, arrays of tables, long strings, lists and inline tables keep their lines.
    """
    text = '''# a comment
top = 1
[a."b.c"]
x.y = 2
long = """
[not.a.table]
"""
list = [
    1,  # one
    { in = 3 },
]
[[rows]]
k = 1
[[rows]]
k = 2
'''
    found = lines_of(text)
    assert 2 == found["top",]
    assert 3 == found["a", "b.c"]
    assert 4 == found["a", "b.c", "x", "y"]
    assert 5 == found["a", "b.c", "long"]
    assert 9 == found["a", "b.c", "list", 0]
    assert 10 == found["a", "b.c", "list", 1, "in"]
    assert 13 == found["rows", 0, "k"]
    assert 15 == found["rows", 1, "k"]


def test_a_table_is_at_its_own_header() -> None:
    """
    A table whose child came first is placed at its own header, where its missing keys belong.
    """
    assert 3 == lines_of("[a.b]\nx = 1\n[a]\ny = 2\n")["a",]
