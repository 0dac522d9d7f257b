"""The page of `pegline peg --html`: one file with pictures and tables, which asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from bot.peg_svg import OWN, Track, by_hour, over_time, spells
from monitoring.narrate import utc
from strategies.market.health import BY_SESSION, PARTS

STYLE: Final = """
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#59636e;--line:#d1d9e0;--ink:#0550ae;--bad:#cf222e;
--above:#d4691a;--below:#0a69da;--error:#0550ae22;--pre:#8c959f1c;--night:#57606a30;--week:#57606a4a}
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;--line:#30363d;--ink:#79c0ff;
--bad:#ff7b72;--above:#f0883e;--below:#58a6ff;--error:#79c0ff2b;--pre:#b1bac41a;--night:#b1bac42b;--week:#b1bac440}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:0 auto;max-width:70rem;
padding:1rem}
h1{font-size:1.25rem;margin:0}h2{font-size:1.05rem;margin:1.8rem 0 .2rem}h3{font-size:.95rem;margin:1rem 0 .2rem}
p{margin:.2rem 0}.dim{color:var(--dim)}.bad{color:var(--bad)}section{break-inside:auto}figure{margin:.4rem 0;
break-inside:avoid;overflow-x:auto}figcaption{color:var(--dim);font-size:.85rem}svg{width:100%;min-width:44rem;height:auto;display:block}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;break-inside:avoid;
font-size:.9rem;width:100%}th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right;
white-space:nowrap}th{color:var(--dim);font-weight:600}th:first-child,
td:first-child,.parts th:last-child,.parts td:last-child{text-align:left}
.tick{font-size:11px;fill:var(--dim)}.end{text-anchor:end}.mid{text-anchor:middle}.cell{font-size:11px;fill:var(--fg);text-anchor:middle}
.grid,.day{stroke:var(--line);stroke-width:1}.zero{stroke:var(--dim);stroke-width:1}.premium{fill:none;
stroke:var(--ink);stroke-width:1.2;stroke-linejoin:round}.span{stroke:var(--ink);stroke-width:1.6;opacity:.35;
fill:none}.dot,.scored{fill:var(--ink)}.score{fill:none;stroke:var(--ink);stroke-width:1.4}.error{fill:var(--error)}
.limit{stroke:var(--bad);stroke-width:1;stroke-dasharray:5 3}.spell,.beyond{fill:var(--bad)}.unknown{fill:var(--dim);
opacity:.6}.s-pre,.s-post{fill:var(--pre)}.s-overnight{fill:var(--night)}.s-weekend,.s-holiday,.s-unknown{
fill:var(--week)}.above{fill:var(--above)}.below{fill:var(--below)}.empty{fill:none;stroke:var(--line);
stroke-dasharray:2 3}.key{display:inline-block;width:1.6em;height:.75em;margin:0 .35em 0 .9em;border:1px solid
var(--line);vertical-align:baseline}
@media print{svg{min-width:0}
:root{color-scheme:light;--fg:#000;--bg:#fff;--dim:#444;--line:#bbb;--ink:#0550ae;--bad:#b00;
--above:#d4691a;--below:#0a69da;--error:#0550ae22;--pre:#8c959f1c;--night:#57606a30;--week:#57606a4a}
body{max-width:none;font-size:11px;padding:0}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
h2{break-after:avoid}}
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
MEANS: Final[Mapping[str, str]] = {
    "premium": "median premium of the last window, off its session's ordinary one",
    "spell": "longest time outside its own band",
    "spread": "median spread of bid and ask",
    "depth": "what rests within 1 % of the mid, or at the best prices",
    "drift": "mean premium of a day of windows",
    "reversion": "half-life, lower end of its interval",
    "lead": "who moves first, this venue or the busiest other one",
    "beta": "how closely its moves follow the share's",
    "supply": "tokens over the shares that back them",
    "multiplier": "whether this venue followed the last split",
    "wash": "volume that is no trade",
}


def document(
    title: str, tracks: Mapping[str, Track], found: Sequence[Mapping[str, Any]], *, notes: Sequence[str] = ()
) -> str:
    """The whole page: tracks by the instrument's name, the objects of `--json`, and what should be said above."""
    moments = [int(ts) for track in tracks.values() for ts in (*track.ts[:1], *track.ts[-1:], *track.unknown_ts)]
    start, end = (min(moments), max(moments)) if moments else (0, 1)
    when = f"{utc(start)} to {utc(end)}" if moments else "no print"
    said = "".join(f'<p class="dim">{escape(note)}</p>' for note in notes)
    sections = "".join(
        _section(name, track, [line for line in found if line["instrument"] == name], start, end)
        for name, track in tracks.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p class="dim">{escape(when)}</p>{said}{_key()}{sections}</body></html>'
    )


def _key() -> str:
    """What the colours mean, said once."""
    shades = (("--pre", "pre and post"), ("--night", "overnight"), ("--week", "weekend, holiday"))
    told = "".join(
        f'<span class="key" style="background:var({name})"></span>{escape(word)}'
        for name, word in (*shades, ("--error", "two sigmas of the fair value"), ("--bad", "outside its band"))
    )
    return f'<p class="dim">{told}. Unknown and silent stretches are gaps. Dates and hours are New York\'s.</p>'


def _section(name: str, track: Track, lines: Sequence[Mapping[str, Any]], start: int, end: int) -> str:
    """One token on one venue."""
    whole = lines[0]
    head = f"<h2>{escape(str(whole['token']))} on {escape(name)}</h2>"
    if not len(track.ts):
        return f'<section>{head}<p class="dim">{escape(str(whole["note"]))}</p></section>'
    outside = spells(track)
    worst = max(outside, key=lambda one: one.end - one.start, default=None)
    word = f"{len(outside)} spell{'s' if len(outside) > 1 else ''} outside" if outside else "never outside"
    if worst is not None:
        word += f", the longest {duration((worst.end - worst.start) / 1e9)} from {utc(worst.start)}"
    band = "the given band" if track.band_bps is not None else f"{OWN:g} robust deviations off its session's median"
    since = whole["level_since"]
    level = f"; its level changed last at about {since}" if since and since != utc(int(track.ts[0])) else ""
    return (
        f'<section>{head}<p class="dim">{whole["n"]:,} prints against {escape(str(whole["against"]))}; '
        f"{escape(word)} ({band}){escape(level)}</p>"
        f"<figure>{over_time(track, start, end)}<figcaption>premium, bps"
        f"{'; below, the health score, 50 is ordinary' if track.scores else ''}</figcaption></figure>"
        f"<figure>{by_hour(track)}<figcaption>median premium by hour of the week, bps</figcaption></figure>"
        f"{_sessions(lines)}{_parts(whole)}</section>"
    )


def _sessions(lines: Iterable[Mapping[str, Any]]) -> str:
    """Level, spread and half-life by session."""
    heads = ("session", "prints", "median", "MAD", "95 %", "max", "over 2 sigmas", "outside", "longest", "half-life",
             "95 % interval")  # fmt: skip
    rows = [
        (
            line["session"],
            f"{line['n']:,}",
            number(line["median_bps"], "+.1f"),
            number(line["mad_bps"], ".1f"),
            number(line["p95_abs_bps"], ".1f"),
            number(line["max_abs_bps"], ".1f"),
            share(line["beyond_2_sigmas_share"]),
            share(line["share_outside"]),
            duration(line["longest_outside_s"]),
            duration(line["half_life_s"]),
            interval(line),
        )
        for line in lines
    ]
    return f"<h3>By session</h3>{_table(heads, rows)}"


def _parts(whole: Mapping[str, Any]) -> str:
    """The score and its parts; what is unknown is said to be so."""
    if whole["score"] is None:
        told = "unknown at the end: too little history, or silent"
        return f'<h3>Health</h3><p class="dim">{told}{escape(_asides(whole))}</p>'
    rows = [
        (name, tail(whole["parts"].get(name)), "its session's" if name in BY_SESSION else "all", MEANS[name])
        for name in PARTS
    ]
    heads = ("part", "at least as bad before", "history", "what it is")
    asides = _asides(whole).removeprefix("; ")
    title = f"<h3>Health: {whole['score']:.0f} of 100 (50 is ordinary)</h3>"
    return f'{title}{_table(heads, rows, "parts")}<p class="dim">{escape(asides)}</p>'


def _asides(whole: Mapping[str, Any]) -> str:
    """What is known beside the parts: trends, who leads, how closely it follows."""
    found = []
    for name, word in (("spread_trend_per_day", "spread"), ("depth_trend_per_day", "depth")):
        if (trend := whole[name]) is not None:
            found.append(f"{word} {trend:+.0%} a day")
    if (side := whole["lead_side"]) is not None:
        who = "it leads the busiest other venue" if side > 0 else "the busiest other venue leads"
        lag = f" by about {duration(abs(whole['lead_lag_s']))}" if whole["lead_lag_s"] else ""
        found.append(f"{who}{lag} ({side:+.2f} of 1)")
    if (beta := whole["beta"]) is not None:
        found.append(f"it makes {beta:.2f} of a move of the fair value")
    return "".join(f"; {one}" for one in found)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], name: str = "sessions") -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table class="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def number(value: float | None, form: str) -> str:
    """A number, or a dash where it is absent."""
    return "-" if value is None else format(value, form)


def share(value: float | None) -> str:
    """A share as per cent, or a dash."""
    return "-" if value is None else f"{value:.1%}"


def tail(value: float | None) -> str:
    """How rare a part is."""
    return "unknown" if value is None else f"{value:.1%}"


def interval(line: Mapping[str, Any]) -> str:
    """The half-life's interval, or its lower end alone."""
    if line["half_life_ci_s"] is not None:
        if not line["half_life_ci_s"][0]:
            return f"below {duration(line['half_life_ci_s'][1])}"
        return " to ".join(duration(end) for end in line["half_life_ci_s"])
    above = line["half_life_above_s"]
    return "-" if above is None else f"above {duration(above)}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that a person would use, or a dash."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds / 86_400:.3g}d"
