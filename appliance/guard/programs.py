"""Native programs that are asked about one context at a time."""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Iterable

from appliance.api import Loaded
from appliance.epochs import default_domain
from appliance.guard.callers import Asked, Caller, facts_asked, fill_in
from appliance.jit.program import entry_name
from hooks.contracts.contract import Answer, HookPoint
from hooks.contracts.task import SocketContext


class GuardProgram:
    """One program of a loaded object. Any thread may ask it; one at a time does."""

    def __init__(self, loaded: Loaded, name: str) -> None:
        collection = loaded.open_collection()
        self.name = name
        self.hook: HookPoint = collection.programs[name].spec.hook
        self._asked = facts_asked(collection.programs[name].helpers)
        self._native = collection.engine.function(entry_name(name), ctypes.c_uint64, ctypes.c_void_p)
        self._reader = f"the guard's program `{name}`"
        self._lock = threading.Lock()  # there is one value of each per-CPU map

    def context(self, caller: Caller, about: Asked, **fields: int) -> SocketContext:
        """A context of its hook, with what its helpers will answer."""
        context = self.hook.host(random_state=random.getrandbits(64) | 1, **{**self.hook.defaults, **fields})
        assert isinstance(context, SocketContext)
        fill_in(context, self._asked, caller, about)
        return context

    def ask(self, context: SocketContext) -> Answer:
        """Run it. The context is what the program made of it, afterwards."""
        with self._lock, default_domain.reading(self._reader):
            return self.hook.answer(self._native(ctypes.addressof(context)) & 0xFFFFFFFF)


def programs_of(loaded: Loaded, names: Iterable[str]) -> dict[str, list[GuardProgram]]:
    """The programs of those names by their hook, in the order of the file."""
    found: dict[str, list[GuardProgram]] = {}
    for name in names:
        program = GuardProgram(loaded, name)
        found.setdefault(program.hook.name, []).append(program)
    return found
