"""The helpers in native code: name to what writes a call's code in its place and gives the value of r0.

Total over PROTOTYPES. One file per family; `call` says what an implementation is given.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.helpers.native import checksum, frame, general, maps
from appliance.helpers.native.call import Clock, HelperCall, Implementation, MapOperations, MapSite

IMPLEMENTATIONS: Mapping[str, Implementation] = {
    "map_lookup_elem": maps.map_lookup_elem,
    "map_update_elem": maps.map_update_elem,
    "map_delete_elem": maps.map_delete_elem,
    "map_lookup_percpu_elem": maps.map_lookup_percpu_elem,
    "map_lookup_and_delete_elem": maps.map_lookup_and_delete_elem,
    "map_push_elem": maps.map_push_elem,
    "map_pop_elem": maps.map_pop_elem,
    "map_peek_elem": maps.map_peek_elem,
    "ktime_get_ns": general.ktime_get_ns,
    "get_prandom_u32": general.get_prandom_u32,
    "get_smp_processor_id": general.get_smp_processor_id,
    "csum_diff": checksum.csum_diff,
    "xdp_adjust_head": frame.xdp_adjust_head,
    "xdp_adjust_tail": frame.xdp_adjust_tail,
    "redirect": frame.redirect,
}

__all__ = ["IMPLEMENTATIONS", "Clock", "HelperCall", "Implementation", "MapOperations", "MapSite"]
