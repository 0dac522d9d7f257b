"""Books that are kept a second time: equal while all is well, and what is unequal is named."""

from __future__ import annotations

from decimal import Decimal as D

from bot.second_books import SecondBooks
from connectors.orders import Conversion, ConversionState, Progress
from strategies.base import Step
from strategies.execution.conversions import LAST
from strategies.execution.ledger import Ledger
from tests.strategies.test_risk import NOW, USDT, A, instruments

UNIVERSE = instruments()


def mint(id: str) -> Conversion:
    """A thousand dollars and one for ten tokens."""
    return Conversion(
        id=id, issuer="i", mint=True, source=USDT, target=A, quantity=D(1001), expected=D(10), least=D(10),
        sla_ns=NOW, underlying="S", reason="", fx=D(1),
    )  # fmt: skip


def told(word: Progress) -> Step:
    """A record of what an issuer says."""
    return Step(seq=1, ts=word.ts, cause="issuer", progress=(word,))


WORDS = (
    Progress(id="m", state=ConversionState.ACCEPTED, ts=NOW + 1, given=D(1001)),
    Progress(id="m", state=ConversionState.ACCEPTED, ts=NOW + 2, given=D(1001), got=D(4), fee_usd=D("0.5")),
    Progress(id="m", state=ConversionState.ACCEPTED, ts=NOW + 1, given=D(1001)),
    Progress(id="m", state=ConversionState.SETTLED, ts=NOW + 3, given=D(1001), got=D(10), fee_usd=D("0.5")),
)


def test_a_mint_in_pieces_late_and_twice_is_booked_as_the_ledger_does() -> None:
    """
    After each word both have the same; in the end ten tokens came, and 1,001 of the coin and half a dollar went.
    """
    ledger, books = Ledger(UNIVERSE), SecondBooks()
    books.begin(UNIVERSE, ledger)
    ledger.convert(mint("m"), NOW)
    for word in WORDS:
        ledger.progress(word)
        books.hear(told(word), ledger.conversions.all)
        assert [] == list(books.unequal(ledger))
    assert (D(10), D(-1001), D("-0.5")) == (ledger.position(A), ledger.cash["USDT"], ledger.cash["USD"])


def test_what_the_ledger_makes_up_or_leaves_out_is_named() -> None:
    """
    A token more and a cent less than the issuer's words tell: I3 and I14, with what each has.
    """
    ledger, books = Ledger(UNIVERSE), SecondBooks()
    books.begin(UNIVERSE, ledger)
    ledger.convert(mint("m"), NOW)
    ledger.progress(WORDS[-1])
    books.hear(told(WORDS[-1]), ledger.conversions.all)
    ledger.positions[A] += 1
    ledger.cash["USDT"] -= D("0.01")
    found = list(books.unequal(ledger))
    assert [("I3", UNIVERSE[A].name), ("I14", "USDT")] == [(one.invariant, one.subject) for one in found]
    assert "11 units in the books, 10 by fills" in found[0].what


def test_a_mint_of_an_earlier_run_counts_once() -> None:
    """
    What it had moved before is in the restored ledger; only what comes now is added.
    """
    ledger, books = Ledger(UNIVERSE), SecondBooks()
    ledger.convert(mint("m"), NOW)
    ledger.progress(WORDS[1])
    books.begin(UNIVERSE, ledger)
    ledger.progress(WORDS[-1])
    books.hear(told(WORDS[-1]), ledger.conversions.all)
    assert [] == list(books.unequal(ledger))


def test_an_issuer_is_learned_from_its_newest_requests() -> None:
    """
    Of one more than are kept the first is forgotten, and stays known by its id.
    """
    ledger = Ledger(UNIVERSE)
    for number in range(LAST + 1):
        ledger.convert(mint(f"m{number}"), NOW)
    assert ["m1", f"m{LAST}"] == [ledger.conversions.last["i", True][at].order.id for at in (0, -1)]
    assert "m0" in ledger.conversions.all
