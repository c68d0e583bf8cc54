"""Conditions on several fields together: `ip.src . tcp.dport: "@services"`, as nft(8) concatenates them."""

from __future__ import annotations

from typing import Any

from appliance.rules.conditions import Condition, InCombinations
from appliance.rules.document.elements import ElementReader, each
from appliance.rules.document.fields import FieldReader
from appliance.rules.document.places import KeyPath
from appliance.rules.field_hints import which_field
from appliance.rules.matchers import Matcher
from appliance.rules.sets.elements import ElementType
from appliance.rules.values import AddressKind, BadValue, NumberKind

COMBINED = " . "


def read_combination(
    reader: ElementReader, fields: FieldReader, name: str, value: Any, path: KeyPath
) -> tuple[Condition, ...]:
    """`ip.src . tcp.dport: "@set"`: the fields together are an element of a set."""
    before = len(reader.defects)
    matchers = [_field(reader, fields, part.strip(), path) for part in name.split(COMBINED)]
    operators = value if isinstance(value, dict) else {"eq": value}
    conditions = []
    for operator, names in operators.items():
        at = (*path, operator) if isinstance(value, dict) else path
        if operator not in ("eq", "any", "in", "not"):
            reader.refuse(f"a combination takes no operator {operator!r}", at, "it takes: eq, any, in, not", key=True)
            continue
        found = tuple(matcher for matcher in matchers if matcher is not None)
        if len(found) == len(matchers):
            sets = _sets_of(reader, found, names, at)
            conditions.append(InCombinations(found, sets, negated=operator == "not"))
    return tuple(conditions) if len(reader.defects) == before else ()


def _field(reader: ElementReader, fields: FieldReader, name: str, path: KeyPath) -> Matcher | None:
    """One field of a combination. Refuses those whose values no set has."""
    try:
        matcher = fields.find(name)
        if matcher.slice:
            raise BadValue(f"there is no field {name!r}", which_field(name))
    except BadValue as bad:
        reader.refuse(bad.what, path, bad.hint, key=True)
        return None
    if not isinstance(matcher.kind, NumberKind | AddressKind):
        reader.refuse(f"{name} can't stand in a combination", path, "make it a condition of its own", key=True)
    elif len(matcher.fields) > 1:
        hint = "name one of them, such as tcp.dport"
        reader.refuse(f"{name} stands for several places in a frame", path, hint, key=True)
    else:
        return matcher
    return None


def _sets_of(reader: ElementReader, matchers: tuple[Matcher, ...], names: Any, path: KeyPath) -> tuple[str, ...]:
    """The sets of combinations of these fields' types that are named."""
    types = [matcher.kind.set_type for matcher in matchers if isinstance(matcher.kind, NumberKind | AddressKind)]
    found = []
    for text, where in each(names, path):
        if not isinstance(text, str) or not text.startswith("@"):
            reader.refuse("a combination is looked for in sets alone", where, 'name one, like "@services"')
            continue
        named = reader.named(text, ElementType(tuple(types)), where)
        found += [named.name] if named is not None else []
    return tuple(found)
