"""The queries of the committed dashboard, as Grafana would send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DASHBOARD = Path("dashboards/tidegate.json")


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def panels() -> list[dict[str, Any]]:
    """Every panel that is no row."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """(title of the panel, expression), variables still in it."""
    return [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


def substitute(expr: str, variables: Mapping[str, str]) -> str:
    """Put values in the place of Grafana's variables, the longest name first."""
    for name in sorted(variables, key=len, reverse=True):
        expr = expr.replace(f"${name}", variables[name])
    unknown = expr.replace("'$1'", "")  # what label_replace() found
    assert "$" not in unknown, f"an unknown variable in {expr}"
    return expr
