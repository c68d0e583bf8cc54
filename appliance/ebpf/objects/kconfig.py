"""Variables whose values the kernel gives: `extern int CONFIG_HZ __kconfig`. They are a map of one read-only value.

    extern unsigned LINUX_KERNEL_VERSION __kconfig;          0  CONFIG_HZ              1000
    extern int CONFIG_HZ __kconfig __weak;             ─>    4  LINUX_KERNEL_VERSION   0x61200
    extern enum libbpf_tristate CONFIG_TUN __kconfig;        8  CONFIG_TUN             TRI_MODULE

A weak variable of which the kernel says nothing is 0; a program that uses another such can't be put together. Types,
places and values are as libbpf has them (libbpf.c: bpf_object__collect_externs, set_kcfg_value_*).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from appliance.ebpf.btf.btf import ENUMS, Btf, Kind, SectionVariable
from appliance.ebpf.elf.elf import Symbol
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import UnsupportedObject
from appliance.ebpf.spec import MapSpec, Variable
from hooks.running_kernel import RunningKernel

KCONFIG = ".kconfig"
FEATURE = "kconfig variables"

_TRISTATE = "libbpf_tristate"
_LETTERS = {"n": 0, "y": 1, "m": 2}  # enum libbpf_tristate
_VIRTUAL = "LINUX_"  # names that no configuration has
_COOKIE_SINCE, _WRAPPER_SINCE = (5, 15, 0), (4, 17, 0)  # bpf_get_attach_cookie; CONFIG_ARCH_HAS_SYSCALL_WRAPPER of x86


class KconfigType(Enum):
    """What a variable may be (enum kcfg_type of libbpf)."""

    BOOL = "a bool"
    TRISTATE = "an enum libbpf_tristate"
    CHAR = "a char"
    INT = "an integer"
    CHAR_ARRAY = "an array of char"


@dataclass(frozen=True, slots=True)
class KconfigVariables:
    """`map` is what holds them, None if there are none. `missing` says of those that have no value why."""

    map: MapSpec | None = None
    places: Mapping[str, int] | None = None
    missing: Mapping[str, str] | None = None

    def place(self, name: str) -> int | None:
        """The byte at which the variable begins; None if it is no such variable. Raises UnsupportedObject."""
        if self.map is None or self.places is None or name not in self.places:
            return None
        if self.missing and name in self.missing:
            hint = "declare it __weak, which makes it 0, or pass the value in a constant"
            raise UnsupportedObject(FEATURE, f"the variable {name} {self.missing[name]}", hint=hint)
        return self.places[name]


@dataclass(frozen=True, slots=True)
class _Extern:
    """One variable of the file."""

    name: str
    type: int
    size: int
    alignment: int
    weak: bool


def kconfig_variables(symbols: Iterable[Symbol], btf: Btf | None, kernel: RunningKernel) -> KconfigVariables:
    """The variables that the file takes from the kernel. Raises ObjectError for types that make no sense."""
    if btf is None or not (externs := _externs(symbols, btf)):
        return KconfigVariables()
    places, values, missing, end = {}, {}, {}, 0
    for variable in sorted(externs, key=lambda one: (-one.alignment, one.size, one.name)):
        place = -(-end // variable.alignment) * variable.alignment
        try:
            value = _value(variable, btf, kernel)
        except _Unfit as unfit:
            value, missing[variable.name] = bytes(variable.size), str(unfit)
        places[variable.name], values[place], end = place, value, place + variable.size
    contents = bytearray(end)
    for place, value in values.items():
        contents[place : place + len(value)] = value
    known = {variable.name: variable for variable in externs}
    variables = tuple(Variable(name, at, known[name].size, known[name].type) for name, at in places.items())
    held = ((bytes(4), bytes(contents)),)
    map_ = MapSpec(KCONFIG, MapType.ARRAY, 4, end, 1, contents=held, read_only=True, variables=variables)
    return KconfigVariables(map_, places, missing)


def _externs(symbols: Iterable[Symbol], btf: Btf) -> list[_Extern]:
    listed = btf.data_section(KCONFIG)
    entries = listed.entries if listed is not None else ()
    found = [btf.type(entry.type) for entry in entries if isinstance(entry, SectionVariable)]
    types = {variable.name: variable.target for variable in found}
    undefined = {symbol.name: symbol for symbol in symbols if not symbol.defined and symbol.name in types}
    return [
        _Extern(name, types[name], btf.size_of(types[name]), _alignment(btf, types[name]), s.binding == "STB_WEAK")
        for name, s in undefined.items()
    ]


def _alignment(btf: Btf, type_: int) -> int:
    found = btf.resolve(type_)
    return max(1, min(8, btf.size_of(found.target if found.kind is Kind.ARRAY else type_)))


class _Unfit(Exception):
    """The variable has no value; the message says why, behind its name."""


def _value(variable: _Extern, btf: Btf, kernel: RunningKernel) -> bytes:
    """The variable's bytes. Raises _Unfit."""
    kind = _type_of(btf, variable.type)
    if kind is None:
        raise _Unfit("is no bool, enum libbpf_tristate, char, integer or array of char")
    virtual = _VIRTUALS.get(variable.name)
    text = str(virtual(kernel)) if virtual is not None else kernel.configuration.get(variable.name)
    if text is not None:
        signed = btf.resolve(variable.type).signed
        return _encoded(kind, text, variable.size, signed=signed)
    if variable.weak:
        return bytes(variable.size)
    if variable.name.startswith(_VIRTUAL):
        raise _Unfit("is nothing that a kernel is asked")
    raise _Unfit("is not set in this kernel's configuration" if kernel.configuration else _UNREADABLE)


