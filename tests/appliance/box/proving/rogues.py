"""What provers do that nobody should trust: each takes the place of a build, in the same sandbox.

Named as `tests.appliance.box.proving.rogues:NAME` to whoever starts a zygote.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from appliance.box.proving.built import Built, Image, ProvedProgram
from appliance.box.proving.channel import BOUNDS, HEAD, MAGIC, Channel
from appliance.box.proving.child import Answer
from appliance.box.proving.form import ELF
from appliance.box.proving.records import decode, encode
from appliance.box.proving.refusals import Refusal
from appliance.box.proving.request import BuildRequest
from appliance.errors import InputRefused
from hooks.linux.unistd import syscall
from hooks.running_kernel import RunningKernel

NOTHING = "0" * 64
PTRACE_TRACEME, PTRACE_ATTACH = 0, 16
_libc = ctypes.CDLL(None, use_errno=True)


def honest(name: str = "xdp_pass") -> Built:
    """What could be an answer to `of_program(name)`."""
    program = ProvedProgram(name, "xdp", NOTHING, NOTHING, 2, (), (), f"program_{name}", 0.1)
    forwarder = ProvedProgram("pass-all", "xdp", NOTHING, NOTHING, 2, (), (), "program_pass-all", 0.1)
    image = Image("programs", ELF, ("batch",), ())
    return Built("linux", (program, forwarder), (image,), {}, {}, "generic", 0.1, 0.1)


# what it tries


def _libc_call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def _write_code() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


ATTEMPTS: Mapping[str, Callable[[], object]] = {
    "open a file": lambda: Path("/etc/passwd").read_bytes(),
    "make a file": lambda: Path("/tmp/prover").write_bytes(b""),
    "list a folder": lambda: list(Path("/").iterdir()),
    "change to a folder": lambda: os.chdir("/"),
    "make a socket": socket.socket,
    "make a pair of sockets": socket.socketpair,
    "make a pipe": os.pipe,
    "fork": os.fork,
    "execute a program": lambda: os.execv("/bin/true", ["true"]),
    "trace its parent": lambda: _libc_call("ptrace", PTRACE_ATTACH, os.getppid(), 0, 0),
    "let itself be traced": lambda: _libc_call("ptrace", PTRACE_TRACEME, 0, 0, 0),
    "kill its parent": lambda: os.kill(1, signal.SIGKILL),
    "take a descriptor of another process": lambda: syscall("pidfd_getfd", 3, 0, 0),
    "make memory that is code": _write_code,
    "map a file of memory": lambda: os.memfd_create("m"),
    "catch a signal": lambda: signal.signal(signal.SIGXCPU, signal.SIG_IGN),
    "make a namespace": lambda: _libc_call("unshare", 0x10000000),
    "raise a limit": lambda: _libc_call("prlimit", 0, 7, (ctypes.c_ulong * 2)(64, 64), None),
    "start a ring of system calls": lambda: syscall("io_uring_setup", 8, 0),
}


def tries(channel: Channel, kernel: RunningKernel) -> None:
    """Everything in ATTEMPTS, and says what came of it as a refusal's words."""
    channel.receive(BOUNDS)
    found = []
    for what, attempt in ATTEMPTS.items():
        try:
            attempt()
            found.append(f"{what}: done")
        except OSError as error:
            found.append(f"{what}: {errno.errorcode[error.errno or 0]}")
    channel.send(*encode(Answer(None, Refusal.of(InputRefused("\n".join(found))))))


def waits(channel: Channel, kernel: RunningKernel) -> None:
    """For ever, until somebody looks."""
    channel.receive(BOUNDS)
    poll = select.poll()
    poll.poll()


# how it ends


def burns(channel: Channel, kernel: RunningKernel) -> None:
    channel.receive(BOUNDS)
    while True:
        pass


def swells(channel: Channel, kernel: RunningKernel) -> None:
    """Python is refused memory."""
    channel.receive(BOUNDS)
    held = []
    while True:
        held.append(bytes(1 << 20))


def swells_in_llvm(channel: Channel, kernel: RunningKernel) -> None:
    """LLVM is, which aborts."""
    channel.receive(BOUNDS)
    held = []
    try:
        while True:
            held.append(mmap.mmap(-1, 1 << 16))
    except OSError:
        pass
    from llvmlite import binding, ir  # noqa: PLC0415

    module = ir.Module()
    text = "".join(f"@a{number} = global [64 x i8] zeroinitializer\n" for number in range(200_000))
    binding.parse_assembly(str(module) + text)


