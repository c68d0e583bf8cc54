"""A rule set with one blocklist, in a process of its own: `python -m tests.bench.blocklist RULES [EMPTY-RULES]`.

Prints JSON: how long the load took and what memory it left, and, with a second rule set whose list is empty, what a
frame costs with both, in turns, and what it takes to change the first one's set while frames are judged.
"""

from __future__ import annotations

import json
import random
import statistics
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.box.filter_spec import FilterSpec
from appliance.cli.main import collect_rarely
from appliance.datapath.captures import Capture
from appliance.datapath.replay import ReplayLoop, replay
from appliance.jit.collection import Collection
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.sets.contents import Contents
from appliance.rules.sets.running import RunningSet

FRAMES = 1 << 16
ROUNDS = 9
CHANGES = 2000  # entries in and out, one by one
SET = "blocklist"


class Loaded:
    """A rule set with the set SET, loaded for a replay. For one thread."""

    def __init__(self, path: Path) -> None:
        rules = load_rule_set(path)
        filter_spec = FilterSpec.of_rules(compile_rule_set(rules), str(path))
        loops = ReplayLoop(filter_spec.hook, filter_spec.inward, None)
        self.collection = Collection.load(filter_spec.spec, programs=(filter_spec.inward,), loops=loops)
        self.contents = rules.sets[SET].contents
        self.set = RunningSet(SET, rules.sets[SET].type, self.collection.maps)

    def nanoseconds(self, capture: Capture) -> float:
        """What a frame of the capture costs."""
        return replay(self.collection.engine, capture).seconds * 1e9 / len(capture)


def main(path: Path, empty: Path | None) -> dict[str, object]:
    """All figures; seconds, bytes and nanoseconds."""
    collect_rarely()
    began = time.perf_counter()
    full = Loaded(path)
    figures: dict[str, object] = {"seconds": time.perf_counter() - began, "memory": memory(), "entries": len(full.set)}
    if empty is not None:
        figures |= frames(full, Loaded(empty)) | changes(full)
    return figures


def memory() -> dict[str, int]:
    """Bytes that are resident now, and that were at most."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    found = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return {"now": found["VmRSS:"], "most": found["VmHWM:"]}


def frames(full: Loaded, empty: Loaded) -> dict[str, object]:
    """What a frame costs, by whether its source is on the list, with the list and with none."""
    choice = random.Random(11)
    captures = {
        "listed": Capture.of([frame(address) for address in listed(full, choice)], "listed"),
        "unlisted": Capture.of([frame(choice.getrandbits(32)) for _ in range(FRAMES)], "unlisted"),
    }
    samples: dict[str, dict[str, list[float]]] = {name: {"full": [], "empty": []} for name in captures}
    for _ in range(ROUNDS):
        for name, capture in captures.items():
            samples[name]["full"].append(full.nanoseconds(capture))
            samples[name]["empty"].append(empty.nanoseconds(capture))
    return {"frames": samples}


def listed(full: Loaded, choice: random.Random) -> Iterator[int]:
    """Addresses in prefixes of the set."""
    (part, *_) = full.set.type.parts
    keys = full.contents.keys[part]
    for _ in range(FRAMES):
        at = choice.randrange(len(keys) // part.key_size) * part.key_size
        length, address = struct.unpack_from("<I", keys, at)[0], int.from_bytes(keys[at + 4 : at + 8], "big")
        yield address | choice.getrandbits(32) & (1 << (32 - length)) - 1


def frame(source: int) -> bytes:
    """64 bytes of UDP in IPv4; checksums are of no interest to the rules."""
    ethernet = bytes.fromhex("0200000000020200000000010800")
    ip = struct.pack(">BBHHHBBHI4s", 0x45, 0, 46, 0, 0, 64, 17, 0, source, bytes([192, 0, 2, 1]))
    return ethernet + ip + struct.pack(">HHHH", 40000, 9, 26, 0) + bytes(22)


def changes(full: Loaded) -> dict[str, object]:
    """Seconds of one entry in and out again, and of a list that differs in one entry of a hundred, while frames of all
    sources are judged without pause."""
    choice, over = random.Random(12), threading.Event()
    capture = Capture.of([frame(choice.getrandbits(32)) for _ in range(FRAMES)], "any")

    def judge() -> None:
        while not over.is_set():
            full.nanoseconds(capture)

    thread = threading.Thread(target=judge)
    thread.start()
    try:
        single = []
        for number in range(CHANGES):
            element = [f"240.0.{number >> 8}.{number & 255}"]
            began = time.perf_counter()
            full.set.add(element)
            full.set.remove(element)
            single.append((time.perf_counter() - began) / 2)
        began = time.perf_counter()
        replaced = full.set.replace(without_one_of_a_hundred(full))
        difference = time.perf_counter() - began
    finally:
        over.set()
        thread.join()
    single.sort()
    one = {"median": statistics.median(single), "p99": single[len(single) * 99 // 100]}
    return {"one": one, "difference": {"seconds": difference, "removed": replaced.removed}}


def without_one_of_a_hundred(full: Loaded) -> Contents:
    """The contents of the set, less every hundredth key."""
    kept = {}
    for part, keys in full.contents.keys.items():
        size = 100 * part.key_size
        kept[part] = b"".join(keys[at : at + size - part.key_size] for at in range(0, len(keys), size))
    return Contents(kept)


def run(words: Sequence[str]) -> None:
    print(json.dumps(main(Path(words[0]), Path(words[1]) if len(words) > 1 else None)))


if __name__ == "__main__":
    run(sys.argv[1:])
