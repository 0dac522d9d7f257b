"""`pegline journal` and `settle` on what is no whole journal: told with the record and exit 8, never a traceback."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bot.cli import main
from bot.journal import Journal
from bot.journal_file import JournalError
from bot.journal_reader import folded
from bot.told_state import JOURNAL
from strategies.base import Note, Step
from tests.bot.test_journal import change

ASKED = [["journal", "orders"], ["journal", "positions"], ["journal", "pnl"], ["settle", "list"]]
NOTES = (
    Note(kind="start", detail={"instruments": "a:T"}),
    Note(kind="multiplier", instrument=0, detail={"new": 1.5}),
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A start, and a new multiplier."""
    path = tmp_path / JOURNAL
    with Journal(path) as file:
        for seq, note in enumerate(NOTES, 1):
            file.append("step", seq, msgspec.msgpack.encode(Step(seq=seq, ts=seq, cause="x", notes=(note,))))
    return path


def test_a_file_in_which_nothing_was_recorded_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A process that dies before its first record leaves an empty file: no record of it is called bad.
    """
    (tmp_path / JOURNAL).touch()
    for words in (*ASKED, ["journal", "verify"]):
        assert 8 == main([*words, "--state", str(tmp_path)])
        assert "nothing was ever recorded in it (it fills with the first run)" in capsys.readouterr().err
    assert 0 == (tmp_path / JOURNAL).stat().st_size


@pytest.mark.parametrize("spoilt", [b"\xff", b"mult", b"\xa3old"], ids=["text", "field", "word"])
def test_a_changed_record_is_named_whatever_it_breaks(
    journal: Path, spoilt: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Text that is none, a record that is none, a note that lacks what it tells: what was not written is named.
    """
    assert 0 == main(["journal", "positions", "--state", str(journal.parent)])
    record = msgspec.msgpack.encode(Step(seq=2, ts=2, cause="x", notes=NOTES[1:])).replace(b"\xa3new", spoilt)
    change(journal, f"UPDATE records SET payload = x'{record.hex()}' WHERE seq = 2")
    for words in (["journal", "positions"], ["settle", "list"]):
        capsys.readouterr()
        assert 8 == main([*words, "--state", str(journal.parent)])
        assert "record 2 is n" in capsys.readouterr().err


def test_a_mistake_of_ours_is_not_blamed_on_a_journal_that_holds(journal: Path) -> None:
    """
    Only where a record is not what was written does that explain an error.
    """
    with pytest.raises(KeyError), folded(journal):
        raise KeyError("x")
    change(journal, "UPDATE records SET ts = 9 WHERE seq = 1")
    with pytest.raises(JournalError, match="record 1 is not what was written"), folded(journal):
        raise KeyError("x")


@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31T23:59:59Z"])
def test_a_moment_beyond_what_a_journal_can_hold_is_refused(time: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    It is exit 2, with the years that there are.
    """
    assert 2 == main(["journal", "pnl", "--to", time])
    assert "beyond what can be told in ns (1677-09-22 to 2262-04-11)" in capsys.readouterr().err


def test_a_journal_in_a_folder_of_somebody_else_can_be_read(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without leave to write there, and with no process that has it open, it is read as it stands and nothing is made.
    """
    journal.chmod(0o400)
    journal.parent.chmod(0o500)
    code = main(["journal", "verify", "--file", str(journal)])
    journal.parent.chmod(0o700)
    assert (0, True) == (code, "2 records, every link holds" in capsys.readouterr().out)
    assert [journal] == list(journal.parent.iterdir())
