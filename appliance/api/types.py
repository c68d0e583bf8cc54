"""The types of an object by their names in C, as codecs: for records of a ring buffer, and whatever else is bytes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from appliance.api.errors import NoSuchName
from appliance.ebpf.btf.btf import Btf, Kind
from appliance.ebpf.values import Codec, Codecs, type_name

SHOWN = 8  # names in a message
_NAMED = frozenset({Kind.INT, Kind.FLOAT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF})


class Types(Mapping[str, Codec]):
    """By names as C writes them: `types["struct event"].decode(record)`. An unknown name raises NoSuchName; a type
    that no value can have, ObjectError. Any thread."""

    def __init__(self, btf: Btf | None, codecs: Codecs, where: str) -> None:
        self._numbers: dict[str, int] = {}
        self._codecs = codecs
        self._where = where
        for number, found in enumerate(btf.types if btf is not None else ()):
            if found.kind in _NAMED and found.name and btf is not None:
                self._numbers.setdefault(type_name(btf, number), number)

    def __getitem__(self, name: str) -> Codec:
        if name not in self._numbers:
            near = difflib.get_close_matches(name, self._numbers, SHOWN, 0.3) or [*self._numbers][:SHOWN]
            raise NoSuchName("type", name, near, self._where)
        return self._codecs.numbered(self._numbers[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
