"""The alert rules hold what they promise: promtool's own tests, and a section of the guide for each."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.yaml_files import load

ALERTS = Path("dashboards/alerts.yml")
GUIDE = Path("docs/operators-guide.md")


def alerts() -> list[dict[str, Any]]:
    return [rule for group in load(ALERTS)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "dashboards/alerts.yml"],
        ["check", "config", "dashboards/prometheus.yml"],
        ["test", "rules", "dashboards/alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert "$labels." in alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith((".", "?"))


@pytest.mark.parametrize("name", [alert["alert"] for alert in alerts()])
def test_an_alert_is_tested_and_explained(name: str) -> None:
    assert name in Path("dashboards/alerts_test.yml").read_text()
    assert re.search(rf"^#+ {name}$", GUIDE.read_text(), re.MULTILINE), f"{GUIDE} has no section {name}"
