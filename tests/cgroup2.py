"""Where the second version of control groups has its hierarchy; it is mounted if need be."""

from __future__ import annotations

import atexit
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def hierarchy() -> Path | None:
    """A mounted hierarchy that this process may write to; None if there is none and none can be mounted.

    What had to be mounted is unmounted when the process ends. There is one hierarchy however often it is mounted.
    """
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return Path(place)
    return _mounted() if os.geteuid() == 0 and "cgroup2" in Path("/proc/filesystems").read_text().split() else None


def _mounted() -> Path | None:
    place = tempfile.mkdtemp(prefix="tidegate-test-cgroup2-")
    if subprocess.run(["mount", "-t", "cgroup2", "none", place], check=False, capture_output=True).returncode:
        Path(place).rmdir()
        return None
    atexit.register(_unmount, place)
    return Path(place)


def _unmount(place: str) -> None:
    subprocess.run(["umount", "--lazy", place], check=False)
    Path(place).rmdir()
