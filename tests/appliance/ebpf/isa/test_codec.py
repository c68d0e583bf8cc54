"""Slots and instructions are two spellings of one thing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.isa.codec import (
    DecodeError,
    EncodeError,
    FunctionReference,
    MapReference,
    MapValueReference,
    decode,
    encode,
)
from appliance.ebpf.isa.codec.decoder import _DECODERS
from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    Branch,
    CallFunction,
    CallHelper,
    CallKernel,
    CallRegister,
    Exit,
    Immediate,
    Instruction,
    Jump,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Register,
    Store,
)
from appliance.ebpf.isa.opcodes import AluOp, AtomicOp, Condition
from tests.appliance.ebpf.strategies import programs

EXIT = "95 00 0000 00000000"


def slots(*lines: str) -> bytes:
    return bytes.fromhex("".join(lines))


@given(programs())
def test_what_is_encoded_decodes_to_itself(program: tuple[Instruction, ...]) -> None:
    numbers = {"counters": 3, "settings": 4}
    data = encode(program, numbers)
    references = {}
    for slot, instruction in enumerate_slots(program):
        match instruction:
            case LoadMap(_, name):
                references[slot] = MapReference(name)
            case LoadMapValue(_, name, offset):
                references[slot] = MapValueReference(name, offset)
    assert decode(data, references) == program


def enumerate_slots(program: tuple[Instruction, ...]) -> list[tuple[int, Instruction]]:
    found, slot = [], 0
    for instruction in program:
        found.append((slot, instruction))
        slot += instruction.slots
    return found


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*sorted(_DECODERS), 0, 0xFF]),
            st.integers(0, 255),
            st.sampled_from([0, 0, 0, 1, -1, 2, 8, 16, 32]),
            st.sampled_from([0, 0, 1, -1, 16, 32, 64, 0x41, 0xE1, 0xF1, 2**31 - 1]),
        ),
        max_size=6,
    )
)
def test_what_decodes_encodes_to_the_same_bytes(fields: list[tuple[int, int, int, int]]) -> None:
    data = b"".join(struct.pack("<BBhi", *slot) for slot in fields)
    try:
        program = decode(data)
    except DecodeError as refused:
        assert refused.what
        return
    assert encode(program) == data


@given(st.binary(max_size=64))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        assert encode(decode(data)) == data
    except DecodeError as refused:
        assert 0 <= refused.slot <= len(data) // 8


@pytest.mark.parametrize(
    ("line", "instruction"),
    [
        ("07 01 0000 ffffffff", Alu(AluOp.ADD, 64, 1, Immediate(-1))),
        ("3c 21 0100 00000000", Alu(AluOp.SDIV, 32, 1, Register(2))),
        ("97 03 0100 fdffffff", Alu(AluOp.SMOD, 64, 3, Immediate(-3))),
        ("bf 21 2000 00000000", Move(64, 1, Register(2), 32)),
        ("bc 21 0800 00000000", Move(32, 1, Register(2), 8)),
        ("db 21 f8ff f1000000", Atomic(AtomicOp.CMPXCHG, 8, 1, -8, 2, True)),
        ("c3 21 0400 01000000", Atomic(AtomicOp.ADD, 4, 1, 4, 2, True)),
        ("06 00 0000 ffffffff", Jump(0, long=True)),
        ("a6 01 ffff feffffff", Branch(Condition.LT, 32, 1, Immediate(-2), 0)),
        ("85 00 0000 05000000", CallHelper(5)),
        ("85 10 0000 ffffffff", CallFunction(0)),
        ("85 20 0000 07000000", CallKernel(7)),
        ("8d 03 0000 00000000", CallRegister(3)),
    ],
)
def test_known_slots(line: str, instruction: Instruction) -> None:
    assert decode(slots(line, EXIT)) == (instruction, Exit())
    assert encode((instruction, Exit())) == slots(line, EXIT)


def test_targets_count_instructions_not_slots() -> None:
    data = slots("05 00 0200 00000000", "18 01 0000 44332211", "00 00 0000 88776655", EXIT)
    assert decode(data) == (Jump(2), LoadConstant(1, 0x5566778811223344), Exit())


def test_references_name_maps_and_functions() -> None:
    wide = ("18 01 0000 00000000", "00 00 0000 00000000")
    data = slots(*wide, *wide, *wide, "85 10 0000 ffffffff", EXIT, EXIT)
    references = {
        0: MapReference("flows"),
        2: MapValueReference(".rodata", 16),
        4: FunctionReference(8),
        6: FunctionReference(8),
    }
    program = (LoadMap(1, "flows"), LoadMapValue(1, ".rodata", 16), LoadFunction(1, 5), CallFunction(5), Exit(), Exit())
    assert decode(data, references) == program
    assert encode(program, {"flows": 7, ".rodata": 8}) == slots(
        "18 11 0000 07000000",
        "00 00 0000 00000000",
        "18 21 0000 08000000",
        "00 00 0000 10000000",
        "18 41 0000 03000000",
        "00 00 0000 00000000",
        "85 10 0000 01000000",
        EXIT,
        EXIT,
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(3), "slot 0: the program ends in the middle of an instruction: 3 bytes"),
        (slots("ff 00 0000 00000000"), "slot 0, opcode 0xff: no instruction has this opcode"),
        (slots("bf 1b 0000 00000000"), "slot 0, opcode 0xbf: there is no register r11 (destination)"),
        (slots("bf c1 0000 00000000"), "slot 0, opcode 0xbf: there is no register r12 (source)"),
        (slots("07 01 0500 01000000"), "slot 0, opcode 0x07: the offset is reserved here and must be 0, not 5"),
        (slots("0f 21 0000 01000000"), "slot 0, opcode 0x0f: the immediate is reserved here and must be 0, not 1"),
        (slots("b7 21 0000 01000000"), "slot 0, opcode 0xb7: the source is reserved here and must be 0, not 2"),
        (slots("95 01 0000 00000000"), "slot 0, opcode 0x95: the destination is reserved here and must be 0, not 1"),
        (slots("d4 01 0000 08000000"), "slot 0, opcode 0xd4: a byte swap has 16, 32 or 64 bits, not 8"),
        (slots("d3 21 0000 00000000"), "slot 0, opcode 0xd3: an atomic update has 4 or 8 bytes, not 1"),
        (slots("db 21 0000 02000000"), "slot 0, opcode 0xdb: no atomic operation has the number 0x2"),
        (slots("05 00 0100 00000000"), "slot 0, opcode 0x05: the target, slot 2, is outside of the program"),
        (slots("05 00 feff 00000000"), "slot 0, opcode 0x05: the target, slot -1, is outside of the program"),
        (
            slots("05 00 0100 00000000", "18 01 0000 01000000", "00 00 0000 00000000"),
            "slot 0, opcode 0x05: the target, slot 2, is the middle of a 64-bit immediate load",
        ),
        (
            slots("18 01 0000 01000000"),
            "slot 0, opcode 0x18: the program ends in the middle of a 64-bit immediate load",
        ),
        (
            slots("18 01 0000 01000000", EXIT),
            "slot 1, opcode 0x95: the second half of a 64-bit immediate load has opcode 0",
        ),
        (
            slots("18 71 0000 01000000", "00 00 0000 00000000"),
            "slot 0, opcode 0x18: a 64-bit immediate load has no kind 7",
        ),
        (
            slots("18 11 0000 05000000", "00 00 0000 00000000"),
            "slot 0, opcode 0x18: the load names a map by the number 5, which means nothing outside of a process",
        ),
        (slots("85 30 0000 01000000"), "slot 0, opcode 0x85: a call has no kind 3"),
    ],
)
def test_refusals_say_what_and_where(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode(data)
    assert str(refused.value).split("\n")[0] == message


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Move(64, 1, Immediate(1 << 31)), "instruction 0: the immediate 2147483648 does not fit in 32 bits"),
        (Move(32, 1, Register(2), 32), "instruction 0: a 32-bit move can't sign-extend 32 bits of that"),
        (Jump(9), "instruction 0: the target, instruction 9, is outside of the program"),
        (LoadMap(1, "flows"), "instruction 0: the map 'flows' has no number"),
        (Move(64, 11, Immediate(0)), "instruction 0: there is no register r11"),
        (Load(4, 1, 2, 0, signed=True, ordered=True), "instruction 0: a load-acquire does not extend the sign"),
        (Store(4, 1, 0, Immediate(1), ordered=True), "instruction 0: a store-release stores a register"),
    ],
)
def test_what_no_slot_can_hold(instruction: Instruction, message: str) -> None:
    with pytest.raises(EncodeError) as refused:
        encode([instruction])
    assert str(refused.value) == message


def test_a_jump_too_far_for_its_field() -> None:
    program = (Jump(40_000), *[Exit()] * 40_000)
    with pytest.raises(EncodeError, match="the offset 39999 does not fit in 16 bits"):
        encode(program)
    assert decode(encode((Jump(40_000, long=True), *[Exit()] * 40_000)))[0] == Jump(40_000, long=True)
