"""Which thread the scheduler runs first.

A packet loop that is due waits for whoever has the processor: up to a tick (4 ms at HZ=250), and the turns of others.
In 8 ms a flood of half a million frames a second fills a ring of 4096. Niceness helps little: it counts inside of a
session's group alone (sched_autogroup). A real-time thread runs as soon as it is woken; while it is busy, all others of
its processor get the 5 % that the kernel keeps for them (the fair server of the deadline class, Linux 6.8;
sched_rt_runtime_us before).

Sources: sched(7); kernel/sched/autogroup.c, deadline.c.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

MOST_FAVOURED = -20  # of niceness: a weight of 87 ordinary sessions
PRIORITY = 1  # of 1 to 99: in front of what isn't real-time, behind whatever somebody else has made so


def run_first(priority: int = PRIORITY) -> bool:
    """Run the calling thread before all that isn't real-time, and none of what it starts. False if it may not: it takes
    CAP_SYS_NICE or a limit RLIMIT_RTPRIO of that priority."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False
    return True


def run_as_others() -> None:
    """Let the calling thread wait for its turn as those do that aren't real-time."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def allow_to_run_first(priority: int = PRIORITY) -> None:
    """Let what this process forks run first when it has no capability any more: by its limit, if that is so or may be
    raised (CAP_SYS_RESOURCE), or else by running first itself, which children inherit (CAP_SYS_NICE). Without either
    nothing changes."""
    try:
        resource.setrlimit(resource.RLIMIT_RTPRIO, (priority, priority))
    except (OSError, ValueError):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))


def leaves_a_processor(threads: int) -> bool:
    """Whether so many busy threads leave one of the processors that this process may use to everybody else."""
    return threads < len(os.sched_getaffinity(0))


def favour_session(process: int) -> None:
    """Let the session of a process have nearly all of every processor that it wants, before other sessions. Where the
    kernel doesn't group them, or this process may not, everything stays as it was. The kernel takes niceness for it."""
    with suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(f"{MOST_FAVOURED}\n")
