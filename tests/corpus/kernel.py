"""The Linux kernel's verdict on an object, loaded by libbpf, which knows nothing of our loader. Never attached.

Sources: libbpf.h (libbpf 1.x).
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from tests.appliance.verifier import kernel as verifier_kernel


@cache
def _libbpf() -> ctypes.CDLL:
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    library.libbpf_set_print(None)
    library.bpf_object__open_file.restype = ctypes.c_void_p
    library.bpf_object__open_file.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.bpf_object__load.argtypes = [ctypes.c_void_p]
    library.bpf_object__close.argtypes = [ctypes.c_void_p]
    return library


def accepts(path: Path) -> bool:
    """Whether the kernel loads every program of the object."""
    library = _libbpf()
    opened = library.bpf_object__open_file(str(path).encode(), None)
    if not opened:
        raise OSError(ctypes.get_errno(), "libbpf cannot open it", str(path))
    try:
        return int(library.bpf_object__load(opened)) == 0
    finally:
        library.bpf_object__close(opened)


def available() -> bool:
    """Whether this process may load programs."""
    return verifier_kernel.available()
