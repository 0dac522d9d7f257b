"""The demo's story: told from decision records alone, the same one on a newcomer's machine, another seed another one,
and a fault switched off is not told.
"""

from __future__ import annotations

import json

import pytest

from bot.show import summary
from connectors.events import NS
from tests.monitoring.newcomer import Told, demo
from tests.monitoring.played import Played, play

SEED = 3
pytestmark = pytest.mark.timeout(300)
"""Two whole replays, one of them on a newcomer's machine, may come before any of these tests."""
MARKS = {
    "outlier": "outlier refused",
    "depeg": "DEPEG",
    "frozen": "reference frozen",
    "multiplier": "multiplier changed",
    "drop": "feed dropped",
    "gap": "gap traded on paper",
}
"""How each fault is told."""


@pytest.fixture(scope="module")
def full() -> Played:
    """Four days with every fault."""
    return play(seed=SEED)


@pytest.fixture(scope="module")
def newcomer() -> Told:
    """The same, as a newcomer meets it."""
    return demo(SEED)


def texts(run: Played) -> list[str]:
    """The lines of a story."""
    return [line.text for line in run.show.lines]


@pytest.mark.parametrize("fault", MARKS)
def test_every_fault_is_told(full: Played, fault: str):
    """What was injected is noticed by the daemon and told, and the line names the instrument that it happened to."""
    told = [text for text in texts(full) if text.startswith(MARKS[fault])]
    assert told
    injected = [one for one in full.world.injected if one.kind == fault]
    names = {name for one in injected for name in one.instruments}
    words = {i.token or i.symbol for i in full.world.universe if i.name in names}
    words |= {i.venue for i in full.world.universe if i.name in names} if fault == "drop" else set()
    assert all(any(word in text for word in words) for text in told)


@pytest.mark.parametrize("fault", MARKS)
def test_a_fault_switched_off_is_not_told(full: Played, fault: str):
    """Without the fault its line does not appear, until long after the last one was told of the whole story."""
    last = max(line.ts for line in full.show.lines if line.text.startswith(MARKS[fault]))
    others = ["hedge", "mint_redeem"] + ["peg_watch"] * (fault != "depeg")
    quiet = play(off=[fault], without=others, until_ns=last + 3600 * NS)
    assert 3 < len(texts(quiet))
    assert [] == [text for text in texts(quiet) if text.startswith(MARKS[fault])]


def test_the_demo_starts_without_home_and_rights(newcomer: Told) -> None:
    """
    It ends by itself, has compiled below the temporary folder, and imported nothing of what talks to the world.
    """
    assert "imported:" == newcomer.said.splitlines()[-1].strip()
    assert newcomer.compiled


def test_its_json_tells_trades_premiums_and_times(newcomer: Told) -> None:
    """
    Trades as the story tells them, a premium or a reason for each token, and what each part of the start took.
    """
    result = newcomer.result
    assert result["pnl"]["trades"] > 0 and result["told"]["trade"] == result["pnl"]["trades"]
    assert any(fill["intent"].startswith("mint_redeem-") for fill in result["fills"]) and result["told"]["conversion"]
    assert all(line["reason"] or line["premium_bps"] is not None for line in result["premia"])
    assert {"import", "kernel", "first_premium", "total"} == set(result["timing_s"])


def test_the_same_seed_tells_the_same_story_live_and_replayed(full: Played, newcomer: Told) -> None:
    """
    Through feed, inbox and event loop at a pace, or in another process in blocks of a thousand rows, with the watch
    over pegs: the same lines and the same hash over all decision records.
    """
    assert texts(full) == [line["text"] for line in newcomer.result["story"]]
    assert full.hash == newcomer.result["journal_hash"]


def test_another_seed_tells_another_story(full: Played):
    """Two seeds share no line but the sessions of the calendar."""
    other = [str(line) for line in play(seed=4, without=["hedge", "peg_watch"]).show.lines if line.kind != "session"]
    mine = [str(line) for line in full.show.lines if line.kind != "session"]
    assert set() == set(mine) & set(other)


def test_trades_in_the_story_are_those_of_the_ledger(full: Played):
    """Fills, positions and fees counted from the records equal the ledger that traded."""
    ledger, tally = full.assembly.ledger, full.desk.tally
    assert ledger.fills == tally.fills > 0
    assert {n: q for n, q in ledger.positions.items() if q} == {n: q for n, q in tally.positions.items() if q}
    assert float(ledger.fees) == pytest.approx(sum(usd for (_, part), usd in tally.costs_usd.items() if part == "fee"))
    assert len(tally.closed) == sum(1 for line in full.show.lines if line.kind == "trade")


