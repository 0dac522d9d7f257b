"""`pegline fit`: parameters of the fair value from a tape, by maximum likelihood."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bot.commands.tape import duration, moment
from bot.errors import UsageError

if TYPE_CHECKING:
    from bot.params_file import ParamsFile

MOST_MOMENTS = 4000
MOST_LINES = 20
EPILOG = """\
For every underlying: how much it moves in a regular day, and for each of its tokens, perps and 24/7 sources the mean,
standard deviation and half-life of the premium and the noise of a print, such that the prints of the tape are most
likely. Where three or more of a kind are fitted, each is pulled to their mean by how little its own prints say. What
the tape does not tell keeps its default and is marked so; what has too few prints is named. Prints far from everything
else are left out and counted. Of a long tape one moment in several is looked at, as is said."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The tape, the span, and where to write."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tape", type=Path, metavar="TAPE", help="folder of a tape")
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME", help="first moment, ISO 8601, UTC")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="moment after the last, ISO 8601, UTC")
    parser.add_argument("--config", type=Path, metavar="FILE", help="its gates and volatilities; else defaults")
    parser.add_argument("--every", type=duration, default="1m", metavar="SPAN", help="one print in each such step (1m)")
    parser.add_argument(
        "--control", type=control, action="append", default=[], metavar="SHARE=OTHER[,OTHER]",
        help="also how far SHARE follows other underlyings of the tape (an index fund, a coin); may be repeated",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write them to a file")
    parser.add_argument("--json", action="store_true", help="what is written, as JSON on stdout")


def control(text: str) -> tuple[str, tuple[str, ...]]:
    """`SHARE=OTHER[,OTHER]` as a share and its controls. Raises ArgumentTypeError."""
    share, _, others = text.partition("=")
    names = tuple(others.split(","))
    if not share or not all(names) or share in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHARE=OTHER[,OTHER]")
    return share, names


def run(args: argparse.Namespace) -> int:
    """Fits, prints and writes. Raises TapeError, ConfigError, UsageError, and DataError where nothing can be fitted."""
    from bot.config import Config
    from bot.config_file import load
    from bot.paths import prepare_kernel
    from connectors.tape import open_tape

    if args.start is not None and args.end is not None and not args.start < args.end:
        raise UsageError("--from must be before --to", where="fit")
    if args.out is not None and not args.out.parent.is_dir():
        raise UsageError(f"there is no folder {args.out.parent}", where="--out")
    config = Config() if args.config is None else load(args.config, credentials=False)
    tape = open_tape(args.tape)
    prepare_kernel()
    from bot.betas import beta, with_betas
    from bot.fit import coarser, file_of, fit, params_of
    from bot.params_file import as_json, write_params
    from bot.prints import read_prints
    from connectors.errors import DataError

    every = round(args.every * 1e9)
    watched = sys.stderr.isatty()

    def progress(line: str) -> None:
        if watched:
            print(f"\r\x1b[K{line} ", end="", file=sys.stderr, flush=True)

    try:
        prints = read_prints(
            tape,
            config,
            every_ns=every,
            start_ns=args.start,
            end_ns=args.end,
            progress=lambda moments: progress(f"reading: {moments:,} moments"),
        )
        controls = {share: beta(prints, share, others) for share, others in args.control}
        prints, thinned = coarser(prints, MOST_MOMENTS)
        found = fit(prints, with_betas(params_of(config), controls), tape=str(args.tape), progress=progress)
    finally:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr)
    told = file_of(found, tape=str(args.tape), every_s=args.every, thinned=thinned)
    if not told.shares:
        shares = prints.universe.underlyings()
        for name in shares[:MOST_LINES]:
            print(f"not fitted: {name}: {told.not_fitted.get(name, 'nothing of it is known')}", file=sys.stderr)
        if len(shares) > MOST_LINES:
            print(f"not fitted: {len(shares) - MOST_LINES} more shares", file=sys.stderr)
        what = "of no share on it are there enough prints" if shares else "there is no share on it"
        raise DataError(f"nothing can be fitted: {what}", where=str(args.tape), hint=f"pegline tape info {args.tape}")
    if args.out is not None:
        write_params(args.out, told)
    if args.json:
        print(as_json(told).decode(), end="")
    else:
        _show(told)
    return 0


def _show(told: ParamsFile) -> None:
    """Tables of shares and instruments, and what could not be fitted."""
    from datetime import UTC, datetime

    from bot.tables import print_table

    def day(ns: int) -> str:
        return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M}"

    rows = []
    for name, share in told.shares.items():
        low, high = share.one_sigma or (share.daily_vol_bps, share.daily_vol_bps)
        vol = f"{share.daily_vol_bps:.0f} [{low:.0f}, {high:.0f}]{' *' if share.default else ''}"
        rows.append((name, vol, f"{share.prints:,}", f"{share.loglik:.1f}", day(share.start_ns), day(share.end_ns)))
    columns: tuple[str, ...] = ("share", "bps a day", "prints", "log-likelihood", "from", "to")
    print_table(columns, rows, numbers=columns[2:4], whole=columns)
    lines = []
    for name, line in told.instruments.items():
        cells = [name]
        for key, value in (("mean_bps", line.mean_bps), ("sd_bps", line.sd_bps), ("noise_bps", line.noise_bps)):
            low, high = line.one_sigma.get(key, (value, value))
            cells.append(f"{value:.1f} [{low:.1f}, {high:.1f}]{' *' if key in line.default else ''}")
        low, high = (t / 60 for t in line.one_sigma.get("half_life_s", (line.half_life_s, line.half_life_s)))
        cells.append(
            f"{line.half_life_s / 60:.3g} [{low:.3g}, {high:.3g}]{' *' if 'half_life_s' in line.default else ''}"
        )
        lines.append(cells)
    columns = ("instrument", "mean premium, bps", "sd, bps", "noise, bps", "half-life, min")
    if lines:
        print()
        print_table(columns, lines, whole=columns[1:])
    for name, share in told.shares.items():
        if share.betas:
            betas = ", ".join(f"{beta:.2f} x {other}" for other, beta in share.betas.items())
            print(f"{name} follows {betas}, which explains {share.explained:.0%} of its variance")
    print("in brackets one sigma; * the tape does not tell it: default, or the mean of its kind", file=sys.stderr)
    for name, count in told.prints_left_out.items():
        print(f"{name}: {count:,} prints too far off to be believed are left out", file=sys.stderr)
    for name, why in told.not_fitted.items():
        print(f"not fitted: {name}: {why}", file=sys.stderr)
    if told.thinned > 1:
        print(f"a long tape: one moment in {told.thinned} was looked at", file=sys.stderr)
