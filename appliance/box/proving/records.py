"""Records as bytes, and back: how processes that don't trust each other tell each other something.

    record ──encode──> JSON document of its fields + body, its `bytes` one after the other
    record <──decode── the same; or Malformed

What a record may hold is what its class declares: text, numbers, bytes, tuples, mappings by text, members of
enumerations, other records, any of them or None. The reader goes by the declaration and by nothing that the writer
says, so a document can make nothing but what was declared; a field too many, one too few, or of another type is
refused. There is no pickle here, and no name of a class in a document.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
LARGEST_NUMBER = 1 << 64  # of either sign: nothing that is told here is larger


class Malformed(ValueError):
    """The bytes are no record of the class that was asked for."""


def encode(record: Any) -> tuple[bytes, bytes]:
    """The document, ASCII alone, and the body. In a document, bytes are the number of those in the body."""
    body = bytearray()
    document = json.dumps(_written(record, body), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return document.encode("ascii"), bytes(body)


def decode(type_: type[Record], document: bytes, body: bytes) -> Record:
    """The record of that class. Raises Malformed for anything else."""
    reader = _Reader(body)
    try:
        record = reader.read(type_, json.loads(document.decode("ascii"), parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if reader.position != len(body):
        raise Malformed(f"{len(body) - reader.position} bytes belong to nothing")
    made: Record = record
    return made


def _written(value: Any, body: bytearray) -> Any:
    if isinstance(value, bytes):
        body += value
        return len(value)
    if isinstance(value, Enum):
        return value.name
    if is_dataclass(value):
        return {each.name: _written(getattr(value, each.name), body) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: _written(each, body) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_written(each, body) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} can't be told")


@cache
def _fields_of(type_: type) -> Mapping[str, Any]:
    """Field → type. A class that stands under TYPE_CHECKING alone can't be in a record."""
    return get_type_hints(type_)


@dataclass(slots=True)
class _Reader:
    """Reads values as they are declared, and their bytes from the body in order."""

    body: bytes
    position: int = field(default=0)

    def read(self, type_: Any, found: Any) -> Any:
        if is_dataclass(type_):
            return self._record(type_, found)
        origin = get_origin(type_)
        if origin in (Union, UnionType):
            return self._one_of(get_args(type_), found)
        if origin is tuple:
            return tuple(self.read(get_args(type_)[0], each) for each in _as(list, found))
        if origin is not None and issubclass(origin, Mapping):
            return {name: self.read(get_args(type_)[1], each) for name, each in _as(dict, found).items()}
        if type_ is bytes:
            return self._bytes(_number(found))
        if issubclass(type_, Enum):
            return _member(type_, _as(str, found))
        return _PLAIN[type_](found)

    def _record(self, type_: Any, found: Any) -> Any:
        declared = _fields_of(type_)
        given = _as(dict, found)
        if given.keys() != declared.keys():
            odd = ", ".join(sorted(given.keys() ^ declared.keys()))
            raise Malformed(f"a {type_.__name__} with or without {odd[:200]}")
        # in the order of the declaration, as its bytes stand in the body
        return type_(**{name: self.read(hint, given[name]) for name, hint in declared.items()})

    def _one_of(self, types: tuple[Any, ...], found: Any) -> Any:
        """None, a number, text or a member, and a record can be told apart; no two of a kind."""
        for type_ in types:
            if isinstance(found, _shape(type_)):
                return self.read(type_, found)
        raise Malformed(f"a {type(found).__name__} where none may be")

    def _bytes(self, size: int) -> bytes:
        end = self.position + size
        if not 0 <= self.position <= end <= len(self.body):
            raise Malformed(f"{size} bytes, and {len(self.body) - self.position} are left")
        data = self.body[self.position : end]
        self.position = end
        return data


def _shape(type_: Any) -> type:
    """What JSON has for a value of that type."""
    if is_dataclass(type_):
        return dict
    shape: type = str if issubclass(type_, Enum) else type_
    return shape


def _as(type_: type, found: Any) -> Any:
    """Exactly that type: True is no number here."""
    if type(found) is not type_:
        raise Malformed(f"a {type(found).__name__} where a {type_.__name__} should be")
    return found


def _number(found: Any) -> int:
    number: int = _as(int, found)
    if abs(number) > LARGEST_NUMBER:
        raise Malformed("a number beyond 64 bits")
    return number


def _fraction(found: Any) -> float:
    number = float(_number(found)) if type(found) is int else _as(float, found)
    if not math.isfinite(number):
        raise Malformed("a number that is none")
    return float(number)


def _member(type_: type[Enum], name: str) -> Enum:
    if name not in type_.__members__:
        raise Malformed(f"no {type_.__name__} is called {name[:80]!r}")
    return type_[name]


def _refuse_constant(name: str) -> Any:
    raise Malformed(f"a number that is none: {name}")


_PLAIN: Mapping[Any, Callable[[Any], Any]] = {
    str: lambda found: _as(str, found),
    int: _number,
    float: _fraction,
    bool: lambda found: _as(bool, found),
    NoneType: lambda found: _as(NoneType, found),
}
