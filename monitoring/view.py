"""The live table of a terminal: the story scrolls by above, premia stand below."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitoring.narrate import Line
from monitoring.snapshot import Snapshot
from monitoring.tale import moment
from monitoring.words import age, best_edge, distance, percent, under_way, usd, width

_TONES: Final = {"good": "green", "bad": "red", "plain": ""}
_SIGNS: Final = {"good": "+", "bad": "!", "plain": "-"}
"""Said beside the colour, so that nothing depends on seeing it."""


def premia(picture: Snapshot) -> Table:
    """The table of one picture; fits 80 columns."""
    when = moment(picture.now_ns) if picture.now_ns else "nothing heard yet"
    title = f"{when} · {picture.session}"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, expand=False
    )
    for name in ("token", "venue"):
        table.add_column(name, no_wrap=True)
    for name in ("fair USD", "error", "premium", "sigmas", "edge", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("peg", no_wrap=True)
    for line in picture.tokens:
        edge = best_edge(line.sell_edge_bps, line.buy_edge_bps)
        state = "yellow" if line.reason else {"pegged": "green", "unknown": "dim"}.get(line.peg_state, "bold red")
        table.add_row(
            line.token,
            line.venue,
            usd(line.fair_usd),
            width(line.error_bps),
            percent(line.premium_bps),
            distance(line.sigmas),
            Text(percent(edge), style="green" if edge is not None and edge > 0 else "dim"),
            age(line.age_s),
            Text(line.reason or line.peg_state, style=state),
        )
    return table


def ledger(picture: Snapshot) -> str:
    """The paper ledger in one line."""
    money = picture.money
    open_trades = under_way(money.open_trades, money.naked_usd_s)
    return (
        f"paper: {money.trades} trades{open_trades}, gains {usd(money.captured_usd)}, "
        f"losses {usd(money.lost_usd)}, fees {usd(money.fees_usd)}, position {usd(money.inventory_usd)} USD"
    )


class LiveView:
    """Shows pictures in place on a terminal; elsewhere it prints the story line by line."""

    def __init__(self, console: Console) -> None:
        """`console` should write to stderr: what a program reads goes to stdout."""
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        """Takes the screen."""
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the screen back."""
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def tell(self, lines: Sequence[Line]) -> None:
        """Adds lines to the story, each with a sign that says what its colour says."""
        for line in lines:
            text = Text(f"{_SIGNS[line.tone]} {line}", style=_TONES[line.tone])
            self._console.print(text, highlight=False, soft_wrap=self._live is None)

    def show(self, picture: Snapshot) -> None:
        """Draws a picture; on no terminal it does nothing."""
        if self._live is not None:
            self._live.update(Group(premia(picture), Text(ledger(picture))), refresh=True)
