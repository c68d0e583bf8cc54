"""The total table of helpers: what each takes, gives and does, by name. Numbers belong to platforms (`ebpf.platform`).

The verifier reads the argument and return kinds as demands and effects; the interpreter and the JIT find an
implementation under the same name. Sources: `___BPF_FUNC_MAPPER` and the comments of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ArgumentKind(Enum):
    """What a helper demands of one argument register."""

    ANYTHING = "any initialised value"
    SCALAR = "a number"
    CONTEXT = "the context"
    MAP = "a map"
    MAP_KEY = "readable memory of the map's key size"
    MAP_VALUE = "readable memory of the map's value size"
    MAP_VALUE_OUT = "memory of the map's value size: writable, or readable for a bloom filter"
    READABLE = "readable memory, whose size is the next argument"
    READABLE_OR_NULL = "readable memory whose size is the next argument, or null with size 0"
    WRITABLE = "writable memory, whose size is the next argument"
    PARTLY_WRITABLE = "writable memory, whose size is the next argument, filled as far as the memory after it reaches"
    CHANGED = "readable and writable memory, whose size is the next argument"
    HEADER_20 = "readable memory of 20 bytes"
    HEADER_40 = "readable memory of 40 bytes"
    CHANGED_U32 = "readable and writable memory of 4 bytes"
    CALLBACK = "a function of the program, which the helper calls back"
    STACK_OR_NULL = "a pointer to the stack, or null"
    WRITABLE_U64 = "writable memory of 8 bytes"
    CONSTANT_SIZE = "a constant number: the size of the record"
    RECORD = "a record, as ringbuf_reserve gave it"
    MAP_MEMORY = "memory of a map value, whose size is the next argument"
    NEW_DYNPTR = "16 bytes of the stack, for a new dynptr"
    DYNPTR = "a dynptr"
    RING_DYNPTR = "a dynptr, as ringbuf_reserve_dynptr made it"
    SLICE_SIZE = "a constant number: the size of the slice"
    LOCK = "the lock in a map value"
    TEXT = "a constant string of a read-only map"
    FORMAT = "a constant format in a read-only map or on the stack, whose size is the next argument"
    PRINTED = "what the format says"
    PRINTED_ARRAY = "an array of 8-byte elements as the format says, or null, whose size is the next argument"
    MAP_VALUE_OR_NULL = "readable memory of the map's value size, or null"
    TOLD = "memory whose size is the next argument, pointers in it included, or null with size 0"
    WRITABLE_OR_NULL = "writable memory whose size is the next argument, or null with size 0"
    SOCKET = "a socket"
    SOCKET_OR_NULL = "a socket, or null"
    HELD_SOCKET = "a socket that was looked up, as sk_lookup_tcp gave it"
    STRUCTURE = "a structure of the kernel, of the type that the helper is about"
    STRUCTURE_OR_NULL = "a structure of the kernel, of the type that the helper is about, or null"
    SIZE = "the size of the memory before it, at least 1"
    SIZE_OR_ZERO = "the size of the memory before it, 0 allowed"


class ReturnKind(Enum):
    """What r0 holds afterwards."""

    SCALAR = "a number"
    VERDICT = "one of the hook's verdicts"
    REDIRECTION = "the number of REDIRECT, or the lowest two bits of the flags in r3"
    MAP_VALUE_OR_NULL = "a pointer to a value of the map, or null"
    RECORD_OR_NULL = "a pointer to a record of the map, to be submitted or discarded, or null"
    MAP_VALUE = "a pointer to a value of the map"
    SOCKET_OR_NULL = "a pointer to a socket, or null"
    TCP_SOCKET_OR_NULL = "a pointer to what TCP knows of a socket, or null"
    HELD_SOCKET_OR_NULL = "a pointer to a socket, to be released, or null"
    HELD_SOCKET_COMMON_OR_NULL = "a pointer to what every socket has, to be released, or null"
    SLICE_OR_NULL = "a pointer to a part of what a dynptr is about, as long as r3 says, or null"
    STRUCTURE = "a pointer to a structure of the kernel, of the helper's type"
    STRUCTURE_OR_NULL = "a pointer to a structure of the kernel, of the helper's type, or null"
    TRUSTED_STRUCTURE = "a pointer to a structure of the kernel that is there while the program runs"
    NOTHING = "nothing that may be read"


@dataclass(frozen=True, slots=True)
class HelperPrototype:
    """One helper's contract. `moves_packet`: afterwards every older packet pointer is dead."""

    name: str
    family: str
    arguments: tuple[ArgumentKind, ...]
    result: ReturnKind
    moves_packet: bool = False

    @property
    def map_register(self) -> int:
        """The register that holds the map, 1 to 5; 0 if the helper takes none."""
        return self.arguments.index(ArgumentKind.MAP) + 1 if ArgumentKind.MAP in self.arguments else 0

    @property
    def needs_map(self) -> bool:
        """Whether it works on a map, or on a part of one: which one only the verifier can tell."""
        parts = {ArgumentKind.MAP, ArgumentKind.RECORD, ArgumentKind.RING_DYNPTR, ArgumentKind.LOCK}
        return not parts.isdisjoint(self.arguments)

    @property
    def needs_text(self) -> bool:
        """Whether it is given a constant string."""
        return not {ArgumentKind.TEXT, ArgumentKind.FORMAT}.isdisjoint(self.arguments)

    @property
    def callback_register(self) -> int:
        """The register that holds the function to call back, 1 to 5; 0 if the helper calls none."""
        return self.arguments.index(ArgumentKind.CALLBACK) + 1 if ArgumentKind.CALLBACK in self.arguments else 0


