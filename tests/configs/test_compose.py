"""docker-compose.yml without a docker engine: what it mounts exists, and names, ports and paths agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hooks.interfaces.saved_state import STATE_DIRECTORY
from tests.yaml_files import load

COMPOSE = load(Path("docker-compose.yml"))
BOX, PROMETHEUS, GRAFANA = (COMPOSE["services"][name] for name in ("box", "prometheus", "grafana"))


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Path in the container → path on the host, or name of a volume."""
    return {inside: outside for outside, inside, *_ in (mount.split(":") for mount in service["volumes"])}


def judged_by_the_specification(path: Path) -> subprocess.CompletedProcess[str]:
    """What compose's own schema says of a file: the Compose Specification's, as check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_compose_specification_accepts_it() -> None:
    judged = judged_by_the_specification(Path("docker-compose.yml"))
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stop_grace_period: 10s", "stop_grace_periods: 10s"),  # a key that doesn't exist
        ("read_only: true", "read_only: [true]"),  # a value of another type
        ("start_period: 5s", "start_time: 5s"),  # deeper inside
    ],
)
def test_the_compose_specification_refuses_a_slip(right: str, wrong: str, tmp_path: Path) -> None:
    text = Path("docker-compose.yml").read_text()
    assert right in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(right, wrong))
    judged = judged_by_the_specification(tmp_path / "docker-compose.yml")
    assert judged.returncode == 1
    assert wrong.partition(":")[0] in judged.stdout


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_what_is_mounted_exists(name: str) -> None:
    for outside in mounts(COMPOSE["services"][name]).values():
        if outside.startswith("./"):
            assert Path(outside).exists(), outside
        elif not outside.startswith("/"):
            assert outside in COMPOSE["volumes"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_is_pinned_and_has_no_more_privileges_than_it_needs(name: str) -> None:
    service = COMPOSE["services"][name]
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "pin the version"
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_RAW", "NET_ADMIN"] if name == "box" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["network_mode"] == "host"


def test_the_box_is_the_one_that_is_configured_here() -> None:
    assert BOX["build"] == "."
    listen = load(Path("configs/tidegate.yaml"))["metrics"]["listen"]
    assert f"http://{listen}/metrics" in BOX["healthcheck"]["test"][-1]
    assert mounts(BOX)[str(STATE_DIRECTORY)] == str(STATE_DIRECTORY)
    assert Path(mounts(BOX)["/etc/tidegate"], "tidegate.yaml").exists()
    assert 'CMD ["run", "/etc/tidegate/tidegate.yaml"]' in Path("Dockerfile").read_text()


def test_prometheus_scrapes_the_box() -> None:
    (job,) = load(Path("dashboards/prometheus.yml"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": [load(Path("configs/tidegate.yaml"))["metrics"]["listen"]]}]
    configuration = mounts(PROMETHEUS)
    assert configuration["/etc/prometheus/prometheus.yml"] == "./dashboards/prometheus.yml"
    for file in load(Path("dashboards/prometheus.yml"))["rule_files"]:
        assert configuration[f"/etc/prometheus/{file}"] == f"./dashboards/{file}"


def test_grafana_asks_that_prometheus() -> None:
    (source,) = load(Path("dashboards/grafana/provisioning/datasources/prometheus.yml"))["datasources"]
    assert f"--web.listen-address={source['url'].removeprefix('http://')}" in PROMETHEUS["command"]
    assert source["jsonData"]["timeInterval"] == load(Path("dashboards/prometheus.yml"))["global"]["scrape_interval"]


def test_grafana_finds_the_dashboard() -> None:
    (provider,) = load(Path("dashboards/grafana/provisioning/dashboards/tidegate.yml"))["providers"]
    found = [inside for inside in mounts(GRAFANA) if inside.startswith(provider["options"]["path"])]
    assert found == [GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]]
    assert mounts(GRAFANA)[found[0]] == "./dashboards/tidegate.json"


def test_the_image_copies_what_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in Path(".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for line in Path("Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == kept
    assert all(Path(name).exists() for name in copied)
