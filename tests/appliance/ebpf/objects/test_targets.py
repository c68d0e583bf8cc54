"""Where typed programs are attached, by types of our own making: what their contexts hold, and places that are none."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from appliance.ebpf.btf.btf import VOID, Btf, BtfType, Kind, Member
from appliance.ebpf.btf.index import index_btf, read_btf_file
from appliance.ebpf.btf.structure_walk import NoSuchPlace, WalkResult, structures_at, walk
from appliance.ebpf.btf.typed_contexts import UnknownTarget
from appliance.ebpf.object_errors import ObjectError
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.objects.struct_ops import StructOpsMember
from appliance.ebpf.objects.struct_ops_targets import hook_at_member
from appliance.ebpf.objects.targets import hook_at
from appliance.ebpf.platform import LINUX
from hooks.contracts.contract import FieldKind, HookPoint
from tests.appliance.ebpf.compiling import compile_alone, compile_c

CASES = Path(__file__).parents[3] / "cases" / "typed"
HOOKS = {hook.name: hook for hook in LINUX.typed}


@functools.cache
def types() -> Btf:
    return index_btf(compile_alone((CASES / "kernel.c").read_text(), "-Wno-everything"), "kernel.c")


def structure(name: str) -> int:
    number = types().find(Kind.STRUCT, name)
    assert number is not None
    return number


def arguments(hook: HookPoint) -> list[tuple[str, int, FieldKind, str]]:
    """Name, place, kind and structure of each argument."""
    seen = {
        (field.name, field.offset, field.kind, types().type(field.structure).name): None
        for field in hook.context.fields
    }
    return list(seen)


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        (
            "fexit",
            "vfs_read_one",
            [
                ("file", 0, FieldKind.TYPED, "file"),
                ("buf", 8, FieldKind.SCALAR, ""),
                ("count", 16, FieldKind.SCALAR, ""),
                ("small", 24, FieldKind.SCALAR, ""),
                ("result", 32, FieldKind.SCALAR, ""),
            ],
        ),
        ("fentry", "do_exit", [("code", 0, FieldKind.SCALAR, "")]),
        (
            "fentry",
            "by_value",
            [("path", 0, FieldKind.SCALAR, ""), ("path", 8, FieldKind.SCALAR, ""), ("after", 16, FieldKind.SCALAR, "")],
        ),
        (
            "tp_btf",
            "kfree_skb",
            [
                ("argument 0", 0, FieldKind.TRUSTED, "sk_buff"),
                ("argument 1", 8, FieldKind.SCALAR, ""),
                ("argument 2", 16, FieldKind.SCALAR, ""),
                ("argument 3", 24, FieldKind.TRUSTED_OR_NULL, "sock"),
            ],
        ),
        (
            "iter",
            "bpf_map_elem",
            [
                ("meta", 0, FieldKind.TRUSTED, "bpf_iter_meta"),
                ("map", 8, FieldKind.TRUSTED, "bpf_map"),
                ("key", 16, FieldKind.READ_ONLY_BUFFER_OR_NULL, ""),
                ("value", 24, FieldKind.BUFFER_OR_NULL, ""),
            ],
        ),
        ("lsm", "file_open", [("file", 0, FieldKind.TRUSTED, "file"), ("result", 8, FieldKind.SCALAR, "")]),
        ("lsm", "task_free", [("task", 0, FieldKind.TYPED, "task_struct")]),
    ],
)
def test_arguments_of_a_place(kind: str, target: str, expected: list[tuple[str, int, FieldKind, str]]) -> None:
    hook = hook_at(HOOKS[kind], target, types())
    assert arguments(hook) == expected
    assert not hook.runs_here
    assert hook.name == f"{kind}/{target}"
    assert hook.sleepable is kind.endswith(".s")


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        ("fentry", "by_large_value", "no program of section `fentry/…` can be attached to `by_large_value`"),
        ("fmod_ret", "bpf_lsm_task_free", "no program of section `fmod_ret/…` can be attached to `bpf_lsm_task_free`"),
        ("lsm", "getprocattr", "no program of section `lsm/…` can be attached to `bpf_lsm_getprocattr`"),
        ("lsm.s", "task_free", "no program of section `lsm.s/…` can be attached to `bpf_lsm_task_free`"),
        ("iter", "no_target", "these types have no function `bpf_iter_no_target`"),
        ("tp_btf", "no_tracepoint", "these types have no tracepoint `btf_trace_no_tracepoint`"),
    ],
)
def test_nothing_can_be_attached_there(kind: str, target: str, words: str) -> None:
    with pytest.raises(UnknownTarget, match=words):
        hook_at(HOOKS[kind], target, types())


def test_who_answers_what() -> None:
    assert hook_at(HOOKS["tp_btf"], "sched_switch", types()).any_return
    assert list(hook_at(HOOKS["iter"], "task", types()).verdicts) == [0, 1]
    assert min(hook_at(HOOKS["lsm"], "file_open", types()).verdicts) == -4095
    assert list(hook_at(HOOKS["lsm"], "inode_xattr_skipcap", types()).verdicts) == [0, 1]
    assert hook_at(HOOKS["lsm"], "task_free", types()).ignores_return
    assert list(hook_at(HOOKS["lsm_cgroup"], "task_free", types()).verdicts) == [1]


def test_a_part_of_a_structure_of_functions() -> None:
    hook = hook_at_member(StructOpsMember("tcp_congestion_ops", "init"), types(), sleepable=False)
    assert arguments(hook) == [("argument 0", 0, FieldKind.TRUSTED, "tcp_sock")]
    assert (hook.ignores_return, hook.attach_type) == (True, 1)
    tcp = structure("tcp_sock")
    written = [(offset, size) for offset in range(100) for size in (1, 2, 4, 8) if _may_write(hook, tcp, offset, size)]
    assert {size for offset, size in written if offset == 52} == set()  # mss_cache
    assert {size for offset, size in written if offset == 48} == {1, 2, 4}  # snd_cwnd
    assert (17, 8) in written  # anywhere in icsk_ca_priv


def _may_write(hook: HookPoint, number: int, offset: int, size: int) -> bool:
    return any(each.takes(number, offset, size) for each in hook.writable)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (StructOpsMember("tcp_congestion_ops", "name"), "no program can take the place of `tcp_congestion_ops.name`"),
        (StructOpsMember("tcp_congestion_ops", "other"), "no program can take the place of `tcp_congestion_ops.other`"),
        (StructOpsMember("file", "f_inode"), "these types have no `file` that programs may be a part of"),
        (StructOpsMember("nothing", "at_all"), "these types have no `nothing` that programs may be a part of"),
    ],
)
def test_no_part_of_anything(operation: StructOpsMember, words: str) -> None:
    with pytest.raises(UnknownTarget, match=words):
        hook_at_member(operation, types(), sleepable=False)


def test_places_that_are_none_are_skipped_with_a_reason() -> None:
    source = """
    SEC("tp_btf/nothing") int one(void *ctx) { return 0; }
    SEC("fentry/nothing") int two(void *ctx) { return 0; }
    SEC("fentry") int three(void *ctx) { return 0; }
    SEC("struct_ops/x") int four(void *ctx) { return 0; }
    SEC("freplace/x") int five(void *ctx) { return 0; }
    SEC("iter/task") int six(void *ctx) { return 0; }
    """
    spec = load_object(compile_c(source), "none.o", target_btf=types())
    typed = "its arguments have types of the kernel (BTF), and these types have no"
    assert {skipped.name: skipped.reason for skipped in spec.skipped} == {
        "one": f"{typed} tracepoint `btf_trace_nothing`",
        "two": f"{typed} function `nothing`",
        "three": "its section does not name what it is attached to",
        "four": "no structure in section .struct_ops names it",
        "five": "it takes the place of a function of another program, which the file does not hold",
    }
    assert list(spec.programs) == ["six"]
    assert not spec.programs["six"].autoload


def test_without_types_nothing_typed_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "vmlinux"
    monkeypatch.setattr("hooks.running_kernel.KERNEL_BTF", missing)
    monkeypatch.setattr("appliance.ebpf.btf.index.KERNEL_BTF", missing)
    source = 'SEC("xdp") int fine(void *ctx) { return 2; }\nSEC("tp_btf/sys_enter") int typed(void *ctx) { return 0; }'
    spec = load_object(compile_c(source), "none.o")
    assert list(spec.programs) == ["fine"]
    [typed] = spec.skipped
    assert f"({missing}); give those of a kernel with --btf FILE" in typed.reason
    with pytest.raises(ObjectError):
        spec = load_object(compile_c(source), "none.o", target_btf=read_btf_file(missing))


TASK = [
    ("flags", 0, 4, WalkResult(member="flags")),
    ("a part of a number", 1, 2, WalkResult(member="flags")),
    ("characters together", 12, 8, WalkResult(member="comm")),
    ("an element of a structure inside", 32, 8, None),
    ("bits", 88, 4, WalkResult(member="exiting")),
    ("one of a union", 96, 8, WalkResult(member="word", in_union=True)),
]


@pytest.mark.parametrize(("what", "offset", "size", "expected"), TASK, ids=[case[0] for case in TASK])
def test_what_a_load_finds(what: str, offset: int, size: int, expected: WalkResult | None) -> None:
    found = walk(types(), structure("task_struct"), offset, size)
    if expected is None:
        expected = WalkResult(structure("list_head"), is_pointer=True, member="next")
    assert found == expected


@pytest.mark.parametrize(
    ("offset", "size", "words"),
    [
        (8, 8, "whose member `tgid` ends before that"),
        (48, 4, "whose member `real_parent` there is a pointer, which is only loaded whole"),
        (104, 1, "which has 104 bytes"),
        (-8, 8, "which has 104 bytes"),
    ],
)
def test_where_a_load_finds_nothing(offset: int, size: int, words: str) -> None:
    with pytest.raises(NoSuchPlace, match=words):
        walk(types(), structure("task_struct"), offset, size)


def test_structures_that_begin_inside_of_others() -> None:
    outer = structure("tcp_sock")
    names = [types().type(number).name for number in structures_at(types(), outer, 0)]
    assert names == ["tcp_sock", "inet_connection_sock", "sock", "sock_common"]
    assert list(structures_at(types(), outer, 4)) == []
    assert [types().type(n).name for n in structures_at(types(), structure("task_struct"), 32)] == ["list_head"]


def test_types_without_sense_end_the_walk() -> None:
    itself = BtfType(Kind.STRUCT, "itself", 8, entries=(Member("again", 1, 0),))
    empty = BtfType(Kind.ARRAY, target=3, count=4)
    nothing = BtfType(Kind.STRUCT, "nothing", 0)
    behind = BtfType(Kind.STRUCT, "behind", 8, entries=(Member("rest", 5, 0),))
    made = Btf((VOID, itself, empty, nothing, behind, BtfType(Kind.ARRAY, target=3)))
    for structure in range(1, 5):
        for offset in (-8, 0, 4, 1 << 40):
            with pytest.raises(NoSuchPlace):
                walk(made, structure, offset, 4)
            list(structures_at(made, structure, offset))
    with pytest.raises(ObjectError):
        walk(made, 77, 0, 4)
