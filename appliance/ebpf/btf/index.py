"""Large BTF, such as the kernel's 100,000 types: found by name at once, read only where somebody looks.

one pass over the headers of the types ─> where each starts, and which are called what
types[number]                          ─> that one, read now and kept
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

from appliance.ebpf.btf.btf import MAGIC, UNSEARCHED, VOID, Btf, BtfType, Kind, TypeReader, sizes_of_kinds, split_btf
from appliance.ebpf.elf.elf import read_elf
from appliance.ebpf.elf.strings import StringTable
from appliance.ebpf.object_errors import ObjectError
from hooks.running_kernel import KERNEL_BTF, RunningKernel

MAX_INDEXED_TYPES = 0xFFFFF  # BTF_MAX_TYPE of the kernel
MAX_INDEXED_BYTES = 64 << 20
LINKAGES = 3  # of functions: static, global, extern

_WHERE = "section .BTF"
_NAME_AND_INFO = struct.Struct("<II")


class LazyTypes(Sequence[BtfType]):
    """The types of a section by number, read when first asked for. `named` are the numbers by name offset.
    For one thread at a time: reading remembers."""

    def __init__(self, data: bytes, strings: StringTable) -> None:
        self._data = data
        self._reader = TypeReader(data, strings)
        self._known: dict[int, BtfType] = {0: VOID}
        self._starts, self.named = _index(data)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, number: int) -> BtfType: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[BtfType]: ...

    def __getitem__(self, number: int | slice) -> BtfType | Sequence[BtfType]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if number not in self._known:
            self._reader.offset = self._starts[number]
            self._known[number] = self._reader.next(number)
        return self._known[number]

    def function(self, name: int) -> int | None:
        """The function whose name stands at that offset: its header is looked for, as functions are half of all."""
        for linkage in range(LINKAGES):
            header = _NAME_AND_INFO.pack(name, Kind.FUNC << 24 | linkage)
            at = self._data.find(header)
            while at >= 0:
                number = bisect_left(self._starts, at)
                if number < len(self._starts) and self._starts[number] == at:
                    return number
                at = self._data.find(header, at + 1)
        return None


def _index(data: bytes) -> tuple[list[int], dict[int, list[int]]]:
    """Where each type starts (that of void is nowhere), and the numbers of types by the offset of their name."""
    sizes, unpack = sizes_of_kinds(), _NAME_AND_INFO.unpack_from
    starts, named = [-1], dict[int, list[int]]()
    offset, end = 0, len(data)
    while offset < end:
        if offset + _NAME_AND_INFO.size > end:
            raise ObjectError("the types end inside a type", where=_WHERE)
        name, info = unpack(data, offset)
        kind = info >> 24 & 0x1F
        if kind not in sizes:
            raise ObjectError(f"type {len(starts)} has the unknown kind {kind}", where=_WHERE)
        if name and kind not in UNSEARCHED:
            named.setdefault(name, []).append(len(starts))
        starts.append(offset)
        own, entry = sizes[kind]
        offset += own + entry * (info & 0xFFFF)
    if offset > end:
        raise ObjectError("the types end inside a type", where=_WHERE)
    if len(starts) > MAX_INDEXED_TYPES:
        raise ObjectError(f"there are more than {MAX_INDEXED_TYPES} types", where=_WHERE)
    return starts, named


class IndexedBtf(Btf):
    """Types whose names are known before the types are read. For one thread at a time: reading remembers."""

    def __init__(self, data: bytes) -> None:
        types, self._strings = split_btf(data)
        self._lazy = LazyTypes(types, self._strings)
        super().__init__(self._lazy)

    def named(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Every name of a type, with the numbers of those that have it."""
        return ((self._strings.at(offset), numbers) for offset, numbers in self._lazy.named.items())

    def numbers_of(self, name: str) -> Sequence[int]:
        offset = self._strings.find(name)
        return self._lazy.named.get(offset, ()) if offset is not None else ()

    def function(self, name: str) -> int | None:
        offset = self._strings.find(name)
        return self._lazy.function(offset) if offset is not None else None


def index_btf(data: bytes, source: str) -> Btf:
    """The types in `data`: BTF as the kernel shows it, or an object file with some. Raises ObjectError."""
    try:
        if len(data) > MAX_INDEXED_BYTES:
            raise ObjectError(f"the types have {len(data)} bytes; the limit is {MAX_INDEXED_BYTES}")
        if data[:2] != MAGIC.to_bytes(2, "little"):
            section = read_elf(data).section(".BTF")
            if section is None:
                raise ObjectError("the file holds no BTF", hint="build it with -g")
            data = section.data
        return IndexedBtf(data)
    except ObjectError as error:
        raise error.within(source) from None


def read_btf_file(path: str | Path = KERNEL_BTF) -> Btf:
    """The types of a file, by default those of the running kernel. Raises ObjectError."""
    return _read_btf(Path(path).read_bytes, str(path))


def running_types(kernel: RunningKernel) -> Btf:
    """The types that a kernel tells of itself. Raises ObjectError."""
    return _read_btf(kernel.btf, str(KERNEL_BTF))


def _read_btf(read: Callable[[], bytes], source: str) -> Btf:
    try:
        data = read()
    except OSError as error:
        raise ObjectError(f"the types can't be read: {error.strerror}", where=source) from None
    return index_btf(data, source)
