"""The helpers that have no meaning here, and why: what a program is told that calls one.

Tidegate runs programs in a process of its own. What asks for the inside of a kernel finds none, whatever number the
platform gives it. Sources: `___BPF_FUNC_MAPPER` of include/uapi/linux/bpf.h; the public headers of eBPF for Windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hooks.contracts.contract import HookPoint


class UnsupportedHelper(NamedTuple):
    """A helper's name, and the reason in words that follow "has no meaning here:"."""

    name: str
    reason: str


# Platform, then reason, then the platform's numbers and names.
_REASONS: dict[str, dict[str, dict[int, str]]] = {
    "linux": {
        "there is no memory of a kernel or of its processes": {
            4: "probe_read",
            36: "probe_write_user",
            45: "probe_read_str",
            112: "probe_read_user",
            113: "probe_read_kernel",
            114: "probe_read_user_str",
            115: "probe_read_kernel_str",
            148: "copy_from_user",
            191: "copy_from_user_task",
        },
        "there is no kernel task": {
            35: "get_current_task",
            37: "current_task_under_cgroup",
            141: "get_task_stack",
            156: "task_storage_get",
            157: "task_storage_delete",
            158: "get_current_task_btf",
            175: "task_pt_regs",
            180: "find_vma",
        },
        "there is no cgroup": {
            17: "get_cgroup_classid",
            33: "skb_under_cgroup",
            79: "skb_cgroup_id",
            80: "get_current_cgroup_id",
            81: "get_local_storage",
            83: "skb_ancestor_cgroup_id",
            123: "get_current_ancestor_cgroup_id",
            128: "sk_cgroup_id",
            129: "sk_ancestor_cgroup_id",
            151: "skb_cgroup_classid",
            210: "cgrp_storage_get",
            211: "cgrp_storage_delete",
        },
        "there is no sk_buff": {
            9: "skb_store_bytes",
            10: "l3_csum_replace",
            11: "l4_csum_replace",
            13: "clone_redirect",
            18: "skb_vlan_push",
            19: "skb_vlan_pop",
            20: "skb_get_tunnel_key",
            21: "skb_set_tunnel_key",
            24: "get_route_realm",
            26: "skb_load_bytes",
            29: "skb_get_tunnel_opt",
            30: "skb_set_tunnel_opt",
            31: "skb_change_proto",
            32: "skb_change_type",
            34: "get_hash_recalc",
            38: "skb_change_tail",
            39: "skb_pull_data",
            40: "csum_update",
            41: "set_hash_invalid",
            43: "skb_change_head",
            48: "set_hash",
            50: "skb_adjust_room",
            66: "skb_get_xfrm_state",
            68: "skb_load_bytes_relative",
            73: "lwt_push_encap",
            74: "lwt_seg6_store_bytes",
            75: "lwt_seg6_adjust_srh",
            76: "lwt_seg6_action",
            97: "skb_ecn_set_ce",
            111: "skb_output",
            135: "csum_level",
            152: "redirect_neigh",
            155: "redirect_peer",
            192: "skb_set_tstamp",
        },
        "there is no socket of a kernel": {
            47: "get_socket_uid",
            49: "setsockopt",
            52: "sk_redirect_map",
            53: "sock_map_update",
            57: "getsockopt",
            59: "sock_ops_cb_flags_set",
            60: "msg_redirect_map",
            61: "msg_apply_bytes",
            62: "msg_cork_bytes",
            63: "msg_pull_data",
            64: "bind",
            70: "sock_hash_update",
            71: "msg_redirect_hash",
            72: "sk_redirect_hash",
            82: "sk_select_reuseport",
            84: "sk_lookup_tcp",
            85: "sk_lookup_udp",
            86: "sk_release",
            90: "msg_push_data",
            91: "msg_pop_data",
            95: "sk_fullsock",
            96: "tcp_sock",
            98: "get_listener_sock",
            99: "skc_lookup_tcp",
            100: "tcp_check_syncookie",
            107: "sk_storage_get",
            108: "sk_storage_delete",
            110: "tcp_gen_syncookie",
            116: "tcp_send_ack",
            124: "sk_assign",
            136: "skc_to_tcp6_sock",
            137: "skc_to_tcp_sock",
            138: "skc_to_tcp_timewait_sock",
            139: "skc_to_tcp_request_sock",
            140: "skc_to_udp6_sock",
            142: "load_hdr_opt",
            143: "store_hdr_opt",
            144: "reserve_hdr_opt",
            162: "sock_from_file",
            178: "skc_to_unix_sock",
            196: "skc_to_mptcp_sock",
        },
        "there is no stack of a kernel": {
            27: "get_stackid",
            67: "get_stack",
        },
        "there are no performance counters of a kernel": {
            22: "perf_event_read",
            55: "perf_event_read_value",
            56: "perf_prog_read_value",
            119: "read_branch_records",
            176: "get_branch_snapshot",
        },
        "there is no kernel function to trace": {
            58: "override_return",
            121: "xdp_output",
            173: "get_func_ip",
            174: "get_attach_cookie",
            183: "get_func_arg",
            184: "get_func_ret",
            185: "get_func_arg_cnt",
        },
        "there are no objects of a kernel": {
            194: "kptr_xchg",
        },
        "there is no infrared receiver": {
            77: "rc_repeat",
            78: "rc_keydown",
            92: "rc_pointer_rel",
        },
        "there is no sysctl": {
            101: "sysctl_get_name",
            102: "sysctl_get_current_value",
            103: "sysctl_get_new_value",
            104: "sysctl_set_new_value",
        },
        "there is no process to signal": {
            109: "send_signal",
            117: "send_signal_thread",
        },
        "there is no file of a kernel": {
            126: "seq_printf",
            127: "seq_write",
            145: "inode_storage_get",
            146: "inode_storage_delete",
            147: "d_path",
            150: "seq_printf_btf",
            159: "bprm_opts_set",
            161: "ima_inode_hash",
            193: "ima_file_hash",
        },
        "there are no symbols and types of a kernel": {
            149: "snprintf_btf",
            153: "per_cpu_ptr",
            154: "this_cpu_ptr",
            167: "btf_find_by_name_kind",
            179: "kallsyms_lookup_name",
        },
        "there is no kernel to call": {
            166: "sys_bpf",
            168: "sys_close",
        },
    },
    "windows": {},
}

