"""Pydantic's errors in the words of this project: what, where in the file, and what would make it right.

The box's own document uses this too: `check(Model, document, data)`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from appliance.errors import InputRefused
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.errors import RuleSetRefused, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


def check(model: type[Model], document: Document, data: Any, at: KeyPath = (), others: Collection[str] = ()) -> Model:
    """`data`, which stands at the path `at` of the document, as that model. Raises RuleSetRefused with every defect.

    `others` are keys that may stand beside the model's own and are read elsewhere: hints name them too.
    """
    demand_mapping(model, document, data, at, others)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        defects = [told(model, document, defect, at, others) for defect in error.errors(include_url=False)]
        raise RuleSetRefused(defects) from error


def demand_mapping(model: type[BaseModel], document: Document, data: Any, at: KeyPath, others: Collection[str]) -> None:
    """Raises RuleSetRefused if the data isn't a mapping at all."""
    if not isinstance(data, dict):
        keys = ", ".join(dict.fromkeys((*model.model_fields, *sorted(others))))
        empty = "the document is empty" if data is None and not at else f"this is {shape(data)}, not a mapping of keys"
        raise RuleSetRefused([document.refuse(empty, at, hint=f"known keys are: {keys}")])


def shape(value: Any) -> str:
    """What kind of YAML node a value was, with its article."""
    for kind, name in ((bool, "a truth value"), (int | float, "a number"), (str, "text"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "empty" if value is None else "a mapping"


def told(
    model: type[BaseModel], document: Document, error: Mapping[str, Any], at: KeyPath, others: Collection[str]
) -> InputRefused:
    """One of pydantic's errors as a defect at its place."""
    path, is_key = _place_of(document, at, error["loc"])
    name = str(path[-1]) if path else ""
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        beside = others if len(error["loc"]) == 1 else ()
        return document.refuse(f"unknown key {name!r}", path, hint=did_you_mean(name, {*known, *beside}), key=True)
    if kind == "missing":
        missing = error["loc"][-1]
        return document.refuse(f"the key {missing!r} is missing", path, hint=_description(model, error["loc"]))
    what, hint = _SAYINGS.get(kind, _plain)(error)
    if kind == "string_pattern_mismatch":
        hint = _description(model, error["loc"]) or hint
    subject = f"{name}: " if isinstance(path[-1] if path else None, str) and not is_key else ""
    return document.refuse(subject + what, path, hint=hint, key=is_key)


def _place_of(document: Document, at: KeyPath, loc: tuple[str | int, ...]) -> tuple[KeyPath, bool]:
    """The longest part of the error's location that stands in the document, and whether its key is meant."""
    path = at
    for step in loc:
        if step == "[key]":
            return path, True
        if not document.places.has((*path, step)):
            break
        path = (*path, step)
    return path, False


Saying = tuple[str, str | None]


def _plain(error: Mapping[str, Any]) -> Saying:
    message = str(error["msg"])
    return message[:1].lower() + message[1:], None


def _literal(error: Mapping[str, Any]) -> Saying:
    expected = str(error["ctx"]["expected"])
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    given = error["input"]
    if expected.isdecimal() and type(given) is not int:
        found = f"{given!r}" if isinstance(given, float) else shape(given)
        return f"this is {found}, but the number {expected} is wanted", None
    return f"{_quoted(error['input'])} isn't one of {', '.join(words)}", did_you_mean(error["input"], words)


def _pattern(error: Mapping[str, Any]) -> Saying:
    return (
        f"{_quoted(error['input'])} isn't a name",
        "begin with a lower-case letter or a digit, go on with those, `-`, `_` or `.`, 63 characters at most",
    )


def _wanted(what: str) -> Callable[[Mapping[str, Any]], Saying]:
    return lambda error: (f"this is {shape(error['input'])}, but {what} is wanted", None)


def _limit(words: str, key: str) -> Callable[[Mapping[str, Any]], Saying]:
    return lambda error: (f"{_quoted(error['input'])} must be {words} {_written_out(error['ctx'][key])}", None)


def _written_out(number: float) -> str:
    """A limit as one would write it in a document: no powers of ten where it is whole."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def _quoted(value: Any) -> str:
    return shape(value) if isinstance(value, list | dict | None) else repr(value)


def _rate(error: Mapping[str, Any]) -> Saying:
    return str(error["msg"]), "write a number per second, such as 200, 10k or 1.5M, or 20/m for 20 a minute"


_SAYINGS: dict[str, Callable[[Mapping[str, Any]], Saying]] = {
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "string_type": _wanted("text"),
    "int_type": _wanted("a whole number"),
    "int_from_float": _wanted("a whole number"),
    "float_type": _wanted("a number"),
    "bool_type": _wanted("true or false"),
    "list_type": _wanted("a list"),
    "too_short": lambda error: ("this list is empty", "leave the key out, or give it an element"),
    "dict_type": _wanted("a mapping of keys"),
    "model_type": _wanted("a mapping of keys"),
    "greater_than": _limit("more than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than": _limit("less than", "lt"),
    "less_than_equal": _limit("at most", "le"),
    "rate": _rate,
    "time": lambda error: (str(error["msg"]), "write seconds, or a time such as 90s, 10m, 12h or 7d"),
    "finite_number": _wanted("a finite number"),
}


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model that describes the mapping at that location, if there is one."""
    kind: Any = model
    for step in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(step))
            kind = _inner(field.annotation) if field else None
        else:
            kind = _inner(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """What stays of an annotation when Optional, Annotated and the outermost container are taken off, as needed."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _inner(next(a for a in typing.get_args(annotation) if a is not type(None)))
    if origin in (list, dict):
        return _Container(typing.get_args(annotation)[-1])
    return annotation.element if isinstance(annotation, _Container) else annotation


class _Container:
    """A list or mapping type whose elements the next step of a location goes into."""

    def __init__(self, element: Any) -> None:
        self.element = element


def _keys_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    found = _model_at(model, loc)
    return keys_of(found) if found else []


def _description(model: type[BaseModel], loc: tuple[str | int, ...]) -> str | None:
    owner = _model_at(model, loc[:-1])
    name = str(loc[-1])
    fields = owner.model_fields.items() if owner else ()
    return next((field.description for key, field in fields if name in (key, field.alias)), None)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a mapping as documents write them."""
    return [field.alias or key for key, field in model.model_fields.items()]
