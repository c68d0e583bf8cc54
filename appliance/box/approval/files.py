"""Files that nobody else could have put there or changed: how they are opened, read and made.

                    secret (a private key)     trusted (a public key, a list)
    kind            a regular file, and no symbolic link (O_NOFOLLOW), pipe or device
    owner           whoever runs this, or root
    mode            others: nothing            others: may read
    size            bounded; it is read once, whole, and what was read is what counts

All of it is asked of the open descriptor, so that nobody can exchange the file between the question and the reading.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import InputRefused

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a pipe is not waited for
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FileRefused(InputRefused):
    """The file is missing, somebody else's, open to others, too large, or no file at all."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What is asked of a file: `forbidden` are the bits of its mode that it may not have, `most` its bytes."""

    forbidden: int
    most: int
    advice: str


def secret(most: int) -> Guard:
    """For what nobody else may read."""
    return Guard(stat.S_IRWXG | stat.S_IRWXO, most, "chmod 600")


def trusted(most: int) -> Guard:
    """For what nobody else may write."""
    return Guard(stat.S_IWGRP | stat.S_IWOTH, most, "chmod go-w")


def read_guarded(path: str | Path, guard: Guard, folder: int | None = None) -> bytearray:
    """The whole file, which the caller may wipe; `folder` is the descriptor that `path` is relative to. Raises
    FileRefused."""
    try:
        descriptor = os.open(path, _READ, dir_fd=folder)
    except OSError as error:
        raise _refusal(path, _words(error)) from None
    try:
        _check(path, os.fstat(descriptor), guard)
        return _read(path, descriptor, guard.most)
    finally:
        os.close(descriptor)


def make_new(path: str | Path, data: bytes, mode: int, folder: int | None = None) -> None:
    """Write a file that was not there, on the disk when this returns. Raises FileRefused; nothing is left then."""
    try:
        descriptor = os.open(path, _MAKE, mode, dir_fd=folder)
    except FileExistsError:
        hint = "nothing is overwritten: choose another name, or move the old one away"
        raise FileRefused("it exists already", where=str(path), hint=hint) from None
    except OSError as error:
        raise _refusal(path, _words(error)) from None
    try:
        os.fchmod(descriptor, mode)  # whatever the umask says
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    except OSError as error:
        with suppress(OSError):
            os.unlink(path, dir_fd=folder)
        raise _refusal(path, _words(error)) from None
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file beside it, then give it the name: who reads finds the old or the new, whole. Raises FileRefused."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    make_new(beside, data, mode)
    try:
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise _refusal(path, _words(error)) from None


def exists(path: Path) -> bool:
    """Whether there is anything of that name, a link that leads nowhere included."""
    return os.path.lexists(path)


def _check(path: str | Path, found: os.stat_result, guard: Guard) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "it is no regular file")
    if found.st_uid not in (0, os.geteuid()):
        hint = f"it must belong to root or to user {os.geteuid()}, who runs this"
        raise FileRefused(f"it belongs to user {found.st_uid}", where=str(path), hint=hint)
    if found.st_mode & guard.forbidden:
        may = "read" if guard.forbidden & stat.S_IROTH else "change"
        what = f"others may {may} it (mode {stat.S_IMODE(found.st_mode):04o})"
        raise FileRefused(what, where=str(path), hint=f"{guard.advice} {path}")
    if found.st_size > guard.most:
        raise _refusal(path, f"it is larger than {guard.most} bytes")


def _read(path: str | Path, descriptor: int, most: int) -> bytearray:
    """Not more than was allowed, even if it grows meanwhile."""
    data = bytearray()
    while chunk := os.read(descriptor, min(1 << 20, most + 1 - len(data))):
        data += chunk
        if len(data) > most:
            raise _refusal(path, f"it is larger than {most} bytes")
    return data


def _words(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed"
    return (error.strerror or type(error).__name__).lower()


def _refusal(path: str | Path, what: str) -> FileRefused:
    return FileRefused(what, where=str(path))
