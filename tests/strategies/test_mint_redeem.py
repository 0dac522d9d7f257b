"""What mint_redeem wishes, in which size, and why it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal as D
from typing import Any

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from msgspec import structs  # noqa: E402 - the kernel's cache must be chosen first

from bot.sessions import load_sessions  # noqa: E402
from connectors.events import NEVER, NS, Kind, Row, Rows  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Conversion, ConversionState, Fill, Intent, Progress, Purpose, Side  # noqa: E402
from connectors.ports import Bounds, Soft  # noqa: E402
from connectors.simulated.issuer import SimulatedIssuer  # noqa: E402
from connectors.simulated.issuer_terms import Delay, Freeze, IssuerTerms, Ways  # noqa: E402
from strategies.base import Every, PremiumBeyond, View  # noqa: E402
from strategies.execution.habits import Habit, learned  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402
from strategies.mint_redeem import MintRedeem  # noqa: E402
from strategies.minting.case import Way  # noqa: E402
from strategies.pricing.costs import Component, Cost, Costs  # noqa: E402
from strategies.pricing.mint_economics import Premium  # noqa: E402

NOW = 1_788_537_600 * NS
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN, SHARE, PERP, USDT = range(4)
UNIVERSE = Universe(
    (
        Instrument(venue="a", symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                   unit_model=UnitModel.TOTAL_RETURN, multiplier=2.0),
        Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S"),
        Instrument(venue="p", symbol="S-P", role=Role.SHARE, underlying="S", witness="perp", hours=Hours.ALWAYS),
        Instrument(venue="r", symbol="USDT", role=Role.COIN, coin="USDT"),
    )
)  # fmt: skip
SLOW = Premium(theta=0.0, kappa=0.5, sigma=0.01)
"""A premium that stays for days."""
FREE = Costs((Cost(Component.BORROW, ""),))
"""Of holding: a borrow that costs nothing."""
HOUR = Habit(delay_s=3600.0, rejects=0.0)


def at(bid: float, ask: float, *, size: float = 5.0, held: str = "0", cash: bool = True, **terms: Any) -> View:
    """A share at 100, a token of two shares at `bid` and `ask`, a perp at 100, and the issuer's desk at 20 bps."""
    facts = [
        Facts(cost=0.001, traded=True, max_age_ns=60 * NS),
        Facts(cost=0.0005, traded=True, max_age_ns=60 * NS),
        Facts(cost=0.0005, traded=True, max_age_ns=60 * NS),
        Facts(),
    ]
    columns = Columns(UNIVERSE, facts, Beliefs(max_error=0.05, default_daily_vol=0.03), load_sessions())
    columns.enter_session(NOW)
    for number in (TOKEN, SHARE, PERP):
        columns.permit(number, buy_from=0, sell_from=0)
    sizes = {"bid_size": 500.0, "ask_size": 500.0}
    columns.scan(
        Rows.of(
            [
                Row(ts_recv=NOW, instrument=USDT, kind=Kind.FX, bid=0.9999, ask=1.0001),
                Row(ts_recv=NOW, instrument=SHARE, kind=Kind.REFERENCE, bid=99.99, ask=100.01, **sizes),
                Row(ts_recv=NOW, instrument=PERP, kind=Kind.REFERENCE, bid=99.99, ask=100.01, **sizes),
                Row(ts_recv=NOW, instrument=TOKEN, kind=Kind.QUOTE, bid=bid, ask=ask, bid_size=size, ask_size=size),
            ]
        ),
        0,
        NEVER,
    )
    ways = Ways(fee=D("0.002"), delay=Delay(3600.0), least=D("0.01"))
    said = {"mint": ways, "redeem": ways, "cash": cash, "shares_at": "-" if cash else "r", **terms}
    worth = {TOKEN: 200.0, SHARE: 100.0, PERP: 100.0, USDT: 1.0}
    desk = SimulatedIssuer(
        "i", UNIVERSE, IssuerTerms(**said), worth.__getitem__, lambda number: columns.f_rows[number][K.SHARES_PER_UNIT]
    )
    ledger = Ledger(UNIVERSE)
    if D(held):
        ledger.fill(
            Fill(id="f", client_id="o-0", instrument=TOKEN, side=Side.BUY if D(held) > 0 else Side.SELL,
                 quantity=abs(D(held)), price=D(200), fee=D(0), fx=D(1), ts=0),
            seen=D(200),
        )  # fmt: skip
    return View(columns, ledger, NOW, seq=7, desks={"i": desk})


