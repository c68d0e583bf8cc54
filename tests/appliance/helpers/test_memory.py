"""Memory and strings of eBPF for Windows: both engines do the same, to every byte."""

import ctypes
import errno
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Interpreter
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.platform import WINDOWS
from appliance.ebpf.spec import ProgramSpec
from appliance.helpers.model.table import python_helpers
from hooks.contracts.xdp import XDP_WINDOWS
from tests.appliance.helpers.native_functions import NativeHelpers

ROOM = 24
NAMES = ("memcpy_s", "memmove_s", "memcmp_s", "strncpy_s", "strncat_s", "strnlen_s", "memset")
ERANGE, EINVAL = (-number % (1 << 64) for number in (errno.ERANGE, errno.EINVAL))
TEXT = st.text("ab\0", min_size=ROOM, max_size=ROOM).map(str.encode)


@pytest.fixture(scope="module")
def native() -> Iterator[NativeHelpers]:
    with NativeHelpers(NAMES) as helpers:
        yield helpers


def interpret(name: str, memory: bytearray, first: int, size: int, second: int, count: int) -> int:
    """r0 of one call on two pieces of the memory, or on a piece and a number for memset."""
    third = f"r3 = {second}" if name == "memset" else f"r3 = r1; r3 += {second}"
    code = f"{third}; r4 = {count}; r1 += {first}; r2 = {size}; call {name}; exit"
    spec = ProgramSpec("test", "", XDP_WINDOWS, assemble(code, WINDOWS))
    return Interpreter(spec, {}, python_helpers()).run_memory(memory)


def call(native: NativeHelpers, name: str, content: bytes, *arguments: int) -> tuple[int, bytes]:
    """What both engines answer, and what is in memory then."""
    checked, compiled = bytearray(content), ctypes.create_string_buffer(content, len(content))
    answer = interpret(name, checked, *arguments)
    first, size, second, count = arguments
    base = ctypes.addressof(compiled)
    third = second if name == "memset" else base + second
    assert hex(native(name, base + first, size, third, count)) == hex(answer)
    assert compiled.raw == checked
    return answer, bytes(checked)


def test_engines_agree(native: NativeHelpers) -> None:
    """Pieces may overlap in every way, and be empty."""
    at = st.integers(0, ROOM)

    @settings(max_examples=400, deadline=None)
    @given(st.sampled_from(NAMES), st.binary(min_size=ROOM, max_size=ROOM) | TEXT, at, at, at, at)
    def agree(name: str, content: bytes, first: int, first_end: int, second: int, second_end: int) -> None:
        first, first_end = sorted((first, first_end))
        second, second_end = sorted((second, second_end))
        call(native, name, content, first, first_end - first, second, second_end - second)

    agree()


@pytest.mark.parametrize("name", ["memcpy_s", "memmove_s"])
def test_copies(native: NativeHelpers, name: str) -> None:
    assert call(native, name, b"........abcd", 0, 8, 8, 4) == (0, b"abcd....abcd")
    assert call(native, name, b"abcdef", 1, 4, 0, 4) == (0, b"aabcdf")
    assert call(native, name, b"...abcd", 0, 3, 3, 4) == (ERANGE, b"\0\0\0abcd")


def test_comparisons(native: NativeHelpers) -> None:
    assert call(native, "memcmp_s", b"abcabc", 0, 3, 3, 3)[0] == 0
    assert call(native, "memcmp_s", b"abcabd", 0, 3, 3, 3)[0] == (1 << 64) - 1
    assert call(native, "memcmp_s", b"\xff\x01", 0, 1, 1, 1)[0] == 1
    assert call(native, "memcmp_s", b"abcab", 0, 3, 3, 2)[0] == 1


def test_filling_takes_the_lowest_byte(native: NativeHelpers) -> None:
    assert call(native, "memset", b"......", 1, 4, 0x1FE, 0) == (0, b".\xfe\xfe\xfe\xfe.")


def test_strings(native: NativeHelpers) -> None:
    assert call(native, "strncpy_s", b"......ab\0", 0, 6, 6, 3) == (0, b"ab\0\0\0\0ab\0")
    assert call(native, "strncpy_s", b"......abcd", 0, 6, 6, 2) == (0, b"ab\0\0\0\0abcd")
    assert call(native, "strncpy_s", b"...abc", 0, 3, 3, 3) == (ERANGE, b"\0\0\0abc")
    assert call(native, "strncat_s", b"a\0..bc\0", 0, 4, 4, 3) == (0, b"abc\0bc\0")
    assert call(native, "strncat_s", b"a\0.bc\0", 0, 3, 3, 3) == (ERANGE, b"\0\0.bc\0")
    assert call(native, "strncat_s", b"abcd", 0, 2, 2, 2) == (EINVAL, b"\0bcd")
    assert call(native, "strnlen_s", b"ab\0c", 0, 4, 0, 0)[0] == 2
    assert call(native, "strnlen_s", b"abcd", 0, 3, 0, 0)[0] == 3
