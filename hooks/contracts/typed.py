"""Linux's hooks whose arguments have types of the kernel: each place has its own context. Verified, never run here.

    SEC("tp_btf/sched_switch")   the types' btf_trace_sched_switch   preempt, prev, next, prev_state
    SEC("fexit/tcp_connect")     the function tcp_connect            sk, and behind it what it returned
    SEC("iter/task")             the function bpf_iter_task          meta, task
    SEC("lsm/file_open")         the function bpf_lsm_file_open      file, and behind it what was answered before

A context is an array of 8 bytes for each argument. What the arguments are is in the kernel's types (`ebpf.targets`).
Sources: the section names of libbpf (section_defs); check_attach_btf_id, check_return_code and prog_args_trusted of
kernel/bpf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hooks.contracts import lsm
from hooks.contracts.contract import ContextLayout, HookPoint
from hooks.contracts.kernel_only import kernel_only_hook

MAX_ERRNO = 4095
_TRACING = ("base", "tracing", "stack", "typed")


@dataclass(frozen=True, slots=True)
class TypedHook:
    """A kind of place. The rest of the section's name is the target's, which the kernel's types know with `prefix`
    before it: a function, or (`traced`) the type of a tracepoint.

    `result` says that what the function returned stands behind its arguments; `trusted` that pointers are good while
    the program runs. `returns` are the numbers that it may return, and `void_returns` where the function returns
    nothing; None for any, and `void_ignores_return` if nobody looks at r0 there. What `iterates` is called for each
    thing of a kind, and once more at the end. Places that are `closed` take no programs, nor those that are not among
    the `only` ones; what `changes_result` wants one that is a number.
    """

    name: str
    sections: tuple[str, ...]
    program_type: int
    attach_type: int
    families: tuple[str, ...]
    prefix: str = ""
    traced: bool = False
    result: bool = False
    trusted: bool = False
    sleepable: bool = False
    iterates: bool = False
    returns: range | None = None
    void_returns: range | None = None
    void_ignores_return: bool = False
    changes_result: bool = False
    closed: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    @property
    def kind(self) -> str:
        """The name without what says that programs may sleep."""
        return self.name.removesuffix(".s")

    def takes(self, target: str) -> bool:
        """Whether it takes programs at that place, of those that the kernel has."""
        return target not in self.closed and (self.only is None or target in self.only)

    def target(self, section: str) -> str | None:
        """The name of the target in a section's; None if programs of the section are of another kind."""
        for prefix in self.sections:
            if section.startswith(prefix) and len(section) > len(prefix):
                return section.removeprefix(prefix)
        return None

    def at(self, target: str, context: ContextLayout, *, void: bool = False) -> HookPoint:
        """The place of that name; `void`: it is a function that returns nothing."""
        return kernel_only_hook(
            f"{self.name}/{target}",
            self.program_type,
            (),
            context,
            (*self.families, *PLACES.get((self.kind, target), ())),
            returns=RETURNS.get((self.kind, target), self.void_returns if void else self.returns),
            attach_type=self.attach_type,
            sleepable=self.sleepable,
            ignores_return=void and self.void_ignores_return,
        )


def _hook(name: str, attach_type: int, families: tuple[str, ...], program_type: int = 26, **more: Any) -> TypedHook:
    return TypedHook(name, (f"{name}/",), program_type, attach_type, families, **more)


def _with_sleepable(name: str, attach_type: int, families: tuple[str, ...], **more: Any) -> tuple[TypedHook, TypedHook]:
    """The kind, and that of programs which may sleep."""
    return (
        _hook(name, attach_type, families, **more),
        _hook(f"{name}.s", attach_type, (*families, "sleepable"), sleepable=True, **more),
    )


_ALWAYS_0 = range(1)
_ERRORS = range(-MAX_ERRNO, 1)

TYPED_LINUX: tuple[TypedHook, ...] = (
    _hook("tp_btf", 23, (*_TRACING, "cookie"), prefix="btf_trace_", traced=True, trusted=True),
    *_with_sleepable("fentry", 24, (*_TRACING, "trampoline"), returns=_ALWAYS_0, void_returns=_ALWAYS_0),
    *_with_sleepable("fexit", 25, (*_TRACING, "trampoline"), result=True, returns=_ALWAYS_0, void_returns=_ALWAYS_0),
    *_with_sleepable("fmod_ret", 26, (*_TRACING, "trampoline"), result=True, changes_result=True),
    *_with_sleepable(
        "iter", 28, (*_TRACING, "iterators", "paths", "socket_maps"), prefix="bpf_iter_", trusted=True, iterates=True,
        returns=range(2),
    ),
    *(
        _hook(
            name, 27, (*_TRACING, "security", *sleeping), program_type=29, prefix="bpf_lsm_", result=True, trusted=True,
            returns=_ERRORS, void_ignores_return=True, closed=lsm.CLOSED, only=only, sleepable=bool(sleeping),
        )
        for name, sleeping, only in (("lsm", (), None), ("lsm.s", ("sleepable", "integrity"), lsm.SLEEPABLE))
    ),
    _hook(
        "lsm_cgroup", 43, (*_TRACING, "security", "cgroup_current"), program_type=29, prefix="bpf_lsm_", result=True,
        trusted=True, returns=range(2), void_returns=range(1, 2), closed=lsm.CLOSED,
    ),
)  # fmt: skip

