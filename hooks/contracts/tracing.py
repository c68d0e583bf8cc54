"""Linux's hooks for looking on: functions, tracepoints and performance events. Verified, never run here.

Sources: `struct pt_regs` of arch/x86/include/uapi/asm/ptrace.h, `struct bpf_perf_event_data` of
include/uapi/linux/bpf_perf_event.h; the *_prog_is_valid_access of kernel/trace/bpf_trace.c.
"""

from __future__ import annotations

from hooks.contracts.contract import ContextField, ContextLayout, FieldKind
from hooks.contracts.kernel_only import LONG_PARTS, kernel_only_field, kernel_only_hook

_REGISTERS = (
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip",
    "cs", "flags", "sp", "ss",
)  # fmt: skip
_TRACE_SIZE = 8192  # PERF_MAX_TRACE_SIZE
_ARGUMENTS = 12  # MAX_BPF_FUNC_ARGS


def _registers(reads: tuple[int, ...]) -> tuple[ContextField, ...]:
    return tuple(kernel_only_field(name, 8 * index, 8, reads=reads) for index, name in enumerate(_REGISTERS))


PT_REGS = ContextLayout("pt_regs", 8 * len(_REGISTERS), _registers(LONG_PARTS))
# The first 8 bytes are the kernel's own; what follows is laid out by each tracepoint's format.
TRACEPOINT_RECORD = ContextLayout(
    "trace_event_raw", _TRACE_SIZE, (kernel_only_field("record", 8, _TRACE_SIZE - 8, reads=LONG_PARTS),)
)
RAW_TRACEPOINT_ARGUMENTS = ContextLayout(
    "bpf_raw_tracepoint_args", 8 * _ARGUMENTS, (kernel_only_field("args", 0, 8 * _ARGUMENTS, reads=LONG_PARTS),)
)
WRITABLE_TRACEPOINT_ARGUMENTS = ContextLayout(
    "bpf_raw_tracepoint_args",
    8 * _ARGUMENTS,
    (
        kernel_only_field("buffer", 0, 8, reads=(8,), kind=FieldKind.TRACE_BUFFER),
        kernel_only_field("args", 8, 8 * (_ARGUMENTS - 1), reads=LONG_PARTS),
    ),
)
PERF_EVENT_DATA = ContextLayout(
    "bpf_perf_event_data",
    PT_REGS.size + 16,
    (
        *_registers((8,)),
        kernel_only_field("sample_period", PT_REGS.size, 8, reads=LONG_PARTS),
        kernel_only_field("addr", PT_REGS.size + 8, 8, reads=LONG_PARTS),
    ),
)

_PROBES = ("kprobe", "kretprobe", "ksyscall", "kretsyscall", "uprobe", "uretprobe", "usdt")
_PROBES_OF_MANY = ("kprobe.multi", "kretprobe.multi", "uprobe.multi", "uretprobe.multi")


def _with_targets(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each section name alone, and with the place behind a slash."""
    return tuple(section for name in names for section in (name, f"{name}/"))


TRACING_LINUX = (
    kernel_only_hook(
        "kprobe", 2, _with_targets((*_PROBES, *_PROBES_OF_MANY)), PT_REGS, ("base", "tracing", "stack", "function")
    ),
    kernel_only_hook(  # those that may sleep
        "uprobe.s",
        2,
        _with_targets(("uprobe.s", "uretprobe.s")),
        PT_REGS,
        ("base", "tracing", "stack", "function", "sleepable"),
        sleepable=True,
    ),
    kernel_only_hook(
        "tracepoint", 5, _with_targets(("tracepoint", "tp")), TRACEPOINT_RECORD, ("base", "tracing", "stack", "cookie")
    ),
    kernel_only_hook(
        "raw_tracepoint",
        17,
        _with_targets(("raw_tracepoint", "raw_tp")),
        RAW_TRACEPOINT_ARGUMENTS,
        ("base", "tracing", "stack"),
    ),
    kernel_only_hook(
        "raw_tracepoint.w",
        24,
        _with_targets(("raw_tracepoint.w", "raw_tp.w")),
        WRITABLE_TRACEPOINT_ARGUMENTS,
        ("base", "tracing", "stack"),
    ),
    kernel_only_hook(
        "perf_event", 7, _with_targets(("perf_event",)), PERF_EVENT_DATA, ("base", "tracing", "stack", "perf_event")
    ),
)
