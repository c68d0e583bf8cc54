"""The types of a kernel, as its verifier asks for them: read when first a program has to do with them.

Some pointers in structures are known to be good while what holds them is. The kernel's types say which, in structures
that are named after those that hold them (BTF_TYPE_SAFE_* of kernel/bpf/verifier.c):

    struct task_struct            { …; struct css_set *cgroups; …; struct mm_struct *mm; … }
    struct task_struct__safe_rcu  { …; struct css_set *cgroups; … }
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from appliance.ebpf.btf.btf import Btf, Entry, Kind, Member
from appliance.ebpf.btf.structure_walk import WalkResult, structures_at, walk


class KernelType(NamedTuple):
    """A structure of the kernel: its number among the kernel's types, and its name, for messages."""

    number: int
    name: str


class Trust(Enum):
    """What a pointer is known to be that was loaded out of something good: the ending of the structure that says so."""

    TRUSTED = "__safe_trusted"
    TRUSTED_OR_NULL = "__safe_trusted_or_null"
    WHILE_READ = "__safe_rcu"
    WHILE_READ_OR_NULL = "__safe_rcu_or_null"


class KernelTypes:
    """One kernel's types. `find` reads them; every method raises ObjectError if it can't. For one thread at a time."""

    def __init__(self, find: Callable[[], Btf]) -> None:
        self._find = find
        self._btf: Btf | None = None
        self._structures: dict[str, KernelType | None] = {}
        self._loads: dict[tuple[int, int, int], WalkResult] = {}

    @property
    def btf(self) -> Btf:
        if self._btf is None:
            self._btf = self._find()
        return self._btf

    def structure(self, name: str) -> KernelType | None:
        """The structure of that name; None if the kernel has none."""
        if name not in self._structures:
            number = self.btf.find(Kind.STRUCT, name)
            self._structures[name] = KernelType(number, name) if number is not None else None
        return self._structures[name]

    def named(self, number: int) -> KernelType:
        """The structure of that number, as messages call it."""
        return KernelType(number, self.btf.type(number).name or "structure without a name")

    def load(self, structure: KernelType, offset: int, size: int) -> WalkResult:
        """What a load of `size` bytes at that place finds. Raises NoSuchPlace."""
        key = structure.number, offset, size
        if key not in self._loads:
            self._loads[key] = walk(self.btf, *key)
        return self._loads[key]

    def struct_ids_match(self, structure: KernelType, offset: int, wanted: KernelType) -> bool:
        """Whether a `wanted` begins at that place: the structure itself, or one inside of it."""
        return wanted.number in structures_at(self.btf, structure.number, offset)

    def trust_of(self, holder: KernelType, found: WalkResult) -> Trust | None:
        """What is known of the pointer that was found in a `holder`."""
        for trust in Trust:
            safe = self.structure(holder.name + trust.value)
            if safe is not None and any(self._is_of(member, found) for member in self.btf.type(safe.number).entries):
                return trust
        return None

    def _is_of(self, member: Entry, found: WalkResult) -> bool:
        if not isinstance(member, Member) or member.name != found.member:
            return False
        pointer = self.btf.resolve(member.type)
        return pointer.kind is Kind.PTR and self.btf.strip(pointer.target) == found.target
