"""Sections, symbols and relocations of sound files; damaged ones are in test_hostile_objects."""

from __future__ import annotations

import pytest

from appliance.ebpf.elf.elf import ElfFile, Relocation, read_elf
from appliance.ebpf.object_errors import ObjectError
from tests.appliance.ebpf.compiling import compile_c

SOURCE = """
int shared = 7;
static __noinline int f(int x) { return x * bpf_get_prandom_u32(); }
SEC("xdp") int p(struct xdp_md *ctx) { return (f(ctx->rx_queue_index) + shared) & 3; }
"""


def read() -> ElfFile:
    return read_elf(compile_c(SOURCE))


def test_sections() -> None:
    elf = read()
    assert [section.index for section in elf.sections] == list(range(len(elf.sections)))
    assert {section.name for section in elf.sections if section.is_code} == {".text", "xdp"}
    data = elf.section(".data")
    assert data is not None
    assert (data.type, data.size, data.data) == ("SHT_PROGBITS", 4, b"\7\0\0\0")
    assert elf.section("absent") is None


def test_a_section_name_that_is_not_unique_is_refused_when_it_matters() -> None:
    elf = read()
    twice = ElfFile((*elf.sections, *elf.sections), elf.symbols, elf.relocations)
    with pytest.raises(ObjectError, match="there are 2 sections xdp"):
        twice.section("xdp")


def test_symbols() -> None:
    elf = read()
    found = {symbol.name: symbol for symbol in elf.symbols}
    assert (found["p"].type, found["p"].binding, found["p"].value) == ("STT_FUNC", "STB_GLOBAL", 0)
    assert (found["f"].type, found["f"].binding) == ("STT_FUNC", "STB_LOCAL")
    assert elf.sections[found["f"].section or 0].name == ".text"
    assert found["xdp"].type == "STT_SECTION", "a section's symbol bears the section's name"
    assert not elf.symbols[0].defined


def test_relocations_of_code_only() -> None:
    elf = read()
    assert {elf.sections[index].name for index in elf.relocations} == {"xdp"}
    found = [entry for entries in elf.relocations.values() for entry in entries]
    assert [(entry.type, entry.symbol.name) for entry in found] == [(10, ".text"), (1, "shared")]
    assert all(isinstance(entry, Relocation) and entry.offset % 8 == 0 for entry in found)


def test_reading_twice_gives_the_same() -> None:
    assert read() == read()
