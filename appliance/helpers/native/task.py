"""Who asks, and what is to become of the connection: helpers of the hooks where a process makes a call."""

from __future__ import annotations

import errno

from appliance.helpers.native.call import HelperCall
from appliance.ir import I32, I64, U64, external
from hooks.contracts.sock_addr import REDIRECT_CONTEXT_SIZE
from hooks.contracts.task import PIDNS_INFO_SIZE, TASK_COMM_LEN, pid_namespace


def fact(field: str, call: HelperCall) -> U64:
    """What the context holds for the helper."""
    value: U64 = call.field(field).load()
    return value


def get_current_pid_tgid(call: HelperCall) -> U64:
    """The process (upper half) and the thread (lower half) that make the call, where a hook sees one; else those that
    run the program: two system calls."""
    if call.has_field("pid_tgid"):
        seen: U64 = call.field("pid_tgid").load()
        return seen
    code = call.code
    process, thread = (code.call(external(code.module, name, I32)) for name in ("getpid", "gettid"))
    return code.or_(code.shl(code.resize(process, I64), 32), code.resize(thread, I64))


def get_ns_current_pid_tgid(call: HelperCall) -> U64:
    """Tell thread and process to the 8 bytes at r3 (`struct bpf_pidns_info`), if r1 and r2 are the device and the inode
    of their PID namespace, which is Tidegate's. 0; or -EINVAL, and zeros in the r4 bytes."""
    code, target, numbers = call.code, call.pointers[2], pid_namespace()
    code.fill(target, 0, call.arguments[3])
    known = code.compare(call.arguments[3], "==", PIDNS_INFO_SIZE)
    for given, number in zip(call.arguments, numbers, strict=False):
        known = code.and_(known, code.compare(given, "==", number))
    with code.if_(known):
        code.store(get_current_pid_tgid(call), target)
    return code.select(known, call.number(0), -errno.EINVAL)


def get_current_comm(call: HelperCall) -> U64:
    """Copy the thread's name to the r2 bytes at r1, as much as fits, and zeros behind it, at least one. 0."""
    code, target, room = call.code, call.pointers[0], call.arguments[1]
    code.fill(target, 0, room)
    longest = TASK_COMM_LEN - 1
    shorter = code.select(code.compare(room, "==", 0), 0, code.sub(room, 1))
    code.move(target, call.field("comm").address, code.select(code.compare(shorter, "<", longest), shorter, longest))
    return call.number(0)


def set_redirect_context(call: HelperCall) -> U64:
    """Leave the r3 bytes at r2 with the connection, for whom it is redirected to. 0; -EINVAL if they are too many."""
    code, size = call.code, call.arguments[2]
    fits = code.compare(size, "<=", REDIRECT_CONTEXT_SIZE)
    with code.if_(fits):
        code.move(call.field("redirect_context").address, call.pointers[1], size)
        call.field("redirect_context_size").store(code.resize(size, I32))
    return code.select(fits, call.number(0), -errno.EINVAL)


def set_retval(call: HelperCall) -> U64:
    """What the call is to end with: an errno, negative, of 32 bits. 0."""
    code = call.code
    low = code.resize(call.arguments[0], I32)
    call.field("retval").store(code.builder.sext(low, I64))
    return call.number(0)