# The same for numbers that mean something else in every family of hooks.
_FAMILY_REASONS: dict[str, dict[str, dict[str, dict[int, str]]]] = {
    "windows": {
        "sock_addr": {
            "there is no network stack of Windows": {
                0x10002: "get_network_context",
            },
        },
    },
}


def _by_number(reasons: Mapping[str, Mapping[int, str]]) -> dict[int, UnsupportedHelper]:
    return {
        number: UnsupportedHelper(name, reason)
        for reason, helpers in reasons.items()
        for number, name in helpers.items()
    }


UNSUPPORTED: dict[str, dict[int, UnsupportedHelper]] = {
    platform: _by_number(reasons) for platform, reasons in _REASONS.items()
}
FAMILY_UNSUPPORTED: dict[str, dict[str, dict[int, UnsupportedHelper]]] = {
    platform: {family: _by_number(reasons) for family, reasons in families.items()}
    for platform, families in _FAMILY_REASONS.items()
}


def unsupported_at(hook: HookPoint, number: int) -> UnsupportedHelper | None:
    """Why programs of the hook can't call the helper of that number; None if that is no reason."""
    own = FAMILY_UNSUPPORTED.get(hook.platform, {})
    tables = (UNSUPPORTED[hook.platform], *(own[family] for family in sorted(hook.families & own.keys())))
    return next((table[number] for table in tables if number in table), None)
