"""Mints and redemptions on their way: reviewed, asked for once, followed, and told once when they are late."""

from __future__ import annotations

from decimal import Decimal as D
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from bot.converting import Converter
from connectors.events import NAN, NS
from connectors.instruments import Instrument, Role, Universe
from connectors.orders import Conversion, Fill, Intent, Leg, Reason, Side
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.issuer_terms import Delay, Freeze, IssuerFault, IssuerTerms, Ways
from strategies.base import Note
from strategies.execution.latch import Hold, Latch, Mode
from strategies.execution.ledger import Ledger

UNIVERSE = Universe(
    (
        Instrument(venue="b", symbol="X", role=Role.SHARE, underlying="X"),
        Instrument(venue="v", symbol="Xt/USD", role=Role.TOKEN, underlying="X", token="Xt", issuer="i"),
    )
)
HOUR = 3600 * NS


class Desk:
    """A converter over a simulated issuer, with 150 shares in the books; time passes by hand."""

    def __init__(self, *faults: IssuerFault, most_usd: str = "20000", limits: bool = True, **terms: Any) -> None:
        ways = Ways(fee=D("0.002"), delay=Delay(600.0), least=D(1))
        said = IssuerTerms(mint=ways, redeem=ways, scripted=dict(enumerate(faults)), **terms)
        self.issuer = SimulatedIssuer("i", UNIVERSE, said, lambda _: 100.0, lambda _: 1.0)
        self.ledger = Ledger(UNIVERSE)
        fill = Fill(id="f", client_id="o-0", instrument=0, side=Side.BUY, quantity=D(150), price=D(100), fee=D(0),
                    fx=D(1), ts=0)  # fmt: skip
        self.ledger.fill(fill, seen=D(100))
        self.records: list[tuple[str, int, Any]] = []
        self.dues: list[int] = []
        self.latch, self.mark = Latch(), 100.0
        self.unbacked: dict[int, str] = {}
        allowed: Any = SimpleNamespace(collar_bps=inf, max_order_usd=D(most_usd)) if limits else None
        self.converter = Converter(
            self.ledger, allowed, record=self.record, push=lambda due: self.dues.append(due),
            latch=lambda: self.latch, unbacked=lambda number: self.unbacked.get(number, ""),
        )  # fmt: skip
        self.converter.primaries = {"i": self.issuer}

    def record(self, cause: str, now: int, **what: Any) -> None:
        self.records.append((cause, now, what))

    def view(self, now: int = 0) -> Any:
        columns = SimpleNamespace(universe=UNIVERSE, mark_usd=lambda _: self.mark)
        return SimpleNamespace(columns=columns, ledger=self.ledger, now=now)

    def wish(self, *wishes: Conversion, now: int = 0) -> tuple[list[str], list[str]]:
        """Ids that pass and are asked for, and the reasons of the others."""
        passed, notes = self.converter.decided(wishes, self.view(now))
        self.converter.send(passed, now)
        return [one.id for one in passed], [str(note.detail["reason"]) for note in notes]

    def pass_to(self, now: int) -> list[Note]:
        """Delivers all that is due by then; gives the notes of it."""
        at = len(self.records)
        while (due := min(self.dues, default=now + 1)) <= now:
            self.dues = [one for one in self.dues if one != due]
            self.converter.hear(due)
        return [note for _, _, what in self.records[at:] for note in what.get("notes", ())]


def mint(id: str = "c", quantity: str = "100", **more: Any) -> Conversion:
    """A mint of the token, promised within an hour."""
    said = {"underlying": "X", "expected": D(quantity), "least": D(quantity) * D("0.99"), "sla_ns": HOUR, **more}
    return Conversion(
        id=id, issuer="i", mint=True, source=0, target=1, quantity=D(quantity), reason="", **said
    )  # fmt: skip


