"""The helpers in native code: name to what writes a call's code in its place and gives the value of r0.

Total over PROTOTYPES. One file per family; `call` says what an implementation is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from appliance.helpers.clocks import CLOCKS
from appliance.helpers.context_fields import FACTS
from appliance.helpers.native import (
    checksum,
    control_flow,
    dynptrs,
    frame,
    general,
    locks,
    maps,
    memory,
    perf_event_output,
    redirect,
    rings,
    strtol,
    syncookies,
    task,
    text,
)
from appliance.helpers.native.call import Clock, HelperCall, Implementation, MapSite
from appliance.helpers.native.routing.fib import fib_lookup
from appliance.helpers.native.routing.mtu import check_mtu
from appliance.helpers.syncookies import IPV4, IPV6

IMPLEMENTATIONS: Mapping[str, Implementation] = {
    "map_lookup_elem": maps.map_lookup_elem,
    "map_update_elem": maps.map_update_elem,
    "map_delete_elem": maps.map_delete_elem,
    "map_lookup_percpu_elem": maps.map_lookup_percpu_elem,
    "map_lookup_and_delete_elem": maps.map_lookup_and_delete_elem,
    "map_push_elem": maps.map_push_elem,
    "map_pop_elem": maps.map_pop_elem,
    "map_peek_elem": maps.map_peek_elem,
    "ringbuf_output": rings.ringbuf_output,
    "ringbuf_reserve": rings.ringbuf_reserve,
    "ringbuf_submit": rings.ringbuf_submit,
    "ringbuf_discard": rings.ringbuf_discard,
    "ringbuf_query": rings.ringbuf_query,
    "ringbuf_reserve_dynptr": dynptrs.ringbuf_reserve_dynptr,
    "ringbuf_submit_dynptr": dynptrs.ringbuf_submit_dynptr,
    "ringbuf_discard_dynptr": dynptrs.ringbuf_discard_dynptr,
    "dynptr_from_mem": dynptrs.dynptr_from_mem,
    "dynptr_read": dynptrs.dynptr_read,
    "dynptr_write": dynptrs.dynptr_write,
    "dynptr_data": dynptrs.dynptr_data,
    "perf_event_output": perf_event_output.perf_event_output,
    "spin_lock": locks.spin_lock,
    "spin_unlock": locks.spin_unlock,
    "for_each_map_elem": control_flow.for_each_map_elem,
    "tail_call": control_flow.tail_call,
    "loop": control_flow.loop,
    **{name: partial(general.ktime, ticks) for name, ticks in CLOCKS.items()},
    **{name: partial(task.fact, field) for name, field in FACTS.items()},
    "get_current_pid_tgid": task.get_current_pid_tgid,
    "get_current_comm": task.get_current_comm,
    "set_redirect_context": task.set_redirect_context,
    "set_retval": task.set_retval,
    "get_prandom_u32": general.get_prandom_u32,
    "get_smp_processor_id": general.get_smp_processor_id,
    "csum_diff": checksum.csum_diff,
    "xdp_adjust_head": frame.xdp_adjust_head,
    "xdp_adjust_tail": frame.xdp_adjust_tail,
    "xdp_adjust_meta": frame.xdp_adjust_meta,
    "xdp_get_buff_len": frame.xdp_get_buff_len,
    "xdp_load_bytes": frame.xdp_load_bytes,
    "xdp_store_bytes": frame.xdp_store_bytes,
    "fib_lookup": fib_lookup,
    "tcp_raw_gen_syncookie_ipv4": partial(syncookies.gen_syncookie, IPV4),
    "tcp_raw_gen_syncookie_ipv6": partial(syncookies.gen_syncookie, IPV6),
    "tcp_raw_check_syncookie_ipv4": partial(syncookies.check_syncookie, IPV4),
    "tcp_raw_check_syncookie_ipv6": partial(syncookies.check_syncookie, IPV6),
    "check_mtu": check_mtu,
    "redirect": redirect.redirect,
    "redirect_map": redirect.redirect_map,
    "memcpy_s": memory.memmove_s,
    "memmove_s": memory.memmove_s,
    "memcmp_s": memory.memcmp_s,
    "memset": memory.memset,
    "strncpy_s": memory.strncpy_s,
    "strncat_s": memory.strncat_s,
    "strnlen_s": memory.strnlen_s,
    "strtol": strtol.strtol,
    "strtoul": strtol.strtoul,
    "trace_printk": partial(text.trace_printk, 3),
    **{f"trace_printk{2 + printed}": partial(text.trace_printk, printed) for printed in range(4)},
    "trace_vprintk": text.trace_vprintk,
    "snprintf": text.snprintf,
    "strncmp": text.strncmp,
    "get_numa_node_id": general.get_numa_node_id,
    "get_ns_current_pid_tgid": task.get_ns_current_pid_tgid,
}

__all__ = ["IMPLEMENTATIONS", "Clock", "HelperCall", "Implementation", "MapSite"]
