"""The Linux kernel's verdict on an object, loaded by libbpf, which knows nothing of our loader. Never attached.

Sources: libbpf.h (libbpf 1.x).
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from tests.appliance.verifier import kernel as verifier_kernel

_LOG_SIZE = 1 << 20
_WARNING = 0  # LIBBPF_WARN
_ERRORS_AND_NUMBERS = 4  # BPF_LOG_STATS of include/linux/bpf_verifier.h: no listing of the way
# int (*libbpf_print_fn_t)(enum libbpf_print_level level, const char *format, va_list arguments)
_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_TYPES = "magic: 0xeb9f"  # what was last said is about the object's BTF, not a program
_libc = ctypes.CDLL(None)


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("removed", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
        ("kernel_log_buf", ctypes.c_void_p),
        ("kernel_log_size", ctypes.c_size_t),
        ("kernel_log_level", ctypes.c_uint32),
    )


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
    return _load(path, None)


def refusal(path: Path) -> str | None:
    """None if the kernel loads every program, else its verifier's log; what libbpf says if it does not get so far."""
    said: list[str] = []
    log = ctypes.create_string_buffer(_LOG_SIZE)
    options = _OpenOptions(
        sz=ctypes.sizeof(_OpenOptions),
        kernel_log_buf=ctypes.addressof(log),
        kernel_log_size=_LOG_SIZE,
        kernel_log_level=_ERRORS_AND_NUMBERS,
    )

    def heard(level: int, words: bytes, arguments: int) -> int:
        if level == _WARNING:
            text = ctypes.create_string_buffer(4096)
            _libc.vsnprintf(text, len(text), words, ctypes.c_void_p(arguments))
            said.append(text.value.decode(errors="replace"))
        return 0

    listener = _PRINT(heard)
    library = _libbpf()
    library.libbpf_set_print(listener)
    try:
        if _load(path, options):
            return None
    except OSError:  # libbpf can't open it, and has said why
        pass
    finally:
        library.libbpf_set_print(None)
    words = log.value.decode(errors="replace")
    return words if words and not words.startswith(_TYPES) else said[0]


def _load(path: Path, options: _OpenOptions | None) -> bool:
    library = _libbpf()
    opened = library.bpf_object__open_file(str(path).encode(), ctypes.byref(options) if options is not None else None)
    if not opened:
        raise OSError(ctypes.get_errno(), "libbpf cannot open it", str(path))
    try:
        return int(library.bpf_object__load(opened)) == 0
    finally:
        library.bpf_object__close(opened)


def available() -> bool:
    """Whether this process may load programs."""
    return verifier_kernel.available()
