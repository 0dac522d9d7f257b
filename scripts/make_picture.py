"""Draws docs/demo.svg, the README's picture: the demo's story and table at a moment of seed 1, from a real run.

Run from the project's root: .venv/bin/python scripts/make_picture.py
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

SEED = 1
UNTIL_NS = 1_788_764_580 * 10**9
"""Monday 7 September 2026, 03:03 in New York: a depeg under way on a holiday."""
LINES = 12


def main() -> None:
    """Runs the world up to the moment and writes the picture."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from bot.paths import prepare_kernel

    prepare_kernel()
    from bot.assembly import assemble
    from bot.commands.demo import demo_config
    from bot.facts import facts_of
    from bot.journal import Journal
    from bot.sessions import load_sessions
    from bot.wiring import paper, simulated_market
    from monitoring.desk import Desk
    from monitoring.view import ledger, premia
    from strategies.base import Step

    config, sessions = demo_config(SEED, None), load_sessions()
    world, _ = simulated_market(SEED, sessions=sessions)
    steps: list[Step] = []
    executor = paper(config, world.universe, SEED)
    parts = assemble(config, world.universe, sessions, Journal(None), executor=executor, on_step=[steps.append])
    desk = Desk(parts.columns, facts=facts_of(config, mode="dry_run", file="demo.toml"))
    parts.engine.advance(world.rows[: int((world.rows.ts_recv < UNTIL_NS).sum())])
    for step in steps:
        desk.on_step(step)
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style="bold"))
    for line in list(desk.story)[-LINES:]:
        tone = {"good": "green", "bad": "red"}.get(line.tone, "")
        console.print(Text(str(line), style=tone, no_wrap=True, overflow="ellipsis"))
    picture = desk.picture()
    console.print(premia(picture))
    console.print(ledger(picture))
    drawn = console.export_svg(title="pegline demo")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # the picture must not call anybody
    drawn = re.sub(r"<!--.*?-->\s*", "", drawn).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    Path("docs/demo.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
