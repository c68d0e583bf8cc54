"""Commands under `tidegate guard`, each in a network namespace of its own; objects from tests/cases/guard."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from tests.appliance.ebpf.compiling import compile_alone
from tests.capabilities import requires
from tests.cgroup2 import hierarchy

CASES = Path(__file__).parent / "cases"
GUARD = (sys.executable, "-c", "from appliance.cli import main; main()", "guard")
PYTHON = "/usr/bin/python3"
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")  # a network of its own
SECONDS = 60

# For tests that hold whoever asks the programs: this process, or the kernel.
both_engines = pytest.mark.parametrize("engine", ["here", pytest.param("kernel", marks=requires("bpf", "cgroup2"))])

# What every script may use.
PREFIX = """
import errno, json, os, signal, socket, struct, sys, threading, time

def attempt(call, *arguments):
    "The name of the errno, None if there is none."
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def say(thing):
    print(json.dumps(thing), flush=True)
"""

# For scripts that need a connection that waits.
FULL = """
    def full():
        "A listener that answers nobody any more, and a connection to it that waits."
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        while True:
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(server.getsockname())
            fillers.append(s)
            time.sleep(0.05)
            try:
                s.getpeername()
            except OSError:
                return server, fillers
"""


@dataclass(frozen=True)
class Ended:
    """How a guarded command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> Any:
        """The JSON that it printed, with its complaints if it printed none."""
        assert self.out, self.err
        return json.loads(self.out)


@cache
def compiled(name: str) -> Path:
    """The object of a C file of tests/cases/guard."""
    source = CASES / "guard" / f"{name}.bpf.c"
    path = Path(gettempdir()) / f"tidegate-guard-{name}.o"
    path.write_bytes(compile_alone(source.read_text(), f"-I{CASES / 'hooks'}"))
    return path


def engine_options(engine: str) -> tuple[str, ...]:
    """What `tidegate guard` is told of who asks."""
    return ("--engine", engine, *(("--cgroup", str(hierarchy())) if engine != "here" else ()))


def guard(name: str, *command: str, options: tuple[str, ...] = (), engine: str = "here", **more: Any) -> Ended:
    """Run a command under the object of that name."""
    line = [*ALONE, *GUARD, "--object", str(compiled(name)), *engine_options(engine), *options, "--", *command]
    done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False, **more)
    return Ended(done.returncode, done.stdout, done.stderr)


def guarded_map(name: str, table: str, text: str, engine: str = "here") -> tuple[Any, dict[str, int], list[Any]]:
    """What a Python program says under the object of that name, the guard's counters, and the entries of a map."""
    line = [*ALONE, sys.executable, "-m", "tests.guarded_map", engine, str(compiled(name)), table, *script(text)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=CASES.parents[1])
    assert done.returncode == 0, done
    said, behind = map(json.loads, done.stdout.splitlines())
    return said, behind["counts"], behind["entries"]


def script(text: str) -> tuple[str, ...]:
    """A Python program as a command."""
    return (PYTHON, "-c", PREFIX + textwrap.dedent(text))


def guard_script(name: str, text: str, **more: Any) -> Any:
    """What a Python program says under the object of that name."""
    ended = guard(name, *script(text), **more)
    assert ended.status == 0, ended
    return ended.said
