"""What people and probes see: page, health, live table, and single lines of the story."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from html.parser import HTMLParser

import aiohttp
import pytest
from msgspec.structs import replace
from rich.console import Console

from bot.server import Server
from connectors.errors import ConnectorError
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.orders import Fill, Intent, Leg, Outcome, Reason, Refused, Report, Side
from monitoring.decisions import Tally
from monitoring.facts import FeedState
from monitoring.health import health
from monitoring.narrate import Line, Narrator
from monitoring.page import page
from monitoring.snapshot import Snapshot
from monitoring.tale import moment
from monitoring.view import LiveView, premia
from monitoring.words import age, best_edge, percent, usd
from strategies.base import Note, Step
from tests.monitoring.played import Played, play


@pytest.fixture(scope="module")
def noon() -> Played:
    """The first hours of the world."""
    return play(rows=20_000)


@pytest.fixture(scope="module")
def picture(noon: Played) -> Snapshot:
    """The picture of that moment."""
    return noon.desk.picture()


class Seen(HTMLParser):
    """Tags and attributes of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Notes words."""
        self.words.append(data)


def test_the_page_asks_nobody_else(picture: Snapshot):
    """No link, image, style sheet or script of another place; it refreshes from its own server, light and dark."""
    text = page(picture, health(picture))
    seen = Seen(text)
    assert not [tag for tag, attrs in seen.tags if {"src", "href", "action"} & set(attrs)]
    assert "://" not in text and "prefers-color-scheme:dark" in text and "location.href" in text


def test_the_page_shows_every_token_and_says_unknown(picture: Snapshot):
    """Every token has a row with its premium; what is unknown is called so, never 0."""
    broken = replace(picture.tokens[0], premium_bps=None, fair_usd=None, sell_edge_bps=None, buy_edge_bps=None)
    words = Seen(page(replace(picture, tokens=(broken, *picture.tokens[1:])), health(picture))).words
    assert all(words.count(line.token) >= 1 for line in picture.tokens)
    assert percent(picture.tokens[1].premium_bps) in words and words.count("unknown") >= 3


def test_an_executable_edge_stands_with_its_sigmas(picture: Snapshot):
    """The better edge over one sigma of the fair value: what the premium is in sigmas, of the edge; unknown without."""
    line = next(line for line in picture.tokens if line.sell_edge_bps is not None and line.premium_error_bps)
    edge = best_edge(line.sell_edge_bps, line.buy_edge_bps)
    assert edge is not None and line.premium_error_bps
    assert line.edge_sigmas == pytest.approx(edge / line.premium_error_bps)
    assert f"{percent(edge)} {edge / line.premium_error_bps:+.1f}" in Seen(page(picture, health(picture))).words
    unsure = replace(picture, tokens=(replace(line, edge_sigmas=None),))
    assert percent(edge) in Seen(page(unsure, health(unsure))).words


def test_a_name_cannot_write_html(picture: Snapshot):
    """What a venue calls its token is text, whatever it looks like."""
    evil = replace(picture.tokens[0], token="<script>alert(1)</script>")
    assert "<script>alert" not in page(replace(picture, tokens=(evil,)), health(picture))


def test_health_says_ready_degraded_or_down(picture: Snapshot):
    """A feed that is down degrades; all feeds down, nothing heard or a loop that stands is down, with its reason."""
    up, gone = (FeedState(venue="v", feed="f", up=state) for state in (True, False))
    fine = replace(picture, feeds=(up,), tokens=tuple(replace(line, reason="") for line in picture.tokens))
    assert "ready" == health(fine).status and 200 == health(fine).code
    half = health(replace(fine, feeds=(up, replace(gone, venue="w"))))
    assert ("degraded", 200, ("feed w/f is down",)) == (half.status, half.code, half.reasons)
    assert ("down", 503) == (health(replace(fine, feeds=(gone,))).status, health(replace(fine, feeds=(gone,))).code)
    assert "down" == health(fine, idle_s=31.0).status
    assert "down" == health(play(rows=0).desk.picture()).status


async def test_the_server_answers_three_paths_and_changes_nothing(noon: Played):
    """Page, health and metrics answer to GET on loopback; another method or path is refused."""
    server = Server(registry=noon.desk.registry, picture=noon.desk.picture, health=noon.desk.health, port=0)
    async with server, aiohttp.ClientSession(server.url) as client:
        assert server.url.startswith("http://127.0.0.1:")
        async with client.get("/") as answer:
            assert 200 == answer.status and "simTSLA" in await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with client.get("/healthz") as answer:
            assert "degraded" == (await answer.json())["status"]
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain") and "pegline_premium_ratio{" in (
                await answer.text()
            )
        for path, method, status in (("/metrics", "POST", 405), ("/kill", "GET", 404)):
            async with client.request(method, path) as answer:
                assert status == answer.status


async def test_a_port_that_is_taken_is_said(noon: Played):
    """A second server on the port names the address and a way out."""
    parts = {"registry": noon.desk.registry, "picture": noon.desk.picture, "health": noon.desk.health}
    async with Server(**parts, port=0) as first:
        port = int(first.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(ConnectorError, match=str(port)):
            await Server(**parts, port=port).start()


def test_the_live_table_fits_eighty_columns(picture: Snapshot):
    """All tokens stand in the table, in at most 80 columns."""
    out = io.StringIO()
    Console(file=out, width=200).print(premia(picture))
    lines = out.getvalue().splitlines()
    assert len(picture.tokens) <= len(lines) and max(len(line.rstrip()) for line in lines) <= 80


def test_without_a_terminal_the_story_is_printed_line_by_line(picture: Snapshot):
    """To a file go the lines of the story with their signs, and no table."""
    out = io.StringIO()
    with LiveView(Console(file=out)) as view:
        view.show(picture)
        view.tell([Line(ts=1_788_530_400_000_000_000, kind="trade", text="a [b] gap", tone="good")])
    assert "+ Fri 04 Sep 10:00 ET  a [b] gap\n" == out.getvalue()


def test_numbers_are_words():
    """Percents are signed, ages rounded, and None is unknown."""
    assert ("+1.24%", "unknown") == (percent(124.0), percent(None))
    assert ("4 s", "12 min", "3.5 h", "2.5 d") == (age(4.2), age(720), age(12_600), age(216_000))
    assert ("1,234.50", "unknown") == (usd(1234.5), usd(None))


def test_a_due_moment_is_told_as_the_moment_itself():
    """What is due stands a nanosecond before its time, and is told at its time."""
    assert "Fri 04 Sep 09:30 ET" == moment(1_788_528_600_000_000_000 - 1)


UNIVERSE = Universe(
    tuple(
        Instrument(
            venue=venue,
            symbol="T/USD",
            role=Role.TOKEN,
            underlying="T",
            token="T1",
            unit_model=UnitModel.REBASING,
            multiplier=1.0,
        )
        for venue in ("one", "two")
    )
)
INTENT = Intent(
    id="cross-1",
    strategy="cross",
    legs=(
        Leg(instrument=0, side=Side.BUY, quantity=Decimal(2), limit=Decimal(101), seen=Decimal(100)),
        Leg(instrument=1, side=Side.SELL, quantity=Decimal(2), limit=Decimal(101), seen=Decimal(102)),
    ),
    reason="edge",
    edge_bps=150.0,
    notional_usd=Decimal(204),
    deadline_ns=10,
    underlying="T",
)


def fill(leg: int, price: str, quantity: str = "2") -> Fill:
    """A fill of a leg of INTENT."""
    side, fx, fee = INTENT.legs[leg].side, Decimal(1), Decimal("0.1")
    return Fill(
        id=f"cross-1-{leg}.1",
        client_id=f"cross-1-{leg}",
        instrument=leg,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=fee,
        fx=fx,
        ts=5,
    )


def report(leg: int, outcome: Outcome, fills: Sequence[Fill] = (), *, final: bool = True) -> Report:
    """A venue's answer about a leg of INTENT."""
    return Report(
        client_id=f"cross-1-{leg}", intent_id="cross-1", leg=leg, outcome=outcome, fills=tuple(fills), final=final
    )


