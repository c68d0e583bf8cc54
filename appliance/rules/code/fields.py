"""What a program knows of the frame that it judges: every field that a matcher can read, and what it keeps beside them.

In a small rule set the fields are variables of the one function, which LLVM keeps in registers where it can. A large
set is cut into functions, and its fields lie in a record on the stack of the program, which hands them its address.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from llvmlite import ir

from appliance.ir import I32, I64, Code, Value, Variable

# every field that a matcher can read, and the few that only the compiler reads
FIELDS: dict[str, ir.IntType] = {
    "length": I64,
    "mac_source": I64,
    "mac_destination": I64,
    "ethertype": I32,
    "vlan_depth": I32,
    "vlan_0": I32,
    "vlan_1": I32,
    "vlan_2": I32,
    "vlan_3": I32,
    "version": I32,  # 0 for a frame without an IP packet
    "source_high": I64,  # IPv4 addresses stand in the low half, mapped: ::ffff:192.0.2.1
    "source_low": I64,
    "destination_high": I64,
    "destination_low": I64,
    "protocol": I32,
    "ttl": I32,
    "ip_length": I32,
    "fragment": I32,
    "fragment_offset": I32,
    "more_fragments": I32,
    "dont_fragment": I32,
    "transport": I32,  # the protocol whose header was read, or 0
    "source_port": I32,
    "destination_port": I32,
    "sequence": I32,
    "acknowledgement": I32,
    "tcp_flags": I32,
    "tcp_window": I32,
    "udp_length": I32,
    "icmp_type": I32,
    "icmp_code": I32,
}

# what the program itself keeps: the time, once a rule has asked for it, and whether a monitored rule has matched
STATE: dict[str, ir.IntType] = {"now": I64, "monitored": I32}

HOST_SIZE = 16  # bytes of a key that says whose an address is: IPv4 mapped into IPv6, or the /64 and zeros
SIDES = {"ip.src": "source", "ip.dst": "destination"}

_TYPES = {**FIELDS, **STATE}
_KEYS = {f"{side}_key": ctypes.c_uint64 * 2 for side in SIDES.values()}
_C_TYPES = {32: ctypes.c_uint32, 64: ctypes.c_uint64}


class FrameRecord(ctypes.Structure):
    """The fields, then whose the addresses are as keys of maps (keys.write_hosts), in network order."""

    _fields_ = tuple((name, _C_TYPES[type_.width]) for name, type_ in _TYPES.items()) + tuple(_KEYS.items())


class Fields:
    """The fields in one function being written. `keys` are pointers to keys of maps (keys.write_hosts).
    For one thread."""

    def __init__(self, code: Code, variables: Mapping[str, Variable[Value]], keys: Mapping[str, Value]) -> None:
        self.code = code
        self.variables = variables
        self.keys = keys

    @classmethod
    def local(cls, code: Code) -> Fields:
        """Variables of that function."""
        keys = {name: code.buffer(HOST_SIZE) for name in SIDES}
        return cls(code, {name: code.variable(type_) for name, type_ in _TYPES.items()}, keys)

    @classmethod
    def inside(cls, code: Code, record: Value) -> Fields:
        """The fields of a FrameRecord at that address."""
        variables = {}
        for name, type_ in _TYPES.items():
            place = code.field(record, FrameRecord, name).address
            variables[name] = Variable(code, type_, code.typed(place, type_))
        keys = {name: code.field(record, FrameRecord, f"{side}_key").address for name, side in SIDES.items()}
        return cls(code, variables, keys)

    def clear(self) -> None:
        """Set every field to 0."""
        self.set(**dict.fromkeys(self.variables, 0))

    def __getitem__(self, name: str) -> Value:
        return self.variables[name].get()

    def set(self, **values: Value) -> None:
        """Set fields; wider or narrower values are resized."""
        for name, value in values.items():
            variable = self.variables[name]
            variable.set(value if isinstance(value, int) else self.code.resize(value, variable.type))
