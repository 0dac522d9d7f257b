"""The status page: one self-contained HTML document that asks nobody but its own server."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from monitoring.closing import Closing
from monitoring.health import Health
from monitoring.narrate import utc
from monitoring.snapshot import NO_FAIR, Snapshot, TokenLine
from monitoring.tale import moment
from monitoring.words import (
    NONE,
    UNKNOWN,
    age,
    ahead,
    because,
    best_edge,
    distance,
    edge_in_sigmas,
    health_of,
    percent,
    resting,
    share,
    under_way,
    usd,
    width,
)
from monitoring.worst import closing_line

REFRESH_S: Final = 2

_STYLE: Final = """
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#59636e;--line:#d1d9e0;
--good:#116329;--bad:#a40e26;--warn:#7d4e00}
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;--line:#30363d;
--good:#56d364;--bad:#ff7b72;--warn:#e3b341}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);
margin:0 auto;max-width:96rem;padding:1rem}
h1{font-size:1.25rem;margin:0}h2{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.2rem 0}.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--dim);font-weight:600;white-space:normal;vertical-align:bottom}th:first-child,td:first-child,.left,.warn{text-align:left}
td.warn,td.left,td.wrap{white-space:normal}td.warn{min-width:8rem}
@media(max-width:1280px){table{font-size:.85rem}th,td{padding:.25rem .3rem}td.warn{min-width:6rem}}
@media(min-width:900px) and (max-width:1100px){table{font-size:.8rem}}
ol{margin:.2rem 0;padding-left:0;list-style:none}li{border-bottom:1px solid var(--line);padding:.2rem 0}
"""

_SCRIPT: Final = f"""
setInterval(async()=>{{try{{const r=await fetch(location.href,{{cache:"no-store"}});if(!r.ok)throw r;
const d=new DOMParser().parseFromString(await r.text(),"text/html");
document.querySelector("main").replaceWith(d.querySelector("main"))}}
catch(e){{document.querySelector("#state").textContent="no answer from the daemon: this page is old"}}}},
{REFRESH_S * 1000});
"""

_STATES: Final = {"up": "good", "degraded": "warn", "closed": "dim", "down": "bad"}

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
"""Content-Security-Policy of the page: nothing from elsewhere, whatever a venue puts into a name."""


def page(picture: Snapshot, health: Health, closing: Closing | None = None) -> str:
    """The whole document for one picture; `closing` is the answer about the paths of its worst premium."""
    close = "" if closing is None else closing_line(closing)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<noscript><meta http-equiv="refresh" content="{REFRESH_S}"></noscript>'
        f"<title>pegline: {escape(health.status)}</title><style>{_STYLE}</style></head><body>"
        f"<main>{_head(picture, health)}{_premia(picture)}{close}{_beyond(picture)}{_edges(picture)}{_pools(picture)}"
        f"{_told(picture)}{_feeds(picture)}</main>"
        f"<script>{_SCRIPT}</script></body></html>"
    )


def _head(picture: Snapshot, health: Health) -> str:
    tone = {"ready": "good", "degraded": "warn", "down": "bad"}[health.status]
    money = picture.money
    why = "".join(f"<li>{escape(reason)}</li>" for reason in health.reasons)
    reasons = f"<details><summary>{len(health.reasons)} reasons</summary><ol>{why}</ol></details>" if why else ""
    when = f"{utc(picture.now_ns)} · {moment(picture.now_ns)}" if picture.now_ns else "nothing heard yet"
    return (
        f'<h1>pegline <span id="state" class="{tone}">{escape(health.status)}</span></h1>'
        f'<p class="dim">{escape(when)} · session {escape(picture.session)} · mode {escape(picture.mode)}</p>{reasons}'
        f"<p>{money.trades} trades{under_way(money.open_trades, money.naked_usd_s)}, {money.fills} fills · gains "
        f"{usd(money.captured_usd)} · losses {usd(money.lost_usd)} · "
        f"fees {usd(money.fees_usd)} USD · position {usd(money.inventory_usd)} USD</p>"
    )


def _premia(picture: Snapshot) -> str:
    heads = (
        "token",
        "venue",
        "fair value, USD",
        "error",
        "premium",
        "sigmas",
        *(("coin at 1",) if _coins(picture) else ()),
        "executable edge, sigmas",
        "depth in 1 %, USD",
        "age",
        "peg",
        "health",
        "note",
    )
    coins = _coins(picture)
    rows = (_row(line, coins=coins) for line in picture.tokens)
    return f"<h2>Premia</h2>{_table(heads, rows)}"


def _coins(picture: Snapshot) -> bool:
    """Whether a premium depends on the price of a coin."""
    return any(line.premium_at_par_bps != line.premium_bps for line in picture.tokens)


def _beyond(picture: Snapshot) -> str:
    """Tokens over all their venues, and issuers against each other."""
    found = [
        (f"{one.token} on {one.venues} {'venue' if one.venues == 1 else 'venues'}", "fair value", one.premium_bps,
         one.sigmas, one.error_bps, one.spread_bps)
        for one in picture.token_premia
    ]  # fmt: skip
    found += [(one.token, one.over, one.premium_bps, one.sigmas, one.error_bps, None) for one in picture.issuer_premia]
    if not found:
        return ""
    rows = (
        "".join(
            f'<td class="{tone}">{escape(text)}</td>'
            for text, tone in (
                (what, ""),
                (over, "left"),
                (percent(premium), ""),
                (distance(away), ""),
                (width(error), "dim"),
                (NONE if spread is None else width(spread), "dim"),
            )
        )
        for what, over, premium, away, error, spread in found
    )
    heads = ("token", "over", "premium", "sigmas", "one sigma", "of its venues")
    return f"<h2>Tokens and issuers</h2>{_table(heads, rows)}"


def _row(line: TokenLine, *, coins: bool) -> str:
    edge = best_edge(line.sell_edge_bps, line.buy_edge_bps)
    cells = (
        (line.token, ""),
        (line.venue, ""),
        (usd(line.fair_usd), "" if line.fair_usd is not None else "dim"),
        (width(line.error_bps), "dim"),
        (percent(line.premium_bps), "" if line.premium_bps is not None else "dim"),
        (distance(line.sigmas), "" if line.sigmas is not None else "dim"),
        *(((percent(line.premium_at_par_bps), "dim"),) if coins else ()),
        (edge_in_sigmas(edge, line.edge_sigmas), "good wrap" if edge is not None and edge > 0 else "dim wrap"),
        (resting(line.bid_depth_usd, line.ask_depth_usd, complete=line.depth_complete), "dim wrap"),
        (age(line.age_s), ""),
        (line.peg_state, {"pegged": "good", "unknown": "dim"}.get(line.peg_state, "bad")),
        (health_of(line.score, line.rarest), "left" if line.rarest else "dim"),
        (line.reason or (line.not_traded and f"not traded: {line.not_traded}"), "warn"),
    )
    return "".join(f'<td class="{tone}">{escape(text)}</td>' for text, tone in cells)


def _edges(picture: Snapshot) -> str:
    heads = ("share", "fair value, USD", "error", "source", "age", "best edge", "buy on", "sell on", "note")
    rows = (
        "".join(
            f'<td class="{tone}">{escape(text)}</td>'
            for text, tone in (
                (share.underlying, ""),
                (usd(share.fair_usd), ""),
                (width(share.error_bps), ""),
                (f"{share.source} ({share.origin})" if share.origin else share.source, ""),
                (age(share.age_s), ""),
                (percent(share.edge_bps), ""),
                (share.buy, ""),
                (share.sell, ""),
                (
                    (share.unknown and f"{NO_FAIR}: {share.unknown}")
                    or (share.not_tradable and f"not tradable: {share.not_tradable}"),
                    "warn",
                ),
            )
        )
        for share in picture.shares
    )
    return f"<h2>Shares</h2>{_table(heads, rows)}"


def _pools(picture: Snapshot) -> str:
    """Pools with an incentive; nothing where there are none."""
    heads = (
        "token", "venue", "incentive, USD a day", "ends in", "of its income", "break-even", "sold within 1 % now",
        "after the end", "hold at most", "cliff",
    )  # fmt: skip
    rows = (
        "".join(
            f'<td class="{tone}">{escape(text)}</td>'
            for text, tone in (
                (line.token, ""),
                (line.venue, ""),
                (usd(line.incentive_usd_per_day), ""),
                (UNKNOWN if line.days is None else "over" if line.days <= 0 else age(line.days * 86_400), ""),
                (share(line.subsidy_share) or UNKNOWN, ""),
                (usd(line.breakeven_usd_per_day), "dim"),
                (usd(line.exits[0].now_usd), ""),
                (usd(line.exits[0].after_usd), ""),
                (usd(line.cap_usd), ""),
                (line.state, {"clear": "good", "cliff": "bad"}.get(line.state, "dim")),
            )
        )
        for line in picture.pools
    )
    return f"<h2>Pools with an incentive</h2>{_table(heads, rows)}" if picture.pools else ""


def _told(picture: Snapshot) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in reversed(picture.told))
    return f"<h2>What happened</h2><ol>{lines or '<li class=dim>nothing yet</li>'}</ol>"


def _feeds(picture: Snapshot) -> str:
    heads = ("venue", "stream", "state", "why", "messages", "rejected", "reconnects", "clock", "rate budget")
    rows = (
        f"<td>{escape(feed.venue)}</td><td>{escape(feed.feed)}</td>"
        f'<td class="{_STATES.get(feed.stands, "bad")}">{escape(feed.stands)}</td>'
        f'<td class="warn">{escape(because(feed.why))}</td>'
        f"<td>{feed.messages:,}</td><td>{sum(feed.rejected.values()):,}</td><td>{feed.reconnects:,}</td>"
        f"<td>{escape(ahead(feed.offset_s))}</td><td>{escape(share(feed.used_ratio))}</td>"
        for feed in picture.feeds
    )
    barred = [
        f"<td>{escape(one.instrument)}</td>"
        f'<td class="{_STATES.get(one.state, "bad")}">{escape(one.state)}</td>'
        f'<td class="warn">{escape(", ".join(map(because, one.reasons)))}</td>'
        for feed in picture.feeds
        for one in feed.streams
        if one.state != "up"
    ]
    why = f"<h2>Not traded</h2>{_table(('instrument', 'state', 'because'), barred)}" if barred else ""
    return f"<h2>Feeds</h2>{_table(heads, rows)}{why}"


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
