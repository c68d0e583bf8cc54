"""Helpers that print: the interpreter, native code and the kernel write the same texts, byte for byte."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.api import open_object
from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.objects.objects import load_object
from appliance.helpers.formats import FormatRefused, parse_format
from appliance.helpers.model.table import python_helpers
from appliance.helpers.trace import HEAD_SIZE, TraceHead, TraceLog, append_line
from appliance.maps.model.models import models
from appliance.verifier import Rejected, Verifier
from appliance.verifier.kernel_only import in_kernel
from hooks.contracts.xdp import FrameContext
from tests.appliance.ebpf.compiling import compile_c
from tests.programs.kernel import KernelProgram, needs_kernel

ROOM = 56  # bytes of one text in the frame; the helper's answer stands in the 8 behind it
START = 64  # of the first text: addresses stand in front
ADDRESSES = bytes(range(250, 256)) + bytes(range(10))
FRAME = bytes(14) + ADDRESSES

# (format, arguments in C): numbers of every kind, flags and widths, and what stands for memory.
PRINTED = [
    ("plain", ""),
    ("100%%", ""),
    ("%d %i", "-5, 2147483647"),
    ("%u %x %X", "-1, 0xabcdef, 0xabcdef"),
    ("%d", "0x1ffffffffULL"),
    ("%ld %lld", "-5L, 1LL << 40"),
    ("%lu %lx %llX %llu", "-1L, -1L, 0xdeadbeef01ULL, 7ULL"),
    ("%5d|%-5d|%05d|%+d|% d", "42, 42, 42, 42, 42"),
    ("%5d|%-5d|%05d|%+d|% d", "-42, -42, -42, -42, -42"),
    ("%+05d|%-05d|% 05d|%-+5d|", "7, 7, 7, 7"),
    ("%8x|%08x|%-8x|%+x|% x", "0xbeef, 0xbeef, 0xbeef, 1, 2"),
    ("%08lx|%20llu|%-20llu|", "-1L, 1ULL << 63, 3ULL"),
    ("%px|%20px|%-20px|%020px", "0x1234, 0x1234, 0x1234, 0x1234"),
    ("%c%c|%3c|%-3c|", "'a', 0x162, 'c', 'd'"),
    ("%s|%6s|%-6s|", '"one", "two", "three"'),
    ("%s %s", '"", "a string that is longer than what there is room for in the frame"'),
    ("%pI4 %pi4", "frame + 14, frame + 16"),
    ("%pI6", "frame + 14"),
    ("%pi6 %d", "frame + 14, 6"),
    ("tab\\tnewline\\n%d", "1"),
    ("%d %d %d %d %d %d %d %d %d %d %d %d", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"),
]
# What the kernel takes for no format.
MALFORMED = ["%", "%q", "%o", "%5", "%ll", "%lc", "%hd", "%.3d", "%#x", "%*d", "%sx", "%px4 %p4", "%pI5", "%pb"]
OF_A_KERNEL = ["%ps", "%pS", "%pB", "%pks", "%pus"]  # symbols and memory that are not here


def _call(number: int, text: str, given: str) -> str:
    return f'BPF_SNPRINTF(text, ROOM, "{text}", {given})' if given else f"bpf_snprintf(text, ROOM, F{number}, 0, 0)"


def printing(formats: list[tuple[str, str]], room: int = ROOM) -> str:
    """A program that prints each text into the frame."""
    steps = "\n".join(
        f"""{{ char text[{ROOM}] = {{}}; long length = {_call(number, text, given)};
        __builtin_memcpy(at, text, {ROOM}); *(long *)(at + {ROOM}) = length; at += {ROOM + 8}; }}"""
        for number, (text, given) in enumerate(formats)
    )
    constants = "\n".join(f'static const char F{n}[] = "{text}";' for n, (text, _) in enumerate(formats))
    return f"""
    #include <bpf/bpf_tracing.h>
    #define ROOM {room}
    {constants}
    SEC("xdp") int p(struct xdp_md *ctx) {{
        unsigned char *frame = (void *)(long)ctx->data, *at = frame + {START};
        if (frame + {START + (ROOM + 8) * len(formats)} > (unsigned char *)(long)ctx->data_end) return 0;
        {steps}
        return 2;
    }}
    char _license[] SEC("license") = "GPL";
    """


def frame_for(formats: list[tuple[str, str]]) -> bytes:
    return FRAME.ljust(START + (ROOM + 8) * len(formats), b"\0")


def native(data: bytes, frame: bytes) -> bytes:
    with open_object(data).load() as loaded:
        return loaded.programs["p"].test_run(frame).data_out


def interpreted(data: bytes, frame: bytes, host: FrameContext | None = None) -> bytes:
    spec = load_object(data, "text.o")
    packet = PacketMemory(frame)
    program = spec.programs["p"]
    Interpreter(program, models(spec.maps), python_helpers()).run(Context(program.hook, host or FrameContext(), packet))
    return packet.frame


@pytest.mark.parametrize("room", [ROOM, 9, 1])
def test_engines_agree(room: int) -> None:
    data, frame = compile_c(printing(PRINTED, room)), frame_for(PRINTED)
    assert interpreted(data, frame) == native(data, frame)


@needs_kernel
@pytest.mark.parametrize("room", [ROOM, 9, 1])
def test_the_kernel_agrees(tmp_path: Path, room: int) -> None:
    data, frame = compile_c(printing(PRINTED, room)), frame_for(PRINTED)
    path = tmp_path / "text.o"
    path.write_bytes(data)
    with KernelProgram(path) as kernel:
        expected = kernel.run(frame).frame
    printed = native(data, frame)
    for number, case in enumerate(PRINTED):
        at = START + number * (ROOM + 8)
        # Of an address behind the end of the memory Linux does not count the length.
        end = at + ROOM + (8 if room == ROOM or "frame" not in case[1] else 0)
        assert printed[at:end] == expected[at:end], case


@pytest.mark.parametrize("text", MALFORMED + OF_A_KERNEL)
def test_what_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(FormatRefused):
        parse_format(text.encode() + b"\0")
    with (
        pytest.raises(Rejected, match="calls `snprintf` with a format that has `%"),
        open_object(compile_c(printing([(text, "1")]))).load(),
    ):
        pass


@needs_kernel
@pytest.mark.parametrize("text", [*OF_A_KERNEL, "%2000d"])
def test_what_a_kernel_prints_is_judged(tmp_path: Path, text: str) -> None:
    data = compile_c(printing([(text, "1")]))
    spec = load_object(data, "text.o").programs["p"]
    verifier = Verifier(load_object(data, "text.o").maps)
    with pytest.raises(Rejected) as refused:
        verifier.verify(spec)
    kernels = in_kernel(spec, refused.value)
    assert kernels is not None
    verifier.verify(kernels)
    path = tmp_path / "text.o"
    path.write_bytes(data)
    with KernelProgram(path):
        pass


@needs_kernel
@pytest.mark.parametrize("text", MALFORMED)
def test_the_kernel_refuses_it_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.o"
    path.write_bytes(compile_c(printing([(text, "1")])))
    with pytest.raises(AssertionError, match="Invalid format string"), KernelProgram(path):
        pass


@given(
    st.binary(max_size=24).map(lambda text: text + b"\0") | st.text("%0+- 19dluxXscpIi46K", max_size=12).map(str.encode)
)
def test_any_bytes_are_a_format_or_refused(text: bytes) -> None:
    try:
        pieces = parse_format(text + b"\0").pieces
    except FormatRefused:
        return
    assert all(isinstance(piece, bytes) or piece.width <= 1024 for piece in pieces)


MEASURED = """
SEC("xdp") int p(struct xdp_md *ctx) {
    static const char text[] = "%d from %pI4";
    long *frame = (void *)(long)ctx->data;
    if (frame + 1 > (long *)(long)ctx->data_end) return 0;
    __u64 given[] = {-5, (long)frame};
    long length = bpf_snprintf(0, 0, text, given, sizeof(given));
    frame[0] = length;
    return 2;
}
char _license[] SEC("license") = "GPL";
"""


def test_a_text_is_measured_without_memory_for_it() -> None:
    frame = bytes((10, 11, 12, 13)).ljust(64, b"\0")
    expected = len("-5 from 10.11.12.13") + 1
    data = compile_c(MEASURED)
    assert [int.from_bytes(run(data, frame)[:8], "little") for run in (native, interpreted)] == [expected, expected]


TRACING = """
SEC("xdp") int p(struct xdp_md *ctx) {
    long *frame = (void *)(long)ctx->data;
    if (frame + 8 > (long *)(long)ctx->data_end) return 0;
    static const char bad[] = "%q", many[] = "%d %d %d %d";
    char here[] = "on the stack %d";
    frame[2] = bpf_printk("nothing");
    frame[3] = bpf_printk("%d of %s from %pI4", ctx->ingress_ifindex, "three", frame);
    frame[4] = bpf_printk("%d %d %d %d %lld", 1, 2, 3, 4, 5LL);
    frame[5] = bpf_trace_printk(here, sizeof(here), 6);
    frame[6] = bpf_trace_printk(bad, sizeof(bad), 1);
    frame[7] = bpf_trace_printk(many, sizeof(many), 1, 2, 3);
    return 2;
}
char _license[] SEC("license") = "GPL";
"""
LINES = (b"nothing", b"7 of three from 10.11.12.13", b"1 2 3 4 5", b"on the stack 6")
TRACED = bytes((10, 11, 12, 13)).ljust(64, b"\0")


def answers(frame: bytes) -> list[int]:
    return [int.from_bytes(frame[at : at + 8], "little", signed=True) for at in range(16, 64, 8)]


def test_lines_go_to_whom_runs_the_program() -> None:
    with open_object(compile_c(TRACING)).load() as loaded:
        run = loaded.programs["p"].test_run(TRACED, context={"ingress_ifindex": 7})
    assert run.trace == LINES
    assert answers(run.data_out) == [*map(len, LINES), -errno.EINVAL, -errno.EINVAL]


def test_the_interpreter_prints_the_same() -> None:
    log = TraceLog()
    frame = interpreted(compile_c(TRACING), TRACED, FrameContext(ingress_ifindex=7, trace=log.address))
    assert log.lines() == LINES
    assert answers(frame) == [*map(len, LINES), -errno.EINVAL, -errno.EINVAL]


def test_nobody_reads() -> None:
    frame = interpreted(compile_c(TRACING), TRACED)
    assert answers(frame) == [0, 0, 0, 0, -errno.EINVAL, -errno.EINVAL]


@needs_kernel
def test_the_kernel_answers_the_same(tmp_path: Path) -> None:
    path = tmp_path / "trace.o"
    path.write_bytes(compile_c(TRACING.replace("ctx->ingress_ifindex", "7")))
    with KernelProgram(path) as kernel:
        assert answers(kernel.run(TRACED).frame) == [*map(len, LINES), -errno.EINVAL, -errno.EINVAL]


def test_what_does_not_fit_is_counted() -> None:
    log = TraceLog(capacity=20)
    for line in (b"12345", b"1234567", b"too long for the rest", b""):
        append_line(log.address, line)
    assert (log.lines(), log.lost) == ((b"12345", b"1234567"), 2)
    assert TraceHead.from_address(log.address).used == 20
    assert HEAD_SIZE == 24


WINDOWS = """
struct xdp_md_t { unsigned char *data; unsigned char *data_end; unsigned long long data_meta; unsigned ingress; };
static long (*print2)(const char *, unsigned) = (void *)12;
static long (*print3)(const char *, unsigned, long) = (void *)13;
static long (*print4)(const char *, unsigned, long, long) = (void *)14;
static long (*print5)(const char *, unsigned, long, long, long) = (void *)15;
#define PRINT(n, text, ...) ({ static const char format[] = text; print##n(format, sizeof(format), ##__VA_ARGS__); })
SEC("xdp") int p(struct xdp_md_t *ctx) {
    long *frame = (long *)ctx->data;
    if (frame + 8 > (long *)ctx->data_end) return 2;
    frame[2] = PRINT(2, "none");
    frame[3] = PRINT(3, "one %d", -1);
    frame[4] = PRINT(4, "two %d %u", 1, 2);
    frame[5] = PRINT(5, "three %d %u %llx", 1, 2, 255);
    frame[6] = PRINT(3, "%d and %d", 1);
    frame[7] = PRINT(2, "%q");
    return 1;
}
"""
WINDOWS_LINES = (b"none", b"one -1", b"two 1 2", b"three 1 2 ff")


def test_windows_has_a_helper_for_each_number_of_arguments() -> None:
    with open_object(compile_c(WINDOWS), platform="windows").load() as loaded:
        run = loaded.programs["p"].test_run(TRACED)
    assert run.trace == WINDOWS_LINES
    assert answers(run.data_out) == [*map(len, WINDOWS_LINES), -errno.EINVAL, -errno.EINVAL]


COMPARED = [("abc", "abc"), ("abd", "abc"), ("ab", "abc"), ("abcd", "abc"), ("", ""), ("", "a"), ("\\xff", "a")]


def comparing() -> str:
    steps = "\n".join(
        f'{{ char text[8] = "{left}"; frame[{number + 2}] = bpf_strncmp(text, {size}, "{right}"); }}'
        for number, (size, (left, right)) in enumerate((size, pair) for size in (8, 2) for pair in COMPARED)
    )
    return f"""SEC("xdp") int p(struct xdp_md *ctx) {{
        long *frame = (void *)(long)ctx->data;
        if (frame + 20 > (long *)(long)ctx->data_end) return 0;
        {steps}
        return 2; }}
    char _license[] SEC("license") = "GPL";"""


@needs_kernel
def test_strings_compare_as_in_the_kernel(tmp_path: Path) -> None:
    data, frame = compile_c(comparing()), bytes(160)
    path = tmp_path / "strncmp.o"
    path.write_bytes(data)
    with KernelProgram(path) as kernel:
        expected = kernel.run(frame).frame
    assert native(data, frame) == expected
    assert interpreted(data, frame) == expected
    assert {int.from_bytes(expected[at : at + 8], "little", signed=True) for at in range(16, 128, 8)} == {-1, 0, 1}
