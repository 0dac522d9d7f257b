"""The simulated issuer: the whole life of a mint and a redemption, and everything that real ones were seen to do."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.events import NAN, NS
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.orders import CONVERTED, Conversion, ConversionState, Progress
from connectors.simulated.issuer import SimulatedIssuer
from connectors.simulated.issuer_terms import Delay, Freeze, IssuerFault, IssuerTerms, Open, Ways

S = ConversionState
MODEL = UnitModel.TOTAL_RETURN
UNIVERSE = Universe(
    (
        Instrument(venue="b", symbol="X", role=Role.SHARE, underlying="X"),
        Instrument(
            venue="v", symbol="Xt/USD", role=Role.TOKEN, underlying="X", token="Xt", issuer="i", unit_model=MODEL
        ),
        Instrument(venue="v", symbol="Yt/USD", role=Role.TOKEN, underlying="Y", token="Yt", issuer="j"),
        Instrument(venue="f", symbol="USDC/USD", role=Role.COIN, coin="USDC"),
    )
)
SHARES = {0: 1.0, 1: 1.25}
USD = {0: 100.0, 1: 126.0, 3: 1.0}
WAYS = Ways(fee=D("0.002"), fee_usd=D(3), delay=Delay(600.0), least=D(1), most=D(500), most_open=D(800))


def issuer(*faults: IssuerFault, ways: Ways = WAYS, **terms: object) -> SimulatedIssuer:
    """An issuer whose first requests these faults befall."""
    said = IssuerTerms(mint=ways, redeem=ways, scripted=dict(enumerate(faults)), **terms)  # type: ignore[arg-type]
    return SimulatedIssuer("i", UNIVERSE, said, lambda n: USD.get(n, NAN), lambda n: SHARES.get(n, NAN))


def order(
    *, mint: bool = True, quantity: str = "100", id: str = "c", coin: bool = False, least: str = "0"
) -> Conversion:
    """A request for the token of issuer i, for shares or for a coin."""
    other = 3 if coin else 0
    source, target = (other, 1) if mint else (1, other)
    return Conversion(
        id=id, issuer="i", mint=mint, source=source, target=target, quantity=D(quantity), expected=D(1),
        least=D(least), sla_ns=0, underlying="X", reason="",
    )  # fmt: skip


def told(at: SimulatedIssuer, what: Conversion, now: int = 0) -> list[Progress]:
    """All that is told of a request, in order of the moments."""
    return [news for due in at.request(what, now) for news in at.progress(due)]


def states(news: list[Progress]) -> list[str]:
    """Their states."""
    return [one.state.value for one in news]


def test_a_mint_lives_through_all_its_states() -> None:
    """
    100 shares at 1.25 a token less 20 bps are 79.84 tokens; shares leave before tokens come.
    """
    news = told(issuer(), order())
    assert ["accepted", "journaled", "delivered", "settled"] == states(news)
    assert [D(0), D(100), D(100), D(100)] == [one.given for one in news]
    assert [D(0), D(0), D("79.84"), D("79.84")] == [one.got for one in news]
    assert (D(3), 600 * NS + NS // 2) == (news[-1].fee_usd, news[-1].ts)


def test_a_redemption_begins_with_its_transfer() -> None:
    """
    The tokens have left with the first word; 100 tokens bring 124.75 shares.
    """
    news = told(issuer(), order(mint=False))
    assert ["journaled", "delivered", "settled"] == states(news)
    assert (D(100), D("124.75")) == (news[0].given, news[-1].got)


def test_money_is_taken_at_the_issuers_price() -> None:
    """
    126 coins at 126 dollars a token are one token less the fee.
    """
    assert D("0.998") == told(issuer(), order(quantity="126", coin=True))[-1].got


def test_a_soft_quote_tells_what_a_request_brings() -> None:
    """
    Expected, kept and cash fee are those of the request, and it says how long it holds.
    """
    at = issuer()
    soft = at.quote(mint=True, source=0, target=1, quantity=D(100), now=5 * NS)
    assert soft is not None
    assert (D("79.84"), D("0.16"), D(3), 35 * NS, 600.0) == (
        soft.expected, soft.kept, soft.fee_usd, soft.until_ns, soft.delay_s
    )  # fmt: skip
    assert soft.expected == told(at, order())[-1].got


def test_what_is_no_pair_has_no_quote() -> None:
    """
    A token of another issuer, and a token whose worth is not known.
    """
    at = issuer()
    assert at.quote(mint=True, source=0, target=2, quantity=D(1), now=0) is None
    unknown = SimulatedIssuer("i", UNIVERSE, at.terms, lambda _: NAN, lambda _: NAN)
    assert unknown.quote(mint=True, source=0, target=1, quantity=D(1), now=0) is None
    assert ["rejected"] == states(told(unknown, order()))


def test_the_same_id_is_the_same_request() -> None:
    """
    Asked for twice, one request stands, and the second time tells how it stands.
    """
    at = issuer()
    told(at, order())
    (news,) = told(at, order(), now=700 * NS)
    assert (S.SETTLED, D("79.84"), 1) == (news.state, news.got, len(at.orders))


def test_a_request_that_it_never_had_is_rejected() -> None:
    """
    A status of an unknown id says that nothing was taken.
    """
    at = issuer()
    (due,) = at.status("never", 0)
    assert [(S.REJECTED, D(0))] == [(one.state, one.given) for one in at.progress(due)]


def test_a_mint_may_never_settle() -> None:
    """
    Row 54: the shares are gone, nothing comes, and a status a day later says so too.
    """
    at = issuer(IssuerFault.NEVER_SETTLES)
    assert ["accepted", "journaled"] == states(told(at, order()))
    (due,) = at.status("c", 86_400 * NS)
    assert [(S.JOURNALED, D(100), D(0))] == [(one.state, one.given, one.got) for one in at.progress(due)]


def test_a_redemption_may_be_rejected_after_its_delay_and_its_tokens_come_back() -> None:
    """
    Row 55: first in flight, then nothing given.
    """
    news = told(issuer(IssuerFault.REJECTED), order(mint=False))
    assert [("journaled", D(100)), ("rejected", D(0))] == [(one.state.value, one.given) for one in news]


@pytest.mark.parametrize(("fault", "got"), [(IssuerFault.SHORT, "78.2432"), (IssuerFault.OTHER_PRICE, "79.049504950")])
def test_less_may_come_than_is_due(fault: IssuerFault, got: str) -> None:
    """
    Row 56: settled with two hundredths lacking, or at a price one per cent worse.
    """
    news = told(issuer(fault), order())
    assert (S.SETTLED, D(got)) == (news[-1].state, news[-1].got)


def test_a_freeze_closes_both_ways_for_its_share_alone() -> None:
    """
    Row 57: while it lasts nothing is taken on, it says until when, and a request is rejected before anything moves.
    """
    at = issuer(freezes=(Freeze("X", 10, 20 * NS),))
    assert ("corporate action", 20 * NS) == at.bounds(mint=True, source=0, target=1, now=10)[::3]
    assert ["rejected"] == states(told(at, order(), now=10))
    assert "" == at.bounds(mint=False, source=1, target=0, now=20 * NS).closed
    other = issuer(freezes=(Freeze("Y", 0),))
    assert "settled" == states(told(other, order()))[-1]


def test_hours_are_kept() -> None:
    """
    Closed it rejects, and says when it opens.
    """
    at = issuer(hours=lambda now: Open("closed at night", 9 * NS) if now < 9 * NS else Open("", 0))
    assert ("closed at night", 9 * NS) == at.bounds(mint=True, source=0, target=1, now=0)[::3]
    assert ["rejected"] == states(told(at, order()))
    assert "settled" == states(told(at, order(id="d"), now=9 * NS))[-1]


@pytest.mark.parametrize("quantity", ["0.5", "501", "0", "-1"])
def test_smallest_and_largest_requests_are_kept_to(quantity: str) -> None:
    """
    One to five hundred units.
    """
    assert ["rejected"] == states(told(issuer(), order(quantity=quantity)))


def test_what_is_outstanding_counts_against_the_most() -> None:
    """
    800 may be open: after 500 there are 300 left, and after its end 500 again.
    """
    at = issuer()
    told(at, order(quantity="500"))
    assert D(300) == at.bounds(mint=True, source=0, target=1, now=NS).most
    assert ["rejected"] == states(told(at, order(quantity="301", id="d"), now=NS))
    assert D(500) == at.bounds(mint=True, source=0, target=1, now=700 * NS).most


def test_an_attested_request_settles_in_one_step_or_not_at_all() -> None:
    """
    With the price as quoted it is settled with its first word; with less than the least it is rejected.
    """
    assert ["settled"] == states(told(issuer(attested=True), order(least="79.84")))
    assert ["rejected"] == states(told(issuer(attested=True), order(least="79.85")))


def test_delays_are_those_of_the_hour() -> None:
    """
    The median of many is the hour's own, and they spread.
    """
    ways = Ways(fee=D(0), delay=Delay(600.0, 0.5), hourly={3: Delay(60.0, 0.5)})
    at = issuer(ways=ways)
    for hour, median in ((0, 600.0), (3, 60.0)):
        now = hour * 3600 * NS
        took = sorted(
            (told(at, order(id=f"{hour}.{n}"), now)[-1].ts - now) / NS for n in range(101)
        )  # fmt: skip
        assert 0.75 * median < took[50] < 1.35 * median
        assert took[-1] > 1.5 * median


def test_failed_is_a_claim_and_may_be_unsaid() -> None:
    """
    Given and nothing got; the late truth is another.
    """
    (last,) = told(issuer(IssuerFault.FAILED), order())[-1:]
    assert (S.FAILED, D(100), D(0)) == (last.state, last.given, last.got)
    news = told(issuer(IssuerFault.UNFAILS), order())
    assert ["failed", "delivered", "settled"] == states(news)[-3:]


def test_a_lost_answer_is_unknown_and_the_status_tells() -> None:
    """
    One word that says nothing; the request has gone its way all the same.
    """
    at = issuer(IssuerFault.NO_WORD)
    assert ["unknown"] == states(told(at, order()))
    (due,) = at.status("c", 700 * NS)
    assert ["settled"] == states(list(at.progress(due)))


def test_news_may_come_again_and_out_of_order() -> None:
    """
    Each twice, the second time the oldest last; their own moments say which is newer.
    """
    news = told(issuer(IssuerFault.REPEATS), order())
    assert 8 == len(news) and ["accepted"] == states(news)[-1:]
    assert S.SETTLED is max(news, key=lambda one: one.ts).state


@given(st.sampled_from([None, *IssuerFault]), st.booleans(), st.decimals("1", "500", places=9), st.floats(1, 9e4))
def test_whatever_befalls_a_request_its_truth_is_well_formed(
    fault: IssuerFault | None, mint: bool, quantity: D, delay_s: float
) -> None:
    """
    Its moments grow, nothing is got that was not given for, never more than is due, and what ends is over unless it
    un-fails.
    """
    ways = Ways(fee=D("0.001"), delay=Delay(delay_s, 1.0))
    at = issuer(*([fault] if fault else []), ways=ways)
    what = order(mint=mint, quantity=str(quantity))
    told(at, what)
    soft = at.quote(mint=mint, source=what.source, target=what.target, quantity=quantity, now=0)
    assert soft is not None
    course = at.truth["c"]
    for before, after in pairwise(course):
        assert before.ts < after.ts
        assert before.state not in CONVERTED - {S.FAILED}
    for step in course:
        assert 0 <= step.got <= soft.expected and step.given in (D(0), quantity)
        assert not step.got or step.given
