"""A flood out of the kernel itself, at a rate: an XDP program on live frames (`hooks.kernel.live_frames`).

    worker    four times a millisecond: what is due ──> one call of the kernel
    kernel    per frame: the program (`program.py`) ──> the interface's driver ──> its far end

All runs are on one processor, as the program demands: the machine's first. A million frames a second take half of it.
"""

from __future__ import annotations

import ctypes
import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack

from appliance.lab.attacks.frames import AttackFrame
from appliance.lab.attacks.program import MOST_BYTES, Template, flood_program, template_of
from appliance.lab.attacks.schedule import Schedule
from appliance.lab.worker import Counts
from hooks.interfaces.netdev import find_interface
from hooks.kernel.live_frames import LiveFrames
from hooks.kernel.objects import KernelArray
from hooks.kernel.programs import KernelXdp

LONGEST_LAG = 0.01  # seconds


class KernelFlood:
    """Sends frames made of the given ones by `interface`, of the namespace that the calling thread is in. That thread
    keeps to one processor from then on. For one thread."""

    PAUSE_SECONDS = 0.00025  # attackers are many: what is due in a whole millisecond, at once, keeps others waiting

    def __init__(self, interface: str, frames: Sequence[AttackFrame]) -> None:
        """Raises HookError where the kernel has no live frames."""
        self._attacks = [frame.attack for frame in frames]
        self._schedule = Schedule(LONGEST_LAG)
        with ExitStack() as undo:
            self._templates = undo.enter_context(KernelArray(ctypes.sizeof(Template), len(frames)))
            for number, frame in enumerate(frames):
                self._templates[number] = bytes(template_of(frame))
            code = flood_program(self._templates.descriptor, len(frames), find_interface(interface).index)
            program = undo.enter_context(KernelXdp(code))
            self._frames = undo.enter_context(LiveFrames(program, MOST_BYTES))
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            self._frames.send(1)  # does the kernel let us?
            self._owned = undo.pop_all()

    def set_rate(self, rate: float) -> None:
        """Send so many frames a second from now on, as far as the processor can."""
        self._schedule.set_rate(rate)

    def catch_up(self) -> None:
        """Send what is due."""
        if due := self._schedule.take():
            self._frames.send(due)

    def counts(self) -> Counts:
        """How many frames of each attack were made."""
        sent: dict[str, list[int]] = defaultdict(lambda: [0])
        for number, attack in enumerate(self._attacks):
            sent[attack][0] += int(Template.from_buffer_copy(self._templates[number]).sent)
        return dict(sent)

    def close(self) -> None:
        self._owned.close()
