"""Writes the parts of docs/rules.md that are tables of the rule language, from the tables that the language is.

`python -m docs.build_rules` replaces what stands between `<!-- NAME -->` and `<!-- end -->` for each name of PARTS.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.rules.actions import ACTIONS
from appliance.rules.layers import Layer
from appliance.rules.matchers import MATCHERS
from appliance.rules.tunnels import MEANINGS
from appliance.rules.values import FlagsKind, NumberKind

TARGET = Path(__file__).with_name("rules.md")
WIDTH = 120


def actions() -> str:
    """The table of actions."""
    lines = ["| action | its key | what becomes of the frame | and then |", "|---|---|---|---|"]
    for row in ACTIONS.values():
        key = f"[`{row.key}`](#{row.key})" if row.key else ""
        lines.append(f"| `{row.action.value}` | {key} | {row.doc} | {'the end' if row.ends else 'the next rule'} |")
    return "\n".join(lines)


def fields() -> str:
    """The tables of fields, one for each layer."""
    return "\n\n".join(_layer(layer) for layer in Layer)


def _layer(layer: Layer) -> str:
    lines = [f"**In {layer.value}**", "", "| field | values | meaning |", "|---|---|---|"]
    lines += [f"| `{m.name}` | {m.kind.name} | {m.doc} |" for m in MATCHERS.values() if m.layer is layer]
    return "\n".join(lines)


def names() -> str:
    """Every kind of value that has names, with its names in the order of their numbers."""
    return "\n\n".join(textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in _names())


def _names() -> Iterator[str]:
    kinds = {matcher.kind.name: matcher.kind for matcher in MATCHERS.values()}
    for kind in kinds.values():
        if isinstance(kind, NumberKind) and kind.names:
            yield f"**{kind.name}**: {_listed(kind.names, with_numbers=True)}."
        elif isinstance(kind, FlagsKind):
            yield f"**{kind.name}**: {_listed(kind.bits, with_numbers=False)}."


def _listed(numbers: Mapping[str, int], *, with_numbers: bool) -> str:
    ordered = sorted(numbers.items(), key=lambda item: item[1])
    return ", ".join(f"`{name}`" + f"\N{NO-BREAK SPACE}{number}" * with_numbers for name, number in ordered)


def tunnels() -> str:
    """The kinds of tunnels."""
    lines = ["| kind | what it is |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{kind.value}` | {meaning} |" for kind, meaning in MEANINGS.items())])


PARTS = {"actions": actions, "tunnels": tunnels, "fields": fields, "names": names}


def text(before: str) -> str:
    """The reference with its tables as they are now."""
    for name, part in PARTS.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        before, count = between.subn(lambda match, part=part: f"{match[1]}\n{part()}\n\n{match[2]}", before)
        assert count == 1, f"there are {count} places for the {name}"
    return before


if __name__ == "__main__":
    TARGET.write_text(text(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
