"""Which programs of Linux may call which helpers, for hooks that only a kernel has, and for others as a
kernel has them.

A hook names its groups (`HookPoint.families`), which are the *_func_proto of Linux, taken apart where several share
something. Sources: kernel/bpf/helpers.c, kernel/bpf/cgroup.c, kernel/trace/bpf_trace.c, net/core/filter.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from appliance.ebpf.platform import Platform
from appliance.helpers.unsupported import UNSUPPORTED
from hooks.contracts.contract import HookPoint


def _group(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CASTS = (
    "skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock "
    "skc_to_unix_sock skc_to_mptcp_sock"
)
_LOOKUP = "sk_lookup_tcp sk_lookup_udp skc_lookup_tcp sk_release"

GROUPS: Mapping[str, frozenset[str]] = {
    "base": _group(
        "map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem map_peek_elem "
        "map_lookup_percpu_elem get_prandom_u32 get_smp_processor_id get_numa_node_id tail_call ktime_get_ns "
        "ktime_get_boot_ns ktime_get_tai_ns ringbuf_output ringbuf_reserve ringbuf_submit ringbuf_discard "
        "ringbuf_query strncmp strtol strtoul jiffies64 for_each_map_elem loop trace_printk "
        "trace_vprintk snprintf snprintf_btf get_current_task probe_read_user probe_read_kernel probe_read_user_str "
        "probe_read_kernel_str get_current_pid_tgid get_ns_current_pid_tgid get_current_cgroup_id "
        "get_current_ancestor_cgroup_id current_task_under_cgroup dynptr_from_mem dynptr_read dynptr_write dynptr_data "
        "ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr"
    ),
    "tracing": _group(
        "get_current_uid_gid get_current_comm perf_event_read perf_event_read_value perf_event_output probe_read "
        "probe_read_str probe_write_user send_signal send_signal_thread get_branch_snapshot get_current_task_btf "
        "task_pt_regs get_task_stack task_storage_get task_storage_delete cgrp_storage_get cgrp_storage_delete find_vma"
    ),
    "typed": _group(
        f"{_CASTS} sock_from_file skb_output xdp_output get_socket_ptr_cookie sk_storage_get sk_storage_delete "
        "spin_lock spin_unlock"
    ),
    "trampoline": _group("get_func_arg get_func_ret get_func_arg_cnt get_func_ip get_attach_cookie"),
    "paths": _group("d_path"),
    "iterators": _group("seq_printf seq_write seq_printf_btf"),
    "sockets_by_pointer": _group("sk_setsockopt sk_getsockopt"),
    "congestion": _group("tcp_send_ack sk_storage_get sk_storage_delete ktime_get_coarse_ns spin_lock spin_unlock"),
    "security": _group("inode_storage_get inode_storage_delete bprm_opts_set get_attach_cookie"),
    "integrity": _group("ima_inode_hash ima_file_hash"),
    "sleepable": _group("copy_from_user copy_from_user_task"),
    "stack": _group("get_stackid get_stack"),
    "function": _group("override_return get_func_ip get_attach_cookie"),
    "cookie": _group("get_attach_cookie"),
    "perf_event": _group("perf_prog_read_value read_branch_records get_attach_cookie"),
    "sk_base": _group(f"{_CASTS} ktime_get_coarse_ns perf_event_output"),
    "packet": _group("skb_load_bytes"),
    "filter": _group("skb_load_bytes_relative get_socket_cookie get_netns_cookie get_socket_uid"),
    "control": _group(
        f"{_LOOKUP} skb_store_bytes skb_load_bytes_relative skb_pull_data csum_diff csum_update csum_level "
        "l3_csum_replace l4_csum_replace clone_redirect get_cgroup_classid skb_vlan_push skb_vlan_pop "
        "skb_change_proto skb_change_type skb_adjust_room skb_change_tail skb_change_head skb_get_tunnel_key "
        "skb_set_tunnel_key skb_get_tunnel_opt skb_set_tunnel_opt redirect redirect_neigh redirect_peer "
        "get_route_realm get_hash_recalc set_hash_invalid set_hash skb_under_cgroup get_socket_cookie "
        "get_netns_cookie get_socket_uid fib_lookup check_mtu sk_fullsock sk_storage_get sk_storage_delete "
        "skb_get_xfrm_state skb_cgroup_classid skb_cgroup_id skb_ancestor_cgroup_id tcp_sock get_listener_sock "
        "tcp_check_syncookie skb_ecn_set_ce tcp_gen_syncookie sk_assign skb_set_tstamp tcp_raw_gen_syncookie_ipv4 "
        "tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6"
    ),
    "cgroup": _group("get_local_storage perf_event_output"),
    "cgroup_current": _group("get_current_uid_gid get_current_comm"),
    "retval": _group("get_retval set_retval"),
    "frame": _group(
        f"{_LOOKUP} csum_diff xdp_adjust_head xdp_adjust_tail xdp_adjust_meta redirect redirect_map xdp_get_buff_len "
        "xdp_load_bytes xdp_store_bytes fib_lookup check_mtu tcp_check_syncookie tcp_gen_syncookie "
        "tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 "
        "tcp_raw_check_syncookie_ipv6"
    ),
    "socket_options": _group("setsockopt getsockopt"),
    "binding": _group("bind"),
    "sock_addr": _group("get_socket_cookie get_netns_cookie sk_storage_get sk_storage_delete"),
    "sock_ops": _group(
        "get_socket_cookie get_netns_cookie sk_storage_get sk_storage_delete tcp_sock sock_ops_cb_flags_set "
        "sock_map_update sock_hash_update load_hdr_opt store_hdr_opt reserve_hdr_opt"
    ),
    "cgroup_packet": _group(
        f"{_LOOKUP} sk_fullsock sk_storage_get sk_storage_delete skb_cgroup_id skb_ancestor_cgroup_id sk_cgroup_id "
        "sk_ancestor_cgroup_id tcp_sock get_listener_sock skb_ecn_set_ce"
    ),
    "cgroup_socket": _group("get_socket_cookie get_netns_cookie sk_storage_get ktime_get_coarse_ns"),
    "cgroup_option": _group("get_netns_cookie sk_storage_get sk_storage_delete tcp_sock"),
    "device": frozenset(),
    "socket_maps": frozenset(),
    "locks": _group("spin_lock spin_unlock"),
    "legacy_loads": frozenset(),
    "sysctl": _group(
        "sysctl_get_name sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value ktime_get_coarse_ns"
    ),
    "lwt": _group("skb_pull_data csum_diff get_cgroup_classid get_route_realm get_hash_recalc skb_under_cgroup"),
    "lwt_encap": _group("lwt_push_encap"),
    "lwt_xmit": _group(
        "skb_get_tunnel_key skb_set_tunnel_key skb_get_tunnel_opt skb_set_tunnel_opt redirect clone_redirect "
        "skb_change_tail skb_change_head skb_store_bytes csum_update csum_level l3_csum_replace l4_csum_replace "
        "set_hash_invalid"
    ),
    "lwt_seg6": _group("lwt_seg6_store_bytes lwt_seg6_action lwt_seg6_adjust_srh"),
    "stream": _group(
        "skb_store_bytes skb_pull_data skb_change_tail skb_change_head skb_adjust_room sk_redirect_map sk_redirect_hash"
    ),
    "socket_lookup": _group(_LOOKUP),
    "message": _group(
        "msg_redirect_map msg_redirect_hash msg_apply_bytes msg_cork_bytes msg_pull_data msg_push_data msg_pop_data "
        "get_current_uid_gid sk_storage_get sk_storage_delete get_netns_cookie"
    ),
    "reuseport": _group(
        "sk_select_reuseport skb_load_bytes skb_load_bytes_relative get_socket_cookie ktime_get_coarse_ns"
    ),
    "lookup": _group("sk_assign sk_release"),
}


# Numbers that mean something else to programs with helpers of that group: they take the socket itself.
OWN_NUMBERS: Mapping[str, Mapping[int, str]] = {
    "typed": {46: "get_socket_ptr_cookie"},
    "sockets_by_pointer": {49: "sk_setsockopt", 57: "sk_getsockopt"},
}


def callable_names(hook: HookPoint) -> frozenset[str]:
    """The helpers that programs of a kernel-only hook may call."""
    return frozenset[str]().union(*(GROUPS[family] for family in hook.families))


def numbering(platform: Platform, hook: HookPoint) -> Platform:
    """The platform as programs of that hook see it (`Platform.at`), of kernel-only hooks with the kernel's helpers."""
    seen = platform.at(hook)
    if hook.runs_here:
        return seen
    kernels = {number: refusal.name for number, refusal in UNSUPPORTED[platform.name].items()}
    own = {number: name for family in hook.families for number, name in OWN_NUMBERS.get(family, {}).items()}
    return replace(seen, helpers={**kernels, **seen.helpers, **own})
