"""Memory that outlives code, and where it comes from: this process alone, or an arena that several processes share.

    layout     what a map needs: bytes in one piece, or rings that lie there twice
    reserve    who gives it: `PRIVATE`, for this process alone, or an `Arena`
    memory     the bytes at an address

In an arena the same byte has the same address in every process, so that native code of one works on what another made.
"""

from appliance.memory.arena import Arena
from appliance.memory.layouts import PAGE, Layout, Plain, Rings
from appliance.memory.memory import Memory, Reserve, RingMemory
from appliance.memory.private import PRIVATE

__all__ = ["PAGE", "PRIVATE", "Arena", "Layout", "Memory", "Plain", "Reserve", "RingMemory", "Rings"]
