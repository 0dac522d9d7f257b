"""The worst premium of a picture and the best path that closes it, as one line of the page."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from monitoring.closing import Closing
from monitoring.snapshot import Snapshot
from monitoring.words import percent
from strategies.closing.path import Path


def worst(picture: Snapshot) -> str:
    """The instrument whose premium is farthest from nothing; empty where none is known."""
    known = [(abs(line.premium_bps), line.instrument) for line in picture.tokens if line.premium_bps is not None]
    return max(known, default=(0.0, ""))[1]


def closing_line(closing: Closing) -> str:
    """What would close it, as HTML with a link to all paths."""
    of = next((one for one in closing.premia if one.instrument == closing.asked), None)
    if of is None or of.premium_bps is None:
        return ""
    best = of.paths[0] if of.paths else None
    told = f"worst premium {of.instrument} {percent(of.premium_bps)}: {_path(best, closing.size_usd)}"
    return f'<p>{escape(told)} · <a href="/paths/{quote(of.instrument, safe="")}.json">all paths</a></p>'


def _path(best: Path | None, size_usd: float) -> str:
    """One path in words."""
    if best is None:
        return "no path is known"
    what = f"{best.way.value} ({'; '.join(best.legs)})"
    if best.refused:
        return f"no path may be taken; {what}: {best.refused[0]}"
    edge = "an edge that is not known" if best.edge_usd is None else f"{best.edge_usd:+,.2f} USD"
    return f"best path {what}: {edge} of {size_usd:,.0f} after costs"
