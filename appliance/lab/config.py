"""The box's document for the lab: the user's rules, the lab's interfaces.

The user may give a rule set or a whole box; either is first read as what it is, so that what is wrong with it is told
with its own lines. What it names by relative paths is then named by absolute ones, because the lab's document lies
elsewhere. And the box is taken for one that has stood there for long: within `grace`, it would learn the attackers'
connections.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.box.config import load_box_config
from appliance.lab.network import INSIDE, OUTSIDE
from appliance.rules.document.document import read_document
from appliance.rules.document.load import load_rule_set
from appliance.shipped import DEFAULT_RULES, shipped

BOX_KEYS = frozenset({"interfaces", "metrics", "workers", "program"})
METRICS = ("127.0.0.1", 9478)


def lab_config(config: Path | None) -> dict[str, Any]:
    """The document to run in the lab; `config` is a box, a rule set or None for the default rule set.

    Raises RuleSetRefused if it is not right, CannotRun if there is no default rule set.
    """
    path = (config or shipped(DEFAULT_RULES)).resolve()
    data = read_document(path).data
    is_box = isinstance(data, dict) and BOX_KEYS & data.keys()
    rules = load_box_config(path).rules if is_box else load_rule_set(path)
    tracks = rules is not None and rules.connections is not None
    return {
        "version": 1,
        **_with_absolute_paths(data, path.parent),
        **({"connections": {**data.get("connections", {}), "grace": 0}} if tracks else {}),
        "interfaces": [{"outside": OUTSIDE, "inside": INSIDE, "mode": "inline"}],
        "metrics": {"listen": f"{METRICS[0]}:{METRICS[1]}"},
    }


def _with_absolute_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document with every file that it names as an absolute path."""
    moved = dict(data)
    if "include" in data:
        moved["include"] = [str(folder / name) for name in data["include"]]
    if "sets" in data:
        moved["sets"] = {
            name: {**entry, "file": str(folder / entry["file"])} if entry.get("file") else entry
            for name, entry in data["sets"].items()
        }
    if "program" in data:
        moved["program"] = {**data["program"], "object": str(folder / data["program"]["object"])}
    return moved
