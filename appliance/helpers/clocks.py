"""The clocks by the helpers that read them. On the frames' own clock (a replay), all of them tell the frame's time.

Sources: the helpers' comments in include/uapi/linux/bpf.h; the clocks' numbers in include/uapi/linux/time.h; the public
headers of eBPF for Windows.
"""

from __future__ import annotations

import time
from typing import NamedTuple

CLOCK_MONOTONIC_COARSE = 6  # which the module `time` does not name
MILLISECOND = 1_000_000
JIFFY = 4_000_000


class Ticks(NamedTuple):
    """A clock of the C library, and how many of its nanoseconds pass from one answer to the next."""

    clock: int
    nanoseconds: int = 1


# Windows counts the time asleep under `boot`, as Linux does. A jiffy is as long as CONFIG_HZ=250 makes it; the count
# starts with the machine, at 0 (the kernel's own starts five minutes before its low half overflows).
CLOCKS: dict[str, Ticks] = {
    "ktime_get_ns": Ticks(time.CLOCK_MONOTONIC),
    "ktime_get_boot_ns": Ticks(time.CLOCK_BOOTTIME),
    "ktime_get_coarse_ns": Ticks(CLOCK_MONOTONIC_COARSE),
    "ktime_get_tai_ns": Ticks(time.CLOCK_TAI),
    "ktime_get_ms": Ticks(time.CLOCK_MONOTONIC, MILLISECOND),
    "ktime_get_boot_ms": Ticks(time.CLOCK_BOOTTIME, MILLISECOND),
    "jiffies64": Ticks(time.CLOCK_MONOTONIC, JIFFY),
}
