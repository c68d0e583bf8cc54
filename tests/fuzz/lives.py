"""Random lives of objects, maps and programs, while other threads run programs: `python -m tests.fuzz.lives SEED`.

                         pins ── outer: an array of one map ── inner ── another inner …
                          │      programs: an array of one program
    object, object, …  ───┤      counts: how often each program ran
      │         │         └
      │         └─ test runs, by threads of Python
      └─ a link, whose worker judges frames that come from a neighbour (with --attached: root, and namespaces)

All objects share the maps, by their pins or because one is loaded with those of another. Their programs stay in the
inner map for a while. One thread puts maps in, takes them out and closes them at once, opens objects, attaches them,
loads them anew and closes them, in an order that the seed decides. Names, addresses and descriptors are soon used
again. It is a process of its own: whoever frees too early kills it. In the end, programs have counted what was seen.

    --attached    with workers on interfaces, too
    --poison      under the shadow: whoever looks at what was freed dies at once, and not only if the place is empty
    --careless    everything is freed without waiting for readers: what this must find
    --selfish     who frees waits for threads of Python, not for workers: the same
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from appliance.api import Link, Loaded, Pins, open_object
from appliance.epochs import default_domain
from appliance.errors import TidegateError
from appliance.maps import MapOfMaps, open_map
from appliance.maps.control.map import Map
from hooks.contracts.contract import Verdict
from tests.appliance.ebpf.compiling import compile_c
from tests.fuzz import shadow
from tests.netns import Topology, run_inside

KEY = bytes(4)
FRAME = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(50)
STEPS, READERS, MOST_OBJECTS, BURST = 60, 2, 3, 16
STAY, DROP = 0, 1  # places in `counts`
SOURCE = """
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 50000); __type(key, __u32); __type(value, __u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32);
         __uint(pinning, LIBBPF_PIN_BY_NAME); } programs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64);
         __uint(pinning, LIBBPF_PIN_BY_NAME); } counts SEC(".maps");
