"""`tidegate inspect`: everything that a file holds, by its types, and nothing loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance.api.typed_objects import compiled
from tests.appliance.cli.conftest import ROOT, Tidegate
from tests.appliance.ebpf.compiling import compile_c


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    path = tmp_path / "typed.o"
    path.write_bytes(compiled())
    return path


def test_the_document(tidegate: Tidegate, typed: Path) -> None:
    said = tidegate("inspect", typed, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert list(document) == ["file", "platform", "license", "programs", "maps", "variables", "skipped", "types"]
    assert document["programs"] == [
        {
            "name": "count",
            "section": "xdp",
            "hook": "xdp",
            "instructions": document["programs"][0]["instructions"],
            "functions": ["count"],
            "autoload": True,
            "fault": "",
        }
    ]
    assert document["maps"][0] == {
        "name": "flows",
        "type": "hash",
        "key": "struct flow",
        "key_size": 12,
        "value": "struct stats",
        "value_size": 16,
        "max_entries": 8,
        "flags": 0,
        "read_only": False,
        "pinned": False,
    }
    assert {map_["name"]: (map_["key"], map_["value"]) for map_ in document["maps"][1:]} == {
        "totals": ("__u32", "struct stats"),
        "counts": ("struct flow", "__u64"),
        "modes": ("__u32", "enum mode"),
        "jobs": ("", "struct flow"),
        "known": ("", "__u32"),
        "raw": ("4 bytes", "2 bytes"),
    }
    config, *others = document["variables"]
    assert config == {
        "name": "config",
        "section": ".rodata",
        "type": "const volatile struct config",
        "size": 24,
        "value": {"mode": 1, "ports": [80, 443], "limit": {"packets": 1000, "bytes": 2000}},
    }
    assert {other["name"]: other["value"] for other in others} == {
        "seen": {"packets": 0, "bytes": 0},
        "ratio": 0.5,
        "open_to_all": False,
    }
    assert document["types"] == [
        "struct flow { __u32 source; __u16 port; __u8 mac[6]; }",
        "struct stats { __u64 packets; __u64 bytes; }",
        "enum mode { WATCH = 0, ENFORCE = 1 }",
        "struct config { enum mode mode; __u16 ports[2]; struct stats limit; }",
    ]


def test_in_words(tidegate: Tidegate) -> None:
    said = tidegate("inspect", ROOT / "programs" / "xdp_firewall.bpf.o")
    assert (said.status, said.err) == (0, "")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == f"{ROOT / 'programs' / 'xdp_firewall.bpf.o'}: linux, license GPL"
    assert "ports hash struct port __u32 4096 0x0 no" in lines
    assert 'steps .rodata const struct {…}[256] [{"mask": 255, "extra": 1, "unit": 8, "reserved": 0}, {"mas…' in lines
    assert "struct port { __u8 protocol; __u8 side; __be16 number; }" in lines


def test_what_is_not_loaded_is_shown_too(tidegate: Tidegate, tmp_path: Path) -> None:
    """Programs that nobody asked for, and sections that no hook claims; an object without types."""
    source = (
        'SEC("?xdp") int off(void *c) { return 2; }\nSEC("syscall") int other(void *c) { return 0; }\nint number = 7;'
    )
    path = tmp_path / "odd.o"
    path.write_bytes(compile_c(source, "-g0"))
    document = tidegate("inspect", path, "--json").document
    assert [(program["name"], program["autoload"]) for program in document["programs"]] == [("off", False)]
    assert document["skipped"] == [{"name": "other", "section": "syscall"}]
    assert document["variables"] == [
        {"name": "number", "section": ".data", "type": "4 bytes", "size": 4, "value": "07000000"}
    ]
    assert document["types"] == []
    words = tidegate("inspect", path).out
    assert "other    syscall" in words
    assert "license none" in words


def test_a_file_that_is_no_object(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "text.o"
    path.write_text("no object")
    assert str(path) in tidegate("inspect", path).refused()


def test_a_program_that_cannot_be_put_together(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "odd.o"
    path.write_bytes(
        compile_c("""
        extern int elsewhere;
        SEC("xdp") int odd(void *c) { return elsewhere; }
        SEC("xdp") int fine(void *c) { return 2; }
        """)
    )
    fault = "function odd, slot 0: elsewhere is not defined in this file; missing here: linking of several objects"
    document = tidegate("inspect", path, "--json").document
    assert [(each["name"], each["fault"]) for each in document["programs"]] == [("odd", fault), ("fine", "")]
    assert fault in " ".join(tidegate("inspect", path).out.split())

    listing = tidegate("disasm", path).out
    assert listing.startswith(f"xdp: odd\ncan't be put together: {fault}\n\nxdp: fine\n")

    said = tidegate("verify", path, "--json")
    odd, fine = said.document
    assert (said.status, odd["verdict"], fine["verdict"]) == (1, "unsupported", "accepted")
    assert odd["report"]["kind"] == "not-linked"
    assert fault in odd["reason"]
