"""Helpers that ask who makes a call, and that leave something with it: alike in both engines."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest
from llvmlite import ir

from appliance.ebpf.interpreter import Context, Fault, Interpreter
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.platform import LINUX, PLATFORMS
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.context_fields import FACTS
from appliance.helpers.model.table import python_helpers
from appliance.helpers.native import Clock
from appliance.helpers.prototypes import PROTOTYPES
from appliance.ir import Engine
from appliance.jit.program import emit_program
from appliance.jit.run import emit_run
from appliance.verifier import Verifier
from hooks.contracts.contract import HookPoint, HostContext
from hooks.contracts.sock_addr import SOCK_ADDR_LINUX, SOCK_ADDR_WINDOWS, SockAddrContext
from hooks.contracts.task import TASK_FACTS, Task, TaskContext
from hooks.contracts.xdp import XDP_LINUX, FrameContext

LINUX_HOOK, WINDOWS_HOOK = SOCK_ADDR_LINUX[0], SOCK_ADDR_WINDOWS[0]
EVERYWHERE = [hook for platform in PLATFORMS.values() for hook in platform.hooks]


def run(code: str, hook: HookPoint, host: HostContext) -> int:
    """r0, as both engines find it, and the same context left by both."""
    platform = PLATFORMS[hook.platform]
    spec = ProgramSpec("test", hook.name, hook, assemble(code + "; exit", platform.at(hook)))
    other = type(host).from_buffer_copy(host)
    found = Interpreter(spec, {}, python_helpers()).run(Context(hook, other))
    module = ir.Module("test")
    emit_run(module, emit_program(module, Verifier({}, platform).verify(spec), {}, Clock.MONOTONIC))
    with Engine(module) as engine:
        answer = engine.function("run", ctypes.c_uint64, ctypes.c_void_p)(ctypes.addressof(host))
    assert (int(answer), bytes(host)) == (found, bytes(other))
    return found


def _calls() -> list[tuple[HookPoint, str]]:
    """Each of FACTS at every hook that has it and can answer no as well as yes."""
    found = []
    for hook in EVERYWHERE:
        names = set(PLATFORMS[hook.platform].at(hook).helpers.values())
        here = [name for name in FACTS if name in names and PROTOTYPES[name].family in hook.families]
        found += [(hook, name) for name in here if hook.any_return or len(hook.verdicts) > 1]
    return found


@pytest.mark.parametrize(("hook", "name"), _calls(), ids=lambda value: getattr(value, "name", value))
def test_facts_are_what_the_context_holds(hook: HookPoint, name: str) -> None:
    field, number = FACTS[name], 0x0123456789ABCDE
    assert field in hook.helper_inputs
    code = f"call {name}; r1 = {number} ll; r6 = r0; r0 = 1; if r6 == r1 goto same; r0 = 0; exit; same: r0 = r0"
    assert run(code, hook, hook.host(**{field: number})) == 1
    assert run(code, hook, hook.host(**{field: number + 1})) == 0


def test_the_caller_is_the_contexts() -> None:
    code = "call get_current_pid_tgid; r0 >>= 32; if r0 == 7 goto seven; r0 = 0; exit; seven: r0 = 1"
    assert run(code, LINUX_HOOK, SockAddrContext(pid_tgid=7 << 32 | 8)) == 1
    assert run(code, LINUX_HOOK, SockAddrContext(pid_tgid=8 << 32 | 7)) == 0


@pytest.mark.parametrize("room", [1, 2, 15, 16, 17, 40])
@pytest.mark.parametrize("name", [b"", b"a", b"worker", b"a name of 15 by"])
def test_names_are_cut_and_padded(room: int, name: bytes) -> None:
    """Sums up the bytes with their places, so that every one counts."""
    host = SockAddrContext()
    host.comm[:] = name.ljust(16, b"\0")
    size = (room + 7) // 8 * 8
    code = [f"r1 = r10; r1 += -{size}; r2 = {room}; call get_current_comm; r6 = r0"]
    code += [f"r1 = *(u8 *)(r10 - {size - at}); r1 *= {at + 1}; r6 += r1" for at in range(room)]
    expected = sum((at + 1) * byte for at, byte in enumerate(name[: room - 1]))
    test = f"r0 = 0; if r6 != {expected} goto end; r0 = 1; end: r0 = r0"
    assert run("; ".join([*code, test]), LINUX_HOOK, host) == 1


@pytest.mark.parametrize(("size", "answer"), [(1, 0), (256, 0), (257, -errno.EINVAL)])
def test_what_is_left_with_a_connection(size: int, answer: int) -> None:
    host = SockAddrContext()
    host.redirect_context[:4] = b"old!"
    host.redirect_context_size = 4
    fill = "; ".join(f"*(u64 *)(r10 - {at}) = {at}" for at in range(8, 273, 8))
    note = f"r2 = r10; r2 += -264; r3 = {size}; call set_redirect_context"
    code = f"{fill}; {note}; r6 = r0; r0 = 0; if r6 != {answer} goto end; r0 = 1; end: r0 = r0"
    assert run(code, WINDOWS_HOOK, host) == 1
    left = bytes(host.redirect_context)[: host.redirect_context_size]
    written = b"".join(at.to_bytes(8, "little") for at in range(264, 0, -8))
    assert left == (b"old!" if answer else written[:size])


@pytest.mark.parametrize(("given", "kept"), [(0, 0), (-111, -111), (5, 5), (1 << 32 | 7, 7), (0xFFFFFFFF, -1)])
def test_an_errno_is_kept_as_32_bits_with_a_sign(given: int, kept: int) -> None:
    host = SockAddrContext(retval=3)
    code = f"r1 = {given} ll; call set_retval; call get_retval; r6 = r0; r1 = {kept} ll; r0 = 0; if r6 != r1 goto end"
    assert run(f"{code}; r0 = 1; end: r0 = r0", LINUX_HOOK, host) == 1
    assert host.retval == kept % (1 << 64)


def test_a_frame_has_nobody_behind_it() -> None:
    spec = ProgramSpec("test", "xdp", XDP_LINUX, assemble("call get_current_uid_gid; exit", LINUX))
    with pytest.raises(Fault, match="get_current_uid_gid asks for what hook xdp does not know"):
        Interpreter(spec, {}, python_helpers()).run(Context(XDP_LINUX, FrameContext()))


def test_a_task_as_proc_shows_it() -> None:
    own = Task.own()
    context = TaskContext()
    own.fill_in(context)
    assert (own.process, own.user, own.group) == (os.getpid(), os.getuid(), os.getgid())
    assert bytes(context.comm).rstrip(b"\0") + b"\n" == Path("/proc/thread-self/comm").read_bytes()
    assert context.is_admin == (os.geteuid() == 0)
    assert context.process_start_key & (1 << 22) - 1 == os.getpid()
    assert all(hasattr(context, name) for name in TASK_FACTS)
    init = Task.of(1, 1)
    assert init.process_ticks < own.process_ticks
    with pytest.raises(OSError):
        Task.of(os.getpid(), 1)
