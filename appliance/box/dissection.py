"""Frames of captures as a rule set sees them: its parser, compiled natively, over a capture."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from appliance.closeable import Closeable
from appliance.datapath.captures import Capture
from appliance.datapath.replay import ReplayLoop, replay
from appliance.ebpf.objects.objects import load_object
from appliance.helpers.native.call import Clock
from appliance.jit.collection import Collection
from appliance.rules.model import Rule
from appliance.rules.tunnels import Tunnels
from appliance.rules.walk import Dissected, dissector
from appliance.rules.walk.dissector import BATCH, DISSECTED, PROGRAM, SEEN


class Dissection(Closeable):
    """The dissector, loaded; it reads every field, and what the rules have of their own. For one thread."""

    def __init__(self, rules: Iterable[Rule] = (), tunnels: Tunnels | None = None) -> None:
        self._dissector = dissector(rules, tunnels)
        spec = load_object(self._dissector.object, "dissector.o")
        loops = ReplayLoop(spec.programs[PROGRAM].hook, PROGRAM, None)
        self._collection = Collection.load(spec, programs=(PROGRAM,), clock=Clock.FRAME, loops=loops)

    def frames(self, capture: Capture) -> Iterator[Dissected]:
        """Every frame of a capture, in its order."""
        seen, dissected = (self._collection.maps[name] for name in (SEEN, DISSECTED))
        for start in range(0, len(capture), BATCH):
            stop = min(start + BATCH, len(capture))
            seen.update(bytes(4), bytes(8))
            replay(self._collection.engine, capture, start, stop)
            for number in range(stop - start):
                value = dissected.lookup(struct.pack("=I", number))
                assert value is not None
                yield self._dissector.read(value)

    def close(self) -> None:
        self._collection.close()
