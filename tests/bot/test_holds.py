"""Holds on disk and the commands that change them: atomic, durable, and a halt wherever something is not understood."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from bot.cli import main
from bot.clock import monotonic_s, wall_ns
from bot.holds import FILE, KILL, Holds
from bot.watchdog import Watchdog
from connectors.errors import DataError
from strategies.execution.latch import ALL, Hold, Mode

NOW = 1_788_537_600_000_000_000
ROOT = Path(__file__).resolve().parents[2]


def halt(**more: object) -> Hold:
    """An operator's halt of everything."""
    return Hold(**{"scope": ALL, "mode": Mode.HALT, "cause": "operator", "why": "fire", "at": NOW, **more})  # type: ignore[arg-type]


def pause(scope: str = "token:T", **more: object) -> Hold:
    """An operator's pause."""
    return halt(**{"scope": scope, "mode": Mode.REDUCE, "why": "look", **more})


def said(folder: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command on a state folder."""
    code = main([*words, "--state", str(folder), "--config", str(folder / "none.toml")])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_hold_is_there_for_whoever_reads_next(tmp_path: Path) -> None:
    """
    What was set stands in another reader's eyes, and what was taken back does not, with who and why.
    """
    Holds(tmp_path).set(pause())
    Holds(tmp_path).set(pause("venue:a"))
    assert (pause(), pause("venue:a")) == Holds(tmp_path).read(NOW).latch.holds
    assert (pause(),) == Holds(tmp_path).resume("token:T", (Mode.REDUCE,), why="seen", by="ann", now=NOW)
    kept = Holds(tmp_path).read(NOW)
    assert (pause("venue:a"),) == kept.latch.holds
    assert [(1, "token:T", "seen", "ann")] == [(one.number, one.scope, one.why, one.by) for one in kept.resumed]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    """
    Reading makes no file, and no file is no hold.
    """
    assert () == Holds(tmp_path).read(NOW).latch.holds
    assert [] == list(tmp_path.iterdir())


def test_a_kill_is_a_file_and_a_hold(tmp_path: Path) -> None:
    """
    Both are there, one hold is told, and only lifting the halt takes the file away.
    """
    holds = Holds(tmp_path)
    holds.kill(halt())
    assert holds.flagged()
    assert (halt(),) == holds.read(NOW).latch.holds
    holds.resume(ALL, (Mode.REDUCE,), why="x", by="ann", now=NOW)
    assert holds.flagged()
    holds.resume(ALL, (Mode.HALT,), why="x", by="ann", now=NOW)
    assert not holds.flagged()
    assert () == holds.read(NOW).latch.holds


def test_a_file_by_hand_halts_with_its_words(tmp_path: Path) -> None:
    """
    `touch KILL`, a text in it, and even a link to nowhere are a halt.
    """
    holds = Holds(tmp_path)
    (tmp_path / KILL).touch()
    assert [(ALL, Mode.HALT, "flag")] == [hold.key for hold in holds.read(NOW).latch.holds]
    (tmp_path / KILL).write_text("smoke in the room")
    assert ["smoke in the room"] == [hold.why for hold in holds.read(NOW).latch.holds]
    (tmp_path / KILL).unlink()
    (tmp_path / KILL).symlink_to(tmp_path / "nowhere")
    assert holds.flagged()


SPOILT = [
    b"", b"{", b"[]", b'{"latch": {"holds": [{"scope": "all"}]}}', b'{"latch": {"holds": [{"scope": "\xff"}]}}',
    bytes(40), b'{"x": ' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", SPOILT)
def test_a_file_that_cannot_be_read_halts_until_it_is_lifted(tmp_path: Path, text: bytes) -> None:
    """
    Torn or foreign, it is no leave to trade; a pause that is added keeps the halt.
    """
    holds = Holds(tmp_path)
    (tmp_path / FILE).write_bytes(text)
    assert [Mode.HALT] == [hold.mode for hold in holds.read(NOW).latch.holds]
    holds.set(pause())
    assert [Mode.HALT, Mode.REDUCE] == [hold.mode for hold in holds.read(NOW).latch.holds]
    holds.resume(ALL, (Mode.HALT,), why="mended", by="ann", now=NOW)
    assert (pause(),) == holds.read(NOW).latch.holds


def test_pauses_outlive_a_file_that_is_spoilt(tmp_path: Path) -> None:
    """
    latch.json is cut short: everything halts, and after unkill the pause of before still holds, and no lifted one.
    """
    holds = Holds(tmp_path)
    holds.set(pause())
    holds.set(pause("venue:a"))
    holds.resume("token:T", (Mode.REDUCE,), why="seen", by="ann", now=NOW)
    torn = (tmp_path / FILE).read_bytes()[:-20]
    (tmp_path / FILE).write_bytes(torn)
    found = holds.read(NOW).latch
    assert pause("venue:a") in found.holds and pause() not in found.holds
    worst = found.strictest((), NOW)
    assert worst is not None and worst.mode is Mode.HALT
    holds.resume(ALL, (Mode.HALT,), why="looked", by="ann", now=NOW)
    assert (pause("venue:a"),) == holds.read(NOW).latch.holds


def test_whatever_is_named_kill_halts_and_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """
    A folder KILL: a kill is kept beside it, and an unkill says that the halt stays and why.
    """
    holds = Holds(tmp_path)
    (tmp_path / KILL).mkdir()
    holds.kill(halt())
    assert (halt(),) == holds.read(NOW).latch.holds
    with pytest.raises(DataError, match=r"KILL: everything stays halted: Is a directory \(remove it by hand\)"):
        holds.resume(ALL, (Mode.HALT,), why="x", by="ann", now=NOW)
    assert [Mode.HALT] == [hold.mode for hold in holds.read(NOW).latch.holds]


def test_a_folder_that_takes_no_file_is_an_error(tmp_path: Path) -> None:
    """
    A kill that could not be is never silent.
    """
    with pytest.raises(DataError, match="cannot be halted"):
        Holds(tmp_path / "gone").kill(halt())


def test_a_kill_needs_no_file_to_open(tmp_path: Path) -> None:
    """
    A process that may open nothing more halts by the file, says that the latch is not kept, and reads no halt where
    there is none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    holds = Holds(tmp_path)
    holds.set(pause())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with pytest.raises(DataError, match="no file can be opened"):
            holds.read(NOW)
        with pytest.raises(DataError, match="everything is halted, by this file alone: the hold cannot be kept"):
            holds.kill(halt())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert holds.flagged()
    assert [Mode.REDUCE, Mode.HALT] == [hold.mode for hold in holds.read(NOW).latch.holds]


def _die_at(folder: Path, stage: str) -> None:
    """A process that kills, and is killed itself at a stage of the write."""

    class Dies(Holds):
        def _write(self, kept: object) -> None:
            if stage == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if stage == "between":
                (self.state / f"{FILE}.new").write_bytes(b'{"latch"')
                os.kill(os.getpid(), signal.SIGKILL)
            super()._write(kept)  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)

    Dies(folder).kill(halt())