def told(*steps: Step) -> tuple[Tally, list[str]]:
    """What some steps come to."""
    tally = Tally(UNIVERSE)
    narrator = Narrator(UNIVERSE, tally)
    lines: list[str] = []
    for step in steps:
        tally.fold(step)
        lines += [line.text for line in narrator.tell(step)]
    return tally, lines


SENT = Step(seq=1, ts=1, cause="trigger", wishes=(INTENT,), approved=("cross-1",))


def test_a_trade_is_told_with_both_legs_fees_and_net():
    """Two filled legs are one line: what was bought and sold where, the fees, and what is left."""
    answers = (report(0, Outcome.ACCEPTED, [fill(0, "100")]), report(1, Outcome.ACCEPTED, [fill(1, "102")]))
    tally, lines = told(SENT, Step(seq=2, ts=2, cause="due", reports=answers))
    expected = "gap traded on paper: bought 2 T1 on one at 100.00, sold 2 T1 on two at 102.00; fees 0.20, net +3.80 USD"
    assert [expected] == lines
    assert Decimal("3.8") == tally.cash_usd and {0: 2, 1: -2} == tally.positions
    assert 3.8 == pytest.approx(tally.edge_captured_usd["cross"]) and 3.06 == pytest.approx(
        tally.edge_seen_usd["cross"]
    )


