"""What must hold over restarts and while orders are under way: names, limits, the day's loss, multipliers, feeds."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble  # noqa: E402 - the kernel's cache must be chosen first
from bot.clock import sleep  # noqa: E402
from bot.config import Config, Http, Run  # noqa: E402
from bot.daemon import Daemon, Doors  # noqa: E402
from bot.facts import facts_of  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.notices import Notices  # noqa: E402
from bot.recorder import Recorder  # noqa: E402
from bot.restore import restore  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from connectors.errors import ConnectorError, DataError, EntitlementLost, SymbolUnknown  # noqa: E402
from connectors.events import NS, Kind, Row, Rows, Why  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.orders import Fill, Intent, Leg, Outcome, Report, Side  # noqa: E402
from connectors.ports import Feed, Sink  # noqa: E402
from strategies.base import Note, Step  # noqa: E402
from strategies.execution.ledger import Ledger  # noqa: E402
from strategies.execution.memory import Memory  # noqa: E402
from strategies.execution.trades import Trades  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.columns import Beliefs, Columns, Facts  # noqa: E402

NOW = 1_788_537_600 * NS


def token(venue: str) -> Instrument:
    """A token whose unit changes with its multiplier."""
    return Instrument(venue=venue, symbol="T", role=Role.TOKEN, underlying="S", token="T", issuer="i",
                      unit_model=UnitModel.TOTAL_RETURN, multiplier=1.0)  # fmt: skip


LEG = Leg(instrument=0, side=Side.BUY, quantity=Decimal(2), limit=Decimal(10), seen=Decimal(9))
WISH = Intent(id="x-1", strategy="x", legs=(LEG,), reason="", edge_bps=1.0, notional_usd=Decimal(18), deadline_ns=NOW)


def records(*, answered: bool = True, final: bool = True) -> list[Step]:
    """An earlier run on instruments a:T and b:T: it bought two units of a:T, and began its day at 12.5 USD."""
    fill = Fill(
        id="1",
        client_id="x-1-0",
        instrument=0,
        side=Side.BUY,
        quantity=Decimal(2),
        price=Decimal(9),
        fee=Decimal(0),
        fx=Decimal(1),
        ts=NOW,
    )
    report = Report(client_id="x-1-0", intent_id="x-1", leg=0, outcome=Outcome.ACCEPTED, fills=(fill,), final=final)
    start = Note(kind="start", detail={"instruments": "a:T\nb:T", "open_trades": ""})
    day = Note(kind="day", detail={"day": 20700, "net_usd": 12.5})
    steps = [
        Step(seq=1, ts=NOW, cause="start", notes=(start, day)),
        Step(seq=2, ts=NOW, cause="x", wishes=(WISH,), approved=("x-1",)),
    ]
    return [*steps, Step(seq=3, ts=NOW, cause="due", reports=(report,))] if answered else steps


def test_peg_states_come_back_by_name_and_the_last_one_that_was_known() -> None:
    """
    a:T was DEPEGGED, then UNKNOWN, the token too: both go on as DEPEGGED, under today's number; of an instrument that
    is no more, nothing.
    """
    names = Note(kind="start", detail={"instruments": "a:T\nb:T\ngone:T"})
    notes = [names]
    for state in ("PEGGED", "DEPEGGED", "UNKNOWN"):
        notes += [Note(kind="peg_state", instrument=at, detail={"to": state}) for at in (0, 2)]
        notes.append(Note(kind="token_state", detail={"token": "T", "issuer": "i", "to": state}))
    universe = Universe((token("b"), token("a")))
    told = restore([Step(seq=1, ts=NOW, cause="x", notes=tuple(notes))], universe, Ledger(universe), Memory()).pegs
    assert {("peg_state", 1, "DEPEGGED"), ("token_state", -1, "DEPEGGED")} == {
        (note.kind, note.instrument, note.detail["to"]) for note in told
    }
    assert 2 == len(told)


@pytest.mark.parametrize("known", ["DEPEGGED", "PEGGED"])
def test_a_token_that_was_off_its_peg_is_no_witness_after_a_restart_either(known: str) -> None:
    """
    While the share speaks: what DEPEGGED was restored to weighs nothing from the first tick on, what PEGGED was weighs.
    """
    share = Instrument(venue="r", symbol="S", role=Role.SHARE, underlying="S", hours="24/7")
    parts = assemble(Config(), Universe((token("a"), token("b"), share)), load_sessions(), Journal(None), executor=None)
    notes = (
        Note(kind="start", detail={"instruments": "a:T\nb:T\nr:S"}),
        Note(kind="peg_state", instrument=0, detail={"to": known}),
    )
    parts.engine.restore([Step(seq=1, ts=NOW, cause="x", notes=notes)])
    for second in range(30):
        ts = NOW + second * NS
        said = {"ts_venue": ts, "ts_recv": ts, "flags": 0, "bid_size": 9.0, "ask_size": 9.0, "extra": float("nan")}
        rows = [
            Row(instrument=at, kind=kind, bid=99.99, ask=100.01, **said)
            for at, kind in ((0, Kind.QUOTE), (1, Kind.QUOTE), (2, Kind.REFERENCE))
        ]
        parts.engine.advance(Rows.of(rows))
    weights = parts.columns.f[:, K.WEIGHT]
    assert (known == "PEGGED", True) == (weights[0] > 0, weights[1] > 0)


def test_positions_come_back_by_name_and_not_by_number() -> None:
    """
    The config now lists the instruments the other way round: the two units are still of a:T.
    """
    universe = Universe((token("b"), token("a")))
    ledger, memory = Ledger(universe), Memory()
    restored = restore(records(), universe, ledger, memory)
    assert 3 == restored.seq
    assert {1: Decimal(2)} == ledger.positions
    assert (20700, 12.5) == (memory.day, memory.day_start_net)


def test_an_instrument_that_is_gone_is_refused_by_name() -> None:
    """
    A position in something that the config no longer has cannot be carried: one clear error.
    """
    universe = Universe((token("b"),))
    with pytest.raises(DataError, match="a:T"):
        restore(records(), universe, Ledger(universe), Memory())


def trades_after(steps: list[Step]) -> Trades:
    """The trades that records leave on today's instruments b:T and a:T."""
    universe = Universe((token("b"), token("a")))
    trades = Trades(universe, worth=lambda number: 1.0)
    restore(steps, universe, Ledger(universe), Memory(), trades)
    return trades


