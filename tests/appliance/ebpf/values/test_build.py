"""Codecs of types as they shouldn't be: refused, or plain bytes; never endless."""

from __future__ import annotations

import contextlib

import pytest

from appliance.ebpf.btf.btf import VOID, Btf, BtfType, Kind, Member
from appliance.ebpf.btf.index import read_btf_file
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.values import Codecs, RawBytes, ValueUnfit, make_dataclass, type_name
from tests.appliance.ebpf.values.programs import spec

U8, U32 = BtfType(Kind.INT, "u8", 1), BtfType(Kind.INT, "u32", 4)


def types(*made: BtfType) -> Btf:
    """Those types, numbered from 1."""
    return Btf((VOID, *made))


def struct(size: int, *members: Member) -> BtfType:
    return BtfType(Kind.STRUCT, "s", size, entries=members)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (struct(4, Member("self", 1, 0)), "section .BTF: type 1 holds itself"),
        (BtfType(Kind.ARRAY, target=1, count=2), "section .BTF: type 1 holds itself"),
        (BtfType(Kind.TYPEDEF, "t", target=1), "section .BTF: type 1 wraps itself"),
        (struct(4, Member("a", 2, 8)), "section .BTF: a member of struct s reaches beyond it"),
        (struct(4, Member("a", 2, 1)), "section .BTF: the member 'a' begins inside of a byte"),
        (struct(8, Member("a", 2, 0, 33)), "section .BTF: u32 in a bit field of 33 bits"),
        (struct(8, Member("a", 2, 0), Member("a", 2, 32)), "section .BTF: two members of struct s have one name"),
        (BtfType(Kind.FWD, "f"), "section .BTF: type 1 (struct f) is none that values have here"),
        (BtfType(Kind.INT, "huge", 1 << 31), "section .BTF: type 1 (huge) is none that values have here"),
        (BtfType(Kind.INT, "old", 4, bit_offset=3), "section .BTF: type 1 (old) is none that values have here"),
        (BtfType(Kind.FLOAT, "half", 2), "section .BTF: type 1 (half) is none that values have here"),
        (
            BtfType(Kind.ARRAY, target=3, count=(1 << 32) - 1),
            "section .BTF: a value of struct empty[4294967295] is made of 4294967296 values",
        ),
        (struct(4, Member("a", 9, 0)), "section .BTF: there is no type 9"),
    ],
    ids=str,
)
def test_types_that_no_value_has(found: BtfType, message: str) -> None:
    with pytest.raises(ObjectError) as error:
        Codecs(types(found, U32, BtfType(Kind.STRUCT, "empty"))).numbered(1)
    assert str(error.value) == message


def test_bytes_where_nothing_says_more() -> None:
    for codecs, number, size in ((Codecs(None), 1, 3), (Codecs(types(U32)), 0, 3), (Codecs(types(U32)), 1, 3)):
        assert isinstance(codecs.of(number, size), RawBytes)
    with pytest.raises(ObjectError, match=r"the object has no types\n  hint: build it with -g"):
        Codecs(None).numbered(1)


@pytest.mark.parametrize("names", [("a b", "c"), ("from_", "from")])
def test_names_that_no_attribute_can_have(names: tuple[str, str]) -> None:
    codec = Codecs(types(struct(8, Member(names[0], 2, 0), Member(names[1], 2, 32)), U32)).numbered(1)
    assert codec.decode(bytes(8)) == dict.fromkeys(names, 0)
    with pytest.raises(
        ValueUnfit, match=r"the field '.*' of struct s can't be an attribute\n  hint: read it as a dict"
    ):
        make_dataclass(codec)


def test_nameless_bit_fields_are_padding() -> None:
    codec = Codecs(types(struct(4, Member("a", 2, 0, 3), Member("", 2, 3, 5), Member("b", 2, 8, 8)), U32)).numbered(1)
    assert codec.decode(b"\xff\x07\xff\xff") == {"a": 7, "b": 7}
    assert codec.encode({"a": 7, "b": 7}) == b"\x07\x07\0\0"


def test_names_are_those_of_c() -> None:
    btf = types(
        U8,
        BtfType(Kind.CONST, target=1),
        BtfType(Kind.PTR, target=2),
        BtfType(Kind.CONST, target=3),
        BtfType(Kind.ARRAY, target=4, count=2),
        BtfType(Kind.ARRAY, target=5, count=3),
        BtfType(Kind.PTR, target=3),
        BtfType(Kind.PTR),
        BtfType(Kind.UNION),
        BtfType(Kind.ARRAY, target=10, count=1),
        BtfType(Kind.TYPE_TAG, "user", target=1),
    )
    names = [type_name(btf, number) for number in range(12)]
    assert names[:10] == [
        "void", "u8", "const u8", "const u8 *", "const u8 *const", "const u8 *const[2]", "const u8 *const[3][2]",
        "const u8 **", "void *", "union {…}",
    ]  # fmt: skip
    assert names[10].startswith("…[1]")
    assert names[11] == "u8"


def test_every_type_of_an_object() -> None:
    """Whatever has a size has values, all zero if nothing else."""
    btf = spec().types
    assert btf is not None
    for number, found in enumerate(btf.types):
        if found.kind in (Kind.STRUCT, Kind.UNION, Kind.INT, Kind.ENUM, Kind.ARRAY, Kind.PTR):
            codec = Codecs(btf).numbered(number)
            assert codec.encode(codec.decode(bytes(codec.size))) == bytes(codec.size)


def test_every_type_of_the_kernel_is_read_or_refused() -> None:
    btf = read_btf_file()
    codecs = Codecs(btf)
    for number in range(1, len(btf.types), 29):
        with contextlib.suppress(ObjectError):
            codec = codecs.numbered(number)
            if codec.size < 1 << 16:
                codec.decode(bytes(codec.size))
