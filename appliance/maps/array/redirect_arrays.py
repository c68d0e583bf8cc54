"""Arrays of what a frame may be redirected to: BPF_MAP_TYPE_DEVMAP, CPUMAP and XSKMAP, under the indices 0, 1, 2 …

    map ─> ┌───────────────────┬───────────────────┬─── ─ ─
           │ target 0, program │ target 1, program │           8 bytes each, also where a value has but 4
           └───────────────────┴───────────────────┴─── ─ ─

A devmap's target is an interface, a cpumap's the length of a processor's queue; 0 is none: a lookup answers null, and
to put 0 in is to delete. The program is 0: a second program behind the redirection (`bpf_prog.fd`) is refused. An entry
is read and written as one word. An xskmap stays empty, as there are no AF_XDP sockets here, so that programs take the
way that they have for queues without one.

Programs look entries up and redirect by them; only the control plane changes them.
Sources: struct bpf_devmap_val and bpf_cpumap_val of include/uapi/linux/bpf.h; kernel/bpf/devmap.c and cpumap.c.
"""

from __future__ import annotations

import errno
from functools import partial

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, PTR, U64, Code, Field, Number, Pointer
from appliance.maps.array.array import INDEX_SIZE, nothing_to_initialise
from appliance.maps.checks import REDIRECT_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.errors import MapRefused, NoSuchEntry, TargetRefused
from appliance.maps.kind import Flag, Kind, Shape, Weight, define
from appliance.maps.read import emit_read
from appliance.memory import Memory

ENTRY = 8
TARGET_ONLY, WITH_PROGRAM = 4, 8  # sizes of a value
LONGEST_QUEUE = 16384  # frames that may wait for a processor (cpu_map_update_elem)
NONE = ir.Constant(PTR, None)


class ProgramRefused(TargetRefused):
    """A value names a program to run behind the redirection."""

    meaning = "a value with a program of its own (bpf_prog.fd): programs behind a redirection are not run here"
    advice = "set bpf_prog.fd to 0"


class QueueTooLong(TargetRefused):
    meaning = f"a queue of more than {LONGEST_QUEUE} frames"
    advice = f"set qsize to at most {LONGEST_QUEUE}"


class SocketRefused(TargetRefused):
    meaning = "there are no AF_XDP sockets here, so nothing can be put in"
    advice = "programs see an empty map, as they do where no socket is bound"


def check(sizes: tuple[int, ...], spec: MapSpec) -> None:
    """Keys are 4 bytes; a value is a target alone, or with room for a program."""
    check_sizes(spec)
    check_key_size(spec, INDEX_SIZE, INDEX_SIZE, "its key is an index: declare it as a 4-byte integer")
    check_flags(spec, REDIRECT_FLAGS)
    if spec.value_size not in sizes:
        known = " or ".join(map(str, sizes))
        raise MapRefused(spec.name, spec.type, f"a value of {spec.value_size} bytes", hint=f"a value has {known} bytes")


def emit_check_of_program(code: Code, shape: Shape) -> None:
    """Return from `update` if the value names a program: a number above 0 where its file descriptor stands."""
    if shape.value_size == WITH_PROGRAM:
        program = code.load(code.at(code["value"], TARGET_ONLY), I32)
        with code.if_(code.compare_signed(program, ">", 0), likely=False):
            code.ret(-errno.EOPNOTSUPP)


def _size(shape: Shape) -> int:
    return shape.max_entries * ENTRY


def _count(memory: Memory, shape: Shape) -> int:
    held = memoryview(memory.read(0, _size(shape))).cast("I")
    return sum(1 for target in held[::2] if target)


def _nothing(memory: Memory, shape: Shape) -> int:
    return 0


def _entry(code: Code, map: Pointer, index: Number) -> Field[U64]:
    return Field(code, code.at(map, code.mul(code.resize(index, I64), ENTRY)), I64, ENTRY)