@pytest.mark.parametrize("again", [False, True])
def test_a_trade_without_a_final_answer_is_under_way_again_after_any_restart(again: bool) -> None:
    """
    A part-fill that was not final, and another start that changed nothing: the order is known by today's number of its
    instrument, with what it has filled.
    """
    start = Note(kind="start", detail={"instruments": "b:T\na:T", "open_trades": "x-1"})
    steps = [*records(final=False), *([Step(seq=4, ts=NOW, cause="start", notes=(start,))] if again else [])]
    trades = trades_after(steps)
    assert {"x-1": "x"} == trades.under_way()
    order = trades.open["x-1"].orders["x-1-0"]
    assert (1, Decimal(2), False) == (order.leg.instrument, order.filled, order.final)


def test_a_trade_that_an_earlier_version_gave_up_is_not_taken_up() -> None:
    """
    Records of before trades were kept: what was final then is over, and the next start gives up the rest.
    """
    old = Note(kind="start", detail={"instruments": "a:T\nb:T", "abandoned": ""})
    for final in (True, False):
        steps = records(final=final)
        steps[0] = Step(seq=1, ts=NOW, cause="start", notes=(old,))
        assert (not final) == bool(trades_after(steps).open)
        assert {} == trades_after([*steps, Step(seq=4, ts=NOW, cause="start", notes=(old,))]).open


def test_news_of_an_order_that_nobody_knows_are_booked_and_raise_nothing() -> None:
    """
    The fill of an order that no record allows is in the books.
    """
    universe = Universe((token("a"), token("b")))
    ledger = Ledger(universe)
    steps = records()
    restore([steps[0], steps[2]], universe, ledger, Memory())
    assert {0: Decimal(2)} == ledger.positions