def strategy(*, cash: bool = True, way: dict[str, Any] | None = None, **changes: Any) -> MintRedeem:
    """Trades of 400 USD for 25 bps."""
    one = Way(
        token=TOKEN, issuer="i", other=USDT if cash else SHARE, hedges=(PERP,), premium=SLOW, mint=HOUR, redeem=HOUR
    )
    usual = {
        "ways": (replace(one, **(way or {})),), "lots": (D("0.01"),) * 4, "costs": (FREE,) * 4, "size_usd": D(400),
        "min_edge_bps": 25.0, "most_bps": 400.0, "capital_per_day": 1e-4, "slippage_bps": D(10), "late_after": 4.0,
        "latency_ns": NS,
        "cooldown_ns": NS, "refusal_backoff_ns": NS, "max_open": 1,
    }  # fmt: skip
    return MintRedeem(**{**usual, **changes})


def wish(view: View, of: MintRedeem | None = None) -> Intent | str:
    """The one wish, or the reason why there is none."""
    decision = (of or strategy()).decide(view)
    return decision.wishes[0] if decision.wishes else str(decision.notes[0].detail["reason"])


DEAR, CHEAP = (203.9, 204.1), (195.9, 196.1)
"""2 % from 200."""


def then(plan: Intent | str) -> Conversion:
    """What completes a plan."""
    assert isinstance(plan, Intent) and plan.then is not None
    return plan.then


def legs(plan: Intent | str) -> list[tuple[int, Side, D]]:
    """Its legs."""
    assert isinstance(plan, Intent), plan
    return [(leg.instrument, leg.side, leg.quantity) for leg in plan.legs]


def test_what_is_held_and_dear_is_sold_and_minted_anew() -> None:
    """
    400 USD at 204 are 1.96 tokens; the mint is for as many, takes coins, and is late after four hours.
    """
    plan = wish(at(*DEAR, held="5"))
    assert [(TOKEN, Side.SELL, D("1.96"))] == legs(plan)
    order = then(plan)
    assert (True, USDT, TOKEN, "i", NOW + 4 * 3600 * NS) == (
        order.mint, order.source, order.target, order.issuer, order.sla_ns
    )  # fmt: skip
    assert D("1.95") < order.expected < D("1.97") and order.least < order.expected
    assert isinstance(plan, Intent) and "mint_redeem-refill" in plan.id
    assert 140 < plan.edge_bps < 175


def test_no_more_is_sold_than_is_held_or_shown() -> None:
    """
    One token is held: one is sold; half of one is wanted at the venue: half.
    """
    assert D(1) == legs(wish(at(*DEAR, held="1")))[0][2]
    assert D("0.5") == legs(wish(at(*DEAR, held="5", size=0.5)))[0][2]


def test_no_more_is_sold_than_other_strategies_leave() -> None:
    """
    Five tokens are held, four of them by hedge: one is sold and minted anew; of five that are all hedge's none is.
    """
    view = at(*DEAR, held="5")
    view.ledger.holdings.move("hedge", TOKEN, D(4), NOW)
    assert (TOKEN, Side.SELL, D(1)) == legs(wish(view))[0]
    view.ledger.holdings.move("hedge", TOKEN, D(1), NOW)
    assert "nothing_held" == wish(view, strategy(way={"hedges": ()}))
    assert (True, False) == strategy().may(view, TOKEN)


