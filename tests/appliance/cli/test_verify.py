"""`tidegate verify` and `tidegate disasm`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import ROOT, Tidegate
from tests.appliance.ebpf.compiling import compile_c

PROGRAMS = sorted((ROOT / "programs").glob("*.bpf.o"))
KEYS = ["file", "section", "program", "type", "instructions", "verdict", "reason", "line", "milliseconds", "report"]

UNTYPED = "a program of this kind can't be verified: it is called by a process, with memory of that process"


def test_our_own_programs_are_accepted(tidegate: Tidegate) -> None:
    said = tidegate("verify", "--json", *PROGRAMS)
    assert (said.status, said.err) == (0, "")
    rows = said.document
    assert list(dict.fromkeys(row["file"] for row in rows)) == list(map(str, PROGRAMS))
    for row in rows:
        assert list(row) == KEYS
        hook = "cgroup/connect4" if row["program"] == "sock_resolver" else "xdp"
        assert (row["verdict"], row["reason"], row["line"], row["type"]) == ("accepted", "", "", hook)
        assert row["instructions"] > 0
        assert row["milliseconds"] > 0


def test_verdicts_and_their_reasons(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("verify", unsafe, "--json")
    assert (said.status, said.err) == (1, "")
    good, bad, foreign = said.document
    assert (good["program"], good["section"], good["verdict"]) == ("good", "xdp", "accepted")
    assert (bad["program"], bad["section"], bad["verdict"]) == ("bad", "xdp/second", "rejected")
    assert bad["line"].endswith("unsafe.bpf.c:5:12")
    assert "hint: " in bad["reason"]
    assert (good["report"], foreign["report"]) == (None, None)
    said_in_fields = bad["report"]
    assert list(said_in_fields) == [
        *("demand", "instruction", "slot", "text", "source", "known", "path", "hint", "kind", "documentation")
    ]
    assert said_in_fields["kind"] == "packet-bounds"
    assert said_in_fields["documentation"] == "docs/rejections/packet-bounds.md"
    assert said_in_fields["demand"] in bad["reason"]
    assert (said_in_fields["source"]["line"], said_in_fields["source"]["column"]) == (5, 12)
    assert (foreign["section"], foreign["verdict"]) == ("syscall", "unsupported")
    assert foreign["reason"] == UNTYPED


def test_the_table_says_the_same(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("verify", unsafe)
    assert said.status == 1
    assert "\nbad: rejected\n" in said.out
    assert f"\nforeign: unsupported\n{UNTYPED}\n" in said.out
    assert [line.split()[:3] for line in said.out.splitlines()[1:4]] == [
        [str(unsafe), "xdp", "good"],
        [str(unsafe), "xdp/second", "bad"],
        [str(unsafe), "syscall", "foreign"],
    ]


def test_the_table_cuts_no_name(tidegate: Tidegate, tmp_path: Path) -> None:
    """Standard output is no terminal here, and rich takes it for one of 80 columns."""
    long = tmp_path / f"{'a-long-name-' * 8}.o"
    long.write_bytes((ROOT / "programs" / "xdp_pass.bpf.o").read_bytes())
    said = tidegate("verify", long)
    assert "…" not in said.out
    assert str(long) in said.out


@pytest.mark.parametrize(
    ("options", "programs", "status"),
    [
        (["--section", "xdp"], ["good"], 0),
        (["--section", "xdp/second"], ["bad"], 1),
        (["--program", "good"], ["good"], 0),
        (["--program", "bad", "--section", "xdp/second"], ["bad"], 1),
        (["--program", "foreign"], ["foreign"], 1),
    ],
)
def test_choosing(tidegate: Tidegate, unsafe: Path, options: list[str], programs: list[str], status: int) -> None:
    said = tidegate("verify", unsafe, *options, "--json")
    assert [row["program"] for row in said.document] == programs
    assert said.status == status


@pytest.mark.parametrize(
    "options", [["--section", "tc"], ["--program", "nobody"], ["--program", "good", "--section", "xdp/second"]]
)
def test_no_such_program(tidegate: Tidegate, unsafe: Path, options: list[str]) -> None:
    expected = (
        f"tidegate: {unsafe}: no such program\n  hint: it holds: good in xdp, bad in xdp/second, foreign in syscall\n"
    )
    assert tidegate("verify", unsafe, *options, "--json").refused() == expected


def test_platforms_number_verdicts_differently(tidegate: Tidegate) -> None:
    """XDP_PASS of Linux is 2, which Windows knows too; xdp_swap's TX (3) is also TX there, helpers differ."""
    said = tidegate("verify", "--platform", "windows", ROOT / "programs" / "xdp_pass.bpf.o", "--json")
    assert said.status == 0
    assert tidegate("verify", "--platform", "linux", ROOT / "programs" / "xdp_pass.bpf.o").status == 0


