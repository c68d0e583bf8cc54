"""The document's tables of helpers are the tables that programs meet."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.ebpf.platform import PLATFORMS, Platform
from appliance.helpers.prototypes import PROTOTYPES
from appliance.helpers.refusals import REFUSALS

TEXT, REFUSED = Path("docs/helpers.md").read_text(encoding="utf-8").split("\n## Refused\n")


def test_every_helper_stands_with_its_numbers() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", TEXT, re.MULTILINE)
    written = {
        platform: {int(row[column], 0): row[0] for row in rows if row[column] != "–"}
        for column, platform in enumerate(PLATFORMS, 1)
    }
    assert {row[0] for row in rows} == set(PROTOTYPES)
    assert written == {name: _numbers(platform) for name, platform in PLATFORMS.items()}


def _numbers(platform: Platform) -> dict[int, str]:
    """A helper's number; of those that have one only at the hooks of their family, that one."""
    families = [own for helpers in platform.family_helpers.values() for own in helpers.items()]
    return {number: name for number, name in families if name not in platform.helpers.values()} | dict(platform.helpers)


def test_every_refused_helper_stands_with_its_reason() -> None:
    rows = re.findall(r"^\| (there [^|]+|the [^|]+) \| ([^|]+) \| ([^|]+) \|$", REFUSED, re.MULTILINE)
    for column, platform in enumerate(PLATFORMS, 1):
        written = {(name, row[0]) for row in rows for name in re.findall(r"`(\w+)`", row[column])}
        assert written == set(REFUSALS[platform].values())
