"""What a keeper could do if somebody took it over: nothing, tried from inside."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.box.approval.keeping.confinement import confine
from hooks.errors import HookError
from hooks.linux.mman import PROT_EXEC
from hooks.sandbox.limits import be_private


def inside(do: Callable[[], object]) -> str:
    """Do it in a confined child; what came of it, in words."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            be_private()
            os.dup2(writes, 3)
            os.closerange(4, 1024)
            confine(3)
            do()
            said = "done"
        except (OSError, HookError, ValueError) as error:
            said = type(error).__name__
        os.write(3, said.encode())
        os._exit(0)
    os.close(writes)
    said = os.read(reads, 256).decode()
    os.close(reads)
    os.waitpid(child, 0)
    return said


def execute() -> None:
    os.execv(sys.executable, [sys.executable, "-c", ""])


def protect() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if libc.mprotect(ctypes.c_void_p(address), 4096, PROT_EXEC):
        raise OSError(ctypes.get_errno(), "mprotect")


REFUSED: dict[str, Callable[[], object]] = {
    "read a file": lambda: Path("/etc/hostname").read_bytes(),
    "read its own memory": lambda: Path("/proc/self/maps").read_bytes(),
    "write a file": lambda: Path("/dev/shm/tidegate-key").write_bytes(b"key"),
    "list a directory": lambda: list(Path("/").iterdir()),
    "have a socket": socket.socket,
    "have a pair of sockets": socket.socketpair,
    "have a pipe": os.pipe,
    "have a descriptor twice": lambda: os.dup(3),
    "have a child": os.fork,
    "be another program": execute,
    "be another user": lambda: os.setuid(65534),
    "send a signal": lambda: os.kill(os.getppid(), 0),
    "have memory that is code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "make memory code": protect,
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_may_not(what: str) -> None:
    assert inside(REFUSED[what]) in ("PermissionError", "BlockingIOError", "OSError")


def test_it_may_have_memory_and_the_time() -> None:
    assert inside(lambda: (bytearray(1 << 24), os.urandom(32))) == "done"


def test_whoever_makes_a_core_file_finds_no_key(tmp_path: Path) -> None:
    """A keeper that crashes leaves nothing, wherever cores go, and what it says holds no byte of its key."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from appliance.box.approval.keeping.client import KeeperClient\n"
        "client = KeeperClient.start(Path('key.pem'))\n"
        "os.kill(client.process, signal.SIGSEGV)\n"
        "print(os.WCOREDUMP(os.waitpid(client.process, 0)[1]))\n"
    )
    root = str(Path(__file__).parents[5])
    done = subprocess.run(
        [sys.executable, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n{program}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "False\n"
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]
    secret = (tmp_path / "key.pem").read_text().splitlines()[1]
    assert secret not in done.stdout + done.stderr
