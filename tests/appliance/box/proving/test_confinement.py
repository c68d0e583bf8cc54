"""What a prover can't do: read from /proc while one lives, and tried from inside of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.box.proving.confinement import Confinement
from appliance.box.proving.errors import ProverDied
from appliance.box.proving.prover import Limits, Prover
from appliance.errors import InputRefused
from tests.appliance.box.proving import rogues
from tests.appliance.box.proving.conftest import rogue
from tests.appliance.box.proving.requests import of_program

SECONDS = 30


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def living() -> Iterator[Path]:
    """/proc of a prover that waits; its parent is the zygote."""
    with rogue("waits") as prover:
        prover.ready()
        zygote = prover.process_id

        def ask() -> None:
            with suppress(ProverDied):
                prover.build(of_program("xdp_pass"), timeout=SECONDS)

        asking = threading.Thread(target=ask)
        asking.start()
        while not (provers := children_of(zygote)) or _status(Path(f"/proc/{provers[0]}"))["Seccomp"] != "2":
            time.sleep(0.01)
        yield Path(f"/proc/{provers[0]}")
    asking.join()


def _status(process: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)


def test_it_has_no_privilege(living: Path) -> None:
    status = _status(living)
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert (status["Seccomp"], status["Threads"]) == ("2", "1")
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
    assert status["Groups"].strip() == ""


def test_it_has_no_descriptor_but_its_conversation(living: Path) -> None:
    found = {int(link.name): str(link.readlink()) for link in (living / "fd").iterdir()}
    assert found.keys() == {0, 1, 2, 3}
    assert found[0] == found[1] == "/dev/null"
    assert found[2].startswith("/memfd:last words")
    assert found[3].startswith("socket:")


def test_it_is_in_a_network_of_its_own(living: Path) -> None:
    for namespace in ("net", "ipc", "uts"):
        assert (living / "ns" / namespace).readlink() != Path(f"/proc/self/ns/{namespace}").readlink()
    assert "eth" not in (living / "net" / "dev").read_text()


def test_its_limits_are_those_it_was_given(living: Path) -> None:
    limits = {
        line[:26].strip(): tuple(line[26:].split()[:2]) for line in (living / "limits").read_text().splitlines()[1:]
    }
    memory = str(Limits().memory)
    assert limits["Max address space"] == (memory, memory)
    assert limits["Max cpu time"] == ("25", "26")
    assert limits["Max open files"] == ("4", "4")
    assert limits["Max processes"] == limits["Max core file size"] == limits["Max locked memory"] == ("0", "0")


def test_it_has_nothing_of_the_environment_that_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_KEY", "secret")
    with Prover() as prover:
        prover.ready()
        assert b"TIDEGATE_KEY" not in Path(f"/proc/{prover.process_id}/environ").read_bytes()


def test_whatever_it_tries_is_refused() -> None:
    with rogue("tries") as prover, pytest.raises(InputRefused) as said:
        prover.build(of_program("xdp_pass"))
    assert said.value.what.splitlines() == [f"{what}: EPERM" for what in rogues.ATTEMPTS]


def test_what_a_kernel_lacks_is_said_in_words() -> None:
    assert Confinement(landlock=7, namespaces=("network",), system_calls=True, user=True).lacks == ()
    assert len(Confinement(landlock=0, namespaces=(), system_calls=False, user=False).lacks) == 4
    old = Confinement(landlock=3, namespaces=("network",), system_calls=True, user=True)
    assert old.lacks == ("Landlock for TCP (Linux 6.7)",)
