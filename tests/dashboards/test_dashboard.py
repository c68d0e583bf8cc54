"""The dashboard is what its code makes, and everything in it can be understood and found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.metrics.collector import FAMILIES
from dashboards import build
from tests.dashboards.panels import DASHBOARD, dashboard, panels, queries

SUFFIX = {"counter": "_total", "gauge": ""}


def exported() -> set[str]:
    """The names of all series of the box itself."""
    return {
        f"tidegate_{family.name}{SUFFIX[family.kind('name', 'help', labels=family.labels).type]}" for family in FAMILIES
    }


def test_the_committed_file_is_what_the_code_makes() -> None:
    assert DASHBOARD.read_text(encoding="utf-8") == build.text(), "run `python -m dashboards.build`"


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expr for _, expr in queries())
    assert {name for name in exported() if not re.search(rf"\b{name}\b", shown)} == set()


def test_every_query_names_metrics_that_exist() -> None:
    asked = {name for _, expr in queries() for name in re.findall(r"tidegate_\w+", expr)}
    process = {name for name in asked if name.startswith("tidegate_process_")}
    assert process == {
        "tidegate_process_cpu_seconds_total",
        "tidegate_process_resident_memory_bytes",
        "tidegate_process_start_time_seconds",
    }
    assert asked - process == exported()


def test_every_query_asks_for_the_chosen_box_alone() -> None:
    for title, expr in queries():
        assert expr.count("instance=") == expr.count("{"), title


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith("."), "say what it shows, and what to do when it looks wrong"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]


def cells(panel: dict[str, Any]) -> Iterator[tuple[int, int]]:
    place = panel["gridPos"]
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = [cell for panel in everything for cell in cells(panel)]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) == 23


def test_the_box_and_the_datasource_can_be_chosen() -> None:
    variables = {variable["name"]: variable for variable in dashboard()["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["instance"]["query"] == "label_values(tidegate_build_info, instance)"
