"""The paths of a token for a person: the best first, and in a line each why the others are not taken."""

from __future__ import annotations

from itertools import groupby
from textwrap import fill

from bot.tables import print_table, width
from bot.terminal import printable
from monitoring.closing import Closing, DoorLine, HourLine, PremiumLine
from monitoring.narrate import utc
from strategies.closing.path import Path

UNKNOWN = "unknown"


def tell(answer: Closing) -> None:
    """Prints it."""
    opens = "" if not answer.opens_s else f", the share's market opens in {_time(answer.opens_s)}"
    when = f"{utc(answer.at)}, {answer.session} session{opens}"
    _say(f"{printable(answer.asked)}: paths for {answer.size_usd:,.0f} USD, {when}", "")
    for door in answer.doors:
        _say(_door(door), "  ")
        if hours := _hours(door):
            _say(hours, "    ")
    _say(_best(answer), "")
    for line in sorted(answer.premia, key=lambda line: -abs(line.premium_bps or 0.0)):
        print()
        _premium(line)
    if any(not path.refused for line in answer.premia for path in line.paths):
        horizon = "when 99 in 100 are back" if answer.horizon_s is None else f"after {_time(answer.horizon_s)}"
        print()
        _say("edge: expected after all costs and failures; closed by: half of such, nine in ten; worst: 1 in 100", "")
        _say("score: edge less the expected loss, in bps of the locked dollars an hour", "")
        _say(f"a hedge is given up {horizon}", "")


def _best(answer: Closing) -> str:
    """In one sentence what should be done about all of it."""
    found = [(line, line.paths[0]) for line in answer.premia if line.paths]
    free = [one for _, one in found if not one.refused]
    if free:
        best = max(free, key=lambda path: path.score_bps_per_h or 0.0)
        return f"best: {_what(best)}, {_usd(best.edge_usd)} USD after all costs: {_legs(best)} ({_by(best)})"
    known = [one for one in found if one[1].edge_bps is not None]
    if not known:
        return "no path may be taken now"
    line, path = max(known, key=lambda one: one[1].edge_bps or 0.0)
    return f"no path may be taken now; the nearest is {_what(path)} for {printable(line.instrument)},{_edge(path)}"


def _door(door: DoorLine) -> str:
    """One direction of the primary market."""
    what = f"{door.issuer} {'mint ask' if door.mint else 'redeem bid'}"
    if door.closed or door.price_usd is None:
        return f"{what}: none, {printable(door.closed) or UNKNOWN}"
    when = "now" if not door.wait_s else f"in {_time(door.wait_s)}"
    holds = f", holds {_time(door.holds_s)}" if door.holds_s is not None else ""
    age = "" if door.told_s is None else f" {_time(door.told_s)} ago" if door.told_s else " just now"
    whence = f"{door.source}{age}{holds}; delay {_time(door.delay_s)}, {door.delay_from}"
    return f"{what} {door.price_usd:,.2f} USD a share, {when} ({whence})"


def _hours(door: DoorLine) -> str:
    """The hours in which a request is taken on otherwise than now, in runs; empty where all are alike."""

    def kind(hour: HourLine) -> tuple[bool, str]:
        return not hour.wait_s, _time(hour.delay_s)

    runs = [list(run) for _, run in groupby(door.hours, key=kind)]
    if len(runs) < 2:
        return ""
    said = []
    for run in runs:
        price = UNKNOWN if run[0].price_usd is None else f"{run[0].price_usd:,.2f} in {_time(run[0].delay_s)}"
        said.append(f"from {utc(run[0].begins)[11:16]} {'closed' if run[0].wait_s else price}")
    return f"by the hour (UTC): {', '.join(said)}"


def _premium(line: PremiumLine) -> None:
    """One venue's premium, and its paths."""
    if line.premium_bps is None:
        _say(f"{printable(line.instrument)}: no premium is known: {printable(line.unknown)}", "")
        return
    side = "dear" if line.premium_bps > 0 else "cheap"
    usual = f"usually {line.usual_bps or 0:+.1f}, half of the rest is gone in {_time(line.half_life_s)}"
    name, fair = printable(line.instrument), line.fair_usd or 0
    _say(f"{name}: {side}, {line.premium_bps:+.1f} bps over {fair:,.2f} USD ({usual}; {line.half_life_from})", "")
    free = [path for path in line.paths if not path.refused]
    refused = [path for path in line.paths if path.refused]
    if free:
        names = ("", "path", "edge USD", "bps", "closed by", "fails", "USD x h", "worst USD", "score")
        rows = [(str(at), *_row(path)) for at, path in enumerate(free, 1)]
        print_table(names, rows, numbers=names[2:])
        for at, path in enumerate(free, 1):
            _say(f"{at} {_what(path)}: {_legs(path)} ({_by(path)})", "  ")
            _say(_money(path), "      ")
    else:
        print("  no path may be taken" if refused else "  no path is known")
    for why, alike in groupby(refused, key=_why_not):
        said = ", ".join(f"{_what(path)}{_edge(path)}" for path in alike)
        _say(f"no {said}: {printable(why)}", "  ")


def _by(path: Path) -> str:
    """Who would do it."""
    if path.by:
        return f"{path.by} would" if not path.rather else f"{path.by} would: {printable(path.rather)}"
    return f"by hand; {printable(path.rather)}" if path.rather else "by hand: no strategy of this run does"


def _why_not(path: Path) -> str:
    """All that speaks against a path; who it is about stands before it."""
    about = f"{', '.join(path.others)}: "
    return "; ".join([*(why.removeprefix(about) for why in path.refused), *([path.rather] if path.rather else [])])


def _edge(path: Path) -> str:
    """What a refused path would bring, where that is known."""
    return "" if path.edge_bps is None else f" {path.edge_bps:+.1f} bps"


def _what(path: Path) -> str:
    """The way, and who is on the other side."""
    return f"{path.way.value} {printable(', '.join(path.others))}".rstrip()


def _legs(path: Path) -> str:
    return printable(", ".join(path.legs))


def _money(path: Path) -> str:
    """What a path costs, and what is left at risk."""
    costs = _parts(path.costs_usd, "nothing")
    return f"of {path.size_usd:,.0f} USD; costs {costs}; at risk (1 sigma) {_parts(path.risks_usd, 'nothing')}"


def _parts(parts: dict[str, float], none: str) -> str:
    """Each that counts, the largest first."""
    found = sorted(((-abs(usd), name, usd) for name, usd in parts.items() if abs(usd) >= 0.005), key=lambda one: one[0])
    return ", ".join(f"{name.replace('_', ' ')} {usd:,.2f}" for _, name, usd in found) or none


def _row(path: Path) -> tuple[str, ...]:
    close = UNKNOWN if path.close_s is None else f"{_time(path.close_s[1])}, {_time(path.close_s[2])}"
    return (
        path.way.value,
        _usd(path.edge_usd),
        UNKNOWN if path.edge_bps is None else f"{path.edge_bps:+.1f}",
        close,
        UNKNOWN if path.fails is None else f"{path.fails:.1%}",
        UNKNOWN if path.locked_usd_h is None else f"{path.locked_usd_h:,.1f}",
        _usd(path.worst_usd),
        UNKNOWN if path.score_bps_per_h is None else f"{path.score_bps_per_h:+,.1f}",
    )


def _say(text: str, indent: str) -> None:
    """A line, folded where it is long; a name is never cut."""
    print(fill(text, width(), initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False))


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
