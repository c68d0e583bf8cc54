"""Who asks, and what is to become of the connection, in Python, for the interpreter; `native.task` says the same."""

from __future__ import annotations

import errno
import os
import threading
from functools import partial

from appliance.ebpf.interpreter import Helper, HelperCall, Value, Violation
from appliance.helpers.context_fields import FACTS
from hooks.contracts.contract import HostContext
from hooks.contracts.sock_addr import REDIRECT_CONTEXT_SIZE
from hooks.contracts.task import PIDNS_INFO_SIZE, TASK_COMM_LEN, pid_namespace

M64 = (1 << 64) - 1


def _host(call: HelperCall, field: str) -> HostContext:
    """The context, which must know of what the field says."""
    host = call.context.host
    if not hasattr(host, field):
        raise Violation(f"{call.name} asks for what hook {call.context.hook.name} does not know")
    return host


def fact(field: str, call: HelperCall) -> Value:
    """What the context holds for the helper."""
    return int(getattr(_host(call, field), field))


def get_current_pid_tgid(call: HelperCall) -> Value:
    """The process (upper half) and the thread (lower half) that make the call, where a hook sees one; else those that
    run the program."""
    context = call.machine.context
    if context is not None and hasattr(context.host, "pid_tgid"):
        return int(context.host.pid_tgid)
    return os.getpid() << 32 | threading.get_native_id()


def get_ns_current_pid_tgid(call: HelperCall) -> Value:
    """Tell thread and process to the 8 bytes at r3 (`struct bpf_pidns_info`), if r1 and r2 are the device and the inode
    of their PID namespace, which is Tidegate's. 0; or -EINVAL, and zeros in the r4 bytes."""
    size, both = call.number(3), get_current_pid_tgid(call)
    known = size == PIDNS_INFO_SIZE and (call.number(0), call.number(1)) == pid_namespace()
    assert isinstance(both, int)
    call.write(2, both.to_bytes(size, "little") if known else bytes(size))
    return 0 if known else -errno.EINVAL & M64


def get_current_comm(call: HelperCall) -> Value:
    """Copy the thread's name to the r2 bytes at r1, as much as fits, and zeros behind it, at least one. 0."""
    room, name = call.number(1), bytes(_host(call, "comm").comm)
    call.write(0, name[: min(max(room - 1, 0), TASK_COMM_LEN - 1)].ljust(room, b"\0"))
    return 0


def set_redirect_context(call: HelperCall) -> Value:
    """Leave the r3 bytes at r2 with the connection, for whom it is redirected to. 0; -EINVAL if they are too many."""
    size, host = call.number(2), _host(call, "redirect_context")
    content = call.read(1, size)
    if size > REDIRECT_CONTEXT_SIZE:
        return -errno.EINVAL & M64
    host.redirect_context[:size] = content
    host.redirect_context_size = size
    return 0


def set_retval(call: HelperCall) -> Value:
    """What the call is to end with: an errno, negative, of 32 bits. 0."""
    low = call.number(0) & 0xFFFFFFFF
    _host(call, "retval").retval = low - (low >> 31 << 32) & M64
    return 0


HELPERS: dict[str, Helper] = {
    **{helper: partial(fact, field) for helper, field in FACTS.items()},
    "get_current_pid_tgid": get_current_pid_tgid,
    "get_ns_current_pid_tgid": get_ns_current_pid_tgid,
    "get_current_comm": get_current_comm,
    "set_redirect_context": set_redirect_context,
    "set_retval": set_retval,
}
