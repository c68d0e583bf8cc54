"""Files that mean harm: each is refused with an ObjectError, whatever is wrong with it, and in bounded time."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.ebpf.objects.objects import load_object
from tests.appliance.ebpf.compiling import PROGRAMS, compile_c
from tests.appliance.ebpf.objects.patching import Object, fault, refusal
from tests.fuzz.fuzz_objects import bases, survives
from tests.fuzz.mutations import mutate

FIREWALL = (PROGRAMS / "xdp_firewall.bpf.o").read_bytes()
PASS = (PROGRAMS / "xdp_pass.bpf.o").read_bytes()
CALLS = """
static __noinline int f(int x) { return x * bpf_get_prandom_u32(); }
static __noinline int g(int x) { return f(x) + 1; }
int value = 3;
SEC("xdp") int p(struct xdp_md *ctx) { return (g(ctx->rx_queue_index) + value) & 3; }
"""


# random damage


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), which=st.integers(0, 8))
def test_damaged_objects_load_or_are_refused(seed: int, which: int) -> None:
    sound = bases()
    survives(mutate(sound[which % len(sound)], random.Random(seed)))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), keep=st.integers(0, 64))
def test_any_bytes_behind_a_sound_beginning_are_refused(data: bytes, keep: int) -> None:
    assert not survives(PASS[:keep] + data)


def test_every_truncation_is_refused() -> None:
    assert not any(survives(PASS[:size]) for size in range(len(PASS)))


# chosen damage


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"version: 1\n", "this is not an ELF file"),
        (b"\x7fELF", "the file ends inside its header, after 4 bytes"),
        (Object(PASS).header("class", 1), "this is not a 64-bit ELF file"),
        (Object(PASS).header("data", 2), "the object is big endian"),
        (Object(PASS).header("machine", 62), "the object is for the machine EM_X86_64, not for eBPF"),
        (Object(PASS).header("machine", 9999), "the object is for the machine 9999, not for eBPF"),
        (Object(PASS).header("type", 2), "the file is of type ET_EXEC, not relocatable (ET_REL)"),
        (Object(PASS).header("shnum", 0), "the file has no section headers"),
        (Object(PASS).header("shentsize", 8), "the file has no section headers"),
        (Object(PASS).header("shnum", 0xFFFF), "the section headers reach beyond the end of the file"),
        (Object(PASS).header("shoff", 2**64 - 1), "the section headers reach beyond the end of the file"),
        (Object(PASS).header("shstrndx", 200), "no section holds the names of the sections"),
        (PASS[:-1], "the section headers reach beyond the end of the file"),
        (Object(PASS).section("xdp", "size", 2**63), "section 3 reaches beyond the end of the file"),
        (Object(PASS).section("xdp", "offset", 2**64 - 8), "section 3 reaches beyond the end of the file"),
        (Object(PASS).section("xdp", "offset", 8), "the file header and section 3 overlap"),
        (Object(PASS).section("xdp", "name", 60000), "the section names: no string starts at byte 60000"),
        (Object(PASS).section("xdp", "flags", 0x806), "section xdp: the section is compressed"),
        (
            Object(PASS).section("xdp", "type", 8).section("xdp", "size", 2**62),
            f"section xdp: the section claims {2**62} bytes",
        ),
        (Object(PASS).section(".symtab", "link", 77), "section .symtab: the symbol table has no strings"),
        (Object(PASS).section(".symtab", "size", 25), "section .symtab: the table's size is no multiple of 24"),
        (Object(PASS).section("license", "type", 2), "there are 2 symbol tables"),
        (Object(PASS).inside("license", 0, "B", 0xE9), "section license: the license is not ASCII text"),
        (Object(PASS).inside(".BTF", 0, "H", 0x1234),
            "section .BTF: this is not BTF of version 1 (magic 0x1234, version 1)"),
        (Object(PASS).inside(".BTF", 12, "I", 2**31), "section .BTF: the header points outside of the section"),
        (Object(PASS).inside(".BTF", 24 + 4, "I", 31 << 24), "section .BTF: type 1 has the unknown kind 31"),
        (Object(PASS).section(".BTF.ext", "size", 4), "section .BTF.ext: the section ends inside its header"),
        (Object(PASS).inside(".BTF.ext", 20, "I", 2**30), "section .BTF.ext: the header points outside of the section"),
    ],
)  # fmt: skip
def test_damage_is_named(data: bytes | Object, message: str) -> None:
    assert refusal(data) == message


def test_an_unknown_instruction_is_its_programs_fault() -> None:
    assert fault(Object(PASS).inside("xdp", 0, "B", 0xFF)) == "slot 0, opcode 0xff: no instruction has this opcode"


def symbol(made: Object, name: str) -> int:
    """Where in .symtab the symbol of that name is described."""
    table, strings = made.sections[".symtab"], made.get(made.sections[".symtab"], "link")
    start = made.get(strings, "offset")
    for at in range(0, made.get(table, "size"), 24):
        found = start + struct.unpack_from("<I", made.data, made.get(table, "offset") + at)[0]
        if made.data[found:].startswith(name.encode() + b"\0"):
            return at
    raise KeyError(name)


def relocation(section: str, entry: int, offset: int, code: str, value: int) -> str:
    return refusal(Object(compile_c(CALLS)).inside(section, 16 * entry + offset, code, value))


def test_relocations_that_make_no_sense() -> None:
    assert (
        relocation(".relxdp", 0, 0, "Q", 4) == "section xdp: a relocation changes byte 4, where no instruction starts"
    )
    assert relocation(".relxdp", 0, 0, "Q", 8000) == (
        "section xdp: a relocation changes byte 8000, where no instruction starts"
    )
    assert relocation(".relxdp", 0, 12, "I", 5000) == (
        "section .relxdp: a relocation names symbol 5000, which does not exist"
    )
    assert relocation(".relxdp", 0, 8, "I", 3) == (
        "function p, slot 1: a relocation of type 3 does not fit opcode 0x85"
    )
    made = Object(compile_c(CALLS))
    made.inside(
        ".relxdp", 16, "Q", struct.unpack_from("<Q", made.data, made.get(made.sections[".relxdp"], "offset"))[0]
    )
    assert refusal(made) == "section xdp: two relocations change the same instruction"


def test_calls_and_variables_that_miss() -> None:
    assert refusal(Object(compile_c(CALLS)).inside("xdp", 8 + 4, "i", 90)) == (
        "function p, slot 1: no function starts at byte 728 of section .text"
    )
    made = Object(compile_c(CALLS))
    load = next(
        at for at in range(0, made.get(made.sections["xdp"], "size"), 8)
        if made.data[made.get(made.sections["xdp"], "offset") + at] == 0x18
    )  # fmt: skip
    for offset in (4, -4, 2**31 - 1):
        assert "lies outside of .data" in refusal(Object(bytes(made.data)).inside("xdp", load + 4, "i", offset))


def test_functions_that_overlap_or_leave_their_section() -> None:
    made = Object(compile_c(CALLS))
    at = symbol(made, "g")
    for field, value in ((8, 4), (16, 0), (16, 12), (16, 2**40)):
        assert "are not whole instructions inside the section" in refusal(
            Object(bytes(made.data)).inside(".symtab", at + field, "Q", value)
        )
    assert refusal(Object(bytes(made.data)).inside(".symtab", symbol(made, "f") + 8, "Q", 0)).endswith("overlap")


def test_a_jump_out_of_its_function() -> None:
    source = CALLS.replace("return (g(", "if (ctx->data) return 1; return (g(")
    made = Object(compile_c(source))
    code, size = made.get(made.sections["xdp"], "offset"), made.get(made.sections["xdp"], "size")
    branch = next(
        at
        for at in range(0, size, 8)
        if made.data[code + at] & 7 in (5, 6) and made.data[code + at] not in (0x85, 0x95)
    )
    assert refusal(made.inside("xdp", branch + 2, "h", size // 8 + 1)).startswith("function p: the jump at instruction")


def test_programs_that_multiply_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.ebpf.objects.linking.MAX_SLOTS", 5)
    assert refusal(compile_c(CALLS)) == "the programs have more than 5 slots together"


@pytest.mark.parametrize("limit", ["MAX_SYMBOLS", "MAX_RELOCATIONS", "MAX_FILE_SIZE"])
def test_counts_have_limits(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"appliance.ebpf.elf.elf.{limit}", 3)
    assert "limit" in refusal(FIREWALL)


def test_functions_that_call_themselves_are_laid_out_once() -> None:
    source = """
    __noinline int f(int x) { return x ? f(x - 1) * 3 + x : 1; }
    SEC("xdp") int p(struct xdp_md *ctx) { return f(ctx->rx_queue_index) & 3; }
    """
    program = load_object(compile_c(source), "x.o").programs["p"]
    assert list(program.functions.values()) == ["p", "f"]
