"""What each process of a running box holds, read from /proc: the table of docs/security.md."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_NICE
from hooks.sandbox.capabilities import NOBODY, Privileges
from hooks.scheduling import leaves_a_processor
from tests.appliance.box.conftest import DROP_NINE, Start, wait_until
from tests.family import family, name_of
from tests.netns import Topology

SECCOMP_FILTER = 2
DOCUMENT = Path("docs/security.md")


@dataclass(frozen=True)
class Holding:
    """One process as /proc tells of it."""

    name: str
    pid: int
    privileges: Privileges
    seccomp: int
    descriptors: frozenset[str]  # beside the standard ones
    executable: frozenset[str]  # what is mapped executable and writable, or without a file

    @classmethod
    def of(cls, pid: int) -> Holding:
        place = Path(f"/proc/{pid}")
        status = (place / "status").read_text()
        found = re.search(r"^Seccomp:\s*(\d)", status, re.MULTILINE)
        assert found
        kinds = frozenset(str(each.readlink()) for each in (place / "fd").iterdir() if int(each.name) > 2)
        maps = [line.split(None, 5) for line in (place / "maps").read_text().splitlines()]
        executable = frozenset(parts[1] for parts in maps if "w" in parts[1] and "x" in parts[1])
        name = (place / "comm").read_text().strip()
        return cls(name, pid, Privileges.of(pid), int(found[1]), kinds, executable)


@pytest.fixture
def held(net: Topology, start: Start) -> dict[str, Holding]:
    box = start(DROP_NINE)

    def all_there() -> bool:
        names = {name_of(pid) for pid in family(box.process.pid)}
        return {"tg-opener", "tg-keeper", "tg-datapath", "tg-provers"} <= names

    wait_until(all_there, 60)
    provers = {pid: Holding.of(pid) for pid in family(box.process.pid)}
    return {each.name if each.pid != box.process.pid else "control": each for each in provers.values()}


def test_each_process_holds_what_the_document_says(held: dict[str, Holding]) -> None:
    assert {name: sorted(each.privileges.effective) for name, each in held.items()} == {
        "control": [],
        "tg-opener": sorted({CAP_NET_ADMIN, CAP_NET_RAW}),
        "tg-keeper": [],
        "tg-datapaths": [],
        "tg-datapath": [],
        "tg-provers": [],
    }
    assert all(each.privileges.no_new_privileges for each in held.values())
    assert all(each.privileges.permitted == each.privileges.effective for each in held.values())
    assert {name for name, each in held.items() if each.privileges.users == {NOBODY.user}} == {
        "tg-datapaths",
        "tg-datapath",
        "tg-provers",
    }


def test_the_datapath_holds_rings_and_nothing_else(held: dict[str, Holding]) -> None:
    datapath = held["tg-datapath"]
    assert datapath.seccomp == SECCOMP_FILTER
    assert not datapath.executable, "memory that is both written and executed"
    known = ("socket:", "anon_inode:[eventfd]", "/#", "/memfd:arena")  # the last two are the arena's file
    assert [each for each in datapath.descriptors if not each.startswith(known)] == []


def test_its_workers_run_first(held: dict[str, Holding]) -> None:
    """Without a capability: the right to it was given to what the zygote forks, if anybody here has it."""
    tasks = [int(task.name) for task in Path(f"/proc/{held['tg-datapath'].pid}/task").iterdir()]
    policies = {os.sched_getscheduler(task) & ~os.SCHED_RESET_ON_FORK for task in tasks}
    granted = CAP_SYS_NICE in Privileges.of().effective and leaves_a_processor(1)
    assert (os.SCHED_RR in policies) == granted


@pytest.mark.parametrize("name", ["control", "opener", "datapath", "keeper", "prover"])
def test_the_document_has_a_row_for_it(name: str) -> None:
    assert re.search(rf"^\| {name}[ ,]", DOCUMENT.read_text(), re.MULTILINE)
