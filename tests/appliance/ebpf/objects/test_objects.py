"""Object files as a whole: programs, their functions, lines, platform, license, and what is refused."""

import subprocess
from pathlib import Path

import pytest

from appliance.ebpf.isa.instructions import (
    CallFunction,
    CallHelper,
    Exit,
    Immediate,
    LoadConstant,
    LoadFunction,
    LoadMapValue,
    Move,
)
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError, UnsupportedObject
from appliance.ebpf.objects.objects import load_object, load_object_file
from appliance.ebpf.platform import LINUX, WINDOWS
from appliance.ebpf.spec import MapSpec, ProgramSpec, SkippedProgram
from appliance.errors import InputRefused
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS
from tests.appliance.ebpf.compiling import PREFIX, PROGRAMS, ROOT, compile_alone, compile_by_llvm_20, compile_c
from tests.hook_programs import FOLDER as HOOKS

LICENSE = 'char _license[] SEC("license") = "GPL";'
PASS = 'SEC("xdp") int pass_all(struct xdp_md *ctx) { return XDP_PASS; }'


def test_sections_programs_and_their_order() -> None:
    source = """
    SEC("xdp/second") int b(struct xdp_md *ctx) { return XDP_DROP; }
    SEC("xdp") int c(struct xdp_md *ctx) { return XDP_PASS; }
    SEC("xdp") int a(struct xdp_md *ctx) { return XDP_TX; }
    SEC("syscall") int probe(void *ctx) { return 0; }
    """
    spec = load_object(compile_c(source + LICENSE), "many.o")
    assert [(program.name, program.section) for program in spec.programs.values()] == [
        ("b", "xdp/second"),
        ("c", "xdp"),
        ("a", "xdp"),
    ]
    [probe] = spec.skipped
    assert probe == SkippedProgram("probe", "syscall", probe.reason)
    assert "called by a process" in probe.reason
    assert spec.programs["a"].instructions == (Move(32, 0, Immediate(3)), Exit())
    assert {program.license for program in spec.programs.values()} == {"GPL"}
    assert all(program.hook is XDP_LINUX for program in spec.programs.values())
    assert (spec.source, spec.maps) == ("many.o", {})


FUNCTIONS = """
static __noinline int deep(int x) { return x * bpf_get_prandom_u32(); }
static __noinline int unused_by_two(int x) { return deep(x) + 1; }
__noinline int visible(int x) { return deep(x) - 1; }
SEC("xdp") int one(struct xdp_md *ctx) { return (unused_by_two(ctx->rx_queue_index) + visible(3)) & 3; }
SEC("xdp") int two(struct xdp_md *ctx) { return visible(ctx->ingress_ifindex) & 3; }
"""


def test_called_functions_stand_behind_the_program_each_once() -> None:
    spec = load_object(compile_c(FUNCTIONS), "calls.o")
    assert list(spec.programs) == ["one", "two"], "functions in .text are called, not run"
    for name, callees in {"one": {"unused_by_two", "deep", "visible"}, "two": {"visible", "deep"}}.items():
        program = spec.programs[name]
        assert set(program.functions.values()) == {name} | callees
        assert program.functions[0] == name
        starts = [*program.functions, len(program.instructions)]
        assert all(isinstance(program.instructions[start - 1], Exit) for start in starts[1:])
        called = {i.target for i in program.instructions if isinstance(i, CallFunction)}
        assert {program.functions[target] for target in called} == callees


def test_a_call_reaches_the_function_that_the_source_names() -> None:
    program = load_object(compile_c(FUNCTIONS), "calls.o").programs["two"]
    index = {name: start for start, name in program.functions.items()}
    calls = {at: i.target for at, i in enumerate(program.instructions) if isinstance(i, CallFunction)}
    of_two = [target for at, target in calls.items() if at < min(index["visible"], index["deep"])]
    assert of_two == [index["visible"]]
    assert any(i == CallHelper(7) for i in program.instructions[index["deep"] :])


