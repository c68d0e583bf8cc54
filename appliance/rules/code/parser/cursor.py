"""Where the parser stands in the frame that it reads: the layers' offsets, and the bounds of what may be read.

Every pointer is compared to the end of the frame before it is read through, in the form that verifiers take:
pointer + size > end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from llvmlite import ir

from appliance.ir import I32, I64, PTR, U1, U32, U64, Code, Pointer, Value
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Fields
from appliance.rules.code.parser.bits import read
from appliance.rules.headers import ETHERNET, Header
from appliance.rules.matchers import ABSENT_NUMBERS, FIELDS
from appliance.rules.slices import ABSENT
from hooks.contracts.xdp import XDP_LINUX

PARSE_ERRORS = (
    "ethernet_truncated",
    "vlan_truncated",
    "vlan_nested",
    "ipv4_truncated",
    "ipv4_version",
    "ipv4_header_length",
    "ipv4_total_length",
    "ipv4_ah_truncated",
    "ipv4_ah_nested",
    "ipv6_truncated",
    "ipv6_version",
    "ipv6_payload_length",
    "ipv6_extension_truncated",
    "ipv6_extension_nested",
    "tcp_truncated",
    "tcp_header_length",
    "udp_truncated",
    "udp_length",
    "icmp_truncated",
    "icmpv6_truncated",
    "gre_truncated",
    "vxlan_truncated",
    "geneve_truncated",
    "gtp_truncated",
    "gtp_extension_nested",
    "mpls_truncated",
    "mpls_nested",
    "pppoe_truncated",
    "pppoe_length",
)

MOST_TAGS = 4
NO_TAGS = {name: ABSENT_NUMBERS[name] for name in (f"vlan_{index}" for index in range(MOST_TAGS))}
_CONTEXT = {field.name: field.offset for field in XDP_LINUX.context.fields}


class Cursor:
    """The place that the code being written has come to, and the fields that it fills in. For one thread."""

    def __init__(
        self,
        module: BpfModule,
        code: Code,
        fields: Fields,
        on_addresses: Callable[[int], None],
        malformed: ir.Block,
    ) -> None:
        """`on_addresses(family)` writes what is to happen as soon as the IP addresses are known. `malformed` is where
        a malformed frame goes, with the index of the reason in `self.reason`."""
        self.module = module
        self.code = code
        self.fields = fields
        self.on_addresses = on_addresses
        self.malformed = malformed
        self.forget()
        self.reason = code.variable(I32, 0)
        self.layer3 = code.variable(I64, ETHERNET.size)
        self.layer4 = code.variable(I64, 0)
        self.layer4_length = code.variable(I32, 0)  # bytes that IP says there are, from layer4 on
        self.payload = code.variable(I64, 0)
        self.payload_length = code.variable(I32, 0)  # bytes of it that IP says there are, behind a header that was read
        self.upper = code.variable(I32, 0)  # the protocol at layer4, or 0 if there is no header to read
        self.elsewhere = code.variable(I32, 0)  # not 0 if that header is in another fragment
        self.data = context_pointer(code, "data")
        # so that a length compared with 0 stays one: LLVM would compare the low halves of two pointers
        self.end = opaque(code, context_pointer(code, "data_end"))

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]

    def set(self, **values: Value) -> None:
        self.fields.set(**values)

    def keeps_any(self, names: Iterable[str]) -> bool:
        """Whether something reads one of these fields."""
        return any(name in self.fields.variables for name in names)

    def forget(self) -> None:
        """Nothing was read yet."""
        self.fields.clear()
        self.set(**ABSENT_NUMBERS)
        self.set(**dict.fromkeys(self.fields.slices, ABSENT))

    def behind(self, size: int) -> U64 | int:
        """So far behind where the frame begins."""
        return size

    def left(self, offset: U64) -> U64:
        """How many bytes there are from there on."""
        left: U64 = self.code.sub(self["length"], offset)
        return left

    def claimed(self, length: U32, offset: U64, reason: str) -> U32:
        """A length that a header says of what begins there: the frame is malformed if it has less."""
        self.refuse_if(self.code.compare(self.code.resize(length, I64), ">", self.left(offset)), reason)
        return length

    def is_whole(self) -> U1:
        """Whether this is no fragment."""
        return self.code.compare(self["fragment"], "==", 0)

    def settle(self) -> None:
        """From here on it doesn't matter how layer 4 was reached."""

    def refuse_if(self, condition: U1, reason: str) -> None:
        """The frame is malformed, for that reason, if the condition holds."""
        with self.code.if_(condition):
            self.refuse(reason)

    def refuse(self, reason: str) -> None:
        """The frame is malformed, for that reason."""
        self.reason.set(PARSE_ERRORS.index(reason))
        self.code.builder.branch(self.malformed)

    def header(self, offset: U64 | int, header: Header, reason: str) -> Pointer:
        """A pointer to a header, of which all that it must have is in the frame."""
        pointer = self._place(offset)
        self.refuse_if(self._is_beyond(pointer, offset, header.size), reason)
        return pointer

    @contextmanager
    def header_if_there(self, offset: U64 | int, header: Header) -> Iterator[Pointer]:
        """What is written inside runs with a pointer to the header, if all that it must have is in the frame."""
        pointer = self._place(offset)
        with self.code.if_(self.code.not_(self._is_beyond(pointer, offset, header.size))):
            yield pointer

    def read(self, pointer: Pointer, header: Header) -> None:
        """Every field that is kept and stands in that header."""
        for name in self.fields.variables:
            for place in FIELDS[name].places if name in FIELDS else ():
                if place.header == header:
                    self.set(**{name: read(self.code, pointer, place)})

    def ends(self, size: U32 | int) -> None:
        """The header at layer 4 is that long, and behind it is the payload."""
        code = self.code
        size = code.value(size, I32)
        self.payload.set(code.add(self.layer4.get(), code.resize(size, I64)))
        self.payload_length.set(code.sub(self.layer4_length.get(), size))

    def _place(self, offset: U64 | int) -> Pointer:
        place = self.code.at(self.data, offset)
        return place if isinstance(offset, int) else opaque(self.code, place)

    def _is_beyond(self, pointer: Pointer, offset: U64 | int, size: int) -> U1:
        """Whether so many bytes from the pointer on, which points to that offset, go beyond the end of the frame."""
        end = self.code.at(pointer, size)
        return self.code.compare(self.code.integer(end), ">", self.code.integer(self.end))


