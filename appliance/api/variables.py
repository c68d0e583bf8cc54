"""Global variables by their names in C, over all data sections of an object: .rodata, .data, .bss and their likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

from appliance.api.errors import NoSuchName, ValueUnfit
from appliance.api.object_map import ObjectMap
from appliance.ebpf.spec import MapSpec, Variable
from appliance.maps.map import Map

KEY = bytes(4)  # a section is an array of one value


class ObjectVariables(MutableMapping[str, bytes]):
    """The values that variables will have when the object is loaded: bytes in host order; an int may be assigned."""

    def __init__(self, maps: Mapping[str, ObjectMap], where: str) -> None:
        self._maps = maps
        self._places = places_of({name: map_.spec for name, map_ in maps.items()})
        self._where = where

    def __getitem__(self, name: str) -> bytes:
        section, variable = self._place(name)
        return _part(self._maps[section].initial_value, variable)

    def __setitem__(self, name: str, value: bytes | int) -> None:
        """Raises NoSuchName, or ValueUnfit if the value hasn't the variable's size."""
        section, variable = self._place(name)
        data = bytearray(self._maps[section].initial_value)
        data[variable.offset : variable.offset + variable.size] = _bytes_for(variable, value)
        self._maps[section].initial_value = bytes(data)

    def __delitem__(self, name: str) -> None:
        raise ValueUnfit(f"the variable {name!r} can't be taken out of the program", where=self._where)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _place(self, name: str) -> tuple[str, Variable]:
        if name not in self._places:
            raise NoSuchName("variable", name, self._places, self._where)
        return self._places[name]


class LoadedVariables(Mapping[str, bytes]):
    """The values that variables have now, while programs may change them: bytes in host order."""

    def __init__(self, maps: Mapping[str, Map], where: str) -> None:
        self._maps = maps
        self._places = places_of({name: map_.spec for name, map_ in maps.items()})
        self._where = where

    def __getitem__(self, name: str) -> bytes:
        if name not in self._places:
            raise NoSuchName("variable", name, self._places, self._where)
        section, variable = self._places[name]
        return _part(self._maps[section].lookup(KEY) or b"", variable)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def places_of(maps: Mapping[str, MapSpec]) -> dict[str, tuple[str, Variable]]:
    """By a variable's name, its section and its place there."""
    return {variable.name: (section, variable) for section, spec in maps.items() for variable in spec.variables}


def _part(section: bytes, variable: Variable) -> bytes:
    return section[variable.offset : variable.offset + variable.size]


def _bytes_for(variable: Variable, value: bytes | int) -> bytes:
    if isinstance(value, int):
        try:
            return value.to_bytes(variable.size, "little", signed=value < 0)
        except OverflowError:
            raise ValueUnfit(f"{value} doesn't fit into the {variable.size} bytes of {variable.name!r}") from None
    if len(value) != variable.size:
        raise ValueUnfit(f"{len(value)} bytes given for {variable.name!r}, which has {variable.size}")
    return bytes(value)