def test_functions_have_types() -> None:
    spec = load_object(compile_c(FUNCTIONS), "calls.o")
    assert spec.types is not None
    program = spec.programs["one"]
    assert {index: spec.types.type(number).name for index, number in program.function_types.items()} == (
        program.functions
    )
    assert load_object(compile_c(FUNCTIONS, "-g0"), "calls.o").programs["one"].function_types == {}


def test_programs_that_wait_to_be_asked_for() -> None:
    source = 'SEC("?xdp") int later(void *ctx) { return 1; } SEC("?xdp/x") int too(void *ctx) { return 1; }' + PASS
    programs = load_object(compile_c(source), "x.o").programs
    assert {name: (program.section, program.autoload) for name, program in programs.items()} == {
        "later": ("xdp", False),
        "too": ("xdp/x", False),
        "pass_all": ("xdp", True),
    }


def test_weak_symbols() -> None:
    source = """
    __weak __noinline int f(int x) { return x + bpf_get_prandom_u32(); }
    __weak int value = 3;
    extern void absent __ksym __weak;
    SEC("xdp") int p(struct xdp_md *ctx) { return &absent ? 7 : f(ctx->rx_queue_index) + value; }
    """
    program = load_object(compile_c(source), "weak.o").programs["p"]
    assert list(program.functions.values()) == ["p", "f"]
    assert any(isinstance(i, LoadConstant) and not i.value for i in program.instructions), "nobody is at home"
    assert any(isinstance(i, LoadMapValue) and i.map == ".data" for i in program.instructions)


def test_static_functions_in_the_section_of_the_program() -> None:
    source = """
    static __noinline SEC("xdp") int twice(int x) { return x * 2; }
    SEC("xdp") int main_program(struct xdp_md *ctx) { return twice(ctx->rx_queue_index) & 3; }
    """
    spec = load_object(compile_c(source), "static.o")
    assert list(spec.programs) == ["main_program"]
    assert list(spec.programs["main_program"].functions.values()) == ["main_program", "twice"]


def test_the_address_of_a_function() -> None:
    source = """
    static long (*loop)(__u32, void *, void *, __u64) = (void *)181;
    static int each(__u32 index, void *context) { return 0; }
    SEC("xdp") int looping(struct xdp_md *ctx) { loop(10, each, (void *)0, 0); return XDP_PASS; }
    """
    program = load_object(compile_c(source), "callback.o").programs["looping"]
    (load,) = (i for i in program.instructions if isinstance(i, LoadFunction))
    assert program.functions[load.target] == "each"


def test_lines_of_programs_and_functions() -> None:
    function = ["static __noinline int f(int x)", "{", "\treturn x * 3;", "}"]
    main = ['SEC("xdp") int p(struct xdp_md *ctx)', "{", "\treturn f(ctx->rx_queue_index) & 3;", "}"]
    program = load_object(compile_c("\n".join([*function, *main])), "lines.o").programs["p"]
    before = PREFIX.count("\n")
    of_function = {(line.line - before, line.text) for at, line in program.lines.items() if at >= _start(program, "f")}
    of_main = {(line.line - before, line.text) for at, line in program.lines.items() if at < _start(program, "f")}
    assert (3, "") in of_function, "the text of a file that clang can't open again is empty"
    assert (7, "") in of_main
    assert {line for line, _ in of_main} <= {5, 6, 7}
    assert {line for line, _ in of_function} <= {1, 2, 3}
    assert {line.file for line in program.lines.values()} == {str(ROOT / "<stdin>")}


def _start(program: ProgramSpec, function: str) -> int:
    return next(at for at, name in program.functions.items() if name == function)


