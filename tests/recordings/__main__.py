"""Make recordings: `python -m tests.recordings [NAME…] [--folder FOLDER]`. Needs root, and the programs."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.recordings.registry import RECORDINGS


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recordings", description="Record good traffic.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"what to record: {', '.join(RECORDINGS)}")
    parser.add_argument("--folder", type=Path, default=Path("build/recordings"))
    options = parser.parse_args(words)
    if unknown := set(options.names) - RECORDINGS.keys():
        parser.error(f"no recording {', '.join(sorted(unknown))}; there are: {', '.join(RECORDINGS)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECORDINGS:
        if missing := [each for each in RECORDINGS[name].needs if not shutil.which(each)]:
            print(f"{name}: left out, there is no {', '.join(missing)}")
            continue
        began, path = time.monotonic(), options.folder / f"{name}.pcap"
        RECORDINGS[name].write(path)
        print(f"{name}: {path}, {path.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
