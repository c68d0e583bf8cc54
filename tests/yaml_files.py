"""The tests' own YAML files: YAML 1.2's core schema, anchors allowed, read by libyaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml


class _Core(yaml.CSafeLoader):
    """Without YAML 1.1's further words for truth values and its numbers to the base of 60."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?)", "-+.0123456789"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def load(source: Path | str) -> Any:
    """What a file, or a text, says."""
    return yaml.load(source.read_text() if isinstance(source, Path) else source, _Core)


def dump(data: Any) -> str:
    """Data as YAML, keys in their order, a line never broken for its length."""
    return yaml.safe_dump(data, sort_keys=False, width=1 << 20, allow_unicode=True)
