"""The two orderings that Python can't write: a full fence, and a store that releases.

They are native code of a few instructions, which is compiled when it is first asked for and never freed. On x86 the
fence is an `mfence` or a locked instruction, and the store a plain one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import binding as llvm

_TEXT = """
target triple = "{triple}"

define void @fence() {{
  fence seq_cst
  ret void
}}

define void @store_release(ptr %place, i64 %value) {{
  store atomic i64 %value, ptr %place release, align 8
  ret void
}}
"""


def fence() -> None:
    """What was stored before is seen by every processor before anything is read behind it. Any thread."""
    _native().fence()


def assign_pointer(place: int, value: int) -> None:
    """Publish `value` in the 8 bytes at `place` (rcu_assign_pointer): who reads it there sees all that was stored
    before. Any thread; two that write to one place settle between themselves who comes last."""
    _native().store_release(place, value)


class _Native:
    """The code, and what keeps it."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        text = _TEXT.format(triple=llvm.get_default_triple())
        self._linker: Any = llvm.create_lljit_compiler()
        library = llvm.JITLibraryBuilder().add_ir(text).add_current_process()
        self._linked: Any = library.export_symbol("fence").export_symbol("store_release").link(self._linker, "ordering")
        self.fence: Callable[[], None] = ctypes.CFUNCTYPE(None)(self._linked["fence"])
        self.store_release: Callable[[int, int], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64)(
            self._linked["store_release"]
        )


_native = cache(_Native)
