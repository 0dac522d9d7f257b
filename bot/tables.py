"""Prints tables for people: at most 100 columns wide, colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from shutil import get_terminal_size
from types import MappingProxyType
from typing import Literal, TextIO

WIDTH = 100


def width(out: TextIO | None = None) -> int:
    """Columns that may be used: those of the terminal, at most WIDTH."""
    stream = out or sys.stdout
    return min(get_terminal_size().columns, WIDTH) if stream.isatty() else WIDTH


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
    styles: Mapping[str, Sequence[str]] = MappingProxyType({}),
    out: TextIO | None = None,
) -> None:
    """Writes a table to `out` (default: stdout); the columns named in `numbers` stand to the right.

    Long cells are folded, never cut; those of the columns named in `whole` (addresses) stay on one line. `styles`
    gives the cells of a column a style each, in order. Rich is imported here, so that commands start fast.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = out or sys.stdout
    console = Console(file=stream, color_system="auto" if stream.isatty() else None, soft_wrap=False, highlight=False)
    console.width = width(stream)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title=title or None,
        title_justify="left",
        title_style="bold",
    )
    for column in columns:
        side: Literal["left", "right"] = "right" if column in numbers else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column in whole)
    for at, row in enumerate(rows):
        table.add_row(
            *(
                Text(cell, style=styles[name][at] if name in styles else "")
                for name, cell in zip(columns, row, strict=True)
            )
        )
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    print("\n".join(lines).strip("\n"), file=stream)
