"""The bytes of a capture file in memory of their own, unpacked if gzip packed them.

The file is read once and not mapped, because a mapping of a file that somebody cuts ends in SIGBUS. The memory may be
written to: the file stays as it is.
"""

from __future__ import annotations

import mmap
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from appliance.datapath.captures.errors import CaptureRefused

GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952 section 2.3.1
LARGEST_UNPACKED = 8 << 30  # bytes: a packed file may be a thousand times larger than it looks
_FIRST_ROOM, _PIECE = 1 << 20, 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


def read_contents(path: Path) -> tuple[mmap.mmap, str | None]:
    """A copy of the file's bytes, and what was wrong with their end, if anything was. Raises CaptureRefused."""
    try:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                hint = "save the capture to a file first"
                raise CaptureRefused("not a regular file", where=str(path), hint=hint)
            is_packed = os.pread(file.fileno(), len(GZIP_MAGIC), 0) == GZIP_MAGIC
            contents, size, defect = _unpack(file) if is_packed else _copy(file, status.st_size)
    except OSError as error:
        raise CaptureRefused(f"can't be read: {error.strerror or error}", where=str(path)) from error
    if size == 0:
        contents.close()
        raise CaptureRefused(defect or "the file is empty", where=str(path))
    contents.resize(size)
    return contents, defect


def memory_of(contents: bytes) -> mmap.mmap:
    """Bytes in memory of their own."""
    memory = _room(max(len(contents), 1))
    memory[: len(contents)] = contents
    return memory


def _copy(file: BinaryIO, size: int) -> tuple[mmap.mmap, int, None]:
    """As long as the file was when it was opened, or shorter if it was cut meanwhile."""
    contents, end = _room(max(size, 1)), 0
    with memoryview(contents) as view:
        while got := file.readinto(view[end:size]):  # type: ignore[attr-defined]
            end += got
    return contents, end, None


def _unpack(file: BinaryIO) -> tuple[mmap.mmap, int, str | None]:
    """What can be unpacked, and why no more could."""
    contents, end = _room(_FIRST_ROOM), 0
    try:
        for piece in _pieces(file):
            if end + len(piece) > LARGEST_UNPACKED:
                return contents, end, f"there are more than {LARGEST_UNPACKED >> 20} MiB in it"
            if end + len(piece) > len(contents):
                contents.resize(min(2 * len(contents), LARGEST_UNPACKED))
            contents[end : end + len(piece)] = piece
            end += len(piece)
    except (EOFError, zlib.error) as error:
        return contents, end, f"it can't be unpacked to its end: {error}"
    return contents, end, None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """One capture may be packed in several members, as by a writer that was started again."""
    packed = b""
    while True:
        member = zlib.decompressobj(wbits=_GZIP)
        while not member.eof:
            packed = packed or file.read(_PIECE)
            piece = member.decompress(packed, _PIECE)
            if not packed and not piece:
                raise EOFError("the packed file is cut")
            packed = member.unconsumed_tail
            yield piece
        packed = member.unused_data or file.read(_PIECE)
        if not packed.strip(b"\0"):  # gzip pads to blocks of tapes with zeros
            return


def _room(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
