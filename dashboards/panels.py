"""The kit that the dashboard is made of: four kinds of panel in one look.

    tile      one number, coloured by thresholds: is it well?
    graph     lines over time, one per series: since when, and which?
    gauge     one bar per series, from 0 to 1: how full?
    listing   one row per series: how much, in the time shown?

Every panel has a description: what it shows, and what to do when it looks wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, RED, BLUE, PURPLE, GREY = "green", "yellow", "red", "blue", "purple", "#808080"
Steps = Sequence[tuple[float, str]]
Queries = Mapping[str, str]
PanelBuilder = Builder[models.Panel]


class _Colours(Protocol):
    def override_by_regexp(self, regexp: str, properties: list[models.DynamicConfigValue]) -> object: ...


def tile(
    title: str,
    expr: str,
    description: str,
    *,
    unit: str = "none",
    steps: Steps = (),
    legend: str = "",
    span: int = 4,
) -> stat.Panel:
    """One number. `steps` are (from this value on, colour); below the first step it is green."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(4)
        .span(span)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(options.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query(expr, legend, instant=True))
    )


def words(panel: stat.Panel, meanings: Mapping[str, tuple[str, str]]) -> stat.Panel:
    """Show words for values: `{"1": ("up", GREEN)}`."""
    results = {value: models.ValueMappingResult(text=text, color=color) for value, (text, color) in meanings.items()}
    return panel.mappings([models.ValueMap(options=results)])


def label(panel: stat.Panel) -> stat.Panel:
    """Show the series' legend in place of its value, in no colour that means anything."""
    return panel.text_mode(options.BigValueTextMode.NAME).color_mode(options.BigValueColorMode.NONE)


def graph(
    title: str,
    queries: Queries,
    description: str,
    *,
    unit: str = "pps",
    span: int = 12,
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Lines over time. `queries` are legend → expression; `colours` are pattern of the legend → colour."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(8)
        .span(span)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(40 if stacked else 10)
        .show_points(options.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL if stacked else options.StackingMode.NONE))
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.TABLE)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
    )
    for number, (legend, expr) in enumerate(queries.items()):
        panel.with_target(_query(expr, legend, ref_id=chr(ord("A") + number)))
    _colour(panel, colours or {})
    return panel


def gauge(title: str, legend: str, expr: str, description: str, *, steps: Steps, span: int = 8) -> bargauge.Panel:
    """One bar per series, for shares between 0 and 1."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(8)
        .span(span)
        .unit("percentunit")
        .min(0)
        .max(1)
        .thresholds(_thresholds(steps))
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query(expr, legend, instant=True))
    )


def listing(
    title: str, columns: Mapping[str, str], expr: str, description: str, *, value: str, span: int = 12
) -> table.Panel:
    """A table, one row per series, the largest first. `columns` are label → heading; `value` heads the numbers."""
    names = {**columns, "Value": value}
    order = {name: place for place, name in enumerate(names)}
    organise = models.DataTransformerConfig(
        id_val="organize",
        options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names},
    )
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .height(8)
        .span(span)
        .unit("short")
        .decimals(0)
        .sort_by([common.TableSortByFieldState().display_name(value).desc(True)])
        .with_transformation(organise)
        .with_target(_query(expr, instant=True).format(PromQueryFormat.TABLE))
    )


def _query(expr: str, legend: str = "", *, instant: bool = False, ref_id: str = "A") -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expr).ref_id(ref_id).datasource(DATASOURCE)
    query = query.instant() if instant else query.range()
    return query.legend_format(legend) if legend else query


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    base = models.Threshold(value=None, color=GREEN)
    following = [models.Threshold(value=value, color=color) for value, color in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([base, *following])


def _colour(panel: _Colours, colours: Mapping[str, str]) -> None:
    for pattern, colour in colours.items():
        fixed = models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel.override_by_regexp(pattern, [fixed])
