"""Landlock: what a process can't do any more that it could before."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hooks.linux import landlock as kernel
from hooks.linux.prctl import PR_SET_NO_NEW_PRIVS, prctl
from hooks.sandbox.landlock import landlock_version, refuse_files_and_network
from tests.capabilities import requires
from tests.child import in_child


def behind(attempt: Callable[[], object], readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> int:
    """The errno of what a restricted child attempts, 0 if it was done."""

    def attempts() -> int:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        refuse_files_and_network(readable, writable)
        try:
            attempt()
        except OSError as error:
            return error.errno or 255
        return 0

    return in_child(attempts)


@requires("Landlock")
def test_no_file() -> None:
    with tempfile.NamedTemporaryFile() as file:
        assert behind(lambda: Path(file.name).read_bytes()) == errno.EACCES
        assert behind(lambda: Path(file.name).unlink()) == errno.EACCES
        assert behind(lambda: os.read(file.fileno(), 1)) == 0  # it was open before


@requires("Landlock")
def test_what_is_allowed_by_directory(tmp_path: Path) -> None:
    read, written = tmp_path / "read", tmp_path / "written"
    for directory in (read, written):
        directory.mkdir()
        (directory / "file").write_text("x")

    def told(attempt: Callable[[], object]) -> int:
        return behind(attempt, [read], [written])

    assert told((read / "file").read_bytes) == 0
    assert told(lambda: (read / "file").write_bytes(b"y")) == errno.EACCES
    assert told((read / "new").mkdir) == errno.EACCES
    assert told(lambda: (written / "file").write_bytes(b"y")) == 0
    assert told(lambda: (written / "new").write_bytes(b"y")) == 0
    assert told((written / "file").unlink) == 0
    assert told(lambda: os.execv("/bin/true", ["true"])) == errno.EACCES
    assert told(lambda: tmp_path.joinpath("new").mkdir()) == errno.EACCES


@requires("Landlock for TCP")
def test_no_tcp() -> None:
    assert behind(lambda: socket.socket().bind(("127.0.0.1", 0))) == errno.EACCES
    assert behind(lambda: socket.socket().connect(("127.0.0.1", 9))) == errno.EACCES


@requires("Landlock for signals")
def test_no_signal_to_whoever_is_outside() -> None:
    assert behind(lambda: os.kill(os.getppid(), 0)) == errno.EPERM
    assert behind(lambda: os.kill(os.getpid(), 0)) == 0


def test_the_version_is_the_kernels() -> None:
    def restricts() -> int:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        return refuse_files_and_network()

    assert in_child(restricts) == landlock_version()


def test_a_version_has_the_rights_of_those_before_it() -> None:
    assert [kernel.access_fs(abi).bit_length() for abi in range(1, 8)] == [13, 14, 15, 15, 16, 16, 16]


def test_a_kernel_without_it_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise OSError(errno.ENOSYS, "syscall")

    monkeypatch.setattr("hooks.sandbox.landlock.syscall", missing)
    assert landlock_version() == refuse_files_and_network() == 0