def frame_length(code: Code, data: Pointer, end: Pointer) -> U64:
    """How many bytes the frame has, as a number that LLVM can't look behind. Else it makes of a comparison with 0, in
    the 32 bits that are enough, one of the two pointers' low halves, which no verifier takes."""
    return opaque_number(code, code.sub(code.integer(end), code.integer(data)))


def opaque_number(code: Code, number: U64) -> U64:
    """The same number, as LLVM knows nothing of it: what bounds it from here on isn't left out as needless."""
    hidden: U64 = code.builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [number], False)
    return hidden


def any_of(code: Code, value: U32, numbers: tuple[int, ...]) -> U1:
    """Whether the value is one of the numbers."""
    found = code.compare(value, "==", numbers[0])
    for number in numbers[1:]:
        found = code.or_(found, code.compare(value, "==", number))
    return found


def context_pointer(code: Code, name: str) -> Pointer:
    """A pointer that stands in the program's context, narrow as Linux has it there."""
    narrow = code.load(code.at(code["context"], _CONTEXT[name]), I32, align=4)
    return code.pointer(code.resize(narrow, I64))


def opaque(code: Code, pointer: Pointer) -> Pointer:
    """The same pointer, in a register that LLVM can't look behind: what is compared is then what is read through.
    Without it LLVM may compute the pointer twice, and a verifier doesn't see that both are one."""
    hidden: Pointer = code.builder.asm(ir.FunctionType(PTR, [PTR]), "", "=r,0", [pointer], False)
    return hidden
