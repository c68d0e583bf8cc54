"""The helpers that would have a meaning here and are not there yet: what a program is told that calls one.

With the prototypes (`ebpf.platform`) and those without a meaning here (`helpers.unsupported`) that is every number of
a platform. A timer's callback runs when there is no frame, so it needs somebody to run it. Source:
`___BPF_FUNC_MAPPER` of include/uapi/linux/bpf.h.
"""

from __future__ import annotations

# Platform, then number and name.
UNIMPLEMENTED: dict[str, dict[int, str]] = {
    "linux": {
        169: "timer_init",
        170: "timer_set_callback",
        171: "timer_start",
        172: "timer_cancel",
        209: "user_ringbuf_drain",
    },
    "windows": {},
}
