"""What rules remember of frames, as one function sees it: maps of a rule's own, keyed by whose an address is; the time.

The maps are declared once in the object (`Shared.state`), named after the rule, and outlive a reload.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable

from llvmlite import ir

from appliance.ir import I64, U64, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import SIDES, Fields
from appliance.rules.code.match import Matching
from appliance.rules.model import Rule

_ANY = 0  # BPF_ANY, include/uapi/linux/bpf.h
LARGEST_KEY, LARGEST_VALUE = 24, 16  # bytes

StateMap = Callable[[str, Rule, MapShape], Pointer]


def write_keys(code: Code, fields: Fields, rules: Iterable[Rule]) -> None:
    """Before the rules: whose the addresses are, as keys of maps, where a rule keeps state by them.

    In IPv4 that is the address. In IPv6 it is the /64, the least that one subscriber gets (RFC 6177): by addresses,
    each would have 2**64 buckets, and could push everybody else's out. A low half that isn't 0 keeps IPv4 apart.
    """
    wanted = {rule.rate.per for rule in rules if rule.rate} | {"ip.src" for rule in rules if rule.retransmit}
    for name, side in SIDES.items():
        if name in wanted:
            is_v4 = code.compare(fields["version"], "==", 4)
            low = code.select(is_v4, fields[f"{side}_low"], 0)
            for offset, half in ((0, fields[f"{side}_high"]), (8, low)):
                code.store(code.swap_bytes(half), code.at(fields.keys[name], offset), align=8)


class Memory:
    """Reads and writes the state of rules in one function. `state` declares a map of a rule's own; `key` and `value`
    are room on the stack for what a helper is given. For one thread."""

    def __init__(self, module: BpfModule, code: Code, fields: Fields, matching: Matching, state: StateMap) -> None:
        self.module = module
        self.code = code
        self.fields = fields
        self.matching = matching
        self.state = state
        self.key = code.buffer(LARGEST_KEY)
        self.value = code.buffer(LARGEST_VALUE)

    def time(self) -> U64:
        """Nanoseconds, read once per frame, by the first rule that asks."""
        code = self.code
        with code.if_(code.compare(self.fields["now"], "==", 0)):
            self.fields.set(now=self.module.helper(code, "ktime_get_ns"))
        now: U64 = self.fields["now"]
        return now

    def lookup(self, map_: Pointer, key: Pointer, missing: ir.Block) -> Pointer:
        """The value; leaves for `missing` if there is none."""
        value: Pointer = self.module.helper(self.code, "map_lookup_elem", map_, key)
        self.matching.unless(self.code.compare(self.code.integer(value), "!=", 0), missing)
        return value

    def update(self, map_: Pointer, key: Pointer, *numbers: U64 | int) -> None:
        """Write a value of as many numbers of 64 bits."""
        for index, number in enumerate(numbers):
            place = self.code.at(self.value, index * ctypes.sizeof(ctypes.c_uint64))
            self.code.store(self.code.value(number, I64), place, align=8)
        self.module.helper(self.code, "map_update_elem", map_, key, self.value, _ANY)
