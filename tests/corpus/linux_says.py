"""What Linux says of programs that we accept, and why we do otherwise; each reason stands in the docs as well.

Where Linux walks through an instruction that the proof has shown to be out of reach, it knows less of what led there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.ebpf.isa.instructions import slot_numbers
from appliance.verifier import VerifiedProgram

LAST_LINES = 6

# What Linux wants beyond safety, or doesn't follow: its words, as a regular expression, and the reason.
EXPLAINED: dict[str, str] = {
    "unreachable insn": "Linux wants no instruction that no jump leads to",
    "invalid bpf_context access off=20 size=.": (
        "`egress_ifindex` is for programs behind a devmap alone; here it is 0"
    ),
    "invalid bpf_context access off=1. size=[12]": "numbers of `xdp_md` may be read in part here, not in Linux",
    "dereference of modified ctx ptr": "the place in the context is what counts here, not the sum that leads there",
    "misaligned stack access": "numbers on the stack must be aligned; here they need not be",
    "BPF program is too large": "Linux walks more of the paths one by one, and gives up after a million steps",
    "sequence of .* jumps is too complex": "the same",
    "unbounded min value is not allowed": "Linux knows no bound of a quotient, or of the index that `bpf_loop` gives",
    "makes .* pointer be out of bounds": "pointers may go farther from their memory here, if they come back",
    "math between .* pointer and .* is not allowed": "the same",
    "pointer offset .* is not allowed": "the same",
    "subtraction from stack pointer prohibited": "the same",
    "offset is outside of the packet": "Linux counts from the pointer that was compared, and takes the last comparison",
    "Unreleased reference": "Linux takes a comparison with `data_end` for possible that an earlier one rules out",
    "max value is outside of the allowed memory range": (
        "Linux knows less of numbers that were compared with others, or kept in parts"
    ),
    "unbounded memory access": "the same",
    "min value is negative": "the same: a pointer may be moved back, and what is read is checked",
    "At callback return the register": "the same",
}


def explained(verified: VerifiedProgram, refusal: str) -> bool:
    """Whether it is known why Linux refuses the program."""
    said = ending(refusal)
    return not _reached(verified, refusal) or any(re.search(words, said) for words in EXPLAINED)


def ending(refusal: str) -> str:
    """What it comes to: the last lines of Linux's log."""
    return "\n".join(refusal.splitlines()[-LAST_LINES:])


def _reached(verified: VerifiedProgram, refusal: str) -> bool:
    """Whether every instruction on the path in Linux's log can be reached, so far as we know."""
    numbers = slot_numbers(verified.spec.instructions)
    reachable = {numbers[index] for index in verified.facts.reachable}
    return all(slot in reachable for slot in _slots(refusal))


def _slots(refusal: str) -> Iterator[int]:
    return (int(slot) for slot in re.findall(r"^(\d+): \(", refusal, re.MULTILINE))


def alike(refusal: str, other: str) -> bool:
    """Whether Linux says the same, at whatever place and with whatever numbers."""
    return _words(refusal) == _words(other)


def _words(refusal: str) -> str:
    said = [line for line in refusal.splitlines() if not line.startswith(("processed ", "verification time", "stack "))]
    return re.sub(r"\d+", "N", said[-1]) if said else ""
