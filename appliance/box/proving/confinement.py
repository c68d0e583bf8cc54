"""What a zygote and its provers give up, and what this kernel doesn't let them give up.

                      zygote, once all is imported                     each prover, before it reads anything
    files             none can be opened any more (Landlock)           no descriptor but its conversation
    network           namespaces of its own; no TCP (Landlock)         no system call that makes a socket
    privilege         capabilities, the user, no_new_privs             no core file, no look inside (dumpable)
    system calls                                                       those of PERMITTED (seccomp)
    memory, time                                                       RLIMIT_AS, RLIMIT_CPU; none of it a file's
    processes                                                          none further; it ends with the zygote

Each of these stands for itself, so that one that a kernel lacks leaves the others. What is lacking is told to whoever
asks for builds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from appliance.box.proving.child import CONVERSATION
from hooks.errors import HookError
from hooks.linux.capability import CAP_SETUID
from hooks.linux.filter import sock_filter
from hooks.linux.landlock import NETWORK_ABI
from hooks.linux.mman import PROT_EXEC
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from hooks.sandbox.landlock import refuse_files_and_network
from hooks.sandbox.limits import Limits, be_killed_with_parent, be_private
from hooks.sandbox.namespaces import leave_namespaces
from hooks.sandbox.system_calls import Permitted, permit, restrict_system_calls

LAST_WORDS = 64 << 10  # bytes of what a prover may write to standard error

# What proving and compiling takes of the kernel: memory, the conversation, and an end. No memory may become code:
# a prover writes machine code, and runs none of it.
PERMITTED = (
    *(Permitted(call) for call in ("read", "write", "recvfrom", "sendto", "poll", "ppoll", "close")),
    *(Permitted(call) for call in ("munmap", "mremap", "brk", "madvise")),
    *(Permitted(call, argument=2, without=PROT_EXEC) for call in ("mmap", "mprotect")),
    *(Permitted(call) for call in ("futex", "sched_yield", "sched_getaffinity", "restart_syscall")),
    *(Permitted(call) for call in ("clock_gettime", "gettimeofday", "getrandom", "getpid", "gettid", "sysinfo")),
    *(Permitted(call) for call in ("rt_sigprocmask", "rt_sigreturn", "exit", "exit_group")),
)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds: Landlock's version (0: there is none), the namespaces of its own, whether system calls are filtered,
    and whether it is of a user of its own."""

    landlock: int
    namespaces: tuple[str, ...]
    system_calls: bool
    user: bool

    @property
    def lacks(self) -> tuple[str, ...]:
        """In words, what this kernel does not give, or does not let this process have."""
        found = {
            "Landlock: provers are kept from files by their system calls alone": self.landlock == 0,
            "Landlock for TCP (Linux 6.7)": 0 < self.landlock < NETWORK_ABI,
            "namespaces of its own (CAP_SYS_ADMIN, or user namespaces for everybody)": not self.namespaces,
            "a filter of system calls (seccomp)": not self.system_calls,
            "a user of its own (CAP_SETUID)": not self.user,
        }
        return tuple(words for words, lacking in found.items() if lacking)


class Jail:
    """Confines a zygote when it is made, and then each prover. For the only thread of the zygote."""

    def __init__(self) -> None:
        """Raises HookError or OSError if what the kernel has can't be had."""
        other = CAP_SETUID in Privileges.of().effective
        namespaces = leave_namespaces()
        drop_privileges(account=NOBODY if other else None)
        be_private()
        landlock = refuse_files_and_network()
        self._filter = _filter()
        self.confinement = Confinement(landlock, namespaces, self._filter is not None, other)

    def confine(self, memory: int, seconds: int) -> None:
        """This process, which was just forked: bytes of memory, seconds of a processor. Raises OSError."""
        be_private()
        be_killed_with_parent()
        Limits(memory, seconds, CONVERSATION + 1, LAST_WORDS).impose()
        if self._filter is not None:
            dies = Permitted("tgkill", argument=0, equals=os.getpid())  # abort(3): a signal to itself
            restrict_system_calls(permit((*PERMITTED, dies)))


def _filter() -> list[sock_filter] | None:
    try:
        return permit(PERMITTED)
    except HookError:
        return None
