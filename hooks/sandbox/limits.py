"""What a process may use up: limits that the kernel keeps, and what becomes of it when its parent ends.

Source: setrlimit(2), PR_SET_DUMPABLE(2const), PR_SET_PDEATHSIG(2const).
"""

from __future__ import annotations

import resource
import signal
from dataclasses import dataclass

from hooks.linux.prctl import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, prctl

GRACE_SECONDS = 1  # from SIGXCPU, which a process could ignore, to SIGKILL


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory` is bytes of address space, `seconds` those of a processor, `descriptors` the lowest number that none may
    have, `file_size` how long a file may grow in bytes. Of further processes there may be none, and no core file."""

    memory: int
    seconds: int
    descriptors: int
    file_size: int

    def impose(self) -> None:
        """On this process, for good. What it has already it keeps."""
        for what, soft, hard in (
            (resource.RLIMIT_AS, self.memory, self.memory),
            (resource.RLIMIT_CPU, self.seconds, self.seconds + GRACE_SECONDS),
            (resource.RLIMIT_NOFILE, self.descriptors, self.descriptors),
            (resource.RLIMIT_FSIZE, self.file_size, self.file_size),
            (resource.RLIMIT_NPROC, 0, 0),
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_MEMLOCK, 0, 0),
            (resource.RLIMIT_MSGQUEUE, 0, 0),
        ):
            highest = resource.getrlimit(what)[1]
            if highest != resource.RLIM_INFINITY:
                soft, hard = min(soft, highest), min(hard, highest)
            resource.setrlimit(what, (soft, hard))


def be_private() -> None:
    """Gain no privilege any more, whatever is executed; leave no core file; let nobody of the same user look inside."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)


def be_killed_with_parent() -> None:
    """SIGKILL when the *thread* that made this process ends. A change of the user undoes it."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
