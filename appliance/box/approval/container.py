"""`OBJ.approved`: an approval with all that it is about, in one file that can be carried to another box.

    offset   bytes
    0        8        magic: 89 54 47 41 0d 0a 1a 0a (a transfer that changes line ends or bit 7 shows at once)
    8        4        number of parts
    12       8 each   length of each part
    …                 the parts: envelope │ objects, the filter's first │ images, in the order of the statement

Numbers are little endian. Nothing lies between the parts, and nothing behind them; how many there are the statement
says. So every byte of the file is either signed or could only be what it is. Reading it decides nothing: whether the
approval holds is for `Trust` to say.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.box.approval.envelope import LARGEST_ENVELOPE, Approval
from appliance.box.approval.files import read_guarded, trusted
from appliance.box.approval.statements.forms import Malformed
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest, ObjectFile

MAGIC = b"\x89TGA\r\n\x1a\n"
LARGEST_FILE = 256 << 20  # bytes
SUFFIX = ".approved"

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
_MOST_PARTS = 1024


@dataclass(frozen=True, slots=True)
class ApprovedFile:
    """What the file says. `request` and `built` have the bytes that lie in it, which need not be those approved."""

    approval: Approval
    request: BuildRequest
    built: Built

    def to_bytes(self) -> bytes:
        """The file."""
        objects = (self.request.object, *(each.object for each in self.request.called))
        parts = [self.approval.to_bytes(), *(each.data for each in objects), *(each.data for each in self.built.images)]
        lengths = (_LENGTH.pack(len(part)) for part in parts)
        return b"".join((MAGIC, _COUNT.pack(len(parts)), *lengths, *parts))

    @classmethod
    def of_bytes(cls, data: bytes, source: str) -> ApprovedFile:
        """Raises Malformed. `source` is what messages call its object."""
        try:
            envelope, *others = _parts(data)
            approval = Approval.of_bytes(envelope)
            claim = approval.statement().claim
            objects, images = others[: 1 + len(claim.called)], others[1 + len(claim.called) :]
            if len(objects) != 1 + len(claim.called) or len(images) != len(claim.images):
                raise Malformed(f"it holds {len(others)} objects and images, which is not what was signed")
        except Malformed as error:
            where = f" ({error.where})" if error.where else ""
            raise Malformed(f"no approval that can be read: {error.what}{where}", where=source) from None
        files = [ObjectFile(source, objects[0])]
        files += [
            ObjectFile(f"{source} ({called.program})", part)
            for called, part in zip(claim.called, objects[1:], strict=True)
        ]
        return cls(approval, claim.request(files), claim.built(images))

    @classmethod
    def load(cls, path: Path) -> ApprovedFile:
        """Raises FileRefused, Malformed."""
        return cls.of_bytes(bytes(read_guarded(path, trusted(LARGEST_FILE))), str(path))


def is_approved_file(begin: bytes) -> bool:
    """Whether a file that begins so means to be one."""
    return begin.startswith(MAGIC)


def _parts(data: bytes) -> Sequence[bytes]:
    if not is_approved_file(data):
        raise Malformed("it does not begin as one")
    at = len(MAGIC) + _COUNT.size
    if len(data) > LARGEST_FILE or len(data) < at:
        raise Malformed(f"a file of {len(data)} bytes")
    (count,) = _COUNT.unpack_from(data, len(MAGIC))
    if not 2 <= count <= _MOST_PARTS or len(data) < at + count * _LENGTH.size:
        raise Malformed(f"{count} parts")
    lengths = [length for (length,) in _LENGTH.iter_unpack(data[at : at + count * _LENGTH.size])]
    at += count * _LENGTH.size
    if at + sum(lengths) != len(data):
        raise Malformed("its parts are not as long as it says")
    if lengths[0] > LARGEST_ENVELOPE:
        raise Malformed(f"an envelope of {lengths[0]} bytes")
    parts = []
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts
