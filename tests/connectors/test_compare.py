"""Whether a snapshot's best prices lie where the stream's have been."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.cex.compare import Window
from connectors.events import NAN

TOPS = st.lists(st.tuples(st.integers(1, 500), st.integers(501, 999)), min_size=1, max_size=20)


@given(tops=TOPS, at=st.integers(0, 19))
def test_every_state_of_the_stream_is_held(tops: list[tuple[int, int]], at: int) -> None:
    """A snapshot of any moment between asking and answer agrees."""
    window = Window.at(*tops[0])
    for bid, ask in tops[1:]:
        window.saw(bid, ask)
    assert window.holds(*tops[at % len(tops)])


def test_what_the_stream_has_not_been_at_is_not_held() -> None:
    """Either side outside of what was heard disagrees; slack is a share of the price; NaN is nowhere."""
    window = Window.at(100.0, 101.0)
    window.saw(100.5, 101.0)
    assert window.holds(100.2, 101.0)
    assert not window.holds(99.9, 101.0)
    assert not window.holds(100.2, 101.1)
    assert window.holds(99.95, 101.05, slack=1e-3)
    assert not window.holds(NAN, 101.0)
    assert not window.holds(100.2, NAN)
