"""What a process asks the kernel for itself: to end with its parent, keep its memory to itself, adopt orphans."""

from __future__ import annotations

import resource
import signal

from hooks.linux.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the *thread* that made this process ends: a `preexec_fn` for Popen."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def keep_memory_private() -> None:
    """Leave no core file, and let no process without CAP_SYS_PTRACE attach or read this one's memory. For good; what is
    forked later inherits both. A limit alone doesn't stop a core file that a pipe takes (core_pattern)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """What this process starts, and what that starts, becomes its child when it loses its parent."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
