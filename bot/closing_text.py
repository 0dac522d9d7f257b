"""The paths of a token for a person: the best first, the refused ones with their reasons."""

from __future__ import annotations

from textwrap import fill

from bot.tables import WIDTH, print_table
from bot.terminal import printable
from monitoring.closing import Closing, DoorLine, PremiumLine
from monitoring.narrate import utc
from strategies.closing.path import Path

UNKNOWN = "unknown"


def tell(answer: Closing) -> None:
    """Prints it."""
    opens = "" if not answer.opens_s else f", the share's market opens in {_time(answer.opens_s)}"
    when = f"{utc(answer.at)}, {answer.session} session{opens}"
    print(f"{printable(answer.asked)}: paths for {answer.size_usd:,.0f} USD, {when}")
    for door in answer.doors:
        _say(_door(door), "  ")
    for line in answer.premia:
        print()
        _premium(line)
    if any(line.paths for line in answer.premia):
        print("\nedge: expected after costs and failures; closed by: half, nine in ten; worst: 1 in 100")
        print("score: edge less the expected loss, in bps of the locked dollars an hour")


def _door(door: DoorLine) -> str:
    """One direction of the primary market."""
    what = f"{door.issuer} {'mints at' if door.mint else 'redeems at'}"
    if door.closed or door.price_usd is None:
        return f"{what}: {printable(door.closed) or UNKNOWN}"
    when = "now" if not door.wait_s else f"in {_time(door.wait_s)}"
    return f"{what} {door.price_usd:,.2f} USD a share, {when}, {_time(door.delay_s)} to delivery ({door.source})"


def _premium(line: PremiumLine) -> None:
    """One venue's premium, and its paths."""
    if line.premium_bps is None:
        _say(f"{printable(line.instrument)}: no premium is known: {printable(line.unknown)}", "")
        return
    side = "dear" if line.premium_bps > 0 else "cheap"
    name, fair = printable(line.instrument), line.fair_usd or 0
    print(f"{name}: {side}, {line.premium_bps:+.1f} bps over {fair:,.2f} USD")
    half = _time(line.half_life_s)
    print(f"  usually {line.usual_bps or 0:+.1f} bps; half of the rest is gone in {half} ({line.half_life_from})")
    if not line.paths:
        print("  no path is known")
        return
    names = ("path", "edge USD", "bps", "closed by", "fails", "USD x h", "worst USD", "score")
    print_table(names, [_row(path) for path in line.paths], numbers=names[1:])
    for path in line.paths:
        _say(f"{path.way.value}: {printable('; '.join(path.legs))}", "  ")
        for why in path.refused:
            _say(f"refused: {printable(why)}", "    ")


def _row(path: Path) -> tuple[str, ...]:
    close = UNKNOWN if path.close_s is None else f"{_time(path.close_s[1])}, {_time(path.close_s[2])}"
    fails = UNKNOWN if path.fails is None else f"{path.fails:.1%}"
    return (
        path.way.value + (" (refused)" if path.refused else ""),
        _usd(path.edge_usd),
        UNKNOWN if path.edge_bps is None else f"{path.edge_bps:+.1f}",
        close,
        fails,
        UNKNOWN if path.locked_usd_h is None else f"{path.locked_usd_h:,.1f}",
        _usd(path.worst_usd),
        UNKNOWN if path.score_bps_per_h is None or path.refused else f"{path.score_bps_per_h:+,.1f}",
    )


def _say(text: str, indent: str) -> None:
    """A line, folded where it is long; a name is never cut."""
    print(fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False))


def _usd(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+,.2f}"


def _time(seconds: float | None) -> str:
    """A time in the unit that a person would use."""
    if seconds is None:
        return UNKNOWN
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"
