"""Connectors that raise: their trades are followed, and the run goes on."""

from __future__ import annotations

from connectors.orders import Approved, ConversionState, Outcome
from tests.bot.test_trades import Script
from tests.simulation.test_invariants import Bench, near, request


class Raising(Script):
    """A venue whose connector raises once it has handed over the order, and as often when it is asked first."""

    def __init__(self, questions: int = 0) -> None:
        super().__init__({"all": ["later:", "fill"]})
        self.questions = questions

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """The venue has it, and nobody learns of it."""
        super().submit(order, now)
        raise OSError("https://venue/?key=SECRET")

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """Raises as long as it is told to."""
        self.questions -= 1
        if self.questions >= 0:
            raise TimeoutError("key=SECRET")
        return super().query(client_id, instrument, now)


def test_an_order_whose_connector_raised_is_unknown_asked_about_and_never_sent_again() -> None:
    """
    Both legs filled though `submit` raised: they are asked for by client id, and the trade ends hedged.
    """
    bench = Bench()
    bench.watched.executor = venue = Raising()  # type: ignore[attr-defined]
    bench.until(60)
    assert ["t-0", "t-1"] == list(venue.sent)
    assert {"t-0", "t-1"} == set(venue.asked)
    assert [10, -10] == [int(bench.engine.ledger.position(number)) for number in (0, 1)]
    assert ({}, []) == (bench.engine.trades.under_way(), bench.found)


def test_a_question_that_raises_is_asked_again() -> None:
    """
    The first two questions raise; the trade is known and hedged all the same.
    """
    bench = Bench()
    bench.watched.executor = Raising(questions=2)  # type: ignore[attr-defined]
    bench.until(90)
    assert {} == bench.engine.trades.under_way()
    assert 10 == bench.engine.ledger.position(0)


def test_what_is_told_of_a_connector_that_raised_holds_no_word_of_its() -> None:
    """
    Only the kind of the error is told: its text may hold a key.
    """
    bench = Bench().until(0.5)
    bench.watched.executor = Raising()  # type: ignore[attr-defined]
    order = Approved(near("w"))
    bench.passed(order.intent)
    (due,) = bench.watched.submit(order, bench.engine.now)
    told = bench.watched.answer(due, bench.engine.dealer.books)
    assert {(Outcome.UNKNOWN, "the connector raised OSError", False)} == {
        (one.outcome, one.detail, one.final) for one in told
    }


def test_a_request_whose_connector_raised_is_unknown() -> None:
    """
    An issuer's door that raises leaves the request open: it is asked about, never asked for anew.
    """
    from bot.watched import WatchedPrimary

    class Door:
        def request(self, order: object, now: int) -> tuple[int, ...]:
            raise ConnectionError("key=SECRET")

        def progress(self, due: int) -> tuple[()]:
            return ()

    bench = Bench().until(0.5)
    one = request()
    bench.passed(near("w"), conversions=(one,))
    door = WatchedPrimary(Door(), bench.invariants)  # type: ignore[arg-type]
    (due,) = door.request(one, bench.engine.now)
    (word,) = door.progress(due)
    assert (ConversionState.UNKNOWN, "the connector raised ConnectionError") == (word.state, word.detail)