# Groups of helpers that are there in some places only: btf_allowlist_d_path of kernel/trace/bpf_trace.c, and the
# get_func_proto of iterators.
PLACES: dict[tuple[str, str], tuple[str, ...]] = {
    **{
        (kind, function): ("paths",)
        for kind in ("fentry", "fexit")
        for function in (
            "security_file_permission", "security_inode_getattr", "security_file_open", "security_path_truncate",
            "vfs_truncate", "vfs_fallocate", "dentry_open", "vfs_getattr", "filp_close",
        )
    },
    **{("iter", target): ("sockets_by_pointer",) for target in ("tcp", "unix")},
    **{("lsm", target): ("paths",) for target in lsm.SLEEPABLE},
    **{("lsm_cgroup", target): ("sockets_by_pointer",) for target in lsm.OPTIONS},
}  # fmt: skip

# Places whose programs answer something else than those of their kind.
RETURNS: dict[tuple[str, str], range] = {("lsm", target): range(2) for target in lsm.BOOLEAN}

# Arguments of tracepoints that may be null (raw_tp_null_args of kernel/bpf/btf.c).
NULLABLE_ARGUMENTS: dict[str, tuple[int, ...]] = {
    name: arguments
    for arguments, names in {
        (0,): "afs_protocol_error cachefiles_lookup cachefiles_unlink cachefiles_rename cachefiles_prep_read "
        "cachefiles_mark_active cachefiles_mark_failed cachefiles_mark_inactive cachefiles_vfs_error "
        "cachefiles_io_error cachefiles_ondemand_open cachefiles_ondemand_copen cachefiles_ondemand_close "
        "cachefiles_ondemand_read cachefiles_ondemand_cread cachefiles_ondemand_fd_write "
        "cachefiles_ondemand_fd_release mm_collapse_huge_page_isolate mm_page_alloc mm_page_pcpu_drain "
        "mm_page_alloc_zone_locked rxrpc_recvdata rxrpc_client xs_stream_read_data tmigr_update_events "
        "amdgpu_vm_bo_map amdgpu_vm_bo_unmap netfs_folioq xfs_defer_create_intent xfs_defer_cancel_list "
        "xfs_defer_pending_finish xfs_defer_pending_abort xfs_defer_relog_intent xfs_defer_isolate_paused "
        "xfs_defer_item_pause xfs_defer_item_unpause xfs_defer_add_item xfs_defer_cancel_item xfs_defer_finish_item "
        "xfs_inodegc_flush xfs_inodegc_push xfs_inodegc_start xfs_inodegc_stop xfs_inodegc_queue "
        "xfs_inodegc_throttle xfs_fs_sync_fs xfs_blockgc_start xfs_blockgc_stop xfs_blockgc_worker "
        "xfs_blockgc_flush_all nfsd_dirent nfsd_file_insert_err nfsd_file_cons_err nfs4_setup_sequence",
        (0, 1): "tcp_send_reset cfg80211_scan_done",
        (0, 3): "nfsd_file_acquire",
        (1,): "sched_pi_setprio afs_make_fs_call afs_make_fs_calli afs_make_fs_call1 afs_make_fs_call2 afs_flock_ev "
        "ext4_mballoc_discard ext4_mballoc_free posix_lock_inode fcntl_setlk locks_remove_posix flock_lock_inode "
        "break_lease_noblock break_lease_block break_lease_unblock generic_delete_lease time_out_leases "
        "mm_khugepaged_scan_pmd mm_khugepaged_scan_file mm_khugepaged_collapse_file netfs_failure "
        "device_pm_callback_start rxrpc_resend rxrpc_tq xprt_reserve_cong xprt_release_cong xprt_get_cong "
        "xprt_put_cong writeback_dirty_folio folio_wait_writeback xfs_ioc_free_eofblocks xfs_blockgc_free_space "
        "xchk_nlinks_live_update coda_dec_pic_run coda_dec_pic_done rdev_set_coalesce wiphy_work_queue "
        "wiphy_work_run wiphy_work_cancel wiphy_work_flush hugetlbfs_alloc_inode spufs_context neigh_update",
        (2,): "sched_stick_numa sched_swap_numa fib_table_lookup tcp_sendmsg_locked tegra_dma_tx_status "
        "xfs_btree_updkeys xfs_btree_overlapped_query_range xchk_metapath_lookup cfg80211_report_wowlan_wakeup "
        "cfg80211_inform_bss_frame kvm_page_fault_enter dpu_crtc_setup_mixer binder_transaction btree_path_free "
        "amdtp_packet",
        (3,): "qdisc_dequeue kfree_skb xfs_iomap_alloc xfs_iomap_found hfi1_sdma_progress iptfs_ingress_postq_event",
        (4,): "host1x_cdma_push_gather xfs_map_blocks_found xfs_map_blocks_alloc pnfs_update_layout "
        "pnfs_mds_fallback_pg_init_read pnfs_mds_fallback_pg_init_write pnfs_mds_fallback_pg_get_mirror_count "
        "pnfs_mds_fallback_read_done pnfs_mds_fallback_write_done pnfs_mds_fallback_read_pagelist "
        "pnfs_mds_fallback_write_pagelist cfg80211_michael_mic_failure",
    }.items()
    for name in names.split()
}

# Those that may be an error's number instead, and are numbers to programs for that.
ERROR_ARGUMENTS: dict[str, tuple[int, ...]] = {
    "cachefiles_lookup": (2,),
    "mr_integ_alloc": (3,),
    "nfs4_inode_callback_event": (2,),
    "nfs4_inode_stateid_callback_event": (2,),
}

# What iterators give (their bpf_ctx_arg_aux): all that is not named here may be null, at the end of the walk.
ITERATED_WHOLE = frozenset({"meta"})
MAP_ITERATORS = frozenset({"bpf_map_elem", "sockmap", "bpf_sk_storage_map"})  # their `map` is never null
ITERATED_TRUSTED = frozenset(
    {
        ("bpf_map", "map"), ("task", "task"), ("cgroup", "cgroup"), ("kmem_cache", "s"), ("tcp", "sk_common"),
        ("udp", "udp_sk"),
    }
)  # fmt: skip
