"""Values that go into a map and come out of it by no key: queues, stacks, bloom filters, and records of rings."""

from __future__ import annotations

import ctypes

from appliance.ebpf.map_types import MapType
from appliance.epochs import default_domain
from appliance.maps.control.guarded import GuardedMap
from appliance.maps.kind import Flag
from appliance.maps.operations import exported_operations
from appliance.maps.rings.perf_event_array import listen
from appliance.memory import RingMemory


class KeylessMap(GuardedMap):
    """Python's way to values without keys. What a map's type has not raises OperationRefused. Any thread."""

    # queues, stacks, bloom filters

    def push(self, value: bytes, flags: Flag = Flag.ANY) -> None:
        """Put `value` in; EXIST makes room in a full queue or stack by overwriting its oldest value.

        Raises MapFull, OperationRefused (a map with keys, a wrong size, other flags), MapFrozen.
        """
        self._check_writable()
        self._check(value, self.spec.value_size, "value")
        self._succeed(self._call("push", value, flags))

    def pop(self) -> bytes | None:
        """Take the next value out: a queue's oldest, a stack's newest; None if it is empty."""
        self._check_writable()
        return self._taken("pop")

    def peek(self) -> bytes | None:
        """What `pop` would give, left where it is."""
        if "pop" not in exported_operations(self._kind):
            raise self._refusal("peek")
        return self._taken("peek")

    def may_hold(self, value: bytes) -> bool:
        """Whether a bloom filter was given `value`: False is certain, True is probable."""
        self._check_readable()
        if self.spec.type is not MapType.BLOOM_FILTER:
            raise self._refusal("may_hold")
        self._check(value, self.spec.value_size, "value")
        return self._call("peek", value) == 0

    # rings

    def output(self, data: bytes, flags: int = 0) -> None:
        """Send a record from here, as a program's ringbuf_output does.

        Raises MapFull (there is no room until the consumer goes on), OperationRefused (no ring buffer, other flags).
        """
        self._succeed(self._call("output", data, len(data), flags))

    def query(self, what: int) -> int:
        """What ringbuf_query answers: AVAIL_DATA, RING_SIZE, CONS_POS or PROD_POS of `ringbuf_layout`, in bytes."""
        return self._call("query", what)

    def drain(self, out: ctypes.Array[ctypes.c_char], processor: int = 0) -> int:
        """Move what is ready out of a ring, as it lies there, until `out` is full; the bytes used. See `consumer`."""
        return self._call("drain", processor, out, len(out))

    def listen(self, on: bool) -> None:
        """Let programs send samples to a perf event array, or no longer: what its consumer does."""
        if self.spec.type is not MapType.PERF_EVENT_ARRAY:
            raise self._refusal("listen")
        with default_domain.reading(self._reader):
            self._check_open()
            listen(self._memory, self.shape, on)

    def wake_descriptor(self) -> int:
        """The eventfd that becomes readable when a consumer should look; the map's own. Rings alone have one."""
        self._check_open()
        if not isinstance(self._memory, RingMemory):
            raise self._refusal("wake_descriptor")
        return self._memory.wake

    def _taken(self, operation: str) -> bytes | None:
        self._check_readable()
        value = ctypes.create_string_buffer(self.spec.value_size)
        return value.raw if self._call(operation, value) == 0 else None
