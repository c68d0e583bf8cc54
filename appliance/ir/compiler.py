"""From an IR module to relocatable machine code: bytes that any engine of this process can link, as often as wanted.

    ir.Module ──text──> LLVM ──optimised, for this processor──> NativeCode (an ELF object) ──link──> Engine

Code that works on memory of this process names it by symbols (`Code.symbol`), which get their addresses when the code
is linked. So the same code serves whoever brings other memory of the same kind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

# Inner loops begin at multiples of 32 bytes, as this machine fetches instructions: worth up to a tenth of a short loop.
LOOP_ALIGNMENT = "-x86-experimental-pref-innermost-loop-alignment=5"

_REFERENCE = re.compile(r'@"([^"]+)"')


@dataclass(frozen=True, slots=True)
class NativeCode:
    """A module, compiled. `image` is an ELF object; `bitcode` what it was made of, optimised, for listings.

    `exports` are the functions that others may call; `symbols` the memory and the functions of other modules that it
    names, and whoever links it says where they are. `seconds` is how long it took.
    """

    image: bytes = field(repr=False)
    bitcode: bytes = field(repr=False)
    exports: tuple[str, ...]
    symbols: frozenset[str]
    seconds: float


def compile_module(module: ir.Module, *, level: int = 2) -> NativeCode:
    """Verify, optimise at -O`level` for this machine's processor, and compile.

    Functions that no exported one reaches are left out. Raises RuntimeError with LLVM's words if the module is
    malformed: that is a defect of the code that built it, never of a user's input.
    """
    began = time.perf_counter()
    target = _target()
    machine = target_machine(level)
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    texts = _reached(module)
    with llvm.create_context() as context, llvm.parse_assembly(_text(module, texts), context) as native:
        native.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(native, builder)
        image, bitcode = machine.emit_object(native), native.as_bitcode()
    exports = tuple(function.name for function in _exported(module))
    symbols = frozenset(name for name in texts if _is_elsewhere(module.globals[name]))
    return NativeCode(image, bitcode, exports, symbols, time.perf_counter() - began)


def initialise() -> None:
    """Have LLVM know its targets before a process forks: nothing else of it is shared."""
    _target()


def target_machine(level: int = 2) -> Any:
    """LLVM's idea of this processor; code and data may be anywhere in 64 bits."""
    return _target().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=level,
        codemodel="large",
    )


def processor() -> str:
    """What code is compiled for: LLVM's name of this processor, and every feature that it has (`+`) or lacks (`-`)."""
    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def llvm_version() -> str:
    """As in `22.1.0`."""
    return ".".join(map(str, llvm.llvm_version_info))


@cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    if target.triple.startswith("x86_64"):
        llvm.set_option("tidegate", LOOP_ALIGNMENT)
    return target


def _exported(module: ir.Module) -> list[ir.Function]:
    return [each for each in module.functions if not each.is_declaration and each.linkage in ("", "external")]


def _is_elsewhere(named: ir.GlobalValue) -> bool:
    """Whether it is memory, or a function of another module of ours: their names have dots, as no name in C does."""
    if isinstance(named, ir.GlobalVariable):
        return named.initializer is None
    return named.is_declaration and "." in named.name and not named.name.startswith("llvm.")


def _reached(module: ir.Module) -> dict[str, str]:
    """The text of everything that an exported function reaches, by name. To print the rest would take longest."""
    texts: dict[str, str] = {}
    pending = [function.name for function in _exported(module)]
    while pending:
        name = pending.pop()
        if name not in texts:
            texts[name] = str(module.globals[name])
            pending += _REFERENCE.findall(texts[name])
    return texts


def _text(module: ir.Module, texts: Mapping[str, str]) -> str:
    """The module as LLVM reads it."""
    head = [f'target triple = "{module.triple}"', f'target datalayout = "{module.data_layout}"']
    types = [each.get_declaration() for each in module.get_identified_types().values()]
    return "\n".join([*head, *types, *texts.values(), *map(str, module.metadata)])
