"""A child process that must not outlive the one that started it."""

from __future__ import annotations

import signal

from hooks.linux.prctl import PR_SET_PDEATHSIG, prctl


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the *thread* that made this process ends: a `preexec_fn` for Popen."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
