"""The types of maps, by the kernel's names. What numbers they have is the platforms' affair (`platform`)."""

from __future__ import annotations

from enum import Enum


class MapType(Enum):
    """BPF_MAP_TYPE_* of include/uapi/linux/bpf.h."""

    HASH = "hash"
    ARRAY = "array"
    PERCPU_HASH = "percpu_hash"
    PERCPU_ARRAY = "percpu_array"
    LRU_HASH = "lru_hash"
    LRU_PERCPU_HASH = "lru_percpu_hash"
    LPM_TRIE = "lpm_trie"
    PROG_ARRAY = "prog_array"
    PERF_EVENT_ARRAY = "perf_event_array"
    ARRAY_OF_MAPS = "array_of_maps"
    HASH_OF_MAPS = "hash_of_maps"
    QUEUE = "queue"
    STACK = "stack"
    RINGBUF = "ringbuf"
    BLOOM_FILTER = "bloom_filter"
    DEVMAP = "devmap"
    DEVMAP_HASH = "devmap_hash"
    CPUMAP = "cpumap"
    XSKMAP = "xskmap"
    STACK_TRACE = "stack_trace"
    CGROUP_ARRAY = "cgroup_array"
    SOCKMAP = "sockmap"
    SOCKHASH = "sockhash"
    CGROUP_STORAGE = "cgroup_storage"
    PERCPU_CGROUP_STORAGE = "percpu_cgroup_storage"
    REUSEPORT_SOCKARRAY = "reuseport_sockarray"
    SK_STORAGE = "sk_storage"
    STRUCT_OPS = "struct_ops"
    INODE_STORAGE = "inode_storage"
    TASK_STORAGE = "task_storage"
    USER_RINGBUF = "user_ringbuf"
    CGRP_STORAGE = "cgrp_storage"


# Maps of what only a kernel has: programs that name one can be verified, and none can be opened here.
KERNEL_MAPS = frozenset(
    {
        MapType.STACK_TRACE,
        MapType.CGROUP_ARRAY,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.CGROUP_STORAGE,
        MapType.PERCPU_CGROUP_STORAGE,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.SK_STORAGE,
        MapType.STRUCT_OPS,
        MapType.INODE_STORAGE,
        MapType.TASK_STORAGE,
        MapType.USER_RINGBUF,
        MapType.CGRP_STORAGE,
    }
)


# Maps that say where a frame is redirected to: programs may look at their entries, and never change one.
REDIRECT_MAPS = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP, MapType.XSKMAP})