def test_a_mint_goes_its_way_and_each_change_is_recorded() -> None:
    """
    Accepted, journaled, delivered, settled: 99.8 tokens for 100 shares, and four records that hold the issuer's words.
    """
    desk = Desk()
    assert (["c"], []) == desk.wish(mint())
    notes = desk.pass_to(HOUR)
    assert ["accepted", "journaled", "delivered", "settled"] == [note.detail["state"] for note in notes]
    assert (D(50), D("99.8")) == (desk.ledger.position(0), desk.ledger.position(1))
    assert 4 == sum(len(what["progress"]) for _, _, what in desk.records)


def test_one_that_is_late_is_told_once_and_not_asked_for_again() -> None:
    """
    Row 54: one note at its moment and none after it; the capital is in flight, and there is no second request.
    """
    desk = Desk(IssuerFault.NEVER_SETTLES)
    desk.wish(mint())
    late = [note for note in desk.pass_to(2 * HOUR) if note.kind == "conversion_late"]
    assert ["c"] == [note.detail["id"] for note in late]
    assert [] == desk.pass_to(48 * HOUR)
    assert ({0: 100.0}, 1) == (desk.ledger.away, len(desk.issuer.orders))
    assert ([], ["open_pairs"]) == desk.wish(mint(), now=48 * HOUR)


def test_a_short_delivery_tells_what_is_owed() -> None:
    """
    Row 56: 98 hundredths of 99.8 came; the note of the end names the rest.
    """
    desk = Desk(IssuerFault.SHORT)
    desk.wish(mint())
    (end,) = [note for note in desk.pass_to(HOUR) if note.detail["state"] == "settled"]
    assert (D("2.196"), "short") == (D(str(end.detail["owed"])), end.detail["why"])


def test_a_freeze_refuses_with_its_reason() -> None:
    """
    Row 57: nothing is asked for, and the issuer has not heard of it.
    """
    desk = Desk(freezes=(Freeze("X", 0),))
    assert ([], ["session"]) == desk.wish(mint())
    assert {} == desk.issuer.orders


@pytest.mark.parametrize(("quantity", "reason"), [("0.5", Reason.NO_SIZE), ("151", Reason.POSITION)])
def test_what_the_issuer_or_our_books_cannot_do_is_refused(quantity: str, reason: Reason) -> None:
    """
    Less than the least; more than we hold.
    """
    assert ([], [reason.value]) == Desk().wish(mint(quantity=quantity))


def test_units_are_given_once() -> None:
    """
    Of 150 shares 100 are asked for, so that 60 more are not there, whatever they are called; nor while a sale of 60 is
    under way are 100.
    """
    desk = Desk()
    assert (["c"], ["position"]) == desk.wish(mint(), mint("d", "60", underlying="Y"))
    assert ([], ["position"]) == desk.wish(mint("e", "60", underlying="Y"), now=1)
    other = Desk()
    other.ledger.reserve(Leg(instrument=0, side=Side.SELL, quantity=D(60), limit=D(1), seen=D(1)))
    assert ([], ["position"]) == other.wish(mint())


def test_a_plan_that_ends_with_a_request_buys_what_it_gives_or_has_it() -> None:
    """
    Of 150 shares 200 are not there: a plan that buys none of them is refused before its legs leave, one that does is
    not, nor is one for less.
    """
    desk = Desk()

    def foreseen(leg: tuple[int, Side], quantity: str) -> tuple[Reason, str] | None:
        at, side = leg
        legs = (Leg(instrument=at, side=side, quantity=D(1), limit=D(100), seen=D(100)),)
        plan = Intent(
            id="p", strategy="s", legs=legs, reason="", edge_bps=0.0, notional_usd=D(100), deadline_ns=HOUR,
            underlying="X", then=mint(quantity=quantity),
        )  # fmt: skip
        return desk.converter.foresees(plan, desk.view())

    assert (Reason.POSITION, "b:X: 150 units are free, 200 wanted") == foreseen((1, Side.SELL), "200")
    assert (Reason.POSITION, "b:X: 150 units are free, 200 wanted") == foreseen((0, Side.SELL), "200")
    assert (None, None) == (foreseen((0, Side.BUY), "200"), foreseen((1, Side.SELL), "150"))


