"""Who makes a call: what helpers answer about a thread and its socket, read only where a program asks.

Nothing of this is kept from one call to the next: a process may change its user, its name and its program at any time.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance.helpers.context_fields import FACTS
from hooks.contracts.task import TASK_FACTS, SocketContext, Task, TaskContext

COMM = "get_current_comm"
CHEAP = frozenset({"pid_tgid", "socket_cookie", "netns_cookie"})


class Asked(Protocol):
    """The socket that a call is about."""

    def cookie(self) -> int: ...

    def namespace_cookie(self) -> int: ...


@dataclass(frozen=True)
class Caller:
    """The thread that makes a call. To be asked while it waits in the call."""

    process: int
    thread: int
    _found: dict[str, Any] = field(default_factory=dict, compare=False)  # quicker than cached_property, which locks

    @property
    def program(self) -> str:
        """The path of what it runs. Raises OSError."""
        found = self._found.get("program")
        if found is None:
            found = self._found["program"] = os.readlink(f"/proc/{self.thread}/exe")  # noqa: PTH115 (half the time)
        return str(found)

    @property
    def windows_path(self) -> ctypes.Array[ctypes.c_char]:
        """The same in UTF-16, and a zero byte behind it that is none of it. Raises OSError."""
        found = self._found.get("windows_path")
        if found is None:
            text = self.program.encode("utf-16-le", "surrogatepass")
            found = self._found["windows_path"] = ctypes.create_string_buffer(text, len(text) + 1)
        assert isinstance(found, ctypes.Array)
        return found

    @property
    def task(self) -> Task:
        """What /proc says of it. Raises OSError."""
        found = self._found.get("task")
        if found is None:
            found = self._found["task"] = Task.of(self.process, self.thread)
        assert isinstance(found, Task)
        return found


def facts_asked(helpers: Set[str]) -> frozenset[str]:
    """The fields of the context that helpers of those names answer from."""
    asked = {FACTS[name] for name in helpers if name in FACTS}
    return frozenset(asked | ({"comm"} if COMM in helpers else set())) & frozenset(TASK_FACTS)


def fill_in(context: SocketContext, asked: frozenset[str], caller: Caller, about: Asked) -> None:
    """Write what helpers are asked for."""
    if isinstance(context, TaskContext):
        context.pid_tgid = caller.process << 32 | caller.thread
        if asked - CHEAP:
            caller.task.fill_in(context)
    if "socket_cookie" in asked:
        context.socket_cookie = about.cookie()
    if "netns_cookie" in asked:
        context.netns_cookie = about.namespace_cookie()
