"""YAML's events to plain data, with the place of everything.

    text ── events of libyaml's parser ── Builder ── data, Places

The builder takes a small, safe part of YAML 1.2: mappings with text keys, lists, and the scalars of the core schema.
Tags, anchors and aliases, duplicate keys, several documents in one file and bottomless nesting are refused, each with
its place, so that what the reader of a file sees is what the box does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from yaml import CSafeLoader
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from appliance.errors import InputRefused, SourceLine
from appliance.rules.document.places import Places, Position
from appliance.rules.errors import RuleSetRefused

DEEPEST_NESTING = 32

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_HINT = "look at the indentation and the brackets"
_HINTS = {  # by a word of libyaml's message
    "tab": "indent with spaces: YAML allows no tab there",
    "escape": "write the character itself",
}
_NO_TEXT = frozenset("-+.0123456789~nNtTfF")  # what a plain scalar that isn't text begins with


class Builder:
    """Turns the parser's events into data, one event at a time. For one thread."""

    def __init__(self, text: str, file: str) -> None:
        """`text` has no surrogates (it was UTF-8); `file` is only named."""
        self.text = text
        self.file = file
        self.lines = text.splitlines()
        self.defects: list[InputRefused] = []
        self.next_event: Callable[[], Any] = CSafeLoader(text).get_event  # an Event, of which the stubs know little

    def build(self) -> tuple[Any, Places]:
        """The document's data, and where its nodes stand. Raises RuleSetRefused with every defect found."""
        try:
            data, places = self._document()
        except InputRefused as refused:
            raise RuleSetRefused([*self.defects, refused]) from refused
        except YAMLError as error:
            raise RuleSetRefused([*self.defects, self._syntax(error)]) from error
        if self.defects:
            raise RuleSetRefused(self.defects)
        return data, places

    def _document(self) -> tuple[Any, Places]:
        data: Any = None
        inside: Places | Position = (0, 0)
        documents = 0
        while not isinstance(event := self.next_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents == 2:
                    hint = "remove the `---` line, or make it two files"
                    raise InputRefused("a second document begins here", where=self._where(event), hint=hint)
            elif isinstance(event, NodeEvent):
                data, inside = self._node(event, 0)
        return data, inside if isinstance(inside, Places) else Places(inside)

    def _node(self, event: Any, depth: int) -> tuple[Any, Places | Position]:
        if event.anchor or isinstance(event, AliasEvent):
            hint = 'give the list a name under `sets:` and use it as "@name"'
            raise InputRefused("anchors and aliases aren't supported", where=self._where(event), hint=hint)
        if event.tag not in (None, "!"):
            hint = "write the value without it"
            raise InputRefused(f"the tag {event.tag} isn't supported", where=self._where(event), hint=hint)
        if isinstance(event, ScalarEvent):
            return scalar(event.value) if event.implicit[0] else event.value, _position(event)
        if depth > DEEPEST_NESTING:
            raise InputRefused(f"nested deeper than {DEEPEST_NESTING} levels", where=self._where(event))
        return self._mapping(event, depth) if isinstance(event, MappingStartEvent) else self._sequence(event, depth)

    def _mapping(self, start: MappingStartEvent, depth: int) -> tuple[dict[str, Any], Places]:
        data: dict[str, Any] = {}
        places = Places(_position(start))
        while not isinstance(event := self.next_event(), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise InputRefused("a key must be a word", where=self._where(event), hint="look for a bracket too many")
            key = event.value
            if key in data:
                hint = f"it is first given at {self.place(places.keys[key])}"
                self.defects.append(InputRefused(f"key {key!r} is given twice", where=self._where(event), hint=hint))
            places.keys[key] = _position(event)
            data[key], places.inside[key] = self._node(self.next_event(), depth + 1)
        return data, places

    def _sequence(self, start: SequenceStartEvent, depth: int) -> tuple[list[Any], Places]:
        data: list[Any] = []
        places = Places(_position(start))
        while not isinstance(event := self.next_event(), SequenceEndEvent):
            value, places.inside[len(data)] = self._node(event, depth + 1)
            data.append(value)
        return data, places

    def _where(self, event: Event) -> SourceLine:
        return self.place(_position(event))

    def place(self, position: Position) -> SourceLine:
        """What a message says of a position."""
        return source_line(self.file, self.lines, position)

    def _syntax(self, error: YAMLError) -> InputRefused:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if isinstance(error, MarkedYAMLError) and mark is not None:
            about = ", ".join(part for part in (error.context, error.problem) if part)
            where = self.place((mark.line, mark.column))
            tab = where.text[mark.column : mark.column + 1] == "\t"
            hint = next((_HINTS[word] for word in _HINTS if word in about or (word == "tab" and tab)), _HINT)
            return InputRefused(f"this isn't YAML: {about}", where=where, hint=hint)
        before = self.text.encode()[: error.position if isinstance(error, ReaderError) else 0].decode(errors="ignore")
        where = self.place((before.count("\n"), len(before) - (before.rfind("\n") + 1)))
        return InputRefused("this isn't YAML: a control character stands here", where=where, hint="remove it")


def _position(event: Event) -> Position:
    mark: Any = event.start_mark
    return mark.line, mark.column


def source_line(file: str, lines: list[str], position: Position) -> SourceLine:
    """A position in a file of these lines, with the line's text; the file's end is where its last line ends."""
    line, column = position
    if line >= len(lines):
        line = max(len(lines) - 1, 0)
        column = len(lines[line]) if lines else 0
    return SourceLine(file, line + 1, column + 1, lines[line] if lines else "")


def scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema: null, a truth value, a number, or text."""
    if text and text[0] not in _NO_TEXT:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text, 0) if "0x" in text else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
