"""Writes the JSON schemas of box configurations and rule sets, and of a guard's rules, for editors that check and
complete as one types.

`python -m configs.build_schema` makes configs/tidegate.schema.json and configs/guard.schema.json out of the same models
that Tidegate reads documents with. An editor finds one by a first line such as

    # yaml-language-server: $schema=tidegate.schema.json

The schema knows keys, types and limits. What needs the whole document (a set that is not defined, an interface that is
used twice) is found by `tidegate check` alone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from appliance.box.config import BoxEntry
from appliance.rules.document.conditions import OPERATORS
from appliance.rules.document.schema import RuleSetEntry
from appliance.rules.layers import OUTER
from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS
from appliance.rules.slices import BASES, LARGEST
from appliance.rules.sockets.fields import WORDS, matchers
from appliance.rules.sockets.schema import GuardDocument, GuardRuleEntry

TARGET = Path(__file__).with_name("tidegate.schema.json")
GUARD_TARGET = Path(__file__).with_name("guard.schema.json")
Schema = dict[str, Any]


def document() -> Schema:
    """Either document: one with `interfaces` is a box, any other is a rule set."""
    _, generated = models_json_schema([(BoxEntry, "validation"), (RuleSetEntry, "validation")])
    definitions: Schema = _plain(generated["$defs"])
    box, rules = definitions.pop("BoxEntry"), definitions.pop("RuleSetEntry")
    definitions |= {"Match": _match(), "Value": _value()}
    definitions["RuleEntry"]["properties"]["match"] = {"$ref": "#/$defs/Match"}
    rules["properties"]["sets"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate",
        "description": "A box's configuration, or a rule set.",
        "if": {"required": ["interfaces"]},
        "then": {
            **box,
            "description": "A box: its own keys, and those of its rule set.",
            "properties": rules["properties"] | box["properties"],
        },
        "else": rules,
        "$defs": definitions,
    }


def guard_document() -> Schema:
    """A guard's document."""
    _, generated = models_json_schema([(GuardDocument, "validation"), (GuardRuleEntry, "validation")])
    definitions: Schema = _plain(generated["$defs"])
    guard = definitions.pop("GuardDocument")
    fields = {name: matcher.doc for name, matcher in matchers().items()} | dict(WORDS)
    definitions["Value"] = _value()
    definitions["Match"] = {
        "description": "`match:` of a rule; all of its fields must match",
        "type": "object",
        "properties": {name: {"description": doc, "$ref": "#/$defs/Value"} for name, doc in fields.items()},
        "additionalProperties": False,
    }
    definitions["GuardEntry"]["properties"]["rules"]["items"] = {"$ref": "#/$defs/GuardRuleEntry"}
    definitions["GuardRuleEntry"]["properties"]["match"] = {"$ref": "#/$defs/Match"}
    guard["properties"]["sets"]["additionalProperties"] = False
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tidegate's guard"}
    return {**head, **guard, "description": "Rules about sockets.", "$defs": definitions}


def _match() -> Schema:
    """`match:` of a rule: the fields are the table of matchers."""
    fields = {
        name: {"description": f"{matcher.doc} ({matcher.layer.value})", "$ref": "#/$defs/Value"}
        for name, matcher in MATCHERS.items()
    }
    return {
        "description": "`match:` of a rule; all of its fields must match",
        "type": "object",
        "properties": fields,
        "patternProperties": {
            r"^\S+( \. \S+)+$": {"$ref": "#/$defs/Value"},  # a combination
            _outer(): {"$ref": "#/$defs/Value"},
            rf"^({'|'.join(BASES)})\[\d+:[1-{LARGEST}]\]( *& *\S+)?$": {"$ref": "#/$defs/Value"},
        },
        "additionalProperties": False,
    }


def _outer() -> str:
    """The names of fields of the outermost headers, as one pattern."""
    names = "|".join(re.escape(name.removeprefix(OUTER)) for name in OUTER_MATCHERS)
    return rf"^{re.escape(OUTER)}({names})$"


def _value() -> Schema:
    """What a field is compared with: a value, a list, or operators with their values."""
    plain = {"type": ["string", "integer", "boolean", "array"]}
    operators = {
        "type": "object",
        "properties": dict.fromkeys(OPERATORS, plain),
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {"anyOf": [plain, operators]}


def _plain(schema: Any) -> Any:
    """Without what pydantic says twice, and with patterns as JavaScript writes them."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if isinstance(schema, str):
        return schema.replace(r"\z", "$")
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema and {"type": "null"} in schema["anyOf"]:
        given = [each for each in schema["anyOf"] if each != {"type": "null"}]
        one = given[0] if len(given) == 1 else {"anyOf": given}
        schema = {**one, **{key: value for key, value in schema.items() if key not in ("anyOf", "default")}}
    named = isinstance(schema.get("title"), str)
    return {_plain(key): _plain(value) for key, value in schema.items() if not (named and key == "title")}


def text() -> str:
    """The schema as a file, the same for the same models."""
    return _as_text(document())


def guard_text() -> str:
    """The same of a guard's document."""
    return _as_text(guard_document())


def _as_text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    GUARD_TARGET.write_text(guard_text(), encoding="utf-8")
