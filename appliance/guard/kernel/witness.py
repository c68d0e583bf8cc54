"""A program with a witness: the same answer, counted, and each denial put down with who asked and for what.

    entry                                                   the object's program
      r6 = the context
      what may be rewritten, and the errno so far  ──> stack
      call ─────────────────────────────────────────────────> …
      r7 = the answer  <────────────────────────────────────── exit
      an errno, or an even answer  ──> counts.denied += 1, a record in the ring
      something was rewritten      ──> counts.redirected += 1
      else                         ──> counts.permitted += 1
      return the answer

Registers: r6 the context, r7 the answer, r8 the errno (positive), r9 the record. The stack holds, in 8 bytes each from
r10 - 8 down, the fields of `Watched.written`, and at r10 - 32 the errno that another program had set before: what was
denied already is counted where it was. What is proved and given to the kernel is all of it, in one program.

The kernel denies what an even number answers (bpf_prog_run_array_cg of kernel/bpf/cgroup.c), with EPERM or the errno
that was set. A frame is added, so that of 512 bytes of stack 480 are left to the object's program.

    record    thread and process u64 | program u32 | errno u32 | family, type, protocol u32 | port u32
              | address 16 | comm 16
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.guard.statistics import Outcome

COUNTS, DENIALS = "tidegate.counts", "tidegate.denials"
RING_BYTES = 1 << 18
OUTCOMES = (Outcome.PERMITTED, Outcome.REDIRECTED, Outcome.DENIED)
COUNT_BYTES = 8 * len(OUTCOMES)  # of one program
_BEFORE = 32  # where on the stack the errno is


class DenialRecord(ctypes.Structure):
    """What the ring holds of one denial. `port` is as the context has it: of a socket in host order, of an address in
    network order."""

    _fields_ = (
        ("pid_tgid", ctypes.c_uint64),
        ("program", ctypes.c_uint32),
        ("errno", ctypes.c_uint32),
        ("family", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("protocol", ctypes.c_uint32),
        ("port", ctypes.c_uint32),
        ("address", ctypes.c_uint8 * 16),
        ("comm", ctypes.c_char * 16),
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """What a witness looks at in a context: offsets in bytes.

    `kind` has family, type and protocol; `written` are (size, offset) of the address, then of the port, that programs
    may rewrite; `told` the same of a socket's, which they may not. `errnos`: whether programs can name one."""

    kind: tuple[int, int, int]
    written: tuple[tuple[int, int], ...] = ()
    told: tuple[tuple[int, int], ...] = ()
    errnos: bool = True


# struct bpf_sock_addr and struct bpf_sock of include/uapi/linux/bpf.h.
_SOCK_ADDR, _SOCK = (28, 32, 36), (4, 8, 12)
_USER: Mapping[int, tuple[tuple[int, int], ...]] = {4: ((4, 4), (4, 24)), 6: ((8, 8), (8, 16), (4, 24))}

WATCHED: Mapping[str, Watched] = {
    "cgroup/sock_create": Watched(_SOCK),
    "cgroup/post_bind4": Watched(_SOCK, told=((4, 24), (4, 44))),
    "cgroup/post_bind6": Watched(_SOCK, told=((4, 28), (4, 32), (4, 36), (4, 40), (4, 44))),
    **{
        f"cgroup/{name}{version}": Watched(_SOCK_ADDR, _USER[version], errnos=name != "recvmsg")
        for name in ("bind", "connect", "sendmsg", "recvmsg")
        for version in (4, 6)
    },
}


def witness_maps(programs: int) -> dict[str, MapSpec]:
    """The maps of the witnesses of so many programs."""
    return {
        COUNTS: MapSpec(COUNTS, MapType.ARRAY, 4, COUNT_BYTES * max(1, programs), 1),
        DENIALS: MapSpec(DENIALS, MapType.RINGBUF, 0, 0, RING_BYTES),
    }


def with_witness(spec: ProgramSpec, index: int) -> ProgramSpec:
    """The program of that number among those that are counted, with its witness in front."""
    watched = WATCHED[spec.hook.name]
    text = "\n".join((*_before(watched), "call object", *_after(watched, index), "object:", "exit"))
    front = assemble(text)[:-1]
    moved = len(front)
    return replace(
        spec,
        instructions=front + tuple(_moved(instruction, moved) for instruction in spec.instructions),
        lines={at + moved: line for at, line in spec.lines.items()},
        functions={0: f"{spec.name} with its witness", **{at + moved: name for at, name in spec.functions.items()}},
        function_types={at + moved: type_ for at, type_ in spec.function_types.items()},
    )


