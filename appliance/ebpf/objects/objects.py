"""An object file becomes a CollectionSpec: the one door for every program, whoever compiled it.

    bytes ─> ElfFile ─┬─> MapPlaces ──────┐
                      ├─> FunctionTable ──┼─> Resolver ─> Linker ─> ProgramSpec
                      └─> Btf, .BTF.ext ──┘

The same bytes, and the same kernel for those that ask of one, give the same spec on every machine. Nothing is loaded,
and the running kernel is asked for nothing but what files ask of it: its types, if no others are given, by those with
CO-RE relocations or programs whose arguments have types of the kernel, its configuration, and its symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.ebpf.btf.btf import Btf, read_btf
from appliance.ebpf.btf.index import running_types
from appliance.ebpf.btf.kernel_types import KernelTypes
from appliance.ebpf.btf.typed_contexts import UnknownTarget
from appliance.ebpf.core.btf_ext import NO_INFO, InstructionInfo, read_btf_ext
from appliance.ebpf.core.code import CodeRelocator
from appliance.ebpf.elf.elf import ElfFile, read_elf
from appliance.ebpf.elf.functions import Function, FunctionTable
from appliance.ebpf.isa.codec import DecodeError
from appliance.ebpf.object_errors import CoreError, ObjectError, UnsupportedObject
from appliance.ebpf.objects.externs import Externs
from appliance.ebpf.objects.linking import Linker
from appliance.ebpf.objects.map_declarations import find_maps
from appliance.ebpf.objects.platform_detection import detect_platform
from appliance.ebpf.objects.relocation import Resolver
from appliance.ebpf.objects.struct_ops import struct_ops_members
from appliance.ebpf.objects.struct_ops_targets import hook_at_member
from appliance.ebpf.objects.targets import hook_at
from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import CollectionSpec, Fault, MapSpec, ProgramSpec, SkippedProgram
from hooks.contracts.contract import HookPoint
from hooks.contracts.struct_ops import SLEEPABLE_OPERATIONS
from hooks.running_kernel import RunningKernel

_CALLED = ".text"  # the section of functions that programs call
NO_AUTOLOAD = "?"  # in front of a section's name: its programs are loaded when somebody asks for them


def load_object_file(
    path: str | Path,
    platform: Platform | None = None,
    target_btf: Btf | None = None,
    unclaimed: HookPoint | None = None,
) -> CollectionSpec:
    """`load_object` of a file. Raises ObjectError, also if the file can't be read."""
    return load_object(read_file(path), str(path), platform, target_btf, unclaimed)


