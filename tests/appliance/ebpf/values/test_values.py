"""Values in both directions: what clang laid out is read as it was written; what is wrong is told with its place."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ebpf.values import Codec, RawBytes, ValueUnfit
from appliance.ebpf.values.arrays import Array, ByteArray
from appliance.ebpf.values.composites import Composite
from appliance.ebpf.values.scalars import Boolean, Float, Number
from tests.appliance.ebpf.values.programs import codec, spec

EVERYTHING: dict[str, Any] = {
    "u8": 200, "s8": -100, "u16": 60000, "s16": -30000, "u32": 4000000000, "s32": -2000000000,
    "u64": 1 << 63, "s64": -1 << 63, "flag": True, "letter": ord("a"), "action": 1, "sign": (1 << 32) - 1,
    "wide": 1 << 32, "port": 443, "name": b"abc\0\0\0", "mac": b"\2\0\0\0\0\xff",
    "deltas": [-1, 1], "ports": [1, 2, 65535], "grid": [[1, 2, 3], [4, 5, 6]],
    "inner": {"a": -1, "b": 1}, "pair": [{"a": 2, "b": 3}, {"a": 4, "b": 5}], "pointer": 0,
    "single": 1.5, "twice": -2.25, "address": 1 << 127,
}  # fmt: skip
BITS = {"one": 1, "three": 5, "five": -16, "action": 1, "flag": True, "after": 7}
HOST = {"family": 4, "v4": 0x7F000001, "v6": b"\1\0\0\x7f".ljust(16, b"\0"), "low": 1, "high": 0x7F00}


def laid_out(name: str) -> bytes:
    """The bytes that clang gave a variable."""
    for map_ in spec().maps.values():
        for variable in map_.variables:
            if variable.name == name:
                ((_, section),) = map_.contents
                return section[variable.offset : variable.offset + variable.size]
    raise AssertionError(name)


@pytest.mark.parametrize(("name", "value"), [("everything", EVERYTHING), ("bits", BITS), ("host", HOST)])
def test_what_clang_wrote(name: str, value: dict[str, Any]) -> None:
    assert codec(name).decode(laid_out(name)) == value
    assert codec(name).encode(value) == laid_out(name)


def values_of(codec: Codec) -> st.SearchStrategy[Any]:
    """Values that are decoded as they were encoded; structures without unions."""
    if isinstance(codec, Boolean):
        return st.booleans()
    if isinstance(codec, Number):
        return st.integers(codec.least if codec.signed else 0, codec.most)
    if isinstance(codec, Float):
        return st.floats(allow_nan=False, width=32 if codec.size == 4 else 64)
    if isinstance(codec, ByteArray):
        return st.binary(min_size=codec.size, max_size=codec.size)
    if isinstance(codec, Array):
        return st.lists(values_of(codec.element), min_size=codec.count, max_size=codec.count)
    assert isinstance(codec, Composite)
    return st.fixed_dictionaries({name: values_of(of) for name, of in codec.fields.items()})


@given(st.data())
def test_values_come_back(data: st.DataObject) -> None:
    for name in ("everything", "bits", "tail", "grid", "name", "pointer"):
        value = data.draw(values_of(codec(name)), label=name)
        assert codec(name).decode(codec(name).encode(value)) == value


@given(st.data())
def test_every_value_that_is_read_can_be_written(data: st.DataObject) -> None:
    """Of unions as of all else; padding alone is lost."""
    for name in ("bits", "host", "either", "from_to", "number", "sign"):
        of = codec(name)
        value = of.decode(data.draw(st.binary(min_size=of.size, max_size=of.size), label=name))
        again = of.encode(value)
        assert of.decode(again) == value


def test_names_and_text_may_be_given() -> None:
    assert codec("action").encode("DROP") == struct.pack("<I", 1)
    assert codec("sign").encode("MINUS") == codec("sign").encode(-1) == b"\xff" * 4
    assert codec("action").encode(77) == struct.pack("<I", 77)
    assert codec("name").encode("été") == "été".encode().ljust(6, b"\0")
    assert codec("ratio").encode(2) == struct.pack("<f", 2.0)
    assert codec("flag").encode(1) == b"\1"
    assert codec("flag").decode(b"\x80") is True


def test_one_member_of_a_union_is_enough() -> None:
    host = codec("host")
    assert host.decode(host.encode({"family": 6, "v6": bytes(range(16))}))["v4"] == 0x03020100
    assert host.encode({"family": 4, "low": 1, "high": 2}) == struct.pack("<BxxxHH12x", 4, 1, 2)
    assert host.encode({"family": 4, "v4": 0x00020001, "low": 1, "high": 2, "v6": None})[4:8] == b"\1\0\2\0"
    assert codec("either").encode({"inner": {"a": 1, "b": 2}}) == struct.pack("<b7xQ", 1, 2)


def test_padding_is_nobodys() -> None:
    """`words` fills the bytes that are padding in `inner`, and the two agree about the others."""
    words = [0x0102030405060708, 9]
    assert codec("either").encode({"inner": {"a": 8, "b": 9}, "words": words}) == struct.pack("<2Q", *words)


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in EVERYTHING.items() if field != name}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("number", 1 << 32, "4294967296 is no value of __u32\n  hint: an integer from 0 to 4294967295"),
        ("number", "1", "'1' is no value of __u32\n  hint: an integer from 0 to 4294967295"),
        ("number", None, "None is no value of __u32\n  hint: an integer from 0 to 4294967295"),
        ("flag", 2, "2 is no value of _Bool\n  hint: True or False"),
        ("ratio", 1e40, "1e+40 is no value of float\n  hint: a number that 4 bytes of floating point can hold"),
        (
            "action",
            "DRP",
            "'DRP' is no value of enum action\n  hint: an integer from -2147483648 to 4294967295, or one of PASS, DROP",
        ),
        ("name", b"abc", "b'abc' is no value of char[6]\n  hint: 6 bytes, or text of at most as many in UTF-8"),
        (
            "name",
            "seventy",
            "'seventy' is no value of char[6]\n  hint: 6 bytes, or text of at most as many in UTF-8",
        ),
        ("grid", [[1, 2, 3], [4, 5, -6]], "[1][2]: -6 is no value of __u32\n  hint: an integer from 0 to 4294967295"),
        ("grid", [[1, 2, 3]], "[[1, 2, 3]] is no value of __u32[2][3]\n  hint: a sequence of 2"),
        ("tail", {"count": 1, "items": [7]}, "items: [7] is no value of __u32[0]\n  hint: a sequence of 0"),
        ("from_to", 7, "7 is no value of struct from_to\n  hint: a dict or dataclass with from, to"),
        ("from_to", {"fro": 1}, "struct from_to has no field 'fro'\n  hint: it has from, to"),
        (
            "from_to",
            {"from": 1},
            "the field 'to' is missing\n  hint: give a value for every field; of a union, for one of its members",
        ),
        (
            "everything",
            {**EVERYTHING, "pair": [{"a": 1, "b": 1}, {"a": 128, "b": 1}]},
            "pair[1].a: 128 is no value of __s8\n  hint: an integer from -128 to 127",
        ),
        ("bits", {**BITS, "five": 16}, "five: 16 is no value of __s32:5\n  hint: an integer from -16 to 15"),
        ("host", {"family": 4}, "union {…} has no value\n  hint: give one of v4, v6, low, high"),
        (
            "host",
            {"family": 4, "v4": 1, "low": 2, "high": 0},
            "low: the members of union {…} differ\n  hint: give one of them, or values that have the same bytes",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueUnfit) as error:
        codec(name).encode(value)
    assert str(error.value) == message


def test_bytes_have_the_types_size() -> None:
    with pytest.raises(ValueUnfit, match=r"3 bytes where __u32 has 4"):
        codec("number").decode(bytes(3))
    with pytest.raises(ValueUnfit, match=r"1 is no value of 2 bytes\n  hint: give 2 bytes: the object has no type"):
        RawBytes(2).encode(1)
    assert RawBytes(2).decode(RawBytes(2).encode(b"ab")) == b"ab"
