"""The control plane of an array of programs: `array[2] = program`, in and out, while tail calls lead through it.

What a place holds is an address of native code, and code is short-lived:

    array ──> own programs of the object that declares it      follow each other over a reload (`follow`)
          └─> programs of other objects                        held, code and maps, however soon their owners close them

An array that lives on when its object is closed, as others hold it, holds the object's programs from then on.

What is taken out can't end at once: a run may have read the address a moment ago, and may still be in the code behind
it. So programs of others stay held until the array ends, or until `settle` is told that every run that may have got
there has returned. (The kernel waits for an RCU grace period in that place.)
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.ir import Engine
from appliance.maps.array.prog_array import ADDRESS_SIZE, NUMBER_SIZE
from appliance.maps.control.map import Map
from appliance.maps.errors import NoSuchEntry, OperationRefused
from appliance.maps.kind import Flag
from hooks.contracts.contract import HookPoint


@dataclass(frozen=True, eq=False)
class Target:
    """A loaded program, as tail calls reach it: its code and the maps that the code works on, for so many workers."""

    spec: ProgramSpec
    address: int
    engine: Engine
    maps: tuple[Map, ...]
    processors: int

    @property
    def target(self) -> Target:
        return self

    @cached_property
    def number(self) -> int:
        """What the control plane sees in an array: 32 bits of a digest of name and instructions, the same wherever and
        however often the program is loaded. (The kernel numbers programs as they come.)"""
        digest = hashlib.sha256(repr((self.spec.name, self.spec.instructions)).encode()).digest()
        return int.from_bytes(digest[:NUMBER_SIZE], "little")


class HasTarget(Protocol):
    """Something that tail calls can lead to."""

    @property
    def target(self) -> Target: ...


Index: TypeAlias = int | bytes  # or the key: 4 bytes in the machine's order


class ProgArray(Map):
    """A map whose values are programs: entries are written as `array[index] = program`, or a name of the same object.

    `lookup`, `items` and their like give numbers (`Target.number`), as on Linux; `update` takes none.
    """

    def __init__(self, spec: MapSpec, processors: int) -> None:
        super().__init__(spec, processors)
        self._own: Mapping[str, Target] = {}
        self._entries: dict[int, Target] = {}
        self._held: list[Target] = []
        self._hook: HookPoint | None = None
        self._changing = threading.Lock()

    # what the object that declares it says

    def name_programs(self, targets: Mapping[str, Target]) -> None:
        """The programs that go by their name; `fill` puts those in that the declaration wants there."""
        self._own = targets

    def follow(self, targets: Mapping[str, Target]) -> None:
        """Go on with the programs that those of the object before have become; one that is no more leaves its place.

        Code of both may be running. What they were may be closed once no run is left that began before."""
        with self._changing:
            own, self._own = self._own, targets
            for index, held in list(self._entries.items()):
                if own.get(held.spec.name) is held:
                    self._write(index, targets.get(held.spec.name))

    def outlive(self, targets: Iterable[Target]) -> None:
        """Its own programs are given up by the object that declares it, while the array lives on: hold them, too."""
        with self._changing:
            for target in targets:
                if self._own.get(target.spec.name) is target:
                    self._keep(target)
                    self._own = {name: own for name, own in self._own.items() if own is not target}

    def serve(self, hook: HookPoint, where: str) -> None:
        """Programs of that hook make tail calls through it. Raises OperationRefused if those of another one do."""
        if self._hook is None:
            self._hook = hook
        elif self._hook != hook:
            what = f"{where} of hook `{hook.name}` makes tail calls through it, as programs of `{self._hook.name}` do"
            raise OperationRefused(self.spec.name, what, hint="give each hook an array of its own")

    # entries

    def __getitem__(self, index: Index) -> Target:
        """The program at the index. Raises NoSuchEntry."""
        found = self.get(index)
        if found is None:
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))
        return found

    def get(self, index: Index) -> Target | None:
        """The program at the index, or None."""
        self._check_readable()
        number = self._number(index)
        with self._changing:
            self._check_open()
            return self._entries.get(number)

    def __setitem__(self, index: Index, program: str | HasTarget) -> None:
        self.put(index, program)

    def put(self, index: Index, program: str | HasTarget, flags: int = Flag.ANY) -> None:
        """Let tail calls to the index lead to `program` from now on: one that is loaded, or the name of one of the
        object that declares the array.

        Raises OperationRefused for a program of another hook, one that was loaded for fewer workers, a name that isn't
        loaded, or flags; NoSuchEntry for an index beyond the end; MapFrozen; RuntimeError if it is closed.
        """
        self._check_writable()
        self._put_program(index, program, flags)

    def __delitem__(self, index: Index) -> None:
        if not self._delete(self._number(index)):
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))

    def delete(self, key: bytes) -> bool:
        """Let tail calls to the index lead nowhere; False if they did already."""
        return self._delete(self._number(key))

    def lookup(self, key: bytes, processor: int = 0, flags: int = Flag.ANY) -> bytes | None:
        """The number of the program at the index, or None."""
        found = self.get(key)
        return None if found is None else found.number.to_bytes(NUMBER_SIZE, "little")

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> None:
        """Raises OperationRefused: a number does not lead to a program."""
        raise OperationRefused(
            self.spec.name, "its values are programs, and numbers only to look at", hint="write array[index] = program"
        )

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every index that has a program, and the program's number, as they are now."""
        return ((key, number) for key in self.keys() if (number := self.lookup(key)) is not None)

    def keys(self) -> Iterator[bytes]:
        """Every index that has a program, as they are now."""
        self._check_readable()
        with self._changing:
            self._check_open()
            return iter([index.to_bytes(len(b"key."), "little") for index in sorted(self._entries)])

    def clear(self) -> None:
        """Take every program out."""
        for key in self.keys():
            self.delete(key)

    # lifetime

    def settle(self) -> int:
        """Let go the programs of others that were taken out or replaced; how many. To be called when all native code
        that may have been led there has returned since: between two runs, or once all workers have passed a batch."""
        with self._changing:
            now = set(self._entries.values())
            gone = [target for target in self._held if target not in now]
            self._held = [target for target in self._held if target in now]
        for target in gone:
            self._let_go(target)
        return len(gone)

    def reset(self) -> None:
        """Back to what it held when it was opened. No native code may work on it meanwhile."""
        with self._changing:
            self._entries = {}
        super().reset()
        self.settle()

    def _end(self) -> None:
        super()._end()
        gone, self._held, self._entries, self._own = self._held, [], {}, {}
        for target in gone:
            self._let_go(target)

    def _fill(self) -> None:
        for index, name in self.spec.values:
            self._put_program(index, name, Flag.ANY)

    def _put_program(self, index: Index, program: str | HasTarget, flags: int) -> None:
        number = self._number(index)
        if flags != Flag.ANY:
            self._fail(-errno.EINVAL)
        target = self._own.get(program) if isinstance(program, str) else program.target
        if target is None:
            known = ", ".join(self._own) or "none"
            raise OperationRefused(self.spec.name, f"no program {program!r} is loaded", hint=f"loaded: {known}")
        self._check_fits(target)
        with self._changing:
            self._check_open()
            if self._own.get(target.spec.name) is not target and target not in self._held:
                self._keep(target)
            self._write(number, target)

    def _check_fits(self, target: Target) -> None:
        name = target.spec.name
        if target.processors < self.processors:
            what = (
                f"the program {name!r} was loaded for {target.processors} workers, and {self.processors} may get there"
            )
            raise OperationRefused(self.spec.name, what)
        self.serve(target.spec.hook, f"the program {name!r}")

    def _delete(self, number: int) -> bool:
        self._check_writable()
        with self._changing:
            self._check_open()
            found = number in self._entries
            self._write(number, None)
        return found

    def _write(self, index: int, target: Target | None) -> None:
        """One aligned store of 8 bytes, which running code sees whole or not at all."""
        place = ctypes.c_uint64.from_address(self.address + index * ADDRESS_SIZE)
        place.value = 0 if target is None else target.address
        if target is None:
            self._entries.pop(index, None)
        else:
            self._entries[index] = target

    def _keep(self, target: Target) -> None:
        """Hold the code and the maps of another object's program."""
        target.engine.hold()
        for map_ in target.maps:
            if map_ is not self:
                map_.hold()
        self._held.append(target)

    def _let_go(self, target: Target) -> None:
        for map_ in target.maps:
            if map_ is not self:
                map_.release()
        target.engine.release()

    def _number(self, index: Index) -> int:
        if isinstance(index, bytes):
            self._check(index, self.spec.key_size, "key")
            index = int.from_bytes(index, "little")
        if not 0 <= index < self.spec.max_entries:
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))
        return index
