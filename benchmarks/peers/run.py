"""Other engines on the same rows, beside the plain loop of the same minutes.

    python -m benchmarks.peers.run                  5 million rows; a table, and JSON as the last line
    python -m benchmarks.peers.run --rows 500000    a shorter look
    python -m benchmarks.peers.run --only hftbacktest

Each peer lives in an environment of its own under .cache/peers, made on first use with the versions named below.
Nothing of theirs is copied into this project. They do more than the job asks: read the last column before the ratios.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import job, measure
from benchmarks.rules import FEE
from benchmarks.run import lists_of, plain_from_tape, tape_of

ENVIRONMENTS: Final = measure.ROOT / ".cache" / "peers"
TOLERANCE_USD: Final = 1e-6


class Peer(NamedTuple):
    """Another engine."""

    name: str
    packages: tuple[str, ...]
    module: str
    models: str
    """What it models in this run that we do not."""


PEERS: Final = (
    Peer(
        "hftbacktest",
        ("hftbacktest==2.4.4", "pyarrow==26.0.1"),
        "benchmarks.peers.hftbacktest_job",
        "depth levels, place in the queue, feed and order latency apart",
    ),
    Peer(
        "nautilus-trader",
        ("nautilus-trader==1.221.0", "pyarrow==26.0.1"),
        "benchmarks.peers.nautilus_job",
        "accounts and margin, order state machines, matching engines, a message bus, money in cents",
    ),
)


QUOTES: Final = Peer(
    "degenbot",
    ("degenbot==0.3.0", "msgspec>=0.22,<0.23"),
    "benchmarks.peers.degenbot_quotes",
    "nothing; it takes part in benchmarks.amm only",
)

CONES: Final = Peer(
    "clarabel",
    ("clarabel==0.11.1", "scipy>=1.14", "numba>=0.68,<0.69", "numpy>=2.2,<2.5", "msgspec>=0.22,<0.23"),
    "benchmarks.peers.clarabel_sizing",
    "nothing; it takes part in benchmarks.sizing only",
)


def environment(peer: Peer) -> Path:
    """The peer's Python, after making its environment where it is absent or of other versions.

    Raises CalledProcessError when it cannot be installed.
    """
    folder = ENVIRONMENTS / peer.name
    python, made = folder / "bin" / "python", folder / "made-for.json"
    wanted = json.dumps(peer.packages)
    if made.exists() and made.read_text() == wanted:
        return python
    print(f"making the environment of {peer.name} ...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "-q", "--python", str(python), *peer.packages]
    else:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *peer.packages]
    subprocess.run(install, check=True)
    made.write_text(wanted)
    return python


def check(answer: dict[str, Any], fills: Sequence[job.JobFill], profit: float) -> str:
    """Says in words whether a peer's fills and profit are the plain loop's."""
    theirs = [tuple(fill) for fill in answer["fills"]]
    ours = [tuple(fill) for fill in fills]
    if theirs != ours:
        at = next((n for n, pair in enumerate(zip(theirs, ours, strict=False)) if pair[0] != pair[1]), "the end")
        return f"fills differ from {at} on ({len(theirs)} against {len(ours)})"
    if abs(answer["profit_usd"] - profit) < TOLERANCE_USD:
        return "same fills, same profit"
    in_cents = profit + sum(fill.price * FEE - round(fill.price * FEE, 2) for fill in fills)
    if abs(answer["profit_usd"] - in_cents) < TOLERANCE_USD:
        return f"same fills; profit {answer['profit_usd']:.2f}, as ours with each fee in whole cents"
    return f"same fills, profit {answer['profit_usd']:.6f} against {profit:.6f}"


def compare(peers: Sequence[Peer], rows: int, seed: int, rounds: int) -> dict[str, Any]:
    """Runs every peer in a process of its own, the plain loop before, between and after."""
    tape = tape_of(rows, seed)
    pythons = {peer.name: environment(peer) for peer in peers}
    lists = lists_of(job.in_ram(rows, seed))
    fills, profit = job.plain_loop(*lists)
    plain: list[float] = []
    whole: list[float] = []
    answers: dict[str, Any] = {}
    for peer in (*peers, None):
        times = measure.interleaved(
            {"excl": lambda: job.plain_loop(*lists), "incl": lambda: plain_from_tape(tape)}, rounds=1
        )
        plain += times["excl"]
        whole += times["incl"]
        if peer is not None:
            print(f"running {peer.name} ...", file=sys.stderr)
            answer = measure.in_process_of_its_own(pythons[peer.name], ["-m", peer.module, str(tape), str(rounds)])
            answer["result"] = check(answer, fills, profit)
            answer["packages"], answer["models"] = peer.packages, peer.models
            del answer["fills"]
            answers[peer.name] = answer
    return {
        "schema": 1,
        "rows": rows,
        "seed": seed,
        "machine": measure.machine(),
        "plain": {
            "fills": len(fills),
            "profit_usd": profit,
            "excl": measure.summary(plain, rows),
            "incl": measure.summary(whole, rows),
        },
        "peers": answers,
    }


def show(report: dict[str, Any]) -> str:
    """The report as a table. `excl`: the run alone; `incl`: with reading Parquet and conversion; no compile time."""
    excl, incl = (report["plain"][kind]["rows_per_s"] for kind in ("excl", "incl"))
    lines = [
        ["plain loop", _million(excl), _million(incl), "1 / 1", "-", "-", f"{report['plain']['fills']} fills", "-"]
    ]
    for name, a in report["peers"].items():
        run = statistics.median(a["run_s"])
        alone, all_in = a["rows"] / run, a["rows"] / (run + a["load_s"])
        lines.append(
            [
                name,
                _million(alone),
                _million(all_in),
                f"{alone / excl:.2f} / {all_in / incl:.2f}",
                f"{a['import_s']:.1f} + {a['compile_s']:.1f}",
                f"{a['peak_rss_mb']:.0f}",
                a["result"],
                a["models"],
            ]
        )
    head = ["engine", "excl rows/s", "incl rows/s", "times plain", "import + JIT s", "peak MB", "result", "models also"]
    return measure.table(head, lines)


def _million(value: float) -> str:
    return f"{value / 1e6:.3f} M"


def main() -> int:
    """Runs what was asked for; exit code 5 when a peer's fills are not the plain loop's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=job.ROWS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[peer.name for peer in PEERS])
    asked = parser.parse_args()
    peers = [peer for peer in PEERS if asked.only in (None, peer.name)]
    report = compare(peers, asked.rows, asked.seed, asked.rounds)
    print(show(report), file=sys.stderr)
    print(json.dumps(report))
    return 0 if all(a["result"].startswith("same fills") for a in report["peers"].values()) else 5


if __name__ == "__main__":
    sys.exit(main())
