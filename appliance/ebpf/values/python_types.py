"""Values as the user's own Python types: dataclasses, enumerations, text.

    @dataclass(frozen=True)
    class Flow:                        struct flow {
        source: int                        __u32 source;
        ports: tuple[int, int]             __u16 ports[2];
        action: Action                     enum action action;
    }                                  };

A dataclass has a field for every field in C, of a union for at least one member. What its fields are annotated with
says what they become; `Any`, or no more than `dict` or `list`, leaves them as they are.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from appliance.ebpf.values.arrays import Array, ByteArray
from appliance.ebpf.values.codec import Codec, RawBytes
from appliance.ebpf.values.composites import Anonymous, Composite, c_name, python_name
from appliance.ebpf.values.errors import ValueUnfit
from appliance.ebpf.values.scalars import Boolean, Float, Number

Convert = Callable[[Any], Any]

# What a Python type without parts may stand for.
_PLAIN: Mapping[Any, tuple[type[Codec], ...]] = {
    int: (Number,),
    bool: (Boolean,),
    float: (Float,),
    bytes: (ByteArray, RawBytes),
    list: (Array,),
    dict: (Composite,),
}


class TypedCodec(Codec):
    """Another codec, whose values become those of a Python type. Raises ValueUnfit if the two don't match.
    Any thread."""

    def __init__(self, codec: Codec, target: Any) -> None:
        super().__init__(codec.name, codec.size, codec.parts)
        self.codec = codec
        self._convert = _conversion(codec, target)

    def pack(self, value: object, into: bytearray, offset: int) -> None:
        self.codec.pack(value, into, offset)

    def unpack(self, data: bytes, offset: int) -> Any:
        return self._convert(self.codec.unpack(data, offset))

    def mark(self, into: bytearray, offset: int) -> None:
        self.codec.mark(into, offset)


def make_dataclass(codec: Codec, name: str | None = None) -> type:
    """A frozen dataclass with the fields of a structure or union, made by keyword; those of unions may be left out.

    Its instances can be keys of a dict: arrays become tuples, and structures within become dataclasses too. `name` is
    C's if it isn't given. Raises ValueUnfit for what has no fields.
    """
    if not isinstance(codec, Composite):
        raise ValueUnfit(f"{codec.name} has no fields", hint="a dataclass can be made of a structure or a union")
    return _made(codec, name or codec.short_name or "anonymous", {})


def _made(codec: Composite, name: str, known: dict[Codec, type]) -> type:
    if codec not in known:
        optional = _alternatives(codec)
        fields: list[tuple[str, Any, Any]] = []
        for field, of in codec.fields.items():
            if not field.isidentifier() or python_name(field) in (name for name, *_ in fields):
                what = f"the field {field!r} of {codec.name} can't be an attribute"
                raise ValueUnfit(what, hint="read it as a dict")
            target = _natural(of, f"{name}_{field}", known)
            given = (
                (target | None, dataclasses.field(default=None)) if field in optional else (target, dataclasses.field())
            )
            fields.append((python_name(field), *given))
        known[codec] = dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True, slots=True)
    return known[codec]


def _natural(codec: Codec, name: str, known: dict[Codec, type]) -> Any:
    """The type that a generated dataclass has for a field; `name` is for a structure that has none."""
    if isinstance(codec, Composite):
        return _made(codec, codec.short_name or name, known)
    if isinstance(codec, Array):
        return types.GenericAlias(tuple, (_natural(codec.element, name, known), ...))
    return next((plain for plain, codecs in _PLAIN.items() if type(codec) in codecs), int)


def _conversion(codec: Codec, target: Any) -> Convert:
    """From what `codec` decodes to what `target` asks for. Raises ValueUnfit."""
    if typing.get_origin(target) in (typing.Union, types.UnionType):
        (target,) = [each for each in typing.get_args(target) if each is not types.NoneType][:1] or [Any]
    if typing.get_origin(target) in (typing.Final, typing.Annotated):
        target = typing.get_args(target)[0]
    if target in (Any, object):
        return _as_it_is
    if dataclasses.is_dataclass(target) and isinstance(target, type) and isinstance(codec, Composite):
        return _to_dataclass(codec, target)
    if isinstance(target, type) and issubclass(target, Enum) and isinstance(codec, Number):
        return target
    if target is str and isinstance(codec, ByteArray):
        return _text
    origin = typing.get_origin(target) or target
    if origin in (list, tuple) and isinstance(codec, Array):
        return _to_sequence(codec, origin, typing.get_args(target))
    if origin in _PLAIN and isinstance(codec, _PLAIN[origin]):
        return _as_it_is
    raise ValueUnfit(f"{codec.name} can't be {_name_of(target)}", hint=f"it can be {_fitting(codec)}")


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _to_sequence(codec: Array, origin: type, arguments: tuple[Any, ...]) -> Convert:
    elements = [each for each in arguments if each is not Ellipsis]
    if Ellipsis not in arguments and origin is tuple and elements and len(elements) != codec.count:
        raise ValueUnfit(f"{codec.name} can't be a tuple of {len(elements)}")
    if len(elements) < 2 or all(each == elements[0] for each in elements):
        convert = _conversion(codec.element, elements[0] if elements else Any)
        return lambda values: origin(map(convert, values))
    converts = [_conversion(codec.element, each) for each in elements]
    return lambda values: tuple(convert(value) for convert, value in zip(converts, values, strict=True))


def _to_dataclass(codec: Composite, target: type) -> Convert:
    hints = _hints(target)
    names = {c_name(field.name): field.name for field in dataclasses.fields(target) if field.init}
    for name in names:
        if name not in codec.fields:
            hint = f"it has {', '.join(codec.fields) or 'no fields'}"
            raise ValueUnfit(f"{codec.name} has no field {name!r} for {target.__name__}", hint=hint)
    missing = next(_missing(codec, names), None)
    if missing is not None:
        raise ValueUnfit(f"{target.__name__} has no field {missing!r} of {codec.name}", hint="give it one")
    converts: list[tuple[str, str, Convert]] = []
    for name, python in names.items():
        try:
            converts.append((name, python, _conversion(codec.fields[name], hints[python])))
        except ValueUnfit as error:
            raise error.within(name) from None
    return lambda fields: target(**{python: convert(fields[name]) for name, python, convert in converts})


def _hints(target: type) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(target)
    except NameError as error:
        hint = "define the types of its fields where its module can see them"
        raise ValueUnfit(f"the fields of {target.__name__} can't be understood: {error}", hint=hint) from None


def _missing(codec: Composite, names: Mapping[str, str]) -> typing.Iterator[str]:
    """The fields that a dataclass of `names` would need."""
    if codec.union:
        if codec.members and not any(not names.keys().isdisjoint(member.fields) for member in codec.members):
            yield next(iter(codec.fields), "")
        members = [m for m in codec.members if not names.keys().isdisjoint(m.fields)]
    else:
        members = list(codec.members)
    for member in members:
        if isinstance(member, Anonymous):
            yield from _missing(member.composite, names)
        else:
            yield from (name for name in member.fields if name not in names)


def _alternatives(codec: Composite) -> set[str]:
    """The fields that may be left out, as a union's other members may stand for them."""
    if codec.union:
        return set(codec.fields)
    nested = [_alternatives(member.composite) for member in codec.members if isinstance(member, Anonymous)]
    return set().union(*nested)


def _fitting(codec: Codec) -> str:
    if isinstance(codec, Composite):
        return "a dataclass or dict"
    if isinstance(codec, Array):
        return "a list or tuple"
    if isinstance(codec, ByteArray):
        return "bytes or str"
    fitting = ["bool"] if isinstance(codec, Boolean) else []
    if isinstance(codec, Number):
        fitting += ["int", "an Enum"]
    if isinstance(codec, Float):
        fitting += ["float"]
    return ", ".join(fitting) or "bytes"


def _name_of(target: Any) -> str:
    return target.__name__ if isinstance(target, type) and typing.get_origin(target) is None else str(target)
