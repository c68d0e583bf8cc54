"""What only a kernel can run: the contracts of its helpers, so that programs which call them can be verified.

None of them has an implementation here. The verifier finds them for hooks that never run here; programs of the others
are told why there is no such helper (`helpers.unsupported`). Which program may call which is in `groups`.

Sources: the `struct bpf_func_proto` of Linux (kernel/bpf/helpers.c, kernel/bpf/cgroup.c, kernel/trace/bpf_trace.c,
net/core/filter.c), and bpf_helper_changes_pkt_data for what moves the packet.
"""

from __future__ import annotations

from appliance.helpers.prototypes import PROTOTYPES, ArgumentKind, HelperPrototype, ReturnKind

KERNEL_FAMILY = "kernel"

_A, _R = ArgumentKind, ReturnKind
_CTX, _N, _MAP = _A.CONTEXT, _A.SCALAR, _A.MAP
_IN, _OUT, _SIZE, _SIZE_0 = _A.READABLE, _A.WRITABLE, _A.SIZE, _A.SIZE_OR_ZERO


def _proto(
    name: str, *arguments: ArgumentKind, result: ReturnKind = _R.SCALAR, moves_packet: bool = False
) -> HelperPrototype:
    return HelperPrototype(name, KERNEL_FAMILY, arguments, result, moves_packet=moves_packet)


_MEMORY = (
    *(
        _proto(name, _OUT, _SIZE_0, _A.ANYTHING)
        for name in (
            "probe_read", "probe_read_str", "probe_read_user", "probe_read_kernel", "probe_read_user_str",
            "probe_read_kernel_str", "copy_from_user",
        )
    ),
    _proto("probe_write_user", _A.ANYTHING, _IN, _SIZE),
)  # fmt: skip

_TASK = (
    _proto("get_current_task"),
    _proto("current_task_under_cgroup", _MAP, _N),
    _proto("send_signal", _N),
    _proto("send_signal_thread", _N),
)

_TRACING = (
    _proto("get_stackid", _CTX, _MAP, _N),
    _proto("get_stack", _CTX, _OUT, _SIZE_0, _N),
    _proto("perf_event_read", _MAP, _N),
    _proto("perf_event_read_value", _MAP, _N, _OUT, _SIZE),
    _proto("perf_prog_read_value", _CTX, _OUT, _SIZE),
    _proto("read_branch_records", _CTX, _A.WRITABLE_OR_NULL, _SIZE_0, _N),
    _proto("get_branch_snapshot", _OUT, _SIZE_0),
    _proto("override_return", _CTX, _N),
    _proto("get_func_ip", _CTX),
    _proto("get_attach_cookie", _CTX),
    _proto("snprintf_btf", _A.CHANGED, _SIZE, _IN, _SIZE, _N),
)

_CGROUP = (
    _proto("get_current_cgroup_id"),
    _proto("get_current_ancestor_cgroup_id", _N),
    _proto("get_local_storage", _MAP, _N, result=_R.MAP_VALUE),
    _proto("get_cgroup_classid", _CTX),
    _proto("skb_cgroup_classid", _CTX),
    _proto("skb_cgroup_id", _CTX),
    _proto("skb_ancestor_cgroup_id", _CTX, _N),
    _proto("skb_under_cgroup", _CTX, _MAP, _N),
    _proto("sysctl_get_name", _CTX, _A.CHANGED, _SIZE, _N),
    _proto("sysctl_get_current_value", _CTX, _OUT, _SIZE),
    _proto("sysctl_get_new_value", _CTX, _OUT, _SIZE),
    _proto("sysctl_set_new_value", _CTX, _IN, _SIZE),
)

