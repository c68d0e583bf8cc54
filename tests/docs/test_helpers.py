"""The document's tables of helpers are the tables that programs meet."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.ebpf.platform import PLATFORMS, WINDOWS, Platform
from appliance.helpers.prototypes import PROTOTYPES
from appliance.helpers.unimplemented import UNIMPLEMENTED
from appliance.helpers.unsupported import FAMILY_UNSUPPORTED, UNSUPPORTED

SECTIONS = {"xdp": "xdp", "cgroup/…": "sock_addr", "sockops": "sock_ops"}
TEXT, _rest = Path("docs/helpers.md").read_text(encoding="utf-8").split("\n## Refused\n")
REFUSED, NOT_YET = _rest.split("\n## Not yet\n")


def test_every_helper_stands_with_its_numbers() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", TEXT, re.MULTILINE)
    written = {
        platform: {(int(row[column], 0), row[0]) for row in rows if row[column] != "–"}
        for column, platform in enumerate(PLATFORMS, 1)
    }
    assert {row[0] for row in rows} == set(PROTOTYPES)
    assert written == {name: _numbers(platform) for name, platform in PLATFORMS.items()}


def _numbers(platform: Platform) -> set[tuple[int, str]]:
    """Every helper's number; of those that have one only at the hooks of their family, that one."""
    families = [own for helpers in platform.family_helpers.values() for own in helpers.items()]
    return {*platform.helpers.items(), *((n, name) for n, name in families if name not in platform.helpers.values())}


def test_every_refused_helper_stands_with_its_reason() -> None:
    rows = re.findall(r"^\| (there [^|]+|the [^|]+) \| ([^|]+) \| ([^|]+) \|$", REFUSED, re.MULTILINE)
    for column, platform in enumerate(PLATFORMS, 1):
        written = {(name, row[0]) for row in rows for name in re.findall(r"`(\w+)`", row[column])}
        families = FAMILY_UNSUPPORTED.get(platform, {}).values()
        assert written == {*UNSUPPORTED[platform].values(), *(refusal for own in families for refusal in own.values())}


def test_every_helper_that_is_missing_is_listed() -> None:
    written: dict[int, str] = {}
    for names, first, last in re.findall(r"^\| (`[^|]+) \| (\d+)(?: to (\d+))? \|", NOT_YET, re.MULTILINE):
        numbers = range(int(first), int(last or first) + 1)
        written.update(zip(numbers, re.findall(r"`(\w+)`", names), strict=True))
    assert written == UNIMPLEMENTED["linux"]
    assert not UNIMPLEMENTED["windows"]


def test_the_numbers_of_every_family_stand_in_the_table() -> None:
    heading, _, *rows = TEXT.partition("\n| windows |")[2].strip().splitlines()
    families = [SECTIONS[name] for name in re.findall(r"`(\S+)`", heading)]
    written = {
        (family, int(row.split("|")[1], 0), name)
        for row in rows
        for family, cell in zip(families, row.split("|")[2:], strict=False)
        for name in re.findall(r"`(\w+)`", cell)
    }
    refused = {family: {n: r.name for n, r in own.items()} for family, own in FAMILY_UNSUPPORTED["windows"].items()}
    tables = (WINDOWS.family_helpers, refused)
    assert written == {(f, n, name) for table in tables for f, own in table.items() for n, name in own.items()}
