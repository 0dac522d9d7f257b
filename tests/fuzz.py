"""Frames bent out of shape, for the fuzz tests of parsers: pure functions of a seeded generator and a good frame.

`PEGLINE_FUZZ_FRAMES=1000000` asks for so many mutated frames per parser; without it the suite takes 3,000.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FRAMES: Final = int(os.environ.get("PEGLINE_FUZZ_FRAMES", "3000"))
"""Mutated frames for each parser."""

BATCH: Final = 200
"""Frames of one drawn seed."""

LONG: Final = pytest.mark.timeout(max(120, FRAMES // 500))
"""Marks a test of FRAMES frames: the more there are, the longer it may take."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[\[\]{}:,]')
_VALUE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"(?!\s*:)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null')
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_PAIR: Final = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*,?')
_BRACKETS: Final = re.compile(rb"[\[\]{}]")

NUMBERS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e400", b"-1e400", b"1e-400", b"1e308", b"5e-324", b"-0",
    b"0", b"0.0", b"-1", b"-0.00000001", b"1_0", b"0x10", b"+1", b"01", b".5", b"5.", b"1e5", b" 7 ", b"1,5",
    b"9" * 400, b"-" + b"9" * 400, b"0." + b"0" * 400 + b"1", b"1." + b"3" * 400, b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"4294967296", b"\xd9\xa3", b"",
)  # fmt: skip
"""What a number is rewritten to; most of it is none."""

OTHERS: Final = (
    b"null", b"true", b"false", b'""', b'"x"', b"[]", b"{}", b"[[]]", b'{"a":1}', b"1", b"1.5", b'"\\ud800"',
    b'"\\u0000"', b'"NaN"', b'"Infinity"', b'"-1"', b'"1e400"', b"[[1,2,3]]", b'["1"]', b'["a","b"]', b"[null,null]",
)  # fmt: skip
"""What a value of one type is swapped for."""


def mutate(rng: Random, frame: bytes) -> bytes:
    """The frame with one to three things wrong; now and then it comes out as it was."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        frame = rng.choice(_MUTATIONS)(rng, frame)
    return frame


def spaced(rng: Random, frame: bytes) -> bytes:
    """The same JSON with other whitespace between its tokens: it says what it said before."""
    gaps = (b"", b"", b" ", b"\n", b"\t", b"\r\n  ")
    return b"".join(rng.choice(gaps) + token for token in _TOKEN.findall(frame)) + rng.choice(gaps)


def fuzzed(test: Callable[[Random], None]) -> Callable[[], None]:
    """A test that hypothesis calls with seeded generators, each good for BATCH frames, FRAMES in all."""

    @settings(max_examples=max(1, FRAMES // BATCH), deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**64 - 1))
    def seeded(seed: int) -> None:
        test(Random(seed))

    seeded.__name__ = test.__name__
    seeded.__doc__ = test.__doc__
    return seeded


def _flip(rng: Random, frame: bytes) -> bytes:
    """Other bytes in some places."""
    bent = bytearray(frame)
    for _ in range(rng.randint(1, 4) if bent else 0):
        bent[rng.randrange(len(bent))] ^= rng.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
    return bytes(bent)


def _cut(rng: Random, frame: bytes) -> bytes:
    """Only the beginning."""
    return frame[: rng.randint(0, len(frame))]


def _splice(rng: Random, frame: bytes) -> bytes:
    """A part left out, or said twice."""
    at, to = sorted((rng.randint(0, len(frame)), rng.randint(0, len(frame))))
    return frame[:at] + frame[to:] if rng.random() < 0.5 else frame[:to] + frame[at:]


def _replaced(rng: Random, frame: bytes, pattern: re.Pattern[bytes], by: Sequence[bytes]) -> bytes:
    found = list(pattern.finditer(frame))
    if not found:
        return frame
    one = rng.choice(found)
    return frame[: one.start()] + rng.choice(by) + frame[one.end() :]


def _renumber(rng: Random, frame: bytes) -> bytes:
    """Another number, or what only looks like one."""
    return _replaced(rng, frame, _NUMBER, NUMBERS)


def _digits(rng: Random, frame: bytes) -> bytes:
    """A number a little different: another digit, sign or exponent."""
    found = list(_NUMBER.finditer(frame))
    if not found:
        return frame
    one = rng.choice(found)
    text = bytearray(one.group())
    text[rng.randrange(len(text))] = rng.choice(b"0123456789.-eE")
    return frame[: one.start()] + bytes(text) + frame[one.end() :]


def _retype(rng: Random, frame: bytes) -> bytes:
    """A value of another type."""
    return _replaced(rng, frame, _VALUE, OTHERS)


def _quote(rng: Random, frame: bytes) -> bytes:
    """A number as text, a text bare."""
    found = list(_VALUE.finditer(frame))
    if not found:
        return frame
    one = rng.choice(found)
    text = one.group()
    other = text[1:-1] if text[:1] == b'"' else b'"' + text + b'"'
    return frame[: one.start()] + other + frame[one.end() :]


def _nest(rng: Random, frame: bytes) -> bytes:
    """A value deep inside of brackets."""
    deep = 20_000 if rng.random() < 0.02 else rng.choice((1, 3, 50, 2_000))
    left, right = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    found = list(_VALUE.finditer(frame))
    if not found:
        return left * deep
    one = rng.choice(found)
    close = right * deep if rng.random() < 0.8 else b""
    return frame[: one.start()] + left * deep + one.group() + close + frame[one.end() :]


def _swap(rng: Random, frame: bytes) -> bytes:
    """Two values in each other's place."""
    found = list(_VALUE.finditer(frame))
    if len(found) < 2:
        return frame
    a, b = sorted(rng.sample(found, 2), key=re.Match.start)
    return b"".join((frame[: a.start()], b.group(), frame[a.end() : b.start()], a.group(), frame[b.end() :]))


def _key(rng: Random, frame: bytes) -> bytes:
    """A field left out, or there twice."""
    found = list(_PAIR.finditer(frame))
    if not found:
        return frame
    one = rng.choice(found)
    again = one.group() * 2 if rng.random() < 0.5 else b""
    return frame[: one.start()] + again + frame[one.end() :]


def _bracket(rng: Random, frame: bytes) -> bytes:
    """A bracket of another kind, or none."""
    return _replaced(rng, frame, _BRACKETS, (b"[", b"]", b"{", b"}", b""))


_MUTATIONS: Final = (
    _flip, _cut, _splice, _renumber, _renumber, _digits, _digits, _retype, _retype, _quote, _nest, _swap, _key,
    _bracket, spaced,
)  # fmt: skip
