"""What a file says, before anything is loaded: deterministic, and made without privilege.

CollectionSpec ── programs ── ProgramSpec ── instructions, lines
               └─ maps ────── MapSpec ────── key, value, max_entries, initial contents
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.btf.kernel_types import KernelTypes
from appliance.ebpf.isa.instructions import Instruction
from appliance.ebpf.map_types import REDIRECT_MAPS, MapType
from appliance.errors import SourceLine
from hooks.contracts.contract import HookPoint

LOCK_SIZE = 4  # struct bpf_spin_lock


_BPF_F_RDONLY_PROG = 1 << 7  # include/uapi/linux/bpf.h: programs may only read the map
_BPF_F_WRONLY_PROG = 1 << 8  # programs may only write it


@dataclass(frozen=True, slots=True)
class Variable:
    """A global variable: `size` bytes at `offset` of the one value of its section's map.

    `type` is its number in the collection's `types`, 0 if the file does not say.
    """

    name: str
    offset: int
    size: int
    type: int = 0


@dataclass(frozen=True, slots=True)
class MapSpec:
    """A map as a file declares it. Sizes in bytes; `flags` are the kernel's BPF_F_* of map creation.

    `contents` are the first entries, as (key, value) bytes: a data section, or what a rule set puts into a set.
    Many of them are `packed.PackedEntries`.
    `variables` are those of a data section, in the order of their places; other maps have none.
    `key_type` and `value_type` are numbers in the collection's `types`, 0 if the file does not say. What bytes are
    called does not change a map, so equality leaves types and variables out.
    `values` names what an array of programs or a map of maps holds at first, as (index, name) of programs or maps of
    the collection; `inner` is what each map in a map of maps is like, None if the file does not say.
    `lock` is where in a value its `struct bpf_spin_lock` begins, LOCK_SIZE bytes; None if it has none.
    `pinned` says that the file wants the map shared under its name, between all that ask for it.
    """

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    contents: Sequence[tuple[bytes, bytes]] = ()
    read_only: bool = False
    variables: tuple[Variable, ...] = field(default=(), compare=False)
    pinned: bool = False
    key_type: int = field(default=0, compare=False)
    value_type: int = field(default=0, compare=False)
    lock: int | None = None
    values: tuple[tuple[int, str], ...] = ()
    inner: MapSpec | None = None

    @property
    def read_only_to_programs(self) -> bool:
        """Whether programs may read its values, and not write them."""
        return self.read_only or bool(self.flags & _BPF_F_RDONLY_PROG) or self.type in REDIRECT_MAPS

    @property
    def write_only_to_programs(self) -> bool:
        """Whether programs may write the map's values and not read them."""
        return bool(self.flags & _BPF_F_WRONLY_PROG)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program could not be put together: what is wrong, where in the file, and what to do."""

    what: str
    where: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A program as a file gives it: relocated, with its subprograms appended behind it.

    `lines` maps an instruction's index to the source line it came from; not every instruction has an entry.
    `functions` maps the index at which each function starts, the program itself at 0, to its name in the file;
    `function_types` maps the same indices to numbers in the collection's `types`, where the file says them.
    `autoload` is False for a program that is only to be loaded if somebody asks for it, SEC("?xdp"), and for one that
    can't run here at all. `kernel` has the types of the kernel that a program is for which may not run here.
    A program with a `fault` has no instructions, and is refused by the verifier with those words.
    """

    name: str
    section: str
    hook: HookPoint
    instructions: tuple[Instruction, ...]
    lines: Mapping[int, SourceLine] = field(default_factory=dict)
    license: str = ""
    functions: Mapping[int, str] = field(default_factory=dict)
    function_types: Mapping[int, int] = field(default_factory=dict, compare=False)
    autoload: bool = True
    kernel: KernelTypes | None = field(default=None, compare=False, repr=False)
    fault: Fault | None = None

    def line_of(self, index: int) -> SourceLine | None:
        """The source line of the instruction, or of the nearest one before it that has a line."""
        for candidate in range(index, -1, -1):
            if candidate in self.lines:
                return self.lines[candidate]
        return None


@dataclass(frozen=True, slots=True)
class SkippedProgram:
    """A program in a section that no hook of the platform claims. It is named, so that it isn't lost in silence.
    `reason` says why such programs can't be verified, where that is known."""

    name: str
    section: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """Everything that one object file holds, programs in the order of the file; `types` are its BTF, if it has some."""

    source: str
    platform: str
    programs: Mapping[str, ProgramSpec]
    maps: Mapping[str, MapSpec]
    skipped: tuple[SkippedProgram, ...] = ()
    types: Btf | None = field(default=None, compare=False, repr=False)
