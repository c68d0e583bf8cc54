"""The engine in the kernel: commands in a control group of their own, which an object's programs are attached to.

main thread       waits for the command, and for those that lose their parent
guard-ring        reads denials, which `guard-denials` tells of
guard-standby     another process (`standby`), that ends the group if this one is killed
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from appliance.closeable import Closeable
from appliance.guard.kernel.loaded import KernelLoaded
from appliance.guard.kernel.standby import GroupStandby
from appliance.guard.kernel.tally import calls_of, denial_of
from appliance.guard.statistics import Denial, GuardStatistics, Ledger
from appliance.guard.telling import Teller
from hooks.errors import HookError
from hooks.kernel.control_group import ControlGroup, own_group
from hooks.kernel.links import KernelLink
from hooks.process import CANNOT_EXECUTE, adopt_orphans, become, wait_for_all

_FIRST = bytes(4)  # the only key of the counts


class KernelGuarded(Closeable):
    """A command and all that it starts, under the hooks (`appliance.guard.engine.Guarded`). Made by
    `KernelEngine.start`; a context manager; closing twice is harmless. Any thread may ask; one waits."""

    def __init__(
        self, loaded: KernelLoaded, group: ControlGroup, process: int, tell: Callable[[Denial], object], held: ExitStack
    ) -> None:
        """`held` has what is closed with this."""
        self.process = process
        self._loaded = loaded
        with held:
            self._ledger = Ledger(held.enter_context(Teller(tell)))
            self._stop = os.eventfd(0, os.EFD_CLOEXEC)
            held.callback(os.close, self._stop)
            thread = threading.Thread(target=self._read, name="guard-ring", daemon=True)
            thread.start()
            held.callback(thread.join)
            held.callback(os.eventfd_write, self._stop, 1)
            self._held = held.pop_all()
        self.group = group.path

    def wait(self) -> int:
        """See `Guarded.wait`."""
        return wait_for_all(self.process)

    def statistics(self) -> GuardStatistics:
        """A snapshot: the kernel's counts, and the denials that were read from the ring so far."""
        counts = self._loaded.counts.lookup(_FIRST) or b""
        return GuardStatistics(calls_of(self._loaded.counted, counts), self._ledger.statistics().denials)

    def _read(self) -> None:
        ready = select.poll()
        for descriptor in (self._loaded.denials.fileno(), self._stop):
            ready.register(descriptor, select.POLLIN)
        while True:
            found = dict(ready.poll())
            for record in self._loaded.denials.records():  # the last ones, too
                self._ledger.deny(denial_of(record, self._loaded.counted))
            if self._stop in found:
                return

    def close(self) -> None:
        """Stop judging. What still runs is killed first, unless calls go on when the guard fails."""
        self._held.close()


class KernelEngine:
    """Programs of an object that is loaded into the kernel, asked by it (`appliance.guard.engine.Engine`). The object
    stays open as long as anything runs under it. For one thread."""

    def __init__(self, loaded: KernelLoaded, *, below: Path | None = None, open_on_failure: bool = False) -> None:
        """`below` is the control group that the command's is made in, this process's own if it is None.
        `open_on_failure`: what runs goes on unjudged if this process is killed, and isn't killed with it."""
        self._loaded = loaded
        self._below = below
        self._open = open_on_failure

    def start(self, command: Sequence[str], *, tell: Callable[[Denial], object] = lambda denial: None) -> KernelGuarded:
        """See `Engine.start`. To be called while there is one thread. Raises NoControlGroup, PrivilegeError."""
        with ExitStack() as held:
            group = held.enter_context(ControlGroup(self._below or own_group()))
            for spec, program in self._loaded.programs:
                held.enter_context(KernelLink(program, group.descriptor, spec.hook.attach_type))
            if not self._open:
                held.enter_context(GroupStandby(group))
                held.callback(group.kill)
            adopt_orphans()
            process = _start(command, group)
            return KernelGuarded(self._loaded, group, process, tell, held.pop_all())


def _start(command: Sequence[str], group: ControlGroup) -> int:
    """The command's process, which is in the group before it executes anything. Raises HookError if it can't be."""
    reports, report = os.pipe()
    child = os.fork()
    if child == 0:
        _become(command, group, report)
    os.close(report)
    try:
        refused = os.read(reports, 4)
    finally:
        os.close(reports)
    if refused:
        os.waitpid(child, 0)
        reason = os.strerror(int.from_bytes(refused, "little"))
        raise HookError(f"the command can't enter its control group: {reason}", where=str(group.path))
    return child


def _become(command: Sequence[str], group: ControlGroup, report: int) -> NoReturn:
    """The child: nothing of Python may come back from here."""
    try:
        group.enter()
    except OSError as error:
        os.write(report, (error.errno or 0).to_bytes(4, "little"))
        os._exit(CANNOT_EXECUTE)
    os.close(report)
    become(command)
