"""Between check and use: what a second thread writes meanwhile is never what is done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hooks.seccomp.landlock import knows_of_networks
from tests.capabilities import Capability, require, requires
from tests.guarding import CASES, guard

pytestmark = requires("root", "seccomp's listeners", "clang")
SECONDS = 3


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("race") / "race"
    source = CASES / "guard" / "race.c"
    subprocess.run(["clang", "-O1", "-pthread", "-o", program, source], check=True)
    return program


def run(race: Path, *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, int, int]:
    """Only the raced call is judged: who is to be connected to must be bound."""
    options = (*options, "--quiet", "--program", f"{arguments[0]}4")
    ended = guard("binds_and_connects", str(race), *arguments, str(SECONDS), options=options)
    assert ended.status == 0, ended
    permitted, denied, won = map(int, ended.out.split())
    return permitted, denied, won


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("call", ["bind", "connect"])
def test_memory_that_changes_under_a_call(race: Path, call: str, kind: str) -> None:
    permitted, denied, won = run(race, call, "memory", kind)
    assert (permitted > 20, denied > 20) == (True, True), (permitted, denied)
    assert won == 0


@pytest.mark.parametrize("call", ["bind", "connect"])
def test_a_descriptor_that_changes_under_a_call(race: Path, call: str) -> None:
    """The guard lets calls about Unix sockets go on; Landlock refuses what they became."""
    lack = None if knows_of_networks() else "this kernel's is not there, or old"
    require(Capability("Landlock with networks", lambda: lack))
    _, denied, won = run(race, call, "descriptor", "tcp")
    assert denied > 20
    assert won == 0


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("call", ["bind", "connect"])
def test_strictly_no_descriptor_changes_under_a_call(race: Path, call: str, kind: str) -> None:
    """Where Landlock isn't there, and for UDP, of which it knows nothing (with Landlock out of the way: open)."""
    _, denied, won = run(race, call, "descriptor", kind, options=("--strict", "--on-failure", "open"))
    assert denied > 20
    assert won == 0
