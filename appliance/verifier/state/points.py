"""Where states meet."""

from __future__ import annotations

from typing import NamedTuple

END = -1  # the block that stands for a function's end
ANYWHERE = -2  # the block that stands for all blocks of a function, and its end


class Point(NamedTuple):
    """Where states meet: the block of a function (by its first instruction), its end (END), all of it (ANYWHERE)."""

    function: int
    block: int
