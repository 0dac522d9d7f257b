"""What bends frames for the fuzz tests, itself tested."""

from __future__ import annotations

import json
from random import Random

from tests.fuzz import fuzzed, mutate, spaced

FRAME = b'{"a":[["400.10","3"],["400 : 00","9"]],"b":{"c":-1.5e3,"d":null,"e":"x\\"y, z"}}'


@fuzzed
def test_other_whitespace_says_the_same(rng: Random) -> None:
    """Only whitespace between tokens changes."""
    assert json.loads(FRAME) == json.loads(spaced(rng, FRAME))


@fuzzed
def test_a_seed_bends_a_frame_always_in_the_same_way(rng: Random) -> None:
    """Two generators of one seed make one frame."""
    state = rng.getstate()
    once = mutate(rng, FRAME)
    rng.setstate(state)
    assert once == mutate(rng, FRAME)


def test_most_frames_come_out_bent_and_some_are_still_json() -> None:
    """Of 2,000 frames nearly all differ, a good part cannot be read, and a good part can."""
    rng = Random(7)
    bent = [mutate(rng, FRAME) for _ in range(2_000)]
    readable = 0
    for frame in bent:
        try:
            json.loads(frame)
            readable += 1
        except (ValueError, RecursionError):
            continue
    assert sum(frame != FRAME for frame in bent) > 1_900
    assert 300 < readable < 1_700
