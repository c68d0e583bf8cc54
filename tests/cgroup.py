"""Control groups of a test's own, where programs of the kernel can be attached to the sockets of one child process."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from hooks.interfaces.netns import Namespace, owned_name
from tests.bpffs import BPFFS
from tests.capabilities import requires
from tests.cgroup2 import hierarchy
from tests.programs.kernel import bpftool

_numbers = itertools.count()


needs_cgroups = requires("root", "bpf", "bpffs", "bpftool", "cgroup2")

_INSIDE = """
import json, os, socket, sys
with open(sys.argv[1], "w") as procs:
    procs.write(str(os.getpid()))
def told(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return error.errno
"""


class ControlGroup:
    """A control group, and the programs of one object attached to it. A context manager."""

    def __init__(self, path: Path, sections: Mapping[str, str]) -> None:
        """`path` is an object; `sections` says for each of its programs where bpftool attaches it (`connect4`…)."""
        found = hierarchy()
        assert found is not None
        name = f"tidegate-test-{os.getpid()}-{next(_numbers)}"
        self.home, self._pins = found / name, BPFFS / name
        self._path, self._sections = path, sections
        self._namespace = Namespace(owned_name("tgcg", str(next(_numbers))))

    def __enter__(self) -> ControlGroup:
        self.home.mkdir()
        try:
            self._namespace = Namespace.create(self._namespace.name)
            self._pins.mkdir()
            bpftool("prog", "loadall", str(self._path), str(self._pins), "pinmaps", str(self._pins / "maps"))
            for program, kind in self._sections.items():
                bpftool("cgroup", "attach", str(self.home), kind, "pinned", str(self._pins / program))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the group (and so detach), what is pinned, and the namespace."""
        shutil.rmtree(self._pins, ignore_errors=True)
        self._namespace.close()
        for _ in self._patience():  # the child is gone at once, its membership a little later
            with suppress(OSError):
                self.home.rmdir()
                return

    @staticmethod
    def _patience() -> Iterator[None]:
        for _ in range(100):
            yield
            time.sleep(0.01)

    def ask(self, script: str) -> Any:
        """What `script` leaves in `answer`, run by a Python inside the group, in a network namespace of its own.

        `told(call, …)` gives a call's result, or its errno.
        """
        program = f"{_INSIDE}\n{script}\nprint(json.dumps(answer))"
        argv: Sequence[str] = [sys.executable, "-I", "-c", program, str(self.home / "cgroup.procs")]
        done = self._namespace.run(argv, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def dump(self, name: str) -> list[tuple[bytes, bytes]]:
        """A map's entries."""
        entries = json.loads(bpftool("-j", "map", "dump", "pinned", str(self._pins / "maps" / name)))
        return [tuple(bytes(int(byte, 16) for byte in entry[part]) for part in ("key", "value")) for entry in entries]