_UNREADABLE = "has no value: this kernel shows no configuration in /boot or /proc/config.gz"

# What is asked of the kernel itself. libbpf finds the wrapper out by a probe, which fails where there are no probes.
_VIRTUALS: dict[str, Callable[[RunningKernel], int]] = {
    "LINUX_KERNEL_VERSION": lambda kernel: kernel.version_code,
    "LINUX_HAS_BPF_COOKIE": lambda kernel: int(kernel.version >= _COOKIE_SINCE),
    "LINUX_HAS_SYSCALL_WRAPPER": lambda kernel: int(kernel.version >= _WRAPPER_SINCE),
}


def _type_of(btf: Btf, type_: int) -> KconfigType | None:
    found = btf.resolve(type_)
    if found.kind is Kind.ARRAY:
        return KconfigType.CHAR_ARRAY if found.count and _type_of(btf, found.target) is KconfigType.CHAR else None
    if found.kind in ENUMS:
        return KconfigType.TRISTATE if found.name == _TRISTATE else None
    if found.kind is not Kind.INT:
        return None
    if found.is_bool:
        return KconfigType.BOOL if found.size == 1 else None
    if found.size == 1:
        return KconfigType.CHAR
    return KconfigType.INT if found.size in (2, 4, 8) else None


def _encoded(kind: KconfigType, text: str, size: int, *, signed: bool) -> bytes:
    """What the configuration says, in the variable's bytes. Raises _Unfit."""
    if text in _LETTERS:
        return _tristate(kind, text, size)
    if text.startswith('"'):
        if kind is not KconfigType.CHAR_ARRAY:
            raise _Unfit(f"is {kind.value}, and the configuration has the string {text}")
        return text[1:].removesuffix('"').encode()[: size - 1].ljust(size, b"\0")  # cut off, and ended by a zero
    if kind not in (KconfigType.INT, KconfigType.CHAR, KconfigType.BOOL):
        raise _Unfit(f"is {kind.value}, and the configuration has the number {text}")
    return _number(kind, text, size, signed=signed)


def _tristate(kind: KconfigType, text: str, size: int) -> bytes:
    if kind is KconfigType.CHAR:
        return text.encode()
    if kind is KconfigType.TRISTATE or (kind is KconfigType.BOOL and text != "m"):
        return _LETTERS[text].to_bytes(size, "little")
    raise _Unfit(f"is {kind.value}, and the configuration has {text}")


def _number(kind: KconfigType, text: str, size: int, *, signed: bool) -> bytes:
    try:
        number = int(text, 0)
        if kind is KconfigType.BOOL and number not in (0, 1):
            raise OverflowError
        return number.to_bytes(size, "little", signed=signed)
    except ValueError:
        raise _Unfit(f"has the value {text}, which is no number") from None
    except OverflowError:
        raise _Unfit(f"has the value {text}, which does not fit into {kind.value} of {size} bytes") from None
