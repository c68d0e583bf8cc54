"""What a run holds and must give back: records of ring buffers, and one lock."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ebpf.interpreter.maps import InterpreterMap
from appliance.ebpf.interpreter.regions import Pointer, Region
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.spec import LOCK_SIZE


@dataclass(frozen=True, slots=True)
class _Record:
    map: InterpreterMap
    region: Region
    data: bytearray


class References:
    """Starts empty, and must be empty when the program ends. For one thread."""

    __slots__ = ("_lock", "_records")

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._lock: Pointer | None = None

    def reserve_record(self, map_: InterpreterMap, data: bytearray) -> Pointer:
        """A pointer to a record that was just reserved."""
        region = Region(f"a record of the map {map_.spec.name!r}", data)
        self._records[id(region)] = _Record(map_, region, data)
        return Pointer(region, 0)

    def release_record(self, pointer: Pointer, flags: int, *, discard: bool) -> None:
        """Submit or discard it; every pointer to it is dead then."""
        record = self._records.get(id(pointer.region))
        if record is None or pointer.offset:
            raise Violation(
                f"only a record as it was reserved can be given back, and not offset {pointer.offset} of "
                f"{pointer.region.name}",
                pointer.region.name,
                pointer.offset,
            )
        del self._records[id(pointer.region)]
        record.region.end("that was discarded" if discard else "that was submitted")
        record.map.commit(record.data, flags, discard=discard)

    def lock(self, pointer: Pointer) -> None:
        """Take the lock that is there. One run at a time is all there is: nobody else can hold it."""
        pointer.region.read(pointer.offset, LOCK_SIZE)
        self._lock = pointer

    def unlock(self, pointer: Pointer) -> None:
        """Give the lock back that is there."""
        if self._lock != pointer:
            raise Violation("an unlock of a lock that is not held", pointer.region.name, pointer.offset)
        self._lock = None

    def demand_no_lock(self, action: str) -> None:
        """No lock may be held now."""
        if self._lock is not None:
            raise Violation(f"{action} while a lock is held", self._lock.region.name, self._lock.offset)

    def demand_no_record(self) -> None:
        """The program ends: no record may be held any more."""
        for record in self._records.values():
            raise Violation(f"the program ends and has not given back {record.region.name}", record.region.name)
