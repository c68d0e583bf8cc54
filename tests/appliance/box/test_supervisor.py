"""A worker that hangs or has died is seen and told, and ends the box unless it is to stay."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.box.supervisor import (
    DEAD_LOOKS,
    HUNG_SECONDS,
    LOOK_SECONDS,
    Condition,
    Supervisor,
    WorkerFailed,
    WorkerHealth,
)
from appliance.datapath.worker import Progress
from tests.appliance.box.conftest import DROP_NINE, HEAD, RunningBox, Start, after, wait_until
from tests.appliance.box.wire import arrivals, interface_settings, udp
from tests.netns import Topology

HANG = r"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Nothing that a compiler can foresee, and needed in the end: else it would leave the loops out. */
static long inner(__u32 turn, __u64 *mix) { *mix = (*mix ^ *mix >> 7) * 31 + turn; return 0; }
static long outer(__u32 turn, __u64 *mix) { bpf_loop(1 << 23, inner, mix, 0); return 0; }

/* A frame with port 9 takes 2^46 turns, which the verifier allows: each loop is bounded. */
SEC("xdp")
int hang(struct xdp_md *context)
{
	unsigned char *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	__u64 mix = 1;

	if (data + 42 > end)
		return XDP_PASS;
	if (data[37] == 9)
		bpf_loop(1 << 23, outer, &mix, 0);
	return mix == 0 ? XDP_DROP : XDP_PASS;
}
"""
UP = 'tidegate_worker_up{worker="0"}'


def looked(*steps: tuple[int, int, bool], every: float = 0.5) -> Condition:
    """A worker's condition after looks at its (batches, frames, alive), that far apart."""
    health = WorkerHealth()
    for batches, frames, alive in steps:
        health.look(Progress(batches, frames, offline=False, alive=alive), every)
    return health.condition


MANY = int(HUNG_SECONDS / 0.5) + 2


@pytest.mark.parametrize(
    ("steps", "condition"),
    [
        pytest.param([(n, 0, True) for n in range(MANY)], Condition.ALIVE, id="idle"),
        pytest.param([(0, n, True) for n in range(MANY)], Condition.ALIVE, id="one long batch"),
        pytest.param([(7, 7, True)] * MANY, Condition.HUNG, id="nothing goes on"),
        pytest.param([*[(7, 7, True)] * MANY, (8, 7, True)], Condition.ALIVE, id="it went on after all"),
        pytest.param([(n, 0, True) for n in range(3)] + [(3, 0, False)], Condition.ALIVE, id="just being ended"),
        pytest.param([(3, 0, False)] * DEAD_LOOKS, Condition.DEAD, id="its thread is gone"),
    ],
)
def test_condition(steps: list[tuple[int, int, bool]], condition: Condition) -> None:
    assert looked(*steps) is condition


def test_an_absence_of_ones_own_is_not_the_workers() -> None:
    """The machine was suspended for an hour between two looks."""
    assert looked((7, 7, True), (7, 7, True), every=3600) is Condition.ALIVE


@contextmanager
def service_manager(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "15000000")
        yield manager


@pytest.mark.parametrize("exits", [True, False], ids=["exit", "stay"])
def test_pings_end_with_a_failure_unless_the_box_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exits: bool
) -> None:
    alive, said = [True], list[str]()
    with (
        service_manager(tmp_path / "manager", monkeypatch) as manager,
        Supervisor(
            1,
            lambda: [Progress(0, 0, offline=False, alive=alive[0])],
            exits=lambda: exits,
            log=said.append,
            last_resort=lambda: None,
        ) as supervisor,
    ):
        assert manager.recv(100) == b"WATCHDOG=1"
        supervisor.check()
        alive[0] = False
        while manager.recv(100) == b"WATCHDOG=1":
            pass
        assert said == ["worker 0 has died"]
        if exits:
            with pytest.raises(WorkerFailed, match="worker 0 has died"):
                supervisor.check()
            manager.settimeout(1.5)
            with pytest.raises(TimeoutError):
                manager.recv(100)
        else:
            supervisor.check()
            assert manager.recv(100) == b"WATCHDOG=1"


def test_a_main_thread_that_does_not_ask_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.box.supervisor.LAST_RESORT_SECONDS", 0.1)
    resorted = list[bool]()
    with Supervisor(
        1,
        lambda: [Progress(0, 0, offline=False, alive=False)],
        exits=lambda: True,
        log=lambda text: None,
        last_resort=lambda: resorted.append(True),
    ):
        wait_until(lambda: bool(resorted))
    assert resorted == [True]


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object whose program hangs at a frame to port 9."""
    folder = tmp_path_factory.mktemp("hang")
    source, made = folder / "hang.bpf.c", folder / "hang.bpf.o"
    source.write_text(HANG)
    machine = subprocess.run(["uname", "-m"], check=True, capture_output=True, text=True).stdout.strip()
    flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-idirafter", f"/usr/include/{machine}-linux-gnu"]
    subprocess.run(["clang", *flags, "-c", str(source), "-o", str(made)], check=True)
    return made


def hang(net: Topology, box: RunningBox) -> None:
    """Send the frame that hangs."""
    assert box.metrics()[UP] == 1
    with net.outside.packet_socket() as near:
        near.send(udp(9))


def test_a_worker_that_hangs_ends_the_box_with_its_interfaces_as_before(
    net: Topology, start: Start, hanging: Path
) -> None:
    before = interface_settings(net)
    box = start(f"program: {{object: {hanging}}}\n")
    assert arrivals(net, udp(10)) == [udp(10)]
    hang(net, box)
    box.wait_for("worker 0 hangs")
    assert box.process.wait(20) == 2, box.log
    assert interface_settings(net) == before
    assert "the process ends hard" in box.log
    assert list(Path("/run/tidegate").glob(f"{net.box.path.stat().st_ino}-*")) == []


def test_a_hang_is_told_within_five_seconds() -> None:
    """By the numbers: the last look that sees nothing, and one in which the frame came."""
    assert HUNG_SECONDS + 2 * LOOK_SECONDS < 5


def test_a_worker_that_hangs_is_told_and_the_box_stays(net: Topology, start: Start, hanging: Path) -> None:
    before = interface_settings(net)
    head = HEAD + "on_failure: stay\nworkers: 2\n"
    box = start(f"program: {{object: {hanging}}}\n", head=head)
    workers = [f'tidegate_worker_up{{worker="{number}"}}' for number in range(2)]
    hang(net, box)
    wait_until(lambda: sum(box.metrics()[up] for up in workers) == 1)
    assert " hangs" in box.log
    assert box.process.poll() is None
    box.process.terminate()
    assert box.process.wait(20) == 2, box.log
    assert interface_settings(net) == before


def test_a_worker_that_has_died_ends_the_box(net: Topology, start: Start) -> None:
    """Its thread ends with an exception when a socket fails, as the interface is taken down."""
    broken = (
        "from appliance.datapath.hosts.child import Child\n"
        "def fail(self, worker): raise OSError('no more of it')\n"
        "Child._take_errors = fail"
    )
    box = start(DROP_NINE, program=after(broken))
    net.box.set_up("inside", up=False)
    box.wait_for("worker 0 has died")
    assert box.process.wait(20) == 2, box.log
    net.box.set_up("inside")
    assert "clsact" not in net.box.run(["tc", "qdisc", "show", "dev", "outside"]).stdout
