"""Open mints and redemptions as metrics."""

from __future__ import annotations

from decimal import Decimal as D

from connectors.events import NAN, NS
from connectors.orders import Conversion, ConversionState, Progress
from monitoring.settlements import samples, told
from strategies.base import Note
from strategies.execution.conversions import Conversions


def asked(*ids: str) -> Conversions:
    """Mints of 10 shares each, asked for at 100 s and each second from then on, promised in an hour."""
    made = Conversions()
    for number, id in enumerate(ids):
        since = (100 + number) * NS
        order = Conversion(
            id=id, issuer="i", mint=True, source=0, target=1, quantity=D(10), expected=D(10), least=D(10),
            sla_ns=since + 3600 * NS, underlying="X", reason="",
        )  # fmt: skip
        made.ask(order, since)
    return made


def word(id: str, state: ConversionState, given: str = "0", got: str = "0") -> Progress:
    """An issuer's word at 200 s."""
    return Progress(id=id, state=state, ts=200 * NS, given=D(given), got=D(got))


def test_open_requests_are_counted_and_the_oldest_gives_age_and_promise() -> None:
    """
    One is journaled, one only requested, one settled: two are open, 10 shares at 5 dollars are locked.
    """
    made = asked("a", "b", "c")
    made.hear(word("a", ConversionState.SETTLED, "10", "10"))
    made.hear(word("b", ConversionState.JOURNALED, "10"))
    found = samples(made, lambda _: 5.0, 300 * NS)
    expected = [(("i", "mint", "journaled"), 1.0), (("i", "mint", "requested"), 1.0)]
    assert expected == found["settlement_requests"]
    assert [(("i", "mint"), 199.0)] == found["settlement_oldest_age_seconds"]
    assert [(("i", "mint"), 3600.0)] == found["settlement_sla_seconds"]
    assert [(("mint",), 50.0)] == found["capital_locked_usd"]


def test_nothing_open_has_no_series_and_no_price_no_value() -> None:
    """
    All closed: no labels at all. Without a price the capital is left out, not zero.
    """
    assert not any(samples(Conversions(), lambda _: 5.0, 0).values())
    made = asked("a")
    made.hear(word("a", ConversionState.JOURNALED, "10"))
    assert [(("mint",), None)] == samples(made, lambda _: NAN, 0)["capital_locked_usd"]


def test_the_story_tells_what_is_late_refused_or_owed() -> None:
    """
    Each with its request or reason; an ordinary change of state is plain.
    """
    base: dict[str, float | str] = {"id": "m1", "issuer": "i", "state": "journaled"}
    late = told(Note(kind="conversion_late", underlying="X", detail={**base, "hours": 2.0}))
    assert (
        "X: m1 at i is late, journaled after 2.0 h; it stays in flight, and no second one is asked for",
        "bad",
    ) == late
    assert ("X: m1 at i is journaled", "plain") == told(Note(kind="conversion", underlying="X", detail=base))
    owed = told(Note(kind="conversion", underlying="X", detail={**base, "owed": "3", "why": "short"}))
    assert ("X: m1 at i is journaled, 3 units are owed (short)", "bad") == owed
    refused = Note(
        kind="conversion_refused", underlying="X", detail={"id": "m1", "reason": "session", "detail": "closed"}
    )
    assert ("mint or redemption of X refused, session: closed", "bad") == told(refused)
