"""A stall: a venue's local server, the feed that listens to it, and what a test may do to any of them alike.

A file `stall_NAME.py` beside this one holds STALLS, a tuple of them; the suite finds it by its name.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bot.wiring import FEEDS
from connectors.events import Kind, Row
from connectors.instruments import Instrument, Role
from connectors.ports import Feed
from tests.servers.heard import Heard, no_wait, setup_for


class Top(NamedTuple):
    """The best prices of a book and their sizes, as text, so that a server may say them exactly."""

    bid: str
    ask: str
    bid_size: str = "3"
    ask_size: str = "2"


@dataclass(frozen=True, kw_only=True)
class Stall:
    """One connector and its venue."""

    name: str
    feed: str
    """Its name in FEEDS."""
    server: Callable[[], Any]
    instruments: tuple[Instrument, ...]
    """The first is a book in which a test may say anything."""
    show: Callable[[Any, Instrument, Top], Awaitable[None]]
    """From now on the venue's book of an instrument has this top; who follows it is told."""
    follows: Callable[[Any, int], Awaitable[None]]
    """Waits until the n-th connection, or a later one, follows every instrument."""
    kind: Kind = Kind.QUOTE
    sizes: bool = True
    """Whether the venue tells sizes."""
    snapshots: bool = True
    """Whether a venue tells its book to who comes anew; else only what changes from then on."""
    levels: bool = True
    """Whether the venue tells more of a book than its best prices."""
    venue_kind: str = "cex"
    exchange: str = ""
    options: Mapping[str, str | float | bool] = field(default_factory=dict)
    key: Mapping[str, str] = field(default_factory=dict)
    unlisted: str = "NOPE/USD"
    """A symbol that the venue does not have."""
    never: Mapping[str, str] = field(default_factory=dict)
    """Cases of the suite that cannot be for this venue, each with the reason."""
    crossed: str = "crossed"
    """The word under which a crossed book is counted."""
    shown: Callable[[Top], Top] | None = None
    """What a listener should make of a top, where a venue cannot say just any prices and sizes."""
    digits: int = 10
    """To so many digits prices and sizes are compared."""
    sleep: Callable[[float], Awaitable[None]] = no_wait
    """How the feed waits."""

    @property
    def venue(self) -> str:
        """The venue's name."""
        return self.instruments[0].venue

    @property
    def numbers(self) -> dict[str, int]:
        """Each instrument's number."""
        return {i.name: at for at, i in enumerate(self.instruments)}

    def expects(self, top: Top) -> Top:
        """What a listener should make of a top: without sizes where the venue tells none."""
        if self.shown is not None:
            return self.says(*(float(part) for part in self.shown(top)))
        return top if self.sizes else Top(top.bid, top.ask)

    def told(self, row: Row) -> Top:
        """What a row says, in the form of what was shown."""
        return self.says(row.bid, row.ask, row.bid_size, row.ask_size)

    def says(self, bid: float, ask: float, bid_size: float, ask_size: float) -> Top:
        """Numbers in the form of what was shown; sizes that the venue does not tell are the usual ones."""
        sizes = (self._text(bid_size), self._text(ask_size)) if self.sizes else ("3", "2")
        return Top(self._text(bid), self._text(ask), *sizes)

    def feed_of(
        self,
        server: Any,
        *,
        url: str = "",
        extra: tuple[Instrument, ...] = (),
        sleep: Callable[[float], Awaitable[None]] | None = None,
        **setup: Any,
    ) -> Feed:
        """The production feed for the server, or for `url` in front of it."""
        given = {
            "exchange": self.exchange,
            "options": self.options,
            "key": lambda: dict(self.key),
            "compare_s": float("inf"),
            **({"url": url} if url else {}),
            **setup,
        }
        made = setup_for(server, *self.instruments, *extra, sleep=sleep or self.sleep, **given)
        feed: Feed = importlib.import_module(FEEDS[self.feed]).feed(made)
        return feed

    @asynccontextmanager
    async def listening(
        self, server: Any, heard: Heard, *, extra: tuple[Instrument, ...] = (), **setup: Any
    ) -> AsyncIterator[Feed]:
        """That feed, running."""
        numbers = {i.name: at for at, i in enumerate(self.instruments + extra)}
        feed = self.feed_of(server, extra=extra, **setup)
        running = asyncio.create_task(feed.run(heard, numbers))
        try:
            yield feed
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _text(self, number: float) -> str:
        """A number as a server was given it: the shortest text."""
        return f"{number:.{self.digits}g}"


POLLED: Mapping[str, str] = dict.fromkeys(
    ("C03", "C05", "C08"), "it is asked again and again: there is no connection that lasts"
)
"""What cannot be where a venue is polled."""


def shares(venue: str, tsla: str, nvda: str, **more: Any) -> tuple[Instrument, ...]:
    """TSLA and NVDA at a venue that tells prices of shares, by its symbols for them."""
    named = ((tsla, "TSLA"), (nvda, "NVDA"))
    return tuple(Instrument(venue=venue, symbol=s, role=Role.SHARE, underlying=u, **more) for s, u in named)


def oracle(**given: Any) -> Stall:
    """A venue that tells prices of shares: REFERENCE rows, and no book beyond the best prices."""
    return Stall(**{"kind": Kind.REFERENCE, "levels": False, "venue_kind": "oracle", **given})


def stalls() -> tuple[Stall, ...]:
    """Every stall there is, in order of their files' names."""
    package = importlib.import_module("tests.conformance")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("stall_"))
    return tuple(s for name in names for s in importlib.import_module(f"tests.conformance.{name}").STALLS)
