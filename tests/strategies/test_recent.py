"""What is remembered of the newest keys."""

from __future__ import annotations

from strategies.execution.recent import Recent


def test_the_oldest_is_forgotten_whichever_way_a_key_comes() -> None:
    """
    Three are kept: the fourth, by assignment, update or default, takes the place of the oldest.
    """
    recent: Recent[str, int] = Recent(3)
    recent["a"] = 1
    recent.update({"b": 2, "c": 3})
    recent["d"] = 4
    assert {"b": 2, "c": 3, "d": 4} == recent
    recent.setdefault("e", 5)
    recent.update(dict.fromkeys("fg", 6))
    assert {"e": 5, "f": 6, "g": 6} == recent


def test_a_key_that_is_set_again_is_no_newer() -> None:
    """
    Else who says the same again and again could push nothing out.
    """
    recent: Recent[str, int] = Recent(2)
    recent["a"], recent["b"], recent["a"], recent["c"] = 1, 2, 3, 4
    assert {"b": 2, "c": 4} == recent
