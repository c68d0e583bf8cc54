"""The hooks where a socket meets an address: bind, connect, accept, listen, send, receive, ask for a name.

Linux and Windows have the same sections for some of them and lay the context out differently. A hook is of one family
of addresses (the 4 or 6 at the end of its name). Addresses and ports are in network byte order.

Sources: `struct bpf_sock_addr` and `enum bpf_attach_type` of include/uapi/linux/bpf.h; sock_addr_is_valid_access of
net/core/filter.c and check_return_code of kernel/bpf/verifier.c; `bpf_sock_addr_t` of the public headers of eBPF for
Windows (v1.6).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from functools import partial

from hooks.contracts.contract import Answer, ContextField, ContextLayout, FieldKind, HookPoint
from hooks.contracts.kernel_only import kernel_only_field, with_kernel_contract
from hooks.contracts.task import TASK_FACTS, TaskContext

REDIRECT_CONTEXT_SIZE = 256  # bytes that a program may leave with a connection it redirects


class SocketVerdict(Answer):
    """Whether the call goes on. On Windows somebody else may still reject after a soft answer, and nobody after a hard
    one. PROCEED_UNPRIVILEGED binds a port below 1024 for a process that may not do so by itself."""

    REJECT = "reject"
    PROCEED = "proceed"
    PROCEED_UNPRIVILEGED = "proceed_unprivileged"
    PROCEED_SOFT = "proceed_soft"
    PROCEED_HARD = "proceed_hard"


class SockAddrContext(TaskContext):
    """The context in this process's memory, for both platforms and both families: an IPv4 address has the first 4 bytes
    of `user_ip` and `msg_src_ip`. `redirect_context` is what set_redirect_context left for the connection, `retval` the
    errno (negative) that set_retval has the call end with, 0 without."""

    _fields_ = (
        ("interface_luid", ctypes.c_uint64),
        ("retval", ctypes.c_uint64),
        ("user_family", ctypes.c_uint32),
        ("family", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("protocol", ctypes.c_uint32),
        ("user_ip", ctypes.c_uint8 * 16),
        ("msg_src_ip", ctypes.c_uint8 * 16),
        ("user_port", ctypes.c_uint32),
        ("msg_src_port", ctypes.c_uint32),
        ("compartment_id", ctypes.c_uint32),
        ("redirect_context_size", ctypes.c_uint32),
        ("redirect_context", ctypes.c_uint8 * REDIRECT_CONTEXT_SIZE),
    )


_field = partial(ContextField.of, SockAddrContext)
_narrow = partial(_field, size=4, reads=(1, 2, 4), writes=(4,))
_wide = partial(_field, size=16, reads=(1, 2, 4, 8), writes=(4, 8))

# Linux: the fields of every hook, then those of one family, and of the hooks that send a datagram. A program may not
# touch the others.
_LINUX_FIELDS = (
    _field("user_family", 0, 4, reads=(4,)),
    _narrow("user_port", 24),
    _field("family", 28, 4, reads=(4,)),
    _field("type", 32, 4, reads=(4,)),
    _field("protocol", 36, 4, reads=(4,)),
)
_LINUX_ADDRESS: Mapping[int, ContextField] = {
    4: _narrow("user_ip4", 4, host="user_ip"),
    6: _wide("user_ip6", 8, host="user_ip"),
}
_LINUX_SOURCE: Mapping[int, ContextField] = {
    4: _narrow("msg_src_ip4", 40, host="msg_src_ip"),
    6: _wide("msg_src_ip6", 44, host="msg_src_ip"),
}
_LINUX_FAMILY: Mapping[int, int] = {4: 2, 6: 10}  # AF_INET, AF_INET6

_SWITCH: Mapping[int, Answer] = {0: SocketVerdict.REJECT, 1: SocketVerdict.PROCEED}
_BIND: Mapping[int, Answer] = {**_SWITCH, 2: SocketVerdict.REJECT, 3: SocketVerdict.PROCEED_UNPRIVILEGED}
_PROCEED: Mapping[int, Answer] = {1: SocketVerdict.PROCEED}

# What each hook is called, what its programs may answer, and the attach types for IPv4 and IPv6.
_LINUX_HOOKS: tuple[tuple[str, Mapping[int, Answer], tuple[int, int]], ...] = (
    ("bind", _BIND, (8, 9)),
    ("connect", _SWITCH, (10, 11)),
    ("sendmsg", _SWITCH, (14, 15)),
    ("recvmsg", _PROCEED, (19, 20)),
    ("getpeername", _PROCEED, (29, 30)),
    ("getsockname", _PROCEED, (31, 32)),
)

# What only a kernel has there, as sock_addr_func_proto gives it.
_SOCKET = kernel_only_field("sk", 64, 8, reads=(8,), kind=FieldKind.SOCKET)
_KERNEL_FAMILIES = (
    "base",
    "sk_base",
    "cgroup",
    "cgroup_current",
    "locks",
    "socket_options",
    "sock_addr",
    "socket_lookup",
)
_FAMILIES_OF_CALL: Mapping[str, tuple[str, ...]] = {
    "bind": ("retval",),
    "connect": ("retval", "binding"),
    "sendmsg": ("retval",),
}
# Where a program may say what the call ends with: the family of helpers, and the field that they work on.
_ENDINGS: Mapping[str, tuple[str, ...]] = dict.fromkeys(("bind", "connect", "sendmsg"), ("retval",))


def _linux_hooks() -> Iterable[HookPoint]:
    for call, verdicts, attach_types in _LINUX_HOOKS:
        for version, attach_type in zip((4, 6), attach_types, strict=True):
            sends = (_LINUX_SOURCE[version],) if call == "sendmsg" else ()
            fields = (*_LINUX_FIELDS, _LINUX_ADDRESS[version], *sends)
            hook = HookPoint(
                name=f"cgroup/{call}{version}",
                platform="linux",
                program_type=18,  # BPF_PROG_TYPE_CGROUP_SOCK_ADDR
                sections=(f"cgroup/{call}{version}",),
                host=SockAddrContext,
                context=ContextLayout("bpf_sock_addr", 72, tuple(sorted(fields, key=lambda field: field.offset))),
                verdicts=verdicts,
                otherwise=SocketVerdict.REJECT,
                families=frozenset({"general", "socket", "task", *_ENDINGS.get(call, ())}),
                helper_inputs=(*TASK_FACTS, *_ENDINGS.get(call, ())),
                defaults={"user_family": _LINUX_FAMILY[version], "family": _LINUX_FAMILY[version]},
                attach_type=attach_type,
            )
            yield with_kernel_contract(hook, *_KERNEL_FAMILIES, *_FAMILIES_OF_CALL.get(call, ()), fields=(_SOCKET,))


# Windows: one layout, in which an address of either family has the same place.
_WINDOWS_FAMILY: Mapping[int, int] = {4: 2, 6: 23}  # AF_INET, AF_INET6
# Only what asks before the connection is made can send it elsewhere.
_WINDOWS_REDIRECTS = frozenset({"connect"})
_WINDOWS_HOOKS = ("bind", "connect", "connect_authorization", "listen", "recv_accept")


def _windows_fields(redirects: bool) -> tuple[ContextField, ...]:
    writes = (1, 2, 4, 8) if redirects else ()
    return (
        _field("family", 0, 4),
        _field("msg_src_ip4", 4, 4, host="msg_src_ip"),
        _field("msg_src_ip6", 4, 16, host="msg_src_ip"),
        _field("msg_src_port", 20, 2),
        _field("user_ip4", 24, 4, host="user_ip", writes=writes),
        _field("user_ip6", 24, 16, host="user_ip", writes=writes),
        _field("user_port", 40, 2, writes=writes),
        _field("protocol", 44, 4),
        _field("compartment_id", 48, 4),
        _field("interface_luid", 56, 8),
    )


def _windows_hooks() -> Iterable[HookPoint]:
    for call in _WINDOWS_HOOKS:
        for version, family in _WINDOWS_FAMILY.items():
            redirects = call in _WINDOWS_REDIRECTS
            yield HookPoint(
                name=f"cgroup/{call}{version}",
                platform="windows",
                program_type=3,
                sections=(f"cgroup/{call}{version}", f"cgroup/{call}{version}/"),
                host=SockAddrContext,
                context=ContextLayout("bpf_sock_addr_t", 64, _windows_fields(redirects)),
                verdicts={
                    0: SocketVerdict.REJECT,
                    1: SocketVerdict.PROCEED_SOFT,
                    2: SocketVerdict.PROCEED_HARD,
                },
                otherwise=SocketVerdict.REJECT,
                families=frozenset({"general", "socket", "task", "sock_addr"}),
                helper_inputs=TASK_FACTS,
                helper_outputs=("redirect_context",),
                defaults={"family": family},
            )


SOCK_ADDR_LINUX: tuple[HookPoint, ...] = tuple(_linux_hooks())
SOCK_ADDR_WINDOWS: tuple[HookPoint, ...] = tuple(_windows_hooks())