_A, _R = ArgumentKind, ReturnKind

PROTOTYPES: dict[str, HelperPrototype] = {
    p.name: p
    for p in (
        HelperPrototype("map_lookup_elem", "general", (_A.MAP, _A.MAP_KEY), _R.MAP_VALUE_OR_NULL),
        HelperPrototype("map_update_elem", "general", (_A.MAP, _A.MAP_KEY, _A.MAP_VALUE, _A.SCALAR), _R.SCALAR),
        HelperPrototype("map_delete_elem", "general", (_A.MAP, _A.MAP_KEY), _R.SCALAR),
        HelperPrototype("map_lookup_percpu_elem", "general", (_A.MAP, _A.MAP_KEY, _A.SCALAR), _R.MAP_VALUE_OR_NULL),
        HelperPrototype("map_lookup_and_delete_elem", "general", (_A.MAP, _A.MAP_KEY), _R.MAP_VALUE_OR_NULL),
        HelperPrototype("map_push_elem", "general", (_A.MAP, _A.MAP_VALUE, _A.SCALAR), _R.SCALAR),
        HelperPrototype("map_pop_elem", "general", (_A.MAP, _A.MAP_VALUE_OUT), _R.SCALAR),
        HelperPrototype("map_peek_elem", "general", (_A.MAP, _A.MAP_VALUE_OUT), _R.SCALAR),
        HelperPrototype("ringbuf_output", "general", (_A.MAP, _A.READABLE, _A.SIZE_OR_ZERO, _A.SCALAR), _R.SCALAR),
        HelperPrototype("ringbuf_reserve", "general", (_A.MAP, _A.CONSTANT_SIZE, _A.SCALAR), _R.RECORD_OR_NULL),
        HelperPrototype("ringbuf_submit", "general", (_A.RECORD, _A.SCALAR), _R.NOTHING),
        HelperPrototype("ringbuf_discard", "general", (_A.RECORD, _A.SCALAR), _R.NOTHING),
        HelperPrototype("ringbuf_reserve_dynptr", "general", (_A.MAP, _A.SCALAR, _A.SCALAR, _A.NEW_DYNPTR), _R.SCALAR),
        HelperPrototype("ringbuf_submit_dynptr", "general", (_A.RING_DYNPTR, _A.SCALAR), _R.NOTHING),
        HelperPrototype("ringbuf_discard_dynptr", "general", (_A.RING_DYNPTR, _A.SCALAR), _R.NOTHING),
        HelperPrototype(
            "dynptr_from_mem", "general", (_A.MAP_MEMORY, _A.SIZE_OR_ZERO, _A.SCALAR, _A.NEW_DYNPTR), _R.SCALAR
        ),
        HelperPrototype(
            "dynptr_read", "general", (_A.WRITABLE, _A.SIZE_OR_ZERO, _A.DYNPTR, _A.SCALAR, _A.SCALAR), _R.SCALAR
        ),
        HelperPrototype(
            "dynptr_write", "general", (_A.DYNPTR, _A.SCALAR, _A.READABLE, _A.SIZE_OR_ZERO, _A.SCALAR), _R.SCALAR
        ),
        HelperPrototype("dynptr_data", "general", (_A.DYNPTR, _A.SCALAR, _A.SLICE_SIZE), _R.SLICE_OR_NULL),
        HelperPrototype(
            "perf_event_output",
            "general",
            (_A.CONTEXT, _A.MAP, _A.SCALAR, _A.READABLE, _A.SIZE_OR_ZERO),
            _R.SCALAR,
        ),
        HelperPrototype("spin_lock", "general", (_A.LOCK,), _R.NOTHING),
        HelperPrototype("spin_unlock", "general", (_A.LOCK,), _R.NOTHING),
        HelperPrototype("ringbuf_query", "general", (_A.MAP, _A.SCALAR), _R.SCALAR),
        HelperPrototype("for_each_map_elem", "general", (_A.MAP, _A.CALLBACK, _A.STACK_OR_NULL, _A.SCALAR), _R.SCALAR),
        HelperPrototype("tail_call", "general", (_A.CONTEXT, _A.MAP, _A.SCALAR), _R.NOTHING),
        HelperPrototype("loop", "general", (_A.SCALAR, _A.CALLBACK, _A.STACK_OR_NULL, _A.SCALAR), _R.SCALAR),
        HelperPrototype("ktime_get_ns", "general", (), _R.SCALAR),
        HelperPrototype("ktime_get_boot_ns", "general", (), _R.SCALAR),
        HelperPrototype("ktime_get_coarse_ns", "general", (), _R.SCALAR),
        HelperPrototype("ktime_get_tai_ns", "general", (), _R.SCALAR),
        HelperPrototype("ktime_get_ms", "general", (), _R.SCALAR),
        HelperPrototype("ktime_get_boot_ms", "general", (), _R.SCALAR),
        HelperPrototype("jiffies64", "general", (), _R.SCALAR),
        HelperPrototype("get_current_pid_tgid", "general", (), _R.SCALAR),
        HelperPrototype("get_current_uid_gid", "task", (), _R.SCALAR),
        HelperPrototype("get_current_comm", "task", (_A.WRITABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("get_current_logon_id", "task", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("is_current_admin", "task", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("get_current_process_start_key", "task", (), _R.SCALAR),
        HelperPrototype("get_current_thread_create_time", "task", (), _R.SCALAR),
        HelperPrototype("get_socket_cookie", "socket", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("get_netns_cookie", "socket", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("set_redirect_context", "sock_addr", (_A.CONTEXT, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("get_retval", "retval", (), _R.SCALAR),
        HelperPrototype("set_retval", "retval", (_A.SCALAR,), _R.SCALAR),
        HelperPrototype("get_flow_id", "sock_ops", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("get_prandom_u32", "general", (), _R.SCALAR),
        HelperPrototype("get_smp_processor_id", "general", (), _R.SCALAR),
        HelperPrototype(
            "csum_diff",
            "general",
            (_A.READABLE_OR_NULL, _A.SIZE_OR_ZERO, _A.READABLE_OR_NULL, _A.SIZE_OR_ZERO, _A.SCALAR),
            _R.SCALAR,
        ),
        HelperPrototype("memcpy_s", "general", (_A.PARTLY_WRITABLE, _A.SIZE, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("memmove_s", "general", (_A.PARTLY_WRITABLE, _A.SIZE, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("memcmp_s", "general", (_A.READABLE, _A.SIZE, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("memset", "general", (_A.WRITABLE, _A.SIZE, _A.SCALAR), _R.SCALAR),
        HelperPrototype("strncpy_s", "general", (_A.WRITABLE, _A.SIZE, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("strncat_s", "general", (_A.CHANGED, _A.SIZE, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("strnlen_s", "general", (_A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("strtol", "general", (_A.READABLE, _A.SIZE, _A.SCALAR, _A.WRITABLE_U64), _R.SCALAR),
        HelperPrototype("strtoul", "general", (_A.READABLE, _A.SIZE, _A.SCALAR, _A.WRITABLE_U64), _R.SCALAR),
        HelperPrototype("strncmp", "general", (_A.READABLE, _A.SIZE, _A.TEXT), _R.SCALAR),
        HelperPrototype(
            "snprintf",
            "general",
            (_A.WRITABLE_OR_NULL, _A.SIZE_OR_ZERO, _A.TEXT, _A.PRINTED_ARRAY, _A.SIZE_OR_ZERO),
            _R.SCALAR,
        ),
        HelperPrototype("trace_vprintk", "general", (_A.FORMAT, _A.SIZE, _A.PRINTED_ARRAY, _A.SIZE_OR_ZERO), _R.SCALAR),
        HelperPrototype("trace_printk", "general", (_A.FORMAT, _A.SIZE, *[_A.PRINTED] * 3), _R.SCALAR),
        *(
            HelperPrototype(f"trace_printk{2 + more}", "general", (_A.FORMAT, _A.SIZE, *[_A.PRINTED] * more), _R.SCALAR)
            for more in range(4)
        ),
        HelperPrototype("get_numa_node_id", "general", (), _R.SCALAR),
        HelperPrototype("get_ns_current_pid_tgid", "general", (_A.SCALAR, _A.SCALAR, _A.WRITABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("xdp_adjust_head", "xdp", (_A.CONTEXT, _A.SCALAR), _R.SCALAR, moves_packet=True),
        HelperPrototype("xdp_adjust_tail", "xdp", (_A.CONTEXT, _A.SCALAR), _R.SCALAR, moves_packet=True),
        HelperPrototype("xdp_adjust_meta", "xdp", (_A.CONTEXT, _A.SCALAR), _R.SCALAR, moves_packet=True),
        HelperPrototype("xdp_get_buff_len", "xdp", (_A.CONTEXT,), _R.SCALAR),
        HelperPrototype("xdp_load_bytes", "xdp", (_A.CONTEXT, _A.SCALAR, _A.WRITABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("xdp_store_bytes", "xdp", (_A.CONTEXT, _A.SCALAR, _A.READABLE, _A.SIZE), _R.SCALAR),
        HelperPrototype("fib_lookup", "xdp", (_A.CONTEXT, _A.CHANGED, _A.SIZE, _A.SCALAR), _R.SCALAR),
        HelperPrototype("check_mtu", "xdp", (_A.CONTEXT, _A.SCALAR, _A.CHANGED_U32, _A.SCALAR, _A.SCALAR), _R.SCALAR),
        HelperPrototype("tcp_raw_gen_syncookie_ipv4", "xdp", (_A.HEADER_20, _A.READABLE, _A.SIZE_OR_ZERO), _R.SCALAR),
        HelperPrototype("tcp_raw_gen_syncookie_ipv6", "xdp", (_A.HEADER_40, _A.READABLE, _A.SIZE_OR_ZERO), _R.SCALAR),
        HelperPrototype("tcp_raw_check_syncookie_ipv4", "xdp", (_A.HEADER_20, _A.HEADER_20), _R.SCALAR),
        HelperPrototype("tcp_raw_check_syncookie_ipv6", "xdp", (_A.HEADER_40, _A.HEADER_20), _R.SCALAR),
        HelperPrototype("redirect", "xdp", (_A.SCALAR, _A.SCALAR), _R.VERDICT),
        HelperPrototype("redirect_map", "xdp", (_A.MAP, _A.SCALAR, _A.SCALAR), _R.REDIRECTION),
    )
}
