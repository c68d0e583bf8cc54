"""A real Prometheus scrapes a box's metrics server; every panel has data, and every alert can be evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.metrics import BoxCollector, MetricsServer
from tests.dashboards.panels import dashboard, queries, substitute
from tests.dashboards.server import Prometheus
from tests.dashboards.synthetic import snapshots
from tests.yaml_files import load

TWO_SCRAPES = "count_over_time(tidegate_build_info[1m]) >= 2"
EVERY_RULE = "tidegate_rule_packets_total > 0"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with (
        MetricsServer("127.0.0.1", 0, BoxCollector(snapshots())) as server,
        Prometheus(f"127.0.0.1:{server.port}", tmp_path_factory.mktemp("prometheus")) as running,
    ):
        running.wait_for(TWO_SCRAPES)
        running.wait_for(EVERY_RULE)
        yield running


def variables(prometheus: Prometheus) -> dict[str, str]:
    return {"instance": prometheus.target, "__rate_interval": "30s", "__range": "30s"}


@pytest.mark.parametrize(("title", "expr"), queries(), ids=lambda value: value)
def test_a_panel_has_data(prometheus: Prometheus, title: str, expr: str) -> None:
    found = prometheus.query(substitute(expr, variables(prometheus)))
    assert found, title
    assert all(series["value"][1] != "NaN" for series in found), f"{title} divides by zero"


def test_the_reloads_on_the_time_line_can_be_asked_for(prometheus: Prometheus) -> None:
    (annotation,) = (entry for entry in dashboard()["annotations"]["list"] if entry["name"] == "Reloads")
    assert prometheus.query(substitute(annotation["expr"], variables(prometheus))) == []


def test_the_variable_finds_the_box(prometheus: Prometheus) -> None:
    assert [s["metric"]["instance"] for s in prometheus.query("tidegate_build_info")] == [prometheus.target]


def test_every_alert_is_evaluated_without_error(prometheus: Prometheus) -> None:
    written = {rule["alert"] for group in load(Path("dashboards/alerts.yml"))["groups"] for rule in group["rules"]}
    rules = {rule["name"]: rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]}
    assert rules.keys() == written
    for name, rule in rules.items():
        prometheus.query(rule["query"])
        assert rule["health"] != "err", f"{name}: {rule.get('lastError')}"


def test_the_synthetic_box_lacks_nothing_but_peace(prometheus: Prometheus) -> None:
    """Losses alert whoever is told of them; what is well does not."""
    for name in ("TidegateCaptureRingFull", "TidegateTransmitErrors"):
        prometheus.wait_for(f'ALERTS{{alertname="{name}"}}')
    pending = {series["metric"]["alertname"] for series in prometheus.query("ALERTS")}
    assert "TidegateDown" not in pending
    assert "TidegateInterfaceDown" not in pending
