"""BPF_MAP_TYPE_QUEUE: at most max_entries values without keys; the first in is the first out. See `ring`."""

from __future__ import annotations

from appliance.maps.queues.ring import ring_kind

QUEUE = ring_kind(newest_first=False)
