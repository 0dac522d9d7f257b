"""How far a venue's clock is from ours, by asking it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from connectors.offset import measured, offset

NOW = 1_788_000_000 * 10**9


@given(st.integers(-(10**10), 10**10), st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from([1, 10**6, 10**9]))
def test_the_truth_is_within_the_error(ahead: int, there: int, back: int, grain: int) -> None:
    """Whatever the way there and back took, and however coarse the venue's time is."""
    venue = (NOW + there + ahead) // grain * grain
    found = offset(NOW, venue, NOW + there + back, grain_ns=grain)
    assert found is not None
    assert abs(found.offset_s - ahead / 1e9) <= found.error_s + 1e-6


def test_a_clock_that_ran_backwards_says_nothing() -> None:
    """Between question and answer our clock was set back: no measurement."""
    assert None is offset(NOW, NOW, NOW - 1)


async def test_the_quickest_of_a_few_answers_is_believed() -> None:
    """Round trips of 400, 20 and 300 ms: the error is that of the second."""
    now, trips = [NOW], iter([200, 10, 150])

    def clock() -> int:
        return now[0]

    async def ask() -> int:
        trip = next(trips) * 10**6
        now[0] += 2 * trip
        return now[0] - trip + 5 * 10**9

    found = await measured(ask, clock, grain_ns=1)
    assert found is not None
    assert (5.0, 0.01) == (round(found.offset_s, 6), round(found.error_s, 6))


async def test_no_good_answer_is_no_offset() -> None:
    """Where every answer came before its question there is nothing to believe."""
    times = iter(range(NOW, 0, -(10**9)))
    clock: Callable[[], int] = lambda: next(times)  # noqa: E731  (a clock in one line)

    async def ask() -> int:
        return NOW

    assert None is await measured(ask, clock)