def test_one_request_of_a_share_is_open_at_an_issuer() -> None:
    """
    While one is under way, and while it is late, no second one is asked for; once it has settled one is.
    """
    desk = Desk()
    assert (["c"], ["open_pairs"]) == desk.wish(mint(quantity="10"), mint("d", "10"))
    desk.pass_to(HOUR)
    assert (["e"], []) == desk.wish(mint("e", "10", sla_ns=2 * HOUR), now=HOUR)
    late = Desk(IssuerFault.NEVER_SETTLES)
    late.wish(mint(quantity="10"))
    late.pass_to(2 * HOUR)
    assert ([], ["open_pairs"]) == late.wish(mint("d", "10"), now=2 * HOUR)


def test_a_strategy_does_not_ask_for_what_completes_a_trade() -> None:
    """
    A wish that names a trade is refused; the same from the trade itself passes.
    """
    desk = Desk()
    assert ([], ["malformed"]) == desk.wish(mint(trade="t"))
    passed, notes = desk.converter.decided([mint(trade="t")], desk.view(), completes=True)
    assert (["c"], ()) == ([one.id for one in passed], notes)


def test_what_is_not_backed_is_not_minted_and_may_be_redeemed() -> None:
    """
    The token that would come is not known to be backed: refused with the reason, unless it completes a trade; the same
    token may be given back, and when it is sound it is minted.
    """
    desk = Desk()
    desk.unbacked[1] = "T: short"
    assert ([], ["backing"]) == desk.wish(mint())
    passed, _ = desk.converter.decided([mint(trade="t")], desk.view(), completes=True)
    assert ["c"] == [one.id for one in passed]
    fill = Fill(id="t", client_id="o-1", instrument=1, side=Side.BUY, quantity=D(50), price=D(100), fee=D(0), fx=D(1),
                ts=0)  # fmt: skip
    desk.ledger.fill(fill, seen=D(100))
    back = structs.replace(mint("r", "50"), mint=False, source=1, target=0)
    assert (["r"], []) == desk.wish(back)
    desk.unbacked.clear()
    assert (["c"], []) == Desk().wish(mint())


def test_a_limit_a_kill_and_a_missing_price_refuse() -> None:
    """
    More USD than the largest order, no price, no limits at all, and a stop.
    """
    assert ([], ["notional"]) == Desk(most_usd="9999").wish(mint())
    desk = Desk()
    desk.mark = NAN
    assert ([], ["notional"]) == desk.wish(mint())
    assert ([], ["mode"]) == Desk(limits=False).wish(mint())
    stopped = Desk()
    for mode, reason in ((Mode.REDUCE, "reduce_only"), (Mode.HALT, "killed")):
        stopped.latch = Latch((Hold(scope="issuer:i", mode=mode, cause="operator", why="stop", at=0),))
        assert ([], [reason]) == stopped.wish(mint())
    assert (["c"], []) == Desk().wish(mint())


def test_after_a_restart_open_requests_are_asked_about_and_not_sent_again() -> None:
    """
    A new converter over the same books hears of the end that its predecessor was not told.
    """
    desk = Desk(IssuerFault.NO_WORD)
    desk.wish(mint())
    desk.pass_to(30 * NS)
    desk.dues.clear()
    desk.converter.take_up(HOUR)
    desk.pass_to(2 * HOUR)
    assert (D("99.8"), 1) == (desk.ledger.position(1), len(desk.issuer.orders))


def test_one_that_nobody_can_tell_about_is_asked_about_again() -> None:
    """
    Its answer was lost; asked a minute later and each minute from then on, it is heard to have settled.
    """
    desk = Desk(IssuerFault.NO_WORD)
    desk.wish(mint())
    desk.pass_to(HOUR)
    assert (D("99.8"), D(50)) == (desk.ledger.position(1), desk.ledger.position(0))
