"""Native code in this process, and its lifetime.

A function handed out keeps its engine referenced, so that code lives as long as somebody can call it by its name. An
address does not: who has one is a reader (appliance.epochs), and the code of a closed engine is freed a grace period
later.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from appliance.closeable import Closeable
from appliance.epochs import default_domain
from appliance.ir.compiler import NativeCode, compile_module, target_machine


class Engine(Closeable):
    """One module's code, linked. A context manager; closing twice is harmless. Any thread may use it.

    Others may hold it: then closing it gives it up, and it ends with the last one who lets it go.
    """

    def __init__(
        self,
        code: ir.Module | NativeCode,
        symbols: Mapping[str, int] | None = None,
        *,
        needed: Iterable[Engine] = (),
    ) -> None:
        """Compile, if that is not done, and link.

        `symbols` are the addresses of what the code names: memory, and functions of the engines that are `needed`, and
        kept for as long as this one is. Other external symbols resolve to the process's own (the C library). Raises
        RuntimeError with LLVM's words if the module is malformed or a symbol is unknown: that is a defect of the code
        that built it, never of a user's input.
        """
        began = time.perf_counter()
        self.code = code if isinstance(code, NativeCode) else compile_module(code)
        library = llvm.JITLibraryBuilder().add_object_img(self.code.image).add_current_process()
        for name in self.code.symbols:
            if symbols is None or name not in symbols:
                raise RuntimeError(f"nobody said where {name!r} is")
            library.import_symbol(name, symbols[name])
        for name in self.code.exports:
            library.export_symbol(name)
        self._linker: Any = llvm.create_lljit_compiler()
        self._linked: Any = library.link(self._linker, "code")
        self.seconds = time.perf_counter() - began
        self._needed = tuple(needed)
        self._holders = 0
        self._given_up = False
        self._lock = threading.Lock()

    def address(self, name: str) -> int:
        """The address of an exported function. Raises KeyError if the module has none of that name."""
        return int(self._open()[name])

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """An exported function as a Python callable that releases the GIL while it runs."""
        native = ctypes.CFUNCTYPE(result, *arguments)(self.address(name))
        native.engine = self  # type: ignore[attr-defined]  # keeps the code alive
        return native

    def optimised(self) -> str:
        """The module's IR as it was compiled, for listings. Raises RuntimeError once the engine is closed."""
        self._open()
        with llvm.create_context() as context, llvm.parse_bitcode(self.code.bitcode, context) as module:
            return str(module)

    def assembly(self) -> str:
        """The native code as assembly text, for listings. Raises RuntimeError once the engine is closed."""
        self._open()
        with llvm.create_context() as context, llvm.parse_bitcode(self.code.bitcode, context) as module:
            return str(target_machine().emit_assembly(module))

    def _open(self) -> Any:
        if self._linked is None:
            raise RuntimeError("the engine is closed")
        return self._linked

    def hold(self) -> None:
        """Keep the code, whatever its owner does, until `release`. Raises RuntimeError once it is closed."""
        with self._lock:
            self._open()
            self._holders += 1

    def release(self) -> None:
        """Let go what `hold` kept."""
        with self._lock:
            self._holders -= 1
            ended = self._end()
        _free(*ended)

    def close(self) -> None:
        """Give the code up: nobody finds it here any more, and those who are in it may come to their end."""
        with self._lock:
            self._given_up = True
            ended = self._end()
        _free(*ended)

    def _end(self) -> tuple[Any, ...]:
        """What is to be freed now, if nobody needs it any more."""
        if not self._given_up or self._holders or self._linked is None:
            return ()
        ended = self._linked, self._linker
        self._linked = self._linker = None
        return ended


def _free(*ended: Any) -> None:
    """Not with a lock held: what else is due is freed here, too."""
    for each in ended:
        default_domain.retire(each.close)