def test_what_is_not_held_is_minted_first_with_the_share_sold_meanwhile() -> None:
    """
    Four shares are sold at the perp, worth the two tokens that come.
    """
    plan = wish(at(*DEAR))
    ((number, side, quantity),) = legs(plan)
    assert (PERP, Side.SELL) == (number, side) and D("3.9") < quantity < D("4")
    assert abs(then(plan).expected * 2 - quantity) < D("0.02")


def test_a_delay_of_many_half_lives_is_not_minted_for() -> None:
    """
    The same premium that is gone in minutes: what is left of it after an hour pays nothing; sold from stock it does.
    """
    fast = {"premium": Premium(theta=0.0, kappa=200.0, sigma=0.1)}
    assert "thin" == wish(at(*DEAR), strategy(way=fast))
    assert isinstance(wish(at(*DEAR, held="5"), strategy(way=fast)), Intent)


def test_a_premium_that_will_be_larger_is_waited_for() -> None:
    """
    It would pay now, but minting again and again pays best from a larger one on.
    """
    wide = {"premium": Premium(theta=0.0, kappa=0.5, sigma=0.05)}
    assert "wait_for_more" == wish(at(*DEAR), strategy(way=wide))


def test_what_is_cheap_is_bought_and_redeemed() -> None:
    """
    400 USD at 196 are 2.04 tokens, given for coins.
    """
    plan = wish(at(*CHEAP))
    assert [(TOKEN, Side.BUY, D("2.04"))] == legs(plan)
    order = then(plan)
    assert (False, TOKEN, USDT) == (order.mint, order.source, order.target)
    assert abs(order.expected - D("2.04") * 200 * D("0.998")) < D("0.5")


def test_in_kind_the_share_is_the_other_leg() -> None:
    """
    Dear: sold, with its shares bought and given. Cheap: bought, with the shares sold that come.
    """
    of = strategy(cash=False)
    dear = wish(at(*DEAR, held="5", cash=False), of)
    assert [(TOKEN, Side.SELL, D("1.96")), (SHARE, Side.BUY, D("3.92"))] == legs(dear)
    assert (SHARE, TOKEN, D("3.92")) == (then(dear).source, then(dear).target, then(dear).quantity)
    cheap = wish(at(*CHEAP, cash=False), of)
    assert [(TOKEN, Side.BUY, D("2.04")), (SHARE, Side.SELL, D("4.08"))] == legs(cheap)
    assert (TOKEN, SHARE, D("2.04")) == (then(cheap).source, then(cheap).target, then(cheap).quantity)


