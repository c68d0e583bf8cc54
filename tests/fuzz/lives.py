"""Random lives of objects, maps and programs, while other threads run programs: `python -m tests.fuzz.lives SEED`.

Two or more objects share a map of maps and an array of programs by their pins. Some threads run a program that stays in
the inner map for a while; this one puts maps in, takes them out and closes them at once, opens objects, loads them anew
with the maps of others, and closes them, in an order that the seed decides. Names, addresses and descriptors are soon
used again. It is a process of its own: whoever frees too early kills it.

    --poison      memory of maps that was given back is closed to everybody and never used again, so that whoever still
                  looks there dies at once, and not only if the place happens to be empty
    --careless    everything is freed without waiting for readers: what this must find
"""

from __future__ import annotations

import ctypes
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from appliance.api import Loaded, Pins, open_object
from appliance.epochs import default_domain
from appliance.errors import TidegateError
from appliance.maps import MapOfMaps, open_map
from appliance.maps.control.map import Map
from appliance.maps.memory import Memory
from tests.appliance.ebpf.compiling import compile_c

KEY = bytes(4)
FRAME = bytes(64)
STEPS, READERS, MOST_OBJECTS = 60, 2, 3
PROT_NONE = 0
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect
_mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_poisoned: dict[int, Memory] = {}
SOURCE = """
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 50000); __type(key, __u32); __type(value, __u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); } programs SEC(".maps");
static long turn(__u32 index, void **found) {
    __u64 one = 1, *known = bpf_map_lookup_elem(*found, &index);
    if (known) __sync_fetch_and_add(known, 1); else bpf_map_update_elem(*found, &index, &one, 0);
    return 0;
}
SEC("xdp") int stay(struct xdp_md *ctx) {
    __u32 key = 0; void *found = bpf_map_lookup_elem(&outer, &key);
    if (found) bpf_loop(20000, turn, &found, 0);
    bpf_tail_call(ctx, &programs, 0);
    return XDP_PASS;
}
SEC("xdp") int drop(struct xdp_md *ctx) { return XDP_DROP; }
"""


class Lives:
    """All that lives, and what may happen to it. Its methods are for one thread, but for `run`."""

    def __init__(self, seed: int, pins: Pins) -> None:
        self._pick = random.Random(seed)
        self._pins = pins
        self._file = open_object(compile_c(SOURCE))
        self._inner: Map | None = None
        self.objects: list[Loaded] = []
        self.over = False
        self.runs = 0

    def open(self) -> None:
        """Another object on the pinned maps."""
        if len(self.objects) < MOST_OBJECTS:
            self.objects.append(open_object(compile_c(SOURCE)).load(pins=self._pins))

    def close(self) -> None:
        """One of them ends, if another one is left."""
        if len(self.objects) > 1:
            self.objects.pop(self._pick.randrange(len(self.objects))).close()

    def put(self) -> None:
        """A new map goes in; the one that was there is given up at once."""
        outer = self._outer
        made = open_map(outer.inner)
        outer[KEY] = made
        self._give_up()
        self._inner = made

    def take_out(self) -> None:
        with suppress(TidegateError):
            del self._outer[KEY]
        self._give_up()

    def lead(self) -> None:
        """A program goes into the array, or out of it."""
        loaded = self._pick.choice(self.objects)
        programs = loaded.maps["programs"]
        with suppress(TidegateError):
            if self._pick.random() < 0.6:
                programs[0] = loaded.programs["drop"]
            else:
                del programs[0]

    def look(self) -> None:
        """Python reads what programs write."""
        if self._inner is not None:
            len(list(zip(range(100), self._inner.items(), strict=False)))

    def end(self) -> None:
        for loaded in self.objects:
            loaded.close()
        self._give_up()

    def run(self) -> None:
        """What a reading thread does until it is over: run a program of whichever object there is."""
        pick = random.Random(threading.get_ident())
        while not self.over:
            with suppress(TidegateError, RuntimeError, IndexError):  # of an object that was closed meanwhile
                pick.choice(self.objects).programs["stay"].test_run(FRAME)
                self.runs += 1

    @property
    def _outer(self) -> MapOfMaps:
        outer = self._pick.choice(self.objects).maps["outer"]
        assert isinstance(outer, MapOfMaps)
        return outer

    def _give_up(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None


def live(seed: int) -> int:
    """One life; how many times a program ran in it."""
    with Pins() as pins:
        lives = Lives(seed, pins)
        lives.open()
        lives.put()
        readers = [threading.Thread(target=lives.run) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        pick = random.Random(seed)
        steps: list[Callable[[], None]] = [
            lives.put,
            lives.put,
            lives.take_out,
            lives.open,
            lives.close,
            lives.lead,
            lives.look,
        ]
        for _ in range(STEPS):
            pick.choice(steps)()
        lives.over = True
        for reader in readers:
            reader.join(30)
        assert not any(reader.is_alive() for reader in readers), "a program does not end"
        lives.end()
    default_domain.synchronize()
    assert default_domain.statistics().retired == 0, "what was given up is not freed"
    return lives.runs


def poison(memory: Memory) -> None:
    """In the place of Memory.close: the addresses stay taken, and are nobody's."""
    if memory.address not in _poisoned:
        _poisoned[memory.address] = memory  # kept, or its mapping would end with it
        if _mprotect(memory.address, memory.size, PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")


if __name__ == "__main__":
    if "--careless" in sys.argv:
        default_domain.retire = lambda free: free()  # type: ignore[assignment,method-assign]
    if "--poison" in sys.argv:
        Memory.close = poison  # type: ignore[method-assign]
    print(live(int(sys.argv[1])))
