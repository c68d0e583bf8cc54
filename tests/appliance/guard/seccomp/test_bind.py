"""Binding, under programs of Linux and of Windows."""

from __future__ import annotations

import subprocess

import pytest

from tests.capabilities import requires
from tests.guarding import both_engines, guard, guard_script, script

pytestmark = requires("root", "seccomp's listeners", "clang")

BINDS = """
    def bound(family, host, port, kind):
        with socket.socket(family, kind) as s:
            return attempt(s.bind, (host, port)) or s.getsockname()[1]
    say({
        f"{family.name} {kind.name} {port}": bound(family, host, port, kind)
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        for port in (8999, 9000, 9001)
    })
"""
WANTED = {8999: 8999, 9000: "EPERM", 9001: 9002}


@pytest.mark.parametrize("name", ["binds_and_connects", "windows_bind"])
def test_an_address_is_permitted_denied_and_redirected(name: str) -> None:
    said = guard_script(name, BINDS)
    assert said == {
        f"{family} {kind} {port}": became
        for family in ("AF_INET", "AF_INET6")
        for kind in ("SOCK_STREAM", "SOCK_DGRAM")
        for port, became in WANTED.items()
    }


def test_a_denial_is_told_with_who_and_what_and_by_which_program() -> None:
    ended = guard(
        "binds_and_connects", *script("s = socket.socket(); attempt(s.bind, ('127.0.0.1', 9000)); say(os.getpid())")
    )
    process = ended.said
    told = f"tidegate: bind 127.0.0.1:9000 denied (EPERM) by `bind4`: /usr/bin/python3.11 ({process})\n"
    assert ended.err.replace("python3.13", "python3.11") == told


@both_engines
def test_quietly_nothing_is_told(engine: str) -> None:
    ended = guard(
        "binds_and_connects",
        *script("s = socket.socket(); say(attempt(s.bind, ('', 9000)))"),
        options=("--quiet",),
        engine=engine,
    )
    assert (ended.said, ended.err) == ("EPERM", "")


@both_engines
def test_one_program_alone_may_be_asked(engine: str) -> None:
    text = """
        said = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as s:
                said.append(attempt(s.bind, (host, 9000)))
        say(said)
    """
    assert guard_script("binds_and_connects", text, options=("--program", "bind6"), engine=engine) == [None, "EPERM"]


def test_what_the_kernel_refuses_it_refuses_still() -> None:
    """Each errno is what the same program gets without a guard."""
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        def raw(descriptor, address, length):
            ctypes.set_errno(0)
            libc.bind(descriptor, address, length)
            return errno.errorcode.get(ctypes.get_errno(), 0)
        s = socket.socket()
        address = struct.pack("=H2s12x", 2, (8997).to_bytes(2, "big"))
        say([
            raw(-1, address, 16), raw(0, address, 16), raw(10**6, address, 16),
            raw(s.fileno(), address, -1), raw(s.fileno(), address, 129), raw(s.fileno(), address, 15),
            raw(s.fileno(), None, 16), raw(s.fileno(), ctypes.c_void_p(1), 16),
            raw(s.fileno(), address, 16), raw(s.fileno(), address, 16),
        ])
    """
    said = guard_script("binds_and_connects", text, stdin=subprocess.DEVNULL)
    assert said == ["EBADF", "ENOTSOCK", "EBADF", "EINVAL", "EINVAL", "EINVAL", "EFAULT", "EFAULT", 0, "EINVAL"]


@both_engines
def test_unix_sockets_are_untouched(engine: str) -> None:
    text = """
        import tempfile
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            a, b = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
            a.bind("here")
            a.listen()
            b.connect("here")
            c, _ = a.accept()
            pid, uid, gid = struct.unpack("3i", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            say([os.path.exists(place + "/here"), pid == os.getpid(), uid == os.getuid()])
    """
    assert guard_script("binds_and_connects", text, engine=engine) == [True, True, True]
