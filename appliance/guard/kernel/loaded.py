"""An object in the kernel: its maps made, its programs proved, given a witness, proved with it, and loaded.

Nothing is given to the kernel that was not proved first: what goes to bpf(2) is made of a `VerifiedProgram` and of
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from appliance.api.typed_map import TypedMap
from appliance.closeable import Closeable
from appliance.ebpf.isa.codec.encoder import encode
from appliance.ebpf.isa.instructions import CallKernel, LoadFunction
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.ebpf.values import Codecs
from appliance.guard.kernel.errors import NotForKernel
from appliance.guard.kernel.maps import KernelTable, check_map, kernel_map
from appliance.guard.kernel.witness import COUNTS, DENIALS, WATCHED, with_witness, witness_maps
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.reports.report import Rejected
from appliance.verifier.verifier import Verifier
from hooks.kernel.maps import KernelMap
from hooks.kernel.programs import KernelProgram
from hooks.kernel.ring_buffer import KernelRing


class KernelLoaded(Closeable):
    """Programs and maps in the kernel, attached to nothing yet. Made by `load_in_kernel`; closing twice is harmless.
    Any thread may look at maps."""

    def __init__(self, spec: CollectionSpec, names: Iterable[str]) -> None:
        """See `load_in_kernel`."""
        self.spec = spec
        chosen = [spec.programs[name] for name in names]
        self.counted = [program for program in chosen if program.hook.name in WATCHED]
        used = _maps_used(spec, chosen)
        own = witness_maps(len(self.counted))
        proved = [_prove(program, self._witnessed(program), {**used, **own}) for program in chosen]
        with ExitStack() as held:
            opened = {name: held.enter_context(kernel_map(map_)) for name, map_ in used.items()}
            self.counts = held.enter_context(kernel_map(own[COUNTS]))
            self.denials = held.enter_context(KernelRing(own[DENIALS].max_entries))
            self.maps: Mapping[str, KernelTable] = {name: KernelTable(used[name], opened[name]) for name in used}
            for table in self.maps.values():
                table.fill()
            everything = {**opened, COUNTS: self.counts, DENIALS: self.denials}
            self.programs = [(program.spec, held.enter_context(_given(program, everything))) for program in proved]
            self._held = held.pop_all()
        self._codecs = Codecs(spec.types)

    def _witnessed(self, program: ProgramSpec) -> ProgramSpec:
        return with_witness(program, self.counted.index(program)) if program in self.counted else program

    def typed(self, name: str) -> TypedMap:
        """A map with keys and values by their types in C, as `Loaded.typed` has it. Raises KeyError."""
        spec = self.spec.maps[name]
        key, value = (
            self._codecs.of(*part) for part in ((spec.key_type, spec.key_size), (spec.value_type, spec.value_size))
        )
        return TypedMap(self.maps[name], key, value)

    def close(self) -> None:
        self._held.close()


def load_in_kernel(spec: CollectionSpec, names: Iterable[str]) -> KernelLoaded:
    """Prove the programs of those names and load them, with the object's maps.

    Raises Rejected if one is not proved, NotForKernel for what this engine doesn't give, KernelRefused if the kernel
    says no, PrivilegeError, HookError; nothing stays open then."""
    return KernelLoaded(spec, names)


def _maps_used(spec: CollectionSpec, programs: Iterable[ProgramSpec]) -> dict[str, MapSpec]:
    """All maps of the object. Raises NotForKernel for those, and for instructions, that take more than bytecode."""
    for map_ in spec.maps.values():
        check_map(map_, spec.source)
    for program in programs:
        for instruction in program.instructions:
            if isinstance(instruction, LoadFunction | CallKernel):
                what = f"the program `{program.name}` calls back, or calls functions of the kernel"
                raise NotForKernel(what, where=spec.source, hint="the kernel's engine hands over no types of functions")
    return dict(spec.maps)


def _prove(program: ProgramSpec, witnessed: ProgramSpec, maps: Mapping[str, MapSpec]) -> VerifiedProgram:
    """What is wrong with a program is said of the program alone; what is given is proved with its witness."""
    declared = {name: map_ if map_.read_only else replace(map_, contents=()) for name, map_ in maps.items()}
    verifier = Verifier(declared, LINUX)
    hook = program.hook.in_kernel or program.hook
    alone = verifier.verify(replace(program, hook=hook))
    if witnessed is program:
        return alone
    try:
        return verifier.verify(replace(witnessed, hook=hook))
    except Rejected as rejected:
        what = f"`{program.name}` is proved, but not together with what counts its answers: {rejected.report.demand}"
        hint = "it may take 480 bytes of stack, and one call less than elsewhere"
        raise NotForKernel(what, where=program.section, hint=hint) from None


def _given(program: VerifiedProgram, maps: Mapping[str, KernelMap]) -> KernelProgram:
    spec = program.spec
    code = encode(spec.instructions, {name: map_.descriptor for name, map_ in maps.items()})
    hook = spec.hook
    return KernelProgram(
        code, name=spec.name, license=spec.license, program_type=hook.program_type, attach_type=hook.attach_type
    )
