"""What the datapath's zygote and its processes give up, and what this kernel doesn't let them give up.

                      zygote, once all is imported                     each process, once its code is linked
    files             none can be opened any more (Landlock)
    network           no TCP (Landlock)                                no system call that makes a socket
    privilege         capabilities, the user, no_new_privs, no core file, no look inside (dumpable)
    code              none can be written where it is executed         no memory becomes executable any more (seccomp)
    programs                                                           none is executed (seccomp)

What is left: the rings and descriptors that it was handed, the arena, threads, and the channel by which it is asked.
"""

from __future__ import annotations

import os

from hooks.errors import HookError
from hooks.linux.capability import CAP_SETUID
from hooks.linux.mman import PROT_EXEC
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from hooks.sandbox.landlock import refuse_files_and_network
from hooks.sandbox.limits import be_private
from hooks.sandbox.memory import forbid_writing_code
from hooks.sandbox.system_calls import Permitted, permit, restrict_system_calls
from hooks.scheduling import allow_to_run_first

# What serving takes of the kernel: the rings' sockets, eventfds, memory that is no code, threads, and the channel.
PERMITTED = (
    *(Permitted(call) for call in ("read", "write", "recvfrom", "recvmsg", "poll", "ppoll")),
    Permitted("sendto", argument=4, null=True),  # to where the socket is bound, and nowhere else
    *(
        Permitted(call)
        for call in ("getsockopt", "getsockname", "fcntl", "dup3", "close", "fstat", "newfstatat", "lseek")
    ),
    *(Permitted(call) for call in ("munmap", "mremap", "brk", "madvise")),
    *(Permitted(call, argument=2, without=PROT_EXEC) for call in ("mmap", "mprotect")),
    *(Permitted(call) for call in ("clone", "clone3", "set_robust_list", "rseq", "futex", "sched_yield")),
    *(Permitted(call) for call in ("sched_getaffinity", "sched_setscheduler", "clock_nanosleep", "clock_gettime")),
    *(Permitted(call) for call in ("restart_syscall", "gettimeofday", "getrandom", "getpid", "gettid", "sysinfo")),
    *(Permitted(call) for call in ("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "exit", "exit_group")),
)


def confine_zygote() -> None:
    """The zygote of datapaths, and all that it forks. Raises HookError or OSError."""
    forbid_writing_code()
    allow_to_run_first()
    other = CAP_SETUID in Privileges.of().effective
    drop_privileges(account=NOBODY if other else None)
    be_private()
    refuse_files_and_network()


def seal() -> None:
    """A process whose code is linked, before it serves: by its only thread. Raises OSError. On a machine whose system
    calls aren't known here it goes on without."""
    try:
        filter_ = permit((*PERMITTED, Permitted("tgkill", argument=0, equals=os.getpid())))
    except HookError:
        return
    restrict_system_calls(filter_)