def test_data_sections_become_maps_of_one_value() -> None:
    source = """
    const volatile int limit = 5;
    int table[3] = {1, 2, 3};
    __u64 zero[4];
    SEC("xdp") int p(struct xdp_md *ctx) { zero[1]++; return table[ctx->rx_queue_index & 1] + limit; }
    """
    maps = load_object(compile_c(source), "data.o").maps
    assert maps == {
        ".rodata": MapSpec(".rodata", MapType.ARRAY, 4, 4, 1, contents=((bytes(4), b"\5\0\0\0"),), read_only=True),
        ".data": MapSpec(".data", MapType.ARRAY, 4, 12, 1, contents=((bytes(4), b"\1\0\0\0\2\0\0\0\3\0\0\0"),)),
        ".bss": MapSpec(".bss", MapType.ARRAY, 4, 32, 1),
    }


def test_constants_of_64_bits_stay_constants() -> None:
    source = 'SEC("xdp") int p(struct xdp_md *ctx) { return (ctx->data * 0x123456789abcdefULL) >> 63; }'
    instructions = load_object(compile_c(source), "constant.o").programs["p"].instructions
    assert LoadConstant(2, 0x123456789ABCDEF) in instructions or LoadConstant(1, 0x123456789ABCDEF) in instructions


# platforms

WINDOWS_CONTEXT = """
typedef struct xdp_md_ { void *data; void *data_end; __u64 data_meta; __u32 ingress_ifindex; } xdp_md_t;
struct { __uint(type, 2); __type(key, __u32); __type(value, __u64); __uint(max_entries, 4); } counts SEC(".maps");
static void *(*lookup)(void *map, const void *key) = (void *)1;
SEC("xdp") int drop(xdp_md_t *ctx) { __u32 k = 0; __u64 *v = lookup(&counts, &k); if (v) *v += 1; return 2; }
"""


def test_the_platform_is_recognised_by_its_context() -> None:
    windows = load_object(compile_c(WINDOWS_CONTEXT), "w.o")
    assert (windows.platform, windows.programs["drop"].hook) == ("windows", XDP_WINDOWS)
    linux = load_object(compile_c(PASS), "l.o")
    assert (linux.platform, linux.programs["pass_all"].hook) == ("linux", XDP_LINUX)


CONNECT = """
SEC("cgroup/connect4") int connect(CONTEXT *ctx) { return ctx->user_ip4 != 0; }
SEC("cgroup/bind6") int bind(CONTEXT *ctx) { return 1; }
"""


def test_platforms_that_call_a_context_alike() -> None:
    """What Windows calls `bpf_sock_addr_t` is a `struct bpf_sock_addr`, too."""
    windows = load_object(
        compile_alone(f'#include "{HOOKS}/windows.h"\n' + CONNECT, "-DCONTEXT=bpf_sock_addr_t"), "w.o"
    )
    assert windows.platform == "windows"
    assert windows.programs["connect"].hook.context.size == 64
    linux = load_object(compile_c(CONNECT.replace("CONTEXT", "struct bpf_sock_addr")), "l.o")
    assert linux.platform == "linux"
    assert [program.hook.name for program in linux.programs.values()] == ["cgroup/connect4", "cgroup/bind6"]


@pytest.mark.parametrize(
    ("sections", "platform"),
    [
        (("cgroup/connect4", "sockops"), "linux"),
        (("cgroup/connect4", "cgroup/recv_accept4"), "windows"),
        (("cgroup/connect4", "cgroup/sendmsg4"), "linux"),
        (("xdp", "bind"), "windows"),
        (("bind/0",), "windows"),
    ],
)
def test_the_platform_is_recognised_by_sections_alone(sections: tuple[str, ...], platform: str) -> None:
    source = "".join(
        f'__attribute__((section("{section}"), used)) int p{n}(void *ctx) {{ return 1; }}\n'
        for n, section in enumerate(sections)
    )
    spec = load_object(compile_alone(source, "-g0"), "s.o")
    assert (spec.platform, len(spec.programs), spec.skipped) == (platform, len(sections), ())


def test_map_types_are_the_platforms() -> None:
    source = WINDOWS_CONTEXT.replace("type, 2", "type, 9")
    assert load_object(compile_c(source), "w.o").maps["counts"].type is MapType.LPM_TRIE
    assert load_object(compile_c(source), "w.o", LINUX).maps["counts"].type is MapType.LRU_HASH


