"""Random lives of objects, maps and programs under threads that run programs (`lives`), each in a process of its own.

Run: python -m tests.fuzz lives [--seconds S] [--seed N]

Every life is lived with poisoned memory: what was freed is closed to everybody and stays so, and a process that looks
there is killed by SIGSEGV. A find is told with its seed: `python -m tests.fuzz.lives SEED --poison` lives it again.
"""

from __future__ import annotations

import subprocess
import sys
import time

LONGEST = 120  # seconds of one life


def what_happens(seed: int, *options: str) -> str | None:
    """How a life ends that does not end well; None of a good one."""
    command = [sys.executable, "-m", "tests.fuzz.lives", str(seed), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return f"it does not end within {LONGEST} s"
    if done.returncode:
        return f"exit status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    return None


def main(seconds: float, seed: int, least: int = 0) -> int:
    """Go on for so long, and at least so many lives; the number of finds."""
    end, now, found = time.monotonic() + seconds, seed, 0
    while time.monotonic() < end or now - seed < least:
        told = what_happens(now, "--poison")
        if told is not None:
            found += 1
            print(f"seed {now}: {told}", flush=True)
        now += 1
    print(f"lives: {now - seed}, {found} finds", flush=True)
    return found
