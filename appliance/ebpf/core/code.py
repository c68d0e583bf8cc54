"""The code of functions with its CO-RE questions answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.ebpf.btf.btf import Btf
from appliance.ebpf.core.btf_ext import InstructionInfo
from appliance.ebpf.core.core import CoreRecord, CoreResolver
from appliance.ebpf.core.patch import patch
from appliance.ebpf.elf.elf import ElfFile
from appliance.ebpf.elf.functions import Function
from appliance.ebpf.isa.codec.slots import SLOT_SIZE, pack_slots, unpack_slots
from appliance.ebpf.object_errors import CoreError, ObjectError


class CodeRelocator:
    """Answers the questions in the code of a file, function by function, as they are needed.

    Programs that no hook claims are never looked at. `find_target` is called if a question needs the target's types.
    For one thread.
    """

    def __init__(self, elf: ElfFile, info: InstructionInfo, local: Btf | None, find_target: Callable[[], Btf]) -> None:
        self._elf = elf
        self._records = info.core
        self._resolver = CoreResolver(local or Btf(()), find_target)
        self._known: dict[Function, bytes] = {}

    def code(self, function: Function) -> bytes:
        """The function's code. Raises CoreError, naming the function and the slot."""
        records = self._records.get(self._elf.sections[function.section].name)
        if not records:
            return function.code
        if function not in self._known:
            self._known[function] = self._answered(function, records)
        return self._known[function]

    def _answered(self, function: Function, records: Mapping[int, CoreRecord]) -> bytes:
        slots = list(unpack_slots(function.code))
        for number in range(len(slots)):
            record = records.get(function.start + number * SLOT_SIZE)
            if record is None:
                continue
            try:
                patch(slots, number, self._resolver.answer(record))
            except ObjectError as error:
                place = f"function {function.name}, slot {number}: {record.question.name}"
                raise CoreError(error.what, where=f"{place}: {error.where}" if error.where else place) from None
        return pack_slots(slots)
