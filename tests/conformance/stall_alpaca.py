"""Alpaca: two shares on one feed, in both codings of its messages."""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.instruments import Instrument
from tests.conformance.stall import Top, oracle, shares
from tests.servers.alpaca import KEY, SECRET, AlpacaServer, latest


async def show(server: AlpacaServer, instrument: Instrument, top: Top) -> None:
    """One quote, which is the latest from then on."""
    sizes = {"bs": int(top.bid_size), "as": int(top.ask_size)}
    server.quotes.setdefault("iex", {})[instrument.symbol] = latest(float(top.bid), float(top.ask), wall_ns(), **sizes)
    await server.quote(instrument.symbol, float(top.bid), float(top.ask), **sizes)


async def follows(server: AlpacaServer, connection: int) -> None:
    """Both symbols are subscribed to on an open connection."""
    await server.until(
        lambda: server.connections >= connection and server.subscribed("TSLA") and server.subscribed("NVDA")
    )


STALLS = tuple(
    oracle(
        name=f"alpaca-{encoding}",
        feed="alpaca",
        server=AlpacaServer,
        instruments=shares("alpaca", "TSLA", "NVDA"),
        show=show,
        follows=follows,
        snapshots=False,
        options={"feed": "iex", "encoding": encoding},
        key={"key": KEY, "secret": SECRET},
        unlisted="NOPE",
    )
    for encoding in ("json", "msgpack")
)