def test_half_a_trade_is_called_that():
    """A leg that was refused beside one that was filled is no gap traded, and counts as a failed order."""
    answers = (report(0, Outcome.ACCEPTED, [fill(0, "100")]), report(1, Outcome.REFUSED))
    tally, lines = told(SENT, Step(seq=2, ts=2, cause="due", reports=answers))
    assert ["half a trade on paper: bought 2 T1 on one at 100.00, sell T1 on two refused; fees 0.10 USD"] == lines
    assert 1 == tally.failures["two", "refused"] and {0: 2} == tally.positions


def test_a_fill_that_is_reported_twice_counts_once():
    """A report holds what a leg filled so far: the second one adds only what is new."""
    first = report(0, Outcome.ACCEPTED, [fill(0, "100", "1")], final=False)
    second = report(0, Outcome.ACCEPTED, [fill(0, "100", "1"), replace(fill(0, "101", "1"), id="2")])
    tally, _ = told(SENT, *(Step(seq=2, ts=2, cause="due", reports=(one,)) for one in (first, second)))
    assert 2 == tally.fills and {0: 2} == tally.positions
    assert 1.0 == pytest.approx(tally.costs_usd["cross", "slippage"])


def test_refusals_are_collapsed():
    """Twelve refusals of one kind are told at the first and the tenth; all are counted."""
    no = Refused(intent=INTENT, reason=Reason.STALE, detail="the bid is 9 s old, allowed are 5")
    tally, lines = told(*(Step(seq=n, ts=n, cause="trigger", wishes=(INTENT,), refused=(no,)) for n in range(12)))
    assert 12 == tally.skipped["cross", "stale"] and 12 == tally.wishes["cross", "T1"]
    assert ["T: trade refused, the bid is 9 s old, allowed are 5", lines[0] + " (10 times so far)"] == lines


