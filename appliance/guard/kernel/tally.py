"""What witnesses left in the kernel's maps: counts of every call and outcome, and denials one by one."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from appliance.ebpf.spec import ProgramSpec
from appliance.guard.addresses import AF_INET6, SocketAddress
from appliance.guard.hooks import PLACES, Call
from appliance.guard.kernel.witness import COUNT_BYTES, OUTCOMES, DenialRecord
from appliance.guard.statistics import Denial, Outcome
from hooks.seccomp.sockets import Kind


def calls_of(programs: Sequence[ProgramSpec], counts: bytes) -> dict[tuple[Call, Outcome], int]:
    """Each call once, whoever was asked about it: every denial counts, and what the last program of a hook let go on.

    A bind that programs of `bind` let go on is not counted again where those of `post_bind` do."""
    total = {(call, outcome): 0 for call in Call for outcome in Outcome}
    hooks = [program.hook.name for program in programs]
    for index, hook in enumerate(hooks):
        numbers = struct.unpack_from(f"={len(OUTCOMES)}Q", counts, index * COUNT_BYTES)
        counted_elsewhere = hook in hooks[index + 1 :] or hook.replace("post_", "") in {*hooks} - {hook}
        for outcome, number in zip(OUTCOMES, numbers, strict=True):
            if outcome is Outcome.DENIED or not counted_elsewhere:
                total[PLACES[hook].call, outcome] += number
    return total


def denial_of(record: bytes, programs: Sequence[ProgramSpec]) -> Denial:
    """A record of the ring. What the process runs is read now: its short name stands for it if it has ended."""
    said = DenialRecord.from_buffer_copy(record)
    program, process = programs[said.program], said.pid_tgid >> 32
    executable = said.comm.decode(errors="replace")
    with suppress(OSError):
        executable = str(Path(f"/proc/{process}/exe").readlink())
    call = PLACES[program.hook.name].call
    about = str(_address(said, program.hook.name) or Kind(said.family, said.type, said.protocol))
    return Denial(time.time(), call, process, executable, about, program.name, said.errno)


# Where a hook is about an address, the family that it has.
_FAMILIES: Mapping[str, int | None] = {name: place.family for name, place in PLACES.items()}


def _address(said: DenialRecord, hook: str) -> SocketAddress | None:
    family = _FAMILIES[hook]
    if family is None:
        return None
    of_socket = hook.startswith("cgroup/post_bind")
    port = struct.pack(">H" if of_socket else "=H", said.port & 0xFFFF)
    address = bytes(said.address)
    raw = struct.pack("=H2s4s16s4s", family, port, bytes(4), address, bytes(4))
    if family != AF_INET6:
        raw = struct.pack("=H2s4s8s", family, port, address[:4], bytes(8))
    return SocketAddress.read(raw, family) if family in (socket.AF_INET, AF_INET6) else None
