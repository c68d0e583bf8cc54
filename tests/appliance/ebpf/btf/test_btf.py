"""BTF: every kind, as bpftool reads it too; and types that go round in circles or are too large."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance.ebpf.btf.btf import (
    MODIFIERS,
    Btf,
    BtfType,
    Enumerator,
    Kind,
    Member,
    Parameter,
    SectionVariable,
    read_btf,
)
from appliance.ebpf.elf.elf import read_elf
from appliance.ebpf.object_errors import ObjectError
from tests.appliance.ebpf.compiling import PROGRAMS, compile_by_llvm_20, compile_c
from tests.appliance.ebpf.objects.patching import Object, refusal
from tests.capabilities import requires

PASS = (PROGRAMS / "xdp_pass.bpf.o").read_bytes()
FIREWALL = (PROGRAMS / "xdp_firewall.bpf.o").read_bytes()

# types that go round in circles, or are too large


def btf(*types: tuple[int, ...], strings: bytes = b"\0m\0.maps\0type\0key\0") -> bytes:
    body = b"".join(struct.pack(f"<{len(words)}I", *words) for words in types)
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings)) + body + strings


def kind(which: Kind, count: int = 0) -> int:
    return which << 24 | count


def maps_object(types: bytes) -> bytes:
    """A sound object with one map `m` and other types in place of its own."""
    source = """
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); } m SEC(".maps");
    SEC("xdp") int p(void *ctx) { return bpf_map_lookup_elem(&m, ctx) != 0; }
    """
    made = Object(compile_c(source))
    room = made.get(made.sections[".BTF"], "size")
    assert len(types) <= room
    start = made.get(made.sections[".BTF"], "offset")
    made.data[start : start + len(types)] = types
    made.section(".BTF", "size", len(types))
    for name in (".BTF.ext", ".rel.BTF", ".rel.BTF.ext"):
        made.section(name, "type", 1).section(name, "name", made.get(made.sections["xdp"], "name") + 3)
    return bytes(made.data)


VARIABLE = (1, kind(Kind.VAR), 2, 1)  # type 1: m
SECTION = (3, kind(Kind.DATASEC, 1), 0, 1, 0, 8)


def map_of(*member: tuple[int, ...], name: int = 9) -> bytes:
    """Types: 1 the variable m, 2 its structure with one member of type 4, 3 the section, 4 and on what is given."""
    return maps_object(btf(VARIABLE, (0, kind(Kind.STRUCT, 1), 8, name, 4, 0), SECTION, *member))


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([(0, kind(Kind.CONST), 4)], "section .BTF: type 4 wraps itself"),
        ([(0, kind(Kind.CONST), 5), (0, kind(Kind.VOLATILE), 4)], "section .BTF: type 4 wraps itself"),
        ([(0, kind(Kind.PTR), 99)], "section .BTF: there is no type 99"),
        ([(0, kind(Kind.PTR), 4)], "map m: the attribute type is no number"),
        ([(0, kind(Kind.INT), 4, 32)], "map m: the attribute type is no pointer"),
        (
            [(0, kind(Kind.PTR), 5), (0, kind(Kind.ARRAY), 0, 5, 5, 99)],
            "map m: the platform linux has no map type 99 that is known here",
        ),
    ],
)
def test_types_of_numbers(types: list[tuple[int, ...]], message: str) -> None:
    assert refusal(map_of(*types)) == message


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([(0, kind(Kind.PTR), 5), (0, kind(Kind.ARRAY), 0, 5, 5, 2)], "section .BTF: type 5 is an array of itself"),
        ([(0, kind(Kind.PTR), 0)], "section .BTF: a VOID has no size"),
        ([(0, kind(Kind.PTR), 5), (0, kind(Kind.FUNC_PROTO), 0)], "section .BTF: a FUNC_PROTO has no size"),
        (
            [(0, kind(Kind.PTR), 5), (0, kind(Kind.ARRAY), 0, 6, 6, 2**32 - 1), (0, kind(Kind.INT), 4, 32)],
            f"section .BTF: type 6 has {4 * (2**32 - 1)} bytes",
        ),
    ],
)
def test_types_of_keys(types: list[tuple[int, ...]], message: str) -> None:
    assert refusal(map_of(*types, name=14)) == message


def test_a_type_that_is_cut_short() -> None:
    assert refusal(maps_object(btf(VARIABLE, (0, kind(Kind.STRUCT, 60000), 8)))) == (
        "section .BTF: the types end inside a type"
    )


def test_strings_that_share_all_their_tails_have_a_limit() -> None:
    long = b"\0" + b"a" * 2000 + b"\0"
    types = [(offset, kind(Kind.INT), 4, 32) for offset in range(1, 2000)]
    made = Object(PASS)
    made.data += btf(*types, strings=long)
    made.section(".BTF", "offset", len(PASS)).section(".BTF", "size", len(made.data) - len(PASS))
    assert refusal(made) == "the strings of .BTF: the strings overlap too much to be honest"


def test_types_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.ebpf.btf.btf.MAX_TYPES", 3)
    assert refusal(FIREWALL) == "section .BTF: there are more than 3 types"


# what bpftool reads

KINDS = """
enum colour { RED = -1, GREEN, BLUE = 7 };
enum wide { NARROW, FAR = 0x123456789ULL };
union either { int number; float real; };
struct later;
typedef const volatile struct tree {
    struct tree *restrict left; struct later *other; enum colour colour : 3; unsigned rest : 5;
    union either either; enum wide wide; char name[16];
} tree_t __attribute__((btf_type_tag("tagged")));
struct noted { int __attribute__((btf_decl_tag("note"))) field; };
tree_t *root; struct noted noted; int __attribute__((btf_type_tag("user"))) *tagged;
static __noinline int walk(tree_t *tree, int depth) { return tree ? tree->colour + depth : bpf_get_prandom_u32(); }
SEC("xdp") int p(struct xdp_md *ctx) {
    return (walk(root, ctx->rx_queue_index) + noted.field + (tagged ? *tagged : 0)) & 3;
}
"""


def types_of(data: bytes) -> Btf:
    section = read_elf(data).section(".BTF")
    assert section is not None
    return read_btf(section.data)[0]


def as_bpftool_says(number: int, found: BtfType) -> dict[str, Any]:
    """A type in the words of `bpftool -j btf dump`."""
    said: dict[str, Any] = {"id": number, "kind": found.kind.name, "name": found.name or "(anon)"}
    if found.kind in (Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.DATASEC, Kind.FLOAT):
        said["size"] = found.size
    if found.kind in MODIFIERS | {Kind.PTR, Kind.ARRAY, Kind.FUNC, Kind.VAR, Kind.DECL_TAG}:
        said["type_id"] = found.target
    if found.kind is Kind.FUNC_PROTO:
        said["ret_type_id"] = found.target
    if found.kind is Kind.ARRAY:
        said["nr_elems"] = found.count
    entries = [_entry(entry) for entry in found.entries]
    names = {Kind.STRUCT: "members", Kind.UNION: "members", Kind.ENUM: "values", Kind.ENUM64: "values"}
    names |= {Kind.FUNC_PROTO: "params", Kind.DATASEC: "vars"}
    return said | ({names[found.kind]: entries} if found.kind in names else {})


def _entry(entry: object) -> dict[str, Any]:
    match entry:
        case Member(name, type_, bits, 0):
            return {"name": name or "(anon)", "type_id": type_, "bits_offset": bits}
        case Member(name, type_, bits, size):
            return {"name": name or "(anon)", "type_id": type_, "bits_offset": bits, "bitfield_size": size}
        case Enumerator(name, value):
            return {"name": name, "val": value & 0xFFFFFFFF}
        case Parameter(name, type_):
            return {"name": name or "(anon)", "type_id": type_}
        case SectionVariable(type_, offset, size):
            return {"type_id": type_, "offset": offset, "size": size}
    raise AssertionError(entry)


# What bpftool says of a type that BtfType leaves out, because nothing here asks for it.
_UNKEPT = {"bits_offset", "nr_bits", "encoding", "index_type_id", "linkage", "fwd_kind", "component_idx", "vlen"}


@requires("bpftool")  # the other reader
@pytest.mark.parametrize("name", ["firewall", "kinds", "llvm 20"])
def test_types_are_what_bpftool_reads(name: str, tmp_path: Path) -> None:
    data = {
        "firewall": lambda: FIREWALL,
        "kinds": lambda: compile_c(KINDS),
        "llvm 20": lambda: compile_by_llvm_20(PROGRAMS / "xdp_firewall.bpf.c"),
    }[name]()
    path = tmp_path / "some.o"
    path.write_bytes(data)
    dump = subprocess.run(["bpftool", "-j", "btf", "dump", "file", str(path)], capture_output=True, check=True).stdout
    said = [{key: word for key, word in entry.items() if key not in _UNKEPT} for entry in json.loads(dump)["types"]]
    for value in (value for entry in said for value in entry.get("values", ())):
        value["val"] &= 0xFFFFFFFF  # bpftool 7.1 prints -1 in 64 bits where the type has 32
    ours = [as_bpftool_says(number, found) for number, found in enumerate(types_of(data).types)][1:]
    assert ours == said


def test_the_program_of_many_kinds_has_them() -> None:
    kinds = {found.kind for found in types_of(compile_c(KINDS)).types}
    assert kinds == set(Kind) - {Kind.ENUM64}, "clang 14 knows no ENUM64"


# what our compiler does not write


def test_kinds_of_newer_compilers() -> None:
    strings = b"\0a\0b\0"
    data = btf(
        (1, kind(Kind.ENUM64, 2), 8, 1, 5, 1, 3, 0xFFFFFFFF, 0xFFFFFFFF),
        (1, 1 << 31 | kind(Kind.ENUM64, 1), 8, 3, 0xFFFFFFFE, 0xFFFFFFFF),
        (1, 1 << 31 | kind(Kind.ENUM, 1), 4, 3, 0xFFFFFFFF),
        (1, kind(Kind.ENUM, 1), 4, 3, 0xFFFFFFFF),
        (1, kind(Kind.FLOAT), 8),
        (1, kind(Kind.DECL_TAG), 5, 0xFFFFFFFF),
        (1, kind(Kind.TYPE_TAG), 5),
        (1, kind(Kind.FWD), 0),
        (1, 1 << 31 | kind(Kind.STRUCT, 1), 4, 3, 5, 3 << 24 | 9),
        strings=strings,
    )
    assert read_btf(data)[0].types[1:] == (
        BtfType(Kind.ENUM64, "a", 8, entries=(Enumerator("a", (1 << 32) + 5), Enumerator("b", (1 << 64) - 1))),
        BtfType(Kind.ENUM64, "a", 8, entries=(Enumerator("b", -2),), signed=True),
        BtfType(Kind.ENUM, "a", 4, entries=(Enumerator("b", -1),), signed=True),
        BtfType(Kind.ENUM, "a", 4, entries=(Enumerator("b", 0xFFFFFFFF),)),
        BtfType(Kind.FLOAT, "a", 8),
        BtfType(Kind.DECL_TAG, "a", target=5),
        BtfType(Kind.TYPE_TAG, "a", target=5),
        BtfType(Kind.FWD, "a"),
        BtfType(Kind.STRUCT, "a", 4, entries=(Member("b", 5, 9, 3),)),
    )


def test_sizes_go_through_names_qualifiers_and_arrays() -> None:
    data = btf(
        (0, kind(Kind.INT), 4, 32),
        (0, kind(Kind.ARRAY), 0, 1, 1, 3),
        (0, kind(Kind.ARRAY), 0, 2, 1, 5),
        (1, kind(Kind.TYPEDEF), 5),
        (0, kind(Kind.CONST), 3),
        (0, kind(Kind.PTR), 0),
        (0, kind(Kind.ARRAY), 0, 6, 1, 2),
    )
    types = read_btf(data)[0]
    assert [types.size_of(number) for number in (1, 2, 3, 4, 6, 7)] == [4, 12, 60, 60, 8, 16]
    with pytest.raises(ObjectError, match="a VOID has no size"):
        types.size_of(0)
    with pytest.raises(ObjectError, match="there is no type 8"):
        types.type(8)