def crashes(channel: Channel, kernel: RunningKernel) -> None:
    channel.receive(BOUNDS)
    ctypes.string_at(0)


def raises(channel: Channel, kernel: RunningKernel) -> None:
    channel.receive(BOUNDS)
    raise RecursionError("a deep nest\x1b[31m")


def leaves(channel: Channel, kernel: RunningKernel) -> None:
    """Without a word."""
    channel.receive(BOUNDS)


def closes(channel: Channel, kernel: RunningKernel) -> None:
    """The conversation, and lives on."""
    channel.receive(BOUNDS)
    os.close(3)
    select.poll().poll()


# how it lies in form: the document of an answer and its body, under what its asker says


def _said(built: Built) -> tuple[bytes, bytes]:
    return encode(Answer(built, None))


def _changed(old: str, new: str) -> tuple[bytes, bytes]:
    """An honest answer with a change in its document."""
    document, body = _said(honest())
    assert old.encode() in document
    return document.replace(old.encode(), new.encode(), 1), body


def _image(image: Image) -> tuple[bytes, bytes]:
    return _said(replace(honest(), images=(*honest().images, image)))


LIES: Mapping[str, Callable[[], tuple[bytes, bytes]]] = {
    "Expecting value: line 1 column 1 (char 0)": lambda: (b"", b""),
    "a list where a dict should be": lambda: (b"[]", b""),
    "a Answer with or without built, refusal": lambda: (b"{}", b""),
    "neither a Built nor a refusal, or both": lambda: (b'{"built":null,"refusal":null}', b""),
    "maximum recursion depth exceeded": lambda: (b"[" * 100_000, b""),
    "a number that is none: NaN": lambda: _changed('"verify_seconds":0.1', '"verify_seconds":NaN'),
    "a number beyond 64 bits": lambda: _changed('"instructions":2', f'"instructions":{1 << 70}'),
    "a str where a int should be": lambda: _changed('"instructions":2', '"instructions":"2"'),
    "a bool where a int should be": lambda: _changed('"instructions":2', '"instructions":true'),
    "a ProvedProgram with or without hook, root": lambda: _changed('"hook":', '"root":'),
    "5 bytes, and 4 are left": lambda: _changed('"data":4', '"data":5'),
    "-1 bytes, and 4 are left": lambda: _changed('"data":4', '"data":-1'),
    "4 bytes belong to nothing": lambda: _changed('"data":4', '"data":0'),
    "no platform is called 'plan9'": lambda: _said(replace(honest(), platform="plan9")),
    "no proof of xdp_pass": lambda: _said(honest("other")),
    "programs: 'pass-all' 2 times": lambda: _said(
        replace(honest(), programs=(*honest().programs, *honest().programs[1:]))
    ),
    "xdp_pass: bytecode: no SHA-256": lambda: _changed(NOTHING, NOTHING[1:]),
    "images: 'programs' 2 times": lambda: _image(honest().images[0]),
    "exports: 'batch' 2 times": lambda: _image(replace(honest().images[0], name="other")),
    "no image exports a loop": lambda: _said(replace(honest(), images=())),
    "the image 'other' is no ELF object": lambda: _image(Image("other", b"MZ", (), ())),
    "the image 'other' names 'system', which nothing exports": lambda: _image(Image("other", ELF, (), ("system",))),
    "a time below zero": lambda: _said(replace(honest(), verify_seconds=-1.0)),
    "no refusal is called 'SystemExit'": lambda: encode(Answer(None, Refusal("SystemExit", "", None, None))),
    "a Rejected whose report is a NoneType": lambda: encode(Answer(None, Refusal("Rejected", "", None, None))),
}


def lies(channel: Channel, kernel: RunningKernel) -> None:
    """The lie whose number the request has in the place of its workers."""
    request = decode(BuildRequest, *channel.receive(BOUNDS))
    channel.send(*list(LIES.values())[request.workers]())


def announces_too_much(channel: Channel, kernel: RunningKernel) -> None:
    """The head of a message that would take 4 GiB."""
    channel.receive(BOUNDS)
    os.write(3, HEAD.pack(MAGIC, 2, (1 << 32) - 1))
    select.poll().poll()


def says_nothing_of_ours(channel: Channel, kernel: RunningKernel) -> None:
    channel.receive(BOUNDS)
    os.write(3, b"HTTP/1.1 200 OK\r\n")
    select.poll().poll()
