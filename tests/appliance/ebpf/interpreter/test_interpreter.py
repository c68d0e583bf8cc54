"""Regions, contexts, maps and faults of the checking interpreter; what programs compute is in the execution cases."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.interpreter import (
    Context,
    Fault,
    HelperCall,
    Interpreter,
    PacketMemory,
    Pointer,
    Region,
    Value,
    Violation,
)
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.errors import SourceLine
from hooks.contracts.contract import ContextField, ContextLayout, HookPoint, Verdict
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS, FrameContext

FRAME = bytes(range(20))


class Table:
    """A map of live values in a dict."""

    def __init__(self, spec: MapSpec) -> None:
        self.spec = spec
        self.values: dict[bytes, bytearray] = {bytes(spec.key_size): bytearray(spec.value_size)}

    def lookup(self, key: bytes) -> bytearray | None:
        return self.values.get(key)

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        self.values[key] = bytearray(value)
        return 0

    def delete(self, key: bytes) -> int:
        return 0 if self.values.pop(key, None) else -errno.ENOENT


def lookup(call: HelperCall) -> Value:
    value = call.map(0).lookup(call.read(1, 4))
    return 0 if value is None else call.machine.value_pointer(call.map(0), value)


def program(text: str, hook: HookPoint = XDP_LINUX, lines: dict[int, SourceLine] | None = None) -> ProgramSpec:
    return ProgramSpec("test", "xdp", hook, assemble(text), lines or {})


def context(frame: bytes = FRAME, hook: HookPoint = XDP_LINUX, **fields: int) -> Context:
    return Context(hook, FrameContext(**fields), PacketMemory(frame))


def fault_of(text: str, **fields: int) -> Fault:
    with pytest.raises(Fault) as raised:
        Interpreter(program(text)).run(context(**fields))
    return raised.value


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [(12, 4, 0x11223344), (16, 4, 0x55667788), (20, 4, 9), (12, 1, 0x44), (14, 2, 0x1122)],
)
def test_scalars_of_the_context_come_from_the_host(offset: int, size: int, expected: int) -> None:
    given_context = context(ingress_ifindex=0x11223344, rx_queue_index=0x55667788, egress_ifindex=9)
    assert Interpreter(program(f"r0 = *(u{size * 8} *)(r1 + {offset}); exit")).run(given_context) == expected


def test_the_context_of_another_platform() -> None:
    text = "r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r1 + 8); r3 -= r2; r0 = *(u32 *)(r1 + 24); r0 += r3; exit"
    assert Interpreter(program(text, XDP_WINDOWS)).run(context(hook=XDP_WINDOWS, ingress_ifindex=100)) == 120


def test_a_writable_field_of_the_context() -> None:
    place = FrameContext.redirect_ifindex
    field = ContextField("redirect_ifindex", 0, 4, place.offset, place.size, writes=(1, 4))
    layout = ContextLayout("notes", 8, (field,))
    hook = HookPoint("notes", "linux", 0, (), FrameContext, layout, {}, Verdict.DROP, frozenset())
    given_context = context(hook=hook)
    text = "*(u32 *)(r1 + 0) = 0x01020304; *(u8 *)(r1 + 3) = 9; r0 = *(u32 *)(r1 + 0); exit"
    assert Interpreter(program(text, hook)).run(given_context) == 0x09020304
    assert given_context.host.redirect_ifindex == 0x09020304
    with pytest.raises(Fault, match="a pointer does not fit the context's redirect_ifindex"):
        Interpreter(program("*(u32 *)(r1 + 0) = r1; exit", hook)).run(given_context)


def test_the_context_is_no_memory() -> None:
    given_context = context()
    with pytest.raises(Violation, match="the context can't be read as bytes"):
        given_context.read(0, 4)
    with pytest.raises(Violation, match="the context can't be written as bytes"):
        given_context.write(0, b"1")


def test_map_values_are_live_and_keep_their_identity() -> None:
    table = Table(MapSpec("counters", MapType.ARRAY, 4, 8, 1))
    text = """
        *(u32 *)(r10 - 4) = 0
        r1 = map[counters] ll; r2 = r10; r2 += -4; call map_lookup_elem
        if r0 == 0 goto none
        r6 = r0
        r1 = map[counters] ll; r2 = r10; r2 += -4; call map_lookup_elem
        if r0 != r6 goto none
        r1 = 5; lock *(u64 *)(r6 + 0) += r1
        r0 = *(u64 *)(r0 + 0)
        exit
        none: r0 = -1; exit
    """
    interpreter = Interpreter(program(text), {"counters": table}, {"map_lookup_elem": lookup})
    assert [interpreter.run(context()) for _ in range(3)] == [5, 10, 15]
    assert table.values[bytes(4)] == (15).to_bytes(8, "little")
    table.values.clear()
    assert interpreter.run(context()) == (1 << 64) - 1


def test_global_variables() -> None:
    spec = MapSpec(".rodata", MapType.ARRAY, 4, 8, 1, read_only=True)
    table = Table(spec)
    table.values[bytes(4)][4] = 42
    maps = {".rodata": table}
    assert Interpreter(program("r1 = map[.rodata][0] + 4 ll; r0 = *(u32 *)(r1 + 0); exit"), maps).run(context()) == 42
    with pytest.raises(Fault) as raised:
        Interpreter(program("r1 = map[.rodata][0] + 4 ll; *(u8 *)(r1 + 0) = 1; exit"), maps).run(context())
    assert str(raised.value) == (
        "slot 2 (*(u8 *)(r1 + 0) = 1): write to a value of the map '.rodata', which is read-only"
    )
    with pytest.raises(
        Fault, match=r"read of 8 bytes at offset 4 of a value of the map '\.rodata', which spans 0 to 8"
    ):
        Interpreter(program("r1 = map[.rodata][0] + 4 ll; r0 = *(u64 *)(r1 + 0); exit"), maps).run(context())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "r1 = 1; r2 = r10; call map_lookup_elem; exit",
            "argument r1 of map_lookup_elem must be a map, and is a number",
        ),
        (
            "r1 = map[m] ll; r2 = 0; call map_lookup_elem; exit",
            "argument r2 of map_lookup_elem must be a pointer, and is null",
        ),
        (
            "r1 = map[m] ll; r2 = r10; r2 += -4; call map_lookup_elem; exit",
            "read of 4 bytes at offset -4 of the stack, not all of which were written",
        ),
        (
            "*(u64 *)(r10 - 8) = r1; r1 = map[m] ll; r2 = r10; r2 += -6; call map_lookup_elem; exit",
            "read of a pointer kept at offset -8 of the stack as bytes",
        ),
    ],
)
def test_arguments_of_helpers_are_checked(text: str, message: str) -> None:
    table = Table(MapSpec("m", MapType.HASH, 4, 8, 1))
    with pytest.raises(Fault) as raised:
        Interpreter(program(text), {"m": table}, {"map_lookup_elem": lookup}).run(context())
    assert raised.value.what == message


def test_a_helper_that_was_not_given() -> None:
    assert fault_of("call ktime_get_ns; exit").what == "there is no helper 5 here"


def test_a_fault_has_fields_and_a_source_line() -> None:
    line = SourceLine("filter.c", 7, 3, "return data[20];")
    spec = program("r2 = 0x0 ll; r2 = *(u32 *)(r1 + 0); r0 = *(u8 *)(r2 + 20); exit", lines={1: line})
    with pytest.raises(Fault) as raised:
        Interpreter(spec).run(context())
    fault = raised.value
    assert (fault.index, fault.slot, fault.statement, fault.line) == (2, 3, "r0 = *(u8 *)(r2 + 20)", line)
    assert (fault.region, fault.offset) == ("the packet", 20)
    assert str(fault) == (
        "filter.c:7:3: slot 3 (r0 = *(u8 *)(r2 + 20)): read of 1 bytes at offset 20 of the packet, which spans 0 to 20"
    )


def test_the_budget_is_the_caller_s() -> None:
    with pytest.raises(Fault, match="no end after 5 instructions"):
        Interpreter(program("again: goto again"), budget=5).run_memory(bytearray())


def test_legacy_packet_loads() -> None:
    assert Interpreter(program("r0 = *(u16 *)skb[2]; exit")).run(context()) == 0x0203
    assert Interpreter(program("r7 = 16; r0 = *(u32 *)skb[r7 + 0]; exit")).run(context()) == 0x10111213
    # Beyond the packet, the program ends there and answers 0.
    assert Interpreter(program("r0 = *(u32 *)skb[17]; r0 = 5; exit")).run(context()) == 0


def test_runs_do_not_see_each_other() -> None:
    interpreter = Interpreter(program("r1 = r10; *(u64 *)(r10 - 8) = 1; r0 = *(u64 *)(r1 - 8); exit"))
    assert interpreter.run(context()) == 1
    unwritten = Interpreter(program("r0 = *(u64 *)(r10 - 8); exit"))
    for _ in range(2):
        with pytest.raises(Fault, match="not all of which were written"):
            unwritten.run(context())


def test_metadata_moves_with_the_head() -> None:
    packet = PacketMemory(FRAME, headroom=16, tailroom=0)
    packet.data_meta -= 4
    packet.buffer[12:16] = b"meta"
    assert packet.adjust_head(-12) == 0
    assert (packet.data_meta, packet.data) == (0, 4)
    assert packet.buffer[:4] == b"meta"
    assert packet.adjust_head(-1) == -errno.EINVAL
    assert packet.adjust_tail(1) == -errno.EINVAL
    assert (packet.region.low, packet.region.high) == (-4, 32)


@given(st.lists(st.tuples(st.sampled_from(["head", "tail"]), st.integers(-40, 40)), max_size=8))
def test_a_frame_keeps_within_its_memory(moves: list[tuple[str, int]]) -> None:
    packet = PacketMemory(FRAME, headroom=32, tailroom=32)
    for side, distance in moves:
        before, region = packet.frame, packet.region
        if (packet.adjust_head if side == "head" else packet.adjust_tail)(distance):
            assert (packet.frame, packet.region) == (before, region)
            continue
        assert len(packet.frame) == len(before) + (distance if side == "tail" else -distance)
        assert 0 <= packet.data_meta <= packet.data <= packet.data_end - 14 <= len(packet.buffer) - 14
        with pytest.raises(Violation, match="before it was moved"):
            region.load(0, 1)


@given(
    st.lists(st.tuples(st.integers(0, 24), st.sampled_from([1, 2, 4, 8]), st.integers(0, (1 << 64) - 1) | st.none()))
)
def test_a_region_gives_back_what_was_stored(stores: list[tuple[int, int, int | None]]) -> None:
    """Against a list of bytes in which None stands for a byte of a pointer."""
    region, model = Region("memory", bytearray(32)), list[int | None](bytes(32))
    other = Pointer(Region("other", bytearray(1)), 0)
    for offset, size, value in stores:
        if value is None:
            region.store(offset, 8, other)
            model[offset : offset + 8] = [None] * 8
        else:
            region.store(offset, size, value)
            model[offset : offset + size] = (value & (1 << size * 8) - 1).to_bytes(size, "little")
    for offset, expected in enumerate(model):
        try:
            assert region.load(offset, 1) == expected or expected is None
        except Violation as violation:
            assert violation.what == f"read of a part of a pointer at offset {offset} of memory"
            assert any(byte is None for byte in model[max(0, offset - 7) : offset + 8])
