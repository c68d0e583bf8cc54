"""Maps as an object file declares them: structures in section .maps, and sections of global variables.

Section .maps holds no data. What a map is like stands in the type of its variable, one member for each attribute,
written with libbpf's macros (bpf_helpers.h):

    __uint(max_entries, 16)    int (*max_entries)[16]    a number is the length of an array that is pointed to
    __type(key, struct flow)   struct flow *key          a type is what is pointed to
    __array(values, …)         …  *values[]              what the map holds: functions, or maps (see `map_values`)

A section of variables (.rodata, .data, .bss and their likes) is an array map whose one value is the section.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from appliance.ebpf.btf.btf import Btf, BtfType, Kind, Member, SectionVariable
from appliance.ebpf.elf.elf import ElfFile, Section, Symbol
from appliance.ebpf.elf.functions import FunctionTable
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import ObjectError, UnsupportedObject
from appliance.ebpf.objects.legacy_maps import LIBBPF_PIN_BY_NAME, legacy_maps
from appliance.ebpf.objects.map_values import VALUE_SIZE, Holder, initial_values
from appliance.ebpf.objects.value_lock import find_lock, refuse_kept
from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import MapSpec, Variable

MAPS_SECTION = ".maps"

_DATA_SECTIONS = (".rodata", ".data", ".bss")
_KEY_OF_ARRAY = b"\0\0\0\0"
# Known attributes; numa_node is a wish about where memory comes from, which changes nothing that can be observed.
_NUMBERS = frozenset(
    {"type", "max_entries", "map_flags", "key_size", "value_size", "numa_node", "pinning", "map_extra"}
)
_MAPS_OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


@dataclass(frozen=True, slots=True)
class MapPlaces:
    """Where the maps of a file lie, which is how relocations name them."""

    declared: Mapping[tuple[int, int], MapSpec]
    """By section index and byte."""
    data: Mapping[int, MapSpec]
    """Sections of variables, by section index."""

    def by_name(self) -> dict[str, MapSpec]:
        """All maps, in the order of the file. Raises ObjectError if two share a name."""
        named: dict[str, MapSpec] = {}
        for spec in (*self.declared.values(), *self.data.values()):
            if spec.name in named:
                raise ObjectError(f"two maps are called {spec.name}")
            named[spec.name] = spec
        return named


def find_maps(elf: ElfFile, functions: FunctionTable, btf: Btf | None, platform: Platform) -> MapPlaces:
    """The maps that a file declares. Raises ObjectError."""
    data = {section.index: _data_map(section, elf.symbols, btf) for section in elf.sections if _is_data(section)}
    for section in elf.sections:
        if section.index in data and elf.relocations.get(section.index):
            raise UnsupportedObject(
                "pointers in global variables",
                "a global variable is initialised with an address",
                where=f"section {section.name}",
                hint="assign the address in the program",
            )
    return MapPlaces(legacy_maps(elf, platform) | _declared_maps(elf, functions, btf, platform), data)


def _is_data(section: Section) -> bool:
    named = any(section.name == name or section.name.startswith(f"{name}.") for name in _DATA_SECTIONS)
    return named and section.type in ("SHT_PROGBITS", "SHT_NOBITS") and section.size > 0


def _data_map(section: Section, symbols: Iterable[Symbol], btf: Btf | None) -> MapSpec:
    return MapSpec(
        name=section.name,
        type=MapType.ARRAY,
        key_size=len(_KEY_OF_ARRAY),
        value_size=section.size,
        max_entries=1,
        contents=((_KEY_OF_ARRAY, section.data),) if section.data else (),
        read_only=section.name.startswith(".rodata"),
        variables=tuple(_variables(section, symbols, _types_of_variables(section, btf))),
    )


def _variables(section: Section, symbols: Iterable[Symbol], types: Mapping[str, int]) -> list[Variable]:
    """The named symbols that lie in the section, lowest first; one that reaches out of it is no variable."""
    inside = [
        Variable(symbol.name, symbol.value, symbol.size, types.get(symbol.name, 0))
        for symbol in symbols
        if symbol.section == section.index and symbol.name and 0 < symbol.size <= section.size - symbol.value
    ]
    return sorted(inside, key=lambda variable: (variable.offset, variable.name))


def _types_of_variables(section: Section, btf: Btf | None) -> dict[str, int]:
    """By name, the types of the variables of a section, as far as the file says them."""
    listed = btf.data_section(section.name) if btf is not None else None
    if btf is None or listed is None:
        return {}
    declared = [btf.type(entry.type) for entry in listed.entries if isinstance(entry, SectionVariable)]
    return {found.name: found.target for found in declared if found.kind is Kind.VAR}


def _declared_maps(
    elf: ElfFile, functions: FunctionTable, btf: Btf | None, platform: Platform
) -> dict[tuple[int, int], MapSpec]:
    """The maps of section .maps, by section index and byte."""
    section = elf.section(MAPS_SECTION)
    if section is None or not section.size:
        return {}
    if btf is None or (variables := btf.data_section(MAPS_SECTION)) is None:
        raise ObjectError(
            "nothing says what the maps are like: there is no BTF for them",
            where=f"section {MAPS_SECTION}",
            hint="build the object with -g",
        )
    # The compiler leaves it to the symbol table to say where in the section a variable lies.
    places = {symbol.name: symbol for symbol in elf.symbols if symbol.section == section.index and symbol.name}
    found: dict[int, MapSpec] = {}
    holders: list[Holder] = []
    for variable in variables.entries:
        assert isinstance(variable, SectionVariable)
        named = btf.type(variable.type)
        if named.kind is not Kind.VAR or named.name not in places:
            raise ObjectError(f"type {variable.type} describes no map of this section", where="section .BTF")
        symbol = places[named.name]
        place = symbol.value
        if place in found:
            raise ObjectError(f"{found[place].name} and {named.name} lie in one place", where=f"section {MAPS_SECTION}")
        declaration = _Declaration(named.name, btf, platform)
        found[place] = declaration.read(named.target)
        if declaration.values_at is not None:
            holders.append(Holder(found[place], place + declaration.values_at, place + symbol.size))
    values = initial_values(elf, section, holders, functions, found)
    return {
        (section.index, place): replace(spec, values=values.get(spec.name, ())) for place, spec in sorted(found.items())
    }


class _Declaration:
    """One map's structure being read. `values_at` is the byte in it where what the map holds begins."""

    def __init__(self, name: str, btf: Btf, platform: Platform) -> None:
        self.where = f"map {name}"
        self.name = name
        self.btf = btf
        self.platform = platform
        self.numbers: dict[str, int] = {}
        self.types: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.values_at: int | None = None
        self.holds: BtfType | None = None

    def read(self, type_: int) -> MapSpec:
        return self.read_structure(self.btf.resolve(type_))

    def read_structure(self, structure: BtfType) -> MapSpec:
        """The map that a resolved type declares."""
        if structure.kind is not Kind.STRUCT:
            raise ObjectError("the declaration is no structure", where=self.where)
        for member in structure.entries:
            assert isinstance(member, Member)
            self._attribute(member)
        flags, type_ = self.numbers.get("map_flags", 0), self._type()
        if self.numbers.get("map_extra") and type_ is not MapType.BLOOM_FILTER:  # whose number of hashes is its own
            raise UnsupportedObject("map_extra", "the attribute map_extra is not supported", where=self.where)
        if "value" in self.types:
            refuse_kept(self.btf, self.types["value"], self.where)
        return MapSpec(
            name=self.name,
            type=type_,
            key_size=self._size("key"),
            value_size=self._size("value"),
            max_entries=self.numbers.get("max_entries", 0),
            flags=flags,
            pinned=self._pinned(),
            key_type=self.types.get("key", 0),
            value_type=self.types.get("value", 0),
            inner=self._held(type_),
            lock=find_lock(self.btf, self.types["value"], self.where) if "value" in self.types else None,
        )

    def _attribute(self, member: Member) -> None:
        if member.name == "values":
            self._values(member)
            return
        if member.name in ("key", "value"):
            self.types[member.name] = self._pointed_to(member)
            self.sizes[member.name] = self.btf.size_of(self.types[member.name])
            return
        if member.name in _NUMBERS:
            array = self.btf.resolve(self._pointed_to(member))
            if array.kind is not Kind.ARRAY:
                raise ObjectError(f"the attribute {member.name} is no number", where=self.where)
            self.numbers[member.name] = array.count
            return
        raise ObjectError(f"there is no map attribute {member.name!r}", where=self.where)

    def _values(self, member: Member) -> None:
        """An array without a length, of pointers to what the map holds."""
        array = self.btf.resolve(member.type)
        pointer = self.btf.resolve(array.target) if array.kind is Kind.ARRAY else array
        if pointer.kind is not Kind.PTR or array.count:
            raise ObjectError("the attribute values is no array of pointers", where=self.where, hint="use __array")
        self.values_at, self.holds = member.bit_offset // 8, self.btf.resolve(pointer.target)
        self.sizes.setdefault("value", VALUE_SIZE)

    def _held(self, type_: MapType) -> MapSpec | None:
        """What a map of maps holds, as far as it is declared. Raises ObjectError if the map can't hold such a thing."""
        if self.holds is None:
            return None
        fits = {MapType.PROG_ARRAY: Kind.FUNC_PROTO, **dict.fromkeys(_MAPS_OF_MAPS, Kind.STRUCT)}
        if self.holds.kind is not fits.get(type_):
            raise ObjectError(
                f"a map of type {type_.value} has no values of that kind",
                where=self.where,
                hint="prog_array holds functions, array_of_maps and hash_of_maps hold maps",
            )
        if type_ is MapType.PROG_ARRAY:
            return None
        inner = _Declaration(f"{self.name}.inner", self.btf, self.platform)
        spec = inner.read_structure(self.holds)
        if spec.type in _MAPS_OF_MAPS or inner.holds is not None:
            raise ObjectError("the maps in a map of maps hold no maps or programs themselves", where=self.where)
        return spec

    def _pointed_to(self, member: Member) -> int:
        pointer = self.btf.resolve(member.type)
        if pointer.kind is not Kind.PTR:
            raise ObjectError(f"the attribute {member.name} is no pointer", where=self.where, hint="use __uint, __type")
        return pointer.target

    def _type(self) -> MapType:
        number = self.numbers.get("type")
        found = None if number is None else self.platform.map_types.get(number)
        if number is None:
            raise ObjectError("the declaration has no type", where=self.where, hint="add __uint(type, BPF_MAP_TYPE_…)")
        if found is None:
            raise UnsupportedObject(
                f"map type {number}",
                f"the platform {self.platform.name} has no map type {number} that is known here",
                where=self.where,
            )
        return found

    def _pinned(self) -> bool:
        pinning = self.numbers.get("pinning", 0)
        if pinning > LIBBPF_PIN_BY_NAME:
            raise ObjectError(f"there is no pinning {pinning}", where=self.where, hint="use LIBBPF_PIN_BY_NAME")
        return pinning == LIBBPF_PIN_BY_NAME

    def _size(self, part: str) -> int:
        """The size of the key or value, which may be said as a type, as a number, or as both if they agree."""
        by_type, by_number = self.sizes.get(part), self.numbers.get(f"{part}_size")
        if by_type is not None and by_number is not None and by_type != by_number:
            raise ObjectError(
                f"the {part} has {by_type} bytes by its type and {by_number} by {part}_size", where=self.where
            )
        return by_number or by_type or 0
