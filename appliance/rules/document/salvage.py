"""Of a document that is wrong in places, what is right: it is read on, so that one run tells every mistake.

data ── check ── wrong at rules[3], sets.web, defaults.mode ── the same without these ── check ── entry
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic

from pydantic import ValidationError

from appliance.errors import InputRefused
from appliance.rules.document.check import Model, demand_mapping, told
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.errors import RuleSetRefused


@dataclass(frozen=True, slots=True)
class Salvaged(Generic[Model]):
    """`entry` holds all that is right; `defects` are what is wrong, and `wrong` where: keys of the top level, and
    entries of those that are lists or mappings."""

    entry: Model
    defects: tuple[InputRefused, ...] = ()
    wrong: frozenset[KeyPath] = frozenset()

    def is_whole(self, key: str) -> bool:
        """Whether nothing of that key was wrong."""
        return all(path[0] != key for path in self.wrong if path)

    def numbers(self, key: str, data: Any) -> list[int]:
        """The places in the document of what the entry's list of that name holds."""
        there = data.get(key)
        if not isinstance(there, list) or (key,) in self.wrong:
            return []
        return [number for number in range(len(there)) if (key, number) not in self.wrong]


def salvage(
    model: type[Model],
    document: Document,
    data: Any,
    others: Collection[str] = (),
    instead: Mapping[str, Any] = MappingProxyType({}),
) -> Salvaged[Model]:
    """`data`, which stands at the document's top, as that model, as far as it can be; `instead` are values for keys
    that it can't do without, where they are missing or wrong. Raises RuleSetRefused if nothing of it can."""
    demand_mapping(model, document, data, (), others)
    try:
        return Salvaged(model.model_validate(data))
    except ValidationError as error:
        found = error.errors(include_url=False)
        defects = tuple(told(model, document, each, (), others) for each in found)
        wrong = frozenset(_part(data, each["loc"]) for each in found)
        try:
            return Salvaged(model.model_validate({**instead, **_without(data, wrong)}), defects, wrong)
        except ValidationError:
            raise RuleSetRefused(defects) from error


def _part(data: dict[str, Any], loc: tuple[str | int, ...]) -> KeyPath:
    """The least that has to be left out for a mistake at that place."""
    inside = data.get(str(loc[0])) if loc else None
    if len(loc) > 1 and isinstance(inside, list) and isinstance(loc[1], int):
        return loc[:2]
    if len(loc) > 1 and isinstance(inside, dict) and loc[1] in inside:
        return loc[:2]
    return loc[:1]


def _without(data: dict[str, Any], wrong: frozenset[KeyPath]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for key, value in data.items():
        if (key,) in wrong:
            continue
        if isinstance(value, list):
            left[key] = [each for number, each in enumerate(value) if (key, number) not in wrong]
        elif isinstance(value, dict):
            left[key] = {name: each for name, each in value.items() if (key, name) not in wrong}
        else:
            left[key] = value
    return left
