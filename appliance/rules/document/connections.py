"""`connections:` of the documents, and whether rules ask for what only connection tracking knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance.errors import InputRefused
from appliance.rules.conditions import matched
from appliance.rules.document.document import Document
from appliance.rules.document.places import KeyPath
from appliance.rules.document.schema import ConnectionsEntry
from appliance.rules.model import Connections, Rule
from appliance.rules.parsed import STATE_FIELD


def read_connections(given: Iterable[ConnectionsEntry]) -> Connections | None:
    """What the documents say, later ones over earlier ones, key by key; None if none says anything."""
    said: dict[str, Any] = {}
    found = False
    for entry in given:
        found = True
        _over(said, entry.model_dump(exclude_unset=True))
    if not found:
        return None
    entry = ConnectionsEntry.model_validate(said)
    tcp = {f"tcp_{name}": seconds for name, seconds in entry.tcp.model_dump().items()}
    return Connections(**entry.model_dump(exclude={"tcp"}), **tcp)


def _over(said: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            _over(said.setdefault(key, {}), value)
        else:
            said[key] = value


def asks_for_state(rule: Rule) -> bool:
    """Whether a rule has a condition on what connection tracking says."""
    return any(matcher.name == STATE_FIELD for condition in rule.conditions for matcher in matched(condition))


def nothing_tracks(document: Document, rule: KeyPath) -> InputRefused:
    """What to say of such a rule where connections aren't tracked."""
    what = f"nothing tracks connections, so {STATE_FIELD} says nothing"
    return document.refuse(what, (*rule, "match", STATE_FIELD), hint="add `connections: {}` to the document")
