"""CO-RE: every kind of relocation, against types that clang made of other C, with the answers worked out by hand."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.btf.index import index_btf
from appliance.ebpf.core.candidates import essential_name
from appliance.ebpf.core.patch import POISON_HELPER
from appliance.ebpf.isa.instructions import CallHelper, Load
from appliance.ebpf.object_errors import ObjectError
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.ebpf.core.core_programs import CORE, answers, asking, load, refused, target
from tests.appliance.ebpf.objects.patching import Object
from tests.fuzz.fuzz_objects import survives

FIELD = "__builtin_preserve_field_info(((struct {0} *)0)->{1}, {2})"
OFFSET, SIZE, EXISTS, SIGNED, LEFT, RIGHT = range(6)

LOCAL = """
struct inner { int first; unsigned short second; } P;
struct flow { int a; unsigned b; long kept; unsigned low : 3; int high : 5; char name[8]; struct inner *next;
              struct inner in; struct inner many[4]; int gone; unsigned char *pointer; } P;
"""
TARGET = """
struct inner { long pad; unsigned short second; int first; };
struct flow { char pad[16]; union { struct { unsigned b; int other; }; long both; };
              unsigned short x : 13; unsigned low : 7; int high : 9; long a; int kept; struct inner *next;
              struct inner in; struct inner many[3]; char name[8]; void *pointer; };
struct flow x0; struct inner x1;
"""


def field(path: str, question: int, structure: str = "flow") -> str:
    return FIELD.format(structure, path, question)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (field("b", OFFSET), 16),
        (field("b", SIZE), 4),
        (field("b", SIGNED), 0),
        (field("a", SIGNED), 1),
        (field("a", SIZE), 8),
        (field("a", LEFT), 0),
        (field("kept", OFFSET), 40),
        (field("kept", RIGHT), 32),
        (field("name[2]", OFFSET), 122),
        (field("name", SIZE), 8),
        (field("in.second", OFFSET), 64),
        (field("many[2].first", OFFSET), 116),
        (field("many[2]", SIZE), 16),
        (field("many[3].first", EXISTS), 0),
        (field("gone", EXISTS), 0),
        (field("pointer", EXISTS), 1),
        (field("low", OFFSET), 24),
        (field("low", SIZE), 4),
        (field("low", LEFT), 64 - 13 - 7),
        (field("low", RIGHT), 57),
        (field("high", SIGNED), 1),
        (field("high", RIGHT), 55),
    ],
)
def test_fields(question: str, answer: int) -> None:
    assert answers(asking(LOCAL, question), target(TARGET)) == [answer]


TYPES = """
struct same { int a; char *b; } P; struct absent { int x; };
enum colour { RED = 1, GREEN = 2, BLUE = -3 }; typedef int number; struct other___new { int a; };
"""
THEIRS = """
struct same { char *b; short c; int a; }; enum colour { GREEN = 9, RED___old = 7, BLACK = -5 }; typedef long number;
struct other { char a; }; struct same x0; enum colour x1; number x2; struct other x3;
"""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("bpf_core_type_exists(struct same)", 1),
        ("bpf_core_type_exists(struct absent)", 0),
        ("bpf_core_type_exists(struct other___new)", 1),
        ("bpf_core_type_exists(number)", 1),
        ("bpf_core_type_size(struct same)", 16),
        ("bpf_core_type_size(number)", 8),
        ("bpf_core_type_size(struct absent)", 0),
        ("bpf_core_type_id_kernel(struct absent)", 0),
        ("bpf_core_enum_value_exists(enum colour, GREEN)", 1),
        ("bpf_core_enum_value_exists(enum colour, BLUE)", 0),
        ("bpf_core_enum_value(enum colour, GREEN)", 9),
        ("bpf_core_enum_value(enum colour, RED)", 7),
    ],
)
def test_types_and_values(question: str, answer: int) -> None:
    assert answers(asking(TYPES, question), target(THEIRS)) == [answer]


def test_numbers_of_types() -> None:
    types = target(THEIRS)
    data = asking(TYPES, "bpf_core_type_id_kernel(struct same)", "bpf_core_type_id_local(struct same)")
    there, here = answers(data, types)
    local = load(data, types).types
    assert local is not None
    assert (types.type(there).name, types.type(there).size) == ("same", 16)
    assert (local.type(here).name, len(local.type(here).entries)) == ("same", 2)


def test_the_numbers_of_ones_own_types_need_no_target() -> None:
    class Unasked(Btf):
        def __init__(self) -> None:
            super().__init__(())

        def named(self) -> None:  # type: ignore[override]
            raise AssertionError("the target was asked")

    assert answers(asking(TYPES, "bpf_core_type_id_local(struct same)"), Unasked()) != [0]


ACCESS = """struct flow {{ {0} }} P;
SEC("xdp") int p(struct xdp_md *ctx) {{ struct flow *f = (void *)(long)ctx->data; return f->b; }}"""


def load_of(local: str, there: str) -> object:
    """What becomes of the program's access to flow.b."""
    program = load(compile_c(CORE + ACCESS.format(local)), target(f"struct flow {{ {there} }}; struct flow x0;"))
    return program.programs["p"].instructions[1]


def test_loads_move_and_change_their_size() -> None:
    moved = load_of("int a; int b;", "long c[5]; int b;")
    assert isinstance(moved, Load)
    assert (moved.size, moved.offset) == (4, 40)
    wider = load_of("unsigned a; unsigned b;", "long c[5]; unsigned long b;")
    assert isinstance(wider, Load)
    assert (wider.size, wider.offset) == (8, 40)


