"""The control plane of an array of programs: `array[2] = program`, in and out, while tail calls lead through it.

What a place holds is an address of native code, and code is short-lived:

    array ──> own programs of the object that declares it      follow each other over a reload (`follow`)
          └─> programs of other objects                        held while they are in, whoever closes them

An array that lives on when its object is closed, as others hold it, holds the object's programs from then on.

What is taken out is let go a grace period later (appliance.epochs): a run may have read the address a moment ago, and
may still be in the code behind it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TypeAlias

from appliance.ebpf.spec import MapSpec
from appliance.epochs import assign_pointer, default_domain
from appliance.maps.array.prog_array import ADDRESS_SIZE, NUMBER_SIZE
from appliance.maps.control.map import Map
from appliance.maps.control.target import HasTarget, Target
from appliance.maps.errors import NoSuchEntry, OperationRefused
from appliance.maps.kind import Flag
from appliance.memory import Reserve
from hooks.contracts.contract import HookPoint

Index: TypeAlias = int | bytes  # or the key: 4 bytes in the machine's order


class ProgArray(Map):
    """A map whose values are programs: entries are written as `array[index] = program`, or a name of the same object.

    `lookup`, `items` and their like give numbers (`Target.number`), as on Linux; `update` takes none.
    Any thread may change entries, and load objects that share it.
    """

    def __init__(self, spec: MapSpec, processors: int, reserve: Reserve) -> None:
        super().__init__(spec, processors, reserve)
        self._own: Mapping[str, Target] = {}
        self._entries: dict[int, Target] = {}
        self._held: list[Target] = []  # of those in the entries, the ones that are not its own object's
        self._hook: HookPoint | None = None
        self._changing = threading.Lock()

    # what the object that declares it says

    def name_programs(self, targets: Mapping[str, Target]) -> None:
        """The programs that go by their name; `fill` puts those in that the declaration wants there."""
        self._own = targets

    def follow(self, targets: Mapping[str, Target]) -> None:
        """Go on with the programs that those of the object before have become; one that is no more leaves its place.

        Code of both may be running. Raises what `check_followers` raises, and changes nothing then."""
        with default_domain.reading(self._reader), self._changing:
            if self.closed:
                return
            self._check_followers(targets)
            for index, name in self._own_entries():
                self._write(index, targets.get(name))
            self._own = targets

    def check_followers(self, targets: Mapping[str, Target]) -> None:
        """Raises OperationRefused if one of the programs that would go on in its name's place does not belong there."""
        with self._changing:
            self._check_followers(targets)

    def _check_followers(self, targets: Mapping[str, Target]) -> None:
        for _, name in self._own_entries():
            if name in targets:
                self._check_fits(targets[name])

    def _own_entries(self) -> list[tuple[int, str]]:
        """Where programs of the object that declares it are, and their names."""
        return [
            (index, target.spec.name)
            for index, target in self._entries.items()
            if self._own.get(target.spec.name) is target
        ]

    def outlive(self, targets: Iterable[Target]) -> None:
        """Its own programs are given up by the object that declares it, while the array lives on: hold them, too."""
        gone = set(targets)
        with self._changing:
            for target in gone.intersection(self._entries.values()) - set(self._held):
                target.hold(but=self)
                self._held.append(target)
            self._own = {name: own for name, own in self._own.items() if own not in gone}

    def serve(self, hook: HookPoint, where: str) -> None:
        """Programs of that hook make tail calls through it. Raises OperationRefused if those of another one do."""
        with self._changing:
            self._serve(hook, where)

    def _serve(self, hook: HookPoint, where: str) -> None:
        """`serve`, with the lock held: of two hooks that come at once, one is the first."""
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
        loaded, or flags; NoSuchEntry for an index beyond the end; MapFrozen; RuntimeError if it is closed;
        GracePeriodExpired if too much waits for a reader that hangs.
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

    def reset(self) -> None:
        """Back to what it held when it was opened. No native code may work on it meanwhile."""
        with self._changing:
            self._entries = {}
            gone = self._unused()
        super().reset()
        self._let_go(gone)

    def _end(self) -> None:
        super()._end()
        with self._changing:
            self._entries, self._own = {}, {}
            gone = self._unused()
        self._let_go(gone)

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
        with self._changing:
            self._check_fits(target)
        default_domain.throttle()
        with default_domain.reading(self._reader), self._changing:
            self._check_open()
            if self._own.get(target.spec.name) is not target and target not in self._held:
                target.hold(but=self)
                self._held.append(target)
            self._write(number, target)
            gone = self._unused()
        self._let_go(gone)

    def _check_fits(self, target: Target) -> None:
        """With the lock held."""
        name = target.spec.name
        if target.processors < self.processors:
            what = (
                f"the program {name!r} was loaded for {target.processors} workers, and {self.processors} may get there"
            )
            raise OperationRefused(self.spec.name, what)
        self._serve(target.spec.hook, f"the program {name!r}")

    def _delete(self, number: int) -> bool:
        self._check_writable()
        default_domain.throttle()
        with default_domain.reading(self._reader), self._changing:
            self._check_open()
            found = number in self._entries
            self._write(number, None)
            gone = self._unused()
        self._let_go(gone)
        return found

    def _write(self, index: int, target: Target | None) -> None:
        """One store of 8 bytes, which running code sees whole or not at all."""
        assign_pointer(self.address + index * ADDRESS_SIZE, 0 if target is None else target.address)
        if target is None:
            self._entries.pop(index, None)
        else:
            self._entries[index] = target

    def _unused(self) -> list[Target]:
        """Those held that are in no place any more: they are to be let go, once `_changing` is free again."""
        now = set(self._entries.values())
        gone = [target for target in self._held if target not in now]
        self._held = [target for target in self._held if target in now]
        return gone

    def _let_go(self, targets: Iterable[Target]) -> None:
        """Runs that begin now are not led there any more; those that were go on."""
        for target in targets:
            default_domain.retire(partial(target.release, but=self))

    def _number(self, index: Index) -> int:
        if isinstance(index, bytes):
            self._check(index, self.spec.key_size, "key")
            index = int.from_bytes(index, "little")
        if not 0 <= index < self.spec.max_entries:
            raise NoSuchEntry(self.spec.name, NoSuchEntry.meaning.format(self.spec.max_entries))
        return index