def _moved(instruction: Instruction, by: int) -> Instruction:
    """Targets are places in the whole program."""
    if not hasattr(instruction, "target"):
        return instruction
    given: Any = instruction
    moved: Instruction = replace(given, target=given.target + by)
    return moved


def _before(watched: Watched) -> Iterator[str]:
    yield "r6 = r1"
    for slot, (size, offset) in enumerate(watched.written, 1):
        yield f"r1 = *(u{8 * size} *)(r6 + {offset})"
        yield f"*(u64 *)(r10 - {8 * slot}) = r1"
    if watched.errnos:
        yield "call get_retval"
        yield f"*(u64 *)(r10 - {_BEFORE}) = r0"
    yield "r1 = r6"


def _after(watched: Watched, index: int) -> Iterator[str]:
    yield "r7 = r0"
    if watched.errnos:
        yield f"r1 = *(u64 *)(r10 - {_BEFORE})"
        yield "if w1 s< 0 goto out"
        yield "call get_retval"
        yield "r8 = 0"
        yield "w8 -= w0"
        yield "if w0 s< 0 goto denied"
        yield "r8 = 1"  # EPERM
        yield "r1 = r7"
        yield "r1 &= 1"
        yield "if r1 == 0 goto denied"
    for slot, (size, offset) in enumerate(watched.written, 1):
        yield f"r1 = *(u{8 * size} *)(r6 + {offset})"
        yield f"r2 = *(u64 *)(r10 - {8 * slot})"
        yield "if r1 != r2 goto redirected"
    yield from _count(index, Outcome.PERMITTED)
    yield "goto out"
    if watched.written:
        yield "redirected:"
        yield from _count(index, Outcome.REDIRECTED)
        yield "goto out"
    if watched.errnos:
        yield "denied:"
        yield from _count(index, Outcome.DENIED)
        yield from _record(watched, index)
    yield "out:"
    yield "r0 = r7"
    yield "exit"


def _count(index: int, outcome: Outcome) -> Iterator[str]:
    yield f"r1 = map[{COUNTS}][0] + {index * COUNT_BYTES + 8 * OUTCOMES.index(outcome)} ll"
    yield "r2 = 1"
    yield "lock *(u64 *)(r1 + 0) += r2"


def _record(watched: Watched, index: int) -> Iterator[str]:
    """Without room in the ring, a denial is counted and not told."""
    at = {name: getattr(DenialRecord, name).offset for name, _ in DenialRecord._fields_}
    yield from (f"r1 = map[{DENIALS}] ll", f"r2 = {ctypes.sizeof(DenialRecord)}", "r3 = 0", "call ringbuf_reserve")
    yield from ("if r0 == 0 goto out", "r9 = r0", "call get_current_pid_tgid")
    yield f"*(u64 *)(r9 + {at['pid_tgid']}) = r0"
    yield f"*(u32 *)(r9 + {at['program']}) = {index}"
    yield f"*(u32 *)(r9 + {at['errno']}) = w8"
    for name, offset in zip(("family", "type", "protocol"), watched.kind, strict=True):
        yield f"r1 = *(u32 *)(r6 + {offset})"
        yield f"*(u32 *)(r9 + {at[name]}) = w1"
    yield from (f"*(u{size} *)(r9 + {offset}) = 0" for size, offset in ((32, at["port"]), *_halves(at["address"])))
    *address, port = (*_asked(watched),) or (None,)
    place = at["address"]
    for size, load in filter(None, address):
        yield load
        yield f"*(u{8 * size} *)(r9 + {place}) = {'r' if size == 8 else 'w'}1"
        place += size
    if port is not None:
        yield port[1]
        yield f"*(u32 *)(r9 + {at['port']}) = w1"
    yield from ("r1 = r9", f"r1 += {at['comm']}", "r2 = 16", "call get_current_comm")
    yield from ("r1 = r9", "r2 = 0", "call ringbuf_submit")


def _halves(place: int) -> tuple[tuple[int, int], ...]:
    return (64, place), (64, place + 8)


def _asked(watched: Watched) -> Iterator[tuple[int, str]]:
    """What the call gave, before a program wrote something else: each part's size, and what loads it into r1."""
    yield from ((size, f"r1 = *(u64 *)(r10 - {8 * slot})") for slot, (size, _) in enumerate(watched.written, 1))
    yield from ((size, f"r1 = *(u{8 * size} *)(r6 + {offset})") for size, offset in watched.told)