def test_disasm_lists_instructions_under_their_source_lines(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("disasm", unsafe)
    assert (said.status, said.err) == (0, "")
    first, second = said.out.split("\n\n")
    assert first.startswith("xdp: good\n")
    assert second.startswith("xdp/second: bad\n")
    assert "unsafe.bpf.c:5" in second
    assert "r0 = 2" in first
    assert "exit" in second


def test_disasm_of_one_section(tidegate: Tidegate, unsafe: Path) -> None:
    said = tidegate("disasm", unsafe, "--section", "xdp/second")
    assert said.out.startswith("xdp/second: bad\n")
    assert "good" not in said.out
    expected = f"tidegate: {unsafe}: no program in that section\n  hint: sections: xdp, xdp/second\n"
    assert tidegate("disasm", unsafe, "--section", "tc").refused() == expected


def test_disasm_of_rules_names_lines_of_the_yaml(tidegate: Tidegate, rules: Path, tmp_path: Path) -> None:
    tidegate("compile", rules, "-o", tmp_path / "rules.o")
    said = tidegate("disasm", tmp_path / "rules.o")
    assert f"{rules}:3" in said.out or "rules.yaml:3" in said.out


CORE = """
#include <bpf/bpf_core_read.h>
struct flow { int here; } __attribute__((preserve_access_index));
SEC("xdp") int asks(struct xdp_md *ctx) {
    return bpf_core_field_exists(((struct flow *)0)->here) ? *(char *)(long)ctx->data : 2;
}
"""


def test_types_for_core_relocations(tidegate: Tidegate, tmp_path: Path) -> None:
    for name, source in {
        "asks": CORE,
        "with": 'struct flow { char c; int here; } flow; SEC("xdp") int p(void *ctx) { return 0; }',
        "without": 'struct flow { char c; } flow; SEC("xdp") int p(void *ctx) { return 0; }',
    }.items():
        (tmp_path / f"{name}.o").write_bytes(compile_c(source))
    verdicts = {
        name: tidegate("verify", tmp_path / "asks.o", "--btf", tmp_path / f"{name}.o", "--json").document[0]["verdict"]
        for name in ("with", "without")
    }
    assert verdicts == {"with": "rejected", "without": "accepted"}, "code behind an answer of no is never reached"


def test_types_that_are_none(tidegate: Tidegate, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no types")
    said = tidegate("verify", PROGRAMS[0], "--btf", tmp_path / "text")
    assert said.status == 1
    assert said.err.startswith(f"tidegate: {tmp_path}/text: this is not an ELF file\n")


def test_the_kind_of_a_section_without_one_is_found_out_or_said(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "custom.o"
    path.write_bytes(
        compile_c(
            'SEC("from-netdev") int control(struct __sk_buff *s) { return s->mark; }\n'
            'SEC("mine") int frame(struct xdp_md *c) { return *(volatile __u32 *)&c->egress_ifindex & 1; }\n'
            'SEC("kprobe_open") int probe(void *c) { return *(volatile long *)(c + 112); }'
        )
    )
    rows = {row["program"]: row for row in tidegate("verify", path, "--json").document}
    assert {name: (row["type"], row["verdict"]) for name, row in rows.items()} == {
        "control": ("tc", "accepted"),
        "frame": ("tc", "accepted"),
        "probe": ("kprobe", "accepted"),
    }
    [said] = tidegate("verify", path, "--type", "xdp", "--program", "frame", "--json").document
    assert (said["type"], said["verdict"]) == ("xdp", "accepted")
    [said] = tidegate("verify", path, "--type", "flow_dissector", "--program", "control", "--json").document
    assert (said["type"], said["verdict"]) == ("flow_dissector", "rejected")