_PACKET = (
    _proto("skb_store_bytes", _CTX, _N, _IN, _SIZE, _N, moves_packet=True),
    _proto("skb_load_bytes", _CTX, _N, _OUT, _SIZE),
    _proto("skb_load_bytes_relative", _CTX, _N, _OUT, _SIZE, _N),
    _proto("l3_csum_replace", _CTX, _N, _N, _N, _N, moves_packet=True),
    _proto("l4_csum_replace", _CTX, _N, _N, _N, _N, moves_packet=True),
    _proto("csum_update", _CTX, _N),
    _proto("csum_level", _CTX, _N),
    _proto("clone_redirect", _CTX, _N, _N, moves_packet=True),
    _proto("redirect_neigh", _N, _A.READABLE_OR_NULL, _SIZE_0, _N),
    _proto("redirect_peer", _N, _N),
    _proto("skb_vlan_push", _CTX, _N, _N, moves_packet=True),
    _proto("skb_vlan_pop", _CTX, moves_packet=True),
    _proto("skb_get_tunnel_key", _CTX, _OUT, _SIZE, _N),
    _proto("skb_set_tunnel_key", _CTX, _IN, _SIZE, _N),
    _proto("skb_get_tunnel_opt", _CTX, _OUT, _SIZE),
    _proto("skb_set_tunnel_opt", _CTX, _IN, _SIZE),
    _proto("skb_change_proto", _CTX, _N, _N, moves_packet=True),
    _proto("skb_change_type", _CTX, _N),
    _proto("skb_change_tail", _CTX, _N, _N, moves_packet=True),
    _proto("skb_change_head", _CTX, _N, _N, moves_packet=True),
    _proto("skb_adjust_room", _CTX, _N, _N, _N, moves_packet=True),
    _proto("skb_pull_data", _CTX, _N, moves_packet=True),
    _proto("skb_ecn_set_ce", _CTX),
    _proto("skb_set_tstamp", _CTX, _N, _N),
    _proto("skb_get_xfrm_state", _CTX, _N, _OUT, _SIZE, _N),
    _proto("get_route_realm", _CTX),
    _proto("get_hash_recalc", _CTX),
    _proto("set_hash_invalid", _CTX),
    _proto("set_hash", _CTX, _N),
    _proto("get_socket_uid", _CTX),
    _proto("lwt_push_encap", _CTX, _N, _IN, _SIZE, moves_packet=True),
    _proto("lwt_seg6_store_bytes", _CTX, _N, _IN, _SIZE, moves_packet=True),
    _proto("lwt_seg6_adjust_srh", _CTX, _N, _N, moves_packet=True),
    _proto("lwt_seg6_action", _CTX, _N, _IN, _SIZE, moves_packet=True),
)

_SOCKET = (
    *(
        _proto(name, _CTX, _IN, _SIZE, _N, _N, result=_R.HELD_SOCKET_OR_NULL)
        for name in ("sk_lookup_tcp", "sk_lookup_udp")
    ),
    _proto("skc_lookup_tcp", _CTX, _IN, _SIZE, _N, _N, result=_R.HELD_SOCKET_COMMON_OR_NULL),
    _proto("sk_release", _A.HELD_SOCKET),
    _proto("sk_fullsock", _A.SOCKET, result=_R.SOCKET_OR_NULL),
    _proto("get_listener_sock", _A.SOCKET, result=_R.SOCKET_OR_NULL),
    _proto("tcp_sock", _A.SOCKET, result=_R.TCP_SOCKET_OR_NULL),
    _proto("sk_cgroup_id", _A.SOCKET),
    _proto("sk_ancestor_cgroup_id", _A.SOCKET, _N),
    _proto("tcp_check_syncookie", _A.SOCKET, _IN, _SIZE, _IN, _SIZE),
    _proto("tcp_gen_syncookie", _A.SOCKET, _IN, _SIZE, _IN, _SIZE),
    _proto("sk_assign", _CTX, _A.SOCKET, _N),
    _proto("sk_storage_get", _MAP, _A.SOCKET, _A.MAP_VALUE_OR_NULL, _N, result=_R.MAP_VALUE_OR_NULL),
    _proto("sk_storage_delete", _MAP, _A.SOCKET),
    _proto("bind", _CTX, _IN, _SIZE),
    _proto("setsockopt", _CTX, _N, _N, _IN, _SIZE),
    _proto("getsockopt", _CTX, _N, _N, _OUT, _SIZE),
    _proto("sock_ops_cb_flags_set", _CTX, _N),
    *(_proto(name, _CTX, _MAP, _A.MAP_KEY, _N) for name in ("sock_map_update", "sock_hash_update")),
    _proto("load_hdr_opt", _CTX, _A.CHANGED, _SIZE, _N),
    _proto("store_hdr_opt", _CTX, _IN, _SIZE, _N),
    _proto("reserve_hdr_opt", _CTX, _N, _N),
    *(_proto(name, _CTX, _MAP, _N, _N) for name in ("sk_redirect_map", "msg_redirect_map")),
    *(_proto(name, _CTX, _MAP, _A.MAP_KEY, _N) for name in ("sk_redirect_hash", "msg_redirect_hash")),
    _proto("sk_select_reuseport", _CTX, _MAP, _A.MAP_KEY, _N),
    _proto("msg_apply_bytes", _CTX, _N),
    _proto("msg_cork_bytes", _CTX, _N),
    _proto("msg_pull_data", _CTX, _N, _N, _N, moves_packet=True),
    _proto("msg_push_data", _CTX, _N, _N, _N, moves_packet=True),
    _proto("msg_pop_data", _CTX, _N, _N, _N, moves_packet=True),
)

