"""Random lives of objects, maps and programs under threads that run programs (`lives`), each in a process of its own.

Run: python -m tests.fuzz lives [--seconds S] [--seed N]

Every life is lived under the shadow: what was freed is closed to everybody, and a process that looks there is killed by
SIGSEGV. Every second one has workers on interfaces, where this process may make namespaces. A find is told with the
command that lives it again; threads are not to be commanded, so that may take some times.
"""

from __future__ import annotations

import subprocess
import sys
import time

from hooks.errors import HookError
from tests.netns import Topology

LONGEST = 120  # seconds of one life


def options(seed: int, *, attached: bool) -> tuple[str, ...]:
    """How that life is lived."""
    return ("--poison", "--attached") if attached and seed % 2 else ("--poison",)


def what_happens(seed: int, *options: str) -> str | None:
    """How a life ends that does not end well; None of a good one."""
    command = [sys.executable, "-m", "tests.fuzz.lives", str(seed), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return f"it does not end within {LONGEST} s"
    if done.returncode:
        return f"exit status {done.returncode}: {' '.join(done.stderr.strip().splitlines()[-1:])}"
    return None


def may_attach() -> bool:
    """Whether this process may make namespaces, and interfaces in them."""
    try:
        Topology().close()
    except HookError:
        return False
    return True


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Go on for so long, and at least so many lives; the number of finds."""
    end, now, found, attached = time.monotonic() + seconds, seed, 0, may_attach()
    while time.monotonic() < end or now - seed < least:
        how = options(now, attached=attached)
        told = what_happens(now, *how)
        if told is not None:
            found += 1
            print(f"seed {now}: {told}; python -m tests.fuzz.lives {now} {' '.join(how)}", flush=True)
        now += 1
    what = "" if attached else ", none with workers"
    print(f"lives: {now - seed}{what}, {found} finds", flush=True)
    return found
