"""What whoever loads a compiled rule set elsewhere must put into its maps, in the words of bpftool.

    $ bpftool prog loadall OUT.o /sys/fs/bpf/tidegate/programs type xdp pinmaps /sys/fs/bpf/tidegate/maps
    $ for file in DIR/*.bpftool; do bpftool batch file $file; done

One file for each map that has contents, a line for each entry: `map update pinned PATH key hex … value hex … any`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.errors import CannotRun

PINS = "/sys/fs/bpf/tidegate/maps"
SUFFIX = ".bpftool"

Entries = Sequence[tuple[bytes, bytes]]


def write_fill(folder: Path, contents: Mapping[str, Entries], pins: str) -> list[Path]:
    """Write the files; `pins` is the folder where the maps are pinned. Raises CannotRun if they can't be written."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, entries in contents.items():
            if entries:
                path = folder / f"{name}{SUFFIX}"
                with path.open("w", encoding="ascii") as file:
                    file.writelines(_line(f"{pins}/{name}", key, value) for key, value in entries)
                written.append(path)
    except OSError as error:
        raise CannotRun(f"can't be written: {error.strerror}", where=str(error.filename or folder)) from error
    return written


def _line(pinned: str, key: bytes, value: bytes) -> str:
    return f"map update pinned {pinned} key hex {key.hex(' ')} value hex {value.hex(' ')} any\n"
