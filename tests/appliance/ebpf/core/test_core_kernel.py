"""CO-RE against the running kernel's types: what libbpf makes of the same object, instruction by instruction."""

from __future__ import annotations

import re
import subprocess
import uuid
from pathlib import Path

import pytest

from appliance.ebpf.btf.index import read_btf_file
from appliance.ebpf.isa.codec import encode
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object, load_object_file
from hooks.running_kernel import KERNEL_BTF, RunningKernel
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.ebpf.core.core_programs import CORE
from tests.bpffs import BPFFS

TYPES = """
struct task_struct { int pid; unsigned in_execve : 1; char comm[16]; int nope; struct any *mm; } P;
struct task_struct___flavour { long tgid; } P;
struct sk_buff { unsigned char pkt_type : 3; unsigned len; unsigned short protocol; struct { unsigned hash; }; } P;
struct no_such { int x; } P;
struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next; long pprev; };
typedef int pid_t; typedef struct { int counter; } atomic_t;
enum perf_type_id { PERF_TYPE_HARDWARE = 3, PERF_TYPE_NONE = 7 };
#define FIELD(structure, path, what) __builtin_preserve_field_info(((struct structure *)0)->path, what)
"""
FIELDS = [
    *(("task_struct", "pid", what) for what in range(6)),
    *(("task_struct", "in_execve", what) for what in (0, 1, 2, 3, 4, 5)),
    ("task_struct", "comm", 1), ("task_struct", "comm[3]", 0), ("task_struct", "nope", 2), ("task_struct", "mm", 2),
    ("task_struct___flavour", "tgid", 0), ("task_struct___flavour", "tgid", 2),
    ("sk_buff", "pkt_type", 0), ("sk_buff", "pkt_type", 4), ("sk_buff", "pkt_type", 5),
    ("sk_buff", "protocol", 0), ("sk_buff", "hash", 0), ("no_such", "x", 2),
]  # fmt: skip
QUESTIONS = [
    *(f"FIELD({structure}, {path}, {what})" for structure, path, what in FIELDS),
    "bpf_core_type_id_kernel(struct sk_buff)",
    "bpf_core_type_id_local(struct sk_buff)",
    *(f"bpf_core_type_exists({name})" for name in ("struct sk_buff", "struct no_such", "atomic_t", "pid_t")),
    *(f"bpf_core_type_size({name})" for name in ("struct task_struct", "struct no_such", "pid_t", "atomic_t")),
    "bpf_core_enum_value_exists(enum perf_type_id, PERF_TYPE_NONE)",
    "bpf_core_enum_value_exists(enum perf_type_id, PERF_TYPE_HARDWARE)",
    "bpf_core_enum_value(enum perf_type_id, PERF_TYPE_HARDWARE)",
]
READ = """
SEC("xdp") int p(struct xdp_md *ctx) { __u64 sum = 0; SUM; return sum; }
char _license[] SEC("license") = "GPL";
"""


def as_libbpf_loads(path: Path) -> bytes:
    """The slots that libbpf gave the kernel, which has no reason to change any of them."""
    pin = BPFFS / f"tidegate-core-{uuid.uuid4().hex}"
    subprocess.run(["bpftool", "prog", "load", str(path), str(pin)], check=True, capture_output=True)
    try:
        shown = subprocess.run(
            ["bpftool", "prog", "dump", "xlated", "pinned", str(pin), "opcodes"], check=True, capture_output=True
        ).stdout.decode()
    finally:
        pin.unlink()
    lines = re.findall(r"(?m)^\s+((?:[0-9a-f]{2} ){7,15}[0-9a-f]{2})\s*$", shown)
    return b"".join(bytes.fromhex(line) for line in lines)


def test_every_answer_is_libbpfs(tmp_path: Path) -> None:
    path = tmp_path / "asking.o"
    body = "; ".join(f"sum += {question}" for question in QUESTIONS)
    path.write_bytes(compile_c(CORE + TYPES + READ.replace("SUM", body)))
    ours = load_object_file(path, target_btf=read_btf_file())
    assert encode(ours.programs["p"].instructions) == as_libbpf_loads(path)
    assert load_object_file(path) == ours, "the running kernel's types are those that nobody gave"


def test_the_kernels_types_are_read_where_asked() -> None:
    types = read_btf_file()
    assert len(types.types) > 10_000
    named = dict(types.named())
    (number,) = (n for n in named["task_struct"] if types.type(n).entries)
    assert {"pid", "comm"} <= {member.name for member in types.type(number).entries if hasattr(member, "name")}
    assert types.types[number : number + 2] == [types.type(number), types.type(number + 1)]


def test_types_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ObjectError) as caught:
        read_btf_file(tmp_path / "absent")
    assert str(caught.value) == f"{tmp_path}/absent: the types can't be read: No such file or directory"
    (tmp_path / "empty.o").write_bytes(compile_c('SEC("xdp") int p(void *ctx) { return 0; }', "-g0"))
    with pytest.raises(ObjectError) as caught:
        read_btf_file(tmp_path / "empty.o")
    assert str(caught.value) == f"{tmp_path}/empty.o: the file holds no BTF\n  hint: build it with -g"


def test_an_object_without_questions_asks_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KERNEL_BTF.exists()
    monkeypatch.setattr(RunningKernel, "btf", lambda self: pytest.fail("the kernel was asked"))
    load_object(compile_c('SEC("xdp") int p(void *ctx) { return 0; }'), "x.o")
