"""The file system that holds what bpftool pins."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

BPFFS = Path("/sys/fs/bpf")


def mount_bpffs() -> None:
    """Mount it, as bpftool itself does where it pins a program, if this machine has it and nobody has."""
    kinds = Path("/proc/filesystems").read_text().split()
    if os.geteuid() == 0 and "bpf" in kinds and BPFFS.is_dir() and not os.path.ismount(BPFFS):
        subprocess.run(["mount", "-t", "bpf", "bpf", str(BPFFS)], check=True)
