"""`pegline record` as a process: killed in the middle of a stream, on a disk that is full, and taken up again."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bot.cli import main
from bot.clock import sleep, wall_ns
from connectors.errors import TapeError
from connectors.events import NS, Kind, Rows
from connectors.tape import open_tape
from tests.servers.kraken import KrakenServer
from tests.servers.venue import PATIENCE_S

CONFIG = """
schema_version = 1
[run]
state_dir = "{state}"
[venues.kraken]
kind = "cex"
feed = "kraken"
url = "{url}"
key_file = "{key}"
depth_every_s = 0.05
depth_levels = 5
compare_s = inf
[instruments."kraken:TSLAx/USD"]
token = "TSLAx"
issuer = "xstocks"
unit_model = "rebasing"
"""
CANARY = "CANARY-4f1d-secret"
SMALL_DISK = 'ulimit -f 48; export PYTHONDONTWRITEBYTECODE=1; exec "$0" "$@"'
"""Without bytecode: Python would leave half a file of it where all processes look for the whole one."""


def config_at(folder: Path, url: str) -> Path:
    """A config that listens to a local Kraken over its native lane, with a key file beside it."""
    (folder / "kraken.key").write_text(f'key = "{CANARY}"\n')
    (folder / "kraken.key").chmod(0o600)
    path = folder / "config.toml"
    path.write_text(CONFIG.format(state=folder / "state", url=url, key=folder / "kraken.key"))
    return path


class Stream:
    """Sends numbered books as fast as is asked; the size at the best ask is the number."""

    def __init__(self, server: KrakenServer) -> None:
        self.server, self.sent_ns = server, [wall_ns()]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.sent_ns.append(wall_ns())
            number = len(self.sent_ns) - 1
            await self.server.book("TSLAx/USD", bids=[("400.10", f"{number % 7 + 1}")], asks=[("400.30", f"{number}")])
            await sleep(0.003)


@asynccontextmanager
async def recording(*words: str, shell: str = 'exec "$0" "$@"') -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own; it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", shell, sys.executable, "-m", "bot", "record", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def streaming(tmp_path: Path) -> AsyncIterator[tuple[Stream, Path]]:
    """A local Kraken that streams as soon as somebody follows, and a config for it."""
    async with KrakenServer() as server:
        await server.book("TSLAx/USD", bids=[("400.00", "3"), ("399.5", "4")], asks=[("400.50", "2"), ("402", "9")])
        stream = Stream(server)
        sending: asyncio.Task[None] | None = None

        async def begin() -> None:
            await server.follower("TSLAx/USD")
            await stream.run()

        sending = asyncio.create_task(begin())
        try:
            yield stream, config_at(tmp_path, server.url)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def grown(out: Path, rows: int) -> None:
    """Waits until the tape on disk holds more than so many numbered books. Raises TimeoutError."""
    async with asyncio.timeout(3 * PATIENCE_S):
        while len(numbers(out)) <= rows:
            await sleep(0.05)


def numbers(out: Path) -> list[int]:
    """The numbers of the books on the tape, in order."""
    try:
        rows = Rows.join(list(open_tape(out).blocks(["kind", "ask", "ask_size"])))
    except TapeError:  # nothing is flushed yet
        return []
    quotes = (rows.kind == Kind.QUOTE) & (rows.ask == 400.30)
    return rows.ask_size[quotes].astype(int).tolist()  # type: ignore[no-any-return]


async def test_kill_9_loses_at_most_the_last_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Killed while books stream in, the tape verifies and holds every book that was sent until a second before, without
    a hole, with levels and raw frames; started again, it goes on.
    """
    out = tmp_path / "out"
    async with streaming(tmp_path) as (stream, config):
        words = ("--config", str(config), "--out", str(out), "--frames")
        before = 0
        for _ in range(2):
            async with recording(*words) as process:
                await grown(out, before + 300)
                process.kill()
                killed_ns = wall_ns()
                await process.communicate()
            found = numbers(out)[before:]
            assert list(range(found[0], found[-1] + 1)) == found
            lost = [at for at in stream.sent_ns[found[-1] + 1 :] if at < killed_ns]
            spared = (killed_ns - lost[0]) / NS if lost else 0.0
            with capsys.disabled():
                print(f"{len(found)} books on the tape, {len(lost)} lost: those of the last {spared:.2f} s")
            assert spared < 5.0, "one second between flushes, and what a loaded machine takes for one"
            assert await asyncio.to_thread(main, ["tape", "verify", str(out)]) in (0, 5)
            levels = open_tape(out).depth
            assert len(levels) > 5 and levels[len(levels) - 1].asks[0][0] == 400.30
            before += len(found)
    said = capsys.readouterr().out
    assert "corrupt" not in said and "levels_differ" in said
    raw = [line for path in sorted((out / "frames").rglob("*.gz")) for line in _lines(path)]
    books = [json.loads(line["frame"]) for line in raw]
    assert sum(book.get("channel") == "book" for book in books) > 300
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())


def _lines(path: Path) -> list[dict[str, str]]:
    """Whole lines of a file that may be torn."""
    found: list[dict[str, str]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file, suppress(EOFError):
        found.extend(json.loads(line) for line in file)
    return found


async def test_a_full_disk_ends_a_recording_with_one_error(tmp_path: Path) -> None:
    """
    Exit 8 and one line that names the disk; no half file is left and what was flushed is read.
    """
    out = tmp_path / "out"
    async with (
        streaming(tmp_path) as (_, config),
        recording("--config", str(config), "--out", str(out), shell=SMALL_DISK) as process,
        asyncio.timeout(3 * PATIENCE_S),
    ):
        _, err = await process.communicate()
    assert 8 == process.returncode, err.decode()
    said = [line for line in err.decode().splitlines() if "the disk refuses" in line]
    assert 1 == len(said) and "File too large" in said[0]
    assert "Traceback" not in err.decode()
    assert [] == list(out.rglob("*.tmp"))
    found = numbers(out)
    assert len(found) > 50 and list(range(found[0], found[-1] + 1)) == found


async def test_an_out_folder_is_one_recording_at_a_time(tmp_path: Path) -> None:
    """
    Exit 9 while another process records into the same folder.
    """
    out = tmp_path / "out"
    async with streaming(tmp_path) as (_, config), recording("--config", str(config), "--out", str(out)) as process:
        await grown(out, 5)
        again = ["record", "--config", str(config), "--out", str(out), "--seconds", "0.1"]
        assert 9 == await asyncio.to_thread(main, again)
        assert process.returncode is None
