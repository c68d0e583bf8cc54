"""From an IR module to native code in this process, and the lifetime of that code.

Nothing compiled may be called after its engine is closed; a function handed out keeps its engine referenced, so that
code lives as long as somebody can call it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir


class Engine:
    """The native code of one module. A context manager; closing twice is harmless."""

    def __init__(self, module: ir.Module, *, level: int = 2) -> None:
        """Verify, optimise at -O`level` for this machine's processor, and compile.

        External symbols resolve to the process's own (the C library). Raises RuntimeError with LLVM's words if the
        module is malformed: that is a defect of the code that built it, never of a user's input.
        """
        began = time.perf_counter()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple()
        self._machine = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=level
        )
        module.triple = target.triple
        module.data_layout = str(self._machine.target_data)
        self._context = llvm.create_context()  # of its own, so that closing gives everything back
        native = llvm.parse_assembly(str(module), self._context)
        native.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        builder = llvm.create_pass_builder(self._machine, options)
        builder.getModulePassManager().run(native, builder)
        self._module = native
        self._engine: Any = llvm.create_mcjit_compiler(native, self._machine)
        self._engine.finalize_object()
        self.seconds = time.perf_counter() - began

    def address(self, name: str) -> int:
        """The address of an exported function. Raises KeyError if the module has none of that name."""
        self._open_module()
        address = int(self._engine.get_function_address(name))
        if not address:
            raise KeyError(name)
        return address

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """An exported function as a Python callable that releases the GIL while it runs."""
        native = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        native.engine = self  # type: ignore[attr-defined]  # keeps the code alive
        return native

    def optimised(self) -> str:
        """The module's IR as it was compiled, for listings. Raises RuntimeError once the engine is closed."""
        return str(self._open_module())

    def assembly(self) -> str:
        """The native code as assembly text, for listings. Raises RuntimeError once the engine is closed."""
        return str(self._machine.emit_assembly(self._open_module()))

    def _open_module(self) -> Any:
        if self._engine is None:
            raise RuntimeError("the engine is closed")
        return self._module

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._context.close()
            self._engine = self._module = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