@pytest.mark.parametrize("there", ["int c;", "long b;", "float b;", "struct { int x; } b;"])
def test_what_cannot_be_read_is_poisoned(there: str) -> None:
    assert load_of("int a; int b;", there) == CallHelper(POISON_HELPER)


def test_an_enumeration_without_the_value_is_poisoned() -> None:
    spec = load(asking(TYPES, "bpf_core_enum_value(enum colour, BLUE)"), target(THEIRS))
    assert spec.programs["p"].instructions[:2] == (CallHelper(POISON_HELPER),) * 2


# candidates


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("sk_buff", "sk_buff"),
        ("sk_buff___old", "sk_buff"),
        ("a___b___c", "a___b"),
        ("a____b", "a____b"),
        ("___b", "___b"),
        ("a___", "a___"),
        ("a___b_", "a"),
        ("", ""),
    ],
)
def test_essential_names(name: str, essential: str) -> None:
    assert essential_name(name) == essential


def test_flavours_that_agree_and_that_do_not() -> None:
    local = "struct flow { int a, b; } P;"
    agreeing = "struct flow { long x; int b; }; struct flow___2 { int c, d, b; }; struct flow x0; struct flow___2 x1;"
    assert answers(asking(local, field("b", OFFSET)), target(agreeing)) == [8]
    error = refused(asking(local, field("b", OFFSET)), target(agreeing.replace("int c, d,", "int c,")))
    where = "function p, slot 0: FIELD_BYTE_OFFSET"
    assert error.startswith(f"{where}: the target has several struct flow, which give different results (8 by type ")


@pytest.mark.parametrize(
    ("local", "there", "exists"),
    [
        ("enum one { A } b;", "enum one { B } b;", 1),
        ("enum one { A } b;", "enum two { A } b;", 0),
        ("int b[3];", "long b[9];", 1),
        ("int b[3];", "int *b;", 0),
        ("float b;", "double b;", 1),
        ("struct any *b;", "void *b;", 1),
        ("int b;", "const volatile unsigned b;", 1),
        ("int b;", "union { struct { char c; struct { int b; }; }; };", 1),
        ("int b;", "", 0),
    ],
)
def test_which_fields_agree(local: str, there: str, exists: int) -> None:
    types = target(f"struct flow {{ {there} int other; }}; struct flow x0;")
    assert answers(asking(f"struct flow {{ int a; {local} }} P;", field("b", EXISTS)), types) == [exists]


# records and types that mean harm

ASKING_B = asking("struct flow { int a, b; } P;", field("b", OFFSET))
FLOW = target("struct flow { int a, b; }; struct flow x0;")


def harmed(offset: int, value: int, data: bytes = ASKING_B) -> str:
    """What becomes of the file with that word of its first CO-RE relocation changed."""
    made = Object(data)
    start = made.get(made.sections[".BTF.ext"], "offset")
    header, at = (struct.unpack_from("<I", made.data, start + place)[0] for place in (4, 24))
    made.inside(".BTF.ext", header + at + 12 + offset, "I", value)
    return refused(bytes(made.data), FLOW)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 4, "section .BTF.ext: a CO-RE relocation is for byte 4, where no instruction starts"),
        (4, 9999, "function p, slot 0: FIELD_BYTE_OFFSET: section .BTF: there is no type 9999"),
        (4, 0, "function p, slot 0: FIELD_BYTE_OFFSET: section .BTF: a VOID has no size"),
        (8, 60000, "the strings of .BTF: no string starts at byte 60000"),
        (8, 0, "function p, slot 0: FIELD_BYTE_OFFSET: '' is no path into a type"),
        (12, 13, "section .BTF.ext: there is no CO-RE relocation of kind 13"),
        (12, 8, "function p, slot 0: TYPE_EXISTS: the relocation of a whole type has the access string '0:1', not '0'"),
        (12, 10, "function p, slot 0: ENUMVAL_EXISTS: '0:1' names no value of struct flow"),
        (-4, 1 << 20, "section .BTF.ext: the CO-RE records end inside a record"),
        (-12, 8, "section .BTF.ext: a CO-RE record has 8 bytes, not 16"),
    ],
)  # fmt: skip
def test_records_that_make_no_sense(offset: int, value: int, message: str) -> None:
    assert harmed(offset, value) == message


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 1 << 12), value=st.integers(0, 40) | st.integers(0, 2**32 - 1))
def test_any_word_of_the_records_may_be_wrong(place: int, value: int) -> None:
    data = asking(LOCAL + TYPES.replace("other", "another"), *(field("many[1].first", what) for what in (0, 1, 2)))
    made = Object(data)
    start = made.get(made.sections[".BTF.ext"], "offset")
    header, at, size = (struct.unpack_from("<I", made.data, start + word)[0] for word in (4, 24, 28))
    made.inside(".BTF.ext", header + at + place * 4 % size, "I", value)
    survives(bytes(made.data))


def test_types_of_a_target_that_are_cut_short() -> None:
    with pytest.raises(ObjectError, match=r"^t: section \.BTF: the section ends inside its header"):
        index_btf(b"\x9f\xeb", "t")
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 8, 8, 1)
    for types in (b"\1\0\0\0\0\0\0\4", b"\0" * 8):
        with pytest.raises(ObjectError, match=r"^t: section \.BTF: "):
            index_btf(header + types + b"\0", "t")
