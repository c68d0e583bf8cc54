"""A stage that comes as an object of eBPF: it can't be linked, so it is called, as the last one that judges."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import CollectionSpec
from appliance.errors import InputRefused

MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """An object whose specs could be read. `functions` are its programs for frames. Two of the same bytes are equal."""

    file: str = field(compare=False)
    digest: str
    data: bytes = field(compare=False, repr=False)
    spec: CollectionSpec = field(compare=False, repr=False)

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(name for name, program in self.spec.programs.items() if program.hook.judges_frames)


def is_object_file(path: Path) -> bool:
    """Whether it begins like one. What can't be read doesn't."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def read_object_file(path: Path) -> ObjectFile:
    """Read a file. Raises InputRefused."""
    data = path.read_bytes()
    spec = load_object(data, str(path))
    if spec.platform != "linux":
        raise InputRefused(f"{path.name} is made for {spec.platform}, and rule sets are for linux")
    return ObjectFile(str(path), hashlib.sha256(data).hexdigest(), data, spec)
