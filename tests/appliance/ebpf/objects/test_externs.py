"""What a file takes from a kernel by name: variables of its configuration, symbols, functions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.api import open_object
from appliance.ebpf.isa.instructions import CallKernel, LoadConstant, LoadMapValue
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import WINDOWS
from appliance.ebpf.spec import CollectionSpec, Fault, ProgramSpec
from hooks.running_kernel import RunningKernel
from tests.appliance.ebpf.compiling import compile_c
from tests.programs.kernel import KernelProgram, needs_kernel

FINE = 'SEC("xdp") int fine(void *ctx) { return XDP_PASS; }'


def a_kernel(configuration: dict[str, str] | None = None, symbols: dict[str, int] | None = None) -> RunningKernel:
    kernel = RunningKernel()
    kernel.version = (6, 1, 300)
    kernel.configuration = configuration or {}
    kernel.symbols = symbols or {}
    return kernel


def load(source: str, kernel: RunningKernel | None = None) -> CollectionSpec:
    return load_object(compile_c(source), "x.o", kernel=kernel or a_kernel())


def fault_of(program: ProgramSpec) -> Fault:
    assert program.fault is not None
    assert program.instructions == ()
    return program.fault


def reading(declaration: str, name: str) -> str:
    return f'{declaration} SEC("xdp") int p(void *ctx) {{ return *(volatile char *)&{name}; }} {FINE}'


def variables(spec: CollectionSpec) -> dict[str, bytes]:
    map_ = spec.maps[".kconfig"]
    assert map_.read_only
    assert map_.read_only_to_programs
    ((_, value),) = map_.contents
    return {each.name: value[each.offset : each.offset + each.size] for each in map_.variables}


def test_variables_are_one_map_that_is_read_only() -> None:
    source = """
    extern int LINUX_KERNEL_VERSION __kconfig;
    extern _Bool LINUX_HAS_BPF_COOKIE __kconfig __weak;
    extern enum libbpf_tristate CONFIG_TUN __kconfig;
    extern char CONFIG_NAME[8] __kconfig;
    extern unsigned long CONFIG_ABSENT __kconfig __weak;
    SEC("xdp") int p(void *ctx) {
        if (LINUX_KERNEL_VERSION < 1 || LINUX_HAS_BPF_COOKIE || CONFIG_TUN == TRI_YES) return 1;
        return CONFIG_NAME[2] + CONFIG_ABSENT;
    }
    """
    spec = load(source, a_kernel({"CONFIG_TUN": "m", "CONFIG_NAME": '"a name that is too long"'}))
    assert variables(spec) == {
        "CONFIG_ABSENT": bytes(8),
        "LINUX_KERNEL_VERSION": (6 << 16 | 1 << 8 | 255).to_bytes(4, "little"),
        "CONFIG_TUN": b"\2\0\0\0",
        "LINUX_HAS_BPF_COOKIE": b"\1",
        "CONFIG_NAME": b"a name \0",
    }
    assert [each.offset for each in spec.maps[".kconfig"].variables] == [0, 8, 12, 16, 17]
    loads = [each for each in spec.programs["p"].instructions if isinstance(each, LoadMapValue)]
    assert {each.map for each in loads} == {".kconfig"}


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("_Bool X", "y", b"\1"),
        ("_Bool X", "n", b"\0"),
        ("enum libbpf_tristate X", "y", b"\1\0\0\0"),
        ("char X", "m", b"m"),
        ("char X", "65", b"A"),
        ("short X", "-2", b"\xfe\xff"),
        ("unsigned long X", "0xffffffffffffffff", b"\xff" * 8),
        ("char X[4]", '""', bytes(4)),
        ("char X[4]", '"abc"', b"abc\0"),
    ],
)
def test_what_the_configuration_says(type_: str, text: str, value: bytes) -> None:
    spec = load(reading(f"extern {type_} __kconfig;", "X"), a_kernel({"X": text}))
    assert spec.programs["p"].fault is None
    assert variables(spec) == {"X": value}


@pytest.mark.parametrize(
    ("declaration", "text", "why"),
    [
        ("int X", None, "is not set in this kernel's configuration"),
        ("_Bool X", "m", "is a bool, and the configuration has m"),
        ("int X", "y", "is an integer, and the configuration has y"),
        ("enum libbpf_tristate X", "3", "is an enum libbpf_tristate, and the configuration has the number 3"),
        ("int X", '"a"', 'is an integer, and the configuration has the string "a"'),
        ("unsigned char X", "256", "has the value 256, which does not fit into a char of 1 bytes"),
        ("_Bool X", "2", "has the value 2, which does not fit into a bool of 1 bytes"),
        ("int X", "a", "has the value a, which is no number"),
        ("struct { int a; } X", "1", "is no bool, enum libbpf_tristate, char, integer or array of char"),
        ("int X[2]", "1", "is no bool, enum libbpf_tristate, char, integer or array of char"),
    ],
)
def test_a_variable_without_a_value_is_its_programs_fault(declaration: str, text: str | None, why: str) -> None:
    configuration = {"CONFIG_OTHER": "y"} | ({"X": text} if text is not None else {})
    spec = load(reading(f"extern {declaration} __kconfig;", "X"), a_kernel(configuration))
    fault = fault_of(spec.programs["p"])
    assert fault.what == f"the variable X {why}"
    assert fault.where == "function p, slot 0"
    assert spec.programs["fine"].fault is None


def test_a_kernel_that_shows_no_configuration() -> None:
    spec = load(reading("extern int CONFIG_HZ __kconfig;", "CONFIG_HZ"))
    assert "shows no configuration in /boot or /proc/config.gz" in fault_of(spec.programs["p"]).what
    assert load(reading("extern int CONFIG_HZ __kconfig __weak;", "CONFIG_HZ")).programs["p"].fault is None
    unknown = load(reading("extern int LINUX_HAS_WINGS __kconfig;", "LINUX_HAS_WINGS"))
    assert "is nothing that a kernel is asked" in fault_of(unknown.programs["p"]).what


def test_the_running_kernel() -> None:
    kernel = RunningKernel()
    major, minor = os.uname().release.split(".")[:2]
    assert kernel.version[:2] == (int(major), int(minor))
    assert kernel.configuration["CONFIG_BPF_SYSCALL"] == "y"
    assert kernel.symbols["schedule"]
    assert "no such thing" not in kernel.symbols


MEASURED = """
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig;
extern unsigned int CONFIG_HZ __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_BPF_JIT __kconfig, CONFIG_ABSENT __kconfig __weak;
extern char CONFIG_NET __kconfig;
extern unsigned long CONFIG_PHYSICAL_START __kconfig;
extern char CONFIG_DEFAULT_HOSTNAME[4] __kconfig, CONFIG_CC_VERSION_TEXT[64] __kconfig;
#define PUT(at, value) __builtin_memcpy(frame + at, (void *)&value, sizeof(value))
SEC("xdp") int p(struct xdp_md *ctx) {
    unsigned char *frame = (void *)(long)ctx->data;
    if (frame + 128 > (unsigned char *)(long)ctx->data_end) return 0;
    PUT(0, LINUX_KERNEL_VERSION); PUT(4, LINUX_HAS_BPF_COOKIE);
    PUT(6, CONFIG_BPF_SYSCALL); PUT(7, CONFIG_NET); PUT(8, CONFIG_HZ); PUT(12, CONFIG_BPF_JIT);
    PUT(16, CONFIG_PHYSICAL_START); PUT(24, CONFIG_ABSENT); PUT(28, CONFIG_DEFAULT_HOSTNAME);
    PUT(32, CONFIG_CC_VERSION_TEXT);
    return 2;
}
"""


@needs_kernel
def test_every_value_is_libbpfs(tmp_path: Path) -> None:
    data, frame, path = compile_c(MEASURED), bytes(range(128)), tmp_path / "kconfig.o"
    path.write_bytes(data)
    with KernelProgram(path) as kernel:
        expected = kernel.run(frame).frame
    with open_object(data).load() as loaded:
        assert loaded.programs["p"].test_run(frame).data_out == expected
    assert expected != frame


def test_another_platform_has_no_kernel_to_ask() -> None:
    source = reading("extern int LINUX_KERNEL_VERSION __kconfig __weak;", "LINUX_KERNEL_VERSION")
    spec = load_object(compile_c(source), "x.o", WINDOWS)
    assert fault_of(spec.programs["p"]) == Fault(
        "LINUX_KERNEL_VERSION is not defined in this file; missing here: kconfig variables",
        "function p, slot 0",
        "pass the value in a map or a constant",
    )
    assert ".kconfig" not in spec.maps
    assert spec.programs["fine"].fault is None


SYMBOLS = """
extern const void there __ksym; extern const void absent __ksym __weak;
extern void called(void) __ksym;
unsigned long found[2];
SEC("raw_tp/sys_enter") int p(void *ctx) {
    found[0] = (unsigned long)&there; found[1] = (unsigned long)&absent; return 0;
}
SEC("raw_tp/sys_enter") int q(void *ctx) { called(); return 0; }
SEC("xdp") int r(void *ctx) { return &absent ? 1 : 2; }
SEC("xdp") int s(void *ctx) { return (unsigned long)&there & 3; }
"""


def test_symbols_are_addresses_for_those_who_run_in_a_kernel() -> None:
    programs = load(SYMBOLS, a_kernel(symbols={"there": 0xFFFFFFFF81000000})).programs
    assert {each.value for each in programs["p"].instructions if isinstance(each, LoadConstant)} == {
        0xFFFFFFFF81000000,
        0,
    }
    assert [each for each in programs["q"].instructions if isinstance(each, CallKernel)] == [CallKernel(0, "called")]
    assert any(isinstance(each, LoadConstant) and not each.value for each in programs["r"].instructions)
    assert fault_of(programs["s"]).what.endswith("programs of hook `xdp` run here, where there is no kernel")


@pytest.mark.parametrize(
    ("symbols", "why"),
    [({}, "this kernel has no such symbol"), ({"there": 0}, "only root may know its address")],
)
def test_a_symbol_without_an_address(symbols: dict[str, int], why: str) -> None:
    programs = load(SYMBOLS, a_kernel(symbols=symbols)).programs
    assert fault_of(programs["p"]).what == f"there is a symbol of the kernel, and {why}"
    assert programs["q"].fault is None


def test_what_is_not_linked_or_not_known_is_one_programs_fault() -> None:
    source = f"""
    extern int elsewhere; extern const int bpf_prog_active __ksym;
    SEC("xdp") int p(void *ctx) {{ return elsewhere; }}
    SEC("raw_tp/x") int q(void *ctx) {{ return bpf_prog_active; }} {FINE}
    """
    programs = load(source).programs
    assert fault_of(programs["p"]) == Fault(
        "elsewhere is not defined in this file; missing here: linking of several objects",
        "function p, slot 0",
        "link them first: `bpftool gen object`",
    )
    assert "a variable of the kernel with a type" in fault_of(programs["q"]).what
    assert programs["fine"].fault is None
