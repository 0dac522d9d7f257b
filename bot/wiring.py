"""The one place that opens the doors behind the connectors' face: venues, share prices, replay and paper."""

from __future__ import annotations

from bot.clock import wall_ns
from connectors.events import Rows
from connectors.instruments import Role


def fetch_history(
    source: str, symbol: str, *, start_ns: int, end_ns: int, interval: str, role: Role, url: str = ""
) -> tuple[Rows, dict[str, int]]:
    """Past prices from "yahoo" or an exchange of ccxt as rows of instrument 0; and how many were left out, by reason.

    Raises DataError where there is none, ConnectorError as connectors.cex.history and connectors.equity.history.
    """
    if source == "yahoo":
        from connectors.equity.history import bars

        return bars(symbol, start_ns=start_ns, end_ns=end_ns, interval=interval, clock=wall_ns, url=url)
    from connectors.cex.history import candles

    return candles(
        source, symbol, start_ns=start_ns, end_ns=end_ns, interval=interval, role=role, clock=wall_ns, url=url
    )
