"""The filter, run here over the registers of calls: what it tells of, refuses, kills, and lets go."""

from __future__ import annotations

import ctypes
import errno
import platform

import pytest

from hooks.errors import HookError
from hooks.linux import filter as classic
from hooks.linux import seccomp as kernel
from hooks.linux.unistd import number_of
from hooks.seccomp.filter import ARCHITECTURES, CLONE_FILES, CLONE_THREAD, SHARED_FILES, WALKS_PAST, Watch, build_filter

TELL, ALLOW = kernel.SECCOMP_RET_USER_NOTIF, kernel.SECCOMP_RET_ALLOW
ARCHITECTURE = ARCHITECTURES[platform.machine()]
TESTS = {
    classic.BPF_JEQ: lambda left, right: left == right,
    classic.BPF_JGE: lambda left, right: left >= right,
    classic.BPF_JSET: lambda left, right: bool(left & right),
}


def run(program: list[classic.sock_filter], call: str | int, *arguments: int, arch: int = ARCHITECTURE) -> int:
    """What the filter answers. Every path ends, as jumps go forward only."""
    number = number_of(call) if isinstance(call, str) else call
    data = bytes(kernel.seccomp_data(number, arch, 0, (ctypes.c_uint64 * 6)(*arguments)))
    at = accumulator = 0
    while True:
        step = program[at]
        at += 1
        kind = step.code & 7
        if kind == classic.BPF_RET:
            return int(step.k)
        if kind == classic.BPF_LD:
            accumulator = int.from_bytes(data[step.k : step.k + 4], "little")
        else:
            assert kind == classic.BPF_JMP
            at += step.jt if TESTS[step.code & 0xF0](accumulator, step.k) else step.jf


def test_a_call_is_told_of_and_others_are_not() -> None:
    program = build_filter([Watch("bind"), Watch("connect")])
    assert [run(program, name) for name in ("bind", "connect", "listen", "getpid")] == [TELL, TELL, ALLOW, ALLOW]


@pytest.mark.parametrize(
    ("watch", "arguments", "told"),
    [
        (Watch("sendto", pointer=4), (0, 0, 0, 0, 0), False),
        (Watch("sendto", pointer=4), (0, 0, 0, 0, 1), True),
        (Watch("sendto", pointer=4), (0, 0, 0, 0, 1 << 32), True),
        (Watch("sendto", flag=(3, 0x20000000)), (0, 0, 0, 0x20000001, 5), True),
        (Watch("sendto", flag=(3, 0x20000000)), (0, 0, 0, 0x40, 5), False),
        (Watch("sendto", pointer=4, flag=(3, 2)), (0, 0, 0, 2, 0), True),
        (Watch("sendto", pointer=4, flag=(3, 2)), (0, 0, 0, 4, 1 << 63), True),
        (Watch("sendto", pointer=4, flag=(3, 2)), (0, 0, 0, 4, 0), False),
        (Watch("socket", values=(0, (2, 10))), (2,), True),
        (Watch("socket", values=(0, (2, 10))), (10 | 1 << 32,), True),
        (Watch("socket", values=(0, (2, 10))), (1,), False),
    ],
)
def test_what_registers_say(watch: Watch, arguments: tuple[int, ...], told: bool) -> None:
    program = build_filter([watch, Watch("bind")])
    assert run(program, watch.call, *arguments) == (TELL if told else ALLOW)
    assert run(program, "bind") == TELL


def test_what_walks_past_filters_is_refused() -> None:
    program = build_filter([Watch("bind")])
    for refusal in WALKS_PAST:
        assert run(program, refusal.call) == kernel.SECCOMP_RET_ERRNO | errno.ENOSYS


def test_descriptors_are_shared_by_threads_alone() -> None:
    program = build_filter([Watch("bind")], SHARED_FILES)
    flags = (0, CLONE_THREAD, CLONE_FILES, CLONE_FILES | CLONE_THREAD)
    refused = kernel.SECCOMP_RET_ERRNO | errno.EPERM
    assert [run(program, "clone", flag) for flag in flags] == [ALLOW, ALLOW, refused, ALLOW]
    assert run(program, "clone3") == kernel.SECCOMP_RET_ERRNO | errno.ENOSYS


def test_numbers_of_another_machine_kill() -> None:
    assert run(build_filter([Watch("bind")]), "bind", arch=0x40000003) == kernel.SECCOMP_RET_KILL_PROCESS


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86-64 has x32")
def test_numbers_of_x32_are_not_there() -> None:
    number = kernel.X32_SYSCALL_BIT | number_of("bind")
    assert run(build_filter([Watch("bind")]), number) == kernel.SECCOMP_RET_ERRNO | errno.ENOSYS


def test_a_machine_whose_numbers_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(HookError, match="the system calls of vax aren't known here"):
        build_filter([Watch("bind")])
