"""BPF_MAP_TYPE_LRU_PERCPU_HASH: an LRU hash that keeps one value for every processor under each key.

A program sees and writes the value of its own processor alone; what it puts in anew is zero for the others. The control
plane reads and writes all of them. Source of the semantics: kernel/bpf/hashtab.c.
"""

from __future__ import annotations

from dataclasses import replace

from appliance.maps.hash.lru_hash import LRU_HASH

LRU_PERCPU_HASH = replace(LRU_HASH, per_processor=True)
