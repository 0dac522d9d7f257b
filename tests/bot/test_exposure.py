"""How naked we stood, over the records of trades."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from bot.exposure import Exposure
from connectors.orders import Conversion, ConversionState, Fill, Outcome, Progress, Report, Side
from strategies.base import Step
from tests.bot.test_trades import Ran
from tests.strategies.test_risk import NOW, USDT, A, Case


def watched(scripts: dict[str, list[str]]) -> tuple[Ran, Exposure]:
    """An engine on a script, and what its records say of its exposure."""
    ran = Ran(scripts)
    exposure = Exposure(ran.columns, partial(ran.engine.trades.exits.least_of, ran.columns))
    ran.engine.dealer.on_step = (*ran.engine.dealer.on_step, exposure.hear)
    return ran, exposure


def test_dust_that_a_trade_leaves_is_told_and_is_no_spell_without_a_hedge() -> None:
    """
    A quarter of a share is left where half a one is the least order: nobody can hedge it, so no time counts.
    """
    ran, exposure = watched({"t-1": ["part 9.75", "end"]})
    exposure.until(ran.until(30).engine.now)
    assert (0.0, 0.0) == (exposure.worst_usd_s, exposure.worst_usd)
    assert {"S": (0.25, 25.0)} == exposure.left()


def test_what_could_be_hedged_and_is_not_counts_while_it_stands() -> None:
    """
    Half a share of 100 USD is left, no sale of it passes, and it stands for ten seconds and more.
    """
    ran, exposure = watched({"t-1": ["part 9.5", "end"], "sell": ["refuse"]})
    exposure.until(ran.until(12).engine.now)
    assert exposure.worst_usd_s > 50.0 * 9
    assert Decimal("0.5") == sum(ran.positions.values())


def test_a_mint_that_was_asked_for_counts_until_its_issuer_says_otherwise() -> None:
    """
    Ten units sold are whole from the request for ten on, however the coin that pays; rejected they stand naked again.
    """
    exposure = Exposure(Case().view().columns, lambda _: Decimal(1))
    sold = Fill(id="f", client_id="t-0", instrument=A, side=Side.SELL, quantity=Decimal(10), price=Decimal(100),
                fee=Decimal(0), fx=Decimal(1), ts=NOW)  # fmt: skip
    report = Report(client_id="t-0", intent_id="t", leg=0, outcome=Outcome.ACCEPTED, fills=(sold,))
    order = Conversion(
        id="m", issuer="i", mint=True, source=USDT, target=A, quantity=Decimal(1001), expected=Decimal(10),
        least=Decimal(10), sla_ns=NOW, underlying="S", reason="",
    )  # fmt: skip
    word = Progress(id="m", state=ConversionState.REJECTED, ts=NOW + 1)
    seen = []
    for more in ({"reports": (report,)}, {"conversions": (order,)}, {"progress": (word,)}):
        exposure.hear(Step(seq=1, ts=NOW, cause="test", **more))  # type: ignore[arg-type]
        seen.append({name: shares for name, (shares, _) in exposure.left().items()})
    assert [{"S": -10.0}, {}, {"S": -10.0}] == seen