def read_file(path: str | Path) -> bytes:
    """Raises ObjectError if it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ObjectError(f"the file can't be read: {error.strerror}", where=str(path)) from None


def load_object(
    data: bytes,
    source: str,
    platform: Platform | None = None,
    target_btf: Btf | None = None,
    unclaimed: HookPoint | None = None,
    kernel: RunningKernel | None = None,
) -> CollectionSpec:
    """What the object file in `data` says; `source` is its name in messages.

    The platform is recognised from sections and types if it isn't given. CO-RE relocations are resolved by
    `target_btf`, or by the types of the running kernel; what programs take from a kernel's configuration and symbols,
    by `kernel`. Programs in sections that no hook claims are skipped, or are those of the hook `unclaimed`. A program
    that needs what is missing here has a `fault`. Raises ObjectError if the file is damaged or no eBPF object, and
    UnsupportedObject if all of it needs what is missing here.
    """
    try:
        return _Loader(read_elf(data), source, platform, target_btf, unclaimed, kernel or RunningKernel()).load()
    except ObjectError as error:
        raise error.within(source) from None


class _Loader:
    """One file being loaded."""

    def __init__(
        self,
        elf: ElfFile,
        source: str,
        platform: Platform | None,
        target_btf: Btf | None,
        unclaimed: HookPoint | None,
        kernel: RunningKernel,
    ) -> None:
        self.elf = elf
        self.unclaimed = unclaimed
        self.source = source
        self.btf, self.info = _debug_information(elf)
        self.platform = platform or detect_platform(self._code_sections(), self.btf)
        self.functions = FunctionTable(elf)
        self.maps = find_maps(elf, self.functions, self.btf, self.platform)
        self.externs = Externs(elf, self.btf, self.platform, kernel)
        self.kernel = KernelTypes(lambda: target_btf or running_types(kernel))
        self.linker = Linker(
            elf,
            Resolver(elf, self.functions, self.maps, self.externs),
            CodeRelocator(elf, self.info, self.btf, lambda: self.kernel.btf),
            self.externs,
            self.info,
            self.btf,
        )
        self.operations = struct_ops_members(elf, self.functions, self.btf)
        self.license = self._license()

    def load(self) -> CollectionSpec:
        programs: dict[str, ProgramSpec] = {}
        skipped: list[SkippedProgram] = []
        for function, section in self._programs():
            hook, reason = self._hook(function, _hook_section(section))
            if hook is None:
                skipped.append(SkippedProgram(function.name, section, reason))
            elif function.name in programs:
                raise ObjectError(f"two programs are called {function.name}")
            else:
                programs[function.name] = self._linked(function, section, hook)
        if not programs and not skipped:
            raise ObjectError("the file holds no program", hint='put the program into a section: SEC("xdp")')
        return CollectionSpec(self.source, self.platform.name, programs, self._maps(), tuple(skipped), self.btf)

    def _maps(self) -> dict[str, MapSpec]:
        """The maps, and that of the kernel's configuration, which no section holds."""
        configured = self.externs.variables.map
        return self.maps.by_name() | ({configured.name: configured} if configured is not None else {})

    def _hook(self, function: Function, section: str) -> tuple[HookPoint | None, str]:
        """The hook of a section's programs, or the reason why they have none, if one is known; a section's full name
        goes before its beginning."""
        typed = self.platform.typed_hook(section)
        if typed is not None:
            return self._typed_hook(lambda: hook_at(*typed, self.kernel.btf))
        operation = self.operations.get(function) if self.platform.typed else None
        if operation is not None:
            sleepable = section.startswith(SLEEPABLE_OPERATIONS)
            return self._typed_hook(lambda: hook_at_member(operation, self.kernel.btf, sleepable=sleepable))
        hook, reason = self.platform.hook_for_section(section), self.platform.why_unsupported(section)
        if hook is not None or reason is not None:
            return hook, reason or ""
        return self.platform.hook_for_legacy_section(section) or self.unclaimed, ""

    @staticmethod
    def _typed_hook(find: Callable[[], HookPoint]) -> tuple[HookPoint | None, str]:
        """The place that is found in the kernel's types, or why there is none."""
        try:
            return find(), ""
        except UnknownTarget as unknown:
            return None, f"its arguments have types of the kernel (BTF), and {unknown}"
        except ObjectError as error:
            what = f"its arguments have types of the kernel (BTF), and {error.what} ({error.where})"
            return None, f"{what}; give those of a kernel with --btf FILE"

    def _programs(self) -> Iterator[tuple[Function, str]]:
        """The global functions outside of .text, where only called functions live; or a file's one function."""
        code = [section for section in self.elf.sections if section.is_code]
        every = [(function, section.name) for section in code for function in self.functions.of_section(section.index)]
        for function, section_name in every:
            if function.is_global and (section_name != _CALLED or len(every) == 1):
                yield function, section_name

    def _code_sections(self) -> Iterator[str]:
        """The names of the sections with instructions, as hooks know them."""
        return (_hook_section(section.name) for section in self.elf.sections if section.is_code)

    def _license(self) -> str:
        section = self.elf.section("license")
        text = section.data.split(b"\0")[0] if section is not None else b""
        if not text.isascii():
            raise ObjectError("the license is not ASCII text", where="section license")
        return text.decode()

    def _linked(self, program: Function, section: str, hook: HookPoint) -> ProgramSpec:
        """The program, or what is wrong with it alone: the others of its file need not mind."""
        try:
            code = self.linker.link(program, hook)
        except (UnsupportedObject, CoreError, DecodeError) as error:
            return ProgramSpec(
                name=program.name,
                section=_hook_section(section),
                hook=hook,
                instructions=(),
                license=self.license,
                autoload=_autoload(section, hook),
                fault=Fault(error.what, str(error.where), error.hint),
            )
        return ProgramSpec(
            name=program.name,
            section=_hook_section(section),
            hook=hook,
            instructions=code.instructions,
            lines=code.lines,
            license=self.license,
            functions={index: function.name for index, function in code.functions.items()},
            function_types=code.function_types,
            autoload=_autoload(section, hook),
            kernel=self.kernel if hook.in_kernel is not None or not hook.runs_here else None,
        )


def _debug_information(elf: ElfFile) -> tuple[Btf | None, InstructionInfo]:
    types, more = elf.section(".BTF"), elf.section(".BTF.ext")
    if types is None:
        return None, NO_INFO
    btf, strings = read_btf(types.data)
    return btf, read_btf_ext(more.data, strings) if more is not None else NO_INFO


def _hook_section(section: str) -> str:
    """The section's name as hooks know it."""
    return section.removeprefix(NO_AUTOLOAD)


def _autoload(section: str, hook: HookPoint) -> bool:
    """Whether the program is loaded if nobody asks for it."""
    return hook.runs_here and not section.startswith(NO_AUTOLOAD)
