"""The fuzzers of this folder: `python -m tests.fuzz [NAME…] [--seconds S] [--seed N]`, or `make fuzz OPTIONS="…"`.

With --seconds, each of them ends after about so long, with the wave that it is at. Without, each goes on for ten
minutes, and until it has judged what the table says. What is tried depends on the seed alone, which is told at the
start: the same one finds the same again. Every find is told with the seed that shows it at once. The exit status is 1
if there is any.

A fuzzer is a file fuzz_NAME.py with a function main(seconds, seed, least) that gives the number of its finds.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence

FUZZERS = {  # what each judges at least in a whole run, in its own units
    "aliases": 50_000,  # programs
    "engines": 100_000,  # programs
    "lives": 200,  # lives
    "objects": 10_000,  # files
    "rules": 1_000_000,  # frames
    "tables": 1_000_000,  # packets
    "verifier": 50_000,  # generated programs, besides the corpus
}
WHOLE = 600.0  # seconds
SEEDS = 1 << 32


def main(arguments: Sequence[str]) -> int:
    """Run those that are named, or all of them, one after the other; the number of finds."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="long runs against hostile input")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FUZZERS)} (default: all)")
    parser.add_argument("--seconds", type=float, help="for each of them (default: a whole run)")
    parser.add_argument("--seed", type=int, help="where to begin (default: by the clock)")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(FUZZERS):
        parser.error(f"no fuzzer {', '.join(sorted(unknown))}; there are {', '.join(FUZZERS)}")
    seed = time.time_ns() % SEEDS if given.seed is None else given.seed
    finds = 0
    for name in given.names or FUZZERS:
        print(f"{name}: from seed {seed}", flush=True)
        seconds, least = (WHOLE, FUZZERS[name]) if given.seconds is None else (given.seconds, 0)
        finds += importlib.import_module(f"tests.fuzz.fuzz_{name}").main(seconds, seed, least)
    return finds


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
