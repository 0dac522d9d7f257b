"""`reconcile` and `settle` from the terminal, to an engine that hears words: what is told, corrected, written off."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path

import pytest

from bot import control
from bot.cli import main
from bot.control import Word
from bot.engine import Engine
from bot.journal import Journal
from bot.journal_file import Durability
from bot.lock import StateLock
from bot.obeying import Obeying
from bot.told_state import JOURNAL
from connectors.orders import ConversionState, Side
from connectors.simulated.order_faults import Foreign
from connectors.simulated.world import World
from tests.bot.test_comparing import FIVE, TAKEN, A, Compared, at_five
from tests.bot.test_minting import Kept, Minter, noted, put_together, world

__all__ = ["world"]


class Disk:
    """A disk on which nothing is durable until somebody says so."""

    def __init__(self, *, quick: bool = True) -> None:
        self.quick, self.seq, self.failed, self.calls = quick, 0, "", list[Callable[[], None]]()

    def durable(self, seq: int) -> bool:
        return self.quick

    def when(self, seq: int, call: Callable[[], None]) -> None:
        self.calls.append(call)


def says(state: Path, engine: Engine, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command whose words this engine hears."""
    ear, codes = Obeying(state, engine, Disk(), lambda text: None), list[int]()
    command = threading.Thread(target=lambda: codes.append(main([*words, "--state", str(state)])))
    with StateLock(state):
        command.start()
        while command.is_alive():
            ear.look()
            command.join(0.01)
    told = capsys.readouterr()
    return codes[0], told.out, told.err


def test_where_no_daemon_runs_no_word_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Before the first start and after an orderly end that is told at once: exit 7, and no file is made.
    """
    assert 7 == main(["reconcile", "--state", str(tmp_path)])
    assert f"{tmp_path}: no daemon runs there; nothing was changed" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())
    StateLock(tmp_path).release()
    assert 7 == main(["reconcile", "--state", str(tmp_path)])
    assert ["lock"] == [one.name for one in tmp_path.iterdir()]


def test_reconcile_tells_and_with_a_reason_corrects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Row 35: four tokens were withdrawn. It ends with 5 and says so; with --fix the books are the venue's, it ends with
    0, and the next look is equal. The record has evidence, reason and who.
    """
    ran = Compared(at_five(TAKEN), wishes={}).until(25)
    code, out, _ = says(tmp_path, ran.engine, "reconcile", capsys=capsys)
    assert 5 == code
    assert "a: differ" in out and "balance T by -4: a holds 86 T" in out and "b: equal" in out
    code, out, _ = says(tmp_path, ran.engine, "reconcile", "--fix", "--reason", "sold by hand", capsys=capsys)
    assert (0, 1) == (code, out.count("corrected in the books"))
    (note,) = ran.notes("adjust")
    assert ("sold by hand", "-4") == (note.detail["reason"], note.detail["amount"])
    assert note.detail["by"] and "holds 86 T" in str(note.detail["evidence"])
    ran.until(28)
    assert (D(86), set()) == (ran.positions[A], ran.barred)
    code, out, _ = says(tmp_path, ran.engine, "reconcile", "--json", capsys=capsys)
    assert (0, {"equal"}) == (code, {one["state"] for one in json.loads(out)["accounts"]})


def test_only_the_venue_that_is_named_is_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    --venue b leaves what differs at a; a venue without an account is a mistake that names those with one.
    """
    ran = Compared(at_five(TAKEN), wishes={}).until(25)
    words = ("reconcile", "--fix", "--reason", "x", "--venue")
    assert 0 == says(tmp_path, ran.engine, *words, "b", capsys=capsys)[0]
    assert [] == ran.notes("adjust")
    code, _, err = says(tmp_path, ran.engine, *words, "q", capsys=capsys)
    assert 2 == code and "a, b, c" in err


def test_what_is_somebody_elses_is_shown_and_nothing_to_correct(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A foreign order bars nothing: 0, and --fix leaves it.
    """
    foreign = Foreign(FIVE, "hand-1", A, Side.BUY, D(1), D(50), trades=False)
    ran = Compared(at_five(foreign), wishes={}).until(25)
    code, out, _ = says(tmp_path, ran.engine, "reconcile", "--fix", "--reason", "x", capsys=capsys)
    assert 0 == code and "foreign order hand-1" in out and "corrected" not in out
    assert [] == ran.notes("adjust")


