"""Which maps a helper works on: by its name, and for maps of sockets by the program, too."""

from __future__ import annotations

from appliance.ebpf.map_types import REDIRECT_MAPS, MapType
from appliance.ebpf.spec import MapSpec
from appliance.verifier.checks.calls.argument import Argument
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation

# The map types whose values a program reaches through lookup, update and delete.
KEYED_MAPS = frozenset(
    {
        MapType.HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.LPM_TRIE,
    }
)
# The interfaces and sockets that a frame can be redirected to; programs may look whether there are any.
_TARGETS = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.XSKMAP})
# The map types that a helper works on, where those are others (kernel/bpf/verifier.c, check_map_func_compatibility).
_QUEUES = frozenset({MapType.QUEUE, MapType.STACK})
MAPS_OF_HELPER: dict[str, frozenset[MapType]] = {
    "map_lookup_elem": KEYED_MAPS | _TARGETS | {MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS},
    "map_lookup_percpu_elem": frozenset({MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}),
    "map_lookup_and_delete_elem": frozenset(
        {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}
    ),
    "map_push_elem": _QUEUES | {MapType.BLOOM_FILTER},
    "map_pop_elem": _QUEUES,
    "map_peek_elem": _QUEUES | {MapType.BLOOM_FILTER},
    "redirect_map": REDIRECT_MAPS,
    "perf_event_output": frozenset({MapType.PERF_EVENT_ARRAY}),
    **dict.fromkeys(
        ("ringbuf_output", "ringbuf_query", "ringbuf_reserve", "ringbuf_reserve_dynptr"), frozenset({MapType.RINGBUF})
    ),
    "for_each_map_elem": KEYED_MAPS - {MapType.LPM_TRIE},
    "tail_call": frozenset({MapType.PROG_ARRAY}),
    **dict.fromkeys(("perf_event_read", "perf_event_read_value"), frozenset({MapType.PERF_EVENT_ARRAY})),
    "get_stackid": frozenset({MapType.STACK_TRACE}),
    **dict.fromkeys(("skb_under_cgroup", "current_task_under_cgroup"), frozenset({MapType.CGROUP_ARRAY})),
    "get_local_storage": frozenset({MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE}),
    **dict.fromkeys(("sk_storage_get", "sk_storage_delete"), frozenset({MapType.SK_STORAGE})),
    **dict.fromkeys(("task_storage_get", "task_storage_delete"), frozenset({MapType.TASK_STORAGE})),
    **dict.fromkeys(("inode_storage_get", "inode_storage_delete"), frozenset({MapType.INODE_STORAGE})),
    **dict.fromkeys(("cgrp_storage_get", "cgrp_storage_delete"), frozenset({MapType.CGRP_STORAGE})),
    **dict.fromkeys(("skb_output", "xdp_output"), frozenset({MapType.PERF_EVENT_ARRAY})),
    **dict.fromkeys(("sk_redirect_map", "msg_redirect_map", "sock_map_update"), frozenset({MapType.SOCKMAP})),
    **dict.fromkeys(("sk_redirect_hash", "msg_redirect_hash", "sock_hash_update"), frozenset({MapType.SOCKHASH})),
    "sk_select_reuseport": frozenset({MapType.REUSEPORT_SOCKARRAY, MapType.SOCKMAP, MapType.SOCKHASH}),
}
# Maps of sockets, which some programs may change: those that never meet a socket that somebody holds the lock of.
SOCKET_MAPS = frozenset({MapType.SOCKMAP, MapType.SOCKHASH})
CHANGE_SOCKETS = "socket_maps"  # the family of hooks whose programs may (may_update_sockmap of Linux)
_CHANGING = frozenset(
    {"map_update_elem", "map_delete_elem", "map_lookup_and_delete_elem", "map_push_elem", "map_pop_elem"}
)


def demand_map(argument: Argument) -> None:
    """A map that the helper works on."""
    spec, helper = argument.map(), argument.prototype.name
    if _is_of_sockets(argument, spec):
        return
    if spec.type not in (fitting := MAPS_OF_HELPER.get(helper, KEYED_MAPS)):
        known = spec.type in KEYED_MAPS.union(*MAPS_OF_HELPER.values())
        raise Violation(
            Rejection.MAP_TYPE,
            f"calls `{helper}` on map `{spec.name}` of type {spec.type.value}, "
            + ("which it does not work on" if known else "which is not supported yet"),
            f"it works on {', '.join(sorted(kind.value for kind in fitting))}",
            unsupported=not known,
        )
    if argument.prototype.name in _CHANGING and argument.environment.is_read_only(spec.name):
        raise Violation(
            Rejection.READ_ONLY_MEMORY, f"calls `{argument.prototype.name}` on map `{spec.name}`, which is read-only"
        )


def _is_of_sockets(argument: Argument, spec: MapSpec) -> bool:
    """A kernel's program may look up a socket that it then holds, and some may change who is in there."""
    if spec.type not in SOCKET_MAPS or argument.environment.spec.hook.runs_here:
        return False
    if argument.prototype.name == "map_lookup_elem":
        return True
    changes = argument.prototype.name in ("map_update_elem", "map_delete_elem")
    return changes and CHANGE_SOCKETS in argument.environment.spec.hook.families
