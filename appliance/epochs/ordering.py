"""The orderings that Python can't write: a full fence, and stores that native code of other threads sees in order.

    begin_change(place, n)       *place = n, seen before whatever is written from now on     a change begins
    …                            ctypes writes what is to be changed
    assign_pointer(place, n)     *place = n, seen after whatever was written until now       it is whole

A store through ctypes says nothing of its order: x86 keeps it, Arm and others need not. These are native code of a few
instructions, with LLVM's orderings, compiled when first asked for and never freed; on x86 the fence is an `mfence` or a
locked instruction, and the stores are plain ones. Readers pair the stores with `load_acquire` before, and a fence
`acquire` behind, what they read. (Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?", 2012.)

The text is LLVM's, as the floor that writes code for the rest (appliance.ir) stands on this one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import binding as llvm

TEXT = """
define void @fence() {
  fence seq_cst
  ret void
}

define void @store_then_fence(ptr %place, i64 %value) {
  store atomic i64 %value, ptr %place monotonic, align 8
  fence release
  ret void
}

define void @store_release(ptr %place, i64 %value) {
  store atomic i64 %value, ptr %place release, align 8
  ret void
}
"""


def fence() -> None:
    """What was stored before is seen by every processor before anything is read behind it. Any thread."""
    _native().fence()


def assign_pointer(place: int, value: int) -> None:
    """Publish `value` in the 8 bytes at `place` (rcu_assign_pointer): who reads it there sees all that was stored
    before. Any thread; two that write to one place settle between themselves who comes last."""
    _native().store_release(place, value)


def begin_change(place: int, value: int) -> None:
    """Store 64 bits before all that the caller writes afterwards (as `raw_write_seqcount_begin` does). Any thread."""
    _native().store_then_fence(place, value)


class _Native:
    """The code, and what keeps it."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        text = f'target triple = "{llvm.get_default_triple()}"\n{TEXT}'
        self._linker: Any = llvm.create_lljit_compiler()
        library = llvm.JITLibraryBuilder().add_ir(text).add_current_process()
        for name in ("fence", "store_then_fence", "store_release"):
            library.export_symbol(name)
        self._linked: Any = library.link(self._linker, "ordering")
        store = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64)
        self.fence: Callable[[], None] = ctypes.CFUNCTYPE(None)(self._linked["fence"])
        self.store_then_fence: Callable[[int, int], None] = store(self._linked["store_then_fence"])
        self.store_release: Callable[[int, int], None] = store(self._linked["store_release"])


_native = cache(_Native)
