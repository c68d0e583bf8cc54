"""The public face: eBPF objects opened, changed, loaded, test-run and attached, in the shape of libbpf.

    with open_object("filter.bpf.o").load() as loaded:
        run = loaded.programs["filter"].test_run(frame)

docs/python-api.md shows it at work. `import appliance; appliance.open_object(…)` is the same function.
"""

from appliance.api.errors import NoSuchName, ValueUnfit, WrongState
from appliance.api.link import Link
from appliance.api.loaded import Loaded, LoadedProgram
from appliance.api.object import Object, ObjectProgram, open_object
from appliance.api.object_map import ObjectMap
from appliance.api.pins import Pins
from appliance.api.test_run import TestRun
from appliance.api.typed_map import TypedMap, TypedQueue
from appliance.api.types import Types
from appliance.ebpf.values import Codec, make_dataclass
from appliance.epochs import GracePeriodExpired, default_domain
from appliance.helpers.routing.tables import RoutingTables
from appliance.maps.control.perf_buffer import PerfBuffer
from appliance.maps.control.ring_buffer import RingBuffer

__all__ = [
    "Codec",
    "GracePeriodExpired",
    "Link",
    "Loaded",
    "LoadedProgram",
    "NoSuchName",
    "Object",
    "ObjectMap",
    "ObjectProgram",
    "PerfBuffer",
    "Pins",
    "RingBuffer",
    "RoutingTables",
    "TestRun",
    "TypedMap",
    "TypedQueue",
    "Types",
    "ValueUnfit",
    "WrongState",
    "make_dataclass",
    "open_object",
    "synchronize",
]

synchronize = default_domain.synchronize
