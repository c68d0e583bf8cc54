"""Symbols that a file uses and does not define: the kernel has them, or nobody.

    listed in .kconfig    a variable of the kernel's configuration              a place in the map .kconfig
    listed in .ksyms      a function or a variable of the kernel's, by name     a call by name, or an address
    else                  a part of the program that was not linked to it

An address in the kernel is a number, of no use but to be compared. Source: libbpf.c (bpf_object__resolve_externs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.ebpf.btf.btf import Btf, Kind, SectionVariable
from appliance.ebpf.elf.elf import ElfFile, Symbol
from appliance.ebpf.isa.codec import KernelFunctionReference, MapValueReference
from appliance.ebpf.object_errors import UnsupportedObject
from appliance.ebpf.objects.kconfig import FEATURE, KCONFIG, KconfigVariables, kconfig_variables
from appliance.ebpf.platform import LINUX, Platform
from hooks.contracts.contract import HookPoint
from hooks.running_kernel import RunningKernel

_KSYMS = ".ksyms"
_SYMBOLS = "kernel symbols and functions"
_LINKED = "linking of several objects"


@dataclass(frozen=True, slots=True)
class KernelSymbol:
    """The address of something that the kernel has; `weak` if it need not."""

    name: str
    weak: bool


class Externs:
    """What the symbols of one file are that it does not define. Raises ObjectError for types that make no sense.
    For one thread."""

    def __init__(self, elf: ElfFile, btf: Btf | None, platform: Platform, kernel: RunningKernel) -> None:
        self._kernel = kernel
        self._platform = platform
        self._kernels = _listed(btf, _KSYMS)
        self._configured = _listed(btf, KCONFIG)
        known = kconfig_variables(elf.symbols, btf, kernel) if platform is LINUX else KconfigVariables()
        self.variables = known

    def address(self, symbol: Symbol, offset: int) -> MapValueReference | KernelSymbol:
        """What a load of the symbol's address finds. Raises UnsupportedObject."""
        place = self.variables.place(symbol.name)
        if place is not None:
            return MapValueReference(KCONFIG, place + offset)
        if symbol.name not in self._kernels:
            raise self._undefined(symbol)
        if self._kernels[symbol.name] not in (Kind.VOID, Kind.FUNC_PROTO):
            what = f"{symbol.name} is a variable of the kernel with a type (BTF), which is not supported yet"
            raise UnsupportedObject(_SYMBOLS, what, hint="declare it `extern const void`, if its address is enough")
        return KernelSymbol(symbol.name, symbol.binding == "STB_WEAK")

    def callee(self, symbol: Symbol) -> KernelFunctionReference:
        """What a call of the symbol calls. Raises UnsupportedObject."""
        if self._kernels.get(symbol.name) is not Kind.FUNC_PROTO or self._platform is not LINUX:
            raise self._undefined(symbol)
        return KernelFunctionReference(symbol.name)

    def address_at(self, symbol: KernelSymbol, hook: HookPoint) -> int:
        """The address, as programs of that hook see it: programs that run here have no kernel to look into. Raises
        UnsupportedObject."""
        known = self._kernel.symbols.get(symbol.name) if not hook.runs_here else None
        if known:
            return known
        if known is None and symbol.weak:
            return 0
        why = "this kernel has no such symbol" if known is None else "only root may know its address"
        if hook.runs_here:
            why = f"programs of hook `{hook.name}` run here, where there is no kernel"
        raise UnsupportedObject(_SYMBOLS, f"{symbol.name} is a symbol of the kernel, and {why}", hint=_WEAK)

    def _undefined(self, symbol: Symbol) -> UnsupportedObject:
        feature, hint = _LINKED, "link them first: `bpftool gen object`"
        if symbol.name in self._configured:
            feature, hint = FEATURE, "pass the value in a map or a constant"
        elif symbol.name in self._kernels:
            feature, hint = _SYMBOLS, "use a helper instead"
        what = f"{symbol.name} is not defined in this file; missing here: {feature}"
        return UnsupportedObject(feature, what, hint=hint)


_WEAK = "declare it __weak, and compare its address with 0"


def _listed(btf: Btf | None, section: str) -> Mapping[str, Kind]:
    """What the section lists, by name, with the kind of its type: FUNC_PROTO for functions."""
    listed = btf.data_section(section) if btf is not None else None
    if btf is None or listed is None:
        return {}
    found = [btf.type(entry.type) for entry in listed.entries if isinstance(entry, SectionVariable)]
    return {one.name: btf.resolve(one.target).kind for one in found}
