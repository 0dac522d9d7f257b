"""Raw messages as they came, beside the tape: one compressed file of JSON lines for each venue and day.

    out/frames/2026-11-26/kraken-00000.jsonl.gz     {"ts_recv": 1795708800000000000, "frame": "{\"channel\": ..."}

A line holds the moment of receipt (ns UTC) and the text; what is no text stands in `base64`. Each flush appends a gzip
member of its own, so a crash tears at most the last one. Files are cut at a size, and the oldest go when all of them
together are too large. Messages that we send, where keys travel, never come here; should a venue repeat a key, it is
blotted out.
"""

from __future__ import annotations

import base64
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import TapeError
from connectors.tape_days import day_of
from connectors.tape_format import extend, sync

FILE_BYTES: Final = 64_000_000
"""A file is closed and the next one begun at this size, compressed."""

HELD_BYTES: Final = 64_000_000
"""Messages that may wait for a slow disk; more are dropped and counted."""

_GZIP: Final = 31
"""zlib's word for a window of 15 bits inside a gzip member."""

Batch = Mapping[str, list[tuple[int, str | bytes]]]
"""By venue: moment of receipt and message."""


class Frames:
    """Takes raw messages in the loop, and writes them in the recorder's thread."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int],
        total_bytes: int,
        secrets: Sequence[str] = (),
        file_bytes: int = FILE_BYTES,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        """`clock` gives ns UTC; `secrets` are texts that must not appear in any file."""
        self.folder = folder
        self.kept: Counter[str] = Counter()
        """Messages on disk, by venue."""
        self.dropped: Counter[str] = Counter()
        """Messages that were not kept because the disk was behind, by venue."""
        self.removed = 0
        """Old files that went to make room."""
        self._clock, self._secrets = clock, tuple(sorted((s for s in secrets if s), key=len, reverse=True))
        self._total_bytes, self._file_bytes, self._held_bytes = total_bytes, file_bytes, held_bytes
        self._held: dict[str, list[tuple[int, str | bytes]]] = {}
        self._waiting = 0
        self._files: dict[str, tuple[str, int]] = {}
        """By venue: the day and the number of the file that is written now."""

    def keep(self, venue: str, data: str | bytes) -> None:
        """Takes one message; never waits."""
        if self._waiting + len(data) > self._held_bytes:
            self.dropped[venue] += 1
            return
        self._waiting += len(data)
        self._held.setdefault(venue, []).append((self._clock(), data))

    def take(self) -> Batch:
        """What was kept since the last call."""
        held, self._held, self._waiting = self._held, {}, 0
        return held

    def write(self, batch: Batch) -> None:
        """Makes messages durable. Raises TapeError where the disk refuses; then no half member is left."""
        try:
            for venue, messages in batch.items():
                days: dict[str, list[bytes]] = {}
                for at, data in messages:
                    days.setdefault(day_of(at), []).append(self._line(at, data))
                for day, lines in days.items():
                    _append(self._file(venue, day), lines)
                self.kept[venue] += len(messages)
            self._make_room()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise TapeError(
                f"the disk refuses: {why}", where=str(self.folder), hint="see to the disk and start again"
            ) from error

    def _line(self, at: int, data: str | bytes) -> bytes:
        """One line; every secret is blotted out."""
        try:
            text = data if isinstance(data, str) else data.decode()
        except UnicodeDecodeError:
            assert isinstance(data, bytes)
            for secret in self._secrets:
                data = data.replace(secret.encode(), b"***")
            return msgspec.json.encode({"ts_recv": at, "base64": base64.b64encode(data).decode()}) + b"\n"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return msgspec.json.encode({"ts_recv": at, "frame": text}) + b"\n"

    def _file(self, venue: str, day: str) -> Path:
        """The file that a venue's messages of a day go to now; one that an earlier run left is never gone on with."""
        name = re.sub(r"[^\w.-]", "_", venue)
        folder = self.folder / day
        known = self._files.get(venue)
        if known is None or known[0] != day:
            folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(p.name[len(name) + 1 :].partition(".")[0]) for p in _of(folder, name)]
            known = (day, max(numbers, default=-1) + 1)
        path = folder / f"{name}-{known[1]:05d}.jsonl.gz"
        if path.exists() and path.stat().st_size >= self._file_bytes:
            known = (day, known[1] + 1)
            path = folder / f"{name}-{known[1]:05d}.jsonl.gz"
        self._files[venue] = known
        return path

    def _make_room(self) -> None:
        """Removes the oldest files until all of them fit; those that are written now stay."""
        files = sorted((p for p in self.folder.rglob("*.jsonl.gz")), key=lambda p: (p.stat().st_mtime_ns, p.name))
        sizes = {path: path.stat().st_size for path in files}
        total = sum(sizes.values())
        now = {(day, number) for day, number in self._files.values()}
        for path in files:
            if total <= self._total_bytes:
                return
            if (path.parent.name, int(path.name[:-9].rpartition("-")[2])) not in now:
                path.unlink()
                total -= sizes[path]
                self.removed += 1


def _of(folder: Path, name: str) -> list[Path]:
    """The files of a venue in the folder of a day."""
    return [path for path in folder.iterdir() if re.fullmatch(re.escape(name) + r"-\d+\.jsonl\.gz", path.name)]


def _append(path: Path, lines: Sequence[bytes]) -> None:
    """Adds one gzip member, whole or not at all. Raises OSError."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    data = b"".join([*(packer.compress(line) for line in lines), packer.flush()])
    new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        extend(file, os.fstat(file).st_size, data)
    finally:
        os.close(file)
    if new:
        sync(path.parent)
