"""What the keeper gives up once it has its key: everything but its memory and one socket.

    before the key    no core file, nobody looks inside (dumpable), no new privilege; a network of its own, if it may
    with the key      no capability; no file, no TCP (Landlock); no further process or descriptor; the system calls of
                      PERMITTED alone (seccomp)

Each stands for itself, so that one that a kernel lacks leaves the others. It stays the user that it was: another one
could not be ended by the box, and would be shared with provers.
"""

from __future__ import annotations

from hooks.errors import HookError
from hooks.linux.mman import PROT_EXEC
from hooks.sandbox.capabilities import drop_privileges
from hooks.sandbox.landlock import refuse_files_and_network
from hooks.sandbox.limits import Limits
from hooks.sandbox.namespaces import leave_namespaces
from hooks.sandbox.system_calls import Permitted, permit, restrict_system_calls

_MEMORY, _SECONDS = 1 << 60, 1 << 31  # no limits: it lives as long as the box, and takes nothing that grows

# Its conversation, memory that never becomes code, the time, and an end.
PERMITTED = (
    *(Permitted(call) for call in ("recvmsg", "sendto", "poll", "ppoll", "close", "write")),
    *(Permitted(call) for call in ("munmap", "mremap", "brk", "madvise")),
    *(Permitted(call, argument=2, without=PROT_EXEC) for call in ("mmap", "mprotect")),
    *(Permitted(call) for call in ("futex", "sched_yield", "restart_syscall")),
    *(Permitted(call) for call in ("clock_gettime", "gettimeofday", "getrandom", "getpid", "gettid")),
    *(Permitted(call) for call in ("rt_sigprocmask", "rt_sigreturn", "exit", "exit_group")),
)


def confine(connection: int) -> None:
    """This process, for good; `connection` is the last descriptor that it has. To be called by its only thread. Raises
    HookError or OSError if what the kernel has can't be had."""
    leave_namespaces(users=False)  # it must know who asks
    drop_privileges()
    refuse_files_and_network()
    Limits(_MEMORY, _SECONDS, connection + 1, 0).impose()
    try:
        filter_ = permit(PERMITTED)
    except HookError:  # a machine whose system calls have numbers that aren't known here
        return
    restrict_system_calls(filter_)
