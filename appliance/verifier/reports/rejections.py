"""The kinds of rejection: one for each thing that a user would fix in another way.

Each has a page in docs/rejections, which is named like it, with a bad and a fixed program.
"""

from __future__ import annotations

from enum import StrEnum

PAGES = "docs/rejections"


class Rejection(StrEnum):
    """Why a program was not proved safe; the value is its stable name, in `--json` and of its page."""

    # registers and numbers
    UNINITIALISED_REGISTER = "uninitialised-register"
    FRAME_POINTER = "frame-pointer"
    POINTER_ARITHMETIC = "pointer-arithmetic"
    POINTER_COMPARISON = "pointer-comparison"
    PARTIAL_POINTER = "partial-pointer"
    POINTER_LEAK = "pointer-leak"
    UNBOUNDED_OFFSET = "unbounded-offset"
    NULL_POINTER = "null-pointer"
    NO_POINTER = "no-pointer"

    # memory
    PACKET_BOUNDS = "packet-bounds"
    MAP_VALUE_BOUNDS = "map-value-bounds"
    MAP_KEY_BOUNDS = "map-key-bounds"
    RECORD_BOUNDS = "record-bounds"
    STACK_BOUNDS = "stack-bounds"
    UNINITIALISED_STACK = "uninitialised-stack"
    CONTEXT_ACCESS = "context-access"
    SOCKET_ACCESS = "socket-access"
    KERNEL_ACCESS = "kernel-access"
    DYNPTR_ACCESS = "dynptr-access"
    LOCK_ACCESS = "lock-access"
    READ_ONLY_MEMORY = "read-only-memory"
    WRITE_ONLY_MEMORY = "write-only-memory"
    ATOMIC_ACCESS = "atomic-access"
    ALIGNMENT = "alignment"

    # calls
    HELPER_UNKNOWN = "helper-unknown"
    HELPER_OF_OTHER_HOOK = "helper-of-other-hook"
    HELPER_ARGUMENT = "helper-argument"
    HELPER_FORMAT = "helper-format"
    MAP_TYPE = "map-type"
    MAP_MISSING = "map-missing"
    DIFFERENT_PATHS = "different-paths"
    CALLBACK = "callback"
    CALL_TARGET = "call-target"
    CALL_DEPTH = "call-depth"
    TAIL_CALL = "tail-call"
    STACK_OF_CALLEE = "stack-of-callee"
    UNRELEASED_REFERENCE = "unreleased-reference"
    LOCK_BALANCE = "lock-balance"

    # control
    VERDICT = "verdict"
    ENDLESS_LOOP = "endless-loop"
    NO_RETURN = "no-return"
    TOO_LARGE = "too-large"
    BUDGET = "budget"

    # what is not there yet, or can't be
    NOT_LINKED = "not-linked"
    INSTRUCTION_UNSUPPORTED = "instruction-unsupported"
    KERNEL_TYPES_MISSING = "kernel-types-missing"

    @property
    def page(self) -> str:
        """Where it is explained, from the project's root."""
        return f"{PAGES}/{self.value}.md"

    @property
    def command(self) -> str:
        """What prints that page, also where only the package is installed."""
        return f"tidegate explain {self.value}"
