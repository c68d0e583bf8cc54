"""Programs as the box runs them: verified, compiled, maps in this process. The twin of `tests.programs.kernel`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from appliance.ebpf.objects.objects import load_object_file
from appliance.jit.collection import Collection
from tests.appliance.jit.support import Frame, run_loaded, run_loops
from tests.programs.kernel import VERDICTS, Run

HEADROOM = 256


@functools.cache
def _loaded(path: Path) -> Collection:
    """Compiled once for all tests of a run; its maps are emptied between them."""
    return Collection.load(load_object_file(path), loops=run_loops)


class NativeProgram:
    """The one program of an object."""

    def __init__(self, path: Path) -> None:
        self._collection = _loaded(path)

    def __enter__(self) -> NativeProgram:
        for opened in self._collection.maps.values():
            if not opened.spec.read_only:
                opened.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Code and maps stay for the next test."""

    def run(self, data: bytes) -> Run:
        """One frame through the program."""
        (name,) = self._collection.programs
        frame = Frame(data, headroom=HEADROOM)
        verdict = run_loaded(self._collection, name, frame.context)
        return Run(VERDICTS[verdict], frame.data)

    def update(self, name: str, key: bytes, value: bytes) -> None:
        """Put an entry into a map."""
        self._collection.maps[name].update(key, value)

    def dump(self, name: str) -> Sequence[tuple[bytes, bytes]]:
        """All entries; the values of a per-CPU map stand one behind the other."""
        return list(self._collection.maps[name].items())
