"""Limits and namespaces of a child, as /proc tells of them and as they are met."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hooks.linux.prctl import PR_GET_DUMPABLE, prctl
from hooks.sandbox.limits import Limits, be_killed_with_parent, be_private
from hooks.sandbox.namespaces import OWN, leave_namespaces
from tests.capabilities import requires

FEW = Limits(memory=1 << 40, seconds=30, descriptors=0, file_size=4)


def inside(attempt: Callable[[], int]) -> int:
    """What a child answers or, minus the signal, ends by; its errno if it raises."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(attempt())
        except MemoryError:
            os._exit(errno.ENOMEM)
        except OSError as error:
            os._exit(error.errno or 255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_memory_and_descriptors_and_files() -> None:
    def swells() -> int:
        Limits(memory=1 << 28, seconds=30, descriptors=99, file_size=4).impose()
        return len(bytes(1 << 29)) and 0

    def opens() -> int:
        FEW.impose()
        return os.open(os.devnull, os.O_RDONLY)

    def writes() -> int:
        descriptor = os.memfd_create("m")
        FEW.impose()
        return os.write(descriptor, bytes(5)) + os.write(descriptor, bytes(5))

    assert inside(swells) == errno.ENOMEM
    assert inside(opens) == errno.EMFILE
    assert inside(writes) == errno.EFBIG


def test_time() -> None:
    def burns() -> int:
        Limits(memory=1 << 40, seconds=1, descriptors=99, file_size=4).impose()
        while True:
            pass

    assert inside(burns) == -signal.SIGXCPU


def test_a_limit_is_never_raised() -> None:
    def imposes() -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
        FEW.impose()
        return resource.getrlimit(resource.RLIMIT_CPU)[1]

    assert inside(imposes) == 3


def test_it_is_private() -> None:
    def looks() -> int:
        be_private()
        return prctl(PR_GET_DUMPABLE)

    assert inside(looks) == 0


def test_it_is_killed_with_its_parent() -> None:
    """The grandchild has the pipe's only end for writing."""
    reading, writing = os.pipe()

    def parent() -> int:
        waiting, go_on = os.pipe()
        if os.fork() == 0:
            be_killed_with_parent()
            os.write(go_on, b"!")
            while True:
                signal.pause()
        os.read(waiting, 1)
        return 0

    assert inside(parent) == 0
    os.close(writing)
    assert os.read(reading, 1) == b""  # returns, as nobody can write any more
    os.close(reading)


@requires("root")
def test_namespaces_are_other_ones() -> None:
    def leaves() -> int:
        before = {name: Path(f"/proc/self/ns/{name}").readlink() for name in ("net", "ipc", "uts")}
        left = leave_namespaces()
        after = {name: Path(f"/proc/self/ns/{name}").readlink() for name in before}
        return 0 if left == tuple(OWN) and not before.items() & after.items() else 1

    assert inside(leaves) == 0


def test_without_permission_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(flags: int) -> None:
        raise OSError(errno.EPERM, "unshare")

    monkeypatch.setattr("hooks.sandbox.namespaces.sched.unshare", refused)
    assert leave_namespaces() == ()
