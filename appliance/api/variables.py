"""Global variables by their names in C, over all data sections of an object: .rodata, .data, .bss and their likes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from appliance.api.errors import NoSuchName, ValueUnfit
from appliance.api.object_map import ObjectMap
from appliance.api.typed_map import encoded
from appliance.ebpf.spec import MapSpec, Variable
from appliance.ebpf.values import Boolean, Codec, Codecs, Number, TypedCodec
from appliance.maps.control.map import Map

KEY = bytes(4)  # a section is an array of one value


class Variables(Mapping[str, bytes]):
    """Bytes in host order by name; `value` gives what they mean. An unknown name raises NoSuchName.
    Reading changes nothing here: as many threads as its sections allow."""

    def __init__(self, specs: Mapping[str, MapSpec], codecs: Codecs, where: str) -> None:
        self._places = {variable.name: (name, variable) for name, spec in specs.items() for variable in spec.variables}
        self._codecs = codecs
        self._where = where

    def __getitem__(self, name: str) -> bytes:
        section, variable = self._place(name)
        return self._section(section)[variable.offset : variable.offset + variable.size]

    def value(self, name: str, target: Any = None) -> Any:
        """The value by its type in C: a number, a list, a dict; bytes if the object doesn't say. `target` is a
        dataclass or another type that it is to become. Raises ValueUnfit if that doesn't match."""
        codec = self.codec(name)
        return (codec if target is None else TypedCodec(codec, target)).decode(self[name])

    def codec(self, name: str) -> Codec:
        """The type of a variable."""
        _, variable = self._place(name)
        return self._codecs.of(variable.type, variable.size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @abstractmethod
    def _section(self, name: str) -> bytes:
        """What a section holds."""

    def _place(self, name: str) -> tuple[str, Variable]:
        if name not in self._places:
            raise NoSuchName("variable", name, self._places, self._where)
        return self._places[name]


class ObjectVariables(Variables, MutableMapping[str, bytes]):
    """The values that variables will have when the object is loaded. Bytes may be assigned, or values of the type.
    For one thread at a time."""

    def __init__(self, maps: Mapping[str, ObjectMap], codecs: Codecs, where: str) -> None:
        super().__init__({name: map_.spec for name, map_ in maps.items()}, codecs, where)
        self._maps = maps

    def __setitem__(self, name: str, value: object) -> None:
        """Raises NoSuchName, or ValueUnfit if the value isn't one that the variable can have."""
        section, variable = self._place(name)
        data = bytearray(self._maps[section].initial_value)
        data[variable.offset : variable.offset + variable.size] = self._bytes_for(variable, value)
        self._maps[section].initial_value = bytes(data)

    def __delitem__(self, name: str) -> None:
        raise ValueUnfit(f"the variable {name!r} can't be taken out of the program", where=self._where)

    def _section(self, name: str) -> bytes:
        return self._maps[name].initial_value

    def _bytes_for(self, variable: Variable, value: object) -> bytes:
        codec = self.codec(variable.name)
        if isinstance(value, bytes):
            if len(value) != variable.size:
                raise ValueUnfit(f"{len(value)} bytes given for {variable.name!r}, which has {variable.size}")
            return value
        plain = isinstance(codec, Number) and not isinstance(codec, Boolean)
        if isinstance(value, int) and (plain or not variable.type):
            return _integer(variable, value)
        return encoded(codec, value, variable.name, self._where)


class LoadedVariables(Variables):
    """The values that variables have now, while programs may change them. Any thread."""

    def __init__(self, maps: Mapping[str, Map], specs: Mapping[str, MapSpec], codecs: Codecs, where: str) -> None:
        super().__init__(specs, codecs, where)
        self._maps = maps

    def _section(self, name: str) -> bytes:
        return self._maps[name].lookup(KEY) or b""


def _integer(variable: Variable, value: int) -> bytes:
    """An integer in the variable's bytes, with a sign or without, as in C."""
    try:
        return value.to_bytes(variable.size, "little", signed=value < 0)
    except OverflowError:
        raise ValueUnfit(f"{value} doesn't fit into the {variable.size} bytes of {variable.name!r}") from None