def test_a_peg_state_that_comes_back_from_unknown_is_not_told_again():
    """A quote that goes stale and returns to the same state is no news; a change of state is."""
    states = ("PEGGED", "DEPEGGED", "UNKNOWN", "DEPEGGED", "UNKNOWN", "PEGGED")
    notes = [
        Note(kind="peg_state", instrument=0, detail={"to": state, "premium_bps": -520.0, "sigma_bps": 9.0})
        for state in states
    ]
    tally, lines = told(*(Step(seq=n, ts=n, cause="timer", notes=(note,)) for n, note in enumerate(notes)))
    assert ["DEPEG", "peg cleared"] == [line.partition(":")[0] for line in lines]
    assert "5.20 % under fair value, 57.8 sigmas of 0.09 %" in lines[0] and "pegged" == tally.peg[0]


def sent(id: str, side: Side = Side.SELL, **more: object) -> Intent:
    """A later round of INTENT, of one leg."""
    leg = replace(INTENT.legs[1], side=side)
    return replace(INTENT, id=id, trade=INTENT.id, legs=(leg,), **more)  # type: ignore[arg-type]


def noted(**detail: float | str) -> Note:
    """A note about INTENT's trade."""
    return Note(kind="trade", underlying="T", detail={"trade": INTENT.id, **detail})


def test_a_trade_that_is_repaired_is_one_trade_with_all_its_orders():
    """
    The second leg is refused, hedged at the next try: one trade, one line with the three fills that count, its naked
    time and its end; while it is under way the page says so.
    """
    start = Step(seq=1, ts=1, cause="start", notes=(Note(kind="start", detail={"instruments": "", "open_trades": ""}),))
    legs = (report(0, Outcome.ACCEPTED, [fill(0, "100")]), report(1, Outcome.REFUSED))
    again = replace(legs[1], client_id="h-0", intent_id="h", leg=0, outcome=Outcome.ACCEPTED,
                    fills=(replace(fill(1, "102"), id="h", client_id="h-0"),))  # fmt: skip
    hedge = sent("h")
    steps = [
        start,
        SENT,
        Step(seq=3, ts=3, cause="due", reports=legs, notes=(noted(stage="hedge", why="a leg fell short"),)),
        Step(seq=4, ts=4, cause="trade", wishes=(hedge,), approved=("h",)),
    ]
    tally, lines = told(*steps)
    assert {"hedge": 1} == {trade.stage: 1 for trade in tally.open.values()}
    assert ["trade of T: a leg fell short; it is tried again at a fresh price"] == lines
    tally, lines = told(*steps, Step(seq=5, ts=5, cause="due", reports=(again,),
                                     notes=(noted(stage="hedged", naked_usd_s=7.5, dust="0.1"),)))  # fmt: skip
    assert (1, 0, {}, 2) == (tally.trades, tally.halves, tally.open, tally.fills)
    assert ({("cross", "hedged"): 1}, 7.5, 0.1) == (tally.ends, tally.naked_usd_s["cross"], tally.dust["T"])
    assert lines[-1].startswith(
        "gap traded on paper: bought 2 T1 on one at 100.00, sell T1 on two refused, sold 2 T1 on"
    )


def test_an_operator_is_told_of_a_trade_that_needs_him():
    """
    Paged: half a trade, one page, and a line that says what to do; a trade given back is called that.
    """
    start = Step(seq=1, ts=1, cause="start", notes=(Note(kind="start", detail={"instruments": "", "open_trades": ""}),))
    bought = report(0, Outcome.ACCEPTED, [fill(0, "100")])
    none = report(1, Outcome.REFUSED)
    ends = {}
    for stage in ("paged", "flat"):
        note = noted(stage=stage, why="it could be neither hedged nor unwound")
        ends[stage] = told(start, SENT, Step(seq=3, ts=3, cause="due", reports=(bought, none), notes=(note,)))
    tally, lines = ends["paged"]
    assert (1, {"T": 1}) == (tally.halves, tally.pages)
    assert "OPERATOR: a trade of T needs you" in lines[0] and lines[1].startswith("half a trade on paper")
    tally, lines = ends["flat"]
    assert (0, {}) == (tally.halves, tally.pages) and lines[0].startswith("trade given back on paper")
