"""Random programs about keys, values and locks (`aliases`): what is accepted runs without a fault, and to its end.

Run: python -m tests.fuzz aliases [--seconds S] [--seed N]

The interpreter is the oracle: it knows of every pointer whether what it leads to is still there, and of every lock who
holds it. With the proof's care for either taken out (a callback's values all with the id 0; its keys without an end),
the first finds are among some hundred seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from appliance.ebpf.interpreter import Context, Fault, Interpreter, PacketMemory
from appliance.helpers.model.table import python_helpers
from appliance.maps import models
from appliance.verifier import Rejected, Verifier
from hooks.contracts.xdp import XDP_LINUX, FrameContext
from tests.fuzz.aliases import MAPS, random_program

WAVE = 500  # programs between two looks at the clock


def judged(seed: int) -> tuple[bool, str | None]:
    """Whether the program of that seed is accepted, and what goes wrong when it then runs."""
    program = random_program(seed)
    try:
        Verifier(MAPS).verify(program)
    except Rejected:
        return False, None
    maps = models(MAPS)
    for map_ in maps.values():
        for key in (1, 2):
            map_.update(key.to_bytes(8, "little"), bytes(16), 0)
    try:
        Interpreter(program, maps, python_helpers()).run(Context(XDP_LINUX, FrameContext(), PacketMemory(bytes(64))))
    except Fault as fault:
        return True, str(fault)
    return True, None


def finds(seeds: Iterable[int]) -> tuple[int, list[str]]:
    """How many programs of those seeds are accepted, and what goes wrong, with its seed."""
    accepted, found = 0, []
    for seed in seeds:
        good, fault = judged(seed)
        accepted += good
        if fault is not None:
            found.append(f"seed {seed}: {fault}")
    return accepted, found


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Go on for so long, and at least so many programs; the number of finds."""
    end, first, accepted, found = time.monotonic() + seconds, seed, 0, 0
    while time.monotonic() < end or first - seed < least:
        good, wrong = finds(range(first, first + WAVE))
        first, accepted, found = first + WAVE, accepted + good, found + len(wrong)
        for line in wrong:
            print(line, flush=True)
    print(f"aliases: {first - seed} programs, {accepted} accepted, {found} finds", flush=True)
    return found
