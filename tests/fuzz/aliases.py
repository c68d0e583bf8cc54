"""Random programs about who may still be pointed to: elements of one map, their keys, and the locks in their values.

    main        slots at r10 - 8 and r10 - 16 for pointers, 0 at first; r10 - 24 a key
      walk      for_each_map_elem with a callback, which gets the slots as its context
      find      a lookup, whose value is used, locked or kept in a slot
      use       what a slot holds is read, if it is no null pointer
      lock      one value is locked, and one unlocked: the same, or what the other slot holds
    callback    the same, of the element that it gets; keys, values and places of its own stack go into the slots, too,
                and walks are nested

Most of them are wrong in some way, and must be rejected; one that is accepted must run without a fault, whatever it
finds. The functions that are called back call only functions behind them, so that everything ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec, ProgramSpec
from hooks.contracts.xdp import XDP_LINUX

LOCK = 8  # where in a value its lock is
MAPS = {
    "guarded": MapSpec("guarded", MapType.HASH, 8, 16, 8, lock=LOCK),
    "plain": MapSpec("plain", MapType.HASH, 8, 16, 8),
}
SLOTS = (0, 8)
CALLBACKS = 2

# r6 and r7 hold pointers to the key and the value of a callback's element (in main 0); r8 points to the slots.
_ENTRY = {
    True: ["*(u64 *)(r10 - 8) = 0", "*(u64 *)(r10 - 16) = 0", "r6 = 0", "r7 = 0", "r8 = r10", "r8 += -16"],
    False: ["r6 = r2", "r7 = r3", "r8 = r4"],
}


def random_program(seed: int) -> ProgramSpec:
    """The program of that seed: always the same one."""
    return ProgramSpec(f"seed {seed}", "xdp", XDP_LINUX, assemble(_Writer(random.Random(seed)).text()))


class _Writer:
    """Writes one program. `has_element` says whether r6 and r7 hold pointers in the function at hand."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self._labels = 0
        self._map = pick.choice(list(MAPS))

    def text(self) -> str:
        lines = self._function(None)
        for number in range(CALLBACKS):
            lines += [f"callback{number}:", *self._function(number)]
        return "\n".join(lines)

    def _function(self, number: int | None) -> list[str]:
        is_main = number is None
        self._next = 0 if number is None else number + 1
        self.has_element = not is_main
        lines = [*_ENTRY[is_main], *(self._walk() if is_main else self._keep())]
        for _ in range(self._pick.randint(1, 6)):
            lines += self._pick.choice(self._statements)()
        return [*lines, "r0 = 2" if is_main else f"r0 = {self._pick.randint(0, 1)}", "exit"]

    @property
    def _statements(self) -> tuple[Callable[[], list[str]], ...]:
        return (self._walk, self._find, self._use, self._keep, self._lock, self._lock)

    def _label(self) -> str:
        self._labels += 1
        return f"l{self._labels}"

    def _walk(self) -> list[str]:
        """Elements of the map, one after the other; the slots go along."""
        if self._next >= CALLBACKS:
            return []
        callback = self._pick.randrange(self._next, CALLBACKS)
        call = [f"r1 = map[{self._map}] ll", f"r2 = func callback{callback} ll", "r3 = r8", "r4 = 0"]
        return [*call, "call for_each_map_elem"]

    def _find(self) -> list[str]:
        """A lookup; what it finds is kept in a slot, or read."""
        done = self._label()
        key = f"*(u64 *)(r10 - 24) = {self._pick.randint(1, 3)}"
        find = [key, f"r1 = map[{self._map}] ll", "r2 = r10", "r2 += -24"]
        use = self._pick.choice(([f"*(u64 *)(r8 + {self._slot()}) = r0"], ["r1 = *(u64 *)(r0 + 0)"]))
        return [*find, "call map_lookup_elem", f"if r0 == 0 goto {done}", *use, f"{done}: r1 = 0"]

    def _keep(self) -> list[str]:
        """The element's key or value goes into a slot, or a place of this function's stack."""
        if not self.has_element:
            return []
        kept = self._pick.choice(("r6", "r7", "r7", "r1"))
        own = ["*(u64 *)(r10 - 24) = 5", "r1 = r10", "r1 += -24"] if kept == "r1" else []
        return [*own, f"*(u64 *)(r8 + {self._slot()}) = {kept}"]

    def _use(self) -> list[str]:
        """What a slot holds is read, through it."""
        done = self._label()
        load = f"r1 = *(u64 *)(r8 + {self._slot()})"
        return [load, f"if r1 == 0 goto {done}", "r2 = *(u64 *)(r1 + 0)", f"{done}: r1 = 0"]

    def _lock(self) -> list[str]:
        """Lock one value, and unlock one: the same, or another. r9 is what a slot holds, and in main r7, too."""
        if self._map != "guarded":
            return []
        done = self._label()
        held, given = self._pick.choices(("r7", "r9"), k=2)
        from_slots = {held, given} - ({"r7"} if self.has_element else set())
        fetch = []
        for register in sorted(from_slots):
            fetch += [f"{register} = *(u64 *)(r8 + {self._slot()})", f"if {register} == 0 goto {done}"]
        lock = [f"r1 = {held}", f"r1 += {LOCK}", "call spin_lock"]
        unlock = [f"r1 = {given}", f"r1 += {LOCK}", "call spin_unlock"]
        return [*fetch, *lock, *unlock, f"{done}: r1 = 0"]

    def _slot(self) -> int:
        return self._pick.choice(SLOTS)
