"""What rules remember of frames, as one function sees it: maps of a rule's own, keyed by fields of the frame; the time.

The maps are declared once in the object (`Shared.state`), named after the rule, and outlive a reload.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from llvmlite import ir

from appliance.ir import I32, I64, U32, U64, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.fields import Fields
from appliance.rules.code.match import Matching
from appliance.rules.code.state import keys
from appliance.rules.model import Rule
from appliance.rules.remembered import LARGEST_KEY, KeyPart

_ANY = 0  # BPF_ANY, include/uapi/linux/bpf.h
LARGEST_VALUE = 16  # bytes

StateMap = Callable[[str, Rule, MapShape], Pointer]


class Memory:
    """Reads and writes the state of rules in one function. `state` declares a map of a rule's own; `key`,
    `index` and `value` are room on the stack for what a helper is given. For one thread."""

    def __init__(self, module: BpfModule, code: Code, fields: Fields, matching: Matching, state: StateMap) -> None:
        self.module = module
        self.code = code
        self.fields = fields
        self.matching = matching
        self.state = state
        self.key = code.buffer(LARGEST_KEY)
        self.index = code.buffer(4, align=4)
        self.value = code.buffer(LARGEST_VALUE)

    def key_of(self, per: tuple[KeyPart, ...]) -> Pointer:
        """The key of what a rate is per: a host's is there already, every other one is written now."""
        host = keys.host_of(per)
        if host is not None:
            written: Pointer = self.fields.keys[host]
            return written
        keys.write_key(self.code, self.fields, per, self.key)
        return self.key

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

    def element(self, array: Pointer, index: U32 | int, missing: ir.Block) -> Pointer:
        """An array's element; leaves for `missing` if the index is too large."""
        self.code.store(self.code.value(index, I32), self.index, align=4)
        return self.lookup(array, self.index, missing)

    def update(self, map_: Pointer, key: Pointer, *numbers: U64 | int) -> None:
        """Write a value of as many numbers of 64 bits."""
        for index, number in enumerate(numbers):
            place = self.code.at(self.value, index * ctypes.sizeof(ctypes.c_uint64))
            self.code.store(self.code.value(number, I64), place, align=8)
        self.module.helper(self.code, "map_update_elem", map_, key, self.value, _ANY)
