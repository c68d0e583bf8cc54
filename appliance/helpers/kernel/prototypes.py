"""What only a kernel can run: the contracts of its helpers, so that programs which call them can be judged.

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


def _takes(name: str, *arguments: ArgumentKind, gives: ReturnKind = _R.SCALAR, moves: bool = False) -> HelperPrototype:
    return HelperPrototype(name, KERNEL_FAMILY, arguments, gives, moves_packet=moves)


_MEMORY = (
    *(
        _takes(name, _OUT, _SIZE_0, _A.ANYTHING)
        for name in (
            "probe_read", "probe_read_str", "probe_read_user", "probe_read_kernel", "probe_read_user_str",
            "probe_read_kernel_str", "copy_from_user",
        )
    ),
    _takes("probe_write_user", _A.ANYTHING, _IN, _SIZE),
)  # fmt: skip

_TASK = (
    _takes("get_current_task"),
    _takes("current_task_under_cgroup", _MAP, _N),
    _takes("send_signal", _N),
    _takes("send_signal_thread", _N),
)

_TRACING = (
    _takes("get_stackid", _CTX, _MAP, _N),
    _takes("get_stack", _CTX, _OUT, _SIZE_0, _N),
    _takes("perf_event_read", _MAP, _N),
    _takes("perf_event_read_value", _MAP, _N, _OUT, _SIZE),
    _takes("perf_prog_read_value", _CTX, _OUT, _SIZE),
    _takes("read_branch_records", _CTX, _A.WRITABLE_OR_NULL, _SIZE_0, _N),
    _takes("get_branch_snapshot", _OUT, _SIZE_0),
    _takes("override_return", _CTX, _N),
    _takes("get_func_ip", _CTX),
    _takes("get_attach_cookie", _CTX),
    _takes("snprintf_btf", _A.CHANGED, _SIZE, _IN, _SIZE, _N),
)

_CGROUP = (
    _takes("get_current_cgroup_id"),
    _takes("get_current_ancestor_cgroup_id", _N),
    _takes("get_local_storage", _MAP, _N, gives=_R.MAP_VALUE),
    _takes("get_retval"),
    _takes("set_retval", _N),
    _takes("get_cgroup_classid", _CTX),
    _takes("skb_cgroup_classid", _CTX),
    _takes("skb_cgroup_id", _CTX),
    _takes("skb_ancestor_cgroup_id", _CTX, _N),
    _takes("skb_under_cgroup", _CTX, _MAP, _N),
    _takes("sysctl_get_name", _CTX, _A.CHANGED, _SIZE, _N),
    _takes("sysctl_get_current_value", _CTX, _OUT, _SIZE),
    _takes("sysctl_get_new_value", _CTX, _OUT, _SIZE),
    _takes("sysctl_set_new_value", _CTX, _IN, _SIZE),
)

_PACKET = (
    _takes("skb_store_bytes", _CTX, _N, _IN, _SIZE, _N, moves=True),
    _takes("skb_load_bytes", _CTX, _N, _OUT, _SIZE),
    _takes("skb_load_bytes_relative", _CTX, _N, _OUT, _SIZE, _N),
    _takes("l3_csum_replace", _CTX, _N, _N, _N, _N, moves=True),
    _takes("l4_csum_replace", _CTX, _N, _N, _N, _N, moves=True),
    _takes("csum_update", _CTX, _N),
    _takes("csum_level", _CTX, _N),
    _takes("clone_redirect", _CTX, _N, _N, moves=True),
    _takes("redirect_neigh", _N, _A.READABLE_OR_NULL, _SIZE_0, _N),
    _takes("redirect_peer", _N, _N),
    _takes("skb_vlan_push", _CTX, _N, _N, moves=True),
    _takes("skb_vlan_pop", _CTX, moves=True),
    _takes("skb_get_tunnel_key", _CTX, _OUT, _SIZE, _N),
    _takes("skb_set_tunnel_key", _CTX, _IN, _SIZE, _N),
    _takes("skb_get_tunnel_opt", _CTX, _OUT, _SIZE),
    _takes("skb_set_tunnel_opt", _CTX, _IN, _SIZE),
    _takes("skb_change_proto", _CTX, _N, _N, moves=True),
    _takes("skb_change_type", _CTX, _N),
    _takes("skb_change_tail", _CTX, _N, _N, moves=True),
    _takes("skb_change_head", _CTX, _N, _N, moves=True),
    _takes("skb_adjust_room", _CTX, _N, _N, _N, moves=True),
    _takes("skb_pull_data", _CTX, _N, moves=True),
    _takes("skb_ecn_set_ce", _CTX),
    _takes("skb_set_tstamp", _CTX, _N, _N),
    _takes("skb_get_xfrm_state", _CTX, _N, _OUT, _SIZE, _N),
    _takes("get_route_realm", _CTX),
    _takes("get_hash_recalc", _CTX),
    _takes("set_hash_invalid", _CTX),
    _takes("set_hash", _CTX, _N),
    _takes("get_socket_uid", _CTX),
    _takes("lwt_push_encap", _CTX, _N, _IN, _SIZE, moves=True),
    _takes("lwt_seg6_store_bytes", _CTX, _N, _IN, _SIZE, moves=True),
    _takes("lwt_seg6_adjust_srh", _CTX, _N, _N, moves=True),
    _takes("lwt_seg6_action", _CTX, _N, _IN, _SIZE, moves=True),
)

_SOCKET = (
    *(
        _takes(name, _CTX, _IN, _SIZE, _N, _N, gives=_R.HELD_SOCKET_OR_NULL)
        for name in ("sk_lookup_tcp", "sk_lookup_udp")
    ),
    _takes("skc_lookup_tcp", _CTX, _IN, _SIZE, _N, _N, gives=_R.HELD_SOCKET_COMMON_OR_NULL),
    _takes("sk_release", _A.HELD_SOCKET),
    _takes("sk_fullsock", _A.SOCKET, gives=_R.SOCKET_OR_NULL),
    _takes("get_listener_sock", _A.SOCKET, gives=_R.SOCKET_OR_NULL),
    _takes("tcp_sock", _A.SOCKET, gives=_R.TCP_SOCKET_OR_NULL),
    _takes("sk_cgroup_id", _A.SOCKET),
    _takes("sk_ancestor_cgroup_id", _A.SOCKET, _N),
    _takes("tcp_check_syncookie", _A.SOCKET, _IN, _SIZE, _IN, _SIZE),
    _takes("tcp_gen_syncookie", _A.SOCKET, _IN, _SIZE, _IN, _SIZE),
    _takes("sk_assign", _CTX, _A.SOCKET, _N),
    _takes("sk_storage_get", _MAP, _A.SOCKET, _A.MAP_VALUE_OR_NULL, _N, gives=_R.MAP_VALUE_OR_NULL),
    _takes("sk_storage_delete", _MAP, _A.SOCKET),
    _takes("bind", _CTX, _IN, _SIZE),
    _takes("setsockopt", _CTX, _N, _N, _IN, _SIZE),
    _takes("getsockopt", _CTX, _N, _N, _OUT, _SIZE),
    _takes("sock_ops_cb_flags_set", _CTX, _N),
    *(_takes(name, _CTX, _MAP, _A.MAP_KEY, _N) for name in ("sock_map_update", "sock_hash_update")),
    _takes("load_hdr_opt", _CTX, _A.CHANGED, _SIZE, _N),
    _takes("store_hdr_opt", _CTX, _IN, _SIZE, _N),
    _takes("reserve_hdr_opt", _CTX, _N, _N),
    *(_takes(name, _CTX, _MAP, _N, _N) for name in ("sk_redirect_map", "msg_redirect_map")),
    *(_takes(name, _CTX, _MAP, _A.MAP_KEY, _N) for name in ("sk_redirect_hash", "msg_redirect_hash")),
    _takes("sk_select_reuseport", _CTX, _MAP, _A.MAP_KEY, _N),
    _takes("msg_apply_bytes", _CTX, _N),
    _takes("msg_cork_bytes", _CTX, _N),
    _takes("msg_pull_data", _CTX, _N, _N, _N, moves=True),
    _takes("msg_push_data", _CTX, _N, _N, _N, moves=True),
    _takes("msg_pop_data", _CTX, _N, _N, _N, moves=True),
)

_STRUCTURE = (
    _takes("get_current_task_btf", gives=_R.TRUSTED_STRUCTURE),
    _takes("task_pt_regs", _A.STRUCTURE, gives=_R.STRUCTURE),
    _takes("get_task_stack", _A.STRUCTURE, _OUT, _SIZE_0, _N),
    _takes("find_vma", _A.STRUCTURE, _N, _A.CALLBACK, _A.STACK_OR_NULL, _N),
    _takes("copy_from_user_task", _OUT, _SIZE_0, _A.ANYTHING, _A.STRUCTURE, _N),
    *(
        _takes(f"{name}_storage_get", _MAP, _A.STRUCTURE_OR_NULL, _A.MAP_VALUE_OR_NULL, _N, gives=_R.MAP_VALUE_OR_NULL)
        for name in ("task", "inode", "cgrp")
    ),
    *(_takes(f"{name}_storage_delete", _MAP, _A.STRUCTURE_OR_NULL) for name in ("task", "inode", "cgrp")),
    *(_takes(name, _A.STRUCTURE, _MAP, _N, _IN, _SIZE_0) for name in ("skb_output", "xdp_output")),
    _takes("sock_from_file", _A.STRUCTURE, gives=_R.STRUCTURE_OR_NULL),
    *(_takes(f"skc_to_{name}", _A.SOCKET, gives=_R.STRUCTURE_OR_NULL) for name in (
        "tcp6_sock", "tcp_sock", "tcp_timewait_sock", "tcp_request_sock", "udp6_sock", "unix_sock", "mptcp_sock",
    )),
    _takes("get_socket_ptr_cookie", _A.SOCKET_OR_NULL),
    _takes("tcp_send_ack", _A.STRUCTURE, _N),
    _takes("d_path", _A.STRUCTURE, _OUT, _SIZE_0),
    _takes("seq_printf", _A.STRUCTURE, _IN, _SIZE, _A.TOLD, _SIZE_0),
    _takes("seq_write", _A.STRUCTURE, _IN, _SIZE_0),
    _takes("seq_printf_btf", _A.STRUCTURE, _IN, _SIZE_0, _N),
    _takes("sk_setsockopt", _A.SOCKET, _N, _N, _IN, _SIZE),
    _takes("sk_getsockopt", _A.SOCKET, _N, _N, _OUT, _SIZE),
    _takes("get_func_arg", _CTX, _N, _A.WRITABLE_U64),
    _takes("get_func_ret", _CTX, _A.WRITABLE_U64),
    _takes("get_func_arg_cnt", _CTX),
    _takes("bprm_opts_set", _A.STRUCTURE, _N),
    _takes("ima_inode_hash", _A.STRUCTURE, _OUT, _SIZE),
    _takes("ima_file_hash", _A.STRUCTURE, _OUT, _SIZE),
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
