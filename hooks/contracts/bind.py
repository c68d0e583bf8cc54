"""The BIND hook of eBPF for Windows: a process is about to bind a socket to an address, or has given it back.

    app_id_start                                 app_id_end
        | the path of the program that binds         |
        +--------------------------------------------+

Source: `bind_md_t` and `bind_action_t` of the public headers of eBPF for Windows (v1.6).
"""

from __future__ import annotations

import ctypes
from functools import partial

from hooks.contracts.contract import Answer, ContextField, ContextLayout, FieldKind, HookPoint
from hooks.contracts.task import TASK_FACTS, TaskContext

LONGEST_PATH = 65536  # bytes: a path of Windows has up to 32767 characters of 16 bits


class BindVerdict(Answer):
    """What becomes of the address. Somebody else may still deny after a soft permission, and nobody after a hard one;
    a redirection binds to what the program wrote into `socket_address`."""

    PERMIT_SOFT = "permit_soft"
    DENY = "deny"
    REDIRECT = "redirect"
    PERMIT_HARD = "permit_hard"


class BindContext(TaskContext):
    """The context in this process's memory. `socket_address` is a struct sockaddr, its numbers in network byte order;
    `operation` is 0 before the address is bound, 1 after, 2 when it is given back."""

    _fields_ = (
        ("app_id_start", ctypes.c_uint64),
        ("app_id_end", ctypes.c_uint64),
        ("process_id", ctypes.c_uint64),
        ("socket_address", ctypes.c_uint8 * 16),
        ("socket_address_length", ctypes.c_uint32),
        ("operation", ctypes.c_uint32),
        ("protocol", ctypes.c_uint32),
    )


_field = partial(ContextField.of, BindContext)

BIND_WINDOWS = HookPoint(
    name="bind",
    platform="windows",
    program_type=2,
    sections=("bind", "bind/"),
    host=BindContext,
    context=ContextLayout(
        name="bind_md_t",
        size=56,
        fields=(
            _field("app_id_start", 0, 8, FieldKind.APP_ID_START),
            _field("app_id_end", 8, 8, FieldKind.APP_ID_END),
            _field("process_id", 16, 8),
            _field("socket_address", 24, 16, writes=(1, 2, 4, 8)),
            _field("socket_address_length", 40, 1),
            _field("operation", 44, 4),
            _field("protocol", 48, 1),
        ),
    ),
    verdicts={
        0: BindVerdict.PERMIT_SOFT,
        1: BindVerdict.DENY,
        2: BindVerdict.REDIRECT,
        3: BindVerdict.PERMIT_HARD,
    },
    otherwise=BindVerdict.DENY,
    families=frozenset({"general", "socket", "task"}),
    helper_inputs=TASK_FACTS,
)
