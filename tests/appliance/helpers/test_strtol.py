"""strtol and strtoul: the interpreter, native code and the kernel read the same numbers in the same texts."""

import ctypes
import struct
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.model.table import python_helpers
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.appliance.helpers.native_functions import NativeHelpers
from tests.kernel_bpf import run_in_kernel

NAMES = ("strtol", "strtoul")
PIECES = st.lists(
    st.sampled_from([" ", "\t", "-", "0", "0x", "X", "7", "9", "a", "F", "g", "\0", "1" * 20]), max_size=6
)
TEXTS = st.integers(-(1 << 66), 1 << 66).map(str) | PIECES.map("".join)
EDGES = [
    *(b"0", b"-0", b"0x", b"0xg", b"08", b"010", b" \n\x0b42 ", b"\xa07", b"-", b"--1", b"+1", b"0X1F", b"ff", b"1 2"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809"),
    *(b"18446744073709551615", b"18446744073709551616", b"0" * 62 + b"12", b"0" * 63 + b"1", b"-" + b"0" * 70),
]


@pytest.fixture(scope="module")
def native() -> Iterator[NativeHelpers]:
    with NativeHelpers(NAMES) as helpers:
        yield helpers


def program(name: str, text: bytes, base: int, answer: str) -> ProgramSpec:
    """Reads the text from its stack; `answer` is what becomes of r0 and the number at r10 - 8."""
    stores = "; ".join(f"*(u8 *)(r10 {at - 128}) = {byte}" for at, byte in enumerate(text))
    code = f"""
        *(u64 *)(r10 - 8) = 99; {stores}
        r1 = r10; r1 += -128; r2 = {len(text)}; r3 = {base} ll; r4 = r10; r4 += -8
        call {name}; {answer}; exit
    """
    return ProgramSpec("test", "xdp", XDP_LINUX, assemble(code))


def interpret(name: str, text: bytes, base: int) -> tuple[int, int]:
    """How many characters, and the number."""
    first, second = (
        Interpreter(program(name, text, base, answer), {}, python_helpers()).run(
            Context(XDP_LINUX, FrameContext(), PacketMemory(bytes(14)))
        )
        for answer in ("r0 = r0", "r0 = *(u64 *)(r10 - 8)")
    )
    return first, second


def compiled(native: NativeHelpers, name: str, text: bytes, base: int) -> tuple[int, int]:
    memory, number = ctypes.create_string_buffer(text, len(text)), ctypes.c_uint64(99)
    consumed = native(name, ctypes.addressof(memory), len(text), base, ctypes.addressof(number))
    return consumed, number.value


def in_kernel(name: str, text: bytes, base: int) -> tuple[int, int]:
    answers = ("r0 = r0", "r0 = *(u32 *)(r10 - 8)", "r0 = *(u32 *)(r10 - 4)")
    frame = bytes(14)
    consumed, low, high = (
        run_in_kernel(encode(program(name, text, base, answer).instructions), frame).result for answer in answers
    )
    return struct.unpack("<i", struct.pack("<I", consumed))[0] % (1 << 64), high << 32 | low


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", EDGES, ids=repr)
def test_edges(native: NativeHelpers, name: str, text: bytes) -> None:
    for base in (0, 8, 10, 16):
        answer = interpret(name, text, base)
        assert compiled(native, name, text, base) == answer
        assert in_kernel(name, text, base) == answer


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("base", [2, 17, 32, 1 << 40])
def test_other_bases_are_refused(native: NativeHelpers, name: str, base: int) -> None:
    refused = ((1 << 64) - 22, 0)
    assert interpret(name, b"1", base) == compiled(native, name, b"1", base) == in_kernel(name, b"1", base) == refused


def test_any_text(native: NativeHelpers) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(NAMES), TEXTS.map(str.encode).filter(bool), st.sampled_from([0, 8, 10, 16]))
    @example("strtol", b"0x-1", 16)
    def agree(name: str, text: bytes, base: int) -> None:
        answer = interpret(name, text, base)
        assert compiled(native, name, text, base) == answer
        assert in_kernel(name, text, base) == answer

    agree()
