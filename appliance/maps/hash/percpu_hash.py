"""BPF_MAP_TYPE_PERCPU_HASH: a hash that keeps one value for every processor under each key.

A program sees and writes the value of its own processor alone; what it puts in anew is zero for the others. The control
plane reads and writes all of them. Source of the semantics: kernel/bpf/hashtab.c.
"""

from __future__ import annotations

from dataclasses import replace

from appliance.maps.hash.hash import HASH

PERCPU_HASH = replace(HASH, per_processor=True)