def test_multipliers_survive_a_restart() -> None:
    """
    One that was applied is in force again, one that was announced is still to come: the config's old value is not.
    """
    universe = Universe((token("b"), token("a")))
    applied = Note(kind="multiplier", instrument=0, detail={"old": 1.0, "new": 1.5})
    coming = Note(kind="multiplier_scheduled", instrument=0, detail={"value": 2.0, "activates": 1.9e9})
    steps = [*records(), Step(seq=4, ts=NOW, cause="row", notes=(applied, coming))]
    restored = restore(steps, universe, Ledger(universe), Memory())
    assert {1: 1.5} == restored.multipliers
    assert {1: (2.0, 1.9e9)} == restored.announced


def noticing() -> tuple[Notices, Columns, list[tuple[int, int]]]:
    """Notices over one token, and what it schedules."""
    columns = Columns(Universe((token("a"),)), [Facts()], Beliefs(), load_sessions())
    return Notices(columns, 0), columns, []


def announced(value: float, in_s: int) -> Rows:
    """A multiplier announced now."""
    row = Row(ts_recv=NOW, instrument=0, kind=Kind.MULTIPLIER, bid=value, ask=NOW / NS + in_s)
    return Rows.of([row])


def test_a_corrected_multiplier_replaces_the_pending_one_and_repeats_are_one() -> None:
    """
    1.01 in an hour, said three times, then put off to tomorrow: in an hour nothing happens, tomorrow it does.
    """
    notices, columns, dues = noticing()
    for _ in range(3):
        notices.of_row(announced(1.01, 3600), 0, lambda due, payload: dues.append((due, payload)))
    assert 1 == len(dues)
    notices.of_row(announced(1.01, 86_400), 0, lambda due, payload: dues.append((due, payload)))
    assert 2 == len(dues)
    assert [] == notices.activate(dues[0][1], dues[0][0])
    assert 1.0 == columns.shares_per_unit[0]
    assert ["multiplier", "doubt"] == [note.kind for note in notices.activate(dues[1][1], dues[1][0])]
    assert 1.01 == columns.shares_per_unit[0]


class Speaker:
    """A feed that speaks once and then does as it is told."""

    def __init__(self, venue: str, end: BaseException | None) -> None:
        """`end` is raised after the first word; None waits for ever."""
        self.venue, self.end = venue, end
        self.instruments = (token(venue),)
        self.spoke = asyncio.Event()

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        sink.put(Kind.QUOTE, numbers[f"{self.venue}:T"], bid=1.0, ask=2.0)
        sink.cleared([numbers[f"{self.venue}:T"]], Why.NOT_HEARD)
        self.spoke.set()
        if self.end is not None:
            raise self.end
        await asyncio.Event().wait()


async def at_once(_: float) -> None:
    """A door to wait through that is open."""
    await sleep(0)


def daemon(feeds: list[Speaker], state: Path | None = None, port: int = 0) -> tuple[Daemon, list[str]]:
    """A daemon on the speakers, and what it warns of."""
    said: list[str] = []
    config = Config(http=Http(port=port), run=Run(record=False))
    universe = Universe(tuple(feed.instruments[0] for feed in feeds))
    heard: list[Feed] = list(feeds)
    doors = Doors(feeds=heard, executor=None, clock=lambda: NOW, monotonic=lambda: 0.0, sleep=at_once, state=state)
    facts = facts_of(config, mode="dry_run", file="test")
    return Daemon(config, universe, load_sessions(), facts, doors, warn=said.append), said


@pytest.mark.parametrize("end", [KeyError("surprise"), EntitlementLost("403", where="a")])
async def test_a_feed_that_ends_takes_no_other_with_it(end: Exception) -> None:
    """
    One adapter has a fault, or lost its right: it is told, its venue is down, the other goes on until we stop.
    """
    feeds = [Speaker("a", end), Speaker("b", None)]
    run, said = daemon(feeds)
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    async with asyncio.timeout(10):
        while not said or not run.inbox.heard[1] or not run.engine.counts.rows:
            await at_once(0)
        assert not running.done()
        stop.set()
        await running
    assert "a stopped" in said[0]
    assert {"a": False, "b": True} == {state.venue: state.up for state in run.feed_states()}