def test_positions_are_hedged_with_the_perp_and_given_back(full: Played):
    """Tokens are bought against the perp and given back, funding is charged for them, and both are told as such."""
    told = texts(full)
    for begins in ("position hedged on paper", "position given back on paper"):
        assert any(text.startswith(begins) and "-PERP on sim-perp" in text for text in told)
    assert any(step.charges for step in full.steps)


def test_a_depeg_is_alarmed_on_both_venues_and_cleared(full: Played):
    """The token that slid is called DEPEG on its two venues, then cleared on both."""
    (fault,) = (one for one in full.world.injected if one.kind == "depeg")
    for name in fault.instruments:
        changes = full.show.result(seed=3, rows=0, timing={})["peg"]["changes"][name]
        states = [change["state"] for change in changes]
        assert "depegged" in states and "pegged" == states[-1]
    assert 2 == sum(text.startswith("DEPEG:") for text in texts(full))
    (token,) = {i.token for i in full.world.universe if i.name in fault.instruments}
    assert 2 == sum(text.startswith(f"peg cleared: {token} ") for text in texts(full))


def test_only_the_token_that_slid_is_depegged_and_for_itself(full: Played):
    """
    The token as a whole and its venues become DEPEGGED while it slides, for the cause `token`; neither the fat-finger
    print nor the frozen reference nor a gap of minutes makes any venue or token DEPEGGED.
    """
    (fault,) = (one for one in full.world.injected if one.kind == "depeg")
    told = [
        (step.ts, note)
        for step in full.steps
        for note in step.notes
        if note.kind in ("peg_state", "token_state") and note.detail["to"] == "DEPEGGED"
    ]
    begun = [(ts, note) for ts, note in told if note.detail["from"] != "DEPEGGED"]
    assert 3 == len(begun)
    assert {"token"} == {note.detail["cause"] for _, note in told if note.kind == "token_state"}
    assert {fault.underlying} == {note.underlying for _, note in told}
    assert all(fault.start_ns < ts < fault.end_ns for ts, _ in begun)


def test_the_result_is_json_and_the_summary_reads_from_it(full: Played):
    """The result survives JSON unchanged, has the promised parts, and makes a summary with the next commands."""
    result = full.show.result(seed=3, rows=len(full.world.rows), timing={"import": 0.4, "kernel": 1.0, "total": 60.0})
    assert result == json.loads(json.dumps(result))
    parts = {"schema", "premia", "refusals", "peg", "fills", "pnl", "notes", "timing_s", "story", "journal_hash"}
    assert parts <= set(result)
    assert len(result["fills"]) == result["pnl"]["fills"] and 1 == result["refusals"]["rows"]["outlier"]
    words = summary(result, url="http://127.0.0.1:1/")
    assert "pegline demo --seed 4" in words and "http://127.0.0.1:1/metrics" in words
    assert "\n  .venv/bin/pegline demo --seed 4 " in summary(result, pegline=".venv/bin/pegline")


def test_the_summary_names_what_is_left_without_a_hedge(full: Played):
    """What one venue refused is hedged or given back, so that dust alone is left; the summary says of which share, how
    much and what it is worth, and the worst spell without a hedge; a story without a fill has nothing of the kind.
    """
    result = full.show.result(seed=3, rows=0, timing={})
    columns, left = full.assembly.columns, dict[str, float]()
    for number, units in full.desk.tally.positions.items():
        share = columns.universe[number].underlying
        left[share] = left.get(share, 0.0) + float(units) * float(columns.shares_per_unit[number])
    wanted = {share: shares for share, shares in left.items() if abs(shares) > 1e-9}
    assert wanted == {name: pytest.approx(part["shares"]) for name, part in result["naked_at_end"].items()}
    assert not full.desk.tally.halves and not full.desk.tally.pages
    assert all(abs(part["usd"]) < 100 for part in result["naked_at_end"].values())
    words = summary(result)
    for name, part in result["naked_at_end"].items():
        assert f"{part['shares']:+,.4f} shares of {name}, {part['usd']:+,.2f} USD" in words
    assert f"worst spell {result['worst_naked_usd_s']:,.0f} USD x s" in words and result["worst_naked_usd_s"] > 0
    assert "naked at the end nothing; worst spell 0 USD x s" in summary(
        play(rows=10).show.result(seed=3, rows=10, timing={})
    )


def test_the_first_premium_is_timed_once(full: Played):
    """The moment of the first premium is the first drawing that shows one."""
    run = play(rows=1)
    run.show.refresh()
    assert run.show.first_premium_s is None
    full.show.refresh()
    assert 1.5 == full.show.first_premium_s
