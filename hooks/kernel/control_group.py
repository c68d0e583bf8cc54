"""A control group of one's own, in the hierarchy of version 2: what runs in it, and all that it starts.

Sources: Documentation/admin-guide/cgroup-v2.rst; cgroups(7), proc(5).
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import suppress
from pathlib import Path

from hooks.errors import HookError, PrivilegeError

PREFIX = "tidegate-guard"
PATIENCE, PAUSE = 2.0, 0.01  # seconds: a process is gone at once, its membership a little later
_numbers = itertools.count()


class NoControlGroup(HookError):
    """This machine, or this mount namespace, has no hierarchy of version 2."""


def own_group() -> Path:
    """The directory of the group that this process is in. Raises NoControlGroup."""
    own = next(
        (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None
    )
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, behind = line.partition(" - ")
        if behind.split()[0] == "cgroup2" and own is not None:
            root, place = (part.encode().decode("unicode_escape") for part in before.split()[3:5])
            inside = os.path.relpath(own, root)
            return Path(place) if inside.startswith("..") else Path(place, inside)
    raise NoControlGroup(
        "no control groups of version 2 are mounted here", hint="mount -t cgroup2 none /sys/fs/cgroup, or --engine here"
    )


class ControlGroup:
    """One group below another, gone with `close` if nothing runs in it any more. Any thread; a context manager."""

    def __init__(self, below: Path) -> None:
        """`below` is a directory of a hierarchy of version 2. Raises NoControlGroup, PrivilegeError, HookError."""
        if not Path(below, "cgroup.procs").exists() or not Path(below, "cgroup.controllers").exists():
            raise NoControlGroup("this is no control group of version 2", where=str(below))
        self.path = Path(below, f"{PREFIX}-{os.getpid()}-{next(_numbers)}")
        try:
            self.path.mkdir()
        except PermissionError as error:
            hint = "name a group that is this user's (--cgroup), or be root"
            raise PrivilegeError(f"mkdir: {error.strerror}", where=str(self.path), hint=hint) from None
        except OSError as error:
            raise HookError(f"mkdir: {error.strerror}", where=str(self.path)) from None
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def enter(self) -> None:
        """Let the calling process be in it, and all that it will start. Raises OSError."""
        Path(self.path, "cgroup.procs").write_text("0")

    @property
    def populated(self) -> bool:
        """Whether a process is in it."""
        return "populated 1" in Path(self.path, "cgroup.events").read_text()

    def kill(self) -> None:
        """SIGKILL for all that is in it, whatever it forks meanwhile (Linux 5.14)."""
        with suppress(OSError):
            Path(self.path, "cgroup.kill").write_text("1")

    def remove(self) -> bool:
        """Whether it is gone; it stays if something runs in it."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                if time.monotonic() > ends:
                    return False
                time.sleep(PAUSE)
            else:
                return True

    def close(self) -> None:
        """Closing twice is harmless."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            self.remove()

    def __enter__(self) -> ControlGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
