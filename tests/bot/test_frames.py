"""Raw messages beside the tape: as they came, in files that are cut, bounded, whole after a crash, without secrets."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.frames import Frames
from connectors.errors import TapeError
from connectors.events import NS

MIDNIGHT = 1_786_752_000 * NS
"""2026-08-15T00:00Z."""


class Watch:
    """A clock that is set by hand."""

    now = MIDNIGHT

    def __call__(self) -> int:
        return self.now


def frames_at(folder: Path, **more: Any) -> tuple[Frames, Watch]:
    """A keeper of frames and its clock."""
    watch = Watch()
    return Frames(folder, clock=watch, **{"total_bytes": 10**9, **more}), watch


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@settings(max_examples=50, deadline=None)
@given(messages=st.lists(st.one_of(st.text(), st.binary()), max_size=20))
def test_every_message_comes_back_as_it_came(
    tmp_path_factory: pytest.TempPathFactory, messages: list[str | bytes]
) -> None:
    """
    Text, broken text and bytes, in their order and with their time; lines stay lines whatever a message holds.
    """
    folder = tmp_path_factory.mktemp("frames")
    frames, watch = frames_at(folder)
    for at, message in enumerate(messages):
        watch.now = MIDNIGHT + at
        frames.keep("kraken", message)
    frames.write(frames.take())
    files = list(folder.rglob("*.gz"))
    found = [line for file in files for line in lines_of(file)]
    assert [MIDNIGHT + at for at in range(len(messages))] == [line["ts_recv"] for line in found]
    for message, line in zip(messages, found, strict=True):
        raw = message.encode() if isinstance(message, str) else message
        assert raw == (line["frame"].encode() if "frame" in line else base64.b64decode(line["base64"]))
    assert len(messages) == frames.kept["kraken"]


def test_each_venue_and_day_has_its_file(tmp_path: Path) -> None:
    """
    Two venues and a midnight in one batch are four files.
    """
    frames, watch = frames_at(tmp_path)
    for watch.now in (MIDNIGHT - 1, MIDNIGHT):
        for venue in ("kraken", "a/b"):
            frames.keep(venue, "x")
    frames.write(frames.take())
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.gz"))
    assert [f"2026-08-{d}/{v}-00000.jsonl.gz" for d in ("14", "15") for v in ("a_b", "kraken")] == names


def test_files_are_cut_and_the_oldest_go(tmp_path: Path) -> None:
    """
    A file that has reached its size is followed by the next; where all are too large the oldest are removed and
    counted, and the newest messages are always there.
    """
    frames, watch = frames_at(tmp_path, file_bytes=300, total_bytes=1500)
    for watch.now in range(MIDNIGHT, MIDNIGHT + 40):
        frames.keep("kraken", str(watch.now) * 3)
        frames.write(frames.take())
    files = sorted(tmp_path.rglob("*.gz"))
    assert 1500 >= sum(path.stat().st_size for path in files)
    assert frames.removed > 0 and "kraken-00000.jsonl.gz" not in {path.name for path in files}
    found = [line["ts_recv"] for path in files for line in lines_of(path)]
    assert list(range(found[0], MIDNIGHT + 40)) == found


def test_what_a_crash_tore_is_left_and_the_next_file_begun(tmp_path: Path) -> None:
    """
    The whole members of the torn file are read; the run after it writes into a new file.
    """
    frames, _ = frames_at(tmp_path)
    for text in ("one", "two"):
        frames.keep("kraken", text)
        frames.write(frames.take())
    (path,) = tmp_path.rglob("*.gz")
    path.write_bytes(path.read_bytes()[:-5])
    again, _ = frames_at(tmp_path)
    again.keep("kraken", "three")
    again.write(again.take())
    assert ["three"] == [line["frame"] for line in lines_of(path.with_name("kraken-00001.jsonl.gz"))]
    with gzip.open(path, "rt") as file:
        assert "one" == json.loads(next(file))["frame"]


def test_no_secret_reaches_a_file(tmp_path: Path) -> None:
    """
    A venue that repeats the key in text or in bytes is written with the key blotted out.
    """
    frames, _ = frames_at(tmp_path, secrets=("CANARY-123", "CANARY-123-long", ""))
    frames.keep("v", '{"token":"CANARY-123-long"}')
    frames.keep("v", b"\xffCANARY-123\xff")
    frames.write(frames.take())
    (path,) = tmp_path.rglob("*.gz")
    lines = lines_of(path)
    assert '{"token":"***"}' == lines[0]["frame"]
    assert b"\xff***\xff" == base64.b64decode(lines[1]["base64"])


def test_messages_that_wait_for_a_slow_disk_are_bounded(tmp_path: Path) -> None:
    """
    Beyond the bound they are dropped and counted by venue; what waits is written.
    """
    frames, _ = frames_at(tmp_path, held_bytes=10)
    for _ in range(5):
        frames.keep("v", "four")
    assert 3 == frames.dropped["v"]
    frames.write(frames.take())
    assert 2 == frames.kept["v"]
    frames.keep("v", "again")
    assert 3 == frames.dropped["v"]


def test_a_disk_that_refuses_is_a_tape_error(tmp_path: Path) -> None:
    """
    Where nothing can be written the recorder gets the TapeError that ends a recording.
    """
    (tmp_path / "frames").write_text("a file in the way")
    frames, _ = frames_at(tmp_path / "frames")
    frames.keep("v", "x")
    with pytest.raises(TapeError, match="the disk refuses"):
        frames.write(frames.take())
