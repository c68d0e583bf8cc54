"""What can be wrong with a capture: all of it, or what follows some place.

CaptureRefused     the file is none, or nothing of it can be replayed
Damaged            what was read before is good; the rest can't be read
"""

from __future__ import annotations

from appliance.errors import InputRefused


class CaptureRefused(InputRefused):
    """The file is not a capture of frames that can be judged."""


class Damaged(Exception):
    """The file can't be read on. `position` counts bytes of the capture (unpacked, if it was packed)."""

    def __init__(self, why: str, position: int) -> None:
        super().__init__(why)
        self.why = why
        self.position = position


class Cut(Damaged):
    """The file ends before a record does."""

    def __init__(self, position: int) -> None:
        super().__init__("the capture is cut in the middle of a record", position)
