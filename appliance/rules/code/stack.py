"""How much of BPF's stack a compiled object uses: what LLVM would end the process for is an error here.

LLVM's BPF backend counts a function's stack itself, and where that is larger than 512 bytes it prints a message and
exits. So it is told of a larger one (`-bpf-stack-size`), and the instructions are looked through for places below the
frame pointer: r10 is the base of a load or a store, or it is copied and a constant added to the copy.
"""

from __future__ import annotations

import struct
from functools import cache

from llvmlite import binding as llvm

from appliance.errors import InputRefused

SIZE = 512  # bytes of each function: MAX_BPF_STACK, include/linux/filter.h
_LLVMS = 1 << 14  # 14 bits of an instruction's 16 for an offset
_FRAME_POINTER = 10
_LOAD, _STORE_NUMBER, _STORE = 1, 2, 3  # classes of instructions, RFC 9669 section 3
_COPY, _ADD = 0xBF, 0x07  # dst = src and dst += imm, both of 64 bits


class StackExceeded(InputRefused):
    """A function needs more stack than there is. `used` are its bytes."""

    def __init__(self, used: int, source: str) -> None:
        self.used = used
        what = f"the rules together need {used} bytes of BPF's stack, and there are {SIZE}"
        super().__init__(what, where=source, hint="rules that read fewer different fields, or have shorter keys")


@cache
def widen() -> None:
    """Let LLVM compile what needs more stack than there is. Once in a process: LLVM takes an option once."""
    llvm.set_option("tidegate", f"-bpf-stack-size={_LLVMS}")


def stack_used(object_file: bytes) -> int:
    """The bytes below the frame pointer that any instruction of the object reaches."""
    with llvm.ObjectFileRef.from_data(object_file) as file:
        return max((_deepest(section.data()) for section in file.sections() if section.is_text()), default=0)


def _deepest(code: bytes) -> int:
    lowest, copies = 0, set[int]()
    for operation, registers, offset, constant in struct.iter_unpack("<BBhi", code):
        destination, source, kind = registers & 15, registers >> 4, operation & 7
        base = source if kind == _LOAD else destination
        if kind in (_LOAD, _STORE_NUMBER, _STORE) and base == _FRAME_POINTER:
            lowest = min(lowest, offset)
        elif operation == _ADD and destination in copies:
            lowest = min(lowest, constant)
        if kind not in (_STORE_NUMBER, _STORE):
            copies.discard(destination)
        if operation == _COPY and source == _FRAME_POINTER:
            copies.add(destination)
    return -lowest
