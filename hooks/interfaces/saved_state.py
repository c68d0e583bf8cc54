"""How interfaces were before a box took them: one file for each under /run/tidegate, for whoever has to put them back.

    4026531840-2.json       namespace and index │ locked while a box holds the interface
    {"boot": …, "namespace": cookie, "processes": PID namespace, "before": {…}}

A killed box leaves its files. They are of use to the next box on the same interface, and only there: numbers of
namespaces and indices are given out again, so a record also says which boot and which namespace it speaks of. Those
whose namespace is gone are removed when the next box starts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hooks.errors import InterfaceError, PrivilegeError
from hooks.interfaces.netdev import Interface
from hooks.interfaces.netns_references import network_namespace, pid_namespace, referenced_namespaces
from hooks.linux.socket import SO_NETNS_COOKIE

STATE_DIRECTORY = Path("/run/tidegate")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST = 1 << 16  # bytes of a record


@dataclass(frozen=True, slots=True)
class SavedState:
    """How the interface was. `offloads` are the receive offloads that were asked for; `disable_ipv6` None: no IPv6."""

    name: str
    ethernet: str
    up: bool
    offloads: tuple[str, ...]
    disable_ipv6: str | None
    clsact: bool


class StateFile:
    """The file of one interface, locked for the length of a `with` block; gone afterwards if nothing was written.
    For one thread."""

    def __init__(self, directory: Path, interface: Interface) -> None:
        self._path = directory / f"{network_namespace()}-{interface.index}.json"
        self._interface = interface
        self._descriptor = -1

    def __enter__(self) -> StateFile:
        where = self._interface.name
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = _open_and_lock(self._path, os.O_CREAT)
        except BlockingIOError:
            raise InterfaceError("another box holds it", where=where, hint="end that one first") from None
        except PermissionError:
            raise PrivilegeError(f"{self._path} can't be written", where=where, hint="run as root") from None
        except OSError as error:
            hint = f"make {self._path.parent} writable"
            raise InterfaceError(f"{self._path}: {error.strerror}", where=where, hint=hint) from None
        return self

    def read(self) -> SavedState | None:
        """What a killed box wrote about this same interface; None if there is nothing of use."""
        written = _read(self._descriptor)
        try:
            if (written["boot"], written["namespace"]) != (_boot(), _cookie()):
                return None
            told = written["before"]
            before = SavedState(**{**told, "offloads": tuple(told["offloads"])})
        except (TypeError, KeyError):
            return None
        same = (before.name, before.ethernet) == (self._interface.name, self._interface.ethernet)
        return before if same else None

    def write(self, before: SavedState) -> None:
        written = {"boot": _boot(), "namespace": _cookie(), "processes": pid_namespace(), "before": asdict(before)}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(written).encode(), 0)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        if not os.fstat(self._descriptor).st_size:  # nothing was changed, so there is nothing to tell the next one
            self.forget()
        os.close(self._descriptor)


def remove_stale(directory: Path) -> list[str]:
    """Remove the records of namespaces that are gone, and of earlier boots; their names. Those that a box holds stay,
    and those of which this process can't know: of another PID namespace, say."""
    here = f"{network_namespace()}-"
    others = [path for path in directory.glob("*-*.json") if not path.name.startswith(here)]
    there = referenced_namespaces() if others else None
    return [path.name for path in others if _remove_if_stale(path, there)]


def _remove_if_stale(path: Path, there: frozenset[int] | None) -> bool:
    try:
        descriptor = _open_and_lock(path, 0)
    except OSError:  # a box holds it, or it is gone
        return False
    try:
        written = _read(descriptor)
        namespace = path.name.partition("-")[0]
        known = there is not None and written.get("processes") == pid_namespace() and namespace.isdecimal()
        gone = known and there is not None and int(namespace) not in there
        if gone or written.get("boot") not in (None, _boot()):
            path.unlink(missing_ok=True)
            return True
        return False
    finally:
        os.close(descriptor)


def _open_and_lock(path: Path, flags: int) -> int:
    """A descriptor of the file that has that name now. Raises BlockingIOError if somebody else has locked it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # its last holder removed it in between


def _read(descriptor: int) -> dict[str, Any]:
    with suppress(ValueError):
        written = json.loads(os.pread(descriptor, _LONGEST, 0))
        if isinstance(written, dict):
            return written
    return {}


def _boot() -> str:
    return _BOOT.read_text().strip()


def _cookie() -> int:
    """A number that no other network namespace of this boot ever has; 0 before Linux 5.14."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            return int.from_bytes(asked.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            return 0
