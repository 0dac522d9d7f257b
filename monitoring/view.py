"""The live table of a terminal: premia above, the story below."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitoring.narrate import Line, moment
from monitoring.snapshot import Snapshot
from monitoring.words import age, best_edge, percent, usd, width

LINES: Final = 10
"""Lines of the story that stay under the table."""

_TONES: Final = {"good": "green", "bad": "red", "plain": ""}
_SIGNS: Final = {"good": "+", "bad": "!", "plain": "-"}
"""Said beside the colour, so that nothing depends on seeing it."""


def premia(picture: Snapshot) -> Table:
    """The table of one picture; fits 100 columns."""
    when = moment(picture.now_ns) if picture.now_ns else "nothing heard yet"
    table = Table(title=f"{when} · {picture.session}", title_justify="left", pad_edge=False, expand=False)
    for name in ("token", "venue"):
        table.add_column(name, no_wrap=True)
    for name in ("fair USD", "error", "premium", "edge", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("peg", no_wrap=True)
    table.add_column("note", no_wrap=True)
    for line in picture.tokens:
        edge = best_edge(line.sell_edge_bps, line.buy_edge_bps)
        state = {"pegged": "green", "unknown": "dim"}.get(line.peg_state, "bold red")
        table.add_row(
            line.token,
            line.venue,
            usd(line.fair_usd),
            width(line.error_bps),
            percent(line.premium_bps),
            Text(percent(edge), style="green" if edge is not None and edge > 0 else "dim"),
            age(line.age_s),
            Text(line.peg_state, style=state),
            Text(line.reason, style="yellow"),
        )
    return table


def story(lines: Sequence[Line]) -> Text:
    """Lines of the story, each with a sign that says what its colour says."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for line in lines:
        text.append(f"{_SIGNS[line.tone]} {line}\n", style=_TONES[line.tone])
    return text


def ledger(picture: Snapshot) -> str:
    """The paper ledger in one line."""
    money = picture.money
    return (
        f"paper: {money.trades} trades, gains {usd(money.captured_usd)}, losses {usd(money.lost_usd)}, "
        f"fees {usd(money.fees_usd)}, position {usd(money.inventory_usd)} USD"
    )


class LiveView:
    """Shows pictures in place on a terminal; elsewhere it prints the story line by line."""

    def __init__(self, console: Console, *, lines: int = LINES) -> None:
        """`console` should write to stderr: what a program reads goes to stdout."""
        self._console = console
        self._recent: deque[Line] = deque(maxlen=lines)
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
        """Adds lines to the story."""
        self._recent.extend(lines)
        if self._live is None:
            for line in lines:
                self._console.print(f"{_SIGNS[line.tone]} {line}", markup=False, highlight=False, soft_wrap=True)

    def show(self, picture: Snapshot) -> None:
        """Draws a picture; on no terminal it does nothing."""
        if self._live is not None:
            self._live.update(Group(premia(picture), story(tuple(self._recent)), ledger(picture)), refresh=True)
