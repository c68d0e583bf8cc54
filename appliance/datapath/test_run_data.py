"""The data of a test run: the memory that the context of a hook points into, laid down before and read back after.

XDP     | headroom |  the frame  | tailroom |        the room around it is that of a page, as in the kernel
BIND    | the path of the program that binds |
others  nothing: all that they see is in the context
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import ClassVar

from hooks.contracts.bind import LONGEST_PATH, BindContext
from hooks.contracts.contract import HostContext
from hooks.contracts.xdp import FrameContext

HEADROOM = 256  # XDP_PACKET_HEADROOM
PAGE_ROOM = 4096 - HEADROOM - 320  # what a page holds behind the headroom and before struct skb_shared_info
SHORTEST_FRAME = 14  # an Ethernet header
LONGEST_FRAME = 262144


class TestRunData:
    """Data of one test run, and here none. `shortest` and `longest` are in bytes; `what` and `limits` are for messages.
    For the thread that makes the test run."""

    what: ClassVar[str] = "data"
    limits: ClassVar[str] = "this hook has none: everything is in the context"
    shortest: ClassVar[int] = 0
    longest: ClassVar[int] = 0

    def __init__(self, context: HostContext, data: bytes) -> None:
        """Lay the data down and tell the context where. It stays there as long as this object lives."""

    def after(self, context: HostContext) -> bytes:
        """The data as the context has it now."""
        return b""


class FrameData(TestRunData):
    """A frame. For the thread that makes the test run."""

    what = "a frame"
    limits = f"an Ethernet frame here has {SHORTEST_FRAME} to {LONGEST_FRAME} bytes"
    shortest, longest = SHORTEST_FRAME, LONGEST_FRAME

    def __init__(self, context: HostContext, data: bytes) -> None:
        tailroom = max(0, PAGE_ROOM - len(data))
        self._memory = ctypes.create_string_buffer(bytes(HEADROOM) + data, HEADROOM + len(data) + tailroom)
        start = ctypes.addressof(self._memory) + HEADROOM
        context.hard_start, context.data, context.data_meta = start - HEADROOM, start, start
        context.data_end, context.hard_end = start + len(data), start + len(data) + tailroom

    def after(self, context: HostContext) -> bytes:
        return ctypes.string_at(context.data, context.data_end - context.data)


class PathData(TestRunData):
    """The path of the program that binds: on Windows, in UTF-16. For the thread that makes the test run."""

    what = "a path"
    limits = f"the path of the program that binds has up to {LONGEST_PATH} bytes"
    longest = LONGEST_PATH

    def __init__(self, context: HostContext, data: bytes) -> None:
        self._memory = ctypes.create_string_buffer(data, len(data) + 1)
        context.app_id_start = ctypes.addressof(self._memory)
        context.app_id_end = context.app_id_start + len(data)

    def after(self, context: HostContext) -> bytes:
        return ctypes.string_at(context.app_id_start, context.app_id_end - context.app_id_start)


_KINDS: Mapping[type[HostContext], type[TestRunData]] = {FrameContext: FrameData, BindContext: PathData}


def data_of(host: type[HostContext]) -> type[TestRunData]:
    """What kind of data test runs with contexts of that structure have."""
    return _KINDS.get(host, TestRunData)