def test_a_given_platform_counts_more_than_a_recognised_one() -> None:
    assert load_object(compile_c(PASS), "l.o", WINDOWS).programs["pass_all"].hook is XDP_WINDOWS


# other compilers


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.bpf.c")), ids=lambda path: path.name)
def test_what_llvm_20_makes_of_our_programs(path: Path) -> None:
    ours = load_object_file(path.with_suffix(".o"))
    spec = load_object(compile_by_llvm_20(path), "llvm20.o")
    assert spec.maps == ours.maps
    assert list(spec.programs) == list(ours.programs)
    for name, program in spec.programs.items():
        other = ours.programs[name]
        assert (program.section, program.hook, program.license) == (other.section, other.hook, other.license)
        assert {line.line for line in program.lines.values()} & {line.line for line in other.lines.values()}


# refusals


def refusal(source: str, *flags: str) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        load_object(compile_c(source, *flags), "x.o")
    assert isinstance(caught.value, InputRefused)
    assert caught.value.exit_status == 1
    return caught.value


MAPS = f'struct {{ MAP(BPF_MAP_TYPE_ARRAY); }} m SEC(".maps"); {PASS}'
NOT_YET = {
    "map_extra": MAPS.replace("MAP(", "__uint(map_extra, 3); MAP("),
    "map type 99": MAPS.replace("BPF_MAP_TYPE_ARRAY", "99"),
    "pointers in global variables": 'int a = 1; int *p = &a; SEC("xdp") int q(void *ctx) { return *p; }',
}


@pytest.mark.parametrize("feature", NOT_YET)
def test_what_is_not_supported_is_named(feature: str) -> None:
    error = refusal(NOT_YET[feature])
    assert isinstance(error, UnsupportedObject)
    assert error.feature == feature
    assert str(error).startswith("x.o: ")


def test_a_files_one_function_is_its_program() -> None:
    spec = load_object(compile_c("int alone(void *ctx) { return 0; }"), "x.o", unclaimed=XDP_LINUX)
    assert [(name, program.section) for name, program in spec.programs.items()] == [("alone", ".text")]
    two = "int one(void *ctx) { return 0; } int two(void *ctx) { return 1; }"
    assert str(refusal(two)).startswith("x.o: the file holds no program")


def test_a_bloom_filter_has_its_own_number_of_hashes() -> None:
    source = f"""
    struct {{ __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __type(value, int); __uint(max_entries, 9);
        __uint(map_extra, 3); }} m SEC(".maps"); {PASS}
    """
    assert load_object(compile_c(source), "x.o").maps["m"].type is MapType.BLOOM_FILTER


def test_messages_say_what_where_and_what_to_do() -> None:
    assert str(refusal(MAPS, "-g0")) == (
        "x.o: section .maps: nothing says what the maps are like: there is no BTF for them\n"
        "  hint: build the object with -g"
    )
    assert str(refusal("int x = 1;")) == (
        'x.o: the file holds no program\n  hint: put the program into a section: SEC("xdp")'
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ObjectError) as caught:
        load_object_file(tmp_path / "absent.o")
    assert str(caught.value) == f"{tmp_path}/absent.o: the file can't be read: No such file or directory"
    with pytest.raises(ObjectError, match="Is a directory"):
        load_object_file(tmp_path)


def test_code_for_the_machine_itself_is_refused() -> None:
    source = "int main(void) { return 0; }"
    made = subprocess.run(
        ["clang", "-x", "c", "-c", "-o", "-", "-"], input=source.encode(), capture_output=True, check=True
    )
    with pytest.raises(ObjectError, match=r"the object is for the machine EM_[A-Z0-9_]+, not for eBPF"):
        load_object(made.stdout, "host.o")


def test_big_endian_is_refused() -> None:
    assert "big endian" in str(refusal(PASS, "-target", "bpfeb"))