@pytest.mark.parametrize("words", [("reconcile", "--fix"), ("reconcile", "--fix", "--reason", " ")])
def test_a_correction_needs_a_reason(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without one nothing is even asked.
    """
    assert 2 == main([*words, "--state", str(tmp_path)])
    assert "--reason" in capsys.readouterr().err
    assert not (tmp_path / control.FOLDER).exists()


def test_an_answer_waits_for_the_disk_and_the_word_is_done_once(tmp_path: Path) -> None:
    """
    Until the record is durable nobody is told that it is done; looked at again meanwhile it is not done twice.
    """
    ran = Compared(at_five(TAKEN), wishes={}).until(25)
    row = {"venue": "a", "what": "balance", "subject": "T", "amount": "-4"}
    id = control.leave(tmp_path, Word(verb="adjust", at=7, by="ann", reason="x", about=(row,)))
    disk = Disk(quick=False)
    ear = Obeying(tmp_path, ran.engine, disk, lambda text: None)
    ear.look()
    ear.look()
    assert (1, False) == (len(ran.notes("adjust")), (tmp_path / control.FOLDER / f"{id}.told").exists())
    disk.quick = True
    disk.calls[0]()
    assert (tmp_path / control.FOLDER / f"{id}.told").exists()
    # The process died before the answer: the same word after a restart finds nothing to correct any more.
    control.leave(tmp_path, Word(verb="adjust", at=7, by="ann", reason="x", about=(row,)))
    Obeying(tmp_path, ran.engine, Disk(), lambda text: None).look()
    assert 1 == len(ran.notes("adjust"))


def test_a_word_that_nobody_knows_changes_nothing(tmp_path: Path) -> None:
    """
    Of another version: it is answered with what is wrong, and the run goes on.
    """
    ran = Compared(wishes={}).until(5)
    id, before = control.leave(tmp_path, Word(verb="explode", at=7, by="ann")), len(ran.steps)
    Obeying(tmp_path, ran.engine, Disk(), lambda text: None).look()
    assert b"explode" in (tmp_path / control.FOLDER / f"{id}.told").read_bytes()
    assert before == len(ran.steps)


class Written(Kept):
    """A journal in memory and in a state folder."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self.journal = Journal(state / JOURNAL, durability=Durability.FULL)

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        super().append(kind, ts, payload)
        return self.journal.append(kind, ts, payload)


def test_settle_lists_asks_again_and_writes_off(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A mint that takes an hour: listed with what has moved, asked about, and written off with a reason; then its units
    are in flight no more, what lacks is owed, and a restart knows the same.
    """
    kept = Written(tmp_path)
    parts = put_together(world, kept, Minter(), mint_delay_s=3600.0)
    parts.engine.advance(world.rows[: len(world.rows) // 4])
    (id,) = parts.ledger.conversions.all
    kept.journal.flush()

    def said(*words: str) -> tuple[int, str, str]:
        told = says(tmp_path, parts.engine, "settle", *words, capsys=capsys)
        kept.journal.flush()
        return told

    code, out, _ = said("list")
    assert 0 == code and id in out and "journaled" in out and "mint TSLA at sim-one" in out
    assert 0 == said("recheck", id)[0]
    assert 2 == said("recheck", "nobody")[0]
    assert 2 == main(["settle", "fail", id, "--reason", " ", "--state", str(tmp_path)])
    assert parts.ledger.away
    assert 0 == said("fail", id, "--reason", "the issuer is gone")[0]
    assert (ConversionState.SETTLED, {}) == (parts.ledger.conversions.all[id].state, parts.ledger.away)
    assert "short" == noted(kept, "conversion")[-1]["why"]
    code, out, _ = said("show", id)
    assert 0 == code and "settled" in out and "owed" in out and "written off: the issuer is gone (" in out
    code, _, err = said("fail", id, "--reason", "again")
    assert 6 == code and "no request" in err
    assert "no mint or redemption" in said("list")[1] and id in said("list", "--all")[1]
    again = put_together(world, Kept(), Minter(), mint_delay_s=3600.0)
    again.engine.restore(kept.steps)
    assert (ConversionState.SETTLED, {}) == (again.ledger.conversions.all[id].state, again.ledger.away)
    assert parts.ledger.claims() == again.ledger.claims() != ()
    kept.journal.close()
