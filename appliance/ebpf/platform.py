"""Platforms are data: how Linux and Windows number the same helpers, maps, hooks and verdicts.

Sources: include/uapi/linux/bpf.h; the public headers of eBPF for Windows (v1.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from appliance.ebpf.map_types import MapType
from hooks.contracts.bind import BIND_WINDOWS
from hooks.contracts.cgroup import KERNEL_SOCKETS_LINUX
from hooks.contracts.contract import HookPoint
from hooks.contracts.sk_buff import SK_BUFF_LINUX
from hooks.contracts.sock import SOCK_LINUX
from hooks.contracts.sock_addr import SOCK_ADDR_LINUX, SOCK_ADDR_WINDOWS
from hooks.contracts.sock_ops import SOCK_OPS_LINUX, SOCK_OPS_WINDOWS
from hooks.contracts.struct_ops import SECTIONS as OPERATIONS_SECTIONS
from hooks.contracts.tracing import TRACING_LINUX
from hooks.contracts.typed import TYPED_LINUX, TypedHook
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS


@dataclass(frozen=True, slots=True)
class Platform:
    """One numbering of the same things. `helpers` maps numbers to the names of `appliance.helpers`.

    `family_helpers` are numbers that mean something else in every family of hooks; see `at`. Programs of `hooks` run
    here; those of `kernel_only` are verified only, and so are those of `typed`, whose places are found in the types
    of a kernel. `unsupported` are the sections of programs that can't be verified, under the reason.
    """

    name: str
    hooks: tuple[HookPoint, ...]
    helpers: Mapping[int, str]
    map_types: Mapping[int, MapType]
    family_helpers: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    kernel_only: tuple[HookPoint, ...] = ()
    typed: tuple[TypedHook, ...] = ()
    unsupported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def at(self, hook: HookPoint) -> Platform:
        """The platform as programs of that hook see it: `helpers` has the numbers of the hook's own, too."""
        own = {number: name for family in hook.families for number, name in self.family_helpers.get(family, {}).items()}
        return replace(self, helpers={**self.helpers, **own})

    def hook_for_section(self, section: str) -> HookPoint | None:
        """The hook whose programs live in the ELF section of that name; a name ending in `/` is a prefix."""
        for hook in (*self.hooks, *self.kernel_only):
            if any(_is_named(section, pattern) for pattern in hook.sections):
                return hook
        return None

    def typed_hook(self, section: str) -> tuple[TypedHook, str] | None:
        """The kind of place that the section names, and the place; None if it names none that has types."""
        for hook in self.typed:
            target = hook.target(section)
            if target is not None:
                return hook, target
        return None

    def hook_for_legacy_section(self, section: str) -> HookPoint | None:
        """The hook with the longest name that the section's begins with, which is how sections were named before libbpf
        1.0: `xdp_tx`, `socket1`, `kprobe_open`. Only platforms with hooks of a kernel alone have such names."""
        names = {
            pattern.rstrip("/"): hook
            for hook in (*self.kernel_only, *self.hooks)
            for pattern in hook.sections
            if self.kernel_only and section.startswith(pattern.rstrip("/"))
        }
        return names[max(names, key=len)] if names else None

    def why_unsupported(self, section: str) -> str | None:
        """Why programs of the section can't be verified; None if no reason is known."""
        for reason, patterns in self.unsupported.items():
            if any(_is_named(section, pattern) for pattern in patterns):
                return reason
        return None


def _is_named(section: str, pattern: str) -> bool:
    return section == pattern or (pattern.endswith("/") and section.startswith(pattern))