@pytest.mark.parametrize("stage", ["before", "between", "after"])
def test_a_process_that_dies_while_it_kills_has_killed(tmp_path: Path, stage: str) -> None:
    """
    kill -9 before the write, between write and rename, and after it: the halt stands, and an earlier pause with it.
    """
    Holds(tmp_path).set(pause())
    process = multiprocessing.get_context("fork").Process(target=_die_at, args=(tmp_path, stage))
    process.start()
    process.join(20)
    assert -signal.SIGKILL == process.exitcode
    assert [Mode.REDUCE, Mode.HALT] == [hold.mode for hold in Holds(tmp_path).read(NOW).latch.holds]


def test_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    """
    Twenty pauses from twenty threads are twenty holds.
    """
    threads = [threading.Thread(target=Holds(tmp_path).set, args=(pause(f"token:T{n}"),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"token:T{n}" for n in range(20)} == {hold.scope for hold in Holds(tmp_path).read(NOW).latch.holds}


# --- the watchdog


def test_a_loop_that_hangs_is_halted_from_outside(tmp_path: Path) -> None:
    """
    The loop beats once and then hangs: after the limit the file is there, and the hold says for how long it was silent.
    """
    holds = Holds(tmp_path)
    dog = Watchdog(holds, 0.05, monotonic=monotonic_s, clock=wall_ns)
    dog.beat()
    for _ in range(2000):
        if (tmp_path / FILE).exists():
            break
        threading.Event().wait(0.005)
    dog.end()
    (hold,) = holds.read(NOW).latch.holds
    assert (ALL, Mode.HALT, "watchdog") == hold.key
    assert "allowed 0.05 s" in hold.why


def test_a_loop_that_beats_or_has_not_begun_is_left_alone(tmp_path: Path) -> None:
    """
    Before its first beat nobody watches; beating in time it is never halted.
    """
    now = [0.0]
    dog = Watchdog(Holds(tmp_path), 10.0, monotonic=lambda: now[0], clock=wall_ns)
    now[0] = 1e6
    dog.beat()
    dog.end()
    assert not Holds(tmp_path).flagged()


# --- the commands


def test_kill_and_unkill_say_what_is_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    With a reason and without, as text and as JSON; unkill needs one.
    """
    code, out, _ = said(tmp_path, "kill", "--reason", "fire", capsys=capsys)
    assert 0 == code
    assert "all HALT by operator" in out
    assert "fire" in out
    code, out, _ = said(tmp_path, "kill", "--reason", os.fsdecode(b"fire \xff"), capsys=capsys)
    assert (0, True) == (code, "fire \\xff" in out)
    code, out, _ = said(tmp_path, "pause", "venue:a", "--for", "10m", "--json", capsys=capsys)
    told = json.loads(out)
    assert [("all", "HALT"), ("venue:a", "REDUCE")] == [(one["scope"], one["mode"]) for one in told["in_force"]]
    assert pytest.approx(600.0, abs=5) == told["in_force"][1]["until"] - told["in_force"][1]["at"]
    code, _, err = said(tmp_path, "resume", "venue:a", capsys=capsys)
    assert 6 == code
    assert "pegline unkill" in err
    assert 2 == said(tmp_path, "unkill", capsys=capsys)[0]
    assert 2 == said(tmp_path, "unkill", "--reason", " ", capsys=capsys)[0]
    assert 0 == said(tmp_path, "unkill", "--reason", "out", capsys=capsys)[0]
    code, out, _ = said(tmp_path, "resume", "venue:a", capsys=capsys)
    assert (0, True) == (code, "nothing is held back" in out)


@pytest.mark.parametrize("words", [("--state", "state"), ("--config", "config.toml")])
def test_a_kill_never_goes_to_another_folder_than_the_daemons(
    tmp_path: Path, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where the folder takes no file of ours, that is told; nothing is said to be killed, no folder of our own is taken.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lock").touch()
    (tmp_path / "config.toml").write_text('[run]\nstate_dir = "state"\n')
    (tmp_path / "state").chmod(0o500)
    here = len(list(tmp_path.rglob("*")))
    code = main(["kill", *words])
    (tmp_path / "state").chmod(0o700)
    said = capsys.readouterr()
    if (tmp_path / "state" / KILL).exists():  # root may write everywhere
        assert (0, True) == (code, "killed" in said.out)
    else:
        assert (8, "", True) == (code, said.out, "cannot be halted: Permission denied" in said.err)
        assert here == len(list(tmp_path.rglob("*")))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["stat", "file"])
def test_a_kill_in_a_folder_that_is_none_says_so(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A mistyped --state is an error and makes nothing; it never says that something was killed.
    """
    (tmp_path / "file").write_text("")
    code, out, err = said(tmp_path / name, "kill", capsys=capsys)
    assert (2, "") == (code, out)
    assert f"{name} is no folder" in err
    assert ["file"] == [one.name for one in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pause", "tokn:T"), "did you mean token"),
        (("pause", "token:"), "is no scope"),
        (("pause", "venue:a", "--for", "soon"), "no duration"),
        (("resume", "everything"), "is no scope"),
    ],
)
def test_a_scope_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], hint: str
) -> None:
    """
    A slip must not look like a pause.
    """
    code, _, err = said(tmp_path, *words, capsys=capsys)
    assert 2 == code
    assert hint in err
    assert not (tmp_path / FILE).exists()


def test_a_name_that_the_config_does_not_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The example has AAPLx on kraken: AAPLX is nobody, and kraken is a venue.
    """
    example = str(ROOT / "config.example.toml")
    words = ["--state", str(tmp_path), "--config", example]
    assert 2 == main(["pause", "token:AAPLX", *words])
    assert "did you mean token:AAPLx" in capsys.readouterr().err
    for scope in ("token:AAPLx", "venue:kraken", "underlying:AAPL", "issuer:xstocks", "strategy:cross_venue", "all"):
        assert 0 == main(["pause", scope, *words])


def test_without_a_config_and_a_folder_nothing_is_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A kill that would land in some other folder kills nothing: it is refused and says what to name.
    """
    assert 2 == main(["kill", "--config", str(tmp_path / "none.toml")])
    assert "--state DIR" in capsys.readouterr().err


def test_a_config_with_mistakes_stops_no_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Only its state folder is read.
    """
    config = tmp_path / "config.toml"
    config.write_text(f'[run]\nstate_dir = "{tmp_path}/s"\n[nonsense]\nx = 1\n')
    assert 0 == main(["kill", "--config", str(config)])
    assert (tmp_path / "s" / KILL).exists()
