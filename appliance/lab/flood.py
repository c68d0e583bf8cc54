"""The lab's attackers: a process that sends a mix of attacks at the rate that it is told.

Up to some hundred thousand frames a second leave by a packet socket, evenly; more than that the kernel itself makes
(`attacks/in_kernel.py`), where it can.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from appliance.lab.attacks.frames import attack_frames
from appliance.lab.attacks.in_kernel import KernelFlood
from appliance.lab.attacks.mix import deal
from appliance.lab.attacks.sockets import SocketFlood
from appliance.lab.worker import RATE, Lab
from hooks.errors import HookError
from hooks.scheduling import run_first

SOCKET_FRAMES = 576  # different ones, of all attacks together
KERNEL_FRAMES = 240  # fewer: they are copied, and their sources are drawn anew for every frame
HURRY = 2  # an attacker is another machine, and what this one has to do, the box included, doesn't hold it back


def main() -> None:
    settings = json.loads(sys.argv[1])
    run_first(HURRY)
    with closing(open_flood(settings)) as flood:
        lab = Lab(flood.counts, {RATE: flood.set_rate})
        if lab.ready():
            flood.set_rate(settings["rate"])
            while not lab.is_over(flood.PAUSE_SECONDS):
                flood.catch_up()
            lab.report()


def open_flood(settings: Mapping[str, Any]) -> SocketFlood | KernelFlood:
    """What sends as the settings say, or by a socket where the kernel doesn't do it."""
    if settings["in_kernel"]:
        try:
            return KernelFlood(settings["interface"], attack_frames(deal(settings["mix"], KERNEL_FRAMES)))
        except HookError as error:
            sys.stderr.write(f"a packet socket sends the attack, slowly: {error}\n")
    return SocketFlood(settings["interface"], attack_frames(deal(settings["mix"], SOCKET_FRAMES)))


if __name__ == "__main__":
    main()
