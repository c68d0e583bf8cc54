"""An opener as a process of its own: what it holds, and that no interface stays closed behind a box that has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hooks.af_packet.geometry import Geometry
from hooks.errors import HookError
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.isolation_watch import Openings
from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW
from hooks.opener.__main__ import confine
from hooks.opener.start import StartedOpener, start_opener
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from tests.capabilities import requires
from tests.child import in_child
from tests.hooks.interfaces.test_isolation import isolated_settings, snapshot
from tests.netns import Topology

pytestmark = pytest.mark.netns
SMALL = Geometry(receive_slots=64, transmit_slots=32)
BOX = """
import os, signal, sys, time
from pathlib import Path
from hooks.opener.start import start_opener
opener = start_opener(["outside"], ["outside"], state_directory=Path(sys.argv[1]))
opener.isolate("outside").__enter__()
%s
print(opener.process.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def net() -> Iterator[Topology]:
    """A thread that is in the box's namespace."""
    with Topology(ipv6=True) as made, made.box.entered():
        yield made


@pytest.fixture
def opener(net: Topology, tmp_path: Path) -> Iterator[StartedOpener]:
    with start_opener(["outside", "inside"], ["outside"], state_directory=tmp_path) as started:
        yield started


def await_end(process: int, seconds: float = 60.0) -> None:
    """Of a process that somebody else may have to bury."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} has not ended in {seconds} s")


def start_box(net: Topology, state_directory: Path, more: str = "") -> tuple[subprocess.Popen[str], int]:
    """A box that isolates `outside`, and the process of its opener."""
    argv = [sys.executable, "-c", BOX % more, str(state_directory)]
    box = net.box.popen(argv, stdout=subprocess.PIPE, text=True)
    assert box.stdout is not None
    return box, int(box.stdout.readline())


def test_an_opener_has_two_capabilities_and_its_own_descriptors(opener: StartedOpener, tmp_path: Path) -> None:
    with opener.isolate("outside"):
        has = Privileges.of(opener.process.pid)
        kept = {CAP_NET_ADMIN, CAP_NET_RAW}
        assert has.permitted == has.effective == has.bounding == kept
        assert (has.inheritable, has.ambient, has.no_new_privileges) == (frozenset(), frozenset(), True)
        opened = {int(each.name): str(each.readlink()) for each in Path(f"/proc/{opener.process.pid}/fd").iterdir()}
        own = sorted(name.partition(":")[0] for number, name in opened.items() if number > 2)
        directories = [str(tmp_path), "/proc/sys/net/ipv6/conf"]
        assert own == sorted([*directories, str(next(tmp_path.iterdir())), "anon_inode", "socket"])


@requires("Landlock")
def test_an_opener_reaches_no_file_but_its_own(net: Topology, tmp_path: Path) -> None:
    """It is root's user, and files are root's."""
    records = tmp_path / "records"
    records.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("key")
    pattern = Path("/proc/sys/kernel/core_pattern")
    setting = Path("/proc/sys/net/ipv6/conf/outside/disable_ipv6")

    def child() -> list[str]:
        drop_privileges()
        confine(records)
        refused = []
        attempts: dict[str, Callable[[], object]] = {
            "read": secret.read_text,
            "write": lambda: secret.write_text("other"),
            "kernel": lambda: pattern.write_text(pattern.read_text()),
            "execute": lambda: os.execv("/bin/true", ["true"]),
            "record": lambda: (records / "1.json").write_text("{}"),
            "setting": lambda: setting.write_text("1"),
        }
        for name, attempt in attempts.items():
            try:
                attempt()
            except PermissionError:
                refused.append(name)
        return refused

    assert in_child(child) == ["read", "write", "kernel", "execute"]
    assert setting.read_text() == "1\n"


def test_a_box_without_any_privilege_opens_isolates_and_closes_again(net: Topology, tmp_path: Path) -> None:
    frame = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(46)
    with net.outside.packet_socket() as wire:

        def child() -> tuple[frozenset[int], bool, Openings, int]:
            with start_opener(["outside"], ["outside"], state_directory=tmp_path) as opener:
                drop_privileges(account=NOBODY)
                with opener.isolate("outside") as held, opener.open_socket("outside", SMALL, muted=True) as rings:
                    rings.unmute()
                    wire.send(frame)
                    return Privileges.of().effective, held.up, opener.close_again(held), rings.statistics().packets

        before = snapshot(net.box)
        assert in_child(child) == (frozenset(), True, Openings(), 1)
        assert snapshot(net.box) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_interfaces_are_back_when_the_box_is_killed(net: Topology, tmp_path: Path, number: signal.Signals) -> None:
    before = snapshot(net.box)
    box, opener = start_box(net, tmp_path)
    with box:
        assert isolated_settings(net.box) == (True, False, "1")
        box.send_signal(number)
    await_end(opener)
    assert snapshot(net.box) == before
    assert list(tmp_path.iterdir()) == []


def test_a_child_of_the_box_does_not_keep_interfaces_closed(net: Topology, tmp_path: Path) -> None:
    """It has the box's end of the connection as well, and may outlive it."""
    before = snapshot(net.box)
    fork = "child = os.fork()\nif not child:\n    time.sleep(60)\n    os._exit(0)"
    box, opener = start_box(net, tmp_path, fork)
    child = next(each for each in children(box.pid) if each != opener)
    try:
        box.kill()
        await_end(opener)
        assert snapshot(net.box) == before
        assert Path(f"/proc/{child}").exists()
    finally:
        os.kill(child, signal.SIGKILL)
        box.communicate(timeout=10)


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_a_box_that_forgets_its_opener_has_no_interfaces(net: Topology, tmp_path: Path) -> None:
    before = snapshot(net.box)
    opener = start_opener(["outside"], ["outside"], state_directory=tmp_path)
    opener.isolate("outside").__enter__()
    assert snapshot(net.box) != before
    opener.forget()
    assert opener.process.wait(60) == 0
    assert snapshot(net.box) == before
    opener.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_of_a_unit_opens_nothing_before_the_box(
    net: Topology, opener: StartedOpener, number: signal.Signals
) -> None:
    with opener.isolate("outside") as held:
        opener.process.send_signal(number)
        assert opener.close_again(held) == Openings()
        assert isolated_settings(net.box) == (True, False, "1")


def test_what_a_killed_opener_left_is_restored_by_the_next_start(net: Topology, tmp_path: Path) -> None:
    before = snapshot(net.box)
    opener = start_opener(["outside"], ["outside"], state_directory=tmp_path)
    held = opener.isolate("outside").__enter__()
    opener.process.kill()
    opener.process.wait()
    with pytest.raises(HookError, match=r"^the opener has ended: "):
        opener.close_again(held)
    assert snapshot(net.box) != before
    with Isolation("outside", state_directory=tmp_path):
        pass
    assert snapshot(net.box) == before
    with pytest.raises(HookError, match=r"^the opener has ended: "):
        opener.end()


def test_who_has_no_privilege_starts_no_opener(
    net: Topology, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def child() -> tuple[str, int]:
        drop_privileges()
        opener = start_opener(["outside"], ["outside"], state_directory=tmp_path)
        with pytest.raises(HookError) as raised:
            opener.isolate("outside").__enter__()
        return str(raised.value), opener.process.wait(60)

    told, status = in_child(child)
    assert (told.partition(":")[0], status) == ("the opener has ended", 2)
    assert capfd.readouterr().err == (
        "tidegate: opener: privileges can't be given up: Operation not permitted (run as root)\n"
    )


def test_an_opener_that_does_not_end_is_killed(net: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener = start_opener(["outside"], state_directory=tmp_path)
    opener.open_socket("outside", SMALL).close()
    monkeypatch.setattr("hooks.opener.client.REQUEST_SECONDS", 0.1)
    monkeypatch.setattr("hooks.opener.start.REQUEST_SECONDS", 0.1)
    opener.process.send_signal(signal.SIGSTOP)
    with pytest.raises(HookError, match=r"^waited 0 s for the opener to end, and killed it$"):
        opener.end()
    assert opener.process.returncode == -signal.SIGKILL
