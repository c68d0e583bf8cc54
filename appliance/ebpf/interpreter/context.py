"""What r1 points to when a program starts: the hook's context, and the memories that it describes."""

from __future__ import annotations

import errno
from collections.abc import Callable

from appliance.ebpf.interpreter.regions import Pointer, Region, Value
from appliance.ebpf.interpreter.violation import Violation
from hooks.contracts.contract import ContextField, FieldKind, HookPoint, HostContext

ETH_HLEN = 14
HEADROOM = 256
TAILROOM = 320
METADATA_MOST = 255


class PacketMemory:
    """One frame with room on both sides. `data`, `data_end` and `data_meta` are indices into `buffer`.

        0             data_meta   data               data_end      len(buffer)
        | headroom        | meta    | the frame         | tailroom     |
        +-----------------+---------+-------------------+--------------+

    Pointers into it count from `data`. Each move of a boundary makes a new `region` and ends the old one, and with it
    every pointer the program had. For one thread.
    """

    def __init__(self, frame: bytes, *, headroom: int = HEADROOM, tailroom: int = TAILROOM) -> None:
        self.buffer = bytearray(headroom) + frame + bytes(tailroom)
        self.data = self.data_meta = headroom
        self.data_end = headroom + len(frame)
        self.region = self._survey()

    @property
    def frame(self) -> bytes:
        """The frame as it is now."""
        return bytes(self.buffer[self.data : self.data_end])

    def adjust_head(self, distance: int) -> int:
        """Move the start, and the metadata in front of it, by `distance` bytes. 0, or -EINVAL (and no change)."""
        metadata = self.data - self.data_meta
        start = self.data + distance
        if start < metadata or start + ETH_HLEN > self.data_end:
            return -errno.EINVAL
        self.buffer[start - metadata : start] = self.buffer[self.data_meta : self.data]
        self.data, self.data_meta = start, start - metadata
        self._move()
        return 0

    def adjust_tail(self, distance: int) -> int:
        """Move the end by `distance` bytes; what is won is zero. 0, or -EINVAL (and no change)."""
        end = self.data_end + distance
        if end > len(self.buffer) or end < self.data + ETH_HLEN:
            return -errno.EINVAL
        if distance > 0:
            self.buffer[self.data_end : end] = bytes(distance)
        self.data_end = end
        self._move()
        return 0

    def adjust_meta(self, distance: int) -> int:
        """Move the start of the metadata by `distance` bytes. 0; -EINVAL outside of the headroom, -EACCES for a size
        that is no multiple of 4 or more than METADATA_MOST (and no change)."""
        start = self.data_meta + distance
        if not 0 <= start <= self.data:
            return -errno.EINVAL
        if (self.data - start) % 4 or self.data - start > METADATA_MOST:
            return -errno.EACCES
        self.data_meta = start
        self._move()
        return 0

    def _move(self) -> None:
        self.region.end("before it was moved")
        self.region = self._survey()

    def _survey(self) -> Region:
        return Region(
            "the packet",
            self.buffer,
            origin=-self.data,
            low=self.data_meta - self.data,
            high=self.data_end - self.data,
        )


class Context(Region):
    """The context: bytecode sees the fields of the hook's layout, and nothing between them.

    Pointers lead into `packet`, which a hook without frames does not have, and into `app_id`, the path of the program
    that asks. Scalars live in `host`, the structure that the layout's host offsets belong to (a FrameContext, for XDP);
    a program's writes go there. For one thread.
    """

    __slots__ = ("_packet", "_scalars", "app_id", "hook", "host")

    def __init__(
        self, hook: HookPoint, host: HostContext, packet: PacketMemory | None = None, *, app_id: bytes = b""
    ) -> None:
        super().__init__("the context", bytearray(hook.context.size))
        self.hook = hook
        self.host = host
        self.app_id = Region("the application's path", bytearray(app_id), writable=False)
        self._packet = packet
        self._scalars = memoryview(host).cast("B")

    @property
    def packet(self) -> PacketMemory:
        """The frame. Raises Violation if the run has none."""
        if self._packet is None:
            raise Violation("works on a packet, and there is none here")
        return self._packet

    def load(self, offset: int, size: int) -> Value:
        field = self._field(offset, size, "read")
        if field.kind in _POINTERS:
            return _POINTERS[field.kind](self)
        if not field.may_read(offset, size):
            raise Violation(f"read of {size} bytes at offset {offset} of {field.name}", self.name, offset)
        start = field.host_offset + offset - field.offset
        return int.from_bytes(self._scalars[start : start + size], "little")

    def store(self, offset: int, size: int, value: Value) -> None:
        field = self._field(offset, size, "write")
        if not field.writes:
            raise Violation(f"write to the context's {field.name}, which is read-only", self.name, offset)
        if not field.may_write(offset, size):
            raise Violation(f"write of {size} bytes at offset {offset} of {field.name}", self.name, offset)
        if not isinstance(value, int):
            raise Violation(f"a pointer does not fit the context's {field.name}", self.name, offset)
        start = field.host_offset + offset - field.offset
        self._scalars[start : start + size] = (value & (1 << size * 8) - 1).to_bytes(size, "little")

    def read(self, offset: int, size: int) -> bytes:
        raise Violation("the context can't be read as bytes", self.name, offset)

    def write(self, offset: int, content: bytes) -> None:
        raise Violation("the context can't be written as bytes", self.name, offset)

    def _field(self, offset: int, size: int, access: str) -> ContextField:
        field = self.hook.context.field_at(offset, size)
        if field is None:
            name = self.hook.context.name
            raise Violation(f"{access} of {size} bytes at offset {offset} is no field of {name}", self.name, offset)
        return field


# Where a pointer that is loaded from the context leads.
_POINTERS: dict[FieldKind, Callable[[Context], Pointer]] = {
    FieldKind.PACKET_START: lambda context: Pointer(context.packet.region, 0),
    FieldKind.PACKET_END: lambda context: Pointer(context.packet.region, context.packet.data_end - context.packet.data),
    FieldKind.PACKET_META: lambda context: Pointer(
        context.packet.region, context.packet.data_meta - context.packet.data
    ),
    FieldKind.APP_ID_START: lambda context: Pointer(context.app_id, 0),
    FieldKind.APP_ID_END: lambda context: Pointer(context.app_id, context.app_id.high),
}
