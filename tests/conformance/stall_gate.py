"""Gate: two xStocks in USDT, and two contracts on them, whose sizes come in contracts of a hundredth."""

from __future__ import annotations

from connectors.instruments import Instrument, Role
from tests.conformance.stall import Stall, Top
from tests.servers.gate import FUTURES, GateServer

TSLA = Instrument(venue="gate", symbol="TSLAX/USDT", role=Role.TOKEN, token="TSLAx", underlying="TSLA", quote="USDT")
NVDA = Instrument(venue="gate", symbol="NVDAX/USDT", role=Role.TOKEN, token="NVDAx", underlying="NVDA", quote="USDT")
PERPS = tuple(
    Instrument(venue="gate", symbol=f"{name}X/USDT:USDT", role=Role.PERP, underlying=name, quote="USDT")
    for name in ("TSLA", "NVDA")
)


async def show(server: GateServer, instrument: Instrument, top: Top) -> None:
    """The change that leads to a book of one level a side."""
    name = instrument.symbol.replace("/", "_")
    await server.whole(name, bids=[(top.bid, top.bid_size)], asks=[(top.ask, top.ask_size)])


async def follows(server: GateServer, connection: int) -> None:
    """Both books are followed."""
    for name in ("TSLAX_USDT", "NVDAX_USDT"):
        await server.follower(name, connection)


async def show_contract(server: GateServer, instrument: Instrument, top: Top) -> None:
    """As `show`, in contracts."""
    name = instrument.symbol.partition(":")[0].replace("/", "_")
    sizes = [f"{float(size) * 100:g}" for size in (top.bid_size, top.ask_size)]
    await server.whole(name, bids=[(top.bid, sizes[0])], asks=[(top.ask, sizes[1])], market=FUTURES)


async def follows_contract(server: GateServer, connection: int) -> None:
    """Both contracts' books are followed, and told once more: the REST book is asked for at the first change."""
    for name in ("TSLAX_USDT", "NVDAX_USDT"):
        await server.follower(name, connection, market=FUTURES)


def contracts() -> GateServer:
    """A Gate with two contracts."""
    return GateServer(futures=("TSLAX_USDT", "NVDAX_USDT"))


STALLS = (
    Stall(
        name="gate by ccxt",
        feed="ccxt",
        server=GateServer,
        instruments=(TSLA, NVDA),
        show=show,
        follows=follows,
    ),
    Stall(
        name="gate contracts by ccxt",
        feed="ccxt",
        server=contracts,
        instruments=PERPS,
        show=show_contract,
        follows=follows_contract,
        snapshots=False,
        options={"funding_s": float("inf")},
    ),
)
