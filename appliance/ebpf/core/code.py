"""The code of functions with its CO-RE relocations applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.core.btf_ext import InstructionInfo
from appliance.ebpf.core.core import CoreRelocation, CoreResolver
from appliance.ebpf.core.patch import patch
from appliance.ebpf.elf.elf import ElfFile
from appliance.ebpf.elf.functions import Function
from appliance.ebpf.isa.codec.slots import SLOT_SIZE, pack_slots, unpack_slots
from appliance.ebpf.object_errors import CoreError, ObjectError


class CodeRelocator:
    """Applies the relocations in the code of a file, function by function, as it is needed.

    Programs that no hook claims are never looked at. `find_target` is called if a relocation needs the target's types.
    For one thread.
    """

    def __init__(self, elf: ElfFile, info: InstructionInfo, local: Btf | None, find_target: Callable[[], Btf]) -> None:
        self._elf = elf
        self._relocations = info.core
        self._resolver = CoreResolver(local or Btf(()), find_target)
        self._known: dict[Function, bytes] = {}

    def code(self, function: Function) -> bytes:
        """The function's code. Raises CoreError, naming the function and the slot."""
        relocations = self._relocations.get(self._elf.sections[function.section].name)
        if not relocations:
            return function.code
        if function not in self._known:
            self._known[function] = self._relocated(function, relocations)
        return self._known[function]

    def _relocated(self, function: Function, relocations: Mapping[int, CoreRelocation]) -> bytes:
        slots = list(unpack_slots(function.code))
        for number in range(len(slots)):
            relocation = relocations.get(function.start + number * SLOT_SIZE)
            if relocation is None:
                continue
            try:
                patch(slots, number, self._resolver.resolve(relocation))
            except ObjectError as error:
                place = f"function {function.name}, slot {number}: {relocation.kind.name}"
                raise CoreError(error.what, where=f"{place}: {error.where}" if error.where else place) from None
        return pack_slots(slots)