async def test_when_every_feed_is_gone_the_run_ends_with_the_reason(tmp_path: Path) -> None:
    """
    Nothing is left to listen to: a ConnectorError, the journal closed and the state free for the next start.
    """
    run, _ = daemon([Speaker("a", SymbolUnknown("T", where="a"))], tmp_path)
    with pytest.raises(ConnectorError, match="a: T"):
        await asyncio.wait_for(run.run(asyncio.Event()), 10)
    again, _ = daemon([Speaker("a", None)], tmp_path)
    again.lock.release()  # type: ignore[union-attr]
    again.journal.close()


async def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    """
    Two daemons on one port: the second one ends with the port and a hint.
    """
    first, _ = daemon([Speaker("a", None)])
    stop = asyncio.Event()
    running = asyncio.create_task(first.run(stop))
    async with asyncio.timeout(10):
        while not first.server.url:
            await at_once(0)
        port = int(first.server.url.rstrip("/").rsplit(":", 1)[1])
        second, _ = daemon([Speaker("a", None)], port=port)
        with pytest.raises(ConnectorError, match="another"):
            await second.run(asyncio.Event())
        stop.set()
        await running


async def test_a_recorder_that_is_stopped_in_mid_write_lets_nobody_else_write() -> None:
    """
    The task is cancelled while its thread writes: closing waits for that thread, so the tape has one writer at a time.
    """
    begun, go, inside = threading.Event(), threading.Event(), 0
    worst = 0

    class Slow:
        """A tape whose first write waits."""

        def append(self, rows: Rows, levels: object = None) -> None:
            nonlocal inside, worst
            inside += 1
            worst = max(worst, inside)
            begun.set()
            assert go.wait(10)
            inside -= 1

        def flush(self) -> None:
            """Nothing to do."""

        def close(self) -> None:
            nonlocal worst
            worst = max(worst, inside + 1)

    recorder = Recorder(Slow(), sleep=at_once)
    recorder.append(Rows.of([Row(ts_recv=NOW, instrument=0, kind=Kind.TICK)]))
    writing = asyncio.create_task(recorder.run())
    async with asyncio.timeout(10):
        await asyncio.to_thread(begun.wait)
        writing.cancel()
        closing = asyncio.create_task(recorder.close())
        await at_once(0)
        go.set()
        await closing
    assert 1 == worst


class Refused(Speaker):
    """A feed that has lost its right, and gets it back when asked again."""

    def __init__(self, venue: str, times: int, *, heard_first: bool) -> None:
        """`times` runs end with 403; `heard_first`: the first of them after a price."""
        super().__init__(venue, None)
        self.times, self.heard_first = times, heard_first

    async def run(self, sink: Sink, numbers: dict[str, int]) -> None:
        if self.heard_first:
            sink.put(Kind.QUOTE, numbers[f"{self.venue}:T"], bid=1.0, ask=2.0)
            self.heard_first = False
        if self.times:
            self.times -= 1
            raise EntitlementLost("403", where=self.venue)
        await super().run(sink, numbers)


async def test_fault_12_a_right_that_comes_back_heals_by_itself() -> None:
    """
    Fault 12. The only feed loses its right in mid-session: the run goes on, says why, asks again, and hears again.
    """
    run, said = daemon([Refused("a", 3, heard_first=True)])
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    async with asyncio.timeout(10):
        while not run.feed_states()[0].up or run.inbox.heard[0] < 2 or len(said) < 1:
            assert not running.done()
            await at_once(0)
        while run.inbox.standing.reasons(0):
            await at_once(0)
        stop.set()
        await running
    assert 1 == len(said)
    assert "asked again" in said[0]
    assert 3 == run.inbox.rejected["a", "entitlement_lost"]


async def test_a_right_that_never_was_ends_the_run_with_the_reason() -> None:
    """
    Every feed is refused from the start and nothing was ever heard: the keys are wrong, and waiting mends nothing.
    """
    run, _ = daemon([Refused("a", 99, heard_first=False), Refused("b", 99, heard_first=False)])
    with pytest.raises(EntitlementLost):
        await asyncio.wait_for(run.run(asyncio.Event()), 10)
