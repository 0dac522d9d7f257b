"""The feed of contracts under a test's hand: it looks at its node when it is told to, and is listened to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bot.clock import wall_ns
from connectors.events import NS, Health, Kind, Row, Why
from connectors.evm.onchain import OnchainFeed
from connectors.instruments import Instrument, Role, UnitModel
from connectors.ports import FeedSetup
from tests.chain.models import Stock
from tests.servers.doors import Doors
from tests.servers.heard import Heard, setup_for

POLL_S = 12.0


class Looks:
    """A feed that looks when it is told to."""

    def __init__(
        self, *instruments: Instrument, url: str, pins: Mapping[tuple[str, str], str] | None = None, **options: object
    ) -> None:
        """Nothing was looked at."""
        self.heard, self.doors = Heard(), Doors(POLL_S)
        self.instruments = instruments
        given = {"poll_s": POLL_S, "verify_s": 1e-9, "max_block_age_s": 1e9, **options}
        server = type("At", (), {"url": url})()
        self.ahead_s = 0.0
        """How far our clock is ahead of the machine's."""
        self.setup: FeedSetup = setup_for(
            server, *instruments, sleep=self.doors.sleep, options=given, pins=pins or {},
            clock=lambda: wall_ns() + round(self.ahead_s * NS),
        )  # fmt: skip
        self.told = 0

    async def look(self) -> list[Row]:
        """One look more; gives the rows that it told."""
        before = len(self.doors.waits)
        if before:
            self.doors.let(POLL_S)
        await self.doors.until(lambda waits: POLL_S in waits[before:])
        rows, self.told = self.heard.rows[self.told :], len(self.heard.rows)
        return rows

    @property
    def state(self) -> tuple[Health, Why] | None:
        """How the first instrument stands."""
        return self.heard.standing.state(0)


@asynccontextmanager
async def looking(
    *instruments: Instrument, url: str, pins: Mapping[tuple[str, str], str] | None = None, **options: object
) -> AsyncIterator[Looks]:
    """The feed, running."""
    looks = Looks(*instruments, url=url, pins=pins, **options)
    numbers = {instrument.name: at for at, instrument in enumerate(instruments)}
    looks.heard.against(numbers.values(), Why.NOT_HEARD)
    running = asyncio.create_task(OnchainFeed(looks.setup).run(looks.heard, numbers))
    try:
        yield looks
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def options_of(stock: Stock) -> dict[str, object]:
    """What a config would say about a token."""
    return {"shares_oracle": stock.helper.address} if stock.issuer == "ondo" else {}


def said(rows: list[Row], kind: Kind) -> list[tuple[float, float]]:
    """Bid and ask of the rows of a kind; absent is -1."""
    return [(row.bid, -1.0 if row.ask != row.ask else row.ask) for row in rows if row.kind is kind]


def eight056(address: str, name: str = "TSLA") -> Instrument:
    """An instrument of an ERC-8056 token."""
    return Instrument(
        venue="chain", symbol=address, role=Role.TOKEN, underlying="TSLA", token=name, issuer="robinhood",
        chain="test", contract=address, unit_model=UnitModel.TOTAL_RETURN,
    )  # fmt: skip
