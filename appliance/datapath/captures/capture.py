"""A capture: every frame of a pcap or pcapng file that can be judged, and what became of the others.

A frame is where its bytes are, how many there are, how long it was, and when it came. A frame of another link type than
Ethernet is shown as an Ethernet frame (`link_types`). A frame that was recorded in part keeps its true length, and what
is beyond the recorded part reads as zeros. A capture that ends in the middle of a record gives the frames before it and
says so in `defect`.
"""

from __future__ import annotations

import ctypes
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from appliance.closeable import Closeable
from appliance.datapath.captures.contents import memory_of, read_contents
from appliance.datapath.captures.errors import CaptureRefused, Damaged
from appliance.datapath.captures.link_types import ETHERNET, LINK_TYPES, NotConvertible, as_ethernet, known_link_types
from appliance.datapath.captures.pcap import FILE_HEADER, PCAP_MAGIC, PacketRecord, pcap_link_type, read_pcap
from appliance.datapath.captures.pcapng import PCAPNG_MAGIC, read_pcapng
from appliance.datapath.layout import LONGEST_FRAME, ReplayFrame

FRAME = struct.Struct("=QIIIIQ")  # ReplayFrame, and the fields of Record


class Record(NamedTuple):
    """One frame: where its bytes are in memory, how many there are, how long it was (never less), the verdict it got
    (an index into VERDICTS, 0 until then), which program judges it (0 inward, 1 outward), and when it was captured
    (nanoseconds since 1970)."""

    offset: int
    captured: int
    length: int
    verdict: int
    program: int
    time_ns: int


class Capture(Closeable):
    """The frames of one file in memory. A context manager; what came from it is invalid after `close`.

    `shortened` counts the frames of which the file holds only the beginning (a snap length when it was recorded);
    `unread` counts the frames that can't be judged, by what they are; `links` counts the others, by link type.
    Any thread may read it; one closes it.
    """

    def __init__(self, path: Path, contents: bytes | None = None) -> None:
        """Read and index the file, or what is given in its place. Raises CaptureRefused if it is no capture or none of
        its frames can be judged."""
        self.path = path
        self.defect: str | None = None
        self.shortened = 0
        self.unread = Counter[str]()
        self.links = Counter[str]()
        self._data, unpacked = read_contents(path) if contents is None else (memory_of(contents), None)
        self.table = bytearray()
        try:
            for found in self._read():
                self._add(found)
        except Damaged as damage:
            self.defect = f"{path}: {damage.why} (at byte {damage.position}); the frames before it are used"
        if unpacked is not None:
            self.defect = f"{path}: {unpacked}; the frames before that are used"
        if self.unread and not self.table:
            raise _refused(path, f"none of its {self.unread.total()} frames can be replayed: {_listed(self.unread)}")

    @classmethod
    def of(cls, frames: Iterable[bytes], name: str) -> Capture:
        """Ethernet frames, a second after the clock's beginning; `name` stands for the file's."""
        header = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, LONGEST_FRAME, ETHERNET)
        records = (struct.pack("=IIII", 1, 0, len(frame), len(frame)) + frame for frame in frames)
        return cls(Path(name), header + b"".join(records))

    def __len__(self) -> int:
        return len(self.table) // FRAME.size

    def records(self) -> Iterator[Record]:
        """Every frame in the order of the file."""
        return map(Record._make, FRAME.iter_unpack(self.table))

    def frame(self, record: Record) -> bytes:
        """A copy of the frame, in its true length."""
        return self._data[record.offset : record.offset + record.captured].ljust(record.length, b"\0")

    def first_bytes(self, record: Record, most: int) -> bytes:
        """A copy of a frame's first bytes, as far as they were recorded."""
        return self._data[record.offset : record.offset + min(record.captured, most)]

    @property
    def base(self) -> int:
        """The address of the file's bytes; a record's offset counts from there."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._data))

    @property
    def remarks(self) -> list[str]:
        """What whoever reads the result has to know of the capture."""
        remarks = [self.defect] if self.defect else []
        if self.unread:
            remarks.append(f"{self.path}: {self.unread.total()} frames can't be replayed: {_listed(self.unread)}")
        if self.shortened:
            what = "were recorded in part, and are judged by their true length; what is missing reads as zeros"
            remarks.append(f"{self.path}: {self.shortened} frames {what}")
        return remarks

    def _read(self) -> Iterator[PacketRecord]:
        magic = self._data[:4]
        if magic == PCAPNG_MAGIC:
            return read_pcapng(self._data)
        if magic not in PCAP_MAGIC:
            raise CaptureRefused("not a pcap or pcapng file", where=str(self.path))
        if len(self._data) < FILE_HEADER:
            raise CaptureRefused("the file ends within its header", where=str(self.path))
        link = pcap_link_type(self._data)
        if link not in LINK_TYPES:
            raise _refused(self.path, f"link type {link} can't be replayed")
        return read_pcap(self._data)

    def _add(self, found: PacketRecord) -> None:
        offset, captured, original = found.offset, found.captured, max(found.captured, found.original)
        kind = LINK_TYPES.get(found.link)
        if kind is None:
            self.unread[f"of link type {found.link}"] += 1
            return
        if kind.read is not None:
            try:
                offset, captured, original = as_ethernet(self._data, offset, captured, original, kind.read)
            except NotConvertible as reason:
                self.unread[str(reason)] += 1
                return
        captured = min(captured, LONGEST_FRAME)
        length = min(original, LONGEST_FRAME)
        self.table += FRAME.pack(offset, captured, length, 0, 0, found.time_ns)
        self.shortened += original > captured
        self.links[kind.name] += 1

    def close(self) -> None:
        self._data.close()


def _refused(path: Path, what: str) -> CaptureRefused:
    return CaptureRefused(what, where=str(path), hint=f"captures of these link types can be: {known_link_types()}")


def _listed(unread: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in unread.most_common())


assert FRAME.size == ctypes.sizeof(ReplayFrame)
