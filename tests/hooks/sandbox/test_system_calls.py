"""The filter of system calls: the kernel's numbers, and what becomes of calls that are not in the table."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from hooks.af_packet.geometry import Geometry
from hooks.af_packet.opening import open_sockets
from hooks.errors import HookError
from hooks.linux.if_packet import sockaddr_ll
from hooks.linux.mman import PROT_EXEC, PROT_READ, map_memory
from hooks.linux.prctl import PR_SET_NO_NEW_PRIVS, prctl
from hooks.linux.unistd import SYSCALLS, syscall
from hooks.sandbox.system_calls import Permitted, permit, restrict_system_calls
from tests.capabilities import requires
from tests.netns import Topology

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
LIVING = tuple(Permitted(call) for call in ("read", "write", "exit_group", "brk", "munmap", "futex", "rt_sigprocmask"))


@pytest.mark.parametrize("machine", SYSCALLS)
def test_numbers_are_the_kernels(machine: str) -> None:
    told = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in told}
    numbers.setdefault("newfstatat", numbers.get("fstatat", -1))  # what 64 bits call it
    assert SYSCALLS[machine] == {name: numbers[name] for name in SYSCALLS[machine]}


def behind(filter_: tuple[Permitted, ...], attempt: Callable[[], object]) -> int:
    """The errno of what a child attempts under the filter, 0 if it was done, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_system_calls(permit(filter_))
        try:
            attempt()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_not_permitted_is_refused() -> None:
    assert behind(LIVING, lambda: os.open("/etc/passwd", os.O_RDONLY)) == errno.EPERM
    assert behind(LIVING, os.getppid) == 0  # its answer has no room for an errno
    assert behind(LIVING, lambda: os.kill(os.getppid(), 0)) == errno.EPERM


def test_an_argument_without_bits() -> None:
    mapping = (*LIVING, Permitted("mmap", argument=2, without=PROT_EXEC))
    assert behind(mapping, lambda: map_memory(None, 4096, PROT_READ, 0x22)) == 0
    assert behind(mapping, lambda: map_memory(None, 4096, PROT_READ | PROT_EXEC, 0x22)) == errno.EPERM


def test_an_argument_of_one_value() -> None:
    to_one = (*LIVING, Permitted("sendto", argument=0, equals=7))
    assert behind(to_one, lambda: syscall("sendto", 7, 0, 0, 0, 0, 0)) in (errno.EBADF, errno.ENOTSOCK)
    assert behind(to_one, lambda: syscall("sendto", 8, 0, 0, 0, 0, 0)) == errno.EPERM


@pytest.mark.parametrize("address", [1, 1 << 32, 0x7FFF00000000, (1 << 64) - 1])
def test_no_address_is_none_in_either_half(address: int) -> None:
    nowhere = (*LIVING, Permitted("sendto", argument=4, null=True))
    assert behind(nowhere, lambda: syscall("sendto", -1, 0, 0, 0, 0, 0)) == errno.EBADF
    assert behind(nowhere, lambda: syscall("sendto", -1, 0, 0, 0, address, 0)) == errno.EPERM


@requires("root")
def test_a_packet_socket_stays_at_its_interface(topology: Topology) -> None:
    """What an opener hands over may be used elsewhere, as far as Linux minds: a process that serves frames sends
    without an address, and needs no other way to send (decision 72)."""
    frame = bytes(10) + bytes.fromhex("020000000001020000000002") + b"\x88\xb5" + bytes(46)
    data = ctypes.create_string_buffer(frame, len(frame))
    with topology.box.entered(), topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        opened = open_sockets("outside", Geometry(receive_slots=64, transmit_slots=32))
        oversize = opened.oversize.fileno()
        inside = sockaddr_ll(socket.AF_PACKET, 0, socket.if_nametoindex("inside"))
        place = ctypes.byref(inside), ctypes.sizeof(inside)

        def send(*to: object) -> Callable[[], object]:
            return lambda: syscall("sendto", oversize, ctypes.byref(data), len(frame), 0, *to)

        anywhere = (*LIVING, Permitted("sendto"), Permitted("bind"))
        assert behind(anywhere, send(*place)) == 0
        assert far.receive(1) == [frame[10:]]
        stays = (*LIVING, Permitted("sendto", argument=4, null=True))
        assert behind(stays, send(0, 0)) == 0
        assert wire.receive(1) == [frame[10:]]
        assert behind(stays, send(*place)) == errno.EPERM
        assert behind(stays, lambda: syscall("bind", oversize, *place)) == errno.EPERM
        assert behind(anywhere, lambda: syscall("bind", oversize, *place)) == 0
        opened.close()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is a part of x86-64 alone")
def test_numbers_of_x32_are_the_end() -> None:
    libc = ctypes.CDLL(None)
    assert behind(LIVING, lambda: libc.syscall(0x40000000 | 39)) == -signal.SIGSYS


def test_a_machine_whose_numbers_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(HookError, match="the system calls of vax aren't known here"):
        permit(LIVING)
