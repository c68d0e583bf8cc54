"""Calls that print: the text is a constant that the verifier reads, and arguments are what its conversions ask for.

    static const char format[] = "%d from %pI4\\n"         a value of a read-only map, or bytes of the stack
                                   │        └── a pointer to 4 bytes of the packet or of a map value
                                   └─────────── a number

The text becomes a fact, so that the JIT writes code for this one text. A string that an argument points to is not: the
code reads it, up to a zero that is proved to be there.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.helpers.formats import (
    ADDRESS_SIZES,
    MOST_ARGUMENTS,
    Conversion,
    Format,
    FormatRefused,
    Printed,
    parse_format,
)
from appliance.helpers.prototypes import ArgumentKind, HelperPrototype
from appliance.verifier.checks.memory.access import demand_access, demand_memory
from appliance.verifier.checks.memory.requests import Purpose, Request
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import STRUCTURE_KINDS, ZERO, Kind, Pointer, Value, describe
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state import stack as stack_cells
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State

SLOT = 8
FIRST_PRINTED = 3  # behind the format and its size
_WHERE = 'declare it as `static const char text[] = "…"`'
_REACHABLE = frozenset({Kind.PACKET, Kind.METADATA, Kind.MAP_VALUE})


class Call(NamedTuple):
    """A call in the state before it."""

    environment: Environment
    state: State
    prototype: HelperPrototype

    def refuse(self, register: int, kind: ArgumentKind | str, hint: str) -> Violation:
        wanted = kind.value if isinstance(kind, ArgumentKind) else kind
        held = describe(self.state.registers[register])
        return Violation(
            Rejection.HELPER_ARGUMENT,
            f"calls `{self.prototype.name}` with r{register} = {held}, but it must be {wanted}",
            hint,
        )


def text_of(call: Call) -> bytes | None:
    """The constant that the call is given, up to the zero that ends it; None for helpers that take none, and for
    memory that is not known to be constant."""
    for register, kind in enumerate(call.prototype.arguments, 1):
        held = call.state.registers[register]
        if kind is ArgumentKind.TEXT:
            return _string(call.environment, held)
        if kind is ArgumentKind.FORMAT:
            size = call.state.registers[register + 1]
            return _sized(call, held, size.constant) if type(size) is Scalar and size.constant is not None else None
    return None


def conversions_of(call: Call) -> tuple[Conversion, ...] | None:
    """What the call prints; None if its text is no format."""
    try:
        return _parsed(call, text_of(call) or b"").conversions
    except FormatRefused:
        return None


def _parsed(call: Call, text: bytes) -> Format:
    return parse_format(text, in_kernel=not call.environment.spec.hook.runs_here)


def is_printed(call: Call, register: int) -> bool:
    """Whether the format asks for that register. A format with more conversions than registers prints nothing."""
    conversions = conversions_of(call) or ()
    registers = call.prototype.arguments.count(ArgumentKind.PRINTED)
    return register - FIRST_PRINTED < len(conversions) <= registers


def demand_text(call: Call, register: int) -> None:
    """A constant string; if an array of arguments follows, it is a format, and there are as many as it asks for."""
    text = text_of(call)
    if text is None:
        raise call.refuse(register, ArgumentKind.TEXT, _WHERE)
    if ArgumentKind.PRINTED_ARRAY not in call.prototype.arguments:
        return
    try:
        wanted = len(_parsed(call, text).conversions)
    except FormatRefused as refused:
        raise Violation(
            Rejection.HELPER_FORMAT,
            f"calls `{call.prototype.name}` with a format that {refused}",
            "there are %d %i %u %x, with l or ll for 64 bits, %c, %s, %p, and %pI4 and %pI6 for addresses",
        ) from None
    given = _count(call, register + 2)
    if given is not None and given < wanted:
        raise Violation(
            Rejection.HELPER_FORMAT,
            f"calls `{call.prototype.name}` with a format for {wanted} arguments, but gives {given}",
            "give one for each conversion, and the size of all of them together",
        )


def demand_format(call: Call, register: int) -> None:
    """A constant. What is no format is answered with an error when it runs, as in the kernel."""
    size = call.state.registers[register + 1]
    if text_of(call) is None or type(size) is not Scalar or size.constant is None:
        raise call.refuse(register, ArgumentKind.FORMAT, f"{_WHERE}, and give its size as `sizeof(text)`")
    demand_access(call.environment, call.state, register, 0, size.constant, Purpose.PASS)


def demand_printed(call: Call, register: int) -> None:
    """The argument of one conversion, in a register."""
    conversion = (conversions_of(call) or ())[register - FIRST_PRINTED]
    _demand_argument(call, register, conversion, call.state.registers[register])


def demand_array(call: Call, register: int) -> None:
    """The arguments of all conversions, one behind the other."""
    count = _count(call, register + 1)
    if count is None:
        hint = f"it is a constant, a multiple of {SLOT}, and at most {MOST_ARGUMENTS * SLOT}"
        raise call.refuse(register + 1, "the size of the array before it", hint)
    array = call.state.registers[register]
    if array == ZERO and not count:
        return
    conversions = conversions_of(call) or ()
    for place in range(count):
        conversion = conversions[place] if place < len(conversions) else None
        if conversion is None or conversion.printed in _NUMBERS:
            demand_access(call.environment, call.state, register, place * SLOT, SLOT, Purpose.PASS)
        else:
            _demand_argument(call, register, conversion, _element(call, array, place))
            demand_access(call.environment, call.state, register, place * SLOT, SLOT, Purpose.USE)
    if not count:
        demand_access(call.environment, call.state, register, 0, 0, Purpose.PASS)


_NUMBERS = frozenset({Printed.SIGNED, Printed.UNSIGNED, Printed.ADDRESS, Printed.CHARACTER})


def _demand_argument(call: Call, register: int, conversion: Conversion, held: Value | None) -> None:
    printed = conversion.printed
    number = type(held) is Scalar or (type(held) is Pointer and held.kind in STRUCTURE_KINDS)
    if printed in _NUMBERS:
        fits = number
    elif number and not call.environment.spec.hook.runs_here:
        fits = True  # an address, from which the kernel reads with care (bpf_bprintf_prepare)
    elif printed is Printed.STRING:
        fits = _string(call.environment, held) is not None or not call.environment.spec.hook.runs_here
    else:
        fits = type(held) is Pointer and held.kind in _reachable(call)
    if not fits:
        raise Violation(
            Rejection.HELPER_FORMAT,
            f"calls `{call.prototype.name}`, whose format has `%{conversion.letter}`, with {describe(held)}, "
            f"but it must be {printed.value}",
            _HINTS.get(printed),
        )
    if printed in ADDRESS_SIZES and type(held) is Pointer and held.kind not in STRUCTURE_KINDS:
        request = Request(register, held, 0, ADDRESS_SIZES[printed], Purpose.PASS)
        demand_memory(call.environment, call.state, request)


def _reachable(call: Call) -> frozenset[Kind]:
    """What an address may be in: native code finds the stack only where it is an operand."""
    return _REACHABLE if call.environment.spec.hook.runs_here else _REACHABLE | {Kind.STACK}


_HINTS = {
    **dict.fromkeys(_NUMBERS, "a pointer may not be told as a number"),
    Printed.STRING: f"{_WHERE}; of other memory nobody knows where it ends",
    Printed.IPV4: "pass the address of the field in the packet, or print four numbers",
    Printed.IPV6: "pass the address of the field in the packet",
}


def _count(call: Call, register: int) -> int | None:
    """How many elements the array has whose size is in the register; None if it is not a constant that fits."""
    size = call.state.registers[register]
    if type(size) is not Scalar or size.constant is None:
        return None
    return size.constant // SLOT if size.constant % SLOT == 0 and size.constant <= MOST_ARGUMENTS * SLOT else None


def _element(call: Call, array: Value | None, place: int) -> Value | None:
    """What an array on the stack holds: only there a pointer is known for one."""
    if type(array) is not Pointer or array.kind is not Kind.STACK or array.variable.constant is None:
        return None
    return stack_cells.read(call.state.stack, array.least + place * SLOT, SLOT)


def _string(environment: Environment, held: Value | None) -> bytes | None:
    """The string that a pointer points to, its zero included; None if it is not known."""
    content = _constant(environment, held)
    end = content.find(b"\0") if content is not None else -1
    return content[: end + 1] if content is not None and end >= 0 else None


def _sized(call: Call, held: Value | None, size: int) -> bytes | None:
    """`size` constant bytes, of a read-only map or of the stack; without what stands behind a zero."""
    content = _constant(call.environment, held)
    if content is None:
        content = _of_stack(call.state, held, size)
    if content is None or len(content) < size:
        return None
    text, zero, _ = content[:size].partition(b"\0")
    return text + zero


def _constant(environment: Environment, held: Value | None) -> bytes | None:
    """What a pointer into a read-only map with one value points to, up to the value's end."""
    if type(held) is not Pointer or held.kind is not Kind.MAP_VALUE or held.variable.constant is None:
        return None
    assert held.map is not None
    spec = environment.map(held.map)
    if not spec.read_only or spec.max_entries != 1 or not 0 <= held.least <= spec.value_size:
        return None
    value = dict(spec.contents).get(bytes(spec.key_size))
    return value.ljust(spec.value_size, b"\0")[held.least :] if value is not None else None


def _of_stack(state: State, held: Value | None, size: int) -> bytes | None:
    """The bytes of the stack, if each is known."""
    if type(held) is not Pointer or held.kind is not Kind.STACK or held.variable.constant is None:
        return None
    if held.most - held.base + size > 0:
        return None
    known = bytearray()
    for at in range(held.least, held.least + size):
        byte = stack_cells.read(state.stack, at, 1)
        if type(byte) is not Scalar or byte.constant is None:
            return None
        known.append(byte.constant)
        if not byte.constant:
            break
    return bytes(known).ljust(size, b"\0")