@pytest.mark.parametrize(
    ("view", "of", "reason"),
    [
        (at(*DEAR, freezes=(Freeze("S", 0),), held="5"), strategy(), "issuer_closed"),
        (at(*DEAR, mint=None), strategy(way={"mint": None}), "not_minted"),
        (at(*CHEAP, redeem=None), strategy(way={"redeem": None}), "not_redeemed"),
        (at(*DEAR), strategy(way={"hedges": ()}), "nothing_held"),
        (at(*DEAR, held="5", size=0.001), strategy(way={"hedges": ()}), "no_size"),
        (at(*DEAR, held="5", mint=Ways(fee=D(0), least=D(10_000))), strategy(), "below_issuer_least"),
        (at(*DEAR, held="5", mint=Ways(fee=D(0), most=D(1))), strategy(), "above_issuer_most"),
        (at(*CHEAP, held="-3"), strategy(), "short_there"),
        (at(201.0, 201.2, held="5"), strategy(), "thin"),
        (at(*CHEAP), strategy(way={"redeem": Habit(delay_s=3600.0, rejects=0.9)}), "thin"),
        (at(*CHEAP), strategy(capital_per_day=0.5), "thin"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_reason(view: View, of: MintRedeem, reason: str) -> None:
    """
    A frozen or closed way, nothing held, no size, the issuer's bounds, costs above the premium.
    """
    assert reason == wish(view, of)


@pytest.mark.parametrize(("bid", "ask"), [(227.1, 227.3), (175.9, 176.1)])
def test_a_premium_beyond_reason_is_a_wrong_number(bid: float, ask: float) -> None:
    """
    Tokens quoted in a coin that has come back from 0.88 look 13 % dear until they print again, and 12 % cheap when it
    falls: nothing is begun, whichever way. A little less than the bar is a premium.
    """
    assert "too_far" == wish(at(bid, ask)) == wish(at(bid, ask, held="5"))
    assert isinstance(wish(at(bid, ask), strategy(most_bps=1400.0)), Intent)


def test_what_is_held_goes_out_however_far_its_premium_is() -> None:
    """
    The bar is for what begins: what was minted first is sold, the dearer the better.
    """
    of = strategy()
    assert isinstance(wish(minted(at(227.1, 227.3), of), of), Intent)


@dataclass
class Silent:
    """A desk that takes requests and quotes nothing."""

    bounds: Callable[..., Bounds]
    issuer: str = "i"

    def quote(self, *, mint: bool, source: int, target: int, quantity: D, now: int) -> Soft | None:
        """Nobody can say."""
        return None


def test_without_a_door_nothing_is_asked_for_and_a_small_premium_says_nothing() -> None:
    """
    No desk of the issuer, or none that quotes: that is the reason, since the request would be refused for it once its
    legs have filled. A premium within the least edge is nobody's business.
    """
    assert "no_door" == wish(structs.replace(at(*CHEAP), desks={}))
    for view in (at(*DEAR, held="5"), at(*CHEAP)):
        assert "no_issuer_quote" == wish(structs.replace(view, desks={"i": Silent(view.desks["i"].bounds)}))
    decision = strategy().decide(at(199.9, 200.1))
    assert ((), ()) == (decision.wishes, decision.notes)


def test_a_reason_is_told_once_until_it_changes() -> None:
    """
    The same refusal again is silent; after a quiet moment it is told anew.
    """
    of = strategy(way={"hedges": ()})
    assert [1, 0] == [len(of.decide(at(*DEAR)).notes) for _ in range(2)]
    of.decide(at(199.9, 200.1))
    assert 1 == len(of.decide(at(*DEAR)).notes)


def test_while_a_request_is_open_there_is_no_second_one() -> None:
    """
    Rows 54 and 57: open, late or failed, the share waits at that issuer; settled it goes on.
    """
    view, of = at(*CHEAP, held="5"), strategy()
    order = structs.replace(then(wish(view, of)), id="x")
    view.ledger.convert(order, NOW)
    assert "request_open" == wish(view, strategy())
    view.ledger.progress(Progress(id="x", state=ConversionState.FAILED, ts=NOW, given=order.quantity))
    assert "request_open" == wish(view, strategy())
    settled = Progress(id="x", state=ConversionState.SETTLED, ts=NOW + 1, given=order.quantity, got=order.expected)
    view.ledger.progress(settled)
    assert isinstance(wish(view, strategy()), Intent)


def test_the_delay_is_learned_from_our_own_requests() -> None:
    """
    Told an hour; five of ours took ten hours each: half of the weight is theirs. One that hangs counts as long as it
    hangs, and a rejection counts.
    """
    ledger = Ledger(UNIVERSE)
    order = structs.replace(then(wish(at(*CHEAP))), sla_ns=NOW)
    for number in range(5):
        ledger.convert(structs.replace(order, id=f"r{number}"), NOW)
        word = Progress(id=f"r{number}", state=ConversionState.SETTLED, ts=NOW + 36_000 * NS)
        ledger.progress(word)
    habit = learned(HOUR, ledger.conversions.all.values(), NOW)
    assert (5.5 * 3600, 0.0, 5) == (habit.delay_s, habit.rejects, habit.seen)
    ledger.convert(structs.replace(order, id="late"), NOW)
    later = learned(HOUR, ledger.conversions.all.values(), NOW + 360_000 * NS)
    assert pytest.approx(15.5 * 3600) == later.delay_s
    ledger.progress(Progress(id="late", state=ConversionState.REJECTED, ts=NOW + NS))
    assert pytest.approx(1 / 11) == learned(HOUR, ledger.conversions.all.values(), NOW).rejects


def test_it_wakes_on_premia_and_the_clock_and_says_what_it_may() -> None:
    """
    Tokens may be bought to redeem, sold where held; the perp both ways; anything else not at all.
    """
    of = strategy()
    assert (PremiumBeyond(TOKEN, 25.0), Every()) == of.wakes(UNIVERSE)
    assert (True, False) == of.may(at(*DEAR), TOKEN)
    assert (True, True) == of.may(at(*DEAR, held="1"), TOKEN)
    assert (True, True) == of.may(at(*DEAR), PERP)
    assert (False, False) == of.may(at(*DEAR), SHARE)


def minted(view: View, of: MintRedeem, *, tokens: str = "1.96", short: str = "3.92") -> View:
    """The same after a mint of ours was delivered, with its hedge at the perp."""
    holdings = view.ledger.holdings
    holdings.move(of.name, TOKEN, D(tokens), NOW)
    holdings.move(of.name, PERP, -D(short), NOW)
    view.ledger.positions[TOKEN] = D(tokens)
    return view


def test_what_was_minted_first_is_sold_with_the_hedge_bought_back() -> None:
    """
    On delivery, at whatever premium is left that is better than a redemption; no more than is ours.
    """
    of = strategy()
    out = wish(minted(at(201.0, 201.2), of), of)
    assert [(TOKEN, Side.SELL, D("1.96")), (PERP, Side.BUY, D("3.92"))] == legs(out)
    assert isinstance(out, Intent) and (None, Purpose.CLOSE) == (out.then, out.purpose)
    half = wish(minted(at(201.0, 201.2), of, tokens="1"), of)
    assert [(TOKEN, Side.SELL, D(1)), (PERP, Side.BUY, D(2))] == legs(half)


def test_what_would_be_sold_too_cheap_is_redeemed_or_waits_for_it() -> None:
    """
    At a discount beyond the redemption's fee the hedge is bought back and the tokens are redeemed; while that cannot
    be asked for, it waits, hedged.
    """
    of = strategy()
    out = wish(minted(at(199.0, 199.2), of), of)
    assert [(PERP, Side.BUY, D("3.92"))] == legs(out)
    assert (False, TOKEN, D("1.96")) == (then(out).mint, then(out).source, then(out).quantity)
    assert "out_waits" == wish(minted(at(199.0, 199.2, freezes=(Freeze("S", 0),)), of), of)


def test_what_others_have_sold_of_the_account_is_not_redeemed() -> None:
    """
    Of 1.96 tokens of ours one is there: so much goes out; where none is, the rest waits with its hedge.
    """
    of = strategy()
    short, none = (minted(at(199.0, 199.2), of) for _ in range(2))
    short.ledger.positions[TOKEN], none.ledger.positions[TOKEN] = D(1), D("-30")
    out = wish(short, of)
    assert ([(PERP, Side.BUY, D(2))], D(1)) == (legs(out), then(out).quantity)
    assert "out_waits" == wish(none, of)


def test_while_anything_of_the_share_is_under_way_nothing_goes_out() -> None:
    """
    Nor is what others hold ours to sell.
    """
    of = strategy()
    busy = structs.replace(minted(at(201.0, 201.2), of), under_way=lambda _: True)
    assert () == of.decide(busy).wishes
    assert () == of.decide(at(201.0, 201.2, held="5")).wishes


def test_conversions_move_what_a_strategy_holds() -> None:
    """
    What a mint of its trade brings is its own; what names no strategy is nobody's.
    """
    ledger = Ledger(UNIVERSE)
    order = then(wish(at(*DEAR)))
    for id, whose in (("mine", "mint_redeem"), ("other", "")):
        ledger.convert(structs.replace(order, id=id, strategy=whose, fx=D(1)), NOW)
        ledger.progress(Progress(id=id, state=ConversionState.SETTLED, ts=NOW, given=order.quantity, got=D(2)))
    assert (D(2), D(4)) == (ledger.holdings.units("mint_redeem", TOKEN), ledger.position(TOKEN))
