"""Builds the board "Peg" with Grafana's own kit: `python -m monitoring.grafana.build` writes it anew.

The kit is needed here alone; what it makes is committed, and a test holds one against the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.parts import (
    BLUE,
    GREEN,
    GREY,
    RED,
    SOURCE,
    STATES,
    YELLOW,
    grid,
    lines,
    mapped,
    set_to,
    steps,
    tile,
    timeline,
)  # fmt: skip

HERE: Final = Path(__file__).resolve().parent / "dashboards" / "peg.json"
_MINE: Final = '{token=~"$token"}'
_ONE: Final = '{instrument=~"$instrument"}'
_BY: Final = "token, venue, instrument"
SHADED: Final = (
    ("Regular session", GREEN, "regular"),
    ("Pre, post, overnight", BLUE, "pre|post|overnight"),
    ("Weekend, holiday", GREY, "weekend|holiday"),
)
"""Sessions behind all graphs."""


def _now() -> Iterator[Any]:
    yield tile(
        "Session", "What the share market is doing; off hours the fair value is less sure.",
        "pegline_market_session == 1", legend="{{session}}", bad=2,
    )  # fmt: skip
    yield tile(
        "Tokens depegged", "Tokens that have lost their peg on several venues.",
        'sum(pegline_token_state{state="depegged"}) or vector(0)',
    )  # fmt: skip
    yield tile(
        "Venues strained or depegged", "Places where a token deviates from its peg, whatever the cause.",
        'sum(pegline_peg_state{state=~"strained|depegged"}) or vector(0)',
    )  # fmt: skip
    yield tile("Coins off their dollar", "By the median of ten minutes.", "sum(pegline_stablecoin_depegged)")
    yield tile(
        "Share prices refused", "Sources of a share's price that speak and are not believed.",
        "sum(pegline_reference_refused)",
    )  # fmt: skip
    yield tile(
        "Pools about to lose their depth", "Their incentive ends, and most of their depth is there for it.",
        "sum(pegline_liquidity_cliff) or vector(0)",
    )  # fmt: skip
    asked = (
        (f"max by ({_BY}) (instrument:pegline_peg_state:code{_MINE})", ""),
        (f"max by ({_BY}) (pegline_premium_ratio{_MINE})", ""),
        (f"max by ({_BY}) (pegline_premium_sigmas{_MINE})", ""),
        (f"max by ({_BY}) (pegline_peg_score{_MINE})", ""),
        (f"1000 * max by ({_BY}) (pegline_peg_state_since_timestamp_seconds{_MINE})", ""),
        (f"max by ({_BY}) (pegline_peg_false_alarms_per_month{_MINE})", ""),
    )
    names = {"A": "state", "B": "premium", "C": "sigmas", "D": "health", "E": "since", "F": "false alarms a month"}
    yield (
        grid(
            "Pegs now",
            "Every token at every venue. An empty cell is unknown; false alarms are told while a venue is off.",
            asked,
            names,
        )
        .override_by_name("state", set_to(mappings=mapped(STATES), custom_cellOptions={"type": "color-text"}))
        .override_by_name("premium", set_to(unit="percentunit", decimals=2))
        .override_by_name("sigmas", set_to(decimals=1))
        .override_by_name("health", set_to(decimals=0, min=0, max=100))
        .override_by_name("since", set_to(unit="dateTimeFromNow"))
        .override_by_name("false alarms a month", set_to(decimals=2))
    )


def _premia() -> Iterator[Any]:
    limit = f"pegline_instrument_info{_ONE} * on (token) group_left () "
    asked = (
        (f"pegline_premium_ratio{_ONE}", "premium"),
        (f"3 * pegline_premium_error_ratio{_ONE}", "band, upper"),
        (f"-3 * pegline_premium_error_ratio{_ONE}", "band, lower"),
        (f"{limit}pegline_alert_threshold_ratio", "strained above"),
        (f"-1 * {limit}pegline_alert_threshold_ratio", "strained below"),
        (f"{limit}pegline_depeg_threshold_ratio", "depegged above"),
        (f"-1 * {limit}pegline_depeg_threshold_ratio", "depegged below"),
    )
    dashed = {"fill": "dash", "dash": [6, 6]}
    yield (
        lines(
            "Premium at $instrument",
            "Mid over fair value. Band: three sigmas of the fair value that all other witnesses give, so outside "
            "it the premium is significant; it widens off hours. Dashed: the thresholds of the session, "
            "which hold until it is known what is usual at the venue.",
            asked,
            unit="percentunit",
            span=24,
        )
        .override_by_name("premium", set_to(color={"mode": "fixed", "fixedColor": BLUE}, custom_lineWidth=2))
        .override_by_name("band, upper", set_to(custom_fillBelowTo="band, lower", custom_fillOpacity=15))
        .override_by_regexp("band.*", set_to(color={"mode": "fixed", "fixedColor": GREY}, custom_lineWidth=0))
        .override_by_regexp(
            "strained.*", set_to(color={"mode": "fixed", "fixedColor": YELLOW}, custom_lineStyle=dashed)
        )
        .override_by_regexp("depegged.*", set_to(color={"mode": "fixed", "fixedColor": RED}, custom_lineStyle=dashed))
        .repeat("instrument")
        .repeat_direction("h")
        .max_per_row(3)
    )
    yield lines(
        "Premium in sigmas", "Over one sigma of the fair value; within three it says nothing.",
        ((f"pegline_premium_sigmas{_MINE}", "{{instrument}}"),), unit="none",
    ).thresholds(steps((None, RED), (-3, GREEN), (3, RED)))  # fmt: skip
    yield lines(
        "Median premium of each token", "Over its venues: what one venue does alone does not move it.",
        ((f"token:pegline_premium_ratio:median{_MINE}", "{{token}}"),), unit="percentunit",
    )  # fmt: skip
    yield lines(
        "What a seller gets", "Executable premium at the best quote after all costs.",
        (('pegline_executable_premium_ratio{token=~"$token",side="sell",size="best"}', "{{instrument}}"),),
        unit="percentunit",
    )  # fmt: skip
    yield lines(
        "One sigma of the fair value", "Of each token; it grows with the age of the share's price and off hours.",
        ((f"pegline_fair_price_uncertainty_ratio{_MINE}", "{{token}}"),), unit="percentunit",
    )  # fmt: skip


def _states() -> Iterator[Any]:
    yield timeline(
        "State at each venue", "With hysteresis; unknown is a state, not a gap.",
        ((f"instrument:pegline_peg_state:code{_MINE}", "{{instrument}}"),), STATES, height=10,
    )  # fmt: skip
    yield timeline(
        "State of each token", "Depegged needs two venues on one side, or one with depth where the issuer failed too.",
        ((f"token:pegline_token_state:code{_MINE}", "{{token}}"),), STATES, height=10,
    )  # fmt: skip
    yield timeline(
        "Causes", "Why a token is not pegged: token, venue, stablecoin, reference, multiplier or issuer.",
        ((f"pegline_peg_cause{_MINE}", "{{token}}: {{cause}}"),), {1: ("in force", YELLOW)},
    )  # fmt: skip
    yield timeline(
        "Sessions", "The share prints in 32.5 of 168 hours of a week; the rest is inference.",
        (("pegline_market_session == 1", "{{session}}"),), {1: ("on", BLUE)},
    )  # fmt: skip


def _evidence() -> Iterator[Any]:
    yield lines(
        "Health score", "Each token and venue against its own history: 50 is ordinary, 0 has not been seen.",
        ((f"pegline_peg_score{_MINE}", "{{instrument}}"),), unit="none",
    ).min(0).max(100)  # fmt: skip
    yield lines(
        "Expected false alarms a month", "By the rule's own account, at venues that are off their peg.",
        ((f"pegline_peg_false_alarms_per_month{_MINE}", "{{instrument}}"),), unit="none",
    )  # fmt: skip
    yield timeline(
        "Share prices refused", "A source that repeats itself, is crossed, wide, halted or outvoted.",
        (("max by (source) (pegline_reference_refused)", "{{source}}"),), {0: ("believed", GREEN), 1: ("refused", RED)},
    )  # fmt: skip
    yield lines(
        "Rows and messages refused", "What was not believed in five minutes; outliers and frozen prices are here.",
        (("sum by (venue, reason) (increase(pegline_feed_rejected_messages_total[5m]))", "{{venue}}: {{reason}}"),),
        unit="none",
    )  # fmt: skip
    yield lines(
        "Coins against their dollar", "What a token is quoted in; a coin off its dollar is no depeg of the token.",
        (("pegline_stablecoin_price_usd - 1", "{{stablecoin}}"),), unit="percentunit",
    )  # fmt: skip
    yield lines(
        "Depth", "USD within 1 % of the mid, or at the best quote where no levels are kept: at least so much.",
        (
            (
                f'sum by ({_BY}) (pegline_depth_usd{{token=~"$token",band="0.01"}}) '
                f"or sum by ({_BY}) (pegline_quote_size_usd{_MINE})",
                "{{instrument}}",
            ),
        ),
        unit="currencyUSD",
    )  # fmt: skip
    yield lines(
        "Changes of state, active and shadow rule", "The candidate rule sees the same and alerts nobody.",
        (
            ("sum(increase(pegline_peg_changes_total[$__range])) or vector(0)", "active"),
            ("sum(increase(pegline_shadow_peg_changes_total[$__range])) or vector(0)", "shadow"),
        ),
        unit="none",
    )  # fmt: skip


def board() -> dict[str, Any]:
    """The board as Grafana reads it."""
    made = (
        dashboard.Dashboard("Peg")
        .uid("pegline-peg")
        .description("Whether tokenized shares hold their peg, how sure that is, and why not.")
        .tags(["pegline"])
        .timezone("utc")
        .refresh("30s")
        .time("now-24h", "now")
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for name, query in (
        ("token", "label_values(pegline_peg_state, token)"),
        ("instrument", 'label_values(pegline_peg_state{token=~"$token"}, instrument)'),
    ):
        made = made.with_variable(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .query(query)
            .datasource(SOURCE)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .current(model.VariableOption(text="All", value="$__all"))
        )
    number = 0
    for title, panels in (
        ("Now", _now()),
        ("Premia in their bands", _premia()),
        ("States, causes, sessions", _states()),
        ("Health and evidence", _evidence()),
    ):
        number += 1
        made = made.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            made = made.with_panel(panel.id(number).datasource(SOURCE))
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(made.build()))
    plain["annotations"] = {"list": [_shade(*one) for one in SHADED]}
    return plain


def _shade(name: str, colour: str, sessions: str) -> dict[str, Any]:
    """An annotation that shades a session. The kit does not know what Prometheus adds to one: step and title."""
    expr = f'pegline_market_session{{session=~"{sessions}"}} == 1'
    query = dashboard.AnnotationQuery().name(name).datasource(SOURCE).icon_color(colour).enable(True).expr(expr)
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(query.build()))
    return {**plain, "titleFormat": "{{session}}", "step": "60s"}


def text() -> str:
    """The board as it is committed."""
    return json.dumps(board(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    HERE.write_text(text(), encoding="utf-8")