_STRUCTURE = (
    _proto("get_current_task_btf", result=_R.TRUSTED_STRUCTURE),
    _proto("task_pt_regs", _A.STRUCTURE, result=_R.STRUCTURE),
    _proto("get_task_stack", _A.STRUCTURE, _OUT, _SIZE_0, _N),
    _proto("find_vma", _A.STRUCTURE, _N, _A.CALLBACK, _A.STACK_OR_NULL, _N),
    _proto("copy_from_user_task", _OUT, _SIZE_0, _A.ANYTHING, _A.STRUCTURE, _N),
    *(
        _proto(f"{name}_storage_get", _MAP, _A.STRUCTURE_OR_NULL, _A.MAP_VALUE_OR_NULL, _N, result=_R.MAP_VALUE_OR_NULL)
        for name in ("task", "inode", "cgrp")
    ),
    *(_proto(f"{name}_storage_delete", _MAP, _A.STRUCTURE_OR_NULL) for name in ("task", "inode", "cgrp")),
    *(_proto(name, _A.STRUCTURE, _MAP, _N, _IN, _SIZE_0) for name in ("skb_output", "xdp_output")),
    _proto("sock_from_file", _A.STRUCTURE, result=_R.STRUCTURE_OR_NULL),
    *(_proto(f"skc_to_{name}", _A.SOCKET, result=_R.STRUCTURE_OR_NULL) for name in (
        "tcp6_sock", "tcp_sock", "tcp_timewait_sock", "tcp_request_sock", "udp6_sock", "unix_sock", "mptcp_sock",
    )),
    _proto("get_socket_ptr_cookie", _A.SOCKET_OR_NULL),
    _proto("tcp_send_ack", _A.STRUCTURE, _N),
    _proto("d_path", _A.STRUCTURE, _OUT, _SIZE_0),
    _proto("seq_printf", _A.STRUCTURE, _IN, _SIZE, _A.TOLD, _SIZE_0),
    _proto("seq_write", _A.STRUCTURE, _IN, _SIZE_0),
    _proto("seq_printf_btf", _A.STRUCTURE, _IN, _SIZE_0, _N),
    _proto("sk_setsockopt", _A.SOCKET, _N, _N, _IN, _SIZE),
    _proto("sk_getsockopt", _A.SOCKET, _N, _N, _OUT, _SIZE),
    _proto("get_func_arg", _CTX, _N, _A.WRITABLE_U64),
    _proto("get_func_ret", _CTX, _A.WRITABLE_U64),
    _proto("get_func_arg_cnt", _CTX),
    _proto("bprm_opts_set", _A.STRUCTURE, _N),
    _proto("ima_inode_hash", _A.STRUCTURE, _OUT, _SIZE),
    _proto("ima_file_hash", _A.STRUCTURE, _OUT, _SIZE),
)  # fmt: skip

# The structures of the kernel that helpers are about: what they take, and what they give (the BTF_ID of a proto).
STRUCTURES_TAKEN: dict[str, str] = {
    **dict.fromkeys(
        (
            "task_pt_regs", "get_task_stack", "find_vma", "copy_from_user_task", "task_storage_get",
            "task_storage_delete",
        ),
        "task_struct",
    ),
    **dict.fromkeys(("inode_storage_get", "inode_storage_delete", "ima_inode_hash"), "inode"),
    **dict.fromkeys(("cgrp_storage_get", "cgrp_storage_delete"), "cgroup"),
    **dict.fromkeys(("sock_from_file", "ima_file_hash"), "file"),
    **dict.fromkeys(("seq_printf", "seq_write", "seq_printf_btf"), "seq_file"),
    "skb_output": "sk_buff",
    "xdp_output": "xdp_buff",
    "d_path": "path",
    "tcp_send_ack": "tcp_sock",
    "bprm_opts_set": "linux_binprm",
}  # fmt: skip
STRUCTURES_GIVEN: dict[str, str] = {
    "get_current_task_btf": "task_struct",
    "task_pt_regs": "pt_regs",
    "sock_from_file": "socket",
    "skc_to_tcp6_sock": "tcp6_sock",
    "skc_to_tcp_sock": "tcp_sock",
    "skc_to_tcp_timewait_sock": "tcp_timewait_sock",
    "skc_to_tcp_request_sock": "tcp_request_sock",
    "skc_to_udp6_sock": "udp6_sock",
    "skc_to_unix_sock": "unix_sock",
    "skc_to_mptcp_sock": "mptcp_sock",
}

KERNEL_PROTOTYPES: dict[str, HelperPrototype] = {
    prototype.name: prototype for prototype in (*_MEMORY, *_TASK, *_TRACING, *_CGROUP, *_PACKET, *_SOCKET, *_STRUCTURE)
}

# What the verifier knows of helpers, wherever they run.
EVERY_PROTOTYPE: dict[str, HelperPrototype] = {**PROTOTYPES, **KERNEL_PROTOTYPES}
