"""Parts that the panels of our boards share: queries, scales, colours, and the words for codes."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
LETTERS: Final = "ABCDEFGHIJ"
GREEN, YELLOW, RED, GREY, BLUE = "green", "yellow", "red", "#808080", "blue"
STATES: Final = {0: ("unknown", GREY), 1: ("pegged", GREEN), 2: ("strained", YELLOW), 3: ("depegged", RED)}
"""Codes of the recorded state series."""

Queries = tuple[tuple[str, str], ...]
"""(expression, legend) of each line."""


def queries(lines: Queries, *, instant: bool = False) -> list[prometheus.Dataquery]:
    """Targets named A, B, ...; a table's are asked for now alone."""
    found = []
    for letter, (expr, legend) in zip(LETTERS, lines, strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(expr).datasource(SOURCE)
        query = query.legend_format(legend) if legend else query
        found.append(query.instant().format(PromQueryFormat.TABLE) if instant else query.range())
    return found


def steps(*pairs: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from a value on."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in pairs])
    )


def mapped(codes: dict[int, tuple[str, str]]) -> list[model.ValueMapping]:
    """Codes as words with colours."""
    return [
        model.ValueMap(
            options={
                str(code): model.ValueMappingResult(text=text, color=colour) for code, (text, colour) in codes.items()
            }
        )
    ]


def tile(title: str, help_: str, expr: str, *, unit: str = "none", bad: float = 1, legend: str = "") -> stat.Panel:
    """One number; red from `bad` on. With a legend its text is shown instead."""
    panel = (
        stat.Panel()
        .title(title)
        .description(help_)
        .unit(unit)
        .thresholds(steps((None, GREEN), (bad, RED)))
        .color_mode(words.BigValueColorMode.VALUE)
        .graph_mode(words.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(4)
        .height(4)
    )
    if legend:
        panel = panel.text_mode(words.BigValueTextMode.NAME)
    return panel.targets(list(queries(((expr, legend),))))


def lines(title: str, help_: str, asked: Queries, *, unit: str, span: int = 12) -> timeseries.Panel:
    """Lines over time; a gap stays a gap, since what is unknown is not drawn."""
    return (
        timeseries.Panel()
        .title(title)
        .description(help_)
        .unit(unit)
        .targets(list(queries(asked)))
        .line_width(1)
        .show_points(words.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(words.LegendDisplayMode.LIST)
            .placement(words.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING))
        .span(span)
        .height(8)
    )


def timeline(
    title: str, help_: str, asked: Queries, codes: dict[int, tuple[str, str]], *, height: int = 8
) -> statetimeline.Panel:
    """Spans of a state over time, one row a series."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(help_)
        .unit("none")
        .mappings(mapped(codes))
        .targets(list(queries(asked)))
        .merge_values(True)
        .show_value(words.VisibilityMode.NEVER)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(80)
        .span(12)
        .height(height)
    )


def grid(title: str, help_: str, asked: Queries, names: dict[str, str]) -> table.Panel:
    """A table of instant values; `names` of its columns by the letter of the query."""
    shown = {f"Value #{letter}": name for letter, name in names.items()}
    return (
        table.Panel()
        .title(title)
        .description(help_)
        .unit("none")
        .targets(list(queries(asked, instant=True)))
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": shown}
            )
        )
        .span(24)
        .height(9)
    )


def set_to(**properties: object) -> list[model.DynamicConfigValue]:
    """Properties of a field override; `custom_x` stands for `custom.x`."""
    return [
        model.DynamicConfigValue(id_val=name.replace("custom_", "custom.", 1), value=value)
        for name, value in properties.items()
    ]