def _emit(longest: int | None, module: ir.Module, shape: Shape) -> None:
    """`longest`: the greatest target, if there is one."""
    _emit_lookup(module, shape)
    emit_read(module, shape)
    _emit_update(module, shape, longest)
    _emit_delete(module, shape)
    _emit_next(module, shape)


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "lookup", Weight.INLINE)
    index = code.load(code["key"], I32)
    with code.if_(code.compare(index, ">=", shape.max_entries), likely=False):
        code.ret(NONE)
    entry = _entry(code, code["map"], index)
    code.ret(code.select(code.compare(entry.load_monotonic(), "==", 0), NONE, entry.address))


def _emit_update(module: ir.Module, shape: Shape, longest: int | None) -> None:
    code = define(module, shape, "update")
    index, target = code.load(code["key"], I32), code.load(code["value"], I32)
    for refused, number in (
        (code.compare(code["flags"], ">", Flag.EXIST), errno.EINVAL),
        (code.compare(index, ">=", shape.max_entries), errno.E2BIG),
        (code.compare(code["flags"], "==", Flag.NOEXIST), errno.EEXIST),
    ):
        with code.if_(refused, likely=False):
            code.ret(-number)
    emit_check_of_program(code, shape)
    if longest is not None:
        with code.if_(code.compare(target, ">", longest), likely=False):
            code.ret(-errno.EOVERFLOW)
    _entry(code, code["map"], index).store_monotonic(code.resize(target, I64))
    code.ret(0)


def _emit_delete(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "delete")
    index = code.load(code["key"], I32)
    with code.if_(code.compare(index, ">=", shape.max_entries), likely=False):
        code.ret(-errno.EINVAL)
    entry = _entry(code, code["map"], index)
    known = code.builder.atomic_rmw("xchg", code.typed(entry.address, I64), ir.Constant(I64, 0), "monotonic")
    code.ret(code.select(code.compare(known, "==", 0), ir.Constant(I64, -errno.ENOENT), 0))


def _emit_next(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "next")
    position = code.variable(I64, code["position"])
    with code.loop() as loop:
        index = position.get()
        with code.if_(code.compare(index, ">=", shape.max_entries)):
            code.ret(-errno.ENOENT)
        position.set(code.add(index, 1))
        entry = _entry(code, code["map"], index).load_monotonic()
        loop.continue_if(code.compare(entry, "==", 0))
        code.store(code.resize(index, I32), code["key_out"])
        code.store(code.resize(entry, ir.IntType(8 * shape.value_size)), code["value_out"])
        code.ret(position.get())
    code.builder.unreachable()


def _emit_empty(module: ir.Module, shape: Shape) -> None:
    """A map that nothing can be put into."""
    answers = {"lookup": NONE, **dict.fromkeys(("read", "delete", "next"), -errno.ENOENT), "update": -errno.EOPNOTSUPP}
    for operation, answer in answers.items():
        define(module, shape, operation, Weight.INLINE).ret(answer)


DEVMAP = Kind(
    check=partial(check, (TARGET_ONLY, WITH_PROGRAM)),
    size=_size,
    initialise=nothing_to_initialise,
    count=_count,
    emit=partial(_emit, None),
    failures={errno.E2BIG: NoSuchEntry, errno.EOPNOTSUPP: ProgramRefused},
)

CPUMAP = Kind(
    check=partial(check, (TARGET_ONLY, WITH_PROGRAM)),
    size=_size,
    initialise=nothing_to_initialise,
    count=_count,
    emit=partial(_emit, LONGEST_QUEUE),
    failures={errno.E2BIG: NoSuchEntry, errno.EOPNOTSUPP: ProgramRefused, errno.EOVERFLOW: QueueTooLong},
)

XSKMAP = Kind(
    check=partial(check, (TARGET_ONLY,)),
    size=_size,
    initialise=nothing_to_initialise,
    count=_nothing,
    emit=_emit_empty,
    failures={errno.EOPNOTSUPP: SocketRefused},
)
