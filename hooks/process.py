"""What a process asks the kernel for itself: to end with its parent, and to adopt orphans."""

from __future__ import annotations

import signal

from hooks.linux.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the *thread* that made this process ends: a `preexec_fn` for Popen."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def adopt_orphans() -> None:
    """What this process starts, and what that starts, becomes its child when it loses its parent."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
