"""BPF_MAP_TYPE_STACK: at most max_entries values without keys; the last in is the first out. See `ring`."""

from __future__ import annotations

from appliance.maps.queues.ring import ring_kind

STACK = ring_kind(newest_first=True)
