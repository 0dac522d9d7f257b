"""The review of mints and redemptions, and whether an intent is small enough."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from math import inf, nan

import pytest
from msgspec import structs

from connectors.events import NS
from connectors.orders import Conversion, ConversionState, Leg, Progress, Reason, Side
from connectors.ports import Bounds, Soft
from strategies.base import View
from strategies.execution.requests import Problem, review_conversion
from strategies.execution.room import fits
from tests.strategies.test_gate import WIDE, filled
from tests.strategies.test_risk import NOW, USDT, A, B, Case, P, instruments, intent, quote
from tests.strategies.test_risk import S as SHARE


class Issuer:
    """Takes from `least` to 50 units unless it is closed, and gives `rate` of the target for each."""

    issuer = "i"

    def __init__(self, *, rate: str = "0.99", closed: str = "", least: str = "2") -> None:
        self.rate, self.closed, self.least = D(rate), closed, D(least)
        self.asked: tuple[bool, int, int, int] | None = None
        self.quoted: list[tuple[bool, int, int, D, int]] = []

    def quote(self, *, mint: bool, source: int, target: int, quantity: D, now: int) -> Soft | None:
        """What it would bring."""
        self.quoted.append((mint, source, target, quantity, now))
        return Soft(expected=quantity * self.rate, fee_usd=D(0), until_ns=now, delay_s=1.0) if self.rate else None

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """What it takes."""
        self.asked = mint, source, target, now
        return Bounds(closed=self.closed, least=self.least, most=D(50), opens_ns=0)


def order(**more: object) -> Conversion:
    """Five tokens of A for shares."""
    usual = {
        "id": "c", "issuer": "i", "mint": False, "source": A, "target": SHARE, "quantity": D(5), "expected": D(5),
        "least": D(5), "sla_ns": NOW + NS, "underlying": "S", "reason": "test",
    }  # fmt: skip
    return Conversion(**{**usual, **more})  # type: ignore[arg-type]


def holding(units: str = "5") -> View:
    """So many are held at A."""
    view = Case().view()
    if D(units):
        filled(view, A, units)
    return view


def judged(wish: Conversion, view: View | None = None, *, most: str = "1000", earlier: tuple[Conversion, ...] = (),
           issuer: Issuer | None = None, held: bool = True, collar: float = 300.0) -> Problem | None:  # fmt: skip
    """What the review says."""
    view = holding() if view is None else view
    return review_conversion(wish, earlier, view, {"i": issuer or Issuer()}, D(most), collar, held=held)


def test_an_issuer_that_gives_much_less_than_it_takes_is_not_asked() -> None:
    """
    Five tokens for 4.851 shares pass a collar of 300 bps; for 4.84 they do not, and any price passes without.
    """
    assert None is judged(order(expected=D("4.851")))
    problem = judged(order(expected=D("4.84")))
    assert problem is not None
    assert (Reason.COLLAR, True) == (problem[0], "320.0 bps less, allowed 300" in problem[1])
    assert None is judged(order(expected=D("1")), collar=inf)


def test_half_the_worth_is_refused_in_these_words_and_at_the_collar_itself_is_allowed() -> None:
    """
    Five tokens of a hundred dollars for two and a half shares: 5,000 bps less.
    """
    problem = judged(order(expected=D("2.5")))
    assert (Reason.COLLAR, "i gives 250.00 USD for 500.00 USD, 5000.0 bps less, allowed 300") == problem
    assert None is judged(order(expected=D("2.5")), collar=5000.0)


def test_what_has_no_price_on_either_side_is_not_asked_for() -> None:
    """
    What comes has no fair value and no mark, or what is given is worth nothing; half a dollar is worth something.
    """
    why = "c: what i gives and takes has no price"
    silent = Case(max_error=1e-9).view()
    filled(silent, A, "5")
    silent.columns.set_shares_per_unit(B, nan)
    assert (Reason.FAIR_UNKNOWN, why) == judged(order(target=B), silent)
    coins = {"mint": True, "source": USDT, "target": A, "quantity": D(50), "expected": D("0.005")}
    assert (Reason.FAIR_UNKNOWN, why) == judged(order(**coins, fx=D(0)))
    assert None is judged(order(**coins, fx=D("0.01")))


def test_without_a_fair_value_the_collar_goes_by_the_marks() -> None:
    """
    Five at A (99.95) for 4.95 at B (101.05) are as much; for 4.6 they are not.
    """
    view = Case(max_error=1e-9).view()
    filled(view, A, "5")
    assert None is judged(order(target=B, expected=D("4.95")), view)
    assert Reason.COLLAR is (judged(order(target=B, expected=D("4.6")), view) or (None,))[0]


def test_the_collar_counts_a_unit_as_its_shares() -> None:
    """
    A token of two shares goes for two shares, and not for one.
    """
    view = Case(universe=instruments(multiplier=2.0), rows=(quote(A, 199.9, 200.0),)).view()
    filled(view, A, "5")
    assert None is judged(order(quantity=D(2), expected=D(4)), view)
    assert Reason.COLLAR is (judged(order(quantity=D(2), expected=D(2)), view) or (None,))[0]


def test_the_collar_holds_a_coin_against_the_fair_value() -> None:
    """
    A share is worth 100: 0.44 of it for 45 coins of a dollar pass, for 48 they do not; 500 coins of half a dollar are
    half of what five tokens are worth.
    """
    mint = {"mint": True, "source": USDT, "target": A, "fx": D(1)}
    for paid, passes in (("45", True), ("48", False)):
        wish = order(**mint, quantity=D(paid), expected=D("0.44"))
        problem = judged(wish)
        assert passes is (problem is None)
    problem = judged(order(target=USDT, expected=D(500), fx=D("0.5")))
    assert problem is not None
    assert Reason.COLLAR is problem[0]


def test_what_is_held_and_taken_on_passes() -> None:
    """
    The case from which every other one differs in one thing.
    """
    assert judged(order()) is None


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (order(issuer="z"), (Reason.MODE, "no door of the issuer z in this run")),
        (order(quantity=D("1.99")), (Reason.NO_SIZE, "i takes at least 2 units")),
        (order(quantity=D(0)), (Reason.NO_SIZE, "i takes at least 2 units")),
        (order(expected=D(0)), (Reason.NO_SIZE, "i takes at least 2 units")),
        (order(quantity=D("50.01")), (Reason.NO_SIZE, "i takes at most 50 units now")),
        (order(target=USDT), (Reason.FX_UNKNOWN, "c: what the coin is worth is not told")),
        (order(source=USDT, target=A), (Reason.FX_UNKNOWN, "c: what the coin is worth is not told")),
        (order(quantity=D("10.01")), (Reason.NOTIONAL, "a:T/USD: above 1000 USD, or without a price")),
        (order(quantity=D("5.01")), (Reason.POSITION, "a:T/USD: 5 units are free, 5.01 wanted")),
    ],
)
def test_a_request_is_refused_with_the_number_and_the_limit(wish: Conversion, expected: Problem) -> None:
    """
    Door, size, coin, worth and what is held, in this order.
    """
    assert expected == judged(wish)


def test_a_closed_issuer_says_why() -> None:
    """
    Its own words are the reason.
    """
    assert (Reason.SESSION, "i: weekend") == judged(order(), issuer=Issuer(closed="weekend"))


def test_bounds_of_the_issuer_and_of_usd_are_allowed_themselves() -> None:
    """
    Two and fifty units, and a worth of exactly the limit.
    """
    assert judged(order(quantity=D(2))) is None
    assert judged(order(quantity=D(50), expected=D(50)), holding("50"), most="10000") is None
    assert judged(order(), most="499.75") is None
    assert Reason.NOTIONAL is (judged(order(), most="499.74") or (None,))[0]


def test_the_issuer_is_asked_about_this_request_now_and_parts_of_a_unit_are_units_too() -> None:
    """
    Way, both instruments and moment; half a unit is enough where the issuer takes it, and none never is.
    """
    issuer = Issuer(least="0")
    assert judged(order(quantity=D("0.5"), expected=D("0.5")), issuer=issuer) is None
    assert (False, A, SHARE, NOW) == issuer.asked
    assert Reason.NO_SIZE is (judged(order(quantity=D(0)), issuer=issuer) or (None,))[0]


def test_coins_are_worth_what_the_request_says_and_are_not_counted() -> None:
    """
    Ten coins at two USD: 20 USD are allowed and 19.99 are not, though the books hold no coin; tokens for coins pass.
    """
    mint = order(mint=True, source=USDT, target=A, quantity=D(10), fx=D(2))
    assert judged(mint, most="20") is None
    assert Reason.NOTIONAL is (judged(mint, most="19.99") or (None,))[0]
    assert judged(order(target=USDT, expected=D(250), fx=D(2))) is None


def test_a_worth_that_is_no_number_is_refused() -> None:
    """
    A coin of nan or infinity, or a token without a price.
    """
    for fx in (D("nan"), D("inf")):
        wish = order(mint=True, source=USDT, target=A, fx=fx)
        assert Reason.NOTIONAL is (judged(wish) or (None,))[0]
    view = holding()
    view.columns.set_shares_per_unit(A, nan)
    assert Reason.NOTIONAL is (judged(order(), view) or (None,))[0]


def test_units_are_free_that_no_order_and_no_request_takes() -> None:
    """
    Of ten, two are being sold, one is asked for at another issuer, and two by an earlier wish: five are left.
    """
    view = holding("10")
    view.ledger.reserve(Leg(instrument=A, side=Side.SELL, quantity=D(2), limit=D(1), seen=D(1)))
    view.ledger.reserve(Leg(instrument=A, side=Side.BUY, quantity=D(9), limit=D(1), seen=D(1)))
    view.ledger.convert(order(id="o", issuer="j", quantity=D(1)), NOW)
    earlier = (
        order(id="e", issuer="k", quantity=D(2)),
        order(id="f", issuer="l", source=B, quantity=D(9)),
    )
    assert judged(order(), view, earlier=earlier) is None
    found = judged(order(quantity=D("5.01")), view, earlier=earlier)
    assert (Reason.POSITION, "a:T/USD: 5 units are free, 5.01 wanted") == found
    assert judged(order(quantity=D("5.01")), view, earlier=earlier, held=False) is None


def test_what_has_left_already_is_taken_once() -> None:
    """
    Two of seven are with another issuer: they are no more in the position, and five are free.
    """
    view = holding("7")
    view.ledger.convert(order(id="o", issuer="j", quantity=D(2)), NOW)
    view.ledger.progress(Progress(id="o", state=ConversionState.JOURNALED, ts=NOW, given=D(2)))
    assert judged(order(), view) is None
    assert judged(order(quantity=D("5.01")), view) is not None


def test_nothing_is_asked_for_twice() -> None:
    """
    An id that was asked for, also when it has ended or earlier in the same moment.
    """
    view = holding()
    view.ledger.convert(order(), NOW)
    view.ledger.progress(Progress(id="c", state=ConversionState.REJECTED, ts=NOW))
    assert (Reason.OPEN_PAIRS, "c was asked for before") == judged(order(), view)
    other = order(issuer="j", underlying="R", source=B)
    assert (Reason.OPEN_PAIRS, "c was asked for before") == judged(order(), earlier=(other,))


def test_one_request_of_a_share_is_open_at_an_issuer() -> None:
    """
    Open before or wished earlier; another issuer or share does not bar it, nor one that has ended.
    """
    for more, bars in (({}, True), ({"issuer": "j"}, False), ({"underlying": "R"}, False)):
        first = order(id="o", source=B, **more)
        view = holding()
        view.ledger.convert(first, NOW)
        for found in (judged(order(), view), judged(order(), earlier=(first,))):
            assert ((Reason.OPEN_PAIRS, "o is still open at i") if bars else None) == found
    view = holding()
    view.ledger.convert(order(id="o", source=B), NOW)
    view.ledger.progress(Progress(id="o", state=ConversionState.REJECTED, ts=NOW))
    assert judged(order(), view) is None


# --- whether it is small enough


def test_what_the_caps_let_pass_fits_and_nothing_else() -> None:
    """
    An order, a position, a name and the cash in a coin: each with its limit just above and just below.
    """
    view = Case().view()
    assert fits(intent(), view, WIDE)
    for name, most in (("max_order_usd", "505"), ("max_position_usd", "505.26"), ("max_gross_usd", "1005.01")):
        assert fits(intent(), view, replace(WIDE, **{name: D(most)}))
        assert not fits(intent(), view, replace(WIDE, **{name: D(most) - D("0.02")}))
    for cap, usd in (("token_usd", 1005.01), ("venue_usd", 505.26), ("stablecoin_usd", 505.26)):
        assert fits(intent(), view, replace(WIDE, caps=replace(WIDE.caps, **{cap: usd})))
        assert not fits(intent(), view, replace(WIDE, caps=replace(WIDE.caps, **{cap: usd - 0.02})))
    named = Case(universe=instruments(issuer="i", chain="c")).view()
    for cap in ("issuer_usd", "chain_usd"):
        assert fits(intent(), named, replace(WIDE, caps=replace(WIDE.caps, **{cap: 499.76})))
        assert not fits(intent(), named, replace(WIDE, caps=replace(WIDE.caps, **{cap: 499.74})))


@pytest.mark.parametrize("before", ["held", "away", "under way"])
def test_what_is_there_already_takes_room(before: str) -> None:
    """
    Forty at P, wherever they stand: with 1,005 USD more at most 5,005 come together, and not into 5,000.
    """
    view = Case().view()
    if before == "under way":
        view.ledger.reserve(Leg(instrument=P, side=Side.BUY, quantity=D(40), limit=D(1), seen=D(1)))
    else:
        filled(view, P, "-40" if before == "held" else "40", price="100")
    if before == "away":
        view.ledger.convert(order(source=P, quantity=D(40)), NOW)
        view.ledger.progress(Progress(id="c", state=ConversionState.JOURNALED, ts=NOW, given=D(40)))
    assert fits(intent(), view, replace(WIDE, max_gross_usd=D(5006)))
    assert not fits(intent(), view, replace(WIDE, max_gross_usd=D(5004)))
    assert fits(
        structs.replace(intent(), notional_usd=D(505)), view, replace(WIDE, caps=replace(WIDE.caps, token_usd=inf))
    )