LINUX = Platform(
    name="linux",
    hooks=(XDP_LINUX, *SOCK_ADDR_LINUX, *SOCK_LINUX, SOCK_OPS_LINUX),
    helpers={
        1: "map_lookup_elem",
        2: "map_update_elem",
        3: "map_delete_elem",
        5: "ktime_get_ns",
        6: "trace_printk",
        7: "get_prandom_u32",
        8: "get_smp_processor_id",
        12: "tail_call",
        14: "get_current_pid_tgid",
        15: "get_current_uid_gid",
        16: "get_current_comm",
        23: "redirect",
        25: "perf_event_output",
        28: "csum_diff",
        42: "get_numa_node_id",
        44: "xdp_adjust_head",
        46: "get_socket_cookie",
        51: "redirect_map",
        54: "xdp_adjust_meta",
        65: "xdp_adjust_tail",
        69: "fib_lookup",
        87: "map_push_elem",
        88: "map_pop_elem",
        89: "map_peek_elem",
        195: "map_lookup_percpu_elem",
        93: "spin_lock",
        94: "spin_unlock",
        105: "strtol",
        106: "strtoul",
        118: "jiffies64",
        120: "get_ns_current_pid_tgid",
        122: "get_netns_cookie",
        125: "ktime_get_boot_ns",
        130: "ringbuf_output",
        131: "ringbuf_reserve",
        132: "ringbuf_submit",
        133: "ringbuf_discard",
        134: "ringbuf_query",
        160: "ktime_get_coarse_ns",
        163: "check_mtu",
        164: "for_each_map_elem",
        165: "snprintf",
        177: "trace_vprintk",
        181: "loop",
        182: "strncmp",
        186: "get_retval",
        187: "set_retval",
        188: "xdp_get_buff_len",
        189: "xdp_load_bytes",
        190: "xdp_store_bytes",
        197: "dynptr_from_mem",
        198: "ringbuf_reserve_dynptr",
        199: "ringbuf_submit_dynptr",
        200: "ringbuf_discard_dynptr",
        201: "dynptr_read",
        202: "dynptr_write",
        203: "dynptr_data",
        204: "tcp_raw_gen_syncookie_ipv4",
        205: "tcp_raw_gen_syncookie_ipv6",
        206: "tcp_raw_check_syncookie_ipv4",
        207: "tcp_raw_check_syncookie_ipv6",
        208: "ktime_get_tai_ns",
    },
    map_types={
        1: MapType.HASH,
        2: MapType.ARRAY,
        3: MapType.PROG_ARRAY,
        4: MapType.PERF_EVENT_ARRAY,
        5: MapType.PERCPU_HASH,
        6: MapType.PERCPU_ARRAY,
        9: MapType.LRU_HASH,
        10: MapType.LRU_PERCPU_HASH,
        11: MapType.LPM_TRIE,
        12: MapType.ARRAY_OF_MAPS,
        13: MapType.HASH_OF_MAPS,
        14: MapType.DEVMAP,
        16: MapType.CPUMAP,
        17: MapType.XSKMAP,
        22: MapType.QUEUE,
        23: MapType.STACK,
        25: MapType.DEVMAP_HASH,
        27: MapType.RINGBUF,
        30: MapType.BLOOM_FILTER,
        7: MapType.STACK_TRACE,
        8: MapType.CGROUP_ARRAY,
        15: MapType.SOCKMAP,
        18: MapType.SOCKHASH,
        19: MapType.CGROUP_STORAGE,
        20: MapType.REUSEPORT_SOCKARRAY,
        21: MapType.PERCPU_CGROUP_STORAGE,
        24: MapType.SK_STORAGE,
        26: MapType.STRUCT_OPS,
        28: MapType.INODE_STORAGE,
        29: MapType.TASK_STORAGE,
        31: MapType.USER_RINGBUF,
        32: MapType.CGRP_STORAGE,
    },
    kernel_only=(*SK_BUFF_LINUX, *TRACING_LINUX, *KERNEL_SOCKETS_LINUX),
    typed=TYPED_LINUX,
    unsupported={
        "its section does not name what it is attached to": (
            *(section for hook in TYPED_LINUX for prefix in hook.sections for section in (prefix, prefix.rstrip("/"))),
        ),
        "no structure in section .struct_ops names it": OPERATIONS_SECTIONS,
        "it takes the place of a function of another program, which the file does not hold": (
            "freplace",
            "freplace/",
            "extension",
        ),
        "it is called by a process, with memory of that process": ("syscall",),
        "there is no infrared receiver": ("lirc_mode2",),
        "its arguments have types of the kernel's netfilter (BTF)": ("netfilter",),
    },
)

WINDOWS = Platform(
    name="windows",
    hooks=(XDP_WINDOWS, BIND_WINDOWS, *SOCK_ADDR_WINDOWS, SOCK_OPS_WINDOWS),
    helpers={
        1: "map_lookup_elem",
        2: "map_update_elem",
        3: "map_delete_elem",
        4: "map_lookup_and_delete_elem",
        5: "tail_call",
        6: "get_prandom_u32",
        7: "ktime_get_boot_ns",
        8: "get_smp_processor_id",
        9: "ktime_get_ns",
        10: "csum_diff",
        11: "ringbuf_output",
        12: "trace_printk2",
        13: "trace_printk3",
        14: "trace_printk4",
        15: "trace_printk5",
        16: "map_push_elem",
        17: "map_pop_elem",
        18: "map_peek_elem",
        19: "get_current_pid_tgid",
        20: "get_current_logon_id",
        21: "is_current_admin",
        22: "memcpy_s",
        23: "memcmp_s",
        24: "memset",
        25: "memmove_s",
        26: "get_socket_cookie",
        27: "strncpy_s",
        28: "strncat_s",
        29: "strnlen_s",
        30: "ktime_get_boot_ms",
        31: "ktime_get_ms",
        32: "perf_event_output",
        33: "get_current_process_start_key",
        34: "get_current_thread_create_time",
        35: "redirect_map",
    },
    family_helpers={
        "xdp": {0x10000: "xdp_adjust_head"},
        "sock_addr": {0x10000: "get_current_pid_tgid", 0x10001: "set_redirect_context"},
        "sock_ops": {0x10000: "get_flow_id"},
    },
    map_types={
        1: MapType.HASH,
        2: MapType.ARRAY,
        3: MapType.PROG_ARRAY,
        4: MapType.PERCPU_HASH,
        5: MapType.PERCPU_ARRAY,
        6: MapType.HASH_OF_MAPS,
        7: MapType.ARRAY_OF_MAPS,
        8: MapType.LRU_HASH,
        9: MapType.LPM_TRIE,
        10: MapType.QUEUE,
        11: MapType.LRU_PERCPU_HASH,
        12: MapType.STACK,
        13: MapType.RINGBUF,
        14: MapType.PERF_EVENT_ARRAY,
        16: MapType.XSKMAP,
    },
)

PLATFORMS: dict[str, Platform] = {platform.name: platform for platform in (LINUX, WINDOWS)}
