"""The hooks where a socket is made, and where it has just been bound: the socket itself is the context.

Linux lets a program of sock_create write `bound_dev_if`, `mark` and `priority`. Here the program is asked before there
is a socket, so it has none of them.

Sources: `struct bpf_sock` of include/uapi/linux/bpf.h; sock_filter_is_valid_access of net/core/filter.c.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import partial

from hooks.contracts.cgroup import SOCKET_FAMILIES, socket_context
from hooks.contracts.contract import ContextField, ContextLayout, HookPoint
from hooks.contracts.kernel_only import PARTS, with_kernel_contract
from hooks.contracts.sock_addr import SocketVerdict
from hooks.contracts.task import TASK_FACTS, TaskContext

TCP_CLOSE = 7  # include/net/tcp_states.h: the state of every socket that is nothing yet


class SockContext(TaskContext):
    """The context in this process's memory, for all of them. `retval` is the errno (negative) that set_retval has the
    call end with, 0 without."""

    _fields_ = (
        ("retval", ctypes.c_uint64),
        ("family", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("protocol", ctypes.c_uint32),
        ("src_ip4", ctypes.c_uint32),
        ("src_ip6", ctypes.c_uint8 * 16),
        ("src_port", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
    )


_word = partial(ContextField.of, SockContext, size=4, reads=PARTS)

_EVERY = (_word("family", 4), _word("type", 8), _word("protocol", 12), _word("state", 72))
_PORT = _word("src_port", 44)
_FOUR, _SIX = _word("src_ip4", 24), ContextField.of(SockContext, "src_ip6", 28, 16, reads=PARTS)

# What each hook is called, the kernel's number for it, what it has of the address here, and how the kernel has it. A
# socket that is not made yet has no cookie, and its namespace is not known.
_HOOKS: tuple[tuple[tuple[str, ...], int, tuple[ContextField, ...], ContextLayout, frozenset[str]], ...] = (
    (("sock_create", "sock"), 2, (), socket_context(whole=True), frozenset({"general", "task", "retval"})),
    (
        ("post_bind4",),
        12,
        (_FOUR, _PORT),
        socket_context("src_ip4", "src_port"),
        frozenset({"general", "socket", "task", "retval"}),
    ),
    (
        ("post_bind6",),
        13,
        (_SIX, _PORT),
        socket_context("src_ip6", "src_port"),
        frozenset({"general", "socket", "task", "retval"}),
    ),
)


def _hooks() -> Iterable[HookPoint]:
    for names, attach_type, address, kernels, families in _HOOKS:
        fields = tuple(sorted((*_EVERY, *address), key=lambda field: field.offset))
        known = {field.name for field in fields}
        hook = HookPoint(
            name=f"cgroup/{names[0]}",
            platform="linux",
            program_type=9,  # BPF_PROG_TYPE_CGROUP_SOCK
            sections=tuple(f"cgroup/{name}" for name in names),
            host=SockContext,
            context=ContextLayout(kernels.name, kernels.size, fields),
            verdicts={0: SocketVerdict.REJECT, 1: SocketVerdict.PROCEED},
            otherwise=SocketVerdict.REJECT,
            families=families,
            helper_inputs=(*TASK_FACTS, "retval"),
            defaults={"state": TCP_CLOSE},
            attach_type=attach_type,
        )
        others = tuple(field for field in kernels.fields if field.name not in known)
        yield with_kernel_contract(hook, *SOCKET_FAMILIES, fields=others)


SOCK_LINUX: tuple[HookPoint, ...] = tuple(_hooks())
