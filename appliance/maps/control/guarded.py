"""What every way into an open map asks first, and what the answer of its native code means.

A refusal names the map and says which of its sizes, flags or states is against it; a status below zero is the -errno
that a program would be given, as an error of `errors`.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from appliance.ebpf.spec import MapSpec
from appliance.maps.checks import RDONLY, WRONLY
from appliance.maps.control.life import OpenMap
from appliance.maps.errors import (
    EntryExists,
    MapError,
    MapFrozen,
    MapFull,
    MapUnreadable,
    NoSuchEntry,
    OperationRefused,
)
from appliance.memory import Reserve

_FAILURES: Mapping[int, type[MapError]] = {
    errno.EEXIST: EntryExists,
    errno.ENOENT: NoSuchEntry,
    errno.E2BIG: MapFull,
    errno.ENOSPC: MapFull,
    errno.EINVAL: OperationRefused,
    errno.EAGAIN: MapFull,
}


class GuardedMap(OpenMap):
    """An open map that lets nobody do what its declaration forbids, and that can be frozen. Any thread."""

    def __init__(self, spec: MapSpec, processors: int, reserve: Reserve) -> None:
        super().__init__(spec, processors, reserve)
        self._frozen = False

    def freeze(self) -> None:
        """Let the control plane change nothing any more (BPF_MAP_FREEZE); programs still may."""
        self._frozen = True

    # what is asked first

    def _check(self, data: bytes, size: int, what: str) -> None:
        if len(data) != size:
            raise OperationRefused(self.spec.name, f"a {what} of {len(data)} bytes where {size} are declared")

    def _check_processor(self, processor: int) -> None:
        if not 0 <= processor < self._copies:
            raise OperationRefused(self.spec.name, f"there is no processor {processor}: it has {self._copies}")

    def _check_readable(self) -> None:
        if self.spec.flags & WRONLY:
            raise MapUnreadable(self.spec.name, "its flags (BPF_F_WRONLY) let the control plane only write")

    def _check_writable(self) -> None:
        if self.spec.flags & RDONLY:
            raise MapFrozen(self.spec.name, "its flags (BPF_F_RDONLY) let the control plane only read")
        if self.spec.read_only:
            raise MapFrozen(self.spec.name, "it is read-only: its contents came with the program")
        if self._frozen:
            raise MapFrozen(self.spec.name, "it is frozen: only programs may change it")

    # what the answer means

    def _succeed(self, status: int) -> None:
        if status != 0:
            self._fail(status)

    def _fail(self, status: int) -> None:
        failure = {**_FAILURES, **self._kind.failures}[-status]
        raise failure(self.spec.name, failure.meaning.format(self.spec.max_entries), hint=failure.advice)