static void count(__u32 place) {
    __u64 *runs = bpf_map_lookup_elem(&counts, &place);
    if (runs) __sync_fetch_and_add(runs, 1);
}
static long turn(__u32 index, void **found) {
    __u64 one = 1, *known = bpf_map_lookup_elem(*found, &index);
    if (known) __sync_fetch_and_add(known, 1); else bpf_map_update_elem(*found, &index, &one, 0);
    return 0;
}
SEC("xdp") int stay(struct xdp_md *ctx) {
    __u32 key = 0; void *found = bpf_map_lookup_elem(&outer, &key);
    count(0);
    if (found) bpf_loop(20000, turn, &found, 0);
    bpf_tail_call(ctx, &programs, 0);
    return XDP_PASS;
}
SEC("xdp") int drop(struct xdp_md *ctx) { count(1); return XDP_DROP; }
"""


class Lives:
    """All that lives, and what may happen to it. Its methods are for one thread, but for `run` and `send`."""

    def __init__(self, seed: int, pins: Pins, network: Topology | None) -> None:
        self._pick = random.Random(seed)
        self._pins = pins
        self._network = network
        self._link: Link | None = None
        self._attached: Loaded | None = None
        self._inner: Map | None = None
        self.objects: list[Loaded] = []
        self.over = False
        self.verdicts: list[object] = []  # of every run that was seen: list.append is for any thread

    def open(self) -> None:
        """Another object on the same maps: the pinned ones, or those of another object."""
        if len(self.objects) < MOST_OBJECTS:
            self.objects.append(self._opened())

    def close(self) -> None:
        """One of them ends, if another one is left; so does its link."""
        if len(self.objects) > 1:
            self._closed(self.objects.pop(self._pick.randrange(len(self.objects))))

    def reload(self) -> None:
        """One of them is loaded anew with its own maps, and the old one ends while others still run its programs."""
        place = self._pick.randrange(len(self.objects))
        old, self.objects[place] = self.objects[place], self._opened(self.objects[place])
        self._closed(old)

    def attach(self) -> None:
        """A worker begins to run one of them, listening or in the middle of the line; or it ends."""
        if self._network is None:
            return
        if self._link is not None:
            self._detach()
            return
        loaded = self._pick.choice(self.objects)
        program = loaded.programs["stay"]
        ports = self._pick.choice((("outside",), ("outside", "inside")))
        self._link = run_inside(self._network.box, lambda: program.attach(*ports))
        self._attached = loaded

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
        """The counts add up, and everything is closed."""
        self._detach()
        counts = self.objects[0].maps["counts"]
        counted = [int.from_bytes(counts.lookup(place.to_bytes(4, "little")) or b"", "little") for place in (0, 1)]
        seen = [len(self.verdicts), self.verdicts.count(Verdict.DROP)]
        assert counted == seen, f"programs counted {counted} runs, and {seen} were seen"
        for loaded in self.objects:
            loaded.close()
        self._give_up()

    def run(self) -> None:
        """What a reading thread does until it is over: run a program of whichever object there is."""
        pick = random.Random(threading.get_ident())
        while not self.over:
            with suppress(TidegateError, RuntimeError):  # of an object that was closed meanwhile
                self.verdicts.append(pick.choice(self.objects).programs["stay"].test_run(FRAME).verdict)

    def send(self) -> None:
        """What the neighbour does until it is over."""
        assert self._network is not None
        pause = threading.Event()
        with self._network.outside.packet_socket() as wire:
            while not self.over:
                wire.send(*[FRAME] * BURST)
                pause.wait(0.002)

    def _opened(self, other: Loaded | None = None) -> Loaded:
        found = open_object(compile_c(SOURCE))
        if other is None and self.objects and self._pick.random() < 0.5:
            other = self._pick.choice(self.objects)
        if other is None:
            return found.load(pins=self._pins)
        for name in found.maps:
            found.maps[name].reuse(other.maps[name])
        return found.load()

    def _closed(self, loaded: Loaded) -> None:
        loaded.close()
        if self._attached is loaded:
            self._detach()

    def _detach(self) -> None:
        if self._link is not None:
            self._link.detach()
            for verdict, count in self._link.statistics()["outside"].verdicts.items():
                self.verdicts += [verdict] * count.packets
            self._link = self._attached = None

    @property
    def _outer(self) -> MapOfMaps:
        outer = self._pick.choice(self.objects).maps["outer"]
        assert isinstance(outer, MapOfMaps)
        return outer

    def _give_up(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None


def live(seed: int, network: Topology | None) -> int:
    """One life; how many times a program ran in it."""
    with Pins() as pins:
        lives = Lives(seed, pins, network)
        lives.open()
        lives.put()
        pick = random.Random(seed)
        # Test runs and workers are waited for in different ways, and who waits for one may save the other.
        readers = [lives.run] * READERS if network is None else [*[lives.run] * pick.randrange(READERS + 1), lives.send]
        with running(readers, lives):
            steps: list[Callable[[], None]] = [lives.put, lives.take_out, lives.open, lives.close, lives.lead]
            steps += [lives.put, lives.look, lives.reload, lives.attach]
            for _ in range(STEPS):
                pick.choice(steps)()
        lives.end()
    default_domain.synchronize()
    assert default_domain.statistics().retired == 0, "what was given up is not freed"
    return len(lives.verdicts)


@contextmanager
def running(bodies: list[Callable[[], None]], lives: Lives) -> Iterator[None]:
    """Threads, until the block ends. What one of them raises is raised here."""
    errors: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        lives.over = True
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a program does not end"
    if errors:
        raise errors[0]


def main(seed: int, options: set[str]) -> int:
    if "--careless" in options:
        default_domain.retire = lambda free: free()  # type: ignore[assignment,method-assign]
    if "--selfish" in options:
        default_domain.register = lambda reader: None  # type: ignore[assignment,method-assign]
    if "--poison" in options:
        shadow.cast()
    with ExitStack() as held:
        return live(seed, held.enter_context(Topology()) if "--attached" in options else None)


if __name__ == "__main__":
    print(main(int(sys.argv[1]), set(sys.argv[2:])))
